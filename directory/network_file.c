#include "directory/network_file.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "directory/signed_text.h"

static const char KIND[] = "network";
static const char CONTEXT[] = "tunic network file";

enum { DAY_MS = 24 * 60 * 60 * 1000 };
#define TIMING_MOST_MS ((uint64_t)366 * DAY_MS)

struct file_signature { uint8_t identity[IDENTITY_BYTES], bytes[ED25519_SIGNATURE_BYTES]; };
struct file_signatures { uint32_t count; struct file_signature list[NETWORK_SIGNERS_MAX]; };

/* [NET-4] In the order of the file, which is the order of struct network_timing. */
static const struct { const char *keyword; size_t offset; } TIMING_LINES[] = {
    {"interval-ms", offsetof(struct network_timing, interval)},
    {"valid-ms", offsetof(struct network_timing, valid)},
    {"early-gap-ms", offsetof(struct network_timing, early_gap)},
    {"view-first-ms", offsetof(struct network_timing, view_first)},
    {"view-most-ms", offsetof(struct network_timing, view_most)},
    {"fetch-spread-ms", offsetof(struct network_timing, fetch_spread)},
    {"onion-rotation-ms", offsetof(struct network_timing, onion_rotation)},
    {"probe-interval-ms", offsetof(struct network_timing, probe_interval)},
};
enum { TIMING_LINE_COUNT = sizeof TIMING_LINES / sizeof TIMING_LINES[0] };

static void read_timing(struct text_reader *reader, struct network_timing *ret) {
  for (size_t i = 0; i < TIMING_LINE_COUNT; i++) {
    text_read_line(reader, TIMING_LINES[i].keyword);
    int64_t value = (int64_t)text_read_number(reader, 1, TIMING_MOST_MS);
    memcpy((char *)ret + TIMING_LINES[i].offset, &value, sizeof value);
  }
  /* [NET-4] How they relate. */
  if (ret->valid < 2 * ret->interval || ret->early_gap > ret->interval || ret->view_first > ret->view_most ||
      ret->fetch_spread > ret->valid || ret->onion_rotation < ret->interval)
    text_fail(reader);
}

/* [NET-6] A DNS name, or an address in its one text form. A name that ends in a number would be a mistyped address. */
static bool host_is_valid(struct text_span host, bool in_brackets) {
  struct address address;
  if (address_parse_host(host.text, host.len, &address)) {
    char canonical[ADDRESS_TEXT_BYTES];
    address_format_host(&address, canonical);
    return text_equals(host, canonical) && in_brackets == (address.family == ADDRESS_IPV6);
  }
  char last = host.len > 0 ? host.text[host.len - 1] : '.';
  size_t label = host.len;
  while (label > 0 && host.text[label - 1] >= '0' && host.text[label - 1] <= '9') label--;
  bool ends_in_number = label < host.len && (label == 0 || host.text[label - 1] == '.');
  return !in_brackets && last != '.' && !ends_in_number && host_name_is_valid(host.text, host.len);
}

static void read_host_and_port(struct text_reader *reader, struct network_authority *ret) {
  struct text_span host, rest = text_read_word(reader);
  bool in_brackets = rest.len > 0 && rest.text[0] == '[';
  bool cut = false;
  if (in_brackets) {
    rest = (struct text_span){rest.text + 1, rest.len - 1};
    cut = text_cut(&rest, ']', &host) && rest.len > 0 && rest.text[0] == ':';
    if (cut) rest = (struct text_span){rest.text + 1, rest.len - 1};
  } else {
    cut = text_cut(&rest, ':', &host);
  }
  uint64_t port;
  if (!cut || host.len > HOST_NAME_MAX_BYTES || !host_is_valid(host, in_brackets) || !text_number(rest, 1, 65535, &port)) {
    text_fail(reader);
    return;
  }
  memcpy(ret->host, host.text, host.len);
  ret->host[host.len] = 0;
  ret->port = (uint16_t)port;
}

/* [NET-6] Nobody stands for two authorities. */
static bool is_another(const struct network_file *file, const struct network_authority *authority) {
  for (uint32_t i = 0; i < file->authority_count; i++) {
    const struct network_authority *other = &file->authorities[i];
    if (strcmp(other->name, authority->name) == 0 || memcmp(other->identity, authority->identity, IDENTITY_BYTES) == 0 ||
        memcmp(other->link_key, authority->link_key, X25519_BYTES) == 0)
      return false;
    if (strcmp(other->host, authority->host) == 0 && other->port == authority->port) return false;
  }
  return true;
}

static void read_authorities(struct text_reader *reader, struct network_file *ret) {
  while (text_read_line_if(reader, "authority")) {
    struct network_authority authority = {0};
    text_read_name(reader, authority.name, sizeof authority.name, "-");
    text_read_hex(reader, authority.identity, sizeof authority.identity);
    text_read_hex(reader, authority.link_key, sizeof authority.link_key);
    read_host_and_port(reader, &authority);
    if (reader->failed || ret->authority_count == LIMIT_AUTHORITIES || !is_another(ret, &authority)) {
      text_fail(reader);
      return;
    }
    ret->authorities[ret->authority_count++] = authority;
  }
  if (ret->authority_count == 0) text_fail(reader);
}

/* [NET-9] The first file follows none, and holds from the first epoch on. */
static void read_serial(struct text_reader *reader, struct network_file *ret) {
  text_read_line(reader, "serial");
  ret->serial = (uint32_t)text_read_number(reader, 1, UINT32_MAX);
  ret->starts = 1;
  if (reader->failed || ret->serial == 1) return;
  text_read_line(reader, "starts");
  ret->starts = text_read_number(reader, 2, UINT64_MAX);
  text_read_line(reader, "previous");
  text_read_hex(reader, ret->previous, sizeof ret->previous);
}

/* [NET-1] */
static void read_signed_part(struct text_reader *reader, struct network_file *ret) {
  text_read_title(reader, KIND);
  text_read_line(reader, "name");
  text_read_name(reader, ret->name, sizeof ret->name, "-._");
  text_read_line(reader, "id");
  text_read_hex(reader, ret->id, sizeof ret->id);
  read_serial(reader, ret);
  text_read_line(reader, "lab");
  struct text_span lab = text_read_word(reader);
  ret->is_lab = text_equals(lab, "yes");
  if (!ret->is_lab && !text_equals(lab, "no")) text_fail(reader);
  text_read_line(reader, "created");
  ret->created = text_read_date(reader);
  text_read_line(reader, "expires");
  ret->expires = text_read_date(reader);
  if (date_compare(ret->created, ret->expires) >= 0) text_fail(reader);
  read_timing(reader, &ret->timing);
  read_authorities(reader, ret);
  text_skip_extensions(reader);
}

static void read_signatures(struct text_reader *reader, struct file_signatures *ret) {
  ret->count = 0;
  while (text_read_line_if(reader, "signature")) {
    struct file_signature signature;
    text_read_hex(reader, signature.identity, sizeof signature.identity);
    text_read_hex(reader, signature.bytes, sizeof signature.bytes);
    bool doubled = false;
    for (uint32_t i = 0; i < ret->count; i++)
      doubled |= memcmp(ret->list[i].identity, signature.identity, IDENTITY_BYTES) == 0;
    if (reader->failed || doubled || ret->count == NETWORK_SIGNERS_MAX) {
      text_fail(reader);
      return;
    }
    ret->list[ret->count++] = signature;
  }
}

/* [NET-3] Signatures of others than these authorities are passed over: they belong to the serial before. */
static enum outcome check_signatures(const struct network_file *who, const struct file_signatures *signatures,
                                     const uint8_t *bytes, size_t signed_len) {
  uint32_t valid = 0;
  for (uint32_t i = 0; i < signatures->count; i++) {
    const struct file_signature *signature = &signatures->list[i];
    if (network_file_find_authority(who, signature->identity) < 0) continue;
    if (!signature_is_valid(signature->bytes, signature->identity, CONTEXT, bytes, signed_len)) return OUTCOME_BAD_SIGNATURE;
    valid++;
  }
  return valid >= authorities_quorum(who->authority_count) ? OUTCOME_OK : OUTCOME_TOO_FEW_SIGNATURES;
}

/* All but the signatures' validity; they cover the first *ret_signed_len bytes. */
static enum outcome read_text(const uint8_t *bytes, size_t len, struct network_file *ret, struct file_signatures *ret_signatures,
                              size_t *ret_signed_len, uint32_t *ret_line) {
  struct text_reader reader;
  if (ret_line) *ret_line = 0;
  if (len > LIMIT_NETWORK_FILE_BYTES) return OUTCOME_TOO_LARGE;
  memset(ret, 0, sizeof *ret);
  text_reader_init(&reader, bytes, len);
  read_signed_part(&reader, ret);
  *ret_signed_len = text_offset(&reader);
  read_signatures(&reader, ret_signatures);
  if (!text_is_complete(&reader)) {
    if (ret_line) *ret_line = reader.line;
    return OUTCOME_BAD_DOCUMENT;
  }
  digest_labelled(ret->digest, CONTEXT, bytes, *ret_signed_len);
  return OUTCOME_OK;
}

enum outcome network_file_parse(const uint8_t *bytes, size_t len, struct network_file *ret, uint32_t *ret_line) {
  struct network_file file;
  struct file_signatures signatures;
  size_t signed_len;
  enum outcome outcome = read_text(bytes, len, &file, &signatures, &signed_len, ret_line);
  if (outcome == OUTCOME_OK) outcome = check_signatures(&file, &signatures, bytes, signed_len);
  if (outcome == OUTCOME_OK) *ret = file;
  return outcome;
}

/* [NET-7] What costs nothing to see is looked at first: whoever hands in an old file makes nobody check a signature. */
enum outcome network_file_follows(const struct network_file *old, const uint8_t *bytes, size_t len, struct network_file *ret) {
  struct network_file file;
  struct file_signatures signatures;
  size_t signed_len;
  enum outcome outcome = read_text(bytes, len, &file, &signatures, &signed_len, NULL);
  if (outcome != OUTCOME_OK) return outcome;
  if (memcmp(file.id, old->id, sizeof file.id) != 0) return OUTCOME_WRONG_NETWORK;
  if (file.serial <= old->serial) return OUTCOME_STALE;
  if (file.serial - 1 != old->serial || file.starts <= old->starts) return OUTCOME_BAD_DOCUMENT;
  if (memcmp(file.previous, old->digest, sizeof file.previous) != 0) return OUTCOME_WRONG_NETWORK;
  outcome = check_signatures(&file, &signatures, bytes, signed_len);
  if (outcome == OUTCOME_OK) outcome = check_signatures(old, &signatures, bytes, signed_len);
  if (outcome == OUTCOME_OK) *ret = file;
  return outcome;
}

enum outcome network_file_read_draft(const uint8_t *bytes, size_t len, struct network_file *ret, struct network_signers *ret_signers,
                                     uint32_t *ret_line) {
  struct file_signatures signatures;
  size_t signed_len;
  enum outcome outcome = read_text(bytes, len, ret, &signatures, &signed_len, ret_line);
  if (outcome != OUTCOME_OK || ret_signers == NULL) return outcome;
  memset(ret_signers, 0, sizeof *ret_signers);
  for (uint32_t i = 0; i < signatures.count; i++) {
    const struct file_signature *signature = &signatures.list[i];
    memcpy(ret_signers->list[i].identity, signature->identity, IDENTITY_BYTES);
    ret_signers->list[i].is_valid = signature_is_valid(signature->bytes, signature->identity, CONTEXT, bytes, signed_len);
  }
  ret_signers->count = signatures.count;
  return OUTCOME_OK;
}

uint32_t network_file_count_signers(const struct network_file *file, const struct network_signers *signers) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < signers->count; i++)
    count += signers->list[i].is_valid && network_file_find_authority(file, signers->list[i].identity) >= 0;
  return count;
}

static void write_authority(struct text_writer *writer, const struct network_authority *authority) {
  char place[HOST_NAME_MAX_BYTES + sizeof "[]:65535"];
  bool is_ipv6 = strchr(authority->host, ':') != NULL;
  snprintf(place, sizeof place, "%s%s%s:%u", is_ipv6 ? "[" : "", authority->host, is_ipv6 ? "]" : "", (unsigned)authority->port);
  text_write_line(writer, "authority");
  text_write_word(writer, authority->name);
  text_write_hex(writer, authority->identity, sizeof authority->identity);
  text_write_hex(writer, authority->link_key, sizeof authority->link_key);
  text_write_word(writer, place);
  text_write_end(writer);
}

size_t network_file_format(const struct network_file *file, char *out, size_t room) {
  struct text_writer writer;
  text_writer_init(&writer, out, room);
  text_write_title(&writer, KIND);
  text_write_word_line(&writer, "name", file->name);
  text_write_hex_line(&writer, "id", file->id, sizeof file->id);
  text_write_number_line(&writer, "serial", file->serial);
  if (file->serial > 1) {
    text_write_number_line(&writer, "starts", file->starts);
    text_write_hex_line(&writer, "previous", file->previous, sizeof file->previous);
  }
  text_write_word_line(&writer, "lab", file->is_lab ? "yes" : "no");
  text_write_date_line(&writer, "created", file->created);
  text_write_date_line(&writer, "expires", file->expires);
  for (size_t i = 0; i < TIMING_LINE_COUNT; i++) {
    int64_t value;
    memcpy(&value, (const char *)&file->timing + TIMING_LINES[i].offset, sizeof value);
    text_write_number_line(&writer, TIMING_LINES[i].keyword, (uint64_t)value);
  }
  for (uint32_t i = 0; i < file->authority_count; i++) write_authority(&writer, &file->authorities[i]);
  return text_written(&writer);
}

/* [NET-2] */
size_t network_file_sign(char *text, size_t len, size_t room, const uint8_t identity_seed[32]) {
  uint8_t identity[IDENTITY_BYTES], signature[ED25519_SIGNATURE_BYTES];
  struct text_writer writer;
  if (len > room) return 0;
  ed25519_public(identity, identity_seed);
  signature_make(signature, identity_seed, CONTEXT, (const uint8_t *)text, text_signed_bytes(text, len));
  text_writer_init(&writer, text, room);
  writer.len = len;
  text_write_line(&writer, "signature");
  text_write_hex(&writer, identity, sizeof identity);
  text_write_hex(&writer, signature, sizeof signature);
  text_write_end(&writer);
  return text_written(&writer);
}

uint32_t authorities_tolerated(uint32_t n) { return n == 0 ? 0 : (n - 1) / 3; }

/* [AGREE-1] ceil((n + f + 1) / 2) */
uint32_t authorities_quorum(uint32_t n) { return (n + authorities_tolerated(n) + 2) / 2; }

int network_file_find_authority(const struct network_file *file, const uint8_t identity[IDENTITY_BYTES]) {
  for (uint32_t i = 0; i < file->authority_count; i++)
    if (memcmp(file->authorities[i].identity, identity, IDENTITY_BYTES) == 0) return (int)i;
  return -1;
}

/* [NET-5] */
void network_timing_lab(struct network_timing *ret) {
  *ret = (struct network_timing){
      .interval = 10 * 1000, .valid = 10 * 60 * 1000, .early_gap = 500, .view_first = 200, .view_most = 3 * 1000,
      .fetch_spread = 2 * 1000, .onion_rotation = 60 * 60 * 1000, .probe_interval = 5 * 1000};
}

void network_timing_production(struct network_timing *ret) {
  *ret = (struct network_timing){
      .interval = 60 * 60 * 1000, .valid = DAY_MS, .early_gap = 10 * 60 * 1000, .view_first = 60 * 1000,
      .view_most = 10 * 60 * 1000, .fetch_spread = 60 * 60 * 1000, .onion_rotation = (int64_t)7 * DAY_MS,
      .probe_interval = 30 * 60 * 1000};
}

/* [NET-8] */
uint8_t network_onion_generation(const struct network_timing *timing, struct date date) {
  assert(timing->onion_rotation > 0);
  if (date.milliseconds < 0) return 0;
  return (uint8_t)(date.milliseconds / timing->onion_rotation % 256);
}
