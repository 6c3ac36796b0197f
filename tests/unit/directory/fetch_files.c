/* How the next network file comes to who fetches: from mirrors as from authorities, good and bad ones. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/directory/fetch_bench.h"

static struct fetch_bench bench;

static uint64_t interval(void) { return (uint64_t)bench.network.timing.interval * MILLISECONDS; }

/* The client holds epoch 3 of serial 1; epoch 4 is the first of serial 2, and is decided. */
static void begin(enum file_conduct authorities, enum file_conduct relays) {
  fetch_bench_init(&bench, "files");
  fetch_bench_make_next(&bench, 4);
  fetch_bench_conduct_files(&bench, authorities, relays);
  fetch_bench_decide(&bench, 3);
  fetch_bench_start(&bench, 3);
  bench.now += 2 * interval();
  fetch_bench_set_clock(&bench, 0);
  fetch_bench_decide(&bench, 4);
}

Test(fetch_files, a_mirror_alone_leads_to_the_next_serial) {
  begin(FILES_SHOWN, FILES_SHOWN);
  fetch_bench_conduct(&bench, CONDUCT_REFUSES, CONDUCT_NEWEST);
  cr_expect(fetch_bench_run_until(&bench, 4, 2 * interval()));
  cr_expect_eq(fetch_bench_serial(&bench), 2);
  cr_expect_eq(fetch_bench_asked(&bench, false), 1);
  cr_expect_eq(fetch_bench_asked(&bench, true), 0, "no authority need be asked");
  cr_expect(fetch_take_network_news(bench.fetch), "it is to be saved");
  fetch_bench_wipe(&bench);
}

Test(fetch_files, a_file_that_starts_later_comes_from_an_authority_and_changes_nothing_yet) {
  fetch_bench_init(&bench, "early");
  fetch_bench_make_next(&bench, 9);
  fetch_bench_conduct(&bench, CONDUCT_NEWEST, CONDUCT_REFUSES);
  fetch_bench_start(&bench, 1);
  fetch_bench_decide(&bench, 2);
  cr_expect(fetch_bench_run_until(&bench, 2, 60 * SECONDS));
  cr_expect_eq(fetch_bench_serial(&bench), 1, "nobody shows it before a consensus of it, or a quorum that has it");
  fetch_bench_wipe(&bench);
}

/* Who was given serial 2 before it began judges the consensuses of the time before, with a mirror's help. */
Test(fetch_files, a_mirror_shows_the_file_before_the_oldest) {
  enum outcome outcome;
  fetch_bench_init(&bench, "backwards");
  fetch_bench_make_next(&bench, 3);
  struct network_chain *given = network_chain_new(document_bytes(bench.next_text), document_len(bench.next_text), &outcome, NULL);
  cr_assert(given);
  network_chain_free(bench.networks);
  bench.networks = given;
  fetch_free(bench.fetch);
  struct fetch_config config = {.self = &bench.self, .networks = given, .trunks = &bench.pool, .connections = &bench.table, .slot_kind = 1,
                                .effects = &bench.effects, .random = &bench.random, .trace = &bench.trace, .from_mirrors = true};
  bench.fetch = fetch_new(&config);
  cr_assert(bench.fetch);
  fetch_bench_decide(&bench, 2);
  fetch_bench_start(&bench, 0);
  cr_expect(fetch_bench_run_until(&bench, 2, 30 * SECONDS));
  cr_expect_eq(network_chain_oldest(bench.networks)->serial, 1);
  cr_expect_eq(fetch_bench_asked(&bench, true), 1, "on the same link");
  fetch_bench_wipe(&bench);
}

/* Two mirrors, an attempt each, and an authority, whatever the mirrors make of the file; nothing wrong is taken. */
static void expect_one_attempt(enum file_conduct conduct) {
  begin(FILES_SHOWN, conduct);
  cr_expect(fetch_bench_run_until(&bench, 4, 2 * interval() + 70 * SECONDS), "conduct %d", (int)conduct);
  cr_expect_eq(fetch_bench_asked(&bench, false), 2, "conduct %d: %u mirrors were asked", (int)conduct, fetch_bench_asked(&bench, false));
  cr_expect_eq(fetch_bench_asked(&bench, true), 1, "conduct %d", (int)conduct);
  cr_expect_eq(fetch_bench_serial(&bench), 2);
  const struct document *text = network_chain_after(bench.networks, 1);
  cr_assert_eq(document_len(text), document_len(bench.next_text));
  cr_expect_arr_eq(document_bytes(text), document_bytes(bench.next_text), document_len(text));
  cr_expect_eq(fetch_state(bench.fetch, bench.now), OUTCOME_OK);
  fetch_bench_wipe(&bench);
}

Test(fetch_files, a_mirror_that_hides_the_file_costs_one_attempt) { expect_one_attempt(FILES_HIDDEN); }
Test(fetch_files, a_mirror_that_serves_an_old_file_costs_one_attempt) { expect_one_attempt(FILES_OLD); }
Test(fetch_files, a_mirror_that_serves_half_a_file_costs_one_attempt) { expect_one_attempt(FILES_CUT); }
Test(fetch_files, a_mirror_that_serves_garbage_costs_one_attempt) { expect_one_attempt(FILES_GARBAGE); }
Test(fetch_files, a_mirror_that_serves_a_forged_file_costs_one_attempt) { expect_one_attempt(FILES_FORGED); }
Test(fetch_files, a_mirror_whose_file_never_ends_costs_one_attempt) { expect_one_attempt(FILES_ENDLESS); }
Test(fetch_files, a_mirror_that_is_silent_costs_one_attempt) { expect_one_attempt(FILES_SILENT); }

/* [FETCH-11] Signed by both quorums as it may be: no epoch was decided under it, and perhaps none ever will be. */
Test(fetch_files, a_mirror_can_lead_nobody_to_a_file_before_its_time) {
  begin(FILES_HIDDEN, FILES_SHOWN);
  fetch_bench_conduct(&bench, CONDUCT_REFUSES, CONDUCT_FORGED);
  fetch_bench_run(&bench, 2 * interval() + 60 * SECONDS);
  uint32_t given = 0;
  for (int i = 0; i < BENCH_RELAYS; i++) given += bench.relays[i].files_given;
  cr_expect_gt(given, 0);
  cr_expect_eq(fetch_bench_serial(&bench), 1);
  cr_expect_not(fetch_take_network_news(bench.fetch));
  cr_expect_eq(fetch_bench_epoch(&bench), 3);
  fetch_bench_wipe(&bench);
}

/* ---- two that contradict each other ---- */

/* What is kept holds `ours` and then something else; nothing is asked for any more. */
static void expect_split(const struct document *ours, const char *text) {
  fetch_bench_run(&bench, 2 * interval() + 70 * SECONDS);
  cr_expect_eq(fetch_state(bench.fetch, bench.now), OUTCOME_DIRECTORY_SPLIT);
  cr_expect_str_eq(fetch_bench_text(&bench, "directory"), text);
  cr_expect_eq(bench.warnings, 1, "said once");
  struct document *proof = fetch_take_split(bench.fetch);
  cr_assert(proof);
  cr_assert_gt(document_len(proof), document_len(ours));
  cr_expect_arr_eq(document_bytes(proof), document_bytes(ours), document_len(ours));
  cr_expect_eq(memcmp(document_bytes(proof) + document_len(ours), "tunic-", 6), 0, "the other text follows");
  document_release(proof);
  cr_expect_null(fetch_take_split(bench.fetch));
  uint32_t asked = fetch_bench_asked(&bench, true) + fetch_bench_asked(&bench, false);
  fetch_bench_run(&bench, 100 * interval());
  cr_expect_eq(fetch_bench_asked(&bench, true) + fetch_bench_asked(&bench, false), asked);
  fetch_bench_wipe(&bench);
}

/* The client has moved to serial 2 at epoch 4; then sources are as the test wants. */
static void move(enum conduct conduct, enum file_conduct files) {
  begin(FILES_SHOWN, FILES_SHOWN);
  cr_assert(fetch_bench_run_until(&bench, 4, 2 * interval()));
  cr_assert_eq(fetch_bench_serial(&bench), 2);
  fetch_bench_decide(&bench, 5);
  fetch_bench_conduct(&bench, conduct, conduct);
  fetch_bench_conduct_files(&bench, files, files);
}

static const char TWO_FILES[] = "split: two network files of serial 2 exist, both valid";

/* [NET-14] [FETCH-12] What a source says is signed by others than ours: it is asked why. */
Test(fetch_files, two_files_of_one_serial_stop_everything) {
  move(CONDUCT_FORGED, FILES_OTHER);
  expect_split(bench.next_text, TWO_FILES);
}

Test(fetch_files, an_authority_that_shows_another_file_of_a_serial_as_well) {
  move(CONDUCT_STALE, FILES_OTHER);
  expect_split(bench.next_text, TWO_FILES);
}

Test(fetch_files, bad_signatures_alone_are_no_split) {
  move(CONDUCT_FORGED, FILES_SHOWN);
  fetch_bench_run(&bench, 2 * interval() + 60 * SECONDS);
  cr_expect_eq(fetch_state(bench.fetch, bench.now), OUTCOME_OK);
  fetch_bench_conduct(&bench, CONDUCT_NEWEST, CONDUCT_NEWEST);
  cr_expect(fetch_bench_run_until(&bench, 5, 30 * SECONDS));
  fetch_bench_wipe(&bench);
}

/* [FETCH-6] */
Test(fetch_files, two_consensuses_of_one_epoch_stop_everything) {
  fetch_bench_init(&bench, "two consensuses");
  fetch_bench_conduct(&bench, CONDUCT_OTHER, CONDUCT_OTHER);
  fetch_bench_start(&bench, 1);
  expect_split(consensus_text(fetch_bench_consensus(&bench, 1)), "split: two consensuses of epoch 1 exist, both valid");
}

/* Nothing of a file costs more where no new serial is. */
Test(fetch_files, a_bad_file_that_is_not_needed_costs_nothing) {
  static const enum file_conduct TABLE[] = {FILES_HIDDEN, FILES_OLD, FILES_CUT, FILES_GARBAGE, FILES_FORGED};
  for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
    fetch_bench_init(&bench, "not needed");
    fetch_bench_make_next(&bench, 9);
    fetch_bench_conduct_files(&bench, TABLE[i], TABLE[i]);
    fetch_bench_start(&bench, 1);
    fetch_bench_decide(&bench, 2);
    bench.now += interval();
    fetch_bench_set_clock(&bench, 0);
    cr_expect(fetch_bench_run_until(&bench, 2, interval()), "case %zu", i);
    cr_expect_eq(fetch_bench_asked(&bench, false), 1, "case %zu", i);
    cr_expect_eq(fetch_bench_serial(&bench), 1, "case %zu", i);
    fetch_bench_wipe(&bench);
  }
}
