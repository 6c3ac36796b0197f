#include "directory/consensus.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory/merkle.h"
#include "documents.h"
#include "tests/unit/seed.h"

enum { RELAYS = 9, BUFFER_BYTES = 64 * 1024 };

static struct network_file network;
static struct consensus_header header;
static struct relay_entry entries[RELAYS];
static struct exit_summary summaries[RELAYS];
static char changed[BUFFER_BYTES];

static struct document *make(uint32_t relays, uint32_t signers, uint32_t view) {
  sample_network(&network, 4);
  sample_entries(entries, summaries, relays);
  return sample_consensus(&network, &header, entries, relays, signers, view);
}

/* What parsing says of a text; the consensus itself is dropped. */
static enum outcome judge(const void *bytes, size_t len, uint32_t *ret_line) {
  enum outcome outcome;
  struct consensus *consensus = consensus_parse(&network, bytes, len, &outcome, ret_line);
  cr_assert_eq(consensus != NULL, outcome == OUTCOME_OK);
  consensus_release(consensus);
  return outcome;
}

static enum outcome judge_document(struct document *document) {
  enum outcome outcome = judge(document_bytes(document), document_len(document), NULL);
  document_release(document);
  return outcome;
}

static struct consensus *parse(struct document *document) {
  enum outcome outcome;
  struct consensus *consensus = consensus_parse(&network, document_bytes(document), document_len(document), &outcome, NULL);
  cr_assert_eq(outcome, OUTCOME_OK, "%s", outcome_name(outcome));
  document_release(document);
  return consensus;
}

Test(consensus, what_was_written_is_read) {
  for (uint32_t count = 0; count <= RELAYS; count++) {
    struct consensus *consensus = parse(make(count, 3, 5));
    header.view = 5;
    cr_assert(memcmp(consensus_header(consensus), &header, sizeof header) == 0);
    cr_assert_eq(consensus_count(consensus), count);
    for (uint32_t i = 0; i < count; i++) {
      struct relay_entry entry = *consensus_at(consensus, i);
      cr_assert_eq(entry.exit_summary != NULL, entries[i].exit_summary != NULL);
      if (entry.exit_summary) cr_assert(memcmp(entry.exit_summary, entries[i].exit_summary, sizeof summaries[0]) == 0);
      entry.exit_summary = entries[i].exit_summary;
      cr_assert(memcmp(&entry, &entries[i], sizeof entry) == 0, "relay %u", (unsigned)i);
      cr_assert_eq(consensus_find(consensus, entry.identity), consensus_at(consensus, i));
    }
    cr_assert_null(consensus_at(consensus, count));
    cr_assert_null(consensus_find(consensus, network.id));
    consensus_release(consensus);
  }
}

Test(consensus, text_is_kept_and_packed) {
  struct document *document = make(RELAYS, 3, 0);
  struct consensus *consensus = parse(document_take(document)), *other = consensus_take(consensus);
  consensus_release(consensus);
  cr_assert_eq(document_len(consensus_text(other)), document_len(document));
  cr_assert(memcmp(document_bytes(consensus_text(other)), document_bytes(document), document_len(document)) == 0);
  struct document *packed = consensus_packed(other);
  cr_assert_eq(packed, consensus_packed(other));
  struct document *unpacked = document_unpack(document_bytes(packed), document_len(packed), document_len(document));
  cr_assert(unpacked && memcmp(document_bytes(unpacked), document_bytes(document), document_len(document)) == 0);
  document_release(unpacked);
  document_release(document);
  consensus_release(other);
}

/* [CONS-4] */
Test(consensus, needs_a_quorum_in_one_view) {
  static const struct { uint8_t authorities[8], views[8]; enum outcome expected; uint32_t view; } TABLE[] = {
      {{255}, {0}, OUTCOME_TOO_FEW_SIGNATURES, 0},
      {{0, 1, 255}, {0, 0}, OUTCOME_TOO_FEW_SIGNATURES, 0},
      {{0, 1, 2, 255}, {0, 0, 0}, OUTCOME_OK, 0},
      {{3, 1, 2, 0, 255}, {9, 9, 9, 9}, OUTCOME_OK, 9},
      {{0, 1, 2, 255}, {0, 0, 1}, OUTCOME_TOO_FEW_SIGNATURES, 0},          /* two views that add up */
      {{0, 1, 2, 3, 255}, {0, 0, 1, 1}, OUTCOME_TOO_FEW_SIGNATURES, 0},
      {{0, 0, 1, 1, 255}, {0, 1, 0, 1}, OUTCOME_TOO_FEW_SIGNATURES, 0},    /* two authorities, each in two views */
      {{0, 0, 0, 255}, {0, 1, 2}, OUTCOME_TOO_FEW_SIGNATURES, 0},
      {{0, 1, 2, 3, 255}, {4, 4, 4, 1}, OUTCOME_OK, 4},
      {{0, 1, 2, 0, 1, 2, 255}, {4, 4, 4, 2, 2, 2}, OUTCOME_OK, 2},        /* decided again in a later view */
      {{0, 0, 1, 2, 255}, {3, 3, 3, 3}, OUTCOME_BAD_DOCUMENT, 0},          /* one line twice */
      {{0, 1, 2, 17, 255}, {0, 0, 0, 0}, OUTCOME_BAD_SIGNATURE, 0},        /* a stranger */
  };
  document_release(make(RELAYS, 0, 0));
  struct document *text = consensus_format(network.id, &header, entries);
  for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
    struct consensus_signature signatures[8];
    uint32_t count = 0;
    enum outcome outcome;
    for (; TABLE[i].authorities[count] != 255; count++)
      sample_sign(&signatures[count], &network, &header, TABLE[i].authorities[count], TABLE[i].views[count]);
    struct document *document = consensus_compose(text, signatures, count);
    struct consensus *consensus = consensus_parse(&network, document_bytes(document), document_len(document), &outcome, NULL);
    cr_assert_eq(outcome, TABLE[i].expected, "case %zu: %s", i, outcome_name(outcome));
    if (consensus) cr_assert_eq(consensus_header(consensus)->view, TABLE[i].view, "case %zu", i);
    consensus_release(consensus);
    document_release(document);
  }
  document_release(text);
}

Test(consensus, signature_names_network_epoch_view_digest_and_purpose) {
  document_release(make(2, 0, 0));
  struct document *text = consensus_format(network.id, &header, entries);
  for (int wrong = 0; wrong <= 6; wrong++) {
    struct consensus_signature signatures[3];
    uint8_t id[32], bytes[CONSENSUS_SIGN_BYTES], seed[32];
    struct consensus_header other = header;
    for (uint32_t i = 0; i < 3; i++) sample_sign(&signatures[i], &network, &header, i, 1);
    memcpy(id, network.id, sizeof id);
    sample_authority_seed(seed, wrong == 5 ? 3 : 2);
    id[0] ^= wrong == 1;
    other.epoch += wrong == 2;
    other.digest[0] ^= wrong == 3;
    consensus_sign_bytes(bytes, id, other.epoch, wrong == 4 ? 2 : 1, other.digest);
    signature_make(signatures[2].bytes, seed, wrong == 6 ? "tunic vote" : "tunic consensus", bytes, sizeof bytes);
    enum outcome outcome = judge_document(consensus_compose(text, signatures, 3));
    cr_assert_eq(outcome, wrong == 0 ? OUTCOME_OK : OUTCOME_BAD_SIGNATURE, "case %d: %s", wrong, outcome_name(outcome));
  }
  document_release(text);
}

Test(consensus, of_another_network_or_serial) {
  struct document *document = make(2, 3, 0);
  network.serial = 2;
  cr_assert_eq(judge(document_bytes(document), document_len(document), NULL), OUTCOME_WRONG_NETWORK);
  network.serial = 1;
  network.id[0] ^= 1;
  cr_assert_eq(judge_document(document), OUTCOME_WRONG_NETWORK);
}

Test(consensus, every_changed_line_is_refused) {
  struct document *document = make(RELAYS, 3, 0);
  const char *text = (const char *)document_bytes(document);
  size_t len = document_len(document);
  for (uint32_t line = 0; line < text_line_count(text, len); line++)
    for (enum line_change change = LINE_REMOVED; change < LINE_CHANGES; change++) {
      size_t changed_len = text_change_line(text, len, line, change, changed, sizeof changed);
      if (changed_len > 0) cr_assert_neq(judge(changed, changed_len, NULL), OUTCOME_OK, "line %u, change %d", (unsigned)line, (int)change);
    }
  document_release(document);
}

Test(consensus, every_truncation_and_every_changed_byte_is_refused) {
  struct document *document = make(2, 3, 0);
  size_t len = document_len(document);
  memcpy(changed, document_bytes(document), len);
  for (size_t cut = 0; cut < len; cut++) cr_assert_neq(judge(changed, cut, NULL), OUTCOME_OK, "cut at %zu", cut);
  for (size_t i = 0; i < len; i++) {
    changed[i] ^= 1;
    cr_assert_neq(judge(changed, len, NULL), OUTCOME_OK, "byte %zu", i);
    changed[i] ^= 1;
  }
  document_release(document);
}

/* Signed and rooted anew, so that nothing but the grammar can object. */
static enum outcome judge_resigned(char *text, size_t len, uint32_t *ret_line) {
  static const char entry_start[] = "relay ", root_start[] = "root ";
  struct merkle tree;
  size_t header_len = 0, starts[RELAYS + 2], count = 0, root_at = 0;
  for (size_t at = 0; at < len; at = (size_t)((char *)memchr(text + at, '\n', len - at) - text) + 1) {
    if (len - at > sizeof root_start && memcmp(text + at, root_start, sizeof root_start - 1) == 0) root_at = at + sizeof root_start - 1;
    if (len - at <= sizeof entry_start || memcmp(text + at, entry_start, sizeof entry_start - 1) != 0) continue;
    if (count == 0) header_len = at;
    cr_assert_lt(count, RELAYS + 1);
    starts[count++] = at;
  }
  starts[count] = len;
  merkle_init(&tree);
  for (size_t i = 0; i < count; i++) merkle_add(&tree, (uint8_t *)text + starts[i], starts[i + 1] - starts[i]);
  uint8_t root[DIGEST_BYTES];
  char hex[2 * DIGEST_BYTES + 1];
  merkle_root(&tree, root);
  hex_encode(hex, root, sizeof root);
  cr_assert(root_at > 0 && count > 0);
  memcpy(text + root_at, hex, sizeof hex - 1);
  digest_labelled(header.digest, "tunic consensus", (uint8_t *)text, header_len);
  struct consensus_signature signatures[3];
  for (uint32_t i = 0; i < 3; i++) sample_sign(&signatures[i], &network, &header, i, 0);
  struct document *bare = document_new(text, len), *document = consensus_compose(bare, signatures, 3);
  enum outcome outcome = judge(document_bytes(document), document_len(document), ret_line);
  document_release(bare);
  document_release(document);
  return outcome;
}

Test(consensus, grammar_objects_without_the_signatures) {
  static const struct { const char *after, *from, *to; bool good; } TABLE[] = {
      {"relays", "3", "3", true},
      {"root", "\nrelay", "\nx-later thing\nrelay", true}, /* [TEXT-6] in the header */
      {"range", "\nrelay", "\nx-later thing\nrelay", true}, /* and in an entry */
      {"relays", "3", "2", false}, {"relays", "3", "4", false}, {"relays", "3", "20001", false}, {"relays", "3", "03", false},
      {"epoch", "7", "0", false}, {"epoch", "7", "18446744073709551616", false}, {"method", "1", "0", false},
      {"totals", " ", " 1", false}, {"fresh-until", "2026", "2025", false}, {"valid-until", "2026", "2025", false},
      {"\nrelay", "r0", "", false}, {"\nrelay", "r0", "r_0", false}, {"\nrelay", "r0", "abcdefghijklmnopqrst", false},
      {"\nkeys", " 0 ", " 256 ", false}, {"\nkeys", " 0 ", " 00 ", false}, {"\naddress", "10.0.0.0", "10.0.0.00", false},
      {"\naddress", "9001", "0", false}, {"\naddress", "9001", "65536", false}, {"\naddress", "[2001:db8", "[2001:0db8", false},
      {"\nsuites", "2 1", "3 1", false}, {"\nsuites", "2 1", "4 1", false}, {"\nsuites", "2 1", "2 3", false},
      {"\nsuites", "2 1", "2 0", false}, {"\nflags", "running,", "", false}, {"\nflags", ",valid", "", false},
      {"\nflags", "running,", "running,running,", false}, {"\nflags", "running,", "running,,", false},
      {"\nflags", "exit", "exit,guard", false}, {"\nflags", "exit", "fast", false}, {"\nflags", ",exit", "", false},
      {"\nweight", "100", "0", false}, {"\nweight", "100", "100000001", false}, {"\nrange", " 0-", " 1-", false},
      {"\nrange", "0-", "00-", false}, {"\nrange", " 0-100\n", " 0-101\n", false}, {"\nexit", "80,443-65535", "80,81", false},
      {"\nexit", "80,443-65535", "443-65535,80", false}, {"\nexit", "80,443-65535", "80,443-443", false},
      {"\nexit", "80,443-65535", "80,", false}, {"\nexit", "80,443-65535", "", false}, {"\nexit", "80,443-65535", "0-80", false},
      {"\nexit", " private", " public", false}, {"\nfamily", " 00", " 0", false},
  };
  document_release(make(3, 0, 0));
  struct document *text = consensus_format(network.id, &header, entries);
  for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
    size_t len = text_replace((const char *)document_bytes(text), document_len(text), TABLE[i].after, TABLE[i].from, TABLE[i].to, changed, sizeof changed);
    uint32_t line = 0;
    enum outcome outcome = judge_resigned(changed, len, &line);
    cr_assert_eq(outcome, TABLE[i].good ? OUTCOME_OK : OUTCOME_BAD_DOCUMENT, "%s: %s for %s: %s", TABLE[i].after, TABLE[i].to, TABLE[i].from, outcome_name(outcome));
    cr_assert_eq(line > 0, !TABLE[i].good);
  }
  document_release(text);
}

Test(consensus, entries_ascend_by_identity) {
  document_release(make(3, 0, 0));
  for (int kind = 0; kind < 2; kind++) {
    struct relay_entry swapped[3] = {entries[0], entries[kind == 0 ? 0 : 2], entries[kind == 0 ? 2 : 1]};
    consensus_assign_weights(&header, swapped);
    struct document *text = consensus_format(network.id, &header, swapped);
    memcpy(changed, document_bytes(text), document_len(text));
    cr_assert_eq(judge_resigned(changed, document_len(text), NULL), OUTCOME_BAD_DOCUMENT);
    document_release(text);
  }
}

/* [CONS-9] */
Test(consensus, dates) {
  struct consensus *consensus = parse(make(1, 3, 0));
  struct date after = header.valid_after, until = header.valid_until;
  cr_assert_eq(consensus_check_dates(consensus, date_after(after, -30 * 60 * 1000)), OUTCOME_OK);
  cr_assert_eq(consensus_check_dates(consensus, date_after(after, -30 * 60 * 1000 - 1)), OUTCOME_CLOCK_WRONG);
  cr_assert_eq(consensus_check_dates(consensus, until), OUTCOME_OK);
  cr_assert_eq(consensus_check_dates(consensus, date_after(until, 1)), OUTCOME_CONSENSUS_EXPIRED);
  consensus_release(consensus);
}

/* [CONS-7] Every point belongs to exactly one relay that may stand there. */
Test(consensus, pick_owns_every_point_once) {
  struct consensus *consensus = parse(make(RELAYS, 3, 0));
  for (enum path_position position = POSITION_GUARD; position <= POSITION_EXIT; position++) {
    uint64_t counted[RELAYS] = {0}, total = consensus_total(consensus, position);
    cr_assert_gt(total, 0);
    for (uint64_t point = 0; point < total; point++) {
      const struct relay_entry *entry = consensus_pick(consensus, position, point);
      cr_assert_not_null(entry);
      counted[entry - consensus_at(consensus, 0)]++;
    }
    cr_assert_null(consensus_pick(consensus, position, total));
    cr_assert_null(consensus_pick(consensus, position, UINT64_MAX));
    for (uint32_t i = 0; i < RELAYS; i++)
      cr_assert_eq(counted[i], relay_entry_weight(consensus, consensus_at(consensus, i), position));
  }
  consensus_release(consensus);
  consensus = parse(make(0, 3, 0));
  cr_assert_null(consensus_pick(consensus, POSITION_EXIT, 0), "an empty network has nobody to pick");
  consensus_release(consensus);
}

Test(consensus, families) {
  struct relay_entry a = {.family_count = 2, .families = {{1}, {2}}}, b = {.family_count = 1, .families = {{2}}}, none = {0};
  cr_assert(relay_entry_same_family(&a, &b));
  cr_assert(relay_entry_same_family(&b, &a));
  b.families[0][7] = 1;
  cr_assert(!relay_entry_same_family(&a, &b));
  cr_assert(!relay_entry_same_family(&none, &none));
}

/* The most that is allowed, and one more. */
Test(consensus, at_most_so_many_relays) {
  sample_network(&network, 1);
  uint32_t count = LIMIT_RELAYS + 1;
  struct relay_entry *many = calloc(count, sizeof *many);
  struct exit_summary *exits = calloc(count, sizeof *exits);
  cr_assert(many && exits);
  sample_entries(many, exits, count);
  cr_assert_eq(judge_document(sample_consensus(&network, &header, many, count - 1, 1, 0)), OUTCOME_OK);
  cr_assert_eq(judge_document(sample_consensus(&network, &header, many, count, 1, 0)), OUTCOME_BAD_DOCUMENT);
  free(many);
  free(exits);
}

Test(consensus, too_large) {
  sample_network(&network, 1);
  uint8_t *bytes = calloc(1, LIMIT_CONSENSUS_BYTES + 1);
  cr_assert_eq(judge(bytes, LIMIT_CONSENSUS_BYTES + 1, NULL), OUTCOME_TOO_LARGE);
  free(bytes);
  /* A short text that says it lists many. */
  document_release(make(1, 0, 0));
  struct document *text = consensus_format(network.id, &header, entries);
  size_t len = text_replace((const char *)document_bytes(text), document_len(text), "relays", "1", "20000", changed, sizeof changed);
  cr_assert_eq(judge(changed, len, NULL), OUTCOME_BAD_DOCUMENT);
  document_release(text);
}

/* [CONS-3] The tree of each count is a tree of its own, and leaves are no nodes. */
Test(consensus, merkle_roots) {
  uint8_t roots[20][DIGEST_BYTES], leaf[2 * DIGEST_BYTES] = {0};
  struct merkle tree;
  merkle_init(&tree);
  for (size_t count = 0; count < 20; count++) {
    merkle_root(&tree, roots[count]);
    for (size_t i = 0; i < count; i++) cr_assert(memcmp(roots[i], roots[count], DIGEST_BYTES) != 0);
    merkle_add(&tree, leaf, 1);
    leaf[0]++;
  }
  /* ((0 1) 2), by hand */
  uint8_t nodes[2][DIGEST_BYTES], both[2 * DIGEST_BYTES];
  for (uint8_t i = 0; i < 2; i++) digest_labelled(both + i * DIGEST_BYTES, "tunic leaf", &i, 1);
  digest_labelled(nodes[0], "tunic node", both, sizeof both);
  uint8_t two = 2;
  memcpy(both, nodes[0], DIGEST_BYTES);
  digest_labelled(both + DIGEST_BYTES, "tunic leaf", &two, 1);
  digest_labelled(nodes[1], "tunic node", both, sizeof both);
  cr_assert(memcmp(nodes[1], roots[3], DIGEST_BYTES) == 0);
}

static void assign(struct relay_entry *relays, uint32_t count) {
  struct consensus_header totals = {.relay_count = count};
  consensus_assign_weights(&totals, relays);
}

/* [CONS-8] */
Test(consensus, small_networks_have_paths) {
  enum { R = RELAY_RUNNING | RELAY_VALID, G = R | RELAY_GUARD, X = R | RELAY_EXIT, GX = G | RELAY_EXIT };
  static const struct { uint8_t flags[3]; uint32_t weights[3]; } TABLE[] = {
      {{G, G, X}, {1, 1, 1}}, {{G, G, X}, {100, 1, 100000}}, {{G, R, X}, {5, 5, 5}}, {{X, X, X}, {1, 1, 1}}, {{GX, GX, GX}, {9, 1, 1}},
      {{R, R, X}, {1, 1000, 1}}, {{G, X, X}, {RELAY_WEIGHT_MAX, 1, 1}}, {{R, R, R | RELAY_EXIT}, {1, 1, 1}},
  };
  for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
    struct relay_entry relays[3] = {0};
    bool path = false;
    for (size_t k = 0; k < 3; k++) relays[k].flags = TABLE[i].flags[k], relays[k].weight = TABLE[i].weights[k];
    assign(relays, 3);
    for (size_t guard = 0; guard < 3; guard++)
      for (size_t middle = 0; middle < 3; middle++) {
        size_t exit = 3 - guard - middle;
        if (guard == middle || exit == guard || exit == middle || exit > 2) continue;
        path |= relays[guard].guard_end > (guard ? relays[guard - 1].guard_end : 0) &&
                relays[middle].middle_end > (middle ? relays[middle - 1].middle_end : 0) &&
                relays[exit].exit_end > (exit ? relays[exit - 1].exit_end : 0);
      }
    cr_assert(path, "network %zu", i);
  }
}

Test(consensus, scarce_exits_are_spared) {
  struct relay_entry relays[10] = {0};
  for (size_t k = 0; k < 10; k++) {
    relays[k].weight = 1000;
    relays[k].flags = k < 2 ? RELAY_EXIT | RELAY_GUARD : k < 6 ? RELAY_GUARD : 0;
  }
  assign(relays, 10);
  cr_assert_eq(relays[1].middle_end, 2, "two exits of ten: no part but the least");
  cr_assert_eq(relays[1].guard_end, 0, "nor as guards");
  cr_assert_eq(relays[1].exit_end, 2000);
  cr_assert_eq(relays[2].middle_end - relays[1].middle_end, 166, "guards lend what they have beyond a third");
  cr_assert_eq(relays[9].middle_end - relays[8].middle_end, 1000);
  cr_assert_eq(relays[9].guard_end, 4000);
}
