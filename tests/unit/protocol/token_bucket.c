#include "protocol/token_bucket.h"

#include <criterion/criterion.h>

#include "tests/unit/seed.h"

Test(token_bucket, gives_its_burst_and_then_its_rate) {
  struct token_bucket bucket;
  instant now = 5 * SECONDS;
  token_bucket_init(&bucket, 10, 3, now);
  cr_assert(!token_bucket_take(&bucket, now, 4), "never more than the burst");
  for (int i = 0; i < 3; i++) cr_assert(token_bucket_take(&bucket, now, 1));
  cr_assert(!token_bucket_take(&bucket, now, 1));
  cr_assert(token_bucket_take(&bucket, now, 0));
  cr_assert(!token_bucket_take(&bucket, now + 100 * MILLISECONDS - 1, 1));
  cr_assert(token_bucket_take(&bucket, now + 100 * MILLISECONDS, 1));
  cr_assert(!token_bucket_take(&bucket, now + 100 * MILLISECONDS, 1));
  cr_assert(token_bucket_take(&bucket, now + HOURS, 3), "an hour fills it, no further");
  cr_assert(!token_bucket_take(&bucket, now + HOURS, 1));
}

Test(token_bucket, a_refusal_takes_nothing) {
  struct token_bucket bucket;
  token_bucket_init(&bucket, 1, 5, 0);
  for (int i = 0; i < 100; i++) cr_assert(!token_bucket_take(&bucket, 0, 6));
  cr_assert(token_bucket_take(&bucket, 0, 5));
}

/* Whoever asks at odd times gets burst + rate x time, to the token. */
Test(token_bucket, keeps_its_rate_however_it_is_asked) {
  struct random_stream random = test_random("token_bucket");
  for (int round = 0; round < 200; round++) {
    uint64_t rate = random_between(&random, 1, 5000), burst = random_between(&random, 3, 100);
    uint64_t step_most = random_between(&random, 2, 200) * 1000, taken = burst;
    struct token_bucket bucket;
    instant now = 0;
    token_bucket_init(&bucket, rate, burst, now);
    cr_assert(token_bucket_take(&bucket, now, burst));
    for (int i = 0; i < 2000; i++) {
      now += random_below(&random, step_most);
      while (token_bucket_take(&bucket, now, 1)) taken++;
    }
    cr_assert(taken == burst + rate * now / SECONDS, "%lu at %lu a second", (unsigned long)taken,
              (unsigned long)rate);
  }
}

Test(token_bucket, is_ready_exactly_when_it_says) {
  struct random_stream random = test_random("token_bucket_ready");
  for (int round = 0; round < 20000; round++) {
    uint64_t burst = random_between(&random, 1, 1000);
    struct token_bucket bucket, early;
    token_bucket_init(&bucket, random_between(&random, 1, UINT64_C(1) << random_below(&random, 40)), burst,
                      0);
    instant now = random_below(&random, SECONDS);
    token_bucket_take(&bucket, now, random_between(&random, 0, burst));
    now += random_below(&random, MILLISECONDS);
    uint64_t n = random_between(&random, 1, burst);
    instant ready = token_bucket_ready(&bucket, now, n);
    cr_assert(ready >= now && ready != INSTANT_NEVER);
    early = bucket;
    if (ready > now) cr_assert(!token_bucket_take(&early, ready - 1, n));
    cr_assert(token_bucket_take(&bucket, ready, n));
  }
}

Test(token_bucket, more_than_the_burst_or_without_a_rate_is_never) {
  struct token_bucket bucket;
  token_bucket_init(&bucket, 10, 3, 0);
  cr_assert(token_bucket_ready(&bucket, 0, 4) == INSTANT_NEVER);
  cr_assert(token_bucket_ready(&bucket, 0, UINT64_MAX) == INSTANT_NEVER);
  cr_assert(!token_bucket_take(&bucket, 0, UINT64_MAX));
  token_bucket_init(&bucket, 0, 3, 0);
  cr_assert(token_bucket_ready(&bucket, 7, 3) == 7);
  cr_assert(token_bucket_take(&bucket, 7, 3));
  cr_assert(token_bucket_ready(&bucket, 7, 1) == INSTANT_NEVER);
  cr_assert(!token_bucket_take(&bucket, INSTANT_NEVER - 1, 1));
}

Test(token_bucket, the_largest_burst_is_given_whole) {
  struct token_bucket bucket;
  token_bucket_init(&bucket, 1, UINT64_MAX, 0);
  cr_assert(!token_bucket_take(&bucket, 0, UINT64_C(10000000001)));
  cr_assert(token_bucket_take(&bucket, 0, UINT64_C(10000000000)));
  cr_assert(token_bucket_ready(&bucket, 0, 1) == SECONDS);
}

Test(token_bucket, extremes_do_not_overflow) {
  static const uint64_t EXTREMES[] = {0, 1, 2, 9999999999, 10000000000, 10000000001, UINT64_MAX};
  enum { COUNT = sizeof EXTREMES / sizeof EXTREMES[0] };
  static const instant TIMES[] = {0, 1, 999, 1001, SECONDS, INSTANT_NEVER / 2, INSTANT_NEVER - 1};
  for (size_t r = 0; r < COUNT; r++) {
    for (size_t b = 0; b < COUNT; b++) {
      struct token_bucket bucket;
      token_bucket_init(&bucket, EXTREMES[r], EXTREMES[b], 0);
      for (size_t t = 0; t < sizeof TIMES / sizeof TIMES[0]; t++) {
        for (size_t n = 0; n < COUNT; n++) {
          instant ready = token_bucket_ready(&bucket, TIMES[t], EXTREMES[n]);
          bool took = token_bucket_take(&bucket, TIMES[t], EXTREMES[n]);
          cr_assert(took == (ready == TIMES[t]));
          cr_assert(bucket.nano_tokens <= bucket.burst * 1000000000);
        }
      }
    }
  }
}

/* An instant before the last one (two threads' clocks) earns nothing and breaks nothing. */
Test(token_bucket, time_that_runs_backwards_earns_nothing) {
  struct token_bucket bucket;
  token_bucket_init(&bucket, 10, 1, SECONDS);
  cr_assert(token_bucket_take(&bucket, SECONDS, 1));
  cr_assert(!token_bucket_take(&bucket, 0, 1));
  cr_assert(!token_bucket_take(&bucket, SECONDS + 99 * MILLISECONDS, 1));
  cr_assert(token_bucket_take(&bucket, SECONDS + 100 * MILLISECONDS, 1));
}
