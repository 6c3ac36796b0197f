#include "crypto/kdf.h"

#include <assert.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

enum { BLOCK_BYTES = 128 };

struct hmac {
  crypto_generichash_blake2b_state hash;
  uint8_t pad[BLOCK_BYTES]; /* the inner pad while the message comes in, then the outer one */
};

static void turn_pad(uint8_t pad[BLOCK_BYTES], uint8_t mask) {
  for (size_t i = 0; i < BLOCK_BYTES; i++) pad[i] ^= mask;
}

static void hmac_begin(struct hmac *mac, const uint8_t *key, size_t key_len) {
  memset(mac->pad, 0, sizeof mac->pad);
  if (key_len > BLOCK_BYTES)
    crypto_generichash_blake2b(mac->pad, KDF_HASH_BYTES, key, key_len, NULL, 0);
  else if (key_len > 0)
    memcpy(mac->pad, key, key_len);
  turn_pad(mac->pad, 0x36);
  crypto_generichash_blake2b_init(&mac->hash, NULL, 0, KDF_HASH_BYTES);
  crypto_generichash_blake2b_update(&mac->hash, mac->pad, BLOCK_BYTES);
}

static void hmac_add(struct hmac *mac, const void *bytes, size_t len) {
  crypto_generichash_blake2b_update(&mac->hash, bytes, len);
}

static void hmac_end(struct hmac *mac, uint8_t ret_mac[KDF_HASH_BYTES]) {
  uint8_t inner[KDF_HASH_BYTES];
  crypto_generichash_blake2b_final(&mac->hash, inner, sizeof inner);
  turn_pad(mac->pad, 0x36 ^ 0x5c);
  crypto_generichash_blake2b_init(&mac->hash, NULL, 0, KDF_HASH_BYTES);
  crypto_generichash_blake2b_update(&mac->hash, mac->pad, BLOCK_BYTES);
  crypto_generichash_blake2b_update(&mac->hash, inner, sizeof inner);
  crypto_generichash_blake2b_final(&mac->hash, ret_mac, KDF_HASH_BYTES);
  sodium_memzero(inner, sizeof inner);
  sodium_memzero(mac, sizeof *mac);
}

/* [KDF-1] RFC 2104 with BLAKE2b's own block of 128 bytes; BLAKE2b's keyed mode is not HMAC. */
void kdf_hmac(uint8_t ret_mac[KDF_HASH_BYTES], const uint8_t *key, size_t key_len, const uint8_t *message, size_t len) {
  struct hmac mac;
  hmac_begin(&mac, key, key_len);
  hmac_add(&mac, message, len);
  hmac_end(&mac, ret_mac);
}

/* One block of HKDF-Expand: HMAC(secret, previous || label || counter). */
static void expand_block(uint8_t ret_block[KDF_HASH_BYTES], const uint8_t secret[KDF_HASH_BYTES], const uint8_t *previous,
                         const char *label, uint8_t counter) {
  struct hmac mac;
  hmac_begin(&mac, secret, KDF_HASH_BYTES);
  if (previous) hmac_add(&mac, previous, KDF_HASH_BYTES);
  hmac_add(&mac, label, strlen(label));
  hmac_add(&mac, &counter, 1);
  hmac_end(&mac, ret_block);
}

void kdf_noise(uint8_t ret_first[KDF_HASH_BYTES], uint8_t ret_second[KDF_HASH_BYTES], uint8_t ret_third[KDF_HASH_BYTES],
               const uint8_t chaining_key[KDF_HASH_BYTES], const uint8_t *input, size_t len) {
  uint8_t secret[KDF_HASH_BYTES];
  kdf_hmac(secret, chaining_key, KDF_HASH_BYTES, input, len);
  expand_block(ret_first, secret, NULL, "", 1);
  expand_block(ret_second, secret, ret_first, "", 2);
  if (ret_third) expand_block(ret_third, secret, ret_second, "", 3);
  sodium_memzero(secret, sizeof secret);
}

/* [KDF-2] The label keeps these keys apart from Noise's own Split, which has none. */
void kdf_traffic(uint8_t *ret_keys, size_t len, const uint8_t chaining_key[KDF_HASH_BYTES],
                 const uint8_t handshake_hash[KDF_HASH_BYTES], const char *label) {
  uint8_t secret[KDF_HASH_BYTES], block[KDF_HASH_BYTES];
  assert(len <= KDF_EXPAND_MAX_BYTES);
  kdf_hmac(secret, chaining_key, KDF_HASH_BYTES, handshake_hash, KDF_HASH_BYTES);
  uint8_t counter = 0;
  for (size_t done = 0; done < len; done += KDF_HASH_BYTES) {
    expand_block(block, secret, counter > 0 ? block : NULL, label, (uint8_t)(counter + 1));
    counter++;
    memcpy(ret_keys + done, block, len - done < KDF_HASH_BYTES ? len - done : KDF_HASH_BYTES);
  }
  sodium_memzero(secret, sizeof secret);
  sodium_memzero(block, sizeof block);
}

/* [KDF-3] One way: who learns the new key cannot compute the old one. */
void kdf_ratchet(uint8_t key[KDF_KEY_BYTES], const char *label, uint8_t direction) {
  crypto_generichash_blake2b_state state;
  crypto_generichash_blake2b_init(&state, key, KDF_KEY_BYTES, KDF_KEY_BYTES);
  crypto_generichash_blake2b_update(&state, (const uint8_t *)label, strlen(label));
  crypto_generichash_blake2b_update(&state, &direction, 1);
  crypto_generichash_blake2b_final(&state, key, KDF_KEY_BYTES);
  sodium_memzero(&state, sizeof state);
}
