/* A conversation over one layer: sealed cells, some of them changed, replayed, dropped or made of the input's bytes.
 *
 * Byte 0: suite, place, direction. Then each step is one byte (what happens) and, for a change, three more (place in the
 * body and value). The layer must open exactly the next genuine cell, give back its content, and after the first other
 * cell nothing at all.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"
#include "crypto/onion.h"

enum step { STEP_GENUINE, STEP_CHANGED, STEP_REPLAYED, STEP_DROPPED, STEP_ODD_KIND, STEP_FORGET, STEPS };

struct scene {
  struct onion_layer sealer, opener;
  struct aead_cache *cache;
  uint8_t last[ONION_BODY_BYTES]; /* the last genuine cell that was offered */
  bool has_last, is_closed;
};

static void require(bool holds) {
  if (!holds) abort();
}

static void fill(uint8_t body[ONION_BODY_BYTES], uint64_t number) {
  memset(body, (int)(number % 251), ONION_BODY_BYTES);
  memcpy(body, &number, sizeof number);
}

/* Opens a body that is or is not the next genuine one. */
static void offer(struct scene *scene, uint8_t body[ONION_BODY_BYTES], bool is_genuine, enum onion_kind sealed_kind, uint64_t number) {
  enum onion_kind kind = (enum onion_kind)99;
  uint8_t content[ONION_BODY_BYTES];
  bool opened = onion_open(&scene->opener, scene->cache, body, &kind);
  require(opened == (is_genuine && !scene->is_closed));
  size_t live = opened ? ONION_CONTENT(scene->sealer.place) : 0;
  for (size_t i = live; i < ONION_BODY_BYTES; i++) require(body[i] == 0);
  if (!opened) {
    scene->is_closed = true;
    return;
  }
  fill(content, number);
  require(kind == sealed_kind && memcmp(body, content, live) == 0);
}

static void take_step(struct scene *scene, enum step step, uint16_t where, uint8_t value) {
  uint8_t body[ONION_BODY_BYTES];
  uint64_t number = scene->sealer.count;
  enum onion_kind kind = step == STEP_ODD_KIND ? (enum onion_kind)value : (enum onion_kind)(number % 2);
  if (step == STEP_REPLAYED) {
    memcpy(body, scene->last, sizeof body);
    if (scene->has_last) offer(scene, body, false, kind, number);
    return;
  }
  if (step == STEP_FORGET) {
    aead_cache_forget(scene->cache, &scene->opener.context);
    return;
  }
  fill(body, number);
  require(onion_seal(&scene->sealer, scene->cache, kind, body));
  if (step == STEP_DROPPED) {
    scene->is_closed = true; /* the next one has another number */
    return;
  }
  memcpy(scene->last, body, sizeof body);
  scene->has_last = true;
  if (step == STEP_CHANGED) body[where % ONION_BODY_BYTES] ^= value;
  bool is_live = where % ONION_BODY_BYTES < ONION_LIVE(scene->sealer.place);
  bool is_genuine = (step != STEP_CHANGED || value == 0 || !is_live) && kind <= ONION_FOR_YOU;
  offer(scene, body, is_genuine, kind, number);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!crypto_start() || size == 0) return 0;
  uint8_t key[AEAD_KEY_BYTES] = {data[0]};
  enum aead_suite suite = data[0] & 1 && aead_suite_is_available(AEAD_AES256_GCM) ? AEAD_AES256_GCM : AEAD_CHACHA20_POLY1305;
  uint8_t place = (uint8_t)((data[0] >> 2) % ONION_MAX_HOPS);
  enum onion_direction direction = data[0] & 2 ? ONION_BACKWARD : ONION_FORWARD;
  struct scene scene = {.cache = aead_cache_new(1 + data[0] / 128, aead_best_backend())};
  if (!scene.cache) return 0;
  onion_layer_init(&scene.sealer, suite, place, direction, key);
  onion_layer_init(&scene.opener, suite, place, direction, key);
  for (size_t at = 1; at < size;) {
    enum step step = (enum step)(data[at++] % STEPS);
    uint16_t where = 0;
    uint8_t value = 0;
    if (step == STEP_CHANGED || step == STEP_ODD_KIND) {
      if (size - at < 3) break;
      where = (uint16_t)(data[at] << 8 | data[at + 1]);
      value = data[at + 2];
      at += 3;
    }
    take_step(&scene, step, where, value);
  }
  aead_cache_free(scene.cache);
  return 0;
}
