#include "directory/network_chain.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "documents.h"
#include "tests/unit/protocol/failing_allocator.h"

/* Texts of a small network's files; authority i's keys come from its number. */
struct text { char bytes[SAMPLE_TEXT_BYTES]; size_t len; struct network_file file; };

/* Signs by the authorities whose bits are set, and reads what came of it. */
static void finish(struct text *text, uint32_t signers) {
  text->len = network_file_format(&text->file, text->bytes, sizeof text->bytes);
  cr_assert(text->len > 0);
  for (uint32_t i = 0; i < 8; i++) {
    uint8_t seed[32];
    if (!(signers >> i & 1)) continue;
    sample_authority_seed(seed, i);
    text->len = network_file_sign(text->bytes, text->len, sizeof text->bytes, seed);
  }
  enum outcome outcome = network_file_read_draft((uint8_t *)text->bytes, text->len, &text->file, NULL, NULL);
  cr_assert_eq(outcome, OUTCOME_OK, "%s", outcome_name(outcome));
}

static void first(struct text *ret, uint32_t n) {
  sample_network(&ret->file, n);
  finish(ret, (1U << n) - 1);
}

/* The next serial, with n authorities. */
static void next(struct text *ret, const struct text *before, uint32_t n, uint64_t starts, uint32_t signers) {
  sample_network(&ret->file, n);
  ret->file.serial = before->file.serial + 1;
  ret->file.starts = starts;
  memcpy(ret->file.previous, before->file.digest, DIGEST_BYTES);
  finish(ret, signers);
}

/* The same with authorities 4 to 7, none of those before. */
static void with_others(struct text *ret, const struct text *before, uint32_t signers) {
  next(ret, before, 8, 10, 0);
  memmove(&ret->file.authorities[0], &ret->file.authorities[4], 4 * sizeof ret->file.authorities[0]);
  ret->file.authority_count = 4;
  finish(ret, signers);
}

static struct network_chain *chain_of(const struct text *text) {
  enum outcome outcome;
  struct network_chain *chain = network_chain_new((const uint8_t *)text->bytes, text->len, &outcome, NULL);
  cr_assert(chain, "%s", outcome_name(outcome));
  return chain;
}

static enum outcome take(struct network_chain *chain, uint64_t epoch, const struct text *text) {
  return network_chain_take(chain, epoch, (const uint8_t *)text->bytes, text->len);
}

static struct text one, two, three, other;

Test(network_chain, a_file_holds_from_its_epoch_on) {
  first(&one, 4);
  next(&two, &one, 5, 10, 0x1f);
  next(&three, &two, 4, 20, 0x1f);
  struct network_chain *chain = chain_of(&one);
  cr_assert_eq(take(chain, 3, &three), OUTCOME_BAD_DOCUMENT, "one is missing between");
  cr_assert_eq(take(chain, 3, &two), OUTCOME_OK);
  cr_assert_eq(take(chain, 9, &three), OUTCOME_OK);
  static const struct { uint64_t epoch; uint32_t serial; } TABLE[] = {{0, 1}, {1, 1}, {9, 1}, {10, 2}, {19, 2}, {20, 3}, {UINT64_MAX, 3}};
  for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++)
    cr_assert_eq(network_chain_at(chain, TABLE[i].epoch)->serial, TABLE[i].serial, "epoch %llu", (unsigned long long)TABLE[i].epoch);
  cr_assert_eq(network_chain_newest(chain)->authority_count, 4);
  network_chain_free(chain);
}

Test(network_chain, both_quorums_sign) {
  first(&one, 4);
  /* q of 4 is 3, q of 5 is 4. */
  static const struct { uint32_t signers; enum outcome expected; } TABLE[] = {
      {0x1f, OUTCOME_OK}, {0x0f, OUTCOME_OK}, {0x17, OUTCOME_OK}, {0x1b, OUTCOME_OK},
      {0x07, OUTCOME_TOO_FEW_SIGNATURES}, {0x13, OUTCOME_TOO_FEW_SIGNATURES}, {0, OUTCOME_TOO_FEW_SIGNATURES}};
  for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
    struct network_chain *chain = chain_of(&one);
    next(&two, &one, 5, 10, TABLE[i].signers);
    cr_assert_eq(take(chain, 0, &two), TABLE[i].expected, "signed by %x", TABLE[i].signers);
    network_chain_free(chain);
  }
  /* A quorum of the new that holds none of the old. */
  struct network_chain *chain = chain_of(&one);
  with_others(&other, &one, 0xf0);
  cr_assert_eq(take(chain, 0, &other), OUTCOME_TOO_FEW_SIGNATURES);
  finish(&other, 0xf3);
  cr_assert_eq(take(chain, 0, &other), OUTCOME_TOO_FEW_SIGNATURES, "two of the old are no quorum");
  finish(&other, 0xf7);
  cr_assert_eq(take(chain, 0, &other), OUTCOME_OK);
  network_chain_free(chain);
}

Test(network_chain, one_file_for_a_serial) {
  first(&one, 4);
  next(&two, &one, 5, 10, 0x1f);
  next(&other, &one, 4, 10, 0x0f);
  next(&three, &other, 4, 20, 0x0f);
  struct network_chain *chain = chain_of(&one);
  cr_assert_eq(take(chain, 0, &two), OUTCOME_OK);
  cr_assert_eq(take(chain, 0, &two), OUTCOME_STALE, "again");
  cr_assert_eq(take(chain, 0, &one), OUTCOME_STALE, "an old one");
  cr_assert_eq(take(chain, 0, &other), OUTCOME_DIRECTORY_SPLIT, "another second");
  cr_assert_eq(take(chain, 50, &other), OUTCOME_DIRECTORY_SPLIT, "whenever it starts");
  cr_assert_eq(take(chain, 0, &three), OUTCOME_WRONG_NETWORK, "a third that follows the other second");
  cr_assert_eq(network_chain_newest(chain)->authority_count, 5);
  network_chain_free(chain);
}

/* [NET-14] What anybody could make, or f liars, proves nothing. */
Test(network_chain, another_file_of_a_serial_is_a_proof_only_with_both_quorums) {
  first(&one, 4);
  next(&two, &one, 5, 10, 0x1f);
  struct network_chain *chain = chain_of(&one);
  cr_assert_eq(take(chain, 0, &two), OUTCOME_OK);
  static const uint32_t TOO_FEW[] = {0, 0x01, 0x03, 0x0c};
  for (size_t i = 0; i < sizeof TOO_FEW / sizeof TOO_FEW[0]; i++) {
    next(&other, &one, 4, 10, TOO_FEW[i]);
    cr_assert_eq(take(chain, 0, &other), OUTCOME_WRONG_NETWORK, "signed by %x", TOO_FEW[i]);
  }
  next(&other, &one, 4, 10, 0);
  other.file.previous[3] ^= 1;
  finish(&other, 0x0f);
  cr_assert_eq(take(chain, 0, &other), OUTCOME_WRONG_NETWORK, "it follows another first");
  next(&other, &one, 4, 11, 0x07);
  cr_assert_eq(take(chain, 0, &other), OUTCOME_DIRECTORY_SPLIT);
  network_chain_free(chain);
}

Test(network_chain, without_the_file_before_the_known_one_s_authorities_must_have_signed_both) {
  first(&one, 4);
  next(&two, &one, 4, 10, 0x0f);
  struct network_chain *chain = chain_of(&two);
  with_others(&other, &one, 0xf0);
  cr_assert_eq(take(chain, 0, &other), OUTCOME_WRONG_NETWORK, "anybody can make one with keys of his own");
  finish(&other, 0xf3);
  cr_assert_eq(take(chain, 0, &other), OUTCOME_WRONG_NETWORK);
  finish(&other, 0xf7);
  cr_assert_eq(take(chain, 0, &other), OUTCOME_DIRECTORY_SPLIT);
  network_chain_free(chain);
}

Test(network_chain, no_file_begins_in_the_past) {
  first(&one, 4);
  next(&two, &one, 5, 10, 0x1f);
  struct network_chain *chain = chain_of(&one);
  cr_assert_eq(take(chain, 10, &two), OUTCOME_STALE);
  cr_assert_eq(take(chain, 9, &two), OUTCOME_OK);
  /* Nor before the one that it follows. */
  next(&three, &two, 5, 10, 0x1f);
  cr_assert_eq(take(chain, 9, &three), OUTCOME_BAD_DOCUMENT);
  network_chain_free(chain);
}

Test(network_chain, another_network_is_refused) {
  first(&one, 4);
  struct network_chain *chain = chain_of(&one);
  next(&two, &one, 4, 10, 0);
  two.file.id[0] ^= 1;
  finish(&two, 0x0f);
  cr_assert_eq(take(chain, 0, &two), OUTCOME_WRONG_NETWORK);
  next(&two, &one, 4, 10, 0);
  two.file.previous[31] ^= 1;
  finish(&two, 0x0f);
  cr_assert_eq(take(chain, 0, &two), OUTCOME_WRONG_NETWORK);
  network_chain_free(chain);
}

Test(network_chain, backwards_by_the_digest) {
  first(&one, 4);
  next(&two, &one, 5, 10, 0x1f);
  first(&other, 3);
  struct network_chain *chain = chain_of(&two);
  cr_assert_eq(network_chain_at(chain, 3)->serial, 2, "nothing older is known");
  cr_assert_eq(take(chain, 0, &other), OUTCOME_WRONG_NETWORK);
  finish(&one, 0x03);
  cr_assert_eq(take(chain, 0, &one), OUTCOME_TOO_FEW_SIGNATURES);
  first(&one, 4);
  cr_assert_eq(take(chain, 50, &one), OUTCOME_OK, "whatever the epoch");
  cr_assert_eq(network_chain_at(chain, 3)->serial, 1);
  network_chain_free(chain);
}

Test(network_chain, what_is_written_is_read) {
  first(&one, 4);
  next(&two, &one, 5, 10, 0x1f);
  struct network_chain *chain = chain_of(&one);
  cr_assert_eq(take(chain, 0, &two), OUTCOME_OK);
  struct document *text = network_chain_text(chain);
  enum outcome outcome;
  struct network_chain *again = network_chain_new(document_bytes(text), document_len(text), &outcome, NULL);
  cr_assert(again, "%s", outcome_name(outcome));
  cr_assert_eq(network_chain_oldest(again)->serial, 1);
  cr_assert_eq(network_chain_newest(again)->serial, 2);
  struct document *after = network_chain_after(again, 1);
  cr_assert(document_len(after) == two.len && memcmp(document_bytes(after), two.bytes, two.len) == 0, "it is handed on as it came");
  cr_assert_null(network_chain_after(again, 2));
  /* Cut anywhere it is refused, but where the first one ends. */
  for (size_t len = 0; len < document_len(text); len += 97) {
    if (len == one.len) continue;
    struct network_chain *cut = network_chain_new(document_bytes(text), len, &outcome, NULL);
    /* Whole lines may be missing at the end: signatures beyond the quorum. */
    if (cut) cr_assert(document_bytes(text)[len - 1] == '\n');
    network_chain_free(cut);
  }
  document_release(text);
  network_chain_free(again);
  network_chain_free(chain);
}

Test(network_chain, a_person_s_file_joins_what_was_stored) {
  static const struct { int stored_to, given; enum outcome expected; uint32_t oldest, newest; } TABLE[] = {
      {1, 1, OUTCOME_OK, 1, 1}, {1, 2, OUTCOME_OK, 1, 2}, {2, 1, OUTCOME_OK, 1, 2}, {3, 2, OUTCOME_OK, 1, 3},
      {1, 3, OUTCOME_OK, 3, 3}, {2, 4, OUTCOME_DIRECTORY_SPLIT, 1, 2}, {1, 4, OUTCOME_OK, 1, 2}};
  first(&one, 4);
  next(&two, &one, 5, 10, 0x1f);
  next(&three, &two, 4, 20, 0x1f);
  next(&other, &one, 4, 10, 0x0f);
  const struct text *texts[] = {NULL, &one, &two, &three, &other};
  for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
    struct network_chain *chain = chain_of(&one);
    for (int k = 2; k <= TABLE[i].stored_to; k++) cr_assert_eq(take(chain, 0, texts[k]), OUTCOME_OK);
    const struct text *given = texts[TABLE[i].given];
    cr_assert_eq(network_chain_merge(chain, (const uint8_t *)given->bytes, given->len), TABLE[i].expected, "case %zu", i);
    cr_assert_eq(network_chain_oldest(chain)->serial, TABLE[i].oldest, "case %zu", i);
    cr_assert_eq(network_chain_newest(chain)->serial, TABLE[i].newest, "case %zu", i);
    network_chain_free(chain);
  }
}

Test(network_chain, the_file_in_force_is_never_forgotten) {
  first(&one, 1);
  struct network_chain *chain = chain_of(&one);
  two = one;
  for (uint64_t i = 1; i < NETWORK_CHAIN_FILES; i++) {
    next(&three, &two, 1, 10 * i, 1);
    cr_assert_eq(take(chain, 0, &three), OUTCOME_OK);
    two = three;
  }
  next(&three, &two, 1, 1000, 1);
  cr_assert_eq(take(chain, 9, &three), OUTCOME_LIMIT_REACHED, "the first is in force");
  cr_assert_eq(take(chain, 10, &three), OUTCOME_OK);
  cr_assert_null(network_chain_find(chain, 1));
  cr_assert_eq(network_chain_at(chain, 10)->serial, 2);
  network_chain_free(chain);
}

/* A consensus of the epoch, as the file's first q authorities sign it. */
static struct document *consensus_of(const struct network_file *file, uint64_t epoch) {
  struct consensus_signature signatures[LIMIT_AUTHORITIES];
  struct consensus_header header;
  uint32_t quorum = authorities_quorum(file->authority_count);
  sample_header(&header, file, NULL, 0);
  header.epoch = epoch;
  struct document *text = consensus_format(file->id, &header, NULL);
  for (uint32_t i = 0; i < quorum; i++) sample_sign(&signatures[i], file, &header, i, 0);
  struct document *whole = consensus_compose(text, signatures, quorum);
  document_release(text);
  return whole;
}

Test(network_chain, a_consensus_has_the_serial_in_force) {
  static const struct { int of; uint64_t epoch; enum outcome expected; uint32_t missing; } TABLE[] = {
      {1, 9, OUTCOME_OK, 0}, {2, 10, OUTCOME_OK, 0}, {1, 10, OUTCOME_WRONG_NETWORK, 0}, {2, 9, OUTCOME_WRONG_NETWORK, 0}, {3, 30, OUTCOME_WRONG_NETWORK, 3}};
  first(&one, 4);
  next(&two, &one, 5, 10, 0x1f);
  next(&three, &two, 4, 20, 0x1f);
  const struct text *texts[] = {NULL, &one, &two, &three};
  struct network_chain *chain = chain_of(&one);
  cr_assert_eq(take(chain, 0, &two), OUTCOME_OK);
  for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
    struct document *text = consensus_of(&texts[TABLE[i].of]->file, TABLE[i].epoch);
    enum outcome outcome = OUTCOME_OK;
    uint32_t missing;
    struct consensus *consensus = network_chain_consensus(chain, document_bytes(text), document_len(text), &outcome, &missing);
    cr_assert_eq(consensus != NULL, TABLE[i].expected == OUTCOME_OK, "case %zu", i);
    if (!consensus) cr_assert_eq(outcome, TABLE[i].expected, "case %zu: %s", i, outcome_name(outcome));
    cr_assert_eq(missing, TABLE[i].missing, "case %zu", i);
    consensus_release(consensus);
    document_release(text);
  }
  network_chain_free(chain);
}

static char both[2 * SAMPLE_TEXT_BYTES];
static size_t both_len;

static uint32_t make_chain(void) {
  enum outcome outcome;
  struct network_chain *chain = network_chain_new((const uint8_t *)both, both_len, &outcome, NULL);
  struct network_chain *copy = chain == NULL ? NULL : network_chain_copy(chain);
  cr_assert(chain != NULL || outcome == OUTCOME_NO_MEMORY, "%s", outcome_name(outcome));
  uint32_t told = chain == NULL || copy == NULL;
  network_chain_free(chain);
  network_chain_free(copy);
  return told;
}

Test(network_chain, is_made_whole_or_not_at_all) {
  first(&one, 4);
  next(&two, &one, 5, 10, 0x1f);
  memcpy(both, one.bytes, one.len);
  memcpy(both + one.len, two.bytes, two.len);
  both_len = one.len + two.len;
  failing_allocator_try_every(make_chain, true);
}
