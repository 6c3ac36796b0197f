/* What holds where a person says nothing: specs/limits.md [LIMIT-1], [LIMIT-9]. */
#include <criterion/criterion.h>

#include "io/machine_size.h"
#include "protocol/limits.h"

Test(machine_size, relays_take_a_quarter_of_the_machine_together) {
  cr_assert_eq(machine_size_relay_memory_mb(4096, 1), 1024);
  cr_assert_eq(machine_size_relay_memory_mb(8192, 1), 2048);
  cr_assert_eq(machine_size_relay_memory_mb(65536, 1), 2048, "at most so much");
  cr_assert_eq(machine_size_relay_memory_mb(4096, 4), 256);
  cr_assert_eq(machine_size_relay_memory_mb(4096, 0), 1024);
  cr_assert_eq(machine_size_relay_memory_mb(1024, 100), LIMIT_MEMORY_LEAST_MB, "what a relay needs at least");
}

Test(machine_size, this_machine_has_cores_and_memory) {
  cr_assert(machine_size_cores() >= 1);
  cr_assert(machine_size_shards() >= 1 && machine_size_shards() <= LIMIT_SHARDS_UNASKED);
  cr_assert(machine_size_shards() <= machine_size_cores());
  cr_assert(machine_size_memory_mb() > 64, "%lu MiB", (unsigned long)machine_size_memory_mb());
}
