/* The field of Curve25519: against the second implementation's integers, at the limits of the limbs, and by its own laws. */
#include "crypto/field25519.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/crypto/json_vectors.h"
#include "tests/unit/crypto/seeded_random.h"

#if FIELD25519_BUILT

enum { RANDOM_ROUNDS = 500 };

static const struct field25519 zero = {{0}}, one = {{1}};

/* The greatest limbs that a function may be given. */
#define LIMB_MAX ((UINT64_C(1) << 51) + (UINT64_C(1) << 13) - 1)

static bool limbs_are_in_bounds(const struct field25519 *a) {
  for (int i = 0; i < FIELD25519_LIMBS; i++)
    if (a->limb[i] > LIMB_MAX) return false;
  return true;
}

static void expect_equal(const struct field25519 *a, const struct field25519 *b, const char *what) {
  uint8_t a_bytes[FIELD25519_BYTES], b_bytes[FIELD25519_BYTES];
  field25519_encode(a_bytes, a);
  field25519_encode(b_bytes, b);
  cr_expect_arr_eq(a_bytes, b_bytes, FIELD25519_BYTES, "%s", what);
}

/* The same element by its one encoding, so with limbs of 51 bits. */
static struct field25519 reduced(const struct field25519 *a) {
  uint8_t bytes[FIELD25519_BYTES];
  struct field25519 result;
  field25519_encode(bytes, a);
  field25519_decode(&result, bytes);
  return result;
}

static struct field25519 drawn(struct seeded_random *random) {
  struct field25519 a;
  seeded_random_draw(random, &a, sizeof a);
  for (int i = 0; i < FIELD25519_LIMBS; i++) a.limb[i] %= LIMB_MAX + 1;
  return a;
}

static void expect_result(const json_t *test, const char *what, const struct field25519 *found) {
  uint8_t expected[FIELD25519_BYTES], bytes[FIELD25519_BYTES];
  cr_assert(json_vectors_exact(test, what, expected, sizeof expected));
  field25519_encode(bytes, found);
  cr_expect_arr_eq(bytes, expected, sizeof bytes, "%s of %s", what, json_vectors_text(test, "name"));
}

Test(field25519, results_are_those_of_the_second_implementation) {
  json_t *file = json_vectors_load("tests/vectors/tunic.json"), *test;
  size_t index;
  cr_assert_eq(json_array_size(json_object_get(file, "field25519")), 52);
  json_array_foreach(json_object_get(file, "field25519"), index, test) {
    uint8_t a_bytes[FIELD25519_BYTES], b_bytes[FIELD25519_BYTES];
    struct field25519 a, b, result;
    cr_assert(json_vectors_exact(test, "a", a_bytes, sizeof a_bytes) && json_vectors_exact(test, "b", b_bytes, sizeof b_bytes));
    field25519_decode(&a, a_bytes);
    field25519_decode(&b, b_bytes);
    field25519_add(&result, &a, &b);
    expect_result(test, "sum", &result);
    field25519_subtract(&result, &a, &b);
    expect_result(test, "difference", &result);
    field25519_multiply(&result, &a, &b);
    expect_result(test, "product", &result);
    field25519_invert(&result, &a);
    expect_result(test, "inverse", &result);
  }
  json_decref(file);
}

/* 0 to 18 have a second encoding each, from p to 2^255 - 1; the top bit is no part of the number. */
Test(field25519, every_element_leaves_as_one_encoding) {
  for (int value = 0; value < 19; value++)
    for (int top = 0; top < 2; top++) {
      uint8_t bytes[FIELD25519_BYTES], expected[FIELD25519_BYTES] = {(uint8_t)value};
      struct field25519 a;
      memset(bytes, 0xff, sizeof bytes);
      bytes[0] = (uint8_t)(0xed + value);
      bytes[31] = top ? 0xff : 0x7f;
      field25519_decode(&a, bytes);
      field25519_encode(bytes, &a);
      cr_expect_arr_eq(bytes, expected, sizeof bytes, "%d, top bit %d", value, top);
    }
}

/* Every mixture of the least and the greatest limbs, against the same elements with small limbs. */
Test(field25519, the_greatest_limbs_do_not_overflow) {
  for (unsigned mask = 0; mask < 1U << 2 * FIELD25519_LIMBS; mask++) {
    struct field25519 a, b, large, small;
    for (int i = 0; i < FIELD25519_LIMBS; i++) {
      a.limb[i] = mask >> i & 1 ? LIMB_MAX : 0;
      b.limb[i] = mask >> (FIELD25519_LIMBS + i) & 1 ? LIMB_MAX : 0;
    }
    struct field25519 a_small = reduced(&a), b_small = reduced(&b);
    field25519_add(&large, &a, &b);
    field25519_add(&small, &a_small, &b_small);
    expect_equal(&large, &small, "sum");
    cr_assert(limbs_are_in_bounds(&large));
    field25519_subtract(&large, &a, &b);
    field25519_subtract(&small, &a_small, &b_small);
    expect_equal(&large, &small, "difference");
    cr_assert(limbs_are_in_bounds(&large));
    field25519_multiply(&large, &a, &b);
    field25519_multiply(&small, &a_small, &b_small);
    expect_equal(&large, &small, "product");
    cr_assert(limbs_are_in_bounds(&large));
  }
}

Test(field25519, an_inverse_times_the_element_is_one) {
  struct seeded_random random = seeded_random_init("field25519 inverse");
  for (int round = 0; round < RANDOM_ROUNDS; round++) {
    struct field25519 a = drawn(&random), inverse, product;
    field25519_invert(&inverse, &a);
    cr_assert(limbs_are_in_bounds(&inverse));
    field25519_multiply(&product, &a, &inverse);
    expect_equal(&product, &one, "a / a");
  }
  struct field25519 inverse;
  field25519_invert(&inverse, &zero);
  expect_equal(&inverse, &zero, "1 / 0");
}

Test(field25519, sums_and_products_distribute_and_may_overwrite_their_arguments) {
  struct seeded_random random = seeded_random_init("field25519 laws");
  for (int round = 0; round < RANDOM_ROUNDS; round++) {
    struct field25519 a = drawn(&random), b = drawn(&random), c = drawn(&random), left, right, product;
    field25519_add(&left, &a, &b);
    field25519_multiply(&left, &left, &c);
    field25519_multiply(&right, &a, &c);
    field25519_multiply(&product, &b, &c);
    field25519_add(&right, &right, &product);
    expect_equal(&left, &right, "(a + b) c = a c + b c");
    field25519_subtract(&product, &right, &product);
    field25519_multiply(&a, &a, &c);
    expect_equal(&product, &a, "a c + b c - b c = a c");
  }
}

#endif
