#include "io/machine_size.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "protocol/limits.h"

enum { KIB = 1024, MIB = 1024 * KIB, PART_FOR_CELLS = 4 };

uint32_t machine_size_cores(void) {
  cpu_set_t set;
  CPU_ZERO(&set);
  int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
  if (count < 1) count = (int)sysconf(_SC_NPROCESSORS_ONLN);
  return count < 1 ? 1 : (uint32_t)count;
}

/* "max", or a file that is not there: no limit. */
static uint64_t control_group_limit(void) {
  char text[32];
  FILE *file = fopen("/sys/fs/cgroup/memory.max", "re");
  if (file == NULL) return UINT64_MAX;
  uint64_t limit = fgets(text, sizeof text, file) == NULL ? 0 : strtoull(text, NULL, 10);
  fclose(file);
  return limit == 0 ? UINT64_MAX : limit;
}

uint64_t machine_size_memory_mb(void) {
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  uint64_t bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0, limit = control_group_limit();
  if (limit < bytes) bytes = limit;
  return bytes < MIB ? 1 : bytes / MIB;
}

uint32_t machine_size_shards(void) {
  uint32_t cores = machine_size_cores();
  return cores < LIMIT_SHARDS_UNASKED ? cores : LIMIT_SHARDS_UNASKED;
}

/* [LIMIT-14] */
uint32_t machine_size_relay_streams(uint64_t descriptors, uint32_t shards) {
  uint64_t each = descriptors / 4 * 3 / shards;
  if (each > LIMIT_STREAMS_PER_SHARD) each = LIMIT_STREAMS_PER_SHARD;
  return each == 0 ? 1 : (uint32_t)each;
}

uint32_t machine_size_relay_memory_mb(uint64_t machine_mb, uint32_t relays) {
  uint64_t each = machine_mb / PART_FOR_CELLS / (relays == 0 ? 1 : relays);
  if (each > LIMIT_RELAY_MEMORY_MOST_MB) each = LIMIT_RELAY_MEMORY_MOST_MB;
  return each < LIMIT_MEMORY_LEAST_MB ? LIMIT_MEMORY_LEAST_MB : (uint32_t)each;
}
