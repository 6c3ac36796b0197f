/* The agreement in whole networks, simulated: storms, liars, crashes, lost records. Every event is followed by the witness's
 * checks (agreement_witness.h); TUNIC_SEED replays the one network that failed. */
#include <criterion/criterion.h>

#include "tests/unit/directory/agreement_network.h"
#include "tests/unit/seed.h"

static const struct agreement_timing lab = {.view_first = 200 * MILLISECONDS, .view_most = 3 * SECONDS, .interval = 2 * SECONDS, .early_gap = 500 * MILLISECONDS};
static const struct agreement_timing production = {
  .view_first = 60 * SECONDS, .view_most = 10 * MINUTES, .interval = 60 * MINUTES, .early_gap = 10 * MINUTES};

enum { ALL_HABITS = LIAR_TWINS | LIAR_AGREEABLE | LIAR_RUBBISH | LIAR_REPLAYS | LIAR_LATE | LIAR_HASTY };

static struct agreement_network_options calm_network(uint32_t n) {
  return (struct agreement_network_options){.n = n, .timing = lab, .calm_delay = 20 * MILLISECONDS};
}

static struct agreement_network_options stormy_network(uint32_t n, uint64_t seed) {
  struct agreement_network_options options = calm_network(n);
  options.storm_ends = 2 * SECONDS + seed % 5 * SECONDS;
  options.storm_delay = (50 + seed / 5 % 10 * 150) * MILLISECONDS;
  options.storm_loss_percent = (uint32_t)(seed / 50 % 4) * 15;
  options.storm_splits = seed / 200 % 3 != 0;
  return options;
}

static void require_no_failure(const struct agreement_network *net, uint64_t seed) {
  const char *failure = agreement_network_failure(net);
  cr_assert_null(failure, "TUNIC_SEED=%" PRIu64 " at %.3f s: %s", seed, (double)agreement_network_now(net) / 1e9, failure);
}

/* Once messages get through: a decision within one timer that is still running, one for each leader that may lie, and what STATUS
 * takes to bring back what was lost. */
static void weather(const struct agreement_network_options *options, uint64_t seed) {
  struct agreement_network *net = agreement_network_new(options, seed);
  agreement_network_run(net, options->storm_ends);
  require_no_failure(net, seed);
  uint32_t f = (options->n - 1) / 3;
  uint64_t next = agreement_network_highest(net) + 1;
  instant until = options->storm_ends + options->timing.interval + (1 + f) * options->timing.view_most + options->timing.view_most / 4 + 500 * MILLISECONDS;
  bool decided = agreement_network_run_to_epoch(net, next, until);
  require_no_failure(net, seed);
  cr_assert(decided, "TUNIC_SEED=%" PRIu64 ": no decision after the storm", seed);
  agreement_network_run(net, agreement_network_now(net) + options->timing.interval);
  require_no_failure(net, seed);
  agreement_network_free(net);
}

/* Networks from consecutive seeds; a given seed is the first. */
static uint64_t first_seed(const char *test, uint32_t *count) {
#ifdef __SANITIZE_ADDRESS__
  *count = *count / 8 + 1; /* a sanitized network costs several times as much */
#endif
  if (getenv("TUNIC_SEED")) *count = 1;
  return test_seed(test);
}

Test(agreement_simulated, a_calm_network_decides_in_view_0) {
  static const uint32_t sizes[] = {1, 2, 3, 4, 5, 7, 10};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct agreement_network_options options = calm_network(sizes[i]);
    struct agreement_network *net = agreement_network_new(&options, 7 + i);
    cr_assert(agreement_network_run_to_epoch(net, 1, 200 * MILLISECONDS), "n = %u: no decision within the first view", sizes[i]);
    cr_assert(agreement_network_run_to_epoch(net, 3, 6 * SECONDS), "n = %u", sizes[i]);
    require_no_failure(net, 7 + i);
    uint32_t all = (UINT32_C(1) << sizes[i]) - 1;
    cr_assert_eq(agreement_network_voters(net, 2), all, "n = %u: everyone's vote counts", sizes[i]);
    agreement_network_free(net);
  }
}

Test(agreement_simulated, storms_crashes_and_no_liar) {
  uint32_t count = 30;
  uint64_t seed = first_seed("storms", &count);
  for (uint64_t s = seed; s < seed + count; s++) {
    struct agreement_network_options options = stormy_network(4 + s % 2, s);
    options.crash_per_mille = 60;
    weather(&options, s);
  }
}

Test(agreement_simulated, alone_with_crashes) {
  uint32_t count = 40;
  uint64_t seed = first_seed("alone", &count);
  for (uint64_t s = seed; s < seed + count; s++) {
    struct agreement_network_options options = stormy_network(1, s);
    options.crash_per_mille = 300;
    weather(&options, s);
  }
}

Test(agreement_simulated, a_liar_among_four_or_five) {
  uint32_t count = 40;
  uint64_t seed = first_seed("liar", &count);
  for (uint64_t s = seed; s < seed + count; s++) {
    struct agreement_network_options options = stormy_network(4 + s / 7 % 2, s);
    options.liars = 1;
    options.habits = (uint32_t)(s * 2654435761u >> 8) & ALL_HABITS;
    options.crash_per_mille = 30;
    weather(&options, s);
  }
}

Test(agreement_simulated, each_habit_of_a_liar) {
  uint32_t count = 4;
  uint64_t seed = first_seed("habits", &count);
  for (uint64_t s = seed; s < seed + count; s++) {
    for (uint32_t habit = LIAR_SILENT; habit <= LIAR_HASTY; habit *= 2) {
      struct agreement_network_options options = stormy_network(4, s);
      options.liars = 1;
      options.habits = habit | LIAR_AGREEABLE;
      weather(&options, s);
    }
  }
}

Test(agreement_simulated, two_liars_among_seven) {
  uint32_t count = 6;
  uint64_t seed = first_seed("seven", &count);
  for (uint64_t s = seed; s < seed + count; s++) {
    struct agreement_network_options options = stormy_network(7, s);
    options.liars = 2;
    options.habits = s % 3 ? ALL_HABITS : LIAR_TWINS | LIAR_AGREEABLE;
    options.crash_per_mille = 15;
    weather(&options, s);
  }
}

/* A record lost by one honest authority while nobody lies: as many faults as f. */
Test(agreement_simulated, a_lost_record) {
  uint32_t count = 24;
  uint64_t seed = first_seed("lost", &count);
  for (uint64_t s = seed; s < seed + count; s++) {
    struct agreement_network_options options = stormy_network(4, s);
    options.storm_ends += 4 * SECONDS;
    options.crash_per_mille = 80;
    options.lost_records = 1;
    weather(&options, s);
  }
}

/* Two records lost and a liar that signs all it sees: more faults than f, so it may stop, but must not split. */
Test(agreement_simulated, lost_records_and_a_liar_never_split) {
  uint32_t count = 12;
  uint64_t seed = first_seed("lost and liar", &count);
  for (uint64_t s = seed; s < seed + count; s++) {
    struct agreement_network_options options = stormy_network(4, s);
    options.storm_ends += 4 * SECONDS;
    options.liars = 1;
    options.habits = LIAR_TWINS | LIAR_AGREEABLE | LIAR_REPLAYS;
    options.crash_per_mille = 80;
    options.lost_records = 2;
    struct agreement_network *net = agreement_network_new(&options, s);
    agreement_network_run(net, options.storm_ends + 5 * SECONDS);
    require_no_failure(net, s);
    agreement_network_free(net);
  }
}

/* [ATTACKS 20] Twelve hours in which every message is an hour or two late: nothing is decided in vain, the timer stays capped,
 * and the decision comes by itself, within two capped timers and what STATUS takes, after messages get through. */
Test(agreement_simulated, a_flood_of_twelve_hours) {
  uint32_t count = 4;
  uint64_t seed = first_seed("flood", &count);
  for (uint64_t s = seed; s < seed + count; s++) {
    struct agreement_network_options options = calm_network(4);
    options.timing = production;
    options.liars = (uint32_t)(s % 2);
    options.habits = LIAR_SILENT;
    options.storm_ends = 12 * HOURS;
    options.storm_delay = 2 * HOURS;
    options.calm_delay = 500 * MILLISECONDS;
    struct agreement_network *net = agreement_network_new(&options, s);
    agreement_network_run(net, options.storm_ends);
    require_no_failure(net, s);
    uint64_t next = agreement_network_highest(net) + 1;
    bool decided = agreement_network_run_to_epoch(net, next, options.storm_ends + 2 * production.view_most + production.view_most / 4);
    require_no_failure(net, s);
    cr_assert(decided, "TUNIC_SEED=%" PRIu64, s);
    agreement_network_free(net);
  }
}

/* Whoever votes two ways is found out, by everyone, and its vote is left out while the proof is young. */
Test(agreement_simulated, who_votes_two_ways_is_accused_and_left_out) {
  struct agreement_network_options options = calm_network(4);
  options.liars = 1;
  options.habits = LIAR_TWINS;
  uint32_t left_out = 0;
  for (uint64_t s = 1; s <= 6; s++) {
    struct agreement_network *net = agreement_network_new(&options, s);
    cr_assert(agreement_network_run_to_epoch(net, 12, 120 * SECONDS), "seed %" PRIu64, s);
    require_no_failure(net, s);
    uint32_t liar = 0;
    while (liar < 4 && agreement_network_accusers(net, (uint8_t)liar) == 0) liar++;
    if (liar < 4) { /* not if all others happened to listen to one of its two faces */
      cr_assert_eq(agreement_network_accusers(net, (uint8_t)liar), 3, "seed %" PRIu64 ": the proof reaches everyone", s);
      for (uint64_t epoch = 8; epoch <= 12; epoch++) left_out += !(agreement_network_voters(net, epoch) >> liar & 1);
    }
    agreement_network_free(net);
  }
  /* An epoch that the liar itself leads may still name its vote. */
  cr_assert_geq(left_out, 4 * 3);
}

/* One honest authority alone does not open an epoch early for all; f + 1 do. */
Test(agreement_simulated, relays_that_come_or_go_open_the_next_epoch_early) {
  struct agreement_network_options options = calm_network(4);
  options.timing.interval = 60 * SECONDS;
  struct agreement_network *net = agreement_network_new(&options, 3);
  cr_assert(agreement_network_run_to_epoch(net, 1, SECONDS));
  instant first = agreement_network_now(net);
  agreement_network_want_early(net, 0);
  cr_assert_not(agreement_network_run_to_epoch(net, 2, first + 10 * SECONDS), "one is not enough");
  first = agreement_network_now(net);
  agreement_network_want_early(net, 2);
  cr_assert(agreement_network_run_to_epoch(net, 2, first + 180 * MILLISECONDS), "f + 1 open it for all: in its first view");
  first = agreement_network_now(net);
  agreement_network_want_early(net, 1);
  agreement_network_want_early(net, 3);
  cr_assert_not(agreement_network_run_to_epoch(net, 3, first + 100 * MILLISECONDS), "not within the early gap");
  cr_assert(agreement_network_run_to_epoch(net, 3, first + 700 * MILLISECONDS), "in the first view after the early gap");
  require_no_failure(net, 3);
  agreement_network_free(net);
}
