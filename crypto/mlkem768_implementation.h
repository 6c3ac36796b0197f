/* What of ML-KEM-768 exists twice, for any processor and for AVX2, and the KEM on a named one of the two.
 * Spec: specs/kem.md [KEM-9]. Internal to mlkem768*.c; the tests use it to run each implementation by name.
 * The public functions of mlkem768.h choose once per call; nothing here is remembered between calls.
 * Never differs in a single output bit: the tests hold both to the same vectors and to each other.
 */
#ifndef TUNIC_CRYPTO_MLKEM768_IMPLEMENTATION_H
#define TUNIC_CRYPTO_MLKEM768_IMPLEMENTATION_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/mlkem768.h"
#include "crypto/mlkem768_polynomial.h"

enum {
  MLKEM768_MATRIX_ENTRIES = MLKEM768_K * MLKEM768_K,
  MLKEM768_MAX_NOISE = 2 * MLKEM768_K + 1, /* what an encryption draws; key generation draws one less */
  /* [KEM-7] Blocks of SHAKE128 that one entry of the matrix may read: 560 candidates, the 280 turns of
   * algorithm 7's loop below which FIPS 203 appendix B allows no bound. Fewer than 256 pass with a
   * probability of 2^-261, so nobody can look for a seed that does it. */
  MLKEM768_MAX_UNIFORM_BLOCKS = 5,
};

struct mlkem768_implementation {
  const char *name;
  /* Algorithm 9. Takes coefficients in (-q, q), leaves them within q/2 of 0, in FIPS 203's order. */
  void (*forward)(struct mlkem768_polynomial *p);
  /* Algorithm 10, times 2^16, which undoes the factor of inner_product. Takes and leaves (-q, q). */
  void (*inverse)(struct mlkem768_polynomial *p);
  /* Algorithms 11 and 12, summed over k entries, times 2^-16. Takes coefficients of at most 4095 either way,
   * leaves (-q, q). */
  void (*inner_product)(struct mlkem768_polynomial *ret, const struct mlkem768_polynomial a[MLKEM768_K],
                        const struct mlkem768_polynomial b[MLKEM768_K]);
  /* p times 2^16, which undoes the factor of inner_product without an inverse. Takes any, leaves (-q, q). */
  void (*restore)(struct mlkem768_polynomial *p);
  /* The matrix A, or its transpose, row by row, from the public seed rho. */
  void (*expand_matrix)(struct mlkem768_polynomial ret[MLKEM768_MATRIX_ENTRIES],
                        const uint8_t rho[MLKEM768_SEED_BYTES], bool transposed);
  /* SamplePolyCBD_2(PRF_2(seed, n)) for n = 0 .. count - 1, count <= MLKEM768_MAX_NOISE. */
  void (*draw_noise)(struct mlkem768_polynomial *ret, size_t count, const uint8_t seed[MLKEM768_SEED_BYTES]);
};

const struct mlkem768_implementation *mlkem768_portable(void);

/* NULL where the processor lacks AVX2. */
const struct mlkem768_implementation *mlkem768_avx2(void);

/* mlkem768.h's functions, on the implementation given. */
void mlkem768_keypair_on(const struct mlkem768_implementation *on,
                         uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES],
                         uint8_t secret_key[MLKEM768_SECRET_KEY_BYTES],
                         const uint8_t seed[MLKEM768_KEY_SEED_BYTES]);
bool mlkem768_encapsulate_on(const struct mlkem768_implementation *on,
                             uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                             uint8_t shared[MLKEM768_SHARED_BYTES],
                             const uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES],
                             const uint8_t seed[MLKEM768_ENCAPS_SEED_BYTES]);
void mlkem768_decapsulate_on(const struct mlkem768_implementation *on, uint8_t shared[MLKEM768_SHARED_BYTES],
                             const uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                             const uint8_t secret_key[MLKEM768_SECRET_KEY_BYTES]);

#endif
