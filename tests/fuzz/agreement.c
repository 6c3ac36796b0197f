/* A machine of the agreement, authority 0 of 4, and a script for the other three, who sign whatever it says.
 * Each step: what 1, who 1, then as the step wants. What leaves the machine must be readable; the epoch never goes back; two
 * different statements of one kind and view never leave it. */
#include "directory/agreement.h"

#include <stdlib.h>
#include <string.h>

#include "directory/agreement_check.h"
#include "tests/fuzz/fuzz.h"

enum { VIEWS = 8, STEPS_MAX = 32 };

struct run {
  struct agreement_members members;
  uint8_t seeds[4][32];
  struct agreement *machine;
  instant now;
  uint64_t epoch;
  uint8_t vector[DIGEST_BYTES]; /* the hash of the last proposal's */
  /* Of each kind and low view, in this epoch: what was said first. */
  uint8_t said[AGREEMENT_TIMEOUT + 1][VIEWS][ED25519_SIGNATURE_BYTES];
  bool has_said[AGREEMENT_TIMEOUT + 1][VIEWS];
};

static bool holds(void *context, uint64_t epoch, const uint8_t previous[DIGEST_BYTES], const struct agreement_vote *vote) {
  (void)context, (void)epoch, (void)previous;
  return vote->hash[0] % 4 != 3;
}

static enum outcome count(void *context, uint64_t epoch, const uint8_t previous[DIGEST_BYTES], const struct agreement_vector *vector,
                          struct agreement_result *ret) {
  (void)context, (void)epoch, (void)previous;
  memset(ret, 0, sizeof *ret);
  ret->digest[0] = (uint8_t)vector->count;
  return vector->count == 3 ? OUTCOME_BAD_DOCUMENT : OUTCOME_OK;
}

static void start(struct run *run) {
  uint8_t network[32] = {0}, identities[4][IDENTITY_BYTES];
  if (!crypto_start()) abort();
  for (uint8_t i = 0; i < 4; i++) {
    run->seeds[i][0] = (uint8_t)(i + 1);
    ed25519_public(identities[i], run->seeds[i]);
  }
  agreement_members_init(&run->members, network, 1, 4, (const uint8_t(*)[IDENTITY_BYTES])identities);
  struct agreement_config config = {.members = run->members, .seed = run->seeds[0], .tally = {.holds = holds, .count = count}};
  config.timing = (struct agreement_timing){.view_first = 8, .view_most = 64, .interval = 100, .early_gap = 10};
  enum outcome outcome;
  run->machine = agreement_new(&config, run->now, &outcome);
  if (!run->machine) abort();
}

static void check_sent(struct run *run, const struct document *document) {
  struct agreement_message message;
  if (agreement_message_decode(&run->members, document_bytes(document), document_len(document), &message) != OUTCOME_OK) abort();
  if (message.kind > AGREEMENT_TIMEOUT || message.author != 0 || message.view >= VIEWS || message.epoch != run->epoch) return;
  if (run->has_said[message.kind][message.view] &&
      memcmp(run->said[message.kind][message.view], message.signature, ED25519_SIGNATURE_BYTES) != 0) {
    abort();
  }
  run->has_said[message.kind][message.view] = true;
  memcpy(run->said[message.kind][message.view], message.signature, ED25519_SIGNATURE_BYTES);
}

static void settle(struct run *run) {
  struct agreement_summary summary;
  agreement_summarise(run->machine, &summary);
  if (summary.epoch < run->epoch) abort();
  if (summary.epoch > run->epoch) memset(run->has_said, 0, sizeof run->has_said);
  run->epoch = summary.epoch;
  struct agreement_effect effect;
  while (agreement_next_effect(run->machine, &effect)) {
    if (effect.kind == AGREEMENT_SEND) check_sent(run, effect.document);
    if (effect.kind == AGREEMENT_WRITE_BALLOT) agreement_ballot_written(run->machine, run->now, effect.version);
    if (effect.kind == AGREEMENT_WANT_VOTE) agreement_give_vote(run->machine, run->now, effect.epoch, effect.round, effect.hash);
    if (effect.kind == AGREEMENT_DECIDED || effect.kind == AGREEMENT_BEHIND) {
      agreement_adopt_decided(run->machine, run->now, &effect.certificate, effect.valid_after);
    }
    document_release(effect.document);
    agreement_summarise(run->machine, &summary);
    if (summary.epoch != run->epoch) memset(run->has_said, 0, sizeof run->has_said);
    run->epoch = summary.epoch;
  }
}

/* A message whose fields come from the input, in the machine's epoch and near its view, signed by who says it. */
static void say(struct run *run, uint8_t who, const uint8_t fields[4]) {
  static const enum agreement_kind kinds[] = {AGREEMENT_VOTE, AGREEMENT_PREPARE, AGREEMENT_SIGN, AGREEMENT_TIMEOUT, AGREEMENT_STATUS, AGREEMENT_PROPOSE};
  uint8_t bytes[AGREEMENT_MESSAGE_MAX_BYTES];
  struct agreement_message message = {.kind = kinds[fields[0] % 6], .epoch = run->epoch, .author = (uint8_t)(1 + who % 3)};
  message.view = message.kind == AGREEMENT_PROPOSE ? 0 : fields[1] % VIEWS;
  message.hash[0] = fields[2];
  message.choice.digest[0] = fields[2] % 8;
  message.choice.vector[0] = fields[3];
  if (fields[3] == 0) memcpy(message.choice.vector, run->vector, DIGEST_BYTES);
  message.holdings.prepares = fields[3];
  if (message.kind == AGREEMENT_PROPOSE) {
    message.choice.digest[0] = 4;
    for (uint8_t i = 0; i < 4; i++) {
      struct agreement_message vote = {.kind = AGREEMENT_VOTE, .epoch = run->epoch, .author = i, .hash = {(uint8_t)(fields[1] & 3)}};
      agreement_message_sign(&run->members, &vote, run->seeds[i]);
      message.vector.votes[message.vector.count] = (struct agreement_vote){.author = i, .hash = {(uint8_t)(fields[1] & 3)}};
      memcpy(message.vector.votes[message.vector.count++].signature, vote.signature, ED25519_SIGNATURE_BYTES);
    }
    agreement_vector_hash(&message.vector, run->vector);
  }
  agreement_message_sign(&run->members, &message, run->seeds[message.author]);
  size_t len = agreement_message_encode(&run->members, &message, bytes, sizeof bytes);
  agreement_receive(run->machine, run->now, message.author, bytes, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct run run = {.now = 1};
  start(&run);
  for (int steps = 0; size >= 6 && steps < STEPS_MAX; steps++) {
    uint8_t what = data[0] % 4, who = data[1];
    if (what == 0) run.now += data[2];
    if (what == 0 && agreement_deadline(run.machine) <= run.now) agreement_tick(run.machine, run.now);
    if (what == 1) agreement_link_opened(run.machine, run.now, (uint8_t)(1 + who % 3));
    if (what >= 2) say(&run, who, data + 2);
    settle(&run);
    data += 6;
    size -= 6;
  }
  if (size > 0) agreement_receive(run.machine, run.now, 1, data, size);
  settle(&run);
  agreement_free(run.machine);
  return 0;
}
