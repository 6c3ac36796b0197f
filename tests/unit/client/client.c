#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/client/small_network.h"
#include "tests/unit/seed.h"

TestSuite(client, .timeout = 60);

static struct small_network network;

Test(client, fetches_megabytes_byte_for_byte) {
  small_network_init(&network, &(struct small_options){.seed = test_seed("fetch")});
  cr_assert(small_network_wait_ready(&network));
  uint32_t index = small_network_fetch(&network, NULL, "web", 4000000, false, 0);
  cr_assert(small_network_wait_fetches(&network, 60));
  const struct fetch_result *result = fetcher_result(network.fetcher, index);
  cr_expect(!result->failed, "reply %u, got %llu", result->socks_reply, (unsigned long long)result->got);
  fprintf(stderr, "took %.3f s\n", (double)(result->ended - result->began) / 1e9);
  small_network_wipe(&network);
}
