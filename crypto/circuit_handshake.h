/* The handshake with one hop of a circuit: NKhfs to the hop's onion key, bound to identity and place.
 * Spec: specs/circuit-handshake.md [HS-*]. Called by client/circuit.c (initiator) and by the relay's and the
 * authority's handshake work (responder, initiator).
 * One message each way, each fits one cell at every place. Failures are all alike. Never allocates.
 */
#ifndef TUNIC_CRYPTO_CIRCUIT_HANDSHAKE_H
#define TUNIC_CRYPTO_CIRCUIT_HANDSHAKE_H

#include "crypto/noise.h"

enum {
  CIRCUIT_HANDSHAKE_TYPE_HYBRID = 1, /* the only type so far; others are refused */
  CIRCUIT_HANDSHAKE_REQUEST_BYTES = NOISE_HFS_MESSAGE_1_BYTES,
  CIRCUIT_HANDSHAKE_REPLY_BYTES = NOISE_HFS_MESSAGE_2_BYTES,
};

/* What both sides must agree on: the prologue, [HS-2]. */
struct circuit_binding {
  uint8_t network[32];
  uint8_t identity[IDENTITY_BYTES]; /* of the hop */
  uint8_t handshake_type, generation, place, suite; /* suite: the layer's AEAD, from the hop's consensus entry */
};

struct circuit_keys {
  uint8_t forward[32], backward[32];
};

/* Client: begins; `handshake` is kept until finish or noise_wipe. False: [HS-3] a binding or a key that is refused. */
bool circuit_handshake_begin(struct noise *handshake, const struct circuit_binding *, const uint8_t onion_key[X25519_BYTES],
                             const uint8_t random[NOISE_RANDOM_BYTES], uint8_t ret_request[CIRCUIT_HANDSHAKE_REQUEST_BYTES]);
/* Client: false if the reply is not from the hop that was meant. Wipes the handshake either way. */
bool circuit_handshake_finish(struct noise *handshake, const uint8_t reply[CIRCUIT_HANDSHAKE_REPLY_BYTES],
                              struct circuit_keys *ret_keys);
/* Relay: one request, one answer, nothing kept. onion_public is onion_secret's (finding it would cost a quarter more). */
bool circuit_handshake_answer(const struct circuit_binding *, const uint8_t onion_secret[X25519_BYTES],
                              const uint8_t onion_public[X25519_BYTES],
                              const uint8_t request[CIRCUIT_HANDSHAKE_REQUEST_BYTES],
                              const uint8_t random[NOISE_RANDOM_BYTES],
                              uint8_t ret_reply[CIRCUIT_HANDSHAKE_REPLY_BYTES], struct circuit_keys *ret_keys);

#endif
