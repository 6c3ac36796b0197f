/* Who sends the next cell on a link: fair among where cells come from, then the quietest circuit first.
 * Spec: specs/credit.md [SCHED-*]. Called by shard and client, one schedule per outgoing link.
 * Entries live inside hops and circuits; only those that have a cell and may send it are in it. Never allocates
 * per cell; a group exists only while it has entries.
 */
#ifndef TUNIC_PROTOCOL_SCHEDULE_H
#define TUNIC_PROTOCOL_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/instant.h"

/* Zeroed: idle, quiet. The owner finds its object from the entry's address. */
struct schedule_entry {
  uint32_t position; /* in its group's heap, from 1; 0: not in the schedule */
  uint32_t source;   /* the incoming link's number; an exit's own streams share one number */
  double activity;   /* [SCHED-3] log2 of decayed cells, on a scale that time does not change */
};

struct schedule; /* opaque */

struct schedule *schedule_new(void); /* NULL: no memory */
void schedule_free(struct schedule *);
/* Joins, if it is not there. False: no memory. */
bool schedule_add(struct schedule *, struct schedule_entry *, uint32_t source);
void schedule_remove(struct schedule *, struct schedule_entry *);
bool schedule_contains(const struct schedule_entry *);
/* Whose turn it is; NULL: nobody's. Stays in the schedule. */
struct schedule_entry *schedule_next(struct schedule *);
/* It sent one cell: counts it, and moves the turn to the next source. */
void schedule_sent(struct schedule *, struct schedule_entry *, instant now);
bool schedule_is_empty(const struct schedule *);
uint32_t schedule_count(const struct schedule *);

#endif
