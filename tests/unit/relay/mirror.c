/* What a relay hands to whoever asks: the consensus that it holds, and the network files up to its serial. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory/consensus_diff.h"
#include "directory/network_chain.h"
#include "tests/unit/relay/shard_bench.h"

/* What shards are told: texts that need be no network files, since the keeper has judged them. */
static const char SECOND[] = "tunic-network 1\nserial 2\n", THIRD[] = "tunic-network 1\nserial 3\n", FOURTH[] = "tunic-network 1\nserial 4\n";

static void show(struct bench *bench, const char *const texts[], uint32_t count, uint32_t first) {
  char all[256] = "";
  for (uint32_t i = 0; i < count; i++) snprintf(all + strlen(all), sizeof all - strlen(all), "%s", texts[i]);
  struct event event = {.kind = EVENT_MESSAGE,
                        .message = {.kind = SHARD_NETWORK_FILES, .object = document_new(all, strlen(all)), .value = first}};
  bench_event(bench, &event);
}

static void expect_file(struct bench *bench, uint64_t behind, const char *expected) {
  bench_get(bench, END_CLIENT, &(struct transfer_request){.kind = TRANSFER_NETWORK_FILE, .epoch = behind});
  const struct bench_end *end = &bench->ends[END_CLIENT];
  cr_expect_eq(end->arrived != NULL, expected != NULL, "behind %llu", (unsigned long long)behind);
  if (end->arrived == NULL) {
    cr_expect_eq(end->refused, OUTCOME_STALE);
    return;
  }
  cr_assert_eq(document_len(end->arrived), strlen(expected));
  cr_expect_arr_eq(document_bytes(end->arrived), expected, strlen(expected));
}

Test(mirror, a_relay_shows_the_network_files_that_its_keeper_says) {
  struct bench *bench = bench_new();
  bench_link(bench, END_CLIENT);
  expect_file(bench, 1, NULL);
  show(bench, (const char *const[]){SECOND, THIRD}, 2, 2);
  expect_file(bench, 0, NULL);
  expect_file(bench, 1, SECOND);
  expect_file(bench, 2, THIRD);
  expect_file(bench, 3, NULL);
  expect_file(bench, UINT64_MAX, NULL);
  show(bench, (const char *const[]){THIRD, FOURTH}, 2, 3);
  expect_file(bench, 1, NULL);
  expect_file(bench, 3, FOURTH);
  bench_free(bench);
}

Test(mirror, a_relay_hands_out_its_consensus) {
  struct bench *bench = bench_new();
  bench_link(bench, END_CLIENT);
  bench_get(bench, END_CLIENT, &(struct transfer_request){.kind = TRANSFER_CONSENSUS});
  cr_assert(bench->ends[END_CLIENT].arrived);
  const struct document *packed = consensus_packed(bench->consensus);
  cr_expect_eq(document_len(bench->ends[END_CLIENT].arrived), document_len(packed));
  bench_get(bench, END_CLIENT, &(struct transfer_request){.kind = TRANSFER_CONSENSUS, .epoch = UINT64_MAX});
  cr_expect_eq(bench->ends[END_CLIENT].refused, OUTCOME_STALE);
  bench_free(bench);
}

/* [LIMIT-12] A file as large as there can be. */
static void show_large_file(struct bench *bench) {
  char *text = malloc(LIMIT_NETWORK_FILE_BYTES);
  memset(text, 'x', LIMIT_NETWORK_FILE_BYTES);
  memcpy(text, SECOND, strlen(SECOND));
  text[LIMIT_NETWORK_FILE_BYTES - 1] = '\n';
  struct event event = {.kind = EVENT_MESSAGE,
                        .message = {.kind = SHARD_NETWORK_FILES, .object = document_new(text, LIMIT_NETWORK_FILE_BYTES), .value = 2}};
  bench_event(bench, &event);
  free(text);
}

/* True if it came whole. */
static bool get_large_file(struct bench *bench, int which) {
  bench_get(bench, which, &(struct transfer_request){.kind = TRANSFER_NETWORK_FILE, .epoch = 1});
  const struct bench_end *end = &bench->ends[which];
  cr_assert(end->arrived ? document_len(end->arrived) == LIMIT_NETWORK_FILE_BYTES : end->refused == OUTCOME_TOO_BUSY);
  return end->arrived != NULL;
}

Test(mirror, a_link_that_asks_without_end_is_refused_and_others_are_served) {
  struct bench *bench = bench_new();
  uint64_t got = 0, again = 0;
  show_large_file(bench);
  bench_link(bench, END_CLIENT);
  bench_open(bench, END_CLIENT, 0); /* so that the link stays */
  bench_link(bench, END_FIRST_NODE);
  while (got <= LIMIT_SERVED_PER_LINK_AT_ONCE && get_large_file(bench, END_CLIENT)) got += LIMIT_NETWORK_FILE_BYTES;
  cr_expect_eq(got, LIMIT_SERVED_PER_LINK_AT_ONCE);
  cr_expect(get_large_file(bench, END_FIRST_NODE), "another link has its own");
  bench_wait(bench, 4 * SECONDS);
  cr_expect_eq(bench->figures.documents_too_busy, 1);
  while (again <= LIMIT_SERVED_PER_LINK_AT_ONCE && get_large_file(bench, END_CLIENT)) again += LIMIT_NETWORK_FILE_BYTES;
  cr_expect_eq(again, 4 * LIMIT_SERVED_PER_LINK);
  cr_expect(bench_has_link(bench, END_CLIENT), "the link stays");
  bench_free(bench);
}

/* A diff that proves useless, the consensus itself, every network file there is and one to compare: as large as each may be, every minute. */
Test(mirror, whoever_needs_what_it_asks_for_is_never_refused) {
  struct bench *bench = bench_new();
  const uint32_t most = CONSENSUS_DIFF_PACKED_BYTES + LIMIT_CONSENSUS_PACKED_BYTES + (NETWORK_CHAIN_FILES + 1) * LIMIT_NETWORK_FILE_BYTES;
  show_large_file(bench);
  bench_link(bench, END_CLIENT);
  bench_open(bench, END_CLIENT, 0);
  for (int minute = 0; minute < 6; minute++) {
    for (uint32_t got = 0; got < most; got += LIMIT_NETWORK_FILE_BYTES) cr_assert(get_large_file(bench, END_CLIENT), "minute %d", minute);
    bench_wait(bench, MINUTES);
  }
  bench_free(bench);
}
