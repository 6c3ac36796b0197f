#include <criterion/criterion.h>
#include <stdlib.h>

#include "protocol/credit.h"
#include "protocol/limits.h"

enum { POOL = 100000 };

/* splitmix64 */
static uint64_t draw(uint64_t *state) {
  uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static uint64_t seed_for_test(void) {
  const char *text = getenv("TUNIC_SEED");
  uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : 20260722;
  cr_log_info("TUNIC_SEED=%llu", (unsigned long long)seed);
  return seed;
}

static void sender_sends(struct credit_sender *sender, uint32_t count, instant now) {
  for (uint32_t i = 0; i < count; i++) credit_sender_sent(sender, now);
}

static enum outcome tell(struct credit_sender *sender, instant now, uint64_t passed, uint64_t limit, uint64_t waiting) {
  struct credit_report report = {.passed = passed, .limit = limit, .waiting = credit_waiting_encode(waiting)};
  return credit_sender_report(sender, now, &report);
}

static void receiver_takes(struct credit_receiver *receiver, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) cr_assert_eq(credit_receiver_received(receiver), OUTCOME_OK);
}

static void receiver_passes(struct credit_receiver *receiver, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) credit_receiver_passed(receiver);
}

/* [CREDIT-6] */
Test(credit, waiting_is_exact_when_small_and_never_rounded_up) {
  for (uint64_t cells = 0; cells < 16; cells++) {
    cr_assert_eq(credit_waiting_encode(cells), cells);
    cr_assert_eq(credit_waiting_decode((uint16_t)cells), cells);
  }
  cr_assert_eq(credit_waiting_encode(16), 16);
  cr_assert_eq(credit_waiting_encode(19), 16);
  cr_assert_eq(credit_waiting_encode(20), 17);
  cr_assert_eq(credit_waiting_encode(31), 19);
  cr_assert_eq(credit_waiting_encode(32), 20);
  cr_assert_eq(credit_waiting_decode(20), 32);
  cr_assert_eq(credit_waiting_encode(LIMIT_CREDIT_MAX), 56);
  cr_assert_eq(credit_waiting_encode(UINT64_MAX), 255);
  for (uint64_t cells = 16; cells < 40000; cells++) {
    uint64_t back = credit_waiting_decode(credit_waiting_encode(cells));
    cr_assert(back <= cells && cells - back < back / 4 + 1, "%lu became %lu", cells, back);
  }
}

Test(credit, every_code_below_256_stands_for_itself_and_no_other_for_anything) {
  for (uint32_t code = 0; code < 256; code++)
    cr_assert_eq(credit_waiting_encode(credit_waiting_decode((uint16_t)code)), code);
  for (uint32_t code = 256; code <= UINT16_MAX; code++) cr_assert_eq(credit_waiting_decode((uint16_t)code), UINT64_MAX);
}

/* [CREDIT-2] */
Test(credit, the_first_cells_need_no_report_and_then_the_limit_and_the_window_hold) {
  struct credit_sender sender;
  credit_sender_init(&sender);
  cr_assert_eq(credit_sender_room(&sender), LIMIT_CREDIT_FIRST);
  sender_sends(&sender, LIMIT_CREDIT_FIRST, 0);
  cr_assert_eq(credit_sender_room(&sender), 0);
  cr_assert_eq(tell(&sender, 1, 0, 20, 0), OUTCOME_OK);
  cr_assert_eq(credit_sender_room(&sender), 20 - LIMIT_CREDIT_FIRST);
  cr_assert_eq(tell(&sender, 2, 0, 1000, 0), OUTCOME_OK);
  cr_assert_eq(credit_sender_room(&sender), LIMIT_WINDOW_FIRST - LIMIT_CREDIT_FIRST);
}

/* [CREDIT-4] */
Test(credit, a_report_that_cant_be_true_is_a_violation_and_changes_nothing) {
  struct credit_sender sender;
  credit_sender_init(&sender);
  sender_sends(&sender, 4, 0);
  cr_assert_eq(tell(&sender, 1, 2, 40, 1), OUTCOME_OK);
  const struct { const char *what; uint64_t passed, limit, waiting; } lies[] = {
      {"passed beyond sent", 5, 40, 0},
      {"passed goes back", 1, 40, 0},
      {"limit goes back", 2, 39, 0},
      {"limit further ahead than allowed", 2, 2 + LIMIT_CREDIT_MAX + 1, 0},
      {"limit at the end of numbers", 2, UINT64_MAX, 0},
      {"passed at the end of numbers", UINT64_MAX, UINT64_MAX, 0},
      {"more waits than was sent", 2, 40, 3},
      {"far more waits than was sent", 2, 40, UINT64_MAX},
  };
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    struct credit_sender before = sender;
    cr_expect_eq(tell(&sender, 2, lies[i].passed, lies[i].limit, lies[i].waiting), OUTCOME_PROTOCOL_VIOLATION, "%s", lies[i].what);
    cr_expect_eq(credit_sender_room(&sender), credit_sender_room(&before), "%s", lies[i].what);
  }
  struct credit_report report = {.passed = 2, .limit = 40, .waiting = 256};
  cr_expect_eq(credit_sender_report(&sender, 2, &report), OUTCOME_PROTOCOL_VIOLATION, "a code of no number");
  cr_expect_eq(tell(&sender, 2, 2, 40, 2), OUTCOME_OK, "the same again, and all that can wait does");
  cr_expect_eq(tell(&sender, 2, 2, 2 + LIMIT_CREDIT_MAX, 0), OUTCOME_OK, "the furthest limit");
}

/* [CREDIT-9] */
Test(credit, the_window_doubles_while_it_is_full_and_nothing_waits) {
  struct credit_sender sender;
  credit_sender_init(&sender);
  cr_assert_eq(tell(&sender, 0, 0, 16384, 0), OUTCOME_OK);
  uint32_t window = LIMIT_WINDOW_FIRST;
  for (instant now = 0; window < LIMIT_WINDOW_MOST; window *= 2) {
    sender_sends(&sender, credit_sender_room(&sender), now);
    now += 10 * MILLISECONDS;
    cr_assert_eq(tell(&sender, now, sender.sent, sender.sent + 16384, 0), OUTCOME_OK);
    cr_assert_eq(credit_sender_room(&sender), 2 * window);
  }
  sender_sends(&sender, LIMIT_WINDOW_MOST, SECONDS);
  cr_assert_eq(tell(&sender, 2 * SECONDS, sender.sent, sender.sent + 16384, 0), OUTCOME_OK);
  cr_assert_eq(credit_sender_room(&sender), LIMIT_WINDOW_MOST, "never beyond the most");
}

Test(credit, who_has_little_to_send_gains_no_window) {
  struct credit_sender sender;
  credit_sender_init(&sender);
  cr_assert_eq(tell(&sender, 0, 0, 1000, 0), OUTCOME_OK);
  for (instant now = 0; now < 20 * SECONDS; now += SECONDS) {
    sender_sends(&sender, 10, now);
    credit_sender_idle(&sender);
    cr_assert_eq(tell(&sender, now + MILLISECONDS, sender.sent, sender.sent + 1000, 0), OUTCOME_OK);
    cr_assert_eq(credit_sender_room(&sender), LIMIT_WINDOW_FIRST);
  }
}

/* [CREDIT-9] Only the least queue over a round trip counts: what a burst leaves behind for a moment does not. */
Test(credit, a_standing_queue_shrinks_the_window_and_a_burst_does_not) {
  struct credit_sender burst, standing;
  credit_sender_init(&burst);
  cr_assert_eq(tell(&burst, 0, 0, 1000, 0), OUTCOME_OK);
  sender_sends(&burst, 128, 0);
  standing = burst;
  /* 128 cells in 100 ms: 5 ms drain 6 of them. */
  cr_assert_eq(tell(&burst, 99 * MILLISECONDS, 0, 1000, 0), OUTCOME_OK);
  cr_assert_eq(tell(&burst, 100 * MILLISECONDS, 128, 1128, 0), OUTCOME_OK);
  cr_assert_geq(credit_sender_room(&burst), 128);

  cr_assert_eq(tell(&standing, 99 * MILLISECONDS, 0, 1000, 112), OUTCOME_OK);
  cr_assert_eq(tell(&standing, 100 * MILLISECONDS, 32, 1032, 96), OUTCOME_OK);
  cr_assert_eq(credit_sender_room(&standing), 0, "the window is below the 96 in flight");
  cr_assert_eq(tell(&standing, 150 * MILLISECONDS, 128, 1128, 0), OUTCOME_OK);
  cr_assert_lt(credit_sender_room(&standing), 128);
  cr_assert_geq(credit_sender_room(&standing), 64, "by half at most");
}

/* [CREDIT-9] What the first doubling overshot, the next growth must not overshoot again. */
Test(credit, after_a_shrinking_the_window_grows_gently_and_then_faster) {
  struct credit_sender sender;
  instant now = 0;
  credit_sender_init(&sender);
  cr_assert_eq(tell(&sender, 0, 0, 16384, 0), OUTCOME_OK);
  sender_sends(&sender, 128, now);
  cr_assert_eq(tell(&sender, 100 * MILLISECONDS, 1, 16385, 127), OUTCOME_OK);
  uint32_t windows[5] = {0};
  for (int round = 0; round < 5; round++) {
    now += SECONDS;
    cr_assert_eq(tell(&sender, now, sender.sent, sender.sent + 16384, 0), OUTCOME_OK);
    windows[round] = credit_sender_room(&sender);
    sender_sends(&sender, windows[round], now);
  }
  cr_assert_leq(windows[1], windows[0] * 9 / 8);
  cr_assert_gt(windows[1], windows[0]);
  cr_assert_gt(windows[4], windows[3] * 7 / 4);
}

Test(credit, the_window_never_falls_below_the_least) {
  struct credit_sender sender;
  credit_sender_init(&sender);
  cr_assert_eq(tell(&sender, 0, 0, 1000, 0), OUTCOME_OK);
  instant now = 0;
  for (int i = 0; i < 400; i++) {
    now += SECONDS;
    sender_sends(&sender, credit_sender_room(&sender), now);
    uint64_t passed = sender.passed < sender.sent ? sender.passed + 1 : sender.passed;
    cr_assert_eq(tell(&sender, now, passed, passed + 1000, sender.sent - passed), OUTCOME_OK);
  }
  cr_assert_eq(tell(&sender, now + SECONDS, sender.sent, sender.sent + 1000, 0), OUTCOME_OK);
  cr_assert_geq(credit_sender_room(&sender), LIMIT_WINDOW_LEAST);
}

/* [CREDIT-5] */
Test(credit, a_cell_beyond_the_reported_limit_is_a_violation) {
  struct credit_receiver receiver;
  credit_receiver_init(&receiver);
  receiver_takes(&receiver, LIMIT_CREDIT_FIRST);
  cr_assert_eq(credit_receiver_received(&receiver), OUTCOME_PROTOCOL_VIOLATION);
  cr_assert_eq(credit_receiver_waiting(&receiver), LIMIT_CREDIT_FIRST);
  receiver_passes(&receiver, 2);
  cr_assert_eq(credit_receiver_received(&receiver), OUTCOME_PROTOCOL_VIOLATION, "the neighbour can't know yet");
  struct credit_report report;
  credit_receiver_make_report(&receiver, &report);
  cr_assert_eq(report.passed, 2);
  cr_assert_eq(report.limit, LIMIT_CREDIT_FIRST + 2);
  cr_assert_eq(report.waiting, 2);
  receiver_takes(&receiver, 2);
  cr_assert_eq(credit_receiver_received(&receiver), OUTCOME_PROTOCOL_VIOLATION);
}

/* [CREDIT-10] */
Test(credit, the_first_promise_follows_from_the_pool) {
  const struct { uint32_t pool, used, circuits, span; } cases[] = {
      {100000, 0, 10, 128}, {100000, 0, 1000, 25},   {100000, 0, 100000, 4},
      {1000, 0, 1, 128},    {100000, 75000, 10, 4}, {100000, 74999, 10, 128}, {0, 0, 0, 4},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct credit_receiver receiver;
    struct credit_report report;
    credit_receiver_init(&receiver);
    credit_receiver_grow(&receiver, 0, cases[i].used, cases[i].pool, cases[i].circuits);
    cr_expect_eq(credit_receiver_due(&receiver) == CREDIT_DUE_NOW, cases[i].span > 4);
    credit_receiver_make_report(&receiver, &report);
    cr_expect_eq(report.limit, cases[i].span, "case %zu: %lu", i, report.limit);
    cr_expect_eq(credit_receiver_due(&receiver), CREDIT_DUE_NO);
  }
}

/* Takes and passes all that was promised, once per round trip, as a sender that only the limit holds back would. */
static uint64_t span_after(struct credit_receiver *receiver, instant *now, uint64_t round_trip, int rounds, uint32_t used) {
  struct credit_report report;
  for (int i = 0; i < rounds; i++) {
    receiver_takes(receiver, (uint32_t)(receiver->reported_limit - receiver->received));
    receiver_passes(receiver, (uint32_t)credit_receiver_waiting(receiver));
    *now += round_trip;
    credit_receiver_grow(receiver, *now, used, POOL, 1);
    cr_assert_neq(credit_receiver_due(receiver), CREDIT_DUE_NO);
    credit_receiver_make_report(receiver, &report);
  }
  return receiver->limit - receiver->passed;
}

/* [CREDIT-11] */
Test(credit, a_limit_that_holds_a_sender_back_doubles_each_round_trip_up_to_the_most) {
  struct credit_receiver receiver;
  instant now = SECONDS;
  credit_receiver_init(&receiver);
  credit_receiver_grow(&receiver, now, 0, POOL, 1);
  uint64_t before = span_after(&receiver, &now, 100 * MILLISECONDS, 1, 0);
  cr_assert_geq(span_after(&receiver, &now, 100 * MILLISECONDS, 4, 0), 8 * before);
  cr_assert_eq(span_after(&receiver, &now, 100 * MILLISECONDS, 20, 0), LIMIT_CREDIT_MAX);
}

Test(credit, nothing_more_is_promised_while_the_pool_is_over_three_quarters) {
  struct credit_receiver receiver;
  instant now = SECONDS;
  credit_receiver_init(&receiver);
  credit_receiver_grow(&receiver, now, 0, POOL, 1);
  uint64_t before = span_after(&receiver, &now, 20 * MILLISECONDS, 2, 0);
  cr_assert_eq(span_after(&receiver, &now, 20 * MILLISECONDS, 10, POOL / 4 * 3), before);
  cr_assert_gt(span_after(&receiver, &now, 20 * MILLISECONDS, 2, POOL / 4 * 3 - 1), before);
}

/* Cells that come one by one at a steady pace, whatever was promised. */
static void trickle(struct credit_receiver *receiver, instant *now, uint64_t pace, uint64_t count) {
  struct credit_report report;
  for (uint64_t i = 0; i < count; i++) {
    receiver_takes(receiver, 1);
    receiver_passes(receiver, 1);
    *now += pace;
    credit_receiver_grow(receiver, *now, 0, POOL, 1);
    if (credit_receiver_due(receiver) != CREDIT_DUE_NO) credit_receiver_make_report(receiver, &report);
  }
}

Test(credit, a_slow_circuit_gains_no_promise) {
  struct credit_receiver receiver;
  struct credit_report report;
  instant now = SECONDS;
  credit_receiver_init(&receiver);
  credit_receiver_grow(&receiver, now, 0, POOL, 1);
  credit_receiver_make_report(&receiver, &report);
  trickle(&receiver, &now, 50 * MILLISECONDS, 5000);
  cr_assert_eq(receiver.limit - receiver.passed, LIMIT_CREDIT_FIRST_MAX);
}

Test(credit, a_promise_that_is_not_used_up_within_round_trips_does_not_grow) {
  struct credit_receiver receiver;
  instant now = SECONDS;
  credit_receiver_init(&receiver);
  credit_receiver_grow(&receiver, now, 0, POOL, 1);
  uint64_t promised = span_after(&receiver, &now, 30 * MILLISECONDS, 4, 0);
  cr_assert_gt(promised, 100);
  /* Four times as long as the round trip for what is promised, and several times over. */
  trickle(&receiver, &now, 120 * MILLISECONDS / promised, 5 * promised);
  cr_assert_eq(receiver.limit - receiver.passed, promised);
}

Test(credit, a_path_that_became_longer_is_believed_after_some_rounds) {
  struct credit_receiver receiver;
  instant now = SECONDS;
  credit_receiver_init(&receiver);
  credit_receiver_grow(&receiver, now, 0, POOL, 1);
  uint64_t promised = span_after(&receiver, &now, 20 * MILLISECONDS, 3, 0);
  cr_assert_eq(span_after(&receiver, &now, 100 * MILLISECONDS, 5, 0), promised);
  cr_assert_geq(span_after(&receiver, &now, 100 * MILLISECONDS, 20, 0), 8 * promised);
}

/* [CREDIT-3] */
Test(credit, reports_are_few_while_busy_and_prompt_when_a_queue_empties) {
  struct credit_receiver receiver;
  struct credit_report report;
  credit_receiver_init(&receiver);
  credit_receiver_grow(&receiver, 0, 0, POOL, 1);
  credit_receiver_make_report(&receiver, &report);
  receiver_takes(&receiver, 128);
  receiver_passes(&receiver, 31);
  cr_assert_eq(credit_receiver_due(&receiver), CREDIT_DUE_NO);
  receiver_passes(&receiver, 1);
  cr_assert_eq(credit_receiver_due(&receiver), CREDIT_DUE_NOW, "a quarter of the span");
  credit_receiver_make_report(&receiver, &report);
  cr_assert_eq(report.waiting, credit_waiting_encode(96));
  receiver_passes(&receiver, 96);
  credit_receiver_make_report(&receiver, &report);

  receiver_takes(&receiver, 2);
  receiver_passes(&receiver, 1);
  credit_receiver_make_report(&receiver, &report);
  cr_assert_eq(report.waiting, 1);
  receiver_passes(&receiver, 1);
  cr_assert_eq(credit_receiver_due(&receiver), CREDIT_DUE_NOW, "the neighbour still believes that one waits");
  credit_receiver_make_report(&receiver, &report);
  cr_assert_eq(report.waiting, 0);

  for (int cell = 1; cell <= LIMIT_WINDOW_LEAST; cell++) {
    receiver_takes(&receiver, 1);
    receiver_passes(&receiver, 1);
    cr_assert_eq(credit_receiver_due(&receiver), cell == LIMIT_WINDOW_LEAST ? CREDIT_DUE_SOON : CREDIT_DUE_NO,
                 "single cells share a report");
  }
}

/* Two honest ends over a link that keeps order and takes any time; the receiver drains at random, or not at all. */
struct pair {
  struct credit_sender sender;
  struct credit_receiver receiver;
  uint64_t flying;
  struct credit_report report;
  bool has_report;
  instant now;
  uint64_t seed;
};

static void pair_step(struct pair *pair, bool may_drain) {
  uint64_t dice = draw(&pair->seed);
  uint32_t count = (uint32_t)(dice >> 32) % 100;
  pair->now += (dice >> 8) % (2 * MILLISECONDS);
  uint64_t limit = pair->receiver.limit;
  switch (dice % 4) {
  case 0:
    for (; count > 0 && credit_sender_room(&pair->sender) > 0; count--, pair->flying++) credit_sender_sent(&pair->sender, pair->now);
    if (credit_sender_room(&pair->sender) > 0) credit_sender_idle(&pair->sender);
    break;
  case 1:
    for (; count > 0 && pair->flying > 0; count--, pair->flying--) cr_assert_eq(credit_receiver_received(&pair->receiver), OUTCOME_OK);
    break;
  case 2:
    for (; may_drain && count > 0 && credit_receiver_waiting(&pair->receiver) > 0; count--) credit_receiver_passed(&pair->receiver);
    credit_receiver_grow(&pair->receiver, pair->now, (uint32_t)(dice >> 16) % POOL, POOL, 1 + (uint32_t)(dice >> 24) % 1000);
    break;
  case 3:
    if (pair->has_report) cr_assert_eq(credit_sender_report(&pair->sender, pair->now, &pair->report), OUTCOME_OK);
    pair->has_report = credit_receiver_due(&pair->receiver) != CREDIT_DUE_NO;
    if (pair->has_report) credit_receiver_make_report(&pair->receiver, &pair->report);
    break;
  }
  cr_assert_geq(pair->receiver.limit, limit, "a limit went back");
  cr_assert_leq(credit_receiver_waiting(&pair->receiver), pair->receiver.limit - pair->receiver.passed, "more than promised");
  cr_assert_leq(pair->receiver.limit - pair->receiver.passed, LIMIT_CREDIT_MAX);
  cr_assert_leq(pair->sender.sent, pair->receiver.reported_limit);
}

Test(credit, honest_ends_never_accuse_each_other_nor_get_stuck) {
  uint64_t seed = seed_for_test();
  for (int run = 0; run < 200; run++) {
    struct pair pair = {.seed = seed + run};
    credit_sender_init(&pair.sender);
    credit_receiver_init(&pair.receiver);
    for (int i = 0; i < 2000; i++) pair_step(&pair, i / 500 % 2 == 0);
    /* Whatever happened, a receiver that drains sets the sender free again, and again. */
    for (int again = 0; again < 5; again++) {
      uint64_t sent = pair.sender.sent;
      for (int i = 0; i < 1000; i++) pair_step(&pair, true);
      cr_assert_gt(pair.sender.sent, sent, "stuck in run %d", run);
    }
  }
}

/* Rule by rule, without luck: at every window and span, a sender that ran into the end hears of it. */
Test(credit, a_sender_that_ran_into_the_end_always_gets_a_report) {
  for (uint32_t span = LIMIT_CREDIT_FIRST; span <= 300; span++) {
    for (uint32_t window = LIMIT_WINDOW_LEAST; window <= 300; window++) {
      struct credit_receiver receiver = {.limit = span, .reported_limit = span, .has_grown = true};
      receiver_takes(&receiver, window < span ? window : span);
      bool is_due = false;
      while (credit_receiver_waiting(&receiver) > 0) {
        credit_receiver_passed(&receiver);
        is_due |= credit_receiver_due(&receiver) != CREDIT_DUE_NO;
      }
      cr_assert(is_due, "window %u, span %u", window, span);
    }
  }
}
