/* The command line that runs a node: prefix, program, arguments.
 * Spec: none. Called by network/up.c.
 * Never passes through a shell.
 */
#ifndef TUNIC_NETWORK_COMMAND_H
#define TUNIC_NETWORK_COMMAND_H

#include "network/nodes.h"
#include "network/up.h"

enum { COMMAND_WORDS_MAX = 64, COMMAND_TEXT_BYTES = 16384 };

struct command {
  char *argv[COMMAND_WORDS_MAX + 1]; /* into text; NULL ends them */
  uint32_t count;
  size_t len;
  bool failed; /* too many words or too long */
  char text[COMMAND_TEXT_BYTES];
};

/* `programs`: the folder that has the four programs. BAD_SETTING: too long, or an empty prefix. */
enum outcome command_make(const struct up_wishes *, const struct network_file *, const struct node *, const char *programs,
                          struct command *ret, struct complaint *);
/* The folder of the program that runs now. */
bool command_find_programs(char *ret_path, size_t room);

#endif
