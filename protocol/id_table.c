#include "protocol/id_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/poison.h"

enum { CHUNK_OBJECTS = 64, OBJECT_MAX_BYTES = 1 << 24 };

/* A slot's generation is odd while an object lives there and even while it is free, so one number tells both
 * whether the slot is taken and by which of its objects in turn. */
struct chunk {
  uint32_t generations[CHUNK_OBJECTS];
  uint32_t next_free[CHUNK_OBJECTS]; /* slot + 1; 0: the last */
  _Alignas(max_align_t) uint8_t objects[];
};

static struct chunk *chunk_of(const struct id_table *table, uint32_t slot) {
  return table->chunks[slot / CHUNK_OBJECTS];
}

static uint32_t *generation_of(const struct id_table *table, uint32_t slot) {
  return &chunk_of(table, slot)->generations[slot % CHUNK_OBJECTS];
}

static void *object_of(const struct id_table *table, uint32_t slot) {
  return chunk_of(table, slot)->objects + slot % CHUNK_OBJECTS * table->object_size;
}

void id_table_init(struct id_table *table, size_t object_size, uint32_t limit) {
  assert(object_size > 0 && object_size <= OBJECT_MAX_BYTES);
  size_t align = _Alignof(max_align_t);
  *table = (struct id_table){.object_size = (object_size + align - 1) / align * align, .limit = limit};
}

void id_table_wipe(struct id_table *table) {
  for (size_t i = 0; i < table->chunk_count; i++) free(table->chunks[i]);
  free(table->chunks);
  *table = (struct id_table){.object_size = table->object_size, .limit = table->limit};
}

static bool add_chunk(struct id_table *table) {
  struct chunk *chunk = calloc(1, sizeof *chunk + CHUNK_OBJECTS * table->object_size);
  if (!chunk) return false;
  void **chunks = realloc(table->chunks, (table->chunk_count + 1) * sizeof *chunks);
  if (!chunks) {
    free(chunk);
    return false;
  }
  poison_lay(chunk->objects, CHUNK_OBJECTS * table->object_size);
  chunks[table->chunk_count++] = chunk;
  table->chunks = chunks;
  return true;
}

void *id_table_add(struct id_table *table, struct id *ret_id) {
  if (table->used >= table->limit) return NULL;
  uint32_t slot;
  if (table->first_free) {
    slot = table->first_free - 1;
    table->first_free = chunk_of(table, slot)->next_free[slot % CHUNK_OBJECTS];
  } else {
    if (table->slots == table->chunk_count * CHUNK_OBJECTS && !add_chunk(table)) return NULL;
    slot = table->slots++;
  }
  table->used++;
  *ret_id = (struct id){slot, ++*generation_of(table, slot)};
  void *object = object_of(table, slot);
  poison_lift(object, table->object_size);
  memset(object, 0, table->object_size);
  return object;
}

void *id_table_at(const struct id_table *table, uint32_t slot, struct id *ret_id) {
  if (slot >= table->slots) return NULL;
  uint32_t generation = *generation_of(table, slot);
  if (generation % 2 == 0) return NULL;
  if (ret_id) *ret_id = (struct id){slot, generation};
  return object_of(table, slot);
}

void *id_table_get(const struct id_table *table, struct id id) {
  struct id now;
  void *object = id_table_at(table, id.slot, &now);
  return object && id_equal(id, now) ? object : NULL;
}

void id_table_remove(struct id_table *table, struct id id) {
  void *object = id_table_get(table, id);
  if (!object) return;
  poison_lay(object, table->object_size);
  ++*generation_of(table, id.slot);
  chunk_of(table, id.slot)->next_free[id.slot % CHUNK_OBJECTS] = table->first_free;
  table->first_free = id.slot + 1;
  table->used--;
}

void *id_table_next(const struct id_table *table, uint32_t *cursor, struct id *ret_id) {
  while (*cursor < table->slots) {
    void *object = id_table_at(table, (*cursor)++, ret_id);
    if (object) return object;
  }
  return NULL;
}

uint32_t id_table_count(const struct id_table *table) {
  return table->used;
}
