/* How a relay's costs grow with the circuits it holds: nanoseconds a cell on the way back to the client, bytes an
 * idle circuit, and what two shards on two cores carry in place of one. `name value` lines; each the best tenth of many turns (the machine may be busy).
 *
 * A middle relay between two peers, all in memory, without sockets: cells come over one link, get the relay's layer,
 * wait their turn and leave over the other (the calls of relay/hop.c, hop_backward). The relay's three parts are timed
 * apart: receive (open the link's record, find the circuit), onion (seal the layer, copy, queue), transmit (choose the
 * cell, seal the record). Peers keep their links honest; their time does not count.
 */
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "relay/shard_internal.h"

enum { POOL_CELLS = 1 << 16, TURNS = 500, TURN_CELLS_LEAST = 64, BUFFER_BYTES = 256 * 1024, CONTEXTS = 512, ACTIVE_MOST = 1000, PER_SIDE_QUEUE = 64 };

/* One end of one link; the relay has two, which share `pool`. */
struct end {
  struct link_self self;
  struct guarded_key *secret;
  struct trunk *trunk;
  struct trunk_pool *pool;
  struct trunk_side *sides; /* by number of the circuit */
  size_t stride;            /* bytes between two of them */
  uint32_t attached;
  uint8_t in[2 * BUFFER_BYTES];
  size_t in_len;
};

struct middle { struct trunk_side sides[2]; struct onion_layer seal; };

struct node {
  struct random_stream random;
  struct memory_budget own, *budget; /* its own, or one that it shares */
  struct trunk_pool pool;
};

struct bench {
  struct node client_node, relay_node, far_node;
  struct end client, near, away, far; /* the relay's: near the client, and away from it */
  struct middle *middles;
  struct trunk_side *client_sides, *far_sides;
  struct aead_cache *contexts;
  uint32_t circuits, active, next_answered;
  instant now;
  double receive_ns, onion_ns, transmit_ns;
  uint64_t cells;
};

static const uint8_t handshake[CIRCUIT_HANDSHAKE_REQUEST_BYTES];

static void require(bool ok) {
  if (!ok) abort();
}

static double clock_ns(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static struct trunk_side *side_of(const struct end *end, uint32_t circuit) {
  return (struct trunk_side *)(void *)((uint8_t *)end->sides + circuit * end->stride);
}

/* ---- what each node does with what comes ---- */

/* The relay's part, as hop_backward: seal, copy, queue. */
static void pass_back(struct bench *b, struct trunk_side *side, uint8_t *body) {
  struct middle *middle = &b->middles[side->owner.slot];
  double start = clock_ns();
  require(onion_seal(&middle->seal, b->contexts, ONION_PASS_ON, body));
  struct cell *cell = cell_pool_take(b->relay_node.pool.cells);
  require(cell != NULL);
  memcpy(cell_body(cell->bytes), body, CELL_BODY_BYTES);
  trunk_push(&middle->sides[SIDE_CLIENT], b->now, cell, true);
  b->onion_ns += clock_ns() - start;
  b->cells++;
}

static void take(struct bench *b, struct end *end, const struct delivery *delivery) {
  if (delivery->kind == DELIVERY_CREATE) {
    struct trunk_side *side = side_of(end, end->attached++);
    require(trunk_attach(end->trunk, side, delivery->circuit, b->now) && trunk_answer(side, b->now, handshake));
  } else if (delivery->kind == DELIVERY_CREATED) {
    trunk_opened(delivery->side, b->now);
    b->next_answered++;
  } else if (delivery->kind == DELIVERY_ONION) {
    if (end == &b->away) pass_back(b, delivery->side, delivery->body);
    else trunk_passed(delivery->side, b->now);
  }
}

static void work(struct bench *b, struct end *end) {
  if (link_needs_work(trunk_link(end->trunk))) require(link_work(trunk_link(end->trunk), b->now) == OUTCOME_OK);
  if (link_state(trunk_link(end->trunk)) == LINK_AWAITING_ADMISSION) link_admit(trunk_link(end->trunk));
}

/* Everything that one end has to say now, to the other. */
static size_t carry(struct bench *b, struct end *from, struct end *to) {
  work(b, from);
  double start = clock_ns();
  size_t len = trunk_transmit(from->trunk, b->now, to->in + to->in_len, BUFFER_BYTES);
  if (from == &b->near) b->transmit_ns += clock_ns() - start;
  to->in_len += len;
  double onion_before = b->onion_ns;
  start = clock_ns();
  size_t at = 0;
  for (size_t used = 1; used > 0 && at < to->in_len; at += used) {
    struct delivery delivery;
    enum outcome outcome = trunk_receive(to->trunk, b->now, to->in + at, to->in_len - at, &used);
    while (outcome == OUTCOME_OK && trunk_next_delivery(to->trunk, b->now, &delivery, &outcome)) take(b, to, &delivery);
    require(outcome == OUTCOME_OK);
  }
  if (to == &b->away) b->receive_ns += clock_ns() - start - (b->onion_ns - onion_before);
  memmove(to->in, to->in + at, to->in_len - at);
  to->in_len -= at;
  work(b, to);
  return len;
}

static bool carry_all(struct bench *b) {
  size_t moved = carry(b, &b->client, &b->near) + carry(b, &b->near, &b->client);
  moved += carry(b, &b->away, &b->far) + carry(b, &b->far, &b->away);
  b->now += MILLISECONDS;
  return moved > 0;
}

/* ---- making them ---- */

static void node_init(struct node *node, uint8_t label, struct memory_budget *shared) {
  uint8_t seed[RANDOM_SEED_BYTES] = {label};
  random_init(&node->random, seed);
  memory_budget_init(&node->own, SIZE_MAX / 2);
  node->budget = shared == NULL ? &node->own : shared;
  struct cell_pool *cells = cell_pool_new(node->budget, POOL_CELLS);
  require(cells != NULL);
  trunk_pool_init(&node->pool, cells, &node->random);
}

static void end_init(struct end *end, struct node *node, uint8_t label, enum aead_suite suite) {
  uint8_t seed[X25519_BYTES] = {label};
  end->pool = &node->pool;
  end->self.suites = (uint8_t)(1 << AEAD_CHACHA20_POLY1305 | 1 << suite);
  end->self.backend = aead_best_backend();
  memset(end->self.identity, label, sizeof end->self.identity);
  end->secret = guarded_key_new(seed);
  require(end->secret != NULL);
  x25519_public(end->self.link_public, seed);
  end->self.link_secret = end->secret;
}

static void join(struct bench *b, struct end *from, struct end *to, enum link_pattern pattern, uint32_t number) {
  struct link_peer peer = {.suites = to->self.suites};
  memcpy(peer.identity, to->self.identity, sizeof peer.identity);
  memcpy(peer.link_key, to->self.link_public, sizeof peer.link_key);
  from->trunk = trunk_new(from->pool, link_new_initiator(&from->self, &peer, pattern, from->pool->random), (struct id){number, 1}, number, 0);
  to->trunk = trunk_new(to->pool, link_new_responder(&to->self, to->pool->random), (struct id){number + 1, 1}, number + 1, 0);
  require(from->trunk != NULL && to->trunk != NULL);
  for (int i = 0; i < 8; i++) {
    carry(b, from, to);
    carry(b, to, from);
  }
  require(link_state(trunk_link(from->trunk)) == LINK_OPEN && link_state(trunk_link(to->trunk)) == LINK_OPEN);
}

static void place_sides(struct end *end, struct trunk_side *first, size_t stride) {
  end->sides = first;
  end->stride = stride;
}

/* The arrays are made before memory is counted: what is left is what trunks need for a side. */
static void make_arrays(struct bench *b) {
  b->client_sides = calloc(b->circuits, sizeof *b->client_sides);
  b->far_sides = calloc(b->circuits, sizeof *b->far_sides);
  b->middles = calloc(b->circuits, sizeof *b->middles);
  require(b->client_sides != NULL && b->far_sides != NULL && b->middles != NULL);
  place_sides(&b->client, b->client_sides, sizeof *b->client_sides);
  place_sides(&b->far, b->far_sides, sizeof *b->far_sides);
  place_sides(&b->near, &b->middles[0].sides[SIDE_CLIENT], sizeof *b->middles);
  place_sides(&b->away, &b->middles[0].sides[SIDE_EXIT], sizeof *b->middles);
}

static void open_circuit(struct bench *b, uint32_t i, enum aead_suite suite) {
  const struct cell_create create = {.handshake_type = 1, .generation = 1, .place = 1, .request = handshake};
  struct middle *middle = &b->middles[i];
  uint8_t key[AEAD_KEY_BYTES] = {(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16)};
  onion_layer_init(&middle->seal, suite, 1, ONION_BACKWARD, key);
  for (uint8_t s = 0; s < 2; s++) {
    middle->sides[s].owner = (struct id){i, 1};
    middle->sides[s].index = s;
    middle->sides[s].feeder = &middle->sides[1 - s];
  }
  middle->sides[SIDE_CLIENT].source = trunk_number(b->away.trunk);
  require(trunk_begin(b->client.trunk, side_of(&b->client, i), b->now, &create));
  require(trunk_begin(b->away.trunk, &middle->sides[SIDE_EXIT], b->now, &create));
}

static void open_circuits(struct bench *b, enum aead_suite suite) {
  for (uint32_t i = 0; i < b->circuits; i++) {
    open_circuit(b, i, suite);
    if (i % 32 == 31) carry_all(b);
  }
  for (int quiet = 0; quiet < 100; quiet++) carry_all(b);
  require(b->next_answered == 2 * b->circuits);
}

/* ---- measuring ---- */

/* The far peer keeps `active` circuits busy; they lie apart, so that idle ones lie between them. */
static void feed(struct bench *b) {
  uint32_t apart = b->circuits / b->active;
  for (uint32_t k = 0; k < b->active; k++) {
    struct trunk_side *side = side_of(&b->far, k * apart);
    uint32_t wanted = b->active >= 100 ? 4 : PER_SIDE_QUEUE;
    while (side->queue.count < wanted) {
      struct cell *cell = cell_pool_take(b->far_node.pool.cells);
      require(cell != NULL);
      memset(cell->bytes, 0, CELL_BYTES);
      trunk_push(side, b->now, cell, false);
    }
  }
}

struct costs { double receive, onion, transmit; };

static int compare(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

/* Not the mean: another program's turn in the middle of ours is no cost of ours. Not the best: reports of credit come
 * in some turns only. */
static double best_tenth(double *each, size_t count) {
  qsort(each, count, sizeof *each, compare);
  return each[count / 10];
}

static struct costs run_turns(struct bench *b) {
  static double receive[TURNS], onion[TURNS], transmit[TURNS];
  size_t count = 0;
  for (int turn = 0; turn < TURNS; turn++) {
    b->receive_ns = b->onion_ns = b->transmit_ns = 0;
    b->cells = 0;
    feed(b);
    carry_all(b);
    if (b->cells < TURN_CELLS_LEAST) continue;
    receive[count] = b->receive_ns / (double)b->cells;
    onion[count] = b->onion_ns / (double)b->cells;
    transmit[count++] = b->transmit_ns / (double)b->cells;
  }
  require(count > TURNS / 4);
  return (struct costs){best_tenth(receive, count), best_tenth(onion, count), best_tenth(transmit, count)};
}

static void measure(struct bench *b, const char *name) {
  struct costs costs = run_turns(b);
  printf("cell_%s_receive_ns %.0f\ncell_%s_onion_ns %.0f\ncell_%s_transmit_ns %.0f\n", name, costs.receive, name, costs.onion, name, costs.transmit);
}

static size_t heap_bytes(void) {
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

static void bench_free(struct bench *b) {
  struct end *ends[] = {&b->client, &b->near, &b->away, &b->far};
  struct node *nodes[] = {&b->client_node, &b->relay_node, &b->far_node};
  for (size_t e = 0; e < 4; e++) {
    for (uint32_t i = 0; i < b->circuits; i++) trunk_detach(side_of(ends[e], i));
    trunk_free(ends[e]->trunk);
    guarded_key_free(ends[e]->secret);
  }
  for (uint32_t i = 0; i < b->circuits; i++) onion_layer_wipe(&b->middles[i].seal, b->contexts);
  for (size_t n = 0; n < 3; n++) cell_pool_free(nodes[n]->pool.cells);
  aead_cache_free(b->contexts);
  free(b->middles);
  free(b->client_sides);
  free(b->far_sides);
  free(b);
}

/* All links are up; circuits are still to be opened. budget: the relay's, shared; NULL: each node has its own. */
static struct bench *bench_new(uint32_t circuits, uint32_t active, enum aead_suite suite, struct memory_budget *budget) {
  struct bench *b = calloc(1, sizeof *b);
  require(b != NULL);
  b->contexts = aead_cache_new(CONTEXTS, aead_best_backend());
  require(b->contexts != NULL);
  b->circuits = circuits;
  b->active = active;
  b->now = SECONDS;
  node_init(&b->client_node, 1, NULL);
  node_init(&b->relay_node, 2, budget);
  node_init(&b->far_node, 3, NULL);
  end_init(&b->client, &b->client_node, 11, suite);
  end_init(&b->near, &b->relay_node, 12, suite);
  end_init(&b->away, &b->relay_node, 12, suite);
  end_init(&b->far, &b->far_node, 13, suite);
  make_arrays(b);
  join(b, &b->client, &b->near, LINK_FROM_CLIENT, 1);
  join(b, &b->away, &b->far, LINK_FROM_NODE, 3);
  return b;
}

static void grow(uint32_t circuits, uint32_t active, enum aead_suite suite, const char *name, bool tell_memory) {
  struct bench *b = bench_new(circuits, active, suite, NULL);
  size_t before = heap_bytes();
  open_circuits(b, suite);
  double each_side = (double)(heap_bytes() - before) / (4.0 * circuits);
  if (tell_memory) printf("idle_circuit_at_relay_bytes %.0f\n", (double)sizeof(struct hop) + 2 * each_side);
  measure(b, name);
  bench_free(b);
}

/* ---- two shards ---- */

enum { SHARD_TURNS = 1500, SHARD_ROUNDS = 5 };

struct shard_run { struct bench *bench; pthread_barrier_t *start; int core; double cells_a_second; };

static void *run_shard(void *context) {
  struct shard_run *run = context;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((size_t)run->core, &set);
  require(pthread_setaffinity_np(pthread_self(), sizeof set, &set) == 0);
  run->bench->cells = 0;
  pthread_barrier_wait(run->start);
  double began = clock_ns();
  for (int turn = 0; turn < SHARD_TURNS; turn++) {
    feed(run->bench);
    carry_all(run->bench);
  }
  run->cells_a_second = (double)run->bench->cells / ((clock_ns() - began) / 1e9);
  return NULL;
}

/* Cells a second of so many shards at once, each on a core of its own. */
static double run_shards(struct shard_run *runs, uint32_t count) {
  pthread_barrier_t start;
  pthread_t threads[2];
  double all = 0;
  require(pthread_barrier_init(&start, NULL, count) == 0);
  for (uint32_t i = 0; i < count; i++) {
    runs[i].start = &start;
    require(pthread_create(&threads[i], NULL, run_shard, &runs[i]) == 0);
  }
  for (uint32_t i = 0; i < count; i++) {
    require(pthread_join(threads[i], NULL) == 0);
    all += runs[i].cells_a_second;
  }
  pthread_barrier_destroy(&start);
  return all;
}

/* Two shards of one relay share its memory budget and nothing else. Alone, each core is measured, as they need not be alike. */
static void measure_two_shards(enum aead_suite suite) {
  struct memory_budget budget;
  struct shard_run runs[2];
  double ratios[SHARD_ROUNDS];
  memory_budget_init(&budget, SIZE_MAX / 2);
  for (int i = 0; i < 2; i++) {
    runs[i] = (struct shard_run){.bench = bench_new(64, 64, suite, &budget), .core = i};
    open_circuits(runs[i].bench, suite);
  }
  for (int round = 0; round < SHARD_ROUNDS; round++) {
    double one = (run_shards(&runs[0], 1) + run_shards(&runs[1], 1)) / 2;
    ratios[round] = run_shards(runs, 2) / one;
  }
  qsort(ratios, SHARD_ROUNDS, sizeof ratios[0], compare);
  printf("two_shards_carry_x %.2f\n", ratios[SHARD_ROUNDS / 2]);
  for (int i = 0; i < 2; i++) bench_free(runs[i].bench);
}

int main(void) {
  require(crypto_start());
  bool is_fast = aead_suite_is_available(AEAD_AES256_GCM);
  enum aead_suite suite = is_fast ? AEAD_AES256_GCM : AEAD_CHACHA20_POLY1305;
  grow(8, 8, AEAD_CHACHA20_POLY1305, "chacha20poly1305_8_busy_0_idle", false);
  grow(8, 8, suite, "8_busy_0_idle", false);
  grow(108, 8, suite, "8_busy_100_idle", false);
  grow(10008, 8, suite, "8_busy_10000_idle", false);
  grow(60000, 8, suite, "8_busy_60000_idle", true);
  grow(60000, ACTIVE_MOST, suite, "1000_busy_59000_idle", false);
  if (sysconf(_SC_NPROCESSORS_ONLN) >= 2) measure_two_shards(suite);
  return 0;
}
