#include "protocol/outcome.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { CODES = 256 };

Test(outcome, codes_and_names_lead_back_to_their_outcome) {
  int count = 0;
  for (int code = 0; code < CODES; code++) {
    enum outcome by_code, by_name;
    if (!outcome_from_code((uint8_t)code, &by_code)) continue;
    count++;
    cr_assert((int)by_code == code);
    cr_assert(outcome_from_name(outcome_name(by_code), &by_name) && by_name == by_code, "%d", code);
  }
#define X(symbol, code, name, exit_code, socks, text, next) -1
  cr_assert(count OUTCOMES(X) == 0);
#undef X
}

Test(outcome, what_nobody_defined_is_refused_and_still_has_a_text) {
  enum outcome outcome;
  cr_assert(!outcome_from_code(25, &outcome));
  cr_assert(!outcome_from_code(63, &outcome));
  cr_assert(!outcome_from_code(255, &outcome));
  cr_assert(!outcome_from_name("", &outcome));
  cr_assert(!outcome_from_name("no-rout", &outcome));
  cr_assert(!outcome_from_name("NO-ROUTE", &outcome));
  cr_assert_str_eq(outcome_name((enum outcome)25), "system-failed");
  cr_assert_str_eq(outcome_name((enum outcome) - 1), "system-failed");
}

Test(outcome, each_can_be_told_from_every_other_and_says_what_to_do) {
  bool exit_code_taken[CODES] = {false};
  for (int code = 0; code < CODES; code++) {
    enum outcome outcome;
    if (!outcome_from_code((uint8_t)code, &outcome)) continue;
    const char *text = outcome_text(outcome), *advice = outcome_advice(outcome);
    cr_assert(isupper((unsigned char)text[0]) && text[strlen(text) - 1] == '.', "%s", text);
    cr_assert(isupper((unsigned char)advice[0]) && advice[strlen(advice) - 1] == '.', "%s", advice);
    bool success = outcome == OUTCOME_OK || outcome == OUTCOME_DONE;
    int exit_code = outcome_exit_code(outcome);
    cr_assert((exit_code == 0) == success && exit_code >= 0 && exit_code < 126, "%d", code);
    cr_assert((outcome_socks_reply(outcome) == 0) == success && outcome_socks_reply(outcome) <= 8, "%d",
              code);
    if (success) continue;
    cr_assert(exit_code >= 20 && !exit_code_taken[exit_code], "exit code %d is taken", exit_code);
    exit_code_taken[exit_code] = true;
  }
}

/* The table in specs/outcomes.md has one row for each outcome, in the order of codes, word for word. */
Test(outcome, the_specification_has_the_same_table) {
  FILE *file = fopen("specs/outcomes.md", "r");
  cr_assert(file, "run the tests from the root of the repository");
  int code = -1;
  char line[1024];
  while (fgets(line, sizeof line, file)) {
    if (line[0] != '|' || !isdigit((unsigned char)line[2])) continue;
    enum outcome outcome;
    while (++code < CODES && !outcome_from_code((uint8_t)code, &outcome)) continue;
    cr_assert(code < CODES, "an outcome that the code lacks: %s", line);
    char expected[1024];
    snprintf(expected, sizeof expected, "| %d | `%s` | %d | %d | %s | %s |\n", code, outcome_name(outcome),
             outcome_exit_code(outcome), outcome_socks_reply(outcome), outcome_text(outcome),
             outcome_advice(outcome));
    cr_assert_str_eq(line, expected);
  }
  fclose(file);
  enum outcome outcome;
  while (++code < CODES) cr_assert(!outcome_from_code((uint8_t)code, &outcome), "the table lacks %d", code);
}
