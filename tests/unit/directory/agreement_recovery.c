/* What one authority's machine does after a crash, without its record, with a bad disk, and for those who are behind. n = 4 unless said
 * otherwise: f = 1, q = 3. */
#include <criterion/criterion.h>

#include "tests/unit/directory/agreement_bench.h"

Test(agreement_recovery, after_a_restart_it_says_the_same_again) {
  struct bench bench;
  bench_sign_in_view_0(&bench);
  static const enum agreement_kind kinds[] = {AGREEMENT_VOTE, AGREEMENT_PREPARE, AGREEMENT_SIGN};
  struct agreement_message before[3];
  for (int i = 0; i < 3; i++) before[i] = *bench_sent(&bench, kinds[i], 0);
  bench_restart(&bench, false);
  for (int i = 0; i < 3; i++) {
    const struct agreement_message *again = bench_sent(&bench, kinds[i], 0);
    cr_assert_not_null(again);
    cr_assert_arr_eq(again->signature, before[i].signature, ED25519_SIGNATURE_BYTES);
  }
  struct agreement_message second = bench_proposal(&bench, 7);
  bench_say(&bench, &second);
  cr_assert(agreement_choice_equal(&bench_sent(&bench, AGREEMENT_PREPARE, 0)->choice, &before[1].choice), "no second PREPARE");
  bench_run(&bench, bench.now + SECONDS);
  cr_assert(bench_sent(&bench, AGREEMENT_TIMEOUT, 0)->lock.name.present, "the lock was kept");
  bench_wipe(&bench);
}

Test(agreement_recovery, alone_a_restart_before_the_consensus_was_written_decides_again) {
  struct bench bench;
  bench_open(&bench, 1, 0);
  struct agreement_effect before = bench.last[AGREEMENT_DECIDED];
  bench_restart(&bench, false);
  cr_assert_eq(bench.counts[AGREEMENT_DECIDED], 1);
  cr_assert_arr_eq(bench.last[AGREEMENT_DECIDED].certificate.digest, before.certificate.digest, DIGEST_BYTES);
  bench_wipe(&bench);
}

Test(agreement_recovery, the_record_of_another_authority_is_refused) {
  struct bench bench, other;
  bench_open(&bench, 4, 0);
  bench_open(&other, 4, 1);
  bench.config.ballot_state = AGREEMENT_BALLOT_READ;
  bench.config.ballot = other.record;
  bench.config.ballot_len = other.record_len;
  enum outcome outcome;
  cr_assert_null(agreement_new(&bench.config, bench.now, &outcome));
  cr_assert_eq(outcome, OUTCOME_WRONG_NETWORK);
  bench_wipe(&bench);
  bench_wipe(&other);
}

Test(agreement_recovery, a_lost_record_means_silence_until_two_later_epochs_are_decided) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  bench_restart(&bench, true);
  bench_run(&bench, bench.now + 5 * SECONDS);
  cr_assert(bench_summary(&bench).silent);
  /* A liar shows it an old decision, and claims that to be the newest. */
  struct agreement_certificate old = bench_certificate(&bench, 3, 0, 1), newest = bench_certificate(&bench, 9, 0, 1);
  cr_assert_eq(bench_certify(&bench, &old), OUTCOME_OK);
  bench_say_status(&bench, 1, 4, 0);
  cr_assert_eq(bench_summary(&bench).silent_before, UINT64_MAX);
  bench_say_status(&bench, 2, 10, 0);
  bench_say_status(&bench, 3, 10, 0);
  cr_assert_eq(bench_summary(&bench).silent_before, UINT64_MAX, "what two of three claim is not proven yet");
  cr_assert_eq(bench_certify(&bench, &newest), OUTCOME_OK);
  cr_assert_eq(bench_summary(&bench).silent_before, 12);
  cr_assert_eq(bench.last[AGREEMENT_BEHIND].certificate.epoch, 9);
  for (uint64_t epoch = 9; epoch <= 11; epoch++) {
    cr_assert(bench_summary(&bench).silent);
    cr_assert_null(bench_sent(&bench, AGREEMENT_VOTE, 0), "epoch %d", (int)epoch);
    cr_assert_null(bench_sent(&bench, AGREEMENT_TIMEOUT, 0), "epoch %d", (int)epoch);
    bench_adopt(&bench, epoch);
    bench_run(&bench, bench.now + 70 * SECONDS);
    if (epoch == 10) bench_restart(&bench, false); /* a second crash does not shorten it */
  }
  cr_assert_not(bench_summary(&bench).silent);
  cr_assert_eq(bench.last[AGREEMENT_WANT_VOTE].epoch, 12);
  bench_wipe(&bench);
}

Test(agreement_recovery, a_damaged_record_counts_as_lost) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  bench.record[bench.record_len / 2] ^= 1;
  bench_restart(&bench, false);
  cr_assert(bench_summary(&bench).silent);
  bench_wipe(&bench);
}

Test(agreement_recovery, a_vote_whose_document_is_gone_is_made_anew_in_the_next_round) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  memcpy(bench.hidden, bench_sent(&bench, AGREEMENT_VOTE, 0)->hash, DIGEST_BYTES);
  bench_restart(&bench, false);
  const struct agreement_message *vote = bench_sent(&bench, AGREEMENT_VOTE, 0);
  cr_assert_eq(vote->view, 1, "round 1");
  bench_wipe(&bench);
}

Test(agreement_recovery, who_is_behind_is_sent_what_it_lacks) {
  struct bench bench;
  bench_sign_in_view_0(&bench);
  bench_clear(&bench);
  bench_say_status(&bench, 3, 1, 0);
  cr_assert_not_null(bench_sent(&bench, AGREEMENT_PROPOSE, 1));
  cr_assert_not_null(bench_sent(&bench, AGREEMENT_PREPARE, 2), "of anyone");
  cr_assert_not_null(bench_sent(&bench, AGREEMENT_SIGN, 0));
  cr_assert_not_null(bench_sent(&bench, AGREEMENT_VOTE, 2));
  bench_clear(&bench);
  bench_say_status(&bench, 3, 1, 0);
  cr_assert_eq(bench.sent_count, 0, "not twice at once");
  for (uint8_t author = 1; author <= 3; author++) bench_say_timeout(&bench, author, 0);
  bench.now += SECONDS;
  bench_clear(&bench);
  bench_say_status(&bench, 3, 1, 0);
  cr_assert_not_null(bench_sent(&bench, AGREEMENT_ENTER, 0), "why view 1 is open");
  bench_adopt(&bench, 1);
  bench.now += SECONDS;
  bench_clear(&bench);
  bench_say_status(&bench, 3, 1, 0);
  cr_assert_not_null(bench_sent(&bench, AGREEMENT_CERTIFICATE, 0));
  bench_wipe(&bench);
}

Test(agreement_recovery, who_hears_of_a_later_epoch_asks_how_it_came_about) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  bench.now += SECONDS;
  bench_clear(&bench);
  struct agreement_message timeout = bench_message(AGREEMENT_TIMEOUT, 2, 0);
  timeout.epoch = 2;
  cr_assert_eq(bench_say(&bench, &timeout), OUTCOME_STALE);
  cr_assert_not_null(bench_sent(&bench, AGREEMENT_STATUS, 0));
  cr_assert_eq(bench.sent_to[0], 2);
  bench_wipe(&bench);
}

Test(agreement_recovery, nobody_speaks_of_another_s_state) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  struct agreement_message status = bench_message(AGREEMENT_STATUS, 2, 0);
  bench_sign(&bench, &status);
  cr_assert_eq(bench_receive(&bench, 3, &status), OUTCOME_PROTOCOL_VIOLATION);
  cr_assert_eq(bench_receive(&bench, 2, &status), OUTCOME_OK);
  bench_wipe(&bench);
}

/* Its first record is being written. */
static void open_on_a_slow_disk(struct bench *bench, uint32_t n) {
  bench_init(bench, n, 0);
  bench->keeps_writing = true;
  bench_start(bench);
}

static void end_write(struct bench *bench) {
  agreement_ballot_written(bench->machine, bench->now, bench->version);
  bench_settle(bench);
}

Test(agreement_recovery, nothing_leaves_before_the_record_is_on_disk) {
  struct bench bench;
  open_on_a_slow_disk(&bench, 4);
  cr_assert_eq(bench.counts[AGREEMENT_WRITE_BALLOT], 1);
  cr_assert_null(bench_sent(&bench, AGREEMENT_VOTE, 0));
  agreement_ballot_failed(bench.machine, bench.now, bench.version);
  bench_settle(&bench);
  cr_assert_eq(bench.counts[AGREEMENT_WRITE_BALLOT], 1, "a disk that fails is not asked again at once");
  bench_run(&bench, bench.now + SECONDS / 4);
  cr_assert_eq(bench.counts[AGREEMENT_WRITE_BALLOT], 2);
  cr_assert_null(bench_sent(&bench, AGREEMENT_VOTE, 0));
  end_write(&bench);
  cr_assert_not_null(bench_sent(&bench, AGREEMENT_VOTE, 0));
  bench_wipe(&bench);
}

Test(agreement_recovery, alone_it_decides_nothing_before_the_record_is_on_disk) {
  struct bench bench;
  open_on_a_slow_disk(&bench, 1);
  cr_assert_eq(bench.counts[AGREEMENT_DECIDED], 0);
  end_write(&bench);
  cr_assert_eq(bench.counts[AGREEMENT_DECIDED], 1);
  bench_wipe(&bench);
}

Test(agreement_recovery, what_finds_no_room_to_leave_is_lost_and_counted) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  for (int i = 0; i < 1200; i++) {
    uint8_t bytes[AGREEMENT_MESSAGE_MAX_BYTES];
    struct agreement_message status = bench_message(AGREEMENT_STATUS, 2, 0);
    bench_sign(&bench, &status);
    size_t len = agreement_message_encode(&bench.members, &status, bytes, sizeof bytes);
    bench.now += SECONDS / 4;
    cr_assert_eq(agreement_receive(bench.machine, bench.now, 2, bytes, len), OUTCOME_OK);
  }
  cr_assert_gt(bench_summary(&bench).dropped, 0);
  struct agreement_effect effect;
  uint32_t count = 0;
  while (agreement_next_effect(bench.machine, &effect)) {
    count++;
    document_release(effect.document);
  }
  cr_assert_leq(count, 1024 + 4);
  bench_wipe(&bench);
}
