/* Causes that hops and exits name: of the circuit and the destination they are believed, of the client itself never. */
#include <criterion/criterion.h>
#include <string.h>

#include "protocol/status.h"
#include "tests/unit/client/hostile_path.h"

TestSuite(hostile_causes, .timeout = 60);

enum { CODES = 256 };

static struct hostile_path path;

/* Not what a client's own consensus, clock, files or wishes are the cause of. */
static bool is_believed(int code) {
  if (code == OUTCOME_NO_MEMORY || code == OUTCOME_SYSTEM_FAILED) return true;
  return code > OUTCOME_DONE && code < OUTCOME_NO_CONSENSUS && code != OUTCOME_NO_EXIT_FOR_PORT;
}

/* What a first hop that says so while the circuit is being built makes the client tell its person. */
static enum outcome status_after(uint8_t code) {
  const uint8_t closed[] = {MESSAGE_CLOSED, 0, 1, code};
  struct status status;
  hostile_path_init(&path);
  path.hops_most = 1;
  hostile_path_run(&path, 0);
  for (int i = 0; i < HOSTILE_CIRCUITS_MAX; i++)
    if (path.circuits[i].built == 1) hostile_path_say(&path, &path.circuits[i], 0, ONION_FOR_YOU, closed, sizeof closed);
  hostile_path_run(&path, 0);
  path.machine.verbs->status(path.client, path.now, &status);
  cr_assert_eq(path.links, 1, "the guard is kept");
  hostile_path_wipe(&path);
  return status.cause;
}

Test(hostile_causes, no_hop_raises_an_alarm_in_the_directory_s_name) {
  for (int code = 0; code < CODES; code++) {
    enum outcome outcome, told = status_after((uint8_t)code);
    bool is_known = outcome_from_code((uint8_t)code, &outcome);
    bool is_ours = code == OUTCOME_MEMORY_LIMIT || code == OUTCOME_SHUTTING_DOWN; /* closed because we wanted it */
    enum outcome expected = !is_known ? OUTCOME_PROTOCOL_VIOLATION : is_believed(code) && !is_ours ? outcome : OUTCOME_CIRCUIT_CLOSED;
    cr_expect_eq(told, expected, "code %d: %s, not %s", code, outcome_name(told), outcome_name(expected));
  }
}

/* The SOCKS reply after an exit's END; 255: the client goes on trying, elsewhere. */
static uint8_t reply_after(uint8_t code) {
  static const uint8_t request[] = {5, 1, 0, 5, 1, 0, 3, 1, 'x', 0, 80};
  uint8_t out[64];
  struct id app;
  struct hostile_circuit *circuit = hostile_path_stream(&path, request, sizeof request, &app);
  cr_assert_not_null(circuit);
  hostile_path_message(&path, circuit, MESSAGE_END, 1, &code, 1);
  hostile_path_run(&path, MILLISECONDS);
  size_t len = hostile_path_read(&path, app, out, sizeof out);
  hostile_path_wipe(&path);
  return len == 12 ? out[3] : 255;
}

Test(hostile_causes, an_exit_speaks_of_the_destination_alone) {
  for (int code = 0; code < CODES; code++) {
    enum outcome outcome;
    if (!outcome_from_code((uint8_t)code, &outcome)) continue;
    uint8_t reply = reply_after((uint8_t)code);
    if (is_believed(code)) cr_expect(reply == outcome_socks_reply(outcome) || reply == 255, "code %d: %d", code, reply);
    else cr_expect_eq(reply, outcome_socks_reply(OUTCOME_CONNECTION_RESET), "code %d: %d", code, reply);
  }
}
