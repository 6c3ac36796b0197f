/* The handshake of links: what opens, and all that must not. */
#include <criterion/criterion.h>
#include <string.h>

#include "crypto/noise.h"
#include "tests/unit/protocol/link_pair.h"

enum {
  CHACHA = 1 << AEAD_CHACHA20_POLY1305,
  BOTH_SUITES = CHACHA | 1 << AEAD_AES256_GCM,
  FIRST_BYTES = LINK_PREAMBLE_BYTES + NOISE_HFS_MESSAGE_1_BYTES,
  SECOND_BYTES = NOISE_HFS_MESSAGE_2_BYTES,
  THIRD_BYTES = NOISE_MESSAGE_3_BYTES + IDENTITY_BYTES,
};

static const enum link_pattern patterns[] = {LINK_FROM_NODE, LINK_FROM_CLIENT};

/* What the end has to say now, all of it. */
static size_t say(struct end *end, uint8_t out[2000]) {
  end_work(end);
  return end_transmit(end, out, 2000);
}

/* The links up to where the initiator has said message 1, 2 or 3: the message is in `out`, not delivered. */
static size_t advance_to(struct pair *pair, int message, uint8_t out[2000]) {
  pair_start(pair);
  size_t len = say(&pair->initiator, out);
  cr_assert_eq(len, FIRST_BYTES);
  if (message == 1) return len;
  end_receive(&pair->responder, out, len);
  len = say(&pair->responder, out);
  cr_assert_eq(len, SECOND_BYTES);
  if (message == 2) return len;
  end_receive(&pair->initiator, out, len);
  len = say(&pair->initiator, out);
  cr_assert_eq(len, THIRD_BYTES);
  return len;
}

static struct end *reader_of(struct pair *pair, int message) {
  return message == 2 ? &pair->initiator : &pair->responder;
}

/* Delivers and works; true if the reader then has failed for good. */
static bool is_refused(struct end *reader, const uint8_t *bytes, size_t len) {
  uint8_t out[2000];
  end_receive(reader, bytes, len);
  end_work(reader);
  if (!end_is(reader, LINK_FAILED)) return false;
  /* [LINK-11] */
  cr_assert(reader->outcome == OUTCOME_HANDSHAKE_FAILED || reader->outcome == OUTCOME_PROTOCOL_VIOLATION);
  reader->to_send = 1;
  cr_assert_eq(end_transmit(reader, out, sizeof out), 0);
  cr_assert_eq(reader->asked, 0);
  cr_assert_not(link_needs_work(reader->link));
  cr_assert_eq(link_work(reader->link, 0), reader->outcome);
  return true;
}

Test(link_handshake, opens_with_both_patterns_and_says_who_is_there) {
  struct random_stream random = test_random("link_handshake");
  for (size_t p = 0; p < 2; p++) {
    struct pair pair;
    pair_init(&pair, &random, patterns[p], BOTH_SUITES);
    pair_open(&pair);
    cr_assert_eq(link_role(pair.initiator.link), LINK_INITIATOR);
    cr_assert_eq(link_role(pair.responder.link), LINK_RESPONDER);
    cr_assert_eq(link_pattern(pair.responder.link), patterns[p]);
    cr_assert_arr_eq(link_peer_identity(pair.initiator.link), pair.responder.self.identity, IDENTITY_BYTES);
    /* zeros for a client */
    cr_assert_arr_eq(link_peer_identity(pair.responder.link), pair.initiator.self.identity, IDENTITY_BYTES);
    pair_wipe(&pair);
  }
}

Test(link_handshake, uses_the_best_suite_that_both_declare) {
  if (!aead_suite_is_available(AEAD_AES256_GCM)) cr_skip_test("no AES here");
  struct random_stream random = test_random("link_handshake");
  const struct {
    uint8_t own, peers;
    enum aead_suite suite;
  } cases[] = {
      {BOTH_SUITES, BOTH_SUITES, AEAD_AES256_GCM},
      {BOTH_SUITES, CHACHA, AEAD_CHACHA20_POLY1305},
      {CHACHA, BOTH_SUITES, AEAD_CHACHA20_POLY1305},
      {0, 0, AEAD_CHACHA20_POLY1305},
      {0xff, 0xff, AEAD_AES256_GCM}, /* suites of another time are left out */
  };
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    struct pair pair;
    pair_init(&pair, &random, LINK_FROM_NODE, BOTH_SUITES);
    pair.initiator.self.suites = cases[c].own;
    pair.responder.self.suites = pair.peer.suites = cases[c].peers;
    pair_open(&pair);
    cr_assert_eq(link_suite(pair.initiator.link), cases[c].suite);
    cr_assert_eq(link_suite(pair.responder.link), cases[c].suite);
    pair_wipe(&pair);
  }
}

Test(link_handshake, preamble_is_judged_before_anything_is_computed) {
  struct random_stream random = test_random("link_handshake");
  const struct {
    uint8_t preamble[LINK_PREAMBLE_BYTES], declared;
    bool accepted;
  } cases[] = {
      {{1, 1, CHACHA}, CHACHA, true},
      {{2, 1, CHACHA}, CHACHA, true},
      {{1, 1, BOTH_SUITES}, BOTH_SUITES, true},
      {{1, 1, CHACHA}, BOTH_SUITES, true},
      {{0, 1, CHACHA}, CHACHA, false},
      {{3, 1, CHACHA}, CHACHA, false},
      {{255, 1, CHACHA}, CHACHA, false},
      {{1, 0, CHACHA}, CHACHA, false},
      {{1, 2, CHACHA}, CHACHA, false},
      {{1, 1, 0}, BOTH_SUITES, false},
      {{1, 1, 1 << AEAD_AES256_GCM}, BOTH_SUITES, false}, /* without the one that always works */
      {{1, 1, BOTH_SUITES}, CHACHA, false},               /* that was not declared */
      {{1, 1, BOTH_SUITES | 8}, BOTH_SUITES, false},
      {{1, 1, CHACHA | 1}, CHACHA, false},
      {{1, 1, 0xff}, 0xff, false}, /* declared by mistake, and still unknown */
  };
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    struct pair pair;
    pair_init(&pair, &random, LINK_FROM_NODE, cases[c].declared);
    pair_start(&pair);
    end_receive(&pair.responder, cases[c].preamble, LINK_PREAMBLE_BYTES);
    cr_expect_eq(end_is(&pair.responder, LINK_HANDSHAKING), cases[c].accepted, "case %zu", c);
    cr_expect_eq(pair.responder.outcome, cases[c].accepted ? OUTCOME_OK : OUTCOME_PROTOCOL_VIOLATION);
    pair_wipe(&pair);
  }
}

Test(link_handshake, every_changed_bit_is_noticed) {
  struct random_stream random = test_random("link_handshake");
  for (size_t p = 0; p < 2; p++) {
    for (int message = 1; message <= (patterns[p] == LINK_FROM_NODE ? 3 : 2); message++) {
      struct pair pair;
      uint8_t out[2000];
      pair_init(&pair, &random, patterns[p], BOTH_SUITES);
      size_t len = advance_to(&pair, message, out);
      pair_wipe(&pair);
      /* every bit of what is plain first, then a sample that begins anywhere */
      size_t bits = 8 * len, step = message == 3 ? 7 : 211;
      for (size_t bit = message == 1 ? 0 : random_below(&random, step); bit < bits;
           bit += bit < 24 && message == 1 ? 1 : step) {
        pair_init(&pair, &random, patterns[p], BOTH_SUITES);
        advance_to(&pair, message, out);
        out[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_expect(is_refused(reader_of(&pair, message), out, len), "pattern %zu message %d bit %zu", p,
                  message, bit);
        pair_wipe(&pair);
      }
    }
  }
}

Test(link_handshake, the_top_bit_of_an_ephemeral_counts_too) {
  struct random_stream random = test_random("link_handshake");
  /* X25519 itself ignores it */
  for (int message = 1; message <= 2; message++) {
    struct pair pair;
    uint8_t out[2000];
    pair_init(&pair, &random, LINK_FROM_NODE, CHACHA);
    size_t len = advance_to(&pair, message, out);
    out[(message == 1 ? LINK_PREAMBLE_BYTES : 0) + 31] ^= 0x80;
    cr_assert(is_refused(reader_of(&pair, message), out, len));
    pair_wipe(&pair);
  }
}

Test(link_handshake, a_message_cut_short_is_waited_for) {
  struct random_stream random = test_random("link_handshake");
  for (int message = 1; message <= 3; message++) {
    struct pair pair;
    uint8_t out[2000];
    pair_init(&pair, &random, LINK_FROM_NODE, CHACHA);
    size_t len = advance_to(&pair, message, out);
    struct end *reader = reader_of(&pair, message);
    end_receive(reader, out, len - 1);
    cr_assert_not(link_needs_work(reader->link));
    cr_assert(end_is(reader, LINK_HANDSHAKING));
    end_receive(reader, out + len - 1, 1);
    cr_assert(link_needs_work(reader->link));
    cr_assert_eq(reader->in_len, 0);
    pair_wipe(&pair);
  }
}

Test(link_handshake, bytes_behind_a_message_are_no_part_of_it) {
  struct random_stream random = test_random("link_handshake");
  uint8_t out[2000] = {0};
  struct pair pair;
  pair_init(&pair, &random, LINK_FROM_CLIENT, CHACHA);
  size_t len = advance_to(&pair, 2, out);
  memset(out + len, 0, 2);
  end_receive(&pair.initiator, out, len + 2);
  cr_assert_eq(pair.initiator.in_len, 2); /* nothing is taken while work waits */
  end_work(&pair.initiator);
  cr_assert(end_is(&pair.initiator, LINK_OPEN));
  /* Two bytes are no record that this test could forge, but for 11 lengths in 65,536: more of them settle it.
   */
  for (int i = 0; i < LINK_RECORD_MAX_BYTES && !end_is(&pair.initiator, LINK_FAILED); i++)
    end_receive(&pair.initiator, (const uint8_t[]){0}, 1);
  cr_assert(end_is(&pair.initiator, LINK_FAILED));
  pair_wipe(&pair);
}

Test(link_handshake, nothing_is_taken_while_work_waits) {
  struct random_stream random = test_random("link_handshake");
  struct pair pair;
  uint8_t out[2000];
  pair_init(&pair, &random, LINK_FROM_NODE, CHACHA);
  size_t len = advance_to(&pair, 1, out);
  end_receive(&pair.responder, out, len);
  cr_assert(link_needs_work(pair.responder.link));
  end_receive(&pair.responder, out, len);
  cr_assert_eq(pair.responder.in_len, len);
  cr_assert_eq(end_transmit(&pair.responder, out, sizeof out), 0);
  pair_wipe(&pair);
}

Test(link_handshake, an_unknown_peer_is_told_nothing_until_admitted) {
  struct random_stream random = test_random("link_handshake");
  struct pair pair;
  uint8_t out[2000];
  pair_init(&pair, &random, LINK_FROM_NODE, CHACHA);
  pair.admit = false;
  size_t len = advance_to(&pair, 3, out);
  struct end *r = &pair.responder;
  end_receive(r, out, len);
  cr_assert(end_is(r, LINK_HANDSHAKING));
  end_work(r);
  cr_assert(end_is(r, LINK_AWAITING_ADMISSION));
  /* The initiator is open and speaks already; its cells wait, and so do ours. */
  cr_assert(end_is(&pair.initiator, LINK_OPEN));
  pair.initiator.to_send = r->to_send = 1;
  len = end_transmit(&pair.initiator, out, sizeof out);
  cr_assert_eq(len, LINK_RECORD_OVERHEAD + CELL_BYTES);
  end_receive(r, out, len);
  cr_assert_eq(r->in_len, len);
  cr_assert_eq(r->received, 0);
  cr_assert_eq(end_transmit(r, out, sizeof out), 0);
  cr_assert_eq(r->asked, 0);

  uint8_t identity[IDENTITY_BYTES], key[X25519_BYTES];
  link_claim(r->link, identity, key);
  cr_assert_arr_eq(identity, pair.initiator.self.identity, IDENTITY_BYTES);
  cr_assert_arr_eq(key, pair.initiator.self.link_public, X25519_BYTES);
  link_admit(r->link);
  cr_assert(end_is(r, LINK_OPEN));
  end_receive(r, NULL, 0);
  cr_assert_eq(r->received, 1);
  cr_assert_gt(end_transmit(r, out, sizeof out), 0);
  pair_wipe(&pair);
}

Test(link_handshake, a_false_claim_is_handed_on_as_what_it_is) {
  struct random_stream random = test_random("link_handshake");
  /* The key is proved, the identity is anybody's: the owner sees both and compares. */
  struct pair pair;
  pair_init(&pair, &random, LINK_FROM_NODE, CHACHA);
  pair.admit = false;
  memset(pair.initiator.self.identity, 0x77, IDENTITY_BYTES);
  pair_start(&pair);
  pair_run(&pair);
  uint8_t identity[IDENTITY_BYTES], key[X25519_BYTES];
  link_claim(pair.responder.link, identity, key);
  cr_assert_eq(identity[0], 0x77);
  cr_assert_arr_eq(key, pair.initiator.self.link_public, X25519_BYTES);
  pair_wipe(&pair);
}

Test(link_handshake, another_network_identity_or_key_is_refused) {
  struct random_stream random = test_random("link_handshake");
  for (int what = 0; what < 3; what++) {
    for (size_t p = 0; p < 2; p++) {
      struct pair pair;
      uint8_t out[2000];
      pair_init(&pair, &random, patterns[p], CHACHA);
      if (what == 0) pair.initiator.self.network[31] ^= 1;
      if (what == 1) pair.peer.identity[0] ^= 1;
      if (what == 2) pair.peer.link_key[0] ^= 1;
      pair_start(&pair);
      size_t len = say(&pair.initiator, out);
      cr_assert(is_refused(&pair.responder, out, len));
      cr_assert_eq(pair.responder.outcome, OUTCOME_HANDSHAKE_FAILED);
      pair_wipe(&pair);
    }
  }
}

/* The points of small order on Curve25519 and its twist, in their canonical encodings. */
static const uint8_t low_order[5][X25519_BYTES] = {
    {0},
    {1},
    {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
     0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
    {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
     0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
};

Test(link_handshake, keys_of_small_order_are_refused) {
  struct random_stream random = test_random("link_handshake");
  for (size_t k = 0; k < 5; k++) {
    struct pair pair;
    uint8_t out[2000];
    /* as the peer's link key in the consensus: we do not even speak */
    pair_init(&pair, &random, LINK_FROM_NODE, CHACHA);
    memcpy(pair.peer.link_key, low_order[k], X25519_BYTES);
    pair_start(&pair);
    cr_assert_eq(say(&pair.initiator, out), 0);
    cr_assert_eq(pair.initiator.outcome, OUTCOME_HANDSHAKE_FAILED);
    pair_wipe(&pair);
    /* as an ephemeral, either way */
    for (int message = 1; message <= 2; message++) {
      pair_init(&pair, &random, LINK_FROM_NODE, CHACHA);
      size_t len = advance_to(&pair, message, out);
      memcpy(out + (message == 1 ? LINK_PREAMBLE_BYTES : 0), low_order[k], X25519_BYTES);
      cr_assert(is_refused(reader_of(&pair, message), out, len));
      pair_wipe(&pair);
    }
  }
}

Test(link_handshake, a_recorded_handshake_opens_nothing_twice) {
  struct random_stream random = test_random("link_handshake");
  for (size_t p = 0; p < 2; p++) {
    struct pair pair;
    uint8_t first[2000], other[2000], behind[2000];
    pair_init(&pair, &random, patterns[p], CHACHA);
    size_t first_len = advance_to(&pair, 1, first);
    end_receive(&pair.responder, first, first_len);
    size_t other_len = say(&pair.responder, other);
    end_receive(&pair.initiator, other, other_len);
    end_work(&pair.initiator);
    pair.initiator.to_send = 1;
    size_t behind_len =
        end_transmit(&pair.initiator, behind, sizeof behind); /* message 3, if any, and a record */
    end_receive(&pair.responder, behind, behind_len);
    end_work(&pair.responder);

    struct end again = pair.responder;
    again.link = link_new_responder(&again.self, &again.random);
    again.in_len = 0;
    again.received = 0;
    again.outcome = OUTCOME_OK;
    end_receive(&again, first, first_len);
    cr_assert_eq(say(&again, other), SECOND_BYTES);
    end_receive(&again, behind, behind_len);
    end_work(&again);
    /* A record's length may unmask to a valid one by chance: then its tag fails once it is all there. */
    uint8_t rest[LINK_RECORD_MAX_BYTES] = {0};
    if (!end_is(&again, LINK_FAILED)) end_receive(&again, rest, sizeof rest);
    cr_assert(end_is(&again, LINK_FAILED));
    cr_assert_eq(again.received, 0);
    link_free(again.link);
    pair_wipe(&pair);
  }
}

Test(link_handshake, a_message_of_the_other_side_is_refused) {
  struct random_stream random = test_random("link_handshake");
  /* sent back to who said it */
  struct pair pair;
  uint8_t out[2000], padded[2000] = {0};
  pair_init(&pair, &random, LINK_FROM_NODE, CHACHA);
  size_t len = advance_to(&pair, 1, out);
  memcpy(padded, out + LINK_PREAMBLE_BYTES, len - LINK_PREAMBLE_BYTES);
  cr_assert(is_refused(&pair.initiator, padded, SECOND_BYTES));
  pair_wipe(&pair);
}

Test(link_handshake, handshake_bytes_leave_one_at_a_time_if_they_must) {
  struct random_stream random = test_random("link_handshake");
  struct pair pair;
  uint8_t byte;
  pair_init(&pair, &random, LINK_FROM_NODE, CHACHA);
  pair_start(&pair);
  struct end *ends[2] = {&pair.initiator, &pair.responder};
  for (int i = 0; i < 2 * (FIRST_BYTES + SECOND_BYTES + THIRD_BYTES) &&
                  !end_is(&pair.responder, LINK_AWAITING_ADMISSION);
       i++) {
    for (int e = 0; e < 2; e++) {
      end_work(ends[e]);
      if (end_transmit(ends[e], &byte, 1) == 1) end_receive(ends[1 - e], &byte, 1);
    }
  }
  cr_assert(end_is(&pair.initiator, LINK_OPEN));
  cr_assert(end_is(&pair.responder, LINK_AWAITING_ADMISSION));
  pair_wipe(&pair);
}
