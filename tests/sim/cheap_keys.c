/* [SIM-2] Key agreement that costs next to nothing and protects nothing, linked over the shipped one (-Wl,--wrap) where networks run for
 * days: it would take most of the time, and the machines can't tell. Both ends still arrive at one secret, and whoever has another
 * key at another. Signatures, ciphers and hashes are the shipped ones. */
#include <sodium.h>
#include <string.h>

#include "crypto/keys.h"
#include "crypto/mlkem768.h"

void __wrap_x25519_public(uint8_t ret_public[X25519_BYTES], const uint8_t secret[X25519_BYTES]);
bool __wrap_x25519_shared(uint8_t ret_shared[X25519_BYTES], const uint8_t secret[X25519_BYTES], const uint8_t public_key[X25519_BYTES]);
void __wrap_mlkem768_keypair(uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES], uint8_t secret_key[MLKEM768_SECRET_KEY_BYTES],
                             const uint8_t seed[MLKEM768_KEY_SEED_BYTES]);
bool __wrap_mlkem768_encapsulate(uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES], uint8_t shared[MLKEM768_SHARED_BYTES],
                                 const uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES], const uint8_t seed[MLKEM768_ENCAPS_SEED_BYTES]);
void __wrap_mlkem768_decapsulate(uint8_t shared[MLKEM768_SHARED_BYTES], const uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                                 const uint8_t secret_key[MLKEM768_SECRET_KEY_BYTES]);

__extension__ typedef unsigned __int128 wide;

/* Multiplication modulo the prime 2^61 - 1 stands for the curve: a (b g) = b (a g). */
#define PRIME ((UINT64_C(1) << 61) - 1)
#define GENERATOR UINT64_C(0x123456789abcdef)

static uint64_t number(const uint8_t bytes[X25519_BYTES]) {
  uint64_t value;
  memcpy(&value, bytes, sizeof value);
  return value % PRIME;
}

static void put_product(uint8_t ret[X25519_BYTES], uint64_t a, uint64_t b) {
  uint64_t product = (uint64_t)((wide)a * b % PRIME);
  memset(ret, 0, X25519_BYTES);
  memcpy(ret, &product, sizeof product);
}

void __wrap_x25519_public(uint8_t ret_public[X25519_BYTES], const uint8_t secret[X25519_BYTES]) {
  put_product(ret_public, number(secret), GENERATOR);
}

bool __wrap_x25519_shared(uint8_t ret_shared[X25519_BYTES], const uint8_t secret[X25519_BYTES], const uint8_t public_key[X25519_BYTES]) {
  put_product(ret_shared, number(secret), number(public_key));
  return number(ret_shared) != 0;
}

enum { NAME_BYTES = 32 }; /* what tells one key or ciphertext from another; the rest is zeros */

void __wrap_mlkem768_keypair(uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES], uint8_t secret_key[MLKEM768_SECRET_KEY_BYTES],
                             const uint8_t seed[MLKEM768_KEY_SEED_BYTES]) {
  memset(public_key, 0, MLKEM768_PUBLIC_KEY_BYTES);
  memset(secret_key, 0, MLKEM768_SECRET_KEY_BYTES);
  /* Every twelve bits of a public key are below 3,329. */
  for (uint32_t i = 0; i < NAME_BYTES; i++) public_key[i] = secret_key[i] = seed[i] & 0x77;
}

static void agree(uint8_t shared[MLKEM768_SHARED_BYTES], const uint8_t *key, const uint8_t *ciphertext) {
  crypto_generichash(shared, MLKEM768_SHARED_BYTES, ciphertext, NAME_BYTES, key, NAME_BYTES);
}

bool __wrap_mlkem768_encapsulate(uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES], uint8_t shared[MLKEM768_SHARED_BYTES],
                                 const uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES], const uint8_t seed[MLKEM768_ENCAPS_SEED_BYTES]) {
  memset(ciphertext, 0, MLKEM768_CIPHERTEXT_BYTES);
  memcpy(ciphertext, seed, NAME_BYTES);
  agree(shared, public_key, ciphertext);
  return true;
}

void __wrap_mlkem768_decapsulate(uint8_t shared[MLKEM768_SHARED_BYTES], const uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                                 const uint8_t secret_key[MLKEM768_SECRET_KEY_BYTES]) {
  agree(shared, secret_key, ciphertext);
}
