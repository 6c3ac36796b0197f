/* [FETCH-7] A relay hands its descriptor in; what people read of it. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/directory/fetch_bench.h"

static struct fetch_bench bench;

static void hand_in(void) {
  fetch_publish(bench.fetch, bench.now, document_new("a descriptor", 12));
}

Test(fetch_publish, an_authority_that_is_down_is_told_of_once_and_once_when_it_is_back) {
  fetch_bench_init(&bench, "down");
  fetch_bench_start(&bench, 1);
  bench.authorities[0].conduct = CONDUCT_REFUSES;
  hand_in();
  fetch_bench_run(&bench, 10 * MINUTES);
  cr_expect_gt(bench.authorities[0].asked, 5, "it is tried again");
  cr_expect_eq(bench.notices, 1);
  cr_expect(strstr(bench.last_notice, bench.network.authorities[0].name) != NULL && strstr(bench.last_notice, "connection-refused") != NULL, "%s", bench.last_notice);
  hand_in(); /* a newer one is no news of the authority */
  fetch_bench_run(&bench, 10 * MINUTES);
  cr_expect_eq(bench.notices, 1);
  bench.authorities[0].conduct = CONDUCT_NEWEST;
  fetch_bench_run(&bench, 30 * MINUTES);
  cr_expect_gt(bench.authorities[0].handed_in, 0);
  cr_expect_eq(bench.notices, 2);
  cr_expect(strstr(bench.last_notice, bench.network.authorities[0].name) != NULL && strstr(bench.last_notice, "at last") != NULL, "%s", bench.last_notice);
  fetch_bench_wipe(&bench);
}

Test(fetch_publish, authorities_that_take_it_are_not_spoken_of) {
  fetch_bench_init(&bench, "all take it");
  fetch_bench_start(&bench, 1);
  hand_in();
  fetch_bench_run(&bench, 10 * MINUTES);
  for (int i = 0; i < BENCH_AUTHORITIES; i++) cr_expect_gt(bench.authorities[i].handed_in, 0);
  cr_expect_eq(fetch_published_count(bench.fetch), BENCH_AUTHORITIES);
  cr_expect_eq(bench.notices, 0);
  fetch_bench_wipe(&bench);
}
