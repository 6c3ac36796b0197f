#include "tests/unit/protocol/link_pair.h"

#include <criterion/criterion.h>
#include <string.h>

#include "protocol/message.h"

static void init_end(struct end *end, struct random_stream *random, const uint8_t network[32], uint8_t tag) {
  uint8_t seed[RANDOM_SEED_BYTES];
  memset(end, 0, sizeof *end);
  random_bytes(random, seed, sizeof seed);
  random_init(&end->random, seed);
  random_bytes(random, seed, sizeof seed);
  end->secret = guarded_key_new(seed);
  memcpy(end->self.network, network, 32);
  random_bytes(random, end->self.identity, sizeof end->self.identity);
  x25519_public(end->self.link_public, end->secret->bytes);
  end->self.link_secret = end->secret;
  end->tag = tag;
}

void pair_init(struct pair *pair, struct random_stream *random, enum link_pattern pattern, uint8_t suites) {
  cr_assert(crypto_start());
  pair->random = random;
  if (!aead_suite_is_available(AEAD_AES256_GCM)) suites &= (uint8_t) ~(1 << AEAD_AES256_GCM);
  uint8_t network[32];
  random_bytes(random, network, sizeof network);
  init_end(&pair->initiator, random, network, 0xaa);
  init_end(&pair->responder, random, network, 0x55);
  pair->initiator.self.suites = pair->responder.self.suites = suites;
  if (pattern == LINK_FROM_CLIENT) {
    memset(pair->initiator.self.identity, 0, sizeof pair->initiator.self.identity);
    pair->initiator.self.link_secret = NULL;
  }
  pair->pattern = pattern;
  pair->admit = true;
  memcpy(pair->peer.identity, pair->responder.self.identity, sizeof pair->peer.identity);
  memcpy(pair->peer.link_key, pair->responder.self.link_public, sizeof pair->peer.link_key);
  pair->peer.suites = suites;
}

void pair_start(struct pair *pair) {
  struct end *i = &pair->initiator, *r = &pair->responder;
  i->link = link_new_initiator(&i->self, &pair->peer, pair->pattern, &i->random);
  r->link = link_new_responder(&r->self, &r->random);
  cr_assert(i->link != NULL && r->link != NULL);
}

static void wipe_end(struct end *end) {
  link_free(end->link);
  end->link = NULL;
  guarded_key_free(end->secret);
}

void pair_wipe(struct pair *pair) {
  wipe_end(&pair->initiator);
  wipe_end(&pair->responder);
}

bool end_is(const struct end *end, enum link_state state) {
  return link_state(end->link) == state;
}

static void note(struct end *end, enum outcome outcome) {
  if (end->outcome == OUTCOME_OK) end->outcome = outcome;
  cr_assert_eq(outcome != OUTCOME_OK, end_is(end, LINK_FAILED));
}

void end_work(struct end *end) {
  if (link_needs_work(end->link)) note(end, link_work(end->link, 0));
}

/* The n-th cell of an end: its number, then bytes that follow from number and end. */
static void make_cell(uint64_t number, uint8_t tag, uint8_t cell[CELL_BYTES]) {
  memset(cell, (uint8_t)(tag ^ (uint8_t)(number * 31)), CELL_BYTES);
  put_u64(cell, number);
}

static void take_cells(struct end *end, const struct link_record *record) {
  uint8_t expected[CELL_BYTES];
  for (uint32_t i = 0; i < record->count; i++) {
    make_cell(end->received++, (uint8_t)~end->tag, expected);
    cr_assert_arr_eq(record->cells + (size_t)i * CELL_BYTES, expected, CELL_BYTES);
  }
}

static void take(struct end *end) {
  size_t at = 0, used;
  do {
    struct link_record record;
    enum outcome outcome = link_receive(end->link, 0, end->in + at, end->in_len - at, &used, &record);
    note(end, outcome);
    cr_assert_leq(used, end->in_len - at);
    if (outcome != OUTCOME_OK) cr_assert_eq(record.count, 0);
    take_cells(end, &record);
    at += used;
  } while (used > 0 && end->outcome == OUTCOME_OK);
  memmove(end->in, end->in + at, end->in_len - at);
  end->in_len -= at;
}

void end_receive(struct end *end, const uint8_t *bytes, size_t len) {
  cr_assert_leq(len, sizeof end->in - end->in_len);
  if (len > 0) memcpy(end->in + end->in_len, bytes, len);
  end->in_len += len;
  take(end);
}

static bool next_cell(void *context, instant now, uint8_t cell[CELL_BYTES]) {
  (void)now;
  struct end *end = context;
  end->asked++;
  if (end->sent == end->to_send) return false;
  make_cell(end->sent++, end->tag, cell);
  return true;
}

size_t end_transmit(struct end *end, uint8_t *out, size_t room) {
  struct cell_source source = {.next = next_cell, .context = end};
  size_t len = link_transmit(end->link, 0, out, room, &source);
  cr_assert_leq(len, room);
  return len;
}

static void admit(struct pair *pair) {
  if (!pair->admit || !end_is(&pair->responder, LINK_AWAITING_ADMISSION)) return;
  uint8_t identity[IDENTITY_BYTES], key[X25519_BYTES];
  link_claim(pair->responder.link, identity, key);
  cr_assert_arr_eq(identity, pair->initiator.self.identity, IDENTITY_BYTES);
  cr_assert_arr_eq(key, pair->initiator.self.link_public, X25519_BYTES);
  link_admit(pair->responder.link);
  end_receive(&pair->responder, NULL, 0);
}

/* One large or small send, delivered in pieces. */
static size_t carry(struct pair *pair, struct end *from, struct end *to) {
  static uint8_t out[END_BUFFER_BYTES];
  size_t most = sizeof to->in - to->in_len;
  size_t room = random_below(pair->random, 4) == 0 ? random_below(pair->random, 100)
                                                   : random_below(pair->random, most) + 1;
  if (room > most) room = most;
  size_t len = end_transmit(from, out, room);
  for (size_t at = 0; at < len;) {
    size_t piece = random_between(pair->random, 1, random_below(pair->random, 2) == 0 ? 64 : len);
    if (piece > len - at) piece = len - at;
    end_receive(to, out + at, piece);
    at += piece;
  }
  return len;
}

void pair_run(struct pair *pair) {
  struct end *i = &pair->initiator, *r = &pair->responder;
  for (unsigned idle = 0;
       idle < 40;) { /* small rooms move nothing of a record: several in a row mean the end */
    end_work(i);
    end_work(r);
    end_receive(i, NULL, 0);
    end_receive(r, NULL, 0);
    admit(pair);
    size_t moved = carry(pair, i, r) + carry(pair, r, i);
    bool more = link_needs_work(i->link) || link_needs_work(r->link);
    idle = moved > 0 || more ? 0 : idle + 1;
  }
}

void pair_open(struct pair *pair) {
  pair_start(pair);
  pair_run(pair);
  cr_assert(end_is(&pair->initiator, LINK_OPEN), "initiator: %s", outcome_name(pair->initiator.outcome));
  cr_assert(end_is(&pair->responder, LINK_OPEN), "responder: %s", outcome_name(pair->responder.outcome));
}
