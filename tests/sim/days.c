#include "tests/sim/days.h"

#include <stdio.h>
#include <string.h>

#include "tests/sim/shared_consensus.h"

#define STEP (10 * SECONDS)
#define RELAYS_ALONE (30 * MINUTES)
#define FETCH_PAUSE (30 * MINUTES)
#define FETCH_PATIENCE (60 * SECONDS)
#define BACK_WITHIN (2 * MINUTES)

enum { FETCH_MOST_BYTES = 60000, SKEW_MOST_MS = 3000 };

static struct days *days_of(const struct sim *sim) {
  const struct trial *trial = sim->scenario;
  return trial->own;
}

struct node *days_authority(struct days *days, uint32_t place) {
  return trial_node(days->trial, "a", place + 1);
}

/* ---- what must hold after every turn ---- */

/* [SIM-6] Only who lies is accused, and nobody ever sees two consensuses. */
static bool judges_well(struct days *days, const struct node *node) {
  static _Thread_local struct status status;
  node_status(node, &status);
  if (status.cause == OUTCOME_DIRECTORY_SPLIT) {
    witness_fail(days->trial->network.witness, "an authority saw two consensuses of one epoch");
    return false;
  }
  for (uint32_t i = 0; i < status.figure_count; i++) {
    if (strcmp(status.figures[i].name, "view") == 0 && status.figures[i].value > days->views_most) days->views_most = (uint32_t)status.figures[i].value;
    if (strcmp(status.figures[i].name, "accused") != 0) continue;
    for (uint32_t k = 0; k < days->n; k++)
      if (status.figures[i].value >> k & 1 && days_authority(days, k)->liar == NULL) {
        witness_fail(days->trial->network.witness, "an honest authority is accused");
        return false;
      }
  }
  return true;
}

static bool is_well(struct sim *sim, struct sim_host *host) {
  struct days *days = days_of(sim);
  const struct node *node = host->owner;
  if (!network_is_consistent(sim, host) || !directory_watch_node(&days->trial->watch, node)) return false;
  if (node->authority == NULL || node->liar != NULL) return true;
  return judges_well(days, node) && witness_failure(days->trial->network.witness) == NULL;
}

/* ---- crashes ---- */

static void come_back(struct sim_host *host) {
  struct node *node = host->owner;
  network_start(node);
  if (node->liar != NULL) liar_restarted(node);
}

void days_crash(struct days *days, struct node *node, bool loses_record) {
  struct sim *sim = &days->trial->network.sim;
  days->crashes++;
  network_kill(node);
  if (loses_record) sim_remove_file(node->host, AUTHORITY_BALLOT_FILE);
  sim_call(node->host, instant_after(sim->now, random_below(&days->trial->random, BACK_WITHIN)), come_back);
}

static void crash_in_write(struct sim_host *host) {
  days_crash(days_of(host->sim), host->owner, false);
}

/* [SIM-4] At any moment from the beginning of the write until it was heard of: the file is the old one or the new one. */
static void writing(struct sim_host *host, const char *name) {
  struct days *days = days_of(host->sim);
  const struct node *node = host->owner;
  (void)name;
  if (node->authority == NULL || node->liar != NULL || days->crash_per_mille == 0) return;
  if (random_below(&days->trial->random, 1000) >= days->crash_per_mille) return;
  sim_call(host, instant_after(host->sim->now, random_below(&days->trial->random, host->write_time + 1)), crash_in_write);
}

/* ---- users ---- */

static void begin_fetch(struct days *days, uint32_t client, instant now) {
  struct user *user = &days->users[client - 1];
  char name[16];
  snprintf(name, sizeof name, "s%u", (unsigned)random_below(&days->trial->random, 3));
  user->fetch = network_fetch(&days->trial->network, client, name, 1 + random_below(&days->trial->random, FETCH_MOST_BYTES), false);
  user->is_waiting = true;
  user->late = instant_after(now, FETCH_PATIENCE);
}

/* [SIM-5] Whatever the authorities suffer, every fetch comes whole. */
static void look_after(struct days *days, uint32_t client, instant now) {
  struct user *user = &days->users[client - 1];
  if (!user->is_waiting) {
    if (user->due <= now) begin_fetch(days, client, now);
    return;
  }
  const struct fetch_result *result = trial_result(days->trial, client, user->fetch);
  if (!result->done && now < user->late) return;
  expect(days->trial, result->done && !result->failed, "app%u: fetch %u brought %llu of %llu bytes, SOCKS reply %u; its client: %s", client, user->fetch,
         (unsigned long long)result->got, (unsigned long long)result->want, result->socks_reply, outcome_name(node_cause(trial_node(days->trial, "c", client))));
  user->is_waiting = false;
  user->due = instant_after(now, random_between(&days->trial->random, FETCH_PAUSE / 2, FETCH_PAUSE * 3 / 2));
  days->fetched++;
  if (result->done && result->ended - result->began > days->slowest) days->slowest = result->ended - result->began;
}

void days_run(struct days *days, uint64_t duration, void (*weather)(struct days *)) {
  struct sim *sim = &days->trial->network.sim;
  instant end = instant_after(sim->now, duration), next = sim->now;
  while (sim->now < end && !sim->broken && days->trial->failures == 0) {
    if (weather != NULL && sim->now >= next) {
      weather(days);
      next = instant_after(sim->now, MINUTES);
    }
    sim_run_for(sim, STEP);
    for (uint32_t i = 1; i <= days->clients; i++) look_after(days, i, sim->now);
  }
}

/* ---- decisions ---- */

static uint64_t lowest_epoch(struct days *days) {
  uint64_t lowest = UINT64_MAX;
  for (uint32_t i = 0; i < days->n; i++) {
    const struct node *node = days_authority(days, i);
    if (node->liar == NULL && (node->authority == NULL || node_epoch(node) < lowest)) lowest = node->authority == NULL ? 0 : node_epoch(node);
  }
  return lowest;
}

/* When the epoch after the newest is due, by the clock of the simulator. */
static instant due_at(struct days *days) {
  struct sim *sim = &days->trial->network.sim;
  int64_t due = sim->wall_ms_at_zero;
  for (uint32_t i = 0; i < days->n; i++) {
    const struct node *node = days_authority(days, i);
    if (node->liar != NULL || node->authority == NULL || node_epoch(node) < days->trial->watch.newest) continue;
    due = consensus_header(node_consensus(node))->valid_after.milliseconds + days->trial->network.file.timing.interval;
  }
  int64_t at = due - sim->wall_ms_at_zero;
  return at > 0 && (instant)at * MILLISECONDS > sim->now ? (instant)at * MILLISECONDS : sim->now;
}

/* [SIM-7] One capped timer that may be running, one for each liar that may lead, and an eighth of each. */
void days_expect_decision(struct days *days, const char *after) {
  struct sim *sim = &days->trial->network.sim;
  if (sim->broken || days->trial->failures > 0) return;
  uint64_t epoch = days->trial->watch.newest + 1, timer = (uint64_t)days->trial->network.file.timing.view_most * MILLISECONDS;
  instant began = due_at(days), late = instant_after(began, (1 + days->f) * (timer + timer / 8));
  while (lowest_epoch(days) < epoch && sim->now < late && !sim->broken && days->trial->failures == 0) days_run(days, STEP, NULL);
  expect(days->trial, lowest_epoch(days) >= epoch, "after %s: epoch %llu is not everybody's within %llu s; the lowest is %llu", after,
         (unsigned long long)epoch, (unsigned long long)((late - began) / SECONDS), (unsigned long long)lowest_epoch(days));
  printf("  day %5.2f: after %s: epoch %llu after %.0f s; %u crashes, highest view %u, %llu fetches, the slowest %.1f s\n",
         (double)(sim->now - 1000 * SECONDS) / 86400e9, after, (unsigned long long)epoch, sim->now > began ? (double)(sim->now - began) / 1e9 : 0.0, days->crashes,
         days->views_most, (unsigned long long)days->fetched, (double)days->slowest / 1e9);
  fflush(stdout);
  days->views_most = 0;
}

void days_set_habits(struct days *days, uint32_t habits) {
  for (uint32_t i = 0; i < days->n; i++)
    if (days_authority(days, i)->liar != NULL) liar_set_habits(days_authority(days, i), habits);
}

/* ---- the network ---- */

static void begin_directory(struct days *days) {
  struct network *network = &days->trial->network;
  uint32_t first = (uint32_t)trial_draw(days->trial, days->n);
  liar_members(&network->file, &days->members);
  days->f = days->members.f;
  network->witness = witness_new(&days->members, days->f, network->file.digest);
  for (uint32_t i = 0; i < days->n; i++) days_authority(days, i)->host->group = UINT64_C(1) << i;
  for (uint32_t i = 0; i < days->f; i++) liar_begin(days_authority(days, (first + i) % days->n));
  network->sim.invariant = is_well;
  network->sim.writing = writing;
}

static void skew_clocks(struct days *days) {
  for (struct list_node *n = list_first(&days->trial->network.nodes); n != NULL; n = list_after(&days->trial->network.nodes, n))
    sim_set_clock_skew(LIST_OBJECT(n, struct node, list)->host, (int64_t)trial_draw(days->trial, 2 * SKEW_MOST_MS) - SKEW_MOST_MS);
}

bool days_start(struct days *days, struct trial *trial, uint32_t authorities) {
  static struct network_timing timing;
  static struct network_options options;
  network_timing_production(&timing);
  options = (struct network_options){.authorities = authorities, .relays = 240, .exits = 60, .clients = 100, .delay = 20 * MILLISECONDS, .timing = &timing,
                                     .is_public = true};
  /* Onion keys change while things go wrong. */
  options.later_ms = timing.onion_rotation - INT64_C(12) * 3600 * 1000;
  memset(days, 0, sizeof *days);
  trial->own = days;
  days->trial = trial;
  days->n = authorities;
  days->clients = options.clients;
  trial_start(trial, &options);
  begin_directory(days);
  for (uint32_t i = 1; i <= days->clients; i++) network_kill(trial_node(trial, "c", i));
  skew_clocks(days);
  sim_run_for(&trial->network.sim, RELAYS_ALONE);
  for (uint32_t i = 1; i <= days->clients; i++) network_start(trial_node(trial, "c", i));
  for (uint32_t i = 0; i < days->clients; i++) days->users[i].due = instant_after(trial->network.sim.now, 10 * MINUTES + trial_draw(trial, FETCH_PAUSE));
  return expect(trial, network_run_until_ready(&trial->network, 10 * MINUTES), "not every client is ready");
}

void days_stop(struct days *days) {
  struct network *network = &days->trial->network;
  const char *failure = witness_failure(network->witness);
  expect(days->trial, failure == NULL, "%s", failure == NULL ? "" : failure);
  for (uint32_t i = 0; i < days->n; i++) liar_end(days_authority(days, i));
  witness_free(network->witness);
  shared_consensus_forget();
  network->witness = NULL;
  network->sim.writing = NULL;
}
