/* How an exit's costs grow with the streams it holds: nanoseconds a cell both ways, bytes an idle stream: `name value` lines.
 * A shipped shard, whole, with a neighbour before it; destinations are the ends of its effects. No sockets: what the driver and
 * the kernel add is measured by idle.c. Each figure is the best tenth of many turns (the machine may be busy).
 *
 * usage: exit [--series]
 */
#include <malloc.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocol/limits.h"
#include "relay/shard.h"
#include "tests/bench/peer.h"

enum {
  BUSY = 8, STREAMS_PER_CIRCUIT = 250, CIRCUITS = 130, STREAMS = 30000, TURNS = 300, DATA = 1347, CELLS_A_TURN = 4, GENERATION = 1,
  POOL_CELLS = 1 << 16, CREDIT_BYTES = LIMIT_CLIENT_CREDIT / 2, /* more than all turns need */
};

static const uint8_t AUTHORITY_SEED[ED25519_SEED_BYTES] = {42};

struct lab {
  struct peers peers;
  struct peer_link link;
  struct id connection; /* the link, as the shard names it */
  struct peer_circuit circuits[CIRCUITS];
  uint32_t circuit_count, stream_count;
  struct id streams[STREAMS];
  uint64_t sent[STREAMS]; /* to the client */
  struct link_self self;
  struct exit_policy policy;
  struct memory_budget budget;
  struct shard *shard;
  const struct machine_verbs *verbs;
  double spent_ns; /* in the shard's verbs, while bytes are carried */
};

static void require(bool ok) {
  if (!ok) abort();
}

static double clock_ns(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- carrying ---- */

static void perform(struct lab *lab, const struct effect *effect) {
  if (effect->kind == EFFECT_CONNECT) {
    struct event event = {.kind = EVENT_CONNECTED, .id = effect->id, .address = effect->address};
    require(effect->connection == CONNECTION_STREAM && lab->stream_count < STREAMS);
    lab->streams[lab->stream_count++] = effect->id;
    lab->verbs->event(lab->shard, lab->peers.now, &event);
  } else if (effect->kind == EFFECT_MESSAGE && effect->message.kind == KEEPER_FIGURES) {
    free(effect->message.object);
  }
}

/* Both ways until nobody has more. */
static void carry(struct lab *lab) {
  static uint8_t bytes[PEER_BUFFER_BYTES];
  static size_t kept;
  struct effect effect;
  struct id id;
  for (int quiet = 0; quiet < 2;) {
    size_t used = 0, len = kept + peer_link_give(&lab->peers, &lab->link, bytes + kept, sizeof bytes - kept);
    double start = clock_ns();
    if (len > 0 && lab->verbs->room(lab->shard, lab->connection) > 0)
      require(lab->verbs->receive(lab->shard, lab->peers.now, lab->connection, bytes, len, &used) == OUTCOME_OK);
    lab->spent_ns += clock_ns() - start;
    memmove(bytes, bytes + used, len - used);
    kept = len - used;
    while (lab->verbs->next_effect(lab->shard, &effect)) perform(lab, &effect);
    while (lab->verbs->next_ready(lab->shard, &id)) {}
    while (lab->verbs->work(lab->shard, lab->peers.now)) {}
    static uint8_t out[PEER_BUFFER_BYTES / 2];
    start = clock_ns();
    size_t sent = lab->verbs->transmit(lab->shard, lab->peers.now, lab->connection, out, sizeof out);
    lab->spent_ns += clock_ns() - start;
    peer_link_take(&lab->peers, &lab->link, out, sent);
    quiet = used > 0 || sent > 0 ? 0 : quiet + 1;
  }
  lab->peers.now += MILLISECONDS;
  if (lab->verbs->deadline(lab->shard) <= lab->peers.now) lab->verbs->tick(lab->shard, lab->peers.now);
}

/* ---- making ---- */

static void describe_relay(struct lab *lab, struct guarded_key *secret) {
  struct relay_entry *relay = &lab->peers.relay;
  *relay = lab->peers.neighbours[0];
  random_bytes(&lab->peers.random, relay->identity, IDENTITY_BYTES);
  memcpy(relay->onion_key, relay->link_key, X25519_BYTES);
  relay->onion_generation = GENERATION;
  relay->layer_suite = aead_suite_has_hardware(AEAD_AES256_GCM) ? AEAD_AES256_GCM : AEAD_CHACHA20_POLY1305;
  snprintf(relay->nickname, sizeof relay->nickname, "measured");
  relay->address.port = 9001;
  lab->self = (struct link_self){.link_secret = secret, .suites = relay->link_suites, .backend = aead_best_backend()};
  memcpy(lab->self.identity, relay->identity, IDENTITY_BYTES);
  memcpy(lab->self.link_public, relay->link_key, X25519_BYTES);
}

static void tell_shard(struct lab *lab) {
  static struct network_file network = {.serial = 1, .authority_count = 1};
  struct date now = {INT64_C(20000) * 24 * 60 * 60 * 1000};
  struct event event = {.kind = EVENT_CLOCK, .clock = {.at = lab->peers.now, .date = now}};
  struct onion_keys *keys = sodium_malloc(sizeof *keys);
  enum outcome outcome;
  ed25519_public(network.authorities[0].identity, AUTHORITY_SEED);
  lab->verbs->event(lab->shard, lab->peers.now, &event);
  require(keys != NULL);
  *keys = (struct onion_keys){.count = 1, .keys = {{.generation = GENERATION}}};
  memcpy(keys->keys[0].secret, lab->self.link_secret->bytes, X25519_BYTES);
  memcpy(keys->keys[0].public_key, lab->self.link_public, X25519_BYTES);
  event = (struct event){.kind = EVENT_MESSAGE, .message = {.kind = SHARD_ONION_KEYS, .object = keys}};
  lab->verbs->event(lab->shard, lab->peers.now, &event);
  struct document *text = peers_consensus(&lab->peers, AUTHORITY_SEED, now);
  event.message = (struct machine_message){.kind = SHARD_CONSENSUS,
                                           .object = consensus_parse(&network, document_bytes(text), document_len(text), &outcome, NULL)};
  require(event.message.object != NULL);
  lab->verbs->event(lab->shard, lab->peers.now, &event);
  document_release(text);
}

static void open_circuits(struct lab *lab, uint32_t count) {
  while (lab->circuit_count < count) {
    peer_circuit_open(&lab->peers, &lab->link, &lab->circuits[lab->circuit_count++], LIMIT_EXIT_PLACE);
    carry(lab);
  }
  require(lab->peers.opened == count);
}

static void begin_streams(struct lab *lab, uint32_t count) {
  const struct address to = {.family = ADDRESS_IPV4, .bytes = {93, 184, 216, 34}, .port = 80};
  while (lab->stream_count < count) {
    uint32_t next = lab->stream_count;
    peer_circuit_begin(&lab->peers, &lab->circuits[next / STREAMS_PER_CIRCUIT], (uint16_t)(1 + next % STREAMS_PER_CIRCUIT), &to);
    carry(lab);
    require(lab->stream_count == next + 1);
  }
  require(lab->peers.connected == count && lab->peers.closed == 0);
}

static void lab_init(struct lab *lab) {
  static const uint8_t network[32];
  struct address from = {.family = ADDRESS_IPV4, .bytes = {127, 0, 0, 1}, .port = 4000};
  peers_init(&lab->peers, network);
  describe_relay(lab, lab->peers.secret);
  memory_budget_init(&lab->budget, SIZE_MAX / 2);
  require(exit_policy_add_rule(&lab->policy, "accept *:*", strlen("accept *:*")));
  struct shard_config config = {.self = &lab->self, .policy = &lab->policy, .budget = &lab->budget, .pool_cells = POOL_CELLS, .index = 1,
                                .layer_suite = lab->peers.relay.layer_suite, .seed = {1}};
  lab->shard = shard_new(&config);
  require(lab->shard != NULL);
  lab->verbs = shard_machine(lab->shard).verbs;
  tell_shard(lab);
  peer_link_call(&lab->peers, &lab->link, 0);
  lab->connection = lab->verbs->accept(lab->shard, lab->peers.now, CONNECTION_LINK, &from);
  for (int i = 0; i < 8; i++) carry(lab);
  require(peer_link_is_open(&lab->link));
}

/* ---- measuring ---- */

/* Busy streams lie apart, idle ones between them, each on a circuit of its own where there are so many. */
static uint32_t busy_stream(const struct lab *lab, uint32_t k) { return k * (lab->stream_count / BUSY); }

static double to_client_ns(struct lab *lab) {
  static uint8_t data[CELLS_A_TURN * DATA];
  lab->spent_ns = 0;
  for (uint32_t k = 0; k < BUSY; k++) {
    size_t used;
    double start = clock_ns();
    size_t room = lab->verbs->room(lab->shard, lab->streams[busy_stream(lab, k)]);
    require(room >= sizeof data);
    lab->verbs->receive(lab->shard, lab->peers.now, lab->streams[busy_stream(lab, k)], data, sizeof data, &used);
    lab->spent_ns += clock_ns() - start;
  }
  carry(lab);
  return lab->spent_ns / (BUSY * CELLS_A_TURN);
}

static double from_client_ns(struct lab *lab) {
  static uint8_t out[CELLS_A_TURN * DATA];
  lab->spent_ns = 0;
  for (uint32_t k = 0; k < BUSY; k++)
    for (int i = 0; i < CELLS_A_TURN; i++) {
      uint32_t at = busy_stream(lab, k);
      peer_circuit_data(&lab->peers, &lab->circuits[at / STREAMS_PER_CIRCUIT], (uint16_t)(1 + at % STREAMS_PER_CIRCUIT), DATA);
    }
  carry(lab);
  double start = clock_ns();
  for (uint32_t k = 0; k < BUSY; k++)
    require(lab->verbs->transmit(lab->shard, lab->peers.now, lab->streams[busy_stream(lab, k)], out, sizeof out) == sizeof out);
  lab->spent_ns += clock_ns() - start;
  carry(lab); /* the streams' credit */
  return lab->spent_ns / (BUSY * CELLS_A_TURN);
}

static int compare(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

static double best_tenth(struct lab *lab, double (*turn)(struct lab *)) {
  static double each[TURNS];
  for (int i = 0; i < TURNS; i++) each[i] = turn(lab);
  qsort(each, TURNS, sizeof each[0], compare);
  return each[TURNS / 10];
}

static size_t heap_bytes(void) {
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

static void measure(struct lab *lab, uint32_t streams, bool series) {
  open_circuits(lab, (streams + STREAMS_PER_CIRCUIT - 1) / STREAMS_PER_CIRCUIT);
  size_t before = heap_bytes();
  uint32_t had = lab->stream_count;
  begin_streams(lab, streams);
  double bytes = (double)(heap_bytes() - before) / (streams - had);
  for (uint32_t k = 0; k < BUSY; k++) {
    uint32_t at = busy_stream(lab, k);
    peer_circuit_credit(&lab->peers, &lab->circuits[at / STREAMS_PER_CIRCUIT], (uint16_t)(1 + at % STREAMS_PER_CIRCUIT), lab->sent[at] + CREDIT_BYTES);
    lab->sent[at] += (uint64_t)TURNS * CELLS_A_TURN * DATA;
  }
  double back = best_tenth(lab, to_client_ns), forth = best_tenth(lab, from_client_ns);
  if (series) {
    printf("growth_streams_to-client_%u_ns %.0f\ngrowth_streams_from-client_%u_ns %.0f\n", streams, back, streams, forth);
  } else {
    printf("cell_exit_%u_streams_to_client_ns %.0f\ncell_exit_%u_streams_from_client_ns %.0f\n", streams, back, streams, forth);
    if (had > 0) printf("idle_stream_at_exit_bytes %.0f\n", bytes);
  }
}

int main(int argc, char **argv) {
  static const uint32_t steps[] = {10, 30, 100, 300, 1000, 3000, 10000, STREAMS};
  static struct lab lab;
  bool series = argc > 1 && strcmp(argv[1], "--series") == 0;
  require(crypto_start());
  lab_init(&lab);
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
    if (series || steps[i] == 10 || steps[i] == 10000) measure(&lab, steps[i], series);
  for (uint32_t i = 0; i < lab.circuit_count; i++) peer_circuit_wipe(&lab.peers, &lab.circuits[i]);
  peer_link_wipe(&lab.link);
  shard_free(lab.shard);
  peers_wipe(&lab.peers);
  return 0;
}
