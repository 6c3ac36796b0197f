#include "crypto/keys.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "crypto/declassify.h"
#include "crypto/field25519.h"
#include "crypto/keys_internal.h"

static const char signature_prefix[] = "tunic:";

enum {
  CONTEXT_MAX_BYTES = 64, /* contexts are constants of this program */
  PREHASH_BYTES = 64,
  SIGNED_MAX_BYTES = sizeof signature_prefix - 1 + CONTEXT_MAX_BYTES + 1 + PREHASH_BYTES,
};

bool crypto_start(void) { return sodium_init() >= 0; }

/* [KEY-3] */
struct guarded_key *guarded_key_new(const uint8_t bytes[32]) {
  struct guarded_key *key = sodium_malloc(sizeof *key);
  if (!key) return NULL;
  memcpy(key->bytes, bytes, sizeof key->bytes);
  sodium_mprotect_readonly(key);
  return key;
}

void guarded_key_free(struct guarded_key *key) { sodium_free(key); }

#if FIELD25519_BUILT
/* [KEY-1] The multiplication on Edwards25519, by libsodium's table of the base point, is quicker than X25519's ladder. The
 * map to Curve25519 is u = (1 + y) / (1 - y). A clamped scalar lies between 2^254 and 2^255 and is a multiple of 8, so none
 * is a multiple of the base point's order: neither does the multiplication fail, nor is y 1. */
void x25519_public(uint8_t ret_public[X25519_BYTES], const uint8_t secret[X25519_BYTES]) {
  uint8_t scalar[X25519_BYTES], point[crypto_scalarmult_ed25519_BYTES];
  memcpy(scalar, secret, sizeof scalar);
  scalar[0] &= 0xf8;
  scalar[31] = (uint8_t)((scalar[31] & 0x7f) | 0x40);
  (void)crypto_scalarmult_ed25519_base_noclamp(point, scalar);
  sodium_memzero(scalar, sizeof scalar);

  const struct field25519 one = {{1}};
  struct field25519 y, numerator, denominator;
  field25519_decode(&y, point); /* without the top bit, the sign of x */
  field25519_add(&numerator, &one, &y);
  field25519_subtract(&denominator, &one, &y);
  field25519_invert(&denominator, &denominator);
  field25519_multiply(&numerator, &numerator, &denominator);
  field25519_encode(ret_public, &numerator);
}
#else
/* [KEY-1] */
void x25519_public(uint8_t ret_public[X25519_BYTES], const uint8_t secret[X25519_BYTES]) {
  crypto_scalarmult_curve25519_base(ret_public, secret);
}
#endif

/* [KEY-2] libsodium fails for a result of zero, without a branch on it; that it failed the handshake shows to everybody. */
bool x25519_shared(uint8_t ret_shared[X25519_BYTES], const uint8_t secret[X25519_BYTES], const uint8_t public_key[X25519_BYTES]) {
  bool computed = crypto_scalarmult_curve25519(ret_shared, secret, public_key) == 0;
  declassify(&computed, sizeof computed);
  if (!computed) sodium_memzero(ret_shared, X25519_BYTES);
  return computed;
}

void ed25519_public(uint8_t ret_public[ED25519_PUBLIC_BYTES], const uint8_t seed[ED25519_SEED_BYTES]) {
  uint8_t secret[crypto_sign_ed25519_SECRETKEYBYTES];
  crypto_sign_ed25519_seed_keypair(ret_public, secret, seed);
  sodium_memzero(secret, sizeof secret);
}

/* [SIGN-1] What is really signed: short, whatever the message; its context cannot be taken for another's. */
static size_t signed_bytes(uint8_t ret[SIGNED_MAX_BYTES], const char *context, const uint8_t *message, size_t len) {
  size_t context_len = strlen(context), at = sizeof signature_prefix - 1;
  assert(context_len <= CONTEXT_MAX_BYTES);
  memcpy(ret, signature_prefix, at);
  memcpy(ret + at, context, context_len + 1); /* with its zero byte */
  at += context_len + 1;
  crypto_generichash_blake2b(ret + at, PREHASH_BYTES, message, len, NULL, 0);
  return at + PREHASH_BYTES;
}

void signature_make(uint8_t ret_signature[ED25519_SIGNATURE_BYTES], const uint8_t seed[ED25519_SEED_BYTES],
                    const char *context, const uint8_t *message, size_t len) {
  uint8_t public_key[ED25519_PUBLIC_BYTES], secret[crypto_sign_ed25519_SECRETKEYBYTES], bytes[SIGNED_MAX_BYTES];
  size_t bytes_len = signed_bytes(bytes, context, message, len);
  crypto_sign_ed25519_seed_keypair(public_key, secret, seed);
  crypto_sign_ed25519_detached(ret_signature, NULL, bytes, bytes_len, secret);
  sodium_memzero(secret, sizeof secret);
}

/* [SIGN-2] libsodium refuses small-order keys, encodings that are not canonical, and scalars at or above the order. */
bool ed25519_is_valid(const uint8_t signature[ED25519_SIGNATURE_BYTES], const uint8_t public_key[ED25519_PUBLIC_BYTES],
                      const uint8_t *bytes, size_t len) {
  return crypto_sign_ed25519_verify_detached(signature, bytes, len, public_key) == 0;
}

bool signature_is_valid(const uint8_t signature[ED25519_SIGNATURE_BYTES], const uint8_t public_key[ED25519_PUBLIC_BYTES],
                        const char *context, const uint8_t *message, size_t len) {
  uint8_t bytes[SIGNED_MAX_BYTES];
  size_t bytes_len = signed_bytes(bytes, context, message, len);
  return ed25519_is_valid(signature, public_key, bytes, bytes_len);
}

void digest(uint8_t ret_digest[DIGEST_BYTES], const uint8_t *bytes, size_t len) {
  crypto_generichash_blake2b(ret_digest, DIGEST_BYTES, bytes, len, NULL, 0);
}

/* [KEY-4] The zero byte ends the label, so no label with its bytes reads as another's. */
void digest_labelled(uint8_t ret_digest[DIGEST_BYTES], const char *label, const uint8_t *bytes, size_t len) {
  crypto_generichash_blake2b_state state;
  crypto_generichash_blake2b_init(&state, NULL, 0, DIGEST_BYTES);
  crypto_generichash_blake2b_update(&state, (const uint8_t *)label, strlen(label) + 1);
  crypto_generichash_blake2b_update(&state, bytes, len);
  crypto_generichash_blake2b_final(&state, ret_digest, DIGEST_BYTES);
  sodium_memzero(&state, sizeof state);
}

bool bytes_equal_constant_time(const void *a, const void *b, size_t len) { return sodium_memcmp(a, b, len) == 0; }

bool bytes_are_zero_constant_time(const void *bytes, size_t len) { return sodium_is_zero(bytes, len) == 1; }

void bytes_wipe(void *bytes, size_t len) { sodium_memzero(bytes, len); }

void hex_encode(char *ret_text, const uint8_t *bytes, size_t len) { sodium_bin2hex(ret_text, 2 * len + 1, bytes, len); }

/* A digit's value, or 256 if it is none; without a branch or a table, since secret keys are read this way. */
static uint32_t hex_digit(uint8_t c) {
  uint32_t decimal = (uint32_t)c - '0', letter = (uint32_t)c - 'a';
  uint32_t is_decimal = (decimal - 10) >> 31 & ~(decimal >> 31);
  uint32_t is_letter = (letter - 6) >> 31 & ~(letter >> 31);
  uint32_t value = (decimal & -is_decimal) | ((letter + 10) & -is_letter);
  return value | (((is_decimal | is_letter) ^ 1) << 8);
}

/* [KEY-5] */
bool hex_decode(uint8_t *ret_bytes, size_t len, const char *text, size_t text_len) {
  if (text_len % 2 != 0 || text_len / 2 != len) return false;
  uint32_t wrong = 0;
  for (size_t i = 0; i < len; i++) {
    uint32_t high = hex_digit((uint8_t)text[2 * i]), low = hex_digit((uint8_t)text[2 * i + 1]);
    wrong |= (high | low) >> 8;
    ret_bytes[i] = (uint8_t)(high << 4 | (low & 15));
  }
  return wrong == 0;
}
