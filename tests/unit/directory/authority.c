/* An authority and its disk: the votes that it keeps there, and what it remembers when it moves to another serial without memory. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "directory/authority_internal.h"
#include "tests/unit/protocol/failing_allocator.h"
#include "votes.h"

enum { MEMBERS = 4, FEW = 3 };
static const instant START = 1000 * SECONDS;

/* Authority 0 of the sample network, in epoch 1, and its folder. */
struct place {
  struct network_file networks[2];
  struct network_chain *chain;
  struct link_self self;
  struct guarded_key *identity, *link;
  struct memory_budget budget;
  struct document *votes[AUTHORITY_VOTE_FILES];
  struct authority *authority;
};

static size_t sign(struct network_file *file, char text[SAMPLE_TEXT_BYTES]) {
  size_t len = network_file_format(file, text, SAMPLE_TEXT_BYTES);
  for (uint32_t i = 0; i < MEMBERS; i++) {
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
  sample_network(&place->networks[0], MEMBERS);
  place->chain = network_chain_new((uint8_t *)text, sign(&place->networks[0], text), &outcome, NULL);
  cr_assert(place->chain, "%s", outcome_name(outcome));
  sample_network(&place->networks[1], MEMBERS);
  place->networks[1].serial = place->networks[0].serial + 1;
  place->networks[1].starts = 8;
  memcpy(place->networks[1].previous, place->networks[0].digest, DIGEST_BYTES);
  size_t len = sign(&place->networks[1], text);
  cr_assert_eq(network_chain_take(place->chain, 0, (uint8_t *)text, len), OUTCOME_OK);
}

static void start(struct place *place, enum agreement_ballot_state state) {
  struct authority_config config = {.self = &place->self, .networks = place->chain, .identity_seed = place->identity, .budget = &place->budget,
                                    .ballot_state = state, .votes = place->votes};
  struct wall_clock clock = {.at = START, .date = sample_date("2026-11-23T00:00:00.000Z")};
  enum outcome outcome;
  place->authority = authority_new(&config, START, &clock, &outcome);
  cr_assert(place->authority, "%s", outcome_name(outcome));
}

static void begin(struct place *place, enum agreement_ballot_state state) {
  uint8_t seed[32];
  memset(place, 0, sizeof *place);
  cr_assert(crypto_start());
  make_networks(place);
  sample_authority_seed(seed, 0);
  place->identity = guarded_key_new(seed);
  place->link = guarded_key_new(seed);
  place->self.link_secret = place->link;
  memcpy(place->self.network, place->networks[0].id, sizeof place->self.network);
  memcpy(place->self.identity, place->networks[0].authorities[0].identity, IDENTITY_BYTES);
  memory_budget_init(&place->budget, 64 * 1024 * 1024);
  start(place, state);
}

static void end(struct place *place) {
  authority_free(place->authority);
  network_chain_free(place->chain);
  guarded_key_free(place->identity);
  guarded_key_free(place->link);
  for (uint32_t i = 0; i < AUTHORITY_VOTE_FILES; i++) document_release(place->votes[i]);
}

/* Carries out what is to be written; the votes of others are kept for the next start. `good`: the disk works. */
static void run_disk(struct place *place, bool good) {
  struct machine machine = authority_machine(place->authority);
  struct effect effect;
  while (machine.verbs->next_effect(machine.self, &effect)) {
    if (effect.kind != EFFECT_WRITE_FILE) continue;
    for (uint32_t i = 0; good && i < AUTHORITY_VOTE_FILES; i++) {
      char name[AUTHORITY_VOTE_NAME_BYTES];
      authority_vote_file(i, name);
      if (strcmp(name, effect.name) != 0) continue;
      document_release(place->votes[i]);
      place->votes[i] = document_take(effect.document);
    }
    struct event event = {.kind = EVENT_WRITTEN, .id = effect.id, .outcome = good ? OUTCOME_OK : OUTCOME_FILE_FAILED};
    document_release(effect.document);
    machine.verbs->event(machine.self, START, &event);
  }
}

static void power_cut(struct place *place) {
  authority_free(place->authority);
  start(place, AGREEMENT_BALLOT_NEW);
}

/* Authority number `author`'s vote of a round arrives. */
static struct agreement_vote bring_vote(struct place *place, uint8_t author, uint32_t round, enum outcome expected) {
  struct vote_header header;
  struct seen_relay seen[FEW];
  enum outcome outcome;
  seen_relays(seen, &place->networks[0], FEW);
  seen_header(&header, &place->networks[0], author);
  header.epoch = 1;
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
  for (uint32_t i = 0; i < MEMBERS; i++) sample_sign(&signatures[i], network, &header, i, 0);
  struct document *whole = consensus_compose(text, signatures, MEMBERS);
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
  machine.verbs->event(machine.self, START, &event);
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
  cr_assert_eq(authority_follow_networks(place.authority, START, false), OUTCOME_OK);
  agreement_summarise(place.authority->agreement, &summary);
  cr_assert_eq(summary.epoch, 8);
  cr_assert(summary.silent);
  document_release(text);
  end(&place);
}
