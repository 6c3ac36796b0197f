#include "protocol/index_map.h"

#include <criterion/criterion.h>
#include <string.h>

#include "failing_allocator.h"
#include "tests/unit/seed.h"

enum { LIMIT = 300, KEYS = 500, STEPS = 60000 };

static const uint8_t SECRET[16] = {7};

/* What the map should hold. */
struct model {
  uint64_t keys[LIMIT], values[LIMIT];
  uint32_t count;
};

static uint32_t model_find(const struct model *model, uint64_t key) {
  uint32_t i = 0;
  while (i < model->count && model->keys[i] != key) i++;
  return i;
}

static void put_one(struct index_map *map, struct model *model, uint64_t key, uint64_t value) {
  uint32_t i = model_find(model, key);
  bool fits = i < LIMIT;
  cr_assert(index_map_put(map, key, value) == fits);
  if (!fits) return;
  if (i == model->count) model->count++;
  model->keys[i] = key, model->values[i] = value;
}

static void remove_one(struct index_map *map, struct model *model, uint64_t key) {
  uint32_t i = model_find(model, key);
  bool there = i < model->count;
  cr_assert(index_map_remove(map, key) == there);
  if (!there) return;
  model->count--;
  model->keys[i] = model->keys[model->count], model->values[i] = model->values[model->count];
}

static void check_get(const struct index_map *map, const struct model *model, uint64_t key) {
  uint32_t i = model_find(model, key);
  uint64_t value = 0;
  cr_assert(index_map_get(map, key, &value) == (i < model->count));
  if (i < model->count) cr_assert(value == model->values[i]);
}

Test(index_map, does_what_a_plain_list_does) {
  struct random_stream random = test_random("index_map");
  uint8_t secret[16];
  random_bytes(&random, secret, sizeof secret);
  struct index_map map;
  struct model model = {0};
  index_map_init(&map, secret, LIMIT);
  for (uint32_t step = 0; step < STEPS; step++) {
    uint32_t puts = step / 3000 % 2 == 0 ? 3 : 1; /* in four: it fills and empties in turn */
    uint64_t key = random_below(&random, KEYS);
    if (key % 2) key = UINT64_MAX - key;
    if (random_below(&random, 4) < puts)
      put_one(&map, &model, key, random_u64(&random));
    else
      remove_one(&map, &model, key);
    check_get(&map, &model, random_below(&random, KEYS));
    if (step % 500 == 0)
      for (uint64_t k = 0; k < KEYS; k++) check_get(&map, &model, k % 2 ? UINT64_MAX - k : k);
  }
  index_map_wipe(&map);
}

Test(index_map, replaces_a_value_also_at_the_limit) {
  struct index_map map;
  uint64_t value;
  index_map_init(&map, SECRET, 2);
  cr_assert(index_map_put(&map, 0, 10) && index_map_put(&map, UINT64_MAX, 11));
  cr_assert(!index_map_put(&map, 5, 12));
  cr_assert(index_map_put(&map, 0, 13));
  cr_assert(index_map_get(&map, 0, &value) && value == 13);
  cr_assert(index_map_get(&map, UINT64_MAX, &value) && value == 11);
  cr_assert(!index_map_get(&map, 5, &value));
  index_map_wipe(&map);
}

Test(index_map, an_empty_one_holds_nothing) {
  struct index_map map;
  uint64_t value;
  index_map_init(&map, SECRET, 0);
  cr_assert(!index_map_get(&map, 0, &value) && !index_map_remove(&map, 0) && !index_map_put(&map, 0, 1));
  index_map_wipe(&map);
}

/* After a flood its memory goes back, and no tombstones make lookups slower. */
Test(index_map, shrinks_when_it_empties) {
  struct index_map map;
  uint64_t value;
  index_map_init(&map, SECRET, 100000);
  for (uint64_t key = 0; key < 100000; key++) cr_assert(index_map_put(&map, key, key));
  cr_assert(map.capacity == 262144);
  for (uint64_t key = 1; key < 100000; key++) cr_assert(index_map_remove(&map, key));
  cr_assert(map.capacity == 16);
  cr_assert(index_map_get(&map, 0, &value) && value == 0);
  index_map_wipe(&map);
}

/* The same keys lie elsewhere under another secret: nobody outside can choose keys that collide. */
Test(index_map, the_secret_decides_where_keys_lie) {
  int64_t before = failing_allocator_live();
  uint32_t homes_kept = 0;
  for (uint8_t i = 0; i < 64; i++) {
    struct index_map a, b;
    index_map_init(&a, SECRET, 16);
    index_map_init(&b, (const uint8_t[16]){8, i}, 16);
    cr_assert(index_map_put(&a, i, 1) && index_map_put(&b, i, 1));
    /* 16 entries of at least a key and a value; unused ones are zero. */
    homes_kept += memcmp(a.entries, b.entries, 16 * 16) == 0;
    index_map_wipe(&a);
    index_map_wipe(&b);
  }
  cr_assert(homes_kept < 32, "%u of 64 keys lie where they did", homes_kept);
  cr_assert(failing_allocator_live() == before);
}

static uint32_t fill_and_empty(void) {
  struct index_map map;
  uint64_t value;
  uint32_t told = 0;
  index_map_init(&map, SECRET, LIMIT);
  for (uint64_t key = 0; key < LIMIT;) {
    if (index_map_put(&map, key, key + 1))
      key++;
    else
      told++;
    for (uint64_t k = 0; k < key; k += 7) cr_assert(index_map_get(&map, k, &value) && value == k + 1);
  }
  for (uint64_t key = 0; key < LIMIT; key++) {
    cr_assert(index_map_remove(&map, key));
    for (uint64_t k = key + 1; k < LIMIT; k += 7) cr_assert(index_map_get(&map, k, &value) && value == k + 1);
  }
  index_map_wipe(&map);
  return told;
}

Test(index_map, survives_every_failing_allocation) {
  failing_allocator_try_every(fill_and_empty, false); /* shrinking may fail without a word */
}
