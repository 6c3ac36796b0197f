/* What a library must offer to compute the AEAD suites: one constant table of functions for each.
 * Spec: specs/crypto.md [AEAD-*]. Called by aead.c alone, which picks the table.
 * A table never looks at nonces twice and never allocates outside set_key.
 */
#ifndef TUNIC_CRYPTO_AEAD_BACKEND_H
#define TUNIC_CRYPTO_AEAD_BACKEND_H

#include "crypto/aead.h"

enum { AEAD_NONCE_BYTES = 12 };

struct aead_functions {
  const char *name;
  /* True if this library computes the suite on this machine. */
  bool (*has_suite)(enum aead_suite);
  /* Takes a first or another key. False: no such suite here, or no memory; the context is then without a key. */
  bool (*set_key)(struct aead *, enum aead_suite, const uint8_t key[AEAD_KEY_BYTES]);
  /* Encrypts, tag at to + len; `from` may be `to`. False: the library failed; the bytes of `to` are then of no use. */
  bool (*seal)(struct aead *, const uint8_t nonce[AEAD_NONCE_BYTES], const uint8_t *associated, size_t associated_len,
               const uint8_t *from, uint8_t *to, size_t len);
  /* Decrypts len bytes whose tag is at from + len; `to` may be `from`. False: forged; the bytes of `to` are then of no use. */
  bool (*open)(struct aead *, const uint8_t nonce[AEAD_NONCE_BYTES], const uint8_t *associated, size_t associated_len,
               const uint8_t *from, uint8_t *to, size_t len);
  /* Frees what set_key allocated; aead.c wipes the structure itself. */
  void (*release)(struct aead *);
};

extern const struct aead_functions aead_libsodium;
#if TUNIC_LIBCRYPTO
extern const struct aead_functions aead_libcrypto;
#endif
#if TUNIC_IPSEC_MB
extern const struct aead_functions aead_ipsec_mb;
#endif

#endif
