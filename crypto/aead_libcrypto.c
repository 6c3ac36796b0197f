#include "crypto/aead_backend.h"

#if TUNIC_LIBCRYPTO

#include <assert.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

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

static OSSL_PARAM tag_at(uint8_t *tag) {
  return OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, AEAD_TAG_BYTES);
}

/* The key stays; a message brings a nonce, a direction, and, to be opened, its tag. Associated data is given to the cipher here. */
static bool begin(EVP_CIPHER_CTX *context, const uint8_t *nonce, int is_sealing, const uint8_t *associated, size_t associated_len,
                  const OSSL_PARAM *tag) {
  int out_len;
  assert(associated_len <= INT_MAX);
  return EVP_CipherInit_ex2(context, NULL, NULL, nonce, is_sealing, tag) == 1 &&
         (associated_len == 0 || EVP_CipherUpdate(context, NULL, &out_len, associated, (int)associated_len) == 1);
}

/* Both suites are stream ciphers: the update gives every byte, the end gives none. */
static bool process(EVP_CIPHER_CTX *context, const uint8_t *from, uint8_t *to, size_t len) {
  int out_len;
  assert(len <= INT_MAX - AEAD_TAG_BYTES);
  return (len == 0 || EVP_CipherUpdate(context, to, &out_len, from, (int)len) == 1) &&
         EVP_CipherFinal_ex(context, to + len, &out_len) == 1;
}

static bool encrypt(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES], const uint8_t *associated, size_t associated_len,
                    const uint8_t *from, uint8_t *to, size_t len) {
  EVP_CIPHER_CTX *context = aead->libcrypto;
  OSSL_PARAM tag[] = {tag_at(to + len), OSSL_PARAM_construct_end()};
  return begin(context, nonce, 1, associated, associated_len, NULL) && process(context, from, to, len) &&
         EVP_CIPHER_CTX_get_params(context, tag) == 1;
}

static bool decrypt(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES], const uint8_t *associated, size_t associated_len,
                    const uint8_t *from, uint8_t *to, size_t len) {
  const OSSL_PARAM tag[] = {tag_at((uint8_t *)from + len), OSSL_PARAM_construct_end()}; /* only read */
  return begin(aead->libcrypto, nonce, 0, associated, associated_len, tag) && process(aead->libcrypto, from, to, len);
}

static void release(struct aead *aead) {
  EVP_CIPHER_CTX_free(aead->libcrypto); /* cleanses the keys within */
  aead->libcrypto = NULL;
}

const struct aead_functions aead_libcrypto = {
  .name = "libcrypto", .has_suite = has_suite, .set_key = set_key, .seal = encrypt, .open = decrypt, .release = release,
};

#endif
