/* An exit that has no room for streams: [STREAM-15], [STREAM-21] as a client lives through them. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/client/hostile_relay.h"
#include "tests/unit/client/whole_client.h"

TestSuite(full_exit, .timeout = 60);

enum { FIRST_EXIT = 4, EXITS = 2, USERS = 12, ROUNDS_MOST = 8 }; /* of "ggmmxx" */

static struct small_network network;

static void begin(const char *test, int full) {
  whole_client_begin(&network, test, (struct small_options){0});
  for (int i = 0; i < full; i++) hostile_relay_fill(network.relays[FIRST_EXIT + i].shard);
}

/* Users of this round on circuits of their own; every second one sends before it is answered. */
static void fetch_all(uint32_t round) {
  for (uint32_t i = 0; i < USERS; i++) {
    char user[16];
    snprintf(user, sizeof user, "%u of %u", i, round);
    small_network_fetch(&network, user, "web", 20000, i % 2, 0);
  }
  cr_assert(small_network_wait_fetches(&network, 120));
}

/* Circuits that end are what guards and middles are blamed for. */
static void expect_no_blame(void) {
  cr_expect_eq(small_network_figure(&network, "circuits_died"), 0);
  cr_expect_eq(small_network_figure(&network, "guard_failures"), 0);
  cr_expect_eq(small_network_figure(&network, "violations"), 0);
}

Test(full_exit, streams_go_to_another_and_nobody_is_blamed) {
  begin("one exit is full", 1);
  uint32_t rounds = 0;
  do fetch_all(rounds++);
  while (small_network_figure(&network, "streams_resent") == 0 && rounds < ROUNDS_MOST);
  for (uint32_t i = 0; i < rounds * USERS; i++) whole_client_expect_fetched(&network, i);
  cr_expect_gt(small_network_figure(&network, "streams_resent"), 0, "some came to the full one first");
  expect_no_blame();
  small_network_wipe(&network);
}

Test(full_exit, where_all_are_full_the_application_is_told_and_nobody_is_blamed) {
  begin("all exits are full", EXITS);
  fetch_all(0);
  for (uint32_t i = 0; i < USERS; i++) cr_expect_eq(whole_client_result(&network, i)->socks_reply, 1, "user %u", i);
  expect_no_blame();
  small_network_wipe(&network);
}
