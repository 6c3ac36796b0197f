/* A diff, but its first two lines, applied to a consensus of four relays: whatever it yields is read like any consensus, and one
 * that is accepted can be told by a diff again. */
#include "directory/consensus_diff.h"

#include <stdio.h>

#include "directory/consensus_format.h"
#include "documents.h"
#include "fuzz.h"

enum { RELAYS = 4, HEAD_BYTES = 256 };

static struct consensus *make_base(const struct network_file *network, const uint8_t seed[32]) {
  struct relay_entry entries[RELAYS] = {0};
  struct exit_summary summary = {.range_count = 1, .ranges = {{80, 443}}};
  struct consensus_header header = {.serial = 1, .epoch = 7, .method = 1, .relay_count = RELAYS};
  struct consensus_signature signature;
  enum outcome outcome;
  header.fresh_until.milliseconds = 1;
  header.valid_until.milliseconds = 2;
  for (uint8_t i = 0; i < RELAYS; i++) {
    memset(entries[i].identity, 0x40 * i, IDENTITY_BYTES);
    snprintf(entries[i].nickname, sizeof entries[i].nickname, "r%u", (unsigned)i);
    entries[i].link_suites = 2;
    entries[i].layer_suite = 1;
    entries[i].flags = RELAY_RUNNING | RELAY_VALID | (i % 2 ? RELAY_EXIT : RELAY_GUARD);
    entries[i].exit_summary = i % 2 ? &summary : NULL;
    entries[i].address = (struct address){.family = ADDRESS_IPV4, .bytes = {10, 0, 0, i}, .port = 9001};
    entries[i].weight = 100 + i;
  }
  consensus_assign_weights(&header, entries);
  struct document *text = consensus_format(network->id, &header, entries);
  if (text == NULL) abort();
  consensus_sign(&signature, seed, network->id, header.epoch, 0, header.digest);
  struct document *whole = consensus_compose(text, &signature, 1);
  if (whole == NULL) abort();
  struct consensus *consensus = consensus_parse(network, document_bytes(whole), document_len(whole), &outcome, NULL);
  if (consensus == NULL) abort();
  document_release(text);
  document_release(whole);
  return consensus;
}

static struct document *behind_its_head(const struct consensus *base, const uint8_t *data, size_t size) {
  char digest_text[2 * DIGEST_BYTES + 1];
  char *text = malloc(HEAD_BYTES + size);
  if (text == NULL) abort();
  hex_encode(digest_text, consensus_header(base)->digest, DIGEST_BYTES);
  int head = snprintf(text, HEAD_BYTES, "tunic-consensus-diff 1\nfrom 7 %s\n", digest_text);
  memcpy(text + head, data, size);
  struct document *document = document_new(text, (size_t)head + size);
  if (document == NULL) abort();
  free(text);
  return document;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct network_file network;
  enum outcome outcome;
  uint8_t seed[32];
  fuzz_network(&network, seed);
  struct consensus *base = make_base(&network, seed);
  struct document *diff = behind_its_head(base, data, size);
  struct document *whole = consensus_diff_apply(base, document_bytes(diff), document_len(diff), &outcome);
  if ((whole != NULL) != (outcome == OUTCOME_OK)) abort();
  struct consensus *next = whole == NULL ? NULL : consensus_parse(&network, document_bytes(whole), document_len(whole), &outcome, NULL);
  if (next != NULL) {
    struct document *again = consensus_diff_make(base, next);
    if (again == NULL) abort();
    document_release(again);
  }
  consensus_release(next);
  consensus_release(base);
  document_release(whole);
  document_release(diff);
  return 0;
}
