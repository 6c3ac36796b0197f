/* A middle whose pool of cells is full: what is to go on finds room at the cost of whoever stood still, or its circuit ends. */
#include <criterion/criterion.h>
#include <string.h>

#include "relay/shard_internal.h"
#include "tests/unit/relay/middle.h"

enum { POOL_MOST = 4096, CONTENT = ONION_CONTENT(1) };

/* Every cell that is left, so that the shard finds none. */
struct taken { struct cell *cells[POOL_MOST]; uint32_t count; };

static void take_all(struct bench *bench, struct taken *taken) {
  for (struct cell *cell; (cell = cell_pool_take(bench->shard->cells)) != NULL;) taken->cells[taken->count++] = cell;
  cr_assert_gt(taken->count, 0);
}

static void give_back(struct bench *bench, struct taken *taken) {
  for (uint32_t i = 0; i < taken->count; i++) cell_pool_give(bench->shard->cells, taken->cells[i]);
}

static void push(struct middle *middle, uint8_t filling) {
  uint8_t cell[CELL_BYTES];
  middle_seal(middle, filling, cell);
  middle_push(middle, cell);
}

/* So many cells have gone on; the last is the one of this filling, and nothing but it. */
static void expect_passed(const struct middle *middle, uint32_t cells, uint8_t filling) {
  cr_assert_eq(middle->behind->cells, cells);
  for (size_t i = 0; i < CELL_BODY_BYTES; i++) cr_assert_eq(middle->behind->body[i], i < CONTENT ? filling : 0, "byte %zu", i);
}

static void expect_end(const struct middle *middle, uint32_t cells) {
  cr_assert(middle->before->closed && middle->behind->closed, "the circuit goes on");
  cr_assert_eq(middle->behind->cells, cells, "a cell went on");
  cr_assert(bench_has_link(middle->bench, END_FIRST_NODE) && bench_has_link(middle->bench, END_NEXT));
}

Test(full_pool, a_cell_goes_on_in_the_room_of_whoever_stood_still) {
  struct middle still = middle_new(), middle = middle_add(still.bench);
  struct taken taken = {0};
  push(&still, 0x11);
  take_all(still.bench, &taken);
  push(&middle, 0x22);
  bench_run(still.bench);
  expect_end(&still, 0);
  cr_assert_eq(still.bench->shard->figures.evicted, 1);
  expect_passed(&middle, 1, 0x22);
  give_back(still.bench, &taken);
  push(&middle, 0x33);
  bench_run(still.bench);
  expect_passed(&middle, 2, 0x33);
  cr_assert_not(middle.before->closed);
  bench_free(still.bench);
}

/* Only what proved to be the client's, and to need a cell, costs somebody his. */
Test(full_pool, nobody_makes_room_for_what_is_the_hop_s_own) {
  static const uint8_t padding[] = {MESSAGE_PADDING, 0, 1, 0};
  struct middle still = middle_new(), middle = middle_add(still.bench);
  struct taken taken = {0};
  push(&still, 0x11);
  take_all(still.bench, &taken);
  bench_say(still.bench, middle.before, ONION_FOR_YOU, padding, sizeof padding);
  bench_push_in(still.bench, END_FIRST_NODE);
  cr_assert_eq(still.bench->shard->figures.evicted, 0);
  give_back(still.bench, &taken);
  bench_run(still.bench);
  expect_passed(&still, 1, 0x11);
  push(&middle, 0x22);
  bench_run(still.bench);
  expect_passed(&middle, 1, 0x22);
  bench_free(still.bench);
}

Test(full_pool, with_nobody_to_make_room_the_circuit_itself_ends) {
  struct middle middle = middle_new(), other = middle_add(middle.bench);
  struct taken taken = {0};
  take_all(middle.bench, &taken);
  push(&middle, 0x22);
  push(&middle, 0x33); /* it finds the circuit closed */
  bench_run(middle.bench);
  expect_end(&middle, 0);
  give_back(middle.bench, &taken);
  push(&other, 0x44);
  bench_run(middle.bench);
  expect_passed(&other, 1, 0x44);
  bench_free(middle.bench);
}

Test(full_pool, whoever_stood_still_may_be_the_one_that_asks) {
  struct middle middle = middle_new();
  struct taken taken = {0};
  push(&middle, 0x11);
  take_all(middle.bench, &taken);
  push(&middle, 0x22);
  cr_assert_eq(middle.bench->shard->figures.evicted, 1);
  bench_run(middle.bench);
  expect_end(&middle, 0);
  give_back(middle.bench, &taken);
  bench_free(middle.bench);
}

Test(full_pool, a_forged_cell_ends_the_circuit_as_ever) {
  struct middle still = middle_new(), middle = middle_add(still.bench);
  struct taken taken = {0};
  uint8_t cell[CELL_BYTES];
  take_all(still.bench, &taken);
  middle_seal(&middle, 0x22, cell);
  cell_body(cell)[700] ^= 1;
  middle_send(&middle, cell);
  expect_end(&middle, 0);
  cr_assert_eq(still.bench->shard->figures.layers_forged, 1);
  cr_assert_eq(still.bench->shard->figures.evicted, 0);
  give_back(still.bench, &taken);
  push(&still, 0x11);
  bench_run(still.bench);
  expect_passed(&still, 1, 0x11);
  bench_free(still.bench);
}

/* Backwards there is no other place to seal than a cell of one's own. */
Test(full_pool, backwards_too_whoever_stood_still_makes_room) {
  struct middle still = middle_new(), middle = middle_add(still.bench);
  struct taken taken = {0};
  uint8_t cell[CELL_BYTES] = {0};
  uint32_t cells = middle.before->cells;
  push(&still, 0x11);
  take_all(still.bench, &taken);
  cell_set_header(cell, middle.behind->side.circuit, CELL_ONION);
  bench_raw(still.bench, END_NEXT, cell);
  cr_assert_eq(still.bench->shard->figures.evicted, 1);
  bench_run(still.bench);
  expect_end(&still, 0);
  cr_assert_eq(middle.before->cells, cells + 1);
  take_all(still.bench, &taken); /* and now there is nobody */
  bench_raw(still.bench, END_NEXT, cell);
  bench_run(still.bench);
  expect_end(&middle, 0);
  give_back(still.bench, &taken);
  bench_free(still.bench);
}

/* ---- handshakes: a request that waits holds the cell that its answer needs ---- */

Test(full_pool, a_request_that_waited_is_answered) {
  struct bench *bench = bench_new();
  struct taken taken = {0};
  bench_link(bench, END_CLIENT);
  bench->idle = true;
  struct bench_circuit *circuit = bench_create(bench, END_CLIENT, 0);
  bench_run(bench);
  take_all(bench, &taken);
  bench->idle = false;
  bench_run(bench);
  cr_assert(circuit->is_open && !circuit->closed);
  cr_assert_eq(bench->shard->figures.evicted, 0);
  give_back(bench, &taken);
  bench_free(bench);
}

Test(full_pool, an_extension_goes_out) {
  struct middle middle = middle_new();
  struct bench *bench = middle.bench;
  struct bench_circuit *other = bench_open(bench, END_FIRST_NODE, 1);
  struct taken taken = {0};
  take_all(bench, &taken);
  cell_pool_give(bench->shard->cells, taken.cells[--taken.count]);
  bench_extend(bench, other, bench->identities[END_NEXT]);
  bench_run(bench);
  cr_assert_not(other->closed);
  cr_assert_eq(bench_heard(other, MESSAGE_EXTENDED), 1);
  give_back(bench, &taken);
  bench_free(bench);
}

/* Those of a client's link, while three quarters of the cells are taken: more would only evict each other. */
Test(full_pool, few_requests_wait_on_a_link_while_memory_is_short) {
  static struct cell *taken[POOL_MOST / 4 * 3];
  struct bench *bench = bench_new();
  struct bench_circuit *circuits[LIMIT_CREATES_QUEUED_PER_LINK];
  uint32_t open = 0;
  bench_link(bench, END_CLIENT);
  for (uint32_t i = 0; i < POOL_MOST / 4 * 3; i++) taken[i] = cell_pool_take(bench->shard->cells);
  bench->idle = true;
  for (uint32_t i = 0; i < LIMIT_CREATES_QUEUED_PER_LINK; i++) circuits[i] = bench_create(bench, END_CLIENT, 0);
  bench_run(bench);
  bench->idle = false;
  bench_run(bench);
  for (uint32_t i = 0; i < LIMIT_CREATES_QUEUED_PER_LINK; i++) open += circuits[i]->is_open && !circuits[i]->closed;
  cr_assert_eq(open, LIMIT_CREATES_OF_A_FEW);
  cr_assert_eq(bench->shard->figures.creates_refused, LIMIT_CREATES_QUEUED_PER_LINK - LIMIT_CREATES_OF_A_FEW);
  for (uint32_t i = 0; i < POOL_MOST / 4 * 3; i++) cell_pool_give(bench->shard->cells, taken[i]);
  bench_free(bench);
}
