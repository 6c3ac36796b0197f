#include "directory/exit_policy.h"

#include <stdio.h>
#include <string.h>

enum {
  /* [POLICY-3] A shorter prefix means public addresses only, like `*`. */
  IPV4_PREFIX_PRIVATE = 8,
  IPV6_PREFIX_PRIVATE = 7,
  /* [POLICY-5] Rejecting so much of IPv4 rejects a port in general. */
  IPV4_PREFIX_GENERAL = 8,
};

/* [POLICY-2] `*`, N, or N-M with N < M. */
static bool parse_ports(struct text_span text, struct exit_rule *ret) {
  struct text_span low_text;
  uint64_t low = 1, high = 65535;
  if (text_equals(text, "*")) {
  } else if (text_cut(&text, '-', &low_text)) {
    if (!text_number(low_text, 1, 65535, &low) || !text_number(text, low + 1, 65535, &high)) return false;
    if (low == 1 && high == 65535) return false; /* that is `*` */
  } else {
    if (!text_number(text, 1, 65535, &low)) return false;
    high = low;
  }
  ret->low = (uint16_t)low;
  ret->high = (uint16_t)high;
  return true;
}

static bool bits_after_are_zero(const uint8_t *bytes, uint32_t size, uint32_t prefix) {
  for (uint32_t bit = prefix; bit < 8 * size; bit++)
    if (bytes[bit / 8] & (0x80 >> bit % 8)) return false;
  return true;
}

/* An address in its one text form, `/`, and a prefix that covers all bits that are set. */
static bool parse_network(struct text_span text, struct exit_rule *ret) {
  struct text_span host;
  struct address address;
  uint64_t prefix;
  char canonical[ADDRESS_TEXT_BYTES];
  bool in_brackets = text.len > 0 && text.text[0] == '[';
  if (!text_cut(&text, '/', &host)) return false;
  if (in_brackets) {
    if (host.len < 2 || host.text[host.len - 1] != ']') return false;
    host = (struct text_span){host.text + 1, host.len - 2};
  }
  if (!address_parse_host(host.text, host.len, &address) || in_brackets != (address.family == ADDRESS_IPV6)) return false;
  address_format_host(&address, canonical);
  uint32_t size = in_brackets ? 16 : 4;
  if (!text_equals(host, canonical) || !text_number(text, 0, 8 * size, &prefix)) return false;
  if (!bits_after_are_zero(address.bytes, size, (uint32_t)prefix)) return false;
  ret->target = in_brackets ? EXIT_TARGET_IPV6 : EXIT_TARGET_IPV4;
  ret->prefix = (uint8_t)prefix;
  memcpy(ret->bytes, address.bytes, size);
  return true;
}

/* The ports stand behind the last colon: an IPv6 network has colons of its own. */
static bool parse_rule(struct text_span text, struct exit_rule *ret) {
  struct text_span verb, target;
  *ret = (struct exit_rule){0};
  if (!text_cut(&text, ' ', &verb)) return false;
  ret->accept = text_equals(verb, "accept");
  if (!ret->accept && !text_equals(verb, "reject")) return false;
  size_t colon = text.len;
  while (colon > 0 && text.text[colon - 1] != ':') colon--;
  if (colon == 0) return false;
  target = (struct text_span){text.text, colon - 1};
  if (!parse_ports((struct text_span){text.text + colon, text.len - colon}, ret)) return false;
  ret->target = EXIT_TARGET_PUBLIC;
  if (text_equals(target, "*")) return true;
  ret->target = EXIT_TARGET_PRIVATE;
  return text_equals(target, "private") || parse_network(target, ret);
}

bool exit_policy_add_rule(struct exit_policy *policy, const char *text, size_t len) {
  struct exit_rule rule;
  if (policy->rule_count == EXIT_POLICY_RULES_MAX || !parse_rule((struct text_span){text, len}, &rule)) return false;
  policy->rules[policy->rule_count++] = rule;
  return true;
}

/* [POLICY-1] */
void exit_policy_read(struct text_reader *reader, struct exit_policy *ret) {
  ret->rule_count = 0;
  text_read_line(reader, "exit-policy");
  struct text_span rule = text_read_rest(reader);
  if (text_equals(rule, "reject")) return;
  do {
    if (reader->failed || !exit_policy_add_rule(ret, rule.text, rule.len)) {
      text_fail(reader);
      return;
    }
    if (!text_read_line_if(reader, "exit-policy")) return;
    rule = text_read_rest(reader);
  } while (true);
}

static void write_rule(struct text_writer *writer, const struct exit_rule *rule) {
  char target[ADDRESS_TEXT_BYTES + sizeof "[]/128"] = "*", ports[16] = "*", word[sizeof target + sizeof ports];
  if (rule->target == EXIT_TARGET_PRIVATE) snprintf(target, sizeof target, "private");
  if (rule->target == EXIT_TARGET_IPV4 || rule->target == EXIT_TARGET_IPV6) {
    bool is_ipv6 = rule->target == EXIT_TARGET_IPV6;
    struct address address = {.family = is_ipv6 ? ADDRESS_IPV6 : ADDRESS_IPV4};
    char host[ADDRESS_TEXT_BYTES];
    memcpy(address.bytes, rule->bytes, sizeof address.bytes);
    address_format_host(&address, host);
    snprintf(target, sizeof target, "%s%s%s/%u", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", (unsigned)rule->prefix);
  }
  if (rule->low == rule->high) snprintf(ports, sizeof ports, "%u", (unsigned)rule->low);
  else if (rule->low != 1 || rule->high != 65535) snprintf(ports, sizeof ports, "%u-%u", (unsigned)rule->low, (unsigned)rule->high);
  snprintf(word, sizeof word, "%s:%s", target, ports);
  text_write_line(writer, "exit-policy");
  text_write_word(writer, rule->accept ? "accept" : "reject");
  text_write_word(writer, word);
  text_write_end(writer);
}

void exit_policy_write(struct text_writer *writer, const struct exit_policy *policy) {
  for (uint32_t i = 0; i < policy->rule_count; i++) write_rule(writer, &policy->rules[i]);
  if (policy->rule_count > 0) return;
  text_write_line(writer, "exit-policy");
  text_write_word(writer, "reject");
  text_write_end(writer);
}

/* Mapped (::ffff:0:0/96) and NAT64 (64:ff9b::/96). */
struct address exit_policy_reaches(const struct address *address) {
  static const uint8_t MAPPED[12] = {[10] = 0xff, [11] = 0xff}, NAT64[12] = {0x00, 0x64, 0xff, 0x9b};
  struct address inner = {.family = ADDRESS_IPV4, .port = address->port};
  if (address->family != ADDRESS_IPV6) return *address;
  if (memcmp(address->bytes, MAPPED, sizeof MAPPED) != 0 && memcmp(address->bytes, NAT64, sizeof NAT64) != 0) return *address;
  memcpy(inner.bytes, address->bytes + 12, 4);
  return inner;
}

static bool prefix_matches(const struct exit_rule *rule, const struct address *address) {
  uint32_t whole = rule->prefix / 8, rest = rule->prefix % 8;
  if (memcmp(rule->bytes, address->bytes, whole) != 0) return false;
  return rest == 0 || ((rule->bytes[whole] ^ address->bytes[whole]) >> (8 - rest)) == 0;
}

static bool target_matches(const struct exit_rule *rule, const struct address *address, bool is_private) {
  switch ((enum exit_target)rule->target) {
  case EXIT_TARGET_PUBLIC: return !is_private;
  case EXIT_TARGET_PRIVATE: return is_private;
  case EXIT_TARGET_IPV4:
    if (address->family != ADDRESS_IPV4 || (is_private && rule->prefix < IPV4_PREFIX_PRIVATE)) return false;
    return prefix_matches(rule, address);
  case EXIT_TARGET_IPV6:
    if (address->family != ADDRESS_IPV6 || (is_private && rule->prefix < IPV6_PREFIX_PRIVATE)) return false;
    return prefix_matches(rule, address);
  }
  return false;
}

/* [POLICY-4] The one that decides; NULL: none fits. */
static const struct exit_rule *find_rule(const struct exit_policy *policy, const struct address *address) {
  struct address reached = exit_policy_reaches(address);
  bool is_private = address_is_private(&reached);
  for (uint32_t i = 0; i < policy->rule_count; i++) {
    const struct exit_rule *rule = &policy->rules[i];
    if (reached.port < rule->low || reached.port > rule->high) continue;
    if (target_matches(rule, &reached, is_private)) return rule;
  }
  return NULL;
}

bool exit_policy_may_connect(const struct exit_policy *policy, const struct address *address) {
  const struct exit_rule *rule = find_rule(policy, address);
  return rule != NULL && rule->accept;
}

bool exit_policy_names(const struct exit_policy *policy, const struct address *address) {
  const struct exit_rule *rule = find_rule(policy, address);
  if (rule == NULL || !rule->accept) return false;
  return (rule->target == EXIT_TARGET_IPV4 && rule->prefix == 32) || (rule->target == EXIT_TARGET_IPV6 && rule->prefix == 128);
}

/* [POLICY-5] What a rule says of public IPv4 addresses in general. */
static bool speaks_in_general(const struct exit_rule *rule) {
  switch ((enum exit_target)rule->target) {
  case EXIT_TARGET_PUBLIC: return true;
  case EXIT_TARGET_IPV4: return rule->accept ? rule->prefix == 0 : rule->prefix <= IPV4_PREFIX_GENERAL;
  case EXIT_TARGET_PRIVATE:
  case EXIT_TARGET_IPV6: return false;
  }
  return false;
}

/* Any reject of a private network makes the answer no: the summary may promise too little, never too much. */
static bool speaks_of_private(const struct exit_rule *rule) {
  switch ((enum exit_target)rule->target) {
  case EXIT_TARGET_PUBLIC: return false;
  case EXIT_TARGET_PRIVATE: return true;
  case EXIT_TARGET_IPV4: return !rule->accept && rule->prefix >= IPV4_PREFIX_PRIVATE;
  case EXIT_TARGET_IPV6: return !rule->accept && rule->prefix >= IPV6_PREFIX_PRIVATE;
  }
  return false;
}

typedef bool rule_filter(const struct exit_rule *);

/* The ports from `first` on that the same rule decides: whether it accepts, and the last of them. */
static bool accepts_from(const struct exit_policy *policy, rule_filter *speaks, uint32_t first, uint32_t *ret_last) {
  *ret_last = 65535;
  for (uint32_t i = 0; i < policy->rule_count; i++) {
    const struct exit_rule *rule = &policy->rules[i];
    if (!speaks(rule) || rule->high < first) continue;
    if (rule->low <= first) {
      if (rule->high < *ret_last) *ret_last = rule->high;
      return rule->accept;
    }
    if (rule->low <= *ret_last) *ret_last = rule->low - 1U;
  }
  return false;
}

bool exit_policy_allows_private(const struct exit_policy *policy) {
  for (uint32_t first = 1, last; first <= 65535; first = last + 1)
    if (!accepts_from(policy, speaks_of_private, first, &last)) return false;
  return true;
}

bool exit_policy_summarise(const struct exit_policy *policy, struct exit_summary *ret) {
  memset(ret, 0, sizeof *ret);
  ret->allows_private = exit_policy_allows_private(policy);
  for (uint32_t first = 1, last; first <= 65535; first = last + 1) {
    if (!accepts_from(policy, speaks_in_general, first, &last)) continue;
    if (ret->range_count > 0 && ret->ranges[ret->range_count - 1].high + 1U == first) {
      ret->ranges[ret->range_count - 1].high = (uint16_t)last;
      continue;
    }
    if (ret->range_count == EXIT_SUMMARY_RANGES_MAX) break;
    ret->ranges[ret->range_count].low = (uint16_t)first;
    ret->ranges[ret->range_count++].high = (uint16_t)last;
  }
  return ret->range_count > 0 || ret->allows_private;
}

/* [CONS-6] Ascending, with a gap between two ranges. */
static bool parse_range(struct text_span text, struct exit_summary *summary) {
  struct text_span low_text = text;
  uint64_t low, high, least = 1;
  if (summary->range_count == EXIT_SUMMARY_RANGES_MAX) return false;
  if (summary->range_count > 0) least = summary->ranges[summary->range_count - 1].high + 2U;
  bool is_range = text_cut(&text, '-', &low_text);
  if (!text_number(low_text, least, 65535, &low)) return false;
  high = low;
  if (is_range && !text_number(text, low + 1, 65535, &high)) return false;
  summary->ranges[summary->range_count].low = (uint16_t)low;
  summary->ranges[summary->range_count++].high = (uint16_t)high;
  return true;
}

void exit_summary_read(struct text_reader *reader, struct exit_summary *ret) {
  struct text_span range, ranges = text_read_word(reader);
  memset(ret, 0, sizeof *ret);
  if (!text_equals(ranges, "none")) {
    bool good = true;
    while (good && text_cut(&ranges, ',', &range)) good = parse_range(range, ret);
    if (!good || !parse_range(ranges, ret)) text_fail(reader);
  }
  if (text_has_word(reader)) ret->allows_private = text_equals(text_read_word(reader), "private") || text_fail(reader);
  if (ret->range_count == 0 && !ret->allows_private) text_fail(reader);
}

void exit_summary_write(struct text_writer *writer, const struct exit_summary *summary) {
  for (uint32_t i = 0; i < summary->range_count; i++) {
    char range[16];
    uint16_t low = summary->ranges[i].low, high = summary->ranges[i].high;
    if (low == high) snprintf(range, sizeof range, "%u", (unsigned)low);
    else snprintf(range, sizeof range, "%u-%u", (unsigned)low, (unsigned)high);
    text_write_bytes(writer, i == 0 ? " " : ",", 1);
    text_write_bytes(writer, range, strlen(range));
  }
  if (summary->range_count == 0) text_write_word(writer, "none");
  if (summary->allows_private) text_write_word(writer, "private");
}

bool exit_summary_may_connect(const struct exit_summary *summary, uint16_t port, bool is_private) {
  if (summary == NULL) return false;
  if (is_private) return summary->allows_private && port > 0;
  for (uint32_t i = 0; i < summary->range_count; i++)
    if (port >= summary->ranges[i].low && port <= summary->ranges[i].high) return true;
  return false;
}
