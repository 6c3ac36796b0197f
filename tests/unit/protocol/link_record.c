/* The records of open links: what passes, at which sizes, and what ends the link. */
#include <criterion/criterion.h>
#include <string.h>

#include "crypto/noise.h"
#include "failing_allocator.h"
#include "protocol/message.h"
#include "tests/unit/protocol/link_pair.h"

enum {
  CHACHA = 1 << AEAD_CHACHA20_POLY1305,
  BOTH_SUITES = CHACHA | 1 << AEAD_AES256_GCM,
  ONE_CELL_RECORD = LINK_RECORD_OVERHEAD + CELL_BYTES,
};

static size_t backends(enum aead_backend ret[3]) {
  size_t count = 1;
  ret[0] = AEAD_LIBSODIUM;
  count += aead_backend_from_name("libcrypto", &ret[count]);
  count += aead_backend_from_name("ipsec-mb", &ret[count]);
  return count;
}

Test(link_record, carries_thousands_of_cells_both_ways_whatever_computes_them) {
  struct random_stream random = test_random("link_record");
  enum aead_backend backend[3];
  size_t count = backends(backend);
  const uint8_t suites[] = {CHACHA, BOTH_SUITES};
  for (size_t c = 0; c < 2 * count * count; c++) {
    struct pair pair;
    pair_init(&pair, &random, c % 2 == 0 ? LINK_FROM_NODE : LINK_FROM_CLIENT, suites[c / (count * count)]);
    pair.initiator.self.backend = backend[c % count];
    pair.responder.self.backend = backend[c / count % count];
    pair.initiator.to_send = 2000;
    pair.responder.to_send = 1500;
    pair_open(&pair);
    cr_assert_eq(pair.responder.received, 2000);
    cr_assert_eq(pair.initiator.received, 1500);
    pair_wipe(&pair);
  }
}

/* Records of one cell each: what one end sends until its source ends. */
static void send_one_by_one(struct end *from, struct end *to, uint64_t cells) {
  uint8_t out[ONE_CELL_RECORD];
  from->to_send = from->sent + cells;
  for (uint64_t i = 0; i < cells; i++) {
    cr_assert_eq(end_transmit(from, out, sizeof out), sizeof out);
    end_receive(to, out, sizeof out);
  }
}

Test(link_record, keys_move_on_together_without_a_word) {
  struct random_stream random = test_random("link_record");
  const uint8_t suites[] = {CHACHA, BOTH_SUITES};
  for (size_t s = 0; s < 2; s++) {
    struct pair pair;
    pair_init(&pair, &random, LINK_FROM_CLIENT, suites[s]);
    pair_open(&pair);
    send_one_by_one(&pair.initiator, &pair.responder, 2 * LINK_RECORDS_PER_KEY + 2);
    send_one_by_one(&pair.responder, &pair.initiator, LINK_RECORDS_PER_KEY + 1);
    cr_assert_eq(pair.responder.received, 2 * LINK_RECORDS_PER_KEY + 2);
    cr_assert_eq(pair.initiator.received, LINK_RECORDS_PER_KEY + 1);
    cr_assert_eq(pair.responder.outcome, OUTCOME_OK);
    pair_wipe(&pair);
  }
}

Test(link_record, holds_what_fits_and_no_more_than_eleven_cells) {
  struct random_stream random = test_random("link_record");
  const struct {
    size_t room, len;
    uint64_t cells;
  } cases[] = {
      {0, 0, 0},
      {ONE_CELL_RECORD - 1, 0, 0},
      {ONE_CELL_RECORD, ONE_CELL_RECORD, 1},
      {LINK_RECORD_MAX_BYTES - 1, LINK_RECORD_MAX_BYTES - CELL_BYTES, 10},
      {LINK_RECORD_MAX_BYTES, LINK_RECORD_MAX_BYTES, 11},
      {LINK_RECORD_MAX_BYTES + ONE_CELL_RECORD - 1, LINK_RECORD_MAX_BYTES, 11},
      {LINK_RECORD_MAX_BYTES + ONE_CELL_RECORD, LINK_RECORD_MAX_BYTES + ONE_CELL_RECORD, 12},
      {2 * LINK_RECORD_MAX_BYTES, 2 * LINK_RECORD_MAX_BYTES, 22},
  };
  struct pair pair;
  uint8_t out[2 * LINK_RECORD_MAX_BYTES];
  pair_init(&pair, &random, LINK_FROM_NODE, BOTH_SUITES);
  pair_open(&pair);
  struct end *i = &pair.initiator;
  i->to_send = UINT64_MAX;
  i->asked = 0;
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    uint64_t before = i->sent, received = pair.responder.received;
    size_t len = end_transmit(i, out, cases[c].room);
    cr_expect_eq(len, cases[c].len, "case %zu: %zu", c, len);
    cr_expect_eq(i->sent - before, cases[c].cells);
    cr_expect_eq(i->asked, i->sent, "asked for a cell that did not fit");
    end_receive(&pair.responder, out, len);
    cr_expect_eq(pair.responder.received - received, cases[c].cells);
  }
  pair_wipe(&pair);
}

Test(link_record, leaves_with_what_there_is) {
  struct random_stream random = test_random("link_record");
  struct pair pair;
  uint8_t out[LINK_RECORD_MAX_BYTES];
  pair_init(&pair, &random, LINK_FROM_NODE, BOTH_SUITES);
  pair_open(&pair);
  cr_assert_eq(end_transmit(&pair.initiator, out, sizeof out), 0);
  cr_assert_eq(link_transmit(pair.initiator.link, 0, out, sizeof out, NULL), 0);
  pair.initiator.to_send = 3;
  cr_assert_eq(end_transmit(&pair.initiator, out, sizeof out), LINK_RECORD_OVERHEAD + 3 * CELL_BYTES);
  pair_wipe(&pair);
}

Test(link_record, cells_may_leave_right_behind_the_last_handshake_message) {
  struct random_stream random = test_random("link_record");
  for (int p = 0; p < 2; p++) {
    struct pair pair;
    static uint8_t out[END_BUFFER_BYTES];
    pair_init(&pair, &random, p == 0 ? LINK_FROM_NODE : LINK_FROM_CLIENT, BOTH_SUITES);
    pair_start(&pair);
    pair.initiator.to_send = pair.responder.to_send = 2;
    end_work(&pair.initiator);
    end_receive(&pair.responder, out, end_transmit(&pair.initiator, out, sizeof out));
    end_work(&pair.responder);
    size_t len = end_transmit(&pair.responder, out, sizeof out);
    size_t records = LINK_RECORD_OVERHEAD + 2 * CELL_BYTES;
    cr_assert_eq(len, NOISE_HFS_MESSAGE_2_BYTES + (p == 0 ? 0 : records)); /* a node's identity comes first */
    end_receive(&pair.initiator, out, len);
    end_work(&pair.initiator);
    end_receive(&pair.initiator, NULL, 0);
    cr_assert_eq(pair.initiator.received, p == 0 ? 0 : 2);
    cr_assert_eq(end_transmit(&pair.initiator, out, sizeof out),
                 records + (p == 0 ? NOISE_MESSAGE_3_BYTES + IDENTITY_BYTES : 0));
    pair_wipe(&pair);
  }
}

/* An open pair, and the initiator's next record of so many cells, not delivered. */
static size_t next_record(struct pair *pair, uint64_t cells, uint8_t out[LINK_RECORD_MAX_BYTES]) {
  pair->initiator.to_send = pair->initiator.sent + cells;
  return end_transmit(&pair->initiator, out, LINK_RECORD_MAX_BYTES);
}

static void expect_dead(struct pair *pair) {
  uint8_t out[LINK_RECORD_MAX_BYTES];
  struct end *r = &pair->responder;
  cr_assert(end_is(r, LINK_FAILED));
  cr_assert_eq(r->outcome, OUTCOME_PROTOCOL_VIOLATION);
  cr_assert_eq(r->received, 0);
  r->to_send = 1;
  cr_assert_eq(end_transmit(r, out, sizeof out), 0);
}

Test(link_record, any_changed_bit_ends_the_link) {
  struct random_stream random = test_random("link_record");
  const uint8_t suites[] = {CHACHA, BOTH_SUITES};
  for (size_t s = 0; s < 2; s++) {
    for (size_t bit = 0; bit < 8 * ONE_CELL_RECORD;
         bit += bit < 24 || bit > 8 * ONE_CELL_RECORD - 24 ? 1 : 173) {
      struct pair pair;
      uint8_t out[LINK_RECORD_MAX_BYTES] = {0};
      pair_init(&pair, &random, LINK_FROM_CLIENT, suites[s]);
      pair_open(&pair);
      next_record(&pair, 1, out);
      out[bit / 8] ^= (uint8_t)(1 << bit % 8);
      end_receive(&pair.responder, out, sizeof out); /* all of it, if the length now says more */
      expect_dead(&pair);
      pair_wipe(&pair);
    }
  }
}

/* A record of one cell whose masked length is changed to say another. */
static void say_length(uint8_t record[2], uint16_t length) {
  put_u16(record, get_u16(record) ^ CELL_BYTES ^ length);
}

Test(link_record, a_length_that_is_not_one_to_eleven_cells_ends_the_link_at_once) {
  struct random_stream random = test_random("link_record");
  const uint16_t lengths[] = {
      0, 1, 1407, 1409, 2 * CELL_BYTES - 1, 11 * CELL_BYTES + 1, 12 * CELL_BYTES, 46 * CELL_BYTES, 65535};
  for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
    struct pair pair;
    uint8_t out[LINK_RECORD_MAX_BYTES];
    pair_init(&pair, &random, LINK_FROM_CLIENT, CHACHA);
    pair_open(&pair);
    next_record(&pair, 1, out);
    say_length(out, lengths[l]);
    end_receive(&pair.responder, out, 1);
    cr_assert(end_is(&pair.responder, LINK_OPEN));
    end_receive(&pair.responder, out + 1, 1);
    expect_dead(&pair);
    pair_wipe(&pair);
  }
}

Test(link_record, a_length_of_other_whole_cells_is_forged_all_the_same) {
  struct random_stream random = test_random("link_record");
  for (uint16_t cells = 2; cells <= LINK_RECORD_CELLS_MAX; cells++) {
    struct pair pair;
    uint8_t out[LINK_RECORD_MAX_BYTES] = {0};
    pair_init(&pair, &random, LINK_FROM_CLIENT, CHACHA);
    pair_open(&pair);
    next_record(&pair, 1, out);
    say_length(out, (uint16_t)(cells * CELL_BYTES));
    size_t whole = LINK_RECORD_OVERHEAD + (size_t)cells * CELL_BYTES;
    end_receive(&pair.responder, out, whole - 1);
    cr_assert(end_is(&pair.responder, LINK_OPEN));
    end_receive(&pair.responder, out + whole - 1, 1);
    expect_dead(&pair);
    pair_wipe(&pair);
  }
}

Test(link_record, dropped_doubled_swapped_or_reflected_records_end_the_link) {
  struct random_stream random = test_random("link_record");
  for (int what = 0; what < 4; what++) {
    struct pair pair;
    uint8_t first[LINK_RECORD_MAX_BYTES] = {0}, second[LINK_RECORD_MAX_BYTES] = {0};
    pair_init(&pair, &random, LINK_FROM_CLIENT, BOTH_SUITES);
    pair_open(&pair);
    next_record(&pair, 1, first);
    next_record(&pair, 1, second);
    struct end *victim = what == 3 ? &pair.initiator : &pair.responder;
    if (what == 0) end_receive(victim, second, sizeof second);
    if (what == 1) {
      end_receive(victim, first, ONE_CELL_RECORD);
      cr_assert_eq(victim->received, 1);
      victim->received = 0;
      end_receive(victim, first, sizeof first);
    }
    if (what == 2) {
      end_receive(victim, second, ONE_CELL_RECORD);
      if (!end_is(victim, LINK_FAILED)) end_receive(victim, first, sizeof first);
    }
    if (what == 3) end_receive(victim, first, sizeof first);
    cr_assert(end_is(victim, LINK_FAILED), "case %d", what);
    cr_assert_eq(victim->received, 0);
    pair_wipe(&pair);
  }
}

/* A client written from specs/links.md alone, over Noise and the AEAD: [LINK-1] to [LINK-5], [LINK-7]. */
struct by_hand {
  struct noise noise;
  uint8_t preamble[3], keys[128];
};

static void by_hand_begin(struct by_hand *h, const struct link_self *responder, uint8_t suites,
                          uint8_t first[1251]) {
  uint8_t prologue[12 + 1 + 1 + 32 + 32 + 1], random[NOISE_RANDOM_BYTES];
  memcpy(prologue, "tunic link 1\x02\x01", 14);
  memcpy(prologue + 14, responder->network, 32);
  memcpy(prologue + 46, responder->identity, 32);
  prologue[78] = suites;
  memset(random, 0x42, sizeof random);
  noise_init(&h->noise, NOISE_NKHFS, NOISE_INITIATOR, AEAD_CHACHA20_POLY1305, prologue, sizeof prologue, NULL,
             responder->link_public);
  memcpy(first, (const uint8_t[]){2, 1, suites}, 3);
  size_t len;
  cr_assert(noise_write(&h->noise, random, NULL, 0, first + 3, 1248, &len));
  cr_assert_eq(len, 1248);
}

static void by_hand_end(struct by_hand *h, const uint8_t *second, size_t len) {
  size_t payload_len;
  cr_assert_eq(len, 1152);
  cr_assert(noise_read(&h->noise, second, len, NULL, 0, &payload_len));
  noise_traffic_keys(&h->noise, "tunic link keys 1", h->keys, sizeof h->keys);
}

Test(link_record, speaks_as_the_specification_says) {
  if (!aead_suite_is_available(AEAD_AES256_GCM)) cr_skip_test("no AES here");
  struct random_stream random = test_random("link_record");
  struct pair pair;
  uint8_t out[2000], first[1251];
  pair_init(&pair, &random, LINK_FROM_CLIENT, BOTH_SUITES);
  pair_start(&pair);
  struct end *r = &pair.responder;
  struct by_hand h;
  by_hand_begin(&h, &r->self, BOTH_SUITES, first);
  end_receive(r, first, sizeof first);
  end_work(r);
  by_hand_end(&h, out, end_transmit(r, out, sizeof out));

  for (uint64_t n = 0; n < LINK_RECORDS_PER_KEY + 1; n++) {
    struct aead aead = {0};
    uint8_t mask[2], record[ONE_CELL_RECORD];
    /* one of ours: the responder checks the cell */
    memset(record + 2, (uint8_t)(~r->tag ^ (uint8_t)(n * 31)), CELL_BYTES);
    put_u64(record + 2, n);
    aead_header_mask(mask, 2, h.keys + 32, n);
    put_u16(record, CELL_BYTES ^ get_u16(mask));
    cr_assert(aead_init(&aead, AEAD_AES256_GCM, AEAD_LIBSODIUM, h.keys));
    aead_seal(&aead, n, record, 2, record + 2, CELL_BYTES);
    aead_wipe(&aead);
    end_receive(r, record, sizeof record);
    cr_assert_eq(r->received, n + 1);
    /* one of the responder's */
    r->to_send = n + 1;
    cr_assert_eq(end_transmit(r, out, sizeof out), ONE_CELL_RECORD);
    aead_header_mask(mask, 2, h.keys + 96, n);
    cr_assert_eq(get_u16(out) ^ get_u16(mask), CELL_BYTES);
    cr_assert(aead_init(&aead, AEAD_AES256_GCM, AEAD_LIBSODIUM, h.keys + 64));
    cr_assert(aead_open(&aead, n, out, 2, out + 2, CELL_BYTES + AEAD_TAG_BYTES));
    aead_wipe(&aead);
    cr_assert_eq(get_u64(out + 2), n);
    if ((n + 1) % 4096 == 0) /* [LINK-9] */
      for (uint8_t key = 0; key < 4; key++) kdf_ratchet(h.keys + 32 * key, "tunic link ratchet 1", key / 2);
  }
  pair_wipe(&pair);
}

/* ---- Memory ---- */

Test(link_record, an_open_link_has_given_its_handshake_back) {
  struct random_stream random = test_random("link_record");
  for (int p = 0; p < 2; p++) {
    struct pair pair;
    pair_init(&pair, &random, p == 0 ? LINK_FROM_NODE : LINK_FROM_CLIENT, CHACHA);
    int64_t live = failing_allocator_live();
    pair_start(&pair);
    cr_assert_eq(failing_allocator_live(), live + 4);
    pair_run(&pair);
    cr_assert_eq(failing_allocator_live(), live + 2);
    link_free(pair.initiator.link);
    link_free(pair.responder.link);
    pair.initiator.link = pair.responder.link = NULL;
    cr_assert_eq(failing_allocator_live(), live);
    pair_wipe(&pair);
  }
}

/* The by-hand client knows the keys: none of the four is in memory that is freed, whether the link failed or
 * not. */
Test(link_record, keys_are_wiped_before_memory_is_freed) {
  struct random_stream random = test_random("link_record");
  for (int fails = 0; fails < 2; fails++) {
    for (int key = 0; key < 4; key++) {
      struct pair pair;
      uint8_t out[2000], first[1251];
      struct by_hand h;
      pair_init(&pair, &random, LINK_FROM_CLIENT, CHACHA);
      pair_start(&pair);
      by_hand_begin(&h, &pair.responder.self, CHACHA, first);
      end_receive(&pair.responder, first, sizeof first);
      end_work(&pair.responder);
      by_hand_end(&h, out, end_transmit(&pair.responder, out, sizeof out));
      failing_allocator_watch(h.keys + 32 * key, 32);
      memset(out, 0, sizeof out);
      for (int i = 0; fails && !end_is(&pair.responder, LINK_FAILED); i++)
        end_receive(&pair.responder, out, sizeof out);
      pair_wipe(&pair);
      cr_assert_eq(failing_allocator_freed_with_pattern(), 0);
      failing_allocator_watch(NULL, 0);
    }
  }
}

/* Opens and moves a key on; told by NULL, or by the outcome of the link that failed. What a library needs for its cipher's context
 * is nobody's failure: another library takes its place, and the link opens. */
static uint32_t open_without_memory(void) {
  struct pair pair;
  struct random_stream random;
  random_init(&random, (const uint8_t[RANDOM_SEED_BYTES]){7});
  failing_allocator_pause(true);
  pair_init(&pair, &random, LINK_FROM_CLIENT, CHACHA);
  failing_allocator_pause(false);
  pair.responder.self.backend = pair.initiator.self.backend = aead_best_backend();
  struct end *i = &pair.initiator, *r = &pair.responder;
  i->link = link_new_initiator(&i->self, &pair.peer, pair.pattern, &i->random);
  r->link = link_new_responder(&r->self, &r->random);
  uint32_t told = (i->link == NULL) + (r->link == NULL);
  if (told == 0) pair_run(&pair);
  told += (i->outcome == OUTCOME_NO_MEMORY) + (r->outcome == OUTCOME_NO_MEMORY);
  cr_assert(told == 1 || (end_is(i, LINK_OPEN) && end_is(r, LINK_OPEN)), "told %u times", told);
  pair_wipe(&pair);
  return told;
}

Test(link_record, survives_every_failing_allocation) {
  failing_allocator_try_every(open_without_memory, false);
}
