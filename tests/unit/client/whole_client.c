#include "tests/unit/client/whole_client.h"

#include <criterion/criterion.h>

#include "tests/unit/seed.h"

void whole_client_begin(struct small_network *network, const char *test, struct small_options options) {
  options.seed = test_seed(test);
  small_network_init(network, &options);
  cr_assert(small_network_wait_ready(network), "not ready within a minute");
}

const struct fetch_result *whole_client_result(const struct small_network *network, uint32_t fetch) {
  return fetcher_result(network->fetcher, fetch);
}

void whole_client_expect_fetched(const struct small_network *network, uint32_t fetch) {
  const struct fetch_result *r = whole_client_result(network, fetch);
  cr_expect(r->done && !r->failed && r->got == r->want, "fetch %u: done %d, reply %u, %llu of %llu bytes, wrong %d", fetch, r->done,
            r->socks_reply, (unsigned long long)r->got, (unsigned long long)r->want, r->wrong_bytes);
}

void whole_client_run_for(struct small_network *network, uint64_t duration) {
  cr_assert(sim_run_for(&network->sim, duration), "an invariant broke");
}
