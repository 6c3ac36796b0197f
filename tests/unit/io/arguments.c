#include "io/arguments.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char *const LEVELS[] = {"error", "notice", "debug", NULL};
static const struct argument TABLE[] = {
    {.name = "folder", .kind = ARGUMENT_TEXT, .value_name = "FOLDER", .help = "where the node keeps its files", .is_required = true},
    {.name = "port", .kind = ARGUMENT_NUMBER, .value_name = "PORT", .help = "where applications connect", .otherwise = "1080", .least = 1, .most = 65535},
    {.name = "log", .kind = ARGUMENT_CHOICE, .value_name = "LEVEL", .help = "how much is told", .otherwise = "notice", .choices = LEVELS},
    {.name = "lab", .kind = ARGUMENT_FLAG, .help = "everything on one machine"},
    {.name = "COMMAND", .kind = ARGUMENT_ALONE, .help = "what to do", .is_required = true},
    {.name = "NAME", .kind = ARGUMENT_ALONE, .help = "to whom"},
};
enum { FOLDER, PORT, LOG, LAB, COMMAND, NAME, COUNT };
static const struct arguments ARGUMENTS = {.program = "tunic test", .summary = "tries the parser", .table = TABLE, .count = COUNT};

struct parsed { char words[512]; enum outcome outcome; struct argument_value values[COUNT]; struct complaint complaint; };

/* The line's words are separated by blanks; the values point into a copy. */
static void parse(struct parsed *parsed, const char *line) {
  char *argv[32] = {parsed->words};
  int argc = 1;
  *parsed = (struct parsed){0};
  snprintf(parsed->words, sizeof parsed->words, "%s", line);
  char *rest = parsed->words;
  for (char *word; argc < 32 && (word = strsep(&rest, " ")) != NULL;) argv[argc++] = word;
  parsed->outcome = arguments_parse(&ARGUMENTS, argc, argv, parsed->values, &parsed->complaint);
}

Test(arguments, every_kind_is_understood) {
  struct parsed parsed;
  parse(&parsed, "--folder=a=b run --port 9 --lab --log debug me");
  cr_assert_eq(parsed.outcome, OUTCOME_OK, "%s", parsed.complaint.text);
  cr_assert_str_eq(parsed.values[FOLDER].text, "a=b");
  cr_assert_eq(parsed.values[PORT].number, 9);
  cr_assert_eq(parsed.values[LOG].number, 2);
  cr_assert(parsed.values[LAB].is_given);
  cr_assert_str_eq(parsed.values[COMMAND].text, "run");
  cr_assert_str_eq(parsed.values[NAME].text, "me");
}

Test(arguments, what_is_not_given_holds_otherwise) {
  struct parsed parsed;
  parse(&parsed, "--folder f run");
  cr_assert_eq(parsed.outcome, OUTCOME_OK, "%s", parsed.complaint.text);
  cr_assert(!parsed.values[PORT].is_given && parsed.values[PORT].number == 1080);
  cr_assert_str_eq(parsed.values[LOG].text, "notice");
  cr_assert(!parsed.values[LAB].is_given && parsed.values[NAME].text == NULL);
}

Test(arguments, after_two_dashes_everything_stands_alone) {
  struct parsed parsed;
  parse(&parsed, "--folder f -- --port -x");
  cr_assert_eq(parsed.outcome, OUTCOME_OK, "%s", parsed.complaint.text);
  cr_assert_str_eq(parsed.values[COMMAND].text, "--port");
  cr_assert_str_eq(parsed.values[NAME].text, "-x");
}

/* Each error names the argument, and says what would be right. */
Test(arguments, errors_name_the_argument_and_what_is_allowed) {
  static const struct { const char *line, *words[2]; } CASES[] = {
      {"run", {"--folder", "missing"}},
      {"--folder f", {"COMMAND", "missing"}},
      {"--folder f run --port 0", {"--port", "1 to 65535"}},
      {"--folder f run --port 65536", {"--port", "65535"}},
      {"--folder f run --port 18446744073709551617", {"--port", "65535"}},
      {"--folder f run --port 1x", {"--port", "1x"}},
      {"--folder f run --port=", {"--port", "number"}},
      {"--folder f run --port -1", {"--port", "-1"}},
      {"--folder f run --log loud", {"--log", "error, notice, debug"}},
      {"--folder f run --lab=yes", {"--lab", "no value"}},
      {"--folder f run --lab --lab", {"--lab", "twice"}},
      {"--folder f --folder g run", {"--folder", "twice"}},
      {"run --folder", {"--folder FOLDER", "value"}},
      {"--folder f run --prot 9", {"--prot", "--help"}},
      {"--folder f run -p 9", {"-p", "two dashes"}},
      {"--folder f run a b", {"\"b\"", "too many"}},
  };
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    struct parsed parsed;
    parse(&parsed, CASES[i].line);
    cr_assert_eq(parsed.outcome, OUTCOME_BAD_SETTING, "%s", CASES[i].line);
    for (int w = 0; w < 2; w++) cr_assert_not_null(strstr(parsed.complaint.text, CASES[i].words[w]), "%s: %s", CASES[i].line, parsed.complaint.text);
  }
}

Test(arguments, help_shows_the_whole_table_and_never_overruns) {
  char text[2048], small[40];
  struct parsed parsed;
  parse(&parsed, "--port nonsense-after --help");
  cr_assert_eq(parsed.outcome, OUTCOME_BAD_SETTING);
  parse(&parsed, "--help --port nonsense");
  cr_assert_eq(parsed.outcome, OUTCOME_DONE);
  size_t len = arguments_help(&ARGUMENTS, text, sizeof text);
  cr_assert_eq(len, strlen(text));
  for (int i = 0; i < COUNT; i++) cr_assert(strstr(text, TABLE[i].name) != NULL && strstr(text, TABLE[i].help) != NULL);
  cr_assert_not_null(strstr(text, "(otherwise 1080)"));
  cr_assert_eq(arguments_help(&ARGUMENTS, small, sizeof small), len);
  cr_assert_eq(strlen(small), sizeof small - 1);
}
