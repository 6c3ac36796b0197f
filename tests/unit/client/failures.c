/* What is told of requests that come to nothing: to the application, in the log, in the status. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "client/client_internal.h"
#include "protocol/status.h"
#include "tests/unit/client/whole_client.h"

TestSuite(failures, .timeout = 60);

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
  enum { REQUESTS = 100 };
  uint32_t failed = 0;
  begin("others came first", (struct small_options){.delay = MILLISECONDS});
  token_bucket_init(&network.client->builds, 1, 8, network.sim.now); /* an eighth of the builds that may begin, so that an eighth of the requests is enough */
  for (uint32_t i = 0; i < REQUESTS; i++) fetch_as(i);
  run_for(70 * SECONDS);
  for (uint32_t i = 0; i < REQUESTS; i++) {
    cr_assert(result(i)->done, "request %u was told", i);
    if (!result(i)->failed) continue;
    failed++;
    cr_expect_eq(result(i)->socks_reply, outcome_socks_reply(OUTCOME_LIMIT_REACHED), "request %u: reply %u", i, result(i)->socks_reply);
  }
  cr_expect(failed > 10 && failed < 60, "%u", failed);
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

/* ---- [OUT-4] where a person looks ---- */

static char log_text[4096];

static void keep_line(void *context, enum trace_level level, const char *area, const char *text) {
  (void)context;
  size_t len = strlen(log_text);
  snprintf(log_text + len, sizeof log_text - len, "%s %s: %s\n", trace_level_name(level), area, text);
}

static const char *last_failure(void) {
  static struct status status;
  small_network_status(&network, &status);
  for (uint32_t i = 0; i < status.text_count; i++)
    if (strcmp(status.texts[i].name, "last_failure") == 0) return status.texts[i].value;
  return "";
}

static void expect_last_failure(enum outcome cause) {
  const char *text = last_failure(), *name = outcome_name(cause);
  size_t len = strlen(name);
  cr_expect(strncmp(text, name, len) == 0 && strncmp(text + len, ", ", 2) == 0 && strlen(text) == len + 2 + DATE_TEXT_BYTES - 1, "%s", text);
}

static void begin_logged(const char *test, enum trace_level level) {
  begin(test, (struct small_options){0});
  cr_expect_str_eq(last_failure(), "");
  log_text[0] = 0;
  network.sim.trace = (struct trace){.level = level, .sink = keep_line};
}

static void ask(const uint8_t *request, size_t len) {
  small_network_app(&network, request, len);
  run_for(20 * SECONDS);
}

static const uint8_t connect_refused[] = {5, 1, 0, 5, 1, 0, 3, 3, 'w', 'e', 'b', 0, 81};
static const uint8_t connect_unknown[] = {5, 1, 0, 5, 1, 0, 3, 4, 'n', 'o', 'n', 'e', 0, 80};

Test(failures, the_log_and_the_status_name_the_cause_and_not_the_destination) {
  begin_logged("log", TRACE_INFO);
  ask(connect_refused, sizeof connect_refused);
  expect_last_failure(OUTCOME_CONNECTION_REFUSED);
  ask(connect_unknown, sizeof connect_unknown);
  expect_last_failure(OUTCOME_NAME_NOT_FOUND);
  cr_expect_not_null(strstr(log_text, "info stream: a stream failed: connection-refused\n"), "%s", log_text);
  cr_expect_not_null(strstr(log_text, "info stream: a stream failed: name-not-found\n"), "%s", log_text);
  cr_expect(strstr(log_text, "web") == NULL && strstr(log_text, "none") == NULL && strstr(log_text, "81") == NULL, "%s", log_text);
  small_network_wipe(&network);
}

Test(failures, the_destination_stands_at_debug) {
  begin_logged("debug", TRACE_DEBUG);
  ask(connect_refused, sizeof connect_refused);
  cr_expect_not_null(strstr(log_text, "debug stream: it was to web, port 81\n"), "%s", log_text);
  small_network_wipe(&network);
}

static uint32_t count(const char *line) {
  uint32_t found = 0;
  for (const char *at = log_text; (at = strstr(at, line)) != NULL; at++) found++;
  return found;
}

/* However often it is tried: once that it can't be reached, once that it can. */
Test(failures, a_guard_that_is_down_for_long_is_two_lines_for_everybody) {
  begin("guard is down", (struct small_options){.relays = "gmmxx"});
  run_for(SECONDS);
  log_text[0] = 0;
  network.sim.trace = (struct trace){.level = TRACE_NOTICE, .sink = keep_line};
  sim_set_cut(network.relays[0].host, true);
  sim_cut_connections(network.client_host, network.relays[0].host);
  run_for(600 * SECONDS);
  cr_expect_gt(small_network_figure(&network, "guard_failures"), 3);
  cr_expect_eq(count("notice guard: a guard can't be reached: "), 1, "%s", log_text);
  sim_set_cut(network.relays[0].host, false);
  run_for(600 * SECONDS);
  cr_expect_eq(count("notice guard: the guard is reached again\n"), 1, "%s", log_text);
  cr_expect_eq(count("notice guard: "), 2, "%s", log_text);
  small_network_wipe(&network);
}

Test(failures, a_stream_that_is_cut_is_one_and_one_that_ends_is_none) {
  begin_logged("cut", TRACE_INFO);
  uint32_t whole = small_network_fetch(&network, NULL, "web", 1000, true, 0);
  run_for(5 * SECONDS);
  whole_client_expect_fetched(&network, whole);
  cr_expect_str_eq(last_failure(), "");
  small_network_fetch(&network, NULL, "web", 5000000, false, 0);
  run_for(300 * MILLISECONDS);
  sim_cut_connections(network.client_host, NULL);
  run_for(5 * SECONDS);
  cr_expect_not_null(strstr(log_text, "info stream: a stream failed: "), "%s", log_text);
  expect_last_failure(OUTCOME_LINK_FAILED);
  small_network_wipe(&network);
}
