/* A client fetches over the link to its guard, whatever the guard makes of it. */
#include <criterion/criterion.h>

#include "tests/unit/directory/fetch_bench.h"

static struct fetch_bench bench;

static uint64_t interval(void) { return (uint64_t)bench.network.timing.interval * MILLISECONDS; }
static uint64_t spread(void) { return (uint64_t)bench.network.timing.fetch_spread * MILLISECONDS; }

/* The client holds epoch 3, and so do others until the test says more. */
static void begin(enum conduct guard) {
  fetch_bench_init(&bench, "guard");
  fetch_bench_decide(&bench, 3);
  fetch_bench_open_guard(&bench);
  bench.relays[0].conduct = guard;
  fetch_bench_start(&bench, 3);
  bench.now += 2 * interval();
  fetch_bench_set_clock(&bench, 0);
}

Test(fetch_guard, the_guard_alone_is_asked_while_it_has_the_next_one) {
  begin(CONDUCT_NEWEST);
  for (uint64_t epoch = 4; epoch <= 8; epoch++) {
    fetch_bench_decide(&bench, epoch);
    cr_expect(fetch_bench_run_until(&bench, epoch, interval() + spread()));
  }
  cr_expect_eq(fetch_bench_asked(&bench, false) + fetch_bench_asked(&bench, true), 0, "no connection but the guard's");
  cr_expect_eq(bench.relays[0].diffs_given, 5);
  fetch_bench_wipe(&bench);
}

Test(fetch_guard, the_next_network_file_comes_from_the_guard_too) {
  begin(CONDUCT_NEWEST);
  fetch_bench_make_next(&bench, 5);
  fetch_bench_decide(&bench, 5);
  cr_expect(fetch_bench_run_until(&bench, 5, interval() + spread()));
  cr_expect_eq(fetch_bench_serial(&bench), 2);
  cr_expect_eq(fetch_bench_asked(&bench, false) + fetch_bench_asked(&bench, true), 0);
  fetch_bench_wipe(&bench);
}

/* One attempt, whatever it does; then another relay; never twice the guard under its own address. */
static void expect_one_attempt(enum conduct conduct) {
  begin(conduct);
  fetch_bench_decide(&bench, 4);
  cr_expect(fetch_bench_run_until(&bench, 4, interval() + spread() + 60 * SECONDS), "conduct %d", (int)conduct);
  cr_expect_eq(fetch_bench_asked(&bench, false), 1, "conduct %d", (int)conduct);
  cr_expect_eq(bench.relays[0].asked, 0, "conduct %d", (int)conduct);
  cr_expect_eq(fetch_bench_asked(&bench, true), 0, "conduct %d", (int)conduct);
  cr_expect_eq(fetch_state(bench.fetch, bench.now), OUTCOME_OK);
  fetch_bench_wipe(&bench);
}

Test(fetch_guard, a_guard_that_has_nothing_newer) { expect_one_attempt(CONDUCT_STALE); }
Test(fetch_guard, a_guard_that_serves_an_old_document) { expect_one_attempt(CONDUCT_OLD); }
Test(fetch_guard, a_guard_that_serves_half_a_document) { expect_one_attempt(CONDUCT_CUT); }
Test(fetch_guard, a_guard_that_serves_garbage) { expect_one_attempt(CONDUCT_GARBAGE); }
Test(fetch_guard, a_guard_that_serves_a_forgery) { expect_one_attempt(CONDUCT_FORGED); }
Test(fetch_guard, a_guard_that_never_ends) { expect_one_attempt(CONDUCT_ENDLESS); }
Test(fetch_guard, a_guard_that_is_silent) { expect_one_attempt(CONDUCT_SILENT); }
Test(fetch_guard, a_guard_that_hangs_up) { expect_one_attempt(CONDUCT_HANGS_UP); }

/* What a silent guard owes stays owed: it is asked nothing more, and others are. */
Test(fetch_guard, a_silent_guard_is_asked_once) {
  begin(CONDUCT_SILENT);
  for (uint64_t epoch = 4; epoch <= 6; epoch++) {
    fetch_bench_decide(&bench, epoch);
    cr_expect(fetch_bench_run_until(&bench, epoch, interval() + spread() + 60 * SECONDS));
  }
  cr_expect_eq(transfers_pending(trunk_transfers(bench.guard_trunk)), 1);
  fetch_bench_wipe(&bench);
}

Test(fetch_guard, without_a_link_to_the_guard_others_are_asked) {
  begin(CONDUCT_HANGS_UP);
  for (uint64_t epoch = 4; epoch <= 5; epoch++) { /* the first costs the link */
    fetch_bench_decide(&bench, epoch);
    cr_expect(fetch_bench_run_until(&bench, epoch, interval() + spread() + 60 * SECONDS));
  }
  cr_expect_eq(fetch_bench_asked(&bench, false), 2);
  cr_expect_eq(fetch_bench_asked(&bench, true), 0);
  fetch_bench_wipe(&bench);
}

/* [FETCH-5] Each is newer than the client's, and none is the newest: a guard that trickles does not hold it back. */
Test(fetch_guard, a_guard_that_hands_out_old_ones_one_by_one_is_not_asked_alone) {
  begin(CONDUCT_NEXT);
  fetch_bench_decide(&bench, 11);
  bench.now += 8 * interval();
  fetch_bench_set_clock(&bench, 0);
  cr_expect(fetch_bench_run_until(&bench, 11, 20 * SECONDS));
  cr_expect_eq(fetch_bench_asked(&bench, false), 1);
  cr_expect_eq(fetch_bench_asked(&bench, true), 0);
  fetch_bench_wipe(&bench);
}
