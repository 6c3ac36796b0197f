/* Scenarios of attacks and accidents: bits flipped on the wire, connections cut, readers that read nothing, kill -9 anywhere. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/scenario.h"

static bool start_ready(struct trial *trial, const struct network_options *options) {
  trial_start(trial, options);
  return expect(trial, network_run_until_ready(&trial->network, 120 * SECONDS), "a client is not ready");
}

static bool is_of_network(const struct sim_host *host) {
  const struct node *node = host->owner;
  return node->role != NODE_WEB && node->role != NODE_APP;
}

static struct node *draw_node(struct trial *trial) {
  uint32_t count = 0;
  for (struct list_node *n = list_first(&trial->network.nodes); n != NULL; n = list_after(&trial->network.nodes, n)) count++;
  for (;;) {
    struct list_node *n = list_first(&trial->network.nodes);
    for (uint64_t steps = trial_draw(trial, count); steps > 0; steps--) n = list_after(&trial->network.nodes, n);
    struct node *node = LIST_OBJECT(n, struct node, list);
    if (is_of_network(node->host)) return node;
  }
}

/* A fetch by every client, of up to `most` bytes, under one of four names. */
static void begin_fetches(struct trial *trial, uint64_t most) {
  for (uint32_t client = 1; client <= trial->network.options.clients; client++) {
    char user[16];
    snprintf(user, sizeof user, "u%u", (uint32_t)trial_draw(trial, 4));
    network_fetch(&trial->network, client, user, 1 + trial_draw(trial, most), trial_draw(trial, 2) == 0);
  }
}

/* Whatever happened: within two minutes epochs are decided, and in another one every client fetches again. */
static void expect_recovery(struct trial *trial) {
  struct network *network = &trial->network;
  expect(trial, trial_run_until_epoch(trial, trial->watch.newest + 2, 2 * MINUTES), "nothing is decided afterwards");
  network_run_until_fetched(network, 2 * MINUTES);
  for (uint32_t client = 1; client <= network->options.clients; client++) {
    bool fetched = false;
    for (uint32_t i = 0; i < 6 && !fetched; i++) {
      char user[24];
      snprintf(user, sizeof user, "after%u", i);
      fetched = trial_fetches(trial, client, user, 300000, 60 * SECONDS);
      if (!fetched) sim_run_for(&network->sim, 10 * SECONDS);
    }
    expect(trial, fetched, "c%u can't fetch afterwards: %s", client, outcome_name(node_cause(trial_node(trial, "c", client))));
  }
}

/* ---- on the wire ---- */

enum { ONE_CHUNK_IN = 60 };

static void flip(struct sim *sim, struct sim_host *from, struct sim_host *to, uint8_t *bytes, size_t len) {
  struct trial *trial = sim->scenario;
  if (!is_of_network(from) || !is_of_network(to) || trial_draw(trial, ONE_CHUNK_IN) != 0) return;
  bytes[trial_draw(trial, len)] ^= (uint8_t)(1u << trial_draw(trial, 8));
}

/* ATTACKS 1: one bit changed anywhere ends a link, and nothing else ever comes of it. */
static void bits_flipped(struct trial *trial) {
  static const struct network_options options = {.authorities = 4, .relays = 4, .exits = 2, .clients = 2, .delay = 10 * MILLISECONDS, .timing = &calm_timing};
  if (!start_ready(trial, &options)) return;
  trial->network.sim.tamper = flip;
  for (uint32_t i = 0; i < 60; i++) {
    begin_fetches(trial, 400000);
    sim_run_for(&trial->network.sim, (100 + trial_draw(trial, 900)) * MILLISECONDS);
  }
  trial->network.sim.tamper = NULL;
  expect_recovery(trial);
}

/* ATTACKS 2, 30: connections end at any moment, with whatever is on its way. */
static void connections_cut(struct trial *trial) {
  static const struct network_options options = {.authorities = 4, .relays = 4, .exits = 2, .clients = 2, .shards = 2, .delay = 10 * MILLISECONDS,
                                                 .bytes_per_s = 5000000, .timing = &calm_timing};
  if (!start_ready(trial, &options)) return;
  for (uint32_t i = 0; i < 100; i++) {
    if (i % 4 == 0) begin_fetches(trial, 1000000);
    sim_run_for(&trial->network.sim, trial_draw(trial, 300) * MILLISECONDS);
    sim_cut_connections(draw_node(trial)->host, trial_draw(trial, 2) == 0 ? NULL : draw_node(trial)->host);
  }
  expect_recovery(trial);
}

/* ---- Sniper ---- */

static bool pools_within_limits(struct trial *trial, uint64_t most) {
  for (struct list_node *n = list_first(&trial->network.nodes); n != NULL; n = list_after(&trial->network.nodes, n)) {
    const struct node *node = LIST_OBJECT(n, struct node, list);
    if (node->keeper != NULL && memory_budget_used(&node->budget) > most) return expect(trial, false, "%s holds %zu bytes", node->host->name, memory_budget_used(&node->budget));
  }
  return true;
}

static uint64_t sum_of(struct trial *trial, const char *figure) {
  uint64_t sum = 0;
  for (struct list_node *n = list_first(&trial->network.nodes); n != NULL; n = list_after(&trial->network.nodes, n)) {
    const struct node *node = LIST_OBJECT(n, struct node, list);
    if (node->keeper != NULL) sum += node_figure(node, figure);
  }
  return sum;
}

static const struct network_options NARROW = {.authorities = 1, .relays = 2, .exits = 1, .clients = 2, .delay = 10 * MILLISECONDS, .pool_cells = 512};
/* What 512 cells take, with the slabs they come in. */
enum { NARROW_BYTES = 512 * 1600 + 128 * 1024 };

static void begin_deaf_streams(struct trial *trial, uint32_t count, uint64_t bytes) {
  struct node *app = network_node(&trial->network, "app1");
  for (uint32_t i = 0; i < count; i++) {
    char user[16];
    snprintf(user, sizeof user, "deaf%u", i % 20);
    fetcher_begin(app->fetcher, trial->network.sim.now, user, "web", NETWORK_WEB_PORT, bytes, false, 1000);
  }
  sim_poke(app->host, 0);
}

/* Others are served while somebody reads nothing. */
static void expect_others_served(struct trial *trial, uint64_t most) {
  for (uint32_t i = 0; i < 10; i++) {
    char user[16];
    snprintf(user, sizeof user, "other%u", i % 3);
    expect(trial, trial_fetches(trial, 2, user, 400000, 60 * SECONDS), "c2 gets nothing while another reads nothing");
    if (!pools_within_limits(trial, most)) return;
  }
}

/* An application that stops reading: its stream waits, and goes on where it stopped. */
static void reader_sleeps(struct trial *trial) {
  if (!start_ready(trial, &NARROW)) return;
  struct node *app = network_node(&trial->network, "app1");
  begin_deaf_streams(trial, 1, 12000000);
  sim_run_for(&trial->network.sim, 20 * SECONDS);
  expect_others_served(trial, NARROW_BYTES);
  expect(trial, fetcher_result(app->fetcher, 0)->got < 1000000, "it was to stop reading");
  fetcher_release(app->fetcher, 0);
  sim_poke(app->host, 0);
  network_run_until_fetched(&trial->network, 2 * MINUTES);
  const struct fetch_result *result = fetcher_result(app->fetcher, 0);
  expect(trial, result->done && !result->failed, "released, it got %llu of %llu bytes", (unsigned long long)result->got, (unsigned long long)result->want);
}

/* ATTACKS 11: two hundred streams whose client takes nothing from its guard any more. */
static void sniper(struct trial *trial) {
  if (!start_ready(trial, &NARROW)) return;
  begin_deaf_streams(trial, 200, 1000000);
  sim_run_for(&trial->network.sim, (500 + trial_draw(trial, 3000)) * MILLISECONDS);
  sim_set_cut(network_node(&trial->network, "c1")->host, true);
  for (uint32_t i = 0; i < 10 && pools_within_limits(trial, NARROW_BYTES); i++) sim_run_for(&trial->network.sim, SECONDS);
  expect_others_served(trial, NARROW_BYTES);
  sim_run_for(&trial->network.sim, 5 * SECONDS);
  expect(trial, sum_of(trial, "evicted") > 0 || sum_of(trial, "pool_cells_used") <= 512, "the relays' memory was never short: the scenario proves nothing");
  struct node *app = network_node(&trial->network, "app1");
  for (uint32_t i = 0; i < fetcher_count(app->fetcher); i++) fetcher_release(app->fetcher, i);
  sim_set_cut(network_node(&trial->network, "c1")->host, false);
  expect_recovery(trial);
}

/* Uploads by the application of this client; their destination takes no more after `stall` bytes (0: it takes all). */
static void begin_uploads(struct trial *trial, uint32_t client, uint32_t count, uint64_t bytes, uint64_t stall) {
  struct node *app = trial_node(trial, "app", client);
  for (uint32_t i = 0; i < count; i++) {
    char user[16];
    snprintf(user, sizeof user, "up%u", i);
    fetcher_upload(app->fetcher, trial->network.sim.now, user, "web", NETWORK_WEB_PORT, bytes, stall);
  }
  sim_poke(app->host, 0);
}

/* ATTACKS 11, upwards: destinations that take quickly, so that the exit promises much, and then nothing for ever while their client sends on. */
static void uploads_stall(struct trial *trial) {
  enum { STALLED = 4, BESIDE = 3 };
  if (!start_ready(trial, &NARROW)) return;
  begin_uploads(trial, 1, STALLED, 40000000, 3000000);
  begin_uploads(trial, 2, BESIDE, 6000000, 0);
  for (uint32_t i = 0; i < 30 && pools_within_limits(trial, NARROW_BYTES); i++) sim_run_for(&trial->network.sim, SECONDS);
  expect_others_served(trial, NARROW_BYTES);
  expect(trial, sum_of(trial, "evicted") > 0, "the exit's memory was never short: the scenario proves nothing");
  for (uint32_t i = 0; i < BESIDE; i++) {
    const struct fetch_result *result = trial_result(trial, 2, i);
    expect(trial, result->done && !result->failed, "an upload that went on ended with reply %u, %s", result->socks_reply, result->done ? "cut" : "standing still");
  }
  uint32_t evicted = 0;
  for (uint32_t i = 0; i < STALLED; i++) evicted += trial_result(trial, 1, i)->done;
  expect(trial, evicted > 0, "nobody who stood still was evicted");
  expect_recovery(trial);
}

/* ---- kill -9 ---- */

/* ATTACKS 31: any node dies at any moment and starts from its files. Clients too, whose applications see a reset. */
static void kill_nine(struct trial *trial) {
  static const struct network_options options = {.authorities = 4, .relays = 5, .exits = 2, .clients = 2, .shards = 2, .delay = 10 * MILLISECONDS,
                                                 .timing = &calm_timing};
  if (!start_ready(trial, &options)) return;
  instant end = instant_after(trial->network.sim.now, 3 * MINUTES);
  for (uint32_t i = 0; trial->network.sim.now < end && !trial->network.sim.broken; i++) {
    struct node *node = draw_node(trial);
    if (!node->host->is_up) network_start(node);
    else if (trial_draw(trial, 3) != 0) network_kill(node);
    if (i % 4 == 0) begin_fetches(trial, 400000);
    sim_run_for(&trial->network.sim, trial_draw(trial, 2500) * MILLISECONDS);
  }
  for (struct list_node *n = list_first(&trial->network.nodes); n != NULL; n = list_after(&trial->network.nodes, n)) {
    struct node *node = LIST_OBJECT(n, struct node, list);
    if (!node->host->is_up) network_start(node);
  }
  expect_recovery(trial);
}

const struct scenario scenarios_attack[] = {
    {"bits-flipped", 3, bits_flipped},
    {"connections-cut", 3, connections_cut},
    {"reader-sleeps", 2, reader_sleeps},
    {"sniper", 2, sniper},
    {"uploads-stall", 2, uploads_stall},
    {"kill-nine", 2, kill_nine},
    {NULL, 0, NULL},
};
