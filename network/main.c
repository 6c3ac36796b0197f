#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/command_line.h"
#include "io/machine_size.h"
#include "io/entropy.h"
#include "io/launch.h"
#include "network/down.h"
#include "network/interrupt.h"
#include "network/serial_command.h"
#include "network/status.h"
#include "network/up.h"

#define FOLDER_ARGUMENT {.name = "DIR", .kind = ARGUMENT_ALONE, .help = "the network's folder", .is_required = true}

/* ---- tunic-network init ---- */

enum init_option { INIT_DIR, INIT_NAME, INIT_AUTHORITIES, INIT_AUTHORITY, INIT_PRODUCTION, INIT_PORT_BASE, INIT_ADDRESSES, INIT_OPTIONS };

static const struct argument INIT_TABLE[INIT_OPTIONS] = {
    [INIT_DIR] = FOLDER_ARGUMENT,
    [INIT_NAME] = {"name", ARGUMENT_TEXT, "NAME", "what the network is called", .otherwise = "tunic"},
    [INIT_AUTHORITIES] = {"authorities", ARGUMENT_NUMBER, "N", "so many authorities, a1, a2, ...", .otherwise = "4", .least = 1, .most = LIMIT_AUTHORITIES},
    [INIT_AUTHORITY] = {"authority", ARGUMENT_TEXT, "NAME=HOST:PORT,...", "these authorities, on machines of their own"},
    [INIT_PRODUCTION] = {"production", ARGUMENT_FLAG, NULL, "not a lab: hours instead of seconds, no two relays of one neighbourhood on a path"},
    [INIT_PORT_BASE] = {"port-base", ARGUMENT_NUMBER, "PORT", "the first authority's port, each further one listens one higher", .otherwise = "9300", .least = 1, .most = 65000},
    [INIT_ADDRESSES] = {"addresses", ARGUMENT_TEXT, "FILE", "lines `NAME IP`: where each authority is; otherwise 127.0.0.1"},
};

static enum outcome read_authorities(const char *text, struct init_wishes *ret, struct complaint *complaint) {
  ret->authority_count = 0;
  for (const char *at = text; at != NULL;) {
    size_t len = strcspn(at, ",");
    if (ret->authority_count == LIMIT_AUTHORITIES || !init_read_authority(at, len, &ret->authorities[ret->authority_count++])) {
      complain(complaint, "--authority: \"%.*s\" is not NAME=HOST:PORT, or one too many (at most %d).", (int)(len < 80 ? len : 80), at, LIMIT_AUTHORITIES);
      return OUTCOME_BAD_SETTING;
    }
    at = at[len] == ',' ? at + len + 1 : NULL;
  }
  return OUTCOME_OK;
}

/* What would be passed over in silence is refused: who says it expects something of it. */
static enum outcome refuse_unheeded(const struct argument_value *values, struct complaint *complaint) {
  static const enum init_option UNHEEDED[] = {INIT_AUTHORITIES, INIT_PORT_BASE, INIT_ADDRESSES};
  for (size_t i = 0; i < sizeof UNHEEDED / sizeof UNHEEDED[0]; i++) {
    if (!values[UNHEEDED[i]].is_given) continue;
    complain(complaint, "--%s means nothing beside --authority, which says how many there are and where: leave one of the two out.", INIT_TABLE[UNHEEDED[i]].name);
    return OUTCOME_BAD_SETTING;
  }
  return OUTCOME_OK;
}

static enum outcome read_wishes(const struct argument_value *values, struct init_wishes *ret, struct complaint *complaint) {
  struct address first = {.family = ADDRESS_IPV4, .bytes = {127, 0, 0, 1}, .port = (uint16_t)values[INIT_PORT_BASE].number};
  *ret = (struct init_wishes){.name = values[INIT_NAME].text, .is_production = values[INIT_PRODUCTION].is_given};
  if (values[INIT_AUTHORITY].is_given) {
    enum outcome heeded = refuse_unheeded(values, complaint);
    return heeded == OUTCOME_OK ? read_authorities(values[INIT_AUTHORITY].text, ret, complaint) : heeded;
  }
  init_wish_authorities(ret, (uint32_t)values[INIT_AUTHORITIES].number, &first);
  if (!values[INIT_ADDRESSES].is_given) return OUTCOME_OK;
  struct node_addresses *addresses = malloc(sizeof *addresses);
  if (addresses == NULL) return OUTCOME_NO_MEMORY;
  enum outcome outcome = node_addresses_read(values[INIT_ADDRESSES].text, addresses, complaint);
  if (outcome == OUTCOME_OK) outcome = init_place_authorities(ret, addresses, complaint);
  free(addresses);
  return outcome;
}

static enum outcome init_in(const char *path, const struct init_wishes *wishes, struct complaint *complaint) {
  struct folder *folder;
  struct network_file network;
  struct random_stream random;
  uint8_t seed[RANDOM_SEED_BYTES];
  enum outcome outcome = entropy_seed(seed);
  if (outcome != OUTCOME_OK) return outcome;
  random_init(&random, seed);
  bytes_wipe(seed, sizeof seed);
  outcome = folder_open(path, &folder, complaint);
  if (outcome == OUTCOME_OK) {
    outcome = folder_lock(folder, complaint);
    if (outcome == OUTCOME_OK) outcome = init_network(folder, wishes, launch_date(), &random, &network, complaint);
    folder_close(folder);
  }
  random_wipe(&random);
  if (outcome != OUTCOME_OK) return outcome;
  printf("Made the network `%s` with %u authorities.\n%s/%s is for everybody.\n", network.name, network.authority_count, path, NETWORK_FILE);
  printf("Each authority's folder in %s holds its secret keys: it goes to that authority's machine and nowhere else.\n", path);
  return OUTCOME_OK;
}

static enum outcome run_init(int argc, char **argv, struct complaint *complaint) {
  static const struct arguments ARGUMENTS = {"tunic-network init", "makes the keys of a network's authorities and its network file", INIT_TABLE, INIT_OPTIONS};
  struct argument_value values[INIT_OPTIONS];
  struct init_wishes wishes;
  enum outcome outcome = command_line_parse(&ARGUMENTS, argc, argv, values, complaint);
  if (outcome == OUTCOME_OK) outcome = read_wishes(values, &wishes, complaint);
  if (outcome == OUTCOME_OK) outcome = init_check(&wishes, complaint);
  return outcome == OUTCOME_OK ? init_in(values[INIT_DIR].text, &wishes, complaint) : outcome;
}

/* ---- tunic-network up ---- */

enum up_option {
  UP_DIR, UP_AUTHORITIES, UP_RELAYS, UP_EXITS, UP_CLIENTS, UP_PORT, UP_SOCKS, UP_NAME, UP_PRODUCTION, UP_ADDRESSES, UP_EXEC, UP_SHARDS, UP_MEMORY,
  UP_AEAD, UP_LOG, UP_NO_WAIT, UP_OPTIONS
};

static const struct argument UP_TABLE[UP_OPTIONS] = {
    [UP_DIR] = FOLDER_ARGUMENT,
    [UP_AUTHORITIES] = {"authorities", ARGUMENT_NUMBER, "N", "authorities of a new network (otherwise 4)", .least = 1, .most = LIMIT_AUTHORITIES},
    [UP_RELAYS] = {"relays", ARGUMENT_NUMBER, "N", "relays that are no exits", .otherwise = "3", .most = NODES_MAX},
    [UP_EXITS] = {"exits", ARGUMENT_NUMBER, "N", "exits", .otherwise = "1", .most = NODES_MAX},
    [UP_CLIENTS] = {"clients", ARGUMENT_NUMBER, "N", "clients, each with a SOCKS proxy", .otherwise = "1", .most = NODES_MAX},
    [UP_PORT] = {"port-base", ARGUMENT_NUMBER, "PORT", "the first node's port, each further one listens one higher", .otherwise = "9300", .least = 1, .most = 65000},
    [UP_SOCKS] = {"socks", ARGUMENT_TEXT, "IP:PORT", "the first client's proxy, each further one is one port higher", .otherwise = "127.0.0.1:9150"},
    [UP_NAME] = {"name", ARGUMENT_TEXT, "NAME", "what a new network is called", .otherwise = "tunic"},
    [UP_PRODUCTION] = {"production", ARGUMENT_FLAG, NULL, "a new network is no lab: hours instead of seconds"},
    [UP_ADDRESSES] = {"addresses", ARGUMENT_TEXT, "FILE", "lines `NAME IP`: where each node listens; otherwise 127.0.0.1"},
    [UP_EXEC] = {"exec", ARGUMENT_TEXT, "PREFIX", "starts each node behind this command, {name} being the node's name: `ip netns exec {name}`"},
    [UP_SHARDS] = {"shards", ARGUMENT_NUMBER, "N", "threads of each relay that carry cells", .otherwise = "1", .least = 1, .most = LIMIT_SHARDS_MOST},
    [UP_MEMORY] = {"memory", ARGUMENT_NUMBER, "MB", "at most so much for what others make each relay hold; otherwise the relays share a quarter of the machine's", .least = LIMIT_MEMORY_LEAST_MB, .most = LIMIT_MEMORY_MOST_MB},
    [UP_AEAD] = {"aead", ARGUMENT_TEXT, "NAME", "libsodium, libcrypto or ipsec-mb; otherwise the fastest"},
    [UP_LOG] = {"log", ARGUMENT_CHOICE, "LEVEL", "what the nodes log, to DIR/NAME/log", .otherwise = "notice", .choices = COMMAND_LINE_LOG_LEVELS},
    [UP_NO_WAIT] = {"no-wait", ARGUMENT_FLAG, NULL, "does not wait until traffic can pass"},
};

static enum outcome run_up(int argc, char **argv, struct complaint *complaint) {
  static const struct arguments ARGUMENTS = {"tunic-network up", "starts a whole network on this machine", UP_TABLE, UP_OPTIONS};
  struct argument_value values[UP_OPTIONS];
  enum outcome outcome = command_line_parse(&ARGUMENTS, argc, argv, values, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  struct up_wishes wishes = {.folder = values[UP_DIR].text, .init = {.name = values[UP_NAME].text, .is_production = values[UP_PRODUCTION].is_given},
                             .authorities = (uint32_t)values[UP_AUTHORITIES].number, .relays = (uint32_t)values[UP_RELAYS].number,
                             .exits = (uint32_t)values[UP_EXITS].number, .clients = (uint32_t)values[UP_CLIENTS].number,
                             .port_base = (uint16_t)values[UP_PORT].number, .addresses_path = values[UP_ADDRESSES].text,
                             .exec_prefix = values[UP_EXEC].text, .shards = values[UP_SHARDS].text, .aead = values[UP_AEAD].text,
                             .log_level = values[UP_LOG].text, .is_named = values[UP_NAME].is_given, .no_wait = values[UP_NO_WAIT].is_given};
  enum aead_backend backend;
  outcome = command_line_place("socks", values[UP_SOCKS].text, &wishes.socks, complaint);
  if (outcome == OUTCOME_OK) outcome = command_line_backend(values[UP_AEAD].text, &backend, complaint); /* the nodes choose; a name that none knows is said at once */
  char memory[16];
  if (values[UP_MEMORY].is_given) snprintf(memory, sizeof memory, "%u", (unsigned)values[UP_MEMORY].number);
  else snprintf(memory, sizeof memory, "%u", machine_size_relay_memory_mb(machine_size_memory_mb(), wishes.relays + wishes.exits)); /* [LIMIT-9] */
  wishes.memory = memory;
  int interrupt = outcome == OUTCOME_OK ? interrupt_open() : -1;
  if (outcome == OUTCOME_OK) outcome = up_network(&wishes, interrupt, complaint);
  return outcome;
}

/* ---- tunic-network down, status, wait ---- */

/* For commands that want nothing but the folder. */
static enum outcome run_on_folder(const char *program, const char *summary, enum outcome (*what)(const char *folder, struct complaint *),
                                  int argc, char **argv, struct complaint *complaint) {
  static const struct argument TABLE[] = {FOLDER_ARGUMENT};
  struct arguments arguments = {program, summary, TABLE, 1};
  struct argument_value folder;
  enum outcome outcome = command_line_parse(&arguments, argc, argv, &folder, complaint);
  return outcome == OUTCOME_OK ? what(folder.text, complaint) : outcome;
}

static enum outcome run_down(int argc, char **argv, struct complaint *complaint) {
  return run_on_folder("tunic-network down", "stops what `up` started, and nothing else", down_network, argc, argv, complaint);
}

static enum outcome run_status(int argc, char **argv, struct complaint *complaint) {
  return run_on_folder("tunic-network status", "how each node is; ends with the first cause's exit code", status_show, argc, argv, complaint);
}

enum wait_option { WAIT_DIR, WAIT_TIMEOUT, WAIT_OPTIONS };

static enum outcome run_wait(int argc, char **argv, struct complaint *complaint) {
  static const struct argument TABLE[WAIT_OPTIONS] = {
      [WAIT_DIR] = FOLDER_ARGUMENT,
      [WAIT_TIMEOUT] = {"timeout", ARGUMENT_NUMBER, "S", "seconds to wait at most", .otherwise = "60", .most = 86400},
  };
  static const struct arguments ARGUMENTS = {"tunic-network wait", "until the first client can carry traffic; ends with the cause's exit code", TABLE, WAIT_OPTIONS};
  struct argument_value values[WAIT_OPTIONS];
  enum outcome outcome = command_line_parse(&ARGUMENTS, argc, argv, values, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  return status_wait(values[WAIT_DIR].text, values[WAIT_TIMEOUT].number * 1000, interrupt_open(), complaint);
}

int main(int argc, char **argv) {
  static const struct command_line_command COMMANDS[] = {
      {"init", run_init, "makes a network: keys and one network file"},
      {"up", run_up, "starts a whole network on this machine and waits until it carries traffic"},
      {"status", run_status, "how each node is"},
      {"wait", run_wait, "until traffic can pass"},
      {"down", run_down, "stops what up started"},
      {"authority", serial_command, "adds, removes or replaces authorities while the network runs"},
  };
  if (!crypto_start()) return outcome_exit_code(OUTCOME_SYSTEM_FAILED);
  return command_line_run("tunic-network", COMMANDS, sizeof COMMANDS / sizeof COMMANDS[0], argc, argv);
}
