/* How a relay's costs grow with the circuits and links it holds: nanoseconds a cell on the way back to the client, bytes an
 * idle circuit, and what two shards on two cores carry in place of one. `name value` lines; each the best tenth of many turns
 * (the machine may be busy).
 *
 * usage: growth [--series]: the shards, or with --series all steps up to 100,000 circuits and 20,000 links
 *
 * A middle relay between its peers, all in memory, without sockets: cells come over one link, get the relay's layer,
 * wait their turn and leave over another (the calls of relay/hop.c, hop_backward). The relay's three parts are timed
 * apart: receive (open the link's record, find the circuit), onion (seal the layer, copy, queue), transmit (choose the
 * cell, seal the record). Peers keep their links honest; their time does not count. A lane is a link on either side;
 * circuits are dealt to the lanes in turn.
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

enum { POOL_CELLS = 1 << 16, TURNS = 300, TURN_CELLS_LEAST = 64, TURNS_LEAST = 30, CELLS_MOST = 100000, BUFFER_BYTES = 256 * 1024,
       CONTEXTS = 512, PER_SIDE_QUEUE = 64, BUSY = 8 };

enum place { AT_CLIENT, NEAR_CLIENT, AWAY_FROM_CLIENT, FAR, PLACES };

/* One end of one link; the relay has two in each lane, which share `pool`. */
struct end {
  enum place place;
  struct end *other; /* of the same link */
  struct link_self self;
  struct trunk *trunk;
  struct trunk_pool *pool;
  struct trunk_side *sides; /* by number of the circuit */
  size_t stride;            /* bytes between two of them */
  uint32_t attached;
};

struct lane { struct end ends[PLACES]; };

struct middle { struct trunk_side sides[2]; struct onion_layer seal; };

struct node {
  struct random_stream random;
  struct memory_budget own, *budget; /* its own, or one that it shares */
  struct trunk_pool pool;
};

struct bench {
  struct node client_node, relay_node, far_node;
  struct lane *lanes;
  struct guarded_key *secrets[PLACES];
  uint8_t bytes[BUFFER_BYTES];
  struct end **ready; /* room for every end */
  struct middle *middles;
  struct trunk_side *client_sides, *far_sides;
  struct aead_cache *contexts;
  uint32_t circuits, lane_count, active, next_answered;
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
    if (end->place == AWAY_FROM_CLIENT) pass_back(b, delivery->side, delivery->body);
    else trunk_passed(delivery->side, b->now);
  }
}

static void work(struct bench *b, struct end *end) {
  if (link_needs_work(trunk_link(end->trunk))) require(link_work(trunk_link(end->trunk), b->now) == OUTCOME_OK);
  if (link_state(trunk_link(end->trunk)) == LINK_AWAITING_ADMISSION) link_admit(trunk_link(end->trunk));
}

/* What one end has to say now, to the other, which takes all of it: records are sent whole. */
static size_t carry(struct bench *b, struct end *from) {
  struct end *to = from->other;
  work(b, from);
  double start = clock_ns();
  size_t len = trunk_transmit(from->trunk, b->now, b->bytes, BUFFER_BYTES);
  if (from->place == NEAR_CLIENT) b->transmit_ns += clock_ns() - start;
  double onion_before = b->onion_ns;
  start = clock_ns();
  for (size_t used, at = 0; at < len; at += used) {
    struct delivery delivery;
    enum outcome outcome = trunk_receive(to->trunk, b->now, b->bytes + at, len - at, &used);
    while (outcome == OUTCOME_OK && trunk_next_delivery(to->trunk, b->now, &delivery, &outcome)) take(b, to, &delivery);
    require(outcome == OUTCOME_OK && used > 0);
  }
  if (to->place == AWAY_FROM_CLIENT) b->receive_ns += clock_ns() - start - (b->onion_ns - onion_before);
  work(b, to);
  return len;
}

static struct end *end_named(struct bench *b, struct id connection) {
  return &b->lanes[connection.slot / PLACES].ends[connection.slot % PLACES];
}

/* Those who became ready, each once, as a driver asks them: who has more comes again next time. */
static bool carry_node(struct bench *b, struct node *node) {
  struct id id;
  uint32_t count = 0;
  bool moved = false;
  while (trunk_pool_next_ready(&node->pool, &id)) b->ready[count++] = end_named(b, id);
  for (uint32_t i = 0; i < count; i++) {
    if (carry(b, b->ready[i]) == 0) continue;
    trunk_make_ready(b->ready[i]->trunk);
    moved = true;
  }
  return moved;
}

static bool carry_all(struct bench *b) {
  bool moved = carry_node(b, &b->far_node);
  moved = carry_node(b, &b->relay_node) || moved;
  moved = carry_node(b, &b->client_node) || moved;
  b->now += MILLISECONDS;
  return moved;
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

static void end_init(struct bench *b, struct end *end, enum place place, struct node *node, enum aead_suite suite) {
  static const uint8_t labels[PLACES] = {11, 12, 12, 13};
  uint8_t label = labels[place], seed[X25519_BYTES] = {label};
  end->place = place;
  end->pool = &node->pool;
  end->self.suites = (uint8_t)(1 << AEAD_CHACHA20_POLY1305 | 1 << suite);
  end->self.backend = aead_best_backend();
  memset(end->self.identity, label, sizeof end->self.identity);
  if (b->secrets[place] == NULL) b->secrets[place] = guarded_key_new(seed);
  require(b->secrets[place] != NULL);
  x25519_public(end->self.link_public, seed);
  end->self.link_secret = b->secrets[place];
}

static void join(struct bench *b, uint32_t lane, enum place initiator, enum place responder, enum link_pattern pattern) {
  struct end *from = &b->lanes[lane].ends[initiator], *to = &b->lanes[lane].ends[responder];
  struct link_peer peer = {.suites = to->self.suites};
  struct id names[] = {{lane * PLACES + (uint32_t)initiator, 1}, {lane * PLACES + (uint32_t)responder, 1}};
  memcpy(peer.identity, to->self.identity, sizeof peer.identity);
  memcpy(peer.link_key, to->self.link_public, sizeof peer.link_key);
  from->trunk = trunk_new(from->pool, link_new_initiator(&from->self, &peer, pattern, from->pool->random), names[0], names[0].slot + 1, 0);
  to->trunk = trunk_new(to->pool, link_new_responder(&to->self, to->pool->random), names[1], names[1].slot + 1, 0);
  require(from->trunk != NULL && to->trunk != NULL);
  from->other = to;
  to->other = from;
  for (int i = 0; i < 4; i++) {
    carry(b, from);
    carry(b, to);
  }
  require(link_state(trunk_link(from->trunk)) == LINK_OPEN && link_state(trunk_link(to->trunk)) == LINK_OPEN);
}

/* Of the circuits, every lane_count-th is the lane's. */
static void place_sides(struct bench *b, uint32_t lane, enum place place, struct trunk_side *first, size_t size) {
  struct end *end = &b->lanes[lane].ends[place];
  end->sides = (struct trunk_side *)(void *)((uint8_t *)first + lane * size);
  end->stride = b->lane_count * size;
}

/* The arrays are made before memory is counted: what is left is what trunks need for a side. */
static void make_arrays(struct bench *b) {
  b->client_sides = calloc(b->circuits, sizeof *b->client_sides);
  b->far_sides = calloc(b->circuits, sizeof *b->far_sides);
  b->middles = calloc(b->circuits, sizeof *b->middles);
  require(b->client_sides != NULL && b->far_sides != NULL && b->middles != NULL);
  for (uint32_t lane = 0; lane < b->lane_count; lane++) {
    place_sides(b, lane, AT_CLIENT, b->client_sides, sizeof *b->client_sides);
    place_sides(b, lane, FAR, b->far_sides, sizeof *b->far_sides);
    place_sides(b, lane, NEAR_CLIENT, &b->middles[0].sides[SIDE_CLIENT], sizeof *b->middles);
    place_sides(b, lane, AWAY_FROM_CLIENT, &b->middles[0].sides[SIDE_EXIT], sizeof *b->middles);
  }
}

static void open_circuit(struct bench *b, uint32_t i, enum aead_suite suite) {
  const struct cell_create create = {.handshake_type = 1, .generation = 1, .place = 1, .request = handshake};
  struct middle *middle = &b->middles[i];
  struct lane *lane = &b->lanes[i % b->lane_count];
  uint8_t key[AEAD_KEY_BYTES] = {(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16)};
  onion_layer_init(&middle->seal, suite, 1, ONION_BACKWARD, key);
  for (uint8_t s = 0; s < 2; s++) {
    middle->sides[s].owner = (struct id){i, 1};
    middle->sides[s].index = s;
    middle->sides[s].feeder = &middle->sides[1 - s];
  }
  middle->sides[SIDE_CLIENT].source = trunk_number(lane->ends[AWAY_FROM_CLIENT].trunk);
  require(trunk_begin(lane->ends[AT_CLIENT].trunk, &b->client_sides[i], b->now, &create));
  require(trunk_begin(lane->ends[AWAY_FROM_CLIENT].trunk, &middle->sides[SIDE_EXIT], b->now, &create));
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
    struct trunk_side *side = &b->far_sides[k * apart];
    uint32_t wanted = b->active >= 64 ? 4 : PER_SIDE_QUEUE;
    while (side->queue.count < wanted) {
      struct cell *cell = cell_pool_take(b->far_node.pool.cells);
      require(cell != NULL);
      memset(cell->bytes, 0, CELL_BYTES);
      trunk_push(side, b->now, cell, false);
    }
  }
}

struct costs { double receive, onion, transmit; };

static double sum(const struct costs *costs) {
  return costs->receive + costs->onion + costs->transmit;
}

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
  size_t count = 0, cells = 0;
  for (int turn = 0; turn < TURNS && (turn < TURNS_LEAST || cells < CELLS_MOST); turn++) {
    b->receive_ns = b->onion_ns = b->transmit_ns = 0;
    b->cells = 0;
    feed(b);
    carry_all(b);
    cells += b->cells;
    if (b->cells < TURN_CELLS_LEAST) continue;
    receive[count] = b->receive_ns / (double)b->cells;
    onion[count] = b->onion_ns / (double)b->cells;
    transmit[count++] = b->transmit_ns / (double)b->cells;
  }
  require(count > TURNS_LEAST / 2);
  return (struct costs){best_tenth(receive, count), best_tenth(onion, count), best_tenth(transmit, count)};
}

static size_t heap_bytes(void) {
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

static void bench_free(struct bench *b) {
  struct node *nodes[] = {&b->client_node, &b->relay_node, &b->far_node};
  for (uint32_t i = 0; i < b->circuits; i++) {
    trunk_detach(&b->client_sides[i]);
    trunk_detach(&b->far_sides[i]);
    for (int s = 0; s < 2; s++) trunk_detach(&b->middles[i].sides[s]);
    onion_layer_wipe(&b->middles[i].seal, b->contexts);
  }
  for (uint32_t lane = 0; lane < b->lane_count; lane++)
    for (int place = 0; place < PLACES; place++) trunk_free(b->lanes[lane].ends[place].trunk);
  for (int place = 0; place < PLACES; place++) guarded_key_free(b->secrets[place]);
  for (size_t n = 0; n < 3; n++) cell_pool_free(nodes[n]->pool.cells);
  aead_cache_free(b->contexts);
  free(b->lanes);
  free(b->ready);
  free(b->middles);
  free(b->client_sides);
  free(b->far_sides);
  free(b);
}

static void init_lane(struct bench *b, uint32_t lane, enum aead_suite suite) {
  struct node *nodes[PLACES] = {&b->client_node, &b->relay_node, &b->relay_node, &b->far_node};
  for (int place = 0; place < PLACES; place++) end_init(b, &b->lanes[lane].ends[place], (enum place)place, nodes[place], suite);
}

/* All links are up; circuits are still to be opened. budget: the relay's, shared; NULL: each node has its own. */
static struct bench *bench_new(uint32_t lanes, uint32_t circuits, uint32_t active, enum aead_suite suite, struct memory_budget *budget) {
  struct bench *b = calloc(1, sizeof *b);
  require(b != NULL);
  b->contexts = aead_cache_new(CONTEXTS, aead_best_backend());
  b->lanes = calloc(lanes, sizeof *b->lanes);
  b->ready = calloc(lanes, PLACES * sizeof(struct end *));
  require(b->contexts != NULL && b->lanes != NULL && b->ready != NULL);
  b->lane_count = lanes;
  b->circuits = circuits;
  b->active = active;
  b->now = SECONDS;
  node_init(&b->client_node, 1, NULL);
  node_init(&b->relay_node, 2, budget);
  node_init(&b->far_node, 3, NULL);
  make_arrays(b);
  for (uint32_t lane = 0; lane < lanes; lane++) {
    init_lane(b, lane, suite);
    join(b, lane, AT_CLIENT, NEAR_CLIENT, LINK_FROM_CLIENT);
    join(b, lane, AWAY_FROM_CLIENT, FAR, LINK_FROM_NODE);
  }
  return b;
}

/* ret_bytes: what an idle circuit costs the relay, its hop included; NULL: not asked. */
static struct costs grow(uint32_t lanes, uint32_t circuits, uint32_t active, enum aead_suite suite, double *ret_bytes) {
  struct bench *b = bench_new(lanes, circuits, active, suite, NULL);
  size_t before = heap_bytes();
  open_circuits(b, suite);
  if (ret_bytes != NULL) *ret_bytes = (double)sizeof(struct hop) + 2 * (double)(heap_bytes() - before) / (4.0 * circuits);
  struct costs costs = run_turns(b);
  bench_free(b);
  return costs;
}

static void tell(const char *name, struct costs costs) {
  printf("cell_%s_receive_ns %.0f\ncell_%s_onion_ns %.0f\ncell_%s_transmit_ns %.0f\n", name, costs.receive, name, costs.onion, name, costs.transmit);
}

/* ---- series ---- */

static void tell_series(const char *name, uint32_t count, struct costs costs) {
  printf("growth_%s_receive_%u_ns %.0f\ngrowth_%s_onion_%u_ns %.0f\ngrowth_%s_transmit_%u_ns %.0f\ngrowth_%s_cell_%u_ns %.0f\n", name, count,
         costs.receive, name, count, costs.onion, name, count, costs.transmit, name, count, sum(&costs));
  fflush(stdout);
}

static void measure_series(enum aead_suite suite) {
  static const uint32_t circuits[] = {10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000};
  static const uint32_t busy[] = {10, 30, 100, 300, 1000, 3000, 10000};
  static const uint32_t lanes[] = {5, 15, 50, 150, 500, 1500, 5000, 10000};
  for (size_t i = 0; i < sizeof circuits / sizeof *circuits; i++) tell_series("circuits", circuits[i], grow(2, circuits[i], BUSY, suite, NULL));
  for (size_t i = 0; i < sizeof busy / sizeof *busy; i++) tell_series("busy-circuits", busy[i], grow(2, 10000, busy[i], suite, NULL));
  for (size_t i = 0; i < sizeof lanes / sizeof *lanes; i++)
    tell_series("links", 2 * lanes[i], grow(lanes[i], lanes[i] < BUSY ? BUSY : lanes[i], BUSY, suite, NULL));
}

/* ---- two shards ---- */

enum { SHARD_TURNS = 200, SHARD_ROUNDS = 5 };

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
    runs[i] = (struct shard_run){.bench = bench_new(1, 64, 64, suite, &budget), .core = i};
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

int main(int argc, char **argv) {
  require(crypto_start());
  bool is_fast = aead_suite_is_available(AEAD_AES256_GCM);
  enum aead_suite suite = is_fast ? AEAD_AES256_GCM : AEAD_CHACHA20_POLY1305;
  double bytes;
  if (argc > 1 && strcmp(argv[1], "--series") == 0) {
    measure_series(suite);
    return 0;
  }
  tell("chacha20poly1305_8_busy_0_idle", grow(1, BUSY, BUSY, AEAD_CHACHA20_POLY1305, NULL));
  tell("8_busy_0_idle", grow(1, BUSY, BUSY, suite, NULL));
  tell("8_busy_10000_idle", grow(1, 10000 + BUSY, BUSY, suite, &bytes));
  tell("1000_busy_9000_idle", grow(1, 10000, 1000, suite, NULL));
  printf("idle_circuit_at_relay_bytes %.0f\n", bytes);
  if (sysconf(_SC_NPROCESSORS_ONLN) >= 2) measure_two_shards(suite);
  return 0;
}
