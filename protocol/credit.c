#include "protocol/credit.h"

#include <assert.h>

#include "protocol/limits.h"

/* [CREDIT-9] A queue that drains in 5 ms or less is not a standing one: turns and batches make such. */
enum { YOUNG_QUEUES_PER_S = 200 };

/* [CREDIT-11] A round this short is quick whatever others took; one this long promises nothing more. */
#define ROUND_SHORT (10 * MILLISECONDS)
#define ROUND_LONG (1 * SECONDS)

enum {
  REPORT_STEP_MOST = 32,
  GROWTH_LEAST = 1, /* eighths of the window */
  GROWTH_MOST = 8,
  WAITING_EXACT = 16, /* codes below stand for themselves; then four to each power of two */
  WAITING_CODE_MOST = WAITING_EXACT + (63 - 4) * 4 + 3,
};

static uint64_t lesser(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t greater(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* [CREDIT-3] How much is passed on between two reports of a busy circuit. */
static uint64_t report_step(uint64_t span) { return greater(lesser(span / 4, REPORT_STEP_MOST), 1); }

uint16_t credit_waiting_encode(uint64_t cells) {
  /* [CREDIT-6] */
  if (cells < WAITING_EXACT) return (uint16_t)cells;
  uint32_t power = 4;
  while (cells >> power >= 2) power++;
  return (uint16_t)(WAITING_EXACT + (power - 4) * 4 + (cells >> (power - 2) & 3));
}

uint64_t credit_waiting_decode(uint16_t code) {
  if (code < WAITING_EXACT) return code;
  if (code > WAITING_CODE_MOST) return UINT64_MAX;
  uint32_t power = 4 + (code - WAITING_EXACT) / 4, quarters = 4 + (code - WAITING_EXACT) % 4;
  return (uint64_t)quarters << (power - 2);
}

void credit_sender_init(struct credit_sender *sender) {
  *sender = (struct credit_sender){.limit = LIMIT_CREDIT_FIRST, .window = LIMIT_WINDOW_FIRST, .growth = GROWTH_MOST};
}

uint32_t credit_sender_room(const struct credit_sender *sender) {
  /* [CREDIT-2] */
  uint64_t end = lesser(sender->limit, sender->passed + sender->window);
  return end > sender->sent ? (uint32_t)(end - sender->sent) : 0;
}

void credit_sender_sent(struct credit_sender *sender, instant now) {
  assert(credit_sender_room(sender) > 0);
  sender->sent++;
  /* [CREDIT-8] One round trip at a time is measured, from the first cell that leaves after the last one ended. */
  if (sender->probe_cell == 0) {
    sender->probe_cell = sender->sent;
    sender->probe_at = now;
    sender->passed_at_probe = sender->passed;
    sender->least_waiting = UINT32_MAX;
    sender->was_full = sender->was_idle = false;
  }
  if (sender->sent == sender->passed + sender->window) sender->was_full = true;
}

void credit_sender_idle(struct credit_sender *sender) { sender->was_idle = true; }

static void measure_drain(struct credit_sender *sender, instant now) {
  uint64_t elapsed = greater(now - sender->probe_at, MICROSECONDS);
  uint64_t passed = sender->passed - sender->passed_at_probe;
  uint32_t drain = (uint32_t)lesser(passed * SECONDS / elapsed, UINT32_MAX);
  /* When nothing waited and we ran dry, the neighbour could have passed on more than we saw. */
  bool could_be_more = sender->least_waiting == 0 && sender->was_idle;
  if (!could_be_more || drain > sender->drain_per_s) sender->drain_per_s = drain;
}

/* [CREDIT-9] */
static void adjust_window(struct credit_sender *sender) {
  uint64_t young = sender->drain_per_s / YOUNG_QUEUES_PER_S;
  uint64_t standing = greater(young, LIMIT_WINDOW_LEAST) + report_step(sender->limit - sender->passed) / 2;
  uint64_t window = sender->window;
  if (sender->least_waiting > standing) {
    window -= lesser(sender->least_waiting - standing, window / 2);
    sender->growth = GROWTH_LEAST;
  } else if (sender->was_full && sender->least_waiting <= young / 2) {
    window += greater(window * sender->growth / GROWTH_MOST, 1);
    sender->growth = (uint32_t)lesser(sender->growth * 2, GROWTH_MOST);
  }
  sender->window = (uint32_t)greater(lesser(window, LIMIT_WINDOW_MOST), LIMIT_WINDOW_LEAST);
}

enum outcome credit_sender_report(struct credit_sender *sender, instant now, const struct credit_report *report) {
  uint64_t waiting = credit_waiting_decode(report->waiting);
  /* [CREDIT-4] */
  if (report->passed > sender->sent || report->passed < sender->passed) return OUTCOME_PROTOCOL_VIOLATION;
  if (waiting > sender->sent - report->passed) return OUTCOME_PROTOCOL_VIOLATION;
  if (report->limit < sender->limit || report->limit < report->passed) return OUTCOME_PROTOCOL_VIOLATION;
  if (report->limit - report->passed > LIMIT_CREDIT_MAX) return OUTCOME_PROTOCOL_VIOLATION;

  sender->passed = report->passed;
  sender->limit = report->limit;
  if (sender->probe_cell == 0) return OUTCOME_OK;
  sender->least_waiting = (uint32_t)lesser(sender->least_waiting, waiting);
  if (sender->passed < sender->probe_cell) return OUTCOME_OK;
  measure_drain(sender, now);
  adjust_window(sender);
  sender->probe_cell = 0;
  return OUTCOME_OK;
}

void credit_receiver_init(struct credit_receiver *receiver) {
  *receiver = (struct credit_receiver){.limit = LIMIT_CREDIT_FIRST, .reported_limit = LIMIT_CREDIT_FIRST};
}

enum outcome credit_receiver_received(struct credit_receiver *receiver) {
  /* [CREDIT-5] */
  if (receiver->received >= receiver->reported_limit) return OUTCOME_PROTOCOL_VIOLATION;
  receiver->received++;
  return OUTCOME_OK;
}

void credit_receiver_passed(struct credit_receiver *receiver) {
  assert(receiver->passed < receiver->received);
  receiver->passed++;
  receiver->limit++; /* [CREDIT-10] The memory it had is promised again. */
}

uint64_t credit_receiver_waiting(const struct credit_receiver *receiver) { return receiver->received - receiver->passed; }

static uint64_t span(const struct credit_receiver *receiver) { return receiver->limit - receiver->passed; }

static void raise_span(struct credit_receiver *receiver, uint64_t wanted) {
  uint64_t least = span(receiver);
  receiver->limit = receiver->passed + greater(least, lesser(wanted, LIMIT_CREDIT_MAX));
}

/* True if the round that ended was about as short as rounds get: the limit, not a lack of cells, set its pace. */
static bool round_was_quick(struct credit_receiver *receiver, instant now) {
  uint64_t took = now - receiver->round_at;
  uint64_t least = receiver->least_round;
  /* A sixteenth more each time, so that a path that became longer is believed after a few rounds. */
  receiver->least_round = least == 0 ? took : lesser(took, least + least / 16);
  return took <= ROUND_LONG && took <= greater(2 * receiver->least_round, ROUND_SHORT);
}

/* [CREDIT-11] */
static void end_round(struct credit_receiver *receiver, instant now, bool has_memory) {
  if (receiver->round_limit == 0 || receiver->passed < receiver->round_limit) return;
  receiver->round_limit = 0;
  if (round_was_quick(receiver, now) && has_memory) raise_span(receiver, 2 * (receiver->passed - receiver->passed_at_round));
}

/* [CREDIT-11] The last cell that the coming report allows can't come sooner than a round trip from now. */
static void begin_round(struct credit_receiver *receiver, instant now) {
  if (receiver->round_limit != 0 || receiver->limit == receiver->reported_limit) return;
  receiver->round_limit = receiver->limit;
  receiver->passed_at_round = receiver->passed;
  receiver->round_at = now;
}

void credit_receiver_grow(struct credit_receiver *receiver, instant now, uint32_t pool_used, uint32_t pool_limit,
                          uint32_t circuits) {
  bool has_memory = pool_used < pool_limit / 4 * 3;
  /* [CREDIT-10] */
  if (!receiver->has_grown && has_memory) {
    receiver->has_grown = true;
    raise_span(receiver, lesser(pool_limit / (4 * greater(circuits, 1)), LIMIT_CREDIT_FIRST_MAX));
  }
  end_round(receiver, now, has_memory);
  if (credit_receiver_due(receiver) != CREDIT_DUE_NO) begin_round(receiver, now);
}

enum credit_due credit_receiver_due(const struct credit_receiver *receiver) {
  uint64_t step = report_step(span(receiver));
  uint64_t unreported = receiver->passed - receiver->reported_passed;
  /* [CREDIT-3] */
  if (unreported >= step || receiver->limit - receiver->reported_limit >= step) return CREDIT_DUE_NOW;
  if (unreported == 0 || receiver->passed != receiver->received) return CREDIT_DUE_NO;
  if (receiver->reported_waiting) return CREDIT_DUE_NOW;
  /* The queue emptied. A sender's window is never below the least, so fewer than that can't hold it back. */
  return unreported >= LIMIT_WINDOW_LEAST ? CREDIT_DUE_SOON : CREDIT_DUE_NO;
}

void credit_receiver_make_report(struct credit_receiver *receiver, struct credit_report *ret) {
  *ret = (struct credit_report){
      .passed = receiver->passed,
      .limit = receiver->limit,
      .waiting = credit_waiting_encode(credit_receiver_waiting(receiver)),
  };
  receiver->reported_passed = receiver->passed;
  receiver->reported_limit = receiver->limit;
  receiver->reported_waiting = ret->waiting > 0;
}
