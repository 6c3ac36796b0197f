/* Says that bytes computed from a secret are public from here on, and may be branched on.
 * Spec: specs/kem.md [KEM-8], specs/crypto.md [KEY-6]. Called where a protocol shows a value that it derives from a secret.
 * Built with TUNIC_CHECK_CONSTANT_TIME it tells valgrind, for tests/vectors/constant_time.c.
 * Never does anything in a program: there it is empty.
 */
#ifndef TUNIC_CRYPTO_DECLASSIFY_H
#define TUNIC_CRYPTO_DECLASSIFY_H

#include <stddef.h>

#ifdef TUNIC_CHECK_CONSTANT_TIME
#include <valgrind/memcheck.h>
#endif

static inline void declassify(const void *bytes, size_t len) {
#ifdef TUNIC_CHECK_CONSTANT_TIME
  (void)VALGRIND_MAKE_MEM_DEFINED(bytes, len);
#else
  (void)bytes;
  (void)len;
#endif
}

#endif
