/* The seed of a random test: TUNIC_SEED if it is set, else a fresh one; printed, so that a failure can be repeated.
 * Spec: none. Called by unit tests.
 * Never used by the programs.
 */
#ifndef TUNIC_TESTS_UNIT_SEED_H
#define TUNIC_TESTS_UNIT_SEED_H

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/random.h"

static inline uint64_t test_seed(const char *test) {
  const char *given = getenv("TUNIC_SEED");
  uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)randombytes_random();
  fprintf(stderr, "%s: TUNIC_SEED=%" PRIu64 "\n", test, seed);
  return seed;
}

/* The test's randomness, from that seed. */
static inline struct random_stream test_random(const char *test) {
  uint64_t seed = test_seed(test);
  uint8_t bytes[RANDOM_SEED_BYTES] = {0};
  for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(seed >> 8 * i);
  struct random_stream stream;
  random_init(&stream, bytes);
  return stream;
}

#endif
