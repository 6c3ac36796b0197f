#include "network/command.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A lab's destinations are on the machines it runs on; elsewhere an exit never connects to private addresses. */
static const char LAB_POLICY[] = "accept private:*, accept *:*";
static const char POLICY[] = "accept *:*";

bool command_find_programs(char *ret_path, size_t room) {
  ssize_t len = readlink("/proc/self/exe", ret_path, room - 1);
  if (len <= 0) return false;
  ret_path[len] = 0;
  char *slash = strrchr(ret_path, '/');
  if (slash != NULL) *slash = 0;
  return slash != NULL;
}

static void add_bytes(struct command *command, const char *bytes, size_t len) {
  if (command->failed || len >= COMMAND_TEXT_BYTES - command->len) {
    command->failed = true;
    return;
  }
  memcpy(command->text + command->len, bytes, len);
  command->len += len;
}

static void begin_word(struct command *command) {
  if (command->count == COMMAND_WORDS_MAX) command->failed = true;
  else command->argv[command->count++] = command->text + command->len;
}

static void add_word(struct command *command, const char *word) {
  begin_word(command);
  add_bytes(command, word, strlen(word) + 1);
}

/* An option with its value, unless there is none. */
static void add_option(struct command *command, const char *option, const char *value) {
  if (value == NULL) return;
  add_word(command, option);
  add_word(command, value);
}

static void add_in_folder(struct command *command, const char *option, const char *folder, const char *name) {
  add_word(command, option);
  begin_word(command);
  add_bytes(command, folder, strlen(folder));
  add_bytes(command, "/", 1);
  add_bytes(command, name, strlen(name) + 1);
}

/* A word of the prefix, with the node's name for each {name}. */
static void add_prefix_word(struct command *command, const char *word, size_t len, const char *name) {
  static const char MARK[] = "{name}";
  enum { MARK_BYTES = sizeof MARK - 1 };
  begin_word(command);
  for (size_t i = 0; i < len;) {
    bool is_mark = len - i >= MARK_BYTES && memcmp(word + i, MARK, MARK_BYTES) == 0;
    if (is_mark) add_bytes(command, name, strlen(name));
    else add_bytes(command, word + i, 1);
    i += is_mark ? MARK_BYTES : 1;
  }
  add_bytes(command, "", 1);
}

static void add_prefix(struct command *command, const char *prefix, const char *name) {
  for (const char *at = prefix; *(at += strspn(at, " \t")) != 0;) {
    size_t len = strcspn(at, " \t");
    add_prefix_word(command, at, len, name);
    at += len;
  }
}

static void add_program(struct command *command, const char *programs, enum node_role role) {
  static const char *const NAMES[NODE_ROLES] = {"/tunic-directory", "/tunic-relay", "/tunic-relay", "/tunic"};
  begin_word(command);
  add_bytes(command, programs, strlen(programs));
  add_bytes(command, NAMES[role], strlen(NAMES[role]) + 1);
  if (role == NODE_CLIENT) add_word(command, "run");
}

static void add_place(struct command *command, const struct node *node) {
  char text[ADDRESS_TEXT_BYTES];
  if (node->role == NODE_CLIENT) {
    address_format(&node->address, text);
    add_option(command, "--socks", text);
    return;
  }
  address_format_host(&node->address, text);
  add_option(command, "--address", text);
  snprintf(text, sizeof text, "%u", node->address.port);
  add_option(command, "--port", text);
}

enum outcome command_make(const struct up_wishes *wishes, const struct network_file *network, const struct node *node,
                          const char *programs, struct command *ret, struct complaint *complaint) {
  ret->count = 0;
  ret->len = 0;
  ret->failed = false;
  if (wishes->exec_prefix != NULL) add_prefix(ret, wishes->exec_prefix, node->name);
  add_program(ret, programs, node->role);
  add_in_folder(ret, "--network", wishes->folder, NETWORK_FILE);
  add_in_folder(ret, "--data", wishes->folder, node->name);
  add_place(ret, node);
  if (node->role == NODE_RELAY || node->role == NODE_EXIT) {
    add_option(ret, "--nickname", node->name);
    add_option(ret, "--shards", wishes->shards);
    add_option(ret, "--memory", wishes->memory);
  }
  if (node->role == NODE_EXIT) add_option(ret, "--exit-policy", network->is_lab ? LAB_POLICY : POLICY);
  add_option(ret, "--aead", wishes->aead);
  add_option(ret, "--log", wishes->log_level);
  ret->argv[ret->count] = NULL;
  if (!ret->failed) return OUTCOME_OK;
  complain(complaint, "The command for %s gets too long: shorten --exec or the folder's path.", node->name);
  return OUTCOME_BAD_SETTING;
}
