/* Onion layers: the second implementation's bytes, whole paths in both directions, and relays that lie. */
#include "crypto/onion.h"

#include <criterion/criterion.h>
#include <string.h>

#include "crypto/keys.h"
#include "tests/unit/crypto/json_vectors.h"
#include "tests/unit/crypto/seeded_random.h"

static void start(void) { cr_assert(crypto_start()); }

TestSuite(onion, .init = start);

static struct aead_cache *new_cache(size_t entries) {
  struct aead_cache *cache = aead_cache_new(entries, aead_best_backend());
  cr_assert_not_null(cache);
  return cache;
}

static uint8_t small_number(const json_t *test, const char *field) {
  return (uint8_t)json_integer_value(json_object_get(test, field));
}

/* ---- vectors ---- */

static void expect_cell(const json_t *test, struct onion_layer *sealer, struct onion_layer *opener, struct aead_cache *cache,
                        uint8_t body[ONION_BODY_BYTES]) {
  uint8_t plain[ONION_BODY_BYTES] = {0}, opened[ONION_BODY_BYTES], expected[DIGEST_BYTES], found[DIGEST_BYTES];
  enum onion_kind kind = (enum onion_kind)small_number(test, "kind"), opened_kind = (enum onion_kind)99;
  size_t len = json_vectors_bytes(test, "content", plain, ONION_CONTENT(sealer->place));
  memcpy(body, plain, sizeof plain);
  memset(body + ONION_CONTENT(sealer->place), 0xa5, ONION_BODY_BYTES - ONION_CONTENT(sealer->place)); /* must all go */
  cr_assert(len > 0 && onion_seal(sealer, cache, kind, body));
  digest(found, body, ONION_BODY_BYTES);
  cr_assert(json_vectors_exact(test, "body_digest", expected, sizeof expected));
  cr_expect_arr_eq(found, expected, sizeof expected, "cell %llu", (unsigned long long)sealer->count - 1);
  memcpy(opened, body, sizeof opened);
  cr_assert(onion_open(opener, cache, opened, &opened_kind));
  cr_expect_eq(opened_kind, kind);
  cr_expect_arr_eq(opened, plain, sizeof plain);
}

/* The same cell again, by a layer as it was before it, from one body to another: every byte of that one is written. */
static void expect_copy(struct onion_layer sealer, struct onion_layer opener, struct aead_cache *cache, const uint8_t body[ONION_BODY_BYTES]) {
  uint8_t opened[ONION_BODY_BYTES], again[ONION_BODY_BYTES], expected[ONION_BODY_BYTES];
  enum onion_kind kind = (enum onion_kind)99;
  memset(opened, 0xa5, sizeof opened);
  memset(again, 0xa5, sizeof again);
  cr_assert(onion_open_to(&opener, cache, body, opened, &kind));
  memcpy(expected, opened, sizeof expected);
  for (size_t i = ONION_CONTENT(opener.place); i < sizeof expected; i++) cr_expect_eq(expected[i], 0);
  cr_assert(onion_seal_to(&sealer, cache, kind, opened, again));
  cr_expect_arr_eq(again, body, ONION_BODY_BYTES);
}

static void expect_case(const json_t *test) {
  enum aead_suite suite = (enum aead_suite)small_number(test, "suite");
  enum onion_direction direction = (enum onion_direction)small_number(test, "direction");
  struct onion_layer sealer, opener;
  struct aead_cache *cache = new_cache(2);
  uint8_t key[AEAD_KEY_BYTES], body[ONION_BODY_BYTES], expected[ONION_BODY_BYTES];
  json_t *cell;
  size_t index;
  if (!aead_suite_is_available(suite)) return;
  cr_assert(json_vectors_exact(test, "key", key, sizeof key));
  onion_layer_init(&sealer, suite, small_number(test, "place"), direction, key);
  onion_layer_init(&opener, suite, small_number(test, "place"), direction, key);
  json_array_foreach(json_object_get(test, "cells"), index, cell) {
    struct onion_layer sealer_before = sealer, opener_before = opener;
    expect_cell(cell, &sealer, &opener, cache, body);
    expect_copy(sealer_before, opener_before, cache, body);
  }
  cr_assert(json_vectors_exact(test, "last_body", expected, sizeof expected));
  cr_expect_arr_eq(body, expected, sizeof expected);
  aead_cache_free(cache);
}

Test(onion, layers_are_those_of_the_second_implementation) {
  json_t *file = json_vectors_load("tests/vectors/tunic.json"), *test;
  size_t index;
  cr_assert_eq(json_array_size(json_object_get(file, "onion")), 5);
  json_array_foreach(json_object_get(file, "onion"), index, test) expect_case(test);
  json_decref(file);
}

/* ---- a path ---- */

struct path {
  size_t hops;
  struct onion_layer client[2][ONION_MAX_HOPS], relay[2][ONION_MAX_HOPS]; /* by direction */
};

static void path_make(struct path *path, size_t hops, struct seeded_random *random) {
  path->hops = hops;
  for (size_t direction = 0; direction < 2; direction++)
    for (size_t place = 0; place < hops; place++) {
      uint8_t key[AEAD_KEY_BYTES];
      bool is_aes = place % 2 == 1 && aead_suite_is_available(AEAD_AES256_GCM);
      enum aead_suite suite = is_aes ? AEAD_AES256_GCM : AEAD_CHACHA20_POLY1305;
      seeded_random_draw(random, key, sizeof key);
      onion_layer_init(&path->client[direction][place], suite, (uint8_t)place, (enum onion_direction)direction, key);
      onion_layer_init(&path->relay[direction][place], suite, (uint8_t)place, (enum onion_direction)direction, key);
    }
}

/* The client seals for `to` and wraps for each hop before it. */
static void client_seals(struct path *path, struct aead_cache *cache, size_t to, uint8_t *body) {
  for (size_t place = to + 1; place-- > 0;)
    cr_assert(onion_seal(&path->client[ONION_FORWARD][place], cache, place == to ? ONION_FOR_YOU : ONION_PASS_ON, body));
}

static void expect_forward(struct path *path, struct aead_cache *cache, size_t to, const uint8_t *content) {
  uint8_t body[ONION_BODY_BYTES], zeros[ONION_BODY_BYTES] = {0};
  enum onion_kind kind = ONION_PASS_ON;
  memcpy(body, content, ONION_BODY_BYTES);
  client_seals(path, cache, to, body);
  for (size_t place = 0; place <= to; place++) {
    cr_expect_eq(memcmp(body + ONION_LIVE(place), zeros, ONION_BODY_BYTES - ONION_LIVE(place)), 0, "the tail at %zu", place);
    cr_assert(onion_open(&path->relay[ONION_FORWARD][place], cache, body, &kind));
    cr_expect_eq(kind, place == to ? ONION_FOR_YOU : ONION_PASS_ON);
  }
  cr_expect_arr_eq(body, content, ONION_CONTENT(to));
}

static void expect_backward(struct path *path, struct aead_cache *cache, size_t from, const uint8_t *content) {
  uint8_t body[ONION_BODY_BYTES];
  enum onion_kind kind = ONION_PASS_ON;
  memcpy(body, content, ONION_BODY_BYTES);
  for (size_t place = from + 1; place-- > 0;)
    cr_assert(onion_seal(&path->relay[ONION_BACKWARD][place], cache, place == from ? ONION_FOR_YOU : ONION_PASS_ON, body));
  size_t place = 0;
  do cr_assert(onion_open(&path->client[ONION_BACKWARD][place++], cache, body, &kind));
  while (kind == ONION_PASS_ON && place < path->hops);
  cr_expect_eq(place - 1, from, "the client knows who spoke");
  cr_expect_arr_eq(body, content, ONION_CONTENT(from));
}

/* All hops on one tiny cache: contexts come and go on every cell, keys are ratcheted on the way. */
Test(onion, six_hops_both_ways_through_a_cache_that_is_too_small) {
  struct seeded_random random = seeded_random_init("onion path");
  for (size_t entries = 1; entries <= 25; entries += 12) {
    struct aead_cache *cache = new_cache(entries);
    struct path path;
    uint8_t content[ONION_BODY_BYTES];
    path_make(&path, ONION_MAX_HOPS, &random);
    for (size_t cell = 0; cell < 70; cell++) {
      seeded_random_draw(&random, content, sizeof content);
      /* A cell for hop i counts at each hop up to i alone, so the counts of the hops differ; all go through a ratchet. */
      expect_forward(&path, cache, cell % 3 == 0 ? cell % ONION_MAX_HOPS : ONION_MAX_HOPS - 1, content);
      expect_backward(&path, cache, cell % 3 == 1 ? cell % ONION_MAX_HOPS : ONION_MAX_HOPS - 1, content);
    }
    aead_cache_free(cache);
  }
}

/* ---- lies ---- */

struct ends {
  struct onion_layer sealer, opener;
};

static struct ends ends_make(enum aead_suite suite, uint8_t place, enum onion_direction direction) {
  struct ends ends;
  uint8_t key[AEAD_KEY_BYTES] = {1, 2, 3};
  onion_layer_init(&ends.sealer, suite, place, direction, key);
  onion_layer_init(&ends.opener, suite, place, direction, key);
  return ends;
}

static void next_cell(struct ends *ends, struct aead_cache *cache, uint8_t body[ONION_BODY_BYTES]) {
  memset(body, (int)ends->sealer.count, ONION_BODY_BYTES);
  cr_assert(onion_seal(&ends->sealer, cache, ONION_FOR_YOU, body));
}

/* Opens a copy with a copy of the layer: refused, nothing of the cell left, and the layer good for nothing afterwards. */
static void expect_refused(const struct onion_layer *opener, struct aead_cache *cache, const uint8_t *body, const uint8_t *genuine,
                           const char *what, size_t where) {
  struct onion_layer layer = *opener, wiped = {0};
  uint8_t copy[ONION_BODY_BYTES], zeros[ONION_BODY_BYTES] = {0};
  enum onion_kind kind;
  memset(&layer.context, 0, sizeof layer.context); /* a context has one owner */
  memcpy(copy, body, sizeof copy);
  cr_expect_not(onion_open(&layer, cache, copy, &kind), "%s %zu was opened", what, where);
  cr_expect_eq(memcmp(copy, zeros, sizeof copy), 0, "%s %zu: nothing may be passed on", what, where);
  cr_expect_eq(memcmp(&layer, &wiped, sizeof layer), 0, "%s %zu: the key is gone", what, where);
  memcpy(copy, genuine, sizeof copy);
  cr_expect_not(onion_open(&layer, cache, copy, &kind), "%s %zu: the circuit is dead", what, where);
  cr_expect_not(onion_seal(&layer, cache, ONION_FOR_YOU, copy));
}

static void expect_every_bit_counts(struct ends *ends, struct aead_cache *cache, struct seeded_random *random) {
  uint8_t body[ONION_BODY_BYTES];
  enum onion_kind kind;
  next_cell(ends, cache, body);
  size_t live = ONION_LIVE(ends->opener.place), bit;
  for (size_t sample = 0; sample < 400 + 8 * ONION_LAYER_BYTES; sample++) {
    seeded_random_draw(random, &bit, sizeof bit);
    bit = sample < 8 * ONION_LAYER_BYTES ? 8 * live - 1 - sample : bit % (8 * live); /* all of kind and tag */
    body[bit / 8] ^= (uint8_t)(1 << bit % 8);
    expect_refused(&ends->opener, cache, body, body, "bit", bit);
    body[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  /* What stands beyond the live bytes belongs to nobody: it changes nothing, and goes no further. */
  memset(body + live, 0xff, ONION_BODY_BYTES - live);
  cr_assert(onion_open(&ends->opener, cache, body, &kind));
  for (size_t at = ONION_CONTENT(ends->opener.place); at < ONION_BODY_BYTES; at++) cr_expect_eq(body[at], 0, "byte %zu", at);
}

Test(onion, one_changed_bit_ends_the_circuit) {
  struct seeded_random random = seeded_random_init("onion bits");
  struct aead_cache *cache = new_cache(4);
  for (uint8_t place = 0; place < ONION_MAX_HOPS; place += 5)
    for (int suite = AEAD_CHACHA20_POLY1305; suite <= AEAD_AES256_GCM; suite++) {
      struct ends ends = ends_make((enum aead_suite)suite, place, ONION_FORWARD);
      if (aead_suite_is_available((enum aead_suite)suite)) expect_every_bit_counts(&ends, cache, &random);
    }
  aead_cache_free(cache);
}

Test(onion, replayed_reordered_and_dropped_cells_end_the_circuit) {
  struct aead_cache *cache = new_cache(4);
  for (size_t first = 0; first < 66; first += 3) { /* around a ratchet as well */
    struct ends ends = ends_make(AEAD_CHACHA20_POLY1305, 1, ONION_FORWARD);
    uint8_t cells[2][ONION_BODY_BYTES], opened[ONION_BODY_BYTES];
    enum onion_kind kind;
    for (size_t i = 0; i <= first; i++) {
      next_cell(&ends, cache, cells[0]);
      memcpy(opened, cells[0], sizeof opened);
      if (i < first) cr_assert(onion_open(&ends.opener, cache, opened, &kind));
    }
    next_cell(&ends, cache, cells[1]);
    expect_refused(&ends.opener, cache, cells[1], cells[0], "cell too early", first);
    cr_assert(onion_open(&ends.opener, cache, opened, &kind));
    expect_refused(&ends.opener, cache, cells[0], cells[1], "replayed cell", first);
  }
  aead_cache_free(cache);
}

Test(onion, kinds_are_two) {
  struct aead_cache *cache = new_cache(4);
  for (unsigned kind = 0; kind < 256; kind++) {
    struct ends ends = ends_make(AEAD_CHACHA20_POLY1305, 2, ONION_BACKWARD);
    uint8_t body[ONION_BODY_BYTES] = {0};
    enum onion_kind found = (enum onion_kind)99;
    cr_assert(onion_seal(&ends.sealer, cache, (enum onion_kind)kind, body));
    if (kind > ONION_FOR_YOU) {
      expect_refused(&ends.opener, cache, body, body, "kind", kind);
    } else {
      cr_expect(onion_open(&ends.opener, cache, body, &found));
      cr_expect_eq(found, kind);
    }
  }
  aead_cache_free(cache);
}

Test(onion, layers_of_another_place_suite_or_epoch_do_not_open) {
  struct aead_cache *cache = new_cache(4);
  struct ends ends = ends_make(AEAD_CHACHA20_POLY1305, 1, ONION_FORWARD);
  uint8_t body[ONION_BODY_BYTES];
  next_cell(&ends, cache, body);
  struct onion_layer other = ends.opener;
  other.place = 2;
  expect_refused(&other, cache, body, body, "place", 2);
  other = ends.opener;
  other.count = 32;
  expect_refused(&other, cache, body, body, "count", 32);
  other = ends.opener;
  other.suite = AEAD_AES256_GCM;
  if (aead_suite_is_available(AEAD_AES256_GCM)) expect_refused(&other, cache, body, body, "suite", 2);
  aead_cache_free(cache);
}

/* Who seizes a relay between cells finds at most the key of the last 31. */
Test(onion, a_key_is_gone_after_its_32nd_cell) {
  struct aead_cache *cache = new_cache(1);
  struct ends ends = ends_make(AEAD_CHACHA20_POLY1305, 0, ONION_FORWARD);
  uint8_t first_key[AEAD_KEY_BYTES], body[ONION_BODY_BYTES];
  memcpy(first_key, ends.sealer.key, sizeof first_key);
  for (size_t cell = 0; cell < 32; cell++) {
    cr_expect(bytes_equal_constant_time(ends.sealer.key, first_key, sizeof first_key), "cell %zu", cell);
    next_cell(&ends, cache, body);
  }
  cr_expect_not(bytes_equal_constant_time(ends.sealer.key, first_key, sizeof first_key));
  /* The cache's only context already has the new key: asked for the layer's, it gives what opens the next cell. */
  struct aead *context = aead_cache_get(cache, &ends.sealer.context, AEAD_CHACHA20_POLY1305, first_key, 1);
  struct aead expected = {0};
  uint8_t sealed[20] = {0}, expected_sealed[20] = {0};
  cr_assert(context && aead_init(&expected, AEAD_CHACHA20_POLY1305, AEAD_LIBSODIUM, ends.sealer.key));
  aead_seal(context, 0, NULL, 0, sealed, 4);
  aead_seal(&expected, 0, NULL, 0, expected_sealed, 4);
  cr_expect_arr_eq(sealed, expected_sealed, sizeof sealed);
  aead_wipe(&expected);
  onion_layer_wipe(&ends.sealer, cache);
  cr_expect(bytes_are_zero_constant_time(&ends.sealer, sizeof ends.sealer));
  aead_cache_free(cache);
}
