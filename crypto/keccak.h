/* Keccak (FIPS 202): SHA3-256, SHA3-512, SHAKE256, and SHAKE128 a block at a time.
 * Spec: specs/kem.md [KEM-1]. Called by mlkem768*.c alone: ML-KEM needs these and libsodium lacks them.
 * Constant-time in the contents of its input; its time depends on lengths only. Wipes its state.
 * Never used for anything else here: hashing and key derivation elsewhere are BLAKE2b.
 */
#ifndef TUNIC_CRYPTO_KECCAK_H
#define TUNIC_CRYPTO_KECCAK_H

#include <stddef.h>
#include <stdint.h>

enum {
  KECCAK_LANES = 25,
  KECCAK_SHAKE128_RATE = 168,
  KECCAK_SHAKE256_RATE = 136,
  KECCAK_SHA3_256_RATE = 136,
  KECCAK_SHA3_512_RATE = 72,
  KECCAK_MAX_RATE = KECCAK_SHAKE128_RATE,
  KECCAK_SHA3_256_BYTES = 32,
  KECCAK_SHA3_512_BYTES = 64,
  /* FIPS 202 section 6: the bits that tell the two families apart, and the first bit of the padding. */
  KECCAK_SHA3_SUFFIX = 0x06,
  KECCAK_SHAKE_SUFFIX = 0x1f,
};

/* A sponge that has absorbed its input and gives blocks; the caller wipes it if the input was secret. */
struct keccak_shake128 {
  uint64_t lanes[KECCAK_LANES];
};

void keccak_sha3_256(uint8_t ret_digest[KECCAK_SHA3_256_BYTES], const uint8_t *input, size_t len);
void keccak_sha3_512(uint8_t ret_digest[KECCAK_SHA3_512_BYTES], const uint8_t *input, size_t len);
void keccak_shake256(uint8_t *ret_output, size_t output_len, const uint8_t *input, size_t len);

void keccak_shake128_init(struct keccak_shake128 *sponge, const uint8_t *input, size_t len);
/* The next 168 bytes of output. */
void keccak_shake128_squeeze(struct keccak_shake128 *sponge, uint8_t ret_block[KECCAK_SHAKE128_RATE]);

#endif
