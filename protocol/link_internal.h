/* The two halves of a link: the handshake, which is gone once the link is open, and the records of one direction.
 * Spec: specs/links.md [LINK-*]. Called by link.c alone.
 * Neither knows the link's state, nor what the peer may do. Never allocates (a record's AEAD may, once).
 */
#ifndef TUNIC_PROTOCOL_LINK_INTERNAL_H
#define TUNIC_PROTOCOL_LINK_INTERNAL_H

#include "crypto/noise.h"
#include "protocol/link.h"

/* ---- link_handshake.c ---- */

enum {
  LINK_MESSAGE_3_BYTES = NOISE_MESSAGE_3_BYTES + IDENTITY_BYTES, /* its payload is the initiator's identity */
  LINK_DIRECTION_KEY_BYTES = 2 * 32,                             /* record key, header key */
};

enum link_awaited { AWAIT_NOTHING, AWAIT_PREAMBLE, AWAIT_MESSAGE_1, AWAIT_MESSAGE_2, AWAIT_MESSAGE_3 };

struct link_handshake {
  struct noise noise;
  enum link_role role;
  enum link_pattern pattern;   /* once known */
  enum link_awaited awaited;   /* what the peer sends next */
  bool needs_work;             /* a message of the peer's waits in `in`, or our first one is to be made */
  uint8_t suites;              /* offered */
  struct link_peer peer;       /* an initiator's: whom it means; a responder's: what message 3 claimed and proved */
  uint16_t in_len, out_len, out_sent;
  uint8_t in[NOISE_HFS_MESSAGE_1_BYTES];
  uint8_t out[LINK_PREAMBLE_BYTES + NOISE_HFS_MESSAGE_1_BYTES];
};

/* peer: an initiator's, else NULL. */
void link_handshake_init(struct link_handshake *, const struct link_self *, const struct link_peer *, enum link_pattern);
/* Takes what is awaited, if `in` holds all of it; false: a preamble that is refused. */
bool link_handshake_receive(struct link_handshake *, const struct link_self *, const uint8_t *in, size_t len, size_t *ret_used);
/* Everything asymmetric that one message asks for. False: forged, or not from whom it should be. */
bool link_handshake_work(struct link_handshake *, const struct link_self *, struct random_stream *);
size_t link_handshake_transmit(struct link_handshake *, uint8_t *out, size_t room);
bool link_handshake_has_output(const struct link_handshake *);
enum aead_suite link_handshake_suite(const struct link_handshake *);

/* ---- link_record.c ---- */

enum link_direction { LINK_FROM_INITIATOR = 0, LINK_FROM_RESPONDER = 1 };

struct link_records {
  struct aead aead;
  uint64_t number; /* of the next record: its nonce; never reset */
  enum link_direction direction;
  uint8_t key[AEAD_KEY_BYTES], header_key[AEAD_KEY_BYTES];
};

/* False: no memory. */
bool link_records_init(struct link_records *, enum aead_suite, enum aead_backend, enum link_direction,
                       const uint8_t keys[LINK_DIRECTION_KEY_BYTES]);
void link_records_wipe(struct link_records *);
/* Seals the `count` cells at record + 2 into a whole record, and returns its length. False in *ret_ok: no memory
 * for the next key. */
size_t link_records_seal(struct link_records *, uint8_t *record, uint32_t count, bool *ret_ok);
/* The cells that the next record says it has, by its first two bytes; 0: a length that is refused. */
uint32_t link_records_count(const struct link_records *, const uint8_t head[2]);
/* Opens the next record, of so many cells, in place. False: forged, or no memory for the next key. */
bool link_records_open(struct link_records *, uint8_t *record, uint32_t count);

#endif
