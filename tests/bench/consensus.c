/* What a consensus costs, of 10,000 relays, or with --series of 100 to 20,000: parsing and verifying it, packing it, and
 * choosing a path from it: `name value` lines, each the best of several rounds (the machine may be busy).
 *
 * usage: consensus [--series]
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/path.h"
#include "directory/consensus_format.h"

enum { RELAYS_MOST = LIMIT_RELAYS, ROUNDS = 20, PICKS = 1000000, PATHS = 2000, PATH_ROUNDS = 20 };

/* Processor time: what others run meanwhile is no cost of ours. */
static double now_ms(void) {
  return (double)clock() * 1e3 / CLOCKS_PER_SEC;
}

static int compare_entries(const void *a, const void *b) { return memcmp(a, b, IDENTITY_BYTES); }

/* One authority, whose network file is not needed: only its identity and the network's id are looked at. */
static void make_network(struct network_file *network, const uint8_t seed[32]) {
  memset(network, 0, sizeof *network);
  network->serial = 1;
  network->authority_count = 1;
  ed25519_public(network->authorities[0].identity, seed);
}

static void make_entries(struct relay_entry *entries, uint32_t count, struct exit_summary *summary, struct random_stream *random) {
  *summary = (struct exit_summary){.range_count = 3, .ranges = {{80, 80}, {443, 443}, {8000, 9000}}};
  for (uint32_t i = 0; i < count; i++) {
    struct relay_entry *entry = &entries[i];
    *entry = (struct relay_entry){.link_suites = 6, .layer_suite = 2, .flags = RELAY_RUNNING | RELAY_VALID, .family_count = 1};
    random_bytes(random, entry->identity, sizeof entry->identity);
    random_bytes(random, entry->link_key, sizeof entry->link_key);
    random_bytes(random, entry->onion_key, sizeof entry->onion_key);
    random_bytes(random, entry->families[0], sizeof entry->families[0]);
    entry->flags |= (uint8_t)(i % 3 == 0 ? RELAY_GUARD : 0) | (uint8_t)(i % 5 == 0 ? RELAY_EXIT : 0);
    entry->exit_summary = i % 5 == 0 ? summary : NULL;
    snprintf(entry->nickname, sizeof entry->nickname, "relay%u", (unsigned)i);
    entry->address = (struct address){.family = ADDRESS_IPV4, .bytes = {93, (uint8_t)i, (uint8_t)(i >> 8), 7}, .port = 9001};
    entry->weight = 1 + (uint32_t)random_below(random, 100000);
  }
  qsort(entries, count, sizeof *entries, compare_entries);
}

static struct document *make_consensus(const struct network_file *network, struct relay_entry *entries, uint32_t count, const uint8_t seed[32]) {
  struct consensus_header header = {.serial = 1, .epoch = 1, .method = 1, .relay_count = count, .fresh_until = {1}, .valid_until = {2}};
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

/* Exit and middle around a guard, by weight, families and neighbourhoods apart. */
static double path_us(const struct consensus *consensus, struct random_stream *random) {
  struct path_request request = {.guard = consensus_pick(consensus, POSITION_GUARD, 0), .port = 443};
  struct path path;
  double best = 1e9;
  for (int round = 0; round < PATH_ROUNDS; round++) {
    double start = now_ms();
    for (int i = 0; i < PATHS; i++)
      if (path_choose(consensus, random, &request, &path) != OUTCOME_OK) exit(1);
    double each = (now_ms() - start) * 1e3 / PATHS;
    if (each < best) best = each;
  }
  return best;
}

/* [PATH-6] Once for a port and consensus. */
static double port_us(const struct consensus *consensus) {
  struct path_ports ports = {0};
  double best = 1e9;
  for (int round = 0; round < PATH_ROUNDS; round++) {
    double start = now_ms();
    path_port_is_common(&ports, consensus, (uint16_t)(1 + round), false);
    double each = (now_ms() - start) * 1e3;
    if (each < best) best = each;
  }
  return best;
}

static size_t heap_bytes(void) {
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

struct made {
  struct network_file network;
  struct document *document;
  struct consensus *consensus;
  double format_ms, parse_ms;
  size_t heap_bytes; /* of the parsed one, its text included */
};

static void make(struct made *made, uint32_t count, struct random_stream *random) {
  static const uint8_t seed[32] = {1};
  static struct relay_entry entries[RELAYS_MOST];
  static struct exit_summary summary;
  make_network(&made->network, seed);
  make_entries(entries, count, &summary, random);
  double start = now_ms();
  made->document = make_consensus(&made->network, entries, count, seed);
  made->format_ms = now_ms() - start;
  made->parse_ms = 1e9;
  made->consensus = NULL;
  for (int i = 0; i < ROUNDS; i++) {
    enum outcome outcome;
    consensus_release(made->consensus);
    size_t before = heap_bytes();
    start = now_ms();
    made->consensus = consensus_parse(&made->network, document_bytes(made->document), document_len(made->document), &outcome, NULL);
    if (!made->consensus) exit(1);
    if (now_ms() - start < made->parse_ms) made->parse_ms = now_ms() - start;
    made->heap_bytes = heap_bytes() - before;
  }
}

static void unmake(struct made *made) {
  consensus_release(made->consensus);
  document_release(made->document);
}

static void measure_series(struct random_stream *random) {
  static const uint32_t counts[] = {100, 300, 1000, 3000, 10000, RELAYS_MOST};
  static struct made made;
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    make(&made, counts[i], random);
    printf("growth_relays_parse_%u_ms %.4f\ngrowth_relays_path_%u_us %.3f\n", counts[i], made.parse_ms, counts[i], path_us(made.consensus, random));
    printf("growth_relays_text_%u_bytes %zu\ngrowth_relays_heap_%u_bytes %zu\n", counts[i], document_len(made.document), counts[i], made.heap_bytes);
    unmake(&made);
  }
}

int main(int argc, char **argv) {
  static const uint8_t seed[32] = {1};
  static struct made made;
  struct random_stream random;
  if (!crypto_start()) return 1;
  random_init(&random, seed);
  if (argc > 1 && strcmp(argv[1], "--series") == 0) {
    measure_series(&random);
    return 0;
  }
  make(&made, 10000, &random);
  printf("consensus_format_10000_ms %.1f\n", made.format_ms);
  printf("consensus_10000_bytes %zu\n", document_len(made.document));
  printf("consensus_parse_10000_ms %.1f\n", made.parse_ms);
  printf("path_choose_10000_us %.2f\n", path_us(made.consensus, &random));
  printf("path_port_10000_us %.2f\n", port_us(made.consensus));
  bench_pick(made.consensus, &random);
  double start = now_ms();
  struct document *packed = consensus_packed(made.consensus);
  printf("consensus_pack_10000_ms %.1f\nconsensus_packed_10000_bytes %zu\n", now_ms() - start, document_len(packed));
  unmake(&made);
  return 0;
}
