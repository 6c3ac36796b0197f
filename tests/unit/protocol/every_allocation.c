#include <criterion/criterion.h>

#include "failing_allocator.h"

enum { FAILURES_MOST = 10000 };

void failing_allocator_try_every(failing_scenario *scenario, bool always_told) {
  for (uint32_t n = 1;; n++) {
    cr_assert(n < FAILURES_MOST, "the scenario never runs through");
    int64_t before = failing_allocator_live();
    failing_allocator_fail(n, 1);
    uint32_t told = scenario();
    bool failed = !failing_allocator_is_waiting();
    failing_allocator_fail(0, 0);
    cr_assert(failing_allocator_live() == before, "allocation %u failed: %d blocks are left", n,
              (int)(failing_allocator_live() - before));
    if (!failed) {
      cr_assert(told == 0, "told of a failure that never was");
      cr_assert(n > 1, "the scenario allocates nothing");
      return;
    }
    if (always_told) cr_assert(told == 1, "allocation %u failed, told %u times", n, told);
  }
}
