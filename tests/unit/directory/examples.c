#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory/tally.h"
#include "documents.h"

/* The specifications' examples are one small network, made here from keys of one repeated byte each; what the texts show
 * must be what the programs make. TUNIC_EXAMPLES names a folder to write them to. */
enum { AUTHORITY = 1, AUTHORITY_LINK, RELAY, RELAY_SIGNING, RELAY_LINK, RELAY_ONION, FAMILY, NETWORK };

static const uint8_t *key_of(uint8_t byte) {
  static uint8_t keys[NETWORK + 1][32];
  memset(keys[byte], byte, sizeof keys[byte]);
  return keys[byte];
}

static void compare_with_block(const char *path, const char *text, size_t len) {
  static char spec[256 * 1024];
  char title[64], expected[96];
  FILE *file = fopen(path, "rb");
  cr_assert(file, "%s", path);
  spec[fread(spec, 1, sizeof spec - 1, file)] = 0;
  fclose(file);
  size_t title_len = strcspn(text, "\n");
  cr_assert_lt(title_len, sizeof title);
  memcpy(title, text, title_len), title[title_len] = 0;
  snprintf(expected, sizeof expected, "```\n%s\n", title);
  const char *block = strstr(spec, expected);
  cr_assert(block, "%s has no example that begins with %s", path, title);
  block += 4;
  const char *end = strstr(block, "```");
  cr_assert(end && (size_t)(end - block) == len && memcmp(block, text, len) == 0, "the example in %s is not what is made", path);
}

static void check(const char *spec, const char *name, const char *text, size_t len) {
  const char *folder = getenv("TUNIC_EXAMPLES");
  char path[512];
  if (!folder) {
    snprintf(path, sizeof path, "specs/%s", spec);
    compare_with_block(path, text, len);
    return;
  }
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "wb");
  cr_assert(file && fwrite(text, 1, len, file) == len && fclose(file) == 0, "%s", path);
}

static void make_network(struct network_file *network) {
  static char text[SAMPLE_TEXT_BYTES];
  memset(network, 0, sizeof *network);
  snprintf(network->name, sizeof network->name, "example");
  memcpy(network->id, key_of(NETWORK), 32);
  network->serial = 1;
  network->created = sample_date("2027-01-01T00:00:00.000Z");
  network->expires = sample_date("2028-01-01T00:00:00.000Z");
  network_timing_production(&network->timing);
  network->authority_count = 1;
  struct network_authority *authority = &network->authorities[0];
  snprintf(authority->name, sizeof authority->name, "a1");
  ed25519_public(authority->identity, key_of(AUTHORITY));
  x25519_public(authority->link_key, key_of(AUTHORITY_LINK));
  snprintf(authority->host, sizeof authority->host, "a1.example.org");
  authority->port = 443;
  size_t len = network_file_format(network, text, sizeof text);
  len = network_file_sign(text, len, sizeof text, key_of(AUTHORITY));
  cr_assert_eq(network_file_parse((uint8_t *)text, len, network, NULL), OUTCOME_OK);
  check("network-file.md", "network", text, len);
}

static size_t make_descriptor(const struct network_file *network, struct descriptor *descriptor, char *text, size_t room) {
  static const char *const RULES[] = {"reject *:25", "accept *:80", "accept *:443"};
  memset(descriptor, 0, sizeof *descriptor);
  memcpy(descriptor->network, network->id, 32);
  snprintf(descriptor->nickname, sizeof descriptor->nickname, "r1");
  ed25519_public(descriptor->identity, key_of(RELAY));
  ed25519_public(descriptor->signing_key, key_of(RELAY_SIGNING));
  descriptor->published = sample_date("2027-01-02T03:04:05.678Z");
  descriptor->signing_expires = sample_date("2027-01-20T00:00:00.000Z");
  descriptor->sequence = 7;
  cr_assert(address_parse("8.8.4.4:9001", 12, &descriptor->address));
  cr_assert(address_parse("[2600:1::5]:9001", 16, &descriptor->other));
  x25519_public(descriptor->link_key, key_of(RELAY_LINK));
  x25519_public(descriptor->onion_key, key_of(RELAY_ONION));
  descriptor->onion_generation = network_onion_generation(&network->timing, descriptor->published);
  descriptor->link_suites = 6;
  descriptor->layer_suite = 2;
  descriptor->bandwidth = 12500;
  for (size_t i = 0; i < sizeof RULES / sizeof RULES[0]; i++) cr_assert(exit_policy_add_rule(&descriptor->policy, RULES[i], strlen(RULES[i])));
  cr_assert(descriptor_join_family(descriptor, key_of(FAMILY)));
  snprintf(descriptor->software, sizeof descriptor->software, "tunic-1.0");
  snprintf(descriptor->contact, sizeof descriptor->contact, "Someone <someone@example.org>");
  descriptor_certify(descriptor, key_of(RELAY));
  size_t len = descriptor_sign(text, descriptor_format(descriptor, text, room), room, key_of(RELAY_SIGNING));
  cr_assert_eq(descriptor_parse(network->id, (uint8_t *)text, len, descriptor, NULL), OUTCOME_OK);
  check("descriptor.md", "descriptor", text, len);
  return len;
}

static struct vote *make_vote(const struct network_file *network, const char *text, size_t len) {
  struct vote_header header = {.epoch = 1, .methods = TALLY_METHODS, .relay_count = 1};
  struct vote_relay relay = {.flags = RELAY_RUNNING | RELAY_GUARD | RELAY_EXIT | RELAY_VALID, .descriptor = (const uint8_t *)text, .descriptor_len = len};
  enum outcome outcome;
  memcpy(header.network, network->id, 32);
  memcpy(header.authority, network->authorities[0].identity, IDENTITY_BYTES);
  memcpy(header.previous, network->digest, DIGEST_BYTES);
  header.date = sample_date("2027-01-02T04:00:00.000Z");
  header.valid_after = header.date;
  struct document *document = vote_compose(&header, &relay, key_of(AUTHORITY));
  struct vote *vote = vote_parse(network, document, NULL, &outcome, NULL);
  cr_assert(vote, "%s", outcome_name(outcome));
  check("vote.md", "vote", (const char *)document_bytes(document), document_len(document));
  document_release(document);
  return vote;
}

static void make_consensus(const struct network_file *network, const struct vote *vote) {
  struct tally_input input = {.network = network, .epoch = 1, .votes = {vote}, .vote_count = 1};
  struct consensus_header header;
  struct consensus_signature signature;
  enum outcome outcome;
  memcpy(input.previous, network->digest, DIGEST_BYTES);
  struct document *text = tally(&input, &header, &outcome);
  cr_assert_eq(outcome, OUTCOME_OK);
  consensus_sign(&signature, key_of(AUTHORITY), network->id, header.epoch, 0, header.digest);
  struct document *document = consensus_compose(text, &signature, 1);
  struct consensus *consensus = consensus_parse(network, document_bytes(document), document_len(document), &outcome, NULL);
  cr_assert(consensus, "%s", outcome_name(outcome));
  check("consensus.md", "consensus", (const char *)document_bytes(document), document_len(document));
  consensus_release(consensus);
  document_release(document);
  document_release(text);
}

Test(examples, of_the_specifications) {
  static struct network_file network;
  static struct descriptor descriptor;
  static char text[LIMIT_DESCRIPTOR_BYTES];
  make_network(&network);
  size_t len = make_descriptor(&network, &descriptor, text, sizeof text);
  struct vote *vote = make_vote(&network, text, len);
  make_consensus(&network, vote);
  vote_free(vote);
}
