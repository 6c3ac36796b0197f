/* What a relay passes on: what it authenticated and nothing else, and nothing any more once a layer failed. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/relay/middle.h"

enum { LIVE = ONION_LIVE(1), CONTENT = ONION_CONTENT(1) }; /* at place 1, where the shard stands */

static bool all_are(const uint8_t *bytes, size_t len, uint8_t value) {
  for (size_t i = 0; i < len; i++)
    if (bytes[i] != value) return false;
  return true;
}

/* Relay_early was such a field: whatever an honest relay copies unauthenticated carries word past it. */
Test(passing, forwards_nothing_goes_on_but_what_the_layer_covers) {
  struct middle middle = middle_new();
  uint8_t cell[CELL_BYTES];
  middle_seal(&middle, 0x5a, cell);
  memset(cell_body(cell) + LIVE, 0xee, CELL_BODY_BYTES - LIVE); /* the previous relay's word to the next */
  middle_send(&middle, cell);
  cr_assert_eq(middle.behind->cells, 1);
  cr_assert(all_are(middle.behind->body, CONTENT, 0x5a));
  cr_assert(all_are(middle.behind->body + CONTENT, CELL_BODY_BYTES - CONTENT, 0));
  cr_assert_neq(middle.behind->side.circuit, middle.before->side.circuit, "ids are drawn anew on each link");
  bench_free(middle.bench);
}

Test(passing, backwards_nothing_goes_on_but_what_the_layer_covers) {
  struct middle middle = middle_new();
  uint8_t cell[CELL_BYTES];
  uint32_t cells = middle.before->cells;
  enum onion_kind kind;
  struct onion_layer open = middle.before->open;
  cell_set_header(cell, middle.behind->side.circuit, CELL_ONION);
  memset(cell_body(cell), 0xee, CELL_BODY_BYTES);
  bench_raw(middle.bench, END_NEXT, cell);
  bench_run(middle.bench);
  cr_assert_eq(middle.before->cells, cells + 1);
  cr_assert(all_are(middle.before->body + LIVE, CELL_BODY_BYTES - LIVE, 0));
  cr_assert(onion_open(&open, middle.bench->contexts, middle.before->body, &kind));
  cr_assert_eq(kind, ONION_PASS_ON);
  cr_assert(all_are(middle.before->body, CONTENT, 0xee));
  onion_layer_wipe(&open, middle.bench->contexts);
  bench_free(middle.bench);
}

/* The circuit has ended both ways with its cause, and the next relay saw no more cells than that. */
static void expect_end(struct middle *middle, uint32_t cells, const char *what, int which) {
  cr_assert(middle->before->closed && middle->behind->closed, "%s %d: the circuit goes on", what, which);
  cr_assert_eq(middle->before->cause, OUTCOME_LAYER_FORGED, "%s %d", what, which);
  cr_assert_eq(middle->behind->cells, cells, "%s %d: a cell went on", what, which);
  cr_assert(bench_has_link(middle->bench, END_FIRST_NODE) && bench_has_link(middle->bench, END_NEXT));
  bench_free(middle->bench);
}

Test(passing, one_bit_changed_anywhere_in_the_layer_goes_no_further) {
  static const int places[] = {0, 1, 700, CONTENT - 1, CONTENT, CONTENT + 1, LIVE - 2, LIVE - 1};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    struct middle middle = middle_new();
    uint8_t cell[CELL_BYTES], next[CELL_BYTES];
    middle_seal(&middle, 0x5a, cell);
    middle_seal(&middle, 0x5a, next);
    cell_body(cell)[places[i]] ^= (uint8_t)(1 << i);
    middle_push(&middle, cell);
    middle_send(&middle, next); /* in the same turn: it finds the circuit closed */
    expect_end(&middle, 0, "byte", places[i]);
  }
}

/* Which of four cells go in, in which order; the circuit ends with the last of them. */
Test(passing, cells_replayed_reordered_doubled_or_left_out_are_noticed_at_the_next) {
  static const struct { const char *name; int count, passed; int order[4]; } cases[] = {
      {"doubled", 2, 1, {0, 0}}, {"left out", 1, 0, {1}}, {"one of many left out", 3, 2, {0, 1, 3}}, {"reordered", 1, 0, {1, 0}}, {"replayed", 4, 3, {0, 1, 2, 0}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct middle middle = middle_new();
    uint8_t cells[4][CELL_BYTES], copy[CELL_BYTES];
    for (int k = 0; k < 4; k++) middle_seal(&middle, 0x5a, cells[k]);
    for (int k = 0; k < cases[i].count; k++) {
      cr_assert_not(middle.before->closed, "%s: too early", cases[i].name);
      memcpy(copy, cells[cases[i].order[k]], CELL_BYTES);
      middle_send(&middle, copy);
    }
    expect_end(&middle, (uint32_t)cases[i].passed, cases[i].name, 0);
  }
}

/* Neighbours learn that it is over, and nothing of why. */
Test(passing, a_close_says_nothing_to_the_next_relay) {
  static const uint8_t closed[] = {MESSAGE_PADDING, 0, 0, 0, 1};
  struct middle middle = middle_new();
  bench_say(middle.bench, middle.before, ONION_FOR_YOU, closed, sizeof closed);
  bench_run(middle.bench);
  cr_assert_eq(middle.before->cause, OUTCOME_PROTOCOL_VIOLATION);
  cr_assert(middle.behind->closed);
  cr_assert_eq(middle.behind->cells, 0);
  bench_free(middle.bench);
}

Test(passing, a_close_from_the_next_relay_says_nothing_to_the_client) {
  struct middle middle = middle_new();
  uint8_t cell[CELL_BYTES];
  uint32_t cells = middle.before->cells;
  cell_encode_close(cell, middle.behind->side.circuit);
  bench_raw(middle.bench, END_NEXT, cell);
  bench_run(middle.bench);
  cr_assert(middle.before->closed);
  cr_assert_eq(middle.before->cells, cells);
  bench_free(middle.bench);
}
