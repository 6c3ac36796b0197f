#include "protocol/trace.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct heard {
  int count;
  enum trace_level level;
  char area[32], text[TRACE_LINE_BYTES];
};

static void hear(void *context, enum trace_level level, const char *area, const char *text) {
  struct heard *heard = context;
  heard->count++;
  heard->level = level;
  snprintf(heard->area, sizeof heard->area, "%s", area);
  snprintf(heard->text, sizeof heard->text, "%s", text);
}

Test(trace, hands_formatted_lines_up_to_its_level_to_the_sink) {
  struct heard heard = {0};
  struct trace trace = {.level = TRACE_NOTICE, .context = &heard, .sink = hear};
  trace_write(&trace, TRACE_NOTICE, "link", "opened %d of %s", 3, "r1");
  cr_assert(heard.count == 1 && heard.level == TRACE_NOTICE);
  cr_assert_str_eq(heard.area, "link");
  cr_assert_str_eq(heard.text, "opened 3 of r1");
  trace_write(&trace, TRACE_INFO, "link", "not wanted");
  trace_write(&trace, TRACE_DEBUG, "link", "not wanted");
  cr_assert(heard.count == 1);
  trace_write(&trace, TRACE_ERROR, "link", "wanted");
  cr_assert(heard.count == 2);
}

Test(trace, without_a_sink_nothing_happens) {
  struct trace trace = {.level = TRACE_DEBUG};
  trace_write(NULL, TRACE_ERROR, "link", "nowhere");
  trace_write(&trace, TRACE_ERROR, "link", "nowhere");
}

Test(trace, a_peers_words_stay_on_their_line_and_are_cut) {
  struct heard heard = {0};
  struct trace trace = {.level = TRACE_DEBUG, .context = &heard, .sink = hear};
  trace_write(&trace, TRACE_INFO, "exit", "name %s", "a\nb\r\t\x1b[31m\x7f\xc3\xa9 ~");
  cr_assert_str_eq(heard.text, "name a?b???[31m??? ~");
  char word[2 * TRACE_LINE_BYTES];
  memset(word, 'w', sizeof word - 1);
  word[sizeof word - 1] = 0;
  trace_write(&trace, TRACE_INFO, "exit", "%s", word);
  cr_assert(strlen(heard.text) == TRACE_LINE_BYTES - 1);
}

Test(trace, levels_have_names) {
  static const char *const NAMES[] = {"error", "warning", "notice", "info", "debug"};
  for (int i = 0; i < 5; i++) cr_assert_str_eq(trace_level_name((enum trace_level)i), NAMES[i]);
}
