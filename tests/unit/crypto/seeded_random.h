/* Random inputs for tests that can be repeated: TUNIC_SEED=n draws the same again.
 * Called by the tests of this folder; prints the seed it uses under the test's name.
 * Constant streams per seed: libsodium's deterministic generator, one key a seed, one stream a draw.
 * Never used outside tests.
 */
#ifndef TUNIC_TESTS_UNIT_CRYPTO_SEEDED_RANDOM_H
#define TUNIC_TESTS_UNIT_CRYPTO_SEEDED_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct seeded_random {
  uint64_t seed, draws;
};

struct seeded_random seeded_random_init(const char *test);
void seeded_random_draw(struct seeded_random *random, void *ret_bytes, size_t len);

#endif
