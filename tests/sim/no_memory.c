/* Whole machines without memory: the n-th allocation of one machine fails, in a simulated network, for n after n. The network
 * starts, a client fetches; then, with memory again, it fetches once more. Nothing may crash, leak or miscount, and the second
 * fetch must come through, or the machine has ended with no-memory. Spec: specs/machines.md [MACH-11].
 *
 *   no_memory [SEED [RUNS [MACHINE [N [COUNT]]]]]    RUNS of each machine, spread over all n; 0: every n
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/network.h"
#include "tests/unit/protocol/failing_allocator.h"

enum { RUNS_USUAL = 12, BYTES_FIRST = 200000, BYTES_LATER = 300000 };

struct victim { const char *name, *host; uint32_t machine; };
static const struct victim victims[] = {{"client", "c1", 0}, {"shard", "r1", 1}, {"exit", "x1", 1}, {"keeper", "x1", 0}, {"authority", "a1", 0}};
enum { VICTIMS = sizeof victims / sizeof *victims };

/* ---- a machine whose allocations alone are counted, and fail ---- */

static struct machine inner;

#define INSIDE(call) (failing_allocator_pause(false), (call)); failing_allocator_pause(true)

static struct id outer_accept(void *self, instant now, enum connection_kind kind, const struct address *peer) {
  struct id id = INSIDE(inner.verbs->accept(self, now, kind, peer));
  return id;
}

static size_t outer_room(const void *self, struct id id) {
  return inner.verbs->room(self, id);
}

static enum outcome outer_receive(void *self, instant now, struct id id, uint8_t *in, size_t len, size_t *ret_used) {
  enum outcome outcome = INSIDE(inner.verbs->receive(self, now, id, in, len, ret_used));
  return outcome;
}

static size_t outer_transmit(void *self, instant now, struct id id, uint8_t *out, size_t room) {
  size_t len = INSIDE(inner.verbs->transmit(self, now, id, out, room));
  return len;
}

static void outer_event(void *self, instant now, const struct event *event) {
  INSIDE(inner.verbs->event(self, now, event));
}

static bool outer_next_ready(void *self, struct id *ret) {
  return inner.verbs->next_ready(self, ret);
}

static bool outer_next_effect(void *self, struct effect *ret) {
  bool has = INSIDE(inner.verbs->next_effect(self, ret));
  return has;
}

static instant outer_deadline(const void *self) {
  return inner.verbs->deadline(self);
}

static void outer_tick(void *self, instant now) {
  INSIDE(inner.verbs->tick(self, now));
}

static bool outer_work(void *self, instant now) {
  bool more = INSIDE(inner.verbs->work(self, now));
  return more;
}

static void outer_status(const void *self, instant now, struct status *ret) {
  inner.verbs->status(self, now, ret);
}

static const struct machine_verbs outer_verbs = {
    .accept = outer_accept,
    .room = outer_room,
    .receive = outer_receive,
    .transmit = outer_transmit,
    .event = outer_event,
    .next_ready = outer_next_ready,
    .next_effect = outer_next_effect,
    .deadline = outer_deadline,
    .tick = outer_tick,
    .work = outer_work,
    .status = outer_status,
};

/* ---- one run ---- */

struct result { bool is_good; uint64_t asked; /* before memory was there again */ };

static void print_line(void *context, enum trace_level level, const char *area, const char *text) {
  const struct sim *sim = context;
  printf("%10.6f %-7s %s: %s\n", (double)(sim->now - 1000 * SECONDS) / 1e9, trace_level_name(level), area, text);
}

static bool fetch(struct network *network, uint64_t bytes, uint64_t within) {
  uint32_t number = network_fetch(network, 1, NULL, bytes, false);
  if (!network_run_until_fetched(network, within)) return false;
  const struct fetch_result *result = fetcher_result(network_node(network, "app1")->fetcher, number);
  return !result->failed && result->got == bytes;
}

/* The first `count` from the n-th on fail; n 0: none does. */
static struct result run(const struct victim *victim, uint64_t seed, uint32_t n, uint32_t count) {
  static struct network network;
  const struct network_options options = {.authorities = 1, .relays = 2, .exits = 1, .clients = 1, .delay = 5 * MILLISECONDS};
  int64_t live = failing_allocator_live();
  uint64_t asked = failing_allocator_asked();
  failing_allocator_pause(true);
  network_init(&network, seed, &options);
  if (getenv("TUNIC_TRACE") != NULL) network.sim.trace = (struct trace){.level = TRACE_DEBUG, .context = &network.sim, .sink = print_line};
  struct sim_host *host = sim_find_host(&network.sim, victim->host);
  inner = host->machines[victim->machine];
  host->machines[victim->machine].verbs = &outer_verbs;
  failing_allocator_fail(n, n == 0 ? 0 : count);
  bool ready = network_run_until_ready(&network, 60 * SECONDS);
  bool first = ready && fetch(&network, BYTES_FIRST, 90 * SECONDS);
  failing_allocator_fail(0, 0);
  uint64_t before = failing_allocator_asked() - asked;
  bool later = !host->exited && network_run_until_ready(&network, 120 * SECONDS) && fetch(&network, BYTES_LATER, 120 * SECONDS);
  bool ended = host->exited && host->exit_outcome == OUTCOME_NO_MEMORY;
  struct result result = {.asked = before};
  bool is_consistent = !network.sim.broken;
  if (!later && !ended) network_print_status(&network);
  network_wipe(&network);
  failing_allocator_pause(false);
  int64_t left = failing_allocator_live() - live;
  result.is_good = is_consistent && (later || ended) && left == 0 && (n > 0 || first);
  if (!result.is_good)
    printf("%s: allocation %u (%u in all) of seed %llu: %s%s%lld blocks left\n", victim->name, n, count, (unsigned long long)seed,
           is_consistent ? "" : "counts disagree, ", later || ended ? "" : "does not go on, ", (long long)left);
  return result;
}

/* Every n, or `runs` of them, each somewhere in its part of all there are. */
static bool try_victim(const struct victim *victim, uint64_t seed, uint32_t runs) {
  struct random_stream random;
  uint8_t bytes[RANDOM_SEED_BYTES] = {0};
  memcpy(bytes, &seed, sizeof seed);
  random_init(&random, bytes);
  struct result whole = run(victim, seed, 0, 0);
  bool good = whole.is_good;
  uint32_t parts = runs == 0 || runs > whole.asked ? (uint32_t)whole.asked : runs;
  for (uint32_t i = 0; i < parts; i++) {
    uint64_t from = whole.asked * i / parts, to = whole.asked * (i + 1) / parts;
    uint32_t n = (uint32_t)(from + random_below(&random, to - from)) + 1;
    good = run(victim, seed, n, random_below(&random, 4) == 0 ? 4 : 1).is_good && good;
  }
  printf("%s: %llu allocations, %u of them failed\n", victim->name, (unsigned long long)whole.asked, parts);
  random_wipe(&random);
  return good;
}

int main(int argc, char **argv) {
  uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL) % 1000000;
  uint32_t runs = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : RUNS_USUAL;
  uint32_t passed = 0, failed = 0;
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("seed %llu\n", (unsigned long long)seed);
  for (uint32_t i = 0; i < VICTIMS; i++) {
    if (argc > 3 && strcmp(argv[3], victims[i].name) != 0) continue;
    bool good = argc > 4 ? run(&victims[i], seed, (uint32_t)strtoul(argv[4], NULL, 10), argc > 5 ? (uint32_t)strtoul(argv[5], NULL, 10) : 1).is_good
                         : try_victim(&victims[i], seed, runs);
    passed += good;
    failed += !good;
  }
  printf("%u passed, %u failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
