/* Scenarios of traffic: transfers, early data, many streams, several shards, the same run twice. */
#include <stdio.h>
#include <string.h>

#include "relay/shard_internal.h"
#include "tests/sim/scenario.h"

static const struct network_options SMALL = {.authorities = 1, .relays = 3, .exits = 1, .clients = 1, .delay = 10 * MILLISECONDS};

static uint64_t shard_cells_sent(const struct shard *shard) {
  return shard->trunks.cells_sent;
}

static void expect_all_fetched(struct trial *trial, uint64_t within) {
  expect(trial, network_run_until_fetched(&trial->network, within), "a transfer has not ended");
  for (uint32_t client = 1; client <= trial->network.options.clients; client++) {
    const struct fetcher *fetcher = trial_node(trial, "app", client)->fetcher;
    for (uint32_t i = 0; i < fetcher_count(fetcher); i++) {
      const struct fetch_result *result = fetcher_result(fetcher, i);
      expect(trial, result->done && !result->failed, "app%u, fetch %u: %llu of %llu bytes, reply %u", client, i, (unsigned long long)result->got,
             (unsigned long long)result->want, result->socks_reply);
    }
  }
}

/* Large, early, and twenty at once whose credentials keep them apart. */
static void begin_mixed_load(struct trial *trial, uint32_t client) {
  network_fetch(&trial->network, client, NULL, 4000000 + trial_draw(trial, 1000000), false);
  network_fetch(&trial->network, client, "early", 2000000 + trial_draw(trial, 1000000), true);
  for (uint32_t i = 0; i < 20; i++) {
    char user[16];
    snprintf(user, sizeof user, "user%u", i);
    network_fetch(&trial->network, client, user, 1 + trial_draw(trial, 200000), i % 2 == 0);
  }
}

static void carries(struct trial *trial) {
  trial_start(trial, &SMALL);
  if (!expect(trial, network_run_until_ready(&trial->network, 60 * SECONDS), "the client is not ready")) return;
  begin_mixed_load(trial, 1);
  expect_all_fetched(trial, 60 * SECONDS);
  /* 22 isolations: as many circuits carried something. */
  uint64_t built = node_figure(network_node(&trial->network, "c1"), "circuits_built");
  expect(trial, built >= 22, "only %llu circuits for 22 isolations", (unsigned long long)built);
}

/* Relays of two shards: links and the circuits over them are spread, and every byte arrives. */
static void shards_carry(struct trial *trial) {
  struct network_options options = SMALL;
  options.shards = 2;
  options.clients = 4;
  trial_start(trial, &options);
  if (!expect(trial, network_run_until_ready(&trial->network, 60 * SECONDS), "a client is not ready")) return;
  for (uint32_t client = 1; client <= options.clients; client++) begin_mixed_load(trial, client);
  expect_all_fetched(trial, 2 * MINUTES);
  uint32_t spread = 0;
  for (struct list_node *n = list_first(&trial->network.nodes); n != NULL; n = list_after(&trial->network.nodes, n)) {
    const struct node *node = LIST_OBJECT(n, struct node, list);
    if (node->keeper != NULL) spread += shard_cells_sent(node->shards[0]) > 1000 && shard_cells_sent(node->shards[1]) > 1000;
  }
  expect(trial, spread >= 2, "only %u relays carried cells in both shards", spread);
}

/* A download that never ends, and small requests beside it on the same circuit. */
static void streams_take_turns(struct trial *trial) {
  struct network_options options = SMALL;
  options.bytes_per_s = 2000000;
  trial_start(trial, &options);
  if (!expect(trial, network_run_until_ready(&trial->network, 60 * SECONDS), "the client is not ready")) return;
  uint32_t bulk = network_fetch(&trial->network, 1, NULL, UINT64_C(100000000000), false);
  sim_run_for(&trial->network.sim, 3 * SECONDS);
  for (uint32_t i = 0; i < 8; i++) {
    uint32_t small = network_fetch(&trial->network, 1, NULL, 50000, false);
    instant begun = trial->network.sim.now;
    while (!trial_result(trial, 1, small)->done && trial->network.sim.now - begun < 20 * SECONDS)
      sim_run_for(&trial->network.sim, 50 * MILLISECONDS);
    const struct fetch_result *result = trial_result(trial, 1, small);
    uint64_t took = (trial->network.sim.now - begun) / MILLISECONDS;
    expect(trial, result->done && !result->failed && took < 4000, "a small request took %llu ms beside a download", (unsigned long long)took);
  }
  expect(trial, !trial_result(trial, 1, bulk)->done, "the download has ended");
}

struct footprint { uint64_t digest, turns, chunks, bytes; };

static struct footprint run_once(struct trial *trial, const struct network_options *options) {
  uint8_t seed[RANDOM_SEED_BYTES] = {(uint8_t)trial->seed};
  random_init(&trial->random, seed);
  trial_start(trial, options);
  expect(trial, network_run_until_ready(&trial->network, 60 * SECONDS), "the client is not ready");
  begin_mixed_load(trial, 1);
  expect_all_fetched(trial, 60 * SECONDS);
  const struct sim *sim = &trial->network.sim;
  struct footprint footprint = {sim->digest, sim->turns, sim->chunks, sim->bytes};
  trial_stop(trial);
  return footprint;
}

static void repeats(struct trial *trial) {
  struct network_options options = SMALL;
  options.authorities = 4;
  options.shards = 2;
  struct footprint first = run_once(trial, &options), second = run_once(trial, &options);
  expect(trial, memcmp(&first, &second, sizeof first) == 0, "the same seed gave two runs: %llu and %llu turns, %llu and %llu bytes",
         (unsigned long long)first.turns, (unsigned long long)second.turns, (unsigned long long)first.bytes, (unsigned long long)second.bytes);
  trial->seed++;
  struct footprint other = run_once(trial, &options);
  expect(trial, other.digest != first.digest, "another seed gave the same run");
}

const struct scenario scenarios_traffic[] = {
    {"carries", 4, carries},
    {"shards-carry", 2, shards_carry},
    {"streams-take-turns", 2, streams_take_turns},
    {"repeats", 1, repeats},
    {NULL, 0, NULL},
};
