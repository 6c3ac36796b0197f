#include "directory/tally.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/seed.h"
#include "votes.h"

enum { AUTHORITIES = 4, VOTES = 3 }; /* n - f */

static struct network_file network;
static struct seen_relay seen[AUTHORITIES][SEEN_MAX];
static uint32_t counts[AUTHORITIES];
static struct consensus_header header;

static void begin(uint32_t relays) {
  sample_network(&network, AUTHORITIES);
  for (uint32_t i = 0; i < AUTHORITIES; i++) {
    seen_relays(seen[i], &network, relays);
    counts[i] = relays;
  }
}

static void input_init(struct tally_input *ret) {
  *ret = (struct tally_input){.network = &network, .epoch = SEEN_EPOCH, .vote_count = VOTES};
  sample_bytes(ret->previous, 'p', SEEN_EPOCH - 1);
  ret->previous_valid_after = sample_date("2026-11-22T23:00:00.000Z");
}

static void free_votes(struct tally_input *input) {
  for (uint32_t i = 0; i < input->vote_count; i++) vote_free((struct vote *)(uintptr_t)input->votes[i]);
}

/* Signed by all, and read as anyone would. */
static struct consensus *publish(struct document *text) {
  struct consensus_signature signatures[AUTHORITIES];
  enum outcome outcome;
  for (uint32_t i = 0; i < AUTHORITIES; i++) sample_sign(&signatures[i], &network, &header, i, 0);
  struct document *document = consensus_compose(text, signatures, AUTHORITIES);
  struct consensus *consensus = consensus_parse(&network, document_bytes(document), document_len(document), &outcome, NULL);
  cr_assert(consensus, "%s", outcome_name(outcome));
  document_release(document);
  document_release(text);
  return consensus;
}

/* What the first VOTES authorities' views result in. */
static struct consensus *count(void) {
  struct tally_input input;
  enum outcome outcome;
  input_init(&input);
  for (uint32_t i = 0; i < VOTES; i++) input.votes[i] = seen_vote(&network, i, seen[i], counts[i]);
  struct document *text = tally(&input, &header, &outcome);
  cr_assert_eq(outcome, OUTCOME_OK, "%s", outcome_name(outcome));
  free_votes(&input);
  return publish(text);
}

static const struct relay_entry *find(const struct consensus *consensus, uint32_t number) {
  return consensus_find(consensus, seen[0][number].descriptor.identity);
}

Test(tally, what_all_see_is_listed) {
  begin(5);
  struct consensus *consensus = count();
  cr_assert_eq(consensus_count(consensus), 5);
  cr_assert_eq(consensus_header(consensus)->epoch, SEEN_EPOCH);
  cr_assert_eq(consensus_header(consensus)->method, 1);
  for (uint32_t i = 0; i < 5; i++) {
    const struct relay_entry *entry = find(consensus, i);
    const struct descriptor *descriptor = &seen[0][i].descriptor;
    cr_assert(entry && memcmp(entry->link_key, descriptor->link_key, 32) == 0 && memcmp(entry->onion_key, descriptor->onion_key, 32) == 0);
    cr_assert_eq(entry->flags, seen[0][i].flags);
    cr_assert_str_eq(entry->nickname, descriptor->nickname);
    cr_assert(address_equal(&entry->address, &descriptor->address));
    cr_assert_eq(exit_summary_may_connect(entry->exit_summary, 80, false), i % 2 == 1);
  }
  consensus_release(consensus);
  begin(0);
  consensus = count();
  cr_assert_eq(consensus_count(consensus), 0);
  consensus_release(consensus);
}

/* [TALLY-4] */
Test(tally, more_than_half_decide_flags) {
  static const uint8_t FLAGS[] = {RELAY_RUNNING, RELAY_GUARD, RELAY_EXIT, RELAY_VALID};
  for (size_t f = 0; f < sizeof FLAGS; f++)
    for (uint32_t without = 0; without <= VOTES; without++) {
      begin(2);
      for (uint32_t i = 0; i < without; i++) seen[i][1].flags &= (uint8_t)~FLAGS[f];
      struct consensus *consensus = count();
      const struct relay_entry *entry = find(consensus, 1);
      bool has = without < 2;
      if (FLAGS[f] == RELAY_RUNNING || FLAGS[f] == RELAY_VALID) cr_assert_eq(entry != NULL, has);
      else cr_assert(entry && ((entry->flags & FLAGS[f]) != 0) == has);
      if (entry) cr_assert_eq(entry->exit_summary != NULL, (entry->flags & RELAY_EXIT) != 0);
      cr_assert_not_null(find(consensus, 0));
      consensus_release(consensus);
    }
  /* Voted an exit, but its policy allows nothing. */
  begin(2);
  for (uint32_t i = 0; i < VOTES; i++) seen[i][0].flags |= RELAY_EXIT;
  struct consensus *consensus = count();
  cr_assert(!(find(consensus, 0)->flags & RELAY_EXIT));
  consensus_release(consensus);
}

Test(tally, a_relay_that_one_authority_knows_is_not_listed) {
  begin(3);
  counts[1] = counts[2] = 2;
  struct consensus *consensus = count();
  cr_assert_null(find(consensus, 2));
  cr_assert_eq(consensus_count(consensus), 2);
  consensus_release(consensus);
  begin(3);
  counts[2] = 2;
  consensus = count();
  cr_assert_not_null(find(consensus, 2), "two of three");
  consensus_release(consensus);
}

/* [TALLY-5] */
Test(tally, newest_descriptor_wins) {
  begin(2);
  seen[1][0].descriptor.sequence = 9;
  seen[1][0].descriptor.onion_generation = 4;
  seen[2][0].descriptor.sequence = 8;
  struct consensus *consensus = count();
  cr_assert_eq(find(consensus, 0)->onion_generation, 4);
  consensus_release(consensus);
  /* Two of one number: the same one wins whoever brings it. */
  uint8_t won[2];
  for (uint32_t turn = 0; turn < 2; turn++) {
    begin(2);
    seen[turn][0].descriptor.onion_generation = 8;
    seen[1 - turn][0].descriptor.onion_generation = 9;
    seen[0][0].descriptor.sequence = seen[1][0].descriptor.sequence = 5;
    consensus = count();
    won[turn] = find(consensus, 0)->onion_generation;
    consensus_release(consensus);
  }
  cr_assert_eq(won[0], won[1]);
}

/* [TALLY-3] */
Test(tally, valid_after_is_the_low_median_and_rises) {
  static const struct { const char *proposals[VOTES], *expected; } TABLE[] = {
      {{"2026-11-23T00:00:03.000Z", "2026-11-23T00:00:01.000Z", "2026-11-23T00:00:02.000Z"}, "2026-11-23T00:00:02.000Z"},
      {{"9999-12-31T23:59:59.999Z", "2026-11-23T00:00:01.000Z", "2026-11-23T00:00:02.000Z"}, "2026-11-23T00:00:02.000Z"},
      {{"1970-01-01T00:00:00.000Z", "2026-11-23T00:00:01.000Z", "2026-11-23T00:00:02.000Z"}, "2026-11-23T00:00:01.000Z"},
      {{"2026-11-22T23:00:00.000Z", "2026-11-22T23:00:00.000Z", "2026-11-22T23:00:00.000Z"}, "2026-11-22T23:00:00.500Z"},
  };
  begin(1);
  for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
    struct tally_input input;
    enum outcome outcome;
    input_init(&input);
    for (uint32_t k = 0; k < VOTES; k++) {
      struct vote_header vote;
      seen_header(&vote, &network, k);
      vote.valid_after = sample_date(TABLE[i].proposals[k]);
      struct document *text = seen_vote_text(&vote, k, seen[k], counts[k]);
      input.votes[k] = vote_parse(&network, text, NULL, &outcome, NULL);
      document_release(text);
    }
    struct consensus *consensus = publish(tally(&input, &header, &outcome));
    const struct consensus_header *result = consensus_header(consensus);
    struct date expected = sample_date(TABLE[i].expected);
    cr_assert_eq(date_compare(result->valid_after, expected), 0, "case %zu", i);
    cr_assert_eq(date_compare(result->fresh_until, date_after(expected, network.timing.interval)), 0);
    cr_assert_eq(date_compare(result->valid_until, date_after(expected, network.timing.valid)), 0);
    consensus_release(consensus);
    free_votes(&input);
  }
}

/* [TALLY-6] */
Test(tally, shared_keys_and_addresses) {
  enum { LINK_KEY, ONION_KEY, CROSSED_KEYS, ADDRESS, OTHER_PORT, SHARED };
  for (int what = LINK_KEY; what < SHARED; what++)
    for (uint32_t fewer = 0; fewer < 2; fewer++) { /* how many authorities less call relay 1 running */
      begin(3);
      for (uint32_t i = 0; i < VOTES; i++) {
        struct descriptor *a = &seen[i][0].descriptor, *b = &seen[i][1].descriptor;
        if (what == LINK_KEY) memcpy(b->link_key, a->link_key, 32);
        if (what == ONION_KEY) memcpy(b->onion_key, a->onion_key, 32);
        if (what == CROSSED_KEYS) memcpy(b->onion_key, a->link_key, 32);
        if (what == ADDRESS || what == OTHER_PORT) b->address = a->address;
        if (what == OTHER_PORT) b->address.port++;
      }
      if (fewer) seen[2][1].flags &= (uint8_t)~RELAY_RUNNING;
      struct consensus *consensus = count();
      bool shares = what != OTHER_PORT;
      cr_assert_eq(find(consensus, 0) != NULL, !shares || fewer == 1, "case %d, %u", what, (unsigned)fewer);
      cr_assert_eq(find(consensus, 1) != NULL, !shares, "case %d, %u", what, (unsigned)fewer);
      cr_assert_not_null(find(consensus, 2));
      consensus_release(consensus);
    }
}

/* [TALLY-5] [TALLY-6] Relay 1 is the liar's, who alone shows its newest descriptor, and says that relay 0 does not run. */
Test(tally, a_liar_and_a_relay_of_his_take_out_no_other) {
  enum { LINK_KEY, ONION_KEY, CROSSED_KEYS, ADDRESS, CASES };
  for (int what = LINK_KEY; what < CASES; what++)
    for (uint32_t accused = 0; accused < 2; accused++) {
      begin(3);
      struct descriptor *victim = &seen[2][0].descriptor, *lie = &seen[2][1].descriptor;
      lie->sequence = 1000;
      if (what == LINK_KEY) memcpy(lie->link_key, victim->link_key, 32);
      if (what == ONION_KEY) memcpy(lie->onion_key, victim->onion_key, 32);
      if (what == CROSSED_KEYS) memcpy(lie->onion_key, victim->link_key, 32);
      if (what == ADDRESS) lie->address = victim->address;
      if (accused) seen[2][0].flags &= (uint8_t)~RELAY_RUNNING;
      struct consensus *consensus = count();
      cr_expect_not_null(find(consensus, 0), "case %d, %u", what, (unsigned)accused);
      cr_expect_not_null(find(consensus, 2));
      consensus_release(consensus);
    }
}

static void change_onion_key(struct descriptor *descriptor) {
  descriptor->sequence = 1000;
  memset(descriptor->onion_key, 0x77, sizeof descriptor->onion_key);
}

/* Relay 0 is listed with this onion key. */
static void expect_onion_key(const uint8_t *key, const char *why) {
  struct consensus *consensus = count();
  const struct relay_entry *entry = find(consensus, 0);
  cr_assert_not_null(entry);
  cr_expect_arr_eq(entry->onion_key, key, sizeof entry->onion_key, "%s", why);
  consensus_release(consensus);
}

/* [TALLY-5] Relay 0 has just changed its onion key, too late for the votes of all but the liar, whose relay 1 has the new one, too. */
Test(tally, nor_by_an_onion_key_that_he_alone_has_seen_yet) {
  begin(3);
  for (uint32_t relay = 0; relay < 2; relay++) change_onion_key(&seen[2][relay].descriptor);
  expect_onion_key(seen[0][0].descriptor.onion_key, "the one that more have seen is good until then");
}

/* [TALLY-5] While it changes, with as many votes for the old key as for the new one, it stays listed. */
Test(tally, an_onion_key_that_spreads_takes_out_nobody) {
  begin(2);
  change_onion_key(&seen[0][0].descriptor);
  seen[2][0].flags &= (uint8_t)~RELAY_RUNNING;
  expect_onion_key(seen[0][0].descriptor.onion_key, "of two that one vote each shows the newer");
}

/* [TALLY-5] */
Test(tally, a_place_that_one_authority_alone_shows_is_not_listed) {
  const struct address elsewhere = {.family = ADDRESS_IPV4, .bytes = {93, 184, 216, 34}, .port = 443};
  begin(2);
  seen[1][0].descriptor.sequence = 1000;
  seen[1][0].descriptor.address = elsewhere;
  struct consensus *consensus = count();
  cr_assert_not_null(find(consensus, 0));
  cr_expect(address_equal(&find(consensus, 0)->address, &seen[0][0].descriptor.address));
  consensus_release(consensus);
  /* To each authority another one, so that no two agree. */
  seen[2][0].descriptor.address.port++;
  consensus = count();
  cr_expect_null(find(consensus, 0));
  cr_expect_not_null(find(consensus, 1));
  consensus_release(consensus);
}

/* Anyone can name another's address as its second one, which nobody tests: that costs the other nothing. */
Test(tally, a_second_address_that_another_has_is_left_out) {
  enum { OF_ANOTHER, TWICE_SECOND, ITS_OWN, CASES };
  for (int what = OF_ANOTHER; what < CASES; what++) {
    begin(3);
    for (uint32_t i = 0; i < VOTES; i++) {
      struct descriptor *a = &seen[i][0].descriptor, *b = &seen[i][1].descriptor, *c = &seen[i][2].descriptor;
      struct address second = a->address;
      if (what != OF_ANOTHER) second.port = 9999;
      b->address = (struct address){.family = ADDRESS_IPV6, .bytes = {0xfc, 1}, .port = 443};
      b->other = second;
      if (what != TWICE_SECOND) continue;
      c->address = (struct address){.family = ADDRESS_IPV6, .bytes = {0xfc, 2}, .port = 443};
      c->other = second;
    }
    struct consensus *consensus = count();
    for (uint32_t i = 0; i < 3; i++) cr_assert_not_null(find(consensus, i), "case %d: relay %u", what, (unsigned)i);
    cr_expect_eq(find(consensus, 1)->other.family != ADDRESS_NONE, what == ITS_OWN, "case %d", what);
    cr_expect_eq(find(consensus, 2)->other.family, ADDRESS_NONE);
    consensus_release(consensus);
  }
}

static void measure(uint32_t relay, uint32_t authority, uint32_t weight) {
  seen[authority][relay].is_measured = true;
  seen[authority][relay].measured = weight;
}

/* [TALLY-7] */
Test(tally, weights) {
  begin(4);
  for (uint32_t i = 0; i < VOTES; i++) measure(0, i, 100 * (i + 1)); /* 100 200 300 */
  measure(1, 0, 500), measure(1, 2, 90000);                          /* f+1, one of them perhaps a lie */
  measure(2, 1, 90000);                                              /* one alone is not believed */
  struct consensus *consensus = count();
  cr_assert_eq(find(consensus, 0)->weight, 200);
  cr_assert_eq(find(consensus, 1)->weight, 500);
  /* Claims 1002 and 1003, under ten times the median of 200 and 500. */
  cr_assert_eq(find(consensus, 2)->weight, 1002);
  cr_assert_eq(find(consensus, 3)->weight, 1003);
  consensus_release(consensus);
  begin(4);
  for (uint32_t i = 0; i < VOTES; i++) measure(0, i, 7), measure(1, i, 0), seen[i][3].descriptor.bandwidth = RELAY_WEIGHT_MAX;
  consensus = count();
  cr_assert_eq(find(consensus, 0)->weight, 7);
  cr_assert_eq(find(consensus, 1)->weight, 1, "what runs weighs something");
  cr_assert_eq(find(consensus, 3)->weight, 1, "ten times a median of nothing");
  consensus_release(consensus);
  begin(4); /* nothing measured: the claims' own median is 1001 */
  for (uint32_t i = 0; i < VOTES; i++) seen[i][3].descriptor.bandwidth = RELAY_WEIGHT_MAX;
  consensus = count();
  cr_assert_eq(find(consensus, 0)->weight, 1000);
  cr_assert_eq(find(consensus, 3)->weight, 10010);
  consensus_release(consensus);
}

/* [TALLY-1], [TALLY-2] */
Test(tally, votes_that_do_not_belong_together) {
  enum { GOOD, TOO_FEW, ONE_AUTHOR, EPOCH, PREVIOUS, METHODS, MORE_METHODS, WRONGS };
  begin(1);
  for (int wrong = GOOD; wrong < WRONGS; wrong++) {
    struct tally_input input;
    enum outcome outcome;
    input_init(&input);
    for (uint32_t k = 0; k < VOTES; k++) {
      struct vote_header vote;
      uint32_t author = wrong == ONE_AUTHOR && k == 2 ? 0 : k;
      seen_header(&vote, &network, author);
      if (k == 1 && wrong == EPOCH) vote.epoch++;
      if (k == 1 && wrong == PREVIOUS) vote.previous[0] ^= 1;
      if (k == 1 && wrong == METHODS) vote.methods = 1 << 2;
      if (k == 1 && wrong == MORE_METHODS) vote.methods |= 1 << 2;
      struct document *text = seen_vote_text(&vote, author, seen[k], counts[k]);
      input.votes[k] = vote_parse(&network, text, NULL, &outcome, NULL);
      cr_assert_eq(outcome, OUTCOME_OK);
      document_release(text);
    }
    uint32_t made = input.vote_count;
    if (wrong == TOO_FEW) input.vote_count = VOTES - 1;
    struct document *text = tally(&input, &header, &outcome);
    bool good = wrong == GOOD || wrong == MORE_METHODS;
    cr_assert_eq(text != NULL, good, "case %d", wrong);
    cr_assert_eq(outcome, good ? OUTCOME_OK : OUTCOME_PROTOCOL_VIOLATION, "case %d", wrong);
    document_release(text);
    input.vote_count = made;
    free_votes(&input);
  }
}

static void blur(struct random_stream *random) {
  begin(SEEN_MAX);
  for (uint32_t i = 0; i < AUTHORITIES; i++) {
    for (uint32_t k = 0; k < SEEN_MAX; k++) {
      struct seen_relay *relay = &seen[i][k];
      relay->flags = (uint8_t)(random_below(random, 16) | (random_below(random, 4) ? RELAY_RUNNING | RELAY_VALID : 0));
      relay->is_measured = random_below(random, 2);
      relay->measured = relay->is_measured ? (uint32_t)random_below(random, 5000) : 0;
      relay->descriptor.sequence = 1 + random_below(random, 3);
      relay->descriptor.onion_generation = (uint8_t)random_below(random, 2);
      if (random_below(random, 8) == 0) relay->descriptor.address.bytes[3] = (uint8_t)random_below(random, SEEN_MAX);
    }
    counts[i] = (uint32_t)random_below(random, SEEN_MAX + 1);
  }
}

/* Whatever was voted: in any order the same bytes, which everyone accepts. */
Test(tally, any_votes_give_one_consensus) {
  struct random_stream random = test_random("tally");
  for (int round = 0; round < 20; round++) {
    struct tally_input input;
    enum outcome outcome;
    struct document *texts[2];
    blur(&random);
    input_init(&input);
    for (uint32_t i = 0; i < VOTES; i++) input.votes[i] = seen_vote(&network, i, seen[i], counts[i]);
    for (int turn = 0; turn < 2; turn++) {
      texts[turn] = tally(&input, &header, &outcome);
      cr_assert_eq(outcome, OUTCOME_OK);
      const struct vote *first = input.votes[0];
      input.votes[0] = input.votes[1];
      input.votes[1] = input.votes[2];
      input.votes[2] = first;
    }
    cr_assert(document_len(texts[0]) == document_len(texts[1]) && memcmp(document_bytes(texts[0]), document_bytes(texts[1]), document_len(texts[0])) == 0);
    document_release(texts[1]);
    consensus_release(publish(texts[0]));
    free_votes(&input);
  }
}
