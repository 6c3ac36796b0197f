/* What people type, and what they are told: commands, options of several programs, how it ended.
 * Spec: specs/outcomes.md [OUT-3]. Called by main files.
 * Never starts anything itself.
 */
#ifndef TUNIC_IO_COMMAND_LINE_H
#define TUNIC_IO_COMMAND_LINE_H

#include "crypto/aead.h"
#include "io/arguments.h"
#include "protocol/address.h"

#define COMMAND_LINE_VERSION "1"

/* arguments_parse; help, if it was asked for (DONE), is shown on standard output. */
enum outcome command_line_parse(const struct arguments *, int argc, char *const *argv, struct argument_value *ret, struct complaint *);
/* If the first word is --version: shows it. */
bool command_line_shows_version(int argc, char *const *argv, const char *program);
/* IP:PORT, or with a port of its own an IP alone (port 0). BAD_SETTING names the option. */
enum outcome command_line_address(const char *option, const char *text, struct address *ret, struct complaint *);
/* The same where the port must be given. */
enum outcome command_line_place(const char *option, const char *text, struct address *ret, struct complaint *);
/* For --aead; NULL: the fastest. BAD_SETTING: unknown, or not in this build. */
enum outcome command_line_backend(const char *text, enum aead_backend *ret, struct complaint *);
/* For --log. */
extern const char *const COMMAND_LINE_LOG_LEVELS[];

/* A program of several commands: `program COMMAND ...`. */
struct command_line_command {
  const char *name;
  enum outcome (*run)(int argc, char **argv, struct complaint *); /* argv[0] is the command; DONE: it only showed its help */
  const char *help;
};
/* Runs the one that is named, reports how it ended, and returns the exit code. Knows --help and --version by itself. */
int command_line_run(const char *program, const struct command_line_command *, size_t count, int argc, char **argv);

/* Says on standard error what happened and what to do next, unless it is OK; returns the exit code. */
int command_line_report(const char *program, enum outcome, const struct complaint *);

#endif
