/* Runs scenarios, each under several seeds, each in a process of its own: `scenarios [NAME ...]`. TUNIC_SEED=n replays one
 * seed, TUNIC_SEEDS=n takes n seeds from 1 on instead of the scenario's number, TUNIC_TRACE=1 prints what nodes log. */
#include "tests/sim/scenario.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAILURES_SHOWN = 8 };

const struct network_timing calm_timing = {.interval = 10 * 1000, .valid = 10 * 60 * 1000, .early_gap = 500, .view_first = 1000,
                                           .view_most = 5 * 1000, .fetch_spread = 2 * 1000, .onion_rotation = 60 * 60 * 1000,
                                           .probe_interval = 5 * 1000};

/* ---- a trial ---- */

static void print_line(void *context, enum trace_level level, const char *area, const char *text) {
  const struct sim *sim = context;
  printf("%10.6f %-7s %s: %s\n", (double)(sim->now - 1000 * SECONDS) / 1e9, trace_level_name(level), area, text);
}

static bool is_well(struct sim *sim, struct sim_host *host) {
  struct trial *trial = sim->scenario;
  return network_is_consistent(sim, host) && directory_watch_node(&trial->watch, host->owner);
}

void trial_start(struct trial *trial, const struct network_options *options) {
  const char *trace = getenv("TUNIC_TRACE");
  network_init(&trial->network, trial->seed, options);
  trial->network.sim.scenario = trial;
  trial->network.sim.invariant = is_well;
  trial->is_open = true;
  if (trace != NULL) trial->network.sim.trace = (struct trace){strcmp(trace, "2") == 0 ? TRACE_DEBUG : TRACE_INFO, &trial->network.sim, print_line};
}

static void check_bytes(struct trial *trial) {
  for (struct list_node *n = list_first(&trial->network.nodes); n != NULL; n = list_after(&trial->network.nodes, n)) {
    const struct node *node = LIST_OBJECT(n, struct node, list);
    for (uint32_t i = 0; node->fetcher != NULL && i < fetcher_count(node->fetcher); i++) {
      const struct fetch_result *result = fetcher_result(node->fetcher, i);
      expect(trial, !result->wrong_bytes && result->got <= result->want, "%s got wrong bytes in fetch %u", node->host->name, i);
      expect(trial, !result->cut_short, "%s takes the %llu bytes of fetch %u for all there are", node->host->name, (unsigned long long)result->got, i);
    }
  }
}

void trial_stop(struct trial *trial) {
  if (!trial->is_open) return;
  trial->is_open = false;
  const char *fault = trial->watch.fault[0] != '\0' ? trial->watch.fault : "counts disagree";
  expect(trial, !trial->network.sim.broken, "%s", fault);
  check_bytes(trial);
  network_wipe(&trial->network);
  directory_watch_wipe(&trial->watch);
}

bool expect(struct trial *trial, bool holds, const char *format, ...) {
  va_list arguments;
  if (holds) return true;
  if (++trial->failures > FAILURES_SHOWN) return false;
  printf("  at %.3f s: ", (double)(trial->network.sim.now - 1000 * SECONDS) / 1e9);
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  printf("\n");
  if (trial->failures == 1 && trial->is_open) network_print_status(&trial->network);
  return false;
}

uint64_t trial_draw(struct trial *trial, uint64_t below) {
  return random_below(&trial->random, below);
}

struct node *trial_node(struct trial *trial, const char *prefix, uint32_t index) {
  char name[SIM_NAME_BYTES];
  snprintf(name, sizeof name, "%s%u", prefix, index);
  return network_node(&trial->network, name);
}

/* ---- what nodes say ---- */

void node_status(const struct node *node, struct status *ret) {
  const struct machine *machine = &node->host->machines[0];
  memset(ret, 0, sizeof *ret);
  if (machine->verbs != NULL && machine->verbs->status != NULL) machine->verbs->status(machine->self, node->network->sim.now, ret);
}

enum outcome node_cause(const struct node *node) {
  static _Thread_local struct status status;
  node_status(node, &status);
  return status.cause;
}

uint64_t node_epoch(const struct node *node) {
  const struct consensus *consensus = node_consensus(node);
  return consensus == NULL ? 0 : consensus_header(consensus)->epoch;
}

uint64_t node_figure(const struct node *node, const char *name) {
  static _Thread_local struct status status;
  node_status(node, &status);
  for (uint32_t i = 0; i < status.figure_count; i++)
    if (strcmp(status.figures[i].name, name) == 0) return status.figures[i].value;
  return 0;
}

const char *node_text(const struct node *node, const char *name) {
  static _Thread_local struct status status;
  node_status(node, &status);
  for (uint32_t i = 0; i < status.text_count; i++)
    if (strcmp(status.texts[i].name, name) == 0) return status.texts[i].value;
  return "";
}

struct node *client_path_node(struct trial *trial, const struct node *client, uint32_t place) {
  char names[3][SIM_NAME_BYTES];
  if (sscanf(node_text(client, "path"), "%15s %15s %15s", names[0], names[1], names[2]) != 3) return NULL;
  return network_node(&trial->network, names[place]);
}

/* ---- waiting ---- */

const struct fetch_result *trial_result(struct trial *trial, uint32_t index, uint32_t fetch) {
  return fetcher_result(trial_node(trial, "app", index)->fetcher, fetch);
}

bool trial_fetches(struct trial *trial, uint32_t index, const char *user, uint64_t bytes, uint64_t within) {
  uint32_t fetch = network_fetch(&trial->network, index, user, bytes, false);
  const struct fetch_result *result = trial_result(trial, index, fetch);
  instant late = instant_after(trial->network.sim.now, within);
  while (!result->done && trial->network.sim.now < late && !trial->network.sim.broken) sim_run_for(&trial->network.sim, 10 * MILLISECONDS);
  return result->done && !result->failed;
}

void trial_expect_service(struct trial *trial, uint32_t index, uint64_t duration, uint64_t pause) {
  instant end = instant_after(trial->network.sim.now, duration);
  for (uint32_t i = 0; trial->network.sim.now < end && trial->failures == 0; i++) {
    char user[16];
    snprintf(user, sizeof user, "s%u", i % 3);
    expect(trial, trial_fetches(trial, index, user, 1 + trial_draw(trial, 300000), 60 * SECONDS), "app%u: a fetch failed", index);
    sim_run_for(&trial->network.sim, pause);
  }
}

bool trial_run_until_client(struct trial *trial, const struct node *client, bool ready, uint64_t within) {
  instant late = instant_after(trial->network.sim.now, within);
  while (network_client_is_ready(client) != ready && trial->network.sim.now < late && !trial->network.sim.broken)
    sim_run_for(&trial->network.sim, 10 * MILLISECONDS);
  return network_client_is_ready(client) == ready;
}

static bool all_have_decided(struct trial *trial, uint64_t epoch) {
  for (uint32_t i = 1; i <= trial->network.options.authorities; i++) {
    const struct node *node = trial_node(trial, "a", i);
    if (node->authority == NULL) continue;
    if (node_epoch(node) < epoch) return false;
  }
  return true;
}

static bool all_agree_on(struct trial *trial, const struct node *relay, bool listed) {
  for (uint32_t i = 1; i <= trial->network.options.authorities; i++) {
    const struct node *node = trial_node(trial, "a", i);
    if (node->authority == NULL) continue;
    const struct consensus *consensus = node_consensus(node);
    const struct relay_entry *entry = consensus == NULL ? NULL : consensus_find(consensus, relay->self.identity);
    if ((entry != NULL && (entry->flags & RELAY_RUNNING) != 0) != listed) return false;
  }
  return true;
}

bool trial_run_until_listed(struct trial *trial, const struct node *relay, bool listed, uint64_t within) {
  instant late = instant_after(trial->network.sim.now, within);
  while (!all_agree_on(trial, relay, listed) && trial->network.sim.now < late && !trial->network.sim.broken)
    sim_run_for(&trial->network.sim, 100 * MILLISECONDS);
  return all_agree_on(trial, relay, listed);
}

bool trial_run_until_epoch(struct trial *trial, uint64_t epoch, uint64_t within) {
  instant late = instant_after(trial->network.sim.now, within);
  while (!all_have_decided(trial, epoch) && trial->network.sim.now < late && !trial->network.sim.broken)
    sim_run_for(&trial->network.sim, 100 * MILLISECONDS);
  return all_have_decided(trial, epoch);
}

/* ---- the program ---- */

static uint32_t run_trial(const struct scenario *scenario, uint64_t seed) {
  static struct trial trial;
  uint8_t bytes[RANDOM_SEED_BYTES] = {0};
  memcpy(bytes, &seed, sizeof seed);
  bytes[RANDOM_SEED_BYTES - 1] = 1; /* not the network's own stream */
  trial.seed = seed;
  random_init(&trial.random, bytes);
  scenario->run(&trial);
  trial_stop(&trial);
  return trial.failures;
}

/* A crash, an assertion, a sanitizer's word or a trial without an end are failures of this seed, too. */
static bool passes(const struct scenario *scenario, uint64_t seed) {
  int status;
  fflush(stdout);
  pid_t child = fork();
  if (child < 0) abort();
  if (child == 0) {
    alarm(scenario_most_s);
    uint32_t failures = run_trial(scenario, seed);
    exit(failures == 0 ? 0 : 1);
  }
  if (waitpid(child, &status, 0) != child) abort();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  if (WIFSIGNALED(status)) printf("  ended by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
  printf("FAILED: %s, TUNIC_SEED=%llu\n", scenario->name, (unsigned long long)seed);
  return false;
}

static bool is_wanted(const struct scenario *scenario, int argc, char **argv) {
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], scenario->name) == 0) return true;
  return argc == 1 && scenario->seeds > 0;
}

/* Processor time of all trials so far: what a scenario costs, whoever else uses the machine. */
static double seconds_spent(void) {
  struct rusage usage;
  getrusage(RUSAGE_CHILDREN, &usage);
  return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void run_scenario(const struct scenario *scenario, uint32_t *passed, uint32_t *failed) {
  const char *seed = getenv("TUNIC_SEED"), *seeds = getenv("TUNIC_SEEDS");
  uint64_t first = seed == NULL ? 1 : strtoull(seed, NULL, 10), count = seeds == NULL ? scenario->seeds : strtoull(seeds, NULL, 10);
  double before = seconds_spent();
  if (seed != NULL || count == 0) count = 1;
  for (uint64_t i = 0; i < count; i++) *(passes(scenario, first + i) ? passed : failed) += 1;
  printf("%-28s %3llu seeds %6.1f s of processor time\n", scenario->name, (unsigned long long)count, seconds_spent() - before);
}

int main(int argc, char **argv) {
  uint32_t passed = 0, failed = 0;
  for (size_t i = 0; scenario_groups[i] != NULL; i++)
    for (const struct scenario *scenario = scenario_groups[i]; scenario->name != NULL; scenario++)
      if (is_wanted(scenario, argc, argv)) run_scenario(scenario, &passed, &failed);
  printf("%u passed, %u failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
