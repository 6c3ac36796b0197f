/* The process's one ceiling for memory that the network can make it use: a counter that slabs are leased from.
 * Spec: specs/limits.md [LIMIT-1]. Called by cell pools of all shards; shared between threads.
 * Never allocates: it counts.
 */
#ifndef TUNIC_PROTOCOL_MEMORY_BUDGET_H
#define TUNIC_PROTOCOL_MEMORY_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct memory_budget { _Atomic size_t used; size_t ceiling; };

void memory_budget_init(struct memory_budget *, size_t ceiling_bytes);
/* False, and nothing leased, if it would pass the ceiling. */
bool memory_budget_lease(struct memory_budget *, size_t bytes);
void memory_budget_return(struct memory_budget *, size_t bytes);
size_t memory_budget_used(const struct memory_budget *);

#endif
