/* The small parts of the circuit pool: build times, demand, health; and isolation. */
#include <criterion/criterion.h>
#include <string.h>

#include "client/build_times.h"
#include "client/demand.h"
#include "client/isolation.h"
#include "client/path_health.h"

Test(build_times, the_timeout_follows_what_was_seen) {
  struct build_times times = {0};
  cr_expect_eq(build_times_timeout(&times), 10 * SECONDS, "nothing is known yet");
  for (int i = 0; i < 9; i++) build_times_note(&times, 500 * MILLISECONDS);
  cr_expect_eq(build_times_timeout(&times), 10 * SECONDS);
  build_times_note(&times, 500 * MILLISECONDS);
  cr_expect_eq(build_times_timeout(&times), 2 * SECONDS);
  for (int i = 0; i < 15; i++) build_times_note(&times, 60 * SECONDS);
  cr_expect_eq(build_times_timeout(&times), 30 * SECONDS, "never above");
  for (int i = 0; i < BUILD_TIMES_KEPT; i++) build_times_note(&times, 3 * MILLISECONDS);
  cr_expect_eq(build_times_timeout(&times), 1 * SECONDS, "never below; what is long ago is forgotten");
}

Test(build_times, one_slow_build_in_ten_changes_nothing) {
  struct build_times times = {0};
  for (int i = 0; i < 100; i++) build_times_note(&times, i % 10 == 0 ? 60 * SECONDS : 400 * MILLISECONDS);
  cr_expect_eq(build_times_timeout(&times), 1600 * MILLISECONDS);
}

Test(demand, spares_follow_what_a_minute_took) {
  struct demand demand;
  instant now = 1000 * SECONDS;
  demand_init(&demand, now);
  cr_expect_eq(demand_spares(&demand, now), SPARE_LEAST);
  for (int i = 0; i < 6; i++) demand_note_claim(&demand, now);
  cr_expect_eq(demand_spares(&demand, now), 7);
  for (int i = 0; i < 100; i++) demand_note_claim(&demand, now);
  cr_expect_eq(demand_spares(&demand, now), SPARE_MOST);
  now += 70 * SECONDS;
  demand_note_claim(&demand, now);
  cr_expect_eq(demand_spares(&demand, now), SPARE_MOST, "the minute before counts");
  now += 61 * SECONDS;
  demand_note_claim(&demand, now);
  cr_expect_eq(demand_spares(&demand, now), SPARE_LEAST);
  cr_expect_eq(demand_spares(&demand, now + HOURS), SPARE_LEAST);
}

static bool has_port(const struct demand *demand, instant now, uint16_t wanted) {
  uint32_t cursor = 0;
  uint16_t port;
  while ((port = demand_next_port(demand, now, &cursor)) != 0)
    if (port == wanted) return true;
  return false;
}

Test(demand, remembers_six_ports_for_an_hour) {
  struct demand demand;
  instant now = 1000 * SECONDS;
  demand_init(&demand, now);
  cr_expect(has_port(&demand, now, 443) && has_port(&demand, now, 80));
  for (uint16_t port = 1; port <= 5; port++) demand_note_port(&demand, now + port, port);
  cr_expect(has_port(&demand, now + 9, 5) && has_port(&demand, now + 9, 1));
  cr_expect_not(has_port(&demand, now + 9, 443) && has_port(&demand, now + 9, 80), "the oldest made room");
  demand_note_port(&demand, now + 30 * MINUTES, 3);
  cr_expect(has_port(&demand, now + 80 * MINUTES, 3));
  cr_expect_not(has_port(&demand, now + 80 * MINUTES, 4));
}

Test(path_health, a_middle_that_breaks_circuits_is_left_out_for_an_hour) {
  struct path_health health = {0};
  struct path_avoided avoided;
  const uint8_t bad[IDENTITY_BYTES] = {1}, good[IDENTITY_BYTES] = {2};
  int news = 0;
  for (int i = 0; i < 20; i++) {
    path_health_built(&health, 1000, bad);
    path_health_built(&health, 1000, good);
    news += path_health_died(&health, 1000, bad);
    if (i % 4 == 0) cr_expect_not(path_health_died(&health, 1000, good), "one in four is no pattern");
  }
  cr_expect_eq(news, 1, "said once");
  path_health_avoided(&health, 1001, &avoided);
  cr_assert_eq(avoided.count, 1);
  cr_expect(path_avoids(&avoided, bad) && !path_avoids(&avoided, good));
  path_health_avoided(&health, 1000 + 2 * HOURS, &avoided);
  cr_expect_eq(avoided.count, 0);
}

Test(path_health, remembers_a_bounded_number) {
  struct path_health health = {0};
  for (uint32_t i = 0; i < 1000; i++) {
    uint8_t identity[IDENTITY_BYTES] = {(uint8_t)i, (uint8_t)(i >> 8)};
    path_health_built(&health, i, identity);
  }
  cr_expect_eq(health.count, PATH_HEALTH_RELAYS);
}

/* ---- isolation ---- */

static struct isolation isolate(const struct address *application, const char *user, const char *password, const char *name, bool by_destination) {
  const uint8_t secret[ISOLATION_SECRET_BYTES] = {5};
  struct socks socks;
  struct isolation ret;
  socks_init(&socks);
  socks.credentials.given = user != NULL;
  if (user != NULL) {
    socks.credentials.user_len = (uint8_t)strlen(user);
    memcpy(socks.credentials.user, user, strlen(user));
    socks.credentials.password_len = (uint8_t)strlen(password);
    memcpy(socks.credentials.password, password, strlen(password));
  }
  socks.target = (struct target){.kind = TARGET_NAME, .port = 80, .name_len = (uint8_t)strlen(name)};
  memcpy(socks.target.name, name, strlen(name));
  isolation_make(&ret, secret, application, &socks, by_destination);
  return ret;
}

Test(isolation, whatever_differs_keeps_apart) {
  const struct address here = {.family = ADDRESS_IPV4, .bytes = {127, 0, 0, 1}}, there = {.family = ADDRESS_IPV4, .bytes = {127, 0, 0, 2}};
  const struct isolation all[] = {
      isolate(&here, NULL, NULL, "a", false), isolate(&there, NULL, NULL, "a", false), isolate(&here, "", "", "a", false),
      isolate(&here, "u", "", "a", false),    isolate(&here, "", "u", "a", false),     isolate(&here, "ab", "c", "a", false),
      isolate(&here, "a", "bc", "a", false),  isolate(&here, NULL, NULL, "a", true),   isolate(&here, NULL, NULL, "b", true),
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) cr_expect_eq(isolation_equal(&all[i], &all[k]), i == k, "%zu and %zu", i, k);
  const struct isolation same = isolate(&here, "u", "", "another", false);
  cr_expect(isolation_equal(&all[3], &same), "destinations count only when asked for");
}
