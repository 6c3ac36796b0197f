/* What a consensus of 10,000 relays costs: parsing it, packing it, and picking a relay from it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "directory/consensus_format.h"
#include "protocol/random.h"

enum { RELAYS = 10000, ROUNDS = 20, PICKS = 1000000 };

static double now_ms(void) {
  struct timespec time;
  timespec_get(&time, TIME_UTC);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static int compare_entries(const void *a, const void *b) { return memcmp(a, b, IDENTITY_BYTES); }

/* One authority, whose network file is not needed: only its identity and the network's id are looked at. */
static void make_network(struct network_file *network, const uint8_t seed[32]) {
  memset(network, 0, sizeof *network);
  network->serial = 1;
  network->authority_count = 1;
  ed25519_public(network->authorities[0].identity, seed);
}

static void make_entries(struct relay_entry *entries, struct exit_summary *summary, struct random_stream *random) {
  *summary = (struct exit_summary){.range_count = 3, .ranges = {{80, 80}, {443, 443}, {8000, 9000}}};
  for (uint32_t i = 0; i < RELAYS; i++) {
    struct relay_entry *entry = &entries[i];
    *entry = (struct relay_entry){.link_suites = 6, .layer_suite = 2, .flags = RELAY_RUNNING | RELAY_VALID, .family_count = 1};
    random_bytes(random, entry->identity, sizeof entry->identity);
    random_bytes(random, entry->link_key, sizeof entry->link_key);
    random_bytes(random, entry->onion_key, sizeof entry->onion_key);
    random_bytes(random, entry->families[0], sizeof entry->families[0]);
    entry->flags |= (uint8_t)(i % 3 == 0 ? RELAY_GUARD : 0) | (uint8_t)(i % 5 == 0 ? RELAY_EXIT : 0);
    entry->exit_summary = i % 5 == 0 ? summary : NULL;
    snprintf(entry->nickname, sizeof entry->nickname, "relay%u", (unsigned)i);
    entry->address = (struct address){.family = ADDRESS_IPV4, .bytes = {93, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}, .port = 9001};
    entry->weight = 1 + (uint32_t)random_below(random, 100000);
  }
  qsort(entries, RELAYS, sizeof *entries, compare_entries);
}

static struct document *make_consensus(const struct network_file *network, struct relay_entry *entries, const uint8_t seed[32]) {
  struct consensus_header header = {.serial = 1, .epoch = 1, .method = 1, .relay_count = RELAYS, .fresh_until = {1}, .valid_until = {2}};
  struct consensus_signature signature;
  consensus_assign_weights(&header, entries);
  struct document *text = consensus_format(network->id, &header, entries);
  consensus_sign(&signature, seed, network->id, header.epoch, 0, header.digest);
  struct document *document = consensus_compose(text, &signature, 1);
  document_release(text);
  return document;
}

static void bench_pick(const struct consensus *consensus, struct random_stream *random) {
  static uint64_t points[PICKS];
  uint64_t total = consensus_total(consensus, POSITION_MIDDLE), sum = 0;
  for (size_t i = 0; i < PICKS; i++) points[i] = random_below(random, total);
  double start = now_ms();
  for (size_t i = 0; i < PICKS; i++) sum += consensus_pick(consensus, POSITION_MIDDLE, points[i])->weight;
  printf("consensus_pick_us %.3f\n", (now_ms() - start) * 1e3 / PICKS);
  if (sum == 0) exit(1);
}

int main(void) {
  static const uint8_t seed[32] = {1};
  static struct network_file network;
  static struct relay_entry entries[RELAYS];
  struct exit_summary summary;
  struct random_stream random;
  if (!crypto_start()) return 1;
  random_init(&random, seed);
  make_network(&network, seed);
  make_entries(entries, &summary, &random);
  double start = now_ms(), best = 1e9;
  struct document *document = make_consensus(&network, entries, seed);
  printf("consensus_format_10000_ms %.1f\n", now_ms() - start);
  printf("consensus_bytes_10000 %zu\n", document_len(document));
  struct consensus *consensus = NULL;
  for (int i = 0; i < ROUNDS; i++) {
    enum outcome outcome;
    consensus_release(consensus);
    start = now_ms();
    consensus = consensus_parse(&network, document_bytes(document), document_len(document), &outcome, NULL);
    if (!consensus) return 1;
    if (now_ms() - start < best) best = now_ms() - start;
  }
  printf("consensus_parse_10000_ms %.1f\n", best);
  bench_pick(consensus, &random);
  start = now_ms();
  struct document *packed = consensus_packed(consensus);
  printf("consensus_pack_10000_ms %.1f\n", now_ms() - start);
  printf("consensus_packed_bytes_10000 %zu\n", document_len(packed));
  consensus_release(consensus);
  document_release(document);
  return 0;
}
