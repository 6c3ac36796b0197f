#include "crypto/mlkem768_polynomial.h"

#include <assert.h>
#include <string.h>

void mlkem768_polynomial_add(struct mlkem768_polynomial *restrict to,
                             const struct mlkem768_polynomial *restrict from) {
  for (size_t i = 0; i < MLKEM768_N; i++) to->at[i] = (int16_t)(to->at[i] + from->at[i]);
}

void mlkem768_polynomial_subtract_from(struct mlkem768_polynomial *restrict to,
                                       const struct mlkem768_polynomial *restrict from) {
  for (size_t i = 0; i < MLKEM768_N; i++) to->at[i] = (int16_t)(from->at[i] - to->at[i]);
}

/* [KEM-8] Any 16-bit number to within q/2 of 0. Barrett reduction: 20159 is 2^26 / q, rounded. */
static inline int16_t reduce(int16_t a) {
  int32_t quotient = (((int32_t)a * 20159 >> 16) + 512) >> 10;
  return (int16_t)(a - quotient * MLKEM768_Q);
}

void mlkem768_polynomial_reduce(struct mlkem768_polynomial *p) {
  for (size_t i = 0; i < MLKEM768_N; i++) p->at[i] = reduce(p->at[i]);
}

/* [KEM-8] Adds q under a mask made of the sign: no comparison that could become a branch. */
void mlkem768_polynomial_canonicalize(struct mlkem768_polynomial *p) {
  for (size_t i = 0; i < MLKEM768_N; i++) {
    int16_t c = reduce(p->at[i]);
    p->at[i] = (int16_t)(c + (c >> 15 & MLKEM768_Q));
  }
}

/* Algorithms 3 to 6: four values of d bits, the first lowest, are d / 2 whole bytes for every even d. The
 * small loops of this file ask to be unrolled: left to -O2 they cost a third of an encapsulation. */
static inline void pack_four(uint8_t *to, const uint64_t values[4], unsigned d) {
  uint64_t word = values[0] | values[1] << d | values[2] << 2 * d | values[3] << 3 * d;
#pragma GCC unroll 6
  for (unsigned i = 0; i < d / 2; i++) to[i] = (uint8_t)(word >> 8 * i);
}

static inline void unpack_four(uint32_t ret_values[4], const uint8_t *from, unsigned d) {
  uint64_t word = 0;
#pragma GCC unroll 6
  for (unsigned i = 0; i < d / 2; i++) word |= (uint64_t)from[i] << 8 * i;
#pragma GCC unroll 4
  for (unsigned i = 0; i < 4; i++) ret_values[i] = (uint32_t)(word >> i * d & ((1U << d) - 1));
}

/* [KEM-8] Compress_d without a division, whose time may depend on the operand: floor(((x << d) + q / 2) / q)
 * as a multiplication by ceil(2^34 / q), exact for every residue and every d here (a unit test tries all). */
static inline uint64_t compress(int16_t residue, unsigned d) {
  const uint64_t reciprocal = 5160670;
  uint64_t scaled = ((uint64_t)(uint16_t)residue << d) + MLKEM768_Q / 2;
  return scaled * reciprocal >> 34 & ((1U << d) - 1);
}

static inline int16_t decompress(uint32_t value, unsigned d) {
  return (int16_t)((value * MLKEM768_Q + (1U << (d - 1))) >> d);
}

void mlkem768_polynomial_encode(uint8_t ret_bytes[MLKEM768_POLYNOMIAL_BYTES],
                                const struct mlkem768_polynomial *p) {
  for (size_t i = 0; i < MLKEM768_N; i += 4, ret_bytes += MLKEM768_RESIDUE_BITS / 2) {
    const int16_t *c = &p->at[i];
    uint64_t values[4] = {(uint16_t)c[0], (uint16_t)c[1], (uint16_t)c[2], (uint16_t)c[3]};
    pack_four(ret_bytes, values, MLKEM768_RESIDUE_BITS);
  }
}

void mlkem768_polynomial_decode(struct mlkem768_polynomial *ret,
                                const uint8_t bytes[MLKEM768_POLYNOMIAL_BYTES]) {
  for (size_t i = 0; i < MLKEM768_N; i += 4, bytes += MLKEM768_RESIDUE_BITS / 2) {
    uint32_t values[4];
    unpack_four(values, bytes, MLKEM768_RESIDUE_BITS);
#pragma GCC unroll 4
    for (size_t j = 0; j < 4; j++) ret->at[i + j] = (int16_t)values[j];
  }
}

static inline void compress_polynomial(uint8_t *to, const struct mlkem768_polynomial *p, unsigned d) {
  for (size_t i = 0; i < MLKEM768_N; i += 4, to += d / 2) {
    const int16_t *c = &p->at[i];
    uint64_t values[4] = {compress(c[0], d), compress(c[1], d), compress(c[2], d), compress(c[3], d)};
    pack_four(to, values, d);
  }
}

static inline void decompress_polynomial(struct mlkem768_polynomial *ret, const uint8_t *from, unsigned d) {
  for (size_t i = 0; i < MLKEM768_N; i += 4, from += d / 2) {
    uint32_t values[4];
    unpack_four(values, from, d);
#pragma GCC unroll 4
    for (size_t j = 0; j < 4; j++) ret->at[i + j] = decompress(values[j], d);
  }
}

void mlkem768_polynomial_compress_u(uint8_t *ret_bytes, const struct mlkem768_polynomial *p) {
  compress_polynomial(ret_bytes, p, MLKEM768_U_BITS);
}

void mlkem768_polynomial_compress_v(uint8_t *ret_bytes, const struct mlkem768_polynomial *p) {
  compress_polynomial(ret_bytes, p, MLKEM768_V_BITS);
}

void mlkem768_polynomial_decompress_u(struct mlkem768_polynomial *ret, const uint8_t *bytes) {
  decompress_polynomial(ret, bytes, MLKEM768_U_BITS);
}

void mlkem768_polynomial_decompress_v(struct mlkem768_polynomial *ret, const uint8_t *bytes) {
  decompress_polynomial(ret, bytes, MLKEM768_V_BITS);
}

/* [KEM-8] All ones for the bit 1. Read back through a volatile, because a compiler that sees a mask made of a
 * bit and applied to a constant may turn the pair into a branch on the bit: here a bit of the message. */
static uint16_t mask_of_bit(unsigned bit) {
  volatile uint16_t mask = (uint16_t)(0U - bit);
  return mask;
}

void mlkem768_polynomial_from_message(struct mlkem768_polynomial *ret,
                                      const uint8_t message[MLKEM768_MESSAGE_BYTES]) {
  const uint16_t half = (MLKEM768_Q + 1) / 2;
  for (size_t i = 0; i < MLKEM768_N; i++) {
    ret->at[i] = (int16_t)(mask_of_bit(message[i / 8] >> i % 8 & 1U) & half);
  }
}

void mlkem768_polynomial_to_message(uint8_t ret_message[MLKEM768_MESSAGE_BYTES],
                                    const struct mlkem768_polynomial *p) {
  for (size_t i = 0; i < MLKEM768_MESSAGE_BYTES; i++) {
    uint64_t byte = 0;
#pragma GCC unroll 8
    for (size_t j = 0; j < 8; j++) byte |= compress(p->at[8 * i + j], 1) << j;
    ret_message[i] = (uint8_t)byte;
  }
}

/* The candidate is always stored and the count moves on only if it is below q: the bytes come from the public
 * seed, so a branch would be allowed, but one that is mispredicted every fifth time is slow. */
size_t mlkem768_polynomial_sample_uniform(struct mlkem768_polynomial *ret, size_t filled,
                                          const uint8_t *bytes, size_t len) {
  assert(len % 3 == 0);
  int16_t *at = ret->at;
  for (size_t i = 0; i < len && filled < MLKEM768_N; i += 3) {
    unsigned first = bytes[i] | (bytes[i + 1] & 0x0fU) << 8;
    unsigned second = bytes[i + 1] >> 4 | (unsigned)bytes[i + 2] << 4;
    at[filled] = (int16_t)first;
    filled += first < MLKEM768_Q;
    if (filled == MLKEM768_N) break;
    at[filled] = (int16_t)second;
    filled += second < MLKEM768_Q;
  }
  return filled;
}

/* [KEM-7] What is incomplete is destroyed, and the one value that stands for it is zero. */
void mlkem768_polynomial_end_uniform(struct mlkem768_polynomial *ret, size_t filled) {
  if (filled < MLKEM768_N) memset(ret, 0, sizeof *ret);
}

/* Two bits against two bits, sixteen coefficients a 64-bit word: each pair of bits is added in place, then
 * each coefficient is the difference of two neighbouring sums. */
void mlkem768_polynomial_sample_binomial(struct mlkem768_polynomial *ret,
                                         const uint8_t bytes[MLKEM768_BINOMIAL_BYTES]) {
  const uint64_t even_bits = 0x5555555555555555;
  for (size_t i = 0; i < MLKEM768_N; i += 16, bytes += 8) {
    uint64_t word = 0;
#pragma GCC unroll 8
    for (size_t j = 0; j < 8; j++) word |= (uint64_t)bytes[j] << 8 * j;
    uint64_t sums = (word & even_bits) + (word >> 1 & even_bits);
#pragma GCC unroll 16
    for (size_t j = 0; j < 16; j++) {
      ret->at[i + j] = (int16_t)((int)(sums >> 4 * j & 3) - (int)(sums >> (4 * j + 2) & 3));
    }
  }
}
