#include "directory/network_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "directory/signed_text.h"
#include "documents.h"

static char text[SAMPLE_TEXT_BYTES], changed[SAMPLE_TEXT_BYTES + 4096];
static struct network_file network, parsed;

static enum outcome parse(const char *bytes, size_t len, uint32_t *ret_line) {
  return network_file_parse((const uint8_t *)bytes, len, &parsed, ret_line);
}

/* Signs the first n authorities' names under a text without signatures. */
static size_t sign(char *bytes, size_t len, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    uint8_t seed[32];
    sample_authority_seed(seed, i);
    len = network_file_sign(bytes, len, sizeof text, seed);
    cr_assert(len > 0);
  }
  return len;
}

/* A signed text in which one thing is otherwise: only the grammar can object. */
static enum outcome parse_with(const char *after, const char *from, const char *to, uint32_t *ret_line) {
  size_t len = sample_network_text(&network, 4, 0, text);
  len = text_replace(text, len, after, from, to, changed, sizeof changed);
  len = sign(changed, len, 4);
  return parse(changed, len, ret_line);
}

Test(network_file, what_was_written_is_read) {
  for (uint32_t n = 1; n <= LIMIT_AUTHORITIES; n++) {
    size_t len = sample_network_text(&network, n, authorities_quorum(n), text);
    cr_assert_eq(parse(text, len, NULL), OUTCOME_OK, "%u authorities", (unsigned)n);
    cr_assert(memcmp(&parsed, &network, sizeof parsed) == 0);
    size_t again = network_file_format(&parsed, changed, sizeof changed);
    cr_assert(again > 0 && memcmp(changed, text, again) == 0, "the text written anew is the same");
  }
}

Test(network_file, quorum_of_its_authorities) {
  static const struct { uint32_t n, f, q; } TABLE[] = {{1, 0, 1}, {2, 0, 2}, {3, 0, 2}, {4, 1, 3}, {5, 1, 4},
                                                       {6, 1, 4}, {7, 2, 5}, {10, 3, 7}, {31, 10, 21}};
  for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
    cr_assert_eq(authorities_tolerated(TABLE[i].n), TABLE[i].f);
    cr_assert_eq(authorities_quorum(TABLE[i].n), TABLE[i].q);
    size_t len = sample_network_text(&network, TABLE[i].n, TABLE[i].q - 1, text);
    cr_assert_eq(parse(text, len, NULL), OUTCOME_TOO_FEW_SIGNATURES);
  }
}

Test(network_file, every_changed_line_is_refused) {
  size_t len = sample_network_text(&network, 4, 4, text);
  uint32_t lines = text_line_count(text, len), signature_lines = 4;
  for (uint32_t line = 0; line < lines; line++) {
    for (enum line_change change = LINE_REMOVED; change < LINE_CHANGES; change++) {
      size_t changed_len = text_change_line(text, len, line, change, changed, sizeof changed);
      if (changed_len == 0) continue;
      bool is_signature = line >= lines - signature_lines;
      /* Three of four signatures are enough, and their order means nothing. */
      bool harmless = is_signature && (change == LINE_REMOVED || change == LINE_SWAPPED);
      cr_assert_eq(parse(changed, changed_len, NULL) == OUTCOME_OK, harmless, "line %u, change %d", (unsigned)line, (int)change);
    }
  }
}

/* Signed anew, so that only the grammar can object; swapping two authorities makes another good file. */
Test(network_file, grammar_objects_without_the_signature) {
  size_t len = sample_network_text(&network, 4, 0, text);
  uint32_t lines = text_line_count(text, len);
  for (uint32_t line = 0; line < lines; line++) {
    for (enum line_change change = LINE_REMOVED; change < LINE_CHANGES; change++) {
      size_t changed_len = text_change_line(text, len, line, change, changed, sizeof changed);
      if (changed_len == 0) continue;
      bool is_authority = line >= lines - 4;
      if (is_authority && (change == LINE_REMOVED || change == LINE_SWAPPED)) continue;
      changed_len = sign(changed, changed_len, 4);
      uint32_t at;
      cr_assert_eq(parse(changed, changed_len, &at), OUTCOME_BAD_DOCUMENT, "line %u, change %d", (unsigned)line, (int)change);
      cr_assert(at >= line + 1 && at <= line + 2, "line %u is named as %u", (unsigned)line + 1, (unsigned)at);
    }
  }
}

Test(network_file, every_truncation_is_refused) {
  size_t len = sample_network_text(&network, 4, 3, text);
  for (size_t cut = 0; cut < len; cut++) cr_assert_neq(parse(text, cut, NULL), OUTCOME_OK, "cut at %zu", cut);
  text[len] = 'x';
  cr_assert_eq(parse(text, len + 1, NULL), OUTCOME_BAD_DOCUMENT);
}

Test(network_file, every_changed_byte_is_refused) {
  size_t len = sample_network_text(&network, 1, 1, text);
  for (size_t i = 0; i < len; i++) {
    text[i] ^= 1;
    cr_assert_neq(parse(text, len, NULL), OUTCOME_OK, "byte %zu", i);
    text[i] ^= 1;
  }
}

Test(network_file, one_way_to_write_each_value) {
  static const struct { const char *after, *from, *to; } TABLE[] = {
      {"serial", "1", "01"}, {"serial", "1", "+1"}, {"serial", "1", "0"}, {"serial", "1", "4294967296"},
      {"serial", "1", "99999999999999999999999999"}, {"serial", "1", "1 1"}, {"serial", "1", "0x1"}, {"serial", "1", "-1"},
      {"lab ", "yes", "Yes"}, {"lab ", "yes", "true"}, {"tunic-network", "1", "2"}, {"tunic-network", "network", "vote"},
      {"created", "Z", "z"}, {"created", ".123", ""}, {"created", "2026", "2036"}, {"name", "sample", "sam ple"},
      {"name", "sample", "sam\tple"}, {"name", "sample", "s\xc3\xa4mple"}, {"name", "sample", "a/b"},
      {"interval-ms", "10000", "0"}, {"valid-ms", "600000", "19999"}, {"early-gap-ms", "500", "10001"},
      {"view-first-ms", "200", "3001"}, {"fetch-spread-ms", "2000", "600001"}, {"onion-rotation-ms", "3600000", "9999"},
      {"probe-interval-ms", "5000", "99999999999"}, {"authority a0", "127.0.0.1", "127.0.0.01"},
      {"authority a0", "127.0.0.1", "127.0.0.256"}, {"authority a0", "127.0.0.1", "[127.0.0.1]"},
      {"authority a0", ":9100", ":09100"}, {"authority a0", ":9100", ":0"}, {"authority a0", ":9100", ":65536"},
      {"authority a0", ":9100", ""}, {"authority a1", "authority.example.org", "authority..example.org"},
      {"authority a1", "authority.example.org", ""}, {"authority a1", "authority.example.org", "a/b"},
      {"authority a2", "[2001:db8::1]", "[2001:0db8::1]"}, {"authority a2", "[2001:db8::1]", "2001:db8::1"},
      {"authority a2", "[2001:db8::1]", "[2001:db8::1"}, {"authority a1", "a1", "a0"}, {"authority a1", "a1", "a_1"},
      {"authority a1", "a1", "abcdefghijklmnopqrst"}, {"authority a3", "127.0.0.1:9103", "127.0.0.1:9100"},
  };
  for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
    uint32_t line = 0;
    enum outcome outcome = parse_with(TABLE[i].after, TABLE[i].from, TABLE[i].to, &line);
    cr_assert_eq(outcome, OUTCOME_BAD_DOCUMENT, "%s: %s for %s: %s", TABLE[i].after, TABLE[i].to, TABLE[i].from, outcome_name(outcome));
    cr_assert_gt(line, 0);
  }
}

/* [TEXT-6] */
Test(network_file, extensions_have_their_place) {
  char lines[TEXT_EXTENSIONS_MAX * 16 + 32] = "";
  for (uint32_t count = 0; count <= TEXT_EXTENSIONS_MAX + 1; count++) {
    size_t len = sample_network_text(&network, 4, 0, text);
    len += (size_t)snprintf(text + len, sizeof text - len, "%s", lines);
    cr_assert_eq(parse(text, sign(text, len, 4), NULL), count <= TEXT_EXTENSIONS_MAX ? OUTCOME_OK : OUTCOME_BAD_DOCUMENT);
    cr_assert(strlen(lines) + 16 < sizeof lines);
    snprintf(lines + strlen(lines), sizeof lines - strlen(lines), "x-new thing 1\n");
  }
  static const char *const BAD[] = {"x-\n", "x-new \n", "x-new  a\n", "x-new a \n", "x-n_w a\n", "y-new a\n", "\n"};
  for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
    size_t len = sample_network_text(&network, 4, 0, text);
    len += (size_t)snprintf(text + len, sizeof text - len, "%s", BAD[i]);
    cr_assert_eq(parse(text, sign(text, len, 4), NULL), OUTCOME_BAD_DOCUMENT, "%s", BAD[i]);
  }
  cr_assert_eq(parse_with("serial", "serial", "x-new a\nserial", NULL), OUTCOME_BAD_DOCUMENT, "only at its place");
}

/* [TEXT-1] */
Test(network_file, longest_line) {
  for (size_t extra = 0; extra < 2; extra++) {
    size_t len = sample_network_text(&network, 4, 0, text), line_len = LIMIT_LINE_BYTES - 1 + extra;
    memset(text + len, 'a', line_len);
    memcpy(text + len, "x-a ", 4);
    text[len + line_len] = '\n';
    enum outcome outcome = parse(text, sign(text, len + line_len + 1, 4), NULL);
    cr_assert_eq(outcome, extra ? OUTCOME_BAD_DOCUMENT : OUTCOME_OK);
  }
}

Test(network_file, wrong_keys_and_wrong_contexts) {
  uint8_t seed[32], signature[ED25519_SIGNATURE_BYTES], identity[IDENTITY_BYTES];
  char hex[2 * ED25519_SIGNATURE_BYTES + 1], key[2 * IDENTITY_BYTES + 1];
  size_t len = sample_network_text(&network, 4, 2, text), signed_len = sample_network_text(&network, 4, 0, changed);
  static const struct { uint32_t signer, named; const char *context; enum outcome expected; } TABLE[] = {
      {2, 2, "tunic network file", OUTCOME_OK},
      {2, 2, "tunic consensus", OUTCOME_BAD_SIGNATURE},
      {3, 2, "tunic network file", OUTCOME_BAD_SIGNATURE},
      {9, 9, "tunic network file", OUTCOME_TOO_FEW_SIGNATURES}, /* a stranger's, though valid */
      {1, 1, "tunic network file", OUTCOME_BAD_DOCUMENT},       /* twice the same */
  };
  for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
    sample_authority_seed(seed, TABLE[i].named);
    ed25519_public(identity, seed);
    sample_authority_seed(seed, TABLE[i].signer);
    signature_make(signature, seed, TABLE[i].context, (const uint8_t *)text, signed_len);
    hex_encode(hex, signature, sizeof signature);
    hex_encode(key, identity, sizeof identity);
    int line = snprintf(text + len, sizeof text - len, "signature %s %s\n", key, hex);
    cr_assert_eq(parse(text, len + (size_t)line, NULL), TABLE[i].expected, "case %zu", i);
  }
}

Test(network_file, next_serial_needs_both_quorums) {
  static struct network_file old;
  size_t len = sample_network_text(&old, 4, 4, text);
  cr_assert_eq(parse(text, len, NULL), OUTCOME_OK);
  /* a0 and a1 stay, a4 to a6 come for a2 and a3. */
  sample_network(&network, 7);
  network.serial = 2;
  network.starts = 10;
  memcpy(network.previous, old.digest, DIGEST_BYTES);
  memmove(&network.authorities[2], &network.authorities[4], 3 * sizeof network.authorities[0]);
  network.authority_count = 5;
  size_t unsigned_len = network_file_format(&network, text, sizeof text);
  static const struct { uint8_t signers[8]; enum outcome alone, after; } TABLE[] = {
      {{0, 1, 4, 5, 2, 255}, OUTCOME_OK, OUTCOME_OK},
      {{0, 1, 4, 5, 6, 255}, OUTCOME_OK, OUTCOME_TOO_FEW_SIGNATURES},
      {{0, 1, 2, 3, 255}, OUTCOME_TOO_FEW_SIGNATURES, OUTCOME_TOO_FEW_SIGNATURES},
  };
  for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
    len = unsigned_len;
    for (size_t k = 0; TABLE[i].signers[k] != 255; k++) {
      uint8_t seed[32];
      sample_authority_seed(seed, TABLE[i].signers[k]);
      len = network_file_sign(text, len, sizeof text, seed);
    }
    cr_assert_eq(parse(text, len, NULL), TABLE[i].alone, "case %zu", i);
    cr_assert_eq(network_file_follows(&old, (const uint8_t *)text, len, &parsed), TABLE[i].after, "case %zu", i);
  }
  /* The same serial again is nothing new. */
  len = sample_network_text(&network, 4, 4, text);
  cr_assert_eq(network_file_follows(&old, (const uint8_t *)text, len, &parsed), OUTCOME_STALE);
}

Test(network_file, caps) {
  static uint8_t large[LIMIT_NETWORK_FILE_BYTES + 1];
  cr_assert_eq(network_file_parse(large, sizeof large, &parsed, NULL), OUTCOME_TOO_LARGE);
  sample_network(&network, 2);
  size_t len = network_file_format(&network, text, sizeof text);
  for (size_t room = 0; room < len; room++) cr_assert_eq(network_file_format(&network, changed, room), 0);
  cr_assert_eq(network_file_format(&network, changed, len), len);
  uint8_t seed[32];
  sample_authority_seed(seed, 0);
  cr_assert_eq(network_file_sign(changed, len, len + 100, seed), 0, "the signature does not fit");
}

Test(network_file, onion_generations_follow_the_date) {
  struct network_timing timing;
  network_timing_production(&timing);
  cr_assert_eq(network_onion_generation(&timing, (struct date){0}), 0);
  cr_assert_eq(network_onion_generation(&timing, (struct date){timing.onion_rotation - 1}), 0);
  cr_assert_eq(network_onion_generation(&timing, (struct date){timing.onion_rotation}), 1);
  cr_assert_eq(network_onion_generation(&timing, (struct date){timing.onion_rotation * 256}), 0);
}
