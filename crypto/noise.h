/* Noise handshakes (revision 34, HFS revision 1): NK, XK, NKhfs, XKhfs over 25519, ML-KEM-768, BLAKE2b.
 * Spec: specs/crypto.md [NOISE-*]. Called by circuit_handshake.c and protocol/link_handshake.c.
 * Only the hybrid patterns go on the wire; the classical ones exist for the public test vectors.
 * Ephemerals are handed in as random bytes, serve one handshake and are wiped. Every failure is alike: false,
 * after which the state is only good for wiping. Never allocates.
 */
#ifndef TUNIC_CRYPTO_NOISE_H
#define TUNIC_CRYPTO_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/aead.h"
#include "crypto/kdf.h"
#include "crypto/keys.h"
#include "crypto/mlkem768.h"

enum noise_pattern { NOISE_NK, NOISE_XK, NOISE_NKHFS, NOISE_XKHFS };
enum noise_role { NOISE_INITIATOR, NOISE_RESPONDER };

enum {
  NOISE_HASH_BYTES = KDF_HASH_BYTES,
  NOISE_RANDOM_BYTES = 32 + MLKEM768_KEY_SEED_BYTES, /* ephemeral secret, then what the KEM step needs */
  NOISE_MESSAGE_MAX_BYTES = 1500,
  /* with empty payloads */
  NOISE_HFS_MESSAGE_1_BYTES = X25519_BYTES + MLKEM768_PUBLIC_KEY_BYTES + AEAD_TAG_BYTES + AEAD_TAG_BYTES,
  NOISE_HFS_MESSAGE_2_BYTES = X25519_BYTES + MLKEM768_CIPHERTEXT_BYTES + AEAD_TAG_BYTES + AEAD_TAG_BYTES,
  NOISE_MESSAGE_3_BYTES = X25519_BYTES + AEAD_TAG_BYTES + AEAD_TAG_BYTES,
};

struct noise {
  enum noise_pattern pattern;
  enum noise_role role;
  enum aead_suite cipher;
  uint8_t next_message; /* index of the message to be written or read next */
  bool has_key, failed;
  uint64_t nonce;
  uint8_t chaining_key[NOISE_HASH_BYTES], hash[NOISE_HASH_BYTES], key[AEAD_KEY_BYTES];
  uint8_t static_secret[32], ephemeral_secret[32]; /* ours; the static one where the pattern has it */
  uint8_t remote_static[32], remote_ephemeral[32]; /* the static one: given to an initiator, sent to an XK responder */
  union { /* e1: each side has its half */
    uint8_t kem_public[MLKEM768_PUBLIC_KEY_BYTES]; /* responder */
    uint8_t kem_secret[MLKEM768_SECRET_KEY_BYTES]; /* initiator */
  };
};

/* static_secret: the responder's key, and the XK initiator's; else NULL. responder_public: the responder's public
 * key, on both sides (the responder's own costs a multiplication to find, so it is handed in as well).
 * `cipher` is ChaCha20-Poly1305 on the wire. */
void noise_init(struct noise *, enum noise_pattern, enum noise_role, enum aead_suite cipher, const uint8_t *prologue,
                size_t prologue_len, const uint8_t *static_secret, const uint8_t responder_public[X25519_BYTES]);

/* Writes the next message. `random`: fresh for each message that has an `e`; may be NULL for message 3.
 * `room` is what out holds. False: not our turn, no room, a key that is refused. */
bool noise_write(struct noise *, const uint8_t random[NOISE_RANDOM_BYTES], const uint8_t *payload, size_t payload_len,
                 uint8_t *out, size_t room, size_t *ret_len);

/* Reads the next message; its payload (whose length the message's length fixes) goes to ret_payload.
 * False: wrong length, forged, a zero result, a non-canonical KEM key: [NOISE-7] all alike. */
bool noise_read(struct noise *, const uint8_t *message, size_t len, uint8_t *ret_payload, size_t payload_room,
                size_t *ret_payload_len);

/* True when the pattern's last message has been written or read. */
bool noise_is_done(const struct noise *);

/* [NOISE-8] Traffic keys from the chaining key and the handshake hash; only when done. */
void noise_traffic_keys(const struct noise *, const char *label, uint8_t *ret_keys, size_t len);

/* Noise's own Split, for the public vectors alone. */
void noise_split(const struct noise *, uint8_t ret_first[32], uint8_t ret_second[32]);

/* After this the state refuses everything but noise_init. */
void noise_wipe(struct noise *);

#endif
