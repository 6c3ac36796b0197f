/* What is told of requests that come to nothing: to the application. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/client/whole_client.h"

TestSuite(failures, .timeout = 120);

static struct small_network network;

static void begin(const char *test, struct small_options options) { whole_client_begin(&network, test, options); }
static const struct fetch_result *result(uint32_t index) { return whole_client_result(&network, index); }
static void run_for(uint64_t duration) { whole_client_run_for(&network, duration); }

static uint32_t fetch_as(uint32_t user) {
  char name[16];
  snprintf(name, sizeof name, "user%u", user);
  return small_network_fetch(&network, name, "web", 1000, true, 0);
}

/* ---- [SOCKS-9] what waits for a circuit as long as one may ---- */

/* [BUILD-5] More isolations at once than circuits may be begun for within the time that a request waits. */
Test(failures, a_request_that_others_came_before_is_not_told_success) {
  enum { REQUESTS = 660 };
  uint32_t failed = 0;
  begin("others came first", (struct small_options){.delay = MILLISECONDS});
  for (uint32_t i = 0; i < REQUESTS; i++) fetch_as(i);
  run_for(70 * SECONDS);
  for (uint32_t i = 0; i < REQUESTS; i++) {
    cr_assert(result(i)->done, "request %u was told", i);
    if (!result(i)->failed) continue;
    failed++;
    cr_expect_eq(result(i)->socks_reply, outcome_socks_reply(OUTCOME_LIMIT_REACHED), "request %u: reply %u", i, result(i)->socks_reply);
  }
  cr_expect(failed > 20 && failed < 300, "%u", failed);
  small_network_wipe(&network);
}

/* Circuits for others are built all the time: that they were is not why this one's was not. */
Test(failures, a_request_is_told_of_its_own_circuits_and_not_of_others) {
  static const uint8_t connect_sole[] = {5, 1, 0, 5, 1, 0, 3, 3, 'w', 'e', 'b', SOLE_PORT >> 8, SOLE_PORT & 255};
  begin("its own circuits", (struct small_options){.relays = "ggmmxxs"});
  sim_cut_connections(network.relays[6].host, NULL);
  sim_set_cut(network.relays[6].host, true);
  uint32_t index = small_network_app(&network, connect_sole, sizeof connect_sole);
  const struct peer_connection *app = &network.app->connections[index];
  run_for(50 * SECONDS);
  for (uint32_t i = 0; i < 200 && app->in_len < 3; i++) {
    run_for(100 * MILLISECONDS);
    fetch_as(i);
  }
  cr_assert_eq(app->in_len, 2 + 10);
  cr_expect_neq(app->in[3], 0);
  small_network_wipe(&network);
}
