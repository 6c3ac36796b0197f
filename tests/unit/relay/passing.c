/* What a relay passes on: what it authenticated and nothing else, and nothing any more once a layer failed. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/relay/shard_bench.h"

enum { LIVE = ONION_LIVE(1), CONTENT = ONION_CONTENT(1) }; /* at place 1, where the shard stands */

/* A circuit at place 1 that goes on to the next relay: the test is both of its neighbours. */
struct scene { struct bench *bench; struct bench_circuit *before, *behind; };

static struct scene scene_new(void) {
  struct scene scene = {.bench = bench_new()};
  bench_link(scene.bench, END_FIRST_NODE);
  scene.before = bench_open(scene.bench, END_FIRST_NODE, 1);
  bench_extend(scene.bench, scene.before, scene.bench->identities[END_NEXT]);
  bench_run(scene.bench);
  scene.behind = bench_extended(scene.bench, END_NEXT);
  cr_assert_not_null(scene.behind);
  cr_assert_eq(bench_heard(scene.before, MESSAGE_EXTENDED), 1);
  return scene;
}

/* The cell that the client sends next, sealed but not sent. */
static void seal(struct scene *scene, uint8_t cell[CELL_BYTES]) {
  cell_set_header(cell, scene->before->side.circuit, CELL_ONION);
  memset(cell_body(cell), 0x5a, CELL_BODY_BYTES);
  cr_assert(onion_seal(&scene->before->seal, scene->bench->contexts, ONION_PASS_ON, cell_body(cell)));
}

static void push(struct scene *scene, const uint8_t cell[CELL_BYTES]) {
  credit_sender_sent(&scene->before->side.out, scene->bench->now); /* the relay's reports count it */
  bench_raw(scene->bench, END_FIRST_NODE, cell);
}

static void send(struct scene *scene, const uint8_t cell[CELL_BYTES]) {
  push(scene, cell);
  bench_run(scene->bench);
}

static bool all_are(const uint8_t *bytes, size_t len, uint8_t value) {
  for (size_t i = 0; i < len; i++)
    if (bytes[i] != value) return false;
  return true;
}

/* Relay_early was such a field: whatever an honest relay copies unauthenticated carries word past it. */
Test(passing, forwards_nothing_goes_on_but_what_the_layer_covers) {
  struct scene scene = scene_new();
  uint8_t cell[CELL_BYTES];
  seal(&scene, cell);
  memset(cell_body(cell) + LIVE, 0xee, CELL_BODY_BYTES - LIVE); /* the previous relay's word to the next */
  send(&scene, cell);
  cr_assert_eq(scene.behind->cells, 1);
  cr_assert(all_are(scene.behind->body, CONTENT, 0x5a));
  cr_assert(all_are(scene.behind->body + CONTENT, CELL_BODY_BYTES - CONTENT, 0));
  cr_assert_neq(scene.behind->side.circuit, scene.before->side.circuit, "ids are drawn anew on each link");
  bench_free(scene.bench);
}

Test(passing, backwards_nothing_goes_on_but_what_the_layer_covers) {
  struct scene scene = scene_new();
  uint8_t cell[CELL_BYTES];
  uint32_t cells = scene.before->cells;
  enum onion_kind kind;
  struct onion_layer open = scene.before->open;
  cell_set_header(cell, scene.behind->side.circuit, CELL_ONION);
  memset(cell_body(cell), 0xee, CELL_BODY_BYTES);
  bench_raw(scene.bench, END_NEXT, cell);
  bench_run(scene.bench);
  cr_assert_eq(scene.before->cells, cells + 1);
  cr_assert(all_are(scene.before->body + LIVE, CELL_BODY_BYTES - LIVE, 0));
  cr_assert(onion_open(&open, scene.bench->contexts, scene.before->body, &kind));
  cr_assert_eq(kind, ONION_PASS_ON);
  cr_assert(all_are(scene.before->body, CONTENT, 0xee));
  onion_layer_wipe(&open, scene.bench->contexts);
  bench_free(scene.bench);
}

/* The circuit has ended both ways with its cause, and the next relay saw no more cells than that. */
static void expect_end(struct scene *scene, uint32_t cells, const char *what, int which) {
  cr_assert(scene->before->closed && scene->behind->closed, "%s %d: the circuit goes on", what, which);
  cr_assert_eq(scene->before->cause, OUTCOME_LAYER_FORGED, "%s %d", what, which);
  cr_assert_eq(scene->behind->cells, cells, "%s %d: a cell went on", what, which);
  cr_assert(bench_has_link(scene->bench, END_FIRST_NODE) && bench_has_link(scene->bench, END_NEXT));
  bench_free(scene->bench);
}

Test(passing, one_bit_changed_anywhere_in_the_layer_goes_no_further) {
  static const int places[] = {0, 1, 700, CONTENT - 1, CONTENT, CONTENT + 1, LIVE - 2, LIVE - 1};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    struct scene scene = scene_new();
    uint8_t cell[CELL_BYTES], next[CELL_BYTES];
    seal(&scene, cell);
    seal(&scene, next);
    cell_body(cell)[places[i]] ^= (uint8_t)(1 << i);
    push(&scene, cell);
    send(&scene, next); /* in the same turn: it finds the circuit closed */
    expect_end(&scene, 0, "byte", places[i]);
  }
}

/* Which of four cells go in, in which order; the circuit ends with the last of them. */
Test(passing, cells_replayed_reordered_doubled_or_left_out_are_noticed_at_the_next) {
  static const struct { const char *name; int count, passed; int order[4]; } cases[] = {
      {"doubled", 2, 1, {0, 0}}, {"left out", 1, 0, {1}}, {"one of many left out", 3, 2, {0, 1, 3}}, {"reordered", 1, 0, {1, 0}}, {"replayed", 4, 3, {0, 1, 2, 0}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct scene scene = scene_new();
    uint8_t cells[4][CELL_BYTES], copy[CELL_BYTES];
    for (int k = 0; k < 4; k++) seal(&scene, cells[k]);
    for (int k = 0; k < cases[i].count; k++) {
      cr_assert_not(scene.before->closed, "%s: too early", cases[i].name);
      memcpy(copy, cells[cases[i].order[k]], CELL_BYTES);
      send(&scene, copy);
    }
    expect_end(&scene, (uint32_t)cases[i].passed, cases[i].name, 0);
  }
}

/* Neighbours learn that it is over, and nothing of why. */
Test(passing, a_close_says_nothing_to_the_next_relay) {
  static const uint8_t closed[] = {MESSAGE_PADDING, 0, 0, 0, 1};
  struct scene scene = scene_new();
  bench_say(scene.bench, scene.before, ONION_FOR_YOU, closed, sizeof closed);
  bench_run(scene.bench);
  cr_assert_eq(scene.before->cause, OUTCOME_PROTOCOL_VIOLATION);
  cr_assert(scene.behind->closed);
  cr_assert_eq(scene.behind->cells, 0);
  bench_free(scene.bench);
}

Test(passing, a_close_from_the_next_relay_says_nothing_to_the_client) {
  struct scene scene = scene_new();
  uint8_t cell[CELL_BYTES];
  uint32_t cells = scene.before->cells;
  cell_encode_close(cell, scene.behind->side.circuit);
  bench_raw(scene.bench, END_NEXT, cell);
  bench_run(scene.bench);
  cr_assert(scene.before->closed);
  cr_assert_eq(scene.before->cells, cells);
  bench_free(scene.bench);
}
