#include <stdlib.h>
#include <string.h>

#include "tests/sim/conformance.h"
#include "tests/sim/sim.h"

enum { PEERS_MAX = 4, MACHINE_PORT = 9001, PEER_PORT = 80 };
#define HANG (60 * SECONDS)

struct peer_connection { struct list_node ready; struct id id; bool finished; struct conformance_peer peer; };

/* A host with the two machines, and one whose only machine is all the peers. */
struct simulated {
  struct sim sim;
  struct sim_host *host, *outside;
  struct id_table connections;
  struct list ready;
  struct effect_queue effects;
  struct id accepted; /* the newest, not asked for yet */
};

static struct id peer_add(struct simulated *simulated) {
  struct id id;
  struct peer_connection *connection = id_table_add(&simulated->connections, &id);
  if (connection == NULL) abort();
  connection->id = id;
  connection->peer.in = malloc(OUTPUT_BYTES);
  if (connection->peer.in == NULL) abort();
  return id;
}

static struct id verb_accept(void *self, instant now, enum connection_kind kind, const struct address *peer) {
  struct simulated *simulated = self;
  (void)now, (void)kind, (void)peer;
  return simulated->accepted = peer_add(simulated);
}

static size_t verb_room(const void *self, struct id id) {
  const struct peer_connection *connection = id_table_get(&((const struct simulated *)self)->connections, id);
  return connection == NULL ? 0 : OUTPUT_BYTES - connection->peer.in_len;
}

static enum outcome verb_receive(void *self, instant now, struct id id, uint8_t *in, size_t len, size_t *ret_used) {
  struct peer_connection *connection = id_table_get(&((struct simulated *)self)->connections, id);
  (void)now;
  *ret_used = len;
  if (connection == NULL) return OUTCOME_NOT_FOUND;
  memcpy(connection->peer.in + connection->peer.in_len, in, len);
  connection->peer.in_len += len;
  return OUTCOME_OK;
}

static size_t verb_transmit(void *self, instant now, struct id id, uint8_t *out, size_t room) {
  struct simulated *simulated = self;
  struct peer_connection *connection = id_table_get(&simulated->connections, id);
  (void)now;
  if (connection == NULL) return 0;
  struct conformance_peer *peer = &connection->peer;
  size_t len = peer->out_len < room ? peer->out_len : room;
  if (len > 0) memcpy(out, peer->out, len);
  peer->out += len;
  peer->out_len -= len;
  if (peer->out_len == 0 && peer->finishes && !connection->finished) {
    struct effect effect = {.kind = EFFECT_FINISH, .id = id};
    connection->finished = effect_queue_put(&simulated->effects, &effect);
  }
  return len;
}

static void verb_event(void *self, instant now, const struct event *event) {
  struct peer_connection *connection = id_table_get(&((struct simulated *)self)->connections, event->id);
  (void)now;
  if (connection != NULL && (event->kind == EVENT_EOF || event->kind == EVENT_CLOSED)) {
    connection->peer.has_ended = true;
    connection->peer.was_cut = event->kind == EVENT_CLOSED;
  }
}

static bool verb_next_ready(void *self, struct id *ret) {
  struct list_node *node = list_take_first(&((struct simulated *)self)->ready);
  if (node != NULL) *ret = LIST_OBJECT(node, struct peer_connection, ready)->id;
  return node != NULL;
}

static bool verb_next_effect(void *self, struct effect *ret) {
  return effect_queue_take(&((struct simulated *)self)->effects, ret);
}

static instant verb_deadline(const void *self) {
  (void)self;
  return INSTANT_NEVER;
}

static void verb_tick(void *self, instant now) {
  (void)self, (void)now;
}

static bool verb_work(void *self, instant now) {
  (void)self, (void)now;
  return false;
}

static const struct machine_verbs VERBS = {
    .accept = verb_accept, .room = verb_room, .receive = verb_receive, .transmit = verb_transmit, .event = verb_event,
    .next_ready = verb_next_ready, .next_effect = verb_next_effect, .deadline = verb_deadline, .tick = verb_tick, .work = verb_work,
};

static bool start(void *context, const struct machine machines[CONFORMANCE_MACHINES], enum connection_kind kind) {
  struct simulated *simulated = context;
  memset(simulated, 0, sizeof *simulated);
  sim_init(&simulated->sim, 1);
  id_table_init(&simulated->connections, sizeof(struct peer_connection), PEERS_MAX);
  list_init(&simulated->ready);
  simulated->host = sim_add_host(&simulated->sim, "machine", MILLISECONDS);
  simulated->outside = sim_add_host(&simulated->sim, "peer", MILLISECONDS);
  for (int i = 0; i < CONFORMANCE_MACHINES; i++) sim_add_machine(simulated->host, machines[i]);
  sim_add_machine(simulated->outside, (struct machine){simulated, &VERBS});
  sim_listen(simulated->host, kind, MACHINE_PORT, 0);
  sim_listen(simulated->outside, kind, PEER_PORT, 0);
  sim_start(simulated->host);
  sim_start(simulated->outside);
  return true;
}

static void stop(void *context) {
  struct simulated *simulated = context;
  struct peer_connection *connection;
  struct id id;
  sim_wipe(&simulated->sim);
  for (uint32_t cursor = 0; (connection = id_table_next(&simulated->connections, &cursor, &id)) != NULL;) free(connection->peer.in);
  id_table_wipe(&simulated->connections);
  effect_queue_wipe(&simulated->effects);
}

static void ask_to_stop(void *context) {
  sim_event(((struct simulated *)context)->host, 0, &(struct event){.kind = EVENT_STOP});
}

static instant now(void *context) {
  return ((struct simulated *)context)->sim.now;
}

static struct address peer_address(void *context) {
  struct address address = ((struct simulated *)context)->outside->address;
  address.port = PEER_PORT;
  return address;
}

static struct address nobody_address(void *context) {
  struct address address = ((struct simulated *)context)->outside->address;
  address.port = PEER_PORT + 1;
  return address;
}

static struct conformance_peer *peer_of(struct simulated *simulated, struct id id) {
  struct peer_connection *connection = id_table_get(&simulated->connections, id);
  return connection == NULL ? NULL : &connection->peer;
}

static struct conformance_peer *peer_connect(void *context) {
  struct simulated *simulated = context;
  struct id id = peer_add(simulated);
  struct effect effect = {.kind = EFFECT_CONNECT, .id = id, .connection = CONNECTION_LINK, .address = simulated->host->address};
  effect.address.port = MACHINE_PORT;
  if (!effect_queue_put(&simulated->effects, &effect)) abort();
  return peer_of(simulated, id);
}

static struct conformance_peer *peer_accept(void *context) {
  struct simulated *simulated = context;
  struct conformance_peer *peer = peer_of(simulated, simulated->accepted);
  simulated->accepted = ID_NONE;
  return peer;
}

struct asking { bool (*condition)(void *argument); void *argument; };

static bool ask(struct sim *sim, void *context) {
  const struct asking *asking = context;
  (void)sim;
  return asking->condition(asking->argument);
}

/* The script has changed machines and peers behind their backs, so everyone gets a turn first. */
static bool run_until(void *context, bool (*condition)(void *argument), void *argument) {
  struct simulated *simulated = context;
  struct asking asking = {condition, argument};
  struct peer_connection *connection;
  struct id id;
  for (uint32_t cursor = 0; (connection = id_table_next(&simulated->connections, &cursor, &id)) != NULL;)
    if (!list_contains_node(&connection->ready)) list_append(&simulated->ready, &connection->ready);
  for (uint32_t i = 0; i < CONFORMANCE_MACHINES; i++) sim_poke(simulated->host, i);
  sim_poke(simulated->outside, 0);
  return condition(argument) || sim_run_until(&simulated->sim, instant_after(simulated->sim.now, HANG), ask, &asking);
}

const struct conformance_host *conformance_sim(void) {
  static struct simulated simulated;
  static struct conformance_host host = {
      .name = "simulator", .context = &simulated, .start = start, .stop = stop, .ask_to_stop = ask_to_stop, .now = now,
      .peer_address = peer_address, .nobody_address = nobody_address, .peer_connect = peer_connect, .peer_accept = peer_accept,
      .run_until = run_until,
  };
  return &host;
}
