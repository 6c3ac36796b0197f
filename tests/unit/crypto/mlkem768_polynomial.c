/* The arithmetic under ML-KEM-768: against its definitions in FIPS 203, and the AVX2 functions against the
 * portable ones, value for value. */
#include "crypto/mlkem768_polynomial.h"

#include <criterion/criterion.h>
#include <string.h>

#include "crypto/mlkem768_implementation.h"
#include "tests/unit/crypto/seeded_random.h"

enum { IMPLEMENTATIONS = 2, RANDOM_ROUNDS = 200, ANY = INT16_MAX };

/* NULL where the processor cannot run it. */
static const struct mlkem768_implementation *implementation(size_t index) {
  return index == 0 ? mlkem768_portable() : mlkem768_avx2();
}

/* Coefficients in (-bound, bound); every eighth polynomial is all extremes, where an overflow would show. */
static void draw_polynomial(struct seeded_random *random, struct mlkem768_polynomial *ret, int bound) {
  uint16_t raw[MLKEM768_N];
  seeded_random_draw(random, raw, sizeof raw);
  bool extreme = raw[0] % 8 == 0;
  for (size_t i = 0; i < MLKEM768_N; i++) {
    int value = raw[i] % (2 * bound - 1) - (bound - 1);
    if (extreme) value = raw[i] % 2 == 0 ? bound - 1 : 1 - bound;
    ret->at[i] = (int16_t)value;
  }
}

static int residue(int value) {
  return (value % MLKEM768_Q + MLKEM768_Q) % MLKEM768_Q;
}

/* The definition: multiplication modulo X^256 + 1, by hand. */
static void add_product(int sum[MLKEM768_N], const struct mlkem768_polynomial *a,
                        const struct mlkem768_polynomial *b) {
  for (size_t i = 0; i < MLKEM768_N; i++) {
    for (size_t j = 0; j < MLKEM768_N; j++) {
      int product = a->at[i] * b->at[j] % MLKEM768_Q;
      size_t place = (i + j) % MLKEM768_N;
      sum[place] = residue(sum[place] + (i + j < MLKEM768_N ? product : -product));
    }
  }
}

Test(mlkem768_polynomial, transforms_multiply_as_the_definition_does) {
  struct seeded_random random = seeded_random_init("transforms_multiply");
  for (size_t round = 0; round < RANDOM_ROUNDS / 4; round++) {
    struct mlkem768_polynomial a[MLKEM768_K], b[MLKEM768_K];
    int expected[MLKEM768_N] = {0};
    for (size_t k = 0; k < MLKEM768_K; k++) {
      draw_polynomial(&random, &a[k], MLKEM768_Q);
      draw_polynomial(&random, &b[k], MLKEM768_Q);
      add_product(expected, &a[k], &b[k]);
    }
    for (size_t n = 0; n < IMPLEMENTATIONS; n++) {
      const struct mlkem768_implementation *on = implementation(n);
      if (!on) continue;
      struct mlkem768_polynomial x[MLKEM768_K], y[MLKEM768_K], got;
      memcpy(x, a, sizeof x);
      memcpy(y, b, sizeof y);
      for (size_t k = 0; k < MLKEM768_K; k++) {
        on->forward(&x[k]);
        on->forward(&y[k]);
      }
      on->inner_product(&got, x, y);
      on->inverse(&got);
      for (size_t i = 0; i < MLKEM768_N; i++) {
        cr_assert(got.at[i] > -MLKEM768_Q && got.at[i] < MLKEM768_Q);
        cr_assert_eq(residue(got.at[i]), expected[i], "%s, coefficient %zu", on->name, i);
      }
    }
  }
}

/* FIPS 203's matrix and keys are in the NTT domain as it orders it: X is 17^(2 bitreverse7(i) + 1) in pair i.
 */
Test(mlkem768_polynomial, forward_gives_the_order_of_the_standard) {
  for (size_t n = 0; n < IMPLEMENTATIONS; n++) {
    const struct mlkem768_implementation *on = implementation(n);
    if (!on) continue;
    struct mlkem768_polynomial p = {.at = {[2] = 1}}; /* X^2 */
    on->forward(&p);
    for (unsigned i = 0; i < MLKEM768_N / 2; i++) {
      unsigned exponent = 1, power = 1;
      for (unsigned bit = 0; bit < 7; bit++) exponent += (i >> bit & 1) << (7 - bit);
      for (unsigned step = 0; step < exponent; step++) power = power * 17 % MLKEM768_Q;
      cr_assert_eq(residue(p.at[2 * i]), (int)power, "%s, pair %u", on->name, i);
      cr_assert_eq(p.at[2 * i + 1], 0, "%s, pair %u", on->name, i);
    }
  }
}

Test(mlkem768_polynomial, reductions_are_exact_for_every_value) {
  struct mlkem768_polynomial p, original;
  for (int start = INT16_MIN; start <= INT16_MAX; start += MLKEM768_N) {
    for (int i = 0; i < MLKEM768_N; i++) original.at[i] = (int16_t)(start + i);
    p = original;
    mlkem768_polynomial_canonicalize(&p);
    for (size_t i = 0; i < MLKEM768_N; i++) cr_assert_eq(p.at[i], residue(original.at[i]));
    p = original;
    mlkem768_polynomial_reduce(&p);
    for (size_t i = 0; i < MLKEM768_N; i++) {
      cr_assert_eq(residue(p.at[i]), residue(original.at[i]));
      cr_assert(p.at[i] >= -MLKEM768_Q / 2 && p.at[i] <= MLKEM768_Q / 2);
    }
  }
}

Test(mlkem768_polynomial, restore_undoes_the_factor_of_inner_product) {
  struct mlkem768_polynomial one[MLKEM768_K] = {{.at = {0}}}, b[MLKEM768_K], got;
  struct seeded_random random = seeded_random_init("restore");
  for (size_t i = 0; i < MLKEM768_N; i += 2) one[0].at[i] = 1; /* the constant 1, transformed */
  for (size_t k = 0; k < MLKEM768_K; k++) draw_polynomial(&random, &b[k], MLKEM768_Q);
  for (size_t n = 0; n < IMPLEMENTATIONS; n++) {
    if (!implementation(n)) continue;
    implementation(n)->inner_product(&got, one, b);
    implementation(n)->restore(&got);
    for (size_t i = 0; i < MLKEM768_N; i++) cr_assert_eq(residue(got.at[i]), residue(b[0].at[i]));
  }
}

/* Section 4.2.1: round(2^d x / q) modulo 2^d, for every residue; and decompression of every value. */
static int compressed(int x, int d) {
  return (2 * (x << d) + MLKEM768_Q) / (2 * MLKEM768_Q) % (1 << d);
}

static int decompressed(int y, int d) {
  return (2 * MLKEM768_Q * y + (1 << d)) / (2 << d);
}

static int bits_at(const uint8_t *bytes, size_t index, int d) {
  int value = 0;
  for (size_t i = 0; i < (size_t)d; i++) {
    size_t bit = index * (size_t)d + i;
    value |= (bytes[bit / 8] >> bit % 8 & 1) << i;
  }
  return value;
}

Test(mlkem768_polynomial, compresses_and_packs_every_residue_as_defined) {
  struct mlkem768_polynomial p, back;
  uint8_t whole[MLKEM768_POLYNOMIAL_BYTES], u[320], v[128], message[MLKEM768_MESSAGE_BYTES];
  for (int start = 0; start < MLKEM768_Q; start += MLKEM768_N) {
    for (int i = 0; i < MLKEM768_N; i++) p.at[i] = (int16_t)((start + i) % MLKEM768_Q);
    mlkem768_polynomial_encode(whole, &p);
    mlkem768_polynomial_compress_u(u, &p);
    mlkem768_polynomial_compress_v(v, &p);
    mlkem768_polynomial_to_message(message, &p);
    mlkem768_polynomial_decode(&back, whole);
    for (size_t i = 0; i < MLKEM768_N; i++) {
      cr_assert_eq(bits_at(whole, i, 12), p.at[i]);
      cr_assert_eq(bits_at(u, i, 10), compressed(p.at[i], 10), "10 bits of %d", p.at[i]);
      cr_assert_eq(bits_at(v, i, 4), compressed(p.at[i], 4), "4 bits of %d", p.at[i]);
      cr_assert_eq(bits_at(message, i, 1), compressed(p.at[i], 1), "1 bit of %d", p.at[i]);
      cr_assert_eq(back.at[i], p.at[i]);
    }
  }
}

Test(mlkem768_polynomial, decompresses_as_defined) {
  struct seeded_random random = seeded_random_init("decompresses");
  struct mlkem768_polynomial p;
  uint8_t bytes[320];
  for (size_t round = 0; round < RANDOM_ROUNDS; round++) {
    seeded_random_draw(&random, bytes, sizeof bytes);
    mlkem768_polynomial_decompress_u(&p, bytes);
    for (size_t i = 0; i < MLKEM768_N; i++) cr_assert_eq(p.at[i], decompressed(bits_at(bytes, i, 10), 10));
    mlkem768_polynomial_decompress_v(&p, bytes);
    for (size_t i = 0; i < MLKEM768_N; i++) cr_assert_eq(p.at[i], decompressed(bits_at(bytes, i, 4), 4));
    mlkem768_polynomial_from_message(&p, bytes);
    for (size_t i = 0; i < MLKEM768_N; i++) cr_assert_eq(p.at[i], decompressed(bits_at(bytes, i, 1), 1));
  }
}

/* Algorithm 7, lines 4 to 15, on bytes in which every tenth candidate is near q. */
Test(mlkem768_polynomial, uniform_sampling_takes_what_is_below_q_in_order) {
  struct seeded_random random = seeded_random_init("uniform_sampling");
  for (size_t round = 0; round < RANDOM_ROUNDS; round++) {
    uint8_t bytes[840];
    int16_t expected[MLKEM768_N];
    struct mlkem768_polynomial p;
    seeded_random_draw(&random, bytes, sizeof bytes);
    for (size_t i = 0; i + 2 < sizeof bytes; i += 15) bytes[i + 1] = (uint8_t)(0xd0 | (bytes[i + 1] & 0x0d));
    size_t expected_filled = 0, filled = 0, turns = round % 5 + 1;
    for (size_t i = 0; i < turns * 112 && expected_filled < MLKEM768_N; i++) {
      int candidate = bits_at(bytes, i, 12);
      if (candidate < MLKEM768_Q) expected[expected_filled++] = (int16_t)candidate;
    }
    for (size_t turn = 0; turn < turns; turn++) {
      filled = mlkem768_polynomial_sample_uniform(&p, filled, bytes + turn * 168, 168);
    }
    cr_assert_eq(filled, expected_filled);
    cr_assert_arr_eq(p.at, expected, filled * sizeof *expected);
  }
}

Test(mlkem768_polynomial, uniform_sampling_of_rejected_bytes_gives_nothing) {
  uint8_t bytes[168];
  struct mlkem768_polynomial p;
  memset(bytes, 0xff, sizeof bytes);
  cr_assert_eq(mlkem768_polynomial_sample_uniform(&p, 7, bytes, sizeof bytes), 7);
  cr_assert_eq(mlkem768_polynomial_sample_uniform(&p, MLKEM768_N, bytes, sizeof bytes), MLKEM768_N);
}

/* [KEM-7] No seed that does this can be found. */
Test(mlkem768_polynomial, uniform_sampling_that_ends_too_early_gives_zero) {
  struct mlkem768_polynomial p, zero = {0}, whole;
  for (size_t i = 0; i < MLKEM768_N; i++) p.at[i] = (int16_t)(i + 1);
  whole = p;
  mlkem768_polynomial_end_uniform(&p, MLKEM768_N);
  cr_expect_arr_eq(p.at, whole.at, sizeof p);
  mlkem768_polynomial_end_uniform(&p, MLKEM768_N - 1);
  cr_expect_arr_eq(p.at, zero.at, sizeof p);
}

/* Algorithm 8. */
Test(mlkem768_polynomial, binomial_sampling_counts_bits) {
  struct seeded_random random = seeded_random_init("binomial_sampling");
  for (size_t round = 0; round < RANDOM_ROUNDS; round++) {
    uint8_t bytes[MLKEM768_BINOMIAL_BYTES];
    struct mlkem768_polynomial p;
    seeded_random_draw(&random, bytes, sizeof bytes);
    mlkem768_polynomial_sample_binomial(&p, bytes);
    for (size_t i = 0; i < MLKEM768_N; i++) {
      int x = bits_at(bytes, 4 * i, 1) + bits_at(bytes, 4 * i + 1, 1);
      int y = bits_at(bytes, 4 * i + 2, 1) + bits_at(bytes, 4 * i + 3, 1);
      cr_assert_eq(p.at[i], x - y);
    }
  }
}

/* [KEM-9] Where the processor lacks AVX2 there is one implementation and nothing to compare. */
Test(mlkem768_polynomial, both_implementations_give_the_same_values) {
  const struct mlkem768_implementation *one = mlkem768_portable(), *other = mlkem768_avx2();
  if (!other) cr_skip_test("no AVX2 here");
  struct seeded_random random = seeded_random_init("both_implementations");
  for (size_t round = 0; round < RANDOM_ROUNDS; round++) {
    struct mlkem768_polynomial a[MLKEM768_K], b[MLKEM768_K], x, y;
    for (size_t k = 0; k < MLKEM768_K; k++) {
      draw_polynomial(&random, &a[k], 4096); /* the range that decoding can give, below q or not */
      draw_polynomial(&random, &b[k], MLKEM768_Q);
    }
    one->inner_product(&x, a, b);
    other->inner_product(&y, a, b);
    cr_assert_arr_eq(x.at, y.at, sizeof x.at, "inner product, round %zu", round);
    one->inverse(&x);
    other->inverse(&y);
    cr_assert_arr_eq(x.at, y.at, sizeof x.at, "inverse, round %zu", round);
    x = y = b[0];
    one->forward(&x);
    other->forward(&y);
    cr_assert_arr_eq(x.at, y.at, sizeof x.at, "forward, round %zu", round);
    draw_polynomial(&random, &x, ANY);
    y = x;
    one->restore(&x);
    other->restore(&y);
    cr_assert_arr_eq(x.at, y.at, sizeof x.at, "restore, round %zu", round);
  }
}

Test(mlkem768_polynomial, both_implementations_sample_the_same) {
  const struct mlkem768_implementation *one = mlkem768_portable(), *other = mlkem768_avx2();
  if (!other) cr_skip_test("no AVX2 here");
  struct seeded_random random = seeded_random_init("both_implementations_sample");
  for (size_t round = 0; round < RANDOM_ROUNDS; round++) {
    struct mlkem768_polynomial x[MLKEM768_MATRIX_ENTRIES], y[MLKEM768_MATRIX_ENTRIES];
    uint8_t seed[MLKEM768_SEED_BYTES];
    seeded_random_draw(&random, seed, sizeof seed);
    one->expand_matrix(x, seed, round % 2 == 0);
    other->expand_matrix(y, seed, round % 2 == 0);
    cr_assert_arr_eq(x, y, sizeof x, "matrix, round %zu", round);
    size_t count = round % MLKEM768_MAX_NOISE + 1;
    memset(x, 0xee, sizeof x);
    memset(y, 0xee, sizeof y);
    one->draw_noise(x, count, seed);
    other->draw_noise(y, count, seed);
    cr_assert_arr_eq(x, y, sizeof x, "%zu polynomials of noise, round %zu", count, round);
  }
}
