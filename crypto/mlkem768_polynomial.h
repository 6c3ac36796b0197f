/* Polynomials of ML-KEM-768: 256 coefficients modulo q = 3329, and what of their arithmetic exists once.
 * Spec: specs/kem.md [KEM-2], [KEM-8]; FIPS 203 section 4.2. Internal to mlkem768*.c and their tests.
 * Coefficients are signed 16-bit values that stand for their residue; each function states the range it
 * takes. Never branches, indexes or divides on a coefficient, except in sampling the matrix, which is public.
 */
#ifndef TUNIC_CRYPTO_MLKEM768_POLYNOMIAL_H
#define TUNIC_CRYPTO_MLKEM768_POLYNOMIAL_H

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

enum {
  MLKEM768_Q = 3329,
  MLKEM768_N = 256,
  MLKEM768_K = 3,
  MLKEM768_U_BITS = 10,       /* d_u of FIPS 203 table 2 */
  MLKEM768_V_BITS = 4,        /* d_v */
  MLKEM768_RESIDUE_BITS = 12, /* an uncompressed coefficient */
  MLKEM768_SEED_BYTES = 32,
  MLKEM768_MESSAGE_BYTES = MLKEM768_N / 8,
  MLKEM768_POLYNOMIAL_BYTES = MLKEM768_N * MLKEM768_RESIDUE_BITS / 8,
  MLKEM768_BINOMIAL_BYTES = 2 * MLKEM768_N / 4, /* 64 eta, with eta_1 = eta_2 = 2 */
  MLKEM768_ALIGNMENT = 32,                      /* of a 256-bit vector */
};

struct mlkem768_polynomial {
  alignas(MLKEM768_ALIGNMENT) int16_t at[MLKEM768_N];
};

/* to += from. The sum has to fit 16 bits. */
void mlkem768_polynomial_add(struct mlkem768_polynomial *to, const struct mlkem768_polynomial *from);

/* to = from - to. */
void mlkem768_polynomial_subtract_from(struct mlkem768_polynomial *to,
                                       const struct mlkem768_polynomial *from);

/* Every coefficient, whatever it is, to its residue nearest to 0. */
void mlkem768_polynomial_reduce(struct mlkem768_polynomial *p);

/* Every coefficient, whatever it is, to its residue in 0 .. q-1. */
void mlkem768_polynomial_canonicalize(struct mlkem768_polynomial *p);

/* ByteEncode_12 (algorithm 5). Takes residues in 0 .. q-1. */
void mlkem768_polynomial_encode(uint8_t ret_bytes[MLKEM768_POLYNOMIAL_BYTES],
                                const struct mlkem768_polynomial *p);

/* ByteDecode_12 (algorithm 6) without its reduction: gives 0 .. 4095; below q if the bytes are canonical. */
void mlkem768_polynomial_decode(struct mlkem768_polynomial *ret,
                                const uint8_t bytes[MLKEM768_POLYNOMIAL_BYTES]);

/* Compress_d (4.7) and ByteEncode_d: 32 d bytes for d = 10 or 4. Takes residues in 0 .. q-1. */
void mlkem768_polynomial_compress_u(uint8_t *ret_bytes, const struct mlkem768_polynomial *p);
void mlkem768_polynomial_compress_v(uint8_t *ret_bytes, const struct mlkem768_polynomial *p);

/* ByteDecode_d and Decompress_d (4.8). Gives residues in 0 .. q-1. */
void mlkem768_polynomial_decompress_u(struct mlkem768_polynomial *ret, const uint8_t *bytes);
void mlkem768_polynomial_decompress_v(struct mlkem768_polynomial *ret, const uint8_t *bytes);

/* The same for d = 1: a message to the coefficients 0 and 1665, and the nearest message to a polynomial. */
void mlkem768_polynomial_from_message(struct mlkem768_polynomial *ret,
                                      const uint8_t message[MLKEM768_MESSAGE_BYTES]);
void mlkem768_polynomial_to_message(uint8_t ret_message[MLKEM768_MESSAGE_BYTES],
                                    const struct mlkem768_polynomial *p);

/* The rejection step of SampleNTT (algorithm 7) on public bytes, len divisible by 3. Returns how many
 * coefficients are there, `filled` of which were before: 256 once it is complete. */
size_t mlkem768_polynomial_sample_uniform(struct mlkem768_polynomial *ret, size_t filled,
                                          const uint8_t *bytes, size_t len);
/* [KEM-7] Ends it: zero as a whole if the bytes are used up and less than 256 coefficients are there. */
void mlkem768_polynomial_end_uniform(struct mlkem768_polynomial *ret, size_t filled);

/* SamplePolyCBD_2 (algorithm 8). Gives -2 .. 2. */
void mlkem768_polynomial_sample_binomial(struct mlkem768_polynomial *ret,
                                         const uint8_t bytes[MLKEM768_BINOMIAL_BYTES]);

#endif
