#include "crypto/keccak_x4.h"

#ifdef __x86_64__

#include <assert.h>
#include <sodium.h>
#include <string.h>

/* One lane of each of four sponges: a type with the operators of uint64_t, element by element. */
typedef uint64_t four_lanes __attribute__((vector_size(32)));

#define KECCAK_LANE four_lanes
#define KECCAK_INLINE static inline __attribute__((always_inline, target("avx2")))
#include "crypto/keccak_permutation.h"

__attribute__((target("avx2"))) static void permute(uint64_t lanes[KECCAK_LANES][KECCAK_X4]) {
  four_lanes local[KECCAK_LANES];
  memcpy(local, lanes, sizeof local);
  keccak_permute_lanes(local);
  memcpy(lanes, local, sizeof local);
}

/* x86 is little-endian, as FIPS 202 lays out lanes: bytes are copied as they are. */
void keccak_x4_shake_init(struct keccak_x4 *sponges, size_t rate, const uint8_t *const inputs[KECCAK_X4],
                          size_t len) {
  assert(len < rate && rate <= KECCAK_MAX_RATE);
  memset(sponges, 0, sizeof *sponges);
  uint64_t block[KECCAK_MAX_RATE / 8];
  for (size_t j = 0; j < KECCAK_X4; j++) {
    memset(block, 0, sizeof block);
    memcpy(block, inputs[j], len);
    ((uint8_t *)block)[len] = KECCAK_SHAKE_SUFFIX;
    ((uint8_t *)block)[rate - 1] |= 0x80;
    for (size_t i = 0; i < rate / 8; i++) sponges->lanes[i][j] = block[i];
  }
  sodium_memzero(block, sizeof block);
}

void keccak_x4_squeeze(struct keccak_x4 *sponges, uint8_t *const ret_blocks[KECCAK_X4], size_t len) {
  assert(len % 8 == 0 && len <= KECCAK_MAX_RATE);
  permute(sponges->lanes);
  for (size_t i = 0; i < len / 8; i++) {
    for (size_t j = 0; j < KECCAK_X4; j++) memcpy(ret_blocks[j] + 8 * i, &sponges->lanes[i][j], 8);
  }
}

#endif
