#include "protocol/id_table.h"

#include <criterion/criterion.h>
#include <string.h>

#include "failing_allocator.h"
#include "protocol/poison.h"
#include "tests/unit/seed.h"

enum { LIMIT = 200, STEPS = 30000 };

struct thing {
  uint64_t mark;
  uint8_t rest[21];
};

/* What the table should hold. */
struct model {
  struct id ids[LIMIT];
  struct thing *objects[LIMIT];
  uint64_t marks[LIMIT];
  uint32_t count;
};

static void model_remove(struct model *model, uint32_t i) {
  model->count--;
  model->ids[i] = model->ids[model->count];
  model->objects[i] = model->objects[model->count];
  model->marks[i] = model->marks[model->count];
}

static void add_one(struct id_table *table, struct model *model, uint64_t mark) {
  struct id id = ID_NONE;
  struct thing *thing = id_table_add(table, &id);
  cr_assert((thing != NULL) == (model->count < LIMIT));
  if (!thing) return;
  static const struct thing ZERO;
  cr_assert(memcmp(thing, &ZERO, sizeof ZERO) == 0, "a new object is zeroed");
  cr_assert(!id_is_none(id));
  memset(thing, 0xa5, sizeof *thing);
  thing->mark = mark;
  uint32_t i = model->count++;
  model->ids[i] = id, model->objects[i] = thing, model->marks[i] = mark;
}

static void check_walk(const struct id_table *table, const struct model *model) {
  uint32_t cursor = 0, walked = 0;
  struct id id;
  for (struct thing *thing; (thing = id_table_next(table, &cursor, &id)); walked++) {
    uint32_t i = 0;
    while (i < model->count && !id_equal(model->ids[i], id)) i++;
    cr_assert(i < model->count && model->objects[i] == thing);
  }
  cr_assert(walked == model->count && id_table_count(table) == model->count);
}

Test(id_table, does_what_a_plain_array_does) {
  struct random_stream random = test_random("id_table");
  struct id_table table;
  struct model model = {0};
  struct id gone = ID_NONE;
  id_table_init(&table, sizeof(struct thing), LIMIT);
  for (uint32_t step = 0; step < STEPS; step++) {
    bool growing = step / 1000 % 2 == 0;
    if (random_below(&random, 3) < (growing ? 2u : 1u)) {
      add_one(&table, &model, random_u64(&random));
    } else if (model.count > 0) {
      uint32_t i = (uint32_t)random_below(&random, model.count);
      gone = model.ids[i];
      id_table_remove(&table, gone);
      model_remove(&model, i);
    }
    cr_assert(id_table_get(&table, gone) == NULL, "a removed object's id finds nothing");
    id_table_remove(&table, gone);
    if (model.count > 0) {
      uint32_t i = (uint32_t)random_below(&random, model.count);
      struct thing *thing = id_table_get(&table, model.ids[i]);
      cr_assert(thing == model.objects[i] && thing->mark == model.marks[i], "objects do not move");
      struct id id;
      cr_assert(id_table_at(&table, model.ids[i].slot, &id) == thing && id_equal(id, model.ids[i]));
    }
    if (step % 97 == 0) check_walk(&table, &model);
  }
  id_table_wipe(&table);
}

Test(id_table, ids_from_nowhere_find_nothing) {
  struct id_table table;
  struct id id;
  id_table_init(&table, sizeof(struct thing), LIMIT);
  cr_assert(id_table_get(&table, ID_NONE) == NULL);
  cr_assert(id_table_get(&table, (struct id){UINT32_MAX, 1}) == NULL);
  cr_assert(id_table_add(&table, &id));
  cr_assert(id_table_get(&table, ID_NONE) == NULL);
  cr_assert(id_table_get(&table, (struct id){id.slot, id.generation + 2}) == NULL);
  cr_assert(id_table_get(&table, (struct id){id.slot + 1, id.generation}) == NULL);
  cr_assert(id_table_at(&table, 63, NULL) == NULL);
  cr_assert(id_table_at(&table, UINT32_MAX, NULL) == NULL);
  id_table_wipe(&table);
  cr_assert(id_table_count(&table) == 0 && id_table_get(&table, id) == NULL);
}

Test(id_table, a_walk_may_remove_what_it_was_given) {
  struct id_table table;
  struct id id;
  id_table_init(&table, sizeof(struct thing), LIMIT);
  for (int i = 0; i < 150; i++) cr_assert(id_table_add(&table, &id));
  uint32_t cursor = 0, walked = 0;
  while (id_table_next(&table, &cursor, &id)) {
    walked++;
    id_table_remove(&table, id);
  }
  cr_assert(walked == 150 && id_table_count(&table) == 0);
  id_table_wipe(&table);
}

Test(id_table, an_id_stays_dead_through_many_later_objects_of_its_slot) {
  struct id_table table;
  struct id first, id;
  id_table_init(&table, sizeof(struct thing), 1);
  cr_assert(id_table_add(&table, &first));
  id_table_remove(&table, first);
  for (int i = 0; i < 10000; i++) {
    cr_assert(id_table_add(&table, &id));
    cr_assert(id.slot == first.slot && id_table_get(&table, first) == NULL);
    id_table_remove(&table, id);
  }
  id_table_wipe(&table);
}

static uint32_t add_and_remove(void) {
  struct id_table table;
  struct id ids[LIMIT];
  uint32_t told = 0, count = 0;
  id_table_init(&table, sizeof(struct thing), LIMIT);
  while (count < LIMIT) {
    if (id_table_add(&table, &ids[count]))
      count++;
    else
      told++;
    cr_assert(id_table_count(&table) == count);
  }
  for (uint32_t i = 0; i < count; i++) cr_assert(id_table_get(&table, ids[i]));
  id_table_wipe(&table);
  return told;
}

Test(id_table, survives_every_failing_allocation) {
  failing_allocator_try_every(add_and_remove, true);
}

#ifdef POISON_IS_ON
Test(id_table, a_pointer_to_a_removed_object_is_caught) {
  struct id_table table;
  struct id id;
  id_table_init(&table, sizeof(struct thing), LIMIT);
  struct thing *thing = id_table_add(&table, &id);
  cr_assert(!__asan_address_is_poisoned(thing));
  cr_assert(__asan_address_is_poisoned(thing + 1), "nobody lives in the next slot yet");
  id_table_remove(&table, id);
  cr_assert(__asan_address_is_poisoned(thing));
  id_table_wipe(&table);
}
#endif
