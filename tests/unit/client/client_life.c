/* The client as a person sees it, and over a long time. */
#include <criterion/criterion.h>
#include <string.h>

#include "client/client_internal.h"
#include "protocol/status.h"
#include "tests/unit/client/whole_client.h"
#include "tests/unit/seed.h"

TestSuite(client_life, .timeout = 60);

static struct small_network network;

static void begin(const char *test, struct small_options options) { whole_client_begin(&network, test, options); }
static void expect_whole(uint32_t index) { whole_client_expect_fetched(&network, index); }
static void run_for(uint64_t duration) { whole_client_run_for(&network, duration); }

static void guard_order(uint8_t ret[GUARD_LISTED][IDENTITY_BYTES]) {
  cr_assert_geq(network.client->guards.count, 1);
  for (uint32_t i = 0; i < GUARD_LISTED; i++) memcpy(ret[i], network.client->guards.guards[i].identity, IDENTITY_BYTES);
}

/* ---- what people see, and what is kept ---- */

Test(client_life, says_how_far_it_is) {
  struct status status;
  small_network_init(&network, &(struct small_options){.seed = test_seed("status")});
  small_network_status(&network, &status);
  cr_expect_not(status.ready);
  cr_expect_neq(status.cause, OUTCOME_OK);
  uint8_t stage = status.stage;
  cr_expect_lt(stage, status.stages);
  for (int i = 0; i < 3000; i++) {
    run_for(MILLISECONDS);
    small_network_status(&network, &status);
    cr_expect_geq(status.stage, stage, "never backwards");
    stage = status.stage;
  }
  cr_expect(status.ready);
  cr_expect_eq(status.stage, status.stages);
  cr_expect_eq(status.text_count, 1);
  cr_expect_str_eq(status.texts[0].name, "path");
  cr_expect_eq(status.expiry_count, 3);
  for (uint32_t i = 0; i < network.relay_count; i++) sim_set_cut(network.relays[i].host, true);
  sim_cut_connections(network.client_host, NULL);
  run_for(20 * SECONDS);
  small_network_status(&network, &status);
  cr_expect_not(status.ready);
  cr_expect_eq(status.cause, OUTCOME_LINK_FAILED);
  cr_expect_eq(status.stage, status.stages, "what was reached stays reached");
  small_network_wipe(&network);
}

static void expect_clock_hint(int64_t skew_ms, const char *direction) {
  struct status status;
  begin("clock", (struct small_options){0});
  sim_set_clock_skew(network.client_host, skew_ms);
  sim_cut_connections(network.client_host, NULL);
  cr_assert(small_network_wait_ready(&network));
  small_network_status(&network, &status);
  cr_assert_eq(status.text_count, 2);
  cr_expect_str_eq(status.texts[1].name, "warning");
  cr_expect(strncmp(status.texts[1].value, "clock-wrong: 9", 14) == 0 && strstr(status.texts[1].value, direction) != NULL, "%s", status.texts[1].value);
  uint32_t index = small_network_fetch(&network, NULL, "web", 1000, true, 0);
  cr_expect(small_network_wait_fetches(&network, 60));
  expect_whole(index);
  small_network_wipe(&network);
}

Test(client_life, a_wrong_clock_is_a_hint) {
  expect_clock_hint(95 * 1000, " s ahead of the guard's clock");
  expect_clock_hint(-95 * 1000, " s behind the guard's clock");
}

Test(client_life, keeps_its_guards_over_a_restart) {
  uint8_t before[GUARD_LISTED][IDENTITY_BYTES], after[GUARD_LISTED][IDENTITY_BYTES];
  begin("restart", (struct small_options){.relays = "ggggggxx"});
  run_for(SECONDS);
  guard_order(before);
  const struct document *state = sim_file(network.client_host, "state");
  cr_assert(state);
  struct client_config config = {.self = &network.client_self,
                                 .networks = network.networks,
                                 .budget = &network.client_budget,
                                 .pool_cells = 100,
                                 .seed = {1},
                                 .state = (const char *)document_bytes(state),
                                 .state_len = document_len(state)};
  struct client *first = network.client;
  network.client = client_new(&config);
  client_set_consensus(network.client, network.sim.now, consensus_take(network.consensus));
  guard_order(after);
  cr_expect_arr_eq(before, after, sizeof before);
  client_free(network.client);
  network.client = first;
  small_network_wipe(&network);
}

Test(client_life, streams_and_circuits_take_no_numbers_twice_over_hours) {
  begin("hours", (struct small_options){.relays = "ggmmxxx"});
  for (int i = 0; i < 40; i++) {
    uint32_t index = small_network_fetch(&network, i % 3 ? NULL : "x", "web", 2000, true, 0);
    run_for(5 * MINUTES);
    expect_whole(index);
  }
  cr_expect_gt(small_network_figure(&network, "links_opened"), 4, "links are changed for new ones");
  cr_expect_eq(small_network_figure(&network, "violations"), 0);
  small_network_wipe(&network);
}

Test(client_life, a_link_that_is_changed_leaves_no_gap) {
  begin("no gap", (struct small_options){0});
  run_for(5 * SECONDS);
  for (int i = 0; i < 3600; i++) {
    run_for(SECONDS);
    uint32_t cursor = 0, fresh = 0;
    struct id id;
    const struct circuit *circuit;
    while ((circuit = id_table_next(&network.client->circuits, &cursor, &id)) != NULL) fresh += circuit_is_open(circuit) && !circuit->has_isolation;
    cr_assert_geq(fresh, 3, "after %d s", i);
  }
  cr_expect_geq(small_network_figure(&network, "links_opened"), 3);
  small_network_wipe(&network);
}
