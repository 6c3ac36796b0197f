/* Two ends of a link for the fuzz targets: what reaches one need not be what the other sent.
 * Called by link_responder.c and link_records.c.
 * The property: an end opens, and hands out cells, only on bytes that the other end truly sent, in their order.
 */
#ifndef TUNIC_TESTS_FUZZ_LINK_SIDES_H
#define TUNIC_TESTS_FUZZ_LINK_SIDES_H

#include <stdlib.h>
#include <string.h>

#include "protocol/link.h"
#include "protocol/message.h"

enum { SIDE_LOG_BYTES = 256 * 1024, SIDE_IN_BYTES = 2 * LINK_RECORD_MAX_BYTES };

struct side {
  struct link *link;
  struct link_self self;
  struct guarded_key *secret;
  struct random_stream random;
  struct side *other;
  uint32_t to_send, sent, received; /* cells */
  size_t in_len, said_len;
  size_t delivered, used; /* bytes of its input stream so far */
  size_t first_false;     /* where that stream left what the other end said */
  uint8_t in[SIDE_IN_BYTES];
  uint8_t said[SIDE_LOG_BYTES];
};

struct script { const uint8_t *at, *end; };

static inline uint8_t script_byte(struct script *s) { return s->at < s->end ? *s->at++ : 0; }
static inline size_t script_size(struct script *s) { return (size_t)script_byte(s) << 8 | script_byte(s); }

static inline void require(bool property) {
  if (!property) abort();
}

static inline void side_init(struct side *side, struct side *other, uint8_t tag, uint8_t suites) {
  uint8_t seed[RANDOM_SEED_BYTES] = {tag};
  memset(side, 0, offsetof(struct side, in));
  random_init(&side->random, seed);
  side->secret = guarded_key_new(seed);
  require(side->secret != NULL);
  memset(side->self.identity, tag, sizeof side->self.identity);
  x25519_public(side->self.link_public, side->secret->bytes);
  side->self.link_secret = side->secret;
  side->self.suites = suites;
  side->other = other;
  side->first_false = SIZE_MAX;
}

static inline void sides_start(struct side *initiator, struct side *responder, bool from_node) {
  struct link_peer peer = {.suites = responder->self.suites};
  memcpy(peer.identity, responder->self.identity, sizeof peer.identity);
  memcpy(peer.link_key, responder->self.link_public, sizeof peer.link_key);
  if (!from_node) memset(initiator->self.identity, 0, sizeof initiator->self.identity);
  initiator->link = link_new_initiator(&initiator->self, &peer, from_node ? LINK_FROM_NODE : LINK_FROM_CLIENT, &initiator->random);
  responder->link = link_new_responder(&responder->self, &responder->random);
  require(initiator->link != NULL && responder->link != NULL);
}

static inline void side_wipe(struct side *side) {
  link_free(side->link);
  guarded_key_free(side->secret);
}

static inline void side_work(struct side *side) {
  bool was_handshaking = link_state(side->link) == LINK_HANDSHAKING;
  enum outcome outcome = link_work(side->link, 0);
  enum link_state state = link_state(side->link);
  require((outcome != OUTCOME_OK) == (state == LINK_FAILED));
  if (was_handshaking && (state == LINK_OPEN || state == LINK_AWAITING_ADMISSION)) require(side->used <= side->first_false);
}

static inline void side_admit(struct side *side) {
  if (link_state(side->link) != LINK_AWAITING_ADMISSION) return;
  uint8_t identity[IDENTITY_BYTES], key[X25519_BYTES];
  link_claim(side->link, identity, key);
  require(memcmp(identity, side->other->self.identity, IDENTITY_BYTES) == 0);
  require(memcmp(key, side->other->self.link_public, X25519_BYTES) == 0);
  link_admit(side->link);
}

static inline bool side_next_cell(void *context, instant now, uint8_t cell[CELL_BYTES]) {
  (void)now;
  struct side *side = context;
  if (side->sent == side->to_send) return false;
  memset(cell, 0, CELL_BYTES);
  put_u32(cell, side->sent++);
  return true;
}

/* What it sends into so much room goes to its log; the script delivers it, or something else. */
static inline void side_speak(struct side *side, size_t room) {
  struct cell_source source = {side_next_cell, side};
  if (room > SIDE_LOG_BYTES - side->said_len) room = SIDE_LOG_BYTES - side->said_len;
  size_t len = link_transmit(side->link, 0, side->said + side->said_len, room, &source);
  require(len <= room);
  side->said_len += len;
}

static inline void side_take(struct side *side) {
  size_t used;
  do {
    struct link_record record;
    enum outcome outcome = link_receive(side->link, 0, side->in, side->in_len, &used, &record);
    require(used <= side->in_len);
    require((outcome != OUTCOME_OK) == (link_state(side->link) == LINK_FAILED));
    side->used += used;
    if (record.count > 0) {
      require(outcome == OUTCOME_OK && record.count <= LINK_RECORD_CELLS_MAX);
      require(side->used <= side->first_false);
      require(record.cells >= side->in && record.cells + (size_t)record.count * CELL_BYTES <= side->in + used);
      for (uint32_t i = 0; i < record.count; i++) require(get_u32(record.cells + (size_t)i * CELL_BYTES) == side->received++);
    }
    memmove(side->in, side->in + used, side->in_len - used);
    side->in_len -= used;
  } while (used > 0);
}

static inline void side_hear(struct side *side, const uint8_t *bytes, size_t len) {
  if (len > SIDE_IN_BYTES - side->in_len) len = SIDE_IN_BYTES - side->in_len;
  for (size_t i = 0; i < len; i++, side->delivered++) {
    bool is_true = side->delivered < side->other->said_len && side->other->said[side->delivered] == bytes[i];
    if (!is_true && side->first_false > side->delivered) side->first_false = side->delivered;
  }
  if (len > 0) memcpy(side->in + side->in_len, bytes, len);
  side->in_len += len;
  side_take(side);
}

/* What the other end said and this one has not heard yet, at most so much. */
static inline void side_hear_truth(struct side *side, size_t most) {
  if (side->delivered >= side->other->said_len) return;
  size_t len = side->other->said_len - side->delivered;
  side_hear(side, side->other->said + side->delivered, len < most ? len : most);
}

/* The same with one bit changed. */
static inline void side_hear_lie(struct side *side, size_t most, size_t bit) {
  uint8_t bytes[4096];
  if (side->delivered >= side->other->said_len || most == 0) return;
  size_t len = side->other->said_len - side->delivered;
  if (len > most) len = most;
  if (len > sizeof bytes) len = sizeof bytes;
  memcpy(bytes, side->other->said + side->delivered, len);
  bytes[bit / 8 % len] ^= (uint8_t)(1 << bit % 8);
  side_hear(side, bytes, len);
}

static inline void side_hear_script(struct side *side, struct script *s) {
  uint8_t bytes[256];
  size_t len = script_byte(s);
  for (size_t i = 0; i < len; i++) bytes[i] = script_byte(s);
  side_hear(side, bytes, len);
}

#endif
