/* When a relay counts as running: specs/authority.md [AUTH-3]. */
#include <criterion/criterion.h>

#include "authority_place.h"

/* Relay 0 hands in a newer descriptor, changed by `change`. */
static struct known_relay *change_descriptor(struct place *place, void (*change)(struct descriptor *)) {
  static char text[LIMIT_DESCRIPTOR_BYTES];
  struct descriptor descriptor;
  uint32_t cursor = 0;
  struct id id;
  sample_descriptor(&descriptor, &place->networks[0], 0);
  struct known_relay *relay = id_table_next(&place->authority->relays, &cursor, &id);
  descriptor.sequence = relay->descriptor.sequence + 1;
  change(&descriptor);
  struct document *document = document_new(text, sample_descriptor_text(&descriptor, 0, text, sizeof text));
  cr_assert_eq(relays_take_descriptor(place->authority, place->now, document, &descriptor, &descriptor.address), OUTCOME_OK);
  document_release(document);
  return relay;
}

static void rotate_onion_key(struct descriptor *descriptor) { descriptor->onion_key[5] ^= 1; }
static void move_elsewhere(struct descriptor *descriptor) { descriptor->address.port++; }
static void change_link_key(struct descriptor *descriptor) { descriptor->link_key[5] ^= 1; }

/* [AUTH-1] The tally takes out both that have one key: a name for it costs nothing, so nobody may take another's. */
Test(authority_relays, the_keys_of_a_running_relay_are_nobody_else_s_in_any_role) {
  for (int role = 0; role < 4; role++) {
    struct place place;
    static char text[LIMIT_DESCRIPTOR_BYTES];
    struct descriptor victim, liar;
    place_begin(&place, AGREEMENT_BALLOT_NEW);
    place_find_running(&place, 1);
    sample_descriptor(&victim, &place.networks[0], 0);
    sample_descriptor(&liar, &place.networks[0], 1);
    memcpy(role & 1 ? liar.link_key : liar.onion_key, role & 2 ? victim.link_key : victim.onion_key, X25519_BYTES);
    struct document *document = document_new(text, sample_descriptor_text(&liar, 1, text, sizeof text));
    cr_expect_eq(relays_take_descriptor(place.authority, place.now, document, &liar, &liar.address), OUTCOME_REFUSED_BY_POLICY, "case %d", role);
    document_release(document);
    place_end(&place);
  }
}

/* [AUTH-3] */
Test(authority_relays, a_relay_that_moved_runs_when_it_was_tested_there) {
  static const struct { void (*change)(struct descriptor *); bool runs; } TABLE[] = {{rotate_onion_key, true}, {move_elsewhere, false}, {change_link_key, false}};
  for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
    struct place place;
    place_begin(&place, AGREEMENT_BALLOT_NEW);
    place_find_running(&place, 1);
    cr_expect_eq(change_descriptor(&place, TABLE[i].change)->is_running, TABLE[i].runs, "case %zu", i);
    place_end(&place);
  }
}

/* A relay that has gone does not put that off by handing in one descriptor after another. */
Test(authority_relays, a_test_of_a_running_relay_counts_and_its_new_onion_key_is_tested_next) {
  static const struct { enum outcome outcome; uint8_t failures; } TABLE[] = {{OUTCOME_OK, 0}, {OUTCOME_CONNECTION_REFUSED, 1}};
  for (size_t i = 0; i < 2; i++) {
    struct place place;
    place_begin(&place, AGREEMENT_BALLOT_NEW);
    place_find_running(&place, 1);
    struct machine machine = authority_machine(place.authority);
    machine.verbs->tick(machine.self, place.now);
    struct known_relay *relay = change_descriptor(&place, rotate_onion_key);
    cr_assert(relay->probe);
    probe_ended(place.authority, relay->probe, place.now, TABLE[i].outcome);
    cr_expect_eq(relay->failures, TABLE[i].failures);
    if (TABLE[i].outcome == OUTCOME_OK) cr_expect_eq(relay->next_probe, place.now);
    place_end(&place);
  }
}

/* Else a relay is listed where it never was: it answers at one place, and meanwhile names another. */
Test(authority_relays, a_test_says_nothing_of_a_descriptor_that_came_during_it) {
  struct place place;
  place_begin(&place, AGREEMENT_BALLOT_NEW);
  place_find_running(&place, 1);
  struct known_relay *relay = change_descriptor(&place, rotate_onion_key);
  struct machine machine = authority_machine(place.authority);
  machine.verbs->tick(machine.self, place.now);
  struct authority_link *old = relay->probe;
  cr_assert(old, "it is tested at once");
  change_descriptor(&place, move_elsewhere);
  cr_expect_neq(relay->probe, old);
  probe_ended(place.authority, old, place.now, OUTCOME_OK);
  cr_expect_not(relay->is_running);
  machine.verbs->tick(machine.self, place.now);
  cr_expect(relay->probe && relay->probe != old, "it is tested where it is now");
  place_end(&place);
}
