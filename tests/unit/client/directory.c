/* Where a client's consensus comes from: its guard, then others; and what it does when the directory is split. */
#include <criterion/criterion.h>
#include <string.h>

#include "client/client_internal.h"
#include "protocol/status.h"
#include "tests/unit/client/small_network.h"
#include "tests/unit/seed.h"

TestSuite(client_directory, .timeout = 60);

static struct small_network network;

static void run_for(uint64_t duration) { cr_assert(sim_run_for(&network.sim, duration), "an invariant broke"); }

static const uint8_t *guard(void) { return network.client->guards.guards[0].identity; }

static bool is_guard(uint32_t relay) { return memcmp(network.relays[relay].self.identity, guard(), IDENTITY_BYTES) == 0; }

static uint64_t epoch(void) { return consensus_header(client_consensus(network.client))->epoch; }

/* An hour has passed and epoch 6 is decided; `guard_too`: the guard holds it as well. */
static void begin(const char *test, bool guard_too) {
  small_network_init(&network, &(struct small_options){.seed = test_seed(test)});
  cr_assert(small_network_wait_ready(&network));
  run_for(HOURS);
  struct consensus *next = small_network_consensus(&network, 6, &network.file, network.authority_seed);
  for (uint32_t i = 0; i < network.relay_count; i++)
    if (guard_too || !is_guard(i)) small_network_tell(&network, i, next);
  consensus_release(next);
}

Test(client_directory, the_next_consensus_comes_over_the_link_to_the_guard) {
  begin("guard", true);
  run_for(HOURS);
  cr_expect_eq(epoch(), 6);
  cr_expect_eq(small_network_figure(&network, "fetches_from_guard"), 1);
  cr_expect_eq(small_network_figure(&network, "fetches_from_relays"), 0, "no other relay learns that there is a client");
  cr_expect_eq(small_network_figure(&network, "fetches_from_authorities"), 0);
  small_network_wipe(&network);
}

/* An eclipse lasts an attempt; and whatever fetches do, they move no guard. */
Test(client_directory, a_guard_that_keeps_the_newest_back_is_not_asked_alone_nor_blamed) {
  uint8_t before[IDENTITY_BYTES];
  begin("kept back", false);
  memcpy(before, guard(), sizeof before);
  run_for(HOURS + 10 * MINUTES);
  cr_expect_eq(epoch(), 6);
  cr_expect_geq(small_network_figure(&network, "fetches_from_guard"), 1);
  cr_expect_geq(small_network_figure(&network, "fetches_from_relays"), 1);
  cr_expect_arr_eq(before, guard(), sizeof before);
  cr_expect_eq(network.client->guards.guards[0].failures, 0);
  cr_expect_eq(small_network_figure(&network, "guard_failures"), 0);
  small_network_wipe(&network);
}

Test(client_directory, a_link_that_is_cut_while_it_fetches_costs_an_attempt) {
  begin("cut", true);
  for (int i = 0; i < 800000 && small_network_figure(&network, "fetches_from_guard") == 0; i++) run_for(5 * MILLISECONDS);
  sim_cut_connections(network.client_host, NULL);
  run_for(5 * MINUTES);
  cr_expect_eq(epoch(), 6);
  cr_expect_eq(network.client->guards.guards[0].failures, 0);
  cr_expect(small_network_wait_ready(&network));
  small_network_wipe(&network);
}

/* [LIMIT-8] The link has become old meanwhile, and carries no circuit any more. */
Test(client_directory, a_link_is_not_left_before_the_answer_came) {
  begin("old link", true);
  for (int i = 0; i < 800000 && small_network_figure(&network, "fetches_from_guard") == 0; i++) run_for(5 * MILLISECONDS);
  struct client *client = network.client;
  struct list_node *node = list_first(&client->links);
  while (node != NULL && !fetch_uses_guard(client->fetch, LIST_OBJECT(node, struct guard_link, of_client)->trunk)) node = list_after(&client->links, node);
  cr_assert(node);
  struct guard_link *link = LIST_OBJECT(node, struct guard_link, of_client);
  struct circuit *circuit;
  uint32_t cursor = 0;
  struct id id;
  while ((circuit = id_table_next(&client->circuits, &cursor, &id)) != NULL) {
    if (circuit->link != link) continue;
    trunk_detach(&circuit->side);
    circuit_lost(client, circuit, network.sim.now, OUTCOME_LINK_FAILED);
  }
  link->retire_at = network.sim.now;
  guard_link_timer(client, link, network.sim.now);
  cr_assert(link->retiring);
  guard_link_timer(client, link, network.sim.now);
  run_for(10 * SECONDS);
  cr_expect_eq(epoch(), 6);
  cr_expect_eq(small_network_figure(&network, "fetches_from_relays"), 0);
  small_network_wipe(&network);
}

/* ---- two files of serial 2 ---- */

struct second { struct network_file file; char text[LIMIT_NETWORK_FILE_BYTES]; size_t len; };

/* With an authority of this seed in place of the first, or as well the same; both sign. */
static void make_second(struct second *ret, const uint8_t seed[ED25519_SEED_BYTES], bool other) {
  ret->file = network.file;
  ret->file.serial = 2;
  ret->file.starts = 6;
  ret->file.created = (struct date){0};
  ret->file.expires = date_after(sim_date(network.client_host), INT64_C(1000) * 60 * 60 * 1000);
  memcpy(ret->file.previous, network.file.digest, DIGEST_BYTES);
  if (other) ed25519_public(ret->file.authorities[0].identity, seed);
  ret->len = network_file_format(&ret->file, ret->text, sizeof ret->text);
  ret->len = network_file_sign(ret->text, ret->len, sizeof ret->text, network.authority_seed);
  if (other) ret->len = network_file_sign(ret->text, ret->len, sizeof ret->text, seed);
  cr_assert_eq(network_file_read_draft((const uint8_t *)ret->text, ret->len, &ret->file, NULL, NULL), OUTCOME_OK);
}

static struct second ours, theirs;

/* [NET-14] The guard shows another second file than ours, and what was decided by it. */
static void split(void) {
  static const uint8_t seed[ED25519_SEED_BYTES] = {7};
  small_network_init(&network, &(struct small_options){.seed = test_seed("split")});
  make_second(&ours, seed, false);
  make_second(&theirs, seed, true);
  cr_assert_eq(network_chain_take(network.networks, 5, (const uint8_t *)ours.text, ours.len), OUTCOME_OK);
  cr_assert(small_network_wait_ready(&network));
  run_for(HOURS);
  struct consensus *next = small_network_consensus(&network, 6, &theirs.file, seed);
  struct event event = {.kind = EVENT_MESSAGE,
                        .message = {.kind = SHARD_NETWORK_FILES, .object = document_new(theirs.text, theirs.len), .value = 2}};
  for (uint32_t i = 0; i < network.relay_count; i++) {
    if (!is_guard(i)) continue;
    sim_event(network.relays[i].host, 1, &event);
    small_network_tell(&network, i, next);
  }
  consensus_release(next);
  run_for(HOURS);
}

Test(client_directory, two_files_of_one_serial_stop_the_client) {
  struct status status;
  split();
  small_network_status(&network, &status);
  cr_expect_not(status.ready, "though circuits are open");
  cr_expect_eq(status.cause, OUTCOME_DIRECTORY_SPLIT);
  bool said = false;
  for (uint32_t i = 0; i < status.text_count; i++)
    said = said || (strcmp(status.texts[i].name, "directory") == 0 && strncmp(status.texts[i].value, "split: two network files of serial 2", 36) == 0);
  cr_expect(said);
  const struct document *kept = sim_file(network.client_host, FETCH_SPLIT_FILE);
  cr_assert(kept);
  cr_assert_eq(document_len(kept), ours.len + theirs.len);
  cr_expect_arr_eq(document_bytes(kept), ours.text, ours.len);
  cr_expect_arr_eq(document_bytes(kept) + ours.len, theirs.text, theirs.len);
  uint32_t index = small_network_fetch(&network, NULL, "web", 1000, true, 0);
  run_for(SECONDS);
  const struct fetch_result *result = fetcher_result(network.fetcher, index);
  cr_expect(result->done && result->failed, "who asks is told at once");
  cr_expect_eq(result->socks_reply, outcome_socks_reply(OUTCOME_DIRECTORY_SPLIT));
  small_network_wipe(&network);
}
