/* Noise: cacophony's vectors for the classical patterns, the second implementation's for the hybrid ones, and peers
 * that lie. */
#include "crypto/noise.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

#include "tests/unit/crypto/json_vectors.h"
#include "tests/unit/crypto/low_order.h"
#include "tests/unit/crypto/seeded_random.h"

enum { TRANSPORT_MAX = 256 };

static void start(void) { cr_assert(crypto_start()); }

TestSuite(noise, .init = start);

struct pair {
  struct noise initiator, responder;
};

static struct noise *writer_of(struct pair *pair, size_t message) {
  return message % 2 == 0 ? &pair->initiator : &pair->responder;
}

static struct noise *reader_of(struct pair *pair, size_t message) {
  return message % 2 == 0 ? &pair->responder : &pair->initiator;
}

/* ---- vectors ---- */

/* One handshake message of a vector, written and read, against what it must be. */
static void expect_message(struct pair *pair, size_t index, const uint8_t *random, const json_t *test, const char *field) {
  uint8_t payload[NOISE_MESSAGE_MAX_BYTES], expected[NOISE_MESSAGE_MAX_BYTES], message[NOISE_MESSAGE_MAX_BYTES];
  uint8_t back[NOISE_MESSAGE_MAX_BYTES];
  size_t payload_len = json_vectors_bytes(test, "payload", payload, sizeof payload), len, back_len;
  size_t expected_len = json_vectors_bytes(test, field, expected, sizeof expected);
  cr_assert(noise_write(writer_of(pair, index), random, payload, payload_len, message, sizeof message, &len));
  cr_assert_eq(len, expected_len);
  cr_assert_arr_eq(message, expected, len, "message %zu", index);
  cr_assert(noise_read(reader_of(pair, index), message, len, back, payload_len, &back_len));
  cr_assert_eq(back_len, payload_len);
  cr_assert_eq(memcmp(back, payload, payload_len), 0);
}

static void expect_hash(const struct pair *pair, const json_t *test) {
  uint8_t expected[NOISE_HASH_BYTES];
  cr_assert(noise_is_done(&pair->initiator) && noise_is_done(&pair->responder));
  cr_assert(json_vectors_exact(test, "handshake_hash", expected, sizeof expected));
  cr_expect_arr_eq(pair->initiator.hash, expected, sizeof expected);
  cr_expect_arr_eq(pair->responder.hash, expected, sizeof expected);
}

static void expect_transport(const struct pair *pair, enum aead_suite cipher, size_t handshake_len, const json_t *messages) {
  uint8_t keys[2][2][32];
  noise_split(&pair->initiator, keys[0][0], keys[0][1]);
  noise_split(&pair->responder, keys[1][0], keys[1][1]);
  cr_expect_arr_eq(keys[0], keys[1], sizeof keys[0]);
  for (size_t i = handshake_len; i < json_array_size(messages); i++) {
    const json_t *test = json_array_get(messages, i);
    uint8_t data[TRANSPORT_MAX], expected[TRANSPORT_MAX];
    struct aead aead = {0};
    size_t len = json_vectors_bytes(test, "payload", data, sizeof data - AEAD_TAG_BYTES);
    cr_assert(json_vectors_exact(test, "ciphertext", expected, len + AEAD_TAG_BYTES));
    cr_assert(aead_init(&aead, cipher, AEAD_LIBSODIUM, keys[0][i % 2]));
    aead_seal(&aead, i / 2 - (i % 2 == 0 ? (handshake_len + 1) / 2 : handshake_len / 2), NULL, 0, data, len);
    cr_expect_arr_eq(data, expected, len + AEAD_TAG_BYTES, "transport message %zu", i);
    aead_wipe(&aead);
  }
}

static void expect_cacophony(const json_t *test) {
  const char *name = json_vectors_text(test, "protocol_name");
  enum noise_pattern pattern = strncmp(name, "Noise_NK_", 9) == 0 ? NOISE_NK : NOISE_XK;
  enum aead_suite cipher = strstr(name, "AESGCM") ? AEAD_AES256_GCM : AEAD_CHACHA20_POLY1305;
  if (!aead_suite_is_available(cipher)) return;
  uint8_t prologue[64], initiator_static[32], responder_static[32], responder_public[32], randoms[2][NOISE_RANDOM_BYTES] = {0};
  struct pair pair;
  size_t prologue_len = json_vectors_bytes(test, "init_prologue", prologue, sizeof prologue);
  cr_assert(json_vectors_exact(test, "resp_static", responder_static, 32) &&
            json_vectors_exact(test, "init_remote_static", responder_public, 32) &&
            json_vectors_exact(test, "init_ephemeral", randoms[0], 32) && json_vectors_exact(test, "resp_ephemeral", randoms[1], 32));
  if (pattern == NOISE_XK) cr_assert(json_vectors_exact(test, "init_static", initiator_static, 32));
  noise_init(&pair.initiator, pattern, NOISE_INITIATOR, cipher, prologue, prologue_len,
             pattern == NOISE_XK ? initiator_static : NULL, responder_public);
  noise_init(&pair.responder, pattern, NOISE_RESPONDER, cipher, prologue, prologue_len, responder_static, responder_public);
  const json_t *messages = json_object_get(test, "messages");
  size_t handshake_len = pattern == NOISE_NK ? 2 : 3;
  for (size_t i = 0; i < handshake_len; i++)
    expect_message(&pair, i, i < 2 ? randoms[i] : NULL, json_array_get(messages, i), "ciphertext");
  expect_hash(&pair, test);
  expect_transport(&pair, cipher, handshake_len, messages);
}

Test(noise, cacophony) {
  json_t *file = json_vectors_load("tests/vectors/cacophony_noise.json"), *test;
  size_t index;
  cr_assert_eq(json_array_size(json_object_get(file, "vectors")), 4);
  json_array_foreach(json_object_get(file, "vectors"), index, test) expect_cacophony(test);
  json_decref(file);
}

static void expect_hybrid(const json_t *test) {
  bool is_xk = strcmp(json_vectors_text(test, "pattern"), "XKhfs") == 0;
  enum noise_pattern pattern = is_xk ? NOISE_XKHFS : NOISE_NKHFS;
  uint8_t prologue[64], initiator_static[32], responder_static[32], responder_public[32], random[NOISE_RANDOM_BYTES];
  uint8_t keys[100], expected[100], split[64];
  struct pair pair;
  json_t *message;
  size_t prologue_len = json_vectors_bytes(test, "prologue", prologue, sizeof prologue), index;
  cr_assert(json_vectors_exact(test, "responder_static", responder_static, 32));
  if (is_xk) cr_assert(json_vectors_exact(test, "initiator_static", initiator_static, 32));
  x25519_public(responder_public, responder_static);
  noise_init(&pair.initiator, pattern, NOISE_INITIATOR, AEAD_CHACHA20_POLY1305, prologue, prologue_len,
             is_xk ? initiator_static : NULL, responder_public);
  noise_init(&pair.responder, pattern, NOISE_RESPONDER, AEAD_CHACHA20_POLY1305, prologue, prologue_len, responder_static,
             responder_public);
  json_array_foreach(json_object_get(test, "messages"), index, message) {
    cr_assert(json_vectors_exact(message, "random", random, sizeof random));
    expect_message(&pair, index, index < 2 ? random : NULL, message, "message");
  }
  expect_hash(&pair, test);
  noise_traffic_keys(&pair.responder, json_vectors_text(test, "label"), keys, sizeof keys);
  cr_assert(json_vectors_exact(test, "traffic_keys", expected, sizeof keys));
  cr_expect_arr_eq(keys, expected, sizeof keys);
  noise_split(&pair.initiator, split, split + 32);
  cr_assert(json_vectors_exact(test, "split", expected, sizeof split));
  cr_expect_arr_eq(split, expected, sizeof split);
}

Test(noise, hybrid_patterns_are_those_of_the_second_implementation) {
  json_t *file = json_vectors_load("tests/vectors/tunic.json"), *test;
  size_t index;
  cr_assert_eq(json_array_size(json_object_get(file, "noise")), 4);
  json_array_foreach(json_object_get(file, "noise"), index, test) expect_hybrid(test);
  json_decref(file);
}

/* ---- peers that lie ---- */

struct scene {
  struct seeded_random random;
  uint8_t initiator_static[32], responder_static[32], responder_public[32], randoms[2][NOISE_RANDOM_BYTES];
};

static struct scene scene_make(const char *test) {
  struct scene scene = {.random = seeded_random_init(test)};
  seeded_random_draw(&scene.random, scene.initiator_static, 32);
  seeded_random_draw(&scene.random, scene.responder_static, 32);
  seeded_random_draw(&scene.random, scene.randoms, sizeof scene.randoms);
  x25519_public(scene.responder_public, scene.responder_static);
  return scene;
}

/* Two peers that have exchanged `done` messages of XKhfs. */
static void pair_at(struct pair *pair, const struct scene *scene, size_t done) {
  static const uint8_t prologue[] = "prologue";
  uint8_t message[NOISE_MESSAGE_MAX_BYTES];
  size_t len, payload_len;
  noise_init(&pair->initiator, NOISE_XKHFS, NOISE_INITIATOR, AEAD_CHACHA20_POLY1305, prologue, sizeof prologue,
             scene->initiator_static, scene->responder_public);
  noise_init(&pair->responder, NOISE_XKHFS, NOISE_RESPONDER, AEAD_CHACHA20_POLY1305, prologue, sizeof prologue,
             scene->responder_static, scene->responder_public);
  for (size_t i = 0; i < done; i++) {
    cr_assert(noise_write(writer_of(pair, i), scene->randoms[i % 2], NULL, 0, message, sizeof message, &len));
    cr_assert(noise_read(reader_of(pair, i), message, len, NULL, 0, &payload_len));
  }
}

static size_t genuine_message(struct pair *pair, const struct scene *scene, size_t index, uint8_t *message) {
  size_t len;
  pair_at(pair, scene, index);
  cr_assert(noise_write(writer_of(pair, index), scene->randoms[index % 2], NULL, 0, message, NOISE_MESSAGE_MAX_BYTES, &len));
  return len;
}

static void expect_refused(const struct noise *before, const uint8_t *message, size_t len, const char *what, size_t where) {
  struct noise noise = *before;
  struct noise clean = {.failed = true};
  uint8_t payload[NOISE_MESSAGE_MAX_BYTES];
  size_t payload_len = 99;
  cr_expect_not(noise_read(&noise, message, len, payload, sizeof payload, &payload_len), "%s %zu was taken", what, where);
  cr_expect_eq(payload_len, 0);
  cr_expect_eq(memcmp(&noise, &clean, sizeof noise), 0, "%s %zu: no secret outlives the failure", what, where);
  cr_expect_not(noise_is_done(&noise));
  cr_expect_not(noise_write(&noise, NULL, NULL, 0, payload, sizeof payload, &payload_len));
}

Test(noise, sizes_are_those_of_the_cells) {
  struct scene scene = scene_make("noise sizes");
  struct pair pair;
  static const size_t sizes[] = {1248, 1152, 64};
  uint8_t message[NOISE_MESSAGE_MAX_BYTES], payload[32] = {0};
  size_t len;
  for (size_t i = 0; i < 3; i++) cr_expect_eq(genuine_message(&pair, &scene, i, message), sizes[i]);
  pair_at(&pair, &scene, 2);
  cr_assert(noise_write(&pair.initiator, NULL, payload, sizeof payload, message, sizeof message, &len));
  cr_expect_eq(len, 96);
}

Test(noise, one_changed_bit_of_any_message_ends_it) {
  struct scene scene = scene_make("noise bits");
  for (size_t index = 0; index < 3; index++) {
    struct pair pair;
    uint8_t message[NOISE_MESSAGE_MAX_BYTES];
    size_t len = genuine_message(&pair, &scene, index, message);
    /* Each byte of what is short, every 13th of the long fields, and all around where fields meet. Bit 255 of a
     * public X25519 key does not change the point, but the hash of the handshake. */
    for (size_t at = 0; at < len; at += at < 80 || at > len - 40 || (at > 1180 && at < 1216) ? 1 : 13) {
      uint8_t bit = (uint8_t)(1 << (at == 31 ? 7 : at % 8));
      message[at] ^= bit;
      expect_refused(reader_of(&pair, index), message, len, "changed byte", at);
      message[at] ^= bit;
    }
  }
}

Test(noise, cut_and_extended_messages_end_it) {
  struct scene scene = scene_make("noise lengths");
  for (size_t index = 0; index < 3; index++) {
    struct pair pair;
    uint8_t message[NOISE_MESSAGE_MAX_BYTES + 1] = {0};
    size_t len = genuine_message(&pair, &scene, index, message);
    for (size_t short_len = 0; short_len < len; short_len += short_len < 100 || short_len + 40 > len ? 1 : 37)
      expect_refused(reader_of(&pair, index), message, short_len, "length", short_len);
    for (size_t long_len = len + 1; long_len <= sizeof message; long_len += 50)
      expect_refused(reader_of(&pair, index), message, long_len, "length", long_len);
    expect_refused(reader_of(&pair, index), message, sizeof message, "length", sizeof message);
  }
}

Test(noise, a_payload_that_does_not_fit_is_refused) {
  struct scene scene = scene_make("noise room");
  struct pair pair;
  uint8_t message[NOISE_MESSAGE_MAX_BYTES], payload[32] = {1}, big[NOISE_MESSAGE_MAX_BYTES] = {0};
  size_t len, payload_len;
  pair_at(&pair, &scene, 2);
  cr_assert(noise_write(&pair.initiator, NULL, payload, 32, message, 96, &len));
  struct noise responder = pair.responder;
  cr_expect_not(noise_read(&responder, message, len, big, 31, &payload_len));
  cr_expect(noise_read(&pair.responder, message, len, big, 32, &payload_len));

  for (size_t room = 0; room < 1248; room += 39) {
    pair_at(&pair, &scene, 0);
    memset(message, 0xa5, sizeof message);
    cr_expect_not(noise_write(&pair.initiator, scene.randoms[0], NULL, 0, message, room, &len), "room for %zu", room);
    cr_expect_eq(message[room], 0xa5);
  }
  pair_at(&pair, &scene, 0);
  cr_expect_not(noise_write(&pair.initiator, scene.randoms[0], big, sizeof big, message, sizeof message, &len));
  pair_at(&pair, &scene, 0);
  cr_expect_not(noise_write(&pair.initiator, scene.randoms[0], big, SIZE_MAX, message, sizeof message, &len));
}

Test(noise, nobody_speaks_out_of_turn) {
  struct scene scene = scene_make("noise turns");
  struct pair pair;
  uint8_t message[NOISE_MESSAGE_MAX_BYTES], payload[NOISE_MESSAGE_MAX_BYTES];
  size_t len, payload_len;
  for (size_t done = 0; done <= 3; done++) {
    size_t genuine_len = done < 3 ? genuine_message(&pair, &scene, done, message) : 64;
    pair_at(&pair, &scene, done);
    cr_expect_eq(noise_is_done(&pair.initiator), done == 3);
    struct noise wrong_reader = *writer_of(&pair, done), wrong_writer = *reader_of(&pair, done);
    cr_expect_not(noise_read(&wrong_reader, message, genuine_len, payload, sizeof payload, &payload_len));
    cr_expect_not(noise_write(&wrong_writer, scene.randoms[0], NULL, 0, payload, sizeof payload, &len));
    if (done < 3) continue;
    cr_expect_not(noise_read(&pair.responder, message, genuine_len, payload, sizeof payload, &payload_len), "after the end");
    cr_expect_not(noise_write(&pair.initiator, scene.randoms[0], NULL, 0, payload, sizeof payload, &len), "after the end");
  }
}

Test(noise, an_ephemeral_needs_randomness) {
  struct scene scene = scene_make("noise random");
  struct pair pair;
  uint8_t message[NOISE_MESSAGE_MAX_BYTES];
  size_t len;
  for (size_t done = 0; done < 2; done++) {
    pair_at(&pair, &scene, done);
    cr_expect_not(noise_write(writer_of(&pair, done), NULL, NULL, 0, message, sizeof message, &len));
  }
}

/* ---- a liar who follows the protocol but for one field, and then everything that can be known without a key ---- */

static void liar_mix_hash(struct noise *liar, const uint8_t *bytes, size_t len) {
  uint8_t both[NOISE_HASH_BYTES + NOISE_MESSAGE_MAX_BYTES];
  memcpy(both, liar->hash, NOISE_HASH_BYTES);
  memcpy(both + NOISE_HASH_BYTES, bytes, len);
  crypto_generichash(liar->hash, NOISE_HASH_BYTES, both, NOISE_HASH_BYTES + len, NULL, 0);
}

static void liar_mix_key(struct noise *liar, const uint8_t shared[32]) {
  uint8_t key[KDF_HASH_BYTES];
  kdf_noise(liar->chaining_key, key, NULL, liar->chaining_key, shared, 32);
  memcpy(liar->key, key, 32);
  liar->nonce = 0;
}

/* Appends a field in the clear. */
static size_t liar_shows(struct noise *liar, uint8_t *out, const uint8_t *bytes, size_t len) {
  memcpy(out, bytes, len);
  liar_mix_hash(liar, bytes, len);
  return len;
}

/* Appends a sealed field. */
static size_t liar_seals(struct noise *liar, uint8_t *out, const uint8_t *bytes, size_t len) {
  struct aead aead = {0};
  cr_assert(aead_init(&aead, AEAD_CHACHA20_POLY1305, AEAD_LIBSODIUM, liar->key));
  if (len > 0) memcpy(out, bytes, len);
  aead_seal(&aead, liar->nonce++, liar->hash, NOISE_HASH_BYTES, out, len);
  aead_wipe(&aead);
  liar_mix_hash(liar, out, len + AEAD_TAG_BYTES);
  return len + AEAD_TAG_BYTES;
}

static size_t liars_first(struct noise *liar, uint8_t *out, const uint8_t *ephemeral, const uint8_t *shared, const uint8_t *kem_key) {
  size_t len = liar_shows(liar, out, ephemeral, 32);
  liar_mix_key(liar, shared);
  len += liar_seals(liar, out + len, kem_key, MLKEM768_PUBLIC_KEY_BYTES);
  return len + liar_seals(liar, out + len, NULL, 0);
}

static size_t liars_second(struct noise *liar, uint8_t *out, const uint8_t *ephemeral, const uint8_t *shared) {
  uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES], kem_shared[32], seed[32] = {5};
  size_t len = liar_shows(liar, out, ephemeral, 32);
  liar_mix_key(liar, shared);
  cr_assert(mlkem768_encapsulate(ciphertext, kem_shared, liar->kem_public, seed));
  len += liar_seals(liar, out + len, ciphertext, sizeof ciphertext);
  liar_mix_key(liar, kem_shared);
  return len + liar_seals(liar, out + len, NULL, 0);
}

static size_t liars_third(struct noise *liar, uint8_t *out, const uint8_t *static_public, const uint8_t *shared) {
  size_t len = liar_seals(liar, out, static_public, 32);
  liar_mix_key(liar, shared);
  return len + liar_seals(liar, out + len, NULL, 0);
}

/* The liar's `index`-th message, with this public key where its own new one stands and this result of multiplying with it. */
static size_t liars_message(struct pair *pair, const struct scene *scene, size_t index, const uint8_t *public_key,
                            const uint8_t *shared, uint8_t *out) {
  uint8_t kem_key[MLKEM768_PUBLIC_KEY_BYTES], kem_secret[MLKEM768_SECRET_KEY_BYTES];
  pair_at(pair, scene, index);
  struct noise *liar = writer_of(pair, index);
  mlkem768_keypair(kem_key, kem_secret, scene->randoms[0] + 32);
  if (index == 0) return liars_first(liar, out, public_key, shared, kem_key);
  return index == 1 ? liars_second(liar, out, public_key, shared) : liars_third(liar, out, public_key, shared);
}

/* With a zero result allowed, anybody could finish the handshake without a key: tags alone do not stop this liar. */
Test(noise, low_order_points_are_refused_in_every_place) {
  struct scene scene = scene_make("noise low order");
  struct pair pair;
  uint8_t message[NOISE_MESSAGE_MAX_BYTES], zero[32] = {0};
  size_t len, payload_len;
  for (size_t i = 0; i < LOW_ORDER_POINTS; i++) {
    struct noise noise;
    noise_init(&noise, NOISE_NKHFS, NOISE_INITIATOR, AEAD_CHACHA20_POLY1305, zero, 0, NULL, low_order_points[i]);
    cr_expect_not(noise_write(&noise, scene.randoms[0], NULL, 0, message, sizeof message, &len), "responder's static %zu", i);
    for (size_t index = 0; index < 3; index++) {
      len = liars_message(&pair, &scene, index, low_order_points[i], zero, message);
      expect_refused(reader_of(&pair, index), message, len, "low-order point in message", index);
    }
  }

  /* The same liar is believed when it tells the truth: else the above would prove nothing. */
  for (size_t index = 0; index < 3; index++) {
    uint8_t secret[32] = {9}, public_key[32], shared[32];
    x25519_public(public_key, secret);
    pair_at(&pair, &scene, index);
    uint8_t *other = index == 0 ? scene.responder_public : reader_of(&pair, index)->ephemeral_secret;
    uint8_t other_public[32];
    if (index == 0) memcpy(other_public, other, 32);
    else x25519_public(other_public, other);
    cr_assert(x25519_shared(shared, secret, other_public));
    len = liars_message(&pair, &scene, index, public_key, shared, message);
    cr_expect(noise_read(reader_of(&pair, index), message, len, NULL, 0, &payload_len), "message %zu", index);
  }
}

Test(noise, kem_keys_that_are_not_canonical_are_refused) {
  struct scene scene = scene_make("noise KEM key");
  uint8_t message[NOISE_MESSAGE_MAX_BYTES], kem_key[MLKEM768_PUBLIC_KEY_BYTES], kem_secret[MLKEM768_SECRET_KEY_BYTES];
  uint8_t secret[32] = {9}, public_key[32], shared[32];
  size_t payload_len;
  x25519_public(public_key, secret);
  cr_assert(x25519_shared(shared, secret, scene.responder_public));
  mlkem768_keypair(kem_key, kem_secret, scene.randoms[0] + 32);
  for (size_t coefficient = 0; coefficient <= 768; coefficient += 96) {
    struct pair pair;
    uint8_t changed[MLKEM768_PUBLIC_KEY_BYTES];
    memcpy(changed, kem_key, sizeof changed);
    size_t at = coefficient < 768 ? coefficient / 2 * 3 : 0; /* 3329 in the twelve bits there */
    changed[at] = 0x01;
    changed[at + 1] = (uint8_t)((changed[at + 1] & 0xf0) | 0x0d);
    pair_at(&pair, &scene, 0);
    size_t len = liars_first(&pair.initiator, message, public_key, shared, coefficient < 768 ? changed : kem_key);
    if (coefficient < 768)
      expect_refused(&pair.responder, message, len, "coefficient", coefficient);
    else
      cr_expect(noise_read(&pair.responder, message, len, NULL, 0, &payload_len), "the untouched key is taken");
  }
}

Test(noise, keys_differ_by_label_and_secrets_are_gone_when_done) {
  struct scene scene = scene_make("noise done");
  struct pair pair;
  uint8_t one[64], other[64];
  pair_at(&pair, &scene, 3);
  noise_traffic_keys(&pair.initiator, "a", one, sizeof one);
  noise_traffic_keys(&pair.responder, "a", other, sizeof other);
  cr_expect_arr_eq(one, other, sizeof one);
  noise_traffic_keys(&pair.responder, "b", other, sizeof other);
  cr_expect_arr_neq(one, other, sizeof one);
  for (size_t i = 0; i < 2; i++) {
    struct noise *noise = i == 0 ? &pair.initiator : &pair.responder;
    cr_expect(bytes_are_zero_constant_time(noise->static_secret, 32));
    cr_expect(bytes_are_zero_constant_time(noise->ephemeral_secret, 32));
    cr_expect(bytes_are_zero_constant_time(noise->kem_secret, sizeof noise->kem_secret));
  }
  uint8_t initiator_public[32];
  x25519_public(initiator_public, scene.initiator_static);
  cr_expect_arr_eq(pair.responder.remote_static, initiator_public, 32, "the responder learns who called");
}
