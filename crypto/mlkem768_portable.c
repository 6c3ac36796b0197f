#include <sodium.h>
#include <string.h>

#include "crypto/keccak.h"
#include "crypto/mlkem768_implementation.h"
#include "crypto/mlkem768_zetas.h"

/* [KEM-8] a times 2^-16 modulo q, for |a| < q 2^15; the result is in (-q, q). Signed Montgomery reduction:
 * the multiple of q that agrees with a in its low 16 bits is taken away, and the rest shifted down. Narrowing
 * is modulo 2^16 and shifts keep the sign, as the compilers this is built with define. */
static int16_t montgomery_reduce(int32_t a) {
  int16_t multiple = (int16_t)((uint32_t)a * (uint32_t)MLKEM768_INVERSE_Q);
  return (int16_t)((a - multiple * MLKEM768_Q) >> 16);
}

static int16_t multiply(int16_t a, int16_t b) {
  return montgomery_reduce((int32_t)a * b);
}

/* Each of the seven layers adds less than q, and 8 q fits 16 bits: one reduction, at the end. */
static void forward(struct mlkem768_polynomial *p) {
  size_t next_zeta = 1;
  for (size_t half = MLKEM768_N / 2; half >= 2; half /= 2) {
    for (size_t start = 0; start < MLKEM768_N; start += 2 * half) {
      int16_t zeta = mlkem768_zetas[next_zeta++];
      for (size_t i = start; i < start + half; i++) {
        int16_t low = p->at[i], high = multiply(p->at[i + half], zeta);
        p->at[i] = (int16_t)(low + high);
        p->at[i + half] = (int16_t)(low - high);
      }
    }
  }
  mlkem768_polynomial_reduce(p);
}

/* Sums double in every layer: below 8 q after three, reduced once, below 8 q again after the other four. */
static void inverse(struct mlkem768_polynomial *p) {
  size_t next_zeta = MLKEM768_ZETAS - 1;
  for (size_t half = 2; half <= MLKEM768_N / 2; half *= 2) {
    for (size_t start = 0; start < MLKEM768_N; start += 2 * half) {
      int16_t zeta = mlkem768_zetas[next_zeta--];
      for (size_t i = start; i < start + half; i++) {
        int16_t low = p->at[i], high = p->at[i + half];
        p->at[i] = (int16_t)(low + high);
        p->at[i + half] = multiply((int16_t)(high - low), zeta);
      }
    }
    if (half == 8) mlkem768_polynomial_reduce(p);
  }
  for (size_t i = 0; i < MLKEM768_N; i++) p->at[i] = multiply(p->at[i], MLKEM768_INVERSE_SCALE);
}

/* Algorithm 12 for each pair of coefficients, with one reduction for the sum of all entries: six products of
 * at most 4095 x 4095 stay below q 2^15. The zetas of neighbouring pairs differ in sign only. */
static void inner_product(struct mlkem768_polynomial *ret, const struct mlkem768_polynomial a[MLKEM768_K],
                          const struct mlkem768_polynomial b[MLKEM768_K]) {
  for (size_t i = 0; i < MLKEM768_N; i += 2) {
    int16_t zeta = mlkem768_zetas[MLKEM768_ZETAS / 2 + i / 4];
    if (i % 4 == 2) zeta = (int16_t)-zeta;
    int32_t even = 0, odd = 0;
    for (size_t k = 0; k < MLKEM768_K; k++) {
      int16_t a0 = a[k].at[i], a1 = a[k].at[i + 1], b0 = b[k].at[i], b1 = b[k].at[i + 1];
      even += a0 * b0 + a1 * multiply(b1, zeta);
      odd += a0 * b1 + a1 * b0;
    }
    ret->at[i] = montgomery_reduce(even);
    ret->at[i + 1] = montgomery_reduce(odd);
  }
}

static void restore(struct mlkem768_polynomial *p) {
  for (size_t i = 0; i < MLKEM768_N; i++) p->at[i] = multiply(p->at[i], MLKEM768_TWO_TO_32);
}

/* [KEM-7] SampleNTT (algorithm 7), at most MLKEM768_MAX_UNIFORM_BLOCKS long. */
static void expand_entry(struct mlkem768_polynomial *ret, const uint8_t rho[MLKEM768_SEED_BYTES], uint8_t row,
                         uint8_t column) {
  uint8_t input[MLKEM768_SEED_BYTES + 2], block[KECCAK_SHAKE128_RATE];
  memcpy(input, rho, MLKEM768_SEED_BYTES);
  input[MLKEM768_SEED_BYTES] = column; /* algorithm 13, line 5: rho, then j, then i */
  input[MLKEM768_SEED_BYTES + 1] = row;
  struct keccak_shake128 sponge;
  keccak_shake128_init(&sponge, input, sizeof input);
  size_t filled = 0;
  for (size_t i = 0; i < MLKEM768_MAX_UNIFORM_BLOCKS && filled < MLKEM768_N; i++) {
    keccak_shake128_squeeze(&sponge, block);
    filled = mlkem768_polynomial_sample_uniform(ret, filled, block, sizeof block);
  }
  mlkem768_polynomial_end_uniform(ret, filled);
}

static void expand_matrix(struct mlkem768_polynomial ret[MLKEM768_MATRIX_ENTRIES],
                          const uint8_t rho[MLKEM768_SEED_BYTES], bool transposed) {
  for (uint8_t i = 0; i < MLKEM768_K; i++) {
    for (uint8_t j = 0; j < MLKEM768_K; j++) {
      expand_entry(&ret[i * MLKEM768_K + j], rho, transposed ? j : i, transposed ? i : j);
    }
  }
}

static void draw_noise(struct mlkem768_polynomial *ret, size_t count,
                       const uint8_t seed[MLKEM768_SEED_BYTES]) {
  uint8_t input[MLKEM768_SEED_BYTES + 1], bytes[MLKEM768_BINOMIAL_BYTES];
  memcpy(input, seed, MLKEM768_SEED_BYTES);
  for (size_t i = 0; i < count; i++) {
    input[MLKEM768_SEED_BYTES] = (uint8_t)i;
    keccak_shake256(bytes, sizeof bytes, input, sizeof input);
    mlkem768_polynomial_sample_binomial(&ret[i], bytes);
  }
  sodium_memzero(input, sizeof input);
  sodium_memzero(bytes, sizeof bytes);
}

const struct mlkem768_implementation *mlkem768_portable(void) {
  static const struct mlkem768_implementation portable = {
      .name = "portable",
      .forward = forward,
      .inverse = inverse,
      .inner_product = inner_product,
      .restore = restore,
      .expand_matrix = expand_matrix,
      .draw_noise = draw_noise,
  };
  return &portable;
}
