/* What changed from one consensus to a later one, as a short text; and the last few consensuses, for those who hold one of them.
 * Spec: specs/consensus.md [DIFF-*]. Made by authorities and relays, applied by fetch.
 * Ranges of weights are not carried: they follow from the entries. What a diff yields is a whole consensus, to be verified like any.
 * Never allocates more than the base and the text account for.
 */
#ifndef TUNIC_DIRECTORY_CONSENSUS_DIFF_H
#define TUNIC_DIRECTORY_CONSENSUS_DIFF_H

#include "directory/consensus.h"

enum {
  CONSENSUS_DIFF_BYTES = 8 * 1024 * 1024,        /* [DIFF-5] unpacked */
  CONSENSUS_DIFF_PACKED_BYTES = 4 * 1024 * 1024, /* as it is served */
  CONSENSUS_ARCHIVE_EARLIER = 3,                 /* [DIFF-6] */
};

/* The diff's text. NULL: no memory, too large, or it would not yield `next` to the last byte. */
struct document *consensus_diff_make(const struct consensus *base, const struct consensus *next);
/* The text of the consensus that the diff makes of `base`; nothing of it is verified yet. NULL with BAD_DOCUMENT, STALE (it is for
 * another base) or TOO_LARGE. */
struct document *consensus_diff_apply(const struct consensus *base, const uint8_t *bytes, size_t len, enum outcome *ret_outcome);

/* The newest consensus that a node serves, those before it, and the diffs between, made when first asked for. Zeroed: empty. */
struct consensus_archive {
  struct consensus *newest; /* NULL: none yet */
  struct consensus *earlier[CONSENSUS_ARCHIVE_EARLIER];
  struct document *diffs[CONSENSUS_ARCHIVE_EARLIER]; /* packed */
  bool has_no_diff[CONSENSUS_ARCHIVE_EARLIER];
};

/* Takes a reference of its own. */
void consensus_archive_add(struct consensus_archive *, struct consensus *);
/* The packed diff from this epoch to the newest, the archive's own; NULL: there is none. */
struct document *consensus_archive_diff(struct consensus_archive *, uint64_t epoch);
void consensus_archive_wipe(struct consensus_archive *);

#endif
