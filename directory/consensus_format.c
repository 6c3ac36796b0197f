#include "directory/consensus_format.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory/consensus_internal.h"
#include "directory/merkle.h"
#include "protocol/limits.h"

enum {
  HEADER_MAX_BYTES = 1024,
  ENTRY_MAX_BYTES = 1400, /* longest: an exit with 32 ranges, 8 families and two addresses */
  SIGNATURE_MAX_BYTES = 256,
};

void consensus_write_header(struct text_writer *writer, const struct consensus_header *header, const uint8_t network[32]) {
  text_write_title(writer, "consensus");
  text_write_hex_line(writer, "network", network, 32);
  text_write_number_line(writer, "serial", header->serial);
  text_write_number_line(writer, "epoch", header->epoch);
  text_write_hex_line(writer, "previous", header->previous, sizeof header->previous);
  text_write_number_line(writer, "method", header->method);
  text_write_date_line(writer, "valid-after", header->valid_after);
  text_write_date_line(writer, "fresh-until", header->fresh_until);
  text_write_date_line(writer, "valid-until", header->valid_until);
  text_write_number_line(writer, "relays", header->relay_count);
  text_write_line(writer, "totals");
  text_write_number(writer, header->guard_total);
  text_write_number(writer, header->middle_total);
  text_write_number(writer, header->exit_total);
  text_write_end(writer);
  text_write_hex_line(writer, "root", header->root, sizeof header->root);
}

static void write_range(struct text_writer *writer, uint64_t start, uint64_t end) {
  char range[48];
  snprintf(range, sizeof range, "%" PRIu64 "-%" PRIu64, start, end);
  text_write_word(writer, range);
}

void consensus_write_entry(struct text_writer *writer, const struct relay_entry *before, const struct relay_entry *entry) {
  text_write_line(writer, "relay");
  text_write_word(writer, entry->nickname);
  text_write_hex(writer, entry->identity, sizeof entry->identity);
  text_write_end(writer);
  text_write_line(writer, "keys");
  text_write_hex(writer, entry->link_key, sizeof entry->link_key);
  text_write_number(writer, entry->onion_generation);
  text_write_hex(writer, entry->onion_key, sizeof entry->onion_key);
  text_write_end(writer);
  text_write_line(writer, "address");
  text_write_address(writer, &entry->address);
  if (entry->other.family != ADDRESS_NONE) text_write_address(writer, &entry->other);
  text_write_end(writer);
  text_write_line(writer, "suites");
  text_write_number(writer, entry->link_suites);
  text_write_number(writer, entry->layer_suite);
  text_write_end(writer);
  text_write_line(writer, "flags");
  relay_flags_write(writer, entry->flags);
  text_write_end(writer);
  text_write_number_line(writer, "weight", entry->weight);
  text_write_line(writer, "range");
  write_range(writer, before ? before->guard_end : 0, entry->guard_end);
  write_range(writer, before ? before->middle_end : 0, entry->middle_end);
  write_range(writer, before ? before->exit_end : 0, entry->exit_end);
  text_write_end(writer);
  if (entry->exit_summary) {
    text_write_line(writer, "exit");
    exit_summary_write(writer, entry->exit_summary);
    text_write_end(writer);
  }
  if (entry->family_count == 0) return;
  text_write_line(writer, "family");
  for (uint32_t i = 0; i < entry->family_count; i++) text_write_hex(writer, entry->families[i], RELAY_FAMILY_BYTES);
  text_write_end(writer);
}

struct document *consensus_format(const uint8_t network[32], struct consensus_header *header, const struct relay_entry *entries) {
  size_t room = HEADER_MAX_BYTES + (size_t)header->relay_count * ENTRY_MAX_BYTES;
  struct document *document = NULL;
  struct text_writer writer;
  struct merkle tree;
  char *text = malloc(room);
  if (!text) return NULL;
  /* The root's length is known before the root is: the header is written again over itself. */
  text_writer_init(&writer, text, room);
  consensus_write_header(&writer, header, network);
  size_t header_len = writer.len;
  merkle_init(&tree);
  for (uint32_t i = 0; i < header->relay_count; i++) {
    size_t start = writer.len;
    consensus_write_entry(&writer, i > 0 ? &entries[i - 1] : NULL, &entries[i]);
    merkle_add(&tree, (const uint8_t *)text + start, writer.len - start);
  }
  assert(!writer.failed);
  merkle_root(&tree, header->root);
  size_t len = writer.len;
  text_writer_init(&writer, text, header_len);
  consensus_write_header(&writer, header, network);
  assert(!writer.failed && writer.len == header_len);
  digest_labelled(header->digest, CONSENSUS_SIGN_CONTEXT, (const uint8_t *)text, header_len);
  if (len <= LIMIT_CONSENSUS_BYTES) document = document_new(text, len);
  free(text);
  return document;
}

/* [CONS-4] */
void consensus_sign_bytes(uint8_t ret_bytes[CONSENSUS_SIGN_BYTES], const uint8_t network[32], uint64_t epoch, uint32_t view,
                          const uint8_t digest_of_header[DIGEST_BYTES]) {
  memcpy(ret_bytes, network, 32);
  put_u64(ret_bytes + 32, epoch);
  put_u32(ret_bytes + 40, view);
  memcpy(ret_bytes + 44, digest_of_header, DIGEST_BYTES);
}

void consensus_sign(struct consensus_signature *ret, const uint8_t identity_seed[ED25519_SEED_BYTES], const uint8_t network[32],
                    uint64_t epoch, uint32_t view, const uint8_t digest_of_header[DIGEST_BYTES]) {
  uint8_t bytes[CONSENSUS_SIGN_BYTES];
  consensus_sign_bytes(bytes, network, epoch, view, digest_of_header);
  ed25519_public(ret->authority, identity_seed);
  ret->view = view;
  signature_make(ret->bytes, identity_seed, CONSENSUS_SIGN_CONTEXT, bytes, sizeof bytes);
}

bool consensus_signature_is_valid(const struct consensus_signature *signature, const uint8_t network[32], uint64_t epoch,
                                  const uint8_t digest_of_header[DIGEST_BYTES]) {
  uint8_t bytes[CONSENSUS_SIGN_BYTES];
  consensus_sign_bytes(bytes, network, epoch, signature->view, digest_of_header);
  return signature_is_valid(signature->bytes, signature->authority, CONSENSUS_SIGN_CONTEXT, bytes, sizeof bytes);
}

static int compare_signatures(const void *a, const void *b) {
  const struct consensus_signature *left = a, *right = b;
  int order = memcmp(left->authority, right->authority, IDENTITY_BYTES);
  if (order != 0) return order;
  return (left->view > right->view) - (left->view < right->view);
}

struct document *consensus_compose(const struct document *text, const struct consensus_signature *signatures, uint32_t count) {
  struct consensus_signature sorted[CONSENSUS_SIGNATURES_MAX];
  size_t len = document_len(text), room = len + (size_t)count * SIGNATURE_MAX_BYTES;
  struct document *document = NULL;
  struct text_writer writer;
  if (count > CONSENSUS_SIGNATURES_MAX) return NULL;
  char *out = malloc(room > 0 ? room : 1);
  if (!out) return NULL;
  if (count > 0) memcpy(sorted, signatures, count * sizeof *signatures);
  qsort(sorted, count, sizeof sorted[0], compare_signatures);
  text_writer_init(&writer, out, room);
  text_write_bytes(&writer, (const char *)document_bytes(text), len);
  for (uint32_t i = 0; i < count; i++) {
    text_write_line(&writer, "signature");
    text_write_hex(&writer, sorted[i].authority, IDENTITY_BYTES);
    text_write_number(&writer, sorted[i].view);
    text_write_hex(&writer, sorted[i].bytes, ED25519_SIGNATURE_BYTES);
    text_write_end(&writer);
  }
  assert(!writer.failed);
  if (writer.len <= LIMIT_CONSENSUS_BYTES) document = document_new(out, writer.len);
  free(out);
  return document;
}
