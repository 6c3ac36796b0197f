#include "directory/expiry.h"

enum { STEPS = 4 };
#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)

static const int64_t STEP_DAYS[STEPS] = {30, 7, 1, 0};

static uint32_t steps_passed(struct date expires, struct date now) {
  uint32_t passed = 0;
  while (passed < STEPS && date_compare(date_after(now, STEP_DAYS[passed] * DAY_MS), expires) >= 0) passed++;
  return passed;
}

/* [OUT-7] */
void expiry_warn(struct expiry_warning *warning, const struct trace *trace, const char *what, uint32_t first_days, struct date expires, struct date now,
                 const char *advice) {
  char text[DATE_TEXT_BYTES];
  uint32_t passed = steps_passed(expires, now);
  bool is_new = !warning->is_set || date_compare(warning->expires, expires) != 0;
  if (is_new) *warning = (struct expiry_warning){true, expires, 0};
  if (passed <= warning->told) return;
  warning->told = passed;
  if (STEP_DAYS[passed - 1] > first_days) return;
  date_format(expires, text);
  trace_write(trace, passed == STEPS ? TRACE_ERROR : TRACE_WARNING, "expiry", "the %s %s %s: %s", what, passed == STEPS ? "expired on" : "expires on",
              text, advice);
}
