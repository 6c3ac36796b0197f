#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "crypto/aead_backend.h"

static_assert(sizeof(crypto_aead_aes256gcm_state) <= sizeof(((struct aead *)0)->state), "libsodium's expanded key fits");

static crypto_aead_aes256gcm_state *expanded(struct aead *aead) { return (void *)aead->state; }

static bool has_suite(enum aead_suite suite) {
  switch (suite) {
  case AEAD_CHACHA20_POLY1305: return true;
  case AEAD_AES256_GCM: return crypto_aead_aes256gcm_is_available() == 1;
  }
  return false;
}

static bool set_key(struct aead *aead, enum aead_suite suite, const uint8_t key[AEAD_KEY_BYTES]) {
  if (!has_suite(suite)) return false;
  if (suite == AEAD_AES256_GCM) return crypto_aead_aes256gcm_beforenm(expanded(aead), key) == 0;
  sodium_memzero(aead->state, sizeof aead->state); /* an expanded key of the other suite may be longer than this one */
  memcpy(aead->state, key, AEAD_KEY_BYTES);
  return true;
}

static bool encrypt(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES], const uint8_t *associated, size_t associated_len,
                    const uint8_t *from, uint8_t *to, size_t len) {
  if (aead->suite == AEAD_AES256_GCM)
    return crypto_aead_aes256gcm_encrypt_detached_afternm(to, to + len, NULL, from, len, associated, associated_len, NULL,
                                                          nonce, expanded(aead)) == 0;
  return crypto_aead_chacha20poly1305_ietf_encrypt_detached(to, to + len, NULL, from, len, associated, associated_len,
                                                            NULL, nonce, aead->state) == 0;
}

static bool decrypt(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES], const uint8_t *associated, size_t associated_len,
                    const uint8_t *from, uint8_t *to, size_t len) {
  if (aead->suite == AEAD_AES256_GCM)
    return crypto_aead_aes256gcm_decrypt_detached_afternm(to, NULL, from, len, from + len, associated, associated_len, nonce,
                                                          expanded(aead)) == 0;
  return crypto_aead_chacha20poly1305_ietf_decrypt_detached(to, NULL, from, len, from + len, associated, associated_len,
                                                            nonce, aead->state) == 0;
}

static void release(struct aead *aead) { sodium_memzero(aead->state, sizeof aead->state); }

const struct aead_functions aead_libsodium = {
  .name = "libsodium", .has_suite = has_suite, .set_key = set_key, .seal = encrypt, .open = decrypt, .release = release,
};
