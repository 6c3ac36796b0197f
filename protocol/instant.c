#include "protocol/instant.h"

#include <string.h>

enum { MS_PER_SECOND = 1000, SECONDS_PER_DAY = 86400, FIRST_YEAR = 1970, LAST_YEAR = 9999 };
static const int64_t MS_PER_DAY = (int64_t)SECONDS_PER_DAY * MS_PER_SECOND;
static const int64_t LAST_DATE = INT64_C(253402300799999); /* 9999-12-31T23:59:59.999Z */

/* [TIME-1] "Never" is the end of all sums. */
instant instant_after(instant a, uint64_t d) {
  return a > INSTANT_NEVER - d ? INSTANT_NEVER : a + d;
}

uint64_t instant_until(instant now, instant then) {
  return then > now ? then - now : 0;
}

instant instant_earlier(instant a, instant b) {
  return a < b ? a : b;
}

/* [TIME-3] A sum that would not fit stops at the end of what a date can hold. */
struct date date_after(struct date a, int64_t milliseconds) {
  if (milliseconds > 0 && a.milliseconds > INT64_MAX - milliseconds) return (struct date){INT64_MAX};
  if (milliseconds < 0 && a.milliseconds < INT64_MIN - milliseconds) return (struct date){INT64_MIN};
  return (struct date){a.milliseconds + milliseconds};
}

int date_compare(struct date a, struct date b) {
  return (a.milliseconds > b.milliseconds) - (a.milliseconds < b.milliseconds);
}

bool date_is_sane(struct date date) { return date.milliseconds > 0 && date.milliseconds < INT64_MAX / 2; }

/* [TIME-2] The reading is the only bridge between the two kinds of time. */
struct date wall_clock_date(const struct wall_clock *clock, instant now) {
  if (now >= clock->at) return date_after(clock->date, (int64_t)((now - clock->at) / MILLISECONDS));
  /* Rounded down on this side too: a millisecond is shown from its first nanosecond on. */
  uint64_t behind = clock->at - now;
  return date_after(clock->date, -(int64_t)(behind / MILLISECONDS + (behind % MILLISECONDS != 0)));
}

instant wall_clock_instant(const struct wall_clock *clock, instant now, struct date then) {
  if (date_compare(then, wall_clock_date(clock, now)) <= 0) return now;
  /* Unsigned: the difference of two dates always fits. */
  uint64_t from = (uint64_t)clock->date.milliseconds, to = (uint64_t)then.milliseconds;
  if (then.milliseconds < clock->date.milliseconds)
    return clock->at - (from - to) * MILLISECONDS; /* later than now, since `then` has not passed */
  if (to - from > INSTANT_NEVER / MILLISECONDS) return INSTANT_NEVER;
  return instant_after(clock->at, (to - from) * MILLISECONDS);
}

static bool year_is_leap(int year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days from 1970-01-01 to the first of January of a year. */
static int days_before_year(int year) {
  int y = year - 1, since = FIRST_YEAR - 1;
  int leaps = (y / 4 - y / 100 + y / 400) - (since / 4 - since / 100 + since / 400);
  return 365 * (year - FIRST_YEAR) + leaps;
}

/* Days of the year before the month, 1 to 13; 13 gives the year's length. */
static int days_before_month(int year, int month) {
  static const int DAYS[13] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
  return DAYS[month - 1] + (month > 2 && year_is_leap(year));
}

/* Reads exactly `digits` decimal digits; -1 if one is not a digit. */
static int read_number(const char *text, int digits) {
  int value = 0;
  for (int i = 0; i < digits; i++) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = 10 * value + (text[i] - '0');
  }
  return value;
}

static void write_number(char *text, int digits, int value) {
  for (int i = digits - 1; i >= 0; i--, value /= 10) text[i] = (char)('0' + value % 10);
}

/* [TIME-4] Exactly one text for every date, so that documents compare byte by byte. */
bool date_parse(const char *text, size_t len, struct date *ret) {
  static const char FORM[] = "0000-00-00T00:00:00.000Z"; /* a 0 stands for any digit */
  if (len != sizeof FORM - 1) return false;
  for (size_t i = 0; i < len; i++)
    if (FORM[i] != '0' && text[i] != FORM[i]) return false;
  int year = read_number(text, 4), month = read_number(text + 5, 2), day = read_number(text + 8, 2);
  int hour = read_number(text + 11, 2), minute = read_number(text + 14, 2);
  int second = read_number(text + 17, 2), ms = read_number(text + 20, 3);
  if (year < FIRST_YEAR || month < 1 || month > 12 || day < 1 || ms < 0) return false;
  if (day > days_before_month(year, month + 1) - days_before_month(year, month)) return false;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return false;
  int64_t days = days_before_year(year) + days_before_month(year, month) + day - 1;
  int64_t seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
  *ret = (struct date){seconds * MS_PER_SECOND + ms};
  return true;
}

void date_format(struct date date, char ret_text[DATE_TEXT_BYTES]) {
  int64_t value = date.milliseconds;
  if (value < 0) value = 0;
  if (value > LAST_DATE) value = LAST_DATE;
  int days = (int)(value / MS_PER_DAY), ms_of_day = (int)(value % MS_PER_DAY);

  int year = FIRST_YEAR + days / 366; /* never too late, and at most 22 years too early */
  while (year < LAST_YEAR && days_before_year(year + 1) <= days) year++;
  days -= days_before_year(year);
  int month = 1;
  while (days_before_month(year, month + 1) <= days) month++;

  memcpy(ret_text, "0000-00-00T00:00:00.000Z", DATE_TEXT_BYTES);
  write_number(ret_text, 4, year);
  write_number(ret_text + 5, 2, month);
  write_number(ret_text + 8, 2, days - days_before_month(year, month) + 1);
  write_number(ret_text + 11, 2, ms_of_day / 3600000);
  write_number(ret_text + 14, 2, ms_of_day / 60000 % 60);
  write_number(ret_text + 17, 2, ms_of_day / 1000 % 60);
  write_number(ret_text + 20, 3, ms_of_day % 1000);
}
