/* An authority and its disk: what it keeps there, and what it remembers when files are lost or it moves to another serial. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "directory/agreement_ballot.h"
#include "directory/authority_internal.h"
#include "tests/unit/protocol/failing_allocator.h"
#include "votes.h"

enum { MEMBERS = 4, FEW = 3 };
static const instant START = 1000 * SECONDS;

/* Authority 0 of the sample network, and its folder. */
struct place {
  instant now;
  uint32_t first;    /* serial 1 has the authorities from this one on: 0, or 1 where we join with serial 2 */
  uint32_t members;  /* of each serial */
  bool loses_consensuses; /* writing one fails, whatever else works */
  struct network_file networks[2];
  struct network_chain *chain;
  struct link_self self;
  struct guarded_key *identity, *link;
  struct memory_budget budget;
  struct document *votes[AUTHORITY_VOTE_FILES], *record;
  struct document *networks_text; /* the file of them; NULL: not on disk */
  struct authority *authority;
};

static size_t sign(struct network_file *file, uint32_t first, uint32_t end, char text[SAMPLE_TEXT_BYTES]) {
  size_t len = network_file_format(file, text, SAMPLE_TEXT_BYTES);
  for (uint32_t i = first; i < end; i++) {
    uint8_t seed[32];
    sample_authority_seed(seed, i);
    len = network_file_sign(text, len, SAMPLE_TEXT_BYTES, seed);
  }
  cr_assert_eq(network_file_read_draft((uint8_t *)text, len, file, NULL, NULL), OUTCOME_OK);
  return len;
}

/* The second serial starts behind the sample consensus. */
static void make_networks(struct place *place) {
  static char text[SAMPLE_TEXT_BYTES];
  enum outcome outcome;
  uint32_t end = place->first + place->members;
  struct network_file *oldest = &place->networks[0];
  sample_network(oldest, end);
  oldest->authority_count = place->members;
  memmove(oldest->authorities, oldest->authorities + place->first, place->members * sizeof oldest->authorities[0]);
  place->chain = network_chain_new((uint8_t *)text, sign(oldest, place->first, end, text), &outcome, NULL);
  cr_assert(place->chain, "%s", outcome_name(outcome));
  sample_network(&place->networks[1], place->members);
  place->networks[1].serial = place->networks[0].serial + 1;
  place->networks[1].starts = 8;
  memcpy(place->networks[1].previous, place->networks[0].digest, DIGEST_BYTES);
  size_t len = sign(&place->networks[1], 0, end, text);
  cr_assert_eq(network_chain_take(place->chain, 0, (uint8_t *)text, len), OUTCOME_OK);
}

/* One reference to the consensus that was on disk moves in; NULL: none was. */
static void start(struct place *place, enum agreement_ballot_state state, struct consensus *consensus) {
  struct authority_config config = {.self = &place->self, .networks = place->chain, .identity_seed = place->identity, .budget = &place->budget,
                                    .ballot_state = state, .votes = place->votes, .consensus = consensus};
  struct wall_clock clock = {.at = START, .date = sample_date("2026-11-23T00:00:00.000Z")};
  enum outcome outcome;
  if (state == AGREEMENT_BALLOT_READ) {
    config.ballot = document_bytes(place->record);
    config.ballot_len = document_len(place->record);
  }
  place->authority = authority_new(&config, place->now, &clock, &outcome);
  cr_assert(place->authority, "%s", outcome_name(outcome));
}

static void make_place(struct place *place, uint32_t first, uint32_t members) {
  uint8_t seed[32];
  memset(place, 0, sizeof *place);
  cr_assert(crypto_start());
  place->now = START;
  place->first = first;
  place->members = members;
  make_networks(place);
  sample_authority_seed(seed, 0);
  place->identity = guarded_key_new(seed);
  place->link = guarded_key_new(seed);
  place->self.link_secret = place->link;
  memcpy(place->self.network, place->networks[0].id, sizeof place->self.network);
  memcpy(place->self.identity, place->networks[1].authorities[0].identity, IDENTITY_BYTES);
  memory_budget_init(&place->budget, 64 * 1024 * 1024);
}

/* In epoch 1. */
static void begin(struct place *place, enum agreement_ballot_state state) {
  make_place(place, 0, MEMBERS);
  start(place, state, NULL);
}

static void end(struct place *place) {
  authority_free(place->authority);
  network_chain_free(place->chain);
  guarded_key_free(place->identity);
  guarded_key_free(place->link);
  for (uint32_t i = 0; i < AUTHORITY_VOTE_FILES; i++) document_release(place->votes[i]);
  document_release(place->record);
  document_release(place->networks_text);
}

static void read_record(const struct place *place, const struct document *record, struct agreement_ballot *ret) {
  struct agreement_members members;
  uint8_t identities[MEMBERS][IDENTITY_BYTES];
  for (uint32_t i = 0; i < place->members; i++) memcpy(identities[i], place->networks[1].authorities[i].identity, IDENTITY_BYTES);
  agreement_members_init(&members, place->networks[1].id, place->networks[1].serial, place->members, identities);
  cr_assert_eq(agreement_ballot_decode(&members, 0, document_bytes(record), document_len(record), ret), OUTCOME_OK);
}

static void keep(struct document **file, struct document *written) {
  document_release(*file);
  *file = document_take(written);
}

/* In one epoch a record keeps what the one before it promised: else something may be said twice. */
static void keep_record(struct place *place, struct document *record) {
  static struct agreement_ballot old, new;
  read_record(place, record, &new);
  if (place->record != NULL) read_record(place, place->record, &old);
  if (place->record != NULL && old.epoch == new.epoch) {
    cr_expect(new.vote_next > old.vote_next || (new.vote_next == old.vote_next && memcmp(new.vote_hash, old.vote_hash, DIGEST_BYTES) == 0),
              "a vote in round %u, again", new.vote_next);
    cr_expect_geq(new.timeout_next, old.timeout_next);
  }
  keep(&place->record, record);
}

/* Carries out what is to be written; votes and the record are kept for the next start. `good`: the disk works. */
static void run_disk(struct place *place, bool good) {
  struct machine machine = authority_machine(place->authority);
  struct effect effect;
  while (machine.verbs->next_effect(machine.self, &effect)) {
    if (effect.kind != EFFECT_WRITE_FILE) continue;
    if (good && strcmp(effect.name, AUTHORITY_BALLOT_FILE) == 0) keep_record(place, effect.document);
    if (good && strcmp(effect.name, AUTHORITY_NETWORK_FILE) == 0) keep(&place->networks_text, effect.document);
    for (uint32_t i = 0; good && i < AUTHORITY_VOTE_FILES; i++) {
      char name[AUTHORITY_VOTE_NAME_BYTES];
      authority_vote_file(i, name);
      if (strcmp(name, effect.name) == 0) keep(&place->votes[i], effect.document);
    }
    bool is_lost = !good || (place->loses_consensuses && strcmp(effect.name, AUTHORITY_CONSENSUS_FILE) == 0);
    struct event event = {.kind = EVENT_WRITTEN, .id = effect.id, .outcome = is_lost ? OUTCOME_FILE_FAILED : OUTCOME_OK};
    document_release(effect.document);
    machine.verbs->event(machine.self, place->now, &event);
  }
}

/* Nobody else is there. */
static void run(struct place *place, uint64_t duration) {
  struct machine machine = authority_machine(place->authority);
  instant end = place->now + duration;
  run_disk(place, true);
  while (machine.verbs->deadline(machine.self) <= end) {
    if (machine.verbs->deadline(machine.self) > place->now) place->now = machine.verbs->deadline(machine.self);
    machine.verbs->tick(machine.self, place->now);
    run_disk(place, true);
  }
  place->now = end;
}

static void power_cut(struct place *place) {
  authority_free(place->authority);
  start(place, AGREEMENT_BALLOT_NEW, NULL);
}

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
  begin(&place, AGREEMENT_BALLOT_NEW);
  struct agreement_vote other = bring_vote(&place, 2, 0, OUTCOME_OK);
  cr_assert_not(holds(&place, &other), "a power cut would take it");
  run_disk(&place, true);
  cr_assert(holds(&place, &other));
  bring_vote(&place, 2, 0, OUTCOME_STALE);
  power_cut(&place);
  cr_assert(holds(&place, &other));
  end(&place);
}

Test(authority, a_vote_that_could_not_be_written_is_fetched_again) {
  struct place place;
  begin(&place, AGREEMENT_BALLOT_NEW);
  run_disk(&place, true);
  struct agreement_vote other = bring_vote(&place, 2, 0, OUTCOME_OK);
  run_disk(&place, false);
  cr_assert_not(holds(&place, &other));
  bring_vote(&place, 2, 0, OUTCOME_OK);
  run_disk(&place, true);
  cr_assert(holds(&place, &other));
  end(&place);
}

Test(authority, of_each_author_the_votes_of_four_rounds_are_kept) {
  struct place place;
  struct agreement_vote rounds[6];
  begin(&place, AGREEMENT_BALLOT_NEW);
  struct agreement_vote another = bring_vote(&place, 1, 0, OUTCOME_OK);
  for (uint32_t i = 0; i < 6; i++) rounds[i] = bring_vote(&place, 2, i, OUTCOME_OK);
  run_disk(&place, true);
  for (int cut = 0; cut < 2; cut++) {
    for (uint32_t i = 0; i < 6; i++) cr_assert_eq(holds(&place, &rounds[i]), i >= 2, "round %u", i);
    cr_assert(holds(&place, &another));
    power_cut(&place);
  }
  end(&place);
}

/* Else one liar, asked for its vote, could take away all others': those that a lock names, too, from the disk as well. */
Test(authority, a_vote_of_another_epoch_takes_no_other_s_place) {
  struct place place;
  begin(&place, AGREEMENT_BALLOT_NEW);
  struct agreement_vote other = bring_vote(&place, 2, 0, OUTCOME_OK);
  run_disk(&place, true);
  bring_vote_of(&place, 1000, 3, 0, OUTCOME_STALE);
  run_disk(&place, true);
  cr_expect(holds(&place, &other));
  bring_vote(&place, 2, 1, OUTCOME_OK);
  run_disk(&place, true);
  power_cut(&place);
  cr_expect(holds(&place, &other), "its file was not used again");
  end(&place);
}

static struct consensus *make_consensus(struct place *place, uint64_t epoch) {
  static struct relay_entry entries[FEW];
  static struct exit_summary summaries[FEW];
  const struct network_file *network = &place->networks[0];
  struct consensus_header header;
  struct consensus_signature signatures[MEMBERS];
  enum outcome outcome;
  sample_entries(entries, summaries, FEW);
  sample_header(&header, network, entries, FEW);
  header.epoch = epoch;
  struct document *text = consensus_format(network->id, &header, entries);
  for (uint32_t i = 0; i < place->members; i++) sample_sign(&signatures[i], network, &header, place->first + i, 0);
  struct document *whole = consensus_compose(text, signatures, place->members);
  struct consensus *consensus = network_chain_consensus(place->chain, document_bytes(whole), document_len(whole), &outcome, NULL);
  cr_assert(consensus, "%s", outcome_name(outcome));
  document_release(text);
  document_release(whole);
  return consensus;
}

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
    begin(&place, AGREEMENT_BALLOT_NEW);
    epoch_keep(place.authority, make_consensus(&place, 5));
    struct effect first = take_consensus_write(&place);
    epoch_keep(place.authority, make_consensus(&place, 6));
    struct effect second = take_consensus_write(&place);
    cr_expect_eq(served_epoch(&place), 0);
    finish_write(&place, &first, true);
    cr_expect_neq(served_epoch(&place), 6, "it is not on disk");
    finish_write(&place, &second, good == 1);
    cr_expect_eq(served_epoch(&place) == 6, good == 1);
    end(&place);
  }
}

/* A slow disk: what waits to be written is decided, or fetched, again and again. */
Test(authority, a_consensus_that_is_being_written_is_not_written_again) {
  struct place place;
  begin(&place, AGREEMENT_BALLOT_NEW);
  epoch_keep(place.authority, make_consensus(&place, 6));
  struct effect write = take_consensus_write(&place);
  epoch_keep(place.authority, make_consensus(&place, 6));
  epoch_keep(place.authority, make_consensus(&place, 5));
  finish_write(&place, &write, true);
  cr_expect_eq(served_epoch(&place), 6);
  end(&place);
}

/* One that could not be written is written when it comes again. */
Test(authority, a_consensus_that_could_not_be_written_is_written_when_it_comes_again) {
  struct place place;
  begin(&place, AGREEMENT_BALLOT_NEW);
  for (int good = 0; good < 2; good++) {
    epoch_keep(place.authority, make_consensus(&place, 6));
    struct effect write = take_consensus_write(&place);
    finish_write(&place, &write, good == 1);
    cr_expect_eq(served_epoch(&place), good == 1 ? 6 : 0);
  }
  end(&place);
}

/* What is not on disk is not said: it takes part in nothing, and is not called ready. */
Test(authority, who_can_not_write_is_not_ready_and_says_why) {
  struct place place;
  begin(&place, AGREEMENT_BALLOT_NEW);
  epoch_keep(place.authority, make_consensus(&place, 6));
  struct effect write = take_consensus_write(&place);
  finish_write(&place, &write, false);
  cr_expect_eq(cause(&place), OUTCOME_FILE_FAILED);
  epoch_keep(place.authority, make_consensus(&place, 6));
  write = take_consensus_write(&place);
  finish_write(&place, &write, true);
  cr_expect_neq(cause(&place), OUTCOME_FILE_FAILED);
  end(&place);
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
  run(place, 0);
}

/* [AUTH-7] Nobody tells who takes no part a second time: to its fetch, what it fetched is nothing new. */
Test(authority, what_was_fetched_and_could_not_be_written_is_written_soon) {
  struct place place;
  make_place(&place, 1, MEMBERS);
  start(&place, AGREEMENT_BALLOT_NEW, NULL);
  place.loses_consensuses = true;
  bring_to_fetch(&place, 7);
  run(&place, SECONDS);
  cr_assert_eq(served_epoch(&place), 0);
  place.loses_consensuses = false;
  run(&place, SECONDS);
  cr_expect_eq(served_epoch(&place), 7);
  cr_expect(place.authority->agreement, "it has joined");
  end(&place);
}

Test(authority, network_files_that_could_not_be_written_are_written_soon) {
  struct place place;
  begin(&place, AGREEMENT_BALLOT_NEW);
  run_disk(&place, false);
  cr_assert_null(place.networks_text);
  run(&place, SECONDS);
  cr_expect(place.networks_text, "who took a file keeps it");
  end(&place);
}

/* [AGREE-32] Alone: what relays showed binds it, also while the disk does not take it. */
Test(authority, who_looks_says_nothing_in_an_epoch_whose_consensus_it_was_shown) {
  struct place place;
  make_place(&place, 0, 1);
  start(&place, AGREEMENT_BALLOT_LOST, make_consensus(&place, 4));
  cr_assert(is_silent(&place));
  place.loses_consensuses = true;
  bring_to_fetch(&place, 5);
  run(&place, MINUTES);
  cr_expect_null(place.votes[0], "there is a consensus of epoch 5");
  cr_expect_eq(served_epoch(&place), 4);
  place.loses_consensuses = false;
  run(&place, MINUTES);
  cr_expect_gt(served_epoch(&place), 5, "it speaks again, behind what it was shown");
  end(&place);
}

/* [AUTH-9] Memory that is short at that moment doesn't make it speak. */
Test(authority, who_is_silent_stays_silent_under_another_serial) {
  struct place place;
  static struct relay_entry entries[FEW];
  static struct exit_summary summaries[FEW];
  struct consensus_header header;
  struct agreement_summary summary;
  enum outcome outcome;
  begin(&place, AGREEMENT_BALLOT_LOST);
  sample_entries(entries, summaries, FEW);
  struct document *text = sample_consensus(&place.networks[0], &header, entries, FEW, MEMBERS, 0);
  place.authority->consensus = network_chain_consensus(place.chain, document_bytes(text), document_len(text), &outcome, NULL);
  cr_assert(place.authority->consensus, "%s", outcome_name(outcome));
  failing_allocator_fail(1, 1);
  cr_assert_eq(authority_follow_networks(place.authority, START, false), OUTCOME_NO_MEMORY);
  cr_assert_eq(place.authority->network->serial, 2);
  run(&place, SECONDS);
  cr_assert(place.authority->agreement);
  agreement_summarise(place.authority->agreement, &summary);
  cr_assert_eq(summary.epoch, 8);
  cr_assert(summary.silent);
  document_release(text);
  end(&place);
}

/* Another authority, or a relay, has it: it is fetched. */
static void bring_consensus(struct place *place, uint64_t epoch) {
  epoch_keep(place->authority, make_consensus(place, epoch));
  run_disk(place, true);
  cr_assert_eq(served_epoch(place), epoch);
}

/* Relays that handed their descriptors in, and run. */
static void find_running(struct place *place, uint32_t count) {
  static char text[LIMIT_DESCRIPTOR_BYTES];
  uint32_t cursor = 0;
  struct id id;
  struct known_relay *relay;
  for (uint32_t i = 0; i < count; i++) {
    struct descriptor descriptor;
    sample_descriptor(&descriptor, &place->networks[0], i);
    struct document *document = document_new(text, sample_descriptor_text(&descriptor, i, text, sizeof text));
    cr_assert_eq(relays_take_descriptor(place->authority, place->now, document, &descriptor, &descriptor.address), OUTCOME_OK);
    document_release(document);
  }
  while ((relay = id_table_next(&place->authority->relays, &cursor, &id)) != NULL) relay->has_run = relay->is_running = true;
}

/* It joined with serial 2, which starts at epoch 8, voted there, and is started again without its consensus. */
static void begin_after_loss(struct place *place) {
  make_place(place, 1, MEMBERS);
  start(place, AGREEMENT_BALLOT_NEW, NULL);
  cr_assert_null(place->authority->agreement, "no authority of serial 1");
  find_running(place, FEW);
  bring_consensus(place, 7);
  cr_assert_not(is_silent(place));
  run(place, 10 * SECONDS);
  cr_assert(place->record && place->votes[0], "it voted");
  authority_free(place->authority);
}

/* [AUTH-18] Which epoch it is in is found out late; what was said there binds all the same. */
Test(authority, a_record_without_a_consensus_binds_who_joined_later) {
  struct place place;
  static struct agreement_ballot before, after;
  begin_after_loss(&place);
  read_record(&place, place.record, &before);
  cr_assert_eq(before.vote_next, 1);
  cr_assert_gt(before.timeout_next, 0);
  struct agreement_vote ours = {.author = 0};
  memcpy(ours.hash, before.vote_hash, DIGEST_BYTES);
  start(&place, AGREEMENT_BALLOT_READ, NULL);
  cr_assert_null(place.authority->agreement);
  bring_consensus(&place, 7);
  cr_expect_not(is_silent(&place), "nothing that binds is lost");
  struct agreement_tally tally = epoch_tally(place.authority);
  cr_expect(tally.holds(tally.context, 8, before.previous, &ours), "its vote is there for others to fetch");
  run(&place, 10 * SECONDS);
  read_record(&place, place.record, &after);
  cr_expect_eq(after.epoch, 8);
  end(&place);
}

/* [AUTH-15] Else it would list nobody until relays hand their descriptors in anew. */
Test(authority, who_joined_later_remembers_its_relays_when_it_takes_part_again) {
  struct place place;
  begin_after_loss(&place);
  start(&place, AGREEMENT_BALLOT_READ, NULL);
  cr_assert_null(place.authority->agreement);
  bring_consensus(&place, 7);
  cr_expect_eq(authority_running_count(place.authority), FEW);
  end(&place);
}

/* Strangers' bytes cause verbs: none of them makes it read all stored votes, again and again. */
Test(authority, without_memory_stored_votes_are_read_now_and_then) {
  struct place place;
  begin_after_loss(&place);
  start(&place, AGREEMENT_BALLOT_READ, NULL);
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
  run(&place, SECONDS);
  cr_assert(place.authority->agreement, "there is memory again");
  cr_expect_not(is_silent(&place));
  end(&place);
}

Test(authority, who_joined_later_and_lost_its_record_too_is_silent) {
  struct place place;
  begin_after_loss(&place);
  start(&place, AGREEMENT_BALLOT_LOST, NULL);
  bring_consensus(&place, 7);
  cr_expect(is_silent(&place));
  run(&place, 10 * SECONDS);
  end(&place);
}

/* There is no record yet, but a consensus: as a relay has one. */
Test(authority, who_is_started_again_before_it_joins_lost_nothing) {
  struct place place;
  make_place(&place, 1, MEMBERS);
  start(&place, AGREEMENT_BALLOT_LOST, make_consensus(&place, 6));
  cr_assert_null(place.authority->agreement);
  bring_consensus(&place, 7);
  cr_expect_not(is_silent(&place));
  end(&place);
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
  read_record(&place, place.record, &ballot);
  document_release(place.record);
  place.record = document_new(bytes, agreement_ballot_encode(&members, 1, &ballot, bytes, sizeof bytes));
  start(&place, AGREEMENT_BALLOT_READ, NULL);
  document_release(place.record);
  place.record = NULL;
  bring_consensus(&place, 7);
  cr_expect(is_silent(&place));
  end(&place);
}
