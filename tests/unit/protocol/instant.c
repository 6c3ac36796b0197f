#include "protocol/instant.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/seed.h"

static bool parses(const char *text, struct date *ret) {
  return date_parse(text, strlen(text), ret);
}

Test(instant, sums_and_differences_stop_at_their_ends) {
  cr_assert(instant_after(5, 7) == 12);
  cr_assert(instant_after(INSTANT_NEVER - 1, 1) == INSTANT_NEVER);
  cr_assert(instant_after(INSTANT_NEVER - 1, 2) == INSTANT_NEVER);
  cr_assert(instant_after(INSTANT_NEVER, 0) == INSTANT_NEVER);
  cr_assert(instant_after(7, UINT64_MAX) == INSTANT_NEVER);
  cr_assert(instant_until(5, 12) == 7);
  cr_assert(instant_until(12, 5) == 0);
  cr_assert(instant_earlier(3, 4) == 3 && instant_earlier(4, 3) == 3);
  cr_assert(date_after((struct date){INT64_MAX - 1}, 2).milliseconds == INT64_MAX);
  cr_assert(date_after((struct date){INT64_MIN + 1}, -2).milliseconds == INT64_MIN);
  cr_assert(date_after((struct date){10}, -3).milliseconds == 7);
  cr_assert(date_compare((struct date){1}, (struct date){2}) == -1);
  cr_assert(date_compare((struct date){2}, (struct date){1}) == 1);
  cr_assert(date_compare((struct date){2}, (struct date){2}) == 0);
}

Test(date, known_dates_have_their_text) {
  static const struct {
    int64_t ms;
    const char *text;
  } KNOWN[] = {
      {0, "1970-01-01T00:00:00.000Z"},
      {1, "1970-01-01T00:00:00.001Z"},
      {951782400000, "2000-02-29T00:00:00.000Z"},
      {1234567890987, "2009-02-13T23:31:30.987Z"},
      {2147483648000, "2038-01-19T03:14:08.000Z"},
      {4107542399999, "2100-02-28T23:59:59.999Z"},
      {4107542400000, "2100-03-01T00:00:00.000Z"},
      {253402300799999, "9999-12-31T23:59:59.999Z"},
  };
  for (size_t i = 0; i < sizeof KNOWN / sizeof KNOWN[0]; i++) {
    char text[DATE_TEXT_BYTES];
    struct date date;
    date_format((struct date){KNOWN[i].ms}, text);
    cr_assert_str_eq(text, KNOWN[i].text);
    cr_assert(parses(KNOWN[i].text, &date));
    cr_assert(date.milliseconds == KNOWN[i].ms, "%s", KNOWN[i].text);
  }
}

/* A calendar that only ever counts one day on: slow, and surely right. */
Test(date, every_day_of_four_centuries_and_more_follows_the_one_before) {
  static const int LENGTHS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int year = 1970, month = 1, day = 1;
  for (int64_t ms = 0; year < 2402; ms += 86400000) {
    char expected[64], text[DATE_TEXT_BYTES];
    struct date date;
    snprintf(expected, sizeof expected, "%04d-%02d-%02dT00:00:00.000Z", year, month, day);
    date_format((struct date){ms}, text);
    cr_assert(strcmp(text, expected) == 0, "%s is not %s", text, expected);
    cr_assert(parses(expected, &date) && date.milliseconds == ms, "%s", expected);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (++day > LENGTHS[month - 1] + (month == 2 && leap)) day = 1, month++;
    if (month > 12) month = 1, year++;
  }
}

Test(date, any_date_comes_back_from_its_text) {
  struct random_stream random = test_random("date");
  for (int i = 0; i < 20000; i++) {
    struct date date = {(int64_t)random_below(&random, 253402300800000)}, back;
    char text[DATE_TEXT_BYTES];
    date_format(date, text);
    cr_assert(strlen(text) == DATE_TEXT_BYTES - 1);
    cr_assert(parses(text, &back) && back.milliseconds == date.milliseconds, "%s", text);
  }
}

Test(date, other_texts_are_refused) {
  static const char *const BAD[] = {
      "",
      "2026-11-22T20:57:20.123",
      "2026-11-22T20:57:20.123Z ",
      " 2026-11-22T20:57:20.123Z",
      "2026-11-22 20:57:20.123Z",
      "2026-11-22T20:57:20,123Z",
      "2026-11-22t20:57:20.123z",
      "2026-11-22T20:57:20Z",
      "2026-11-22T20:57:20.12Z0",
      "1969-12-31T23:59:59.999Z",
      "0000-01-01T00:00:00.000Z",
      "2026-00-22T20:57:20.123Z",
      "2026-13-22T20:57:20.123Z",
      "2026-11-00T20:57:20.123Z",
      "2026-11-31T20:57:20.123Z",
      "2026-02-29T20:57:20.123Z",
      "2100-02-29T20:57:20.123Z",
      "2024-02-30T20:57:20.123Z",
      "2026-11-22T24:00:00.000Z",
      "2026-11-22T20:60:20.123Z",
      "2026-11-22T20:57:60.123Z",
      "+026-11-22T20:57:20.123Z",
      "2026-1 -22T20:57:20.123Z",
      "2026-11-22T-1:57:20.123Z",
      "2026-11-22T20:57:20.1-3Z",
      "2026-11-22T20:57:20.12/Z",
      "2026-11-22T20:57:20.12:Z",
  };
  struct date date;
  for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) cr_assert(!parses(BAD[i], &date), "%s", BAD[i]);
  cr_assert(!date_parse("2026-11-22T20:57:\0000.123Z", 24, &date));
}

Test(date, dates_outside_the_years_show_the_nearest_one) {
  char text[DATE_TEXT_BYTES];
  date_format((struct date){INT64_MIN}, text);
  cr_assert_str_eq(text, "1970-01-01T00:00:00.000Z");
  date_format((struct date){INT64_MAX}, text);
  cr_assert_str_eq(text, "9999-12-31T23:59:59.999Z");
  date_format((struct date){253402300800000}, text);
  cr_assert_str_eq(text, "9999-12-31T23:59:59.999Z");
}

Test(wall_clock, shows_the_date_at_instants_before_and_after_the_reading) {
  struct wall_clock clock = {.at = 100 * SECONDS, .date = {5000000}};
  cr_assert(wall_clock_date(&clock, 100 * SECONDS).milliseconds == 5000000);
  cr_assert(wall_clock_date(&clock, 100 * SECONDS + MILLISECONDS - 1).milliseconds == 5000000);
  cr_assert(wall_clock_date(&clock, 100 * SECONDS + MILLISECONDS).milliseconds == 5000001);
  cr_assert(wall_clock_date(&clock, 100 * SECONDS - 1).milliseconds == 4999999);
  cr_assert(wall_clock_date(&clock, 100 * SECONDS - MILLISECONDS).milliseconds == 4999999);
  cr_assert(wall_clock_date(&clock, 0).milliseconds == 4900000);
  cr_assert(wall_clock_instant(&clock, 100 * SECONDS, (struct date){5000000}) == 100 * SECONDS);
  cr_assert(wall_clock_instant(&clock, 100 * SECONDS, (struct date){INT64_MIN}) == 100 * SECONDS);
  cr_assert(wall_clock_instant(&clock, 100 * SECONDS, (struct date){INT64_MAX}) == INSTANT_NEVER);
  clock.date = (struct date){INT64_MIN + 5};
  cr_assert(wall_clock_instant(&clock, 100 * SECONDS, (struct date){INT64_MAX}) == INSTANT_NEVER);
  cr_assert(wall_clock_instant(&clock, 0, (struct date){INT64_MIN}) == 0);
}

Test(wall_clock, an_instant_for_a_date_is_the_first_that_shows_it) {
  struct random_stream random = test_random("wall_clock");
  for (int i = 0; i < 10000; i++) {
    struct wall_clock clock = {.at = random_below(&random, 1000 * SECONDS), .date = {1700000000000}};
    instant now = random_below(&random, 1000 * SECONDS);
    struct date then = {1700000000000 + (int64_t)random_below(&random, 2000000) - 1000000};
    instant at = wall_clock_instant(&clock, now, then);
    cr_assert(at >= now);
    if (date_compare(then, wall_clock_date(&clock, now)) <= 0) {
      cr_assert(at == now);
      continue;
    }
    cr_assert(wall_clock_date(&clock, at).milliseconds == then.milliseconds);
    cr_assert(wall_clock_date(&clock, at - 1).milliseconds == then.milliseconds - 1);
  }
}
