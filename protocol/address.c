#include "protocol/address.h"

#include <stdio.h>
#include <string.h>

#include "protocol/message.h"

enum { GROUPS = 8 };

/* What is left of a text; parsers move `at` on. */
struct text {
  const char *at, *end;
};

static bool skip(struct text *text, char c) {
  if (text->at == text->end || *text->at != c) return false;
  text->at++;
  return true;
}

/* A decimal number up to `most`, without sign or leading zeros. */
static bool parse_decimal(struct text *text, uint32_t most, uint32_t *ret) {
  const char *first = text->at;
  uint32_t value = 0;
  for (; text->at < text->end && *text->at >= '0' && *text->at <= '9'; text->at++) {
    value = 10 * value + (uint32_t)(*text->at - '0');
    if (value > most) return false;
  }
  if (text->at == first || (*first == '0' && text->at - first > 1)) return false;
  *ret = value;
  return true;
}

static bool parse_ipv4(struct text *text, uint8_t ret[4]) {
  for (int i = 0; i < 4; i++) {
    uint32_t value;
    if (i > 0 && !skip(text, '.')) return false;
    if (!parse_decimal(text, 255, &value)) return false;
    ret[i] = (uint8_t)value;
  }
  return true;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static bool parse_group(struct text *text, uint8_t ret[2]) {
  uint32_t value = 0;
  int digits = 0;
  for (; text->at < text->end && hex_digit(*text->at) >= 0; text->at++) {
    if (++digits > 4) return false;
    value = value << 4 | (uint32_t)hex_digit(*text->at);
  }
  ret[0] = (uint8_t)(value >> 8);
  ret[1] = (uint8_t)value;
  return digits > 0;
}

/* True if the next group is an IPv4 address, which only the last one may be. */
static bool dotted_is_next(const struct text *text) {
  const char *c = text->at;
  while (c < text->end && hex_digit(*c) >= 0) c++;
  return c < text->end && *c == '.';
}

/* [ADDR-2] The three forms of RFC 4291: eight groups; "::" for one or more zero groups, once; the last two
 * groups as an IPv4 address. Takes all of the text. */
static bool parse_ipv6(struct text text, uint8_t ret[16]) {
  uint8_t bytes[2 * GROUPS] = {0};
  int count = 0, gap = -1; /* gap: how many groups stand before "::" */
  if (skip(&text, ':')) {
    if (!skip(&text, ':')) return false;
    gap = 0;
  }
  while (text.at < text.end) {
    if (count == GROUPS) return false;
    if (dotted_is_next(&text)) {
      if (count > GROUPS - 2 || !parse_ipv4(&text, bytes + 2 * count) || text.at != text.end) return false;
      count += 2;
      break;
    }
    if (!parse_group(&text, bytes + 2 * count)) return false;
    count++;
    if (text.at == text.end) break;
    if (!skip(&text, ':') || text.at == text.end) return false;
    if (*text.at == ':') {
      if (gap >= 0) return false;
      text.at++;
      gap = count;
    }
  }
  if (gap < 0 ? count != GROUPS : count == GROUPS) return false;
  memset(ret, 0, 2 * GROUPS);
  if (gap < 0) gap = count;
  memcpy(ret, bytes, 2 * (size_t)gap);
  memcpy(ret + 2 * (GROUPS - (count - gap)), bytes + 2 * gap, 2 * (size_t)(count - gap));
  return true;
}

/* A host that takes all of the text; without brackets. */
static bool parse_host(struct text text, struct address *ret) {
  *ret = (struct address){.family = ADDRESS_IPV4};
  struct text rest = text;
  if (parse_ipv4(&rest, ret->bytes) && rest.at == rest.end) return true;
  *ret = (struct address){.family = ADDRESS_IPV6};
  return parse_ipv6(text, ret->bytes);
}

static bool parse_port(struct text text, uint16_t *ret) {
  uint32_t port;
  if (!parse_decimal(&text, UINT16_MAX, &port) || text.at != text.end) return false;
  *ret = (uint16_t)port;
  return true;
}

/* [ADDR-1] The port stands behind the last colon, and only IPv6 needs brackets to tell. */
bool address_parse(const char *text, size_t len, struct address *ret) {
  if (len >= ADDRESS_TEXT_BYTES) return false;
  const char *end = text + len, *colon = end;
  while (colon > text && colon[-1] != ':') colon--;
  if (colon == text) return false;
  colon--; /* the last one: before the port */
  bool bracketed = colon - text >= 2 && text[0] == '[' && colon[-1] == ']';
  struct text host = bracketed ? (struct text){text + 1, colon - 1} : (struct text){text, colon};
  struct address address;
  if (!parse_host(host, &address) || bracketed != (address.family == ADDRESS_IPV6)) return false;
  if (!parse_port((struct text){colon + 1, end}, &address.port)) return false;
  *ret = address;
  return true;
}

bool address_parse_host(const char *text, size_t len, struct address *ret) {
  if (len >= ADDRESS_TEXT_BYTES) return false;
  bool bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';
  struct text host = bracketed ? (struct text){text + 1, text + len - 1} : (struct text){text, text + len};
  struct address address;
  if (!parse_host(host, &address) || (bracketed && address.family != ADDRESS_IPV6)) return false;
  *ret = address;
  return true;
}

static uint16_t group_at(const uint8_t bytes[16], int i) {
  return (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
}

static const uint8_t MAPPED[12] = {[10] = 0xff, [11] = 0xff}; /* ::ffff:0:0/96 */

/* The first of the longest runs of at least two zero groups. */
static void find_gap(const uint8_t bytes[16], int groups, int *ret_at, int *ret_len) {
  *ret_at = -1, *ret_len = 1;
  for (int i = 0; i < groups; i++) {
    int len = 0;
    while (i + len < groups && group_at(bytes, i + len) == 0) len++;
    if (len > *ret_len) *ret_at = i, *ret_len = len;
  }
}

/* [ADDR-2] RFC 5952: lower case, no leading zeros, "::" for the first longest run of zero groups, an
 * IPv4-mapped address with its IPv4 part dotted. */
static void format_ipv6(const uint8_t bytes[16], char *out, size_t room) {
  bool mapped = memcmp(bytes, MAPPED, sizeof MAPPED) == 0;
  int groups = mapped ? GROUPS - 2 : GROUPS, gap, gap_len;
  find_gap(bytes, groups, &gap, &gap_len);
  size_t len = 0;
  for (int i = 0; i < groups; i++) {
    if (i == gap) {
      len += (size_t)snprintf(out + len, room - len, "::");
      i += gap_len - 1;
      continue;
    }
    const char *separator = i > 0 && i != gap + gap_len ? ":" : "";
    len += (size_t)snprintf(out + len, room - len, "%s%x", separator, group_at(bytes, i));
  }
  if (mapped) snprintf(out + len, room - len, ":%u.%u.%u.%u", bytes[12], bytes[13], bytes[14], bytes[15]);
}

void address_format_host(const struct address *address, char ret_text[ADDRESS_TEXT_BYTES]) {
  const uint8_t *b = address->bytes;
  if (address->family == ADDRESS_IPV4)
    snprintf(ret_text, ADDRESS_TEXT_BYTES, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
  else if (address->family == ADDRESS_IPV6)
    format_ipv6(b, ret_text, ADDRESS_TEXT_BYTES);
  else
    snprintf(ret_text, ADDRESS_TEXT_BYTES, "none");
}

void address_format(const struct address *address, char ret_text[ADDRESS_TEXT_BYTES]) {
  char host[ADDRESS_TEXT_BYTES];
  address_format_host(address, host);
  if (address->family == ADDRESS_IPV6) {
    size_t len = strlen(host); /* at most 45 */
    ret_text[0] = '[';
    memcpy(ret_text + 1, host, len);
    snprintf(ret_text + 1 + len, ADDRESS_TEXT_BYTES - 1 - len, "]:%u", address->port);
  } else {
    size_t len = strlen(host);
    memcpy(ret_text, host, len);
    snprintf(ret_text + len, ADDRESS_TEXT_BYTES - len, ":%u", address->port);
  }
}

bool address_host_equal(const struct address *a, const struct address *b) {
  return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool address_equal(const struct address *a, const struct address *b) {
  return address_host_equal(a, b) && a->port == b->port;
}

/* True if the first `bits` bits are the same. */
static bool prefix_equal(const uint8_t *a, const uint8_t *b, unsigned bits) {
  if (memcmp(a, b, bits / 8) != 0) return false;
  return bits % 8 == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8) == 0;
}

struct prefix {
  uint8_t bytes[12];
  unsigned bits;
};

/* [ADDR-3] */
static bool ipv4_is_private(const uint8_t bytes[4]) {
  /* clang-format off */
  static const struct prefix PREFIXES[] = {
      {{0}, 8},        {{10}, 8},            {{100, 64}, 10},     {{127}, 8},          {{169, 254}, 16},
      {{172, 16}, 12}, {{192, 0, 0}, 24},    {{192, 0, 2}, 24},   {{192, 88, 99}, 24}, {{192, 168}, 16},
      {{198, 18}, 15}, {{198, 51, 100}, 24}, {{203, 0, 113}, 24}, {{224}, 4},          {{240}, 4},
  };
  /* clang-format on */
  for (size_t i = 0; i < sizeof PREFIXES / sizeof PREFIXES[0]; i++)
    if (prefix_equal(bytes, PREFIXES[i].bytes, PREFIXES[i].bits)) return true;
  return false;
}

/* [ADDR-3] Only 2000::/3 is given out as public: all else is refused without a list, so a range that is yet
 * to be reserved is refused too. */
static bool ipv6_is_private(const uint8_t bytes[16]) {
  static const struct prefix NAT64 = {{0x00, 0x64, 0xff, 0x9b}, 96}, SIX_TO_FOUR = {{0x20, 0x02}, 16};
  static const struct prefix PUBLIC = {{0x20}, 3};
  static const struct prefix PREFIXES[] = {
      {{0x20, 0x01, 0x00}, 23},       /* protocol assignments: Teredo, benchmarks, ORCHID */
      {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
      {{0x3f, 0xff, 0x00}, 20},       /* documentation */
  };
  if (prefix_equal(bytes, MAPPED, 96)) return ipv4_is_private(bytes + 12);
  if (prefix_equal(bytes, NAT64.bytes, NAT64.bits)) return ipv4_is_private(bytes + 12);
  if (prefix_equal(bytes, SIX_TO_FOUR.bytes, SIX_TO_FOUR.bits)) return ipv4_is_private(bytes + 2);
  if (!prefix_equal(bytes, PUBLIC.bytes, PUBLIC.bits)) return true;
  for (size_t i = 0; i < sizeof PREFIXES / sizeof PREFIXES[0]; i++)
    if (prefix_equal(bytes, PREFIXES[i].bytes, PREFIXES[i].bits)) return true;
  return false;
}

bool address_is_private(const struct address *address) {
  if (address->family == ADDRESS_IPV4) return ipv4_is_private(address->bytes);
  if (address->family == ADDRESS_IPV6) return ipv6_is_private(address->bytes);
  return true; /* no address is on no internet */
}

/* [ADDR-5] */
bool address_same_neighbourhood(const struct address *a, const struct address *b) {
  if (a->family != b->family || a->family == ADDRESS_NONE) return false;
  return prefix_equal(a->bytes, b->bytes, a->family == ADDRESS_IPV4 ? 16 : 32);
}

static bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* [ADDR-4] */
bool host_name_is_valid(const char *name, size_t len) {
  struct address address;
  if (len < 1 || len > HOST_NAME_MAX_BYTES || address_parse_host(name, len, &address)) return false;
  size_t label = 0; /* where it begins */
  for (size_t i = 0; i < len; i++) {
    if (is_name_byte(name[i])) continue;
    if (name[i] != '.' || i == label || i - label > HOST_LABEL_MAX_BYTES) return false;
    label = i + 1;
  }
  return label < len && len - label <= HOST_LABEL_MAX_BYTES;
}

uint64_t address_source_key(const struct address *address) {
  return address->family == ADDRESS_IPV4 ? get_u32(address->bytes) : get_u64(address->bytes);
}
