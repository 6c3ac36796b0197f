#include "crypto/aead_backend.h"

#if TUNIC_IPSEC_MB

#include <assert.h>
#include <intel-ipsec-mb.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* The key's powers and round keys, and the functions that are best on this processor. */
struct context {
  struct gcm_key_data key;
  aes_gcm_enc_dec_t seal, open;
  aes_gcm_pre_t set_key;
};

/* The library's manager also knows code for processors without AES instructions; that one is not wanted. */
static bool has_suite(enum aead_suite suite) {
  return suite == AEAD_AES256_GCM && sodium_runtime_has_aesni() == 1 && sodium_runtime_has_pclmul() == 1;
}

/* A manager is 200 KB of queues for asynchronous work, made to ask it for three addresses: once for a context, never for a key. */
static struct context *context_new(void) {
  IMB_MGR *manager = alloc_mb_mgr(0);
  struct context *context = manager == NULL ? NULL : aligned_alloc(64, (sizeof *context + 63) / 64 * 64);
  if (context != NULL) {
    IMB_ARCH arch;
    init_mb_mgr_auto(manager, &arch);
    memset(context, 0, sizeof *context);
    context->seal = manager->gcm256_enc;
    context->open = manager->gcm256_dec;
    context->set_key = manager->gcm256_pre;
  }
  if (manager != NULL) free_mb_mgr(manager);
  return context;
}

static bool set_key(struct aead *aead, enum aead_suite suite, const uint8_t key[AEAD_KEY_BYTES]) {
  if (!has_suite(suite)) return false;
  if (aead->ipsec_mb == NULL) aead->ipsec_mb = context_new();
  struct context *context = aead->ipsec_mb;
  if (context == NULL) return false;
  context->set_key(key, &context->key);
  return true;
}

static bool encrypt(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES], const uint8_t *associated, size_t associated_len,
                    const uint8_t *from, uint8_t *to, size_t len) {
  struct context *context = aead->ipsec_mb;
  struct gcm_context_data message;
  context->seal(&context->key, &message, to, from, len, nonce, associated, associated_len, to + len, AEAD_TAG_BYTES);
  return true;
}

/* The library decrypts and says what the tag should be; comparing is left to us. */
static bool decrypt(struct aead *aead, const uint8_t nonce[AEAD_NONCE_BYTES], const uint8_t *associated, size_t associated_len,
                    const uint8_t *from, uint8_t *to, size_t len) {
  struct context *context = aead->ipsec_mb;
  struct gcm_context_data message;
  uint8_t tag[AEAD_TAG_BYTES];
  context->open(&context->key, &message, to, from, len, nonce, associated, associated_len, tag, sizeof tag);
  return crypto_verify_16(tag, from + len) == 0;
}

static void release(struct aead *aead) {
  if (aead->ipsec_mb == NULL) return;
  sodium_memzero(aead->ipsec_mb, sizeof(struct context));
  free(aead->ipsec_mb);
  aead->ipsec_mb = NULL;
}

const struct aead_functions aead_ipsec_mb = {
  .name = "ipsec-mb", .has_suite = has_suite, .set_key = set_key, .seal = encrypt, .open = decrypt, .release = release,
};

#endif
