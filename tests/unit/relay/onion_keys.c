/* The onion keys' file: what was written is read again, and nothing else is. */
#include <criterion/criterion.h>
#include <string.h>

#include "relay/keeper.h"
#include "tests/unit/seed.h"

enum { TEXT_ROOM = 512, HEAD_BYTES = 19, LINE_BYTES = 69 };

static void make_keys(struct onion_keys *keys, uint32_t count, uint8_t newest, struct random_stream *random) {
  memset(keys, 0, sizeof *keys);
  keys->count = count;
  for (uint32_t i = 0; i < count; i++) {
    keys->keys[i].generation = (uint8_t)(newest - i);
    random_bytes(random, keys->keys[i].secret, X25519_BYTES);
    x25519_public(keys->keys[i].public_key, keys->keys[i].secret);
  }
}

Test(onion_keys, what_was_written_is_read_again) {
  struct random_stream random = test_random("onion_keys");
  cr_assert(crypto_start());
  for (uint32_t count = 0; count <= ONION_KEYS_KEPT; count++) {
    for (uint32_t newest = 0; newest < 256; newest += 1 + (newest > 12 && newest < 97) * 40) {
      struct onion_keys keys, again;
      char text[TEXT_ROOM];
      make_keys(&keys, count, (uint8_t)newest, &random);
      size_t len = onion_keys_format(&keys, text, sizeof text);
      cr_assert_eq(len, HEAD_BYTES + count * LINE_BYTES);
      cr_assert(onion_keys_parse((const uint8_t *)text, len, &again));
      cr_assert_eq(again.count, count);
      cr_assert_eq(memcmp(again.keys, keys.keys, sizeof keys.keys), 0, "generations, secrets and the public keys made of them");
    }
  }
}

Test(onion_keys, too_little_room_writes_nothing) {
  struct random_stream random = test_random("onion_keys");
  struct onion_keys keys;
  char text[TEXT_ROOM];
  cr_assert(crypto_start());
  make_keys(&keys, 2, 9, &random);
  for (size_t room = 0; room < HEAD_BYTES + 2 * LINE_BYTES; room++) cr_assert_eq(onion_keys_format(&keys, text, room), 0);
}

Test(onion_keys, every_truncation_between_lines_is_refused) {
  struct random_stream random = test_random("onion_keys");
  struct onion_keys keys, again;
  char text[TEXT_ROOM];
  cr_assert(crypto_start());
  make_keys(&keys, ONION_KEYS_KEPT, 200, &random);
  size_t len = onion_keys_format(&keys, text, sizeof text);
  for (size_t cut = 0; cut < len; cut++) {
    bool whole_lines = cut >= HEAD_BYTES && (cut - HEAD_BYTES) % LINE_BYTES == 0;
    cr_assert_eq(onion_keys_parse((const uint8_t *)text, cut, &again), whole_lines, "cut at %zu", cut);
  }
  text[len] = '\n';
  cr_assert_not(onion_keys_parse((const uint8_t *)text, len + 1, &again), "one byte too many");
}

Test(onion_keys, one_key_too_many_is_refused) {
  struct random_stream random = test_random("onion_keys");
  struct onion_keys keys, again;
  char text[TEXT_ROOM];
  cr_assert(crypto_start());
  make_keys(&keys, ONION_KEYS_KEPT, 200, &random);
  size_t len = onion_keys_format(&keys, text, sizeof text);
  memcpy(text + len, text + HEAD_BYTES, LINE_BYTES);
  cr_assert_not(onion_keys_parse((const uint8_t *)text, len + LINE_BYTES, &again));
}

/* Whatever byte of a file is changed: it is refused, or the digit that it became is read as itself. */
Test(onion_keys, every_changed_byte_is_refused_or_meant) {
  static const char others[] = {0, ' ', '\n', '/', ':', '@', 'G', '`', 'g', '-', '+', (char)0xff};
  struct random_stream random = test_random("onion_keys");
  struct onion_keys keys, again;
  char text[TEXT_ROOM];
  cr_assert(crypto_start());
  make_keys(&keys, 2, 123, &random);
  size_t len = onion_keys_format(&keys, text, sizeof text);
  for (size_t at = 0; at < len; at++) {
    char was = text[at];
    for (size_t k = 0; k < sizeof others; k++) {
      text[at] = others[k];
      if (others[k] != was) cr_assert_not(onion_keys_parse((const uint8_t *)text, len, &again), "byte %zu as %d", at, others[k]);
    }
    text[at] = was;
  }
}

Test(onion_keys, a_generation_is_one_byte) {
  struct random_stream random = test_random("onion_keys");
  struct onion_keys keys, again;
  char text[TEXT_ROOM];
  cr_assert(crypto_start());
  make_keys(&keys, 1, 255, &random);
  size_t len = onion_keys_format(&keys, text, sizeof text);
  cr_assert(onion_keys_parse((const uint8_t *)text, len, &again));
  memcpy(text + HEAD_BYTES, "256", 3);
  cr_assert_not(onion_keys_parse((const uint8_t *)text, len, &again));
  memcpy(text + HEAD_BYTES, "999", 3);
  cr_assert_not(onion_keys_parse((const uint8_t *)text, len, &again));
}
