/* A hash map from a 64-bit key to a 64-bit value, keyed with SipHash so that chosen keys can't collide at will.
 * Spec: ATTACKS 13. Called where ids from the wire must find an object (circuit ids on links, stream ids).
 * Open addressing; doubles as it fills, up to its limit, and halves as it empties; never below 16.
 */
#ifndef TUNIC_PROTOCOL_INDEX_MAP_H
#define TUNIC_PROTOCOL_INDEX_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct index_map {
  uint8_t secret[16];
  uint32_t count, limit, capacity;
  struct index_entry *entries;
};

/* secret: fresh random bytes of the node. */
void index_map_init(struct index_map *, const uint8_t secret[16], uint32_t limit);
void index_map_wipe(struct index_map *);
/* The key that stands for something longer than a key: equal for no two that anybody could choose. */
uint64_t index_map_key(const struct index_map *, const void *bytes, size_t len);
/* False at the limit or without memory; an existing key's value is replaced. */
bool index_map_put(struct index_map *, uint64_t key, uint64_t value);
bool index_map_get(const struct index_map *, uint64_t key, uint64_t *ret_value);
/* False if it was not there. */
bool index_map_remove(struct index_map *, uint64_t key);

#endif
