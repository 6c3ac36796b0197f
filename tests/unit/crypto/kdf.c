/* Key derivation against the second implementation: tests/vectors/tunic.json. */
#include "crypto/kdf.h"

#include <criterion/criterion.h>
#include <string.h>

#include "crypto/keys.h"
#include "tests/unit/crypto/json_vectors.h"

enum { MESSAGE_MAX = 512 };

static void start(void) { cr_assert(crypto_start()); }

TestSuite(kdf, .init = start);

static void expect_bytes(const json_t *test, const char *field, const uint8_t *bytes, size_t len) {
  uint8_t expected[MESSAGE_MAX];
  cr_assert_eq(json_vectors_bytes(test, field, expected, sizeof expected), len, "length of %s", field);
  cr_expect_arr_eq(bytes, expected, len, "%s", field);
}

Test(kdf, hmac_of_short_long_and_over_long_keys) {
  json_t *file = json_vectors_load("tests/vectors/tunic.json"), *test;
  json_t *cases = json_object_get(json_object_get(file, "kdf"), "hmac");
  size_t index;
  cr_assert_eq(json_array_size(cases), 6);
  json_array_foreach(cases, index, test) {
    uint8_t key[MESSAGE_MAX], message[MESSAGE_MAX], mac[KDF_HASH_BYTES];
    size_t key_len = json_vectors_bytes(test, "key", key, sizeof key);
    size_t len = json_vectors_bytes(test, "message", message, sizeof message);
    kdf_hmac(mac, key, key_len, message, len);
    expect_bytes(test, "mac", mac, sizeof mac);
  }
  json_decref(file);
}

static void expect_noise_outputs(const json_t *outputs, const uint8_t *chaining_key, const uint8_t *input, size_t len) {
  uint8_t out[3][KDF_HASH_BYTES], expected[KDF_HASH_BYTES];
  kdf_noise(out[0], out[1], out[2], chaining_key, input, len);
  cr_assert_eq(json_array_size(outputs), 3);
  for (size_t i = 0; i < 3; i++) {
    json_t *one = json_pack("{s:O}", "out", json_array_get(outputs, i));
    cr_assert(json_vectors_exact(one, "out", expected, sizeof expected));
    cr_expect_arr_eq(out[i], expected, sizeof expected, "output %zu", i);
    json_decref(one);
  }
  uint8_t in_place[KDF_HASH_BYTES], second[KDF_HASH_BYTES];
  memcpy(in_place, chaining_key, sizeof in_place);
  kdf_noise(in_place, second, NULL, in_place, input, len);
  cr_expect_arr_eq(in_place, out[0], sizeof in_place, "a chaining key may be replaced in place");
  cr_expect_arr_eq(second, out[1], sizeof second, "two outputs are the first two of three");
}

Test(kdf, noise_outputs_traffic_keys_and_ratchet) {
  json_t *file = json_vectors_load("tests/vectors/tunic.json"), *kdf = json_object_get(file, "kdf"), *test;
  uint8_t chaining_key[KDF_HASH_BYTES], hash[KDF_HASH_BYTES], material[32], keys[MESSAGE_MAX];
  size_t index;
  cr_assert(json_vectors_exact(kdf, "chaining_key", chaining_key, sizeof chaining_key));
  cr_assert(json_vectors_exact(kdf, "handshake_hash", hash, sizeof hash));
  cr_assert(json_vectors_exact(kdf, "material", material, sizeof material));
  expect_noise_outputs(json_object_get(kdf, "noise"), chaining_key, material, sizeof material);
  expect_noise_outputs(json_object_get(kdf, "noise_of_nothing"), chaining_key, NULL, 0);

  cr_assert_eq(json_array_size(json_object_get(kdf, "traffic")), 4);
  json_array_foreach(json_object_get(kdf, "traffic"), index, test) {
    size_t len = strlen(json_vectors_text(test, "keys")) / 2;
    cr_assert_lt(len, sizeof keys);
    keys[len] = 0xa5;
    kdf_traffic(keys, len, chaining_key, hash, json_vectors_text(test, "label"));
    expect_bytes(test, "keys", keys, len);
    cr_expect_eq(keys[len], 0xa5, "nothing beyond the length asked for");
  }

  cr_assert_eq(json_array_size(json_object_get(kdf, "ratchet")), 4);
  json_array_foreach(json_object_get(kdf, "ratchet"), index, test) {
    memcpy(keys, chaining_key, KDF_KEY_BYTES);
    kdf_ratchet(keys, json_vectors_text(test, "label"), (uint8_t)json_integer_value(json_object_get(test, "direction")));
    expect_bytes(test, "key", keys, KDF_KEY_BYTES);
  }
  json_decref(file);
}
