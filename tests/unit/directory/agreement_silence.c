/* Authorities whose record is lost and whom nobody can help: alone, or too many at once: [AGREE-32], [AGREE-33]. */
#include <criterion/criterion.h>

#include "directory/agreement_ballot.h"
#include "tests/unit/directory/agreement_bench.h"

static const uint64_t LOOK = 2 * 60 * SECONDS; /* two intervals */

/* The owner has this consensus on disk when the machine starts. */
static void hold(struct bench *bench, uint64_t epoch) {
  bench->config.decided = bench_certificate(bench, epoch, 0, 1);
}

static void speak_again(struct bench *bench, uint8_t own, bool is_whole) {
  static uint8_t record[AGREEMENT_BALLOT_MAX_BYTES];
  size_t len;
  const uint8_t *old = is_whole ? bench->record : NULL;
  cr_assert_eq(agreement_forget_ballot(&bench->members, own, old, bench->record_len, &bench->config.decided, bench->config.genesis, record, sizeof record, &len), OUTCOME_OK);
  cr_assert(len <= sizeof bench->record);
  memcpy(bench->record, record, len);
  bench->record_len = len;
  bench_restart(bench, false);
}

Test(agreement_silence, alone_it_looks_for_later_consensuses_and_goes_on) {
  struct bench bench;
  bench_open(&bench, 1, 0);
  hold(&bench, 5);
  bench_restart(&bench, true);
  cr_assert(bench_summary(&bench).silent && agreement_is_looking(bench.machine));
  bench_run(&bench, bench.now + LOOK / 2);
  bench_adopt(&bench, 8); /* a relay had it */
  bench_run(&bench, bench.now + LOOK / 2 - SECONDS);
  cr_assert(bench_summary(&bench).silent);
  cr_assert_eq(bench.counts[AGREEMENT_WANT_VOTE], 0);
  bench_run(&bench, bench.now + 2 * SECONDS);
  cr_assert_not(bench_summary(&bench).silent);
  cr_assert_eq(bench.last[AGREEMENT_WANT_VOTE].epoch, 9);
  cr_assert_eq(bench.last[AGREEMENT_DECIDED].certificate.epoch, 9);
  /* From now on its record is as good as any. */
  hold(&bench, 8);
  bench_restart(&bench, false);
  cr_assert_not(bench_summary(&bench).silent);
  bench_wipe(&bench);
}

Test(agreement_silence, alone_without_a_consensus_it_waits_for_a_person) {
  struct bench bench;
  bench_open(&bench, 1, 0);
  bench_restart(&bench, true);
  bench_run(&bench, bench.now + 10 * LOOK);
  cr_assert(bench_summary(&bench).silent);
  cr_assert_eq(bench.counts[AGREEMENT_DECIDED], 0);
  /* The person found one, and put it there. */
  hold(&bench, 3);
  bench_restart(&bench, true);
  bench_run(&bench, bench.now + LOOK + SECONDS);
  cr_assert_eq(bench.last[AGREEMENT_DECIDED].certificate.epoch, 4);
  bench_wipe(&bench);
}

Test(agreement_silence, a_record_that_is_whole_is_not_forgotten) {
  struct bench bench;
  uint8_t record[AGREEMENT_BALLOT_MAX_BYTES];
  size_t len;
  bench_sign_in_view_0(&bench);
  cr_assert_eq(agreement_forget_ballot(&bench.members, 0, bench.record, bench.record_len, &bench.config.decided, bench.config.genesis, record, sizeof record, &len),
               OUTCOME_STALE);
  cr_assert_eq(agreement_forget_ballot(&bench.members, 1, bench.record, bench.record_len, &bench.config.decided, bench.config.genesis, record, sizeof record, &len),
               OUTCOME_WRONG_NETWORK);
  bench_wipe(&bench);
}

Test(agreement_silence, by_a_person_s_word_it_speaks_once_a_quorum_is_there) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  hold(&bench, 7);
  speak_again(&bench, 0, false);
  bench_run(&bench, bench.now + LOOK + SECONDS);
  bench_say_status(&bench, 1, 10, 0); /* says that it has epoch 9 */
  bench_say_status(&bench, 2, 8, 0);
  cr_assert(bench_summary(&bench).silent, "one other is too few, and a claim is no proof");
  struct agreement_certificate newest = bench_certificate(&bench, 9, 0, 1);
  cr_assert_eq(bench_certify(&bench, &newest), OUTCOME_OK);
  cr_assert(bench_summary(&bench).silent, "the consensus is not here yet");
  bench_adopt(&bench, 9);
  cr_assert_not(bench_summary(&bench).silent);
  cr_assert_eq(bench_summary(&bench).silent_before, 10);
  bench_run(&bench, bench.now + 70 * SECONDS);
  cr_assert_eq(bench.last[AGREEMENT_WANT_VOTE].epoch, 10);
  bench_wipe(&bench);
}

Test(agreement_silence, a_person_s_word_does_not_shorten_the_look) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  hold(&bench, 7);
  speak_again(&bench, 0, false);
  for (uint8_t author = 1; author <= 3; author++) bench_say_status(&bench, author, 8, 0);
  bench_run(&bench, bench.now + LOOK - SECONDS);
  cr_assert(bench_summary(&bench).silent);
  cr_assert_null(bench_sent(&bench, AGREEMENT_VOTE, 0));
  bench_restart(&bench, false); /* begins anew */
  for (uint8_t author = 1; author <= 3; author++) bench_say_status(&bench, author, 8, 0);
  bench_run(&bench, bench.now + LOOK - SECONDS);
  cr_assert(bench_summary(&bench).silent);
  bench_run(&bench, bench.now + 2 * SECONDS);
  cr_assert_not(bench_summary(&bench).silent);
  cr_assert_not_null(bench_sent(&bench, AGREEMENT_VOTE, 0));
  bench_wipe(&bench);
}
