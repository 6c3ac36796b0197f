/* What a relay hands to whoever asks: the consensus that it holds, and the network files up to its serial. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

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
