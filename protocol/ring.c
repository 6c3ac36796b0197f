#include "protocol/ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool ring_init(struct ring *ring, size_t item_size, uint32_t capacity) {
  assert(item_size > 0 && capacity > 0 && (capacity & (capacity - 1)) == 0);
  ring->item_size = item_size;
  ring->mask = capacity - 1;
  atomic_init(&ring->head, 0);
  atomic_init(&ring->tail, 0);
  ring->items = calloc(capacity, item_size);
  return ring->items != NULL;
}

void ring_wipe(struct ring *ring) {
  free(ring->items);
  ring->items = NULL;
}

/* Both counters run on without end and wrap together; their difference is how many items wait. Each side
 * publishes its own with release after touching an item and reads the other's with acquire before. */
bool ring_put(struct ring *ring, const void *item) {
  uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
  uint32_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
  if (tail - head > ring->mask) return false;
  memcpy(ring->items + (tail & ring->mask) * ring->item_size, item, ring->item_size);
  atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
  return true;
}

bool ring_take(struct ring *ring, void *ret_item) {
  uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
  uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
  if (head == tail) return false;
  memcpy(ret_item, ring->items + (head & ring->mask) * ring->item_size, ring->item_size);
  atomic_store_explicit(&ring->head, head + 1, memory_order_release);
  return true;
}
