#include "client/path.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "tests/unit/client/sample_relays.h"
#include "tests/unit/seed.h"

static struct sample_relays relays;

static bool same_16(const struct relay_entry *a, const struct relay_entry *b) { return memcmp(a->address.bytes, b->address.bytes, 2) == 0; }

static bool share_family(const struct relay_entry *a, const struct relay_entry *b) {
  return a->family_count > 0 && b->family_count > 0 && memcmp(a->families, b->families, 8) == 0;
}

static const struct relay_entry *any_guard(const struct consensus *consensus, struct random_stream *random) {
  return consensus_pick(consensus, POSITION_GUARD, random_below(random, consensus_total(consensus, POSITION_GUARD)));
}

Test(path, every_path_keeps_every_rule) {
  struct random_stream random = test_random("paths");
  sample_relays_many(&relays, 600, &random);
  struct consensus *consensus = sample_relays_consensus(&relays, 0);
  for (int i = 0; i < 5000; i++) {
    struct path path;
    struct path_request request = {.guard = any_guard(consensus, &random), .port = i % 2 ? 443 : 80};
    cr_assert_eq(path_choose(consensus, &random, &request, &path), OUTCOME_OK);
    const struct relay_entry **hops = path.hops;
    cr_assert_eq(hops[0], request.guard);
    cr_assert(hops[2]->flags & RELAY_EXIT);
    for (int a = 0; a < 3; a++)
      for (int b = a + 1; b < 3; b++) {
        cr_assert_neq(hops[a], hops[b]);
        cr_assert_not(same_16(hops[a], hops[b]));
        cr_assert_not(share_family(hops[a], hops[b]));
      }
  }
  consensus_release(consensus);
}

/* Exits without families in neighbourhoods of their own: the guard takes away nothing. */
Test(path, relays_are_drawn_by_their_weight) {
  enum { EXITS = 20, DRAWS = 40000 };
  struct random_stream random = test_random("weights");
  uint32_t counts[2 * EXITS + 1] = {0};
  double total = 0, chi_square = 0;
  sample_relay_add(&relays, RELAY_GUARD, 1000, 0, 0);
  for (uint32_t i = 0; i < EXITS; i++) sample_relay_add(&relays, RELAY_EXIT, 100 * (i + 1), 80, 80);
  for (uint32_t i = 0; i < EXITS; i++) sample_relay_add(&relays, 0, 1000, 80, 80);
  struct consensus *consensus = sample_relays_consensus(&relays, 0);
  struct path_request request = {.guard = any_guard(consensus, &random), .port = 80};
  for (int i = 0; i < DRAWS; i++) {
    struct path path;
    cr_assert_eq(path_choose(consensus, &random, &request, &path), OUTCOME_OK);
    for (uint32_t k = 0; k < consensus_count(consensus); k++) counts[k] += consensus_at(consensus, k) == path.hops[2];
  }
  for (uint32_t k = 0; k < consensus_count(consensus); k++) total += (double)relay_entry_weight(consensus, consensus_at(consensus, k), POSITION_EXIT);
  for (uint32_t k = 0; k < consensus_count(consensus); k++) {
    double expected = DRAWS * (double)relay_entry_weight(consensus, consensus_at(consensus, k), POSITION_EXIT) / total;
    if (expected > 0) chi_square += (counts[k] - expected) * (counts[k] - expected) / expected;
    else cr_assert_eq(counts[k], 0);
  }
  /* 19 degrees of freedom: above 59 once in 180,000 runs. */
  cr_expect_lt(chi_square, 59.0, "chi-square %.1f", chi_square);
  consensus_release(consensus);
}

Test(path, the_one_exit_that_allows_a_port_is_found) {
  struct random_stream random = test_random("rare");
  sample_relays_many(&relays, 600, &random);
  struct relay_entry *rare = sample_relay_add(&relays, RELAY_EXIT, 1, 7777, 7777);
  uint8_t identity[IDENTITY_BYTES];
  memcpy(identity, rare->identity, IDENTITY_BYTES);
  struct consensus *consensus = sample_relays_consensus(&relays, 0);
  for (int i = 0; i < 50; i++) {
    struct path path;
    struct path_request request = {.guard = any_guard(consensus, &random), .port = 7777};
    cr_assert_eq(path_choose(consensus, &random, &request, &path), OUTCOME_OK);
    cr_expect_arr_eq(path.hops[2]->identity, identity, IDENTITY_BYTES);
  }
  consensus_release(consensus);
}

/* [PATH-6] By weight, and by the consensus of now: an answer that was given before is not given of another one. */
Test(path, a_port_is_common_where_half_of_the_exits_allow_it) {
  struct path_ports ports = {0};
  for (int round = 0; round < 2; round++) {
    relays.count = 0;
    sample_relay_add(&relays, RELAY_EXIT, 100, 1, round == 0 ? 20 : 10);
    sample_relay_add(&relays, RELAY_EXIT, 99, 1, 10);
    sample_relay_add(&relays, RELAY_GUARD, 500, 0, 0);
    struct consensus *consensus = sample_relays_consensus(&relays, round);
    cr_expect(path_port_is_common(&ports, consensus, 0, false));
    for (int again = 0; again < 2; again++)
      for (uint16_t port = 1; port <= 30; port++)
        cr_expect_eq(path_port_is_common(&ports, consensus, port, false), port <= 10 || (port <= 20 && round == 0), "port %u", port);
    cr_expect_not(path_port_is_common(&ports, consensus, 5, true));
    consensus_release(consensus);
  }
}

Test(path, says_why_there_is_none) {
  struct random_stream random = test_random("none");
  sample_relay_add(&relays, RELAY_GUARD, 100, 0, 0);
  sample_relay_add(&relays, RELAY_EXIT, 100, 80, 443);
  struct consensus *consensus = sample_relays_consensus(&relays, 0);
  struct path path;
  struct path_request request = {.guard = any_guard(consensus, &random), .port = 80};
  cr_expect_eq(path_choose(consensus, &random, &request, &path), OUTCOME_NOT_ENOUGH_RELAYS, "no middle");
  request.port = 25;
  cr_expect_eq(path_choose(consensus, &random, &request, &path), OUTCOME_NO_EXIT_FOR_PORT);
  request = (struct path_request){.guard = request.guard, .port = 80, .is_private = true};
  cr_expect_eq(path_choose(consensus, &random, &request, &path), OUTCOME_NO_EXIT_FOR_PORT, "nobody allows private addresses");
  consensus_release(consensus);
}

Test(path, the_exit_is_never_the_guard) {
  struct random_stream random = test_random("guard is exit");
  sample_relay_add(&relays, RELAY_EXIT | RELAY_GUARD, 100, 80, 443);
  sample_relay_add(&relays, 0, 100, 0, 0);
  sample_relay_add(&relays, 0, 100, 0, 0);
  struct consensus *consensus = sample_relays_consensus(&relays, 0);
  struct path path;
  struct path_request request = {.port = 80};
  for (uint32_t i = 0; i < 3; i++)
    if (consensus_at(consensus, i)->flags & RELAY_EXIT) request.guard = consensus_at(consensus, i);
  cr_expect_eq(path_choose(consensus, &random, &request, &path), OUTCOME_NOT_ENOUGH_RELAYS);
  consensus_release(consensus);
}

Test(path, neighbours_may_meet_in_a_lab_alone) {
  struct random_stream random = test_random("lab");
  sample_relay_add(&relays, RELAY_GUARD, 100, 0, 0)->address.bytes[1] = 0;
  sample_relay_add(&relays, RELAY_EXIT, 100, 80, 443)->address.bytes[1] = 0;
  sample_relay_add(&relays, 0, 100, 0, 0)->address.bytes[1] = 0;
  struct consensus *consensus = sample_relays_consensus(&relays, 0);
  struct path path;
  struct path_request request = {.guard = any_guard(consensus, &random), .port = 80};
  cr_expect_eq(path_choose(consensus, &random, &request, &path), OUTCOME_NOT_ENOUGH_RELAYS);
  request.is_lab = true;
  cr_expect_eq(path_choose(consensus, &random, &request, &path), OUTCOME_OK);
  consensus_release(consensus);
}

Test(path, a_second_address_makes_neighbours_too) {
  struct relay_entry a = {.identity = {1}, .address = {.family = ADDRESS_IPV4, .bytes = {1, 2, 3, 4}}};
  struct relay_entry b = {.identity = {2}, .address = {.family = ADDRESS_IPV4, .bytes = {5, 6, 7, 8}}};
  cr_expect_not(path_conflict(&a, &b, false));
  a.other = (struct address){.family = ADDRESS_IPV6, .bytes = {0x20, 1, 0xd, 0xb9, 1}};
  b.other = (struct address){.family = ADDRESS_IPV6, .bytes = {0x20, 1, 0xd, 0xb9, 2}};
  cr_expect(path_conflict(&a, &b, false));
  cr_expect_not(path_conflict(&a, &b, true));
}

Test(path, those_to_avoid_are_avoided) {
  struct random_stream random = test_random("avoid");
  sample_relay_add(&relays, RELAY_GUARD, 100, 0, 0);
  sample_relay_add(&relays, RELAY_EXIT, 1000000, 80, 443);
  sample_relay_add(&relays, RELAY_EXIT, 1, 80, 443);
  sample_relay_add(&relays, 0, 1000000, 0, 0);
  sample_relay_add(&relays, 0, 1, 0, 0);
  struct path_avoided exits = {.count = 1}, middles = {.count = 1};
  memcpy(exits.identities[0], relays.entries[1].identity, IDENTITY_BYTES);
  memcpy(middles.identities[0], relays.entries[3].identity, IDENTITY_BYTES);
  struct consensus *consensus = sample_relays_consensus(&relays, 0);
  struct path_request request = {.guard = any_guard(consensus, &random), .port = 80, .exits = &exits, .middles = &middles};
  for (int i = 0; i < 100; i++) {
    struct path path;
    cr_assert_eq(path_choose(consensus, &random, &request, &path), OUTCOME_OK);
    cr_assert(memcmp(path.hops[2]->identity, exits.identities[0], IDENTITY_BYTES) != 0);
    cr_assert(memcmp(path.hops[1]->identity, middles.identities[0], IDENTITY_BYTES) != 0);
  }
  consensus_release(consensus);
}
