/* A shard whose table of circuits is nearly full: whoever has most makes room for who has few. */
#include <criterion/criterion.h>
#include <string.h>

#include "relay/shard_internal.h"
#include "tests/unit/relay/shard_bench.h"

enum { CIRCUITS_MOST = 128, GREEDY_MOST = CIRCUITS_MOST / 16 * 15 };

static uint32_t count_open(const struct bench_circuit *const *circuits, uint32_t count) {
  uint32_t open = 0;
  for (uint32_t i = 0; i < count; i++) open += circuits[i]->is_open && !circuits[i]->closed;
  return open;
}

static void create(struct bench *bench, int end, struct bench_circuit **circuits, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    circuits[i] = bench_create(bench, end, 0);
    bench_run(bench);
  }
}

/* One link takes all that it gets, and then others come. */
Test(crowded, a_client_that_takes_every_circuit_keeps_nobody_out) {
  struct bench *bench = bench_new();
  struct bench_circuit *greedy[CIRCUITS_MOST], *modest[20];
  bench->shard->hops.limit = CIRCUITS_MOST;
  bench->ends[END_SECOND_NODE].is_client = true;
  bench_link(bench, END_CLIENT);
  bench_link(bench, END_SECOND_NODE);
  create(bench, END_CLIENT, greedy, CIRCUITS_MOST);
  cr_assert_eq(count_open((const struct bench_circuit *const *)greedy, CIRCUITS_MOST), GREEDY_MOST, "the last are for those who have few");
  create(bench, END_SECOND_NODE, modest, 20);
  cr_assert_eq(count_open((const struct bench_circuit *const *)modest, 20), 20);
  cr_assert_eq(count_open((const struct bench_circuit *const *)greedy, CIRCUITS_MOST), GREEDY_MOST - 20, "the oldest of the one that has most made room");
  cr_assert(greedy[0]->closed && greedy[GREEDY_MOST - 1]->is_open);
  cr_assert(bench_has_link(bench, END_CLIENT));
  bench_free(bench);
}

/* Many links with few each: nobody has enough to be the one, and who comes last is refused. */
Test(crowded, nobody_who_has_few_makes_room) {
  struct bench *bench = bench_new();
  struct bench_circuit *first[40], *second[40];
  bench->shard->hops.limit = 60;
  bench->ends[END_SECOND_NODE].is_client = true;
  bench_link(bench, END_CLIENT);
  bench_link(bench, END_SECOND_NODE);
  create(bench, END_CLIENT, first, 40);
  create(bench, END_SECOND_NODE, second, 40);
  cr_assert_eq(count_open((const struct bench_circuit *const *)first, 40), 40);
  cr_assert_eq(count_open((const struct bench_circuit *const *)second, 40), 20);
  bench_free(bench);
}

/* Answers that nobody takes are cells that no eviction frees. */
Test(crowded, a_client_that_reads_no_answer_holds_few_cells) {
  struct bench *bench = bench_new();
  uint8_t request[CIRCUIT_HANDSHAKE_REQUEST_BYTES], random[NOISE_RANDOM_BYTES] = {3}, cell[CELL_BYTES];
  struct circuit_binding binding = {.handshake_type = CIRCUIT_HANDSHAKE_TYPE_HYBRID, .generation = 1, .suite = AEAD_CHACHA20_POLY1305};
  struct cell_create create = {.handshake_type = CIRCUIT_HANDSHAKE_TYPE_HYBRID, .generation = 1, .request = request};
  struct noise handshake;
  memcpy(binding.identity, bench->identities[0], IDENTITY_BYTES);
  cr_assert(circuit_handshake_begin(&handshake, &binding, bench->key, random, request));
  bench_link(bench, END_CLIENT);
  for (uint32_t i = 1; i <= 300; i++) {
    cell_encode_create(cell, i, &create);
    bench_raw(bench, END_CLIENT, cell);
    while (bench->machine.verbs->work(bench->shard, bench->now)) {}
  }
  cr_assert_leq(cell_pool_used(bench->shard->cells), LIMIT_CREATED_QUEUED_PER_CLIENT);
  cr_assert(bench_has_link(bench, END_CLIENT));
  noise_wipe(&handshake);
  bench_free(bench);
}

/* Each is refused by a CLOSE that waits for its answer, and is remembered until that comes. */
Test(crowded, a_client_that_answers_no_close_is_cut_off_before_it_costs_much) {
  struct bench *bench = bench_new();
  static const uint8_t request[CIRCUIT_HANDSHAKE_REQUEST_BYTES] = {1};
  struct cell_create create = {.handshake_type = 9, .generation = 1, .request = request};
  uint8_t cell[CELL_BYTES];
  bench_link(bench, END_CLIENT);
  for (uint32_t i = 1; i <= LIMIT_CLOSING_PER_CLIENT; i++) {
    cell_encode_create(cell, i, &create);
    bench_raw(bench, END_CLIENT, cell);
  }
  cr_assert(bench_has_link(bench, END_CLIENT), "so many may be refused");
  cell_encode_create(cell, LIMIT_CLOSING_PER_CLIENT + 1, &create);
  bench_raw(bench, END_CLIENT, cell);
  cr_assert_not(bench_has_link(bench, END_CLIENT));
  cr_assert_eq(bench->ends[END_CLIENT].outcome, OUTCOME_PROTOCOL_VIOLATION);
  bench_free(bench);
}
