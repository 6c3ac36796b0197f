#include "crypto/mlkem768_avx2_sample.h"

#ifdef __x86_64__

#include <immintrin.h>
#include <sodium.h>
#include <string.h>

#include "crypto/keccak_x4.h"

#define AVX2 __attribute__((target("avx2")))

enum {
  CANDIDATES = 16, /* looked at together: a register of 16-bit values */
  CANDIDATE_BYTES = CANDIDATES * 3 / 2,
};

/* By which of four candidates are accepted: the bytes of those, moved to the front by a shuffle. Public data
 * alone chooses the entry. */
static const uint64_t bytes_of_accepted[16] = {
    0xffffffffffffffff, 0xffffffffffff0100, 0xffffffffffff0302, 0xffffffff03020100,
    0xffffffffffff0504, 0xffffffff05040100, 0xffffffff05040302, 0xffff050403020100,
    0xffffffffffff0706, 0xffffffff07060100, 0xffffffff07060302, 0xffff070603020100,
    0xffffffff07060504, 0xffff070605040100, 0xffff070605040302, 0x0706050403020100,
};

/* Sixteen 12-bit numbers: each register half takes twelve bytes, of which every even number is the low bits
 * of a pair of bytes and every odd one the high bits. */
AVX2 static inline __m256i unpack_candidates(const uint8_t bytes[CANDIDATE_BYTES]) {
  __m256i both = _mm256_loadu2_m128i((const void *)(bytes + 8), (const void *)bytes);
  const __m256i pairs =
      _mm256_set_epi8(15, 14, 14, 13, 12, 11, 11, 10, 9, 8, 8, 7, 6, 5, 5, 4, /* from byte 8 on */
                      11, 10, 10, 9, 8, 7, 7, 6, 5, 4, 4, 3, 2, 1, 1, 0);
  both = _mm256_shuffle_epi8(both, pairs);
  return _mm256_blend_epi16(_mm256_and_si256(both, _mm256_set1_epi16(0x0fff)), _mm256_srli_epi16(both, 4),
                            0xaa);
}

/* mlkem768_polynomial_sample_uniform, sixteen candidates a step for as long as there is room for sixteen. */
AVX2 static size_t sample_uniform(struct mlkem768_polynomial *ret, size_t filled, const uint8_t *bytes,
                                  size_t len) {
  size_t done = 0;
  for (; len - done >= CANDIDATE_BYTES && filled + CANDIDATES <= MLKEM768_N; done += CANDIDATE_BYTES) {
    __m256i all = unpack_candidates(bytes + done);
    __m256i below = _mm256_cmpgt_epi16(_mm256_set1_epi16(MLKEM768_Q), all);
    __m128i accepted_bytes =
        _mm_packs_epi16(_mm256_castsi256_si128(below), _mm256_extracti128_si256(below, 1));
    unsigned accepted = (unsigned)_mm_movemask_epi8(accepted_bytes);
    uint64_t fours[CANDIDATES / 4];
    _mm256_storeu_si256((void *)fours, all);
    for (size_t i = 0; i < CANDIDATES / 4; i++, accepted >>= 4) {
      __m128i moved = _mm_shuffle_epi8(_mm_cvtsi64_si128((long long)fours[i]),
                                       _mm_cvtsi64_si128((long long)bytes_of_accepted[accepted & 15]));
      _mm_storel_epi64((void *)&ret->at[filled], moved);
      filled += (size_t)__builtin_popcount(accepted & 15);
    }
  }
  return mlkem768_polynomial_sample_uniform(ret, filled, bytes + done, len - done);
}

/* mlkem768_polynomial_sample_binomial, 64 coefficients a step: each is half a byte, two bits against two. */
AVX2 static void sample_binomial(struct mlkem768_polynomial *ret,
                                 const uint8_t bytes[MLKEM768_BINOMIAL_BYTES]) {
  const __m256i even_bits = _mm256_set1_epi8(0x55), even_pairs = _mm256_set1_epi8(0x33);
  const __m256i low_half = _mm256_set1_epi8(0x0f), three = _mm256_set1_epi8(3);
  for (size_t i = 0; i < MLKEM768_N; i += 64, bytes += 32) {
    __m256i bits = _mm256_loadu_si256((const void *)bytes);
    __m256i sums = _mm256_add_epi8(_mm256_and_si256(bits, even_bits),
                                   _mm256_and_si256(_mm256_srli_epi16(bits, 1), even_bits));
    /* The difference plus three, so that no half byte borrows from the next. */
    __m256i differences = _mm256_add_epi8(_mm256_and_si256(sums, even_pairs), even_pairs);
    differences = _mm256_sub_epi8(differences, _mm256_and_si256(_mm256_srli_epi16(sums, 2), even_pairs));
    __m256i even = _mm256_sub_epi8(_mm256_and_si256(differences, low_half), three);
    __m256i odd = _mm256_sub_epi8(_mm256_and_si256(_mm256_srli_epi16(differences, 4), low_half), three);
    __m256i first = _mm256_unpacklo_epi8(even, odd), second = _mm256_unpackhi_epi8(even, odd);
    __m256i *to = (void *)&ret->at[i];
    _mm256_store_si256(to, _mm256_cvtepi8_epi16(_mm256_castsi256_si128(first)));
    _mm256_store_si256(to + 1, _mm256_cvtepi8_epi16(_mm256_castsi256_si128(second)));
    _mm256_store_si256(to + 2, _mm256_cvtepi8_epi16(_mm256_extracti128_si256(first, 1)));
    _mm256_store_si256(to + 3, _mm256_cvtepi8_epi16(_mm256_extracti128_si256(second, 1)));
  }
}

/* [KEM-7] SampleNTT for `count` (at most 4) entries of the matrix from number `first` on; a sponge too many
 * computes for nothing. */
static void expand_entries(struct mlkem768_polynomial *matrix, size_t first, size_t count,
                           const uint8_t rho[MLKEM768_SEED_BYTES], bool transposed) {
  uint8_t inputs[KECCAK_X4][MLKEM768_SEED_BYTES + 2], blocks[KECCAK_X4][KECCAK_SHAKE128_RATE];
  for (size_t j = 0; j < KECCAK_X4; j++) {
    uint8_t row = (uint8_t)((first + j) / MLKEM768_K), column = (uint8_t)((first + j) % MLKEM768_K);
    memcpy(inputs[j], rho, MLKEM768_SEED_BYTES);
    inputs[j][MLKEM768_SEED_BYTES] = transposed ? row : column;
    inputs[j][MLKEM768_SEED_BYTES + 1] = transposed ? column : row;
  }
  struct keccak_x4 sponges;
  keccak_x4_shake_init(&sponges, KECCAK_SHAKE128_RATE,
                       (const uint8_t *const[]){inputs[0], inputs[1], inputs[2], inputs[3]},
                       sizeof inputs[0]);
  size_t filled[KECCAK_X4] = {0}, complete = 0;
  for (size_t i = 0; i < MLKEM768_MAX_UNIFORM_BLOCKS && complete < count; i++) {
    keccak_x4_squeeze(&sponges, (uint8_t *const[]){blocks[0], blocks[1], blocks[2], blocks[3]},
                      sizeof blocks[0]);
    complete = 0;
    for (size_t j = 0; j < count; j++) {
      filled[j] = sample_uniform(&matrix[first + j], filled[j], blocks[j], sizeof blocks[j]);
      complete += filled[j] == MLKEM768_N;
    }
  }
  for (size_t j = 0; j < count; j++) mlkem768_polynomial_end_uniform(&matrix[first + j], filled[j]);
}

static size_t at_most_four(size_t count) {
  return count < KECCAK_X4 ? count : KECCAK_X4;
}

void mlkem768_avx2_expand_matrix(struct mlkem768_polynomial ret[MLKEM768_MATRIX_ENTRIES],
                                 const uint8_t rho[MLKEM768_SEED_BYTES], bool transposed) {
  for (size_t i = 0; i < MLKEM768_MATRIX_ENTRIES; i += KECCAK_X4) {
    expand_entries(ret, i, at_most_four(MLKEM768_MATRIX_ENTRIES - i), rho, transposed);
  }
}

void mlkem768_avx2_draw_noise(struct mlkem768_polynomial *ret, size_t count,
                              const uint8_t seed[MLKEM768_SEED_BYTES]) {
  uint8_t inputs[KECCAK_X4][MLKEM768_SEED_BYTES + 1], bytes[KECCAK_X4][MLKEM768_BINOMIAL_BYTES];
  struct keccak_x4 sponges;
  for (size_t i = 0; i < count; i += KECCAK_X4) {
    for (size_t j = 0; j < KECCAK_X4; j++) {
      memcpy(inputs[j], seed, MLKEM768_SEED_BYTES);
      inputs[j][MLKEM768_SEED_BYTES] = (uint8_t)(i + j);
    }
    keccak_x4_shake_init(&sponges, KECCAK_SHAKE256_RATE,
                         (const uint8_t *const[]){inputs[0], inputs[1], inputs[2], inputs[3]},
                         sizeof inputs[0]);
    keccak_x4_squeeze(&sponges, (uint8_t *const[]){bytes[0], bytes[1], bytes[2], bytes[3]}, sizeof bytes[0]);
    for (size_t j = 0; j < at_most_four(count - i); j++) sample_binomial(&ret[i + j], bytes[j]);
  }
  sodium_memzero(inputs, sizeof inputs);
  sodium_memzero(bytes, sizeof bytes);
  sodium_memzero(&sponges, sizeof sponges);
}

#endif
