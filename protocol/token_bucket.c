#include "protocol/token_bucket.h"

/* At r tokens a second, r billionths of a token arrive in each nanosecond: counted so, nothing is ever
 * rounded. */
static const uint64_t NANO = 1000000000;
/* Above this a burst is as good as none; below it no product here overflows. */
static const uint64_t BURST_MOST = UINT64_C(10000000000);

void token_bucket_init(struct token_bucket *bucket, uint64_t per_second, uint64_t burst, instant now) {
  if (burst > BURST_MOST) burst = BURST_MOST;
  *bucket = (struct token_bucket){
      .per_second = per_second,
      .burst = burst,
      .nano_tokens = burst * NANO,
      .at = now,
  };
}

/* The least time in which so much arrives. */
static uint64_t time_for(uint64_t per_second, uint64_t nano_tokens) {
  if (nano_tokens == 0) return 0;
  if (per_second == 0) return INSTANT_NEVER;
  return nano_tokens / per_second + (nano_tokens % per_second != 0);
}

/* What is in the bucket at an instant. */
static uint64_t content(const struct token_bucket *bucket, instant now) {
  uint64_t missing = bucket->burst * NANO - bucket->nano_tokens, elapsed = instant_until(bucket->at, now);
  bool full = elapsed >= time_for(bucket->per_second, missing);
  return bucket->nano_tokens + (full ? missing : elapsed * bucket->per_second);
}

bool token_bucket_take(struct token_bucket *bucket, instant now, uint64_t n) {
  bucket->nano_tokens = content(bucket, now);
  if (now > bucket->at) bucket->at = now;
  if (n > bucket->nano_tokens / NANO) return false;
  bucket->nano_tokens -= n * NANO;
  return true;
}

instant token_bucket_ready(const struct token_bucket *bucket, instant now, uint64_t n) {
  if (n > bucket->burst) return INSTANT_NEVER;
  if (n * NANO <= content(bucket, now)) return now;
  return instant_after(bucket->at, time_for(bucket->per_second, n * NANO - bucket->nano_tokens));
}
