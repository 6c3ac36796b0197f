/* A link's states: handshake, perhaps admission, open, failed. What each half may do in which state is here
 * alone.
 */
#include "protocol/link.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/link_internal.h"

static const char KEYS_LABEL[] = "tunic link keys 1";

struct link {
  const struct link_self *self;
  struct random_stream *random;
  struct link_handshake
      *handshake; /* NULL once the link is open and its last message has left: it is most of the memory */
  enum link_state state;
  enum link_role role;
  enum link_pattern pattern;
  enum aead_suite suite;
  enum outcome failure;
  uint8_t peer_identity[IDENTITY_BYTES];
  struct link_records send, receive;
};

static struct link *link_new(const struct link_self *self, const struct link_peer *peer,
                             enum link_pattern pattern, struct random_stream *random) {
  /* The AEAD's state asks for more than malloc's alignment. */
  struct link *link = aligned_alloc(_Alignof(struct link), sizeof *link);
  struct link_handshake *handshake = malloc(sizeof *handshake);
  if (link == NULL || handshake == NULL) {
    free(link);
    free(handshake);
    return NULL;
  }
  memset(link, 0, sizeof *link);
  link->self = self;
  link->random = random;
  link->state = LINK_HANDSHAKING;
  link->role = peer != NULL ? LINK_INITIATOR : LINK_RESPONDER;
  link->pattern = pattern;
  link->handshake = handshake;
  link_handshake_init(handshake, self, peer, pattern);
  return link;
}

struct link *link_new_initiator(const struct link_self *self, const struct link_peer *peer,
                                enum link_pattern pattern, struct random_stream *random) {
  assert(peer != NULL);
  return link_new(self, peer, pattern, random);
}

struct link *link_new_responder(const struct link_self *self, struct random_stream *random) {
  return link_new(self, NULL, (enum link_pattern)0, random);
}

static void free_handshake(struct link *link) {
  if (link->handshake == NULL) return;
  noise_wipe(&link->handshake->noise);
  bytes_wipe(link->handshake, sizeof *link->handshake);
  free(link->handshake);
  link->handshake = NULL;
}

static void wipe(struct link *link) {
  free_handshake(link);
  link_records_wipe(&link->send);
  link_records_wipe(&link->receive);
}

void link_free(struct link *link) {
  if (link == NULL) return;
  wipe(link);
  free(link);
}

/* [LINK-11] One end for every fault: the keys are gone at once, and nothing tells the peer which check it
 * failed. */
static enum outcome fail(struct link *link, enum outcome outcome) {
  wipe(link);
  link->state = LINK_FAILED;
  link->failure = outcome;
  return outcome;
}

enum link_state link_state(const struct link *link) {
  return link->state;
}
enum link_pattern link_pattern(const struct link *link) {
  return link->pattern;
}
enum link_role link_role(const struct link *link) {
  return link->role;
}
enum aead_suite link_suite(const struct link *link) {
  return link->suite;
}
const uint8_t *link_peer_identity(const struct link *link) {
  return link->peer_identity;
}

/* ---- From handshake to open ---- */

bool link_needs_work(const struct link *link) {
  return link->state == LINK_HANDSHAKING && link->handshake->needs_work;
}

/* [LINK-5] */
static bool derive_records(struct link *link) {
  struct link_handshake *h = link->handshake;
  uint8_t keys[2 * LINK_DIRECTION_KEY_BYTES];
  noise_traffic_keys(&h->noise, KEYS_LABEL, keys, sizeof keys);
  noise_wipe(&h->noise);
  link->suite = link_handshake_suite(h);
  const bool initiates = link->role == LINK_INITIATOR;
  struct link_records *forth = initiates ? &link->send : &link->receive;
  struct link_records *back = initiates ? &link->receive : &link->send;
  const enum aead_backend backend = link->self->backend;
  bool ok = link_records_init(forth, link->suite, backend, LINK_FROM_INITIATOR, keys);
  ok = link_records_init(back, link->suite, backend, LINK_FROM_RESPONDER, keys + LINK_DIRECTION_KEY_BYTES) &&
       ok;
  bytes_wipe(keys, sizeof keys);
  return ok;
}

enum outcome link_work(struct link *link, instant now) {
  (void)now;
  if (link->state == LINK_FAILED) return link->failure;
  if (!link_needs_work(link)) return OUTCOME_OK;
  struct link_handshake *h = link->handshake;
  if (!link_handshake_work(h, link->self, link->random)) return fail(link, OUTCOME_HANDSHAKE_FAILED);
  if (!noise_is_done(&h->noise)) return OUTCOME_OK;
  if (!derive_records(link)) return fail(link, OUTCOME_NO_MEMORY);
  if (link->role == LINK_RESPONDER && link->pattern == LINK_FROM_NODE) {
    link->state = LINK_AWAITING_ADMISSION;
    return OUTCOME_OK;
  }
  link->state = LINK_OPEN;
  memcpy(link->peer_identity, h->peer.identity, IDENTITY_BYTES);
  if (!link_handshake_has_output(h)) free_handshake(link);
  return OUTCOME_OK;
}

void link_claim(const struct link *link, uint8_t ret_identity[IDENTITY_BYTES],
                uint8_t ret_link_key[X25519_BYTES]) {
  assert(link->state == LINK_AWAITING_ADMISSION);
  memcpy(ret_identity, link->handshake->peer.identity, IDENTITY_BYTES);
  memcpy(ret_link_key, link->handshake->peer.link_key, X25519_BYTES);
}

void link_admit(struct link *link) {
  assert(link->state == LINK_AWAITING_ADMISSION);
  memcpy(link->peer_identity, link->handshake->peer.identity, IDENTITY_BYTES);
  link->state = LINK_OPEN;
  free_handshake(link); /* message 3 answers all of message 2: nothing of it can still be here */
}

/* ---- Bytes ---- */

static enum outcome receive_handshake(struct link *link, const uint8_t *in, size_t len, size_t *ret_used) {
  struct link_handshake *h = link->handshake;
  if (!link_handshake_receive(h, link->self, in, len, ret_used))
    return fail(link, OUTCOME_PROTOCOL_VIOLATION);
  link->pattern = h->pattern;
  return OUTCOME_OK;
}

static enum outcome receive_record(struct link *link, uint8_t *in, size_t len, size_t *ret_used,
                                   struct link_record *ret_record) {
  if (len < 2) return OUTCOME_OK;
  uint32_t count = link_records_count(&link->receive, in);
  if (count == 0) return fail(link, OUTCOME_PROTOCOL_VIOLATION);
  size_t whole = (size_t)count * CELL_BYTES + LINK_RECORD_OVERHEAD;
  if (len < whole) return OUTCOME_OK;
  if (!link_records_open(&link->receive, in, count)) return fail(link, OUTCOME_PROTOCOL_VIOLATION);
  *ret_used = whole;
  *ret_record = (struct link_record){.cells = in + 2, .count = count};
  return OUTCOME_OK;
}

enum outcome link_receive(struct link *link, instant now, uint8_t *in, size_t len, size_t *ret_used,
                          struct link_record *ret_record) {
  (void)now;
  *ret_used = 0;
  *ret_record = (struct link_record){.cells = NULL, .count = 0};
  switch (link->state) {
  case LINK_HANDSHAKING: return receive_handshake(link, in, len, ret_used);
  case LINK_AWAITING_ADMISSION: return OUTCOME_OK; /* [LINK-12] */
  case LINK_OPEN: return receive_record(link, in, len, ret_used, ret_record);
  case LINK_FAILED: return link->failure;
  }
  return OUTCOME_PROTOCOL_VIOLATION;
}

/* One record of as many cells as there are and fit; its length, 0: no cell. */
static size_t transmit_record(struct link *link, instant now, uint8_t *out, size_t room,
                              const struct cell_source *source) {
  uint32_t count = 0;
  /* [LINK-10] A record leaves with what there is now: it never waits to be full. */
  while (count < LINK_RECORD_CELLS_MAX && LINK_RECORD_OVERHEAD + (size_t)(count + 1) * CELL_BYTES <= room &&
         source->next(source->context, now, out + 2 + (size_t)count * CELL_BYTES))
    count++;
  if (count == 0) return 0;
  bool ok;
  size_t len = link_records_seal(&link->send, out, count, &ok);
  if (!ok) fail(link, OUTCOME_NO_MEMORY);
  return len;
}

size_t link_transmit(struct link *link, instant now, uint8_t *out, size_t room,
                     const struct cell_source *source) {
  size_t at = 0;
  if (link->state == LINK_FAILED || link->state == LINK_AWAITING_ADMISSION) return 0;
  if (link->handshake != NULL) {
    at = link_handshake_transmit(link->handshake, out, room);
    if (link->state != LINK_OPEN || link_handshake_has_output(link->handshake)) return at;
    free_handshake(link);
  }
  while (source != NULL && link->state == LINK_OPEN) {
    size_t len = transmit_record(link, now, out + at, room - at, source);
    at += len;
    if (len < LINK_RECORD_MAX_BYTES) break; /* the source or the room has ended */
  }
  return at;
}
