#include "crypto/onion.h"

#include <assert.h>
#include <string.h>

#include "crypto/kdf.h"
#include "crypto/keys.h"

static const char ratchet_label[] = "tunic onion ratchet 1";

/* [ONION-3] The one link command that carries onion bodies: the only header field that relays copy. */
static const uint8_t associated[] = {4};

/* [ONION-1] */
static_assert(ONION_CONTENT(0) == 1386 && ONION_CONTENT(ONION_MAX_HOPS - 1) == 1301, "the content of the first and of the last place");

void onion_layer_init(struct onion_layer *layer, enum aead_suite suite, uint8_t place, enum onion_direction direction,
                      const uint8_t key[AEAD_KEY_BYTES]) {
  assert(place < ONION_MAX_HOPS);
  memset(layer, 0, sizeof *layer);
  layer->suite = (uint8_t)suite;
  layer->place = place;
  layer->direction = (uint8_t)direction;
  memcpy(layer->key, key, AEAD_KEY_BYTES);
}

void onion_layer_wipe(struct onion_layer *layer, struct aead_cache *cache) {
  aead_cache_forget(cache, &layer->context);
  bytes_wipe(layer, sizeof *layer);
}

/* [ONION-2] The context of the key that cell `count` uses. */
static struct aead *context(struct onion_layer *layer, struct aead_cache *cache) {
  uint32_t epoch = (uint32_t)(layer->count / ONION_CELLS_PER_KEY);
  return aead_cache_get(cache, &layer->context, (enum aead_suite)layer->suite, layer->key, epoch);
}

/* [ONION-2] Counts a cell. After a key's last one, that key is gone at once, from the layer and from the cache:
 * a circuit that then falls silent leaves nothing behind that opens what it carried. */
static void count_cell(struct onion_layer *layer, struct aead_cache *cache) {
  layer->count++;
  if (layer->count % ONION_CELLS_PER_KEY != 0) return;
  kdf_ratchet(layer->key, ratchet_label, layer->direction);
  (void)context(layer, cache); /* rekeyed in place; if that cannot be, it is forgotten, and the next cell tells */
}

bool onion_seal(struct onion_layer *layer, struct aead_cache *cache, enum onion_kind kind, uint8_t body[ONION_BODY_BYTES]) {
  return onion_seal_to(layer, cache, kind, body, body);
}

bool onion_seal_to(struct onion_layer *layer, struct aead_cache *cache, enum onion_kind kind, uint8_t from[ONION_BODY_BYTES],
                   uint8_t to[ONION_BODY_BYTES]) {
  struct aead *aead = layer->suite != 0 ? context(layer, cache) : NULL;
  if (!aead) return false;
  size_t live = ONION_LIVE(layer->place), content = ONION_CONTENT(layer->place);
  from[content] = (uint8_t)kind;
  aead_seal_to(aead, layer->count, associated, sizeof associated, from, to, content + 1);
  memset(to + live, 0, ONION_BODY_BYTES - live); /* [ONION-4] */
  count_cell(layer, cache);
  return true;
}

/* [ONION-6] After a cell that did not open nothing else may: the layer forgets its key. */
static bool refuse(struct onion_layer *layer, struct aead_cache *cache, uint8_t body[ONION_BODY_BYTES]) {
  onion_layer_wipe(layer, cache);
  bytes_wipe(body, ONION_BODY_BYTES);
  return false;
}

bool onion_open(struct onion_layer *layer, struct aead_cache *cache, uint8_t body[ONION_BODY_BYTES], enum onion_kind *ret_kind) {
  return onion_open_to(layer, cache, body, body, ret_kind);
}

bool onion_open_to(struct onion_layer *layer, struct aead_cache *cache, const uint8_t from[ONION_BODY_BYTES],
                   uint8_t to[ONION_BODY_BYTES], enum onion_kind *ret_kind) {
  struct aead *aead = layer->suite != 0 ? context(layer, cache) : NULL;
  size_t live = ONION_LIVE(layer->place), content = ONION_CONTENT(layer->place);
  if (!aead || !aead_open_to(aead, layer->count, associated, sizeof associated, from, to, live)) return refuse(layer, cache, to);
  uint8_t kind = to[content];
  if (kind != ONION_PASS_ON && kind != ONION_FOR_YOU) return refuse(layer, cache, to);
  memset(to + content, 0, ONION_BODY_BYTES - content); /* [ONION-5] */
  *ret_kind = (enum onion_kind)kind;
  count_cell(layer, cache);
  return true;
}
