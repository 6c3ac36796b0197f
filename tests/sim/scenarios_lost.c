/* Scenarios of authorities that lost the record of what they promised, when nobody is left who could go on without them, and of
 * those that have the record and nothing else. */
#include <string.h>

#include "directory/agreement_ballot.h"
#include "tests/sim/scenario.h"

static void put_file(struct node *node, const char *name, const void *bytes, size_t len) {
  sim_put_file(node->host, name, document_new(bytes, len));
}

/* A damaged record counts as lost. */
static void lose_record(struct node *node) {
  put_file(node, AUTHORITY_BALLOT_FILE, "x", 1);
}

static bool start_ready(struct trial *trial, uint32_t authorities) {
  static struct network_options options;
  options = (struct network_options){.authorities = authorities, .relays = 3, .exits = 1, .clients = 1, .delay = 10 * MILLISECONDS, .timing = &calm_timing};
  trial_start(trial, &options);
  return expect(trial, network_run_until_ready(&trial->network, 120 * SECONDS), "the client is not ready");
}

static void expect_going_on(struct trial *trial, uint64_t within) {
  expect(trial, trial_run_until_epoch(trial, trial->watch.newest + 3, within), "it does not go on");
  expect(trial, trial_fetches(trial, 1, NULL, 200000, 30 * SECONDS), "no transfer afterwards");
}

/* Alone, its disk set back by some epochs: the relays have what is missing. */
static void alone_record_lost(struct trial *trial) {
  if (!start_ready(trial, 1)) return;
  struct node *a1 = trial_node(trial, "a", 1);
  struct document *old = document_take((struct document *)sim_file(a1->host, AUTHORITY_CONSENSUS_FILE));
  uint64_t epochs = trial_draw(trial, 4);
  expect(trial, trial_run_until_epoch(trial, trial->watch.newest + epochs, 80 * SECONDS), "nothing is decided");
  sim_run_for(&trial->network.sim, (3 + trial_draw(trial, 6)) * SECONDS); /* relays fetch it meanwhile */
  network_kill(a1);
  lose_record(a1);
  sim_put_file(a1->host, AUTHORITY_CONSENSUS_FILE, old);
  memset(trial->watch.nodes, 0, sizeof trial->watch.nodes); /* it may go back once */
  sim_run_for(&trial->network.sim, trial_draw(trial, 20) * SECONDS);
  network_start(a1);
  expect_going_on(trial, 90 * SECONDS);
}

/* Of four all lost theirs: nothing is decided any more, until people let three of them speak. */
static void all_records_lost(struct trial *trial) {
  enum { FOUR = 4 };
  if (!start_ready(trial, FOUR)) return;
  for (uint32_t i = 1; i <= FOUR; i++) network_kill(trial_node(trial, "a", i));
  for (uint32_t i = 1; i <= FOUR; i++) lose_record(trial_node(trial, "a", i));
  for (uint32_t i = 1; i <= FOUR; i++) network_start(trial_node(trial, "a", i));
  uint64_t epoch = trial->watch.newest;
  sim_run_for(&trial->network.sim, 2 * MINUTES);
  expect(trial, trial->watch.newest == epoch, "epoch %llu was decided by who knows nothing", (unsigned long long)trial->watch.newest);
  expect(trial, node_figure(trial_node(trial, "a", 1), "silent") == 1, "it does not say that it is silent");
  for (uint32_t i = 1; i < FOUR; i++) {
    struct node *node = trial_node(trial, "a", i);
    struct agreement_members members;
    struct agreement_certificate decided;
    uint8_t identities[LIMIT_AUTHORITIES][IDENTITY_BYTES], record[AGREEMENT_BALLOT_MAX_BYTES];
    const struct network_file *file = &trial->network.file;
    size_t len;
    for (uint32_t k = 0; k < FOUR; k++) memcpy(identities[k], file->authorities[k].identity, IDENTITY_BYTES);
    agreement_members_init(&members, file->id, file->serial, FOUR, identities);
    consensus_certificate(node_consensus(node), &decided);
    network_kill(node);
    expect(trial, agreement_forget_ballot(&members, (uint8_t)(i - 1), (const uint8_t *)"x", 1, &decided, file->digest, record, sizeof record, &len) == OUTCOME_OK,
           "no record is made");
    put_file(node, AUTHORITY_BALLOT_FILE, record, len);
    network_start(node);
  }
  expect_going_on(trial, 2 * MINUTES);
  sim_run_for(&trial->network.sim, 30 * SECONDS);
  expect(trial, node_figure(trial_node(trial, "a", FOUR), "silent") == 0, "the fourth, which nobody let speak, was to do so two epochs later");
}

/* Whether somebody's record binds it to a proposal of an epoch whose consensus nobody has yet. */
static bool is_locked(struct trial *trial) {
  static struct agreement_ballot ballot;
  const struct network_file *file = &trial->network.file;
  struct agreement_members members;
  uint8_t identities[LIMIT_AUTHORITIES][IDENTITY_BYTES];
  for (uint32_t i = 0; i < file->authority_count; i++) memcpy(identities[i], file->authorities[i].identity, IDENTITY_BYTES);
  agreement_members_init(&members, file->id, file->serial, file->authority_count, identities);
  for (uint32_t i = 0; i < file->authority_count; i++) {
    const struct document *record = sim_file(trial_node(trial, "a", i + 1)->host, AUTHORITY_BALLOT_FILE);
    if (record == NULL || agreement_ballot_decode(&members, (uint8_t)i, document_bytes(record), document_len(record), &ballot) != OUTCOME_OK) continue;
    if (ballot.lock.name.present && ballot.epoch > trial->watch.newest) return true;
  }
  return false;
}

/* [AUTH-17] The power goes for all of them between a lock and the decision: what is locked can be decided, so its votes must be there. */
static void cut_short(struct trial *trial) {
  enum { CUTS = 6 };
  static const uint32_t sizes[] = {1, 4};
  uint32_t n = sizes[trial->seed % 2];
  if (!start_ready(trial, n)) return;
  for (uint32_t i = 0; i < CUTS; i++) {
    instant late = instant_after(trial->network.sim.now, MINUTES);
    while (!is_locked(trial) && trial->network.sim.now < late) sim_run_for(&trial->network.sim, MILLISECONDS / 4);
    sim_run_for(&trial->network.sim, trial_draw(trial, n == 1 ? 2 : 20) * MILLISECONDS);
    uint64_t epoch = trial->watch.newest;
    for (uint32_t k = 1; k <= n; k++) network_kill(trial_node(trial, "a", k));
    for (uint32_t k = 1; k <= n; k++) network_start(trial_node(trial, "a", k));
    if (!expect(trial, trial_run_until_epoch(trial, epoch + 1, 30 * SECONDS), "the decision that was cut short is never made")) return;
  }
}

const struct scenario scenarios_lost[] = {
    {"cut-short", 4, cut_short},
    {"alone-record-lost", 4, alone_record_lost},
    {"all-records-lost", 2, all_records_lost},
    {NULL, 0, NULL},
};
