/* One authority's machine, rule by rule, with the others played by the test. n = 4 unless said otherwise: f = 1, q = 3, and the
 * leader of view v in epoch 1 is authority (1 + v) mod 4. */
#include <criterion/criterion.h>

#include "tests/unit/directory/agreement_bench.h"

enum { ALL_FOUR = 15 };

Test(agreement, alone_it_decides_with_one_write) {
  struct bench bench;
  bench_open(&bench, 1, 0);
  cr_assert_eq(bench.counts[AGREEMENT_WRITE_BALLOT], 1);
  cr_assert_eq(bench.counts[AGREEMENT_DECIDED], 1);
  cr_assert_eq(bench.counts[AGREEMENT_SEND], 0);
  const struct agreement_effect *decided = &bench.last[AGREEMENT_DECIDED];
  cr_assert_eq(decided->certificate.epoch, 1);
  cr_assert_eq(decided->certificate.signs.count, 1);
  cr_assert_eq(decided->vector.count, 1);
  struct date valid_after = {1000000};
  cr_assert_eq(agreement_adopt_decided(bench.machine, bench.now, &decided->certificate, valid_after), OUTCOME_OK);
  cr_assert_eq(bench_summary(&bench).epoch, 2);
  cr_assert_eq(agreement_deadline(bench.machine), bench.now + bench.config.timing.interval, "the next epoch opens then, and nothing before");
  bench_wipe(&bench);
}

Test(agreement, the_leader_waits_a_moment_for_slow_votes_then_takes_n_minus_f) {
  struct bench bench;
  bench_open(&bench, 4, 1);
  bench_say_vote(&bench, 0);
  bench_run(&bench, bench.now + SECONDS / 2);
  cr_assert_null(bench_sent(&bench, AGREEMENT_PROPOSE, 1), "two votes are too few, however long it waits");
  bench_say_vote(&bench, 3);
  cr_assert_null(bench_sent(&bench, AGREEMENT_PROPOSE, 1));
  bench_run(&bench, bench.now + SECONDS / 4);
  const struct agreement_message *proposal = bench_sent(&bench, AGREEMENT_PROPOSE, 1);
  cr_assert_not_null(proposal);
  cr_assert_eq(proposal->vector.count, 3);
  bench_wipe(&bench);
  bench_open(&bench, 4, 1);
  for (uint8_t author = 0; author < 4; author++) bench_say_vote(&bench, author);
  cr_assert_eq(bench_sent(&bench, AGREEMENT_PROPOSE, 1)->vector.count, 4, "all votes: at once");
  bench_wipe(&bench);
}

Test(agreement, a_leader_whose_tally_refuses_proposes_nothing) {
  struct bench bench;
  bench_init(&bench, 4, 1);
  bench.refuses = true;
  bench_start(&bench);
  for (uint8_t author = 0; author < 4; author++) bench_say_vote(&bench, author);
  bench_run(&bench, bench.now + SECONDS);
  cr_assert_null(bench_sent(&bench, AGREEMENT_PROPOSE, 1));
  cr_assert_not_null(bench_sent(&bench, AGREEMENT_TIMEOUT, 1));
  bench_wipe(&bench);
}

Test(agreement, three_phases_decide) {
  struct bench bench;
  struct agreement_choice choice = bench_sign_in_view_0(&bench);
  bench_say_choice(&bench, AGREEMENT_SIGN, 2, 0, &choice);
  cr_assert_eq(bench.counts[AGREEMENT_DECIDED], 0);
  bench_say_choice(&bench, AGREEMENT_SIGN, 3, 0, &choice);
  cr_assert_eq(bench.counts[AGREEMENT_DECIDED], 1);
  const struct agreement_effect *decided = &bench.last[AGREEMENT_DECIDED];
  cr_assert_arr_eq(decided->certificate.digest, choice.digest, DIGEST_BYTES);
  cr_assert_eq(decided->certificate.signs.count, 3);
  cr_assert_eq(decided->vector.count, 4);
  cr_assert_arr_eq(decided->hash, bench.config.genesis, DIGEST_BYTES);
  bench_run(&bench, bench.now + SECONDS);
  cr_assert_geq(bench.counts[AGREEMENT_DECIDED], 2, "until it is adopted it is asked for again");
  cr_assert_null(bench_sent(&bench, AGREEMENT_TIMEOUT, 0), "a decided epoch has no timer");
  bench_wipe(&bench);
}

Test(agreement, a_view_has_one_proposal_and_one_prepare) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  struct agreement_message first = bench_proposal(&bench, ALL_FOUR), second = bench_proposal(&bench, 7);
  cr_assert_eq(bench_say(&bench, &first), OUTCOME_OK);
  cr_assert_eq(bench_say(&bench, &second), OUTCOME_STALE);
  cr_assert(agreement_choice_equal(&bench_sent(&bench, AGREEMENT_PREPARE, 0)->choice, &first.choice));
  bench_say_choice(&bench, AGREEMENT_PREPARE, 1, 0, &second.choice);
  bench_say_choice(&bench, AGREEMENT_PREPARE, 2, 0, &second.choice);
  bench_say_choice(&bench, AGREEMENT_PREPARE, 3, 0, &second.choice);
  cr_assert_null(bench_sent(&bench, AGREEMENT_SIGN, 0), "a quorum for what was not proposed here");
  bench_wipe(&bench);
}

/* All four votes are proposed, and the document of one is not here. */
static struct agreement_choice open_with_a_missing_vote(struct bench *bench) {
  bench_open(bench, 4, 0);
  struct agreement_message proposal = bench_proposal(bench, ALL_FOUR);
  memcpy(bench->hidden, proposal.vector.votes[3].hash, DIGEST_BYTES);
  cr_assert_eq(bench_say(bench, &proposal), OUTCOME_OK);
  return proposal.choice;
}

static void bring_missing_vote(struct bench *bench) {
  memset(bench->hidden, 0, sizeof bench->hidden);
  agreement_vote_arrived(bench->machine, bench->now);
  bench_settle(bench);
}

Test(agreement, a_missing_vote_is_fetched_and_prepared_when_it_is_here) {
  struct bench bench;
  open_with_a_missing_vote(&bench);
  cr_assert_null(bench_sent(&bench, AGREEMENT_PREPARE, 0));
  cr_assert_geq(bench.counts[AGREEMENT_FETCH], 1);
  cr_assert_arr_eq(bench.last[AGREEMENT_FETCH].hash, bench.hidden, DIGEST_BYTES);
  bench_clear(&bench);
  bench_run(&bench, bench.now + SECONDS / 4);
  cr_assert_geq(bench.counts[AGREEMENT_FETCH], 1, "it is asked for again");
  cr_assert_eq(bench.last[AGREEMENT_FETCH].to, AGREEMENT_EVERYONE, "and then of anyone");
  bring_missing_vote(&bench);
  cr_assert_not_null(bench_sent(&bench, AGREEMENT_PREPARE, 0));
  bench_wipe(&bench);
}

/* Reading a vote of 20,000 relays takes seconds: an author that makes one round after another does not keep us at it. */
Test(agreement, of_one_author_a_vote_is_asked_for_once_in_a_while_whatever_its_round) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  bench_clear(&bench);
  for (uint32_t round = 0; round < 10; round++) {
    struct agreement_message message = bench_message(AGREEMENT_VOTE, 3, round);
    struct agreement_vote vote = bench_vote(&bench, 3, 1, round, 0, bench.config.genesis);
    memcpy(bench.hidden, vote.hash, DIGEST_BYTES);
    memcpy(message.hash, vote.hash, DIGEST_BYTES);
    memcpy(message.previous, bench.config.genesis, DIGEST_BYTES);
    cr_assert_eq(bench_say(&bench, &message), OUTCOME_OK);
  }
  cr_expect_eq(bench.counts[AGREEMENT_FETCH], 1);
  bench_run(&bench, bench.now + SECONDS / 4);
  cr_expect_geq(bench.counts[AGREEMENT_FETCH], 2);
  cr_expect_arr_eq(bench.last[AGREEMENT_FETCH].hash, bench.hidden, DIGEST_BYTES, "the newest");
  bench_wipe(&bench);
}

/* Who is locked can show the votes: it may be the last one who can. */
Test(agreement, nobody_is_bound_to_votes_that_it_does_not_hold) {
  struct bench bench;
  struct agreement_choice choice = open_with_a_missing_vote(&bench);
  for (uint8_t author = 1; author <= 3; author++) bench_say_choice(&bench, AGREEMENT_PREPARE, author, 0, &choice);
  cr_assert_null(bench_sent(&bench, AGREEMENT_SIGN, 0), "a quorum, and one vote is missing");
  bring_missing_vote(&bench);
  cr_assert_not_null(bench_sent(&bench, AGREEMENT_SIGN, 0));
  bench_wipe(&bench);
}

Test(agreement, votes_that_a_lock_or_the_proposal_names_must_stay) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  struct agreement_message proposal = bench_proposal(&bench, 7);
  struct agreement_vote other = bench_vote(&bench, 3, 1, 0, 0, bench.config.genesis);
  cr_assert_not(agreement_needs_vote(bench.machine, proposal.vector.votes[2].hash));
  cr_assert_eq(bench_say(&bench, &proposal), OUTCOME_OK);
  cr_assert(agreement_needs_vote(bench.machine, proposal.vector.votes[2].hash), "proposed");
  for (uint8_t author = 1; author <= 2; author++) bench_say_choice(&bench, AGREEMENT_PREPARE, author, 0, &proposal.choice);
  for (uint8_t author = 1; author <= 3; author++) bench_say_timeout(&bench, author, 0);
  cr_assert_eq(bench_summary(&bench).view, 1);
  cr_assert(agreement_needs_vote(bench.machine, proposal.vector.votes[2].hash), "locked");
  bench_restart(&bench, false);
  cr_assert(agreement_needs_vote(bench.machine, proposal.vector.votes[2].hash), "also after a restart");
  cr_assert_not(agreement_needs_vote(bench.machine, other.hash));
  bench_adopt(&bench, 1);
  cr_assert_not(agreement_needs_vote(bench.machine, proposal.vector.votes[2].hash), "the epoch is over");
  bench_wipe(&bench);
}

Test(agreement, another_digest_than_the_own_tally_s_is_not_prepared) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  struct agreement_message proposal = bench_proposal(&bench, ALL_FOUR);
  proposal.choice.digest[0] ^= 1;
  cr_assert_eq(bench_say(&bench, &proposal), OUTCOME_OK);
  cr_assert_null(bench_sent(&bench, AGREEMENT_PREPARE, 0));
  bench_wipe(&bench);
}

Test(agreement, views_double_up_to_the_cap) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  static const uint64_t lengths[] = {1, 2, 4, 4, 4};
  for (uint32_t view = 0; view < sizeof lengths / sizeof lengths[0]; view++) {
    instant end = bench.now + lengths[view] * SECONDS;
    bench_clear(&bench);
    bench_run(&bench, end - 1);
    cr_assert_null(bench_sent(&bench, AGREEMENT_TIMEOUT, 0), "view %u", view);
    bench_run(&bench, end);
    cr_assert_eq(bench_sent(&bench, AGREEMENT_TIMEOUT, 0)->view, view);
    bench_say_timeout(&bench, 2, view);
    cr_assert_eq(bench_summary(&bench).view, view, "two TIMEOUTs are no quorum");
    bench_say_timeout(&bench, 3, view);
    cr_assert_eq(bench_summary(&bench).view, view + 1);
  }
  bench_wipe(&bench);
}

Test(agreement, f_plus_1_timeouts_of_later_views_make_it_join) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  bench_say_timeout(&bench, 1, 1000);
  cr_assert_null(bench_sent(&bench, AGREEMENT_TIMEOUT, 0), "one may be a liar");
  bench_say_timeout(&bench, 2, 3);
  cr_assert_eq(bench_sent(&bench, AGREEMENT_TIMEOUT, 0)->view, 3);
  struct agreement_message proposal = bench_proposal(&bench, ALL_FOUR);
  bench_say(&bench, &proposal);
  cr_assert_null(bench_sent(&bench, AGREEMENT_PREPARE, 0), "nothing of view 0 after TIMEOUT of view 3");
  bench_wipe(&bench);
}

Test(agreement, nothing_is_signed_after_the_timeout) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  struct agreement_message proposal = bench_proposal(&bench, ALL_FOUR);
  bench_say(&bench, &proposal);
  bench_run(&bench, bench.now + SECONDS);
  bench_say_choice(&bench, AGREEMENT_PREPARE, 1, 0, &proposal.choice);
  bench_say_choice(&bench, AGREEMENT_PREPARE, 2, 0, &proposal.choice);
  cr_assert_null(bench_sent(&bench, AGREEMENT_SIGN, 0));
  cr_assert_not(bench_sent(&bench, AGREEMENT_TIMEOUT, 0)->lock.name.present);
  bench_wipe(&bench);
}

Test(agreement, a_timeout_carries_the_lock_and_its_proof) {
  struct bench bench;
  struct agreement_choice choice = bench_sign_in_view_0(&bench);
  bench_run(&bench, bench.now + SECONDS);
  const struct agreement_lock *lock = &bench_sent(&bench, AGREEMENT_TIMEOUT, 0)->lock;
  cr_assert(lock->name.present && lock->name.view == 0 && agreement_choice_equal(&lock->name.choice, &choice));
  cr_assert_eq(lock->prepares.count, 3);
  cr_assert_eq(lock->vector.count, 4);
  bench_wipe(&bench);
}

/* What authority 0 does with a proposal of view 1's leader, authority 2, made by `spoil` from one that is right. */
static enum outcome propose_in_view_1(bool locked, void (*spoil)(struct bench *, struct agreement_message *), bool *ret_prepared) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  struct agreement_lock lock;
  bench_lock(&bench, 0, 7, &lock);
  struct agreement_message message = bench_message(AGREEMENT_PROPOSE, 2, 1);
  bench_entry(&bench, 1, locked ? &lock : NULL, &message.entry);
  bench_vector(&bench, locked ? 7 : ALL_FOUR, &message.vector, &message.choice);
  if (spoil) spoil(&bench, &message);
  enum outcome outcome = bench_say(&bench, &message);
  *ret_prepared = bench_sent(&bench, AGREEMENT_PREPARE, 0) != NULL;
  cr_assert_eq(bench_summary(&bench).view, outcome == OUTCOME_OK ? 1 : 0);
  if (outcome != OUTCOME_OK) {
    bench_clear(&bench);
    bench_entry(&bench, 1, NULL, &message.entry);
    bench_vector(&bench, ALL_FOUR, &message.vector, &message.choice);
    cr_assert_eq(bench_say(&bench, &message), OUTCOME_STALE, "who signed a proposal that breaks a rule has no second try");
  }
  bench_wipe(&bench);
  return outcome;
}

static void other_vector(struct bench *bench, struct agreement_message *message) {
  bench_vector(bench, 11, &message->vector, &message->choice);
}
static void other_digest(struct bench *bench, struct agreement_message *message) {
  (void)bench;
  message->choice.digest[0] ^= 1;
}
static void few_timeouts(struct bench *bench, struct agreement_message *message) {
  (void)bench;
  message->entry.count--;
}
static void forged_timeout(struct bench *bench, struct agreement_message *message) {
  (void)bench;
  message->entry.timeouts[2].signature[5] ^= 1;
}
static void few_prepares(struct bench *bench, struct agreement_message *message) {
  (void)bench;
  message->entry.lock.prepares.count--;
}
static void forged_prepare(struct bench *bench, struct agreement_message *message) {
  (void)bench;
  message->entry.lock.prepares.list[1].bytes[0] ^= 1;
}
static void few_votes(struct bench *bench, struct agreement_message *message) {
  bench_vector(bench, 3, &message->vector, &message->choice);
}
static void forged_vote(struct bench *bench, struct agreement_message *message) {
  (void)bench;
  message->vector.votes[0].signature[0] ^= 1;
}
/* A lock from the future of its own TIMEOUT. */
static void later_lock(struct bench *bench, struct agreement_message *message) {
  struct agreement_lock lock;
  bench_lock(bench, 1, 7, &lock);
  bench_entry(bench, 1, &lock, &message->entry);
  message->entry.lock.prepares = lock.prepares;
}
/* The accused is named all the same. */
static void names_accused(struct bench *bench, struct agreement_message *message) {
  struct agreement_vote a = bench_vote(bench, 3, 1, 0, 1, bench->config.genesis), b = bench_vote(bench, 3, 1, 0, 2, bench->config.genesis);
  bool swapped = memcmp(a.hash, b.hash, DIGEST_BYTES) > 0;
  struct agreement_fault *fault = &message->faults.list[message->faults.count++];
  *fault = (struct agreement_fault){.author = 3, .epoch = 1};
  memcpy(fault->previous, bench->config.genesis, DIGEST_BYTES);
  for (int k = 0; k < 2; k++) {
    const struct agreement_vote *vote = (k == 0) != swapped ? &a : &b;
    memcpy(fault->votes[k].hash, vote->hash, DIGEST_BYTES);
    memcpy(fault->votes[k].signature, vote->signature, ED25519_SIGNATURE_BYTES);
  }
}
static void forged_fault(struct bench *bench, struct agreement_message *message) {
  names_accused(bench, message);
  message->faults.list[0].votes[1].signature[0] ^= 1;
  bench_vector(bench, 7, &message->vector, &message->choice);
}

Test(agreement, what_a_leader_may_propose_in_a_later_view) {
  static const struct { const char *name; bool locked; void (*spoil)(struct bench *, struct agreement_message *); enum outcome outcome; } cases[] = {
    {"free", false, NULL, OUTCOME_OK},
    {"the locked vector again", true, NULL, OUTCOME_OK},
    {"another vector than the lock's", true, other_vector, OUTCOME_PROTOCOL_VIOLATION},
    {"another digest than the lock's", true, other_digest, OUTCOME_PROTOCOL_VIOLATION},
    {"fewer than q TIMEOUTs", false, few_timeouts, OUTCOME_TOO_FEW_SIGNATURES},
    {"a forged TIMEOUT", false, forged_timeout, OUTCOME_BAD_SIGNATURE},
    {"a lock with fewer than q PREPAREs", true, few_prepares, OUTCOME_TOO_FEW_SIGNATURES},
    {"a lock with a forged PREPARE", true, forged_prepare, OUTCOME_BAD_SIGNATURE},
    {"a lock later than its TIMEOUT", true, later_lock, OUTCOME_PROTOCOL_VIOLATION},
    {"fewer than n - f votes", false, few_votes, OUTCOME_PROTOCOL_VIOLATION},
    {"a forged vote", false, forged_vote, OUTCOME_BAD_SIGNATURE},
    {"the vote of one that it accuses", false, names_accused, OUTCOME_PROTOCOL_VIOLATION},
    {"a forged proof of fault", false, forged_fault, OUTCOME_BAD_SIGNATURE},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    bool prepared;
    cr_assert_eq(propose_in_view_1(cases[i].locked, cases[i].spoil, &prepared), cases[i].outcome, "%s", cases[i].name);
    cr_assert_eq(prepared, cases[i].outcome == OUTCOME_OK, "%s", cases[i].name);
  }
}

Test(agreement, who_is_not_the_leader_proposes_nothing) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  struct agreement_message proposal = bench_proposal(&bench, ALL_FOUR);
  proposal.author = 2;
  cr_assert_eq(bench_say(&bench, &proposal), OUTCOME_PROTOCOL_VIOLATION);
  cr_assert_null(bench_sent(&bench, AGREEMENT_PREPARE, 0));
  bench_wipe(&bench);
}

Test(agreement, a_new_leader_proposes_the_lock_it_was_shown) {
  struct bench bench;
  bench_open(&bench, 4, 2);
  struct agreement_lock lock;
  bench_lock(&bench, 0, 11, &lock); /* a vector that it never saw proposed */
  struct agreement_message enter = bench_message(AGREEMENT_ENTER, 0, 1);
  bench_entry(&bench, 1, &lock, &enter.entry);
  cr_assert_eq(bench_receive(&bench, 3, &enter), OUTCOME_OK);
  const struct agreement_message *proposal = bench_sent(&bench, AGREEMENT_PROPOSE, 2);
  cr_assert_not_null(proposal);
  cr_assert_eq(proposal->view, 1);
  cr_assert(agreement_choice_equal(&proposal->choice, &lock.name.choice));
  bench_wipe(&bench);
}

Test(agreement, a_lock_with_another_vector_than_it_names_opens_nothing) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  struct agreement_lock lock;
  struct agreement_choice ignored;
  bench_lock(&bench, 0, 7, &lock);
  struct agreement_message enter = bench_message(AGREEMENT_ENTER, 0, 1);
  bench_entry(&bench, 1, &lock, &enter.entry);
  bench_vector(&bench, 11, &enter.entry.lock.vector, &ignored);
  cr_assert_eq(bench_receive(&bench, 3, &enter), OUTCOME_PROTOCOL_VIOLATION);
  struct agreement_message timeout = bench_message(AGREEMENT_TIMEOUT, 3, 0);
  timeout.lock = lock;
  timeout.lock.prepares.list[2].bytes[9] ^= 1;
  cr_assert_eq(bench_say(&bench, &timeout), OUTCOME_BAD_SIGNATURE);
  cr_assert_eq(bench_summary(&bench).timeouts, 0);
  bench_wipe(&bench);
}

static enum outcome vote_another_way(struct bench *bench, uint8_t author, uint8_t variant) {
  struct agreement_vote vote = bench_vote(bench, author, 1, 0, variant, bench->config.genesis);
  struct agreement_message message = bench_message(AGREEMENT_VOTE, author, 0);
  memcpy(message.hash, vote.hash, DIGEST_BYTES);
  memcpy(message.previous, bench->config.genesis, DIGEST_BYTES);
  return bench_say(bench, &message);
}

Test(agreement, two_votes_of_one_round_are_a_proof_for_24_epochs) {
  struct bench bench;
  bench_open(&bench, 4, 1);
  cr_assert_eq(vote_another_way(&bench, 3, 0), OUTCOME_OK);
  cr_assert_eq(bench.counts[AGREEMENT_ACCUSE], 0);
  cr_assert_eq(vote_another_way(&bench, 3, 1), OUTCOME_OK);
  cr_assert_eq(bench.counts[AGREEMENT_ACCUSE], 1);
  cr_assert_eq(bench.last[AGREEMENT_ACCUSE].to, 3);
  cr_assert_eq(vote_another_way(&bench, 3, 2), OUTCOME_STALE, "a third proves nothing more");
  bench_say_vote(&bench, 0);
  bench_say_vote(&bench, 2);
  const struct agreement_message *proposal = bench_sent(&bench, AGREEMENT_PROPOSE, 1);
  cr_assert_not_null(proposal, "without waiting for the liar");
  cr_assert_eq(proposal->vector.count, 3);
  cr_assert_eq(proposal->vector.votes[2].author, 2);
  cr_assert_eq(proposal->faults.count, 1);
  bench_restart(&bench, false);
  cr_assert_eq(bench_summary(&bench).accused, 8, "it outlives a restart");
  bench_adopt(&bench, 24);
  cr_assert_eq(bench_summary(&bench).accused, 8, "epoch 25");
  bench_adopt(&bench, 25);
  cr_assert_eq(bench_summary(&bench).accused, 0, "epoch 26");
  bench_wipe(&bench);
}

Test(agreement, who_lied_once_is_named_where_too_few_others_vote) {
  struct bench bench;
  bench_open(&bench, 4, 1);
  vote_another_way(&bench, 3, 0);
  vote_another_way(&bench, 3, 1);
  bench_say_vote(&bench, 0);
  cr_assert_null(bench_sent(&bench, AGREEMENT_PROPOSE, 1), "the fourth has a moment");
  bench_run(&bench, bench.now + bench.config.timing.view_first / 4);
  const struct agreement_message *proposal = bench_sent(&bench, AGREEMENT_PROPOSE, 1);
  cr_assert_not_null(proposal, "an authority that is gone and one that lied a day ago must not stop the network");
  cr_assert_eq(proposal->vector.count, 3);
  cr_assert_eq(proposal->vector.votes[2].author, 3);
  cr_assert_eq(proposal->faults.count, 0, "others would refuse a proposal that accuses whom it names");
  bench_wipe(&bench);
}

Test(agreement, signatures_of_two_views_decide_nothing) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  struct agreement_certificate mixed = bench_certificate(&bench, 1, 0, 1), other = bench_certificate(&bench, 1, 1, 1);
  mixed.signs.list[2] = other.signs.list[2];
  cr_assert_eq(bench_certify(&bench, &mixed), OUTCOME_BAD_SIGNATURE);
  struct agreement_certificate few = bench_certificate(&bench, 1, 0, 1);
  few.signs.count = 2;
  cr_assert_eq(bench_certify(&bench, &few), OUTCOME_TOO_FEW_SIGNATURES);
  for (uint8_t author = 1; author <= 3; author++) {
    struct agreement_message sign = bench_message(AGREEMENT_SIGN, author, author == 3);
    memcpy(sign.choice.digest, few.digest, DIGEST_BYTES);
    cr_assert_eq(bench_say(&bench, &sign), OUTCOME_OK);
  }
  cr_assert_eq(bench.counts[AGREEMENT_DECIDED] + bench.counts[AGREEMENT_BEHIND], 0);
  bench_wipe(&bench);
}

Test(agreement, a_second_consensus_of_the_newest_epoch_is_a_split) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  struct agreement_certificate one = bench_certificate(&bench, 1, 0, 1), other = bench_certificate(&bench, 1, 2, 2);
  cr_assert_eq(bench_certify(&bench, &one), OUTCOME_OK);
  cr_assert_eq(bench_certify(&bench, &other), OUTCOME_DIRECTORY_SPLIT);
  cr_assert_eq(agreement_adopt_decided(bench.machine, bench.now, &other, (struct date){0}), OUTCOME_DIRECTORY_SPLIT);
  bench_adopt(&bench, 1);
  cr_assert_eq(bench_certify(&bench, &one), OUTCOME_STALE);
  cr_assert_eq(bench_certify(&bench, &other), OUTCOME_DIRECTORY_SPLIT);
  other.signs.list[0].bytes[0] ^= 1;
  cr_assert_eq(bench_certify(&bench, &other), OUTCOME_BAD_SIGNATURE, "a forged one is none");
  bench_wipe(&bench);
}

Test(agreement, one_authority_alone_opens_no_epoch_for_others) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  bench_adopt(&bench, 1);
  for (uint8_t author = 1; author <= 2; author++) {
    cr_assert_not(bench_summary(&bench).open);
    struct agreement_message timeout = bench_message(AGREEMENT_TIMEOUT, author, 0);
    timeout.epoch = 2;
    cr_assert_eq(bench_say(&bench, &timeout), OUTCOME_OK);
  }
  cr_assert(bench_summary(&bench).open);
  bench_wipe(&bench);
}

Test(agreement, the_next_epoch_opens_when_the_last_is_an_interval_old) {
  struct bench bench;
  bench_open(&bench, 4, 0);
  struct agreement_certificate certificate = bench_certificate(&bench, 1, 0, 1);
  struct wall_clock clock = {.at = bench.now, .date = {1000000}};
  agreement_set_clock(bench.machine, bench.now, &clock);
  agreement_adopt_decided(bench.machine, bench.now, &certificate, (struct date){1000000 - 20000});
  cr_assert_eq(bench_summary(&bench).opens_at, bench.now + 40 * SECONDS);
  clock.date.milliseconds = 0; /* set back by many minutes */
  agreement_set_clock(bench.machine, bench.now, &clock);
  cr_assert_eq(bench_summary(&bench).opens_at, bench.now + 60 * SECONDS, "never later than an interval from now");
  clock.date.milliseconds = 90000000;
  agreement_set_clock(bench.machine, bench.now, &clock);
  cr_assert(bench_summary(&bench).open, "a clock that is ahead: now");
  bench_wipe(&bench);
}

