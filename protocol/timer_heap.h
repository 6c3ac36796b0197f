/* Deadlines of one machine: a binary heap of timers that live inside the objects they belong to.
 * Spec: none. Called by every machine; the earliest deadline is what the driver asks for.
 * A timer says whose it is by kind and id, so one dispatch table serves all. Never calls back.
 */
#ifndef TUNIC_PROTOCOL_TIMER_HEAP_H
#define TUNIC_PROTOCOL_TIMER_HEAP_H

#include "protocol/id_table.h"
#include "protocol/instant.h"

struct timer { /* zeroed: not set */
  instant at;
  uint32_t position; /* in the heap, from 1; 0: not set */
  uint32_t kind;
  struct id owner;
};

struct timer_heap { struct timer **timers; uint32_t count, capacity; };

void timer_heap_init(struct timer_heap *);
void timer_heap_wipe(struct timer_heap *);
/* Sets or moves; at INSTANT_NEVER cancels. False: no memory, the timer is not set. Equal instants fire in no
 * promised order, but in the same one in every run. */
bool timer_heap_set(struct timer_heap *, struct timer *, uint32_t kind, struct id owner, instant at);
void timer_heap_cancel(struct timer_heap *, struct timer *);
instant timer_heap_deadline(const struct timer_heap *);
/* The next timer whose time has come, already cancelled; NULL if none. */
struct timer *timer_heap_expired(struct timer_heap *, instant now);

#endif
