/* Cells in memory: a pool of equal buffers in slabs leased from the process's budget, and queues of them.
 * Spec: specs/limits.md [LIMIT-1], specs/credit.md. Called by shards and clients, one pool each.
 * A full pool says so; whoever promised the memory decides what to evict. Slabs that fall idle go back.
 */
#ifndef TUNIC_PROTOCOL_CELL_POOL_H
#define TUNIC_PROTOCOL_CELL_POOL_H

#include "protocol/cell.h"
#include "protocol/instant.h"
#include "protocol/memory_budget.h"

struct cell {
  struct cell *next;
  instant queued;            /* when it joined its queue: the head that waited longest is evicted first */
  uint16_t begin, end;       /* application bytes still in `bytes`, where it holds a stream's data */
  uint32_t slab;             /* the pool's own */
  uint8_t bytes[CELL_BYTES];
};

struct cell_pool;

/* limit_cells: this pool's own share, at most; the budget may stop it earlier. NULL: no memory. */
struct cell_pool *cell_pool_new(struct memory_budget *, uint32_t limit_cells);
/* Frees the cells too, also those still taken. NULL is allowed. */
void cell_pool_free(struct cell_pool *);
/* NULL: full. The bytes are not zeroed; the other fields are. */
struct cell *cell_pool_take(struct cell_pool *);
void cell_pool_give(struct cell_pool *, struct cell *);
uint32_t cell_pool_used(const struct cell_pool *);
uint32_t cell_pool_limit(const struct cell_pool *);

struct cell_queue { struct cell *first, *last; uint32_t count; };

void cell_queue_push(struct cell_queue *, struct cell *);
struct cell *cell_queue_pop(struct cell_queue *); /* NULL: empty */
void cell_queue_clear(struct cell_queue *, struct cell_pool *);

#endif
