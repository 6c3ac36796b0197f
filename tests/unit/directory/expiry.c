#include "directory/expiry.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const int64_t DAY = INT64_C(24) * 60 * 60 * 1000;

struct told { uint32_t warnings, errors; char last[512]; };

static void hear(void *context, enum trace_level level, const char *area, const char *text) {
  struct told *told = context;
  (void)area;
  told->warnings += level == TRACE_WARNING;
  told->errors += level == TRACE_ERROR;
  snprintf(told->last, sizeof told->last, "%s", text);
}

/* Looked at every `step` from `from` days before until a day after. */
static struct told look(uint32_t first_days, int64_t from, int64_t step) {
  struct told told = {0};
  struct trace trace = {.level = TRACE_DEBUG, .context = &told, .sink = hear};
  struct expiry_warning warning = {0};
  struct date expires = {INT64_C(1800000000000)};
  for (int64_t at = -from * DAY; at <= DAY; at += step) expiry_warn(&warning, &trace, "thing", first_days, expires, date_after(expires, at), "do something");
  return told;
}

Test(expiry, is_told_once_each) {
  struct told told = look(30, 366, DAY / 4);
  cr_assert_eq(told.warnings, 3);
  cr_assert_eq(told.errors, 1);
  cr_assert_str_eq(told.last, "the thing expired on 2027-01-15T08:00:00.000Z: do something");
  /* A node that starts late hears of it once, not of all that it missed. */
  cr_assert_eq(look(30, 3, DAY / 24).warnings, 2);
  cr_assert_eq(look(30, 20, DAY / 24).warnings, 3);
  cr_assert_eq(look(30, 60, 61 * DAY).errors, 1);
}

Test(expiry, what_lives_for_a_month_is_told_in_its_last_week) {
  struct told told = look(7, 366, DAY / 4);
  cr_assert_eq(told.warnings, 2);
  cr_assert_eq(told.errors, 1);
  cr_assert_eq(look(7, 3, DAY / 24).warnings, 2);
}

Test(expiry, a_new_date_begins_anew) {
  struct told told = {0};
  struct trace trace = {.level = TRACE_DEBUG, .context = &told, .sink = hear};
  struct expiry_warning warning = {0};
  struct date now = {INT64_C(1800000000000)};
  for (int year = 0; year < 3; year++) {
    struct date expires = date_after(now, 6 * DAY);
    for (int i = 0; i < 5; i++) expiry_warn(&warning, &trace, "thing", 30, expires, now, "do something");
    cr_assert_eq(told.warnings, (uint32_t)year + 1);
    now = date_after(now, 365 * DAY);
  }
}
