/* What choosing the next cell costs: one `name value` a line, nanoseconds for next and sent together, the best of
 * several batches. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "protocol/schedule.h"

enum { BATCHES = 20, CALLS = 100000 };

static double now_ns(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* `active` circuits from `sources` links; a cell each 2 us. */
static double cost_ns(struct schedule_entry *entries, uint32_t active, uint32_t sources) {
  struct schedule *schedule = schedule_new();
  if (schedule == NULL) abort();
  for (uint32_t i = 0; i < active; i++) {
    entries[i] = (struct schedule_entry){0};
    if (!schedule_add(schedule, &entries[i], i % sources)) abort();
  }
  instant now = 1000 * SECONDS;
  double best = 1e18;
  for (int batch = 0; batch < BATCHES; batch++) {
    double start = now_ns();
    for (int i = 0; i < CALLS; i++) schedule_sent(schedule, schedule_next(schedule), now += 2 * MICROSECONDS);
    double each = (now_ns() - start) / CALLS;
    if (each < best) best = each;
  }
  schedule_free(schedule);
  return best;
}

int main(void) {
  struct schedule_entry *entries = calloc(10000, sizeof *entries);
  if (entries == NULL) return 1;
  printf("schedule_1_ns %.1f\n", cost_ns(entries, 1, 1));
  printf("schedule_100_ns %.1f\n", cost_ns(entries, 100, 1));
  printf("schedule_100_of_10_sources_ns %.1f\n", cost_ns(entries, 100, 10));
  printf("schedule_10000_ns %.1f\n", cost_ns(entries, 10000, 1));
  printf("schedule_10000_of_1000_sources_ns %.1f\n", cost_ns(entries, 10000, 1000));
  free(entries);
  return 0;
}
