/* ML-KEM-768 on both implementations: Wycheproof's vectors and another library's results; and each other, on
 * random inputs. tests/vectors/README.md says where the files come from. */
#include "crypto/mlkem768.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

#include "crypto/keccak.h"
#include "crypto/mlkem768_implementation.h"
#include "tests/unit/crypto/json_vectors.h"
#include "tests/unit/crypto/seeded_random.h"

enum {
  IMPLEMENTATIONS = 2,
  RANDOM_ROUNDS = 200,
  SECRET_Z_AT = MLKEM768_SECRET_KEY_BYTES - 32,
};

struct pair {
  uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES], secret_key[MLKEM768_SECRET_KEY_BYTES];
};

/* Those this processor can run; the rest NULL. */
static const struct mlkem768_implementation *implementation(size_t index) {
  return index == 0 ? mlkem768_portable() : mlkem768_avx2();
}

static void check_each_case(const char *path, size_t expected_cases,
                            void (*check)(const struct mlkem768_implementation *, const json_t *)) {
  json_t *file = json_vectors_load(path), *group, *test;
  for (size_t k = 0; k < IMPLEMENTATIONS; k++) {
    if (!implementation(k)) continue;
    size_t i, j, cases = 0;
    json_array_foreach(json_object_get(file, "testGroups"), i, group) {
      json_array_foreach(json_object_get(group, "tests"), j, test) {
        check(implementation(k), test);
        cases++;
      }
    }
    cr_expect_eq(cases, expected_cases, "%s has %zu cases", path, cases);
  }
  json_decref(file);
}

static int case_id(const json_t *test) {
  return (int)json_integer_value(json_object_get(test, "tcId"));
}

static bool is_valid(const json_t *test) {
  return strcmp(json_vectors_text(test, "result"), "valid") == 0;
}

/* Wycheproof's dk holds its ek; the file here keeps it once. */
static void check_keypair(const struct mlkem768_implementation *on, const json_t *test) {
  uint8_t seed[MLKEM768_KEY_SEED_BYTES], secret_key[MLKEM768_SECRET_KEY_BYTES];
  const uint8_t *public_key = secret_key + MLKEM768_K * MLKEM768_POLYNOMIAL_BYTES;
  cr_assert(json_vectors_exact(test, "seed", seed, sizeof seed));
  cr_assert(json_vectors_exact(test, "dk", secret_key, sizeof secret_key));
  struct pair pair;
  mlkem768_keypair_on(on, pair.public_key, pair.secret_key, seed);
  cr_expect_arr_eq(pair.public_key, public_key, sizeof pair.public_key, "%s case %d", on->name,
                   case_id(test));
  cr_expect_arr_eq(pair.secret_key, secret_key, sizeof secret_key, "%s case %d", on->name, case_id(test));
  cr_expect(mlkem768_public_key_is_canonical(pair.public_key));
}

Test(mlkem768, keypair_gives_wycheproof_keys) {
  check_each_case("tests/vectors/wycheproof_mlkem_768_keygen_seed.json", 100, check_keypair);
}

static bool all_bytes_are(const uint8_t *bytes, size_t len, uint8_t value) {
  for (size_t i = 0; i < len; i++) {
    if (bytes[i] != value) return false;
  }
  return true;
}

/* A key of a wrong length has no place in the interface: whoever takes keys from the wire has checked it, so
 * the case is only counted. One of the right length that is invalid has a coefficient of q or more. */
static void check_encapsulate(const struct mlkem768_implementation *on, const json_t *test) {
  uint8_t seed[MLKEM768_ENCAPS_SEED_BYTES], public_key[MLKEM768_PUBLIC_KEY_BYTES];
  uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES], shared[MLKEM768_SHARED_BYTES];
  uint8_t expected_ciphertext[MLKEM768_CIPHERTEXT_BYTES], expected_shared[MLKEM768_SHARED_BYTES];
  cr_assert(json_vectors_exact(test, "m", seed, sizeof seed));
  if (!json_vectors_exact(test, "ek", public_key, sizeof public_key)) {
    cr_expect_not(is_valid(test), "case %d", case_id(test));
    return;
  }
  memset(ciphertext, 0xee, sizeof ciphertext);
  memset(shared, 0xee, sizeof shared);
  bool accepted = mlkem768_encapsulate_on(on, ciphertext, shared, public_key, seed);
  cr_assert_eq(accepted, is_valid(test), "%s case %d", on->name, case_id(test));
  cr_assert_eq(mlkem768_public_key_is_canonical(public_key), accepted);
  if (!accepted) {
    cr_expect(all_bytes_are(ciphertext, sizeof ciphertext, 0xee), "case %d wrote a ciphertext",
              case_id(test));
    cr_expect(all_bytes_are(shared, sizeof shared, 0xee), "case %d wrote a secret", case_id(test));
    return;
  }
  cr_assert(json_vectors_exact(test, "c", expected_ciphertext, sizeof expected_ciphertext));
  cr_assert(json_vectors_exact(test, "K", expected_shared, sizeof expected_shared));
  cr_expect_arr_eq(ciphertext, expected_ciphertext, sizeof ciphertext, "%s case %d", on->name, case_id(test));
  cr_expect_arr_eq(shared, expected_shared, sizeof shared, "%s case %d", on->name, case_id(test));
}

Test(mlkem768, encapsulate_gives_wycheproof_results_and_refuses_its_bad_keys) {
  check_each_case("tests/vectors/wycheproof_mlkem_768_encaps.json", 265, check_encapsulate);
}

/* Seeds and ciphertexts of a wrong length are invalid here, and only they are: counted, as above. */
static void check_decapsulate(const struct mlkem768_implementation *on, const json_t *test) {
  uint8_t seed[MLKEM768_KEY_SEED_BYTES], ciphertext[MLKEM768_CIPHERTEXT_BYTES];
  uint8_t shared[MLKEM768_SHARED_BYTES], expected[MLKEM768_SHARED_BYTES];
  bool right_lengths = json_vectors_exact(test, "seed", seed, sizeof seed) &&
                       json_vectors_exact(test, "c", ciphertext, sizeof ciphertext);
  cr_assert_eq(right_lengths, is_valid(test), "case %d", case_id(test));
  if (!right_lengths) return;
  cr_assert(json_vectors_exact(test, "K", expected, sizeof expected));
  struct pair pair;
  mlkem768_keypair_on(on, pair.public_key, pair.secret_key, seed);
  mlkem768_decapsulate_on(on, shared, ciphertext, pair.secret_key);
  cr_expect_arr_eq(shared, expected, sizeof shared, "%s case %d", on->name, case_id(test));
}

Test(mlkem768, decapsulate_gives_wycheproof_secrets) {
  check_each_case("tests/vectors/wycheproof_mlkem_768.json", 193, check_decapsulate);
}

static void rejection_secret(uint8_t ret_shared[MLKEM768_SHARED_BYTES],
                             const uint8_t secret_key[MLKEM768_SECRET_KEY_BYTES],
                             const uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES]) {
  uint8_t input[32 + MLKEM768_CIPHERTEXT_BYTES];
  memcpy(input, secret_key + SECRET_Z_AT, 32);
  memcpy(input + 32, ciphertext, MLKEM768_CIPHERTEXT_BYTES);
  keccak_shake256(ret_shared, MLKEM768_SHARED_BYTES, input, sizeof input);
}

/* A secret key whose hash or public half was damaged: FIPS 203 section 7.3 checks keys that are imported;
 * ours never are (KEM-6), and what decapsulation itself owes is to answer with the rejection secret and
 * nothing else. */
static void check_expanded(const struct mlkem768_implementation *on, const json_t *test) {
  uint8_t secret_key[MLKEM768_SECRET_KEY_BYTES], ciphertext[MLKEM768_CIPHERTEXT_BYTES];
  uint8_t shared[MLKEM768_SHARED_BYTES], expected[MLKEM768_SHARED_BYTES];
  if (!json_vectors_exact(test, "dk", secret_key, sizeof secret_key) ||
      !json_vectors_exact(test, "c", ciphertext, sizeof ciphertext)) {
    cr_expect_not(is_valid(test), "case %d", case_id(test));
    return;
  }
  if (is_valid(test)) {
    cr_assert(json_vectors_exact(test, "K", expected, sizeof expected));
  } else {
    rejection_secret(expected, secret_key, ciphertext);
  }
  mlkem768_decapsulate_on(on, shared, ciphertext, secret_key);
  cr_expect_arr_eq(shared, expected, sizeof shared, "%s case %d", on->name, case_id(test));
}

Test(mlkem768, decapsulate_with_wycheproof_expanded_keys) {
  check_each_case("tests/vectors/wycheproof_mlkem_768_semi_expanded_decaps.json", 9, check_expanded);
}

/* The other library's side is fixed in a file, so that this needs no network; tests/vectors/mlkem_peer.sh
 * makes it. */
static void check_peer(const struct mlkem768_implementation *on, const json_t *test) {
  uint8_t key_seed[MLKEM768_KEY_SEED_BYTES], seed[MLKEM768_ENCAPS_SEED_BYTES];
  uint8_t expected[MLKEM768_PUBLIC_KEY_BYTES], got[MLKEM768_CIPHERTEXT_BYTES];
  uint8_t shared[MLKEM768_SHARED_BYTES], expected_shared[MLKEM768_SHARED_BYTES];
  struct pair pair;
  cr_assert(json_vectors_exact(test, "key_seed", key_seed, sizeof key_seed));
  mlkem768_keypair_on(on, pair.public_key, pair.secret_key, key_seed);
  cr_assert(json_vectors_exact(test, "public_key", expected, MLKEM768_PUBLIC_KEY_BYTES));
  cr_expect_arr_eq(pair.public_key, expected, MLKEM768_PUBLIC_KEY_BYTES, "%s", on->name);

  cr_assert(json_vectors_exact(test, "seed", seed, sizeof seed));
  cr_assert(mlkem768_encapsulate_on(on, got, shared, pair.public_key, seed));
  cr_assert(json_vectors_exact(test, "ciphertext", expected, MLKEM768_CIPHERTEXT_BYTES));
  cr_assert(json_vectors_exact(test, "shared", expected_shared, sizeof expected_shared));
  cr_expect_arr_eq(got, expected, MLKEM768_CIPHERTEXT_BYTES, "%s", on->name);
  cr_expect_arr_eq(shared, expected_shared, sizeof shared, "%s", on->name);

  cr_assert(json_vectors_exact(test, "received", got, sizeof got));
  cr_assert(json_vectors_exact(test, "received_shared", expected_shared, sizeof expected_shared));
  mlkem768_decapsulate_on(on, shared, got, pair.secret_key);
  cr_expect_arr_eq(shared, expected_shared, sizeof shared, "%s", on->name);
}

Test(mlkem768, agrees_with_another_library) {
  check_each_case("tests/vectors/mlkem768_noble.json", 20, check_peer);
}

Test(mlkem768, both_ends_agree_and_a_changed_ciphertext_gives_the_rejection_secret) {
  struct seeded_random random = seeded_random_init("changed_ciphertext");
  for (size_t round = 0; round < RANDOM_ROUNDS; round++) {
    uint8_t key_seed[MLKEM768_KEY_SEED_BYTES], seed[MLKEM768_ENCAPS_SEED_BYTES];
    uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES], ours[MLKEM768_SHARED_BYTES], theirs[MLKEM768_SHARED_BYTES];
    uint16_t place;
    struct pair pair;
    seeded_random_draw(&random, key_seed, sizeof key_seed);
    seeded_random_draw(&random, seed, sizeof seed);
    seeded_random_draw(&random, &place, sizeof place);
    mlkem768_keypair(pair.public_key, pair.secret_key, key_seed);
    cr_assert(mlkem768_encapsulate(ciphertext, theirs, pair.public_key, seed));
    mlkem768_decapsulate(ours, ciphertext, pair.secret_key);
    cr_assert_arr_eq(ours, theirs, sizeof ours);

    ciphertext[place / 8 % sizeof ciphertext] ^= (uint8_t)(1 << place % 8);
    mlkem768_decapsulate(ours, ciphertext, pair.secret_key);
    rejection_secret(theirs, pair.secret_key, ciphertext);
    cr_assert_arr_eq(ours, theirs, sizeof ours, "bit %d changed", place);
  }
}

/* Every byte of the ciphertext counts, the last as much as the first. */
Test(mlkem768, a_change_in_any_byte_is_rejected) {
  const uint8_t key_seed[MLKEM768_KEY_SEED_BYTES] = {1}, seed[MLKEM768_ENCAPS_SEED_BYTES] = {2};
  uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES], right[MLKEM768_SHARED_BYTES], got[MLKEM768_SHARED_BYTES];
  struct pair pair;
  mlkem768_keypair(pair.public_key, pair.secret_key, key_seed);
  cr_assert(mlkem768_encapsulate(ciphertext, right, pair.public_key, seed));
  for (size_t i = 0; i < sizeof ciphertext; i++) {
    uint8_t expected[MLKEM768_SHARED_BYTES];
    ciphertext[i] ^= 1;
    mlkem768_decapsulate(got, ciphertext, pair.secret_key);
    rejection_secret(expected, pair.secret_key, ciphertext);
    cr_assert_arr_eq(got, expected, sizeof got, "byte %zu", i);
    ciphertext[i] ^= 1;
  }
}

Test(mlkem768, refuses_a_key_with_any_one_coefficient_out_of_range) {
  const uint8_t key_seed[MLKEM768_KEY_SEED_BYTES] = {3};
  struct mlkem768_polynomial t;
  struct pair pair;
  mlkem768_keypair(pair.public_key, pair.secret_key, key_seed);
  for (size_t i = 0; i < MLKEM768_K * MLKEM768_N; i++) {
    uint8_t *encoded = pair.public_key + i / MLKEM768_N * MLKEM768_POLYNOMIAL_BYTES,
            kept[MLKEM768_POLYNOMIAL_BYTES];
    memcpy(kept, encoded, sizeof kept);
    mlkem768_polynomial_decode(&t, encoded);
    t.at[i % MLKEM768_N] = MLKEM768_Q;
    mlkem768_polynomial_encode(encoded, &t);
    cr_assert_not(mlkem768_public_key_is_canonical(pair.public_key), "coefficient %zu is q", i);
    t.at[i % MLKEM768_N] = MLKEM768_Q - 1;
    mlkem768_polynomial_encode(encoded, &t);
    cr_assert(mlkem768_public_key_is_canonical(pair.public_key), "coefficient %zu is q - 1", i);
    memcpy(encoded, kept, sizeof kept);
  }
}
