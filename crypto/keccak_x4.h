/* Four SHAKE sponges side by side in the 256-bit registers of AVX2, for short inputs of one length.
 * Spec: specs/kem.md [KEM-1], [KEM-9]. Called by mlkem768_avx2_sample.c alone, where there is AVX2.
 * Constant-time in inputs and state. The caller wipes a sponge that absorbed secrets.
 * Exists on x86-64 only; elsewhere keccak.h does the same one at a time.
 */
#ifndef TUNIC_CRYPTO_KECCAK_X4_H
#define TUNIC_CRYPTO_KECCAK_X4_H

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/keccak.h"

enum { KECCAK_X4 = 4 };

/* Lane i of sponge j is lanes[i][j]. */
struct keccak_x4 {
  alignas(32) uint64_t lanes[KECCAK_LANES][KECCAK_X4];
};

/* Four inputs of `len` bytes, less than `rate`, which is KECCAK_SHAKE128_RATE or KECCAK_SHAKE256_RATE. */
void keccak_x4_shake_init(struct keccak_x4 *sponges, size_t rate, const uint8_t *const inputs[KECCAK_X4],
                          size_t len);

/* The next `len` bytes of each sponge: at most the rate, a multiple of 8; the rest of a block is lost. */
void keccak_x4_squeeze(struct keccak_x4 *sponges, uint8_t *const ret_blocks[KECCAK_X4], size_t len);

#endif
