#include "protocol/cell_pool.h"

#include <assert.h>
#include <stdlib.h>

#include "protocol/poison.h"

enum { SLAB_CELLS = 64, SLAB_ALIGN = 64, SPARE_SLABS = 16 };

struct slab {
  _Alignas(SLAB_ALIGN) struct slab *previous;
  struct slab *next; /* both: among the slabs that have taken and free cells */
  struct cell *first_free;
  uint32_t free_count;
  uint32_t number; /* its place in the pool; its cells carry it too */
  struct cell cells[SLAB_CELLS];
};

struct slab_place {
  struct slab *slab;    /* NULL: vacant */
  uint32_t next_vacant; /* place + 1; 0: the last */
};

/* A slab is full (in no list), partly taken (in the list), or wholly free: of those some are kept as spares, since a busy
 * relay fills and empties its queues many times a second. */
struct cell_pool {
  struct memory_budget *budget;
  uint32_t limit, used;
  struct slab *partly_taken, *spares;
  uint32_t spare_count, place_count, first_vacant;
  struct slab_place places[];
};

/* A new slab is made only when every other is full, so it never takes more than these. */
static uint32_t slabs_for(uint32_t cells) {
  return cells / SLAB_CELLS + (cells % SLAB_CELLS != 0);
}

struct cell_pool *cell_pool_new(struct memory_budget *budget, uint32_t limit_cells) {
  struct cell_pool *pool = calloc(1, sizeof *pool + slabs_for(limit_cells) * sizeof pool->places[0]);
  if (!pool) return NULL;
  pool->budget = budget;
  pool->limit = limit_cells;
  return pool;
}

static void list_add(struct cell_pool *pool, struct slab *slab) {
  slab->previous = NULL;
  slab->next = pool->partly_taken;
  if (slab->next) slab->next->previous = slab;
  pool->partly_taken = slab;
}

static void list_remove(struct cell_pool *pool, struct slab *slab) {
  if (slab->previous)
    slab->previous->next = slab->next;
  else
    pool->partly_taken = slab->next;
  if (slab->next) slab->next->previous = slab->previous;
}

static void chain_cell(struct slab *slab, struct cell *cell) {
  cell->next = slab->first_free;
  slab->first_free = cell;
  slab->free_count++;
  poison_lay(cell, sizeof *cell);
}

static void release_slab(struct cell_pool *pool, struct slab *slab) {
  struct slab_place *place = &pool->places[slab->number];
  *place = (struct slab_place){.next_vacant = pool->first_vacant};
  pool->first_vacant = slab->number + 1;
  free(slab);
  memory_budget_return(pool->budget, sizeof *slab);
}

/* A slab with all its cells free; NULL: over the budget, or no memory. */
static struct slab *lease_slab(struct cell_pool *pool) {
  if (!memory_budget_lease(pool->budget, sizeof(struct slab))) return NULL;
  struct slab *slab = aligned_alloc(SLAB_ALIGN, sizeof *slab);
  if (!slab) {
    memory_budget_return(pool->budget, sizeof *slab);
    return NULL;
  }
  uint32_t number = pool->place_count;
  if (pool->first_vacant) {
    number = pool->first_vacant - 1;
    pool->first_vacant = pool->places[number].next_vacant;
  } else {
    pool->place_count++;
  }
  assert(number < slabs_for(pool->limit));
  pool->places[number] = (struct slab_place){.slab = slab};
  slab->number = number;
  slab->first_free = NULL;
  slab->free_count = 0;
  for (size_t i = SLAB_CELLS; i-- > 0;) {
    slab->cells[i].slab = number;
    chain_cell(slab, &slab->cells[i]);
  }
  return slab;
}

void cell_pool_free(struct cell_pool *pool) {
  if (!pool) return;
  for (uint32_t i = 0; i < pool->place_count; i++)
    if (pool->places[i].slab) release_slab(pool, pool->places[i].slab);
  free(pool);
}

static struct slab *take_spare(struct cell_pool *pool) {
  struct slab *slab = pool->spares;
  if (!slab) return NULL;
  pool->spares = slab->next;
  pool->spare_count--;
  return slab;
}

/* [LIMIT-1] Refused at the pool's own limit, or by the process's budget. */
struct cell *cell_pool_take(struct cell_pool *pool) {
  if (pool->used >= pool->limit) return NULL;
  struct slab *slab = pool->partly_taken;
  if (!slab) {
    slab = take_spare(pool);
    if (!slab) slab = lease_slab(pool);
    if (!slab) return NULL;
    list_add(pool, slab);
  }
  struct cell *cell = slab->first_free;
  poison_lift(cell, sizeof *cell);
  slab->first_free = cell->next;
  __builtin_prefetch(slab->first_free, 1); /* the next one to be taken */
  if (--slab->free_count == 0) list_remove(pool, slab);
  pool->used++;
  cell->next = NULL;
  cell->queued = 0;
  cell->begin = cell->end = 0;
  return cell;
}

void cell_pool_give(struct cell_pool *pool, struct cell *cell) {
  assert(pool->used > 0 && cell->slab < pool->place_count);
  struct slab *slab = pool->places[cell->slab].slab;
  assert(cell >= slab->cells && cell < slab->cells + SLAB_CELLS && slab->free_count < SLAB_CELLS);
  if (slab->free_count == 0) list_add(pool, slab);
  chain_cell(slab, cell);
  pool->used--;
  if (slab->free_count < SLAB_CELLS) return;
  list_remove(pool, slab);
  if (pool->spare_count == SPARE_SLABS) {
    release_slab(pool, slab);
    return;
  }
  slab->next = pool->spares;
  pool->spares = slab;
  pool->spare_count++;
}

uint32_t cell_pool_used(const struct cell_pool *pool) {
  return pool->used;
}

uint32_t cell_pool_limit(const struct cell_pool *pool) {
  return pool->limit;
}

void cell_queue_push(struct cell_queue *queue, struct cell *cell) {
  cell->next = NULL;
  if (queue->last)
    queue->last->next = cell;
  else
    queue->first = cell;
  queue->last = cell;
  queue->count++;
}

/* Who takes a cell takes the next one soon, and it has been out of the cache since it came: one miss less to wait for. The
 * processor itself sees the run after the first lines. */
static void fetch_ahead(const struct cell *cell) {
  __builtin_prefetch(cell);
  __builtin_prefetch(cell->bytes + 64);
  __builtin_prefetch(cell->bytes + 128);
}

struct cell *cell_queue_pop(struct cell_queue *queue) {
  struct cell *cell = queue->first;
  if (!cell) return NULL;
  queue->first = cell->next;
  if (queue->first) fetch_ahead(queue->first);
  else queue->last = NULL;
  queue->count--;
  cell->next = NULL;
  return cell;
}

void cell_queue_clear(struct cell_queue *queue, struct cell_pool *pool) {
  for (struct cell *cell; (cell = cell_queue_pop(queue));) cell_pool_give(pool, cell);
}
