/* One authority's machine among others that the test speaks for. */
#include "tests/unit/directory/agreement_bench.h"

#include <stdlib.h>

#include "directory/agreement_check.h"

static bool holds(void *context, uint64_t epoch, const uint8_t previous[DIGEST_BYTES], const struct agreement_vote *vote) {
  const struct bench *bench = context;
  (void)epoch, (void)previous;
  return memcmp(vote->hash, bench->hidden, DIGEST_BYTES) != 0;
}

static void digest_of(const struct agreement_vector *vector, uint8_t ret[DIGEST_BYTES]) {
  uint8_t hash[DIGEST_BYTES];
  agreement_vector_hash(vector, hash);
  digest(ret, hash, sizeof hash);
}

static enum outcome count(void *context, uint64_t epoch, const uint8_t previous[DIGEST_BYTES], const struct agreement_vector *vector,
                          struct agreement_result *ret) {
  const struct bench *bench = context;
  (void)epoch, (void)previous;
  if (bench->refuses) return OUTCOME_BAD_DOCUMENT;
  digest_of(vector, ret->digest);
  ret->valid_after = (struct date){(int64_t)(bench->now / MILLISECONDS)};
  return OUTCOME_OK;
}

void bench_init(struct bench *bench, uint32_t n, uint8_t own) {
  memset(bench, 0, sizeof *bench);
  if (!crypto_start()) abort();
  uint8_t network[32] = {9}, identities[LIMIT_AUTHORITIES][IDENTITY_BYTES];
  for (uint32_t i = 0; i < n; i++) {
    bench->seeds[i][0] = (uint8_t)(i + 1);
    ed25519_public(identities[i], bench->seeds[i]);
  }
  agreement_members_init(&bench->members, network, 1, n, (const uint8_t(*)[IDENTITY_BYTES])identities);
  bench->now = 1000 * SECONDS;
  struct agreement_config *config = &bench->config;
  config->members = bench->members;
  config->own = own;
  config->seed = bench->seeds[own];
  config->timing = (struct agreement_timing){.view_first = SECONDS, .view_most = 4 * SECONDS, .interval = 60 * SECONDS, .early_gap = SECONDS};
  config->tally = (struct agreement_tally){.context = bench, .holds = holds, .count = count};
  config->clock = (struct wall_clock){.at = bench->now, .date = {1000000}};
  config->genesis[0] = 5;
}

void bench_start(struct bench *bench) {
  enum outcome outcome;
  bench->machine = agreement_new(&bench->config, bench->now, &outcome);
  if (!bench->machine) abort();
  bench_settle(bench);
}

void bench_restart(struct bench *bench, bool lost) {
  agreement_free(bench->machine);
  bench_clear(bench);
  bench->config.ballot_state = lost ? AGREEMENT_BALLOT_LOST : AGREEMENT_BALLOT_READ;
  bench->config.ballot = bench->record;
  bench->config.ballot_len = bench->record_len;
  bench_start(bench);
}

static void forget_sent(struct bench *bench) {
  for (uint32_t i = 0; i < bench->sent_count; i++) free(bench->sent[i]);
  bench->sent_count = 0;
}

void bench_clear(struct bench *bench) {
  forget_sent(bench);
  memset(bench->counts, 0, sizeof bench->counts);
}

void bench_wipe(struct bench *bench) {
  bench_clear(bench);
  agreement_free(bench->machine);
}

static void note_sent(struct bench *bench, const struct agreement_effect *effect) {
  struct agreement_message *message = calloc(1, sizeof *message);
  if (!message || agreement_message_decode(&bench->members, document_bytes(effect->document), document_len(effect->document), message) != OUTCOME_OK) {
    abort();
  }
  if (bench->sent_count == BENCH_EFFECTS_MAX) forget_sent(bench);
  bench->sent_to[bench->sent_count] = effect->to;
  bench->sent[bench->sent_count++] = message;
}

void bench_settle(struct bench *bench) {
  struct agreement_effect effect;
  while (agreement_next_effect(bench->machine, &effect)) {
    bench->counts[effect.kind]++;
    if (effect.kind == AGREEMENT_SEND) note_sent(bench, &effect);
    if (effect.kind == AGREEMENT_WRITE_BALLOT) {
      bench->version = effect.version;
      if (!bench->keeps_writing) {
        bench->record_len = document_len(effect.document);
        memcpy(bench->record, document_bytes(effect.document), bench->record_len);
        agreement_ballot_written(bench->machine, bench->now, effect.version);
      }
    }
    if (effect.kind == AGREEMENT_WANT_VOTE) {
      struct agreement_vote vote = bench_vote(bench, bench->config.own, effect.epoch, effect.round, 0, effect.hash);
      agreement_give_vote(bench->machine, bench->now, effect.epoch, effect.round, vote.hash);
    }
    document_release(effect.document);
    effect.document = NULL;
    bench->last[effect.kind] = effect;
  }
}

void bench_run(struct bench *bench, instant until) {
  for (;;) {
    instant at = agreement_deadline(bench->machine);
    if (at > until) break;
    if (at > bench->now) bench->now = at;
    agreement_tick(bench->machine, bench->now);
    bench_settle(bench);
  }
  bench->now = until;
}

struct agreement_message bench_message(enum agreement_kind kind, uint8_t author, uint32_t view) {
  return (struct agreement_message){.kind = kind, .epoch = 1, .view = view, .author = author};
}

void bench_sign(const struct bench *bench, struct agreement_message *message) {
  agreement_message_sign(&bench->members, message, bench->seeds[message->author]);
}

struct agreement_vote bench_vote(const struct bench *bench, uint8_t author, uint64_t epoch, uint32_t round, uint8_t variant,
                                 const uint8_t previous[DIGEST_BYTES]) {
  struct agreement_message message = bench_message(AGREEMENT_VOTE, author, round);
  uint8_t text[] = {author, (uint8_t)epoch, (uint8_t)round, variant};
  message.epoch = epoch;
  digest(message.hash, text, sizeof text);
  memcpy(message.previous, previous, DIGEST_BYTES);
  bench_sign(bench, &message);
  struct agreement_vote vote = {.author = author, .round = round};
  memcpy(vote.hash, message.hash, DIGEST_BYTES);
  memcpy(vote.signature, message.signature, ED25519_SIGNATURE_BYTES);
  return vote;
}

void bench_vector(const struct bench *bench, uint32_t authors, struct agreement_vector *ret, struct agreement_choice *ret_choice) {
  ret->count = 0;
  for (uint8_t i = 0; i < bench->members.n; i++) {
    if (authors >> i & 1) ret->votes[ret->count++] = bench_vote(bench, i, 1, 0, 0, bench->config.genesis);
  }
  agreement_vector_hash(ret, ret_choice->vector);
  digest_of(ret, ret_choice->digest);
}

void bench_lock(const struct bench *bench, uint32_t view, uint32_t authors, struct agreement_lock *ret) {
  *ret = (struct agreement_lock){.name = {.present = true, .view = view}};
  bench_vector(bench, authors, &ret->vector, &ret->name.choice);
  for (uint8_t i = 0; ret->prepares.count < bench->members.q; i++) {
    if (i == bench->config.own && bench->members.n > bench->members.q) continue;
    struct agreement_message prepare = bench_message(AGREEMENT_PREPARE, i, view);
    prepare.choice = ret->name.choice;
    bench_sign(bench, &prepare);
    struct agreement_signature *signature = &ret->prepares.list[ret->prepares.count++];
    signature->author = i;
    memcpy(signature->bytes, prepare.signature, ED25519_SIGNATURE_BYTES);
  }
}

void bench_entry(const struct bench *bench, uint32_t view, const struct agreement_lock *lock, struct agreement_entry *ret) {
  *ret = (struct agreement_entry){0};
  for (uint8_t i = 0; ret->count < bench->members.q; i++) {
    if (i == bench->config.own) continue;
    struct agreement_message message = bench_message(AGREEMENT_TIMEOUT, i, view - 1);
    if (lock && ret->count == 0) message.lock = *lock;
    bench_sign(bench, &message);
    struct agreement_timeout *timeout = &ret->timeouts[ret->count++];
    *timeout = (struct agreement_timeout){.author = i, .lock = message.lock.name};
    memcpy(timeout->signature, message.signature, ED25519_SIGNATURE_BYTES);
  }
  if (lock) ret->lock = *lock;
}

struct agreement_certificate bench_certificate(const struct bench *bench, uint64_t epoch, uint32_t view, uint8_t variant) {
  struct agreement_certificate certificate = {.epoch = epoch, .view = view, .digest = {variant, (uint8_t)epoch}};
  for (uint8_t i = 0; certificate.signs.count < bench->members.q; i++) {
    if (i == bench->config.own && bench->members.n > bench->members.q) continue;
    struct agreement_message sign = bench_message(AGREEMENT_SIGN, i, view);
    sign.epoch = epoch;
    memcpy(sign.choice.digest, certificate.digest, DIGEST_BYTES);
    bench_sign(bench, &sign);
    struct agreement_signature *signature = &certificate.signs.list[certificate.signs.count++];
    signature->author = i;
    memcpy(signature->bytes, sign.signature, ED25519_SIGNATURE_BYTES);
  }
  return certificate;
}

enum outcome bench_receive(struct bench *bench, uint8_t from, const struct agreement_message *message) {
  uint8_t bytes[AGREEMENT_MESSAGE_MAX_BYTES];
  size_t len = agreement_message_encode(&bench->members, message, bytes, sizeof bytes);
  if (len == 0) abort();
  enum outcome outcome = agreement_receive(bench->machine, bench->now, from, bytes, len);
  bench_settle(bench);
  return outcome;
}

enum outcome bench_say(struct bench *bench, struct agreement_message *message) {
  bench_sign(bench, message);
  return bench_receive(bench, message->author, message);
}

void bench_say_vote(struct bench *bench, uint8_t author) {
  struct agreement_vote vote = bench_vote(bench, author, 1, 0, 0, bench->config.genesis);
  struct agreement_message message = bench_message(AGREEMENT_VOTE, author, 0);
  memcpy(message.hash, vote.hash, DIGEST_BYTES);
  memcpy(message.previous, bench->config.genesis, DIGEST_BYTES);
  bench_say(bench, &message);
}

enum outcome bench_say_status(struct bench *bench, uint8_t author, uint64_t epoch, uint32_t view) {
  struct agreement_message status = bench_message(AGREEMENT_STATUS, author, view);
  status.epoch = epoch;
  return bench_say(bench, &status);
}

const struct agreement_message *bench_sent(const struct bench *bench, enum agreement_kind kind, uint8_t author) {
  for (uint32_t i = bench->sent_count; i > 0; i--) {
    if (bench->sent[i - 1]->kind == kind && bench->sent[i - 1]->author == author) return bench->sent[i - 1];
  }
  return NULL;
}

struct agreement_summary bench_summary(const struct bench *bench) {
  struct agreement_summary summary;
  agreement_summarise(bench->machine, &summary);
  return summary;
}
