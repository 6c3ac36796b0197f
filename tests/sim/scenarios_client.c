/* Scenarios of a client's life: killed and started from its files; guards that go and come back; circuits that others break. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/scenario.h"

static const struct network_options WIDE = {.authorities = 1, .relays = 6, .exits = 2, .clients = 1, .delay = 10 * MILLISECONDS};

/* Starts, and says through which guard. */
static struct node *start_with_guard(struct trial *trial) {
  trial_start(trial, &WIDE);
  if (!expect(trial, network_run_until_ready(&trial->network, 60 * SECONDS), "the client is not ready")) return NULL;
  /* Relays that were listed late are in the sample from now on. */
  if (!expect(trial, trial_fetches(trial, 1, "first", 1000, 30 * SECONDS), "the first transfer failed")) return NULL;
  sim_run_for(&trial->network.sim, 30 * SECONDS);
  if (!expect(trial, trial_fetches(trial, 1, "second", 1000, 30 * SECONDS), "the second transfer failed")) return NULL;
  return client_path_node(trial, network_node(&trial->network, "c1"), 0);
}

/* The guard of a circuit that is new. */
static const struct node *guard_now(struct trial *trial, const char *user) {
  expect(trial, trial_fetches(trial, 1, user, 1000, 60 * SECONDS), "`%s`: the transfer failed", user);
  return client_path_node(trial, network_node(&trial->network, "c1"), 0);
}

/* From its files: the same guard, and ready as soon as the links' round trips allow. */
static void client_restarts(struct trial *trial) {
  const struct node *guard = start_with_guard(trial);
  struct node *client = network_node(&trial->network, "c1");
  if (guard == NULL) return;
  for (uint32_t i = 0; i < 3; i++) {
    network_kill(client);
    sim_run_for(&trial->network.sim, trial_draw(trial, 5000) * MILLISECONDS);
    network_start(client);
    instant began = trial->network.sim.now;
    expect(trial, trial_run_until_client(trial, client, true, 10 * SECONDS), "not ready after it was started again: %s", outcome_name(node_cause(client)));
    /* Link: TCP and one round trip; three hops: 1 + 2 + 3 of them; 40 ms each. */
    uint64_t took_ms = (trial->network.sim.now - began) / MILLISECONDS;
    expect(trial, took_ms <= 1000 + 8 * 40, "ready only after %llu ms", (unsigned long long)took_ms);
    const struct node *now = client_path_node(trial, client, 0);
    expect(trial, now == guard, "the guard was %s, and is %s after a restart", guard->host->name, now == NULL ? "none" : now->host->name);
  }
}

/* A guard that is gone is replaced by another of the sample, and is the guard again when it is back. */
static void guard_killed(struct trial *trial) {
  struct node *guard = start_with_guard(trial);
  if (guard == NULL) return;
  network_kill(guard);
  const struct node *other = guard_now(trial, "without");
  expect(trial, other != NULL && other != guard, "a path through a guard that is gone");
  network_start(guard);
  expect(trial, trial_run_until_listed(trial, guard, true, 60 * SECONDS), "the guard is not listed again");
  /* It is tried again after 64 s at most; circuits that stand ready go through the other one for a while. */
  bool is_back = false;
  for (uint32_t i = 0; i < 30 && !is_back; i++) {
    char user[16];
    snprintf(user, sizeof user, "back%u", i);
    sim_run_for(&trial->network.sim, 10 * SECONDS);
    is_back = guard_now(trial, user) == guard;
  }
  expect(trial, is_back, "%s is back and is not used", guard->host->name);
}

/* ATTACKS 23: whoever breaks circuits behind the guard never moves the client to another guard. */
static void middles_break_circuits(struct trial *trial) {
  const struct node *guard = start_with_guard(trial);
  if (guard == NULL) return;
  struct node *client = network_node(&trial->network, "c1");
  for (uint32_t i = 0; i < 30; i++) {
    char user[16];
    snprintf(user, sizeof user, "cut%u", i);
    network_fetch(&trial->network, 1, user, 700000, false);
    sim_run_for(&trial->network.sim, (200 + trial_draw(trial, 500)) * MILLISECONDS);
    for (struct list_node *n = list_first(&trial->network.nodes); n != NULL; n = list_after(&trial->network.nodes, n)) {
      struct node *node = LIST_OBJECT(n, struct node, list);
      bool is_relay = node->role == NODE_RELAY || node->role == NODE_EXIT;
      if (is_relay && node != guard) sim_cut_connections(node->host, guard->host);
    }
  }
  network_run_until_fetched(&trial->network, 120 * SECONDS);
  expect(trial, node_figure(client, "circuits_died") + node_figure(client, "circuits_failed") >= 10, "hardly any circuit was broken: the scenario proves nothing");
  expect(trial, node_figure(client, "guard_failures") == 0, "the guard was blamed for what others did");
  for (uint32_t i = 0; i < 4; i++) {
    char user[16];
    snprintf(user, sizeof user, "after%u", i);
    sim_run_for(&trial->network.sim, 20 * SECONDS);
    const struct node *now = guard_now(trial, user);
    expect(trial, now == guard, "the guard was %s and is %s", guard->host->name, now == NULL ? "none" : now->host->name);
  }
}

const struct scenario scenarios_client[] = {
    {"client-restarts", 4, client_restarts},
    {"guard-killed", 4, guard_killed},
    {"middles-break-circuits", 3, middles_break_circuits},
    {NULL, 0, NULL},
};
