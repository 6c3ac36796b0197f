/* What is known of how long circuits take: the middle one that status shows, and when a build is given up. */
#include <criterion/criterion.h>

#include "client/build_times.h"

Test(build_times, before_any_circuit_was_built_nothing_is_known) {
  struct build_times times = {0};
  cr_expect_eq(build_times_recent(&times), 0);
  cr_expect_eq(build_times_timeout(&times), 10 * SECONDS);
}

Test(build_times, the_middle_one_is_shown_and_one_slow_build_does_not_move_it) {
  struct build_times times = {0};
  build_times_note(&times, 300 * MILLISECONDS);
  cr_expect_eq(build_times_recent(&times), 300 * MILLISECONDS);
  const uint64_t more[] = {100, 9000, 200, 400};
  for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) build_times_note(&times, more[i] * MILLISECONDS);
  cr_expect_eq(build_times_recent(&times), 300 * MILLISECONDS);
}

Test(build_times, a_build_is_given_up_after_four_times_what_four_in_five_need) {
  struct build_times times = {0};
  for (uint64_t i = 1; i <= 10; i++) build_times_note(&times, i * SECONDS / 2);
  cr_expect_eq(build_times_timeout(&times), 16 * SECONDS);
}

Test(build_times, what_is_shown_is_of_the_last_sixteen) {
  struct build_times times = {0};
  for (int i = 0; i < 250; i++) build_times_note(&times, i < 243 ? 7 * SECONDS : SECONDS);
  cr_expect_eq(build_times_recent(&times), 7 * SECONDS, "seven of sixteen were faster");
  build_times_note(&times, SECONDS);
  cr_expect_eq(build_times_recent(&times), SECONDS, "eight were");
}

Test(build_times, only_the_last_hundred_count) {
  struct build_times times = {0};
  for (int i = 0; i < 300; i++) build_times_note(&times, i < 200 ? 7 * SECONDS : SECONDS);
  cr_expect_eq(build_times_recent(&times), SECONDS);
  cr_expect_eq(build_times_timeout(&times), 4 * SECONDS);
}
