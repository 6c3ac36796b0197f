/* The whole client against real relays: what an application and a person notice. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "client/client_internal.h"
#include "protocol/status.h"
#include "tests/unit/client/hostile_relay.h"
#include "tests/unit/client/whole_client.h"
#include "tests/unit/seed.h"

TestSuite(client, .timeout = 60);

static struct small_network network;

static void begin(const char *test, struct small_options options) { whole_client_begin(&network, test, options); }
static const struct fetch_result *result(uint32_t index) { return whole_client_result(&network, index); }
static void expect_whole(uint32_t index) { whole_client_expect_fetched(&network, index); }
static void run_for(uint64_t duration) { whole_client_run_for(&network, duration); }

/* ---- fetching ---- */

Test(client, fetches_megabytes_byte_for_byte) {
  begin("fetch", (struct small_options){0});
  uint32_t index = small_network_fetch(&network, NULL, "web", 4000000, false, 0);
  cr_expect(small_network_wait_fetches(&network, 60));
  expect_whole(index);
  small_network_wipe(&network);
}

Test(client, sends_what_comes_right_behind_the_request) {
  begin("early", (struct small_options){.delay = 20 * MILLISECONDS});
  uint32_t late = small_network_fetch(&network, NULL, "web", 100000, false, 0);
  cr_expect(small_network_wait_fetches(&network, 60));
  uint32_t early = small_network_fetch(&network, NULL, "web", 100000, true, 0);
  cr_expect(small_network_wait_fetches(&network, 60));
  expect_whole(late);
  expect_whole(early);
  uint64_t took_late = result(late)->first_byte - result(late)->began, took_early = result(early)->first_byte - result(early)->began;
  cr_expect_lt(took_early + 100 * MILLISECONDS, took_late, "a round trip through the circuit is saved");
  small_network_wipe(&network);
}

Test(client, serves_before_it_is_ready) {
  small_network_init(&network, &(struct small_options){.seed = test_seed("not ready")});
  uint32_t index = small_network_fetch(&network, "someone", "web", 10000, true, 0);
  cr_expect(small_network_wait_fetches(&network, 60));
  expect_whole(index);
  small_network_wipe(&network);
}

Test(client, carries_a_hundred_streams_at_once) {
  begin("hundred", (struct small_options){0});
  for (int i = 0; i < 100; i++) small_network_fetch(&network, NULL, "web", 30000, i % 2, 0);
  cr_expect(small_network_wait_fetches(&network, 120));
  for (uint32_t i = 0; i < 100; i++) expect_whole(i);
  small_network_wipe(&network);
}

/* ---- what can go wrong at the destination ---- */

static const uint8_t connect_refused[] = {5, 1, 0, 5, 1, 0, 3, 3, 'w', 'e', 'b', 0, 81};
static const uint8_t connect_unknown[] = {5, 1, 0, 5, 1, 0, 3, 4, 'n', 'o', 'n', 'e', 0, 80};
static const uint8_t connect_no_exit[] = {5, 1, 0, 5, 1, 0, 3, 3, 'w', 'e', 'b', 0x27, 0x0f};

static void expect_reply(const uint8_t *request, size_t len, uint8_t code) {
  uint32_t index = small_network_app(&network, request, len);
  run_for(20 * SECONDS);
  const struct peer_connection *app = &network.app->connections[index];
  cr_assert_eq(app->in_len, 2 + 10, "method and reply, not %zu bytes", app->in_len);
  cr_expect_eq(app->in[3], code, "reply %u, not %u", app->in[3], code);
  cr_expect(app->eof, "closed behind the reply");
}

Test(client, tells_the_application_why_it_can_not_connect) {
  begin("why", (struct small_options){0});
  expect_reply(connect_refused, sizeof connect_refused, 5);
  expect_reply(connect_unknown, sizeof connect_unknown, 4);
  expect_reply(connect_no_exit, sizeof connect_no_exit, 2);
  small_network_wipe(&network);
}

Test(client, answers_lookups) {
  static const uint8_t resolve[] = {5, 1, 0, 5, 0xf0, 0, 3, 3, 'w', 'e', 'b', 0, 0};
  static const uint8_t resolve_address[] = {5, 1, 0, 5, 0xf0, 0, 3, 7, '1', '.', '2', '.', '3', '.', '4', 0, 0};
  begin("resolve", (struct small_options){0});
  uint32_t index = small_network_app(&network, resolve, sizeof resolve);
  uint32_t address = small_network_app(&network, resolve_address, sizeof resolve_address);
  run_for(5 * SECONDS);
  const struct peer_connection *app = &network.app->connections[index];
  cr_assert_eq(app->in_len, 2 + 10);
  cr_expect_eq(app->in[3], 0);
  cr_expect_arr_eq(app->in + 2 + 4, network.web_host->address.bytes, 4);
  app = &network.app->connections[address];
  cr_assert_eq(app->in_len, 2 + 10);
  cr_expect_arr_eq(app->in + 2 + 4, "\1\2\3\4", 4);
  small_network_wipe(&network);
}

/* ---- both ways ---- */

static const uint8_t connect_peer[] = {5, 1, 0, 5, 1, 0, 3, 4, 'p', 'e', 'e', 'r', 0, PEER_PORT};

static uint32_t connect_to_peer(void) {
  uint32_t index = small_network_app(&network, connect_peer, sizeof connect_peer);
  run_for(2 * SECONDS);
  cr_assert_eq(network.app->connections[index].in_len, 12, "connected");
  cr_assert_eq(network.app->connections[index].in[3], 0);
  return index;
}

static void send_from_app(uint32_t index, const void *bytes, size_t len, bool finish) {
  peer_send(network.app, index, bytes, len, finish);
  sim_poke(network.app_host, network.app_machine);
}

static uint8_t *make_bytes(size_t len) {
  uint8_t *bytes = malloc(len);
  for (size_t i = 0; i < len; i++) bytes[i] = web_byte(i);
  return bytes;
}

Test(client, half_closes_towards_the_destination) {
  begin("half close", (struct small_options){0});
  network.peer->script = (struct peer_connection){.out = (const uint8_t *)"the answer", .out_len = 10, .finish_on_eof = true};
  uint32_t index = connect_to_peer();
  send_from_app(index, "question", 8, true);
  run_for(5 * SECONDS);
  const struct peer_connection *app = &network.app->connections[index], *peer = &network.peer->connections[0];
  cr_expect(peer->eof, "the end of the application's way arrives");
  cr_expect_eq(peer->in_len, 8);
  cr_assert_eq(app->in_len, 12 + 10);
  cr_expect_arr_eq(app->in + 12, "the answer", 10);
  cr_expect(app->eof);
  cr_expect_eq(small_network_figure(&network, "streams"), 0, "and nothing is left");
  small_network_wipe(&network);
}

Test(client, half_closes_with_nothing_but_the_request) {
  begin("half close at once", (struct small_options){0});
  network.peer->script = (struct peer_connection){.out = (const uint8_t *)"hello", .out_len = 5, .finish_on_eof = true};
  uint32_t index = small_network_app(&network, connect_peer, sizeof connect_peer);
  network.app->connections[index].finish = true;
  run_for(5 * SECONDS);
  const struct peer_connection *app = &network.app->connections[index];
  cr_assert_eq(app->in_len, 12 + 5);
  cr_expect(app->eof);
  small_network_wipe(&network);
}

Test(client, half_closes_towards_the_application) {
  begin("half close back", (struct small_options){0});
  network.peer->script = (struct peer_connection){.out = (const uint8_t *)"greeting", .out_len = 8, .finish = true};
  uint32_t index = small_network_app(&network, connect_peer, sizeof connect_peer);
  run_for(2 * SECONDS);
  const struct peer_connection *app = &network.app->connections[index];
  cr_assert_eq(app->in_len, 12 + 8);
  cr_expect(app->eof, "the destination's end arrives");
  send_from_app(index, "still here", 10, true);
  run_for(2 * SECONDS);
  cr_assert_eq(network.peer->connections[0].in_len, 10, "the other way went on");
  cr_expect_eq(small_network_figure(&network, "streams"), 0);
  small_network_wipe(&network);
}

Test(client, sends_megabytes_byte_for_byte) {
  enum { LEN = 3000000 };
  begin("upload", (struct small_options){0});
  uint8_t *bytes = make_bytes(LEN);
  uint32_t index = connect_to_peer();
  send_from_app(index, bytes, LEN, true);
  run_for(20 * SECONDS);
  const struct peer_connection *peer = &network.peer->connections[0];
  cr_expect_eq(peer->in_len, LEN);
  cr_expect(peer->in_len == LEN && memcmp(peer->in, bytes, LEN) == 0);
  cr_expect(peer->eof);
  free(bytes);
  small_network_wipe(&network);
}

Test(client, an_application_that_cuts_its_connection_ends_the_stream) {
  begin("cut", (struct small_options){0});
  uint32_t index = connect_to_peer();
  peer_close(network.app, index);
  sim_poke(network.app_host, network.app_machine);
  run_for(2 * SECONDS);
  cr_expect(network.peer->connections[0].closed || network.peer->connections[0].eof);
  cr_expect_eq(small_network_figure(&network, "streams"), 0);
  small_network_wipe(&network);
}

Test(client, a_destination_that_reads_nothing_holds_the_application_back) {
  enum { LEN = 20000000 };
  begin("deaf destination", (struct small_options){0});
  uint8_t *bytes = make_bytes(LEN);
  network.peer->script = (struct peer_connection){.deaf = true};
  uint32_t index = connect_to_peer();
  send_from_app(index, bytes, LEN, true);
  run_for(20 * SECONDS);
  /* The 256 KiB that its socket took looked quick, for two doublings of the exit's window. */
  cr_expect_lt(network.app->connections[index].out_sent, 4 * LIMIT_EXIT_OPEN_CREDIT + 1000000, "credit, not memory, bounds what is on its way");
  uint32_t other = small_network_fetch(&network, NULL, "web", 300000, false, 0);
  cr_expect(small_network_wait_fetches(&network, 30), "other streams go on");
  expect_whole(other);
  free(bytes);
  small_network_wipe(&network);
}

/* ---- an application that reads nothing ---- */

Test(client, an_application_that_reads_nothing_stops_nobody_else) {
  begin("deaf application", (struct small_options){0});
  uint32_t deaf = small_network_fetch(&network, NULL, "web", 50000000, false, 1000);
  run_for(20 * SECONDS);
  cr_expect_lt(result(deaf)->got, 500000);
  /* The 256 KiB that its socket took looked quick, for two doublings of its window. */
  cr_expect_lt(small_network_figure(&network, "pool_cells"), (4 * LIMIT_CLIENT_FIRST_CREDIT + 200000) / 1347);
  uint32_t other = small_network_fetch(&network, NULL, "web", 500000, false, 0);
  sim_run_for(&network.sim, 20 * SECONDS);
  expect_whole(other);
  small_network_wipe(&network);
}

Test(client, when_memory_is_short_the_one_that_stood_still_goes) {
  begin("eviction", (struct small_options){.pool_cells = 1200});
  for (int i = 0; i < 6; i++) small_network_fetch(&network, NULL, "web", 10000000, false, 1000);
  run_for(20 * SECONDS);
  cr_expect_gt(small_network_figure(&network, "evicted"), 0);
  cr_expect_leq(small_network_figure(&network, "pool_cells"), 1200);
  uint32_t other = small_network_fetch(&network, NULL, "web", 3000000, false, 0);
  run_for(20 * SECONDS);
  expect_whole(other);
  small_network_wipe(&network);
}

/* ---- relays and links that fail, or attack ---- */

static bool flips, has_flipped, flips_backward;

/* The relay changes one bit of one cell that it passes on. */
static bool flip_once(struct sim *sim, struct sim_host *host) {
  (void)sim, (void)host;
  if (flips && !has_flipped) has_flipped = hostile_relay_flip(network.relays[1].shard, flips_backward);
  return true;
}

static void flip_in_transfer(bool backward, const char *test) {
  enum { LEN = 4000000 };
  begin(test, (struct small_options){.relays = "gmx", .delay = 10 * MILLISECONDS});
  uint8_t *bytes = make_bytes(LEN);
  uint32_t index = backward ? small_network_fetch(&network, NULL, "web", LEN, false, 0) : connect_to_peer();
  if (!backward) send_from_app(index, bytes, LEN, true);
  run_for(300 * MILLISECONDS);
  flips = true;
  flips_backward = backward;
  network.sim.invariant = flip_once;
  run_for(20 * SECONDS);
  cr_assert(has_flipped);
  cr_expect_eq(small_network_figure(&network, "circuits_died"), 1, "that circuit, and no other");
  if (backward) {
    cr_expect(result(index)->done && result(index)->failed && !result(index)->wrong_bytes, "no changed byte reaches the application");
    cr_expect_eq(small_network_figure(&network, "layers_forged"), 1);
  } else {
    const struct peer_connection *peer = &network.peer->connections[0];
    cr_expect(peer->in_len < LEN && memcmp(peer->in, bytes, peer->in_len) == 0, "no changed byte reaches the destination");
  }
  uint32_t again = small_network_fetch(&network, NULL, "web", 100000, false, 0);
  run_for(10 * SECONDS);
  expect_whole(again);
  cr_expect_eq(small_network_figure(&network, "guard_failures"), 0);
  free(bytes);
  small_network_wipe(&network);
}

Test(client, one_bit_changed_on_the_way_back_ends_the_circuit_at_once) { flip_in_transfer(true, "flip back"); }
Test(client, one_bit_changed_on_the_way_there_ends_the_circuit_at_once) { flip_in_transfer(false, "flip there"); }

static void guard_order(uint8_t ret[GUARD_LISTED][IDENTITY_BYTES]) {
  cr_assert_geq(network.client->guards.count, 1);
  for (uint32_t i = 0; i < GUARD_LISTED; i++) memcpy(ret[i], network.client->guards.guards[i].identity, IDENTITY_BYTES);
}

static struct small_relay *relay_of(const uint8_t identity[IDENTITY_BYTES]) {
  for (uint32_t i = 0; i < network.relay_count; i++)
    if (memcmp(network.relays[i].self.identity, identity, IDENTITY_BYTES) == 0) return &network.relays[i];
  return NULL;
}

static void expect_links_to(const uint8_t identity[IDENTITY_BYTES]) {
  for (struct list_node *node = list_first(&network.client->links); node != NULL; node = list_after(&network.client->links, node)) {
    const struct guard_link *link = LIST_OBJECT(node, struct guard_link, of_client);
    if (link->is_open) cr_expect_arr_eq(link->identity, identity, IDENTITY_BYTES);
  }
}

Test(client, a_lost_link_is_no_reason_to_leave_the_guard) {
  uint8_t before[GUARD_LISTED][IDENTITY_BYTES], after[GUARD_LISTED][IDENTITY_BYTES];
  begin("cut links", (struct small_options){.relays = "ggggmxx"});
  guard_order(before);
  for (int i = 0; i < 10; i++) {
    uint32_t index = small_network_fetch(&network, NULL, "web", 5000000, false, 0);
    run_for(300 * MILLISECONDS);
    sim_cut_connections(network.client_host, relay_of(before[0])->host);
    run_for(12 * SECONDS);
    cr_expect(result(index)->done && result(index)->failed, "a stream that was open ends with its circuit");
    expect_links_to(before[0]);
  }
  uint32_t index = small_network_fetch(&network, NULL, "web", 100000, false, 0);
  cr_expect(small_network_wait_fetches(&network, 60));
  expect_whole(index);
  guard_order(after);
  cr_expect_arr_eq(before, after, sizeof before);
  cr_expect_eq(small_network_figure(&network, "guard_failures"), 0);
  struct path_avoided avoided;
  path_health_avoided(&network.client->health, network.sim.now, &avoided);
  cr_expect_eq(avoided.count, 0, "and no middle is suspected for it");
  small_network_wipe(&network);
}

Test(client, a_guard_that_is_down_is_replaced_until_it_is_back) {
  uint8_t guards[GUARD_LISTED][IDENTITY_BYTES], after[GUARD_LISTED][IDENTITY_BYTES];
  begin("guard down", (struct small_options){.relays = "ggggmxx"});
  guard_order(guards);
  struct sim_host *first = relay_of(guards[0])->host;
  sim_set_cut(first, true);
  sim_cut_connections(network.client_host, first);
  run_for(30 * SECONDS);
  uint32_t index = small_network_fetch(&network, NULL, "web", 100000, false, 0);
  run_for(10 * SECONDS);
  expect_whole(index);
  expect_links_to(guards[1]);
  /* While the first is tried again and again, nobody waits for it. */
  for (int i = 0; i < 40; i++) {
    char user[16];
    snprintf(user, sizeof user, "user%d", i);
    index = small_network_fetch(&network, user, "web", 1000, true, 0);
    run_for(3 * SECONDS);
    expect_whole(index);
  }
  cr_expect_gt(small_network_figure(&network, "guard_failures"), 3);
  sim_set_cut(first, false);
  run_for(2 * HOURS);
  bool is_back = false;
  for (struct list_node *node = list_first(&network.client->links); node != NULL; node = list_after(&network.client->links, node))
    is_back |= memcmp(LIST_OBJECT(node, struct guard_link, of_client)->identity, guards[0], IDENTITY_BYTES) == 0;
  cr_expect(is_back, "the first in order is used again");
  guard_order(after);
  cr_expect_arr_eq(guards, after, sizeof guards, "the order is the same");
  small_network_wipe(&network);
}

Test(client, a_request_whose_circuit_dies_is_sent_again_whole) {
  begin("resend", (struct small_options){.relays = "ggmmxxx"});
  uint32_t index = small_network_fetch(&network, NULL, "web", 50000, true, 0);
  const struct client_stream *stream = NULL;
  for (int i = 0; i < 1000 && stream == NULL; i++) {
    run_for(MILLISECONDS);
    uint32_t cursor = 0;
    struct id id;
    const struct circuit *circuit;
    while ((circuit = id_table_next(&network.client->circuits, &cursor, &id)) != NULL)
      if (list_first(&circuit->streams) != NULL) stream = LIST_OBJECT(list_first(&circuit->streams), struct client_stream, of_circuit);
  }
  cr_assert(stream && stream->state == STREAM_BEGUN);
  sim_cut_connections(relay_of(stream->circuit->hops[2].identity)->host, NULL); /* before it could answer */
  cr_expect(small_network_wait_fetches(&network, 60));
  expect_whole(index);
  cr_expect_eq(small_network_figure(&network, "streams_resent"), 1);
  small_network_wipe(&network);
}

Test(client, failing_circuits_are_not_tried_faster_and_faster) {
  begin("storm", (struct small_options){.relays = "gmx"});
  /* The middle is gone: nothing can be built any more. */
  sim_cut_connections(network.relays[1].host, NULL);
  run_for(100 * MILLISECONDS);
  sim_set_cut(network.relays[1].host, true);
  for (int i = 0; i < 20; i++) small_network_fetch(&network, NULL, "web", 1000, true, 0);
  run_for(2 * MINUTES);
  cr_expect_lt(small_network_figure(&network, "circuits_failed"), 400);
  uint64_t before = small_network_figure(&network, "circuits_failed");
  run_for(10 * MINUTES);
  cr_expect_lt(small_network_figure(&network, "circuits_failed") - before, 300, "back-off");
  for (uint32_t i = 0; i < 20; i++) cr_expect(result(i)->done && result(i)->failed, "everyone was told");
  struct status status;
  small_network_status(&network, &status);
  cr_expect_not(status.ready);
  cr_expect_neq(status.cause, OUTCOME_OK);
  sim_set_cut(network.relays[1].host, false);
  run_for(1 * MINUTES);
  uint32_t index = small_network_fetch(&network, NULL, "web", 1000, true, 0);
  run_for(20 * SECONDS);
  expect_whole(index);
  small_network_wipe(&network);
}

/* ---- keeping apart ---- */

static bool streams_are_apart(struct sim *sim, struct sim_host *host) {
  const struct small_network *n = sim->scenario;
  uint32_t cursor = 0;
  struct id id;
  const struct circuit *circuit;
  if (host != n->client_host) return true;
  while ((circuit = id_table_next(&n->client->circuits, &cursor, &id)) != NULL) {
    for (struct list_node *node = list_first(&circuit->streams); node != NULL; node = list_after(&circuit->streams, node))
      if (!isolation_equal(&LIST_OBJECT(node, struct client_stream, of_circuit)->isolation, &circuit->isolation)) return false;
  }
  return true;
}

static uint32_t count_used(void) {
  uint32_t cursor = 0, used = 0;
  struct id id;
  const struct circuit *circuit;
  while ((circuit = id_table_next(&network.client->circuits, &cursor, &id)) != NULL) used += circuit->has_isolation && !circuit->closing;
  return used;
}

Test(client, different_credentials_never_share_a_circuit) {
  begin("isolation", (struct small_options){0});
  network.sim.invariant = streams_are_apart;
  for (int i = 0; i < 60; i++) {
    char user[16];
    snprintf(user, sizeof user, "user%d", i % 20);
    small_network_fetch(&network, user, "web", 20000, true, 0);
  }
  cr_expect(small_network_wait_fetches(&network, 60));
  for (uint32_t i = 0; i < 60; i++) expect_whole(i);
  cr_expect_eq(count_used(), 20, "one circuit each, and no more");
  small_network_wipe(&network);
}

Test(client, different_destinations_are_kept_apart_when_asked) {
  begin("destinations", (struct small_options){.isolate_destinations = true});
  network.sim.invariant = streams_are_apart;
  uint32_t index = small_network_fetch(&network, NULL, "web", 20000, true, 0);
  uint32_t again = small_network_fetch(&network, NULL, "web", 20000, true, 0);
  connect_to_peer();
  cr_expect(small_network_wait_fetches(&network, 60));
  expect_whole(index);
  expect_whole(again);
  cr_expect_eq(count_used(), 2);
  small_network_wipe(&network);
}

Test(client, circuits_are_ready_before_they_are_asked_for) {
  begin("ahead", (struct small_options){0});
  run_for(5 * SECONDS);
  uint64_t built = small_network_figure(&network, "circuits_built");
  cr_expect_geq(built, 3);
  for (int i = 0; i < 3; i++) {
    char user[16];
    snprintf(user, sizeof user, "user%d", i);
    small_network_fetch(&network, user, "web", 1000, true, 0);
  }
  cr_expect(small_network_wait_fetches(&network, 60));
  for (uint32_t i = 0; i < 3; i++) cr_expect_lt(result(i)->first_byte - result(i)->began, 200 * MILLISECONDS, "no building in between");
  run_for(5 * SECONDS);
  cr_expect_geq(small_network_figure(&network, "circuits_built"), built + 3, "and new ones take their place");
  run_for(9 * MINUTES);
  cr_expect_geq(count_used(), 3, "they stay a while");
  run_for(7 * MINUTES);
  cr_expect_eq(count_used(), 0, "old ones that carry nothing are closed");
  small_network_wipe(&network);
}

/* [BUILD-4] */
Test(client, a_stream_that_is_silent_for_half_a_day_goes_on) {
  begin("silent", (struct small_options){0});
  uint32_t index = small_network_fetch(&network, NULL, "web", 5000000, false, 100000);
  run_for(12 * HOURS);
  cr_expect_eq(count_used(), 1, "its circuit is there");
  cr_expect_not(result(index)->done);
  fetcher_release(network.fetcher, index);
  sim_poke(network.app_host, 0);
  cr_expect(small_network_wait_fetches(&network, 60));
  expect_whole(index);
  small_network_wipe(&network);
}

/* ---- the proxy's port ---- */

Test(client, a_browser_set_to_http_is_told_so) {
  static const char request[] = "GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n";
  begin("http", (struct small_options){0});
  uint32_t index = small_network_app(&network, request, sizeof request - 1);
  run_for(1 * SECONDS);
  const struct peer_connection *app = &network.app->connections[index];
  cr_assert_gt(app->in_len, 12);
  cr_expect_arr_eq(app->in, "HTTP/1.0 501", 12);
  cr_expect(app->eof);
  small_network_wipe(&network);
}

Test(client, a_slow_handshake_is_closed) {
  static const uint8_t half[] = {5, 1, 0, 5, 1};
  begin("slow", (struct small_options){0});
  uint32_t index = small_network_app(&network, half, sizeof half);
  run_for(29 * SECONDS);
  cr_expect_not(network.app->connections[index].closed);
  run_for(3 * SECONDS);
  cr_expect(network.app->connections[index].closed || network.app->connections[index].eof);
  cr_expect_eq(small_network_figure(&network, "streams"), 0);
  small_network_wipe(&network);
}
