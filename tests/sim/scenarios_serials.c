/* Scenarios of the network file's serials: authorities added, removed and given other keys while transfers go on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/scenario.h"

static bool start_ready(struct trial *trial, uint32_t authorities) {
  const struct network_options options = {.authorities = authorities, .relays = 3, .exits = 1, .clients = 1, .delay = 10 * MILLISECONDS};
  trial_start(trial, &options);
  return expect(trial, network_run_until_ready(&trial->network, 120 * SECONDS), "the client is not ready: %s", outcome_name(node_cause(network_node(&trial->network, "c1"))));
}

/* The next serial of a file, signed by every authority that the simulator has. */
static struct document *sign_next(struct trial *trial, struct network_file *file, uint64_t starts) {
  static char text[LIMIT_NETWORK_FILE_BYTES];
  struct network *network = &trial->network;
  memcpy(file->previous, file->digest, DIGEST_BYTES);
  file->serial++;
  file->starts = starts;
  size_t len = network_file_format(file, text, sizeof text);
  for (struct list_node *n = list_first(&network->nodes); n != NULL; n = list_after(&network->nodes, n)) {
    struct node *node = LIST_OBJECT(n, struct node, list);
    if (node->role == NODE_AUTHORITY) len = network_file_sign(text, len, sizeof text, node->identity_key->bytes);
  }
  if (network_file_parse((const uint8_t *)text, len, file, NULL) != OUTCOME_OK) abort();
  return document_new(text, len);
}

static void hand_in(struct node *authority, struct document *file) {
  struct event event = {.kind = EVENT_MESSAGE, .message = {.kind = AUTHORITY_NEW_NETWORK, .object = document_take(file)}};
  sim_event(authority->host, 0, &event);
}

/* A node with keys of its own that is an authority of that file, or will be. */
static struct node *new_authority(struct trial *trial, uint32_t index, struct network_authority *ret) {
  struct node *node = network_add_node(&trial->network, NODE_AUTHORITY, "a", index);
  memcpy(node->self.network, trial->network.file.id, sizeof node->self.network);
  memcpy(ret->identity, node->self.identity, IDENTITY_BYTES);
  memcpy(ret->link_key, node->self.link_public, X25519_BYTES);
  snprintf(ret->name, sizeof ret->name, "a%u", index);
  address_format_host(&node->host->address, ret->host);
  ret->port = NETWORK_PORT;
  return node;
}

static void expect_serial(struct trial *trial, const char *name, const char *figure, uint64_t serial) {
  uint64_t has = node_figure(network_node(&trial->network, name), figure);
  expect(trial, has == serial, "%s: %s is %llu, not %llu", name, figure, (unsigned long long)has, (unsigned long long)serial);
}

/* The authorities that are up decide, and whoever must have moved has. */
static void expect_moved(struct trial *trial, uint64_t starts, uint64_t serial, uint64_t within) {
  expect(trial, trial_run_until_epoch(trial, starts + 1, within), "epoch %llu, the second of serial %llu, is not decided", (unsigned long long)starts + 1,
         (unsigned long long)serial);
  for (uint32_t i = 1; i <= 3; i++) {
    char name[16];
    snprintf(name, sizeof name, "r%u", i);
    expect_serial(trial, name, "newest_serial", serial);
  }
}

/* Five need four: the new one's vote counts. It is told by nobody but its file; the others by one of them. */
static void authority_added(struct trial *trial) {
  if (!start_ready(trial, 4)) return;
  struct network_file file = trial->network.file;
  uint64_t starts = trial->watch.newest + 4;
  struct node *a5 = new_authority(trial, 5, &file.authorities[file.authority_count++]);
  a5->given = sign_next(trial, &file, starts);
  hand_in(trial_node(trial, "a", 1 + (uint32_t)trial_draw(trial, 4)), a5->given);
  trial_expect_service(trial, 1, 10 * SECONDS, SECONDS);
  network_start(a5);
  trial_expect_service(trial, 1, 30 * SECONDS, 2 * SECONDS);
  expect_moved(trial, starts, 2, 60 * SECONDS);
  for (uint32_t i = 1; i <= 5; i++) expect_serial(trial, trial_node(trial, "a", i)->host->name, "serial", 2);
  network_kill(trial_node(trial, "a", 1 + (uint32_t)trial_draw(trial, 4)));
  expect(trial, trial_run_until_epoch(trial, trial->watch.newest + 3, 80 * SECONDS), "the new authority takes no part");
  trial_expect_service(trial, 1, 20 * SECONDS, 2 * SECONDS);
  expect_serial(trial, "c1", "newest_serial", 2);
}

/* Four decide with any three of them: the fifth, which left, can't stand in for another. */
static void authority_removed(struct trial *trial) {
  if (!start_ready(trial, 5)) return;
  struct network_file file = trial->network.file;
  uint64_t starts = trial->watch.newest + 3;
  file.authority_count = 4;
  struct document *next = sign_next(trial, &file, starts);
  hand_in(trial_node(trial, "a", 2), next);
  document_release(next);
  trial_expect_service(trial, 1, 40 * SECONDS, 2 * SECONDS);
  expect_moved(trial, starts, 2, 60 * SECONDS);
  expect_serial(trial, "a5", "serial", 2);
  expect(trial, node_cause(trial_node(trial, "a", 5)) == OUTCOME_OK, "a5 serves no more");
  network_kill(trial_node(trial, "a", 1));
  expect(trial, trial_run_until_epoch(trial, trial->watch.newest + 3, 80 * SECONDS), "three of four decide nothing");
  expect(trial, node_epoch(trial_node(trial, "a", 5)) + 2 > trial->watch.newest, "a5 does not fetch what the others decide");
  network_kill(trial_node(trial, "a", 2));
  uint64_t epoch = trial->watch.newest;
  trial_expect_service(trial, 1, 60 * SECONDS, 5 * SECONDS);
  expect(trial, trial->watch.newest <= epoch + 1, "epoch %llu was decided by two of four", (unsigned long long)trial->watch.newest);
}

/* The place of a key in the file stays; whoever still has the old key is nobody. */
static void authority_key_replaced(struct trial *trial) {
  if (!start_ready(trial, 4)) return;
  struct network_file file = trial->network.file;
  uint64_t starts = trial->watch.newest + 4;
  struct node *successor = new_authority(trial, 5, &file.authorities[1]);
  successor->given = sign_next(trial, &file, starts);
  hand_in(trial_node(trial, "a", 3), successor->given);
  network_start(successor);
  trial_expect_service(trial, 1, 50 * SECONDS, 2 * SECONDS);
  expect_moved(trial, starts, 2, 60 * SECONDS);
  network_kill(trial_node(trial, "a", 4));
  expect(trial, trial_run_until_epoch(trial, trial->watch.newest + 3, 80 * SECONDS), "the new key takes no part");
  trial_expect_service(trial, 1, 20 * SECONDS, 2 * SECONDS);
}

/* Who was away comes back with the first file, and finds its way through two. */
static void away_for_two_serials(struct trial *trial) {
  if (!start_ready(trial, 4)) return;
  struct network_file file = trial->network.file;
  struct node *authority = trial_node(trial, "a", 2), *relay = trial_node(trial, "r", 1), *client = trial_node(trial, "c", 1);
  uint64_t starts = trial->watch.newest + 2;
  network_kill(authority);
  network_kill(relay);
  network_kill(client);
  struct document *second = sign_next(trial, &file, starts);
  hand_in(trial_node(trial, "a", 1), second);
  expect(trial, trial_run_until_epoch(trial, starts + 1, 80 * SECONDS), "serial 2 decides nothing");
  struct node *a5 = new_authority(trial, 5, &file.authorities[file.authority_count++]);
  starts = trial->watch.newest + 3;
  a5->given = sign_next(trial, &file, starts);
  hand_in(trial_node(trial, "a", 4), a5->given);
  network_start(a5);
  expect(trial, trial_run_until_epoch(trial, starts + 2, 120 * SECONDS), "serial 3 decides nothing");
  network_start(authority);
  network_start(relay);
  network_start(client);
  expect(trial, trial_run_until_client(trial, client, true, 60 * SECONDS), "the client is lost: %s", outcome_name(node_cause(client)));
  expect(trial, trial_run_until_listed(trial, relay, true, 60 * SECONDS), "the relay is lost: %s", outcome_name(node_cause(relay)));
  expect(trial, trial_run_until_epoch(trial, trial->watch.newest + 2, 60 * SECONDS), "a2 does not catch up");
  expect_serial(trial, "a2", "serial", 3);
  expect(trial, trial_fetches(trial, 1, NULL, 500000, 30 * SECONDS), "no transfer afterwards");
  document_release(second);
}

/* Every relay holds a consensus of serial 2, so each of them is a mirror that shows its file. */
static bool relays_moved(struct sim *sim, void *context) {
  static const char *const NAMES[] = {"r1", "r2", "r3", "x1"};
  struct trial *trial = context;
  const struct network_file *second = network_chain_find(trial_node(trial, "r", 1)->networks, 2);
  (void)sim;
  for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
    if (second == NULL || node_figure(network_node(&trial->network, NAMES[i]), "epoch") < second->starts) return false;
  return true;
}

/* [NET-13] Who was away while the serial changed finds its way although no authority can be reached. */
static void serial_from_mirrors(struct trial *trial) {
  if (!start_ready(trial, 4)) return;
  struct network_file file = trial->network.file;
  struct node *client = trial_node(trial, "c", 1);
  uint64_t starts = trial->watch.newest + 3;
  network_kill(client);
  struct document *next = sign_next(trial, &file, starts);
  hand_in(trial_node(trial, "a", 2), next);
  document_release(next);
  expect_moved(trial, starts, 2, 80 * SECONDS);
  struct sim *sim = &trial->network.sim;
  expect(trial, sim_run_until(sim, instant_after(sim->now, 30 * SECONDS), relays_moved, trial), "a relay is behind");
  for (uint32_t i = 1; i <= 4; i++) network_kill(trial_node(trial, "a", i));
  network_start(client);
  expect(trial, trial_run_until_client(trial, client, true, 30 * SECONDS), "the client is lost: %s", outcome_name(node_cause(client)));
  sim_run_for(sim, 60 * SECONDS);
  expect_serial(trial, "c1", "newest_serial", 2);
  expect(trial, node_epoch(client) >= starts, "the client's epoch is %llu", (unsigned long long)node_epoch(client));
  expect(trial, trial_fetches(trial, 1, NULL, 500000, 30 * SECONDS), "no transfer afterwards");
}

const struct scenario scenarios_serials[] = {
    {"authority-added", 2, authority_added},
    {"authority-removed", 2, authority_removed},
    {"authority-key-replaced", 2, authority_key_replaced},
    {"away-for-two-serials", 2, away_for_two_serials},
    {"serial-from-mirrors", 2, serial_from_mirrors},
    {NULL, 0, NULL},
};
