#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory/consensus_diff.h"
#include "directory/fetch_internal.h"

/* ---- what contradicts each other ---- */

/* [NET-14] [FETCH-6] Both are kept, and nothing of the directory is used any more: whichever is right, more than f authorities lied. */
static void note_split(struct fetch *fetch, const char *what, uint64_t number, const struct document *ours, const uint8_t *bytes, size_t len) {
  if (fetch->split) return;
  fetch->split = true;
  fetch->next_get = INSTANT_NEVER;
  size_t ours_len = document_len(ours);
  uint8_t *both = malloc(ours_len + len);
  if (both != NULL) {
    memcpy(both, document_bytes(ours), ours_len);
    memcpy(both + ours_len, bytes, len);
    fetch->split_proof = document_new(both, ours_len + len);
  }
  free(both);
  snprintf(fetch->split_text, sizeof fetch->split_text, "split: two %s %" PRIu64 " exist, both valid", what, number);
  trace_write(fetch->config.trace, TRACE_ERROR, "directory", "%s: more than a third of the authorities lied. Both are kept in the file %s; nothing new "
                                                             "is believed until the network's people say which is right", fetch->split_text, FETCH_SPLIT_FILE);
}

/* Another file of the serial that this text names: it was compared with the one in the chain. */
static void note_files(struct fetch *fetch, const struct network_chain *chain, const uint8_t *bytes, size_t len) {
  struct network_file other;
  if (network_file_read_draft(bytes, len, &other, NULL, NULL) != OUTCOME_OK) return;
  const struct document *ours = network_chain_after(chain, other.serial - 1);
  if (ours != NULL) note_split(fetch, "network files of serial", other.serial, ours, bytes, len);
}

/* ---- network files ---- */

/* Something was added to the chain, whose newest serial was `before`. */
static void note_networks(struct fetch *fetch, instant now, uint32_t before) {
  const struct network_file *file = network_chain_newest(fetch->config.networks);
  fetch->has_network_news = true;
  if (network_chain_find(fetch->config.networks, fetch->wanted_serial) != NULL) fetch->wanted_serial = 0;
  if (file->serial == before) return;
  trace_write(fetch->config.trace, TRACE_NOTICE, "directory", "network file of serial %u: %u authorities from epoch %llu on", file->serial,
              file->authority_count, (unsigned long long)file->starts);
  for (uint32_t i = 0; i < LIMIT_AUTHORITIES; i++) fetch->publications[i] = (struct publication){.next = now};
}

static uint64_t held_epoch(const struct fetch *fetch) { return fetch->consensus == NULL ? 0 : consensus_header(fetch->consensus)->epoch; }

/* [FETCH-10] */
enum outcome fetch_take_network(struct fetch *fetch, instant now, const uint8_t *bytes, size_t len) {
  uint32_t before = network_chain_newest(fetch->config.networks)->serial;
  enum outcome outcome = network_chain_take(fetch->config.networks, held_epoch(fetch), bytes, len);
  if (outcome == OUTCOME_OK) note_networks(fetch, now, before);
  if (outcome == OUTCOME_DIRECTORY_SPLIT) note_files(fetch, fetch->config.networks, bytes, len);
  return outcome;
}

enum outcome fetch_try_network(struct fetch *fetch, struct network_chain *trial, const struct document *text) {
  enum outcome outcome = network_chain_take(trial, held_epoch(fetch), document_bytes(text), document_len(text));
  if (outcome == OUTCOME_DIRECTORY_SPLIT) note_files(fetch, trial, document_bytes(text), document_len(text));
  return outcome;
}

uint64_t fetch_file_after(const struct fetch *fetch, const struct network_chain *chain) {
  uint32_t oldest = network_chain_oldest(chain)->serial;
  bool wants_older = fetch->wanted_serial != 0 && fetch->wanted_serial < oldest;
  return wants_older ? oldest - 2 : network_chain_newest(chain)->serial;
}

/* ---- consensuses ---- */

/* [FETCH-6] Epochs only rise; two valid consensuses of one epoch are kept as evidence, and everything stops. */
static enum outcome take_newer(struct fetch *fetch, instant now, struct consensus *consensus) {
  const struct consensus_header *new_header = consensus_header(consensus);
  enum outcome outcome = consensus_check_dates(consensus, wall_clock_date(&fetch->clock, now));
  fetch_note_dates(fetch, new_header);
  if (outcome == OUTCOME_OK && fetch->consensus != NULL) {
    const struct consensus_header *old = consensus_header(fetch->consensus);
    if (new_header->epoch < old->epoch) outcome = OUTCOME_STALE;
    else if (new_header->epoch == old->epoch)
      outcome = memcmp(new_header->digest, old->digest, DIGEST_BYTES) == 0 ? OUTCOME_STALE : OUTCOME_DIRECTORY_SPLIT;
  }
  const struct document *text = consensus_text(consensus);
  if (outcome == OUTCOME_DIRECTORY_SPLIT)
    note_split(fetch, "consensuses of epoch", new_header->epoch, consensus_text(fetch->consensus), document_bytes(text), document_len(text));
  if (outcome != OUTCOME_OK) {
    consensus_release(consensus);
    return outcome;
  }
  fetch_set_consensus(fetch, now, consensus);
  return OUTCOME_OK;
}

/* Takes the text's reference. A trial that the consensus proves takes the chain's place: its file can't come to nothing any more. */
static enum outcome take_text(struct fetch *fetch, instant now, struct document *text, struct network_chain *trial) {
  enum outcome outcome = OUTCOME_OK;
  struct network_chain *chain = fetch->config.networks;
  uint32_t before = network_chain_newest(chain)->serial;
  struct consensus *consensus = network_chain_consensus(trial != NULL ? trial : chain, document_bytes(text), document_len(text), &outcome, &fetch->wanted_serial);
  document_release(text);
  if (consensus == NULL) return outcome;
  if (trial != NULL) {
    network_chain_swap(chain, trial);
    note_networks(fetch, now, before);
  }
  return take_newer(fetch, now, consensus);
}

static enum outcome take_packed(struct fetch *fetch, instant now, const struct document *packed, struct network_chain *trial) {
  struct document *text = document_unpack(document_bytes(packed), document_len(packed), LIMIT_CONSENSUS_BYTES);
  if (text == NULL) return OUTCOME_BAD_DOCUMENT;
  enum outcome outcome = take_text(fetch, now, text, trial);
  if (outcome == OUTCOME_OK) fetch->wants_whole = false;
  return outcome;
}

/* [DIFF-7] After one that was of no use the next is asked for whole: the fault may be in what we hold. */
static enum outcome take_diff(struct fetch *fetch, instant now, const struct document *packed, struct network_chain *trial) {
  struct document *diff = document_unpack(document_bytes(packed), document_len(packed), CONSENSUS_DIFF_BYTES);
  enum outcome outcome = OUTCOME_BAD_DOCUMENT;
  struct document *text =
      diff == NULL ? NULL : consensus_diff_apply(fetch->consensus, document_bytes(diff), document_len(diff), &outcome);
  document_release(diff);
  if (text != NULL) outcome = take_text(fetch, now, text, trial);
  fetch->wants_whole = outcome != OUTCOME_OK;
  return outcome;
}

enum outcome fetch_take_consensus(struct fetch *fetch, instant now, const struct document *packed, bool is_diff, struct network_chain *trial) {
  fetch->wanted_serial = 0;
  return is_diff ? take_diff(fetch, now, packed, trial) : take_packed(fetch, now, packed, trial);
}
