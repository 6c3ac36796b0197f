#include "documents.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sample_bytes(uint8_t ret[32], uint8_t kind, uint32_t number) {
  uint8_t name[5] = {kind, (uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
  digest_labelled(ret, "sample", name, sizeof name);
}

void sample_authority_seed(uint8_t ret[32], uint32_t number) { sample_bytes(ret, 'a', number); }

struct date sample_date(const char *text) {
  struct date date;
  cr_assert(date_parse(text, strlen(text), &date), "%s", text);
  return date;
}

void sample_network(struct network_file *ret, uint32_t n) {
  memset(ret, 0, sizeof *ret);
  snprintf(ret->name, sizeof ret->name, "sample");
  sample_bytes(ret->id, 'n', 0);
  ret->serial = 1;
  ret->starts = 1;
  ret->is_lab = true;
  ret->created = sample_date("2026-11-22T20:57:20.123Z");
  ret->expires = sample_date("2027-11-22T00:00:00.000Z");
  network_timing_lab(&ret->timing);
  ret->authority_count = n;
  for (uint32_t i = 0; i < n; i++) {
    uint8_t seed[32];
    struct network_authority *authority = &ret->authorities[i];
    snprintf(authority->name, sizeof authority->name, "a%u", (unsigned)i);
    sample_authority_seed(seed, i);
    ed25519_public(authority->identity, seed);
    sample_bytes(seed, 'l', i);
    x25519_public(authority->link_key, seed);
    static const char *const HOSTS[] = {"127.0.0.1", "authority.example.org", "2001:db8::1"};
    snprintf(authority->host, sizeof authority->host, "%s", HOSTS[i % 3]);
    authority->port = (uint16_t)(9100 + i);
  }
}

size_t sample_network_text(struct network_file *ret, uint32_t n, uint32_t signers, char text[SAMPLE_TEXT_BYTES]) {
  sample_network(ret, n);
  size_t len = network_file_format(ret, text, SAMPLE_TEXT_BYTES);
  cr_assert(len > 0);
  digest_labelled(ret->digest, "tunic network file", (const uint8_t *)text, len);
  for (uint32_t i = 0; i < signers; i++) {
    uint8_t seed[32];
    sample_authority_seed(seed, i);
    len = network_file_sign(text, len, SAMPLE_TEXT_BYTES, seed);
    cr_assert(len > 0);
  }
  return len;
}

static int compare_entries(const void *a, const void *b) { return memcmp(a, b, IDENTITY_BYTES); }

void sample_entries(struct relay_entry *ret, struct exit_summary *ret_summaries, uint32_t count) {
  memset(ret, 0, count * sizeof *ret);
  memset(ret_summaries, 0, count * sizeof *ret_summaries);
  for (uint32_t i = 0; i < count; i++) sample_bytes(ret[i].identity, 'i', i);
  qsort(ret, count, sizeof *ret, compare_entries);
  for (uint32_t i = 0; i < count; i++) {
    struct relay_entry *entry = &ret[i];
    sample_bytes(entry->link_key, 'k', i);
    sample_bytes(entry->onion_key, 'o', i);
    entry->onion_generation = (uint8_t)i;
    entry->link_suites = i % 2 ? 6 : 2;
    entry->layer_suite = i % 2 ? 2 : 1;
    entry->flags = (uint8_t)(RELAY_RUNNING | RELAY_VALID | (i % 2 ? RELAY_GUARD : 0) | (i % 3 ? 0 : RELAY_EXIT));
    snprintf(entry->nickname, sizeof entry->nickname, "r%u", (unsigned)i);
    entry->address = (struct address){.family = ADDRESS_IPV4, .bytes = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}, .port = 9001};
    if (i % 4 == 0) entry->other = (struct address){.family = ADDRESS_IPV6, .bytes = {0x20, 1, 0xd, 0xb8, [14] = (uint8_t)(i >> 8), [15] = (uint8_t)i}, .port = 9001};
    entry->weight = 100 + i % 900;
    entry->family_count = (uint8_t)(i % 3);
    for (uint8_t k = 0; k < entry->family_count; k++) entry->families[k][0] = k;
    if (!(entry->flags & RELAY_EXIT)) continue;
    struct exit_summary *summary = &ret_summaries[i];
    summary->range_count = 2;
    summary->ranges[0].low = summary->ranges[0].high = 80;
    summary->ranges[1].low = 443, summary->ranges[1].high = 65535;
    summary->allows_private = i % 2 == 0;
    entry->exit_summary = summary;
  }
}

void sample_header(struct consensus_header *ret, const struct network_file *network, struct relay_entry *entries, uint32_t count) {
  *ret = (struct consensus_header){.serial = network->serial, .epoch = 7, .method = 1, .relay_count = count};
  sample_bytes(ret->previous, 'p', 6);
  ret->valid_after = sample_date("2026-11-23T00:00:00.000Z");
  ret->fresh_until = date_after(ret->valid_after, network->timing.interval);
  ret->valid_until = date_after(ret->valid_after, network->timing.valid);
  consensus_assign_weights(ret, entries);
}

void sample_sign(struct consensus_signature *ret, const struct network_file *network, const struct consensus_header *header,
                 uint32_t authority, uint32_t view) {
  uint8_t seed[32];
  sample_authority_seed(seed, authority);
  consensus_sign(ret, seed, network->id, header->epoch, view, header->digest);
}

struct document *sample_consensus(const struct network_file *network, struct consensus_header *header, struct relay_entry *entries,
                                  uint32_t count, uint32_t signers, uint32_t view) {
  struct consensus_signature signatures[LIMIT_AUTHORITIES];
  sample_header(header, network, entries, count);
  struct document *text = consensus_format(network->id, header, entries);
  cr_assert(text);
  for (uint32_t i = 0; i < signers; i++) sample_sign(&signatures[i], network, header, i, view);
  struct document *document = consensus_compose(text, signatures, signers);
  cr_assert(document);
  document_release(text);
  return document;
}

void sample_descriptor(struct descriptor *ret, const struct network_file *network, uint32_t number) {
  uint8_t seed[32];
  memset(ret, 0, sizeof *ret);
  memcpy(ret->network, network->id, sizeof ret->network);
  snprintf(ret->nickname, sizeof ret->nickname, "r%u", (unsigned)number);
  sample_bytes(seed, 'I', number);
  ed25519_public(ret->identity, seed);
  sample_bytes(seed, 'S', number);
  ed25519_public(ret->signing_key, seed);
  ret->sequence = 1;
  ret->published = sample_date("2026-11-22T22:00:00.000Z");
  ret->signing_expires = date_after(ret->published, DESCRIPTOR_SIGNING_KEY_MOST_MS);
  ret->address = (struct address){.family = ADDRESS_IPV4, .bytes = {10, 0, (uint8_t)(number >> 8), (uint8_t)number}, .port = 9001};
  sample_bytes(seed, 'L', number);
  x25519_public(ret->link_key, seed);
  ret->onion_generation = 3;
  sample_bytes(seed, 'O', number);
  x25519_public(ret->onion_key, seed);
  ret->link_suites = 6;
  ret->layer_suite = 2;
  ret->bandwidth = 1000 + number;
  const char *rule = "accept *:80";
  if (number % 2) cr_assert(exit_policy_add_rule(&ret->policy, rule, strlen(rule)));
  snprintf(ret->software, sizeof ret->software, "tunic-1.0");
}

size_t sample_descriptor_text(struct descriptor *descriptor, uint32_t number, char *text, size_t room) {
  uint8_t seed[32];
  sample_bytes(seed, 'I', number);
  descriptor_certify(descriptor, seed);
  size_t len = descriptor_format(descriptor, text, room);
  digest_labelled(descriptor->digest, "tunic descriptor", (const uint8_t *)text, len);
  sample_bytes(seed, 'S', number);
  len = descriptor_sign(text, len, room, seed);
  cr_assert(len > 0);
  return len;
}

uint32_t text_line_count(const char *text, size_t len) {
  uint32_t count = 0;
  for (size_t i = 0; i < len; i++) count += text[i] == '\n';
  return count;
}

/* Where a line begins; the text's end for the one behind the last. */
static size_t line_start(const char *text, size_t len, uint32_t line) {
  size_t at = 0;
  for (; line > 0 && at < len; at++) line -= text[at] == '\n';
  return at;
}

struct output { char *bytes; size_t room, len; };

static void add(struct output *output, const char *bytes, size_t len) {
  cr_assert(output->len + len <= output->room);
  memcpy(output->bytes + output->len, bytes, len);
  output->len += len;
}

size_t text_change_line(const char *text, size_t len, uint32_t line, enum line_change change, char *ret, size_t room) {
  struct output output = {ret, room, 0};
  size_t start = line_start(text, len, line), end = line_start(text, len, line + 1), after = line_start(text, len, line + 2);
  add(&output, text, start);
  switch (change) {
  case LINE_REMOVED: break;
  case LINE_DOUBLED:
    add(&output, text + start, end - start);
    add(&output, text + start, end - start);
    break;
  case LINE_SWAPPED:
    if (after == end) return 0;
    add(&output, text + end, after - end);
    add(&output, text + start, end - start);
    end = after;
    break;
  case LINE_BLANK_ADDED:
    add(&output, text + start, end - start - 1);
    add(&output, " \n", 2);
    break;
  case LINE_SPACE_DOUBLED: {
    const char *space = memchr(text + start, ' ', end - start);
    if (!space) return 0;
    add(&output, text + start, (size_t)(space - text) - start);
    add(&output, " ", 1);
    add(&output, space, (size_t)(text + end - space));
    break;
  }
  case LINE_CARRIAGE_RETURN:
    add(&output, text + start, end - start - 1);
    add(&output, "\r\n", 2);
    break;
  case LINE_CHANGES: return 0;
  }
  add(&output, text + end, len - end);
  return output.len;
}

static size_t find(const char *text, size_t len, size_t from, const char *what) {
  size_t what_len = strlen(what);
  for (size_t at = from; at + what_len <= len; at++)
    if (memcmp(text + at, what, what_len) == 0) return at;
  cr_assert_fail("the text has no \"%s\"", what);
  return len;
}

size_t text_replace(const char *text, size_t len, const char *after, const char *from, const char *to, char *ret, size_t room) {
  size_t at = find(text, len, find(text, len, 0, after), from), from_len = strlen(from);
  struct output output = {ret, room, 0};
  add(&output, text, at);
  add(&output, to, strlen(to));
  add(&output, text + at + from_len, len - at - from_len);
  return output.len;
}
