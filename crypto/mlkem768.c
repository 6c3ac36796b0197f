#include "crypto/mlkem768.h"

#include <sodium.h>
#include <string.h>

#include "crypto/declassify.h"
#include "crypto/keccak.h"
#include "crypto/mlkem768_implementation.h"

enum {
  VECTOR_BYTES = MLKEM768_K * MLKEM768_POLYNOMIAL_BYTES,
  U_BYTES = MLKEM768_N * MLKEM768_U_BITS / 8,
  V_BYTES = MLKEM768_N * MLKEM768_V_BITS / 8,
  HASH_BYTES = KECCAK_SHA3_256_BYTES,
  /* The expanded secret key: s, the public key, its hash, z. */
  SECRET_PUBLIC_KEY = VECTOR_BYTES,
  SECRET_HASH = SECRET_PUBLIC_KEY + MLKEM768_PUBLIC_KEY_BYTES,
  SECRET_Z = SECRET_HASH + HASH_BYTES,
};

/* [KEM-2] */
_Static_assert((int)MLKEM768_PUBLIC_KEY_BYTES == (int)VECTOR_BYTES + (int)MLKEM768_SEED_BYTES, "t, then rho");
_Static_assert(MLKEM768_SECRET_KEY_BYTES == SECRET_Z + MLKEM768_SEED_BYTES, "s, ek, H(ek), z");
_Static_assert(MLKEM768_CIPHERTEXT_BYTES == MLKEM768_K * U_BYTES + V_BYTES, "u, then v");
_Static_assert((int)MLKEM768_ENCAPS_SEED_BYTES == (int)MLKEM768_MESSAGE_BYTES,
               "m is the message that is encrypted");
_Static_assert(MLKEM768_KEY_SEED_BYTES == 2 * MLKEM768_SEED_BYTES, "d, then z");

static void encode_vector(uint8_t ret_bytes[VECTOR_BYTES],
                          const struct mlkem768_polynomial vector[MLKEM768_K]) {
  for (size_t i = 0; i < MLKEM768_K; i++) {
    mlkem768_polynomial_encode(ret_bytes + i * MLKEM768_POLYNOMIAL_BYTES, &vector[i]);
  }
}

static void decode_vector(struct mlkem768_polynomial ret[MLKEM768_K], const uint8_t bytes[VECTOR_BYTES]) {
  for (size_t i = 0; i < MLKEM768_K; i++) {
    mlkem768_polynomial_decode(&ret[i], bytes + i * MLKEM768_POLYNOMIAL_BYTES);
  }
}

/* K-PKE.KeyGen (algorithm 13) from line 2: ek = (t, rho) with t = A s + e, dk_pke = s, in the NTT domain. */
static void generate(const struct mlkem768_implementation *on, uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES],
                     uint8_t secret[VECTOR_BYTES], const uint8_t rho[MLKEM768_SEED_BYTES],
                     const uint8_t sigma[MLKEM768_SEED_BYTES]) {
  struct mlkem768_polynomial matrix[MLKEM768_MATRIX_ENTRIES], t[MLKEM768_K], noise[2 * MLKEM768_K];
  struct mlkem768_polynomial *s = noise, *e = noise + MLKEM768_K;
  on->expand_matrix(matrix, rho, false);
  on->draw_noise(noise, 2 * MLKEM768_K, sigma);
  for (size_t i = 0; i < 2 * MLKEM768_K; i++) on->forward(&noise[i]);
  for (size_t i = 0; i < MLKEM768_K; i++) {
    on->inner_product(&t[i], &matrix[i * MLKEM768_K], s);
    on->restore(&t[i]);
    mlkem768_polynomial_add(&t[i], &e[i]);
    mlkem768_polynomial_canonicalize(&t[i]);
    mlkem768_polynomial_canonicalize(&s[i]);
  }
  encode_vector(public_key, t);
  memcpy(public_key + VECTOR_BYTES, rho, MLKEM768_SEED_BYTES);
  encode_vector(secret, s);
  sodium_memzero(noise, sizeof noise);
  sodium_memzero(t, sizeof t);
}

/* K-PKE.Encrypt (algorithm 14): u = A^T y + e1, v = t y + e2 + message, compressed. */
static void encrypt(const struct mlkem768_implementation *on, uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                    const uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES],
                    const uint8_t message[MLKEM768_MESSAGE_BYTES], const uint8_t coins[MLKEM768_SEED_BYTES]) {
  struct mlkem768_polynomial matrix[MLKEM768_MATRIX_ENTRIES], t[MLKEM768_K], noise[MLKEM768_MAX_NOISE], sum,
      lifted;
  struct mlkem768_polynomial *y = noise, *e1 = noise + MLKEM768_K, *e2 = noise + 2 * MLKEM768_K;
  decode_vector(t, public_key);
  on->expand_matrix(matrix, public_key + VECTOR_BYTES, true);
  on->draw_noise(noise, MLKEM768_MAX_NOISE, coins);
  for (size_t i = 0; i < MLKEM768_K; i++) on->forward(&y[i]);
  for (size_t i = 0; i < MLKEM768_K; i++) {
    on->inner_product(&sum, &matrix[i * MLKEM768_K], y);
    on->inverse(&sum);
    mlkem768_polynomial_add(&sum, &e1[i]);
    mlkem768_polynomial_canonicalize(&sum);
    mlkem768_polynomial_compress_u(ciphertext + i * U_BYTES, &sum);
  }
  mlkem768_polynomial_from_message(&lifted, message);
  mlkem768_polynomial_add(&lifted, e2);
  on->inner_product(&sum, t, y);
  on->inverse(&sum);
  mlkem768_polynomial_add(&sum, &lifted);
  mlkem768_polynomial_canonicalize(&sum);
  mlkem768_polynomial_compress_v(ciphertext + MLKEM768_K * U_BYTES, &sum);
  sodium_memzero(noise, sizeof noise);
  sodium_memzero(&sum, sizeof sum);
  sodium_memzero(&lifted, sizeof lifted);
}

/* K-PKE.Decrypt (algorithm 15): the message nearest to v - s u. */
static void decrypt(const struct mlkem768_implementation *on, uint8_t ret_message[MLKEM768_MESSAGE_BYTES],
                    const uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES], const uint8_t secret[VECTOR_BYTES]) {
  struct mlkem768_polynomial s[MLKEM768_K], u[MLKEM768_K], v, w;
  decode_vector(s, secret);
  for (size_t i = 0; i < MLKEM768_K; i++) {
    mlkem768_polynomial_decompress_u(&u[i], ciphertext + i * U_BYTES);
    on->forward(&u[i]);
  }
  mlkem768_polynomial_decompress_v(&v, ciphertext + MLKEM768_K * U_BYTES);
  on->inner_product(&w, s, u);
  on->inverse(&w);
  mlkem768_polynomial_subtract_from(&w, &v);
  mlkem768_polynomial_canonicalize(&w);
  mlkem768_polynomial_to_message(ret_message, &w);
  sodium_memzero(s, sizeof s);
  sodium_memzero(&w, sizeof w);
}

/* [KEM-3] ML-KEM.KeyGen_internal (algorithm 16). */
void mlkem768_keypair_on(const struct mlkem768_implementation *on,
                         uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES],
                         uint8_t secret_key[MLKEM768_SECRET_KEY_BYTES],
                         const uint8_t seed[MLKEM768_KEY_SEED_BYTES]) {
  uint8_t input[MLKEM768_SEED_BYTES + 1], halves[KECCAK_SHA3_512_BYTES];
  const uint8_t *rho = halves, *sigma = halves + MLKEM768_SEED_BYTES;
  memcpy(input, seed, MLKEM768_SEED_BYTES);
  input[MLKEM768_SEED_BYTES] = MLKEM768_K; /* algorithm 13, line 1: keeps parameter sets apart */
  keccak_sha3_512(halves, input, sizeof input);
  declassify(rho, MLKEM768_SEED_BYTES); /* [KEM-8] a part of the public key, in the clear */
  generate(on, public_key, secret_key, rho, sigma);
  memcpy(secret_key + SECRET_PUBLIC_KEY, public_key, MLKEM768_PUBLIC_KEY_BYTES);
  keccak_sha3_256(secret_key + SECRET_HASH, public_key, MLKEM768_PUBLIC_KEY_BYTES);
  memcpy(secret_key + SECRET_Z, seed + MLKEM768_SEED_BYTES, MLKEM768_SEED_BYTES);
  sodium_memzero(input, sizeof input);
  sodium_memzero(halves, sizeof halves);
}

/* [KEM-4] Section 7.2's modulus check. */
bool mlkem768_public_key_is_canonical(const uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES]) {
  struct mlkem768_polynomial t[MLKEM768_K];
  decode_vector(t, public_key);
  int16_t largest = 0;
  for (size_t i = 0; i < MLKEM768_K; i++) {
    for (size_t j = 0; j < MLKEM768_N; j++) largest = t[i].at[j] > largest ? t[i].at[j] : largest;
  }
  return largest < MLKEM768_Q;
}

/* (K, r) = G(m || H(ek)): line 1 of algorithm 17, line 6 of algorithm 18. */
static void derive(uint8_t ret_shared_and_coins[KECCAK_SHA3_512_BYTES],
                   const uint8_t message[MLKEM768_MESSAGE_BYTES], const uint8_t public_key_hash[HASH_BYTES]) {
  uint8_t input[MLKEM768_MESSAGE_BYTES + HASH_BYTES];
  memcpy(input, message, MLKEM768_MESSAGE_BYTES);
  memcpy(input + MLKEM768_MESSAGE_BYTES, public_key_hash, HASH_BYTES);
  keccak_sha3_512(ret_shared_and_coins, input, sizeof input);
  sodium_memzero(input, sizeof input);
}

/* [KEM-5] ML-KEM.Encaps_internal (algorithm 17), behind section 7.2's check of the key. */
bool mlkem768_encapsulate_on(const struct mlkem768_implementation *on,
                             uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                             uint8_t shared[MLKEM768_SHARED_BYTES],
                             const uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES],
                             const uint8_t seed[MLKEM768_ENCAPS_SEED_BYTES]) {
  if (!mlkem768_public_key_is_canonical(public_key)) return false;
  uint8_t hash[HASH_BYTES], shared_and_coins[KECCAK_SHA3_512_BYTES];
  keccak_sha3_256(hash, public_key, MLKEM768_PUBLIC_KEY_BYTES);
  derive(shared_and_coins, seed, hash);
  encrypt(on, ciphertext, public_key, seed, shared_and_coins + MLKEM768_SHARED_BYTES);
  memcpy(shared, shared_and_coins, MLKEM768_SHARED_BYTES);
  sodium_memzero(shared_and_coins, sizeof shared_and_coins);
  return true;
}

/* [KEM-8] All ones if the two differ, else zero. Looks at every byte, and the result passes through a
 * volatile, so that no compiler can see that it is one of two values and branch on which. */
static uint8_t mask_of_difference(const uint8_t *a, const uint8_t *b, size_t len) {
  unsigned difference = 0;
  for (size_t i = 0; i < len; i++) difference |= a[i] ^ b[i];
  volatile uint8_t mask = (uint8_t)((0U - difference) >> 8);
  return mask;
}

/* [KEM-6] ML-KEM.Decaps_internal (algorithm 18). Both secrets are always computed and the choice is made with
 * a mask: who sends a wrong ciphertext learns nothing from the answer nor from when it comes. */
void mlkem768_decapsulate_on(const struct mlkem768_implementation *on, uint8_t shared[MLKEM768_SHARED_BYTES],
                             const uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                             const uint8_t secret_key[MLKEM768_SECRET_KEY_BYTES]) {
  uint8_t message[MLKEM768_MESSAGE_BYTES], shared_and_coins[KECCAK_SHA3_512_BYTES],
      rejected[MLKEM768_SHARED_BYTES];
  uint8_t again[MLKEM768_CIPHERTEXT_BYTES], input[MLKEM768_SEED_BYTES + MLKEM768_CIPHERTEXT_BYTES];
  decrypt(on, message, ciphertext, secret_key);
  derive(shared_and_coins, message, secret_key + SECRET_HASH);
  memcpy(input, secret_key + SECRET_Z, MLKEM768_SEED_BYTES);
  memcpy(input + MLKEM768_SEED_BYTES, ciphertext, MLKEM768_CIPHERTEXT_BYTES);
  keccak_shake256(rejected, sizeof rejected, input, sizeof input); /* J(z || c) */
  encrypt(on, again, secret_key + SECRET_PUBLIC_KEY, message, shared_and_coins + MLKEM768_SHARED_BYTES);
  uint8_t mask = mask_of_difference(ciphertext, again, sizeof again);
  for (size_t i = 0; i < MLKEM768_SHARED_BYTES; i++) {
    shared[i] = (uint8_t)(shared_and_coins[i] ^ (mask & (shared_and_coins[i] ^ rejected[i])));
  }
  sodium_memzero(message, sizeof message);
  sodium_memzero(shared_and_coins, sizeof shared_and_coins);
  sodium_memzero(rejected, sizeof rejected);
  sodium_memzero(again, sizeof again);
  sodium_memzero(input, sizeof input);
}

/* [KEM-9] */
static const struct mlkem768_implementation *fastest(void) {
  const struct mlkem768_implementation *avx2 = mlkem768_avx2();
  return avx2 ? avx2 : mlkem768_portable();
}

void mlkem768_keypair(uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES],
                      uint8_t secret_key[MLKEM768_SECRET_KEY_BYTES],
                      const uint8_t seed[MLKEM768_KEY_SEED_BYTES]) {
  mlkem768_keypair_on(fastest(), public_key, secret_key, seed);
}

bool mlkem768_encapsulate(uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                          uint8_t shared[MLKEM768_SHARED_BYTES],
                          const uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES],
                          const uint8_t seed[MLKEM768_ENCAPS_SEED_BYTES]) {
  return mlkem768_encapsulate_on(fastest(), ciphertext, shared, public_key, seed);
}

void mlkem768_decapsulate(uint8_t shared[MLKEM768_SHARED_BYTES],
                          const uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                          const uint8_t secret_key[MLKEM768_SECRET_KEY_BYTES]) {
  mlkem768_decapsulate_on(fastest(), shared, ciphertext, secret_key);
}
