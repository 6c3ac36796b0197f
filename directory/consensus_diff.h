/* What changed from one consensus to a later one, as a short text.
 * Spec: specs/consensus.md [DIFF-*]. Made by consensus_archive, applied by fetch.
 * Ranges of weights are not carried: they follow from the entries. What a diff yields is a whole consensus, to be verified like any.
 * Never allocates more than the base and the text account for.
 */
#ifndef TUNIC_DIRECTORY_CONSENSUS_DIFF_H
#define TUNIC_DIRECTORY_CONSENSUS_DIFF_H

#include "directory/consensus.h"

enum {
  CONSENSUS_DIFF_BYTES = 8 * 1024 * 1024,        /* [DIFF-5] unpacked */
  CONSENSUS_DIFF_PACKED_BYTES = 4 * 1024 * 1024, /* as it is served */
};

/* The diff's text. NULL: no memory, too large, or it would not yield `next` to the last byte. */
struct document *consensus_diff_make(const struct consensus *base, const struct consensus *next);
/* The text of the consensus that the diff makes of `base`; nothing of it is verified yet. NULL with BAD_DOCUMENT, STALE (it is for
 * another base) or TOO_LARGE. */
struct document *consensus_diff_apply(const struct consensus *base, const uint8_t *bytes, size_t len, enum outcome *ret_outcome);

#endif
