#include "tests/unit/client/sample_relays.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t authority_seed[ED25519_SEED_BYTES] = {42};

struct relay_entry *sample_relay_add(struct sample_relays *relays, uint8_t flags, uint32_t weight, uint16_t low, uint16_t high) {
  uint32_t i = relays->count++;
  assert(i < SAMPLE_RELAYS_MAX);
  struct relay_entry *entry = &relays->entries[i];
  struct exit_summary *summary = &relays->summaries[i];
  uint8_t name[4] = {(uint8_t)(i >> 8), (uint8_t)i};
  *entry = (struct relay_entry){.flags = (uint8_t)(RELAY_RUNNING | RELAY_VALID | flags),
                                .link_suites = 1 << AEAD_CHACHA20_POLY1305,
                                .layer_suite = AEAD_CHACHA20_POLY1305,
                                .weight = weight,
                                .address = {.family = ADDRESS_IPV4, .bytes = {(uint8_t)(20 + i / 250), (uint8_t)(i % 250), 7, 1}, .port = 9001}};
  digest_labelled(entry->identity, "identity", name, sizeof name);
  digest_labelled(entry->link_key, "link", name, sizeof name);
  digest_labelled(entry->onion_key, "onion", name, sizeof name);
  snprintf(entry->nickname, sizeof entry->nickname, "r%u", (unsigned)(i % 10000));
  *summary = (struct exit_summary){.range_count = 1};
  summary->ranges[0].low = low;
  summary->ranges[0].high = high;
  if (flags & RELAY_EXIT) entry->exit_summary = summary;
  return entry;
}

void sample_relays_many(struct sample_relays *relays, uint32_t count, struct random_stream *random) {
  relays->count = 0;
  for (uint32_t i = 0; i < count; i++) {
    uint8_t flags = (uint8_t)((i % 3 == 0 ? RELAY_GUARD : 0) | (i % 5 == 0 ? RELAY_EXIT : 0));
    struct relay_entry *entry = sample_relay_add(relays, flags, 10 + (uint32_t)random_below(random, 5000), 80, 443);
    if (i % 7 == 0) {
      entry->family_count = 1;
      entry->families[0][0] = (uint8_t)(1 + i % 11);
    }
    if (i % 6 == 0) entry->address.bytes[1] = (uint8_t)(i % 13); /* some share a neighbourhood */
  }
}

static int compare(const void *a, const void *b) { return memcmp(a, b, IDENTITY_BYTES); }

struct consensus *sample_relays_consensus(struct sample_relays *relays, int64_t valid_after_days) {
  struct network_file file = {.serial = 1, .authority_count = 1};
  struct consensus_header header = {.serial = 1, .epoch = 9, .method = 1, .relay_count = relays->count};
  bool started = crypto_start();
  memset(file.id, 7, sizeof file.id);
  ed25519_public(file.authorities[0].identity, authority_seed);
  header.valid_after = (struct date){(20000 + valid_after_days) * 24 * 60 * 60 * 1000};
  header.fresh_until = date_after(header.valid_after, 60 * 60 * 1000);
  header.valid_until = date_after(header.valid_after, 24 * 60 * 60 * 1000);
  qsort(relays->entries, relays->count, sizeof relays->entries[0], compare);
  consensus_assign_weights(&header, relays->entries);
  struct document *text = consensus_format(file.id, &header, relays->entries);
  assert(started && text != NULL);
  (void)started;
  struct consensus_signature signature;
  consensus_sign(&signature, authority_seed, file.id, header.epoch, 0, header.digest);
  struct document *whole = consensus_compose(text, &signature, 1);
  enum outcome outcome;
  uint32_t line;
  struct consensus *consensus = consensus_parse(&file, document_bytes(whole), document_len(whole), &outcome, &line);
  assert(consensus != NULL);
  document_release(text);
  document_release(whole);
  return consensus;
}
