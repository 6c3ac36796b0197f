#include "network/up.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/entropy.h"
#include "io/launch.h"
#include "io/loop.h"
#include "network/command.h"
#include "network/failure.h"
#include "network/interrupt.h"
#include "network/node_state.h"
#include "network/ports.h"
#include "network/process.h"
#include "network/progress.h"
#include "network/transfer.h"

enum { PATH_BYTES = 4096, LOOK_EVERY_MS = 50, STOP_POLITELY_MS = 5000, TRANSFER_TRIES = 3, FIRST_AUTHORITIES = 4 };

/* One run of `up`: large, so on the heap. */
struct up_run {
  const struct up_wishes *wishes;
  struct folder *folder;
  struct random_stream random;
  struct network_file network;
  struct node_addresses *addresses; /* NULL: none were given */
  struct node_list nodes;
  struct process_list processes;    /* what this run started */
  struct command command;
  bool ready[NODES_MAX];
  struct progress progress;
  int interrupt;
  struct complaint *complaint;
};

/* ---- before anything is started ---- */

/* Waiting for what can't come would only end in three minutes. */
static enum outcome check_shape(const struct up_wishes *wishes, struct complaint *complaint) {
  enum { PATH_RELAYS = 3 };
  bool has_paths = wishes->exits > 0 && wishes->relays + wishes->exits >= PATH_RELAYS;
  if (has_paths || wishes->clients == 0 || wishes->no_wait) return OUTCOME_OK;
  complain(complaint, "With --relays %u --exits %u no client can ever have a path: it takes three relays, and the last is an exit.", wishes->relays, wishes->exits);
  advise(complaint, "Ask for more (--relays 3 --exits 1), or for no clients (--clients 0); where relays of other machines are to join, --no-wait.");
  return OUTCOME_BAD_SETTING;
}

static enum outcome check_nothing_runs(struct up_run *run) {
  struct process_list *before = malloc(sizeof *before);
  if (before == NULL) return OUTCOME_NO_MEMORY;
  enum outcome outcome = process_list_read(run->wishes->folder, before, run->complaint);
  uint32_t running = outcome == OUTCOME_OK ? process_count_running(before) : 0;
  if (running > 0) {
    complain(run->complaint, "%u nodes of %s run already. To stop them: tunic-network down %s", running, run->wishes->folder, run->wishes->folder);
    outcome = OUTCOME_ALREADY_RUNNING;
  }
  if (outcome == OUTCOME_OK) process_list_forget(run->wishes->folder);
  process_list_close(before);
  free(before);
  return outcome;
}

/* Where the first `count` authorities are to be, when there is no network file yet. */
static enum outcome place_authorities(const struct up_run *run, struct init_wishes *init) {
  struct address first = {.family = ADDRESS_IPV4, .bytes = {127, 0, 0, 1}, .port = run->wishes->port_base};
  init_wish_authorities(init, run->wishes->authorities == 0 ? FIRST_AUTHORITIES : run->wishes->authorities, &first);
  return run->addresses == NULL ? OUTCOME_OK : init_place_authorities(init, run->addresses, run->complaint);
}

static enum outcome have_network(struct up_run *run) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/%s", run->wishes->folder, NETWORK_FILE);
  enum outcome outcome = init_read_network(path, &run->network, run->complaint);
  if (outcome == OUTCOME_NOT_FOUND) {
    complaint_withdraw(run->complaint);
    struct init_wishes init = run->wishes->init;
    outcome = place_authorities(run, &init);
    if (outcome != OUTCOME_OK) return outcome;
    outcome = init_network(run->folder, &init, launch_date(), &run->random, &run->network, run->complaint);
    if (outcome == OUTCOME_OK) progress_done(&run->progress, "made the network `%s`: keys and %s", run->network.name, path);
    return outcome;
  }
  if (outcome != OUTCOME_OK) return outcome;
  if (run->wishes->authorities != 0 && run->wishes->authorities != run->network.authority_count) {
    complain(run->complaint, "%s has %u authorities, not %u: leave --authorities out, or choose a new folder.", path,
             run->network.authority_count, run->wishes->authorities);
    return OUTCOME_BAD_SETTING;
  }
  if (run->wishes->init.is_production && run->network.is_lab) {
    complain(run->complaint, "%s is a lab's, and stays one: leave --production out, or choose a new folder.", path);
    return OUTCOME_BAD_SETTING;
  }
  if (run->wishes->is_named && strcmp(run->wishes->init.name, run->network.name) != 0) {
    complain(run->complaint, "%s is of the network `%s`, and stays so: leave --name out, or choose a new folder.", path, run->network.name);
    return OUTCOME_BAD_SETTING;
  }
  progress_done(&run->progress, "the network `%s` of %s", run->network.name, path);
  return OUTCOME_OK;
}

static enum outcome read_addresses(struct up_run *run) {
  if (run->wishes->addresses_path == NULL) return OUTCOME_OK;
  run->addresses = malloc(sizeof *run->addresses);
  if (run->addresses == NULL) return OUTCOME_NO_MEMORY;
  return node_addresses_read(run->wishes->addresses_path, run->addresses, run->complaint);
}

static enum outcome prepare(struct up_run *run) {
  const struct up_wishes *wishes = run->wishes;
  enum outcome outcome = check_nothing_runs(run);
  if (outcome == OUTCOME_OK) outcome = read_addresses(run);
  if (outcome == OUTCOME_OK) outcome = have_network(run);
  if (outcome != OUTCOME_OK) return outcome;
  struct node_numbers numbers = {.relays = wishes->relays, .exits = wishes->exits, .clients = wishes->clients,
                                 .port_base = wishes->port_base, .socks = wishes->socks, .addresses = run->addresses};
  outcome = node_list_make(&run->network, &numbers, &run->nodes, run->complaint);
  /* Behind a prefix the addresses may be another machine's, which only the node itself can try. */
  if (outcome == OUTCOME_OK && wishes->exec_prefix == NULL) outcome = ports_check(&run->nodes, run->complaint);
  return outcome;
}

/* ---- starting ---- */

static void advise_on_program(const struct up_run *run) {
  if (run->wishes->exec_prefix != NULL) advise(run->complaint, "Correct --exec: its first word is a program, which is looked for in PATH unless it has a slash.");
  else advise(run->complaint, "tunic, tunic-relay and tunic-directory stand in one folder with tunic-network: install all four.");
}

static enum outcome start_nodes(struct up_run *run) {
  char programs[PATH_BYTES], path[PATH_BYTES];
  enum outcome outcome = OUTCOME_OK;
  if (!command_find_programs(programs, sizeof programs)) return OUTCOME_SYSTEM_FAILED;
  for (uint32_t i = 0; i < run->nodes.count && outcome == OUTCOME_OK; i++) {
    const struct node *node = &run->nodes.nodes[i];
    struct folder *own;
    if (interrupt_came(run->interrupt)) return OUTCOME_SHUTTING_DOWN;
    snprintf(path, sizeof path, "%s/%s", run->wishes->folder, node->name);
    outcome = folder_open(path, &own, run->complaint);
    if (outcome != OUTCOME_OK) break;
    folder_close(own);
    outcome = command_make(run->wishes, &run->network, node, programs, &run->command, run->complaint);
    if (outcome != OUTCOME_OK) break;
    outcome = process_start(run->wishes->folder, node->name, run->command.argv, &run->processes, run->complaint);
    if (outcome == OUTCOME_NOT_FOUND || outcome == OUTCOME_SYSTEM_FAILED) advise_on_program(run);
  }
  return outcome;
}

/* ---- waiting ---- */

struct stage { const char *text; bool roles[NODE_ROLES]; };

/* How many nodes of the stage there are and how many are ready; `ret_waits` is the last state of the first that is not. */
static uint32_t count_ready(struct up_run *run, const struct stage *stage, uint32_t *ret_of, struct node_state *ret_waits, const char **ret_name) {
  uint32_t ready = 0;
  *ret_of = 0;
  *ret_name = "";
  for (uint32_t i = 0; i < run->nodes.count; i++) {
    const struct node *node = &run->nodes.nodes[i];
    if (!stage->roles[node->role]) continue;
    (*ret_of)++;
    struct node_state state = {.ready = true};
    if (!run->ready[i]) node_state_ask(run->wishes->folder, node->name, &state);
    run->ready[i] = state.ready;
    ready += state.ready;
    if (state.ready || **ret_name != 0) continue;
    *ret_waits = state;
    *ret_name = node->name;
  }
  return ready;
}

/* The first of all that is not ready now: an authority that was, and can't write any more, keeps relays from being listed. */
static enum outcome complain_late(const struct up_run *run) {
  for (uint32_t i = 0; i < run->nodes.count; i++) {
    const char *name = run->nodes.nodes[i].name;
    struct node_state state;
    node_state_ask(run->wishes->folder, name, &state);
    if (state.ready) continue;
    complain(run->complaint, "%s is not ready after %d s: %s Its log: %s/%s/%s", name, UP_WAIT_MS / 1000, outcome_text(state.cause), run->wishes->folder, name,
             PROCESS_LOG_FILE);
    return state.cause;
  }
  return OUTCOME_TIMED_OUT;
}

static enum outcome wait_for_stage(struct up_run *run, const struct stage *stage, instant until) {
  for (;;) {
    struct node_state waits;
    const char *name;
    uint32_t of, ready = count_ready(run, stage, &of, &waits, &name);
    if (ready == of) {
      progress_done(&run->progress, "%s: %u of %u", stage->text, ready, of);
      return OUTCOME_OK;
    }
    progress_show(&run->progress, "%s: %u of %u (%s: %s)", stage->text, ready, of, name, waits.answers ? waits.stage_text : "starting");
    enum outcome outcome = failure_find_ended(&run->processes, run->wishes->folder, run->wishes->exec_prefix, run->complaint);
    if (outcome != OUTCOME_OK) return outcome;
    if (loop_now() >= until) return complain_late(run);
    interrupt_wait(run->interrupt, -1, false, LOOK_EVERY_MS);
    if (interrupt_came(run->interrupt)) return OUTCOME_SHUTTING_DOWN;
  }
}

/* The first path may have lost a relay between being built and being used: the client then builds another by itself. */
static enum outcome try_transfer(struct up_run *run) {
  const struct node *client = NULL;
  for (uint32_t i = 0; i < run->nodes.count && client == NULL; i++)
    if (run->nodes.nodes[i].role == NODE_CLIENT) client = &run->nodes.nodes[i];
  if (client == NULL || run->wishes->exec_prefix != NULL || run->addresses != NULL || run->wishes->exits == 0 || !run->network.is_lab)
    return OUTCOME_OK;
  enum outcome outcome = OUTCOME_OK;
  for (int i = 0; i < TRANSFER_TRIES; i++) {
    progress_show(&run->progress, "a transfer through three hops");
    outcome = transfer_try(&client->address, &run->random, run->interrupt, run->complaint);
    if (outcome == OUTCOME_OK || outcome == OUTCOME_SHUTTING_DOWN) break;
  }
  struct node_state state;
  node_state_ask(run->wishes->folder, client->name, &state);
  if (outcome == OUTCOME_OK) progress_done(&run->progress, "a transfer through three hops (%s): every byte was right", state.path);
  return outcome;
}

static enum outcome wait_for_traffic(struct up_run *run) {
  static const struct stage STAGES[] = {
      {"authorities agree", {[NODE_AUTHORITY] = true}},
      {"relays are listed", {[NODE_RELAY] = true, [NODE_EXIT] = true}},
      {"clients have circuits", {[NODE_CLIENT] = true}},
  };
  instant until = instant_after(loop_now(), UP_WAIT_MS * MILLISECONDS);
  enum outcome outcome = OUTCOME_OK;
  for (size_t i = 0; i < sizeof STAGES / sizeof STAGES[0] && outcome == OUTCOME_OK; i++) outcome = wait_for_stage(run, &STAGES[i], until);
  return outcome == OUTCOME_OK ? try_transfer(run) : outcome;
}

/* ---- the run ---- */

static void tell_how_to_go_on(const struct up_run *run) {
  char socks[ADDRESS_TEXT_BYTES];
  address_format(&run->wishes->socks, socks);
  if (run->wishes->clients > 0) printf("SOCKS proxy: %s\n", socks);
  printf("To look:     tunic-network status %s\nTo stop:     tunic-network down %s\n", run->wishes->folder, run->wishes->folder);
}

static void stop_what_was_started(struct up_run *run) {
  uint32_t killed;
  if (run->processes.count == 0) return;
  process_list_stop(&run->processes, STOP_POLITELY_MS, &killed);
  process_list_forget(run->wishes->folder);
  fprintf(stderr, "Stopped what was started; the logs are in %s.\n", run->wishes->folder);
}

static void complain_interrupted(const struct up_run *run) {
  complain(run->complaint, "It was interrupted, and the %u processes that it had started were stopped. Keys and logs are in %s.", run->processes.count, run->wishes->folder);
  advise(run->complaint, "To start again, with the same options: tunic-network up %s", run->wishes->folder);
}

static enum outcome run_all(struct up_run *run) {
  uint8_t seed[RANDOM_SEED_BYTES];
  enum outcome outcome = entropy_seed(seed);
  if (outcome != OUTCOME_OK) return outcome;
  random_init(&run->random, seed);
  bytes_wipe(seed, sizeof seed);
  progress_begin(&run->progress);
  outcome = prepare(run);
  if (outcome != OUTCOME_OK) return outcome;
  outcome = start_nodes(run);
  if (outcome == OUTCOME_OK) progress_done(&run->progress, "started %u processes", run->processes.count);
  if (outcome == OUTCOME_OK && !run->wishes->no_wait) outcome = wait_for_traffic(run);
  progress_stop(&run->progress);
  if (outcome == OUTCOME_SHUTTING_DOWN) complain_interrupted(run);
  if (outcome == OUTCOME_OK) tell_how_to_go_on(run);
  else stop_what_was_started(run);
  return outcome;
}

enum outcome up_network(const struct up_wishes *wishes, int interrupt, struct complaint *complaint) {
  struct folder *folder = NULL;
  struct up_run *run = calloc(1, sizeof *run);
  if (run == NULL) return OUTCOME_NO_MEMORY;
  run->wishes = wishes;
  run->interrupt = interrupt;
  run->complaint = complaint;
  enum outcome outcome = check_shape(wishes, complaint);
  if (outcome == OUTCOME_OK) outcome = folder_open(wishes->folder, &folder, complaint);
  run->folder = folder;
  if (outcome == OUTCOME_OK) outcome = folder_lock(folder, complaint);
  if (outcome == OUTCOME_OK) outcome = run_all(run);
  random_wipe(&run->random);
  process_list_close(&run->processes);
  folder_close(folder);
  free(run->addresses);
  free(run);
  return outcome;
}
