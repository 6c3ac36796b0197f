/* The tally: what the counted votes result in, as a consensus without signatures. A pure function of the votes.
 * Spec: specs/consensus.md [TALLY-*]. Called by the authorities' agreement and whoever checks it.
 * The order of the votes means nothing. Every rule is safe for any n-f votes with f lies among them.
 * Never verifies a signature: parsing the votes did.
 */
#ifndef TUNIC_DIRECTORY_TALLY_H
#define TUNIC_DIRECTORY_TALLY_H

#include "directory/consensus_format.h"
#include "directory/vote.h"

enum { TALLY_METHOD = 1, TALLY_METHODS = 1 << TALLY_METHOD }; /* what a vote of this software lists */

struct tally_input {
  const struct network_file *network;
  uint64_t epoch;
  uint8_t previous[DIGEST_BYTES];
  struct date previous_valid_after; /* epoch 1: the zero date */
  const struct vote *votes[LIMIT_AUTHORITIES];
  uint32_t vote_count;
};

/* The text, as consensus_compose takes it, and its header. NULL with *ret_outcome: PROTOCOL_VIOLATION (fewer than n-f votes,
 * two of one authority, one of another epoch or predecessor, no method in common), NO_MEMORY. */
struct document *tally(const struct tally_input *, struct consensus_header *ret_header, enum outcome *ret_outcome);

#endif
