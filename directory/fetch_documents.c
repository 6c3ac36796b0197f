#include <string.h>

#include "directory/consensus_diff.h"
#include "directory/fetch_internal.h"

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
  return outcome;
}

enum outcome fetch_try_network(const struct fetch *fetch, struct network_chain *trial, const struct document *text) {
  return network_chain_take(trial, held_epoch(fetch), document_bytes(text), document_len(text));
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
  fetch->split = fetch->split || outcome == OUTCOME_DIRECTORY_SPLIT;
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
