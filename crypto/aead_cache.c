#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/aead.h"
#include "crypto/keys.h"

enum { NONE = UINT32_MAX };

/* Entries are always all in the list, the most recently used first; an empty one goes to the end. */
struct entry {
  struct aead aead;
  uint64_t stamp; /* of the owner's reference; 0: empty */
  uint32_t epoch, newer, older;
};

struct aead_cache {
  struct entry *entries;
  uint64_t last_stamp; /* 64 bits never wrap, so a reference kept through any idle time cannot meet a stranger's key */
  uint32_t count, newest, oldest;
  enum aead_backend backend;
};

static void list_remove(struct aead_cache *cache, struct entry *entry) {
  if (entry->newer == NONE) cache->newest = entry->older;
  else cache->entries[entry->newer].older = entry->older;
  if (entry->older == NONE) cache->oldest = entry->newer;
  else cache->entries[entry->older].newer = entry->newer;
}

static void list_add_newest(struct aead_cache *cache, struct entry *entry) {
  uint32_t slot = (uint32_t)(entry - cache->entries);
  entry->newer = NONE;
  entry->older = cache->newest;
  if (cache->newest == NONE) cache->oldest = slot;
  else cache->entries[cache->newest].newer = slot;
  cache->newest = slot;
}

static void list_add_oldest(struct aead_cache *cache, struct entry *entry) {
  uint32_t slot = (uint32_t)(entry - cache->entries);
  entry->older = NONE;
  entry->newer = cache->oldest;
  if (cache->oldest == NONE) cache->newest = slot;
  else cache->entries[cache->oldest].older = slot;
  cache->oldest = slot;
}

struct aead_cache *aead_cache_new(size_t entries, enum aead_backend backend) {
  assert(entries > 0 && entries < NONE);
  struct aead_cache *cache = calloc(1, sizeof *cache);
  if (!cache) return NULL;
  if (entries <= SIZE_MAX / sizeof(struct entry))
    cache->entries = aligned_alloc(_Alignof(struct entry), entries * sizeof(struct entry));
  if (!cache->entries) {
    free(cache);
    return NULL;
  }
  memset(cache->entries, 0, entries * sizeof(struct entry));
  cache->count = (uint32_t)entries;
  cache->backend = backend;
  cache->newest = cache->oldest = NONE;
  for (uint32_t i = 0; i < cache->count; i++) list_add_oldest(cache, &cache->entries[i]);
  return cache;
}

void aead_cache_free(struct aead_cache *cache) {
  if (!cache) return;
  for (uint32_t i = 0; i < cache->count; i++) aead_wipe(&cache->entries[i].aead);
  free(cache->entries);
  free(cache);
}

/* The owner's entry, or NULL if it never had one or another owner took it. */
static struct entry *find(struct aead_cache *cache, const struct aead_reference *reference) {
  if (reference->stamp == 0 || reference->slot >= cache->count) return NULL;
  struct entry *entry = &cache->entries[reference->slot];
  return entry->stamp == reference->stamp ? entry : NULL;
}

/* Empties an entry: nothing of the key is left, and it is the first to be used again. */
static void empty(struct aead_cache *cache, struct entry *entry) {
  aead_wipe(&entry->aead);
  entry->stamp = 0;
  list_remove(cache, entry);
  list_add_oldest(cache, entry);
}

/* [AEAD-6] An entry's context is rekeyed in place, old owner or new: what libcrypto allocated once serves on. */
static bool set_key(struct aead_cache *cache, struct entry *entry, enum aead_suite suite, const uint8_t key[AEAD_KEY_BYTES],
                    uint32_t epoch) {
  bool is_first = entry->aead.suite == 0;
  entry->epoch = epoch;
  return is_first ? aead_init(&entry->aead, suite, cache->backend, key) : aead_rekey(&entry->aead, suite, key);
}

struct aead *aead_cache_get(struct aead_cache *cache, struct aead_reference *reference, enum aead_suite suite,
                            const uint8_t key[AEAD_KEY_BYTES], uint32_t epoch) {
  struct entry *entry = find(cache, reference);
  bool has_key = entry && entry->epoch == epoch && entry->aead.suite == suite;
  if (!entry) {
    entry = &cache->entries[cache->oldest];
    entry->stamp = ++cache->last_stamp;
    *reference = (struct aead_reference){.stamp = entry->stamp, .slot = cache->oldest};
  }
  if (!has_key && !set_key(cache, entry, suite, key, epoch)) {
    aead_cache_forget(cache, reference);
    return NULL;
  }
  if (cache->entries + cache->newest != entry) {
    list_remove(cache, entry);
    list_add_newest(cache, entry);
  }
  return &entry->aead;
}

void aead_cache_forget(struct aead_cache *cache, struct aead_reference *reference) {
  struct entry *entry = find(cache, reference);
  if (entry) empty(cache, entry);
  bytes_wipe(reference, sizeof *reference);
}
