/* Scenarios of floods: whoever hands in and asks at full speed takes nothing from relays and from the agreement, nor from a guard's other clients. */
#include <stdio.h>
#include <string.h>

#include "protocol/limits.h"
#include "tests/sim/flooder.h"
#include "tests/sim/scenario.h"

enum { FLOOD_SECONDS = 30, STEPS_PER_DESCRIPTOR = 4, FLOODERS = 3 };

static void free_flooder(struct sim_host *host) {
  flooder_free(host->machines[0].self);
}

/* Connections to this host are never answered, nor refused: each test of a relay there takes as long as it may. */
static struct node *make_hole(struct trial *trial) {
  struct node *hole = network_add_node(&trial->network, NODE_APP, "hole", 0);
  sim_set_cut(hole->host, true);
  return hole;
}

/* A public address is counted also in a lab; a private one is not. */
static struct node *add_flooder(struct trial *trial, uint32_t index, bool is_public) {
  struct node *node = network_add_node(&trial->network, NODE_APP, "flood", index);
  memcpy(node->self.network, trial->network.file.id, sizeof node->self.network);
  if (is_public) node->host->address.bytes[0] = 8;
  node->host->delay = (1 + 4 * index) * MILLISECONDS; /* not in step with each other */
  return node;
}

static struct flooder *start(struct node *node, struct flooder *flooder) {
  node->host->on_free = free_flooder;
  sim_add_machine(node->host, flooder_machine(flooder));
  sim_start(node->host);
  return flooder;
}

static struct flooder *start_flooder(struct trial *trial, uint32_t index, bool is_public, uint32_t links, const struct node *hole) {
  struct node *node = add_flooder(trial, index, is_public);
  return start(node, flooder_new(&trial->network.sim, &node->self, &trial->network.file, links, &hole->host->address));
}

static uint64_t figure_of_authorities(struct trial *trial, const char *name) {
  uint64_t most = 0;
  for (uint32_t i = 1; i <= trial->network.options.authorities; i++) {
    uint64_t value = node_figure(trial_node(trial, "a", i), name);
    if (value > most) most = value;
  }
  return most;
}

static bool is_taken_by_all(struct trial *trial, const struct node *relay, uint64_t within) {
  instant late = instant_after(trial->network.sim.now, within);
  uint32_t all = trial->network.options.authorities;
  while (node_figure(relay, "authorities_that_took_the_descriptor") < all && trial->network.sim.now < late && !trial->network.sim.broken)
    sim_run_for(&trial->network.sim, 50 * MILLISECONDS);
  return node_figure(relay, "authorities_that_took_the_descriptor") == all;
}

static const struct network_options FOUR = {.authorities = 4, .relays = 3, .exits = 1, .clients = 1, .delay = 10 * MILLISECONDS, .timing = &calm_timing};

static void expect_epochs(struct trial *trial, uint64_t since, instant began) {
  uint64_t seconds = (trial->network.sim.now - began) / SECONDS, least = seconds / 10 - 1;
  expect(trial, trial->watch.newest >= since + least, "%llu epochs in %llu s", (unsigned long long)(trial->watch.newest - since), (unsigned long long)seconds);
}

/* ATTACKS 12, 15, 20: strangers at a few addresses. Somebody new is taken all the same. */
static void strangers_flood(struct trial *trial) {
  struct flooder *flooders[FLOODERS];
  trial_start(trial, &FOUR);
  if (!expect(trial, network_run_until_ready(&trial->network, 120 * SECONDS), "the client is not ready")) return;
  struct node *hole = make_hole(trial);
  for (uint32_t i = 0; i < FLOODERS; i++) flooders[i] = start_flooder(trial, i + 1, true, 6, hole);
  instant began = trial->network.sim.now;
  uint64_t epoch = trial->watch.newest, checked = figure_of_authorities(trial, "signatures_checked"), handed_in = 0;
  sim_run_for(&trial->network.sim, 10 * SECONDS);
  struct node *newcomer = network_add_relay(&trial->network, 9);
  expect(trial, is_taken_by_all(trial, newcomer, 15 * SECONDS), "a new relay is not taken");
  expect(trial, trial_run_until_listed(trial, newcomer, true, 30 * SECONDS), "a new relay is not listed");
  sim_run_for(&trial->network.sim, instant_until(trial->network.sim.now, instant_after(began, FLOOD_SECONDS * SECONDS)));
  expect_epochs(trial, epoch, began);
  for (uint32_t i = 0; i < FLOODERS; i++) handed_in += flooder_handed_in(flooders[i]);
  expect(trial, handed_in > 10000, "only %llu were handed in: the scenario proves nothing", (unsigned long long)handed_in);
  uint64_t seconds = (trial->network.sim.now - began) / SECONDS + 1;
  uint64_t most = FLOODERS * (LIMIT_DESCRIPTORS_AT_ONCE + seconds / LIMIT_DESCRIPTOR_GAP_S) + 16;
  checked = figure_of_authorities(trial, "signatures_checked") - checked;
  expect(trial, checked <= most * STEPS_PER_DESCRIPTOR, "%llu signatures checked", (unsigned long long)checked);
  expect(trial, figure_of_authorities(trial, "descriptors_too_busy") > 1000, "what is over is not counted");
}

/* The same from where addresses do not count, so that the newcomers' share is used up: a relay that is known has its own. */
static void newcomers_flood(struct trial *trial) {
  trial_start(trial, &FOUR);
  if (!expect(trial, network_run_until_ready(&trial->network, 120 * SECONDS), "the client is not ready")) return;
  struct flooder *flooders[FLOODERS];
  struct node *hole = make_hole(trial);
  for (uint32_t i = 0; i < FLOODERS; i++) flooders[i] = start_flooder(trial, i + 1, false, 10, hole);
  instant began = trial->network.sim.now;
  uint64_t epoch = trial->watch.newest, checked = figure_of_authorities(trial, "signatures_checked"), taken = 0;
  sim_run_for(&trial->network.sim, (FLOOD_SECONDS / 3) * SECONDS);
  struct node *relay = trial_node(trial, "r", 1);
  network_kill(relay);
  expect(trial, trial_run_until_listed(trial, relay, false, 25 * SECONDS), "a known relay that is gone is not noticed");
  network_start(relay);
  expect(trial, is_taken_by_all(trial, relay, SECONDS / 2), "a known relay's new descriptor is not taken at once");
  sim_run_for(&trial->network.sim, instant_until(trial->network.sim.now, instant_after(began, FLOOD_SECONDS * SECONDS)));
  expect(trial, trial_run_until_listed(trial, relay, true, 15 * SECONDS), "a known relay is not listed");
  expect_epochs(trial, epoch, began);
  uint64_t seconds = (trial->network.sim.now - began) / SECONDS + 1, most = LIMIT_NEWCOMERS_AT_ONCE + seconds * LIMIT_NEWCOMERS_PER_SECOND + 16;
  checked = figure_of_authorities(trial, "signatures_checked") - checked;
  expect(trial, checked <= most * STEPS_PER_DESCRIPTOR, "%llu signatures checked in %llu s", (unsigned long long)checked, (unsigned long long)seconds);
  for (uint32_t i = 0; i < FLOODERS; i++) taken += flooder_taken(flooders[i]);
  expect(trial, taken > 4 * LIMIT_NEWCOMERS_AT_ONCE, "the newcomers' share was never used up: the scenario proves nothing");
  expect(trial, trial_fetches(trial, 1, NULL, 200000, 30 * SECONDS), "no transfer during the flood");
}

/* ---- a guard ---- */

enum { GUARD_FLOODERS = 2, CREATING = 25, SILENT = 45, GUARD_FETCHES = 12, GUARD_POOL = 512 };
#define GUARD_HANDSHAKE (1 * MILLISECONDS)
/* What its cells take, with the slabs they come in. */
enum { GUARD_BYTES = GUARD_POOL * 1600 + 128 * 1024 };

/* The slowest of some fetches, each over a circuit of its own; those that stand ready are soon used up. */
static uint64_t slowest_fetch(struct trial *trial, const char *when, const struct node *guard) {
  uint64_t slowest = 0;
  for (uint32_t i = 0; i < GUARD_FETCHES; i++) {
    char user[24];
    snprintf(user, sizeof user, "%s%u", when, i);
    instant began = trial->network.sim.now;
    if (!expect(trial, trial_fetches(trial, 1, user, 20000, 20 * SECONDS), "%s: fetch %u does not come", when, i)) break;
    if (trial->network.sim.now - began > slowest) slowest = trial->network.sim.now - began;
    if (!expect(trial, memory_budget_used(&guard->budget) <= GUARD_BYTES, "the guard holds %zu bytes", memory_budget_used(&guard->budget))) break;
  }
  return slowest;
}

/* ATTACKS 12: circuits without end and connections that never say a word, all at the guard of somebody else, whose processor
 * they could fill many times over. Its clients go on, and what is refused is counted. */
static void guard_flood(struct trial *trial) {
  static const struct network_options options = {.authorities = 1, .relays = 3, .exits = 1, .clients = 1, .delay = 10 * MILLISECONDS,
                                                 .pool_cells = GUARD_POOL, .timing = &calm_timing};
  struct flooder *flooders[GUARD_FLOODERS];
  trial_start(trial, &options);
  if (!expect(trial, network_run_until_ready(&trial->network, 120 * SECONDS), "the client is not ready")) return;
  struct node *client = trial_node(trial, "c", 1), *guard = client_path_node(trial, client, 0);
  guard->host->work_time = GUARD_HANDSHAKE;
  uint64_t quiet = slowest_fetch(trial, "quiet", guard);
  for (uint32_t i = 0; i < GUARD_FLOODERS; i++) {
    struct node *node = add_flooder(trial, i + 1, true);
    node->host->delay = (80 + 40 * i) * MILLISECONDS; /* how soon it hears that it was refused is how fast it asks */
    const struct relay_entry *entry = consensus_find(client_consensus(client->client), guard->self.identity);
    flooders[i] = start(node, flooder_of_circuits(&trial->network.sim, &node->self, entry, CREATING, SILENT));
  }
  uint64_t answered = node_figure(guard, "creates_answered"), failed = node_figure(client, "circuits_failed"), asked = 0;
  instant began = trial->network.sim.now;
  sim_run_for(&trial->network.sim, SECONDS);
  uint64_t flooded = slowest_fetch(trial, "flooded", guard), most = (trial->network.sim.now - began) / GUARD_HANDSHAKE;
  sim_run_for(&trial->network.sim, 2 * SECONDS); /* what it says of itself is a second old */
  answered = node_figure(guard, "creates_answered") - answered;
  for (uint32_t i = 0; i < GUARD_FLOODERS; i++) asked += flooder_handed_in(flooders[i]);
  expect(trial, asked > 4 * most, "only %llu circuits were begun: the scenario proves nothing", (unsigned long long)asked);
  expect(trial, flooded <= 2 * quiet, "a fetch takes %llu ms, not %llu", (unsigned long long)(flooded / MILLISECONDS), (unsigned long long)(quiet / MILLISECONDS));
  failed = node_figure(client, "circuits_failed") - failed;
  expect(trial, failed == 0, "%llu circuits of somebody else failed", (unsigned long long)failed);
  expect(trial, client_path_node(trial, client, 0) == guard && node_figure(guard, "unlisted_seconds") == 0, "the guard is given up for it");
  expect(trial, answered > most / 2, "the guard computes for nothing: of %llu handshakes %llu were answered", (unsigned long long)most, (unsigned long long)answered);
  expect(trial, node_figure(guard, "creates_refused") > most && node_figure(guard, "connections_refused") > 0, "what is over is not counted");
  expect(trial, node_figure(guard, "links") < (GUARD_FLOODERS + 1) * LIMIT_LINKS_PER_ADDRESS, "it has %llu links", (unsigned long long)node_figure(guard, "links"));
}

const struct scenario scenarios_flood[] = {
    {"strangers-flood", 2, strangers_flood},
    {"newcomers-flood", 2, newcomers_flood},
    {"guard-flood", 2, guard_flood},
    {NULL, 0, NULL},
};
