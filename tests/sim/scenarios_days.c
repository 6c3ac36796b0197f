/* Networks of full size through days of bad weather for their authorities: `days` in `make test`, the others by `make sim-days`. */
#include <stdio.h>
#include <time.h>

#include "tests/sim/days.h"

enum { EVERY_LIE = LIAR_TWINS | LIAR_AGREEABLE | LIAR_RUBBISH | LIAR_REPLAYS | LIAR_LATE | LIAR_HASTY };

/* ---- the weather, once a minute ---- */

static void set_delay(struct days *days, uint64_t delay) {
  for (uint32_t i = 0; i < days->n; i++) days_authority(days, i)->host->delay = delay;
}

/* Every message late by up to many minutes, whoever it is from. */
static void flood(struct days *days) {
  for (uint32_t i = 0; i < days->n; i++)
    if (trial_draw(days->trial, 5) == 0)
      days_authority(days, i)->host->delay = trial_draw(days->trial, trial_draw(days->trial, 2) ? 20 * SECONDS : 15 * MINUTES);
}

/* Two sides, drawn anew now and then; sometimes one. */
static void partition(struct days *days) {
  if (trial_draw(days->trial, 15) != 0) return;
  uint64_t side = trial_draw(days->trial, UINT64_C(1) << days->n), all = (UINT64_C(1) << days->n) - 1;
  for (uint32_t i = 0; i < days->n; i++) days_authority(days, i)->host->apart = side >> i & 1 ? all & ~side : side;
}

static void heal(struct days *days) {
  for (uint32_t i = 0; i < days->n; i++) days_authority(days, i)->host->apart = 0;
}

static void set_cut(struct days *days, bool cut) {
  for (uint32_t i = 0; i < days->n; i++) sim_set_cut(days_authority(days, i)->host, cut);
}

/* ---- spells ---- */

static void lies(struct days *days, const char *name, uint32_t habits, uint64_t duration) {
  days_set_habits(days, habits);
  days_run(days, duration, NULL);
  days_expect_decision(days, name);
  days_set_habits(days, 0);
}

static void crashes(struct days *days, uint32_t habits, uint64_t duration) {
  days_set_habits(days, habits);
  days->crash_per_mille = 500;
  days_run(days, duration, NULL);
  days->crash_per_mille = 0;
  days_run(days, 2 * MINUTES, NULL); /* until the last is back */
  days_expect_decision(days, "crashes in writes");
}

/* The record of an honest authority is gone; as many faults as f, so nobody lies meanwhile. */
static void lost_record(struct days *days) {
  uint32_t place = 0;
  while (days_authority(days, place)->liar != NULL) place++;
  days_set_habits(days, 0);
  days_crash(days, days_authority(days, place), true);
  days_run(days, 150 * MINUTES, NULL);
  days_expect_decision(days, "a lost record");
}

static void partitions(struct days *days, uint32_t habits, uint64_t duration) {
  days_set_habits(days, habits);
  days_run(days, duration, partition);
  heal(days);
  days_expect_decision(days, "partitions");
}

static void floods(struct days *days, uint32_t habits, uint64_t duration) {
  days_set_habits(days, habits);
  days_run(days, duration, flood);
  set_delay(days, 20 * MILLISECONDS);
  days_run(days, 15 * MINUTES, NULL); /* what is under way arrives */
  days_expect_decision(days, "a flood");
}

/* Every connection is lost, and nobody is reached for hours. */
static void all_cut_off(struct days *days, uint64_t duration) {
  for (uint32_t i = 0; i < days->n; i++) sim_cut_connections(days_authority(days, i)->host, NULL);
  set_cut(days, true);
  days_run(days, duration, NULL);
  set_cut(days, false);
  days_expect_decision(days, "hours without any message");
}

/* f clocks are days off, one way and the other. */
static void clocks(struct days *days, uint64_t duration) {
  int64_t skew = INT64_C(3) * 86400 * 1000;
  days_set_habits(days, 0);
  for (uint32_t i = 0; i < days->n; i++, skew = -skew)
    if (days_authority(days, i)->liar != NULL) sim_set_clock_skew(days_authority(days, i)->host, skew);
  days_run(days, duration, NULL);
  days_expect_decision(days, "clocks that are days off");
  for (uint32_t i = 0; i < days->n; i++)
    if (days_authority(days, i)->liar != NULL) sim_set_clock_skew(days_authority(days, i)->host, 0);
}

/* ---- scenarios ---- */

static void report(struct days *days, clock_t began) {
  const struct sim *sim = &days->trial->network.sim;
  double virtual_days = (double)(sim->now - 1000 * SECONDS) / 86400e9, spent = (double)(clock() - began) / CLOCKS_PER_SEC;
  printf("  seed %llu, n = %u: %.1f days, %llu epochs, %u crashes, %llu fetches, %llu turns; %.2f days a minute of processor time\n",
         (unsigned long long)days->trial->seed, days->n, virtual_days, (unsigned long long)days->trial->watch.newest, days->crashes,
         (unsigned long long)days->fetched, (unsigned long long)sim->turns, virtual_days * 60 / spent);
}

/* One day with the worst of everything. */
static void a_day(struct trial *trial) {
  static struct days days;
  clock_t began = clock();
  if (days_start(&days, trial, 4)) {
    lies(&days, "two faces", LIAR_TWINS | LIAR_AGREEABLE, 3 * HOURS);
    crashes(&days, LIAR_AGREEABLE | LIAR_REPLAYS, 2 * HOURS);
    partitions(&days, LIAR_TWINS | LIAR_HASTY, 2 * HOURS);
    lost_record(&days);
    floods(&days, LIAR_SILENT, 4 * HOURS);
    clocks(&days, 2 * HOURS);
    lies(&days, "rubbish and replays, late and in haste", LIAR_RUBBISH | LIAR_REPLAYS | LIAR_LATE | LIAR_HASTY, 2 * HOURS);
    all_cut_off(&days, 3 * HOURS);
  }
  report(&days, began);
  days_stop(&days);
}

/* Every habit by itself and all together, and each weather for longer. */
static void several_days(struct trial *trial, uint32_t authorities, uint32_t rounds) {
  static const struct { const char *name; uint32_t habits; } kinds[] = {
      {"silence", LIAR_SILENT}, {"two faces", LIAR_TWINS | LIAR_AGREEABLE}, {"lateness", LIAR_LATE}, {"rubbish", LIAR_RUBBISH},
      {"replays", LIAR_REPLAYS | LIAR_AGREEABLE}, {"haste", LIAR_HASTY | LIAR_AGREEABLE}, {"everything", EVERY_LIE}};
  static struct days days;
  clock_t began = clock();
  bool ready = days_start(&days, trial, authorities);
  for (uint32_t i = 0; ready && i < rounds && trial->failures == 0; i++) {
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) lies(&days, kinds[k].name, kinds[k].habits, 2 * HOURS);
    lost_record(&days);
    crashes(&days, EVERY_LIE, 6 * HOURS);
    partitions(&days, EVERY_LIE, 6 * HOURS);
    floods(&days, i % 2 == 0 ? LIAR_SILENT : EVERY_LIE, 12 * HOURS);
    clocks(&days, 6 * HOURS);
    all_cut_off(&days, 10 * HOURS);
    report(&days, began);
  }
  days_stop(&days);
}

static void days_of_4(struct trial *trial) { several_days(trial, 4, 2); }
static void days_of_7(struct trial *trial) { several_days(trial, 7, 1); }

static const struct scenario scenarios_days[] = {
    {"day", 1, a_day},
    {"days-4", 0, days_of_4},
    {"days-7", 0, days_of_7},
    {NULL, 0, NULL},
};

const struct scenario *const scenario_groups[] = {scenarios_days, NULL};
const uint32_t scenario_most_s = 4 * 3600;
