/* What lying authorities say: messages of the shipped agreement, validly signed with their own key, that no honest one would send.
 * Spec: specs/agreement.md [AGREE-*]. Called by the agreement's simulated tests, by the simulator's liars and by the authority of
 * the system tests that lies: each sends and delays as it can.
 * Never signs for anybody else.
 */
#ifndef TUNIC_TESTS_LIARS_WORDS_H
#define TUNIC_TESTS_LIARS_WORDS_H

#include "directory/agreement_message.h"
#include "directory/network_file.h"
#include "protocol/document.h"
#include "protocol/random.h"

/* What a liar does beside its part; any number together. */
enum liar_habit {
  LIAR_SILENT = 1,     /* sends nothing at all */
  LIAR_TWINS = 2,      /* says everything two ways, each to a part of the others: votes, proposals, PREPAREs, SIGNs */
  LIAR_AGREEABLE = 4,  /* prepares and signs whatever it sees proposed or prepared */
  LIAR_RUBBISH = 8,    /* random bytes, changed messages of others */
  LIAR_REPLAYS = 16,   /* anything it ever saw, to anyone, at any time */
  LIAR_LATE = 32,      /* everything it says arrives long after */
  LIAR_HASTY = 64,     /* TIMEOUTs of far views, without locks */
};

/* The members that a network file names. */
void liar_members(const struct network_file *, struct agreement_members *ret);
/* The message as `author` says it, signed with its seed; the caller's reference. */
struct document *liar_say(const struct agreement_members *, struct agreement_message *, uint8_t author, const uint8_t seed[ED25519_SEED_BYTES]);
/* LIAR_AGREEABLE: a PREPARE and a SIGN for what was heard. False: it was no proposal and no PREPARE. */
bool liar_agree(const struct agreement_members *, uint8_t author, const uint8_t seed[ED25519_SEED_BYTES], const uint8_t *heard, size_t len,
                struct document *ret_said[2]);
/* LIAR_HASTY: a TIMEOUT of this view or a later one, near or far. */
struct document *liar_hurry(const struct agreement_members *, uint8_t author, const uint8_t seed[ED25519_SEED_BYTES], uint64_t epoch, uint32_t view,
                            struct random_stream *);
/* LIAR_RUBBISH: random bytes, or those of `source` (may be NULL) cut or with a bit changed. */
struct document *liar_rubbish(const struct document *source, struct random_stream *);

#endif
