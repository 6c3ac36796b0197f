#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory/authority_internal.h"
#include "directory/consensus_format.h"

const struct held_vote *epoch_find_vote(const struct authority *authority, const uint8_t hash[DIGEST_BYTES]) {
  for (uint32_t i = 0; i < authority->vote_count; i++)
    if (memcmp(authority->votes[i].hash, hash, DIGEST_BYTES) == 0) return &authority->votes[i];
  return NULL;
}

static bool is_before(const struct held_vote *a, const struct held_vote *b) {
  return a->epoch != b->epoch ? a->epoch < b->epoch : a->round < b->round;
}

static void drop_vote(struct authority *authority, uint32_t index) {
  vote_free(authority->votes[index].vote);
  authority->votes[index] = authority->votes[--authority->vote_count];
}

/* [AUTH-17] A file for one more of this author, in place of one of its votes if it has them all: of an old epoch, or of the lowest round
 * that the agreement can do without. False: it needs them all. */
static bool make_room(struct authority *authority, uint64_t epoch, uint8_t author, uint8_t *ret_file) {
  bool taken[AUTHORITY_VOTES_OF_ONE] = {false};
  uint32_t lowest = UINT32_MAX, of_author = 0, place = 0;
  for (uint32_t i = authority->vote_count; i-- > 0;)
    if (authority->votes[i].epoch + 1 < epoch) drop_vote(authority, i);
  for (uint32_t i = 0; i < authority->vote_count; i++) {
    const struct held_vote *held = &authority->votes[i];
    if (held->author != author) continue;
    of_author++;
    taken[held->file % AUTHORITY_VOTES_OF_ONE] = true;
    if (authority->agreement != NULL && agreement_needs_vote(authority->agreement, held->hash)) continue;
    if (lowest == UINT32_MAX || is_before(held, &authority->votes[lowest])) lowest = i;
  }
  if (of_author == AUTHORITY_VOTES_OF_ONE) {
    if (lowest == UINT32_MAX) return false;
    *ret_file = authority->votes[lowest].file;
    drop_vote(authority, lowest);
    return true;
  }
  while (taken[place]) place++;
  *ret_file = (uint8_t)(author * AUTHORITY_VOTES_OF_ONE + place);
  return true;
}

void authority_vote_file(uint32_t index, char ret_name[AUTHORITY_VOTE_NAME_BYTES]) {
  snprintf(ret_name, AUTHORITY_VOTE_NAME_BYTES, "vote-%u-%u", index / AUTHORITY_VOTES_OF_ONE, index % AUTHORITY_VOTES_OF_ONE);
}

/* One reference to the vote moves in. */
static struct held_vote *hold(struct authority *authority, struct vote *vote, int author, uint8_t file) {
  struct held_vote *held = &authority->votes[authority->vote_count++];
  *held = (struct held_vote){.epoch = vote_header(vote)->epoch, .round = vote_header(vote)->round, .author = (uint8_t)author, .file = file, .vote = vote};
  memcpy(held->hash, vote_digest(vote), DIGEST_BYTES);
  return held;
}

/* 0: there is no agreement. */
static uint64_t agreement_epoch(const struct authority *authority) {
  struct agreement_summary summary = {0};
  if (authority->agreement != NULL) agreement_summarise(authority->agreement, &summary);
  return summary.epoch;
}

enum outcome epoch_take_vote(struct authority *authority, struct document *text) {
  enum outcome outcome;
  struct vote_known known = {relays_know_descriptor, authority};
  struct vote *vote = vote_parse(authority->network, text, &known, &outcome, NULL);
  uint8_t file;
  if (vote == NULL) return outcome;
  /* [AUTH-17] One signature makes a vote of any epoch: none but this one's may take a file. */
  if (vote_header(vote)->epoch != agreement_epoch(authority) || epoch_find_vote(authority, vote_digest(vote)) != NULL) {
    vote_free(vote);
    return OUTCOME_STALE;
  }
  int author = network_file_find_authority(authority->network, vote_header(vote)->authority);
  if (author < 0 || !make_room(authority, vote_header(vote)->epoch, (uint8_t)author, &file)) {
    vote_free(vote);
    return author < 0 ? OUTCOME_BAD_SIGNATURE : OUTCOME_LIMIT_REACHED;
  }
  struct held_vote *held = hold(authority, vote, author, file);
  held->write = ++authority->vote_writes;
  struct effect write = {.kind = EFFECT_WRITE_FILE, .id = {WRITE_VOTE, held->write}, .document = document_take(text)};
  authority_vote_file(file, write.name);
  authority_write_file(authority, &write);
  return OUTCOME_OK;
}

/* NULL: it was dropped since. */
static struct held_vote *find_write(struct authority *authority, uint32_t write) {
  for (uint32_t i = 0; i < authority->vote_count; i++)
    if (!authority->votes[i].is_on_disk && authority->votes[i].write == write) return &authority->votes[i];
  return NULL;
}

void epoch_lose_vote(struct authority *authority, uint32_t write) {
  const struct held_vote *held = find_write(authority, write);
  if (held != NULL) drop_vote(authority, (uint32_t)(held - authority->votes));
  if (authority->own_vote.write == write) authority->own_vote.waits = false;
}

static void vote_written(struct authority *authority, instant now, uint32_t write) {
  struct held_vote *held = find_write(authority, write);
  if (held == NULL) return;
  held->is_on_disk = true;
  bool is_ours = authority->own_vote.waits && authority->own_vote.write == write;
  if (is_ours) {
    authority->own_vote.waits = false;
    agreement_give_vote(authority->agreement, now, authority->own_vote.epoch, authority->own_vote.round, authority->own_vote.hash);
  } else if (authority->agreement != NULL) {
    agreement_vote_arrived(authority->agreement, now);
  }
}

bool epoch_was_verified(const void *context, const uint8_t digest[DIGEST_BYTES]) {
  (void)context, (void)digest;
  return true;
}

void epoch_remember(struct authority *authority, uint64_t epoch) {
  const struct vote_known all = {epoch_was_verified, NULL};
  for (uint32_t i = 0; i < AUTHORITY_VOTE_FILES; i++) {
    enum outcome outcome;
    struct document *text = authority->stored[i];
    struct vote *vote = text == NULL ? NULL : vote_parse(authority->network, text, &all, &outcome, NULL);
    if (vote == NULL) continue;
    int author = network_file_find_authority(authority->network, vote_header(vote)->authority);
    bool is_of_use = vote_header(vote)->epoch >= epoch && author == (int)(i / AUTHORITY_VOTES_OF_ONE) && epoch_find_vote(authority, vote_digest(vote)) == NULL;
    if (is_of_use) hold(authority, vote, author, (uint8_t)i)->is_on_disk = true;
    else vote_free(vote);
  }
}

/* ---- what the agreement asks of the documents ---- */

/* [AUTH-17] */
static bool holds(void *context, uint64_t epoch, const uint8_t previous[DIGEST_BYTES], const struct agreement_vote *name) {
  const struct held_vote *held = epoch_find_vote(context, name->hash);
  return held != NULL && held->is_on_disk && held->epoch == epoch && held->round == name->round && held->author == name->author &&
         memcmp(vote_header(held->vote)->previous, previous, DIGEST_BYTES) == 0;
}

/* The consensus that these votes result in, without signatures. NULL with the outcome: none. */
static struct document *count_votes(struct authority *authority, const struct agreement_vector *vector, uint64_t epoch,
                                    const uint8_t previous[DIGEST_BYTES], struct consensus_header *ret_header,
                                    enum outcome *ret_outcome) {
  struct tally_input input = {.network = authority->network, .epoch = epoch, .vote_count = vector->count};
  *ret_outcome = OUTCOME_NOT_FOUND;
  for (uint32_t i = 0; i < vector->count; i++) {
    const struct held_vote *held = epoch_find_vote(authority, vector->votes[i].hash);
    if (held == NULL) return NULL;
    input.votes[i] = held->vote;
  }
  memcpy(input.previous, previous, DIGEST_BYTES);
  if (authority->consensus != NULL) input.previous_valid_after = consensus_header(authority->consensus)->valid_after;
  return tally(&input, ret_header, ret_outcome);
}

static enum outcome count(void *context, uint64_t epoch, const uint8_t previous[DIGEST_BYTES], const struct agreement_vector *vector,
                          struct agreement_result *ret) {
  struct consensus_header header;
  enum outcome outcome;
  struct document *text = count_votes(context, vector, epoch, previous, &header, &outcome);
  if (text == NULL) {
    trace_write(((struct authority *)context)->config.trace, TRACE_DEBUG, "authority", "the votes of epoch %llu result in nothing: %s",
                (unsigned long long)epoch, outcome_name(outcome));
    return outcome;
  }
  memcpy(ret->digest, header.digest, DIGEST_BYTES);
  ret->valid_after = header.valid_after;
  document_release(text);
  return OUTCOME_OK;
}

struct agreement_tally epoch_tally(struct authority *authority) {
  return (struct agreement_tally){.context = authority, .holds = holds, .count = count};
}

/* ---- what it asks of us ---- */

/* The vote is on disk before it is given: a crash must not make us vote twice in one round. */
static void make_vote(struct authority *authority, instant now, const struct agreement_effect *effect) {
  struct document *text = relays_make_vote(authority, now, effect->epoch, effect->round, effect->hash);
  enum outcome outcome = text == NULL ? OUTCOME_NO_MEMORY : epoch_take_vote(authority, text);
  document_release(text);
  const struct held_vote *held = outcome == OUTCOME_OK ? find_write(authority, authority->vote_writes) : NULL;
  if (held == NULL) {
    trace_write(authority->config.trace, TRACE_ERROR, "authority", "could not make a vote for epoch %llu", (unsigned long long)effect->epoch);
    return;
  }
  authority->own_vote.epoch = effect->epoch;
  authority->own_vote.round = effect->round;
  memcpy(authority->own_vote.hash, held->hash, DIGEST_BYTES);
  authority->own_vote.write = authority->vote_writes;
  authority->own_vote.waits = true;
}

static struct document *compose(struct authority *authority, const struct document *text, const struct agreement_certificate *certificate) {
  struct consensus_signature signatures[LIMIT_AUTHORITIES];
  for (uint32_t i = 0; i < certificate->signs.count; i++) {
    const struct agreement_signature *sign = &certificate->signs.list[i];
    signatures[i].view = certificate->view;
    memcpy(signatures[i].authority, authority->network->authorities[sign->author].identity, IDENTITY_BYTES);
    memcpy(signatures[i].bytes, sign->bytes, ED25519_SIGNATURE_BYTES);
  }
  return consensus_compose(text, signatures, certificate->signs.count);
}

/* It is being written already, or one behind it is: writing it anew would put off what waits for that. */
static bool is_being_written(const struct authority *authority, const struct consensus *consensus) {
  if (!authority->decided.waits) return false;
  const struct consensus_header *comes = consensus_header(consensus), *waits = consensus_header(authority->decided.consensus);
  return comes->epoch < waits->epoch || (comes->epoch == waits->epoch && memcmp(comes->digest, waits->digest, DIGEST_BYTES) == 0);
}

static void forget_decided(struct authority *authority) {
  consensus_release(authority->decided.consensus);
  authority->decided.consensus = NULL;
  authority->decided.waits = false;
}

/* Its epoch is over, whatever becomes of the write. Signatures by the places of another serial mean nothing here. */
static void note_decided(const struct authority *authority, const struct consensus *consensus) {
  struct agreement_certificate certificate = authority->decided.certificate;
  if (authority->agreement == NULL) return;
  if (consensus_header(consensus)->serial != authority->network->serial) certificate.signs.count = 0;
  agreement_note_decided(authority->agreement, &certificate);
}

static bool contradicts(const struct consensus *a, const struct consensus *b) {
  const struct consensus_header *one = consensus_header(a), *other = consensus_header(b);
  return one->epoch == other->epoch && memcmp(one->digest, other->digest, DIGEST_BYTES) != 0;
}

/* [AGREE-28] NULL: nothing that we hold, or are writing, contradicts it. */
static const struct consensus *find_other(const struct authority *authority, const struct consensus *consensus) {
  if (authority->decided.waits && contradicts(authority->decided.consensus, consensus)) return authority->decided.consensus;
  return authority->consensus != NULL && contradicts(authority->consensus, consensus) ? authority->consensus : NULL;
}

/* [AUTH-7] Written first, served then. */
void epoch_keep(struct authority *authority, struct consensus *consensus) {
  const struct consensus *other = find_other(authority, consensus);
  const struct document *text = consensus_text(consensus);
  if (other != NULL) authority_keep_both(authority, consensus_text(other), document_bytes(text), document_len(text));
  if (other != NULL || is_being_written(authority, consensus)) {
    consensus_release(consensus);
    return;
  }
  forget_decided(authority);
  authority->decided.consensus = consensus;
  consensus_certificate(consensus, &authority->decided.certificate);
  authority->decided.waits = true;
  note_decided(authority, consensus);
  struct effect write = {.kind = EFFECT_WRITE_FILE, .id = {WRITE_CONSENSUS, ++authority->decided.write}, .name = AUTHORITY_CONSENSUS_FILE,
                         .document = document_take(consensus_text(consensus))};
  authority_write_file(authority, &write);
}

static void decided(struct authority *authority, const struct agreement_effect *effect) {
  struct consensus_header header;
  enum outcome outcome;
  const uint8_t *previous = authority->consensus == NULL ? authority->network->digest : consensus_header(authority->consensus)->digest;
  struct document *text = count_votes(authority, &effect->vector, effect->certificate.epoch, previous, &header, &outcome);
  struct document *whole = text == NULL ? NULL : compose(authority, text, &effect->certificate);
  struct consensus *consensus = NULL;
  if (whole != NULL)
    consensus = network_chain_consensus(authority->config.networks, document_bytes(whole), document_len(whole), &outcome, NULL);
  if (consensus != NULL) epoch_keep(authority, consensus);
  else trace_write(authority->config.trace, TRACE_ERROR, "authority", "the consensus that was decided could not be made: %s", outcome_name(outcome));
  document_release(text);
  document_release(whole);
}

enum outcome epoch_take_consensus(struct authority *authority, instant now, struct document *packed) {
  enum outcome outcome = OUTCOME_BAD_DOCUMENT;
  struct document *text = document_unpack(document_bytes(packed), document_len(packed), LIMIT_CONSENSUS_BYTES);
  struct consensus *consensus =
      text == NULL ? NULL : network_chain_consensus(authority->config.networks, document_bytes(text), document_len(text), &outcome, NULL);
  document_release(text);
  (void)now;
  if (consensus == NULL) return outcome;
  bool newer = authority->consensus == NULL || consensus_header(consensus)->epoch > consensus_header(authority->consensus)->epoch;
  if (newer || find_other(authority, consensus) != NULL) epoch_keep(authority, consensus);
  else consensus_release(consensus);
  return newer ? OUTCOME_OK : OUTCOME_STALE;
}

/* [AUTH-18] The record is of the epoch behind: nothing is decided anew. */
static bool is_the_lost_one(const struct authority *authority, const struct consensus_header *header) {
  bool is_newer = authority->consensus == NULL || header->epoch > consensus_header(authority->consensus)->epoch;
  return is_newer && header->epoch + 1 == agreement_epoch(authority);
}

static void adopt(struct authority *authority, instant now) {
  struct consensus *consensus = authority->decided.consensus;
  const struct consensus_header *header = consensus_header(consensus);
  authority->decided.consensus = NULL;
  authority->decided.waits = false;
  enum outcome outcome = OUTCOME_OK;
  if (authority->agreement != NULL)
    outcome = agreement_adopt_decided(authority->agreement, now, &authority->decided.certificate, header->valid_after);
  if (outcome == OUTCOME_STALE && is_the_lost_one(authority, header)) outcome = OUTCOME_OK;
  if (outcome != OUTCOME_OK) {
    const struct document *text = consensus_text(consensus);
    if (outcome == OUTCOME_DIRECTORY_SPLIT) authority_keep_both(authority, NULL, document_bytes(text), document_len(text));
    consensus_release(consensus);
    return;
  }
  consensus_release(authority->consensus);
  authority->consensus = consensus;
  consensus_archive_add(&authority->archive, consensus);
  site_count_learn(&authority->sites, consensus, NULL);
  fetch_set_consensus(authority->fetch, now, consensus_take(consensus));
  (void)fetch_take_news(authority->fetch);
  if (authority->agreement != NULL) peers_ask_network(authority);
  authority->epochs_decided++;
  authority->running_changed = true; /* asks anew whether the next epoch should open early */
  trace_write(authority->config.trace, TRACE_NOTICE, "authority", "epoch %llu: %u relays, view %u", (unsigned long long)header->epoch,
              header->relay_count, header->view);
}

/* One effect of the agreement. */
static void perform(struct authority *authority, instant now, const struct agreement_effect *effect) {
  switch (effect->kind) {
  case AGREEMENT_WRITE_BALLOT: {
    struct effect write = {.kind = EFFECT_WRITE_FILE,
                           .id = {WRITE_BALLOT, (uint32_t)effect->version},
                           .name = AUTHORITY_BALLOT_FILE,
                           .document = document_take(effect->document),
                           .secret = true};
    authority->ballot_version = effect->version;
    authority->ballots_under_way++;
    authority_write_file(authority, &write);
    return;
  }
  case AGREEMENT_SEND: peers_send(authority, now, effect->to, effect->document); return;
  case AGREEMENT_FETCH: peers_fetch_vote(authority, now, effect->to, effect->hash); return;
  case AGREEMENT_WANT_VOTE: make_vote(authority, now, effect); return;
  case AGREEMENT_DECIDED: decided(authority, effect); return;
  case AGREEMENT_BEHIND: peers_fetch_consensus(authority, now, effect->to); return;
  case AGREEMENT_ACCUSE:
    trace_write(authority->config.trace, TRACE_WARNING, "authority", "authority %s voted two ways: the proof is kept",
                authority->network->authorities[effect->to].name);
    authority_write(authority, WRITE_EVIDENCE, AUTHORITY_EVIDENCE_FILE, document_take(effect->document));
    return;
  }
}

void epoch_run(struct authority *authority, instant now) {
  struct agreement_effect effect;
  while (agreement_next_effect(authority->agreement, &effect)) {
    perform(authority, now, &effect);
    document_release(effect.document);
  }
}

void epoch_written(struct authority *authority, instant now, const struct event *event) {
  bool good = event->outcome == OUTCOME_OK;
  uint32_t bit = 1U << event->id.slot;
  if (!good && (authority->unwritten & bit) == 0)
    trace_write(authority->config.trace, TRACE_ERROR, "authority", "a file could not be written: %s", outcome_advice(event->outcome));
  authority->unwritten = good ? authority->unwritten & ~bit : authority->unwritten | bit;
  if (!good) authority_plan_again(authority, now);
  if (event->id.slot == WRITE_BALLOT) {
    authority->ballots_under_way--;
    if (authority->ballots_stale > 0) { /* files are written in order: it is of the serial before */
      authority->ballots_stale--;
      return;
    }
    uint64_t version = authority->ballot_version - (uint32_t)(authority->ballot_version - event->id.generation);
    if (good) agreement_ballot_written(authority->agreement, now, version);
    else agreement_ballot_failed(authority->agreement, now, version);
  } else if (event->id.slot == WRITE_VOTE) {
    if (good) vote_written(authority, now, event->id.generation);
    else epoch_lose_vote(authority, event->id.generation);
  } else if (event->id.slot == WRITE_CONSENSUS && authority->decided.waits && authority->decided.write == event->id.generation) {
    if (good) adopt(authority, now);
    else forget_decided(authority); /* members are told of it again; who takes no part still has it from the fetch */
  } else if (event->id.slot == WRITE_NETWORK && !good) {
    authority->network_unsaved = true;
  } else if (event->id.slot == WRITE_SPLIT && !good) {
    authority->split_unsaved = true;
  }
}

void epoch_forget(struct authority *authority) {
  while (authority->vote_count > 0) drop_vote(authority, 0);
  authority->own_vote.waits = false;
}

void epoch_free(struct authority *authority) {
  while (authority->vote_count > 0) drop_vote(authority, 0);
  consensus_release(authority->decided.consensus);
}
