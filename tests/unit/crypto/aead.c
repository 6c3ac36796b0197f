/* Both AEAD suites on every backend that this build and machine have: the same bytes, and nothing forged is opened. */
#include "crypto/aead.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"
#include "tests/unit/crypto/json_vectors.h"
#include "tests/unit/crypto/seeded_random.h"

enum { DATA_MAX = 17000 };

static const enum aead_suite suites[] = {AEAD_CHACHA20_POLY1305, AEAD_AES256_GCM};
static const enum aead_backend all_backends[] = {AEAD_LIBSODIUM, AEAD_LIBCRYPTO, AEAD_IPSEC_MB};
enum { ALL_BACKENDS = sizeof all_backends / sizeof all_backends[0] };

static void start(void) { cr_assert(crypto_start()); }

TestSuite(aead, .init = start);

/* A context on exactly this backend; false if it would be another's. */
static bool context_on(struct aead *aead, enum aead_suite suite, enum aead_backend backend, const uint8_t *key) {
  memset(aead, 0, sizeof *aead);
  if (aead_init(aead, suite, backend, key) && aead->backend == backend) return true;
  aead_wipe(aead);
  return false;
}

static void expect_case(const json_t *test, enum aead_backend backend) {
  static uint8_t key[32], associated[64], plaintext[DATA_MAX], sealed[DATA_MAX], data[DATA_MAX];
  enum aead_suite suite = (enum aead_suite)json_integer_value(json_object_get(test, "suite"));
  uint64_t counter = strtoull(json_vectors_text(test, "counter"), NULL, 10);
  struct aead aead;
  cr_assert(json_vectors_exact(test, "key", key, sizeof key));
  size_t associated_len = json_vectors_bytes(test, "associated", associated, sizeof associated);
  size_t len = json_vectors_bytes(test, "plaintext", plaintext, sizeof plaintext);
  cr_assert(json_vectors_exact(test, "sealed", sealed, len + AEAD_TAG_BYTES));
  if (!context_on(&aead, suite, backend, key)) return;
  memcpy(data, plaintext, len);
  aead_seal(&aead, counter, associated, associated_len, data, len);
  cr_expect_arr_eq(data, sealed, len + AEAD_TAG_BYTES, "suite %d backend %d length %zu", suite, backend, len);
  cr_expect(aead_open(&aead, counter, associated, associated_len, data, len + AEAD_TAG_BYTES));
  cr_expect_eq(memcmp(data, plaintext, len), 0);

  /* From one place to another, and what is forged leaves nothing there. */
  aead_seal_to(&aead, counter, associated, associated_len, plaintext, data, len);
  cr_expect_arr_eq(data, sealed, len + AEAD_TAG_BYTES, "suite %d backend %d length %zu", suite, backend, len);
  static uint8_t opened[DATA_MAX], zeros[DATA_MAX];
  cr_expect(aead_open_to(&aead, counter, associated, associated_len, data, opened, len + AEAD_TAG_BYTES));
  cr_expect_eq(memcmp(opened, plaintext, len), 0);
  cr_expect_arr_eq(data, sealed, len + AEAD_TAG_BYTES);
  data[len] ^= 1;
  cr_expect_not(aead_open_to(&aead, counter, associated, associated_len, data, opened, len + AEAD_TAG_BYTES));
  cr_expect_eq(memcmp(opened, zeros, len), 0);
  aead_wipe(&aead);
}

Test(aead, every_backend_gives_the_bytes_of_the_second_implementation) {
  json_t *file = json_vectors_load("tests/vectors/tunic.json"), *test;
  size_t index;
  cr_assert_eq(json_array_size(json_object_get(file, "aead")), 14);
  json_array_foreach(json_object_get(file, "aead"), index, test)
    for (size_t b = 0; b < ALL_BACKENDS; b++) expect_case(test, all_backends[b]);
  json_decref(file);
}

Test(aead, what_one_backend_seals_the_other_opens) {
  struct seeded_random random = seeded_random_init("aead backends");
  static uint8_t data[DATA_MAX], plaintext[DATA_MAX];
  uint8_t key[32], associated[64];
  for (size_t round = 0; round < 80; round++) {
    struct aead one, other;
    enum aead_suite suite = suites[round % 2];
    enum aead_backend second = round % 4 < 2 ? AEAD_LIBCRYPTO : AEAD_IPSEC_MB;
    uint64_t counter;
    size_t len;
    seeded_random_draw(&random, key, sizeof key);
    seeded_random_draw(&random, associated, sizeof associated);
    seeded_random_draw(&random, &counter, sizeof counter);
    seeded_random_draw(&random, &len, sizeof len);
    len %= DATA_MAX - AEAD_TAG_BYTES;
    seeded_random_draw(&random, plaintext, len);
    if (!context_on(&one, suite, AEAD_LIBSODIUM, key)) continue;
    if (context_on(&other, suite, second, key)) {
      for (size_t way = 0; way < 2; way++) {
        memcpy(data, plaintext, len);
        aead_seal(way == 0 ? &one : &other, counter, associated, round % sizeof associated, data, len);
        cr_expect(aead_open(way == 0 ? &other : &one, counter, associated, round % sizeof associated, data, len + AEAD_TAG_BYTES));
        cr_expect_eq(memcmp(data, plaintext, len), 0);
      }
      aead_wipe(&other);
    }
    aead_wipe(&one);
  }
}

static void expect_forgeries_refused(struct aead *aead, const uint8_t *genuine, size_t len) {
  uint8_t data[100], zeros[100] = {0}, associated[] = {7, 8};
  for (size_t bit = 0; bit < 8 * len; bit++) {
    memcpy(data, genuine, len);
    data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    cr_expect_not(aead_open(aead, 5, associated, 2, data, len), "bit %zu", bit);
    cr_expect_arr_eq(data, zeros, len, "what was forged is not left lying about");
  }
  for (size_t short_len = 0; short_len < len; short_len++) {
    memcpy(data, genuine, len);
    cr_expect_not(aead_open(aead, 5, associated, 2, data, short_len));
  }
  memcpy(data, genuine, len);
  cr_expect_not(aead_open(aead, 6, associated, 2, data, len), "another nonce");
  memcpy(data, genuine, len);
  cr_expect_not(aead_open(aead, 5, associated, 1, data, len), "other associated data");
  memcpy(data, genuine, len);
  cr_expect(aead_open(aead, 5, associated, 2, data, len), "and the context still works");
}

Test(aead, nothing_forged_is_opened) {
  for (size_t s = 0; s < 2; s++)
    for (size_t b = 0; b < ALL_BACKENDS; b++) {
      struct aead aead;
      uint8_t key[32] = {3}, data[100] = "forty bytes that nobody else may change", associated[] = {7, 8};
      if (!context_on(&aead, suites[s], all_backends[b], key)) continue;
      aead_seal(&aead, 5, associated, 2, data, 40);
      expect_forgeries_refused(&aead, data, 40 + AEAD_TAG_BYTES);
      aead_wipe(&aead);
    }
}

Test(aead, a_context_changes_key_and_suite_and_direction) {
  for (size_t b = 0; b < ALL_BACKENDS; b++) {
    struct aead aead = {0}, fresh;
    uint8_t keys[2][32] = {{1}, {2}};
    cr_assert(aead_init(&aead, AEAD_CHACHA20_POLY1305, all_backends[b], keys[0]));
    for (size_t round = 0; round < 12; round++) {
      enum aead_suite suite = suites[round / 2 % 2];
      uint8_t data[32] = "rekeyed", expected[32] = "rekeyed";
      if (!aead_suite_is_available(suite)) continue;
      cr_assert(aead_rekey(&aead, suite, keys[round % 2]));
      memset(&fresh, 0, sizeof fresh);
      cr_assert(aead_init(&fresh, suite, all_backends[b], keys[round % 2]));
      cr_expect_eq(aead.backend, fresh.backend, "a suite that the backend lacks does not cost it the others");
      aead_seal(&aead, round, NULL, 0, data, 8);
      aead_seal(&fresh, round, NULL, 0, expected, 8);
      cr_expect_arr_eq(data, expected, 8 + AEAD_TAG_BYTES);
      cr_expect(aead_open(&aead, round, NULL, 0, data, 8 + AEAD_TAG_BYTES));
      aead_wipe(&fresh);
    }
    aead_wipe(&aead);
  }
}

Test(aead, a_suite_that_does_not_exist_is_refused) {
  struct aead aead = {0};
  uint8_t key[32] = {0};
  for (unsigned suite = 0; suite < 256; suite++) {
    bool exists = suite == AEAD_CHACHA20_POLY1305 || (suite == AEAD_AES256_GCM && aead_suite_is_available(AEAD_AES256_GCM));
    cr_expect_eq(aead_suite_is_available((enum aead_suite)suite), exists);
    cr_expect_eq(aead_init(&aead, (enum aead_suite)suite, aead_best_backend(), key), exists, "suite %u", suite);
    if (!exists) cr_expect_not(aead_suite_has_hardware((enum aead_suite)suite));
    aead_wipe(&aead);
  }
  cr_expect(aead_suite_has_hardware(AEAD_CHACHA20_POLY1305));
}

Test(aead, backends_have_names) {
  enum aead_backend backend = AEAD_LIBCRYPTO;
  cr_expect(aead_backend_from_name("libsodium", &backend));
  cr_expect_eq(backend, AEAD_LIBSODIUM);
  cr_expect_not(aead_backend_from_name("libSodium", &backend));
  cr_expect_not(aead_backend_from_name("", &backend));
  cr_assert(aead_backend_from_name(aead_backend_name(aead_best_backend()), &backend));
  cr_expect_eq(backend, aead_best_backend());
}

/* A library that is built in and serves nothing would only show as slowness: what it lacks is done by another. */
Test(aead, libcrypto_serves_both_suites_where_it_is_built_in) {
  enum aead_backend backend;
  uint8_t key[32] = {9};
  if (!aead_backend_from_name("libcrypto", &backend)) return;
  for (size_t s = 0; s < 2; s++) {
    struct aead aead;
    cr_assert(context_on(&aead, suites[s], backend, key), "suite %d", suites[s]);
    aead_wipe(&aead);
  }
}

Test(aead, header_mask) {
  json_t *file = json_vectors_load("tests/vectors/tunic.json"), *test;
  size_t index;
  cr_assert_eq(json_array_size(json_object_get(file, "header_mask")), 4);
  json_array_foreach(json_object_get(file, "header_mask"), index, test) {
    uint8_t key[32], expected[64], mask[65];
    uint64_t counter = strtoull(json_vectors_text(test, "counter"), NULL, 10);
    cr_assert(json_vectors_exact(test, "key", key, 32) && json_vectors_exact(test, "mask", expected, 64));
    for (size_t len = 0; len <= 64; len++) {
      memset(mask, 0xa5, sizeof mask);
      aead_header_mask(mask, len, key, counter);
      cr_expect_eq(memcmp(mask, expected, len), 0, "counter %" PRIu64, counter);
      cr_expect_eq(mask[len], 0xa5);
    }
  }
  json_decref(file);
}

/* ---- the cache ---- */

enum { OWNERS = 7, ENTRIES = 3 };

struct owner {
  struct aead_reference reference;
  enum aead_suite suite;
  uint32_t epoch;
  uint8_t key[32];
};

static void expect_right_key(struct aead *found, const struct owner *owner) {
  struct aead plain = {0};
  uint8_t data[24] = "which key?", expected[24] = "which key?";
  cr_assert_not_null(found);
  cr_assert(aead_init(&plain, owner->suite, AEAD_LIBSODIUM, owner->key));
  aead_seal(found, 1, NULL, 0, data, 8);
  aead_seal(&plain, 1, NULL, 0, expected, 8);
  cr_expect_arr_eq(data, expected, 24);
  aead_wipe(&plain);
}

Test(aead, cache_never_hands_out_another_owners_key) {
  struct seeded_random random = seeded_random_init("aead cache");
  for (size_t b = 0; b < ALL_BACKENDS; b++) {
    struct owner owners[OWNERS] = {0};
    struct aead_cache *cache = aead_cache_new(ENTRIES, all_backends[b]);
    cr_assert_not_null(cache);
    for (size_t i = 0; i < OWNERS; i++) {
      owners[i].suite = aead_suite_is_available(suites[i % 2]) ? suites[i % 2] : AEAD_CHACHA20_POLY1305;
      seeded_random_draw(&random, owners[i].key, 32);
    }
    for (size_t step = 0; step < 2000; step++) {
      uint8_t draw[2];
      seeded_random_draw(&random, draw, sizeof draw);
      struct owner *owner = &owners[draw[0] % OWNERS];
      if (draw[1] % 8 == 0) aead_cache_forget(cache, &owner->reference);
      if (draw[1] % 8 == 1) {
        owner->epoch++;
        seeded_random_draw(&random, owner->key, 32);
      }
      expect_right_key(aead_cache_get(cache, &owner->reference, owner->suite, owner->key, owner->epoch), owner);
    }
    aead_cache_free(cache);
  }
}

Test(aead, cache_keeps_the_recently_used) {
  struct aead_cache *cache = aead_cache_new(ENTRIES, AEAD_LIBSODIUM);
  struct owner owners[4] = {0};
  struct aead *at[4];
  for (size_t i = 0; i < 3; i++) at[i] = aead_cache_get(cache, &owners[i].reference, AEAD_CHACHA20_POLY1305, owners[i].key, 0);
  cr_expect(at[0] != at[1] && at[1] != at[2] && at[2] != at[0], "three fit");
  cr_expect_eq(aead_cache_get(cache, &owners[0].reference, AEAD_CHACHA20_POLY1305, owners[0].key, 0), at[0]);
  at[3] = aead_cache_get(cache, &owners[3].reference, AEAD_CHACHA20_POLY1305, owners[3].key, 0);
  cr_expect_eq(at[3], at[1], "the one not used for longest made room");
  cr_expect_eq(aead_cache_get(cache, &owners[2].reference, AEAD_CHACHA20_POLY1305, owners[2].key, 0), at[2]);
  cr_expect_eq(aead_cache_get(cache, &owners[0].reference, AEAD_CHACHA20_POLY1305, owners[0].key, 0), at[0]);
  aead_cache_free(cache);
}

Test(aead, cache_wipes_what_it_forgets) {
  struct aead_cache *cache = aead_cache_new(1, AEAD_LIBSODIUM);
  struct owner owner = {.suite = AEAD_CHACHA20_POLY1305};
  memset(owner.key, 0x5a, sizeof owner.key);
  struct aead *aead = aead_cache_get(cache, &owner.reference, owner.suite, owner.key, 0);
  cr_assert_not_null(aead);
  cr_expect_not(bytes_are_zero_constant_time(aead->state, sizeof aead->state));
  aead_cache_forget(cache, &owner.reference);
  cr_expect(bytes_are_zero_constant_time(aead, sizeof *aead));
  cr_expect_null(aead_cache_get(cache, &owner.reference, (enum aead_suite)0, owner.key, 0), "no suite, no context");
  expect_right_key(aead_cache_get(cache, &owner.reference, owner.suite, owner.key, 0), &owner);
  aead_cache_free(cache);
  aead_cache_free(NULL);
}
