/* What a client takes from the hops of its circuits, and what ends them: every message in every state. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/client/hostile_path.h"

TestSuite(hostile_exit, .timeout = 60);

static struct hostile_path path;
static struct id app;
static struct hostile_circuit *circuit;

static const uint8_t connect_request[] = {5, 1, 0, 5, 1, 0, 3, 1, 'x', 0, 80};
static const uint8_t resolve_request[] = {5, 1, 0, 5, 0xf0, 0, 3, 1, 'x', 0, 0};

/* The states of a stream, as the exit sees it. */
enum state { FRESH, BEGUN, OPEN, EXIT_EOF, APP_GONE, APP_GONE_EARLY, EXIT_END, LOOKUP, LOOKED_UP, STATES };

static void app_gone(void) {
  struct event event = {.kind = EVENT_CLOSED, .id = app, .outcome = OUTCOME_CONNECTION_RESET};
  path.machine.verbs->event(path.client, path.now, &event);
}

static void say(uint8_t command, const void *body, size_t len) {
  hostile_path_message(&path, circuit, command, 1, body, len);
  hostile_path_run(&path, MILLISECONDS);
}

static void enter(enum state state) {
  static const uint8_t resolved[] = {1, 4, 1, 2, 3, 4};
  bool looks_up = state == LOOKUP || state == LOOKED_UP;
  hostile_path_init(&path);
  hostile_path_run(&path, SECONDS);
  circuit = NULL;
  for (int i = 0; state == FRESH && i < HOSTILE_CIRCUITS_MAX; i++)
    if (path.circuits[i].built == 3) circuit = &path.circuits[i];
  if (state != FRESH) {
    app = hostile_path_app(&path, looks_up ? resolve_request : connect_request, sizeof connect_request);
    hostile_path_run(&path, MILLISECONDS);
    circuit = hostile_path_used(&path);
  }
  cr_assert(circuit);
  if (state == APP_GONE_EARLY) app_gone();
  hostile_path_run(&path, MILLISECONDS);
  if (state == LOOKED_UP) say(MESSAGE_RESOLVED, resolved, sizeof resolved);
  if (state == OPEN || state == EXIT_EOF || state == APP_GONE || state == EXIT_END) say(MESSAGE_CONNECTED, NULL, 0);
  if (state == EXIT_EOF) say(MESSAGE_EOF, NULL, 0);
  if (state == EXIT_END) say(MESSAGE_END, "\5", 1);
  if (state == APP_GONE) app_gone();
  hostile_path_run(&path, MILLISECONDS);
  cr_assert_eq(hostile_path_figure(&path, "violations"), 0, "state %d is reached by the rules", state);
}

struct letter { const char *name; uint8_t command; uint8_t len; const char *body; bool allowed[STATES]; };

/*                                                                     fresh  begun  open   eof    gone   early  end    lookup looked up */
static const struct letter letters[] = {
    {"CONNECTED", MESSAGE_CONNECTED, 0, "",                           {false, true,  false, false, false, true,  false, false, false}},
    {"DATA", MESSAGE_DATA, 3, "abc",                                  {false, false, true,  false, true,  false, false, false, false}},
    {"EOF", MESSAGE_EOF, 0, "",                                       {false, false, true,  false, true,  false, false, false, false}},
    {"END", MESSAGE_END, 1, "\5",                                     {false, true,  true,  true,  true,  true,  false, true,  true}},
    {"END unknown", MESSAGE_END, 1, "\376",                           {false, false, false, false, false, false, false, false, false}},
    {"CREDIT", MESSAGE_STREAM_CREDIT, 8, "\0\0\0\0\0\40\0\0",         {false, false, true,  true,  true,  false, false, false, false}},
    {"CREDIT lower", MESSAGE_STREAM_CREDIT, 8, "\0\0\0\0\0\0\1\0",    {false, false, false, false, false, false, false, false, false}},
    {"CREDIT again", MESSAGE_STREAM_CREDIT, 8, "\0\0\0\0\0\20\0\0",   {false, false, false, false, false, false, false, false, false}},
    {"CREDIT by little", MESSAGE_STREAM_CREDIT, 8, "\0\0\0\0\0\20\77\377", {false, false, false, false, false, false, false, false, false}},
    {"CREDIT in small steps", MESSAGE_STREAM_CREDIT, 8, "\0\0\0\0\0\25\0\0", {false, false, false, false, false, false, false, false, false}},
    {"CREDIT of the most", MESSAGE_STREAM_CREDIT, 8, "\0\0\0\0\0\200\0\0", {false, false, true,  true,  true,  false, false, false, false}},
    {"CREDIT unearned", MESSAGE_STREAM_CREDIT, 8, "\0\0\0\0\0\200\0\1", {false, false, false, false, false, false, false, false, false}},
    {"CREDIT absurd", MESSAGE_STREAM_CREDIT, 8, "\1\0\0\0\0\0\0\0",   {false, false, false, false, false, false, false, false, false}},
    {"RESOLVED", MESSAGE_RESOLVED, 6, "\1\4\1\2\3\4",                 {false, false, false, false, false, false, false, true,  false}},
    {"BEGIN", MESSAGE_BEGIN, 5, "\0\120\1\1x",                        {false, false, false, false, false, false, false, false, false}},
    {"RESOLVE", MESSAGE_RESOLVE, 5, "\0\0\1\1x",                      {false, false, false, false, false, false, false, false, false}},
    {"unknown", 99, 0, "",                                            {false, false, false, false, false, false, false, false, false}},
};

/* Closed or not, the client goes on: what the rules allow leaves the circuit as it is, all else ends that circuit alone. */
Test(hostile_exit, every_message_in_every_state) {
  for (int state = 0; state < STATES; state++) {
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
      const struct letter *letter = &letters[i];
      enter((enum state)state);
      say(letter->command, letter->body, letter->len);
      uint64_t violations = hostile_path_figure(&path, "violations");
      cr_expect_eq(violations, letter->allowed[state] ? 0 : 1, "%s in state %d: %llu", letter->name, state, (unsigned long long)violations);
      cr_expect_eq(path.links, 1, "the link stays");
      hostile_path_wipe(&path);
    }
  }
}

Test(hostile_exit, credit_is_bounded_both_ways) {
  static const uint8_t data[1347];
  enter(OPEN);
  uint64_t sent = 0;
  for (; sent + sizeof data <= LIMIT_CLIENT_FIRST_CREDIT; sent += sizeof data) {
    hostile_path_message(&path, circuit, MESSAGE_DATA, 1, data, sizeof data);
    if (sent % 16 == 0) hostile_path_run(&path, 0);
  }
  hostile_path_run(&path, MILLISECONDS);
  cr_expect_eq(hostile_path_figure(&path, "violations"), 0);
  cr_expect_eq(hostile_path_figure(&path, "bytes_down"), sent);
  say(MESSAGE_DATA, data, sizeof data);
  cr_expect_eq(hostile_path_figure(&path, "violations"), 1, "one byte beyond the credit");
  hostile_path_wipe(&path);
}

Test(hostile_exit, the_client_sends_no_byte_beyond_its_credit) {
  static uint8_t bytes[16 * 1024];
  size_t used, offered = 0;
  enter(OPEN);
  for (int i = 0; i < 100; i++) {
    size_t room = path.machine.verbs->room(path.client, app);
    if (room > sizeof bytes) room = sizeof bytes;
    if (room > 0) path.machine.verbs->receive(path.client, path.now, app, bytes, room, &used);
    offered += room;
    hostile_path_run(&path, MILLISECONDS);
  }
  cr_expect_eq(offered, LIMIT_EXIT_OPEN_CREDIT);
  cr_expect_eq(circuit->data, LIMIT_EXIT_OPEN_CREDIT);
  say(MESSAGE_STREAM_CREDIT, "\0\0\0\0\0\20\100\0", 8);
  cr_expect_eq(path.machine.verbs->room(path.client, app), LIMIT_EXIT_FIRST_CREDIT / 4, "as much as an exit gives while its memory is short");
  say(MESSAGE_STREAM_CREDIT, "\0\0\0\0\0\40\0\0", 8);
  cr_expect_gt(path.machine.verbs->room(path.client, app), 0);
  hostile_path_wipe(&path);
}

static uint64_t violations_after(uint8_t place, enum onion_kind kind, const void *content, size_t len) {
  enter(OPEN);
  hostile_path_say(&path, circuit, place, kind, content, len);
  hostile_path_run(&path, MILLISECONDS);
  uint64_t violations = hostile_path_figure(&path, "violations");
  hostile_path_wipe(&path);
  return violations;
}

Test(hostile_exit, other_hops_have_nothing_to_say_about_streams) {
  static const uint8_t data[] = {MESSAGE_DATA, 0, 1, 0, 1, 'x'}, end[] = {MESSAGE_END, 0, 1, 0, 1, 1};
  cr_expect_eq(violations_after(2, ONION_FOR_YOU, data, sizeof data), 0);
  for (uint8_t place = 0; place < 2; place++) {
    cr_expect_eq(violations_after(place, ONION_FOR_YOU, data, sizeof data), 1);
    cr_expect_eq(violations_after(place, ONION_FOR_YOU, end, sizeof end), 1);
  }
}

Test(hostile_exit, contents_against_the_grammar_end_the_circuit) {
  static const uint8_t trailing[] = {MESSAGE_DATA, 0, 1, 0, 1, 'x', 0, 1}, long_one[] = {MESSAGE_DATA, 0xff, 0xff, 0, 1};
  static const uint8_t no_stream[] = {MESSAGE_DATA, 0, 1, 0, 0, 'x'}, two[] = {MESSAGE_DATA, 0, 1, 0, 1, 'x', MESSAGE_DATA, 0, 1, 0, 1, 'y'};
  cr_expect_eq(violations_after(2, ONION_FOR_YOU, trailing, sizeof trailing), 1);
  cr_expect_eq(violations_after(2, ONION_FOR_YOU, long_one, sizeof long_one), 1);
  cr_expect_eq(violations_after(2, ONION_FOR_YOU, no_stream, sizeof no_stream), 1);
  cr_expect_eq(violations_after(2, ONION_FOR_YOU, "", 0), 1, "nothing at all");
  cr_expect_eq(violations_after(2, ONION_FOR_YOU, two, sizeof two), 0, "two in one cell");
  cr_expect_eq(violations_after(2, ONION_PASS_ON, two, sizeof two), 1, "passed on by the last hop");
}

Test(hostile_exit, answers_that_were_not_asked_for_end_the_circuit) {
  static const uint8_t extended[MESSAGE_HEADER_BYTES + CIRCUIT_HANDSHAKE_REPLY_BYTES] = {MESSAGE_EXTENDED, CIRCUIT_HANDSHAKE_REPLY_BYTES >> 8, CIRCUIT_HANDSHAKE_REPLY_BYTES & 255};
  for (uint8_t place = 0; place < 3; place++) cr_expect_eq(violations_after(place, ONION_FOR_YOU, extended, sizeof extended), 1);
}

Test(hostile_exit, padding_has_a_budget) {
  static const uint8_t padding[] = {MESSAGE_PADDING, 0, 9};
  enter(OPEN);
  for (int i = 0; i < 32; i++) hostile_path_say(&path, circuit, 1, ONION_FOR_YOU, padding, sizeof padding);
  hostile_path_run(&path, MILLISECONDS);
  cr_expect_eq(hostile_path_figure(&path, "violations"), 0);
  hostile_path_say(&path, circuit, 0, ONION_FOR_YOU, padding, sizeof padding);
  hostile_path_run(&path, MILLISECONDS);
  cr_expect_eq(hostile_path_figure(&path, "violations"), 1);
  hostile_path_wipe(&path);
}

Test(hostile_exit, a_wrong_handshake_reply_ends_the_build_alone) {
  hostile_path_init(&path);
  path.lies = true;
  hostile_path_run(&path, 5 * SECONDS);
  cr_expect_eq(hostile_path_figure(&path, "circuits_built"), 0);
  cr_expect_gt(hostile_path_figure(&path, "circuits_failed"), 0);
  cr_expect_lt(hostile_path_figure(&path, "circuits_failed"), 40, "back-off");
  cr_expect_eq(path.links, 1, "the guard is not left");
  cr_expect_eq(hostile_path_figure(&path, "guard_failures"), 0);
  hostile_path_wipe(&path);
}

Test(hostile_exit, silence_while_building_times_out) {
  hostile_path_init(&path);
  path.silent = true;
  hostile_path_run(&path, 60 * SECONDS);
  cr_expect_geq(hostile_path_figure(&path, "circuit_timeouts"), 3);
  cr_expect_lt(hostile_path_figure(&path, "circuits"), 40);
  path.silent = false;
  hostile_path_run(&path, 60 * SECONDS);
  cr_expect_gt(hostile_path_figure(&path, "circuits_built"), 0);
  cr_expect_eq(hostile_path_figure(&path, "guard_failures"), 0);
  hostile_path_wipe(&path);
}

static uint8_t reply_of(struct id id) {
  uint8_t out[64];
  size_t len = hostile_path_read(&path, id, out, sizeof out);
  return len == 12 ? out[3] : 255;
}

Test(hostile_exit, a_refusal_that_is_the_exit_s_own_is_tried_elsewhere_then_told) {
  enter(BEGUN);
  say(MESSAGE_END, &(uint8_t){OUTCOME_REFUSED_BY_POLICY}, 1);
  hostile_path_run(&path, SECONDS);
  cr_expect_eq(hostile_path_figure(&path, "streams_resent"), 1);
  cr_expect_eq(reply_of(app), 2, "there is no other exit here: what this one said is the answer");
  hostile_path_wipe(&path);
}

Test(hostile_exit, a_circuit_that_dies_under_a_request_is_replaced_twice) {
  static const uint8_t closed[] = {MESSAGE_CLOSED, 0, 1, OUTCOME_TOO_BUSY};
  enter(BEGUN);
  for (int i = 0; i < 3; i++) {
    struct hostile_circuit *used = hostile_path_used(&path);
    cr_assert(used, "attempt %d", i);
    hostile_path_say(&path, used, 1, ONION_FOR_YOU, closed, sizeof closed);
    hostile_path_run(&path, SECONDS);
  }
  cr_expect_eq(hostile_path_figure(&path, "streams_resent"), 2);
  cr_expect_eq(reply_of(app), 1);
  hostile_path_wipe(&path);
}

Test(hostile_exit, an_exit_that_never_answers_is_given_up) {
  enter(BEGUN);
  hostile_path_run(&path, 60 * SECONDS);
  cr_expect_eq(reply_of(app), 255, "not yet");
  hostile_path_run(&path, 20 * SECONDS);
  uint8_t out[64];
  cr_expect_eq(hostile_path_read(&path, app, out, sizeof out), 10);
  cr_expect_eq(out[1], 6);
  hostile_path_wipe(&path);
}

/* [STREAM-22] A laptop that slept, a router that forgot: the system says nothing for a quarter of an hour. */
Test(hostile_exit, a_link_that_died_without_a_word_does_not_take_request_after_request) {
  enter(OPEN);
  path.deaf = true;
  for (int i = 0; i < 5; i++) {
    hostile_path_app(&path, connect_request, sizeof connect_request);
    hostile_path_run(&path, 60 * SECONDS);
  }
  cr_expect_geq(path.links, 2);
  cr_expect_geq(path.hosts_heard, 2, "the first is what was there before");
  cr_expect_eq(hostile_path_figure(&path, "guard_failures"), 0);
  hostile_path_wipe(&path);
}

Test(hostile_exit, circuits_that_are_built_to_die_are_not_built_faster_for_it) {
  static const uint8_t closed[] = {MESSAGE_CLOSED, 0, 1, OUTCOME_TOO_BUSY};
  hostile_path_init(&path);
  for (int i = 0; i < 3000; i++) {
    hostile_path_run(&path, 100 * MILLISECONDS);
    for (int k = 0; k < HOSTILE_CIRCUITS_MAX; k++)
      if (path.circuits[k].built == 3) hostile_path_say(&path, &path.circuits[k], 2, ONION_FOR_YOU, closed, sizeof closed);
  }
  cr_expect_gt(hostile_path_figure(&path, "circuits_died"), 20);
  cr_expect_lt(hostile_path_figure(&path, "circuits_built"), 150, "in five minutes: %llu", (unsigned long long)hostile_path_figure(&path, "circuits_built"));
  cr_expect_eq(path.links, 1, "and the guard stays");
  hostile_path_wipe(&path);
}
