/* One onion layer of one direction at one hop: AEAD, counter, ratchet, over a cell's body.
 * Spec: specs/onion.md [ONION-*]. Called by relay/hop.c (opens forwards, seals backwards) and
 * client/circuit.c (the reverse, once per hop).
 * The layer at place p covers live(p) bytes of the body: content, a kind byte, a tag. Never allocates, never
 * keeps a cipher context: those live in a cache of the shard.
 */
#ifndef TUNIC_CRYPTO_ONION_H
#define TUNIC_CRYPTO_ONION_H

#include "crypto/aead.h"

enum {
  ONION_BODY_BYTES = 1403,
  ONION_LAYER_BYTES = 1 + AEAD_TAG_BYTES,
  ONION_MAX_HOPS = 6,
  ONION_CELLS_PER_KEY = 32,
};

/* Bytes of the body that belong to place p, and bytes of content within them. */
#define ONION_LIVE(place) (ONION_BODY_BYTES - ONION_LAYER_BYTES * (place))
#define ONION_CONTENT(place) (ONION_LIVE(place) - ONION_LAYER_BYTES)

enum onion_kind { ONION_PASS_ON = 0, ONION_FOR_YOU = 1 };
enum onion_direction { ONION_FORWARD = 0, ONION_BACKWARD = 1 };

struct onion_layer {
  uint64_t count; /* cells so far: the next nonce */
  uint8_t key[AEAD_KEY_BYTES];
  struct aead_reference context;
  uint8_t suite, place, direction;
};

void onion_layer_init(struct onion_layer *, enum aead_suite, uint8_t place, enum onion_direction, const uint8_t key[AEAD_KEY_BYTES]);
void onion_layer_wipe(struct onion_layer *, struct aead_cache *);

/* [ONION-4] Seals in place: body[0..ONION_CONTENT(place)) is the content (all of it: the caller has zeroed what
 * is unused); kind and tag follow, and the rest of the body is zeroed. False: no memory. */
bool onion_seal(struct onion_layer *, struct aead_cache *, enum onion_kind, uint8_t body[ONION_BODY_BYTES]);
/* The same from one body to another; the kind is written behind the content of `from` too. */
bool onion_seal_to(struct onion_layer *, struct aead_cache *, enum onion_kind, uint8_t from[ONION_BODY_BYTES], uint8_t to[ONION_BODY_BYTES]);

/* [ONION-5] Opens in place: content at body[0..ONION_CONTENT(place)), everything after it zeroed.
 * False: forged, an unknown kind, no memory; the caller closes the circuit. */
bool onion_open(struct onion_layer *, struct aead_cache *, uint8_t body[ONION_BODY_BYTES], enum onion_kind *ret_kind);
/* The same from one body to another. */
bool onion_open_to(struct onion_layer *, struct aead_cache *, const uint8_t from[ONION_BODY_BYTES], uint8_t to[ONION_BODY_BYTES],
                   enum onion_kind *ret_kind);

#endif
