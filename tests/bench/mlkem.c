/* What ML-KEM-768 costs: `name value` lines, microseconds, the best batch of many (others use the machine).
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "crypto/mlkem768_implementation.h"

enum { BATCHES = 40, CALLS = 50 };

struct work {
  const struct mlkem768_implementation *on;
  uint8_t public_key[MLKEM768_PUBLIC_KEY_BYTES], secret_key[MLKEM768_SECRET_KEY_BYTES];
  uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES], shared[MLKEM768_SHARED_BYTES];
  uint8_t key_seed[MLKEM768_KEY_SEED_BYTES], seed[MLKEM768_ENCAPS_SEED_BYTES];
};

static void keypair(struct work *w) {
  mlkem768_keypair_on(w->on, w->public_key, w->secret_key, w->key_seed);
}

static void encapsulate(struct work *w) {
  if (!mlkem768_encapsulate_on(w->on, w->ciphertext, w->shared, w->public_key, w->seed)) sodium_misuse();
}

static void decapsulate(struct work *w) {
  mlkem768_decapsulate_on(w->on, w->shared, w->ciphertext, w->secret_key);
}

static double now_us(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double best_us(void (*call)(struct work *), struct work *w) {
  double best = 1e9;
  for (int batch = 0; batch < BATCHES; batch++) {
    double start = now_us();
    for (int i = 0; i < CALLS; i++) call(w);
    double each = (now_us() - start) / CALLS;
    if (each < best) best = each;
  }
  return best;
}

static void measure(const struct mlkem768_implementation *on, const char *suffix) {
  struct work w = {.on = on};
  randombytes_buf(w.key_seed, sizeof w.key_seed);
  randombytes_buf(w.seed, sizeof w.seed);
  printf("mlkem768_keypair%s_us %.2f\n", suffix, best_us(keypair, &w));
  printf("mlkem768_encapsulate%s_us %.2f\n", suffix, best_us(encapsulate, &w));
  printf("mlkem768_decapsulate%s_us %.2f\n", suffix, best_us(decapsulate, &w));
}

int main(void) {
  if (sodium_init() < 0) return 1;
  if (mlkem768_avx2()) measure(mlkem768_avx2(), "");
  measure(mlkem768_portable(), mlkem768_avx2() ? "_portable" : "");
  return 0;
}
