#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/directory/fetch_bench.h"

static struct fetch_bench bench;

static uint64_t interval(void) { return (uint64_t)bench.network.timing.interval * MILLISECONDS; }
static int64_t valid_ms(void) { return bench.network.timing.valid; }

/* ---- sources ---- */

Test(fetch, a_client_without_anything_has_a_consensus_at_once) {
  fetch_bench_init(&bench, "nothing");
  fetch_bench_start(&bench, 0);
  cr_expect(fetch_bench_run_until(&bench, 1, SECONDS));
  cr_expect_eq(fetch_state(bench.fetch, bench.now), OUTCOME_OK);
  cr_expect_eq(fetch_bench_asked(&bench, true), 1);
  fetch_bench_wipe(&bench);
}

Test(fetch, who_has_a_consensus_asks_a_mirror) {
  fetch_bench_init(&bench, "mirror");
  fetch_bench_start(&bench, 1);
  fetch_bench_run(&bench, interval() / 2);
  cr_expect_eq(fetch_bench_asked(&bench, true) + fetch_bench_asked(&bench, false), 0, "it is fresh");
  fetch_bench_decide(&bench, 2);
  cr_expect(fetch_bench_run_until(&bench, 2, 2 * interval()));
  cr_expect_eq(fetch_bench_asked(&bench, false), 1);
  cr_expect_eq(fetch_bench_asked(&bench, true), 0);
  fetch_bench_wipe(&bench);
}

/* [FETCH-5] Two mirrors, an attempt each, and an authority, whatever the mirrors do. */
static void expect_one_attempt(enum conduct conduct) {
  fetch_bench_init(&bench, "bad mirrors");
  fetch_bench_conduct(&bench, CONDUCT_NEWEST, conduct);
  fetch_bench_decide(&bench, 3);
  fetch_bench_start(&bench, 3);
  bench.now += 2 * interval();
  fetch_bench_set_clock(&bench, 0);
  fetch_bench_decide(&bench, 4);
  cr_expect(fetch_bench_run_until(&bench, 4, 2 * interval() + 70 * SECONDS), "conduct %d", (int)conduct);
  cr_expect_eq(fetch_bench_asked(&bench, false), 2, "conduct %d: %u mirrors were asked", (int)conduct, fetch_bench_asked(&bench, false));
  cr_expect_eq(fetch_bench_asked(&bench, true), 1, "conduct %d", (int)conduct);
  cr_expect_eq(fetch_state(bench.fetch, bench.now), OUTCOME_OK);
  /* Nothing is held against mirrors: when they are good again they are asked first. */
  fetch_bench_conduct(&bench, CONDUCT_NEWEST, CONDUCT_NEWEST);
  fetch_bench_decide(&bench, 5);
  bench.now += interval();
  cr_expect(fetch_bench_run_until(&bench, 5, 2 * interval()));
  cr_expect_eq(fetch_bench_asked(&bench, true), 1);
  fetch_bench_wipe(&bench);
}

Test(fetch, a_mirror_that_has_nothing_newer_costs_one_attempt) { expect_one_attempt(CONDUCT_STALE); }
Test(fetch, a_mirror_that_serves_an_old_document_costs_one_attempt) { expect_one_attempt(CONDUCT_OLD); }
Test(fetch, a_mirror_that_serves_half_a_document_costs_one_attempt) { expect_one_attempt(CONDUCT_CUT); }
Test(fetch, a_mirror_that_serves_garbage_costs_one_attempt) { expect_one_attempt(CONDUCT_GARBAGE); }
Test(fetch, a_mirror_that_serves_a_forgery_costs_one_attempt) { expect_one_attempt(CONDUCT_FORGED); }
Test(fetch, a_mirror_that_never_ends_costs_one_attempt) { expect_one_attempt(CONDUCT_ENDLESS); }
Test(fetch, a_mirror_that_is_silent_costs_one_attempt) { expect_one_attempt(CONDUCT_SILENT); }
Test(fetch, a_mirror_that_hangs_up_costs_one_attempt) { expect_one_attempt(CONDUCT_HANGS_UP); }
Test(fetch, a_mirror_that_is_gone_costs_one_attempt) { expect_one_attempt(CONDUCT_REFUSES); }

Test(fetch, while_authorities_are_flooded_mirrors_are_asked_again) {
  fetch_bench_init(&bench, "flooded");
  fetch_bench_conduct(&bench, CONDUCT_SILENT, CONDUCT_STALE);
  fetch_bench_start(&bench, 1);
  fetch_bench_run(&bench, interval() + 90 * SECONDS);
  cr_assert_gt(fetch_bench_asked(&bench, true), 0);
  fetch_bench_conduct(&bench, CONDUCT_SILENT, CONDUCT_NEWEST);
  fetch_bench_decide(&bench, 2);
  cr_expect(fetch_bench_run_until(&bench, 2, 120 * SECONDS));
  fetch_bench_wipe(&bench);
}

Test(fetch, nobody_who_waits_asks_ever_faster) {
  fetch_bench_init(&bench, "storm");
  fetch_bench_conduct(&bench, CONDUCT_REFUSES, CONDUCT_REFUSES);
  fetch_bench_start(&bench, 1);
  fetch_bench_run(&bench, interval() + 60 * SECONDS);
  uint32_t first = fetch_bench_asked(&bench, true) + fetch_bench_asked(&bench, false);
  fetch_bench_run(&bench, 60 * SECONDS);
  uint32_t second = fetch_bench_asked(&bench, true) + fetch_bench_asked(&bench, false) - first;
  cr_expect_leq(second, first);
  cr_expect_leq(second, 12);
  cr_expect_gt(second, 1);
  fetch_bench_wipe(&bench);
}

/* ---- diffs ---- */

static uint32_t given(bool diffs) {
  uint32_t count = 0;
  for (int i = 0; i < BENCH_RELAYS; i++) count += diffs ? bench.relays[i].diffs_given : bench.relays[i].wholes_given;
  for (int i = 0; i < BENCH_AUTHORITIES; i++) count += diffs ? bench.authorities[i].diffs_given : bench.authorities[i].wholes_given;
  return count;
}

/* The client holds `held`, its sources the next ones up to `newest`. */
static void expect_fetched(enum conduct conduct, uint64_t held, uint64_t newest, uint32_t diffs, uint32_t wholes) {
  fetch_bench_init(&bench, "diffs");
  fetch_bench_conduct(&bench, conduct, conduct);
  fetch_bench_start(&bench, held);
  fetch_bench_decide(&bench, newest);
  bench.now += newest * interval();
  fetch_bench_set_clock(&bench, 0);
  cr_expect(fetch_bench_run_until(&bench, newest, 30 * SECONDS));
  const struct document *text = consensus_text(fetch_consensus(bench.fetch)), *right = consensus_text(fetch_bench_consensus(&bench, newest));
  cr_assert_eq(document_len(text), document_len(right));
  cr_expect_arr_eq(document_bytes(text), document_bytes(right), document_len(right));
  cr_expect_eq(given(true), diffs);
  cr_expect_eq(given(false), wholes);
  fetch_bench_wipe(&bench);
}

Test(fetch, who_holds_one_of_the_last_three_gets_what_changed) {
  expect_fetched(CONDUCT_NEWEST, 4, 5, 1, 0);
  expect_fetched(CONDUCT_NEWEST, 2, 5, 1, 0);
}

Test(fetch, who_holds_an_older_one_gets_the_whole_on_the_same_link) {
  expect_fetched(CONDUCT_NEWEST, 1, 5, 0, 1);
  cr_expect_eq(fetch_bench_asked(&bench, false), 1);
}

Test(fetch, a_source_without_diffs_gives_the_whole) { expect_fetched(CONDUCT_WHOLE, 4, 5, 0, 1); }
Test(fetch, after_a_diff_that_is_wrong_the_whole_is_asked_for) { expect_fetched(CONDUCT_BAD_DIFF, 4, 5, 0, 1); }

/* ---- clocks ---- */

static void expect_clock_ahead(bool has_consensus) {
  int64_t ahead = valid_ms() + 2 * 60 * 60 * 1000;
  bench.skew_ms = ahead;
  fetch_bench_start(&bench, has_consensus ? 1 : 0);
  fetch_bench_run(&bench, 10 * SECONDS);
  char expected[64];
  snprintf(expected, sizeof expected, "ahead by %lld s", (long long)(ahead / 1000));
  cr_expect_eq(fetch_state(bench.fetch, bench.now), OUTCOME_CLOCK_WRONG);
  cr_expect_str_eq(fetch_bench_text(&bench, "clock"), expected);
  cr_expect_str_eq(fetch_bench_text(&bench, "directory"), "");
  cr_expect_eq(bench.warnings, 1);
}

Test(fetch, a_clock_that_is_ahead_is_found_out_by_the_authorities_times) {
  fetch_bench_init(&bench, "ahead");
  expect_clock_ahead(true);
  /* Set right, it is usable at once. */
  fetch_bench_set_clock(&bench, 0);
  fetch_bench_run(&bench, 2 * SECONDS);
  cr_expect_eq(fetch_state(bench.fetch, bench.now), OUTCOME_OK);
  cr_expect_str_eq(fetch_bench_text(&bench, "clock"), "");
  fetch_bench_wipe(&bench);
}

Test(fetch, the_same_without_any_consensus_and_with_an_authority_that_lies) {
  fetch_bench_init(&bench, "ahead, liar");
  bench.authorities[2].clock_ms = valid_ms() + 2 * 60 * 60 * 1000; /* agrees with our wrong clock */
  expect_clock_ahead(false);
  fetch_bench_set_clock(&bench, 0);
  cr_expect(fetch_bench_run_until(&bench, 1, 2 * SECONDS), "what was refused for its dates is fetched again soon");
  fetch_bench_wipe(&bench);
}

/* The directory has been down since its consensus of epoch 1 ran out so long ago; authorities answer, with what they have. */
static void begin_after_end(const char *test, int64_t hours) {
  fetch_bench_init(&bench, test);
  fetch_bench_start(&bench, 1);
  bench.now += (uint64_t)(valid_ms() + hours * 60 * 60 * 1000 + 1000) * MILLISECONDS;
  fetch_bench_conduct(&bench, CONDUCT_STALE, CONDUCT_STALE);
}

static void expect_no_clock_blamed(const char *directory) {
  fetch_bench_set_clock(&bench, 0);
  fetch_bench_run(&bench, 10 * SECONDS);
  cr_expect_eq(fetch_state(bench.fetch, bench.now), OUTCOME_CONSENSUS_EXPIRED);
  cr_expect_str_eq(fetch_bench_text(&bench, "clock"), "");
  cr_expect_str_eq(fetch_bench_text(&bench, "directory"), directory);
  fetch_bench_wipe(&bench);
}

Test(fetch, one_authority_alone_makes_no_clock_wrong) {
  begin_after_end("one liar", 5);
  bench.authorities[1].clock_ms = -(valid_ms() + 5 * 60 * 60 * 1000);
  expect_no_clock_blamed("stopped 5 h ago");
}

/* 64 bits can say more than a difference of two dates holds. */
Test(fetch, dates_that_no_clock_shows_say_nothing) {
  static const int64_t lies[] = {INT64_MIN, INT64_MAX};
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    begin_after_end("absurd", 1);
    for (int k = 0; k < BENCH_AUTHORITIES; k++) bench.authorities[k].clock_ms = lies[i];
    expect_no_clock_blamed("");
  }
}

Test(fetch, a_consensus_from_the_future_proves_the_clock_behind) {
  fetch_bench_init(&bench, "behind");
  bench.skew_ms = -2 * 60 * 60 * 1000;
  fetch_bench_start(&bench, 0);
  fetch_bench_run(&bench, 3 * SECONDS);
  cr_expect_eq(fetch_bench_epoch(&bench), 0);
  cr_expect_eq(fetch_state(bench.fetch, bench.now), OUTCOME_CLOCK_WRONG);
  const char *text = fetch_bench_text(&bench, "clock");
  long long seconds = 0;
  cr_expect_eq(sscanf(text, "behind by at least %lld s", &seconds), 1, "%s", text);
  cr_expect(seconds > 7190 && seconds <= 7200, "%s", text);
  fetch_bench_wipe(&bench);
}

Test(fetch, mirrors_times_prove_nothing) {
  fetch_bench_init(&bench, "mirrors lie");
  fetch_bench_start(&bench, 1);
  for (int i = 0; i < BENCH_RELAYS; i++) bench.relays[i].clock_ms = -(valid_ms() + 60 * 60 * 1000);
  bench.now += (uint64_t)(valid_ms() + 60 * 60 * 1000) * MILLISECONDS;
  fetch_bench_conduct(&bench, CONDUCT_REFUSES, CONDUCT_STALE);
  fetch_bench_set_clock(&bench, 0);
  fetch_bench_run(&bench, 60 * SECONDS);
  cr_expect_eq(fetch_state(bench.fetch, bench.now), OUTCOME_CONSENSUS_EXPIRED);
  cr_expect_str_eq(fetch_bench_text(&bench, "clock"), "");
  fetch_bench_wipe(&bench);
}
