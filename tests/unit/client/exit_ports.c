/* A page that names a port which one exit alone allows leads no other stream through that exit. */
#include <criterion/criterion.h>
#include <string.h>

#include "client/client_internal.h"
#include "tests/unit/client/hostile_path.h"

TestSuite(exit_ports, .timeout = 60);

enum { EXITS = 10, ODD_PORT = 31337 };

static struct hostile_path path;

static void request(char user, uint16_t port) {
  const uint8_t bytes[] = {5, 1, 2, 1, 1, (uint8_t)user, 1, 'p', 5, 1, 0, 3, 1, 'x', (uint8_t)(port >> 8), (uint8_t)port};
  hostile_path_app(&path, bytes, sizeof bytes);
  hostile_path_run(&path, SECONDS);
}

/* The one that allows every port. */
static bool is_odd(const struct circuit *circuit) {
  return exit_summary_may_connect(&circuit->exit, ODD_PORT, false);
}

struct count { uint32_t streams, odd; };

/* Streams to the web that have a circuit now. */
static struct count count_web(void) {
  struct count ret = {0};
  const struct circuit *circuit;
  uint32_t cursor = 0;
  struct id id;
  while ((circuit = id_table_next(&path.client->circuits, &cursor, &id)) != NULL) {
    for (const struct list_node *node = list_first(&circuit->streams); node != NULL; node = list_after(&circuit->streams, node)) {
      bool is_web = LIST_OBJECT(node, struct client_stream, of_circuit)->target.port == 80;
      ret.streams += is_web;
      ret.odd += is_web && is_odd(circuit);
    }
  }
  return ret;
}

/* [PATH-6] */
Test(exit_ports, other_users_streams_go_where_they_would_have_gone) {
  struct count all = {0};
  for (uint8_t seed = 1; seed <= 10; seed++) {
    hostile_path_init_exits(&path, EXITS, seed);
    hostile_path_run(&path, SECONDS);
    request('p', ODD_PORT);
    for (char user = 'a'; user <= 'j'; user++) request(user, 80);
    struct count now = count_web();
    cr_assert_eq(now.streams, 10);
    all.streams += now.streams;
    all.odd += now.odd;
    hostile_path_wipe(&path);
  }
  cr_expect_leq(all.odd, 18, "%u of %u, where a tenth is fair", all.odd, all.streams);
}

/* [PATH-6] */
Test(exit_ports, nor_does_the_user_s_own_next_stream_follow_the_page) {
  uint32_t odd = 0;
  for (uint8_t seed = 1; seed <= 20; seed++) {
    hostile_path_init_exits(&path, EXITS, seed);
    hostile_path_run(&path, SECONDS);
    request('p', ODD_PORT);
    request('p', 80);
    cr_assert_eq(count_web().streams, 1);
    odd += count_web().odd;
    hostile_path_wipe(&path);
  }
  cr_expect_leq(odd, 6, "%u of 20, where two are fair", odd);
}

/* There is always one for a port of late, of each kind. */
Test(exit_ports, a_port_that_few_allow_has_its_spare_too) {
  hostile_path_init_exits(&path, EXITS, 1);
  hostile_path_run(&path, SECONDS);
  request('p', ODD_PORT);
  hostile_path_run(&path, 10 * SECONDS);
  uint64_t built = hostile_path_figure(&path, "circuits_built");
  hostile_path_run(&path, 10 * SECONDS);
  cr_expect_eq(hostile_path_figure(&path, "circuits_built"), built, "the pool is full");
  request('q', ODD_PORT);
  hostile_path_run(&path, 10 * SECONDS);
  cr_expect_eq(hostile_path_figure(&path, "circuits_built"), built + 1, "it took one that stood ready");
  hostile_path_wipe(&path);
}
