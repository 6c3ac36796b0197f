/* A bounded ring of fixed-size messages from one thread to one other: keeper and shards.
 * Spec: none. Called by the drivers, on either side; the machines see messages as events and effects.
 * Lock-free for one producer and one consumer; never blocks, never allocates after init.
 */
#ifndef TUNIC_PROTOCOL_RING_H
#define TUNIC_PROTOCOL_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
  size_t item_size;
  uint32_t mask;
  uint8_t *items;
  _Alignas(64) _Atomic uint32_t head; /* next to take: the consumer's */
  _Alignas(64) _Atomic uint32_t tail; /* next to fill: the producer's */
};

/* capacity: a power of two. False: no memory. */
bool ring_init(struct ring *, size_t item_size, uint32_t capacity);
void ring_wipe(struct ring *);
/* Producer: copies the item in; false if the ring is full. */
bool ring_put(struct ring *, const void *item);
/* Consumer: copies the oldest item out; false if there is none. */
bool ring_take(struct ring *, void *ret_item);

#endif
