/* What a circuit's handshake costs each side, and X25519 to compare it with: one `name value` a line, microseconds,
 * the best of several batches (the machine may be busy). */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "crypto/circuit_handshake.h"

enum { BATCHES = 40, CALLS = 20 };

struct work {
  struct circuit_binding binding;
  uint8_t secret[32], public_key[32], shared[32], random[NOISE_RANDOM_BYTES];
  uint8_t request[CIRCUIT_HANDSHAKE_REQUEST_BYTES], reply[CIRCUIT_HANDSHAKE_REPLY_BYTES];
  struct noise handshake;
  struct circuit_keys keys;
  bool failed;
};

static void x25519(struct work *w) { w->failed |= !x25519_shared(w->shared, w->secret, w->public_key); }

static void x25519_of_base(struct work *w) { x25519_public(w->shared, w->secret); }

static void begin(struct work *w) {
  w->failed |= !circuit_handshake_begin(&w->handshake, &w->binding, w->public_key, w->random, w->request);
}

static void answer(struct work *w) {
  w->failed |= !circuit_handshake_answer(&w->binding, w->secret, w->public_key, w->request, w->random, w->reply, &w->keys);
}

static void begin_and_finish(struct work *w) {
  begin(w);
  w->failed |= !circuit_handshake_finish(&w->handshake, w->reply, &w->keys);
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

int main(void) {
  static struct work w;
  if (!crypto_start()) return 1;
  memset(w.secret, 0x42, sizeof w.secret);
  memset(w.random, 0x24, sizeof w.random);
  x25519_public(w.public_key, w.secret);
  w.binding.handshake_type = CIRCUIT_HANDSHAKE_TYPE_HYBRID;
  w.binding.suite = AEAD_CHACHA20_POLY1305;
  begin(&w);
  answer(&w);
  double multiplication = best_us(x25519, &w), relay = best_us(answer, &w);
  printf("x25519_us %.2f\n", multiplication);
  printf("x25519_base_us %.2f\n", best_us(x25519_of_base, &w));
  printf("circuit_handshake_relay_us %.2f\n", relay);
  printf("circuit_handshake_relay_over_x25519_x %.2f\n", relay / multiplication);
  printf("circuit_handshake_client_us %.2f\n", best_us(begin_and_finish, &w));
  return w.failed;
}
