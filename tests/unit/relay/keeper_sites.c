/* Who has one IPv6 /48, with its 65,536 /64s, gets a part of a relay's links: specs/limits.md [LIMIT-5]. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "relay/keeper_internal.h"
#include "tests/unit/client/sample_relays.h"
#include "tests/unit/protocol/failing_allocator.h"

enum { SHARD = 1, SITE = 5, OTHER_SITE = 6 };

struct gate {
  struct network_file network;
  struct descriptor descriptor;
  struct link_self self;
  struct memory_budget budget;
  struct network_chain *networks;
  struct keeper *keeper;
};

/* An address of that /48, in a /64 of its own. */
static struct address in_site(uint8_t site, uint32_t net) {
  return (struct address){.family = ADDRESS_IPV6, .bytes = {0x2a, [5] = site, (uint8_t)(net >> 8), (uint8_t)net, [15] = 1}, .port = 1000};
}

/* The caller's to release. Its one relay listens at `address`, and at `other` if that is one. */
static struct consensus *list_relay(struct address address, struct address other) {
  static struct sample_relays relays;
  relays.count = 0;
  struct relay_entry *entry = sample_relay_add(&relays, RELAY_GUARD, 100, 0, 0);
  entry->address = address;
  entry->other = other;
  return sample_relays_consensus(&relays, 0);
}

static struct consensus *list_at(struct address address) { return list_relay(address, (struct address){0}); }

/* `authority`: the host of the network's one authority. */
static struct gate *gate_new(const char *authority, struct consensus *consensus) {
  cr_assert(crypto_start());
  struct gate *gate = calloc(1, sizeof *gate);
  cr_assert_not_null(gate);
  gate->network.authority_count = gate->network.serial = 1;
  network_timing_lab(&gate->network.timing);
  snprintf(gate->network.authorities[0].host, sizeof gate->network.authorities[0].host, "%s", authority);
  memory_budget_init(&gate->budget, 64 * 1024 * 1024);
  gate->networks = network_chain_of(&gate->network);
  struct keeper_config config = {.self = &gate->self, .networks = gate->networks, .budget = &gate->budget, .shard_count = SHARD,
                                 .descriptor = &gate->descriptor, .consensus = consensus};
  gate->keeper = keeper_new(&config);
  cr_assert_not_null(gate->keeper);
  return gate;
}

static void drop_effects(struct gate *gate) {
  struct machine machine = keeper_machine(gate->keeper);
  struct effect effect;
  while (machine.verbs->next_effect(machine.self, &effect)) {
    if (effect.kind == EFFECT_MESSAGE && effect.message.kind == SHARD_CONSENSUS) consensus_release(effect.message.object);
    else if (effect.kind == EFFECT_MESSAGE) document_release(effect.message.object);
    document_release(effect.document);
  }
}

static void gate_free(struct gate *gate) {
  drop_effects(gate);
  keeper_free(gate->keeper);
  network_chain_free(gate->networks);
  free(gate);
}

static bool enters(struct gate *gate, struct address from) {
  struct machine machine = keeper_machine(gate->keeper);
  bool is_in = !id_is_none(machine.verbs->accept(machine.self, 0, CONNECTION_LINK, &from));
  drop_effects(gate);
  return is_in;
}

/* Its shard says so: the link ended, or was not taken. */
static void leaves(struct gate *gate, struct address from) {
  struct machine machine = keeper_machine(gate->keeper);
  struct event event = {.kind = EVENT_MESSAGE, .from = SHARD, .message = {.kind = KEEPER_LINK_CLOSED, .value = 1, .address = from}};
  machine.verbs->event(machine.self, 0, &event);
}

static void take_consensus(struct gate *gate, struct consensus *consensus) {
  struct machine machine = keeper_machine(gate->keeper);
  fetch_set_consensus(gate->keeper->fetch, 0, consensus);
  machine.verbs->tick(machine.self, 0);
  drop_effects(gate);
}

/* Each link from another /64; `first`: of the first. */
static void fill(struct gate *gate, uint32_t first) {
  for (uint32_t i = 0; i < LIMIT_LINKS_PER_SITE; i++) cr_assert(enters(gate, in_site(SITE, first + i)), "%u", i);
  cr_assert_not(enters(gate, in_site(SITE, first + LIMIT_LINKS_PER_SITE)));
}

Test(keeper_sites, an_ipv6_network_of_48_bits_has_so_many_links_and_a_closed_one_frees_its_place) {
  struct gate *gate = gate_new("20.9.9.9", NULL);
  fill(gate, 0);
  cr_expect(enters(gate, in_site(OTHER_SITE, 0)));
  cr_expect(enters(gate, (struct address){.family = ADDRESS_IPV4, .bytes = {20, 1, 1, 1}}));
  for (uint32_t i = 0; i < 3; i++) leaves(gate, in_site(SITE, i));
  leaves(gate, in_site(SITE, 5000)); /* nobody came from there */
  for (uint32_t i = 0; i < 3; i++) cr_expect(enters(gate, in_site(SITE, 2000 + i)));
  cr_expect_not(enters(gate, in_site(SITE, 3000)), "three places, not more");
  gate_free(gate);
}

Test(keeper_sites, what_one_64_is_refused_takes_no_place_of_its_48) {
  struct gate *gate = gate_new("20.9.9.9", NULL);
  for (uint32_t i = 0; i < 2 * LIMIT_LINKS_PER_SITE; i++) cr_assert_eq(enters(gate, in_site(SITE, 0)), i < LIMIT_LINKS_PER_ADDRESS);
  for (uint32_t i = 0; i < LIMIT_LINKS_PER_ADDRESS; i++) leaves(gate, in_site(SITE, 0));
  fill(gate, 1);
  gate_free(gate);
}

Test(keeper_sites, ipv4_and_private_addresses_have_no_48) {
  struct gate *gate = gate_new("20.9.9.9", NULL);
  for (uint32_t i = 0; i < 2 * LIMIT_LINKS_PER_SITE; i++) {
    uint8_t high = (uint8_t)(i >> 8), low = (uint8_t)i;
    cr_assert(enters(gate, (struct address){.family = ADDRESS_IPV4, .bytes = {20, 0, high, low}}));
    cr_assert(enters(gate, (struct address){.family = ADDRESS_IPV6, .bytes = {0xfd, [6] = high, low}}));
  }
  gate_free(gate);
}

Test(keeper_sites, a_listed_relay_gets_in_whoever_its_neighbours_are) {
  struct address relay = in_site(SITE, 4000), by_other = in_site(SITE, 4001), port = relay;
  struct gate *gate = gate_new("20.9.9.9", list_at(relay));
  port.port = 50000;
  fill(gate, 0);
  for (uint32_t i = 0; i < LIMIT_LINKS_PER_ADDRESS; i++) cr_assert(enters(gate, port), "whatever the port");
  cr_expect_not(enters(gate, port), "as many as any other address");
  cr_expect_not(enters(gate, in_site(SITE, 4002)));
  for (uint32_t i = 0; i < LIMIT_LINKS_PER_ADDRESS; i++) leaves(gate, port);
  cr_expect_not(enters(gate, in_site(SITE, 4002)), "what was not counted is not given back");
  take_consensus(gate, list_relay((struct address){.family = ADDRESS_IPV4, .bytes = {20, 1, 1, 1}, .port = 1}, by_other));
  cr_expect(enters(gate, by_other), "its second address as well");
  cr_expect_not(enters(gate, port), "what is not listed any more");
  gate_free(gate);
}

Test(keeper_sites, an_authority_gets_in_to_test_the_relay) {
  struct gate *gate = gate_new("2a00:0:5:4000::1", NULL);
  fill(gate, 0);
  cr_expect(enters(gate, in_site(SITE, 0x4000)));
  cr_expect_not(enters(gate, in_site(SITE, 0x4001)));
  gate_free(gate);
}

/* Whatever was listed when a link came or went: in the end nothing is counted, and nothing was given back twice. */
Test(keeper_sites, a_new_consensus_loses_no_place_and_makes_none) {
  struct address relay = in_site(SITE, 4000), elsewhere = in_site(OTHER_SITE, 1);
  for (uint32_t before = 0; before < 2; before++) {
    struct gate *gate = gate_new("20.9.9.9", list_at(before ? relay : elsewhere));
    for (uint32_t i = 0; i < LIMIT_LINKS_PER_ADDRESS / 2; i++) cr_assert(enters(gate, relay));
    take_consensus(gate, list_at(before ? elsewhere : relay));
    for (uint32_t i = 0; i < LIMIT_LINKS_PER_ADDRESS / 2; i++) cr_assert(enters(gate, relay));
    for (uint32_t i = 0; i < LIMIT_LINKS_PER_ADDRESS - 5; i++) leaves(gate, relay);
    take_consensus(gate, list_at(before ? relay : elsewhere));
    for (uint32_t i = 0; i < 5; i++) leaves(gate, relay);
    leaves(gate, relay); /* nobody is there */
    fill(gate, 0);
    gate_free(gate);
  }
}

/* Links of one address are alike: those that stay count as new ones do. */
Test(keeper_sites, of_two_links_the_one_that_stays_counts_as_a_new_one_does) {
  struct address relay = in_site(SITE, 4000);
  for (uint32_t listed_first = 0; listed_first < 2; listed_first++) {
    struct gate *gate = gate_new("20.9.9.9", list_at(listed_first ? relay : in_site(OTHER_SITE, 1)));
    cr_assert(enters(gate, relay));
    take_consensus(gate, list_at(listed_first ? in_site(OTHER_SITE, 1) : relay));
    cr_assert(enters(gate, relay));
    leaves(gate, relay);
    for (uint32_t i = 0; i < LIMIT_LINKS_PER_SITE; i++) cr_assert_eq(enters(gate, in_site(SITE, i)), i < LIMIT_LINKS_PER_SITE - listed_first, "%u", i);
    leaves(gate, relay);
    cr_expect_eq(enters(gate, in_site(SITE, 4001)), listed_first);
    gate_free(gate);
  }
}

static uint32_t come_and_go(void) {
  enum { COMERS = 30 };
  bool is_in[COMERS];
  uint32_t told = 0;
  failing_allocator_pause(true);
  struct gate *gate = gate_new("20.9.9.9", NULL);
  failing_allocator_pause(false);
  for (uint32_t i = 0; i < COMERS; i++) told += !(is_in[i] = enters(gate, in_site((uint8_t)i, 0)));
  for (uint32_t i = 0; i < COMERS; i++)
    if (is_in[i]) leaves(gate, in_site((uint8_t)i, 0));
  cr_expect_eq(gate->keeper->sites.links.count + gate->keeper->per_address.count, 0, "what was refused for want of memory is counted nowhere");
  gate_free(gate);
  return told;
}

Test(keeper_sites, without_memory_nothing_stays_counted) { failing_allocator_try_every(come_and_go, false); }

Test(keeper_sites, without_memory_for_new_places_the_old_ones_stay) {
  struct gate *gate = gate_new("20.9.9.9", list_at(in_site(SITE, 4000)));
  fill(gate, 0);
  struct consensus *later = list_at(in_site(SITE, 4001));
  failing_allocator_fail(1, 1);
  site_count_learn(&gate->keeper->sites, later, NULL);
  cr_assert_not(failing_allocator_is_waiting());
  cr_expect(enters(gate, in_site(SITE, 4000)));
  cr_expect_not(enters(gate, in_site(SITE, 4001)));
  site_count_learn(&gate->keeper->sites, later, NULL);
  cr_expect(enters(gate, in_site(SITE, 4001)));
  consensus_release(later);
  gate_free(gate);
}
