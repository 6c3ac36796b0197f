/* Authenticated encryption, with counter nonces, behind one interface for two standard suites.
 * Spec: specs/crypto.md [AEAD-*]. Called by noise.c, onion.c, and protocol/link.c.
 * ChaCha20-Poly1305 always works; AES-256-GCM where the processor has it (libsodium, ipsec-mb) or libcrypto does.
 * All backends give the same bytes. A nonce is a counter that the caller never uses twice under one key.
 * Never allocates per message; a context may own one allocation of each backend, freed by wipe.
 */
#ifndef TUNIC_CRYPTO_AEAD_H
#define TUNIC_CRYPTO_AEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AEAD_KEY_BYTES = 32, AEAD_TAG_BYTES = 16 };

enum aead_suite { AEAD_CHACHA20_POLY1305 = 1, AEAD_AES256_GCM = 2 };

/* Which library computes; chosen once per process by its settings and handed in. */
enum aead_backend { AEAD_LIBSODIUM = 0, AEAD_LIBCRYPTO = 1, AEAD_IPSEC_MB = 2 };

/* The fastest backend that this build and machine have. */
enum aead_backend aead_best_backend(void);
/* A backend's name ("libsodium", "libcrypto", "ipsec-mb") and the reverse; false if unknown or not built in. */
const char *aead_backend_name(enum aead_backend backend);
bool aead_backend_from_name(const char *name, enum aead_backend *ret);

/* [AEAD-2] True if this machine can compute the suite at all, with any backend. */
bool aead_suite_is_available(enum aead_suite suite);
/* [AEAD-2] True if this machine computes it fast and in constant time, so that a relay may declare it. */
bool aead_suite_has_hardware(enum aead_suite suite);

struct aead {
  enum aead_suite suite;
  enum aead_backend wanted;  /* the one asked for */
  enum aead_backend backend; /* the one in use: the fastest other where the one asked for lacks the suite */
  void *libcrypto;           /* the provider's functions and state, kept across rekeys */
  void *ipsec_mb;            /* expanded key and functions, kept across rekeys */
  _Alignas(64) uint8_t state[512]; /* the key, or libsodium's expanded AES key */
};

/* Zeroed memory is an empty context. Init takes a key; rekey changes it and keeps what was allocated.
 * False: no memory, or the suite is not available here. */
bool aead_init(struct aead *, enum aead_suite suite, enum aead_backend backend, const uint8_t key[AEAD_KEY_BYTES]);
bool aead_rekey(struct aead *, enum aead_suite suite, const uint8_t key[AEAD_KEY_BYTES]);
void aead_wipe(struct aead *);

/* Seals data[0..len) in place and writes the tag at data + len: zeros, which nobody opens, if the library fails. */
void aead_seal(struct aead *, uint64_t nonce, const uint8_t *associated, size_t associated_len, uint8_t *data, size_t len);
/* The same from one place to another; `from` and `to` are the same or do not overlap. */
void aead_seal_to(struct aead *, uint64_t nonce, const uint8_t *associated, size_t associated_len, const uint8_t *from,
                  uint8_t *to, size_t len);

/* Opens data[0..len) in place, its last 16 bytes being the tag. False: forged, and data is zeroed. */
bool aead_open(struct aead *, uint64_t nonce, const uint8_t *associated, size_t associated_len, uint8_t *data, size_t len);
/* The same from one place to another: len - 16 bytes at `to`, zeroed where it is forged. */
bool aead_open_to(struct aead *, uint64_t nonce, const uint8_t *associated, size_t associated_len, const uint8_t *from,
                  uint8_t *to, size_t len);

/* [AEAD-5] The first `len` (at most 64) bytes of ChaCha20's keystream for a header key and counter. */
void aead_header_mask(uint8_t *ret_mask, size_t len, const uint8_t key[AEAD_KEY_BYTES], uint64_t counter);

/* A cache of contexts for owners that keep keys and not contexts: an idle circuit costs its key alone. */
struct aead_cache;
struct aead_reference { uint64_t stamp; uint32_t slot; }; /* zeroed: not cached; a stamp never comes twice */

/* NULL: no memory. `entries` contexts at most, the least recently used going first. */
struct aead_cache *aead_cache_new(size_t entries, enum aead_backend backend);
void aead_cache_free(struct aead_cache *);
/* The context for this owner's key, valid until the next call. `epoch` changes when the key does. NULL: no memory. */
struct aead *aead_cache_get(struct aead_cache *, struct aead_reference *, enum aead_suite suite,
                            const uint8_t key[AEAD_KEY_BYTES], uint32_t epoch);
/* Wipes the owner's context, if there is one; the reference is zeroed. */
void aead_cache_forget(struct aead_cache *, struct aead_reference *);

#endif
