#include <string.h>

#include "directory/consensus_internal.h"
#include "protocol/limits.h"

#define WEIGHT_SUM_MAX ((uint64_t)RELAY_WEIGHT_MAX * LIMIT_RELAYS)

/* [CONS-1] */
void consensus_read_header(struct text_reader *reader, struct consensus_header *ret, uint8_t ret_network[32]) {
  text_read_title(reader, "consensus");
  text_read_line(reader, "network");
  text_read_hex(reader, ret_network, 32);
  text_read_line(reader, "serial");
  ret->serial = (uint32_t)text_read_number(reader, 1, UINT32_MAX);
  text_read_line(reader, "epoch");
  ret->epoch = text_read_number(reader, 1, UINT64_MAX);
  text_read_line(reader, "previous");
  text_read_hex(reader, ret->previous, sizeof ret->previous);
  text_read_line(reader, "method");
  ret->method = (uint32_t)text_read_number(reader, 1, UINT32_MAX);
  text_read_line(reader, "valid-after");
  ret->valid_after = text_read_date(reader);
  text_read_line(reader, "fresh-until");
  ret->fresh_until = text_read_date(reader);
  text_read_line(reader, "valid-until");
  ret->valid_until = text_read_date(reader);
  if (date_compare(ret->valid_after, ret->fresh_until) >= 0 || date_compare(ret->fresh_until, ret->valid_until) > 0)
    text_fail(reader);
  text_read_line(reader, "relays");
  ret->relay_count = (uint32_t)text_read_number(reader, 0, LIMIT_RELAYS);
  text_read_line(reader, "totals");
  ret->guard_total = text_read_number(reader, 0, WEIGHT_SUM_MAX);
  ret->middle_total = text_read_number(reader, 0, WEIGHT_SUM_MAX);
  ret->exit_total = text_read_number(reader, 0, WEIGHT_SUM_MAX);
  text_read_line(reader, "root");
  text_read_hex(reader, ret->root, sizeof ret->root);
  text_skip_extensions(reader);
}

/* [CONS-7] `START-END`: it begins where the one before ends. */
static uint64_t read_range(struct text_reader *reader, uint64_t start) {
  struct text_span begin, end = text_read_word(reader);
  uint64_t value;
  if (text_cut(&end, '-', &begin) && text_number(begin, start, start, &value) && text_number(end, start, WEIGHT_SUM_MAX, &value))
    return value;
  text_fail(reader);
  return start;
}

static void read_ranges(struct text_reader *reader, const struct relay_entry *before, struct relay_entry *ret) {
  text_read_line(reader, "range");
  ret->guard_end = read_range(reader, before ? before->guard_end : 0);
  ret->middle_end = read_range(reader, before ? before->middle_end : 0);
  ret->exit_end = read_range(reader, before ? before->exit_end : 0);
}

static void read_families(struct text_reader *reader, struct relay_entry *ret) {
  if (!text_read_line_if(reader, "family")) return;
  do {
    if (ret->family_count == RELAY_FAMILIES_MAX) {
      text_fail(reader);
      return;
    }
    uint8_t *family = ret->families[ret->family_count];
    text_read_hex(reader, family, RELAY_FAMILY_BYTES);
    if (ret->family_count > 0 && memcmp(ret->families[ret->family_count - 1], family, RELAY_FAMILY_BYTES) >= 0) text_fail(reader);
    ret->family_count++;
  } while (text_has_word(reader));
}

static void read_addresses(struct text_reader *reader, struct relay_entry *ret) {
  text_read_line(reader, "address");
  text_read_address(reader, &ret->address);
  if (!text_has_word(reader)) return;
  text_read_address(reader, &ret->other);
  if (ret->other.family == ret->address.family) text_fail(reader);
}

/* [CONS-5] */
void consensus_read_entry(struct text_reader *reader, const struct relay_entry *before, struct relay_entry *ret,
                          struct exit_summary *summary) {
  enum { LISTED = RELAY_RUNNING | RELAY_VALID };
  text_read_line(reader, "relay");
  text_read_name(reader, ret->nickname, sizeof ret->nickname, "-");
  text_read_hex(reader, ret->identity, sizeof ret->identity);
  if (before && memcmp(before->identity, ret->identity, IDENTITY_BYTES) >= 0) text_fail(reader);
  text_read_line(reader, "keys");
  text_read_hex(reader, ret->link_key, sizeof ret->link_key);
  ret->onion_generation = (uint8_t)text_read_number(reader, 0, 255);
  text_read_hex(reader, ret->onion_key, sizeof ret->onion_key);
  read_addresses(reader, ret);
  text_read_line(reader, "suites");
  ret->link_suites = (uint8_t)text_read_number(reader, 1 << AEAD_CHACHA20_POLY1305, 254);
  ret->layer_suite = (uint8_t)text_read_number(reader, AEAD_CHACHA20_POLY1305, AEAD_AES256_GCM);
  if (!(ret->link_suites & 1 << AEAD_CHACHA20_POLY1305) || ret->link_suites & 1) text_fail(reader);
  text_read_line(reader, "flags");
  ret->flags = relay_flags_read(reader);
  if ((ret->flags & LISTED) != LISTED) text_fail(reader);
  text_read_line(reader, "weight");
  ret->weight = (uint32_t)text_read_number(reader, 1, RELAY_WEIGHT_MAX);
  read_ranges(reader, before, ret);
  if (ret->flags & RELAY_EXIT) {
    text_read_line(reader, "exit");
    exit_summary_read(reader, summary);
    ret->exit_summary = summary;
  }
  read_families(reader, ret);
  text_skip_extensions(reader);
}

/* [CONS-4] Ascending by authority, then by view: none stands there twice. */
static bool signatures_ascend(const struct consensus_signature *a, const struct consensus_signature *b) {
  int order = memcmp(a->authority, b->authority, IDENTITY_BYTES);
  return order < 0 || (order == 0 && a->view < b->view);
}

uint32_t consensus_read_signatures(struct text_reader *reader, struct consensus_signature ret[CONSENSUS_SIGNATURES_MAX]) {
  uint32_t count = 0;
  while (text_read_line_if(reader, "signature")) {
    struct consensus_signature signature;
    text_read_hex(reader, signature.authority, sizeof signature.authority);
    signature.view = (uint32_t)text_read_number(reader, 0, UINT32_MAX);
    text_read_hex(reader, signature.bytes, sizeof signature.bytes);
    bool in_order = count == 0 || signatures_ascend(&ret[count - 1], &signature);
    if (reader->failed || !in_order || count == CONSENSUS_SIGNATURES_MAX) {
      text_fail(reader);
      return 0;
    }
    ret[count++] = signature;
  }
  return count;
}
