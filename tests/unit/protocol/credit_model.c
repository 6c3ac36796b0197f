/* Credit at work: a chain of nodes, each with the shipped sender and receiver, over links with a rate and a delay.
 * The figures appear with `--verbose`; asserted is what a user would notice: speed, and how long cells wait. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include "protocol/cell.h"
#include "protocol/credit.h"
#include "protocol/limits.h"

enum { LEGS_MAX = 3, FLIGHT_STEPS = 2048, SOCKET_CELLS = 46, POOL_CELLS = 300000, CIRCUITS = 100 };

#define STEP (50 * MICROSECONDS) /* a turn of every node */

/* One link of the chain: its sender at one end, its receiver at the other, and what is on the way between them. */
struct leg {
  struct credit_sender sender;
  struct credit_receiver receiver;
  double per_step, budget; /* cells */
  uint32_t delay;          /* one way, in steps */
  uint32_t report_step;    /* a report is due then; UINT32_MAX: none */
  uint32_t cells[FLIGHT_STEPS];
  struct credit_report reports[FLIGHT_STEPS];
  bool has_report[FLIGHT_STEPS];
};

/* Node i sends on leg i what it received on leg i - 1; node 0 never runs out, the last delivers at its own pace. */
struct chain {
  struct leg legs[LEGS_MAX];
  uint32_t count, step;
  double deliver_per_step, deliver_budget;
  uint64_t queued, queued_most; /* in all nodes, summed over steps */
  uint64_t seed;
  bool early; /* reports are made before the turn's sends instead of after them */
};

static double cells_per_step(double megabits) { return megabits * 1e6 / 8 / CELL_BYTES * (double)STEP / (double)SECONDS; }

static void chain_init(struct chain *chain, double deliver_megabits) {
  *chain = (struct chain){.deliver_per_step = cells_per_step(deliver_megabits), .seed = 1};
}

static void chain_add(struct chain *chain, double megabits, double round_trip_ms) {
  struct leg *leg = &chain->legs[chain->count++];
  credit_sender_init(&leg->sender);
  credit_receiver_init(&leg->receiver);
  leg->report_step = UINT32_MAX;
  leg->per_step = cells_per_step(megabits);
  leg->delay = (uint32_t)(round_trip_ms * (double)MILLISECONDS / 2 / (double)STEP);
  if (leg->delay == 0) leg->delay = 1;
  cr_assert_lt(leg->delay, FLIGHT_STEPS);
}

static instant chain_now(const struct chain *chain) { return (chain->step + 1) * STEP; }

static void arrive(struct chain *chain, struct leg *leg) {
  uint32_t at = chain->step % FLIGHT_STEPS;
  if (leg->has_report[at])
    cr_assert_eq(credit_sender_report(&leg->sender, chain_now(chain), &leg->reports[at]), OUTCOME_OK);
  leg->has_report[at] = false;
  for (; leg->cells[at] > 0; leg->cells[at]--) cr_assert_eq(credit_receiver_received(&leg->receiver), OUTCOME_OK);
}

static bool node_has_cells(const struct chain *chain, uint32_t node) {
  return node == 0 || credit_receiver_waiting(&chain->legs[node - 1].receiver) > 0;
}

static void send(struct chain *chain, uint32_t node) {
  struct leg *leg = &chain->legs[node];
  leg->budget += leg->per_step;
  for (; leg->budget >= 1 && credit_sender_room(&leg->sender) > 0 && node_has_cells(chain, node); leg->budget--) {
    credit_sender_sent(&leg->sender, chain_now(chain));
    if (node > 0) credit_receiver_passed(&chain->legs[node - 1].receiver);
    leg->cells[(chain->step + leg->delay) % FLIGHT_STEPS]++;
  }
  if (leg->budget > leg->per_step + SOCKET_CELLS) leg->budget = leg->per_step + SOCKET_CELLS;
  if (credit_sender_room(&leg->sender) > 0 && !node_has_cells(chain, node)) credit_sender_idle(&leg->sender);
}

/* The last node's pace varies by a fifth from step to step. */
static void deliver(struct chain *chain) {
  chain->seed = chain->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  double wobble = 0.8 + 0.4 * (double)(chain->seed >> 40) / (double)(1 << 24);
  chain->deliver_budget += chain->deliver_per_step * wobble;
  struct credit_receiver *last = &chain->legs[chain->count - 1].receiver;
  for (; chain->deliver_budget >= 1 && credit_receiver_waiting(last) > 0; chain->deliver_budget--) credit_receiver_passed(last);
  if (chain->deliver_budget > chain->deliver_per_step + 1) chain->deliver_budget = chain->deliver_per_step + 1;
}

static void report(struct chain *chain, struct leg *leg) {
  credit_receiver_grow(&leg->receiver, chain_now(chain), 0, POOL_CELLS, CIRCUITS);
  enum credit_due due = credit_receiver_due(&leg->receiver);
  if (due == CREDIT_DUE_SOON && leg->report_step == UINT32_MAX) leg->report_step = chain->step + LIMIT_REPORT_TIME / STEP;
  if (due != CREDIT_DUE_NOW && chain->step < leg->report_step) return;
  leg->report_step = UINT32_MAX;
  uint32_t at = (chain->step + leg->delay) % FLIGHT_STEPS;
  credit_receiver_make_report(&leg->receiver, &leg->reports[at]);
  leg->has_report[at] = true;
}

static void chain_turn(struct chain *chain) {
  for (uint32_t i = 0; i < chain->count; i++) arrive(chain, &chain->legs[i]);
  for (uint32_t i = 0; chain->early && i < chain->count; i++) report(chain, &chain->legs[i]);
  for (uint32_t i = 0; i < chain->count; i++) send(chain, i);
  deliver(chain);
  for (uint32_t i = 0; !chain->early && i < chain->count; i++) report(chain, &chain->legs[i]);
  chain->step++;

  uint64_t queued = 0;
  for (uint32_t i = 0; i < chain->count; i++) queued += credit_receiver_waiting(&chain->legs[i].receiver);
  chain->queued += queued;
  if (queued > chain->queued_most) chain->queued_most = queued;
}

struct figures { double share, wait_ms, wait_most_ms; };

/* Runs on for a time: which share of this rate arrived, and how long cells waited in nodes. */
static struct figures chain_run(struct chain *chain, double ms, double megabits) {
  uint32_t steps = (uint32_t)(ms * (double)MILLISECONDS / (double)STEP);
  uint64_t before = chain->legs[chain->count - 1].receiver.passed;
  chain->queued = chain->queued_most = 0;
  for (uint32_t i = 0; i < steps; i++) chain_turn(chain);
  double rate = cells_per_step(megabits), step_ms = (double)STEP / (double)MILLISECONDS;
  uint64_t passed = chain->legs[chain->count - 1].receiver.passed - before;
  return (struct figures){
      .share = (double)passed / (rate * steps),
      .wait_ms = (double)chain->queued / steps / rate * step_ms,
      .wait_most_ms = (double)chain->queued_most / rate * step_ms,
  };
}

static void show(const char *what, const struct figures *figures) {
  cr_log_info("%-44s %5.1f %% of the rate, cells wait %5.1f ms, at most %5.1f ms", what, figures->share * 100,
              figures->wait_ms, figures->wait_most_ms);
}

/* What a window of the greatest size carries at this round trip, if that is less than the rate. */
static double reachable(double megabits, double round_trip_ms) {
  double most = LIMIT_WINDOW_MOST * 8.0 * CELL_BYTES / 1e6 / (round_trip_ms / 1e3);
  return most < megabits ? most : megabits;
}

/* The neighbour passes on at `megabits`; our own link to it is `times` faster. */
static void check_one_leg(double megabits, double round_trip_ms, double times, bool early) {
  static struct chain chain;
  char what[80];
  chain_init(&chain, megabits);
  chain.early = early;
  chain_add(&chain, megabits * times, round_trip_ms);
  double least = 2.0 * (double)STEP / (double)MILLISECONDS, trip = round_trip_ms > least ? round_trip_ms : least;
  double rate = reachable(megabits, trip);
  chain_run(&chain, 8 * trip + 20, rate);
  /* Whole round trips: where the window is the limit, cells come in one burst each. */
  double whole = trip * ceil(100 / trip);
  struct figures at_first = chain_run(&chain, whole, rate);
  chain_run(&chain, 500, rate);
  struct figures figures = chain_run(&chain, 4 * whole, rate);
  snprintf(what, sizeof what, "%.0f Mbit/s, %.1f ms, link %.0f times as fast", megabits, round_trip_ms, times);
  show(what, &figures);
  cr_expect_geq(at_first.share, 0.95, "%s: %.3f", what, at_first.share);
  cr_expect_geq(figures.share, 0.95, "%s: %.3f", what, figures.share);
  /* 32 cells come between two reports, and last 18 ms at the slowest rate here. */
  cr_expect_leq(figures.wait_ms, 10 + 32 / (rate * 1e3 / 8 / CELL_BYTES), "%s: %.1f ms", what, figures.wait_ms);
}

Test(credit_model, one_hop_is_filled_within_a_few_round_trips_and_its_queue_stays_short) {
  const double rates[] = {20, 200, 1000, 10000}, round_trips[] = {0.1, 1, 10, 100};
  for (size_t r = 0; r < 4; r++)
    for (size_t t = 0; t < 4; t++) check_one_leg(rates[r], round_trips[t], (r + t) % 2 ? 4 : 1, r % 2);
}

Test(credit_model, no_hop_of_a_chain_holds_the_others_back) {
  static struct chain chain;
  const struct { const char *what; double rates[3], round_trips[3], slowest; } cases[] = {
      {"loopback", {8000, 8000, 8000}, {0.1, 0.1, 0.1}, 8000},
      {"near guard, far middle", {1000, 100, 1000}, {2, 100, 20}, 100},
      {"far guard, near middle", {100, 1000, 1000}, {100, 2, 2}, 100},
      {"slow exit", {200, 200, 50}, {40, 40, 40}, 50},
      {"all far", {100, 100, 100}, {80, 80, 80}, 100},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    chain_init(&chain, 1e5);
    for (int leg = 0; leg < 3; leg++) chain_add(&chain, cases[i].rates[leg], cases[i].round_trips[leg]);
    chain_run(&chain, 2000, cases[i].slowest);
    struct figures figures = chain_run(&chain, 1000, cases[i].slowest);
    show(cases[i].what, &figures);
    cr_expect_geq(figures.share, 0.95, "%s: %.3f", cases[i].what, figures.share);
    cr_expect_leq(figures.wait_ms, 60, "%s: %.1f ms", cases[i].what, figures.wait_ms);
  }
}

Test(credit_model, a_change_of_pace_is_followed) {
  static struct chain chain;
  chain_init(&chain, 200);
  chain_add(&chain, 1000, 40);
  chain_run(&chain, 1000, 200);
  chain.deliver_per_step = cells_per_step(20);
  chain_run(&chain, 1500, 20);
  struct figures slow = chain_run(&chain, 1000, 20);
  show("200 Mbit/s became 20", &slow);
  cr_expect_geq(slow.share, 0.95);
  cr_expect_leq(slow.wait_ms, 40);

  chain.deliver_per_step = cells_per_step(200);
  chain_run(&chain, 800, 200);
  struct figures fast = chain_run(&chain, 1000, 200);
  show("20 Mbit/s became 200", &fast);
  cr_expect_geq(fast.share, 0.95);
}

Test(credit_model, who_takes_nothing_is_sent_no_more_than_was_promised) {
  static struct chain chain;
  chain_init(&chain, 100);
  chain_add(&chain, 100, 20);
  chain_run(&chain, 500, 100);
  chain.deliver_per_step = 0;
  chain_run(&chain, 500, 100);
  const struct leg *leg = &chain.legs[0];
  cr_assert_leq(credit_receiver_waiting(&leg->receiver), LIMIT_WINDOW_MOST);
  uint64_t held = leg->receiver.passed;
  cr_assert_leq(leg->sender.sent, leg->sender.passed + LIMIT_WINDOW_MOST);

  /* It takes cells again: nothing has stuck. */
  chain.deliver_per_step = cells_per_step(100);
  struct figures figures = chain_run(&chain, 1000, 100);
  show("stopped for 500 ms", &figures);
  cr_assert_gt(leg->receiver.passed, held);
  cr_expect_geq(figures.share, 0.9);
}
