#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/schedule.h"

static uint64_t draw(uint64_t *state) {
  uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static uint64_t seed_for_test(void) {
  const char *text = getenv("TUNIC_SEED");
  uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : 20260722;
  cr_log_info("TUNIC_SEED=%llu", (unsigned long long)seed);
  return seed;
}

/* Sends one cell of whoever's turn it is. */
static struct schedule_entry *send_one(struct schedule *schedule, instant now) {
  struct schedule_entry *entry = schedule_next(schedule);
  if (entry != NULL) schedule_sent(schedule, entry, now);
  return entry;
}

Test(schedule, an_empty_one_has_nobodys_turn) {
  struct schedule *schedule = schedule_new();
  struct schedule_entry entry = {0};
  cr_assert(schedule_is_empty(schedule));
  cr_expect_eq(schedule_count(schedule), 0);
  cr_assert_null(schedule_next(schedule));
  schedule_remove(schedule, &entry);
  cr_assert(schedule_add(schedule, &entry, 5));
  cr_assert(schedule_contains(&entry));
  cr_assert_not(schedule_is_empty(schedule));
  cr_assert(schedule_add(schedule, &entry, 5), "joining twice is joining once");
  cr_assert_eq(schedule_next(schedule), &entry);
  schedule_remove(schedule, &entry);
  cr_assert_not(schedule_contains(&entry));
  cr_assert(schedule_is_empty(schedule));
  cr_assert_null(schedule_next(schedule));
  schedule_free(schedule);
  schedule_free(NULL);
}

/* [SCHED-1] */
Test(schedule, sources_share_equally_however_many_circuits_they_bring) {
  struct schedule *schedule = schedule_new();
  enum { CROWD = 500, CELLS = 3000 };
  static struct schedule_entry crowd[CROWD];
  struct schedule_entry stranger = {0}, other = {0};
  unsigned strangers = 0, others = 0;
  for (int i = 0; i < CROWD; i++) cr_assert(schedule_add(schedule, &crowd[i], 1));
  cr_assert(schedule_add(schedule, &stranger, 2));
  cr_assert(schedule_add(schedule, &other, UINT32_MAX));
  for (int i = 0; i < CELLS; i++) {
    const struct schedule_entry *sent = send_one(schedule, SECONDS + (instant)i * MICROSECONDS);
    strangers += sent == &stranger;
    others += sent == &other;
  }
  cr_assert_eq(strangers, CELLS / 3);
  cr_assert_eq(others, CELLS / 3);
  schedule_free(schedule);
}

/* [SCHED-2] Whoever comes and goes gains no turn by it. */
Test(schedule, a_source_that_comes_again_and_again_waits_like_the_others) {
  struct schedule *schedule = schedule_new();
  struct schedule_entry stay[3] = {0}, flicker = {0};
  unsigned count = 0;
  for (uint32_t i = 0; i < 3; i++) cr_assert(schedule_add(schedule, &stay[i], 10 + i));
  for (int i = 0; i < 4000; i++) {
    cr_assert(schedule_add(schedule, &flicker, 99));
    struct schedule_entry *entry = schedule_next(schedule);
    count += entry == &flicker;
    if (entry == &flicker) schedule_remove(schedule, entry);
    schedule_sent(schedule, entry, (instant)i);
  }
  cr_assert_geq(count, 900);
  cr_assert_leq(count, 1000);
  schedule_free(schedule);
}

/* [SCHED-2] */
Test(schedule, a_turn_ends_also_when_the_entry_left_before_it_was_counted) {
  struct schedule *schedule = schedule_new();
  struct schedule_entry here[2] = {0}, there = {0};
  cr_assert(schedule_add(schedule, &here[0], 1) && schedule_add(schedule, &here[1], 1) && schedule_add(schedule, &there, 2));
  struct schedule_entry *first = schedule_next(schedule);
  cr_assert_neq(first, &there);
  schedule_remove(schedule, first);
  schedule_sent(schedule, first, SECONDS);
  cr_assert_eq(schedule_next(schedule), &there);
  schedule_free(schedule);
}

Test(schedule, who_sends_out_of_turn_takes_nobodys_turn) {
  struct schedule *schedule = schedule_new();
  struct schedule_entry first = {0}, second = {0}, third = {0};
  cr_assert(schedule_add(schedule, &first, 1) && schedule_add(schedule, &second, 2) && schedule_add(schedule, &third, 3));
  schedule_sent(schedule, &second, SECONDS);
  cr_assert_eq(send_one(schedule, SECONDS), &first);
  cr_assert_eq(send_one(schedule, SECONDS), &second);
  schedule_free(schedule);
}

/* [SCHED-3] */
Test(schedule, within_a_source_the_quietest_goes_first) {
  struct schedule *schedule = schedule_new();
  struct schedule_entry loud = {0}, quiet = {0}, fresh = {0};
  instant now = 1000 * SECONDS;
  cr_assert(schedule_add(schedule, &loud, 1));
  for (int i = 0; i < 1000; i++) cr_assert_eq(send_one(schedule, now), &loud);
  cr_assert(schedule_add(schedule, &quiet, 1));
  for (int i = 0; i < 999; i++) cr_assert_eq(send_one(schedule, now), &quiet, "after %d cells", i);
  cr_assert(schedule_add(schedule, &fresh, 1));
  cr_assert_eq(send_one(schedule, now), &fresh);
  schedule_free(schedule);
}

Test(schedule, what_was_sent_long_ago_counts_little) {
  struct schedule *schedule = schedule_new();
  struct schedule_entry bulk_of_old = {0}, talker = {0};
  instant now = 1000 * SECONDS;
  cr_assert(schedule_add(schedule, &bulk_of_old, 1));
  for (int i = 0; i < 1000; i++) send_one(schedule, now);
  schedule_remove(schedule, &bulk_of_old);

  now += 6 * SECONDS; /* 12 half-lives: 1000 cells weigh a quarter of one */
  cr_assert(schedule_add(schedule, &talker, 1));
  send_one(schedule, now);
  cr_assert(schedule_add(schedule, &bulk_of_old, 1));
  cr_assert_eq(schedule_next(schedule), &bulk_of_old);
  schedule_free(schedule);
}

Test(schedule, equals_of_one_source_share_equally) {
  struct schedule *schedule = schedule_new();
  enum { EQUALS = 7, CELLS = 7000 };
  struct schedule_entry entries[EQUALS] = {0};
  unsigned counts[EQUALS] = {0};
  for (int i = 0; i < EQUALS; i++) cr_assert(schedule_add(schedule, &entries[i], 1));
  /* After a year of uptime: the scale must still tell one cell from two. */
  instant now = 365 * 24 * HOURS;
  for (int i = 0; i < CELLS; i++) counts[send_one(schedule, now += MILLISECONDS) - entries]++;
  for (int i = 0; i < EQUALS; i++) cr_assert(counts[i] >= 990 && counts[i] <= 1010, "%d sent %u", i, counts[i]);
  schedule_free(schedule);
}

/* A slow and obviously right schedule says the same: a list of sources in turn, each searched for its quietest. */
enum { MODEL_SOURCES = 40, MODEL_ENTRIES = 300 };

struct model { uint32_t ring[MODEL_SOURCES]; uint32_t count; };

static uint32_t model_find(const struct model *model, uint32_t source) {
  uint32_t at = 0;
  while (at < model->count && model->ring[at] != source) at++;
  return at;
}

/* The source at the front had its turn. */
static void model_rotate(struct model *model) {
  uint32_t front = model->ring[0];
  memmove(model->ring, model->ring + 1, (model->count - 1) * sizeof *model->ring);
  model->ring[model->count - 1] = front;
}

static void model_drop(struct model *model, uint32_t source) {
  uint32_t at = model_find(model, source);
  model->count--;
  memmove(model->ring + at, model->ring + at + 1, (model->count - at) * sizeof *model->ring);
}

static uint32_t members(const struct schedule_entry *entries, uint32_t source, double *ret_quietest) {
  uint32_t count = 0;
  *ret_quietest = 0;
  for (int i = 0; i < MODEL_ENTRIES; i++) {
    if (entries[i].source != source || !schedule_contains(&entries[i])) continue;
    if (count++ == 0 || entries[i].activity < *ret_quietest) *ret_quietest = entries[i].activity;
  }
  return count;
}

Test(schedule, does_what_a_slow_and_obvious_one_does) {
  struct schedule *schedule = schedule_new();
  static struct schedule_entry entries[MODEL_ENTRIES];
  struct model model = {.count = 0};
  uint64_t seed = seed_for_test();
  instant now = 0;
  double quietest;
  for (int step = 0; step < 30000; step++) {
    uint64_t dice = draw(&seed);
    struct schedule_entry *entry = &entries[(dice >> 8) % MODEL_ENTRIES];
    /* Times of crowding and times of leaving, so that groups come and go. */
    bool crowding = step / 4000 % 2 == 0;
    unsigned action = (unsigned)(dice % 8);
    now += (dice >> 32) % MILLISECONDS;
    if (action < (crowding ? 3 : 1)) {
      uint32_t source = (uint32_t)(entry - entries) * 2654435761u % MODEL_SOURCES;
      bool is_new = members(entries, source, &quietest) == 0;
      cr_assert(schedule_add(schedule, entry, source));
      if (is_new) model.ring[model.count++] = source;
    } else if (action < 4) {
      bool was_in = schedule_contains(entry);
      schedule_remove(schedule, entry);
      if (was_in && members(entries, entry->source, &quietest) == 0) model_drop(&model, entry->source);
    } else {
      entry = send_one(schedule, now);
      cr_assert_eq(entry == NULL, model.count == 0);
      if (entry != NULL) {
        cr_assert_eq(entry->source, model.ring[0], "step %d", step);
        model_rotate(&model);
      }
    }
    const struct schedule_entry *next = schedule_next(schedule);
    if (next == NULL) continue;
    members(entries, next->source, &quietest);
    cr_assert_eq(next->activity, quietest, "step %d", step);
  }
  schedule_free(schedule);
}
