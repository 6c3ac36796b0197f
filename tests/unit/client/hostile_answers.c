/* What answers of a hostile path may lead to: no address inside the client's own network, no circuit that two isolated streams share. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/client/hostile_path.h"

TestSuite(hostile_answers, .timeout = 60);

static struct hostile_path path;

static void say(struct hostile_circuit *circuit, uint8_t command, const void *body, size_t len) {
  hostile_path_message(&path, circuit, command, 1, body, len);
  hostile_path_run(&path, MILLISECONDS);
}

/* ---- lookups ---- */

/* The SOCKS reply to a lookup that the exit answers so; its address begins at ret_address[0]. */
static uint8_t look_up(const uint8_t *resolved, size_t len, uint8_t ret_address[4]) {
  static const uint8_t request[] = {5, 1, 0, 5, 0xf0, 0, 3, 1, 'x', 0, 0};
  uint8_t out[64] = {0};
  struct id app;
  struct hostile_circuit *circuit = hostile_path_stream(&path, request, sizeof request, &app);
  cr_assert_not_null(circuit);
  say(circuit, MESSAGE_RESOLVED, resolved, len);
  say(circuit, MESSAGE_END, &(uint8_t){OUTCOME_DONE}, 1);
  cr_assert_geq(hostile_path_read(&path, app, out, sizeof out), 12);
  cr_assert_eq(hostile_path_figure(&path, "violations"), 0);
  hostile_path_wipe(&path);
  memcpy(ret_address, out + 2 + 4, 4);
  return out[3];
}

Test(hostile_answers, no_exit_leads_an_application_into_its_own_network) {
  static const uint8_t loopback[] = {1, 4, 127, 0, 0, 1}, home[] = {1, 4, 192, 168, 0, 1}, mapped[] = {1, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1};
  static const uint8_t both[] = {2, 4, 10, 0, 0, 1, 4, 93, 184, 216, 34}, good[] = {93, 184, 216, 34};
  uint8_t address[4];
  cr_expect_eq(look_up(loopback, sizeof loopback, address), 4);
  cr_expect_eq(look_up(home, sizeof home, address), 4);
  cr_expect_eq(look_up(mapped, sizeof mapped, address), 4);
  cr_expect_eq(look_up(both, sizeof both, address), 0, "another address of the name counts");
  cr_expect_arr_eq(address, good, sizeof good);
}

/* ---- isolation ---- */

/* A request of one letter's user for the host of that letter. */
static struct id request_of(char user) {
  const uint8_t request[] = {5, 1, 2, 1, 1, (uint8_t)user, 1, 'p', 5, 1, 0, 3, 1, (uint8_t)user, 0, 80};
  return hostile_path_app(&path, request, sizeof request);
}

static uint32_t shared_circuits(void) {
  uint32_t shared = 0;
  for (int i = 0; i < HOSTILE_CIRCUITS_MAX; i++) shared += (path.circuits[i].hosts & (path.circuits[i].hosts - 1)) != 0;
  return shared;
}

/* Whatever is said to the first of each circuit's streams, each circuit hears of one user's hosts alone. */
Test(hostile_answers, no_answer_makes_isolated_streams_share_a_circuit) {
  static const uint8_t causes[] = {OUTCOME_DONE, OUTCOME_REFUSED_BY_POLICY, OUTCOME_TOO_BUSY, OUTCOME_NAME_LOOKUP_FAILED, OUTCOME_CONNECTION_REFUSED, OUTCOME_SHUTTING_DOWN};
  static const uint8_t closed[] = {MESSAGE_CLOSED, 0, 1, OUTCOME_TOO_BUSY};
  static const uint8_t commands[] = {MESSAGE_CONNECTED, MESSAGE_DATA, MESSAGE_EOF, MESSAGE_RESOLVED, MESSAGE_END};
  for (size_t i = 0; i < sizeof causes + sizeof commands + 1; i++) {
    hostile_path_init(&path);
    hostile_path_run(&path, SECONDS);
    for (char user = 'a'; user <= 'f'; user++) request_of(user);
    for (int round = 0; round < 8; round++) {
      hostile_path_run(&path, 300 * MILLISECONDS);
      for (int k = 0; k < HOSTILE_CIRCUITS_MAX; k++) {
        struct hostile_circuit *circuit = &path.circuits[k];
        if (!circuit->used || circuit->built != 3) continue;
        if (i < sizeof causes) hostile_path_message(&path, circuit, MESSAGE_END, 1, &causes[i], 1);
        else if (i < sizeof causes + sizeof commands) hostile_path_message(&path, circuit, commands[i - sizeof causes], 1, "", commands[i - sizeof causes] == MESSAGE_DATA);
        else hostile_path_say(&path, circuit, 1, ONION_FOR_YOU, closed, sizeof closed);
      }
      cr_assert_eq(shared_circuits(), 0, "answer %zu, round %d", i, round);
      request_of((char)('a' + round % 6));
    }
    cr_expect_geq(path.hosts_heard, 6, "answer %zu: the requests did arrive", i);
    hostile_path_wipe(&path);
  }
}
