#include "client/guard.h"

#include <criterion/criterion.h>
#include <string.h>

#include "client/saved_state.h"
#include "tests/unit/client/sample_relays.h"
#include "tests/unit/seed.h"

static struct sample_relays relays;
static struct guard_sample sample;

/* Guards 0 to n-1 of those that were made; the rest are not listed. */
static struct consensus *list_guards(uint32_t n, uint32_t left_out, int64_t day) {
  relays.count = 0;
  for (uint32_t i = 0; i < n; i++) sample_relay_add(&relays, RELAY_GUARD, 100 + i, 0, 0);
  sample_relay_add(&relays, 0, 100, 0, 0);
  uint32_t kept = 0;
  for (uint32_t i = left_out; i < relays.count; i++) relays.entries[kept++] = relays.entries[i];
  relays.count = kept;
  return sample_relays_consensus(&relays, day);
}

static void update(struct random_stream *random, uint32_t n, uint32_t left_out, int64_t day) {
  struct consensus *consensus = list_guards(n, left_out, day);
  guard_sample_update(&sample, consensus, random);
  consensus_release(consensus);
}

Test(guard, three_are_chosen_and_kept_for_months) {
  struct random_stream random = test_random("guards");
  update(&random, 20, 0, 0);
  cr_assert_eq(sample.count, 3);
  struct guard_sample before = sample;
  for (int64_t day = 1; day < 59; day++) update(&random, 20, 0, day);
  cr_expect_arr_eq(&before, &sample, sizeof sample);
  for (int64_t day = 59; day < 121; day++) update(&random, 20, 0, day);
  cr_assert_eq(sample.count, 3);
  for (uint32_t i = 0; i < 3; i++)
    cr_expect_gt(sample.guards[i].added.milliseconds, before.guards[0].added.milliseconds, "after 120 days all were chosen anew");
}

Test(guard, nothing_is_saved_when_nothing_changed) {
  struct random_stream random = test_random("unchanged");
  struct consensus *consensus = list_guards(20, 0, 0);
  cr_expect(guard_sample_update(&sample, consensus, &random));
  cr_expect_not(guard_sample_update(&sample, consensus, &random));
  consensus_release(consensus);
}

Test(guard, one_that_is_not_listed_keeps_its_place_for_twenty_days) {
  struct random_stream random = test_random("unlisted");
  update(&random, 3, 0, 0);
  cr_assert_eq(sample.count, 3);
  uint8_t first[IDENTITY_BYTES];
  memcpy(first, sample.guards[0].identity, IDENTITY_BYTES);
  struct consensus *consensus = list_guards(10, 3, 1); /* none of the three is listed now */
  guard_sample_update(&sample, consensus, &random);
  cr_assert_eq(sample.count, 6, "three new ones behind them");
  cr_expect_eq(guard_sample_next(&sample, 0, 0), 3, "those that are listed are used");
  consensus_release(consensus);
  update(&random, 10, 0, 15);
  cr_expect_eq(guard_sample_next(&sample, 0, 0), 0, "back in its place");
  cr_expect_arr_eq(sample.guards[0].identity, first, IDENTITY_BYTES);
  update(&random, 10, 3, 16);
  update(&random, 10, 3, 37);
  cr_expect_lt(guard_sample_find(&sample, first), 0, "gone after twenty days without a listing");
}

/* Relays come and go by the thousand: the sample has its bound. */
Test(guard, churn_never_makes_more_than_eight) {
  struct random_stream random = test_random("churn");
  for (int64_t day = 0; day < 60; day++) {
    update(&random, 40 + (uint32_t)day, (uint32_t)day, day);
    cr_assert_leq(sample.count, GUARD_SAMPLE_MOST);
  }
}

Test(guard, the_order_decides_and_failures_only_delay) {
  struct random_stream random = test_random("order");
  update(&random, 20, 0, 0);
  cr_expect_eq(guard_sample_next(&sample, 1000, 0), 0);
  guard_failed(&sample.guards[0], 1000, &random);
  cr_expect_eq(guard_sample_next(&sample, 1000, 0), 1);
  guard_failed(&sample.guards[1], 1000, &random);
  guard_failed(&sample.guards[2], 1000, &random);
  cr_expect_eq(guard_sample_next(&sample, 1000, 0), -1, "nobody may be tried just now");
  instant again = guard_sample_retry_at(&sample, 1000);
  cr_expect(again > 1000 && again <= 1000 + 2 * SECONDS);
  cr_expect_geq(guard_sample_next(&sample, again, 0), 0);
  for (int i = 0; i < 1000; i++) guard_failed(&sample.guards[0], again, &random);
  cr_expect_leq(sample.guards[0].retry_at, again + 64 * SECONDS, "never further away than this");
  cr_expect_eq(sample.count, 3, "and never left");
  guard_reached(&sample.guards[0]);
  cr_expect_eq(guard_sample_next(&sample, again, 0), 0);
}

Test(guard, heavier_relays_are_chosen_more_often) {
  struct random_stream random = test_random("weights");
  uint32_t heavy = 0;
  sample_relay_add(&relays, RELAY_GUARD, 5000, 0, 0);
  uint8_t identity[IDENTITY_BYTES];
  memcpy(identity, relays.entries[0].identity, IDENTITY_BYTES);
  for (int i = 0; i < 50; i++) sample_relay_add(&relays, RELAY_GUARD, 100, 0, 0);
  struct consensus *consensus = sample_relays_consensus(&relays, 0);
  for (int i = 0; i < 2000; i++) {
    sample.count = 0;
    guard_sample_update(&sample, consensus, &random);
    heavy += memcmp(sample.guards[0].identity, identity, IDENTITY_BYTES) == 0;
  }
  cr_expect(heavy > 850 && heavy < 1150, "half of the weight, %u of 2000", heavy);
  consensus_release(consensus);
}

/* ---- the saved state ---- */

static const uint8_t network[32] = {1, 2, 3};

static size_t format(char text[SAVED_STATE_MAX_BYTES]) {
  struct saved_state state = {.sample = sample};
  memcpy(state.network, network, sizeof network);
  return saved_state_format(&state, text);
}

Test(saved_state, says_what_it_was_told) {
  struct random_stream random = test_random("state");
  char text[SAVED_STATE_MAX_BYTES], again[SAVED_STATE_MAX_BYTES];
  struct saved_state state;
  update(&random, 6, 0, 0);
  update(&random, 12, 4, 1);
  size_t len = format(text);
  cr_assert_eq(saved_state_parse(text, len, network, &state, NULL), OUTCOME_OK);
  cr_assert_eq(state.sample.count, sample.count);
  for (uint32_t i = 0; i < sample.count; i++) {
    cr_expect_arr_eq(state.sample.guards[i].identity, sample.guards[i].identity, IDENTITY_BYTES);
    cr_expect_eq(state.sample.guards[i].expires.milliseconds, sample.guards[i].expires.milliseconds);
    cr_expect_eq(state.sample.guards[i].unlisted.milliseconds, sample.guards[i].unlisted.milliseconds);
  }
  cr_expect_eq(saved_state_format(&state, again), len);
  cr_expect_arr_eq(text, again, len);
}

Test(saved_state, takes_no_text_that_it_would_not_write) {
  struct random_stream random = test_random("hostile state");
  char text[SAVED_STATE_MAX_BYTES], changed[SAVED_STATE_MAX_BYTES + 1], again[SAVED_STATE_MAX_BYTES];
  struct saved_state state;
  update(&random, 6, 0, 0);
  size_t len = format(text);
  for (size_t at = 0; at < len; at++) {
    cr_assert_neq(saved_state_parse(text, at, network, &state, NULL) == OUTCOME_OK && text[at - 1] != '\n', true, "cut at %zu", at);
    for (int i = 0; i < 6; i++) {
      memcpy(changed, text, len);
      changed[at] = (char)(i == 0 ? 0 : random_below(&random, 256));
      if (saved_state_parse(changed, len, network, &state, NULL) == OUTCOME_OK) {
        cr_assert_eq(saved_state_format(&state, again), len);
        cr_assert_arr_eq(again, changed, len, "what it takes it would write");
      }
    }
  }
}

Test(saved_state, refuses_another_network_s_and_too_much) {
  struct random_stream random = test_random("other");
  char text[4 * SAVED_STATE_MAX_BYTES];
  const uint8_t other[32] = {9};
  struct saved_state state;
  uint32_t line;
  update(&random, 6, 0, 0);
  size_t len = format(text), head = len;
  cr_expect_eq(saved_state_parse(text, len, other, &state, NULL), OUTCOME_WRONG_NETWORK);
  while (head > 0 && memcmp(text + head - 6, "guard ", 6) != 0) head--;
  head -= 6;
  size_t line_len = len - head;
  memcpy(text + len, text + head, line_len);
  cr_expect_eq(saved_state_parse(text, len + line_len, network, &state, &line), OUTCOME_BAD_DOCUMENT, "the same guard twice");
  cr_expect_eq(line, 6);
  for (int i = 1; i < 12; i++) {
    memcpy(text + len + (size_t)i * line_len - line_len, text + head, line_len);
    text[len + (size_t)i * line_len - line_len + 6] = "123456789abcdef"[i];
  }
  cr_expect_eq(saved_state_parse(text, len + 11 * line_len, network, &state, &line), OUTCOME_BAD_DOCUMENT, "too many");
}
