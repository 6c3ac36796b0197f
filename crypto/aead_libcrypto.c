#include "crypto/aead_backend.h"

#if TUNIC_LIBCRYPTO

#include <assert.h>
#include <limits.h>
#include <openssl/evp.h>

static EVP_CIPHER *fetch(enum aead_suite suite) {
  switch (suite) {
  case AEAD_CHACHA20_POLY1305: return EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
  case AEAD_AES256_GCM: return EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
  }
  return NULL;
}

static bool has_suite(enum aead_suite suite) {
  EVP_CIPHER *cipher = fetch(suite);
  EVP_CIPHER_free(cipher);
  return cipher != NULL;
}

/* Fetching costs more than a small message: once for a context and suite, never for a key or a message. */
static bool set_key(struct aead *aead, enum aead_suite suite, const uint8_t key[AEAD_KEY_BYTES]) {
  if (!aead->libcrypto) {
    aead->libcrypto = EVP_CIPHER_CTX_new();
    if (!aead->libcrypto) return false;
    aead->libcrypto_suite = 0;
  }
  EVP_CIPHER *cipher = NULL;
  if (aead->libcrypto_suite != suite) {
    cipher = fetch(suite);
    if (!cipher) return false;
  }
  bool ok = EVP_CipherInit_ex2(aead->libcrypto, cipher, key, NULL, 1, NULL) == 1;
  aead->libcrypto_suite = ok ? suite : 0;
  EVP_CIPHER_free(cipher); /* the context holds its own reference */
  return ok;
}

/* The key stays; a message brings a nonce and a direction. Associated data is given to the cipher here. */
static bool begin(EVP_CIPHER_CTX *context, const uint8_t *nonce, int is_sealing, const uint8_t *associated, size_t associated_len) {
  int out_len;
  assert(associated_len <= INT_MAX);
  return EVP_CipherInit_ex2(context, NULL, NULL, nonce, is_sealing, NULL) == 1 &&
         (associated_len == 0 || EVP_CipherUpdate(context, NULL, &out_len, associated, (int)associated_len) == 1);
}

/* Both suites are stream ciphers: the update gives every byte, the end gives none. */
static bool process(EVP_CIPHER_CTX *context, uint8_t *data, size_t len) {
  int out_len;
  assert(len <= INT_MAX - AEAD_TAG_BYTES);
  return (len == 0 || EVP_CipherUpdate(context, data, &out_len, data, (int)len) == 1) &&
         EVP_CipherFinal_ex(context, data + len, &out_len) == 1;
}

static bool encrypt(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES], const uint8_t *associated, size_t associated_len,
                    uint8_t *data, size_t len) {
  EVP_CIPHER_CTX *context = aead->libcrypto;
  return begin(context, nonce, 1, associated, associated_len) && process(context, data, len) &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_BYTES, data + len) == 1;
}

static bool decrypt(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES], const uint8_t *associated, size_t associated_len,
                    uint8_t *data, size_t len) {
  EVP_CIPHER_CTX *context = aead->libcrypto;
  return begin(context, nonce, 0, associated, associated_len) &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_BYTES, data + len) == 1 && process(context, data, len);
}

static void release(struct aead *aead) {
  EVP_CIPHER_CTX_free(aead->libcrypto); /* cleanses the keys within */
  aead->libcrypto = NULL;
}

const struct aead_functions aead_libcrypto = {
  .name = "libcrypto", .has_suite = has_suite, .set_key = set_key, .seal = encrypt, .open = decrypt, .release = release,
};

#endif
