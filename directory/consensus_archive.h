/* The last few consensuses, and how a request for the newest, or for what changed, is answered.
 * Spec: specs/consensus.md [DIFF-6]. Called by authorities and by a relay's shards, each with an archive of its own.
 * Consensuses are shared by pointer; a diff is made when it is first asked for, and once.
 */
#ifndef TUNIC_DIRECTORY_CONSENSUS_ARCHIVE_H
#define TUNIC_DIRECTORY_CONSENSUS_ARCHIVE_H

#include "directory/consensus_diff.h"
#include "protocol/transfer.h"

enum { CONSENSUS_ARCHIVE_EARLIER = 3 };

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
/* Answers a GET: OK with the archive's own document; else the outcome to end the request with. */
enum outcome consensus_archive_answer(struct consensus_archive *, const struct transfer_request *, struct document **ret);

#endif
