/* Scenarios of size: many relays and clients at once; prints what they cost. */
#include <stdio.h>
#include <time.h>

#include "tests/sim/scenario.h"

static double cpu_seconds(void) {
  return (double)clock() / CLOCKS_PER_SEC;
}

static bool everyone_is_ready(struct trial *trial) {
  for (uint32_t i = 1; i <= trial->network.options.clients; i++)
    if (!network_client_is_ready(trial_node(trial, "c", i))) return false;
  return true;
}

/* Sixty relays and twenty clients on a lab's timing, each client fetching now and then. */
static void many(struct trial *trial) {
  static const struct network_options options = {.authorities = 4, .relays = 48, .exits = 12, .clients = 20, .delay = 20 * MILLISECONDS};
  double began = cpu_seconds();
  trial_start(trial, &options);
  if (!expect(trial, network_run_until_ready(&trial->network, 120 * SECONDS), "a client is not ready")) return;
  for (uint32_t i = 0; i < 40; i++) {
    char user[16];
    snprintf(user, sizeof user, "u%u", i);
    network_fetch(&trial->network, 1 + i % options.clients, user, 1 + trial_draw(trial, 300000), i % 2 == 0);
    sim_run_for(&trial->network.sim, SECONDS);
  }
  expect(trial, network_run_until_fetched(&trial->network, 60 * SECONDS), "a transfer has not ended");
  for (uint32_t i = 0; i < 40; i++) {
    const struct fetch_result *result = trial_result(trial, 1 + i % options.clients, i / options.clients);
    expect(trial, result->done && !result->failed, "fetch %u: %llu of %llu bytes, reply %u", i, (unsigned long long)result->got, (unsigned long long)result->want,
           result->socks_reply);
  }
  expect(trial, everyone_is_ready(trial), "a client is no longer ready");
  const struct sim *sim = &trial->network.sim;
  expect(trial, consensus_count(node_consensus(network_node(&trial->network, "c1"))) == 60, "c1 knows %u relays of 60", consensus_count(node_consensus(network_node(&trial->network, "c1"))));
  printf("  84 nodes for %.0f s: %llu turns, %llu chunks, %llu bytes, epoch %llu; %.1f s of processor time\n", (double)(sim->now - 1000 * SECONDS) / 1e9,
         (unsigned long long)sim->turns, (unsigned long long)sim->chunks, (unsigned long long)sim->bytes, (unsigned long long)trial->watch.newest,
         cpu_seconds() - began);
}

const struct scenario scenarios_many[] = {
    {"many", 1, many},
    {NULL, 0, NULL},
};
