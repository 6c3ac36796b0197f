/* The ballot record: what an authority must still know after a crash, so that it never says two things.
 * Spec: specs/agreement.md [AGREE-20], [AGREE-21]. Made and read by the agreement's machine; the authority keeps it as one
 * small file that is replaced as a whole and synced before anything it answers for leaves.
 * Never touches a file.
 */
#ifndef TUNIC_DIRECTORY_AGREEMENT_BALLOT_H
#define TUNIC_DIRECTORY_AGREEMENT_BALLOT_H

#include "directory/agreement_message.h"

/* "..._next" is one more than the last view or round that was used; 0: none was. */
struct agreement_ballot {
  uint32_t serial;               /* filled in by decode; encode takes the members' */
  uint64_t epoch;
  uint64_t silent_before;        /* speaks only in epochs from this one on; UINT64_MAX: not known yet, AGREEMENT_LOOKS: looks around first */
  uint8_t previous[DIGEST_BYTES];
  bool open;
  uint32_t view;
  uint32_t vote_next;            /* rounds */
  uint8_t vote_hash[DIGEST_BYTES]; /* of the last round's vote */
  uint32_t proposed_next;        /* views, as all below */
  uint32_t prepared_next;
  struct agreement_choice prepared; /* in the last of these views */
  uint32_t timeout_next;
  struct agreement_lock lock;    /* its view is also the last one that was signed */
  struct agreement_entry entry;  /* why `view` is open, if it is above 0 */
  struct agreement_faults faults;
};

#define AGREEMENT_LOOKS (UINT64_MAX - 1) /* [AGREE-32], [AGREE-33] */
enum { AGREEMENT_BALLOT_MAX_BYTES = 32 * 1024 };

/* The record's bytes; 0 if they do not fit. */
size_t agreement_ballot_encode(const struct agreement_members *, uint8_t own, const struct agreement_ballot *, uint8_t *out, size_t room);
/* OK, WRONG_NETWORK (another network's or authority's), or BAD_DOCUMENT: damaged, which is as bad as lost. */
enum outcome agreement_ballot_decode(const struct agreement_members *, uint8_t own, const uint8_t *bytes, size_t len, struct agreement_ballot *ret);
/* Empties it for an epoch: what outlives one are faults and silence. */
void agreement_ballot_begin(struct agreement_ballot *, uint64_t epoch, const uint8_t previous[DIGEST_BYTES]);

#endif
