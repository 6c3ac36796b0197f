/* The judge of a simulated agreement. */
#include "tests/unit/directory/agreement_witness.h"

#include <stdio.h>
#include <stdlib.h>

#include "directory/agreement_check.h"

enum { EPOCHS_MAX = 4096 };

/* What an honest authority said of a kind, epoch and view: it may say it again, but never anything else. */
struct statement { uint8_t author; enum agreement_kind kind; uint64_t epoch; uint32_t view; uint8_t hash[DIGEST_BYTES]; };

/* Who, of the honest, signed what. */
struct signing { uint64_t epoch; uint32_t view; uint8_t digest[DIGEST_BYTES]; uint32_t signers; };

struct decision { bool is_known; uint8_t digest[DIGEST_BYTES]; uint32_t voters; };

struct witness {
  struct agreement_members members;
  uint32_t liars;
  uint8_t genesis[DIGEST_BYTES];
  char failure[200];
  struct witness_votes votes;
  struct statement *statements;
  uint32_t statement_count, statement_room;
  struct signing *signings;
  uint32_t signing_count, signing_room;
  struct decision decisions[EPOCHS_MAX];
  uint64_t adopted[LIMIT_AUTHORITIES];
  struct { uint64_t epoch; uint32_t next; } timeouts[LIMIT_AUTHORITIES]; /* the highest TIMEOUT that left */
};

static void *grow(void *list, uint32_t count, uint32_t *room, size_t size) {
  if (count < *room) return list;
  *room = *room ? *room * 2 : 64;
  list = realloc(list, *room * size);
  if (!list) abort();
  return list;
}

struct witness *witness_new(const struct agreement_members *members, uint32_t liars, const uint8_t genesis[DIGEST_BYTES]) {
  struct witness *w = calloc(1, sizeof *w);
  if (!w) abort();
  w->members = *members;
  w->liars = liars;
  memcpy(w->genesis, genesis, DIGEST_BYTES);
  return w;
}

void witness_free(struct witness *w) {
  witness_votes_free(&w->votes);
  free(w->statements);
  free(w->signings);
  free(w);
}

void witness_fail(struct witness *w, const char *text) {
  if (!w->failure[0]) snprintf(w->failure, sizeof w->failure, "%s", text);
}

const char *witness_failure(const struct witness *w) { return w->failure[0] ? w->failure : NULL; }

/* Votes */

static const struct witness_vote *find_vote(const struct witness_votes *votes, const uint8_t hash[DIGEST_BYTES]) {
  for (uint32_t i = votes->count; i > 0; i--) {
    if (memcmp(votes->list[i - 1].hash, hash, DIGEST_BYTES) == 0) return &votes->list[i - 1];
  }
  return NULL;
}

static void add_vote(struct witness_votes *votes, const struct witness_vote *vote) {
  if (find_vote(votes, vote->hash)) return;
  votes->list = grow(votes->list, votes->count, &votes->room, sizeof votes->list[0]);
  votes->list[votes->count++] = *vote;
}

bool witness_make_vote(struct witness *w, struct witness_votes *own, uint8_t author, uint8_t twin, uint64_t epoch, uint32_t round,
                       struct date date, uint8_t ret_hash[DIGEST_BYTES]) {
  struct witness_vote vote = {.author = author, .epoch = epoch, .round = round, .date = date};
  if (epoch >= EPOCHS_MAX || (epoch > 1 && !w->decisions[epoch - 1].is_known)) return false;
  memcpy(vote.previous, epoch > 1 ? w->decisions[epoch - 1].digest : w->genesis, DIGEST_BYTES);
  uint8_t text[64];
  size_t len = (size_t)snprintf((char *)text, sizeof text, "%u %u %llu %u %lld", author, twin, (unsigned long long)epoch, round,
                                (long long)date.milliseconds);
  digest(vote.hash, text, len);
  memcpy(ret_hash, vote.hash, DIGEST_BYTES);
  add_vote(&w->votes, &vote);
  add_vote(own, &vote);
  return true;
}

bool witness_votes_have(const struct witness_votes *votes, const uint8_t hash[DIGEST_BYTES]) { return find_vote(votes, hash) != NULL; }

bool witness_votes_hold(const struct witness_votes *votes, uint64_t epoch, const uint8_t previous[DIGEST_BYTES], const struct agreement_vote *vote) {
  const struct witness_vote *found = find_vote(votes, vote->hash);
  return found && found->author == vote->author && found->epoch == epoch && found->round == vote->round &&
         memcmp(found->previous, previous, DIGEST_BYTES) == 0;
}

void witness_votes_add(struct witness_votes *votes, const struct witness *w, const uint8_t hash[DIGEST_BYTES]) {
  const struct witness_vote *vote = find_vote(&w->votes, hash);
  if (vote) add_vote(votes, vote);
}

void witness_votes_free(struct witness_votes *votes) { free(votes->list); }

enum outcome witness_count(void *context, uint64_t epoch, const uint8_t previous[DIGEST_BYTES], const struct agreement_vector *vector,
                           struct agreement_result *ret) {
  uint8_t bytes[8 + DIGEST_BYTES * (1 + LIMIT_AUTHORITIES)];
  int64_t dates[LIMIT_AUTHORITIES];
  struct byte_writer w = {bytes, sizeof bytes, 0, false};
  write_u64(&w, epoch);
  write_bytes(&w, previous, DIGEST_BYTES);
  for (uint32_t i = 0; i < vector->count; i++) {
    const struct witness_vote *vote = find_vote(context, vector->votes[i].hash);
    if (!vote) return OUTCOME_NOT_FOUND;
    write_bytes(&w, vote->hash, DIGEST_BYTES);
    uint32_t at = i;
    for (; at > 0 && dates[at - 1] > vote->date.milliseconds; at--) dates[at] = dates[at - 1];
    dates[at] = vote->date.milliseconds;
  }
  digest(ret->digest, bytes, w.at);
  ret->valid_after = (struct date){dates[vector->count / 2]};
  return OUTCOME_OK;
}

/* [AGREE-29] One epoch, one consensus. */
static void note_digest(struct witness *w, uint64_t epoch, const uint8_t digest_[DIGEST_BYTES]) {
  if (epoch >= EPOCHS_MAX) {
    witness_fail(w, "more epochs than the test has room for");
    return;
  }
  struct decision *decision = &w->decisions[epoch];
  if (decision->is_known && memcmp(decision->digest, digest_, DIGEST_BYTES) != 0) witness_fail(w, "two valid consensuses can exist for one epoch");
  decision->is_known = true;
  memcpy(decision->digest, digest_, DIGEST_BYTES);
}

static void note_sign(struct witness *w, const struct agreement_message *message) {
  struct signing *signing = NULL;
  for (uint32_t i = w->signing_count; i > 0 && !signing; i--) {
    struct signing *s = &w->signings[i - 1];
    if (s->epoch == message->epoch && s->view == message->view && memcmp(s->digest, message->choice.digest, DIGEST_BYTES) == 0) signing = s;
  }
  if (!signing) {
    w->signings = grow(w->signings, w->signing_count, &w->signing_room, sizeof w->signings[0]);
    signing = &w->signings[w->signing_count++];
    *signing = (struct signing){.epoch = message->epoch, .view = message->view};
    memcpy(signing->digest, message->choice.digest, DIGEST_BYTES);
  }
  signing->signers |= UINT32_C(1) << message->author;
  /* Every liar has signed it too, for all we know. */
  if ((uint32_t)__builtin_popcount(signing->signers) + w->liars >= w->members.q) note_digest(w, message->epoch, message->choice.digest);
}

static void note_statement(struct witness *w, const struct agreement_message *message, const uint8_t hash[DIGEST_BYTES]) {
  for (uint32_t i = w->statement_count; i > 0; i--) {
    const struct statement *s = &w->statements[i - 1];
    if (s->author != message->author || s->kind != message->kind || s->epoch != message->epoch || s->view != message->view) continue;
    if (memcmp(s->hash, hash, DIGEST_BYTES) != 0) witness_fail(w, "an honest authority says two things of one view");
    return;
  }
  w->statements = grow(w->statements, w->statement_count, &w->statement_room, sizeof w->statements[0]);
  struct statement *s = &w->statements[w->statement_count++];
  *s = (struct statement){.author = message->author, .kind = message->kind, .epoch = message->epoch, .view = message->view};
  memcpy(s->hash, hash, DIGEST_BYTES);
  /* It is new: then it must not come after a TIMEOUT of its view or a later one. */
  uint64_t epoch = w->timeouts[message->author].epoch;
  bool binds = message->kind == AGREEMENT_PREPARE || message->kind == AGREEMENT_SIGN;
  if (binds && (message->epoch < epoch || (message->epoch == epoch && message->view < w->timeouts[message->author].next))) {
    witness_fail(w, "something is prepared or signed after its TIMEOUT");
  }
  if (message->kind != AGREEMENT_TIMEOUT || message->epoch < epoch) return;
  if (message->epoch > epoch || message->view + 1 > w->timeouts[message->author].next) {
    w->timeouts[message->author].epoch = message->epoch;
    w->timeouts[message->author].next = message->view + 1;
  }
}

void witness_said(struct witness *w, uint8_t author, const struct document *document) {
  struct agreement_message message;
  uint8_t statement[AGREEMENT_MESSAGE_MAX_BYTES], hash[DIGEST_BYTES];
  if (agreement_message_decode(&w->members, document_bytes(document), document_len(document), &message) != OUTCOME_OK) {
    witness_fail(w, "an honest authority sends what cannot be read");
    return;
  }
  bool is_own = message.author == author && message.kind != AGREEMENT_STATUS && message.kind != AGREEMENT_CERTIFICATE &&
                message.kind != AGREEMENT_ENTER && message.kind != AGREEMENT_FAULT;
  if (!is_own) return;
  size_t len = agreement_message_statement(&w->members, &message, statement, sizeof statement);
  digest(hash, statement, len);
  note_statement(w, &message, hash);
  if (message.kind == AGREEMENT_SIGN) note_sign(w, &message);
}

void witness_decided(struct witness *w, const struct agreement_certificate *certificate, const struct agreement_vector *vector) {
  if (agreement_certificate_check(&w->members, certificate) != OUTCOME_OK) witness_fail(w, "a decision is not proven");
  note_digest(w, certificate->epoch, certificate->digest);
  if (certificate->epoch >= EPOCHS_MAX || !vector) return;
  uint32_t voters = 0;
  for (uint32_t i = 0; i < vector->count; i++) voters |= UINT32_C(1) << vector->votes[i].author;
  if (vector->count < w->members.n - w->members.f) witness_fail(w, "too few votes count");
  w->decisions[certificate->epoch].voters = voters;
}

void witness_adopted(struct witness *w, uint8_t place, const struct agreement_certificate *certificate) {
  note_digest(w, certificate->epoch, certificate->digest);
  if (certificate->epoch > w->adopted[place]) w->adopted[place] = certificate->epoch;
}

void witness_forget_epoch(struct witness *w, uint8_t place) { w->adopted[place] = 0; }

uint32_t witness_voters(const struct witness *w, uint64_t epoch) { return epoch < EPOCHS_MAX ? w->decisions[epoch].voters : 0; }
