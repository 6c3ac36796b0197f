/* An authority and its disk: what it keeps there, and what it remembers when files are lost or it moves to another serial. */
#include <criterion/criterion.h>

#include "authority_place.h"
#include "directory/pack.h"
#include "tests/unit/protocol/failing_allocator.h"
#include "votes.h"

/* Authority number `author`'s vote of a round arrives. */
static struct agreement_vote bring_vote_of(struct place *place, uint64_t epoch, uint8_t author, uint32_t round, enum outcome expected) {
  struct vote_header header;
  struct seen_relay seen[FEW];
  enum outcome outcome;
  seen_relays(seen, &place->networks[0], FEW);
  seen_header(&header, &place->networks[0], author);
  header.epoch = epoch;
  header.round = round;
  memcpy(header.previous, place->networks[0].digest, DIGEST_BYTES);
  struct document *text = seen_vote_text(&header, author, seen, FEW);
  struct vote *vote = vote_parse(&place->networks[0], text, NULL, &outcome, NULL);
  cr_assert(vote, "%s", outcome_name(outcome));
  struct agreement_vote name = {.author = author, .round = round};
  memcpy(name.hash, vote_digest(vote), DIGEST_BYTES);
  cr_assert_eq(epoch_take_vote(place->authority, text), expected);
  vote_free(vote);
  document_release(text);
  return name;
}

static struct agreement_vote bring_vote(struct place *place, uint8_t author, uint32_t round, enum outcome expected) {
  return bring_vote_of(place, 1, author, round, expected);
}

static bool holds(struct place *place, const struct agreement_vote *vote) {
  struct agreement_tally tally = epoch_tally(place->authority);
  return tally.holds(tally.context, 1, place->networks[0].digest, vote);
}

/* [AUTH-17] */
Test(authority, a_vote_is_held_once_it_is_on_disk_and_after_a_power_cut) {
  struct place place;
  place_begin(&place, AGREEMENT_BALLOT_NEW);
  struct agreement_vote other = bring_vote(&place, 2, 0, OUTCOME_OK);
  cr_assert_not(holds(&place, &other), "a power cut would take it");
  place_run_disk(&place, true);
  cr_assert(holds(&place, &other));
  bring_vote(&place, 2, 0, OUTCOME_STALE);
  place_power_cut(&place);
  cr_assert(holds(&place, &other));
  place_end(&place);
}

Test(authority, a_vote_that_could_not_be_written_is_fetched_again) {
  struct place place;
  place_begin(&place, AGREEMENT_BALLOT_NEW);
  place_run_disk(&place, true);
  struct agreement_vote other = bring_vote(&place, 2, 0, OUTCOME_OK);
  place_run_disk(&place, false);
  cr_assert_not(holds(&place, &other));
  bring_vote(&place, 2, 0, OUTCOME_OK);
  place_run_disk(&place, true);
  cr_assert(holds(&place, &other));
  place_end(&place);
}

Test(authority, of_each_author_the_votes_of_four_rounds_are_kept) {
  struct place place;
  struct agreement_vote rounds[6];
  place_begin(&place, AGREEMENT_BALLOT_NEW);
  struct agreement_vote another = bring_vote(&place, 1, 0, OUTCOME_OK);
  for (uint32_t i = 0; i < 6; i++) rounds[i] = bring_vote(&place, 2, i, OUTCOME_OK);
  place_run_disk(&place, true);
  for (int cut = 0; cut < 2; cut++) {
    for (uint32_t i = 0; i < 6; i++) cr_assert_eq(holds(&place, &rounds[i]), i >= 2, "round %u", i);
    cr_assert(holds(&place, &another));
    place_power_cut(&place);
  }
  place_end(&place);
}

/* Else one liar, asked for its vote, could take away all others': those that a lock names, too, from the disk as well. */
Test(authority, a_vote_of_another_epoch_takes_no_other_s_place) {
  struct place place;
  place_begin(&place, AGREEMENT_BALLOT_NEW);
  struct agreement_vote other = bring_vote(&place, 2, 0, OUTCOME_OK);
  place_run_disk(&place, true);
  bring_vote_of(&place, 1000, 3, 0, OUTCOME_STALE);
  place_run_disk(&place, true);
  cr_expect(holds(&place, &other));
  bring_vote(&place, 2, 1, OUTCOME_OK);
  place_run_disk(&place, true);
  place_power_cut(&place);
  cr_expect(holds(&place, &other), "its file was not used again");
  place_end(&place);
}

static struct consensus *make_variant(struct place *place, uint64_t epoch, int64_t variant) { return place_consensus(place, epoch, variant, NULL); }
static struct consensus *make_consensus(struct place *place, uint64_t epoch) { return make_variant(place, epoch, 0); }

/* What is served; 0: nothing. */
static uint64_t served_epoch(const struct place *place) {
  const struct consensus *consensus = authority_consensus(place->authority);
  return consensus == NULL ? 0 : consensus_header(consensus)->epoch;
}

/* The driver takes the next write of a consensus; others are done. */
static struct effect take_consensus_write(struct place *place) {
  struct machine machine = authority_machine(place->authority);
  struct effect effect;
  while (machine.verbs->next_effect(machine.self, &effect)) {
    document_release(effect.document);
    if (effect.kind == EFFECT_WRITE_FILE && strcmp(effect.name, AUTHORITY_CONSENSUS_FILE) == 0) return effect;
  }
  cr_assert_fail("no consensus is to be written");
  return effect;
}

static void finish_write(struct place *place, const struct effect *write, bool good) {
  struct machine machine = authority_machine(place->authority);
  struct event event = {.kind = EVENT_WRITTEN, .id = write->id, .outcome = good ? OUTCOME_OK : OUTCOME_FILE_FAILED};
  machine.verbs->event(machine.self, place->now, &event);
}

static enum outcome cause(const struct place *place) {
  struct machine machine = authority_machine(place->authority);
  struct status status;
  machine.verbs->status(machine.self, place->now, &status);
  return status.cause;
}

/* [AUTH-7] The next one is decided while one is being written. */
Test(authority, of_two_consensuses_being_written_each_waits_for_its_own_write) {
  for (int good = 0; good < 2; good++) {
    struct place place;
    place_begin(&place, AGREEMENT_BALLOT_NEW);
    epoch_keep(place.authority, make_consensus(&place, 5));
    struct effect first = take_consensus_write(&place);
    epoch_keep(place.authority, make_consensus(&place, 6));
    struct effect second = take_consensus_write(&place);
    cr_expect_eq(served_epoch(&place), 0);
    finish_write(&place, &first, true);
    cr_expect_neq(served_epoch(&place), 6, "it is not on disk");
    finish_write(&place, &second, good == 1);
    cr_expect_eq(served_epoch(&place) == 6, good == 1);
    place_end(&place);
  }
}

/* [AGREE-28] Both are kept, also where the disk fails at first: with that file it does not start again. */
Test(authority, two_consensuses_of_one_epoch_stop_it_for_good) {
  for (int written = 0; written < 2; written++) {
    struct place place;
    place_begin(&place, AGREEMENT_BALLOT_NEW);
    struct consensus *first = make_variant(&place, 5, 0), *second = make_variant(&place, 5, 1);
    struct document *texts[2] = {document_take(consensus_text(first)), document_take(consensus_text(second))};
    struct document *packed = document_pack(document_bytes(texts[1]), document_len(texts[1]));
    consensus_release(second);
    epoch_keep(place.authority, first);
    if (written == 1) place_run_disk(&place, true);
    epoch_take_consensus(place.authority, place.now, packed);
    cr_expect(place.authority->split);
    place_run_disk(&place, false);
    cr_assert_null(place.split_proof);
    place_run(&place, SECONDS);
    cr_assert(place.split_proof);
    size_t len = document_len(texts[0]);
    cr_assert_eq(document_len(place.split_proof), len + document_len(texts[1]));
    cr_expect_arr_eq(document_bytes(place.split_proof), document_bytes(texts[0]), len);
    cr_expect_arr_eq(document_bytes(place.split_proof) + len, document_bytes(texts[1]), document_len(texts[1]));
    for (int i = 0; i < 2; i++) document_release(texts[i]);
    document_release(packed);
    place_end(&place);
  }
}

/* A slow disk: what waits to be written is decided, or fetched, again and again. */
Test(authority, a_consensus_that_is_being_written_is_not_written_again) {
  struct place place;
  place_begin(&place, AGREEMENT_BALLOT_NEW);
  epoch_keep(place.authority, make_consensus(&place, 6));
  struct effect write = take_consensus_write(&place);
  epoch_keep(place.authority, make_consensus(&place, 6));
  epoch_keep(place.authority, make_consensus(&place, 5));
  finish_write(&place, &write, true);
  cr_expect_eq(served_epoch(&place), 6);
  place_end(&place);
}

/* One that could not be written is written when it comes again. */
Test(authority, a_consensus_that_could_not_be_written_is_written_when_it_comes_again) {
  struct place place;
  place_begin(&place, AGREEMENT_BALLOT_NEW);
  for (int good = 0; good < 2; good++) {
    epoch_keep(place.authority, make_consensus(&place, 6));
    struct effect write = take_consensus_write(&place);
    finish_write(&place, &write, good == 1);
    cr_expect_eq(served_epoch(&place), good == 1 ? 6 : 0);
  }
  place_end(&place);
}

/* What is not on disk is not said: it takes part in nothing, and is not called ready. */
Test(authority, who_can_not_write_is_not_ready_and_says_why) {
  struct place place;
  place_begin(&place, AGREEMENT_BALLOT_NEW);
  epoch_keep(place.authority, make_consensus(&place, 6));
  struct effect write = take_consensus_write(&place);
  finish_write(&place, &write, false);
  cr_expect_eq(cause(&place), OUTCOME_FILE_FAILED);
  epoch_keep(place.authority, make_consensus(&place, 6));
  write = take_consensus_write(&place);
  finish_write(&place, &write, true);
  cr_expect_neq(cause(&place), OUTCOME_FILE_FAILED);
  place_end(&place);
}

static bool is_silent(const struct place *place) {
  struct agreement_summary summary;
  cr_assert(place->authority->agreement);
  agreement_summarise(place->authority->agreement, &summary);
  return summary.silent;
}

/* What the fetch was given. */
static void bring_to_fetch(struct place *place, uint64_t epoch) {
  fetch_set_consensus(place->authority->fetch, place->now, make_consensus(place, epoch));
  place_run(place, 0);
}

/* [AUTH-7] Nobody tells who takes no part a second time: to its fetch, what it fetched is nothing new. */
Test(authority, what_was_fetched_and_could_not_be_written_is_written_soon) {
  struct place place;
  place_make(&place, 1, MEMBERS);
  place_start(&place, AGREEMENT_BALLOT_NEW, NULL);
  place.loses_consensuses = true;
  bring_to_fetch(&place, 7);
  place_run(&place, SECONDS);
  cr_assert_eq(served_epoch(&place), 0);
  place.loses_consensuses = false;
  place_run(&place, SECONDS);
  cr_expect_eq(served_epoch(&place), 7);
  cr_expect(place.authority->agreement, "it has joined");
  place_end(&place);
}

Test(authority, network_files_that_could_not_be_written_are_written_soon) {
  struct place place;
  place_begin(&place, AGREEMENT_BALLOT_NEW);
  place_run_disk(&place, false);
  cr_assert_null(place.networks_text);
  place_run(&place, SECONDS);
  cr_expect(place.networks_text, "who took a file keeps it");
  place_end(&place);
}

/* [AGREE-32] Alone: what relays showed binds it, also while the disk does not take it. */
Test(authority, who_looks_says_nothing_in_an_epoch_whose_consensus_it_was_shown) {
  struct place place;
  place_make(&place, 0, 1);
  place_start(&place, AGREEMENT_BALLOT_LOST, make_consensus(&place, 4));
  cr_assert(is_silent(&place));
  place.loses_consensuses = true;
  bring_to_fetch(&place, 5);
  place_run(&place, MINUTES);
  cr_expect_null(place.votes[0], "there is a consensus of epoch 5");
  cr_expect_eq(served_epoch(&place), 4);
  place.loses_consensuses = false;
  place_run(&place, MINUTES);
  cr_expect_gt(served_epoch(&place), 5, "it speaks again, behind what it was shown");
  place_end(&place);
}

/* [AUTH-9] Memory that is short at that moment doesn't make it speak. */
Test(authority, who_is_silent_stays_silent_under_another_serial) {
  struct place place;
  static struct relay_entry entries[FEW];
  static struct exit_summary summaries[FEW];
  struct consensus_header header;
  struct agreement_summary summary;
  enum outcome outcome;
  place_begin(&place, AGREEMENT_BALLOT_LOST);
  sample_entries(entries, summaries, FEW);
  struct document *text = sample_consensus(&place.networks[0], &header, entries, FEW, MEMBERS, 0);
  place.authority->consensus = network_chain_consensus(place.chain, document_bytes(text), document_len(text), &outcome, NULL);
  cr_assert(place.authority->consensus, "%s", outcome_name(outcome));
  failing_allocator_fail(1, 1);
  cr_assert_eq(authority_follow_networks(place.authority, PLACE_START, false), OUTCOME_NO_MEMORY);
  cr_assert_eq(place.authority->network->serial, 2);
  place_run(&place, SECONDS);
  cr_assert(place.authority->agreement);
  agreement_summarise(place.authority->agreement, &summary);
  cr_assert_eq(summary.epoch, 8);
  cr_assert(summary.silent);
  document_release(text);
  place_end(&place);
}

/* Another authority, or a relay, has it: it is fetched. */
static void bring_consensus(struct place *place, uint64_t epoch) {
  epoch_keep(place->authority, make_consensus(place, epoch));
  place_run_disk(place, true);
  cr_assert_eq(served_epoch(place), epoch);
}

/* It joined with serial 2, which starts at epoch 8, voted there, and is started again without its consensus. */
static void begin_after_loss(struct place *place) {
  place_make(place, 1, MEMBERS);
  place_start(place, AGREEMENT_BALLOT_NEW, NULL);
  cr_assert_null(place->authority->agreement, "no authority of serial 1");
  place_find_running(place, FEW);
  bring_consensus(place, 7);
  cr_assert_not(is_silent(place));
  place_run(place, 10 * SECONDS);
  cr_assert(place->record && place->votes[0], "it voted");
  authority_free(place->authority);
}

/* [AUTH-18] Which epoch it is in is found out late; what was said there binds all the same. */
Test(authority, a_record_without_a_consensus_binds_who_joined_later) {
  struct place place;
  static struct agreement_ballot before, after;
  begin_after_loss(&place);
  place_read_record(&place, place.record, &before);
  cr_assert_eq(before.vote_next, 1);
  cr_assert_gt(before.timeout_next, 0);
  struct agreement_vote ours = {.author = 0};
  memcpy(ours.hash, before.vote_hash, DIGEST_BYTES);
  place_start(&place, AGREEMENT_BALLOT_READ, NULL);
  cr_assert_null(place.authority->agreement);
  bring_consensus(&place, 7);
  cr_expect_not(is_silent(&place), "nothing that binds is lost");
  struct agreement_tally tally = epoch_tally(place.authority);
  cr_expect(tally.holds(tally.context, 8, before.previous, &ours), "its vote is there for others to fetch");
  place_run(&place, 10 * SECONDS);
  place_read_record(&place, place.record, &after);
  cr_expect_eq(after.epoch, 8);
  place_end(&place);
}

/* [AUTH-15] Else it would list nobody until relays hand their descriptors in anew. */
Test(authority, who_joined_later_remembers_its_relays_when_it_takes_part_again) {
  struct place place;
  begin_after_loss(&place);
  place_start(&place, AGREEMENT_BALLOT_READ, NULL);
  cr_assert_null(place.authority->agreement);
  bring_consensus(&place, 7);
  cr_expect_eq(authority_running_count(place.authority), FEW);
  place_end(&place);
}

/* Strangers' bytes cause verbs: none of them makes it read all stored votes, again and again. */
Test(authority, without_memory_stored_votes_are_read_now_and_then) {
  struct place place;
  begin_after_loss(&place);
  place_start(&place, AGREEMENT_BALLOT_READ, NULL);
  epoch_keep(place.authority, make_consensus(&place, 7));
  struct effect write = take_consensus_write(&place);
  struct machine machine = authority_machine(place.authority);
  failing_allocator_fail(1, UINT32_MAX);
  finish_write(&place, &write, true);
  cr_assert_null(place.authority->agreement);
  uint64_t asked = failing_allocator_asked();
  for (int i = 0; i < 10; i++) machine.verbs->work(machine.self, place.now);
  cr_expect_eq(failing_allocator_asked(), asked);
  failing_allocator_fail(0, 0);
  place_run(&place, SECONDS);
  cr_assert(place.authority->agreement, "there is memory again");
  cr_expect_not(is_silent(&place));
  place_end(&place);
}

Test(authority, who_joined_later_and_lost_its_record_too_is_silent) {
  struct place place;
  begin_after_loss(&place);
  place_start(&place, AGREEMENT_BALLOT_LOST, NULL);
  bring_consensus(&place, 7);
  cr_expect(is_silent(&place));
  place_run(&place, 10 * SECONDS);
  place_end(&place);
}

/* Its record is of the epoch behind: that decides nothing anew, but it is what others ask for and what votes are counted from. */
Test(authority, who_lost_its_consensus_alone_serves_it_again_when_it_is_brought) {
  struct place place;
  place_begin(&place, AGREEMENT_BALLOT_NEW);
  bring_consensus(&place, 5);
  place_run(&place, 10 * SECONDS);
  authority_free(place.authority);
  place_start(&place, AGREEMENT_BALLOT_READ, NULL);
  bring_consensus(&place, 5);
  cr_expect_not(is_silent(&place));
  place_end(&place);
}

/* There is no record yet, but a consensus: as a relay has one. */
Test(authority, who_is_started_again_before_it_joins_lost_nothing) {
  struct place place;
  place_make(&place, 1, MEMBERS);
  place_start(&place, AGREEMENT_BALLOT_LOST, make_consensus(&place, 6));
  cr_assert_null(place.authority->agreement);
  bring_consensus(&place, 7);
  cr_expect_not(is_silent(&place));
  place_end(&place);
}

/* A disk that was set back: by its consensus and its network files it never took part, but it kept votes. */
Test(authority, who_kept_votes_and_has_no_record_is_silent) {
  struct place place;
  begin_after_loss(&place);
  place_start(&place, AGREEMENT_BALLOT_LOST, make_consensus(&place, 6));
  cr_assert_null(place.authority->agreement);
  bring_consensus(&place, 7);
  cr_expect(is_silent(&place));
  place_end(&place);
}

Test(authority, the_record_of_another_authority_is_as_good_as_lost) {
  struct place place;
  begin_after_loss(&place);
  static uint8_t bytes[AGREEMENT_BALLOT_MAX_BYTES];
  static struct agreement_ballot ballot;
  struct agreement_members members;
  uint8_t identities[MEMBERS][IDENTITY_BYTES];
  for (uint32_t i = 0; i < MEMBERS; i++) memcpy(identities[i], place.networks[1].authorities[i].identity, IDENTITY_BYTES);
  agreement_members_init(&members, place.networks[1].id, place.networks[1].serial, MEMBERS, identities);
  place_read_record(&place, place.record, &ballot);
  document_release(place.record);
  place.record = document_new(bytes, agreement_ballot_encode(&members, 1, &ballot, bytes, sizeof bytes));
  place_start(&place, AGREEMENT_BALLOT_READ, NULL);
  document_release(place.record);
  place.record = NULL;
  bring_consensus(&place, 7);
  cr_expect(is_silent(&place));
  place_end(&place);
}

/* Made from a full folder: votes, a record, a consensus, which is the authority's from the call on. */
static struct place full;

static uint32_t make_authority(void) {
  failing_allocator_pause(true);
  struct consensus *consensus = make_consensus(&full, 6);
  failing_allocator_pause(false);
  enum outcome outcome = place_try_start(&full, AGREEMENT_BALLOT_READ, consensus);
  cr_assert(full.authority != NULL ? outcome == OUTCOME_OK : outcome == OUTCOME_NO_MEMORY, "%s", outcome_name(outcome));
  authority_free(full.authority);
  full.authority = NULL;
  cr_assert_eq(memory_budget_used(&full.budget), 0);
  return outcome != OUTCOME_OK;
}

Test(authority, is_made_whole_or_not_at_all) {
  place_begin(&full, AGREEMENT_BALLOT_NEW);
  bring_vote(&full, 2, 0, OUTCOME_OK);
  place_run(&full, 2 * SECONDS);
  cr_assert_not_null(full.record);
  authority_free(full.authority);
  failing_allocator_try_every(make_authority, false); /* what it remembers of votes it may do without */
  place_end(&full);
}
