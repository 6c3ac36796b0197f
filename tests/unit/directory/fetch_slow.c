/* [FETCH-14] Slow lines, and sources that only seem to have one. */
#include <criterion/criterion.h>

#include "tests/unit/directory/fetch_bench.h"

static struct fetch_bench bench;

static uint64_t interval(void) { return (uint64_t)bench.network.timing.interval * MILLISECONDS; }

static size_t consensus_bytes(uint64_t epoch) { return document_len(consensus_packed(fetch_bench_consensus(&bench, epoch))); }

/* The line carries the newest consensus in so many seconds. */
static void begin(const char *test, uint32_t seconds) {
  fetch_bench_init_far(&bench, test, BENCH_LISTED, 1);
  fetch_bench_decide(&bench, 2);
  uint64_t rate = consensus_bytes(2) / seconds / 50 * 50; /* a step's worth is whole */
  for (int i = 0; i < BENCH_AUTHORITIES; i++) bench.authorities[i].bytes_per_s = rate;
  for (int i = 0; i < BENCH_RELAYS; i++) bench.relays[i].bytes_per_s = rate;
  cr_assert_gt(rate, LIMIT_TRANSFER_LEAST_RATE);
}

Test(fetch_slow, a_consensus_that_takes_more_than_a_minute_comes_at_the_first_attempt) {
  begin("a minute", 80);
  bench.now += interval();
  fetch_bench_start(&bench, 0);
  cr_expect(fetch_bench_run_until(&bench, 2, 90 * SECONDS));
  cr_expect_eq(fetch_bench_asked(&bench, true), 1);
  cr_expect_eq(fetch_state(bench.fetch, bench.now), OUTCOME_OK);
  fetch_bench_wipe(&bench);
}

Test(fetch_slow, over_the_link_to_the_guard_as_well) {
  begin("guard", 80);
  bench.relays[0].conduct = CONDUCT_WHOLE;
  fetch_bench_open_guard(&bench);
  fetch_bench_start(&bench, 1);
  bench.now += interval();
  fetch_bench_set_clock(&bench, 0);
  cr_expect(fetch_bench_run_until(&bench, 2, interval() + 2 * MINUTES));
  cr_expect_eq(bench.relays[0].wholes_given, 1);
  cr_expect_eq(fetch_bench_asked(&bench, false) + fetch_bench_asked(&bench, true), 0);
  fetch_bench_wipe(&bench);
}

/* What was found out of the line is kept: the next consensus costs one attempt. */
Test(fetch_slow, patience_grows_to_what_the_line_needs) {
  begin("patience", 140);
  fetch_bench_conduct(&bench, CONDUCT_WHOLE, CONDUCT_WHOLE);
  bench.now += interval();
  fetch_bench_start(&bench, 0);
  cr_expect(fetch_bench_run_until(&bench, 2, 6 * MINUTES));
  cr_expect_eq(fetch_bench_asked(&bench, true), 2);
  fetch_set_eager(bench.fetch, bench.now, true);
  bench.now += interval();
  fetch_bench_set_clock(&bench, 0);
  fetch_bench_decide(&bench, 3);
  cr_expect(fetch_bench_run_until(&bench, 3, 4 * MINUTES));
  cr_expect_eq(fetch_bench_asked(&bench, true), 3);
  fetch_bench_wipe(&bench);
}

#define WAITS (1 * MINUTES) /* [FETCH-4] between three attempts, at most 45 s, and what the authority takes */

/* [FETCH-5] Two mirrors, an attempt each, and an authority; `most`: how long each may hold us up. */
static void expect_one_attempt_each(const char *test, uint64_t bytes_per_s, uint64_t most) {
  fetch_bench_init_far(&bench, test, 0, 0);
  fetch_bench_conduct(&bench, CONDUCT_NEWEST, CONDUCT_LARGEST);
  for (int i = 0; i < BENCH_RELAYS; i++) bench.relays[i].bytes_per_s = bytes_per_s;
  fetch_bench_start(&bench, 1);
  for (uint64_t epoch = 2; epoch <= 4; epoch++) { /* however often */
    uint32_t mirrors = fetch_bench_asked(&bench, false), authorities = fetch_bench_asked(&bench, true);
    fetch_bench_decide(&bench, epoch);
    instant due = (epoch - 1) * interval();
    if (bench.now < due) bench.now = due;
    fetch_bench_set_clock(&bench, 0);
    while (fetch_bench_asked(&bench, false) == mirrors) fetch_bench_run(&bench, SECONDS);
    cr_expect(fetch_bench_run_until(&bench, epoch, 2 * most + WAITS), "epoch %llu", (unsigned long long)epoch);
    cr_expect_eq(fetch_bench_asked(&bench, false), mirrors + 2);
    cr_expect_eq(fetch_bench_asked(&bench, true), authorities + 1);
    cr_expect_eq(fetch_state(bench.fetch, bench.now), OUTCOME_OK);
  }
  fetch_bench_wipe(&bench);
}

Test(fetch_slow, a_mirror_that_trickles_costs_one_attempt) { expect_one_attempt_each("trickle", 500, 60 * SECONDS); }
Test(fetch_slow, a_mirror_that_trickles_as_fast_as_it_must_costs_one_attempt) { expect_one_attempt_each("just enough", 4000, 4 * MINUTES); }

/* Even one that stops behind the first half, which came well. */
Test(fetch_slow, a_source_that_falls_silent_midway_is_left_for_another) {
  begin("midway", 80);
  bench.now += interval();
  fetch_bench_start(&bench, 0);
  fetch_bench_run(&bench, 40 * SECONDS);
  cr_assert_eq(fetch_bench_asked(&bench, true), 1);
  for (int i = 0; i < BENCH_AUTHORITIES; i++)
    if (bench.authorities[i].asked > 0) bench.authorities[i].bytes_per_s = 1; /* not a record in all that time */
  fetch_bench_run(&bench, 80 * SECONDS);
  cr_expect_geq(fetch_bench_asked(&bench, true), 2);
  fetch_bench_wipe(&bench);
}
