/* The sampling half of ML-KEM-768 with AVX2: matrix and noise, four sponges at a time.
 * Spec: specs/kem.md [KEM-7], [KEM-9]. Called through mlkem768_avx2.c's table alone.
 * Constant-time in the noise and its seed; the matrix and its seed are public.
 * Never gives other coefficients than mlkem768_portable.c. Exists on x86-64 only.
 */
#ifndef TUNIC_CRYPTO_MLKEM768_AVX2_SAMPLE_H
#define TUNIC_CRYPTO_MLKEM768_AVX2_SAMPLE_H

#include <stdbool.h>

#include "crypto/mlkem768_implementation.h"

void mlkem768_avx2_expand_matrix(struct mlkem768_polynomial ret[MLKEM768_MATRIX_ENTRIES],
                                 const uint8_t rho[MLKEM768_SEED_BYTES], bool transposed);

void mlkem768_avx2_draw_noise(struct mlkem768_polynomial *ret, size_t count,
                              const uint8_t seed[MLKEM768_SEED_BYTES]);

#endif
