#include "crypto/mlkem768_implementation.h"

#ifdef __x86_64__

#include <immintrin.h>

#include "crypto/mlkem768_avx2_sample.h"
#include "crypto/mlkem768_zetas.h"

/* [KEM-9] The same transforms as mlkem768_portable.c, sixteen coefficients a register, with the same
 * reductions at the same places: every intermediate value is equal, and its ranges hold here too. */
#define AVX2 __attribute__((target("avx2")))
#define AVX2_INLINE static inline __attribute__((always_inline, target("avx2")))

enum { PER_REGISTER = 16, REGISTERS = MLKEM768_N / PER_REGISTER };

typedef __m256i sixteen; /* signed 16-bit coefficients */

/* Two registers: the lower and the upper coefficients of sixteen butterflies. */
struct two {
  sixteen low, high;
};

AVX2_INLINE sixteen load(const struct mlkem768_polynomial *p, size_t i) {
  return _mm256_load_si256((const void *)&p->at[i * PER_REGISTER]);
}

AVX2_INLINE void store(struct mlkem768_polynomial *p, size_t i, sixteen a) {
  _mm256_store_si256((void *)&p->at[i * PER_REGISTER], a);
}

/* [KEM-8] a b 2^-16 modulo q: Montgomery's reduction. The low halves of a b and of the multiple of q are
 * equal, so the difference of the high halves is exact. */
AVX2_INLINE sixteen multiply(sixteen a, sixteen b) {
  sixteen multiple = _mm256_mullo_epi16(a, _mm256_mullo_epi16(b, _mm256_set1_epi16(MLKEM768_INVERSE_Q)));
  return _mm256_sub_epi16(_mm256_mulhi_epi16(a, b),
                          _mm256_mulhi_epi16(multiple, _mm256_set1_epi16(MLKEM768_Q)));
}

/* [KEM-8] Barrett's reduction: the rounding multiplication by 2^5 is a rounding shift by 10. */
AVX2_INLINE sixteen reduce(sixteen a) {
  sixteen quotient = _mm256_mulhi_epi16(a, _mm256_set1_epi16(20159));
  quotient = _mm256_mulhrs_epi16(quotient, _mm256_set1_epi16(1 << 5));
  return _mm256_sub_epi16(a, _mm256_mullo_epi16(quotient, _mm256_set1_epi16(MLKEM768_Q)));
}

AVX2_INLINE struct two forward_butterfly(struct two x, sixteen zeta) {
  sixteen product = multiply(x.high, zeta);
  return (struct two){_mm256_add_epi16(x.low, product), _mm256_sub_epi16(x.low, product)};
}

AVX2_INLINE struct two inverse_butterfly(struct two x, sixteen zeta) {
  return (struct two){_mm256_add_epi16(x.low, x.high), multiply(_mm256_sub_epi16(x.high, x.low), zeta)};
}

/* In the last three layers (the first three of the inverse) both halves of a butterfly lie in one register.
 * For two registers together, each of these three exchanges brings the lower halves into one and the upper
 * into the other. Each undoes itself. */
AVX2_INLINE struct two exchange_eights(struct two x) {
  return (struct two){_mm256_permute2x128_si256(x.low, x.high, 0x20),
                      _mm256_permute2x128_si256(x.low, x.high, 0x31)};
}

AVX2_INLINE struct two exchange_fours(struct two x) {
  return (struct two){_mm256_unpacklo_epi64(x.low, x.high), _mm256_unpackhi_epi64(x.low, x.high)};
}

AVX2_INLINE struct two exchange_twos(struct two x) {
  return (struct two){_mm256_blend_epi32(x.low, _mm256_slli_epi64(x.high, 32), 0xaa),
                      _mm256_blend_epi32(_mm256_srli_epi64(x.low, 32), x.high, 0xaa)};
}

/* Four or eight constants in a row, each repeated to fill a quarter or an eighth of a register. */
AVX2_INLINE sixteen spread_four(const int16_t *constants) {
  sixteen quarters = _mm256_cvtepu16_epi64(_mm_loadl_epi64((const void *)constants));
  quarters = _mm256_or_si256(quarters, _mm256_slli_epi64(quarters, 16));
  return _mm256_or_si256(quarters, _mm256_slli_epi64(quarters, 32));
}

AVX2_INLINE sixteen spread_eight(const int16_t *constants) {
  sixteen eighths = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)constants));
  return _mm256_or_si256(eighths, _mm256_slli_epi32(eighths, 16));
}

/* The zetas of the 32 coefficients of `pair` (of 8) in each of these layers, in the exchanges' order. */
AVX2_INLINE sixteen zetas_of_eights(size_t pair) {
  const int16_t *zeta = &mlkem768_zetas[16 + 2 * pair];
  return _mm256_set_m128i(_mm_set1_epi16(zeta[1]), _mm_set1_epi16(zeta[0]));
}

AVX2_INLINE sixteen zetas_of_fours(size_t pair) {
  return spread_four(&mlkem768_zetas[32 + 4 * pair]);
}

AVX2_INLINE sixteen zetas_of_twos(size_t pair) {
  return spread_eight(&mlkem768_zetas[64 + 8 * pair]);
}

/* The inverse takes a layer's zetas from the last to the first: it asks for the mirrored pair and turns it.
 */
AVX2_INLINE sixteen reversed(sixteen zetas) {
  return _mm256_permutevar8x32_epi32(zetas, _mm256_set_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

AVX2_INLINE struct two load_two(const struct mlkem768_polynomial *p, size_t low, size_t high) {
  return (struct two){load(p, low), load(p, high)};
}

AVX2_INLINE void store_two(struct mlkem768_polynomial *p, size_t low, size_t high, struct two x) {
  store(p, low, x.low);
  store(p, high, x.high);
}

AVX2 static void forward(struct mlkem768_polynomial *p) {
  size_t next_zeta = 1;
  for (size_t half = REGISTERS / 2; half >= 1; half /= 2) {
    for (size_t start = 0; start < REGISTERS; start += 2 * half) {
      sixteen zeta = _mm256_set1_epi16(mlkem768_zetas[next_zeta++]);
      for (size_t i = start; i < start + half; i++) {
        store_two(p, i, i + half, forward_butterfly(load_two(p, i, i + half), zeta));
      }
    }
  }
  for (size_t pair = 0; pair < REGISTERS / 2; pair++) {
    struct two x = exchange_eights(load_two(p, 2 * pair, 2 * pair + 1));
    x = exchange_fours(forward_butterfly(x, zetas_of_eights(pair)));
    x = exchange_twos(forward_butterfly(x, zetas_of_fours(pair)));
    x = exchange_twos(forward_butterfly(x, zetas_of_twos(pair)));
    x = exchange_eights(exchange_fours(x));
    store_two(p, 2 * pair, 2 * pair + 1, (struct two){reduce(x.low), reduce(x.high)});
  }
}

AVX2 static void inverse(struct mlkem768_polynomial *p) {
  for (size_t pair = 0; pair < REGISTERS / 2; pair++) {
    size_t mirrored = REGISTERS / 2 - 1 - pair;
    struct two x = exchange_eights(load_two(p, 2 * pair, 2 * pair + 1));
    x = exchange_twos(exchange_fours(x));
    x = exchange_twos(inverse_butterfly(x, reversed(zetas_of_twos(mirrored))));
    x = exchange_fours(inverse_butterfly(x, reversed(zetas_of_fours(mirrored))));
    x = exchange_eights(inverse_butterfly(x, reversed(zetas_of_eights(mirrored))));
    store_two(p, 2 * pair, 2 * pair + 1, (struct two){reduce(x.low), reduce(x.high)});
  }
  size_t next_zeta = REGISTERS - 1;
  for (size_t half = 1; half <= REGISTERS / 2; half *= 2) {
    for (size_t start = 0; start < REGISTERS; start += 2 * half) {
      sixteen zeta = _mm256_set1_epi16(mlkem768_zetas[next_zeta--]);
      for (size_t i = start; i < start + half; i++) {
        store_two(p, i, i + half, inverse_butterfly(load_two(p, i, i + half), zeta));
      }
    }
  }
  const sixteen scale = _mm256_set1_epi16(MLKEM768_INVERSE_SCALE);
  for (size_t i = 0; i < REGISTERS; i++) store(p, i, multiply(load(p, i), scale));
}

/* The two 32-bit sums of each pair, even and odd, reduced to 16 bits each: their low and their high halves
 * are brought together into the pair's places, and the rest is Montgomery's reduction as above. */
AVX2_INLINE sixteen reduce_sums(__m256i even, __m256i odd) {
  sixteen low = _mm256_blend_epi16(even, _mm256_slli_epi32(odd, 16), 0xaa);
  sixteen high = _mm256_blend_epi16(_mm256_srli_epi32(even, 16), odd, 0xaa);
  sixteen multiple = _mm256_mullo_epi16(low, _mm256_set1_epi16(MLKEM768_INVERSE_Q));
  return _mm256_sub_epi16(high, _mm256_mulhi_epi16(multiple, _mm256_set1_epi16(MLKEM768_Q)));
}

AVX2 static void inner_product(struct mlkem768_polynomial *ret,
                               const struct mlkem768_polynomial a[MLKEM768_K],
                               const struct mlkem768_polynomial b[MLKEM768_K]) {
  const sixteen signs = _mm256_set1_epi64x((int64_t)0xffffffff00010001); /* 1, 1, -1, -1 */
  for (size_t i = 0; i < REGISTERS; i++) {
    sixteen zeta = _mm256_sign_epi16(spread_four(&mlkem768_zetas[MLKEM768_ZETAS / 2 + 4 * i]), signs);
    __m256i even = _mm256_setzero_si256(), odd = _mm256_setzero_si256();
    for (size_t k = 0; k < MLKEM768_K; k++) {
      sixteen x = load(&a[k], i), y = load(&b[k], i);
      sixteen y_times_zeta = _mm256_blend_epi16(y, multiply(y, zeta), 0xaa); /* b0, b1 zeta */
      sixteen y_swapped = _mm256_or_si256(_mm256_slli_epi32(y, 16), _mm256_srli_epi32(y, 16));
      even = _mm256_add_epi32(even, _mm256_madd_epi16(x, y_times_zeta));
      odd = _mm256_add_epi32(odd, _mm256_madd_epi16(x, y_swapped));
    }
    store(ret, i, reduce_sums(even, odd));
  }
}

AVX2 static void restore(struct mlkem768_polynomial *p) {
  const sixteen factor = _mm256_set1_epi16(MLKEM768_TWO_TO_32);
  for (size_t i = 0; i < REGISTERS; i++) store(p, i, multiply(load(p, i), factor));
}

const struct mlkem768_implementation *mlkem768_avx2(void) {
  static const struct mlkem768_implementation avx2 = {
      .name = "AVX2",
      .forward = forward,
      .inverse = inverse,
      .inner_product = inner_product,
      .restore = restore,
      .expand_matrix = mlkem768_avx2_expand_matrix,
      .draw_noise = mlkem768_avx2_draw_noise,
  };
  return __builtin_cpu_supports("avx2") ? &avx2 : NULL;
}

#else

const struct mlkem768_implementation *mlkem768_avx2(void) {
  return NULL;
}

#endif
