/* What links cost: a whole handshake (both sides' work, and the responder's alone), and records of 1 and 11
 * cells with each suite and backend. One `name value` a line, the best of several batches (the machine may be
 * busy). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocol/link.h"

enum { HANDSHAKE_BATCHES = 40, HANDSHAKES = 10, RECORD_BATCHES = 200, RECORDS = 16 };

struct side {
  struct link *link;
  struct link_self self;
  struct guarded_key *secret;
  struct random_stream random;
  double work_us;
};

struct bench {
  struct side initiator, responder;
  struct link_peer peer;
  uint64_t cells_left;
};

static void require(bool ok) {
  if (!ok) abort();
}

static double now_us(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void init_side(struct side *side, uint8_t tag, uint8_t suites, enum aead_backend backend) {
  uint8_t seed[RANDOM_SEED_BYTES] = {tag};
  memset(side, 0, sizeof *side);
  random_init(&side->random, seed);
  side->secret = guarded_key_new(seed);
  require(side->secret != NULL);
  x25519_public(side->self.link_public, seed);
  memset(side->self.identity, tag, sizeof side->self.identity);
  side->self.link_secret = side->secret;
  side->self.suites = suites;
  side->self.backend = backend;
}

static void init(struct bench *b, uint8_t suites, enum aead_backend backend) {
  init_side(&b->initiator, 1, suites, backend);
  init_side(&b->responder, 2, suites, backend);
  memcpy(b->peer.identity, b->responder.self.identity, sizeof b->peer.identity);
  memcpy(b->peer.link_key, b->responder.self.link_public, sizeof b->peer.link_key);
  b->peer.suites = suites;
}

static void wipe(struct bench *b) {
  guarded_key_free(b->initiator.secret);
  guarded_key_free(b->responder.secret);
}

static void timed_work(struct side *side) {
  double start = now_us();
  require(link_work(side->link, 0) == OUTCOME_OK);
  side->work_us += now_us() - start;
}

static void say(struct side *from, struct side *to) {
  uint8_t bytes[2000];
  size_t len = link_transmit(from->link, 0, bytes, sizeof bytes, NULL), used;
  struct link_record record;
  for (size_t at = 0; at < len; at += used) {
    require(link_receive(to->link, 0, bytes + at, len - at, &used, &record) == OUTCOME_OK && used > 0);
  }
}

static void open_links(struct bench *b, enum link_pattern pattern) {
  struct side *i = &b->initiator, *r = &b->responder;
  i->link = link_new_initiator(&i->self, &b->peer, pattern, &i->random);
  r->link = link_new_responder(&r->self, &r->random);
  require(i->link != NULL && r->link != NULL);
  timed_work(i);
  say(i, r);
  timed_work(r);
  say(r, i);
  timed_work(i);
  if (pattern == LINK_FROM_NODE) {
    say(i, r);
    timed_work(r);
    link_admit(r->link);
  }
  require(link_state(i->link) == LINK_OPEN && link_state(r->link) == LINK_OPEN);
}

static void close_links(struct bench *b) {
  link_free(b->initiator.link);
  link_free(b->responder.link);
}

static void measure_handshake(enum link_pattern pattern, const char *suffix) {
  double best_both = 1e9, best_responder = 1e9;
  struct bench b;
  init(&b, 1 << AEAD_CHACHA20_POLY1305, AEAD_LIBSODIUM);
  for (int batch = 0; batch < HANDSHAKE_BATCHES; batch++) {
    b.initiator.work_us = b.responder.work_us = 0;
    for (int n = 0; n < HANDSHAKES; n++) {
      open_links(&b, pattern);
      close_links(&b);
    }
    double both = (b.initiator.work_us + b.responder.work_us) / HANDSHAKES,
           responder = b.responder.work_us / HANDSHAKES;
    if (both < best_both) best_both = both;
    if (responder < best_responder) best_responder = responder;
  }
  wipe(&b);
  printf("link_handshake%s_us %.1f\n", suffix, best_both);
  printf("link_handshake_responder%s_us %.1f\n", suffix, best_responder);
}

/* Says that there is a cell, and leaves what stands in the buffer: the records' own cost is wanted. */
static bool next_cell(void *context, instant now, uint8_t cell[CELL_BYTES]) {
  (void)now, (void)cell;
  struct bench *b = context;
  if (b->cells_left == 0) return false;
  b->cells_left--;
  return true;
}

static void measure_records(enum aead_suite suite, enum aead_backend backend, uint32_t cells) {
  static uint8_t bytes[RECORDS * LINK_RECORD_MAX_BYTES];
  struct bench b;
  init(&b, (uint8_t)(1 << AEAD_CHACHA20_POLY1305 | 1 << suite), backend);
  open_links(&b, LINK_FROM_CLIENT);
  const struct cell_source source = {next_cell, &b};
  const size_t record_len = LINK_RECORD_OVERHEAD + (size_t)cells * CELL_BYTES;
  double best_seal = 1e9, best_open = 1e9;
  for (int batch = 0; batch < RECORD_BATCHES; batch++) {
    double start = now_us();
    for (size_t n = 0; n < RECORDS; n++) {
      b.cells_left = cells;
      require(link_transmit(b.initiator.link, 0, bytes + n * record_len, record_len, &source) == record_len);
    }
    double sealed = now_us();
    for (size_t n = 0; n < RECORDS; n++) {
      struct link_record record;
      size_t used;
      require(link_receive(b.responder.link, 0, bytes + n * record_len, record_len, &used, &record) ==
                  OUTCOME_OK &&
              record.count == cells);
    }
    double opened = now_us();
    if (sealed - start < best_seal) best_seal = sealed - start;
    if (opened - sealed < best_open) best_open = opened - sealed;
  }
  const char *name = suite == AEAD_AES256_GCM ? "aes256gcm" : "chacha20poly1305";
  printf("record_seal_%u_%s_%s_ns %.0f\n", cells, name, aead_backend_name(backend),
         best_seal * 1000 / RECORDS);
  printf("record_open_%u_%s_%s_ns %.0f\n", cells, name, aead_backend_name(backend),
         best_open * 1000 / RECORDS);
  close_links(&b);
  wipe(&b);
}

int main(void) {
  require(crypto_start());
  measure_handshake(LINK_FROM_NODE, "");
  measure_handshake(LINK_FROM_CLIENT, "_client");
  const enum aead_suite suites[] = {AEAD_CHACHA20_POLY1305, AEAD_AES256_GCM};
  const char *const backends[] = {"libsodium", "libcrypto", "ipsec-mb"};
  for (size_t s = 0; s < 2; s++) {
    for (size_t k = 0; k < sizeof backends / sizeof backends[0]; k++) {
      enum aead_backend backend;
      if (k == 2 && suites[s] == AEAD_CHACHA20_POLY1305) continue; /* it has none */
      if (!aead_suite_is_available(suites[s]) || !aead_backend_from_name(backends[k], &backend)) continue;
      measure_records(suites[s], backend, 1);
      measure_records(suites[s], backend, LINK_RECORD_CELLS_MAX);
    }
  }
  return 0;
}
