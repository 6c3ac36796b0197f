#include "network/serial_command.h"

#include <stdio.h>
#include <string.h>

#include "io/command_line.h"
#include "io/launch.h"
#include "network/serial.h"

#define NETWORK_ARGUMENT {"network", ARGUMENT_TEXT, "FILE", "the newest network file, or a folder that holds it", .is_required = true}
#define OUT_ARGUMENT {"out", ARGUMENT_TEXT, "NEW", "where the next serial is written", .is_required = true}
#define EPOCH_ARGUMENT {"at-epoch", ARGUMENT_NUMBER, "N", "from which epoch on it holds; see `tunic status` of an authority", .is_required = true, .least = 2, .most = UINT64_MAX}
#define IDENTITY_ARGUMENT {"identity", ARGUMENT_TEXT, "HEX", "its identity, from `authority keys`", .is_required = true}
#define LINK_KEY_ARGUMENT {"link-key", ARGUMENT_TEXT, "HEX", "its link key, from `authority keys`", .is_required = true}

/* ---- changes ---- */

enum change_option { CHANGE_NETWORK, CHANGE_OUT, CHANGE_EPOCH, CHANGE_WHO, CHANGE_IDENTITY, CHANGE_LINK_KEY, CHANGE_OPTIONS };

static enum outcome read_key(const char *option, const char *text, uint8_t ret[32], struct complaint *complaint) {
  if (hex_decode(ret, 32, text, strlen(text))) return OUTCOME_OK;
  complain(complaint, "--%s: 64 hexadecimal digits are expected.", option);
  return OUTCOME_BAD_SETTING;
}

static enum outcome read_who(enum serial_change change, const char *text, struct network_authority *ret, struct complaint *complaint) {
  if (change == SERIAL_ADD || (change == SERIAL_REPLACE_KEY && strchr(text, '=') != NULL)) {
    if (init_read_authority(text, strlen(text), ret)) return OUTCOME_OK;
    complain(complaint, "\"%.80s\" is not NAME=HOST:PORT.", text);
    return OUTCOME_BAD_SETTING;
  }
  if (strlen(text) < sizeof ret->name) {
    memcpy(ret->name, text, strlen(text) + 1);
    return OUTCOME_OK;
  }
  complain(complaint, "\"%.80s\" is no authority's name.", text);
  return OUTCOME_BAD_SETTING;
}

static enum outcome run_change(enum serial_change change, const struct arguments *arguments, int argc, char **argv, struct complaint *complaint) {
  struct argument_value values[CHANGE_OPTIONS];
  enum outcome outcome = command_line_parse(arguments, argc, argv, values, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  struct serial_wishes wishes = {.network_path = values[CHANGE_NETWORK].text, .out_path = values[CHANGE_OUT].text, .change = change,
                                 .at_epoch = values[CHANGE_EPOCH].number};
  if (change != SERIAL_RENEW) outcome = read_who(change, values[CHANGE_WHO].text, &wishes.authority, complaint);
  if (outcome == OUTCOME_OK && (change == SERIAL_ADD || change == SERIAL_REPLACE_KEY)) {
    outcome = read_key("identity", values[CHANGE_IDENTITY].text, wishes.authority.identity, complaint);
    if (outcome == OUTCOME_OK) outcome = read_key("link-key", values[CHANGE_LINK_KEY].text, wishes.authority.link_key, complaint);
  }
  return outcome == OUTCOME_OK ? serial_make(&wishes, launch_date(), complaint) : outcome;
}

static enum outcome run_add(int argc, char **argv, struct complaint *complaint) {
  static const struct argument TABLE[] = {[CHANGE_NETWORK] = NETWORK_ARGUMENT, [CHANGE_OUT] = OUT_ARGUMENT, [CHANGE_EPOCH] = EPOCH_ARGUMENT,
                                          [CHANGE_WHO] = {.name = "NAME=HOST:PORT", .kind = ARGUMENT_ALONE, .help = "who it is, and where", .is_required = true},
                                          [CHANGE_IDENTITY] = IDENTITY_ARGUMENT, [CHANGE_LINK_KEY] = LINK_KEY_ARGUMENT};
  static const struct arguments ARGUMENTS = {"tunic-network authority add", "makes the next serial, with one more authority", TABLE, CHANGE_OPTIONS};
  return run_change(SERIAL_ADD, &ARGUMENTS, argc, argv, complaint);
}

static enum outcome run_remove(int argc, char **argv, struct complaint *complaint) {
  static const struct argument TABLE[] = {[CHANGE_NETWORK] = NETWORK_ARGUMENT, [CHANGE_OUT] = OUT_ARGUMENT, [CHANGE_EPOCH] = EPOCH_ARGUMENT,
                                          [CHANGE_WHO] = {.name = "NAME", .kind = ARGUMENT_ALONE, .help = "who leaves", .is_required = true}};
  static const struct arguments ARGUMENTS = {"tunic-network authority remove", "makes the next serial, without one of the authorities", TABLE, CHANGE_WHO + 1};
  return run_change(SERIAL_REMOVE, &ARGUMENTS, argc, argv, complaint);
}

static enum outcome run_replace_key(int argc, char **argv, struct complaint *complaint) {
  static const struct argument TABLE[] = {[CHANGE_NETWORK] = NETWORK_ARGUMENT, [CHANGE_OUT] = OUT_ARGUMENT, [CHANGE_EPOCH] = EPOCH_ARGUMENT,
                                          [CHANGE_WHO] = {.name = "NAME[=HOST:PORT]", .kind = ARGUMENT_ALONE, .help = "whose keys; where it will be, if elsewhere", .is_required = true},
                                          [CHANGE_IDENTITY] = IDENTITY_ARGUMENT, [CHANGE_LINK_KEY] = LINK_KEY_ARGUMENT};
  static const struct arguments ARGUMENTS = {"tunic-network authority replace-key", "makes the next serial, with other keys of one authority", TABLE, CHANGE_OPTIONS};
  return run_change(SERIAL_REPLACE_KEY, &ARGUMENTS, argc, argv, complaint);
}

static enum outcome run_renew(int argc, char **argv, struct complaint *complaint) {
  static const struct argument TABLE[] = {[CHANGE_NETWORK] = NETWORK_ARGUMENT, [CHANGE_OUT] = OUT_ARGUMENT, [CHANGE_EPOCH] = EPOCH_ARGUMENT};
  static const struct arguments ARGUMENTS = {"tunic-network authority renew", "makes the next serial, with nothing but a later expiry date", TABLE, CHANGE_EPOCH + 1};
  return run_change(SERIAL_RENEW, &ARGUMENTS, argc, argv, complaint);
}

/* ---- signatures and keys ---- */

static enum outcome run_sign(int argc, char **argv, struct complaint *complaint) {
  static const struct argument TABLE[] = {{"network", ARGUMENT_TEXT, "NEW", "what add, remove, replace-key or renew wrote", .is_required = true},
                                          {"data", ARGUMENT_TEXT, "DIR", "the authority's folder with its keys", .is_required = true}};
  static const struct arguments ARGUMENTS = {"tunic-network authority sign", "adds an authority's signature", TABLE, 2};
  struct argument_value values[2];
  enum outcome outcome = command_line_parse(&ARGUMENTS, argc, argv, values, complaint);
  return outcome == OUTCOME_OK ? serial_sign(values[0].text, values[1].text, complaint) : outcome;
}

static enum outcome run_install(int argc, char **argv, struct complaint *complaint) {
  static const struct argument TABLE[] = {{"network", ARGUMENT_TEXT, "NEW", "the next serial, with all its signatures", .is_required = true},
                                          {"data", ARGUMENT_TEXT, "DIR", "the folder of an authority that runs", .is_required = true}};
  static const struct arguments ARGUMENTS = {"tunic-network authority install", "hands the file to a running authority, which hands it on", TABLE, 2};
  struct argument_value values[2];
  enum outcome outcome = command_line_parse(&ARGUMENTS, argc, argv, values, complaint);
  return outcome == OUTCOME_OK ? serial_install(values[0].text, values[1].text, complaint) : outcome;
}

static enum outcome run_show(int argc, char **argv, struct complaint *complaint) {
  static const struct argument TABLE[] = {{.name = "FILE", .kind = ARGUMENT_ALONE, .help = "a network file, complete or not", .is_required = true},
                                          {.name = "previous", .kind = ARGUMENT_TEXT, .value_name = "FILE", .help = "the one before, whose authorities sign too"}};
  static const struct arguments ARGUMENTS = {"tunic-network authority show", "who has signed, and who has not", TABLE, 2};
  struct argument_value values[2];
  enum outcome outcome = command_line_parse(&ARGUMENTS, argc, argv, values, complaint);
  return outcome == OUTCOME_OK ? serial_show(values[0].text, values[1].text, complaint) : outcome;
}

static enum outcome run_keys(int argc, char **argv, struct complaint *complaint) {
  static const struct argument TABLE[] = {{.name = "DIR", .kind = ARGUMENT_ALONE, .help = "the new authority's folder", .is_required = true}};
  static const struct arguments ARGUMENTS = {"tunic-network authority keys", "makes an authority's keys, and shows what `add` wants of them", TABLE, 1};
  struct argument_value folder;
  enum outcome outcome = command_line_parse(&ARGUMENTS, argc, argv, &folder, complaint);
  return outcome == OUTCOME_OK ? serial_make_keys(folder.text, complaint) : outcome;
}

static const struct command_line_command COMMANDS[] = {
    {"keys", run_keys, "makes a new authority's keys"},
    {"add", run_add, "the next serial, with one authority more"},
    {"remove", run_remove, "the next serial, with one authority fewer"},
    {"replace-key", run_replace_key, "the next serial, with new keys of one authority"},
    {"renew", run_renew, "the next serial, with a later expiry date"},
    {"sign", run_sign, "adds an authority's signature"},
    {"install", run_install, "hands the complete file to a running authority"},
    {"show", run_show, "who has signed, and who has not"},
};
enum { COMMAND_COUNT = sizeof COMMANDS / sizeof COMMANDS[0] };

enum outcome serial_command(int argc, char **argv, struct complaint *complaint) {
  for (size_t i = 0; argc > 1 && i < COMMAND_COUNT; i++)
    if (strcmp(argv[1], COMMANDS[i].name) == 0) return COMMANDS[i].run(argc - 1, argv + 1, complaint);
  if (argc > 1 && strcmp(argv[1], "--help") != 0) {
    complain(complaint, "`%.40s` is nothing to do with authorities; --help lists what is.", argv[1]);
    return OUTCOME_BAD_SETTING;
  }
  printf("tunic-network authority: changes who a network's authorities are, by a new file that old and new ones sign\n\n");
  for (size_t i = 0; i < COMMAND_COUNT; i++) printf("  %-12s %s\n", COMMANDS[i].name, COMMANDS[i].help);
  return OUTCOME_DONE;
}
