#include "crypto/keccak.h"

#include <sodium.h>
#include <string.h>

#define KECCAK_LANE uint64_t
#define KECCAK_INLINE static inline __attribute__((always_inline))
#include "crypto/keccak_permutation.h"

enum { LANE_BYTES = 8 };

static void permute(uint64_t lanes[KECCAK_LANES]) {
  uint64_t local[KECCAK_LANES]; /* a copy, so that the compiler may keep lanes in registers */
  memcpy(local, lanes, sizeof local);
  keccak_permute_lanes(local);
  memcpy(lanes, local, sizeof local);
}

/* Unrolled, these become one load or store: FIPS 202's lanes are little-endian. */
static uint64_t load_lane(const uint8_t *from) {
  uint64_t lane = 0;
#pragma GCC unroll 8
  for (size_t i = 0; i < LANE_BYTES; i++) lane |= (uint64_t)from[i] << (8 * i);
  return lane;
}

static void store_lane(uint8_t *to, uint64_t lane) {
#pragma GCC unroll 8
  for (size_t i = 0; i < LANE_BYTES; i++) to[i] = (uint8_t)(lane >> (8 * i));
}

static void add_block(uint64_t lanes[KECCAK_LANES], const uint8_t *block, size_t rate) {
  for (size_t i = 0; i < rate / LANE_BYTES; i++) lanes[i] ^= load_lane(block + i * LANE_BYTES);
}

/* Leaves the last block added and not yet permuted: squeezing permutes before each block it gives. */
static void absorb(uint64_t lanes[KECCAK_LANES], const uint8_t *input, size_t len, size_t rate,
                   uint8_t suffix) {
  memset(lanes, 0, KECCAK_LANES * sizeof *lanes);
  for (; len >= rate; input += rate, len -= rate) {
    add_block(lanes, input, rate);
    permute(lanes);
  }
  uint8_t last[KECCAK_MAX_RATE] = {0};
  memcpy(last, input, len);
  last[len] = suffix;
  last[rate - 1] |= 0x80; /* FIPS 202 section 5.1: the padding's last bit */
  add_block(lanes, last, rate);
  sodium_memzero(last, sizeof last);
}

static void squeeze_block(uint64_t lanes[KECCAK_LANES], uint8_t *ret_block, size_t len) {
  permute(lanes);
  size_t whole = len / LANE_BYTES;
  for (size_t i = 0; i < whole; i++) store_lane(ret_block + i * LANE_BYTES, lanes[i]);
  for (size_t i = whole * LANE_BYTES; i < len; i++) {
    ret_block[i] = (uint8_t)(lanes[whole] >> (8 * (i % LANE_BYTES)));
  }
}

static void sponge(uint8_t *ret_output, size_t output_len, const uint8_t *input, size_t len, size_t rate,
                   uint8_t suffix) {
  uint64_t lanes[KECCAK_LANES];
  absorb(lanes, input, len, rate, suffix);
  for (; output_len > rate; ret_output += rate, output_len -= rate) squeeze_block(lanes, ret_output, rate);
  squeeze_block(lanes, ret_output, output_len);
  sodium_memzero(lanes, sizeof lanes);
}

/* [KEM-1] SHA3-256 is H, SHA3-512 is G, SHAKE256 is J and PRF, SHAKE128 is XOF: FIPS 202 section 6. */
void keccak_sha3_256(uint8_t ret_digest[KECCAK_SHA3_256_BYTES], const uint8_t *input, size_t len) {
  sponge(ret_digest, KECCAK_SHA3_256_BYTES, input, len, KECCAK_SHA3_256_RATE, KECCAK_SHA3_SUFFIX);
}

void keccak_sha3_512(uint8_t ret_digest[KECCAK_SHA3_512_BYTES], const uint8_t *input, size_t len) {
  sponge(ret_digest, KECCAK_SHA3_512_BYTES, input, len, KECCAK_SHA3_512_RATE, KECCAK_SHA3_SUFFIX);
}

void keccak_shake256(uint8_t *ret_output, size_t output_len, const uint8_t *input, size_t len) {
  sponge(ret_output, output_len, input, len, KECCAK_SHAKE256_RATE, KECCAK_SHAKE_SUFFIX);
}

void keccak_shake128_init(struct keccak_shake128 *sponge, const uint8_t *input, size_t len) {
  absorb(sponge->lanes, input, len, KECCAK_SHAKE128_RATE, KECCAK_SHAKE_SUFFIX);
}

void keccak_shake128_squeeze(struct keccak_shake128 *sponge, uint8_t ret_block[KECCAK_SHAKE128_RATE]) {
  squeeze_block(sponge->lanes, ret_block, KECCAK_SHAKE128_RATE);
}
