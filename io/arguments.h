/* The command line of our programs, from one table: `--name VALUE`, `--flag`, what stands alone, and `--help`.
 * Spec: none. Called by main files.
 * Never guesses: what is not in the table, twice, missing or out of range is an error that says what is allowed.
 */
#ifndef TUNIC_IO_ARGUMENTS_H
#define TUNIC_IO_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/complaint.h"
#include "protocol/outcome.h"

enum argument_kind {
  ARGUMENT_FLAG,   /* --name */
  ARGUMENT_TEXT,   /* --name VALUE, or --name=VALUE */
  ARGUMENT_NUMBER, /* the same, between least and most */
  ARGUMENT_CHOICE, /* the same, one of choices */
  ARGUMENT_ALONE,  /* stands alone, in the table's order */
};

enum { ARGUMENTS_MAX = 32 };

struct argument {
  const char *name; /* "port", without its dashes; for what stands alone what it is: "COMMAND" */
  enum argument_kind kind;
  const char *value_name; /* for the help: "PORT" */
  const char *help;
  const char *otherwise; /* what holds if it is not given; NULL: nothing */
  bool is_required;
  uint64_t least, most;
  const char *const *choices; /* ends with NULL */
};

struct argument_value {
  bool is_given;
  const char *text; /* the value or what holds otherwise; NULL: neither */
  uint64_t number;  /* ARGUMENT_NUMBER; of a choice its index */
};

struct arguments {
  const char *program, *summary; /* "tunic run", "starts the client" */
  const struct argument *table;
  size_t count; /* at most ARGUMENTS_MAX */
};

/* One value per entry of the table. DONE: help was asked for. BAD_SETTING: the complaint names the argument. */
enum outcome arguments_parse(const struct arguments *, int argc, char *const *argv, struct argument_value *ret_values, struct complaint *);
/* The help, as lines. Returns its length, which may be more than was written (as snprintf). */
size_t arguments_help(const struct arguments *, char *ret_text, size_t size);

#endif
