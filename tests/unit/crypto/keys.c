/* X25519 and Ed25519 against Wycheproof, signatures and digests against the second implementation, hexadecimal. */
#include "crypto/keys.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

#include "crypto/keys_internal.h"
#include "tests/unit/crypto/json_vectors.h"
#include "tests/unit/crypto/seeded_random.h"

enum { MESSAGE_MAX = 4096, RANDOM_SECRETS = 3000 };

static void start(void) { cr_assert(crypto_start()); }

TestSuite(keys, .init = start);

Test(keys, x25519_wycheproof) {
  json_t *file = json_vectors_load("tests/vectors/wycheproof_x25519.json"), *test;
  size_t index, zeros = 0;
  cr_assert_eq(json_array_size(json_object_get(file, "tests")), 518);
  json_array_foreach(json_object_get(file, "tests"), index, test) {
    uint8_t secret[32], public_key[32], expected[32], shared[32];
    cr_assert(json_vectors_exact(test, "private", secret, 32) && json_vectors_exact(test, "public", public_key, 32) &&
              json_vectors_exact(test, "shared", expected, 32));
    bool is_zero = bytes_are_zero_constant_time(expected, 32);
    zeros += is_zero;
    cr_expect_eq(x25519_shared(shared, secret, public_key), !is_zero, "case %zu: zero results are refused, others not", index);
    cr_expect_arr_eq(shared, expected, 32, "case %zu", index);
  }
  cr_expect_geq(zeros, 20, "the cases with a zero result are still there: %zu", zeros);
  json_decref(file);
}

Test(keys, x25519_public_keys_are_those_of_the_second_implementation) {
  json_t *file = json_vectors_load("tests/vectors/tunic.json"), *test;
  size_t index;
  cr_assert_eq(json_array_size(json_object_get(file, "x25519")), 12);
  json_array_foreach(json_object_get(file, "x25519"), index, test) {
    uint8_t secret[32], expected[32], public_key[32];
    cr_assert(json_vectors_exact(test, "secret", secret, 32) && json_vectors_exact(test, "public", expected, 32));
    x25519_public(public_key, secret);
    cr_expect_arr_eq(public_key, expected, 32, "case %zu", index);
  }
  json_decref(file);
}

static void expect_public_of_libsodium(const uint8_t secret[32], const char *what, size_t number) {
  uint8_t expected[32], public_key[32];
  cr_assert_eq(crypto_scalarmult_curve25519_base(expected, secret), 0);
  x25519_public(public_key, secret);
  cr_expect_arr_eq(public_key, expected, 32, "%s %zu", what, number);
}

/* Ours goes by way of Edwards25519: libsodium's own X25519 of the base point has another path to each. */
Test(keys, x25519_public_keys_are_those_of_libsodium) {
  struct seeded_random random = seeded_random_init("keys x25519");
  for (size_t i = 0; i < RANDOM_SECRETS; i++) {
    uint8_t secret[32];
    seeded_random_draw(&random, secret, sizeof secret);
    expect_public_of_libsodium(secret, "random secret", i);
  }
}

/* Each single bit, with the rest zero and with the rest one: among them 0 and all ones up to bits that clamping decides. */
Test(keys, x25519_public_keys_of_sparse_and_dense_secrets) {
  for (size_t bit = 0; bit < 256; bit++) {
    uint8_t secret[32] = {0};
    secret[bit / 8] = (uint8_t)(1 << bit % 8);
    expect_public_of_libsodium(secret, "bit", bit);
    for (size_t i = 0; i < sizeof secret; i++) secret[i] = (uint8_t)~secret[i];
    expect_public_of_libsodium(secret, "all but bit", bit);
  }
}

/* The order of the base point is L. What is near a multiple of L before clamping, and near multiples of 8 L after it,
 * is where a multiplication could meet the identity; clamping keeps it away. */
Test(keys, x25519_public_keys_of_secrets_near_multiples_of_the_order) {
  static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                    0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
  uint8_t secret[32] = {0};
  for (size_t multiple = 0; multiple < 16; multiple++, sodium_add(secret, order, sizeof secret)) {
    uint8_t near[32], one[32] = {1};
    memcpy(near, secret, sizeof near);
    sodium_sub(near, (const uint8_t[32]){16}, sizeof near);
    for (size_t i = 0; i < 33; i++, sodium_add(near, one, sizeof near))
      expect_public_of_libsodium(near, "a multiple of the order", 33 * multiple + i);
  }
}

Test(keys, ed25519_wycheproof) {
  json_t *file = json_vectors_load("tests/vectors/wycheproof_ed25519.json"), *test;
  size_t index;
  cr_assert_eq(json_array_size(json_object_get(file, "tests")), 151);
  json_array_foreach(json_object_get(file, "tests"), index, test) {
    uint8_t public_key[32], message[MESSAGE_MAX], signature[ED25519_SIGNATURE_BYTES];
    cr_assert(json_vectors_exact(test, "pk", public_key, sizeof public_key));
    size_t len = json_vectors_bytes(test, "msg", message, sizeof message);
    bool is_whole = json_vectors_exact(test, "sig", signature, sizeof signature); /* some are too short or too long */
    bool is_valid = is_whole && ed25519_is_valid(signature, public_key, message, len);
    cr_expect_eq(is_valid, strcmp(json_vectors_text(test, "result"), "valid") == 0, "case %lld",
                 json_integer_value(json_object_get(test, "tcId")));
  }
  json_decref(file);
}

Test(keys, signatures_are_those_of_the_second_implementation) {
  json_t *file = json_vectors_load("tests/vectors/tunic.json"), *test;
  size_t index;
  cr_assert_eq(json_array_size(json_object_get(file, "signature")), 3);
  json_array_foreach(json_object_get(file, "signature"), index, test) {
    uint8_t seed[32], expected_public[32], public_key[32], message[MESSAGE_MAX], expected[64], signature[64];
    const char *context = json_vectors_text(test, "context");
    cr_assert(json_vectors_exact(test, "seed", seed, 32) && json_vectors_exact(test, "public", expected_public, 32) &&
              json_vectors_exact(test, "signature", expected, 64));
    size_t len = json_vectors_bytes(test, "message", message, sizeof message);
    ed25519_public(public_key, seed);
    cr_expect_arr_eq(public_key, expected_public, 32);
    signature_make(signature, seed, context, message, len);
    cr_expect_arr_eq(signature, expected, 64);
    cr_expect(signature_is_valid(signature, public_key, context, message, len));
  }
  json_decref(file);
}

Test(keys, a_signature_serves_one_context_one_message_one_key) {
  uint8_t seed[32] = {1}, other_seed[32] = {2}, public_key[32], other[32], signature[64];
  const uint8_t message[] = "the text that was signed";
  ed25519_public(public_key, seed);
  ed25519_public(other, other_seed);
  signature_make(signature, seed, "vote", message, sizeof message);
  cr_expect(signature_is_valid(signature, public_key, "vote", message, sizeof message));
  cr_expect_not(signature_is_valid(signature, public_key, "votes", message, sizeof message));
  cr_expect_not(signature_is_valid(signature, public_key, "", message, sizeof message));
  cr_expect_not(signature_is_valid(signature, public_key, "vote", message, sizeof message - 1));
  cr_expect_not(signature_is_valid(signature, other, "vote", message, sizeof message));
  cr_expect_not(ed25519_is_valid(signature, public_key, message, sizeof message), "the bare message was not signed");
  for (size_t bit = 0; bit < 8 * sizeof signature; bit++) {
    signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
    cr_expect_not(signature_is_valid(signature, public_key, "vote", message, sizeof message), "bit %zu", bit);
    signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
}

Test(keys, digests) {
  json_t *file = json_vectors_load("tests/vectors/tunic.json"), *test = json_object_get(file, "digest");
  uint8_t bytes[256], expected[DIGEST_BYTES], found[DIGEST_BYTES];
  size_t len = json_vectors_bytes(test, "bytes", bytes, sizeof bytes);
  cr_assert_eq(len, 100);
  digest(found, bytes, len);
  cr_assert(json_vectors_exact(test, "plain", expected, sizeof expected));
  cr_expect_arr_eq(found, expected, sizeof expected);
  digest_labelled(found, json_vectors_text(test, "label"), bytes, len);
  cr_assert(json_vectors_exact(test, "labelled", expected, sizeof expected));
  cr_expect_arr_eq(found, expected, sizeof expected);
  json_decref(file);
}

Test(keys, hexadecimal_is_strict) {
  const uint8_t bytes[] = {0x00, 0x09, 0x9a, 0xaf, 0xf0, 0xff};
  char text[2 * sizeof bytes + 1];
  uint8_t back[sizeof bytes];
  hex_encode(text, bytes, sizeof bytes);
  cr_expect_str_eq(text, "00099aaff0ff");
  cr_expect(hex_decode(back, sizeof back, text, strlen(text)));
  cr_expect_arr_eq(back, bytes, sizeof bytes);
  cr_expect_not(hex_decode(back, sizeof back, text, strlen(text) - 1));
  cr_expect_not(hex_decode(back, sizeof back, text, strlen(text) - 2));
  cr_expect_not(hex_decode(back, sizeof back - 1, text, strlen(text)));
  cr_expect(hex_decode(back, 0, "", 0));
}

Test(keys, hexadecimal_takes_its_sixteen_digits_and_no_other_byte) {
  for (unsigned c = 0; c < 256; c++)
    for (size_t place = 0; place < 2; place++) {
      char text[] = "00";
      uint8_t byte;
      text[place] = (char)c;
      const char *digit = c != 0 ? strchr("0123456789abcdef", (int)c) : NULL;
      cr_expect_eq(hex_decode(&byte, 1, text, 2), digit != NULL, "byte %u at %zu", c, place);
      if (digit) cr_expect_eq(byte, (digit - "0123456789abcdef") << (place == 0 ? 4 : 0));
    }
}

Test(keys, guarded_keys_hold_what_they_were_given) {
  struct seeded_random random = seeded_random_init("keys guarded");
  uint8_t bytes[32];
  seeded_random_draw(&random, bytes, sizeof bytes);
  struct guarded_key *key = guarded_key_new(bytes);
  cr_assert_not_null(key);
  cr_expect_arr_eq(key->bytes, bytes, sizeof bytes);
  guarded_key_free(key);
  guarded_key_free(NULL);
}

Test(keys, constant_time_helpers) {
  uint8_t a[40] = {0}, b[40] = {0};
  cr_expect(bytes_are_zero_constant_time(a, sizeof a));
  for (size_t i = 0; i < sizeof a; i++) {
    cr_expect(bytes_equal_constant_time(a, b, sizeof a));
    a[i] = 0x80;
    cr_expect_not(bytes_equal_constant_time(a, b, sizeof a));
    cr_expect_not(bytes_are_zero_constant_time(a, sizeof a));
    bytes_wipe(a, sizeof a);
  }
}
