#include "authority_place.h"

#include <criterion/criterion.h>
#include <stdio.h>

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

enum outcome place_try_start(struct place *place, enum agreement_ballot_state state, struct consensus *consensus) {
  struct authority_config config = {.self = &place->self, .networks = place->chain, .identity_seed = place->identity, .budget = &place->budget,
                                    .ballot_state = state, .votes = place->votes, .consensus = consensus};
  struct wall_clock clock = {.at = PLACE_START, .date = sample_date("2026-11-23T00:00:00.000Z")};
  enum outcome outcome;
  if (state == AGREEMENT_BALLOT_READ) {
    config.ballot = document_bytes(place->record);
    config.ballot_len = document_len(place->record);
  }
  place->authority = authority_new(&config, place->now, &clock, &outcome);
  return outcome;
}

void place_start(struct place *place, enum agreement_ballot_state state, struct consensus *consensus) {
  enum outcome outcome = place_try_start(place, state, consensus);
  cr_assert(place->authority, "%s", outcome_name(outcome));
}

void place_make(struct place *place, uint32_t first, uint32_t members) {
  uint8_t seed[32];
  memset(place, 0, sizeof *place);
  cr_assert(crypto_start());
  place->now = PLACE_START;
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

void place_begin(struct place *place, enum agreement_ballot_state state) {
  place_make(place, 0, MEMBERS);
  place_start(place, state, NULL);
}

void place_end(struct place *place) {
  authority_free(place->authority);
  network_chain_free(place->chain);
  guarded_key_free(place->identity);
  guarded_key_free(place->link);
  for (uint32_t i = 0; i < AUTHORITY_VOTE_FILES; i++) document_release(place->votes[i]);
  document_release(place->record);
  document_release(place->networks_text);
  document_release(place->split_proof);
}

void place_read_record(const struct place *place, const struct document *record, struct agreement_ballot *ret) {
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
  place_read_record(place, record, &new);
  if (place->record != NULL) place_read_record(place, place->record, &old);
  if (place->record != NULL && old.epoch == new.epoch) {
    cr_expect(new.vote_next > old.vote_next || (new.vote_next == old.vote_next && memcmp(new.vote_hash, old.vote_hash, DIGEST_BYTES) == 0),
              "a vote in round %u, again", new.vote_next);
    cr_expect_geq(new.timeout_next, old.timeout_next);
  }
  keep(&place->record, record);
}

void place_run_disk(struct place *place, bool good) {
  struct machine machine = authority_machine(place->authority);
  struct effect effect;
  while (machine.verbs->next_effect(machine.self, &effect)) {
    if (effect.kind != EFFECT_WRITE_FILE) continue;
    if (good && strcmp(effect.name, AUTHORITY_BALLOT_FILE) == 0) keep_record(place, effect.document);
    if (good && strcmp(effect.name, FETCH_NETWORK_FILE) == 0) keep(&place->networks_text, effect.document);
    if (good && strcmp(effect.name, FETCH_SPLIT_FILE) == 0) keep(&place->split_proof, effect.document);
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

void place_run(struct place *place, uint64_t duration) {
  struct machine machine = authority_machine(place->authority);
  instant end = place->now + duration;
  place_run_disk(place, true);
  while (machine.verbs->deadline(machine.self) <= end) {
    if (machine.verbs->deadline(machine.self) > place->now) place->now = machine.verbs->deadline(machine.self);
    machine.verbs->tick(machine.self, place->now);
    place_run_disk(place, true);
  }
  place->now = end;
}

void place_power_cut(struct place *place) {
  authority_free(place->authority);
  place_start(place, AGREEMENT_BALLOT_NEW, NULL);
}

void place_find_running(struct place *place, uint32_t count) {
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
  while ((relay = id_table_next(&place->authority->relays, &cursor, &id)) != NULL) {
    relay->has_run = true;
    relays_set_running(place->authority, relay, true);
  }
}

struct consensus *place_consensus(const struct place *place, uint64_t epoch, int64_t variant, const struct address *relay) {
  static struct relay_entry entries[FEW];
  static struct exit_summary summaries[FEW];
  const struct network_file *network = &place->networks[0];
  struct consensus_header header;
  struct consensus_signature signatures[MEMBERS];
  enum outcome outcome;
  sample_entries(entries, summaries, FEW);
  if (relay != NULL) entries[1].address = *relay;
  sample_header(&header, network, entries, FEW);
  header.epoch = epoch;
  header.valid_after.milliseconds += variant;
  struct document *text = consensus_format(network->id, &header, entries);
  for (uint32_t i = 0; i < place->members; i++) sample_sign(&signatures[i], network, &header, place->first + i, 0);
  struct document *whole = consensus_compose(text, signatures, place->members);
  struct consensus *consensus = network_chain_consensus(place->chain, document_bytes(whole), document_len(whole), &outcome, NULL);
  cr_assert(consensus, "%s", outcome_name(outcome));
  document_release(text);
  document_release(whole);
  return consensus;
}
