#include <criterion/criterion.h>

#include "protocol/pace.h"

/* Rounds of a path of 60 ms, one sample at the end of each. */
struct path { struct pace pace; instant now; struct pace_sample sample; bool has_little; };

static void path_init(struct path *path) {
  *path = (struct path){.now = SECONDS, .sample = {.least_round_trip = 60 * MILLISECONDS, .round_trip = 60 * MILLISECONDS}};
  pace_init(&path->pace);
  pace_measure(&path->pace, path->now, &path->sample);
}

static void pass_round(struct path *path, uint64_t queue, uint64_t bytes_per_s) {
  path->sample.round_trip = path->sample.least_round_trip + queue;
  path->sample.acknowledged += bytes_per_s * path->sample.round_trip / SECONDS;
  path->sample.waits = !path->has_little;
  path->now += path->sample.round_trip;
  pace_measure(&path->pace, path->now, &path->sample);
}

static void pass_rounds(struct path *path, int count, uint64_t queue, uint64_t bytes_per_s) {
  for (int i = 0; i < count; i++) pass_round(path, queue, bytes_per_s);
}

/* [PACE-3] */
Test(pace, a_link_that_keeps_nobody_waiting_has_no_limit) {
  struct path path;
  path_init(&path);
  pass_rounds(&path, 100, 2 * MILLISECONDS, 25000000);
  cr_expect_eq(path.pace.limit, 0);
}

/* [PACE-5] [PACE-6] */
Test(pace, a_standing_queue_sets_the_limit_and_lowers_it_until_it_is_gone) {
  struct path path;
  path_init(&path);
  pass_rounds(&path, 2, 40 * MILLISECONDS, 25000000);
  uint64_t first = path.pace.limit;
  cr_expect_gt(first, 0);
  cr_expect_leq(first, 25000000);
  pass_round(&path, 35 * MILLISECONDS, 25000000);
  uint64_t second = path.pace.limit;
  cr_expect_lt(second, first);
  pass_rounds(&path, 3, 0, second);
  cr_expect_gt(path.pace.limit, second);
}

/* [PACE-6] A rate that the limit did not set says nothing about it. */
Test(pace, a_round_with_little_to_send_leaves_the_limit) {
  struct path path;
  path_init(&path);
  pass_rounds(&path, 2, 40 * MILLISECONDS, 25000000);
  uint64_t limit = path.pace.limit;
  path.has_little = true;
  pass_rounds(&path, 8, 0, 1000);
  cr_expect_eq(path.pace.limit, limit);
  pass_rounds(&path, 16, 0, 1000);
  cr_expect_eq(path.pace.limit, 0, "unused for long: the path may be another one by now");
}

/* [PACE-6] */
Test(pace, a_small_answer_fits_a_round_trip_whatever_was_measured) {
  struct path path;
  path_init(&path);
  pass_rounds(&path, 5, 200 * MILLISECONDS, 100);
  cr_expect_geq(path.pace.limit * 60 / 1000, 64 * 1024 - 1);
}

/* [PACE-7] */
Test(pace, who_can_t_shorten_the_queue_stops_trying_and_tries_again_later) {
  struct path path;
  path_init(&path);
  pass_rounds(&path, 2, 50 * MILLISECONDS, 10000000);
  cr_assert_gt(path.pace.limit, 0);
  for (int i = 0; i < 30 && path.pace.limit != 0; i++) pass_round(&path, 50 * MILLISECONDS, path.pace.limit);
  cr_assert_eq(path.pace.limit, 0);
  pass_rounds(&path, 60, 50 * MILLISECONDS, 8000000);
  cr_expect_eq(path.pace.limit, 0);
  pass_rounds(&path, 5, 50 * MILLISECONDS, 8000000);
  cr_expect_gt(path.pace.limit, 0);
}

/* How often the system's control was to begin anew in these rounds. */
static int renewals(struct path *path, int rounds, uint64_t queue, uint64_t bytes_per_s) {
  int count = 0;
  for (int i = 0; i < rounds; i++) {
    pass_round(path, queue, bytes_per_s);
    count += path->pace.is_renewal_due;
  }
  return count;
}

/* [PACE-8] 31 s. */
Test(pace, the_systems_control_begins_anew_every_five_seconds) {
  struct path path;
  path_init(&path);
  cr_expect_eq(renewals(&path, 80, 2 * MILLISECONDS, 25000000), 0, "4.96 s");
  cr_expect_eq(renewals(&path, 420, 2 * MILLISECONDS, 25000000), 6);
}

/* [PACE-8] It would take the old least round trip for the truth. */
Test(pace, a_queue_or_a_longer_route_leaves_the_systems_control_alone) {
  const uint64_t queues[] = {40 * MILLISECONDS, 100 * MILLISECONDS};
  for (int i = 0; i < 2; i++) {
    struct path path;
    path_init(&path);
    cr_expect_eq(renewals(&path, 500, queues[i], 1000000), 0);
    cr_expect_gt(renewals(&path, 80, 2 * MILLISECONDS, 1000000), 0, "when it is true again");
  }
}

/* [PACE-8] */
Test(pace, the_systems_control_is_not_renewed_after_a_pause_before_a_round_was_seen) {
  struct path path;
  path_init(&path);
  path.now += 20 * SECONDS;
  pace_measure(&path.pace, path.now, &path.sample);
  cr_expect_not(path.pace.is_renewal_due);
  cr_expect_eq(renewals(&path, 1, 0, 1000000), 1);
}

/* [PACE-8] A new control would begin with the few packets of that moment. */
Test(pace, the_systems_control_is_not_renewed_while_it_pauses) {
  struct path path;
  path_init(&path);
  path.sample.is_pausing = true;
  cr_expect_eq(renewals(&path, 100, 2 * MILLISECONDS, 100000), 0);
  path.sample.is_pausing = false;
  cr_expect_eq(renewals(&path, 1, 2 * MILLISECONDS, 100000), 1, "as soon as it is over");
}

/* [PACE-8] Who sends little now would want a longer queue, if it had no limit. */
Test(pace, the_queue_that_leaves_the_systems_control_alone_goes_by_the_limit) {
  struct path path;
  path_init(&path);
  pass_rounds(&path, 2, 40 * MILLISECONDS, 25000000);
  uint64_t limit = path.pace.limit;
  cr_assert_gt(limit, 20000000);
  path.now += 6 * SECONDS;
  path.has_little = true;
  pass_round(&path, 20 * MILLISECONDS, 5000000);
  cr_expect_eq(renewals(&path, 2, 20 * MILLISECONDS, 5000000), 0);
  cr_expect_eq(path.pace.limit, limit);
  cr_expect_eq(renewals(&path, 1, 2 * MILLISECONDS, 5000000), 1);
}

/* [PACE-2] */
Test(pace, neighbours_in_one_room_have_none) {
  struct path path = {.now = SECONDS, .sample = {.least_round_trip = MILLISECONDS / 10}};
  pace_init(&path.pace);
  for (int i = 0; i < 100; i++) pass_round(&path, 50 * MILLISECONDS, 1000000);
  cr_expect_eq(path.pace.limit, 0);
}

/* [PACE-3] Nobody looked: what was acknowledged meanwhile is no rate. */
Test(pace, a_pause_is_no_round) {
  struct path path;
  path_init(&path);
  path.sample.acknowledged += 1000;
  path.sample.round_trip = 110 * MILLISECONDS;
  path.now += 10 * SECONDS;
  pace_measure(&path.pace, path.now, &path.sample);
  cr_expect_eq(path.pace.limit, 0);
}

Test(pace, samples_are_wanted_a_few_times_in_a_round_trip) {
  struct path path;
  path_init(&path);
  cr_expect_not(pace_is_due(&path.pace, path.now + MILLISECONDS));
  cr_expect(pace_is_due(&path.pace, path.now + 60 * MILLISECONDS / 4));
}

/* [PACE-2] What is shorter than a millisecond by now has no limit of before. */
Test(pace, a_path_that_became_short_has_no_limit) {
  struct path path;
  path_init(&path);
  pass_rounds(&path, 2, 40 * MILLISECONDS, 25000000);
  cr_assert_gt(path.pace.limit, 0);
  path.sample.least_round_trip = MILLISECONDS / 2;
  path.now += 60 * MILLISECONDS;
  cr_expect(pace_measure(&path.pace, path.now, &path.sample), "the socket is told");
  cr_expect_eq(path.pace.limit, 0);
}

/* [PACE-6] Nothing arrives for a while: 0 would mean no limit at all. */
Test(pace, rounds_in_which_nothing_arrives_leave_the_least_limit) {
  struct path path;
  path_init(&path);
  pass_rounds(&path, 2, 40 * MILLISECONDS, 25000000);
  for (int i = 0; i < 10; i++) {
    pass_round(&path, 40 * MILLISECONDS + (uint64_t)i % 2 * 40 * MILLISECONDS, 0);
    cr_expect_gt(path.pace.limit, 0);
  }
}

/* [PACE-3] What the system counts is no clock: a count that goes back is a new beginning. */
Test(pace, a_count_that_goes_back_teaches_nothing) {
  struct path path;
  path_init(&path);
  pass_rounds(&path, 3, 40 * MILLISECONDS, 25000000);
  uint64_t limit = path.pace.limit;
  path.sample.acknowledged -= 3000;
  path.now += path.sample.round_trip;
  cr_expect_not(pace_measure(&path.pace, path.now, &path.sample));
  cr_expect_eq(path.pace.limit, limit);
}

/* [PACE-3] A slow link is looked at seldom, and had something to send all the time. */
Test(pace, a_long_round_counts_where_bytes_waited_throughout) {
  struct path path;
  path_init(&path);
  for (int i = 0; i < 3; i++) {
    path.sample.round_trip = 200 * MILLISECONDS;
    path.sample.acknowledged += 64000;
    path.sample.waits = true;
    path.now += SECONDS;
    pace_measure(&path.pace, path.now, &path.sample);
  }
  cr_expect_gt(path.pace.limit, 0);
}

/* [PACE-3] [PACE-5] */
Test(pace, little_that_others_keep_waiting_has_no_limit) {
  struct path path;
  path_init(&path);
  path.has_little = true;
  pass_rounds(&path, 50, 100 * MILLISECONDS, 50000);
  cr_expect_eq(path.pace.limit, 0);
}

Test(pace, jitter_is_no_queue) {
  struct path path;
  path_init(&path);
  path.sample.variation = 10 * MILLISECONDS;
  pass_rounds(&path, 50, 20 * MILLISECONDS, 25000000);
  cr_expect_eq(path.pace.limit, 0);
}
