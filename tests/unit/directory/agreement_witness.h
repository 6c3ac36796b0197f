/* Who sees everything: all votes ever made, all that honest authorities ever said, and what must hold between them.
 * Spec: specs/agreement.md [AGREE-29]. Called by agreement_network. Liars count as having signed everything, of every view.
 * Never tells a machine anything: it stands for documents on their way and for the judge afterwards.
 */
#ifndef TUNIC_TESTS_UNIT_DIRECTORY_AGREEMENT_WITNESS_H
#define TUNIC_TESTS_UNIT_DIRECTORY_AGREEMENT_WITNESS_H

#include "directory/agreement.h"

struct witness;

struct witness_vote {
  uint8_t author;
  uint64_t epoch;
  uint32_t round;
  struct date date;
  uint8_t previous[DIGEST_BYTES], hash[DIGEST_BYTES];
};

/* The vote documents that one authority has on disk. */
struct witness_votes { struct witness_vote *list; uint32_t count, room; };

struct witness *witness_new(const struct agreement_members *, uint32_t liars, const uint8_t genesis[DIGEST_BYTES]);
void witness_free(struct witness *);
void witness_fail(struct witness *, const char *text); /* the first one is kept */
const char *witness_failure(const struct witness *);   /* NULL: none */

/* A vote's document: its hash follows from all arguments. False: the epoch's predecessor is not known. */
bool witness_make_vote(struct witness *, struct witness_votes *, uint8_t author, uint8_t twin, uint64_t epoch, uint32_t round, struct date,
                       uint8_t ret_hash[DIGEST_BYTES]);
bool witness_votes_have(const struct witness_votes *, const uint8_t hash[DIGEST_BYTES]);
bool witness_votes_hold(const struct witness_votes *, uint64_t epoch, const uint8_t previous[DIGEST_BYTES], const struct agreement_vote *);
void witness_votes_add(struct witness_votes *, const struct witness *, const uint8_t hash[DIGEST_BYTES]);
void witness_votes_free(struct witness_votes *);
/* The tally of these tests: the digest covers the vector, valid-after is the median; context: struct witness_votes. */
enum outcome witness_count(void *context, uint64_t epoch, const uint8_t previous[DIGEST_BYTES], const struct agreement_vector *,
                           struct agreement_result *ret);

/* An honest authority sends this. */
void witness_said(struct witness *, uint8_t author, const struct document *);
/* An honest authority decides this; vector may be NULL. */
void witness_decided(struct witness *, const struct agreement_certificate *, const struct agreement_vector *);
/* An honest authority has this on disk as its newest. */
void witness_adopted(struct witness *, uint8_t place, const struct agreement_certificate *);
/* Its disk is lost: it may adopt again what it had. */
void witness_forget_epoch(struct witness *, uint8_t place);
/* Authors of the decided vector; 0: not known. */
uint32_t witness_voters(const struct witness *, uint64_t epoch);

#endif
