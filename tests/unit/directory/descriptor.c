#include "directory/descriptor.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "documents.h"

enum { ROOM = 32 * 1024 };

static struct network_file network;
static struct descriptor made, parsed;
static char text[ROOM], changed[ROOM];

/* Relay 1 with everything that a descriptor can have. */
static void make_rich(void) {
  static const char *const RULES[] = {"reject 203.0.113.0/24:*", "accept *:80", "accept *:443-8443", "accept private:*",
                                      "accept 10.0.0.0/8:22", "accept [2001:db8::]/32:1-1024", "reject *:*"};
  uint8_t seed[32];
  sample_network(&network, 1);
  sample_descriptor(&made, &network, 1);
  made.policy.rule_count = 0;
  for (size_t i = 0; i < sizeof RULES / sizeof RULES[0]; i++) cr_assert(exit_policy_add_rule(&made.policy, RULES[i], strlen(RULES[i])));
  made.other = (struct address){.family = ADDRESS_IPV6, .bytes = {0x20, 1, 0xd, 0xb8, [15] = 1}, .port = 9001};
  for (uint32_t i = 0; i < RELAY_FAMILIES_MAX; i++) {
    sample_bytes(seed, 'F', i);
    cr_assert(descriptor_join_family(&made, seed));
  }
  cr_assert(!descriptor_join_family(&made, seed), "a ninth");
  snprintf(made.contact, sizeof made.contact, "Someone <someone@example.org> \"quoted\"");
}

static enum outcome judge(const char *bytes, size_t len, uint32_t *ret_line) {
  return descriptor_parse(network.id, (const uint8_t *)bytes, len, &parsed, ret_line);
}

/* The sample with one change, signed anew, so that the signature does not object. */
static enum outcome judge_with(const char *after, const char *from, const char *to) {
  uint8_t seed[32];
  size_t len = descriptor_format(&made, text, sizeof text);
  len = text_replace(text, len, after, from, to, changed, sizeof changed);
  sample_bytes(seed, 'S', 1);
  return judge(changed, descriptor_sign(changed, len, sizeof changed, seed), NULL);
}

Test(descriptor, what_was_written_is_read) {
  make_rich();
  for (int poor = 0; poor < 2; poor++) {
    if (poor) sample_descriptor(&made, &network, 2);
    size_t len = sample_descriptor_text(&made, poor ? 2 : 1, text, sizeof text);
    cr_assert_eq(judge(text, len, NULL), OUTCOME_OK);
    cr_assert(memcmp(&parsed, &made, sizeof made) == 0);
    size_t again = descriptor_format(&parsed, changed, sizeof changed);
    cr_assert(again > 0 && memcmp(text, changed, again) == 0, "the text written anew is the same");
    cr_assert_eq(descriptor_read(network.id, (const uint8_t *)text, len, &parsed, NULL), OUTCOME_OK);
    cr_assert(memcmp(&parsed, &made, sizeof made) == 0);
  }
}

Test(descriptor, every_changed_line_is_refused) {
  make_rich();
  size_t len = sample_descriptor_text(&made, 1, text, sizeof text);
  for (uint32_t line = 0; line < text_line_count(text, len); line++)
    for (enum line_change change = LINE_REMOVED; change < LINE_CHANGES; change++) {
      size_t changed_len = text_change_line(text, len, line, change, changed, sizeof changed);
      if (changed_len > 0) cr_assert_neq(judge(changed, changed_len, NULL), OUTCOME_OK, "line %u, change %d", (unsigned)line, (int)change);
    }
}

Test(descriptor, every_truncation_and_every_changed_byte_is_refused) {
  make_rich();
  size_t len = sample_descriptor_text(&made, 1, text, sizeof text);
  for (size_t cut = 0; cut < len; cut++) cr_assert_neq(judge(text, cut, NULL), OUTCOME_OK, "cut at %zu", cut);
  for (size_t i = 0; i < len; i++) {
    text[i] ^= 1;
    cr_assert_neq(judge(text, len, NULL), OUTCOME_OK, "byte %zu", i);
    text[i] ^= 1;
  }
}

Test(descriptor, grammar_objects_without_the_signature) {
  static const struct { const char *after, *from, *to; bool good; } TABLE[] = {
      {"software", "\n", "\nx-later thing\n", false}, /* not between software and contact */
      {"contact", "\n", "\nx-later thing\n", true},
      {"nickname", "r1", "r_1", false}, {"nickname", "r1", "r 1", false}, {"nickname", "r1", "", false},
      {"nickname", "r1", "abcdefghijklmnopqrst", false}, {"nickname", "r1", "abcdefghijklmnopqrs", true},
      {"sequence", "1", "0", false}, {"sequence", "1", "01", false}, {"sequence", "1", "18446744073709551615", true},
      {"sequence", "1", "18446744073709551616", false}, {"published", "2026", "2025", false}, {"published", "2026", "2027", false},
      {"\naddress", "10.0.0.1", "10.0.0.01", false}, {"\naddress", "10.0.0.1:9001", "[2001:db8::2]:9001", false},
      {"onion-key", "3 ", "256 ", false}, {"link-suites", "6", "4", false}, {"link-suites", "6", "7", false},
      {"link-suites", "6", "0", false}, {"layer-suite", "2", "3", false}, {"bandwidth", "1001", "100000001", false},
      {"bandwidth", "1001", "100000000", true}, {"bandwidth", "1001", "1e3", false}, {"exit-policy", "reject", "refuse", false},
      {"exit-policy accept *:80", "accept *:80", "reject", false}, {"exit-policy", "203.0.113.0/24", "203.0.113.1/24", false},
      {"software", "tunic-1.0", "tunic 1.0", false}, {"contact", "Someone ", "Someone  ", false}, {"contact", "Someone ", " ", false},
      {"contact", "Someone", "S\xc3\xb6meone", false},
  };
  make_rich();
  sample_descriptor_text(&made, 1, text, sizeof text); /* certifies it */
  for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
    enum outcome outcome = judge_with(TABLE[i].after, TABLE[i].from, TABLE[i].to);
    cr_assert_eq(outcome, TABLE[i].good ? OUTCOME_OK : OUTCOME_BAD_DOCUMENT, "%s: %s for %s: %s", TABLE[i].after, TABLE[i].to, TABLE[i].from, outcome_name(outcome));
  }
}

Test(descriptor, long_contact_and_large_text) {
  make_rich();
  memset(made.contact, 'c', sizeof made.contact - 1);
  cr_assert_eq(judge(text, sample_descriptor_text(&made, 1, text, sizeof text), NULL), OUTCOME_OK);
  cr_assert_eq(judge_with("contact", "ccc", "cccc"), OUTCOME_BAD_DOCUMENT);
  cr_assert_eq(judge(text, LIMIT_DESCRIPTOR_BYTES + 1, NULL), OUTCOME_TOO_LARGE);
  size_t len = descriptor_format(&made, text, sizeof text);
  for (size_t room = 0; room < len; room++) cr_assert_eq(descriptor_format(&made, changed, room), 0);
}

/* [DESC-2], [DESC-3], [DESC-6] */
Test(descriptor, signatures_bind_what_they_should) {
  uint8_t seed[32], message[72];
  size_t len;
  make_rich();
  sample_descriptor_text(&made, 1, text, sizeof text);
  struct descriptor good = made;
  sample_bytes(seed, 'S', 2); /* signed by another's signing key */
  len = descriptor_format(&made, text, sizeof text);
  cr_assert_eq(judge(text, descriptor_sign(text, len, sizeof text, seed), NULL), OUTCOME_BAD_SIGNATURE);
  sample_bytes(seed, 'I', 1); /* signed by the identity itself */
  len = descriptor_format(&made, text, sizeof text);
  cr_assert_eq(judge(text, descriptor_sign(text, len, sizeof text, seed), NULL), OUTCOME_BAD_SIGNATURE);
  sample_bytes(seed, 'I', 2); /* certified by another identity */
  descriptor_certify(&made, seed);
  cr_assert_eq(judge_with("nickname", "r1", "r1"), OUTCOME_BAD_SIGNATURE);
  made = good; /* certified for another date */
  made.signing_expires = date_after(made.signing_expires, -1);
  cr_assert_eq(judge_with("nickname", "r1", "r1"), OUTCOME_BAD_SIGNATURE);
  made = good; /* the certificate's context is its own */
  memcpy(message, made.network, 32);
  memcpy(message + 32, made.signing_key, 32);
  for (int i = 0; i < 8; i++) message[64 + i] = (uint8_t)(made.signing_expires.milliseconds >> (56 - 8 * i));
  sample_bytes(seed, 'I', 1);
  signature_make(made.certificate, seed, "tunic signing key", message, sizeof message);
  cr_assert_eq(judge_with("nickname", "r1", "r1"), OUTCOME_OK);
  signature_make(made.certificate, seed, "tunic descriptor", message, sizeof message);
  cr_assert_eq(judge_with("nickname", "r1", "r1"), OUTCOME_BAD_SIGNATURE);
  made = good; /* a family that certified another relay */
  sample_bytes(seed, 'F', 0);
  struct descriptor other;
  sample_descriptor(&other, &network, 2);
  descriptor_join_family(&other, seed);
  for (uint32_t i = 0; i < made.family_count; i++)
    if (memcmp(made.families[i].key, other.families[0].key, 32) == 0) made.families[i] = other.families[0];
  cr_assert_eq(judge_with("nickname", "r1", "r1"), OUTCOME_BAD_SIGNATURE);
}

Test(descriptor, signing_key_lives_thirty_days_at_most) {
  make_rich();
  made.signing_expires = date_after(made.published, DESCRIPTOR_SIGNING_KEY_MOST_MS + 1);
  cr_assert_eq(judge(text, sample_descriptor_text(&made, 1, text, sizeof text), NULL), OUTCOME_BAD_DOCUMENT);
  made.signing_expires = made.published;
  cr_assert_eq(judge(text, sample_descriptor_text(&made, 1, text, sizeof text), NULL), OUTCOME_BAD_DOCUMENT);
}

/* [DESC-5] */
Test(descriptor, bad_keys) {
  static const uint8_t LOW[][32] = {{0}, {1}, {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
                                              0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00}};
  for (size_t i = 0; i < sizeof LOW / sizeof LOW[0]; i++)
    for (int link = 0; link < 2; link++) {
      make_rich();
      memcpy(link ? made.link_key : made.onion_key, LOW[i], 32);
      cr_assert_eq(judge(text, sample_descriptor_text(&made, 1, text, sizeof text), NULL), OUTCOME_BAD_DOCUMENT);
    }
  make_rich();
  memcpy(made.onion_key, made.link_key, 32);
  cr_assert_eq(judge(text, sample_descriptor_text(&made, 1, text, sizeof text), NULL), OUTCOME_BAD_DOCUMENT);
  make_rich();
  memset(made.identity, 0, 32);
  cr_assert_eq(judge(text, sample_descriptor_text(&made, 1, text, sizeof text), NULL), OUTCOME_BAD_SIGNATURE);
}

/* Two keys that a consensus could not tell apart. */
Test(descriptor, families_differ_in_what_is_shown) {
  make_rich();
  memcpy(made.families[1].key, made.families[0].key, RELAY_FAMILY_BYTES);
  cr_assert_eq(judge(text, sample_descriptor_text(&made, 1, text, sizeof text), NULL), OUTCOME_BAD_DOCUMENT);
}

Test(descriptor, of_another_network) {
  make_rich();
  size_t len = sample_descriptor_text(&made, 1, text, sizeof text);
  network.id[31] ^= 1;
  cr_assert_eq(judge(text, len, NULL), OUTCOME_WRONG_NETWORK);
}

/* [DESC-8] */
Test(descriptor, dates_and_places) {
  make_rich();
  struct date at = made.published;
  cr_assert_eq(descriptor_check(&made, &network, at), OUTCOME_OK);
  cr_assert_eq(descriptor_check(&made, &network, date_after(at, -DESCRIPTOR_AHEAD_MOST_MS)), OUTCOME_OK);
  cr_assert_eq(descriptor_check(&made, &network, date_after(at, -DESCRIPTOR_AHEAD_MOST_MS - 1)), OUTCOME_CLOCK_WRONG);
  cr_assert_eq(descriptor_check(&made, &network, date_after(at, DESCRIPTOR_AGE_MOST_MS)), OUTCOME_OK);
  cr_assert_eq(descriptor_check(&made, &network, date_after(at, DESCRIPTOR_AGE_MOST_MS + 1)), OUTCOME_STALE);
  made.signing_expires = date_after(at, 1000);
  cr_assert_eq(descriptor_check(&made, &network, date_after(at, 999)), OUTCOME_OK);
  cr_assert_eq(descriptor_check(&made, &network, date_after(at, 1000)), OUTCOME_STALE);
  network.is_lab = false;
  cr_assert_eq(descriptor_check(&made, &network, at), OUTCOME_NOT_ALLOWED_HERE);
  made.address.bytes[0] = 11;
  cr_assert_eq(descriptor_check(&made, &network, at), OUTCOME_NOT_ALLOWED_HERE, "its other address");
  made.other.family = ADDRESS_NONE;
  cr_assert_eq(descriptor_check(&made, &network, at), OUTCOME_OK);
}
