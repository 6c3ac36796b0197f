#include "protocol/cell_pool.h"

#include <criterion/criterion.h>
#include <string.h>

#include "failing_allocator.h"
#include "protocol/poison.h"
#include "tests/unit/seed.h"

enum { SLAB_CELLS = 64, SPARE_SLABS = 16, SLABS = SPARE_SLABS + 4, LIMIT = 1000, STEPS = 60000 };
static const size_t AMPLE = 1 << 30;

/* What one slab costs the budget, seen from outside. */
static size_t slab_bytes(void) {
  struct memory_budget budget;
  memory_budget_init(&budget, AMPLE);
  struct cell_pool *pool = cell_pool_new(&budget, 1);
  cr_assert(pool && memory_budget_used(&budget) == 0, "an idle pool leases nothing");
  cr_assert(cell_pool_take(pool));
  size_t bytes = memory_budget_used(&budget);
  cell_pool_free(pool);
  cr_assert(memory_budget_used(&budget) == 0, "freeing returns the lease, also for a cell still taken");
  return bytes;
}

Test(cell_pool, stops_at_its_limit) {
  struct memory_budget budget;
  struct cell *cells[100];
  memory_budget_init(&budget, AMPLE);
  struct cell_pool *pool = cell_pool_new(&budget, 100);
  cr_assert(cell_pool_limit(pool) == 100);
  for (uint32_t i = 0; i < 100; i++) {
    cells[i] = cell_pool_take(pool);
    cr_assert(cells[i] && cell_pool_used(pool) == i + 1);
  }
  cr_assert(cell_pool_take(pool) == NULL && cell_pool_used(pool) == 100);
  cell_pool_give(pool, cells[50]);
  cr_assert(cell_pool_used(pool) == 99);
  cr_assert(cell_pool_take(pool) != NULL && cell_pool_take(pool) == NULL);
  cell_pool_free(pool);
}

Test(cell_pool, stops_where_the_process_stops) {
  struct memory_budget budget;
  memory_budget_init(&budget, 3 * slab_bytes() - 1);
  struct cell_pool *greedy = cell_pool_new(&budget, LIMIT), *other = cell_pool_new(&budget, LIMIT);
  struct cell *last = NULL, *cell;
  while ((cell = cell_pool_take(greedy))) last = cell;
  cr_assert(cell_pool_used(greedy) == 2 * SLAB_CELLS, "the third slab does not fit");
  cr_assert(cell_pool_take(other) == NULL, "one ceiling for all pools");
  cell_pool_give(greedy, last);
  cr_assert(cell_pool_take(greedy) == last);
  cell_pool_free(greedy);
  cr_assert(cell_pool_take(other) != NULL);
  cell_pool_free(other);
}

Test(cell_pool, idle_slabs_go_back_but_some) {
  struct memory_budget budget;
  static struct cell *cells[SLABS * SLAB_CELLS];
  size_t slab = slab_bytes();
  memory_budget_init(&budget, AMPLE);
  struct cell_pool *pool = cell_pool_new(&budget, SLABS * SLAB_CELLS);
  for (int i = 0; i < SLABS * SLAB_CELLS; i++) cr_assert((cells[i] = cell_pool_take(pool)));
  cr_assert(memory_budget_used(&budget) == SLABS * slab);
  for (int i = 0; i < SLABS * SLAB_CELLS; i++) cell_pool_give(pool, cells[i]);
  cr_assert(memory_budget_used(&budget) == SPARE_SLABS * slab, "some stay, for the next burst");
  /* The next burst does not ask the system. */
  int64_t blocks = failing_allocator_live();
  for (int burst = 0; burst < 3; burst++) {
    for (int i = 0; i < SPARE_SLABS * SLAB_CELLS; i++) cr_assert((cells[i] = cell_pool_take(pool)));
    for (int i = 0; i < SPARE_SLABS * SLAB_CELLS; i++) cell_pool_give(pool, cells[i]);
  }
  cr_assert(failing_allocator_live() == blocks);
  cell_pool_free(pool);
  cr_assert(memory_budget_used(&budget) == 0);
}

/* Bursts that come and go, at the limit, for as long as they like. */
Test(cell_pool, lives_through_any_number_of_bursts) {
  struct memory_budget budget;
  struct cell_queue queue = {0};
  memory_budget_init(&budget, AMPLE);
  struct cell_pool *pool = cell_pool_new(&budget, 2 * SLAB_CELLS + 1);
  for (int burst = 0; burst < 200; burst++) {
    for (struct cell *cell; (cell = cell_pool_take(pool));) cell_queue_push(&queue, cell);
    cr_assert(queue.count == 2 * SLAB_CELLS + 1);
    cell_queue_clear(&queue, pool);
  }
  cell_pool_free(pool);
  cr_assert(memory_budget_used(&budget) == 0);
}

static void fill(struct cell *cell, uint64_t mark) {
  memset(cell->bytes, (int)(mark % 251), sizeof cell->bytes);
  memcpy(cell->bytes, &mark, sizeof mark);
}

static void check_filled(const struct cell *cell, uint64_t mark) {
  cr_assert(memcmp(cell->bytes, &mark, sizeof mark) == 0);
  for (size_t i = sizeof mark; i < sizeof cell->bytes; i += 97) cr_assert(cell->bytes[i] == mark % 251);
}

Test(cell_pool, no_cell_touches_another) {
  struct random_stream random = test_random("cell_pool");
  struct memory_budget budget;
  static struct cell *cells[LIMIT];
  static uint64_t marks[LIMIT];
  uint32_t count = 0;
  size_t slab = slab_bytes();
  memory_budget_init(&budget, AMPLE);
  struct cell_pool *pool = cell_pool_new(&budget, LIMIT);
  for (uint32_t step = 0; step < STEPS; step++) {
    bool growing = step / 5000 % 2 == 0;
    if (random_below(&random, 5) < (growing ? 3u : 2u)) {
      struct cell *cell = cell_pool_take(pool);
      cr_assert((cell != NULL) == (count < LIMIT));
      if (!cell) continue;
      cr_assert(cell->next == NULL && cell->queued == 0 && cell->begin == 0 && cell->end == 0);
      fill(cell, step);
      cells[count] = cell, marks[count++] = step;
    } else if (count > 0) {
      uint32_t i = (uint32_t)random_below(&random, count--);
      check_filled(cells[i], marks[i]);
      cell_pool_give(pool, cells[i]);
      cells[i] = cells[count], marks[i] = marks[count];
    }
    cr_assert(cell_pool_used(pool) == count);
    cr_assert(memory_budget_used(&budget) <= (LIMIT + SLAB_CELLS - 1) / SLAB_CELLS * slab);
  }
  while (count-- > 0) {
    check_filled(cells[count], marks[count]);
    cell_pool_give(pool, cells[count]);
  }
  cr_assert(memory_budget_used(&budget) <= SPARE_SLABS * slab);
  cell_pool_free(pool);
}

Test(cell_queue, is_first_in_first_out_and_clears_into_its_pool) {
  struct memory_budget budget;
  struct cell *cells[10];
  struct cell_queue queue = {0};
  memory_budget_init(&budget, AMPLE);
  struct cell_pool *pool = cell_pool_new(&budget, LIMIT);
  cr_assert(cell_queue_pop(&queue) == NULL);
  for (int round = 0; round < 3; round++) {
    for (uint32_t i = 0; i < 10; i++) {
      cells[i] = cell_pool_take(pool);
      cell_queue_push(&queue, cells[i]);
      cr_assert(queue.count == i + 1 && queue.last == cells[i] && queue.first == cells[0]);
    }
    for (int i = 0; i < 4; i++) {
      struct cell *cell = cell_queue_pop(&queue);
      cr_assert(cell == cells[i] && cell->next == NULL);
      cell_pool_give(pool, cell);
    }
    cell_queue_clear(&queue, pool);
    cr_assert(queue.count == 0 && queue.first == NULL && queue.last == NULL && cell_pool_used(pool) == 0);
  }
  cell_pool_free(pool);
}

static uint32_t take_and_give(void) {
  struct memory_budget budget;
  struct cell_queue queue = {0};
  uint32_t told = 0;
  memory_budget_init(&budget, AMPLE);
  struct cell_pool *pool = cell_pool_new(&budget, LIMIT);
  if (!pool) return 1;
  while (queue.count < 300) {
    size_t used = memory_budget_used(&budget);
    struct cell *cell = cell_pool_take(pool);
    if (cell) {
      cell_queue_push(&queue, cell);
    } else {
      told++;
      cr_assert(memory_budget_used(&budget) == used, "what was not got is not leased");
    }
    cr_assert(cell_pool_used(pool) == queue.count);
  }
  cell_queue_clear(&queue, pool);
  cell_pool_free(pool);
  cr_assert(memory_budget_used(&budget) == 0);
  return told;
}

Test(cell_pool, survives_every_failing_allocation) {
  failing_allocator_try_every(take_and_give, true);
}

#ifdef POISON_IS_ON
Test(cell_pool, a_pointer_to_a_given_cell_is_caught) {
  struct memory_budget budget;
  memory_budget_init(&budget, AMPLE);
  struct cell_pool *pool = cell_pool_new(&budget, LIMIT);
  struct cell *cell = cell_pool_take(pool), *second = cell_pool_take(pool);
  cr_assert(__asan_region_is_poisoned(cell, sizeof *cell) == NULL);
  cell_pool_give(pool, cell);
  cr_assert(__asan_address_is_poisoned(cell) && __asan_address_is_poisoned(&cell->bytes[CELL_BYTES - 1]));
  cr_assert(__asan_region_is_poisoned(second, sizeof *second) == NULL);
  cell_pool_give(pool, second);
  cell_pool_free(pool);
}
#endif
