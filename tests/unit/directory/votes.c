#include "votes.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

void seen_relays(struct seen_relay *ret, const struct network_file *network, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    ret[i] = (struct seen_relay){.number = i, .flags = RELAY_RUNNING | RELAY_VALID | RELAY_GUARD};
    if (i % 2) ret[i].flags |= RELAY_EXIT;
    sample_descriptor(&ret[i].descriptor, network, i);
  }
}

void seen_header(struct vote_header *ret, const struct network_file *network, uint32_t authority) {
  *ret = (struct vote_header){.epoch = SEEN_EPOCH, .round = 2, .methods = 1 << 1};
  memcpy(ret->network, network->id, sizeof ret->network);
  uint8_t seed[32];
  sample_authority_seed(seed, authority);
  ed25519_public(ret->authority, seed);
  sample_bytes(ret->previous, 'p', SEEN_EPOCH - 1);
  ret->date = sample_date("2026-11-22T23:59:50.000Z");
  ret->valid_after = sample_date("2026-11-23T00:00:00.000Z");
}

static int compare_relays(const void *a, const void *b) { return memcmp(a, b, IDENTITY_BYTES); }

struct document *seen_vote_text(const struct vote_header *header, uint32_t authority, const struct seen_relay *seen, uint32_t count) {
  static char texts[SEEN_MAX][LIMIT_DESCRIPTOR_BYTES];
  struct vote_relay relays[SEEN_MAX];
  struct vote_header with_count = *header;
  uint8_t seed[32];
  cr_assert_leq(count, SEEN_MAX);
  memset(relays, 0, sizeof relays);
  for (uint32_t i = 0; i < count; i++) {
    struct descriptor descriptor = seen[i].descriptor;
    memcpy(relays[i].identity, descriptor.identity, IDENTITY_BYTES);
    relays[i].flags = seen[i].flags;
    relays[i].is_measured = seen[i].is_measured;
    relays[i].measured = seen[i].measured;
    relays[i].descriptor = (const uint8_t *)texts[i];
    relays[i].descriptor_len = sample_descriptor_text(&descriptor, seen[i].number, texts[i], sizeof texts[i]);
  }
  qsort(relays, count, sizeof relays[0], compare_relays);
  with_count.relay_count = count;
  sample_authority_seed(seed, authority);
  struct document *document = vote_compose(&with_count, relays, seed);
  cr_assert(document);
  return document;
}

struct vote *seen_vote(const struct network_file *network, uint32_t authority, const struct seen_relay *seen, uint32_t count) {
  struct vote_header header;
  enum outcome outcome;
  seen_header(&header, network, authority);
  struct document *text = seen_vote_text(&header, authority, seen, count);
  struct vote *vote = vote_parse(network, text, NULL, &outcome, NULL);
  cr_assert_eq(outcome, OUTCOME_OK, "%s", outcome_name(outcome));
  document_release(text);
  return vote;
}
