/* Circuits that carry nothing: who opens and leaves holds a relay's memory for an hour, and a silent stream is left alone for a day. */
#include <criterion/criterion.h>
#include <string.h>

#include "relay/shard_internal.h"
#include "tests/unit/relay/shard_bench.h"

static struct bench *bench;

static void begin(void) {
  bench = bench_new();
  bench_link(bench, END_CLIENT);
  bench_link(bench, END_FIRST_NODE);
}

/* Nothing is said meanwhile; what is due happens at the end. */
static void sleep_for(uint64_t duration) {
  bench->now += duration;
  bench_wait(bench, 2 * MINUTES);
}

/* [LIMIT-11] */
Test(idle, a_circuit_that_ends_here_and_carries_nothing_is_closed_after_an_hour_and_a_random_while) {
  struct bench_circuit *circuits[32];
  bool early = false, late = false;
  begin();
  for (int i = 0; i < 32; i++) circuits[i] = bench_open(bench, END_FIRST_NODE, 1);
  sleep_for(LIMIT_CIRCUIT_IDLE_TIME - 4 * MINUTES);
  for (int i = 0; i < 32; i++) cr_assert_not(circuits[i]->closed, "not before its time");
  bench_wait(bench, 6 * MINUTES);
  for (int i = 0; i < 32; i++) {
    early |= circuits[i]->closed;
    late |= !circuits[i]->closed;
  }
  cr_assert(early && late, "they do not all end at once");
  bench_wait(bench, LIMIT_CIRCUIT_IDLE_SPREAD);
  for (int i = 0; i < 32; i++) {
    cr_assert(circuits[i]->closed);
    cr_assert_eq(circuits[i]->cause, OUTCOME_TIMED_OUT);
  }
  cr_assert_eq(bench->figures.circuits_idle, 32);
  bench_free(bench);
}

Test(idle, a_circuit_that_is_used_now_and_then_stays) {
  begin();
  struct bench_circuit *used = bench_open(bench, END_FIRST_NODE, 1);
  for (int i = 0; i < 8; i++) {
    sleep_for(40 * MINUTES);
    bench_message(bench, used, MESSAGE_PADDING, 0, NULL, 0);
    bench_run(bench);
    cr_assert_not(used->closed);
  }
  bench_free(bench);
}

Test(idle, a_silent_stream_is_left_alone_for_a_day) {
  begin();
  struct bench_circuit *circuit = bench_open(bench, END_FIRST_NODE, LIMIT_EXIT_PLACE);
  bench_begin_open(bench, circuit, 1);
  for (int i = 0; i < 11; i++) sleep_for(2 * HOURS);
  cr_assert_not(circuit->closed);
  sleep_for(3 * HOURS);
  cr_assert(circuit->closed, "and no longer");
  cr_assert_eq(circuit->cause, OUTCOME_TIMED_OUT);
  bench_free(bench);
}

Test(idle, a_circuit_that_goes_on_elsewhere_is_left_alone_for_a_day) {
  begin();
  struct bench_circuit *circuit = bench_open(bench, END_CLIENT, 0);
  bench_extend(bench, circuit, bench->identities[END_NEXT]);
  bench_run(bench);
  cr_assert_eq(bench_heard(circuit, MESSAGE_EXTENDED), 1);
  for (int i = 0; i < 11; i++) sleep_for(2 * HOURS);
  cr_assert_not(circuit->closed);
  sleep_for(3 * HOURS);
  cr_assert(circuit->closed);
  bench_free(bench);
}

/* [LIMIT-11] One with a stream would have a day. */
Test(idle, the_one_that_was_silent_longest_makes_room_when_the_table_is_nearly_full) {
  begin();
  bench->shard->hops.limit = 8;
  struct bench_circuit *silent = bench_open(bench, END_FIRST_NODE, LIMIT_EXIT_PLACE);
  bench_begin_open(bench, silent, 1);
  sleep_for(LIMIT_CIRCUIT_IDLE_TIME);
  for (int i = 0; i < 5; i++) bench_open(bench, END_FIRST_NODE, 1);
  cr_assert_not(silent->closed, "there was room for those");
  struct bench_circuit *last = bench_open(bench, END_FIRST_NODE, 1);
  cr_assert_eq(silent->cause, OUTCOME_TIMED_OUT);
  cr_assert(silent->closed && last->is_open);
  bench_open(bench, END_FIRST_NODE, 1);
  cr_assert_not(last->closed, "the others were used within the hour");
  bench_free(bench);
}
