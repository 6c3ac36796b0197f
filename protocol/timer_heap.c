#include "protocol/timer_heap.h"

#include <assert.h>
#include <stdlib.h>

enum { CAPACITY_FIRST = 16 };

void timer_heap_init(struct timer_heap *heap) {
  *heap = (struct timer_heap){0};
}

void timer_heap_wipe(struct timer_heap *heap) {
  while (heap->count) heap->timers[--heap->count]->position = 0;
  free(heap->timers);
  *heap = (struct timer_heap){0};
}

/* Positions count from 1, so that the parent of n is n / 2. */
static struct timer *timer_at(const struct timer_heap *heap, uint32_t position) {
  return heap->timers[position - 1];
}

static void put_at(struct timer_heap *heap, uint32_t position, struct timer *timer) {
  heap->timers[position - 1] = timer;
  timer->position = position;
}

/* Puts the timer at `position`, or where the heap's order wants it above or below. */
static void settle(struct timer_heap *heap, uint32_t position, struct timer *timer) {
  while (position > 1 && timer->at < timer_at(heap, position / 2)->at) {
    put_at(heap, position, timer_at(heap, position / 2));
    position /= 2;
  }
  while (position <= heap->count / 2) {
    uint32_t child = 2 * position;
    if (child < heap->count && timer_at(heap, child + 1)->at < timer_at(heap, child)->at) child++;
    if (timer->at <= timer_at(heap, child)->at) break;
    put_at(heap, position, timer_at(heap, child));
    position = child;
  }
  put_at(heap, position, timer);
}

static bool grow(struct timer_heap *heap) {
  if (heap->capacity > UINT32_MAX / 2) return false;
  uint32_t capacity = heap->capacity ? heap->capacity * 2 : CAPACITY_FIRST;
  struct timer **timers = realloc(heap->timers, capacity * sizeof *timers);
  if (!timers) return false;
  heap->timers = timers;
  heap->capacity = capacity;
  return true;
}

bool timer_heap_set(struct timer_heap *heap, struct timer *timer, uint32_t kind, struct id owner,
                    instant at) {
  if (at == INSTANT_NEVER) {
    timer_heap_cancel(heap, timer);
    return true;
  }
  if (!timer->position) {
    if (heap->count == heap->capacity && !grow(heap)) return false;
    put_at(heap, ++heap->count, timer);
  }
  timer->at = at;
  timer->kind = kind;
  timer->owner = owner;
  settle(heap, timer->position, timer);
  return true;
}

void timer_heap_cancel(struct timer_heap *heap, struct timer *timer) {
  if (!timer->position) return;
  assert(timer->position <= heap->count && timer_at(heap, timer->position) == timer);
  struct timer *last = timer_at(heap, heap->count--);
  if (last != timer) settle(heap, timer->position, last);
  timer->position = 0;
}

instant timer_heap_deadline(const struct timer_heap *heap) {
  return heap->count ? timer_at(heap, 1)->at : INSTANT_NEVER;
}

struct timer *timer_heap_expired(struct timer_heap *heap, instant now) {
  if (!heap->count || timer_at(heap, 1)->at > now) return NULL;
  struct timer *timer = timer_at(heap, 1);
  timer_heap_cancel(heap, timer);
  return timer;
}
