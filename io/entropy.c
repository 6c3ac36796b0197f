#include "io/entropy.h"

#include <errno.h>
#include <sys/random.h>

enum outcome entropy_seed(uint8_t ret_seed[RANDOM_SEED_BYTES]) {
  size_t len = 0;
  while (len < RANDOM_SEED_BYTES) {
    ssize_t got = getrandom(ret_seed + len, RANDOM_SEED_BYTES - len, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return OUTCOME_SYSTEM_FAILED;
    len += (size_t)got;
  }
  return OUTCOME_OK;
}
