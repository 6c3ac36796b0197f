#include "protocol/memory_budget.h"

#include <assert.h>

void memory_budget_init(struct memory_budget *budget, size_t ceiling_bytes) {
  atomic_init(&budget->used, 0);
  budget->ceiling = ceiling_bytes;
}

/* [LIMIT-1] Compared before it is added, so the sum of all leases never passes the ceiling, not even for a
 * moment. The counter orders no other memory: relaxed is enough. */
bool memory_budget_lease(struct memory_budget *budget, size_t bytes) {
  size_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
  do {
    if (bytes > budget->ceiling - used) return false;
  } while (!atomic_compare_exchange_weak_explicit(&budget->used, &used, used + bytes, memory_order_relaxed,
                                                  memory_order_relaxed));
  return true;
}

void memory_budget_return(struct memory_budget *budget, size_t bytes) {
  size_t before = atomic_fetch_sub_explicit(&budget->used, bytes, memory_order_relaxed);
  assert(before >= bytes);
  (void)before;
}

size_t memory_budget_used(const struct memory_budget *budget) {
  return atomic_load_explicit(&budget->used, memory_order_relaxed);
}
