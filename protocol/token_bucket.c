#include "protocol/token_bucket.h"

/* At a rate of one token a second, a millionth of a token takes 1,000 ns. */
enum { MICRO = 1000000, MICRO_TOKEN_TIME = 1000 };
/* Above this a rate or a burst is as good as none; below it no product here overflows. */
static const uint64_t MOST = UINT64_C(1000000000000);

void token_bucket_init(struct token_bucket *bucket, uint64_t per_second, uint64_t burst, instant now) {
  *bucket = (struct token_bucket){
      .per_second = per_second < MOST ? per_second : MOST,
      .burst = burst < MOST ? burst : MOST,
      .at = now,
  };
  bucket->micro_tokens = bucket->burst * MICRO;
}

/* The least time in which `micro` micro tokens arrive. */
static uint64_t time_for(uint64_t per_second, uint64_t micro) {
  if (micro == 0) return 0;
  if (per_second == 0) return INSTANT_NEVER;
  uint64_t whole = micro / per_second, rest = micro % per_second;
  if (whole > UINT64_MAX / MICRO_TOKEN_TIME - 1) return INSTANT_NEVER;
  return whole * MICRO_TOKEN_TIME + (rest * MICRO_TOKEN_TIME + per_second - 1) / per_second;
}

/* The bucket as it is now. Time that was too short for a whole micro token is kept for the next call, so
 * asking often does not slow the filling. */
static struct token_bucket refilled(const struct token_bucket *bucket, instant now) {
  struct token_bucket b = *bucket;
  uint64_t missing = b.burst * MICRO - b.micro_tokens, elapsed = instant_until(b.at, now);
  if (elapsed >= time_for(b.per_second, missing)) {
    b.micro_tokens += missing;
    b.at += elapsed;
    return b;
  }
  /* Less than `missing` arrives, so nothing overflows. */
  uint64_t arrived = elapsed / MICRO_TOKEN_TIME * b.per_second +
                     elapsed % MICRO_TOKEN_TIME * b.per_second / MICRO_TOKEN_TIME;
  b.micro_tokens += arrived;
  b.at += time_for(b.per_second, arrived);
  return b;
}

bool token_bucket_take(struct token_bucket *bucket, instant now, uint64_t n) {
  *bucket = refilled(bucket, now);
  if (n > bucket->micro_tokens / MICRO) return false;
  bucket->micro_tokens -= n * MICRO;
  return true;
}

instant token_bucket_ready(const struct token_bucket *bucket, instant now, uint64_t n) {
  if (n > bucket->burst) return INSTANT_NEVER;
  struct token_bucket b = refilled(bucket, now);
  if (n * MICRO <= b.micro_tokens) return now;
  instant ready = instant_after(b.at, time_for(b.per_second, n * MICRO - b.micro_tokens));
  return ready > now ? ready : now;
}
