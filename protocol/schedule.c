#include "protocol/schedule.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

/* [SCHED-3] What was sent counts half as much after this time. */
#define ACTIVITY_HALF_LIFE (500 * MILLISECONDS)

enum { FIRST_CAPACITY = 8 };

#define NO_GROUP UINT32_MAX

/* The entries of one source: a binary heap, the quietest at the root. Positions count from 1. */
struct group {
  uint32_t source;
  uint32_t count, capacity;
  uint32_t next, previous;  /* in the ring of turns; of an unused group, `next` is the next unused one */
  uint32_t next_in_bucket;
  struct schedule_entry **heap; /* kept when the group falls out of use */
};

/* Groups are named by their index: the array moves when it grows. */
struct schedule {
  struct group *groups;
  uint32_t *buckets; /* as many as groups: the first group of each chain */
  uint32_t capacity, unused;
  uint32_t turn; /* NO_GROUP: the schedule is empty */
  uint32_t entries;
};

struct schedule *schedule_new(void) {
  struct schedule *schedule = calloc(1, sizeof *schedule);
  if (schedule == NULL) return NULL;
  schedule->unused = schedule->turn = NO_GROUP;
  return schedule;
}

void schedule_free(struct schedule *schedule) {
  if (schedule == NULL) return;
  for (uint32_t i = 0; i < schedule->capacity; i++) free(schedule->groups[i].heap);
  free(schedule->groups);
  free(schedule->buckets);
  free(schedule);
}

/* Sources are numbers that this node gave to its links, so nobody outside can choose them to collide: a plain
 * multiplicative hash (by 2^32 over the golden ratio) spreads them. The capacity is a power of two. */
static uint32_t *find_bucket(const struct schedule *schedule, uint32_t source) {
  return &schedule->buckets[(source * UINT32_C(2654435769) >> 8) & (schedule->capacity - 1)];
}

static uint32_t find_group(const struct schedule *schedule, uint32_t source) {
  if (schedule->capacity == 0) return NO_GROUP;
  uint32_t at = *find_bucket(schedule, source);
  while (at != NO_GROUP && schedule->groups[at].source != source) at = schedule->groups[at].next_in_bucket;
  return at;
}

static void link_bucket(struct schedule *schedule, uint32_t index) {
  uint32_t *bucket = find_bucket(schedule, schedule->groups[index].source);
  schedule->groups[index].next_in_bucket = *bucket;
  *bucket = index;
}

/* Doubles the groups; every one there is in use, so all go back into the wider buckets. */
static bool grow_groups(struct schedule *schedule) {
  uint32_t old = schedule->capacity, capacity = old == 0 ? FIRST_CAPACITY : old * 2;
  struct group *groups = realloc(schedule->groups, capacity * sizeof *groups);
  if (groups == NULL) return false;
  schedule->groups = groups;
  uint32_t *buckets = realloc(schedule->buckets, capacity * sizeof *buckets);
  if (buckets == NULL) return false;
  schedule->buckets = buckets;
  schedule->capacity = capacity;

  for (uint32_t i = 0; i < capacity; i++) buckets[i] = NO_GROUP;
  for (uint32_t i = 0; i < old; i++) link_bucket(schedule, i);
  for (uint32_t i = capacity; i-- > old;) {
    groups[i] = (struct group){.next = schedule->unused};
    schedule->unused = i;
  }
  return true;
}

static bool reserve_heap(struct group *group) {
  if (group->count < group->capacity) return true;
  uint32_t capacity = group->capacity == 0 ? FIRST_CAPACITY : group->capacity * 2;
  struct schedule_entry **heap = realloc(group->heap, capacity * sizeof *heap);
  if (heap == NULL) return false;
  group->heap = heap;
  group->capacity = capacity;
  return true;
}

/* [SCHED-2] A source that comes gets its turn after all that are there. */
static void join_ring(struct schedule *schedule, uint32_t index) {
  struct group *groups = schedule->groups;
  if (schedule->turn == NO_GROUP) {
    groups[index].next = groups[index].previous = index;
    schedule->turn = index;
    return;
  }
  uint32_t next = schedule->turn, previous = groups[next].previous;
  groups[index].next = next;
  groups[index].previous = previous;
  groups[previous].next = groups[next].previous = index;
}

/* The source's group, with room for one more entry. NO_GROUP: no memory, and nothing has changed. */
static uint32_t group_for(struct schedule *schedule, uint32_t source) {
  uint32_t index = find_group(schedule, source);
  if (index != NO_GROUP) return reserve_heap(&schedule->groups[index]) ? index : NO_GROUP;

  if (schedule->unused == NO_GROUP && !grow_groups(schedule)) return NO_GROUP;
  index = schedule->unused;
  struct group *group = &schedule->groups[index];
  if (!reserve_heap(group)) return NO_GROUP;
  schedule->unused = group->next;
  group->source = source;
  link_bucket(schedule, index);
  join_ring(schedule, index);
  return index;
}

static void drop_group(struct schedule *schedule, uint32_t index) {
  struct group *groups = schedule->groups;
  uint32_t *at = find_bucket(schedule, groups[index].source);
  while (*at != index) at = &groups[*at].next_in_bucket;
  *at = groups[index].next_in_bucket;

  uint32_t next = groups[index].next, previous = groups[index].previous;
  groups[previous].next = next;
  groups[next].previous = previous;
  if (schedule->turn == index) schedule->turn = next == index ? NO_GROUP : next;
  groups[index].next = schedule->unused;
  schedule->unused = index;
}

static void put_at(struct group *group, uint32_t position, struct schedule_entry *entry) {
  group->heap[position - 1] = entry;
  entry->position = position;
}

static void sift_up(struct group *group, struct schedule_entry *entry) {
  uint32_t position = entry->position;
  while (position > 1 && group->heap[position / 2 - 1]->activity > entry->activity) {
    put_at(group, position, group->heap[position / 2 - 1]);
    position /= 2;
  }
  put_at(group, position, entry);
}

static void sift_down(struct group *group, struct schedule_entry *entry) {
  uint32_t position = entry->position;
  for (uint32_t child; (child = 2 * position) <= group->count; position = child) {
    if (child < group->count && group->heap[child]->activity < group->heap[child - 1]->activity) child++;
    if (group->heap[child - 1]->activity >= entry->activity) break;
    put_at(group, position, group->heap[child - 1]);
  }
  put_at(group, position, entry);
}

bool schedule_add(struct schedule *schedule, struct schedule_entry *entry, uint32_t source) {
  if (schedule_contains(entry)) return true;
  uint32_t index = group_for(schedule, source);
  if (index == NO_GROUP) return false;
  struct group *group = &schedule->groups[index];
  entry->source = source;
  entry->position = ++group->count;
  schedule->entries++;
  sift_up(group, entry);
  return true;
}

void schedule_remove(struct schedule *schedule, struct schedule_entry *entry) {
  if (!schedule_contains(entry)) return;
  uint32_t index = find_group(schedule, entry->source);
  assert(index != NO_GROUP);
  struct group *group = &schedule->groups[index];
  struct schedule_entry *last = group->heap[--group->count];
  schedule->entries--;
  if (last != entry) {
    put_at(group, entry->position, last);
    sift_up(group, last);
    sift_down(group, last);
  }
  entry->position = 0;
  if (group->count == 0) drop_group(schedule, index);
}

bool schedule_contains(const struct schedule_entry *entry) { return entry->position != 0; }

struct schedule_entry *schedule_next(struct schedule *schedule) {
  return schedule->turn == NO_GROUP ? NULL : schedule->groups[schedule->turn].heap[0];
}

/* [SCHED-3] log2(2^a + 2^b): a cell sent at t weighs 2^(t / half-life), so the past need never be scaled down. */
static double add_logarithms(double a, double b) {
  double high = a > b ? a : b, low = a > b ? b : a;
  return high + log2(1 + exp2(low - high));
}

void schedule_sent(struct schedule *schedule, struct schedule_entry *entry, instant now) {
  entry->activity = add_logarithms(entry->activity, (double)now / (double)ACTIVITY_HALF_LIFE);
  /* The entry may have been removed already, since it had no more cells; its source's turn is over all the same. */
  uint32_t index = find_group(schedule, entry->source);
  if (index == NO_GROUP) return;
  struct group *group = &schedule->groups[index];
  if (schedule_contains(entry)) sift_down(group, entry);
  if (schedule->turn == index) schedule->turn = group->next; /* [SCHED-2] */
}

bool schedule_is_empty(const struct schedule *schedule) { return schedule->turn == NO_GROUP; }
uint32_t schedule_count(const struct schedule *schedule) { return schedule->entries; }
