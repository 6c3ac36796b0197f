/* Labelled key derivation over BLAKE2b: HMAC, Noise's HKDF, traffic keys, the ratchet step.
 * Spec: specs/crypto.md [KDF-*]. Called by noise.c, onion.c, and whoever derives a key from a key.
 * Every derivation names its purpose with a label, so that no two uses of one secret can meet.
 * Never allocates, never fails.
 */
#ifndef TUNIC_CRYPTO_KDF_H
#define TUNIC_CRYPTO_KDF_H

#include <stddef.h>
#include <stdint.h>

enum { KDF_HASH_BYTES = 64, KDF_KEY_BYTES = 32, KDF_EXPAND_MAX_BYTES = 255 * KDF_HASH_BYTES };

/* HMAC-BLAKE2b-512 (RFC 2104 over BLAKE2b with its 128-byte block). */
void kdf_hmac(uint8_t ret_mac[KDF_HASH_BYTES], const uint8_t *key, size_t key_len, const uint8_t *message, size_t len);

/* Noise's HKDF with two or three outputs of 64 bytes; ret_third may be NULL. */
void kdf_noise(uint8_t ret_first[KDF_HASH_BYTES], uint8_t ret_second[KDF_HASH_BYTES], uint8_t ret_third[KDF_HASH_BYTES],
               const uint8_t chaining_key[KDF_HASH_BYTES], const uint8_t *input, size_t len);

/* [KDF-2] Traffic keys: HKDF-Expand(HMAC(chaining key, handshake hash), label), len bytes, at most KDF_EXPAND_MAX_BYTES. */
void kdf_traffic(uint8_t *ret_keys, size_t len, const uint8_t chaining_key[KDF_HASH_BYTES],
                 const uint8_t handshake_hash[KDF_HASH_BYTES], const char *label);

/* [KDF-3] One ratchet step in place: key = BLAKE2b-256(key; label, direction); the old key is overwritten. */
void kdf_ratchet(uint8_t key[KDF_KEY_BYTES], const char *label, uint8_t direction);

#endif
