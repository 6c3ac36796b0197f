#include "crypto/aead.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "crypto/aead_backend.h"
#include "crypto/declassify.h"

/* The slowest first; NULL: not built in. */
static const struct aead_functions *const backends[] = {
  [AEAD_LIBSODIUM] = &aead_libsodium,
#if TUNIC_LIBCRYPTO
  [AEAD_LIBCRYPTO] = &aead_libcrypto,
#endif
#if TUNIC_IPSEC_MB
  [AEAD_IPSEC_MB] = &aead_ipsec_mb,
#endif
};

enum { BACKENDS = sizeof backends / sizeof backends[0] };

static const struct aead_functions *functions(enum aead_backend backend) {
  return (size_t)backend < BACKENDS ? backends[backend] : NULL;
}

static bool has_suite(enum aead_backend backend, enum aead_suite suite) {
  const struct aead_functions *library = functions(backend);
  return library != NULL && library->has_suite(suite);
}

/* [AEAD-1] The measured order: in AES-256-GCM, which busy links and layers use, a later one is the faster. */
enum aead_backend aead_best_backend(void) {
  enum aead_backend backend = (enum aead_backend)(BACKENDS - 1);
  while (backend > AEAD_LIBSODIUM && !has_suite(backend, AEAD_AES256_GCM)) backend--;
  return backend;
}

const char *aead_backend_name(enum aead_backend backend) {
  const struct aead_functions *library = functions(backend);
  return library == NULL ? "not built in" : library->name;
}

bool aead_backend_from_name(const char *name, enum aead_backend *ret) {
  for (size_t i = 0; i < BACKENDS; i++) {
    if (backends[i] == NULL || strcmp(name, backends[i]->name) != 0) continue;
    *ret = (enum aead_backend)i;
    return true;
  }
  return false;
}

/* [AEAD-2] */
bool aead_suite_is_available(enum aead_suite suite) {
  for (size_t i = 0; i < BACKENDS; i++)
    if (has_suite((enum aead_backend)i, suite)) return true;
  return false;
}

/* [AEAD-2] Without these instructions AES is slow, or leaks its key through the cache. */
bool aead_suite_has_hardware(enum aead_suite suite) {
  switch (suite) {
  case AEAD_CHACHA20_POLY1305: return true;
  case AEAD_AES256_GCM:
    return sodium_runtime_has_aesni() == 1 && sodium_runtime_has_pclmul() == 1 && aead_suite_is_available(suite);
  }
  return false;
}

/* [AEAD-3] Four zero bytes, then the counter: little-endian for ChaCha20-Poly1305, big-endian for AES-GCM, as in Noise. */
static void nonce_encode(uint8_t ret_nonce[AEAD_NONCE_BYTES], enum aead_suite suite, uint64_t counter) {
  memset(ret_nonce, 0, AEAD_NONCE_BYTES);
  for (unsigned i = 0; i < 8; i++) {
    unsigned shift = suite == AEAD_AES256_GCM ? 56 - 8 * i : 8 * i;
    ret_nonce[4 + i] = (uint8_t)(counter >> shift);
  }
}

bool aead_init(struct aead *aead, enum aead_suite suite, enum aead_backend backend, const uint8_t key[AEAD_KEY_BYTES]) {
  aead->wanted = functions(backend) == NULL ? AEAD_LIBSODIUM : backend;
  return aead_rekey(aead, suite, key);
}

static bool set_key(struct aead *aead, enum aead_suite suite, enum aead_backend backend, const uint8_t key[AEAD_KEY_BYTES]) {
  if (functions(backend) == NULL || !backends[backend]->set_key(aead, suite, key)) return false;
  aead->backend = backend;
  aead->suite = suite;
  return true;
}

bool aead_rekey(struct aead *aead, enum aead_suite suite, const uint8_t key[AEAD_KEY_BYTES]) {
  if (set_key(aead, suite, aead->wanted, key)) return true;
  for (size_t i = BACKENDS; i > 0; i--)
    if (set_key(aead, suite, (enum aead_backend)(i - 1), key)) return true;
  aead_wipe(aead);
  return false;
}

void aead_wipe(struct aead *aead) {
  for (size_t i = 0; i < BACKENDS; i++)
    if (backends[i] != NULL) backends[i]->release(aead);
  sodium_memzero(aead, sizeof *aead);
}

/* [AEAD-4] Should the library ever fail, what leaves is zeros, which nobody opens, and never plaintext. */
void aead_seal_to(struct aead *aead, uint64_t nonce, const uint8_t *associated, size_t associated_len, const uint8_t *from,
                  uint8_t *to, size_t len) {
  uint8_t nonce_bytes[AEAD_NONCE_BYTES];
  assert(aead->suite != 0);
  nonce_encode(nonce_bytes, aead->suite, nonce);
  if (!backends[aead->backend]->seal(aead, nonce_bytes, associated, associated_len, from, to, len))
    memset(to, 0, len + AEAD_TAG_BYTES);
}

void aead_seal(struct aead *aead, uint64_t nonce, const uint8_t *associated, size_t associated_len, uint8_t *data, size_t len) {
  aead_seal_to(aead, nonce, associated, associated_len, data, data, len);
}

/* [AEAD-4] Whether a tag was right is public: what follows shows it. */
bool aead_open_to(struct aead *aead, uint64_t nonce, const uint8_t *associated, size_t associated_len, const uint8_t *from,
                  uint8_t *to, size_t len) {
  size_t content = len >= AEAD_TAG_BYTES ? len - AEAD_TAG_BYTES : 0;
  uint8_t nonce_bytes[AEAD_NONCE_BYTES];
  bool genuine = false;
  assert(aead->suite != 0);
  if (len >= AEAD_TAG_BYTES) {
    nonce_encode(nonce_bytes, aead->suite, nonce);
    genuine = backends[aead->backend]->open(aead, nonce_bytes, associated, associated_len, from, to, content);
    declassify(&genuine, sizeof genuine);
  }
  if (!genuine) memset(to, 0, content);
  return genuine;
}

bool aead_open(struct aead *aead, uint64_t nonce, const uint8_t *associated, size_t associated_len, uint8_t *data, size_t len) {
  bool genuine = aead_open_to(aead, nonce, associated, associated_len, data, data, len);
  if (!genuine) memset(data, 0, len);
  return genuine;
}

/* [AEAD-5] Block 0 under the nonce of [AEAD-3]: this key never encrypts anything else, so no Poly1305 key is ever shown. */
void aead_header_mask(uint8_t *ret_mask, size_t len, const uint8_t key[AEAD_KEY_BYTES], uint64_t counter) {
  uint8_t nonce[AEAD_NONCE_BYTES];
  assert(len <= 64);
  nonce_encode(nonce, AEAD_CHACHA20_POLY1305, counter);
  crypto_stream_chacha20_ietf(ret_mask, len, nonce, key);
}
