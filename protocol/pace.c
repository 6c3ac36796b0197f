#include "protocol/pace.h"

/* [PACE-2] */
#define SHORT_PATH MILLISECONDS
#define ROUND_LEAST (10 * MILLISECONDS)
#define SAMPLES_PER_ROUND 8

/* [PACE-4] */
#define QUEUE_AT_REFERENCE (8 * MILLISECONDS)
#define QUEUE_LEAST (2 * MILLISECONDS)
#define QUEUE_MOST (30 * MILLISECONDS)
/* [PACE-7] So long others may take to notice us. */
#define CROWDED_TIME (2 * SECONDS)
/* [PACE-8] Half of the time after which bbr pauses. */
#define RENEWAL_TIME (5 * SECONDS)

enum { REFERENCE_RATE = 25 * 1000 * 1000, SHARERS_UNIT = 256, SHARERS_KEPT = 4 };

enum {
  BURST_BYTES = 64 * 1024,
  UNUSED_ROUNDS = 16,
  RAISES_GENTLE = 8,
  RAISE_GENTLE_MOST = 4,
  RAISES_MOST = 64,
  RAISE_PART = 8, /* of the limit, at most, in a round */
  CROWDED_ROUNDS = 6,
  YIELD_ROUNDS = 64,
};

static uint64_t lesser(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t greater(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* Rates and times are below 2^40: a product of two may not fit, a double's 53 bits are plenty. */
static uint64_t scale(uint64_t value, uint64_t times, uint64_t over) {
  return (uint64_t)((double)value * (double)times / (double)greater(over, 1));
}

static uint64_t square_root(uint64_t value) {
  uint64_t root = 0;
  for (uint64_t bit = UINT64_C(1) << 31; bit > 0; bit >>= 1)
    if ((root | bit) * (root | bit) <= value) root |= bit;
  return root;
}

void pace_init(struct pace *pace) {
  *pace = (struct pace){.state = PACE_START};
}

bool pace_is_due(const struct pace *pace, instant now) {
  return now >= pace->sample_at;
}

/* [PACE-4] */
static uint64_t wanted_queue(const struct pace *pace, uint64_t rate) {
  uint64_t each = scale(rate, SHARERS_UNIT, greater(pace->sharers, SHARERS_UNIT));
  uint64_t root = greater(square_root(scale(each, 1000000, REFERENCE_RATE)), 1); /* thousandths */
  return lesser(greater(QUEUE_AT_REFERENCE * 1000 / root, QUEUE_LEAST), QUEUE_MOST);
}

static uint64_t fastest_lately(const struct pace *pace) {
  uint64_t fastest = 0;
  for (int i = 0; i < PACE_ROUNDS_KEPT; i++) fastest = greater(fastest, pace->rates[i]);
  return fastest;
}

/* [PACE-6] */
static uint64_t least_limit(uint64_t least) {
  return scale(BURST_BYTES, SECONDS, least);
}

/* [PACE-5] */
static void start(struct pace *pace, uint64_t rate, uint64_t queue, uint64_t least) {
  bool is_much = pace->is_full || rate >= least_limit(least), grows = rate > pace->rate / 4 * 5;
  if (!is_much || grows || queue <= 2 * wanted_queue(pace, rate)) return;
  pace->state = PACE_HOLD;
  pace->limit = rate;
  pace->raises = 0;
}

/* Gently for some rounds; who still finds nothing waiting is far below what the path carries. */
static uint64_t raise_times(const struct pace *pace) {
  if (pace->raises <= RAISES_GENTLE) return lesser(pace->raises, RAISE_GENTLE_MOST);
  return RAISE_GENTLE_MOST * (pace->raises - RAISES_GENTLE + 1);
}

/* [PACE-6] What stands above the wanted queue is let off within four rounds; below it, the limit feels its way up. */
static void adjust(struct pace *pace, uint64_t rate, uint64_t queue, uint64_t wanted, uint64_t least) {
  uint64_t fastest = fastest_lately(pace);
  if (queue > wanted) {
    uint64_t settled = lesser(pace->limit, fastest);
    pace->limit = settled - lesser(scale(settled, queue - wanted, 4 * (least + wanted)), settled / 2);
    pace->raises = 0;
  } else if (rate >= pace->limit / 8 * 7) {
    uint64_t settled = (pace->limit + fastest) / 2;
    pace->raises = queue <= wanted / 2 ? lesser(pace->raises + 1, RAISES_MOST) : 1;
    uint64_t more = scale(settled, (wanted - queue) * raise_times(pace), 16 * (least + wanted));
    pace->limit = settled + lesser(more, settled / RAISE_PART);
  }
}

static void leave_hold(struct pace *pace, enum pace_state state) {
  pace->state = state;
  pace->limit = 0;
  pace->unused = pace->crowded = pace->yielded = 0;
}

static void hold(struct pace *pace, instant now, uint64_t rate, uint64_t queue, uint64_t least) {
  uint64_t wanted = wanted_queue(pace, pace->limit);
  bool is_used = pace->is_full || rate >= pace->limit / 2;
  pace->unused = is_used ? 0 : pace->unused + 1;
  if (is_used) adjust(pace, rate, queue, wanted, least);

  /* [PACE-7] We sent no more than had been arriving, then less and less, and the queue did not shrink: what waits is not ours. */
  bool is_others = queue > wanted / 2 * 3 && queue >= pace->queue / 8 * 7 && pace->limit_of_round <= pace->rate / 4 * 5;
  if (pace->crowded == 0) {
    pace->crowded_at = now;
    pace->crowded_rate = rate;
  }
  pace->crowded = is_others ? pace->crowded + 1 : 0;
  if (is_others) pace->limit = greater(pace->limit, pace->crowded_rate / 2); /* half would do if it were ours */

  /* More than a third, and it did not help; or there is no more to give. */
  bool has_given = rate <= pace->crowded_rate / 8 * 5 || pace->limit <= least_limit(least);
  bool is_long = pace->crowded >= CROWDED_ROUNDS && now - pace->crowded_at >= CROWDED_TIME;
  if (pace->unused >= UNUSED_ROUNDS) leave_hold(pace, PACE_START); /* [PACE-3] */
  else if (is_long && has_given) leave_hold(pace, PACE_YIELD);
}

/* [PACE-8] The control would go on from the least round trip: only where that is about what a round trip takes now. */
static void renew(struct pace *pace, instant now, const struct pace_sample *sample, uint64_t queue) {
  uint64_t wanted = wanted_queue(pace, pace->state == PACE_HOLD ? pace->limit : pace->rate);
  bool is_near = queue <= wanted / 2 * 3 && sample->round_trip <= sample->least_round_trip / 2 * 3;
  if (pace->state == PACE_YIELD || !is_near || sample->is_pausing || now - pace->renewed_at < RENEWAL_TIME) return;
  pace->renewed_at = now;
  pace->is_renewal_due = true;
}

static void end_round(struct pace *pace, instant now, uint64_t rate, uint64_t queue, uint64_t least) {
  uint64_t sharers = SHARERS_UNIT * pace->circuits / greater(pace->looks, 1);
  pace->sharers = pace->sharers == 0 ? sharers : pace->sharers - pace->sharers / SHARERS_KEPT + sharers / SHARERS_KEPT;
  pace->rates[pace->rounds++ % PACE_ROUNDS_KEPT] = rate;
  switch (pace->state) {
  case PACE_START: start(pace, rate, queue, least); break;
  case PACE_HOLD: hold(pace, now, rate, queue, least); break;
  case PACE_YIELD:
    if (++pace->yielded < YIELD_ROUNDS) break;
    pace->state = PACE_HOLD;
    pace->limit = fastest_lately(pace) / 4 * 3;
    pace->raises = 0;
    break;
  }
  pace->queue = queue;
  pace->rate = rate;
  if (pace->state == PACE_HOLD) pace->limit = greater(pace->limit, least_limit(least));
}

static void begin_round(struct pace *pace, instant now, const struct pace_sample *sample) {
  pace->round_at = now;
  pace->limit_of_round = pace->limit;
  pace->acknowledged = sample->acknowledged;
  pace->shortest = UINT64_MAX;
  pace->is_full = true;
  pace->circuits = pace->looks = 0;
}

bool pace_measure(struct pace *pace, instant now, const struct pace_sample *sample) {
  uint64_t least = sample->least_round_trip, before = pace->limit;
  uint64_t round = greater(sample->round_trip, ROUND_LEAST);
  pace->is_renewal_due = false;
  if (least < SHORT_PATH) { /* [PACE-2] also where it became one */
    pace_init(pace);
    pace->sample_at = instant_after(now, 1 * SECONDS);
    return before != 0;
  }
  pace->sample_at = instant_after(now, round / SAMPLES_PER_ROUND);
  if (pace->renewed_at == 0) pace->renewed_at = now;

  uint64_t jitter = lesser(2 * sample->variation, sample->round_trip);
  pace->shortest = lesser(pace->shortest, sample->round_trip - jitter);
  pace->is_full = pace->is_full && sample->waits;
  pace->circuits += sample->circuits;
  pace->looks++;
  uint64_t elapsed = now - pace->round_at;
  /* [PACE-3] Nothing was sent for a while: there is nothing to learn. */
  bool is_lost = pace->round_at == 0 || sample->acknowledged < pace->acknowledged || (elapsed > 3 * round && !sample->waits);
  if (is_lost) {
    begin_round(pace, now, sample);
  } else if (elapsed >= round) {
    uint64_t rate = scale(sample->acknowledged - pace->acknowledged, SECONDS, elapsed);
    uint64_t queue = pace->shortest > least ? pace->shortest - least : 0;
    end_round(pace, now, rate, queue, least);
    renew(pace, now, sample, queue);
    begin_round(pace, now, sample);
  }
  return pace->limit != before;
}
