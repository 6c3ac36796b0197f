/* One authority's machine among others that the test speaks for: their keys, their messages, and all documents at hand.
 * Spec: specs/agreement.md [AGREE-*]. Called by the agreement's unit tests.
 * Votes' documents are hashes: every one is held unless it was hidden. The tally's digest is a hash of the vector's.
 */
#ifndef TUNIC_TESTS_UNIT_DIRECTORY_AGREEMENT_BENCH_H
#define TUNIC_TESTS_UNIT_DIRECTORY_AGREEMENT_BENCH_H

#include "directory/agreement.h"

enum { BENCH_EFFECTS_MAX = 256 };

struct bench {
  struct agreement_members members;
  uint8_t seeds[LIMIT_AUTHORITIES][32];
  struct agreement_config config;
  struct agreement *machine;
  instant now;
  uint8_t hidden[DIGEST_BYTES]; /* a vote's document that is not here */
  bool refuses;                 /* the tally results in nothing */
  bool keeps_writing;           /* writes of the record are not answered */
  uint8_t record[AGREEMENT_MESSAGE_MAX_BYTES * 2];
  size_t record_len;
  uint64_t version;             /* of the last write */
  /* What the machine sent and wished since the last bench_clear; of what it sent, only so much is kept. */
  struct agreement_message *sent[BENCH_EFFECTS_MAX];
  uint8_t sent_to[BENCH_EFFECTS_MAX];
  uint32_t sent_count;
  struct agreement_effect last[AGREEMENT_ACCUSE + 1]; /* the last effect of each kind; without its document */
  uint32_t counts[AGREEMENT_ACCUSE + 1];
};

/* A network of n in which the machine is authority `own`, in epoch 1. It is made by bench_start. */
void bench_init(struct bench *, uint32_t n, uint8_t own);
void bench_start(struct bench *);
/* Power cut: a new machine from the record on disk; `lost` if there is none any more. */
void bench_restart(struct bench *, bool lost);
void bench_wipe(struct bench *);

/* Takes all effects; answers WRITE_BALLOT and WANT_VOTE. */
void bench_settle(struct bench *);
void bench_clear(struct bench *);
/* Until this instant, tick by tick. */
void bench_run(struct bench *, instant until);

/* The vote of an author, in epoch and round, signed; `variant` makes different ones. */
struct agreement_vote bench_vote(const struct bench *, uint8_t author, uint64_t epoch, uint32_t round, uint8_t variant,
                                 const uint8_t previous[DIGEST_BYTES]);
/* The votes of these authors (bit i), of round 0 and epoch 1, and what they result in. */
void bench_vector(const struct bench *, uint32_t authors, struct agreement_vector *ret, struct agreement_choice *ret_choice);
/* An empty message of a kind for epoch 1. */
struct agreement_message bench_message(enum agreement_kind, uint8_t author, uint32_t view);
void bench_sign(const struct bench *, struct agreement_message *);
/* A lock on these authors' votes, proven by q PREPAREs of others than the machine if n allows. */
void bench_lock(const struct bench *, uint32_t view, uint32_t authors, struct agreement_lock *ret);
/* The entry into a view: q TIMEOUTs of others; the first of them has this lock, or NULL. */
void bench_entry(const struct bench *, uint32_t view, const struct agreement_lock *, struct agreement_entry *ret);
struct agreement_certificate bench_certificate(const struct bench *, uint64_t epoch, uint32_t view, uint8_t variant);

/* Signs as its author and hands it in from its author's link; settles. */
enum outcome bench_say(struct bench *, struct agreement_message *);
/* Hands it in as it is; settles. */
enum outcome bench_receive(struct bench *, uint8_t from, const struct agreement_message *);
void bench_say_vote(struct bench *, uint8_t author);
/* A STATUS of authority `author` in epoch and view, which lacks everything. */
enum outcome bench_say_status(struct bench *, uint8_t author, uint64_t epoch, uint32_t view);

/* The last message of a kind by an author that was sent; NULL: none. */
const struct agreement_message *bench_sent(const struct bench *, enum agreement_kind, uint8_t author);
struct agreement_summary bench_summary(const struct bench *);

#endif
