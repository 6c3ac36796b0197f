#include "protocol/random.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

static struct random_stream stream_of(uint8_t seed) {
  struct random_stream stream;
  random_init(&stream, (const uint8_t[RANDOM_SEED_BYTES]){seed});
  return stream;
}

/* RFC 8439, A.1, vector 1: the keystream of a key and nonce of zeros. Its first 32 bytes are the next key, so
 * the stream gives out the following ones. */
Test(random, gives_the_chacha20_keystream) {
  static const char *const EXPECTED = "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586";
  struct random_stream stream = stream_of(0);
  uint8_t bytes[32];
  char text[65];
  random_bytes(&stream, bytes, sizeof bytes);
  cr_assert_str_eq(sodium_bin2hex(text, sizeof text, bytes, sizeof bytes), EXPECTED);
}

Test(random, the_size_of_draws_does_not_change_the_stream) {
  enum { LEN = 3000 };
  static uint8_t whole[LEN], pieces[LEN];
  struct random_stream a = stream_of(1), b = stream_of(1);
  random_bytes(&a, whole, LEN);
  for (size_t at = 0, part = 1; at < LEN; at += part, part = part * 2 % 509) {
    if (part > LEN - at) part = LEN - at;
    random_bytes(&b, pieces + at, part);
  }
  cr_assert_arr_eq(whole, pieces, LEN);
  random_bytes(&a, whole, 0);
  cr_assert(random_u64(&a) == random_u64(&b));
}

static bool holds(const struct random_stream *stream, const uint8_t *bytes, size_t len) {
  for (size_t i = 0; i + len <= sizeof *stream; i++)
    if (memcmp((const uint8_t *)stream + i, bytes, len) == 0) return true;
  return false;
}

/* A node that is seized gives away nothing that was drawn before. */
Test(random, keeps_neither_its_seed_nor_what_was_drawn) {
  uint8_t seed[RANDOM_SEED_BYTES], drawn[100];
  for (size_t i = 0; i < sizeof seed; i++) seed[i] = (uint8_t)(i + 1);
  struct random_stream stream;
  random_init(&stream, seed);
  for (int round = 0; round < 20; round++) {
    random_bytes(&stream, drawn, sizeof drawn);
    cr_assert(!holds(&stream, seed, 16));
    for (size_t i = 0; i + 8 <= sizeof drawn; i++) cr_assert(!holds(&stream, drawn + i, 8));
  }
  random_wipe(&stream);
  cr_assert(sodium_is_zero((const uint8_t *)&stream, sizeof stream));
}

Test(random, draws_below_a_bound_are_uniform) {
  struct random_stream stream = stream_of(2);
  uint32_t counts[7] = {0}, low = 0;
  for (int i = 0; i < 70000; i++) counts[random_below(&stream, 7)]++;
  for (int i = 0; i < 7; i++) cr_assert(counts[i] > 9500 && counts[i] < 10500, "%u of 10000", counts[i]);
  /* Here a plain remainder would give the lowest third half of the draws. */
  uint64_t bound = UINT64_C(3) << 62;
  for (int i = 0; i < 30000; i++) {
    uint64_t drawn = random_below(&stream, bound);
    cr_assert(drawn < bound);
    low += drawn < bound / 3;
  }
  cr_assert(low > 9500 && low < 10500, "%u of 10000", low);
  for (int i = 0; i < 100; i++) cr_assert(random_below(&stream, 1) == 0);
}

Test(random, draws_between_reach_both_ends) {
  struct random_stream stream = stream_of(3);
  uint32_t seen[4] = {0};
  for (int i = 0; i < 1000; i++) {
    uint64_t drawn = random_between(&stream, 10, 13);
    cr_assert(drawn >= 10 && drawn <= 13);
    seen[drawn - 10]++;
  }
  for (int i = 0; i < 4; i++) cr_assert(seen[i] > 150);
  cr_assert(random_between(&stream, UINT64_MAX, UINT64_MAX) == UINT64_MAX);
  struct random_stream same = stream;
  cr_assert(random_between(&stream, 0, UINT64_MAX) == random_u64(&same));
}

Test(random, children_go_their_own_ways) {
  struct random_stream parent = stream_of(4), again = stream_of(4), other = stream_of(4);
  struct random_stream links, links_again, paths, second;
  random_child(&parent, "links", &links);
  random_child(&again, "links", &links_again);
  random_child(&other, "paths", &paths);
  random_child(&parent, "links", &second);
  uint64_t drawn = random_u64(&links);
  cr_assert(random_u64(&links_again) == drawn, "the same seed and label give the same child");
  cr_assert(random_u64(&paths) != drawn, "another label gives another");
  cr_assert(random_u64(&second) != drawn, "and so does a second one of the same label");
  cr_assert(random_u64(&parent) != drawn);
}
