#include "client/build_times.h"

#include <string.h>

enum { ENOUGH = 10 };
#define TIMEOUT_UNKNOWN (10 * SECONDS)
#define TIMEOUT_LEAST (1 * SECONDS)
#define TIMEOUT_MOST (30 * SECONDS)

void build_times_note(struct build_times *times, uint64_t took) {
  times->times[times->next] = took;
  times->next = (times->next + 1) % BUILD_TIMES_KEPT;
  if (times->count < BUILD_TIMES_KEPT) times->count++;
}

/* The time that four in five stay within, for example: of = 5, part = 4. An insertion sort of a hundred. */
static uint64_t percentile(const struct build_times *times, uint32_t part, uint32_t of) {
  uint64_t sorted[BUILD_TIMES_KEPT];
  for (uint32_t i = 0; i < times->count; i++) {
    uint32_t at = i;
    for (; at > 0 && sorted[at - 1] > times->times[i]; at--) sorted[at] = sorted[at - 1];
    sorted[at] = times->times[i];
  }
  return sorted[(times->count * part - 1) / of];
}

uint64_t build_times_median(const struct build_times *times) { return times->count == 0 ? 0 : percentile(times, 1, 2); }

uint64_t build_times_timeout(const struct build_times *times) {
  if (times->count < ENOUGH) return TIMEOUT_UNKNOWN;
  uint64_t slow = percentile(times, 4, 5);
  if (slow >= TIMEOUT_MOST / 4) return TIMEOUT_MOST;
  return 4 * slow < TIMEOUT_LEAST ? TIMEOUT_LEAST : 4 * slow;
}
