/* What an epoch of 10,000 relays costs an authority: reading a vote, with descriptors it knows and with new ones, and counting
 * three votes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "directory/tally.h"

enum { RELAYS = 10000, AUTHORITIES = 4, VOTES = 3 };

struct described { uint8_t identity[IDENTITY_BYTES]; char *text; size_t len; };

/* Processor time: what others run meanwhile is no cost of ours. */
static double now_ms(void) {
  return (double)clock() * 1e3 / CLOCKS_PER_SEC;
}

static void make_seed(uint8_t ret[32], uint8_t kind, uint32_t number) {
  memset(ret, kind, 32);
  memcpy(ret + 8, &number, sizeof number); /* not where X25519 clamps */
}

static void make_network(struct network_file *network) {
  memset(network, 0, sizeof *network);
  network->serial = 1;
  network->authority_count = AUTHORITIES;
  network_timing_lab(&network->timing);
  for (uint32_t i = 0; i < AUTHORITIES; i++) {
    uint8_t seed[32];
    make_seed(seed, 'a', i);
    ed25519_public(network->authorities[i].identity, seed);
  }
}

static void describe(struct described *ret, uint32_t number) {
  static char text[LIMIT_DESCRIPTOR_BYTES];
  struct descriptor descriptor = {.nickname = "relay", .software = "tunic-1.0", .sequence = 1, .link_suites = 2, .layer_suite = 1};
  uint8_t identity_seed[32], signing_seed[32], secret[32];
  make_seed(identity_seed, 'i', number);
  make_seed(signing_seed, 's', number);
  make_seed(secret, 'l', number);
  ed25519_public(descriptor.identity, identity_seed);
  ed25519_public(descriptor.signing_key, signing_seed);
  x25519_public(descriptor.link_key, secret);
  secret[31] ^= 2;
  x25519_public(descriptor.onion_key, secret);
  descriptor.signing_expires.milliseconds = 1000;
  descriptor.address = (struct address){.family = ADDRESS_IPV4, .bytes = {93, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}, .port = 9001};
  descriptor.bandwidth = 1000 + number;
  descriptor_certify(&descriptor, identity_seed);
  ret->len = descriptor_sign(text, descriptor_format(&descriptor, text, sizeof text), sizeof text, signing_seed);
  ret->text = malloc(ret->len);
  memcpy(ret->text, text, ret->len);
  memcpy(ret->identity, descriptor.identity, IDENTITY_BYTES);
}

static int compare_described(const void *a, const void *b) { return memcmp(a, b, IDENTITY_BYTES); }

static struct document *make_vote(const struct network_file *network, const struct described *relays, uint32_t authority) {
  static struct vote_relay listed[RELAYS];
  struct vote_header header = {.epoch = 1, .methods = TALLY_METHODS, .relay_count = RELAYS};
  uint8_t seed[32];
  make_seed(seed, 'a', authority);
  memcpy(header.authority, network->authorities[authority].identity, IDENTITY_BYTES);
  for (uint32_t i = 0; i < RELAYS; i++)
    listed[i] = (struct vote_relay){.flags = RELAY_RUNNING | RELAY_VALID | RELAY_GUARD,
                                    .is_measured = true,
                                    .measured = 100 + i,
                                    .descriptor = (const uint8_t *)relays[i].text,
                                    .descriptor_len = relays[i].len};
  return vote_compose(&header, listed, seed);
}

static bool knows_all(const void *context, const uint8_t digest_of_descriptor[DIGEST_BYTES]) {
  (void)context, (void)digest_of_descriptor;
  return true;
}

int main(void) {
  static struct network_file network;
  static struct described relays[RELAYS];
  struct vote_known known = {knows_all, NULL};
  struct tally_input input = {.network = &network, .epoch = 1, .vote_count = VOTES};
  struct consensus_header header;
  enum outcome outcome;
  if (!crypto_start()) return 1;
  make_network(&network);
  for (uint32_t i = 0; i < RELAYS; i++) describe(&relays[i], i);
  qsort(relays, RELAYS, sizeof relays[0], compare_described);
  for (uint32_t i = 0; i < VOTES; i++) {
    struct document *text = make_vote(&network, relays, i);
    double start = now_ms();
    input.votes[i] = vote_parse(&network, text, i == 0 ? NULL : &known, &outcome, NULL);
    if (!input.votes[i]) return 1;
    if (i == 0) printf("vote_10000_bytes %zu\n", document_len(text));
    if (i < 2) printf("vote_parse_%s_10000_ms %.1f\n", i == 0 ? "new" : "known", now_ms() - start);
    document_release(text);
  }
  double start = now_ms();
  struct document *text = tally(&input, &header, &outcome);
  if (!text || header.relay_count != RELAYS) return 1;
  printf("tally_10000_ms %.1f\n", now_ms() - start);
  return 0;
}
