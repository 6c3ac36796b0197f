#include "directory/consensus_archive.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/directory/documents.h"
#include "tests/unit/seed.h"

enum { SIGNERS = 3, AUTHORITIES = 4, BIG = 10000 };

/* A network's relays, which change from one consensus to the next. */
static struct {
  struct network_file network;
  struct relay_entry *entries;
  struct exit_summary *summaries;
  uint32_t count, room, fresh;
  uint64_t epoch;
  struct random_stream random;
} lab;

static void lab_init(const char *test, uint32_t count) {
  cr_assert(crypto_start());
  lab.random = test_random(test);
  sample_network(&lab.network, AUTHORITIES);
  lab.room = 2 * count + 16;
  lab.entries = calloc(lab.room, sizeof *lab.entries);
  lab.summaries = calloc(lab.room, sizeof *lab.summaries);
  cr_assert(lab.entries && lab.summaries);
  sample_entries(lab.entries, lab.summaries, count);
  lab.count = lab.fresh = count;
  lab.epoch = 7;
}

static void lab_wipe(void) {
  free(lab.entries);
  free(lab.summaries);
}

static struct consensus *decide(void) {
  struct consensus_header header;
  struct consensus_signature signatures[SIGNERS];
  enum outcome outcome;
  sample_header(&header, &lab.network, lab.entries, lab.count);
  header.epoch = lab.epoch++;
  struct document *text = consensus_format(lab.network.id, &header, lab.entries);
  cr_assert(text);
  for (uint32_t i = 0; i < SIGNERS; i++) sample_sign(&signatures[i], &lab.network, &header, i, 0);
  struct document *whole = consensus_compose(text, signatures, SIGNERS);
  struct consensus *consensus = consensus_parse(&lab.network, document_bytes(whole), document_len(whole), &outcome, NULL);
  cr_assert(consensus, "%s", outcome_name(outcome));
  document_release(text);
  document_release(whole);
  return consensus;
}

static uint32_t any(void) { return (uint32_t)random_below(&lab.random, lab.count); }

static int by_identity(const void *a, const void *b) { return memcmp(a, b, IDENTITY_BYTES); }

static void joins(void) {
  struct relay_entry *entry = &lab.entries[lab.count];
  *entry = lab.entries[any()];
  sample_bytes(entry->identity, 'j', lab.fresh);
  random_bytes(&lab.random, entry->link_key, X25519_BYTES);
  random_bytes(&lab.random, entry->onion_key, X25519_BYTES);
  entry->address.port = (uint16_t)++lab.fresh;
  lab.count++;
  qsort(lab.entries, lab.count, sizeof *lab.entries, by_identity);
}

static void leaves(void) {
  uint32_t at = any();
  memmove(&lab.entries[at], &lab.entries[at + 1], (lab.count - at - 1) * sizeof *lab.entries);
  lab.count--;
}

static void changes_keys(void) { random_bytes(&lab.random, lab.entries[any()].onion_key, X25519_BYTES); }
static void changes_weight(void) { lab.entries[any()].weight = 1 + (uint32_t)random_below(&lab.random, 100000); }
static void changes_flags(void) { lab.entries[any()].flags ^= RELAY_GUARD; }

static void becomes_an_exit_or_none(void) {
  struct relay_entry *entry = &lab.entries[any()];
  entry->flags ^= RELAY_EXIT;
  entry->exit_summary = entry->flags & RELAY_EXIT ? &lab.summaries[0] : NULL;
}

static void something_happens(void) {
  switch (random_below(&lab.random, 6)) {
  case 0: joins(); break;
  case 1:
    if (lab.count > 1) leaves();
    break;
  case 2: changes_keys(); break;
  case 3: changes_flags(); break;
  case 4: becomes_an_exit_or_none(); break;
  case 5: changes_weight(); break;
  }
}

static bool yields(const struct consensus *base, const struct document *diff, const struct consensus *next) {
  enum outcome outcome;
  struct document *whole = consensus_diff_apply(base, document_bytes(diff), document_len(diff), &outcome);
  const struct document *text = consensus_text(next);
  bool same = whole != NULL && outcome == OUTCOME_OK && document_len(whole) == document_len(text) &&
              memcmp(document_bytes(whole), document_bytes(text), document_len(text)) == 0;
  document_release(whole);
  return same;
}

Test(consensus_diff, whatever_happened_is_made_up_for) {
  lab_init("diff", 12);
  struct consensus *base = decide();
  for (int round = 0; round < 300; round++) {
    for (uint64_t i = random_below(&lab.random, 5); i > 0 && lab.count + 5 < lab.room; i--) something_happens();
    while (lab.count > 20) leaves();
    struct consensus *next = decide();
    struct document *diff = consensus_diff_make(base, next);
    cr_assert(diff, "round %d", round);
    cr_assert(yields(base, diff, next), "round %d", round);
    document_release(diff);
    consensus_release(base);
    base = next;
  }
  consensus_release(base);
  lab_wipe();
}

Test(consensus_diff, from_nothing_and_to_nothing) {
  lab_init("nothing", 5);
  uint32_t all = lab.count;
  lab.count = 0;
  struct consensus *empty = decide();
  lab.count = all;
  struct consensus *full = decide();
  struct document *fill = consensus_diff_make(empty, full), *drain = consensus_diff_make(full, empty);
  cr_assert(fill && drain);
  cr_expect(yields(empty, fill, full));
  cr_expect(yields(full, drain, empty));
  document_release(fill);
  document_release(drain);
  consensus_release(empty);
  consensus_release(full);
  lab_wipe();
}

/* An hour of a large network: new measurements, relays that come and go, an operator here and there who changes something. */
Test(consensus_diff, an_hour_of_a_large_network_is_a_few_tens_of_kilobytes) {
  lab_init("large", BIG);
  for (uint32_t i = 0; i < BIG; i++) { /* keys do not compress */
    random_bytes(&lab.random, lab.entries[i].link_key, X25519_BYTES);
    random_bytes(&lab.random, lab.entries[i].onion_key, X25519_BYTES);
  }
  struct consensus *base = decide();
  for (int i = 0; i < BIG / 1000; i++) {
    for (int k = 0; k < 38; k++) changes_weight();
    for (int k = 0; k < 4; k++) changes_flags();
    for (int k = 0; k < 2; k++) changes_keys();
    for (int k = 0; k < 3; k++) joins();
    for (int k = 0; k < 3; k++) leaves();
  }
  struct consensus *next = decide();
  clock_t started = clock();
  struct document *diff = consensus_diff_make(base, next);
  clock_t made = clock();
  cr_assert(diff);
  struct document *packed = document_pack(document_bytes(diff), document_len(diff));
  cr_assert(packed);
  size_t whole = document_len(consensus_packed(next));
  fprintf(stderr, "%d relays, 5 %% changed: %zu bytes, packed %zu; the consensus packed %zu; made in %ld ms\n", BIG, document_len(diff),
          document_len(packed), whole, (long)((made - started) * 1000 / CLOCKS_PER_SEC));
  cr_expect_leq(document_len(packed), 40 * 1000);
  cr_expect_leq(document_len(packed), whole / 20);
  cr_expect(yields(base, diff, next));
  document_release(diff);
  document_release(packed);
  consensus_release(base);
  consensus_release(next);
  lab_wipe();
}

/* A diff of every kind of line, between two small consensuses. */
static struct document *small_diff(struct consensus **ret_base, struct consensus **ret_next) {
  *ret_base = decide();
  changes_weight();
  joins();
  leaves();
  changes_keys();
  *ret_next = decide();
  struct document *diff = consensus_diff_make(*ret_base, *ret_next);
  cr_assert(diff);
  return diff;
}

/* Not accepted, or nothing that a quorum signed. */
static void expect_refused(const struct consensus *base, const char *text, size_t len, const char *why, uint32_t where) {
  enum outcome outcome, verified = OUTCOME_OK;
  struct document *whole = consensus_diff_apply(base, (const uint8_t *)text, len, &outcome);
  cr_expect_eq(whole == NULL, outcome != OUTCOME_OK);
  if (whole == NULL) return;
  struct consensus *consensus = consensus_parse(&lab.network, document_bytes(whole), document_len(whole), &verified, NULL);
  cr_expect_null(consensus, "%s at %u", why, where);
  consensus_release(consensus);
  document_release(whole);
}

Test(consensus_diff, no_line_can_be_changed_and_no_byte_cut) {
  static char changed[SAMPLE_TEXT_BYTES];
  struct consensus *base, *next;
  lab_init("strict", 9);
  struct document *diff = small_diff(&base, &next);
  const char *text = (const char *)document_bytes(diff);
  size_t len = document_len(diff);
  for (uint32_t line = 0; line < text_line_count(text, len); line++) {
    for (int change = 0; change < LINE_CHANGES; change++) {
      size_t changed_len = text_change_line(text, len, line, (enum line_change)change, changed, sizeof changed);
      bool is_same = changed_len == len && memcmp(changed, text, len) == 0;
      if (changed_len > 0 && !is_same) expect_refused(base, changed, changed_len, "a line changed", line);
    }
  }
  for (size_t at = 0; at < len; at++) {
    memcpy(changed, text, len);
    changed[at] ^= 1;
    expect_refused(base, changed, len, "a bit changed", (uint32_t)at);
    expect_refused(base, text, at, "cut", (uint32_t)at);
  }
  document_release(diff);
  consensus_release(base);
  consensus_release(next);
  lab_wipe();
}

Test(consensus_diff, counts_that_lie_are_refused) {
  static const char *const LIES[][3] = {{"keep ", "keep 1", "keep 20000"}, {"keep ", "keep 1", "keep 0"}, {"keep ", "keep 1", "drop 20000"},
                                        {"relays ", "relays 9", "relays 20000"}, {"relays ", "relays 9", "relays 0"},
                                        {"add", "range 0-0", "range 0-1"}};
  static char changed[SAMPLE_TEXT_BYTES];
  struct consensus *base, *next;
  lab_init("lies", 9);
  lab.entries[4].weight = 1;
  base = decide();
  lab.entries[4].weight = 2;
  lab.entries[6].onion_key[0] ^= 1;
  lab.entries[8].weight = 2;
  next = decide();
  struct document *diff = consensus_diff_make(base, next);
  cr_assert(diff);
  for (size_t i = 0; i < sizeof LIES / sizeof LIES[0]; i++) {
    enum outcome outcome;
    size_t len = text_replace((const char *)document_bytes(diff), document_len(diff), LIES[i][0], LIES[i][1], LIES[i][2], changed, sizeof changed);
    cr_expect_null(consensus_diff_apply(base, (const uint8_t *)changed, len, &outcome), "lie %zu", i);
    cr_expect_eq(outcome, OUTCOME_BAD_DOCUMENT, "lie %zu", i);
  }
  document_release(diff);
  consensus_release(base);
  consensus_release(next);
  lab_wipe();
}

Test(consensus_diff, one_for_another_base_is_stale) {
  struct consensus *base, *next;
  enum outcome outcome;
  lab_init("other base", 9);
  struct document *diff = small_diff(&base, &next);
  cr_expect_null(consensus_diff_apply(next, document_bytes(diff), document_len(diff), &outcome));
  cr_expect_eq(outcome, OUTCOME_STALE);
  document_release(diff);
  consensus_release(base);
  consensus_release(next);
  lab_wipe();
}

Test(consensus_diff, the_archive_has_diffs_for_the_last_three) {
  struct consensus_archive archive = {0};
  struct consensus *held[6];
  lab_init("archive", 9);
  cr_expect_null(consensus_archive_diff(&archive, 7));
  for (int i = 0; i < 6; i++) {
    changes_weight();
    held[i] = decide();
    consensus_archive_add(&archive, held[i]);
  }
  for (int i = 0; i < 6; i++) {
    struct document *packed = consensus_archive_diff(&archive, consensus_header(held[i])->epoch);
    cr_assert_eq(packed != NULL, i >= 2 && i < 5, "number %d", i);
    if (packed == NULL) continue;
    cr_expect_eq(packed, consensus_archive_diff(&archive, consensus_header(held[i])->epoch), "made once");
    struct document *diff = document_unpack(document_bytes(packed), document_len(packed), CONSENSUS_DIFF_BYTES);
    cr_expect(yields(held[i], diff, held[5]));
    document_release(diff);
  }
  consensus_archive_wipe(&archive);
  for (int i = 0; i < 6; i++) consensus_release(held[i]);
  lab_wipe();
}
