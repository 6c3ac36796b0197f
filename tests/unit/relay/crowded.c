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
