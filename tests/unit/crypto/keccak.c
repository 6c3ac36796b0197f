/* SHA3 and SHAKE against known answers that another implementation wrote (tests/vectors/keccak.json). */
#include "crypto/keccak.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/crypto/json_vectors.h"

enum { MAX_MESSAGE = 2048, XOF_BYTES = 400 };

static void shake128(uint8_t *ret_output, size_t output_len, const uint8_t *input, size_t len) {
  struct keccak_shake128 sponge;
  keccak_shake128_init(&sponge, input, len);
  for (size_t done = 0; done < output_len; done += KECCAK_SHAKE128_RATE) {
    uint8_t block[KECCAK_SHAKE128_RATE];
    keccak_shake128_squeeze(&sponge, block);
    size_t left = output_len - done;
    memcpy(ret_output + done, block, left < sizeof block ? left : sizeof block);
  }
}

/* The length of the output, or 0 if the file names a function we do not have. */
static size_t run(const char *function, uint8_t ret_output[XOF_BYTES], const uint8_t *message, size_t len) {
  if (strcmp(function, "sha3_256") == 0) {
    keccak_sha3_256(ret_output, message, len);
    return KECCAK_SHA3_256_BYTES;
  }
  if (strcmp(function, "sha3_512") == 0) {
    keccak_sha3_512(ret_output, message, len);
    return KECCAK_SHA3_512_BYTES;
  }
  if (strcmp(function, "shake256") == 0) {
    keccak_shake256(ret_output, XOF_BYTES, message, len);
    return XOF_BYTES;
  }
  if (strcmp(function, "shake128") == 0) {
    shake128(ret_output, XOF_BYTES, message, len);
    return XOF_BYTES;
  }
  return 0;
}

Test(keccak, known_answers) {
  json_t *file = json_vectors_load("tests/vectors/keccak.json");
  json_t *tests = json_object_get(file, "tests"), *test;
  cr_assert_eq(json_array_size(tests), 44);
  size_t i;
  json_array_foreach(tests, i, test) {
    uint8_t message[MAX_MESSAGE], expected[XOF_BYTES], output[XOF_BYTES];
    const char *function = json_vectors_text(test, "function");
    size_t len = json_vectors_bytes(test, "message", message, sizeof message);
    size_t output_len = run(function, output, message, len);
    cr_assert(output_len > 0 && json_vectors_exact(test, "output", expected, output_len), "case %zu", i);
    cr_expect_arr_eq(output, expected, output_len, "%s of %zu bytes", function, len);
  }
  json_decref(file);
}

/* Shorter outputs of an extendable function are the beginnings of longer ones, over block boundaries too. */
Test(keccak, shake256_output_is_a_prefix) {
  uint8_t longest[3 * KECCAK_SHAKE256_RATE], output[sizeof longest];
  const uint8_t message[] = "prefix";
  keccak_shake256(longest, sizeof longest, message, sizeof message);
  for (size_t len = 1; len < sizeof longest; len++) {
    memset(output, 0xee, sizeof output);
    keccak_shake256(output, len, message, sizeof message);
    cr_assert_arr_eq(output, longest, len);
    cr_assert_eq(output[len], 0xee, "wrote past %zu bytes", len);
  }
}
