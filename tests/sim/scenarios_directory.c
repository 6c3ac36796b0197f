/* Scenarios of the directory: authorities killed, cut off and flooded; relays that come, go and come back; clocks. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/scenario.h"

static const struct network_options FOUR = {.authorities = 4, .relays = 3, .exits = 1, .clients = 1, .delay = 10 * MILLISECONDS};

static bool start_ready(struct trial *trial, const struct network_options *options) {
  trial_start(trial, options);
  return expect(trial, network_run_until_ready(&trial->network, 120 * SECONDS), "the client is not ready: %s", outcome_name(node_cause(network_node(&trial->network, "c1"))));
}

static const struct network_timing minutes = {.interval = 60 * 1000, .valid = 10 * 60 * 1000, .early_gap = 5 * 1000, .view_first = 2 * 1000,
                                              .view_most = 10 * 1000, .fetch_spread = 10 * 1000, .onion_rotation = 15 * 60 * 1000,
                                              .probe_interval = 60 * 1000};

/* A power cut: all authorities start again at once, and long before relays hand their descriptors in again they have voted. */
static void authorities_restart(struct trial *trial) {
  struct network_options options = FOUR;
  options.timing = &minutes;
  if (!start_ready(trial, &options)) return;
  sim_run_for(&trial->network.sim, 2 * MINUTES + trial_draw(trial, MINUTES));
  uint64_t epoch = trial->watch.newest;
  for (uint32_t i = 1; i <= 4; i++) network_kill(trial_node(trial, "a", i));
  for (uint32_t i = 1; i <= 4; i++) network_start(trial_node(trial, "a", i));
  for (uint32_t i = 1; i <= 3; i++) {
    if (!expect(trial, trial_run_until_epoch(trial, epoch + i, 3 * MINUTES), "epoch %llu is not decided", (unsigned long long)epoch + i)) return;
    uint32_t listed = consensus_count(node_consensus(trial_node(trial, "a", 1)));
    expect(trial, listed == 4, "epoch %llu lists %u relays of 4", (unsigned long long)epoch + i, listed);
  }
  expect(trial, trial_fetches(trial, 1, "afterwards", 500000, 30 * SECONDS), "no transfer");
}

/* Any one authority of four may be gone, for good or for a while, and catches up by itself. */
static void authority_killed(struct trial *trial) {
  if (!start_ready(trial, &FOUR)) return;
  struct node *victim = trial_node(trial, "a", 1 + (uint32_t)trial_draw(trial, 4));
  network_kill(victim);
  uint64_t epoch = trial->watch.newest;
  expect(trial, trial_run_until_epoch(trial, epoch + 4, 80 * SECONDS), "three authorities of four decide nothing");
  expect(trial, trial_fetches(trial, 1, NULL, 500000, 30 * SECONDS), "no transfer while an authority is gone");
  network_start(victim);
  expect(trial, trial_run_until_epoch(trial, trial->watch.newest + 2, 60 * SECONDS), "%s does not catch up", victim->host->name);
}

/* What authorities say of their quorum. */
static struct { uint32_t lost, back; } told;

static void count_told(void *context, enum trace_level level, const char *area, const char *text) {
  (void)context, (void)area;
  told.lost += level == TRACE_WARNING && strstr(text, "nothing is decided until more are") != NULL;
  told.back += level == TRACE_NOTICE && strstr(text, "decisions go on") != NULL;
}

static bool expect_told(struct trial *trial, const char *when, uint32_t lost, uint32_t back) {
  return expect(trial, told.lost == lost && told.back == back, "%s: %u said that the quorum is lost and %u that it is back", when, told.lost, told.back);
}

/* [AUTH-8] */
static void quorum_lost(struct trial *trial) {
  struct network_options options = FOUR;
  options.timing = &minutes;
  if (!start_ready(trial, &options)) return;
  struct sim *sim = &trial->network.sim;
  sim->trace = (struct trace){.level = TRACE_NOTICE, .sink = count_told};
  network_kill(trial_node(trial, "a", 4));
  sim_run_for(sim, 2 * MINUTES);
  expect_told(trial, "three of four are a quorum", 0, 0);
  network_kill(trial_node(trial, "a", 3));
  sim_run_for(sim, 5 * MINUTES);
  expect_told(trial, "two of four", 2, 0);
  network_start(trial_node(trial, "a", 3));
  sim_run_for(sim, MINUTES);
  expect_told(trial, "three again", 2, 2);
  for (uint32_t i = 1; i <= 3; i++) network_kill(trial_node(trial, "a", i));
  told.lost = told.back = 0;
  network_start(trial_node(trial, "a", 4));
  sim_run_for(sim, 5 * MINUTES);
  expect_told(trial, "one that found nobody", 1, 0);
  for (uint32_t i = 1; i <= 3; i++) network_start(trial_node(trial, "a", i));
  sim_run_for(sim, MINUTES);
  expect_told(trial, "all, of whom three just started", 1, 1);
}

static void set_cut(struct trial *trial, bool cut) {
  for (uint32_t i = 1; i <= trial->network.options.authorities; i++) sim_set_cut(trial_node(trial, "a", i)->host, cut);
}

/* ATTACKS 20: the network goes on with the last consensus; voting resumes by itself. */
static void authorities_flooded(struct trial *trial) {
  struct network_options options = FOUR;
  options.timing = &calm_timing;
  if (!start_ready(trial, &options)) return;
  uint64_t epoch = trial->watch.newest;
  set_cut(trial, true);
  trial_expect_service(trial, 1, 4 * MINUTES, 20 * SECONDS);
  expect(trial, trial->watch.newest <= epoch + 1, "authorities that hear nobody decided epoch %llu", (unsigned long long)trial->watch.newest);
  set_cut(trial, false);
  expect(trial, trial_run_until_epoch(trial, trial->watch.newest + 3, 60 * SECONDS), "voting does not resume");
  trial_expect_service(trial, 1, 10 * SECONDS, SECONDS);
}

/* Links that were lost for an hour are back in time for a decision within two of the longest timers and a quarter. */
static void authorities_apart(struct trial *trial) {
  static const struct network_timing slow = {.interval = 5 * 60 * 1000, .valid = 4 * 3600 * 1000, .early_gap = 30 * 1000, .view_first = 10 * 1000,
                                             .view_most = 60 * 1000, .fetch_spread = 60 * 1000, .onion_rotation = 24 * 3600 * 1000,
                                             .probe_interval = 5 * 60 * 1000};
  struct network_options options = FOUR;
  options.timing = &slow;
  if (!start_ready(trial, &options)) return;
  uint64_t epoch = trial->watch.newest;
  for (uint32_t i = 1; i <= 4; i++) sim_cut_connections(trial_node(trial, "a", i)->host, NULL);
  set_cut(trial, true);
  trial_expect_service(trial, 1, 60 * MINUTES, 5 * MINUTES);
  set_cut(trial, false);
  expect(trial, trial_run_until_epoch(trial, epoch + 1, 135 * SECONDS), "messages get through and epoch %llu is not decided", (unsigned long long)epoch + 1);
}

/* Nobody answers an authority whose own link is flooded, and that says nothing of those it asks. */
static void flooded_authorities_test_relays(struct trial *trial) {
  struct network_options options = FOUR;
  options.timing = &minutes;
  options.relays = 8;
  if (!start_ready(trial, &options)) return;
  expect(trial, trial_run_until_listed(trial, trial_node(trial, "r", 8), true, 3 * MINUTES), "r8 is not listed");
  sim_run_for(&trial->network.sim, 2 * MINUTES);
  uint64_t epoch = trial->watch.newest;
  set_cut(trial, true);
  trial_expect_service(trial, 1, 6 * MINUTES, 20 * SECONDS);
  set_cut(trial, false);
  for (uint32_t i = 1; i <= 3; i++) {
    if (!expect(trial, trial_run_until_epoch(trial, epoch + i, 3 * MINUTES), "epoch %llu is not decided", (unsigned long long)epoch + i)) return;
    uint32_t listed = consensus_count(node_consensus(trial_node(trial, "a", 1)));
    expect(trial, listed == 9, "epoch %llu lists %u relays of 9", (unsigned long long)epoch + i, listed);
  }
  struct node *victim = trial_node(trial, "r", 1 + (uint32_t)trial_draw(trial, 8));
  sim_run_for(&trial->network.sim, 2 * MINUTES);
  network_kill(victim);
  expect(trial, trial_run_until_listed(trial, victim, false, 4 * MINUTES), "%s is gone and still listed", victim->host->name);
}

/* One in four hears nothing for an hour; the others go on, and it comes back with them. */
static void authority_cut_off(struct trial *trial) {
  struct network_options options = FOUR;
  options.timing = &minutes;
  if (!start_ready(trial, &options)) return;
  struct node *victim = trial_node(trial, "a", 1 + (uint32_t)trial_draw(trial, 4));
  uint64_t epoch = trial->watch.newest, own = node_epoch(victim);
  sim_set_cut(victim->host, true);
  trial_expect_service(trial, 1, 60 * MINUTES, 3 * MINUTES); /* onion keys rotate meanwhile */
  expect(trial, trial->watch.newest >= epoch + 50, "only %llu epochs in an hour without %s", (unsigned long long)(trial->watch.newest - epoch), victim->host->name);
  expect(trial, node_epoch(victim) <= own + 1, "%s decided alone", victim->host->name);
  sim_set_cut(victim->host, false);
  expect(trial, trial_run_until_epoch(trial, trial->watch.newest + 1, 3 * MINUTES), "%s does not catch up", victim->host->name);
  expect(trial, trial_fetches(trial, 1, NULL, 500000, 30 * SECONDS), "no transfer afterwards");
}

/* ---- relays ---- */

static bool is_on_path(struct trial *trial, const struct node *client, const struct node *relay) {
  for (uint32_t place = 0; place < 3; place++)
    if (client_path_node(trial, client, place) == relay) return true;
  return false;
}

/* Fetches under new names until a path goes through the relay. */
static bool carries_traffic(struct trial *trial, const struct node *relay) {
  for (uint32_t i = 0; i < 80; i++) {
    char user[24];
    snprintf(user, sizeof user, "via%u-%u", relay->index, i);
    if (!expect(trial, trial_fetches(trial, 1, user, 1000, 30 * SECONDS), "a fetch failed")) return false;
    if (is_on_path(trial, network_node(&trial->network, "c1"), relay)) return true;
    sim_run_for(&trial->network.sim, SECONDS / 2);
  }
  return false;
}

static void relays_come_and_go(struct trial *trial) {
  struct network_options options = FOUR;
  options.relays = 5;
  if (!start_ready(trial, &options)) return;
  struct node *victim = trial_node(trial, "r", 1 + (uint32_t)trial_draw(trial, 5));
  network_kill(victim);
  expect(trial, trial_run_until_listed(trial, victim, false, 60 * SECONDS), "%s is gone and still listed", victim->host->name);
  expect(trial, trial_fetches(trial, 1, "gone", 100000, 60 * SECONDS), "no transfer without %s", victim->host->name);
  struct node *added = network_add_relay(&trial->network, 6);
  expect(trial, trial_run_until_listed(trial, added, true, 60 * SECONDS), "r6 is not listed");
  expect(trial, carries_traffic(trial, added), "no path goes through r6");
  network_start(victim);
  expect(trial, trial_run_until_listed(trial, victim, true, 60 * SECONDS), "%s came back and is not listed", victim->host->name);
}

/* From its files a relay is what it was, at once: clients that know nothing of it go on using its keys. */
static void relay_restarts(struct trial *trial) {
  if (!start_ready(trial, &FOUR)) return;
  static const char *const names[] = {"r1", "r2", "r3", "x1"};
  struct node *relay = network_node(&trial->network, names[trial_draw(trial, 4)]);
  const struct relay_entry before = *consensus_find(node_consensus(network_node(&trial->network, "a1")), relay->self.identity);
  network_kill(relay);
  sim_run_for(&trial->network.sim, 100 * MILLISECONDS);
  network_start(relay);
  expect(trial, node_consensus(relay) != NULL, "%s starts without the consensus that it had", relay->host->name);
  expect(trial, trial_fetches(trial, 1, "again", 300000, 30 * SECONDS), "no transfer after %s was started again", relay->host->name);
  uint64_t epoch = trial->watch.newest;
  expect(trial, trial_run_until_epoch(trial, epoch + 2, 60 * SECONDS), "nothing is decided");
  const struct relay_entry *after = consensus_find(node_consensus(network_node(&trial->network, "a1")), relay->self.identity);
  if (!expect(trial, after != NULL, "%s is no longer listed", relay->host->name)) return;
  expect(trial, memcmp(before.onion_key, after->onion_key, sizeof before.onion_key) == 0, "%s made a new onion key", relay->host->name);
  expect(trial, memcmp(before.link_key, after->link_key, sizeof before.link_key) == 0, "%s has a new link key", relay->host->name);
}

/* ---- clocks ---- */

static void expect_cause(struct trial *trial, struct node *client, int64_t skew_ms, enum outcome cause) {
  network_kill(client);
  client->host->clock_skew_ms = skew_ms;
  network_start(client);
  sim_run_for(&trial->network.sim, 20 * SECONDS);
  expect(trial, node_cause(client) == cause, "a clock off by %lld s: %s, not %s", (long long)skew_ms / 1000, outcome_name(node_cause(client)), outcome_name(cause));
}

static void client_clock_is_off(struct trial *trial) {
  struct network_options options = FOUR;
  options.authorities = 1;
  if (!start_ready(trial, &options)) return;
  struct node *client = network_node(&trial->network, "c1");
  expect_cause(trial, client, -2 * 3600 * 1000, OUTCOME_CLOCK_WRONG);
  expect_cause(trial, client, 2 * 3600 * 1000, OUTCOME_CLOCK_WRONG);
  expect(trial, strcmp(node_text(client, "clock"), "ahead by 7200 s") == 0, "2 h ahead, and the status says `%s`", node_text(client, "clock"));
  sim_set_clock_skew(client->host, 0);
  expect(trial, trial_run_until_client(trial, client, true, 60 * SECONDS), "the clock is right again and the client not ready: %s", outcome_name(node_cause(client)));
  expect_cause(trial, client, 40 * 1000, OUTCOME_OK);
  expect(trial, strncmp(node_text(client, "warning"), "clock-wrong: 4", 14) == 0, "40 s ahead, and the hint is `%s`", node_text(client, "warning"));
  /* ATTACKS 29: jumps while it runs. */
  static const int64_t jumps[] = {-86400000, 86400000, 5000, -5000, 0};
  for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++) {
    sim_set_clock_skew(client->host, jumps[i]);
    sim_run_for(&trial->network.sim, 5 * SECONDS);
  }
  expect(trial, trial_fetches(trial, 1, NULL, 300000, 60 * SECONDS), "no transfer after the clock jumped");
}

static void authority_clock_is_off(struct trial *trial) {
  if (!start_ready(trial, &FOUR)) return;
  struct node *authority = trial_node(trial, "a", 1 + (uint32_t)trial_draw(trial, 4));
  for (int sign = -1; sign <= 1; sign += 2) {
    sim_set_clock_skew(authority->host, sign * 20 * 1000);
    expect(trial, trial_run_until_epoch(trial, trial->watch.newest + 4, 100 * SECONDS), "%s is %d s off and nothing is decided", authority->host->name, sign * 20);
    expect(trial, trial_fetches(trial, 1, NULL, 100000, 30 * SECONDS), "no transfer");
  }
}

const struct scenario scenarios_directory[] = {
    {"authority-killed", 2, authority_killed},
    {"quorum-lost", 2, quorum_lost},
    {"authorities-restart", 2, authorities_restart},
    {"authorities-flooded", 2, authorities_flooded},
    {"authorities-apart", 2, authorities_apart},
    {"flooded-authorities", 2, flooded_authorities_test_relays},
    {"authority-cut-off", 1, authority_cut_off},
    {"relays-come-and-go", 2, relays_come_and_go},
    {"relay-restarts", 3, relay_restarts},
    {"client-clock-is-off", 2, client_clock_is_off},
    {"authority-clock-is-off", 2, authority_clock_is_off},
    {NULL, 0, NULL},
};
