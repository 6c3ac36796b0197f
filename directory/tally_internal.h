/* The tally from within: candidates, and which of them may be listed.
 * Spec: specs/consensus.md [TALLY-*]. Called by directory/tally*.c alone.
 * Candidates stand in the order of their identities throughout.
 */
#ifndef TUNIC_DIRECTORY_TALLY_INTERNAL_H
#define TUNIC_DIRECTORY_TALLY_INTERNAL_H

#include "directory/tally.h"

/* What no two relays may have in common. */
enum belonging_kind { BELONGING_LINK_KEY, BELONGING_ONION_KEY, BELONGING_ADDRESS, BELONGINGS };

/* A relay that more than half of the counted votes call running and valid. */
struct candidate {
  struct relay_entry entry;
  struct exit_summary summary;
  uint32_t shown_by[BELONGINGS]; /* of the votes that call it running, those that show it with its key or address */
  uint32_t claim;    /* its descriptor's, KB/s */
  bool is_measured;  /* then entry.weight is what was measured */
  bool is_dropped;
};

/* [TALLY-6] Marks those that share a key or an address with another. False: no memory. */
bool tally_drop_doubles(struct candidate *, uint32_t count);
/* [TALLY-7] With f+1 measurements or more: their low median, but never above an honest one. False: too few. */
bool tally_measure(uint32_t *values, uint32_t count, uint32_t tolerated, uint32_t *ret);
/* [TALLY-7] The weights of those that stay. False: no memory. */
bool tally_weigh(struct candidate *, uint32_t count);

#endif
