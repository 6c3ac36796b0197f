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

/* The time that `part` of `of` among the last `count` stay within. An insertion sort of a hundred at most. */
static uint64_t percentile(const struct build_times *times, uint32_t count, uint32_t part, uint32_t of) {
  uint64_t sorted[BUILD_TIMES_KEPT];
  for (uint32_t i = 0; i < count; i++) {
    uint64_t time = times->times[(times->next + BUILD_TIMES_KEPT - 1 - i) % BUILD_TIMES_KEPT];
    uint32_t at = i;
    for (; at > 0 && sorted[at - 1] > time; at--) sorted[at] = sorted[at - 1];
    sorted[at] = time;
  }
  return sorted[(count * part - 1) / of];
}

uint64_t build_times_recent(const struct build_times *times) {
  uint32_t count = times->count < BUILD_TIMES_RECENT ? times->count : BUILD_TIMES_RECENT;
  return count == 0 ? 0 : percentile(times, count, 1, 2);
}

uint64_t build_times_timeout(const struct build_times *times) {
  if (times->count < ENOUGH) return TIMEOUT_UNKNOWN;
  uint64_t slow = percentile(times, times->count, 4, 5);
  if (slow >= TIMEOUT_MOST / 4) return TIMEOUT_MOST;
  return 4 * slow < TIMEOUT_LEAST ? TIMEOUT_LEAST : 4 * slow;
}
