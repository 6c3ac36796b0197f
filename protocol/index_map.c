#include "protocol/index_map.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_LEAST = 16, LIMIT_MOST = 1 << 30 };

/* An entry lies at its home (the low bits of its hash) or, where that is taken, in the unbroken run of
 * entries behind it. Removing closes the gap by moving entries back, so no tombstones gather. */
struct index_entry {
  uint64_t key, value;
  uint32_t hash;
  bool taken;
};

_Static_assert(crypto_shorthash_KEYBYTES == 16 && crypto_shorthash_BYTES == 8, "SipHash-2-4");

void index_map_init(struct index_map *map, const uint8_t secret[16], uint32_t limit) {
  *map = (struct index_map){.limit = limit < LIMIT_MOST ? limit : LIMIT_MOST};
  memcpy(map->secret, secret, sizeof map->secret);
}

void index_map_wipe(struct index_map *map) {
  free(map->entries);
  sodium_memzero(map, sizeof *map);
}

static uint32_t hash_of(const struct index_map *map, uint64_t key) {
  uint8_t in[8], out[crypto_shorthash_BYTES];
  for (int i = 0; i < 8; i++) in[i] = (uint8_t)(key >> 8 * i);
  crypto_shorthash(out, in, sizeof in, map->secret);
  return (uint32_t)out[0] | (uint32_t)out[1] << 8 | (uint32_t)out[2] << 16 | (uint32_t)out[3] << 24;
}

uint64_t index_map_key(const struct index_map *map, const void *bytes, size_t len) {
  uint8_t out[crypto_shorthash_BYTES];
  uint64_t key = 0;
  crypto_shorthash(out, bytes, len, map->secret);
  for (int i = 0; i < 8; i++) key |= (uint64_t)out[i] << 8 * i;
  return key;
}

/* Where the key is, or else the free entry at its run's end. A quarter of the entries is free, so it ends. */
static uint32_t find(const struct index_entry *entries, uint32_t capacity, uint32_t hash, uint64_t key) {
  uint32_t at = hash & (capacity - 1);
  while (entries[at].taken && entries[at].key != key) at = (at + 1) & (capacity - 1);
  return at;
}

static bool resize(struct index_map *map, uint32_t capacity) {
  struct index_entry *entries = calloc(capacity, sizeof *entries);
  if (!entries) return false;
  for (uint32_t i = 0; i < map->capacity; i++) {
    const struct index_entry *entry = &map->entries[i];
    if (entry->taken) entries[find(entries, capacity, entry->hash, entry->key)] = *entry;
  }
  free(map->entries);
  map->entries = entries;
  map->capacity = capacity;
  return true;
}

bool index_map_put(struct index_map *map, uint64_t key, uint64_t value) {
  uint32_t hash = hash_of(map, key);
  if (map->capacity) {
    struct index_entry *entry = &map->entries[find(map->entries, map->capacity, hash, key)];
    if (entry->taken) {
      entry->value = value;
      return true;
    }
  }
  if (map->count >= map->limit) return false;
  if (map->count >= map->capacity / 4 * 3) {
    if (!resize(map, map->capacity ? map->capacity * 2 : CAPACITY_LEAST)) return false;
  }
  uint32_t at = find(map->entries, map->capacity, hash, key);
  map->entries[at] = (struct index_entry){.key = key, .value = value, .hash = hash, .taken = true};
  map->count++;
  return true;
}

bool index_map_get(const struct index_map *map, uint64_t key, uint64_t *ret_value) {
  if (map->count == 0) return false;
  const struct index_entry *entry = &map->entries[find(map->entries, map->capacity, hash_of(map, key), key)];
  if (!entry->taken) return false;
  *ret_value = entry->value;
  return true;
}

/* Moves later entries of the run back, each no further than its home, until the gap is at the run's end. */
static void close_gap(struct index_entry *entries, uint32_t mask, uint32_t gap) {
  for (uint32_t at = (gap + 1) & mask; entries[at].taken; at = (at + 1) & mask) {
    uint32_t from_home = (at - entries[at].hash) & mask, from_gap = (at - gap) & mask;
    if (from_home < from_gap) continue; /* its home lies behind the gap: it must not pass it */
    entries[gap] = entries[at];
    gap = at;
  }
  entries[gap] = (struct index_entry){0};
}

bool index_map_remove(struct index_map *map, uint64_t key) {
  if (map->count == 0) return false;
  uint32_t at = find(map->entries, map->capacity, hash_of(map, key), key);
  if (!map->entries[at].taken) return false;
  close_gap(map->entries, map->capacity - 1, at);
  map->count--;
  /* A flood's memory goes back. Without memory for a smaller table the larger one stays, and works. */
  if (map->capacity > CAPACITY_LEAST && map->count < map->capacity / 8) resize(map, map->capacity / 2);
  return true;
}
