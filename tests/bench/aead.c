/* What sealing and opening cost, for each suite and library: nanoseconds a message of one cell's body and of one
 * record, both together without a copy (pass_pair), and a rekeying. With a library's name, that library alone.
 * One `name value` a line, the best of several batches (the machine may be busy). */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "crypto/aead.h"
#include "crypto/keys.h"

enum { BATCHES = 40, CELL_MESSAGE = 1387, RECORD_MESSAGE = 15488 };

struct work {
  struct aead aead;
  uint64_t nonce;
  size_t len;
  uint8_t data[RECORD_MESSAGE + AEAD_TAG_BYTES], sealed[RECORD_MESSAGE + AEAD_TAG_BYTES], key[AEAD_KEY_BYTES];
  bool failed;
};

static const uint8_t associated[] = {4};

static void seal(struct work *w) { aead_seal(&w->aead, w->nonce++, associated, sizeof associated, w->data, w->len); }

/* With a copy of what is opened, since opening is done in place. */
static void open_copy(struct work *w) {
  memcpy(w->data, w->sealed, w->len + AEAD_TAG_BYTES);
  w->failed |= !aead_open(&w->aead, 0, associated, sizeof associated, w->data, w->len + AEAD_TAG_BYTES);
}

/* What is sealed is opened where it is: no copy is timed. */
static void seal_and_open(struct work *w) {
  aead_seal(&w->aead, w->nonce, associated, sizeof associated, w->data, w->len);
  w->failed |= !aead_open(&w->aead, w->nonce++, associated, sizeof associated, w->data, w->len + AEAD_TAG_BYTES);
}

static void rekey(struct work *w) {
  w->key[0]++;
  w->failed |= !aead_rekey(&w->aead, w->aead.suite, w->key);
}

static double now_ns(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double best_ns(void (*call)(struct work *), struct work *w, int calls) {
  double best = 1e12;
  for (int batch = 0; batch < BATCHES; batch++) {
    double start = now_ns();
    for (int i = 0; i < calls; i++) call(w);
    double each = (now_ns() - start) / calls;
    if (each < best) best = each;
  }
  return best;
}

static bool measure(enum aead_suite suite, const char *suite_name, enum aead_backend backend) {
  static struct work w;
  memset(&w, 0, sizeof w);
  if (!aead_init(&w.aead, suite, backend, w.key) || w.aead.backend != backend) {
    aead_wipe(&w.aead);
    return true; /* not on this machine */
  }
  static const size_t lengths[] = {CELL_MESSAGE, RECORD_MESSAGE};
  for (size_t i = 0; i < 2; i++) {
    w.len = lengths[i];
    printf("aead_%s_%s_%zu_ns %.0f\n", suite_name, aead_backend_name(backend), w.len, best_ns(seal, &w, 200));
    memset(w.sealed, 0, w.len);
    aead_seal(&w.aead, 0, associated, sizeof associated, w.sealed, w.len);
    printf("aead_%s_%s_%zu_open_ns %.0f\n", suite_name, aead_backend_name(backend), w.len, best_ns(open_copy, &w, 200));
    printf("aead_%s_%s_%zu_pass_pair_ns %.0f\n", suite_name, aead_backend_name(backend), w.len, best_ns(seal_and_open, &w, 200));
  }
  printf("aead_%s_%s_rekey_ns %.0f\n", suite_name, aead_backend_name(backend), best_ns(rekey, &w, 200));
  aead_wipe(&w.aead);
  return !w.failed;
}

int main(int argc, char **argv) {
  if (!crypto_start()) return 1;
  for (int backend = AEAD_LIBSODIUM; backend <= (int)aead_best_backend(); backend++) {
    if (argc > 1 && strcmp(argv[1], aead_backend_name((enum aead_backend)backend)) != 0) continue;
    if (!measure(AEAD_CHACHA20_POLY1305, "chacha20poly1305", (enum aead_backend)backend) ||
        !measure(AEAD_AES256_GCM, "aes256gcm", (enum aead_backend)backend))
      return 1;
  }
  return 0;
}
