#include "tests/unit/crypto/seeded_random.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct seeded_random seeded_random_init(const char *test) {
  const char *text = getenv("TUNIC_SEED");
  struct seeded_random random = {.seed = text ? strtoull(text, NULL, 10) : randombytes_random()};
  printf("%s: TUNIC_SEED=%llu\n", test, (unsigned long long)random.seed);
  fflush(stdout);
  return random;
}

void seeded_random_draw(struct seeded_random *random, void *ret_bytes, size_t len) {
  uint8_t key[randombytes_SEEDBYTES] = {0};
  memcpy(key, &random->seed, sizeof random->seed);
  memcpy(key + sizeof random->seed, &random->draws, sizeof random->draws);
  random->draws++;
  randombytes_buf_deterministic(ret_bytes, len, key);
}
