#include "io/command_line.h"

#include <stdio.h>
#include <string.h>

enum { HELP_BYTES = 8192 };

const char *const COMMAND_LINE_LOG_LEVELS[] = {"error", "warning", "notice", "info", "debug", NULL};

enum outcome command_line_parse(const struct arguments *arguments, int argc, char *const *argv, struct argument_value *ret,
                                   struct complaint *complaint) {
  char help[HELP_BYTES];
  enum outcome outcome = arguments_parse(arguments, argc, argv, ret, complaint);
  if (outcome != OUTCOME_DONE) return outcome;
  arguments_help(arguments, help, sizeof help);
  fputs(help, stdout);
  return OUTCOME_DONE;
}

bool command_line_shows_version(int argc, char *const *argv, const char *program) {
  if (argc != 2 || strcmp(argv[1], "--version") != 0) return false;
  printf("%s %s\n", program, COMMAND_LINE_VERSION);
  return true;
}

enum outcome command_line_address(const char *option, const char *text, struct address *ret, struct complaint *complaint) {
  if (address_parse(text, strlen(text), ret)) return OUTCOME_OK;
  if (address_parse_host(text, strlen(text), ret)) {
    ret->port = 0;
    return OUTCOME_OK;
  }
  complain(complaint, "--%s can't be \"%s\"; it is an IP address such as 127.0.0.1, with its port where one is wanted.", option, text);
  return OUTCOME_BAD_SETTING;
}

enum outcome command_line_place(const char *option, const char *text, struct address *ret, struct complaint *complaint) {
  if (address_parse(text, strlen(text), ret) && ret->port != 0) return OUTCOME_OK;
  complain(complaint, "--%s can't be \"%s\"; it is an IP address and a port, such as 127.0.0.1:9150 or [::1]:9150.", option, text);
  return OUTCOME_BAD_SETTING;
}

enum outcome command_line_backend(const char *text, enum aead_backend *ret, struct complaint *complaint) {
  *ret = aead_best_backend();
  if (text == NULL || aead_backend_from_name(text, ret)) return OUTCOME_OK;
  complain(complaint, "--aead can't be \"%s\"; it is libsodium, or libcrypto or ipsec-mb where this program was built with it.", text);
  return OUTCOME_BAD_SETTING;
}

static void show_commands(const char *program, const struct command_line_command *commands, size_t count) {
  printf("Usage: %s COMMAND [--help | OPTIONS]\n\n", program);
  for (size_t i = 0; i < count; i++) printf("  %-26s%s\n", commands[i].name, commands[i].help);
  printf("  %-26s%s\n", "--version", "shows the version");
}

int command_line_run(const char *program, const struct command_line_command *commands, size_t count, int argc, char **argv) {
  struct complaint complaint = {.text = ""};
  if (command_line_shows_version(argc, argv, program)) return 0;
  if (argc >= 2 && strcmp(argv[1], "--help") == 0) {
    show_commands(program, commands, count);
    return 0;
  }
  for (size_t i = 0; argc >= 2 && i < count; i++)
    if (strcmp(commands[i].name, argv[1]) == 0) return command_line_report(program, commands[i].run(argc - 1, argv + 1, &complaint), &complaint);
  if (argc >= 2) complain(&complaint, "There is no command `%s`; see %s --help.", argv[1], program);
  else complain(&complaint, "Which command? See %s --help.", program);
  return command_line_report(program, OUTCOME_BAD_SETTING, &complaint);
}

int command_line_report(const char *program, enum outcome outcome, const struct complaint *complaint) {
  int code = outcome_exit_code(outcome);
  if (code == 0) return 0;
  fflush(stdout);
  fprintf(stderr, "%s: %s (%s)\n", program, complaint->text[0] != 0 ? complaint->text : outcome_text(outcome), outcome_name(outcome));
  fprintf(stderr, "%*s  %s\n", (int)strlen(program), "", complaint->advice[0] != 0 ? complaint->advice : outcome_advice(outcome));
  return code;
}
