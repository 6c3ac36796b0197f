#include "directory/vote.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "votes.h"

enum { RELAYS = 3, ROOM = 32 * 1024 };

static struct network_file network;
static struct vote_header header;
static struct seen_relay seen[SEEN_MAX];
static char changed[ROOM];

static struct document *make(uint32_t relays) {
  sample_network(&network, 4);
  seen_header(&header, &network, 1);
  seen_relays(seen, &network, relays);
  for (uint32_t i = 0; i < relays; i++) seen[i].is_measured = i % 2, seen[i].measured = i % 2 ? 77 + i : 0;
  return seen_vote_text(&header, 1, seen, relays);
}

static enum outcome judge(const char *bytes, size_t len, uint32_t *ret_line) {
  enum outcome outcome;
  struct document *document = document_new(bytes, len);
  struct vote *vote = vote_parse(&network, document, NULL, &outcome, ret_line);
  cr_assert_eq(vote != NULL, outcome == OUTCOME_OK);
  vote_free(vote);
  document_release(document);
  return outcome;
}

/* A changed text, signed anew by the vote's author. */
static enum outcome judge_resigned(char *bytes, size_t len, uint32_t *ret_line) {
  uint8_t seed[32], signature[ED25519_SIGNATURE_BYTES];
  struct text_writer writer;
  sample_authority_seed(seed, 1);
  signature_make(signature, seed, "tunic vote", (uint8_t *)bytes, len);
  text_writer_init(&writer, bytes, ROOM);
  writer.len = len;
  text_write_hex_line(&writer, "signature", signature, sizeof signature);
  return judge(bytes, text_written(&writer), ret_line);
}

/* Without the signature's line. */
static size_t signed_len(const struct document *document) { return document_len(document) - 139; }

Test(vote, what_was_written_is_read) {
  for (uint32_t count = 0; count <= RELAYS; count++) {
    enum outcome outcome;
    uint8_t digest_of_text[DIGEST_BYTES];
    struct document *document = make(count);
    struct vote *vote = vote_parse(&network, document, NULL, &outcome, NULL);
    cr_assert_eq(outcome, OUTCOME_OK, "%s", outcome_name(outcome));
    header.relay_count = count;
    cr_assert(memcmp(vote_header(vote), &header, sizeof header) == 0);
    digest_labelled(digest_of_text, "tunic vote", document_bytes(document), signed_len(document));
    cr_assert(memcmp(vote_digest(vote), digest_of_text, DIGEST_BYTES) == 0);
    cr_assert_eq(vote_text(vote), document);
    cr_assert_eq(vote_count(vote), count);
    cr_assert_null(vote_at(vote, count));
    for (uint32_t i = 0; i < count; i++) {
      const struct vote_relay *relay = vote_at(vote, i);
      uint32_t k = 0;
      while (memcmp(seen[k].descriptor.identity, relay->identity, IDENTITY_BYTES) != 0) cr_assert_lt(++k, count);
      cr_assert(relay->flags == seen[k].flags && relay->is_measured == seen[k].is_measured && relay->measured == seen[k].measured);
      cr_assert_eq(relay->sequence, seen[k].descriptor.sequence);
      struct descriptor descriptor;
      cr_assert_eq(descriptor_parse(network.id, relay->descriptor, relay->descriptor_len, &descriptor, NULL), OUTCOME_OK);
      cr_assert(memcmp(descriptor.digest, relay->digest, DIGEST_BYTES) == 0);
    }
    /* Written anew from what was read, it is the same text. */
    uint8_t seed[32];
    sample_authority_seed(seed, 1);
    struct vote_relay *relays = calloc(count + 1, sizeof *relays);
    for (uint32_t i = 0; i < count; i++) relays[i] = *vote_at(vote, i);
    struct document *again = vote_compose(vote_header(vote), relays, seed);
    cr_assert(document_len(again) == document_len(document) && memcmp(document_bytes(again), document_bytes(document), document_len(again)) == 0);
    free(relays);
    document_release(again);
    document_release(document);
    vote_free(vote);
  }
}

Test(vote, every_changed_line_is_refused) {
  struct document *document = make(RELAYS);
  const char *text = (const char *)document_bytes(document);
  size_t len = document_len(document), bare = signed_len(document);
  for (uint32_t line = 0; line < text_line_count(text, len); line++)
    for (enum line_change change = LINE_REMOVED; change < LINE_CHANGES; change++) {
      size_t changed_len = text_change_line(text, len, line, change, changed, sizeof changed);
      if (changed_len > 0) cr_assert_neq(judge(changed, changed_len, NULL), OUTCOME_OK, "line %u, change %d", (unsigned)line, (int)change);
      if (line + 1 >= text_line_count(text, bare)) continue;
      changed_len = text_change_line(text, bare, line, change, changed, sizeof changed);
      if (changed_len > 0) cr_assert_neq(judge_resigned(changed, changed_len, NULL), OUTCOME_OK, "signed anew: line %u, change %d", (unsigned)line, (int)change);
    }
  document_release(document);
}

Test(vote, every_truncation_is_refused) {
  struct document *document = make(1);
  memcpy(changed, document_bytes(document), document_len(document));
  for (size_t cut = 0; cut < document_len(document); cut++) cr_assert_neq(judge(changed, cut, NULL), OUTCOME_OK, "cut at %zu", cut);
  for (size_t cut = 0; cut < signed_len(document); cut += 7) {
    memcpy(changed, document_bytes(document), cut);
    cr_assert_neq(judge_resigned(changed, cut, NULL), OUTCOME_OK, "signed anew: cut at %zu", cut);
  }
  document_release(document);
}

Test(vote, grammar_objects_without_the_signature) {
  static const struct { const char *after, *from, *to; enum outcome expected; } TABLE[] = {
      {"epoch", "5", "5", OUTCOME_OK}, {"relays 3", "\n", "\nx-later thing\n", OUTCOME_OK}, {"epoch", "5", "0", OUTCOME_BAD_DOCUMENT},
      {"epoch", "5", "18446744073709551616", OUTCOME_BAD_DOCUMENT}, {"round", "2", "4294967296", OUTCOME_BAD_DOCUMENT},
      {"round", "2", "02", OUTCOME_BAD_DOCUMENT}, {"methods", "1", "0", OUTCOME_BAD_DOCUMENT}, {"methods", "1", "32", OUTCOME_BAD_DOCUMENT},
      {"methods", "1", "1 1", OUTCOME_BAD_DOCUMENT}, {"methods", "1", "2 1", OUTCOME_BAD_DOCUMENT}, {"methods", "1", "1 31", OUTCOME_OK},
      {"methods", " 1", "", OUTCOME_BAD_DOCUMENT}, {"relays", "3", "2", OUTCOME_BAD_DOCUMENT}, {"relays", "3", "4", OUTCOME_BAD_DOCUMENT},
      {"relays", "3", "20001", OUTCOME_BAD_DOCUMENT}, {"relays", "3", "20000", OUTCOME_BAD_DOCUMENT},
      {"\nrelay", "running", "walking", OUTCOME_BAD_DOCUMENT}, {"\nrelay", "running,", "", OUTCOME_OK},
      {"\nrelay", "running", "none", OUTCOME_BAD_DOCUMENT}, {"valid 78", "78", "078", OUTCOME_BAD_DOCUMENT},
      {"valid 78", "78", "100000001", OUTCOME_BAD_DOCUMENT}, {"valid 78", "78", "-", OUTCOME_OK}, {"valid 78", "78", "", OUTCOME_BAD_DOCUMENT},
      {"valid -", " - ", " - 1", OUTCOME_BAD_DOCUMENT}, {"valid -", " - ", " - 0", OUTCOME_BAD_DOCUMENT},
      {"tunic-descriptor", "nickname r", "nickname q", OUTCOME_BAD_SIGNATURE}, /* another's words under its signature */
  };
  struct document *document = make(RELAYS);
  for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
    size_t len = text_replace((const char *)document_bytes(document), signed_len(document), TABLE[i].after, TABLE[i].from, TABLE[i].to, changed, sizeof changed);
    enum outcome outcome = judge_resigned(changed, len, NULL);
    cr_assert_eq(outcome, TABLE[i].expected, "%s: %s for %s: %s", TABLE[i].after, TABLE[i].to, TABLE[i].from, outcome_name(outcome));
  }
  document_release(document);
}

Test(vote, the_line_at_fault_is_named_within_a_descriptor) {
  struct document *document = make(1);
  const char *text = (const char *)document_bytes(document);
  uint32_t line = 0, header_lines = 10; /* then the relay's line; a descriptor's nickname is its third */
  size_t len = text_replace(text, signed_len(document), "nickname", "nickname", "nickmane", changed, sizeof changed);
  cr_assert_eq(judge_resigned(changed, len, &line), OUTCOME_BAD_DOCUMENT);
  cr_assert_eq(line, header_lines + 1 + 3);
  document_release(document);
}

Test(vote, order_and_doubles) {
  static char texts[2][LIMIT_DESCRIPTOR_BYTES];
  struct vote_relay relays[2] = {0};
  uint8_t seed[32];
  sample_network(&network, 4);
  seen_header(&header, &network, 1);
  seen_relays(seen, &network, 2);
  for (uint32_t i = 0; i < 2; i++) {
    relays[i].descriptor = (uint8_t *)texts[i];
    relays[i].descriptor_len = sample_descriptor_text(&seen[i].descriptor, i, texts[i], sizeof texts[i]);
  }
  bool in_order = memcmp(seen[0].descriptor.identity, seen[1].descriptor.identity, IDENTITY_BYTES) < 0;
  sample_authority_seed(seed, 1);
  header.relay_count = 2;
  for (int order = 0; order < 3; order++) {
    struct vote_relay placed[2] = {relays[order == 1 ? 1 : 0], relays[order == 0 ? 1 : 0]};
    struct document *document = vote_compose(&header, placed, seed);
    bool good = order == (in_order ? 0 : 1);
    cr_assert_eq(judge((const char *)document_bytes(document), document_len(document), NULL), good ? OUTCOME_OK : OUTCOME_BAD_DOCUMENT);
    document_release(document);
  }
}

Test(vote, by_the_wrong_hand) {
  struct document *document = make(1);
  struct { uint32_t named, signer; const char *context; enum outcome expected; } cases[] = {
      {1, 1, "tunic vote", OUTCOME_OK},
      {1, 2, "tunic vote", OUTCOME_BAD_SIGNATURE},
      {1, 1, "tunic consensus", OUTCOME_BAD_SIGNATURE},
      {9, 9, "tunic vote", OUTCOME_BAD_SIGNATURE}, /* a stranger's */
  };
  document_release(document);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint8_t seed[32], signature[ED25519_SIGNATURE_BYTES];
    struct text_writer writer;
    seen_header(&header, &network, cases[i].named);
    document = seen_vote_text(&header, 0, seen, 1);
    size_t len = signed_len(document);
    memcpy(changed, document_bytes(document), len);
    document_release(document);
    sample_authority_seed(seed, cases[i].signer);
    signature_make(signature, seed, cases[i].context, (uint8_t *)changed, len);
    text_writer_init(&writer, changed, sizeof changed);
    writer.len = len;
    text_write_hex_line(&writer, "signature", signature, sizeof signature);
    cr_assert_eq(judge(changed, writer.len, NULL), cases[i].expected, "case %zu", i);
  }
  document = make(1);
  network.id[0] ^= 1;
  cr_assert_eq(judge((const char *)document_bytes(document), document_len(document), NULL), OUTCOME_WRONG_NETWORK);
  document_release(document);
}

struct asked { uint32_t count; bool answer; };

static bool has(const void *context, const uint8_t digest_of_descriptor[DIGEST_BYTES]) {
  struct asked *asked = (struct asked *)(uintptr_t)context;
  (void)digest_of_descriptor;
  asked->count++;
  return asked->answer;
}

/* [VOTE-3] */
Test(vote, what_is_known_is_not_verified_again) {
  struct document *document = make(1);
  size_t len = text_replace((const char *)document_bytes(document), signed_len(document), "nickname", "r0", "q0", changed, sizeof changed);
  uint8_t seed[32], signature[ED25519_SIGNATURE_BYTES];
  struct text_writer writer;
  sample_authority_seed(seed, 1);
  signature_make(signature, seed, "tunic vote", (uint8_t *)changed, len);
  text_writer_init(&writer, changed, sizeof changed);
  writer.len = len;
  text_write_hex_line(&writer, "signature", signature, sizeof signature);
  struct document *forged = document_new(changed, writer.len);
  for (int known = 0; known < 2; known++) {
    struct asked asked = {.answer = known == 1};
    struct vote_known judge_known = {has, &asked};
    enum outcome outcome;
    vote_free(vote_parse(&network, forged, &judge_known, &outcome, NULL));
    cr_assert_eq(outcome, known ? OUTCOME_OK : OUTCOME_BAD_SIGNATURE);
    cr_assert_eq(asked.count, 1);
  }
  document_release(forged);
  document_release(document);
}
