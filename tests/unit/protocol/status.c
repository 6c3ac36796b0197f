#include "protocol/status.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(status, holds_what_was_added_in_order) {
  struct status status = {0};
  status_add_figure(&status, "circuits_open", 3);
  status_add_figure(&status, "links_open", UINT64_MAX);
  status_add_text(&status, "path", "r1 r2 x1");
  status_add_expiry(&status, "consensus", (struct date){12345});
  cr_assert(status.figure_count == 2 && status.text_count == 1 && status.expiry_count == 1);
  cr_assert_str_eq(status.figures[0].name, "circuits_open");
  cr_assert(status.figures[0].value == 3 && status.figures[1].value == UINT64_MAX);
  cr_assert_str_eq(status.texts[0].name, "path");
  cr_assert_str_eq(status.texts[0].value, "r1 r2 x1");
  cr_assert_str_eq(status.expiries[0].name, "consensus");
  cr_assert(status.expiries[0].date.milliseconds == 12345);
}

Test(status, leaves_out_what_does_not_fit) {
  struct status status = {0};
  for (int i = 0; i < 1000; i++) {
    status_add_figure(&status, "figure", (uint64_t)i);
    status_add_text(&status, "text", "value");
    status_add_expiry(&status, "expiry", (struct date){i});
  }
  cr_assert(status.figure_count == STATUS_FIGURES_MAX &&
            status.figures[STATUS_FIGURES_MAX - 1].value == STATUS_FIGURES_MAX - 1);
  cr_assert(status.text_count == STATUS_TEXTS_MAX && status.expiry_count == STATUS_EXPIRIES_MAX);
}

Test(status, cuts_a_text_that_is_too_long) {
  struct status status = {0};
  char value[400];
  memset(value, 'a', sizeof value - 1);
  value[sizeof value - 1] = 0;
  status_add_text(&status, "text", value);
  cr_assert(strlen(status.texts[0].value) == sizeof status.texts[0].value - 1);
  value[sizeof status.texts[0].value - 1] = 0;
  status_add_text(&status, "text", value);
  cr_assert_str_eq(status.texts[1].value, value, "one that just fits stays whole");
}
