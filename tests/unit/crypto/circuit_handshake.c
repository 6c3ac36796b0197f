/* The handshake with a hop: the second implementation's bytes, everything that both sides must agree on, and lies. */
#include "crypto/circuit_handshake.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/crypto/json_vectors.h"
#include "tests/unit/crypto/low_order.h"
#include "tests/unit/crypto/seeded_random.h"

static void start(void) { cr_assert(crypto_start()); }

TestSuite(circuit_handshake, .init = start);

static uint8_t small_number(const json_t *test, const char *field) {
  return (uint8_t)json_integer_value(json_object_get(test, field));
}

static void expect_case(const json_t *test) {
  struct circuit_binding binding = {.handshake_type = CIRCUIT_HANDSHAKE_TYPE_HYBRID};
  uint8_t onion_secret[32], onion_public[32], client_random[NOISE_RANDOM_BYTES], relay_random[NOISE_RANDOM_BYTES];
  uint8_t request[CIRCUIT_HANDSHAKE_REQUEST_BYTES], reply[CIRCUIT_HANDSHAKE_REPLY_BYTES], expected[CIRCUIT_HANDSHAKE_REQUEST_BYTES];
  struct circuit_keys client, relay;
  struct noise handshake;
  binding.generation = small_number(test, "generation");
  binding.place = small_number(test, "place");
  binding.suite = small_number(test, "suite");
  cr_assert(json_vectors_exact(test, "network", binding.network, 32) && json_vectors_exact(test, "identity", binding.identity, 32) &&
            json_vectors_exact(test, "onion_secret", onion_secret, 32) &&
            json_vectors_exact(test, "client_random", client_random, sizeof client_random) &&
            json_vectors_exact(test, "relay_random", relay_random, sizeof relay_random));
  x25519_public(onion_public, onion_secret);
  cr_assert(circuit_handshake_begin(&handshake, &binding, onion_public, client_random, request));
  cr_assert(json_vectors_exact(test, "request", expected, sizeof request));
  cr_expect_arr_eq(request, expected, sizeof request);
  cr_assert(circuit_handshake_answer(&binding, onion_secret, onion_public, request, relay_random, reply, &relay));
  cr_assert(json_vectors_exact(test, "reply", expected, sizeof reply));
  cr_expect_arr_eq(reply, expected, sizeof reply);
  cr_assert(circuit_handshake_finish(&handshake, reply, &client));
  cr_assert(json_vectors_exact(test, "forward", expected, 32) && json_vectors_exact(test, "backward", expected + 32, 32));
  cr_expect_arr_eq(client.forward, expected, 32);
  cr_expect_arr_eq(client.backward, expected + 32, 32);
  cr_expect_arr_eq(&client, &relay, sizeof client);
}

Test(circuit_handshake, bytes_and_keys_are_those_of_the_second_implementation) {
  json_t *file = json_vectors_load("tests/vectors/tunic.json"), *test;
  size_t index;
  cr_assert_eq(json_array_size(json_object_get(file, "circuit")), 3);
  json_array_foreach(json_object_get(file, "circuit"), index, test) expect_case(test);
  json_decref(file);
}

struct scene {
  struct circuit_binding binding;
  uint8_t onion_secret[32], onion_public[32], randoms[2][NOISE_RANDOM_BYTES];
  uint8_t request[CIRCUIT_HANDSHAKE_REQUEST_BYTES], reply[CIRCUIT_HANDSHAKE_REPLY_BYTES];
  struct noise handshake; /* the client's, as it waits for the reply */
};

static void scene_make(struct scene *scene, const char *test) {
  struct seeded_random random = seeded_random_init(test);
  struct circuit_keys keys;
  memset(scene, 0, sizeof *scene);
  seeded_random_draw(&random, &scene->binding, sizeof scene->binding);
  seeded_random_draw(&random, scene->onion_secret, 32);
  seeded_random_draw(&random, scene->randoms, sizeof scene->randoms);
  scene->binding.handshake_type = CIRCUIT_HANDSHAKE_TYPE_HYBRID;
  scene->binding.suite = AEAD_CHACHA20_POLY1305;
  x25519_public(scene->onion_public, scene->onion_secret);
  cr_assert(circuit_handshake_begin(&scene->handshake, &scene->binding, scene->onion_public, scene->randoms[0], scene->request));
  cr_assert(circuit_handshake_answer(&scene->binding, scene->onion_secret, scene->onion_public, scene->request,
                                     scene->randoms[1], scene->reply, &keys));
}

static void expect_no_answer(const struct scene *scene, const struct circuit_binding *binding, const uint8_t *request,
                             const char *what, size_t where) {
  struct circuit_keys keys, none = {0};
  uint8_t reply[CIRCUIT_HANDSHAKE_REPLY_BYTES];
  memset(&keys, 0xa5, sizeof keys);
  cr_expect_not(circuit_handshake_answer(binding, scene->onion_secret, scene->onion_public, request, scene->randoms[1], reply, &keys),
                "%s %zu was answered", what, where);
  cr_expect_arr_eq(&keys, &none, sizeof keys);
}

static void expect_not_finished(const struct scene *scene, const uint8_t *reply, const char *what, size_t where) {
  struct circuit_keys keys, none = {0};
  struct noise handshake = scene->handshake, wiped = {.failed = true};
  memset(&keys, 0xa5, sizeof keys);
  cr_expect_not(circuit_handshake_finish(&handshake, reply, &keys), "%s %zu was believed", what, where);
  cr_expect_arr_eq(&keys, &none, sizeof keys);
  cr_expect_eq(memcmp(&handshake, &wiped, sizeof wiped), 0);
}

Test(circuit_handshake, both_sides_agree_on_every_byte_of_the_binding) {
  struct scene scene;
  scene_make(&scene, "circuit binding");
  for (size_t at = 0; at < sizeof scene.binding; at++) {
    struct circuit_binding other = scene.binding;
    ((uint8_t *)&other)[at] ^= (uint8_t)(1 << at % 8);
    expect_no_answer(&scene, &other, scene.request, "another byte of the binding", at);
  }
  struct circuit_binding other = scene.binding;
  other.suite = AEAD_AES256_GCM;
  expect_no_answer(&scene, &other, scene.request, "another suite", 0);
}

/* A request as a client would make it that knows more types and suites than we do. */
static void future_request(const struct scene *scene, const struct circuit_binding *binding, uint8_t *request) {
  uint8_t prologue[15 + 32 + 32 + 4];
  struct noise noise;
  size_t len;
  memcpy(prologue, "tunic circuit 1", 15);
  memcpy(prologue + 15, binding->network, 32);
  memcpy(prologue + 47, binding->identity, 32);
  memcpy(prologue + 79, (uint8_t[]){binding->handshake_type, binding->generation, binding->place, binding->suite}, 4);
  noise_init(&noise, NOISE_NKHFS, NOISE_INITIATOR, AEAD_CHACHA20_POLY1305, prologue, sizeof prologue, NULL, scene->onion_public);
  cr_assert(noise_write(&noise, scene->randoms[0], NULL, 0, request, CIRCUIT_HANDSHAKE_REQUEST_BYTES, &len));
}

Test(circuit_handshake, unknown_types_and_suites_are_refused_by_both_sides) {
  struct scene scene;
  scene_make(&scene, "circuit types");
  for (size_t value = 0; value < 256; value++) {
    struct circuit_binding type = scene.binding, suite = scene.binding;
    struct noise handshake;
    uint8_t request[CIRCUIT_HANDSHAKE_REQUEST_BYTES];
    if (value == 0) {
      future_request(&scene, &type, request);
      cr_assert_arr_eq(request, scene.request, sizeof request, "today's request is made the same way");
    }
    type.handshake_type = (uint8_t)value;
    suite.suite = (uint8_t)value;
    if (value != CIRCUIT_HANDSHAKE_TYPE_HYBRID) {
      cr_expect_not(circuit_handshake_begin(&handshake, &type, scene.onion_public, scene.randoms[0], request));
      future_request(&scene, &type, request);
      expect_no_answer(&scene, &type, request, "type", value);
    }
    if (value != AEAD_CHACHA20_POLY1305 && value != AEAD_AES256_GCM) {
      cr_expect_not(circuit_handshake_begin(&handshake, &suite, scene.onion_public, scene.randoms[0], request));
      future_request(&scene, &suite, request);
      expect_no_answer(&scene, &suite, request, "suite", value);
    }
  }
}

Test(circuit_handshake, changed_bytes_and_other_keys_are_refused) {
  struct scene scene, other;
  scene_make(&scene, "circuit bytes");
  for (size_t at = 0; at < sizeof scene.request; at += at % 5 + 1) {
    scene.request[at] ^= (uint8_t)(1 << at % 8);
    expect_no_answer(&scene, &scene.binding, scene.request, "changed byte of the request", at);
    scene.request[at] ^= (uint8_t)(1 << at % 8);
  }
  for (size_t at = 0; at < sizeof scene.reply; at += at % 5 + 1) {
    scene.reply[at] ^= (uint8_t)(1 << at % 8);
    expect_not_finished(&scene, scene.reply, "changed byte of the reply", at);
    scene.reply[at] ^= (uint8_t)(1 << at % 8);
  }
  scene_make(&other, "circuit others");
  other.onion_secret[3] ^= 1; /* another key, whatever the seed */
  x25519_public(other.onion_public, other.onion_secret);
  expect_no_answer(&other, &scene.binding, scene.request, "a request to another key", 0);
}

Test(circuit_handshake, low_order_points_are_refused) {
  struct scene scene;
  scene_make(&scene, "circuit low order");
  for (size_t i = 0; i < LOW_ORDER_POINTS; i++) {
    struct noise handshake;
    uint8_t changed[CIRCUIT_HANDSHAKE_REQUEST_BYTES];
    cr_expect_not(circuit_handshake_begin(&handshake, &scene.binding, low_order_points[i], scene.randoms[0], changed));
    memcpy(changed, scene.request, sizeof scene.request);
    memcpy(changed, low_order_points[i], 32);
    expect_no_answer(&scene, &scene.binding, changed, "point", i);
    memcpy(changed, scene.reply, sizeof scene.reply);
    memcpy(changed, low_order_points[i], 32);
    expect_not_finished(&scene, changed, "point", i);
  }
}

Test(circuit_handshake, a_reply_serves_once_and_only_its_own_request) {
  struct scene scene, again;
  struct circuit_keys keys;
  scene_make(&scene, "circuit replies");
  again = scene;
  again.randoms[0][0] ^= 8; /* bits 0 to 2 are cleared in every scalar */
  cr_assert(circuit_handshake_begin(&again.handshake, &again.binding, again.onion_public, again.randoms[0], again.request));
  expect_not_finished(&again, scene.reply, "the reply to another request", 0);
  cr_expect(circuit_handshake_finish(&scene.handshake, scene.reply, &keys));
  cr_expect_not(circuit_handshake_finish(&scene.handshake, scene.reply, &keys), "the second time there is no handshake");
}
