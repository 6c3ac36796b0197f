/* Objects of one kind, each named by a slot and a generation, so that an answer for a freed one is ignored.
 * Spec: none (inside one process). Called by every machine that owns many of a thing.
 * Objects never move while they live. Bounded: never more than its limit. Adding allocates in chunks of 64.
 */
#ifndef TUNIC_PROTOCOL_ID_TABLE_H
#define TUNIC_PROTOCOL_ID_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct id { uint32_t slot, generation; }; /* generation 0: no object */

#define ID_NONE ((struct id){0, 0})
static inline bool id_is_none(struct id a) { return a.generation == 0; }
static inline bool id_equal(struct id a, struct id b) { return a.slot == b.slot && a.generation == b.generation; }

struct id_table {
  size_t object_size, chunk_count;
  uint32_t limit, used, slots, first_free;
  void **chunks;
};

void id_table_init(struct id_table *, size_t object_size, uint32_t limit);
/* Frees the table, not what objects own. */
void id_table_wipe(struct id_table *);
/* A zeroed object and its id; NULL at the limit or without memory. */
void *id_table_add(struct id_table *, struct id *ret_id);
/* NULL if the id's object is gone. */
void *id_table_get(const struct id_table *, struct id);
/* The object now in a slot, if any, and its id. */
void *id_table_at(const struct id_table *, uint32_t slot, struct id *ret_id);
void id_table_remove(struct id_table *, struct id);
/* Walks the living: start with *cursor = 0; NULL at the end. Removing the object just given is allowed. */
void *id_table_next(const struct id_table *, uint32_t *cursor, struct id *ret_id);
uint32_t id_table_count(const struct id_table *);

#endif
