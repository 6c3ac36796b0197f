#include "directory/consensus_archive.h"

#include <string.h>

void consensus_archive_add(struct consensus_archive *archive, struct consensus *consensus) {
  enum { LAST = CONSENSUS_ARCHIVE_EARLIER - 1 };
  if (archive->newest != NULL) {
    consensus_release(archive->earlier[LAST]);
    memmove(&archive->earlier[1], &archive->earlier[0], LAST * sizeof archive->earlier[0]);
    archive->earlier[0] = archive->newest;
  }
  for (int i = 0; i <= LAST; i++) {
    document_release(archive->diffs[i]);
    archive->diffs[i] = NULL;
    archive->has_no_diff[i] = false;
  }
  archive->newest = consensus_take(consensus);
}

static struct document *make_packed(const struct consensus *base, const struct consensus *next) {
  struct document *diff = consensus_diff_make(base, next);
  struct document *packed = diff == NULL ? NULL : document_pack(document_bytes(diff), document_len(diff));
  document_release(diff);
  if (packed == NULL || document_len(packed) <= CONSENSUS_DIFF_PACKED_BYTES) return packed;
  document_release(packed);
  return NULL;
}

struct document *consensus_archive_diff(struct consensus_archive *archive, uint64_t epoch) {
  for (int i = 0; i < CONSENSUS_ARCHIVE_EARLIER && archive->earlier[i] != NULL; i++) {
    if (consensus_header(archive->earlier[i])->epoch != epoch) continue;
    if (archive->diffs[i] == NULL && !archive->has_no_diff[i]) {
      archive->diffs[i] = make_packed(archive->earlier[i], archive->newest);
      archive->has_no_diff[i] = archive->diffs[i] == NULL;
    }
    return archive->diffs[i];
  }
  return NULL;
}

void consensus_archive_wipe(struct consensus_archive *archive) {
  consensus_release(archive->newest);
  for (int i = 0; i < CONSENSUS_ARCHIVE_EARLIER; i++) {
    consensus_release(archive->earlier[i]);
    document_release(archive->diffs[i]);
  }
  *archive = (struct consensus_archive){0};
}

enum outcome consensus_archive_answer(struct consensus_archive *archive, const struct transfer_request *request, struct document **ret) {
  struct consensus *newest = archive->newest;
  if (request->kind != TRANSFER_CONSENSUS && request->kind != TRANSFER_CONSENSUS_DIFF) return OUTCOME_NOT_FOUND;
  if (newest == NULL) return OUTCOME_NO_CONSENSUS;
  if (consensus_header(newest)->epoch <= request->epoch) return OUTCOME_STALE;
  *ret = request->kind == TRANSFER_CONSENSUS ? consensus_packed(newest) : consensus_archive_diff(archive, request->epoch);
  if (*ret != NULL) return OUTCOME_OK;
  return request->kind == TRANSFER_CONSENSUS ? OUTCOME_NO_MEMORY : OUTCOME_NOT_FOUND;
}
