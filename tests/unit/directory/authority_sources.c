/* What strangers may ask of an authority: specs/authority.md [AUTH-12], [AUTH-13], specs/limits.md [LIMIT-5]. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "authority_place.h"
#include "tests/unit/protocol/failing_allocator.h"

static const instant START = 1000 * SECONDS;

static struct authority *make_authority(bool is_lab) {
  static struct network_file network;
  static const uint8_t secret[16] = {1};
  struct authority *authority = calloc(1, sizeof *authority);
  network.is_lab = is_lab;
  authority->network = &network;
  id_table_init(&authority->relays, sizeof(struct known_relay), LIMIT_RELAYS);
  sources_init(authority, secret, START);
  return authority;
}

static void drop_authority(struct authority *authority) {
  sources_wipe(authority);
  id_table_wipe(&authority->relays);
  free(authority);
}

static struct authority_link stranger(uint8_t a, uint8_t b) {
  return (struct authority_link){.kind = LINK_VISITOR, .member = -1, .address = {.family = ADDRESS_IPV4, .bytes = {a, b, 1, 1}}};
}

Test(authority_sources, links_of_a_public_address_are_counted) {
  struct authority *authority = make_authority(true);
  static struct authority_link links[LIMIT_LINKS_PER_ADDRESS + 1];
  for (uint32_t i = 0; i <= LIMIT_LINKS_PER_ADDRESS; i++) {
    links[i] = stranger(8, 8);
    cr_assert_eq(source_enter(authority, &links[i], START), i < LIMIT_LINKS_PER_ADDRESS);
  }
  struct authority_link other = stranger(8, 9), near = stranger(127, 0);
  cr_assert(source_enter(authority, &other, START));
  source_leave(authority, &links[0]);
  cr_assert(source_enter(authority, &links[LIMIT_LINKS_PER_ADDRESS], START));
  for (uint32_t i = 0; i < 2 * LIMIT_LINKS_PER_ADDRESS; i++) cr_assert(source_enter(authority, &near, START), "a lab is on one machine");
  drop_authority(authority);
}

Test(authority_sources, an_address_that_fetched_much_waits_and_others_do_not) {
  struct authority *authority = make_authority(false);
  const size_t whole = LIMIT_CONSENSUS_PACKED_BYTES;
  struct authority_link greedy = stranger(8, 8), other = stranger(8, 9), member = stranger(8, 8);
  uint32_t served = 0;
  cr_assert(source_enter(authority, &greedy, START));
  cr_assert(source_enter(authority, &other, START));
  while (source_may_fetch(authority, &greedy, START, whole)) cr_assert(++served < 100);
  cr_assert_eq(served, LIMIT_SERVED_PER_ADDRESS_AT_ONCE / whole);
  cr_assert_eq(authority->documents_too_busy, 1);
  cr_assert_eq(authority->document_bytes_served, served * whole);
  cr_assert(source_may_fetch(authority, &other, START, whole));
  member.member = 0;
  cr_assert(source_may_fetch(authority, &member, START, whole), "authorities pay nothing");
  /* Coming again earns nothing; waiting does. */
  source_leave(authority, &greedy);
  cr_assert(source_enter(authority, &greedy, START));
  cr_assert_not(source_may_fetch(authority, &greedy, START, whole));
  cr_assert(source_may_fetch(authority, &greedy, instant_after(START, whole / LIMIT_SERVED_PER_ADDRESS * SECONDS), whole));
  drop_authority(authority);
}

/* Many addresses use up what is for others, and nothing of what is for relays. */
Test(authority_sources, relays_have_a_share_of_their_own) {
  struct authority *authority = make_authority(false);
  const size_t whole = LIMIT_CONSENSUS_PACKED_BYTES;
  struct id id;
  struct known_relay *relay = id_table_add(&authority->relays, &id);
  relay->descriptor.address = (struct address){.family = ADDRESS_IPV4, .bytes = {9, 9, 1, 1}, .port = 443};
  relays_set_running(authority, relay, true);
  struct authority_link from_relay = stranger(9, 9);
  cr_assert(source_enter(authority, &from_relay, START));
  bool refused = false;
  for (uint32_t i = 0; i < 200 && !refused; i++) {
    struct authority_link link = stranger(11, (uint8_t)i);
    cr_assert(source_enter(authority, &link, START));
    refused = !source_may_fetch(authority, &link, START, whole);
  }
  cr_assert(refused);
  cr_assert(source_may_fetch(authority, &from_relay, START, whole));
  drop_authority(authority);
}

Test(authority_sources, addresses_without_links_are_forgotten_when_there_are_too_many) {
  struct authority *authority = make_authority(false);
  for (uint32_t i = 0; i < LIMIT_SOURCES + 1000; i++) {
    struct authority_link link = stranger((uint8_t)(60 + i / 250), (uint8_t)(i % 250));
    cr_assert(source_enter(authority, &link, START));
    cr_assert(token_bucket_take(&source_allowance(authority, &link)->descriptors, START, LIMIT_DESCRIPTOR_GAP_S));
    source_leave(authority, &link);
  }
  cr_assert_eq(id_table_count(&authority->sources), LIMIT_SOURCES);
  /* Once their allowance is whole again, they go two for each that comes. */
  for (uint32_t i = 0; i < 1000; i++) {
    struct authority_link link = stranger(45, (uint8_t)(i % 250));
    link.address.bytes[2] = (uint8_t)(i / 250);
    cr_assert(source_enter(authority, &link, instant_after(START, HOURS)));
    source_leave(authority, &link);
  }
  cr_assert(id_table_count(&authority->sources) <= LIMIT_SOURCES - 900);
  drop_authority(authority);
}

/* ---- who has one IPv6 /48, with its 65,536 /64s: [LIMIT-5] ---- */

enum { SITE = 5, OTHER_SITE = 6, RELAY = 4000 };

static struct address in_site(uint8_t site, uint32_t net) {
  return (struct address){.family = ADDRESS_IPV6, .bytes = {0x2a, [5] = site, (uint8_t)(net >> 8), (uint8_t)net, [15] = 1}, .port = 1000};
}

static bool enters(struct authority *authority, struct authority_link *link, struct address from) {
  *link = (struct authority_link){.kind = LINK_VISITOR, .member = -1, .address = from};
  return source_enter(authority, link, START);
}

static struct authority_link site_links[LIMIT_LINKS_PER_SITE];

/* Each link from another /64. */
static void fill(struct authority *authority) {
  struct authority_link more;
  for (uint32_t i = 0; i < LIMIT_LINKS_PER_SITE; i++) cr_assert(enters(authority, &site_links[i], in_site(SITE, i)), "%u", i);
  cr_assert_not(enters(authority, &more, in_site(SITE, LIMIT_LINKS_PER_SITE)));
}

static void leave_all(struct authority *authority) {
  for (uint32_t i = 0; i < LIMIT_LINKS_PER_SITE; i++) source_leave(authority, &site_links[i]);
}

Test(authority_sources, links_of_an_ipv6_network_of_48_bits_are_counted) {
  struct authority *authority = make_authority(false);
  struct authority_link link;
  fill(authority);
  uint32_t remembered = id_table_count(&authority->sources);
  cr_expect_not(enters(authority, &link, in_site(SITE, 3000)));
  cr_expect_eq(id_table_count(&authority->sources), remembered, "who is refused takes no memory");
  source_leave(authority, &link); /* and gives nothing back */
  cr_expect_not(enters(authority, &link, in_site(SITE, 3000)));
  cr_expect(enters(authority, &link, in_site(OTHER_SITE, 0)));
  source_leave(authority, &site_links[0]);
  source_leave(authority, &site_links[0]);
  cr_expect(enters(authority, &site_links[0], in_site(SITE, 3000)));
  cr_expect_not(enters(authority, &link, in_site(SITE, 3001)), "one place, not more");
  leave_all(authority);
  fill(authority);
  leave_all(authority);
  for (uint32_t i = 0; i < 2 * LIMIT_LINKS_PER_SITE; i++) cr_assert_eq(enters(authority, &link, in_site(SITE, RELAY)), i < LIMIT_LINKS_PER_ADDRESS);
  drop_authority(authority);
}

Test(authority_sources, a_running_relay_gets_in_whoever_its_neighbours_are) {
  struct authority *authority = make_authority(false);
  struct authority_link link, other;
  struct known_relay relays[2] = {{.descriptor.address = in_site(SITE, RELAY)}, {.descriptor.address = in_site(SITE, RELAY)}};
  fill(authority);
  cr_expect_not(enters(authority, &link, in_site(SITE, RELAY)));
  for (int i = 0; i < 2; i++) relays_set_running(authority, &relays[i], true);
  relays_set_running(authority, &relays[0], true);
  cr_expect(enters(authority, &link, in_site(SITE, RELAY)));
  relays_set_running(authority, &relays[0], false);
  cr_expect(enters(authority, &other, in_site(SITE, RELAY)), "another one is there");
  relays_set_running(authority, &relays[1], false);
  source_leave(authority, &link);
  source_leave(authority, &other);
  cr_expect_not(enters(authority, &link, in_site(SITE, RELAY)), "nobody runs there, and what was not counted is not given back");
  drop_authority(authority);
}

static void bring_consensus(struct place *place, uint64_t epoch, struct address relay) {
  struct consensus *consensus = place_consensus(place, epoch, 0, &relay);
  if (place->authority == NULL) place_start(place, AGREEMENT_BALLOT_NEW, consensus);
  else epoch_keep(place->authority, consensus);
  place_run_disk(place, true);
}

Test(authority_sources, a_listed_relay_gets_in_until_it_is_listed_no_more) {
  static struct place place;
  struct authority_link link, last;
  place_make(&place, 1, MEMBERS);
  bring_consensus(&place, 5, in_site(SITE, RELAY));
  fill(place.authority);
  cr_expect(enters(place.authority, &link, in_site(SITE, RELAY)));
  bring_consensus(&place, 6, in_site(SITE, RELAY + 1));
  source_leave(place.authority, &link);
  cr_expect_not(enters(place.authority, &link, in_site(SITE, RELAY)));
  source_leave(place.authority, &site_links[0]);
  cr_expect(enters(place.authority, &link, in_site(SITE, RELAY)));
  bring_consensus(&place, 7, in_site(SITE, RELAY));
  source_leave(place.authority, &link);
  cr_expect(enters(place.authority, &site_links[0], in_site(SITE, 0)), "what was counted is given back");
  cr_expect_not(enters(place.authority, &last, in_site(SITE, 3000)));
  place_end(&place);
}

Test(authority_sources, another_authority_gets_in_whoever_its_neighbours_are) {
  static struct place place;
  struct authority_link link;
  place_make(&place, 0, MEMBERS);
  place_start(&place, AGREEMENT_BALLOT_NEW, NULL);
  place_run(&place, MILLISECONDS);
  struct machine machine = authority_machine(place.authority);
  struct event event = {.kind = EVENT_RESOLVED, .id = place.authority->peers[1].link->connection, .address_count = 1, .addresses = {in_site(SITE, RELAY)}};
  machine.verbs->event(machine.self, place.now, &event);
  fill(place.authority);
  cr_expect(enters(place.authority, &link, in_site(SITE, RELAY)));
  cr_expect_not(enters(place.authority, &link, in_site(SITE, RELAY + 1)));
  place_end(&place);
}

static uint32_t come_and_go(void) {
  enum { COMERS = 30 };
  struct authority_link links[COMERS];
  uint32_t told = 0;
  failing_allocator_pause(true);
  struct authority *authority = make_authority(false);
  failing_allocator_pause(false);
  for (uint32_t i = 0; i < COMERS; i++) told += !enters(authority, &links[i], in_site((uint8_t)i, 0));
  for (uint32_t i = 0; i < COMERS; i++) source_leave(authority, &links[i]);
  cr_expect_eq(authority->sites.links.count, 0, "what was refused for want of memory is counted nowhere");
  drop_authority(authority);
  return told;
}

Test(authority_sources, without_memory_nothing_stays_counted) { failing_allocator_try_every(come_and_go, false); }

Test(authority_sources, a_running_relay_without_memory_has_its_place_from_the_next_test_on) {
  struct authority *authority = make_authority(false);
  struct known_relay relay = {.descriptor.address = in_site(SITE, RELAY)};
  failing_allocator_fail(1, 1);
  relays_set_running(authority, &relay, true);
  cr_expect(relay.is_running);
  cr_expect_not(relays_is_place(authority, &relay.descriptor.address));
  relays_set_running(authority, &relay, true);
  cr_expect(relays_is_place(authority, &relay.descriptor.address));
  relays_set_running(authority, &relay, false);
  cr_expect_not(relays_is_place(authority, &relay.descriptor.address));
  drop_authority(authority);
}
