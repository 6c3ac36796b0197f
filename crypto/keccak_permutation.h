/* Keccak-f[1600] (FIPS 202 section 3), written once for any type that has the operators ^ & ~ << >>.
 * Spec: specs/kem.md [KEM-1]. Included by keccak.c (one sponge) and keccak_x4.c (four).
 * The includer defines KECCAK_LANE, the type of a lane, and KECCAK_INLINE, how its functions are declared.
 * Never branches or indexes on the state.
 */
#ifndef TUNIC_CRYPTO_KECCAK_PERMUTATION_H
#define TUNIC_CRYPTO_KECCAK_PERMUTATION_H

#include <stddef.h>
#include <stdint.h>

enum { KECCAK_ROUNDS = 24 };

/* Section 3.2.5, iota. */
static const uint64_t keccak_round_constants[KECCAK_ROUNDS] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000a, 0x000000008000808b, 0x800000000000008b, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

KECCAK_INLINE KECCAK_LANE keccak_rotate(KECCAK_LANE lane, int bits) {
  return lane << bits | lane >> (64 - bits);
}

/* Section 3.2.4, chi, on one plane. */
KECCAK_INLINE void keccak_chi(KECCAK_LANE *to, KECCAK_LANE b0, KECCAK_LANE b1, KECCAK_LANE b2, KECCAK_LANE b3,
                              KECCAK_LANE b4) {
  to[0] = b0 ^ (~b1 & b2);
  to[1] = b1 ^ (~b2 & b3);
  to[2] = b2 ^ (~b3 & b4);
  to[3] = b3 ^ (~b4 & b0);
  to[4] = b4 ^ (~b0 & b1);
}

/* One round: lane (x, y) is at 5y + x. Each plane of the result takes its five lanes from where pi (3.2.3)
 * says, turned by rho's offset (3.2.2), with theta's column sums (3.2.1) added on the way. */
KECCAK_INLINE void keccak_round(KECCAK_LANE to[25], const KECCAK_LANE from[25], uint64_t constant) {
  KECCAK_LANE c0 = from[0] ^ from[5] ^ from[10] ^ from[15] ^ from[20];
  KECCAK_LANE c1 = from[1] ^ from[6] ^ from[11] ^ from[16] ^ from[21];
  KECCAK_LANE c2 = from[2] ^ from[7] ^ from[12] ^ from[17] ^ from[22];
  KECCAK_LANE c3 = from[3] ^ from[8] ^ from[13] ^ from[18] ^ from[23];
  KECCAK_LANE c4 = from[4] ^ from[9] ^ from[14] ^ from[19] ^ from[24];
  KECCAK_LANE d0 = c4 ^ keccak_rotate(c1, 1);
  KECCAK_LANE d1 = c0 ^ keccak_rotate(c2, 1);
  KECCAK_LANE d2 = c1 ^ keccak_rotate(c3, 1);
  KECCAK_LANE d3 = c2 ^ keccak_rotate(c4, 1);
  KECCAK_LANE d4 = c3 ^ keccak_rotate(c0, 1);
  keccak_chi(to, from[0] ^ d0, keccak_rotate(from[6] ^ d1, 44), keccak_rotate(from[12] ^ d2, 43),
             keccak_rotate(from[18] ^ d3, 21), keccak_rotate(from[24] ^ d4, 14));
  to[0] ^= constant;
  keccak_chi(to + 5, keccak_rotate(from[3] ^ d3, 28), keccak_rotate(from[9] ^ d4, 20),
             keccak_rotate(from[10] ^ d0, 3), keccak_rotate(from[16] ^ d1, 45),
             keccak_rotate(from[22] ^ d2, 61));
  keccak_chi(to + 10, keccak_rotate(from[1] ^ d1, 1), keccak_rotate(from[7] ^ d2, 6),
             keccak_rotate(from[13] ^ d3, 25), keccak_rotate(from[19] ^ d4, 8),
             keccak_rotate(from[20] ^ d0, 18));
  keccak_chi(to + 15, keccak_rotate(from[4] ^ d4, 27), keccak_rotate(from[5] ^ d0, 36),
             keccak_rotate(from[11] ^ d1, 10), keccak_rotate(from[17] ^ d2, 15),
             keccak_rotate(from[23] ^ d3, 56));
  keccak_chi(to + 20, keccak_rotate(from[2] ^ d2, 62), keccak_rotate(from[8] ^ d3, 55),
             keccak_rotate(from[14] ^ d4, 39), keccak_rotate(from[15] ^ d0, 41),
             keccak_rotate(from[21] ^ d1, 2));
}

/* Two rounds a turn, to and fro between the state and a copy, so that nothing is moved. */
KECCAK_INLINE void keccak_permute_lanes(KECCAK_LANE lanes[25]) {
  KECCAK_LANE other[25];
  for (size_t round = 0; round < KECCAK_ROUNDS; round += 2) {
    keccak_round(other, lanes, keccak_round_constants[round]);
    keccak_round(lanes, other, keccak_round_constants[round + 1]);
  }
}

#endif
