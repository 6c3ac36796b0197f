/* What strangers may ask of an authority: specs/authority.md [AUTH-12], [AUTH-13], [LIMIT-5]. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "directory/authority_internal.h"

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
