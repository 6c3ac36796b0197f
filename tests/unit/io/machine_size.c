/* What holds where a person says nothing: specs/limits.md [LIMIT-1], [LIMIT-9], [LIMIT-14]. */
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

Test(machine_size, streams_take_three_quarters_of_the_descriptors) {
  cr_assert_eq(machine_size_relay_streams(4096, 1), 3072);
  cr_assert_eq(machine_size_relay_streams(4096, 8), 384);
  cr_assert_eq(machine_size_relay_streams(1048576, 8), LIMIT_STREAMS_PER_SHARD, "at most so many");
  cr_assert_eq(machine_size_relay_streams(UINT64_MAX, 1), LIMIT_STREAMS_PER_SHARD);
  cr_assert_eq(machine_size_relay_streams(4, 63), 1, "a shard's 0 would be as many as it wants");
}

Test(machine_size, this_machine_has_cores_and_memory) {
  cr_assert(machine_size_cores() >= 1);
  cr_assert(machine_size_shards() >= 1 && machine_size_shards() <= LIMIT_SHARDS_UNASKED);
  cr_assert(machine_size_shards() <= machine_size_cores());
  cr_assert(machine_size_memory_mb() > 64, "%lu MiB", (unsigned long)machine_size_memory_mb());
}
