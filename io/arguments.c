#include "io/arguments.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { HELP_COLUMN = 26 };

struct parsing {
  const struct arguments *arguments;
  struct argument_value *values;
  struct complaint *complaint;
  size_t alone; /* how many that stand alone were given */
};

static const char *dashes(const struct argument *argument) {
  return argument->kind == ARGUMENT_ALONE ? "" : "--";
}

static const struct argument *find(const struct arguments *arguments, const char *name, size_t len) {
  for (size_t i = 0; i < arguments->count; i++) {
    const struct argument *argument = &arguments->table[i];
    if (argument->kind != ARGUMENT_ALONE && strlen(argument->name) == len && memcmp(argument->name, name, len) == 0) return argument;
  }
  return NULL;
}

static const struct argument *find_alone(const struct arguments *arguments, size_t number) {
  for (size_t i = 0; i < arguments->count; i++)
    if (arguments->table[i].kind == ARGUMENT_ALONE && number-- == 0) return &arguments->table[i];
  return NULL;
}

static bool parse_number(const char *text, uint64_t *ret) {
  uint64_t number = 0;
  if (text[0] == 0) return false;
  for (; *text != 0; text++) {
    uint64_t digit = (uint64_t)(*text - '0');
    if (*text < '0' || *text > '9' || number > (UINT64_MAX - digit) / 10) return false;
    number = number * 10 + digit;
  }
  *ret = number;
  return true;
}

static void complain_choice(struct complaint *complaint, const struct argument *argument, const char *text) {
  char allowed[COMPLAINT_BYTES / 2] = "";
  for (size_t i = 0, len = 0; argument->choices[i] != NULL && len < sizeof allowed; i++)
    len += (size_t)snprintf(allowed + len, sizeof allowed - len, "%s%s", i == 0 ? "" : ", ", argument->choices[i]);
  complain(complaint, "%s%s can't be \"%s\"; it is one of: %s.", dashes(argument), argument->name, text, allowed);
}

static enum outcome set_value(struct complaint *complaint, const struct argument *argument, const char *text, struct argument_value *ret) {
  ret->text = text;
  if (argument->kind == ARGUMENT_NUMBER) {
    bool is_number = parse_number(text, &ret->number);
    if (is_number && ret->number >= argument->least && ret->number <= argument->most) return OUTCOME_OK;
    complain(complaint, "--%s can't be \"%s\"; it is a number from %llu to %llu.", argument->name, text,
             (unsigned long long)argument->least, (unsigned long long)argument->most);
    return OUTCOME_BAD_SETTING;
  }
  if (argument->choices == NULL) return OUTCOME_OK;
  for (ret->number = 0; argument->choices[ret->number] != NULL; ret->number++)
    if (strcmp(argument->choices[ret->number], text) == 0) return OUTCOME_OK;
  complain_choice(complaint, argument, text);
  return OUTCOME_BAD_SETTING;
}

static enum outcome give(struct parsing *parsing, const struct argument *argument, const char *text) {
  struct argument_value *value = &parsing->values[argument - parsing->arguments->table];
  if (value->is_given) {
    complain(parsing->complaint, "%s%s was given twice.", dashes(argument), argument->name);
    return OUTCOME_BAD_SETTING;
  }
  value->is_given = true;
  return text == NULL ? OUTCOME_OK : set_value(parsing->complaint, argument, text, value);
}

/* `option` is without its dashes, `next` is the word behind it, which may be its value. */
static enum outcome take_option(struct parsing *parsing, const char *option, const char *next, bool *ret_took_next) {
  const char *equals = strchr(option, '=');
  size_t len = equals == NULL ? strlen(option) : (size_t)(equals - option);
  const struct argument *argument = find(parsing->arguments, option, len);
  if (argument == NULL) {
    complain(parsing->complaint, "There is no --%.*s; see %s --help.", (int)(len < 64 ? len : 64), option, parsing->arguments->program);
    return OUTCOME_BAD_SETTING;
  }
  if (argument->kind == ARGUMENT_FLAG) {
    if (equals == NULL) return give(parsing, argument, NULL);
    complain(parsing->complaint, "--%s takes no value.", argument->name);
    return OUTCOME_BAD_SETTING;
  }
  *ret_took_next = equals == NULL;
  const char *text = equals == NULL ? next : equals + 1;
  if (text != NULL) return give(parsing, argument, text);
  complain(parsing->complaint, "--%s needs a value: --%s %s.", argument->name, argument->name, argument->value_name);
  return OUTCOME_BAD_SETTING;
}

static enum outcome take_alone(struct parsing *parsing, const char *word) {
  const struct argument *argument = find_alone(parsing->arguments, parsing->alone++);
  if (argument != NULL) return give(parsing, argument, word);
  complain(parsing->complaint, "\"%s\" is one word too many; see %s --help.", word, parsing->arguments->program);
  return OUTCOME_BAD_SETTING;
}

/* What was not given: what holds otherwise, or an error. */
static enum outcome complete(struct parsing *parsing) {
  for (size_t i = 0; i < parsing->arguments->count; i++) {
    const struct argument *argument = &parsing->arguments->table[i];
    struct argument_value *value = &parsing->values[i];
    if (value->is_given) continue;
    if (argument->is_required) {
      complain(parsing->complaint, "%s%s is missing: %s.", dashes(argument), argument->name, argument->help);
      return OUTCOME_BAD_SETTING;
    }
    if (argument->otherwise == NULL) continue;
    enum outcome outcome = set_value(parsing->complaint, argument, argument->otherwise, value);
    if (outcome != OUTCOME_OK) return outcome;
  }
  return OUTCOME_OK;
}

enum outcome arguments_parse(const struct arguments *arguments, int argc, char *const *argv, struct argument_value *ret_values,
                             struct complaint *complaint) {
  struct parsing parsing = {.arguments = arguments, .values = ret_values, .complaint = complaint};
  bool options_end = false;
  assert(arguments->count <= ARGUMENTS_MAX);
  memset(ret_values, 0, arguments->count * sizeof *ret_values);
  for (int i = 1; i < argc; i++) {
    const char *word = argv[i];
    bool took_next = false;
    enum outcome outcome = OUTCOME_OK;
    if (!options_end && strcmp(word, "--") == 0) options_end = true;
    else if (!options_end && strcmp(word, "--help") == 0) return OUTCOME_DONE;
    else if (!options_end && word[0] == '-' && word[1] == '-')
      outcome = take_option(&parsing, word + 2, i + 1 < argc ? argv[i + 1] : NULL, &took_next);
    else if (!options_end && word[0] == '-' && word[1] != 0) {
      complain(complaint, "There is no %s; options begin with two dashes, see %s --help.", word, arguments->program);
      outcome = OUTCOME_BAD_SETTING;
    } else outcome = take_alone(&parsing, word);
    if (outcome != OUTCOME_OK) return outcome;
    i += took_next;
  }
  return complete(&parsing);
}

struct page { char *text; size_t size, len; };

__attribute__((format(printf, 2, 3))) static void print(struct page *page, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  size_t at = page->len < page->size ? page->len : page->size;
  int len = vsnprintf(page->text + at, page->size - at, format, arguments);
  va_end(arguments);
  if (len > 0) page->len += (size_t)len;
}

static void print_argument(struct page *page, const struct argument *argument) {
  char left[64];
  bool has_value = argument->kind != ARGUMENT_FLAG && argument->kind != ARGUMENT_ALONE;
  snprintf(left, sizeof left, "%s%s%s%s", dashes(argument), argument->name, has_value ? " " : "", has_value ? argument->value_name : "");
  print(page, "  %-*s%s%s", HELP_COLUMN, left, strlen(left) < HELP_COLUMN ? "" : " ", argument->help);
  for (size_t i = 0; argument->choices != NULL && argument->choices[i] != NULL; i++)
    print(page, "%s%s", i == 0 ? ": " : ", ", argument->choices[i]);
  if (argument->otherwise != NULL) print(page, " (otherwise %s)", argument->otherwise);
  else if (argument->is_required) print(page, " (required)");
  print(page, "\n");
}

size_t arguments_help(const struct arguments *arguments, char *ret_text, size_t size) {
  struct page page = {ret_text, size, 0};
  print(&page, "%s: %s\n\nUsage: %s [OPTIONS]", arguments->program, arguments->summary, arguments->program);
  const struct argument *alone;
  for (size_t i = 0; (alone = find_alone(arguments, i)) != NULL; i++)
    print(&page, alone->is_required ? " %s" : " [%s]", alone->name);
  print(&page, "\n\n");
  for (size_t i = 0; i < arguments->count; i++) print_argument(&page, &arguments->table[i]);
  print(&page, "  %-*s%s\n", HELP_COLUMN, "--help", "shows this");
  return page.len;
}
