/* What a cell of a download costs each of the nodes on its way: nanoseconds in the shipped machines, whole, from the bytes
 * that come to the bytes that leave: `name value` lines. The best tenth of many downloads (the machine may be busy).
 *
 * A network in the simulator, in this machine's fastest ciphers: a client, a guard, a middle and an exit; no kernel, so no
 * system calls are in these figures. The verbs of the client's machine and of the relays' shards are timed from outside.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocol/message.h"
#include "tests/sim/network.h"

enum { DOWNLOADS = 40, DOWNLOAD_BYTES = 1000 * 1000, CELL_DATA = 1347, NODES = 4 };

/* A machine behind a watch. */
struct watched { struct machine inner; double spent_ns; };

static void require(bool ok) {
  if (!ok) abort();
}

static double clock_ns(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static const struct machine_verbs *inner(const void *self) { return ((const struct watched *)self)->inner.verbs; }
static void *inner_self(const void *self) { return ((const struct watched *)self)->inner.self; }

static void note(void *self, double start) { ((struct watched *)self)->spent_ns += clock_ns() - start; }

static struct id watched_accept(void *self, instant now, enum connection_kind kind, const struct address *peer) {
  return inner(self)->accept(inner_self(self), now, kind, peer);
}

static size_t watched_room(const void *self, struct id id) { return inner(self)->room(inner_self(self), id); }

static enum outcome watched_receive(void *self, instant now, struct id id, uint8_t *in, size_t len, size_t *ret_used) {
  double start = clock_ns();
  enum outcome outcome = inner(self)->receive(inner_self(self), now, id, in, len, ret_used);
  note(self, start);
  return outcome;
}

static size_t watched_transmit(void *self, instant now, struct id id, uint8_t *out, size_t room) {
  double start = clock_ns();
  size_t len = inner(self)->transmit(inner_self(self), now, id, out, room);
  note(self, start);
  return len;
}

static void watched_event(void *self, instant now, const struct event *event) { inner(self)->event(inner_self(self), now, event); }
static bool watched_next_ready(void *self, struct id *ret) { return inner(self)->next_ready(inner_self(self), ret); }
static bool watched_next_effect(void *self, struct effect *ret) { return inner(self)->next_effect(inner_self(self), ret); }
static instant watched_deadline(const void *self) { return inner(self)->deadline(inner_self(self)); }

static void watched_tick(void *self, instant now) {
  double start = clock_ns();
  inner(self)->tick(inner_self(self), now);
  note(self, start);
}

static bool watched_work(void *self, instant now) { return inner(self)->work(inner_self(self), now); }

static const struct machine_verbs WATCHED = {
    .accept = watched_accept, .room = watched_room, .receive = watched_receive, .transmit = watched_transmit, .event = watched_event,
    .next_ready = watched_next_ready, .next_effect = watched_next_effect, .deadline = watched_deadline, .tick = watched_tick,
    .work = watched_work};

static void watch(struct network *network, const char *name, uint32_t machine, struct watched *ret) {
  struct sim_host *host = network_node(network, name)->host;
  *ret = (struct watched){.inner = host->machines[machine]};
  host->machines[machine] = (struct machine){ret, &WATCHED};
}

/* The names of guard, middle and exit, as the client's status tells. */
static void find_path(struct network *network, char ret[3][SIM_NAME_BYTES]) {
  static struct status status;
  struct machine client = client_machine(network_node(network, "c1")->client);
  client.verbs->status(client.self, network->sim.now, &status);
  for (uint32_t i = 0; i < status.text_count; i++)
    if (strcmp(status.texts[i].name, "path") == 0) require(sscanf(status.texts[i].value, "%15s %15s %15s", ret[0], ret[1], ret[2]) == 3);
}

static bool counts_nothing(struct sim *sim, struct sim_host *host) {
  (void)sim, (void)host;
  return true;
}

static int compare(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

int main(void) {
  static const char *const places[NODES] = {"guard", "middle", "exit", "client"};
  struct network_options options = {.authorities = 1, .relays = 2, .exits = 1, .clients = 1, .delay = 100 * MICROSECONDS,
                                    .pool_cells = 65536, .is_fast = true};
  static struct network network;
  struct watched nodes[NODES];
  char path[3][SIM_NAME_BYTES] = {"r1", "r2", "x1"};
  static double each[NODES][DOWNLOADS];
  network_init(&network, 1, &options);
  network.sim.invariant = counts_nothing; /* it would be the most of the time */
  require(network_run_until_ready(&network, 120 * SECONDS));
  network_fetch(&network, 1, NULL, 100 * 1000, false);
  require(network_run_until_fetched(&network, 120 * SECONDS));
  find_path(&network, path);
  for (int i = 0; i < 3; i++) watch(&network, path[i], 1, &nodes[i]);
  watch(&network, "c1", 0, &nodes[3]);
  for (int download = 0; download < DOWNLOADS; download++) {
    for (int i = 0; i < NODES; i++) nodes[i].spent_ns = 0;
    network_fetch(&network, 1, NULL, DOWNLOAD_BYTES, false);
    require(network_run_until_fetched(&network, 120 * SECONDS) && !network.sim.broken);
    for (int i = 0; i < NODES; i++) each[i][download] = nodes[i].spent_ns * CELL_DATA / DOWNLOAD_BYTES;
  }
  for (int i = 0; i < NODES; i++) {
    qsort(each[i], DOWNLOADS, sizeof each[i][0], compare);
    printf("cell_at_%s_ns %.0f\n", places[i], each[i][DOWNLOADS / 10]);
  }
  network_wipe(&network);
  return 0;
}
