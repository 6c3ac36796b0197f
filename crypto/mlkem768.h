/* ML-KEM-768 (FIPS 203): key generation, encapsulation, decapsulation.
 * Spec: specs/kem.md [KEM-*]. Called by noise.c alone (the `e1` and `ekem1` tokens).
 * Constant-time in every secret. Never draws randomness: seeds are handed in, so that vectors and the
 * simulator can replay it.
 */
#ifndef TUNIC_CRYPTO_MLKEM768_H
#define TUNIC_CRYPTO_MLKEM768_H

#include <stdbool.h>
#include <stdint.h>

enum {
  MLKEM768_PUBLIC_KEY_BYTES = 1184,
  MLKEM768_SECRET_KEY_BYTES = 2400, /* the expanded form of FIPS 203: dk_pke, ek, H(ek), z */
  MLKEM768_CIPHERTEXT_BYTES = 1088,
  MLKEM768_SHARED_BYTES = 32,
  MLKEM768_KEY_SEED_BYTES = 64,    /* d then z */
  MLKEM768_ENCAPS_SEED_BYTES = 32, /* m */
};

/* Algorithm 16: a key pair from its seed. */
void mlkem768_keypair(uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES],
                      uint8_t secret_key[MLKEM768_SECRET_KEY_BYTES],
                      const uint8_t seed[MLKEM768_KEY_SEED_BYTES]);

/* Section 7.2's modulus check: every coefficient of the encoded key is below q. */
bool mlkem768_public_key_is_canonical(const uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES]);

/* Algorithm 17. False, and nothing written, if the key is not canonical. */
bool mlkem768_encapsulate(uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                          uint8_t shared[MLKEM768_SHARED_BYTES],
                          const uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES],
                          const uint8_t seed[MLKEM768_ENCAPS_SEED_BYTES]);

/* Algorithm 18: a wrong ciphertext gives a pseudorandom secret (implicit rejection), in the same time. */
void mlkem768_decapsulate(uint8_t shared[MLKEM768_SHARED_BYTES],
                          const uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                          const uint8_t secret_key[MLKEM768_SECRET_KEY_BYTES]);

#endif
