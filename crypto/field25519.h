/* Arithmetic modulo p = 2^255 - 19, as much of it as turns a point of Edwards25519 into an X25519 public key.
 * Spec: specs/crypto.md [KEY-1]. Called by keys.c, because libsodium keeps its own field to itself.
 * An element is five limbs of 51 bits; every function takes and leaves limbs below 2^51 + 2^13, and results may overwrite arguments.
 * Never branches on a value, never indexes by one. Absent (FIELD25519_BUILT 0) where the compiler has no 128-bit integers.
 */
#ifndef TUNIC_CRYPTO_FIELD25519_H
#define TUNIC_CRYPTO_FIELD25519_H

#include <stdint.h>

#ifdef __SIZEOF_INT128__
#define FIELD25519_BUILT 1
#else
#define FIELD25519_BUILT 0
#endif

enum { FIELD25519_BYTES = 32, FIELD25519_LIMBS = 5 };

struct field25519 { uint64_t limb[FIELD25519_LIMBS]; }; /* the sum of limb[i] * 2^(51 i), not always below p */

/* Little-endian, without the top bit. Decode takes any bytes; encode gives the one encoding below p. */
void field25519_decode(struct field25519 *ret, const uint8_t bytes[FIELD25519_BYTES]);
void field25519_encode(uint8_t ret_bytes[FIELD25519_BYTES], const struct field25519 *a);

void field25519_add(struct field25519 *ret, const struct field25519 *a, const struct field25519 *b);
void field25519_subtract(struct field25519 *ret, const struct field25519 *a, const struct field25519 *b);
void field25519_multiply(struct field25519 *ret, const struct field25519 *a, const struct field25519 *b);

/* 1 / a; of zero, zero. */
void field25519_invert(struct field25519 *ret, const struct field25519 *a);

#endif
