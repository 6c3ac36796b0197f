/* Keys: X25519 and Ed25519, long-term secrets in guarded memory, and constant-time helpers for bytes.
 * Spec: specs/crypto.md [KEY-*]. Called by everyone who holds a key.
 * Secrets of a relay's life live in guarded memory (sodium_malloc); ephemerals live where the caller puts them and are wiped there.
 * Never draws randomness: seeds are handed in.
 */
#ifndef TUNIC_CRYPTO_KEYS_H
#define TUNIC_CRYPTO_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  X25519_BYTES = 32,
  ED25519_PUBLIC_BYTES = 32,
  ED25519_SEED_BYTES = 32,
  ED25519_SIGNATURE_BYTES = 64,
  IDENTITY_BYTES = 32, /* a node's name on the wire: its Ed25519 identity key */
  DIGEST_BYTES = 32,   /* BLAKE2b-256 */
};

/* Call once before anything else in crypto/; false if the library cannot start. */
bool crypto_start(void);

/* A long-term secret of 32 bytes in guarded memory. NULL: no memory. Free wipes. */
struct guarded_key { uint8_t bytes[32]; };
struct guarded_key *guarded_key_new(const uint8_t bytes[32]);
void guarded_key_free(struct guarded_key *);

/* [KEY-1] The public key of a secret scalar. */
void x25519_public(uint8_t ret_public[X25519_BYTES], const uint8_t secret[X25519_BYTES]);
/* [KEY-2] False, with ret zeroed, if the result is all zero (a low-order point). Constant time. */
bool x25519_shared(uint8_t ret_shared[X25519_BYTES], const uint8_t secret[X25519_BYTES], const uint8_t public_key[X25519_BYTES]);

void ed25519_public(uint8_t ret_public[ED25519_PUBLIC_BYTES], const uint8_t seed[ED25519_SEED_BYTES]);

/* [SIGN-1] Signatures name what they are for: Ed25519 over "tunic:" context 0x00 BLAKE2b-512(message). */
void signature_make(uint8_t ret_signature[ED25519_SIGNATURE_BYTES], const uint8_t seed[ED25519_SEED_BYTES],
                    const char *context, const uint8_t *message, size_t len);
bool signature_is_valid(const uint8_t signature[ED25519_SIGNATURE_BYTES], const uint8_t public_key[ED25519_PUBLIC_BYTES],
                        const char *context, const uint8_t *message, size_t len);

/* BLAKE2b-256 of bytes. */
void digest(uint8_t ret_digest[DIGEST_BYTES], const uint8_t *bytes, size_t len);
/* BLAKE2b-256 with a label that keeps uses apart: H(label 0x00 bytes). */
void digest_labelled(uint8_t ret_digest[DIGEST_BYTES], const char *label, const uint8_t *bytes, size_t len);

bool bytes_equal_constant_time(const void *a, const void *b, size_t len);
bool bytes_are_zero_constant_time(const void *bytes, size_t len);
void bytes_wipe(void *bytes, size_t len);

/* Lower-case hexadecimal. Decode is strict: exact length, lower case alone; false leaves ret unspecified. */
void hex_encode(char *ret_text /* 2 * len + 1 */, const uint8_t *bytes, size_t len);
bool hex_decode(uint8_t *ret_bytes, size_t len, const char *text, size_t text_len);

#endif
