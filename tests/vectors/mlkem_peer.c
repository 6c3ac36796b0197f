/* Our side of the comparison with another library: reads the cases that mlkem_peer.mjs wrote, runs ours on
 * each implementation, and writes what we made for the other side to open. See mlkem_peer.sh.
 *
 * usage: mlkem_peer <cases.json> <ours.json> */
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "crypto/mlkem768_implementation.h"

struct peer_case {
  uint8_t key_seed[MLKEM768_KEY_SEED_BYTES], seed[MLKEM768_ENCAPS_SEED_BYTES];
  uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES], secret_key[MLKEM768_SECRET_KEY_BYTES];
  uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES], shared[MLKEM768_SHARED_BYTES];
  uint8_t received[MLKEM768_CIPHERTEXT_BYTES], received_shared[MLKEM768_SHARED_BYTES];
};

static bool read_field(const json_t *from, const char *field, uint8_t *ret_bytes, size_t len) {
  const char *text = json_string_value(json_object_get(from, field));
  size_t written = 0;
  return text && sodium_hex2bin(ret_bytes, len, text, strlen(text), NULL, &written, NULL) == 0 &&
         written == len;
}

static bool read_case(const json_t *from, struct peer_case *ret) {
  return read_field(from, "key_seed", ret->key_seed, sizeof ret->key_seed) &&
         read_field(from, "seed", ret->seed, sizeof ret->seed) &&
         read_field(from, "public_key", ret->public_key, sizeof ret->public_key) &&
         read_field(from, "ciphertext", ret->ciphertext, sizeof ret->ciphertext) &&
         read_field(from, "shared", ret->shared, sizeof ret->shared) &&
         read_field(from, "received", ret->received, sizeof ret->received) &&
         read_field(from, "received_shared", ret->received_shared, sizeof ret->received_shared);
}

/* True if ours gives the same from the same seeds, and the same secret from the ciphertext it is sent. */
static bool agrees(const struct mlkem768_implementation *on, const struct peer_case *theirs,
                   struct peer_case *ret_ours) {
  mlkem768_keypair_on(on, ret_ours->public_key, ret_ours->secret_key, theirs->key_seed);
  bool encapsulated =
      mlkem768_encapsulate_on(on, ret_ours->ciphertext, ret_ours->shared, theirs->public_key, theirs->seed);
  mlkem768_decapsulate_on(on, ret_ours->received_shared, theirs->received, ret_ours->secret_key);
  return encapsulated && memcmp(ret_ours->public_key, theirs->public_key, sizeof theirs->public_key) == 0 &&
         memcmp(ret_ours->ciphertext, theirs->ciphertext, sizeof theirs->ciphertext) == 0 &&
         memcmp(ret_ours->shared, theirs->shared, sizeof theirs->shared) == 0 &&
         memcmp(ret_ours->received_shared, theirs->received_shared, sizeof theirs->received_shared) == 0;
}

static void write_field(json_t *to, const char *field, const uint8_t *bytes, size_t len) {
  char text[2 * MLKEM768_SECRET_KEY_BYTES + 1];
  json_object_set_new(to, field, json_string(sodium_bin2hex(text, sizeof text, bytes, len)));
}

/* A key pair and an encapsulation of our own, from fresh randomness: the other side opens it with our secret
 * key. */
static json_t *fresh_case(const struct mlkem768_implementation *on) {
  struct peer_case ours;
  json_t *to = json_object();
  randombytes_buf(ours.key_seed, sizeof ours.key_seed);
  randombytes_buf(ours.seed, sizeof ours.seed);
  mlkem768_keypair_on(on, ours.public_key, ours.secret_key, ours.key_seed);
  if (!mlkem768_encapsulate_on(on, ours.ciphertext, ours.shared, ours.public_key, ours.seed)) return to;
  write_field(to, "secret_key", ours.secret_key, sizeof ours.secret_key);
  write_field(to, "public_key", ours.public_key, sizeof ours.public_key);
  write_field(to, "ciphertext", ours.ciphertext, sizeof ours.ciphertext);
  write_field(to, "shared", ours.shared, sizeof ours.shared);
  return to;
}

int main(int argc, char **argv) {
  if (argc != 3 || sodium_init() < 0) return 2;
  json_error_t error;
  json_t *file = json_load_file(argv[1], 0, &error), *ours = json_array();
  if (!file) {
    fprintf(stderr, "%s: %s\n", argv[1], error.text);
    return 2;
  }
  const struct mlkem768_implementation *all[] = {mlkem768_portable(), mlkem768_avx2()};
  json_t *tests = json_object_get(json_array_get(json_object_get(file, "testGroups"), 0), "tests"), *test;
  size_t i, wrong = 0;
  json_array_foreach(tests, i, test) {
    for (size_t n = 0; n < 2 && all[n]; n++) {
      struct peer_case theirs, made;
      if (read_case(test, &theirs) && agrees(all[n], &theirs, &made)) continue;
      fprintf(stderr, "case %zu differs (%s)\n", i, all[n]->name);
      wrong++;
    }
    json_array_append_new(ours, fresh_case(all[1] && i % 2 ? all[1] : all[0]));
  }
  bool written = json_dump_file(ours, argv[2], JSON_COMPACT) == 0;
  printf("%zu cases of theirs: %zu differ from ours\n", i, wrong);
  json_decref(ours);
  json_decref(file);
  return i > 0 && wrong == 0 && written ? 0 : 1;
}
