#include "directory/consensus_diff.h"

#include <stdlib.h>
#include <string.h>

#include "directory/consensus_internal.h"

static const char KIND[] = "consensus-diff";

enum { MADE_FIRST_BYTES = 64 * 1024, STEP_MOST_BYTES = 8 * 1024, ADDED_LEAST_BYTES = 256 };

/* ---- what changed ---- */

static bool summaries_equal(const struct exit_summary *a, const struct exit_summary *b) {
  if (a == NULL || b == NULL) return a == b;
  if (a->range_count != b->range_count || a->allows_private != b->allows_private) return false;
  return memcmp(a->ranges, b->ranges, a->range_count * sizeof a->ranges[0]) == 0;
}

/* All but weight, flags and ranges. */
static bool is_same_relay(const struct relay_entry *a, const struct relay_entry *b) {
  return memcmp(a->identity, b->identity, IDENTITY_BYTES) == 0 && memcmp(a->link_key, b->link_key, X25519_BYTES) == 0 &&
         memcmp(a->onion_key, b->onion_key, X25519_BYTES) == 0 && a->onion_generation == b->onion_generation &&
         a->link_suites == b->link_suites && a->layer_suite == b->layer_suite && strcmp(a->nickname, b->nickname) == 0 &&
         address_equal(&a->address, &b->address) && address_equal(&a->other, &b->other) &&
         summaries_equal(a->exit_summary, b->exit_summary) && a->family_count == b->family_count &&
         memcmp(a->families, b->families, a->family_count * sizeof a->families[0]) == 0;
}

/* A text that grows; each step is written by a writer over its end. */
struct growing { char *text; size_t len, room; bool failed; };

static struct text_writer step_begin(struct growing *growing) {
  struct text_writer writer;
  if (!growing->failed && growing->room - growing->len < STEP_MOST_BYTES) {
    size_t room = growing->room == 0 ? MADE_FIRST_BYTES : 2 * growing->room;
    char *text = room > CONSENSUS_DIFF_BYTES ? NULL : realloc(growing->text, room);
    growing->failed = text == NULL;
    if (text != NULL) growing->text = text;
    if (text != NULL) growing->room = room;
  }
  text_writer_init(&writer, growing->failed ? NULL : growing->text + growing->len, growing->failed ? 0 : STEP_MOST_BYTES);
  return writer;
}

static void step_end(struct growing *growing, const struct text_writer *writer) {
  growing->failed = growing->failed || writer->failed;
  if (!growing->failed) growing->len += writer->len;
}

static void write_count(struct growing *growing, const char *keyword, uint32_t *count) {
  if (*count == 0) return;
  struct text_writer writer = step_begin(growing);
  text_write_number_line(&writer, keyword, *count);
  step_end(growing, &writer);
  *count = 0;
}

static void write_weigh(struct growing *growing, const struct relay_entry *entry) {
  struct text_writer writer = step_begin(growing);
  text_write_line(&writer, "weigh");
  text_write_number(&writer, entry->weight);
  relay_flags_write(&writer, entry->flags);
  text_write_end(&writer);
  step_end(growing, &writer);
}

/* [DIFF-3] An entry without its ranges: they read 0-0. */
static void write_added(struct growing *growing, const struct relay_entry *entry) {
  struct text_writer writer = step_begin(growing);
  struct relay_entry bare = *entry;
  bare.guard_end = bare.middle_end = bare.exit_end = 0;
  text_write_line(&writer, "add");
  text_write_end(&writer);
  consensus_write_entry(&writer, NULL, &bare);
  step_end(growing, &writer);
}

/* Both lists ascend by identity: one walk through them. */
static void write_changes(struct growing *growing, const struct consensus *base, const struct consensus *next) {
  uint32_t old = 0, new = 0, kept = 0, dropped = 0;
  while (old < base->header.relay_count || new < next->header.relay_count) {
    const struct relay_entry *before = consensus_at(base, old), *after = consensus_at(next, new);
    int order = before == NULL ? 1 : after == NULL ? -1 : memcmp(before->identity, after->identity, IDENTITY_BYTES);
    bool is_same = order == 0 && is_same_relay(before, after);
    bool is_kept = is_same && before->weight == after->weight && before->flags == after->flags;
    if (!is_kept) write_count(growing, "keep", &kept);
    if (is_same || order > 0) write_count(growing, "drop", &dropped);
    kept += is_kept;
    dropped += order <= 0 && !is_same;
    if (is_same && !is_kept) write_weigh(growing, after);
    if (order > 0) write_added(growing, after);
    if (order == 0 && !is_same) {
      write_count(growing, "drop", &dropped);
      write_added(growing, after);
    }
    old += order <= 0;
    new += order >= 0;
  }
  write_count(growing, "keep", &kept);
  write_count(growing, "drop", &dropped);
}

/* [DIFF-1] */
static void write_head(struct growing *growing, const uint8_t network[32], const struct consensus *base, const struct consensus *next) {
  struct text_writer writer = step_begin(growing);
  text_write_title(&writer, KIND);
  text_write_line(&writer, "from");
  text_write_number(&writer, base->header.epoch);
  text_write_hex(&writer, base->header.digest, DIGEST_BYTES);
  text_write_end(&writer);
  consensus_write_header(&writer, &next->header, network);
  step_end(growing, &writer);
}

/* The signatures' lines, as they stand. */
static void write_tail(struct growing *growing, const struct document *text, size_t signed_len) {
  size_t len = document_len(text) - signed_len;
  for (size_t at = 0; at < len;) {
    struct text_writer writer = step_begin(growing);
    size_t part = len - at < STEP_MOST_BYTES ? len - at : STEP_MOST_BYTES;
    text_write_bytes(&writer, (const char *)document_bytes(text) + signed_len + at, part);
    step_end(growing, &writer);
    at += part;
  }
}

/* [CONS-1] The network's id, which the object does not hold. */
static void read_network(const struct consensus *consensus, uint8_t ret[32]) {
  struct consensus_header header;
  struct text_reader reader;
  text_reader_init(&reader, document_bytes(consensus->text), document_len(consensus->text));
  consensus_read_header(&reader, &header, ret);
}

struct document *consensus_diff_make(const struct consensus *base, const struct consensus *next) {
  struct growing growing = {0};
  uint8_t network[32];
  enum outcome outcome;
  read_network(next, network);
  write_head(&growing, network, base, next);
  write_changes(&growing, base, next);
  write_tail(&growing, next->text, text_signed_bytes((const char *)document_bytes(next->text), document_len(next->text)));
  struct document *diff = growing.failed ? NULL : document_new(growing.text, growing.len);
  free(growing.text);
  if (diff == NULL) return NULL;
  /* [DIFF-6] Lines of later versions would be lost on the way: such a consensus travels whole. */
  struct document *yield = consensus_diff_apply(base, document_bytes(diff), document_len(diff), &outcome);
  bool is_good = yield != NULL && document_len(yield) == document_len(next->text) &&
                 memcmp(document_bytes(yield), document_bytes(next->text), document_len(yield)) == 0;
  document_release(yield);
  if (is_good) return diff;
  document_release(diff);
  return NULL;
}

/* ---- what it makes of another ([DIFF-4]: nothing is believed here) ---- */

/* The list under way: entries with summaries of their own beside them. */
struct building {
  const struct consensus *base;
  struct relay_entry *entries;
  struct exit_summary *summaries;
  uint32_t count, most, old; /* old: the base's next entry */
};

static void take_old(struct text_reader *reader, struct building *building) {
  const struct relay_entry *entry = consensus_at(building->base, building->old);
  if (entry == NULL || building->count == building->most) {
    text_fail(reader);
    return;
  }
  building->entries[building->count++] = *entry;
  building->old++;
}

static void read_weigh(struct text_reader *reader, struct building *building) {
  uint32_t weight = (uint32_t)text_read_number(reader, 1, RELAY_WEIGHT_MAX);
  uint8_t flags = relay_flags_read(reader);
  take_old(reader, building);
  if (reader->failed) return;
  struct relay_entry *entry = &building->entries[building->count - 1];
  if ((flags & RELAY_EXIT) != (entry->flags & RELAY_EXIT)) text_fail(reader);
  entry->weight = weight;
  entry->flags = flags;
}

static void read_added(struct text_reader *reader, struct building *building) {
  if (text_has_word(reader) || building->count == building->most) {
    text_fail(reader);
    return;
  }
  struct relay_entry *entry = &building->entries[building->count];
  consensus_read_entry(reader, NULL, entry, &building->summaries[building->count]);
  if (entry->guard_end != 0 || entry->middle_end != 0 || entry->exit_end != 0) text_fail(reader);
  building->count++;
}

/* [DIFF-2] Every line moves on by an entry at least, so there are never more lines than entries. */
static void read_changes(struct text_reader *reader, struct building *building) {
  while (!reader->failed) {
    uint32_t left = building->base->header.relay_count - building->old;
    if (text_read_line_if(reader, "keep")) {
      for (uint64_t count = text_read_number(reader, 1, LIMIT_RELAYS); count > 0 && !reader->failed; count--) take_old(reader, building);
    } else if (text_read_line_if(reader, "drop")) {
      uint32_t count = (uint32_t)text_read_number(reader, 1, LIMIT_RELAYS);
      if (count > left) text_fail(reader);
      else building->old += count;
    } else if (text_read_line_if(reader, "weigh")) {
      read_weigh(reader, building);
    } else if (text_read_line_if(reader, "add")) {
      read_added(reader, building);
    } else {
      if (left > 0 || building->count != building->most) text_fail(reader);
      return;
    }
  }
}

/* [DIFF-5] No more entries than the base has and the text can hold. */
static bool building_init(struct building *building, const struct consensus *base, uint32_t count, size_t len) {
  *building = (struct building){.base = base, .most = count};
  if (count > base->header.relay_count + len / ADDED_LEAST_BYTES) return false;
  building->entries = calloc(count + 1, sizeof *building->entries);
  building->summaries = calloc(count + 1, sizeof *building->summaries);
  return building->entries != NULL && building->summaries != NULL;
}

/* The whole text from its parts. The weights' ranges and the root follow from the entries, and must be what the header says. */
static struct document *compose(const struct building *building, const struct consensus_header *said, const uint8_t network[32],
                                const struct consensus_signature *signatures, uint32_t signature_count, enum outcome *ret_outcome) {
  struct consensus_header header = *said;
  consensus_assign_weights(&header, building->entries);
  bool sums = header.guard_total == said->guard_total && header.middle_total == said->middle_total && header.exit_total == said->exit_total;
  *ret_outcome = OUTCOME_BAD_DOCUMENT;
  if (!sums) return NULL;
  struct document *text = consensus_format(network, &header, building->entries), *whole = NULL;
  if (text == NULL) *ret_outcome = OUTCOME_TOO_LARGE;
  else if (memcmp(header.root, said->root, sizeof header.root) == 0) whole = consensus_compose(text, signatures, signature_count);
  document_release(text);
  if (whole != NULL) *ret_outcome = OUTCOME_OK;
  return whole;
}

struct document *consensus_diff_apply(const struct consensus *base, const uint8_t *bytes, size_t len, enum outcome *ret_outcome) {
  struct consensus_signature signatures[CONSENSUS_SIGNATURES_MAX];
  struct consensus_header header = {0};
  struct text_reader reader;
  uint8_t digest_of_base[DIGEST_BYTES], network[32];
  *ret_outcome = OUTCOME_TOO_LARGE;
  if (len > CONSENSUS_DIFF_BYTES) return NULL;
  *ret_outcome = OUTCOME_BAD_DOCUMENT;
  text_reader_init(&reader, bytes, len);
  text_read_title(&reader, KIND);
  text_read_line(&reader, "from");
  uint64_t epoch = text_read_number(&reader, 1, UINT64_MAX);
  text_read_hex(&reader, digest_of_base, sizeof digest_of_base);
  consensus_read_header(&reader, &header, network);
  if (reader.failed) return NULL;
  if (epoch != base->header.epoch || memcmp(digest_of_base, base->header.digest, DIGEST_BYTES) != 0) {
    *ret_outcome = OUTCOME_STALE;
    return NULL;
  }
  struct building building;
  struct document *whole = NULL;
  if (building_init(&building, base, header.relay_count, len)) {
    read_changes(&reader, &building);
    uint32_t count = consensus_read_signatures(&reader, signatures);
    if (text_is_complete(&reader)) whole = compose(&building, &header, network, signatures, count, ret_outcome);
  }
  free(building.entries);
  free(building.summaries);
  return whole;
}
