/* Hops that hold every key and say anything, an application that says anything, time that passes: whatever comes, the
 * client keeps the rules of links towards its guard, counts rightly, and frees all. */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/client/hostile_path.h"

/* What is left of the input. */
struct input { const uint8_t *at; size_t left; };

static uint8_t next(struct input *input) {
  if (input->left == 0) return 0;
  input->left--;
  return *input->at++;
}

static size_t next_bytes(struct input *input, uint8_t *ret, size_t most) {
  size_t len = next(input);
  if (len > most) len = most;
  if (len > input->left) len = input->left;
  memcpy(ret, input->at, len);
  input->at += len;
  input->left -= len;
  return len;
}

static void application(struct hostile_path *path, struct input *input, struct id *app) {
  static const uint8_t request[] = {5, 1, 0, 5, 1, 0, 3, 1, 'x', 0, 80};
  const struct machine_verbs *verbs = path->machine.verbs;
  uint8_t bytes[256], out[4096];
  size_t used, len, room = verbs->room(path->client, *app);
  struct event event = {.kind = EVENT_EOF, .id = *app, .outcome = OUTCOME_CONNECTION_RESET};
  switch (next(input) % 5) {
  case 0: *app = hostile_path_app(path, request, sizeof request); break;
  case 1:
    len = next_bytes(input, bytes, sizeof bytes);
    verbs->receive(path->client, path->now, *app, bytes, len < room ? len : room, &used);
    break;
  case 2: hostile_path_read(path, *app, out, sizeof out); break;
  case 3: event.kind = EVENT_CLOSED; /* fall through */
  case 4: verbs->event(path->client, path->now, &event); break;
  }
}

static void hop(struct hostile_path *path, struct input *input) {
  uint8_t content[300];
  uint8_t which = next(input);
  struct hostile_circuit *circuit = hostile_path_used(path);
  if (circuit == NULL || which >= 128) circuit = &path->circuits[which % HOSTILE_CIRCUITS_MAX];
  enum onion_kind kind = next(input) == 0 ? ONION_PASS_ON : ONION_FOR_YOU;
  if (which % 2 == 0) {
    uint8_t command = next(input), stream = next(input);
    size_t len = next_bytes(input, content, sizeof content);
    hostile_path_message(path, circuit, command, stream, content, len);
  } else {
    uint8_t place = next(input) % 3;
    size_t len = next_bytes(input, content, sizeof content);
    hostile_path_say(path, circuit, place, kind, content, len);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct hostile_path path;
  struct input input = {data, size};
  struct id app = ID_NONE;
  hostile_path_init(&path);
  path.circuits_most = 1; /* handshakes are most of the time */
  hostile_path_run(&path, SECONDS);
  for (int steps = 0; input.left > 0 && steps < 200; steps++) {
    uint8_t step = next(&input);
    if (step < 100) hop(&path, &input);
    else if (step < 200) application(&path, &input, &app);
    else if (step < 220) path.silent = !path.silent;
    else if (step < 230) path.lies = !path.lies;
    else if (step < 240 && path.circuits_most < 3) path.circuits_most++;
    hostile_path_run(&path, step < 240 ? MILLISECONDS : (uint64_t)next(&input) * SECONDS);
    if (!client_is_consistent(path.client)) abort();
  }
  hostile_path_wipe(&path);
  if (memory_budget_used(&path.budget) != 0) abort();
  return 0;
}
