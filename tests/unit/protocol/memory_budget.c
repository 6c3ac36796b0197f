#include "protocol/memory_budget.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdint.h>

Test(memory_budget, leases_up_to_its_ceiling) {
  struct memory_budget budget;
  memory_budget_init(&budget, 1000);
  cr_assert(memory_budget_lease(&budget, 600));
  cr_assert(!memory_budget_lease(&budget, 401));
  cr_assert(!memory_budget_lease(&budget, SIZE_MAX));
  cr_assert(memory_budget_used(&budget) == 600, "a refusal leases nothing");
  cr_assert(memory_budget_lease(&budget, 400));
  cr_assert(!memory_budget_lease(&budget, 1));
  memory_budget_return(&budget, 600);
  cr_assert(memory_budget_used(&budget) == 400 && memory_budget_lease(&budget, 600));
}

enum { ROUNDS = 100000, THREADS = 3, CEILING = 100 };

static void *lease_and_return(void *context) {
  struct memory_budget *budget = context;
  for (size_t i = 0; i < ROUNDS; i++) {
    size_t bytes = 1 + i % 60;
    if (!memory_budget_lease(budget, bytes)) continue;
    if (memory_budget_used(budget) > CEILING) return context;
    memory_budget_return(budget, bytes);
  }
  return NULL;
}

Test(memory_budget, many_threads_never_pass_the_ceiling, .timeout = 60) {
  struct memory_budget budget;
  pthread_t threads[THREADS];
  memory_budget_init(&budget, CEILING);
  for (int i = 0; i < THREADS; i++)
    cr_assert(pthread_create(&threads[i], NULL, lease_and_return, &budget) == 0);
  for (int i = 0; i < THREADS; i++) {
    void *passed;
    cr_assert(pthread_join(threads[i], &passed) == 0);
    cr_assert(passed == NULL, "a thread saw more in use than the ceiling");
  }
  cr_assert(memory_budget_used(&budget) == 0);
}
