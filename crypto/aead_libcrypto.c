#include "crypto/aead_backend.h"

#if TUNIC_LIBCRYPTO

#include <assert.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdlib.h>
#include <string.h>

/* What the provider of a cipher offers (provider-cipher(7)). We call it as EVP would, but for what EVP asks about each
 * message on its own: the nonce's length, through parameters that are found by their names, costs as much as 300 bytes of AES. */
struct context {
  EVP_CIPHER *cipher; /* keeps the provider loaded */
  void *state;        /* the provider's, with the expanded key */
  enum aead_suite suite;
  OSSL_FUNC_cipher_newctx_fn *newctx;
  OSSL_FUNC_cipher_freectx_fn *freectx;
  OSSL_FUNC_cipher_encrypt_init_fn *encrypt_init;
  OSSL_FUNC_cipher_decrypt_init_fn *decrypt_init;
  OSSL_FUNC_cipher_update_fn *update;
  OSSL_FUNC_cipher_final_fn *final;
  OSSL_FUNC_cipher_get_ctx_params_fn *get_ctx_params;
};

static const char *suite_name(enum aead_suite suite) {
  switch (suite) {
  case AEAD_CHACHA20_POLY1305: return "ChaCha20-Poly1305";
  case AEAD_AES256_GCM: return "AES-256-GCM";
  }
  return "";
}

static void take_function(struct context *context, const OSSL_DISPATCH *function) {
  switch (function->function_id) {
  case OSSL_FUNC_CIPHER_NEWCTX: context->newctx = OSSL_FUNC_cipher_newctx(function); break;
  case OSSL_FUNC_CIPHER_FREECTX: context->freectx = OSSL_FUNC_cipher_freectx(function); break;
  case OSSL_FUNC_CIPHER_ENCRYPT_INIT: context->encrypt_init = OSSL_FUNC_cipher_encrypt_init(function); break;
  case OSSL_FUNC_CIPHER_DECRYPT_INIT: context->decrypt_init = OSSL_FUNC_cipher_decrypt_init(function); break;
  case OSSL_FUNC_CIPHER_UPDATE: context->update = OSSL_FUNC_cipher_update(function); break;
  case OSSL_FUNC_CIPHER_FINAL: context->final = OSSL_FUNC_cipher_final(function); break;
  case OSSL_FUNC_CIPHER_GET_CTX_PARAMS: context->get_ctx_params = OSSL_FUNC_cipher_get_ctx_params(function); break;
  }
}

static bool has_functions(const struct context *context) {
  return context->newctx != NULL && context->freectx != NULL && context->encrypt_init != NULL && context->decrypt_init != NULL &&
         context->update != NULL && context->final != NULL && context->get_ctx_params != NULL;
}

/* `names` are several, with ':' between them. */
static bool is_named(const char *names, const char *name) {
  size_t len = strlen(name);
  for (; names != NULL; names = strchr(names, ':')) {
    if (*names == ':') names++;
    if (OPENSSL_strncasecmp(names, name, len) == 0 && (names[len] == ':' || names[len] == '\0')) return true;
  }
  return false;
}

static void find_functions(struct context *context, const OSSL_PROVIDER *provider) {
  int no_cache;
  const OSSL_ALGORITHM *algorithms = OSSL_PROVIDER_query_operation(provider, OSSL_OP_CIPHER, &no_cache), *it = algorithms;
  while (it != NULL && it->algorithm_names != NULL && !is_named(it->algorithm_names, suite_name(context->suite))) it++;
  if (it != NULL && it->algorithm_names != NULL)
    for (const OSSL_DISPATCH *function = it->implementation; function->function_id != 0; function++)
      take_function(context, function);
  OSSL_PROVIDER_unquery_operation(provider, OSSL_OP_CIPHER, algorithms);
}

static void context_free(struct context *context) {
  if (context->state != NULL) context->freectx(context->state); /* cleanses the keys within */
  EVP_CIPHER_free(context->cipher);
  free(context);
}

/* Fetching costs more than a small message: once for a context and suite, never for a key or a message. */
static struct context *context_new(enum aead_suite suite) {
  struct context *context = calloc(1, sizeof *context);
  if (context == NULL) return NULL;
  context->suite = suite;
  context->cipher = EVP_CIPHER_fetch(NULL, suite_name(suite), NULL);
  const OSSL_PROVIDER *provider = context->cipher == NULL ? NULL : EVP_CIPHER_get0_provider(context->cipher);
  if (provider != NULL) find_functions(context, provider);
  if (has_functions(context)) context->state = context->newctx(OSSL_PROVIDER_get0_provider_ctx(provider));
  if (context->state != NULL) return context;
  context_free(context);
  return NULL;
}

static bool has_suite(enum aead_suite suite) {
  struct context *context = context_new(suite);
  if (context != NULL) context_free(context);
  return context != NULL;
}

static void release(struct aead *aead) {
  if (aead->libcrypto != NULL) context_free(aead->libcrypto);
  aead->libcrypto = NULL;
}

static bool set_key(struct aead *aead, enum aead_suite suite, const uint8_t key[AEAD_KEY_BYTES]) {
  struct context *context = aead->libcrypto;
  if (context != NULL && context->suite != suite) release(aead);
  if (aead->libcrypto == NULL) aead->libcrypto = context_new(suite);
  context = aead->libcrypto;
  return context != NULL && context->encrypt_init(context->state, key, AEAD_KEY_BYTES, NULL, 0, NULL) == 1;
}

static OSSL_PARAM tag_at(uint8_t *tag) {
  return OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, AEAD_TAG_BYTES);
}

/* Both suites are stream ciphers: the update gives every byte, the end gives none. */
static bool process(const struct context *context, const uint8_t *associated, size_t associated_len, const uint8_t *from,
                    uint8_t *to, size_t len) {
  size_t out_len;
  return (associated_len == 0 || context->update(context->state, NULL, &out_len, associated_len, associated, associated_len) == 1) &&
         (len == 0 || context->update(context->state, to, &out_len, len, from, len) == 1) &&
         context->final(context->state, to + len, &out_len, 0) == 1;
}

static bool encrypt(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES], const uint8_t *associated, size_t associated_len,
                    const uint8_t *from, uint8_t *to, size_t len) {
  const struct context *context = aead->libcrypto;
  OSSL_PARAM tag[] = {tag_at(to + len), OSSL_PARAM_construct_end()};
  return context->encrypt_init(context->state, NULL, 0, nonce, AEAD_NONCE_BYTES, NULL) == 1 &&
         process(context, associated, associated_len, from, to, len) && context->get_ctx_params(context->state, tag) == 1;
}

static bool decrypt(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES], const uint8_t *associated, size_t associated_len,
                    const uint8_t *from, uint8_t *to, size_t len) {
  const struct context *context = aead->libcrypto;
  const OSSL_PARAM tag[] = {tag_at((uint8_t *)from + len), OSSL_PARAM_construct_end()}; /* only read */
  return context->decrypt_init(context->state, NULL, 0, nonce, AEAD_NONCE_BYTES, tag) == 1 &&
         process(context, associated, associated_len, from, to, len);
}

const struct aead_functions aead_libcrypto = {
  .name = "libcrypto", .has_suite = has_suite, .set_key = set_key, .seal = encrypt, .open = decrypt, .release = release,
};

#endif
