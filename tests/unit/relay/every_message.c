/* Every message in every state of a hop and of an exit's stream: what is allowed leaves the circuit as it is, all else ends it with
 * the cause that the table names. */
#include <criterion/criterion.h>
#include <string.h>

#include "relay/shard_internal.h"
#include "tests/unit/relay/shard_bench.h"

TestSuite(every_message, .timeout = 60);

enum state {
  FRESH_0, FRESH_1, FRESH_2, FRESH_5, /* places */
  EXTENDING, EXTENDED_1, EXTENDED_2,
  BEGUN, LOOKUP, OPEN, CLIENT_EOF, EXIT_EOF, EXIT_END, FORGOTTEN, LOOKED_UP, REFUSED, LOOKUP_REFUSED, /* of stream 1 */
  STATES,
};

static const uint8_t somewhere[4] = {93, 184, 216, 34};

static struct bench *bench;
static struct bench_circuit *circuit;

static void say(uint8_t command, uint16_t stream, const void *body, size_t len) {
  bench_message(bench, circuit, command, stream, body, len);
  bench_run(bench);
}

static void destination(enum event_kind kind) {
  struct event event = {.kind = kind, .id = bench->stream, .outcome = kind == EVENT_CLOSED ? OUTCOME_CONNECTION_RESET : OUTCOME_OK};
  if (kind == EVENT_RESOLVED) {
    event.address_count = 1;
    event.addresses[0] = (struct address){.family = ADDRESS_IPV4, .bytes = {93, 184, 216, 34}};
  }
  bench_event(bench, &event);
  bench_run(bench);
}

static void extend(void) {
  bench_extend(bench, circuit, bench->identities[END_NEXT]);
  bench_run(bench);
}

static void look_up(void) {
  static const uint8_t target[] = {0, 0, TARGET_NAME, 4, 'a', '.', 'b', 'c'};
  say(MESSAGE_RESOLVE, 1, target, sizeof target);
}

static uint8_t place_of(enum state state) {
  if (state == FRESH_5) return LIMIT_LAST_PLACE;
  if (state == FRESH_0) return 0;
  return state == FRESH_1 || state == EXTENDING || state == EXTENDED_1 ? 1 : LIMIT_EXIT_PLACE;
}

static void enter(enum state state) {
  uint8_t place = place_of(state);
  bench = bench_new();
  bench_link(bench, place == 0 ? END_CLIENT : END_FIRST_NODE);
  circuit = bench_open(bench, place == 0 ? END_CLIENT : END_FIRST_NODE, place);
  bench->next_is_silent = state == EXTENDING;
  if (state >= EXTENDING && state <= EXTENDED_2) extend();
  if (state == REFUSED || state == LOOKUP_REFUSED) bench->shard->streams.limit = 0;
  if (state == LOOKUP || state == LOOKED_UP || state == LOOKUP_REFUSED) look_up();
  else if (state == BEGUN || state == REFUSED) bench_begin(bench, circuit, 1, somewhere, 80);
  else if (state > BEGUN) bench_begin_open(bench, circuit, 1);
  bench_run(bench);
  if (state == CLIENT_EOF) say(MESSAGE_EOF, 1, NULL, 0);
  if (state == EXIT_EOF) destination(EVENT_EOF);
  if (state == EXIT_END) destination(EVENT_CLOSED);
  if (state == FORGOTTEN) say(MESSAGE_END, 1, &(uint8_t){OUTCOME_DONE}, 1);
  if (state == LOOKED_UP) destination(EVENT_RESOLVED);
  cr_assert_not(circuit->closed, "state %d is reached by the rules", state);
  if (state == EXTENDED_1 || state == EXTENDED_2) cr_assert_eq(bench_heard(circuit, MESSAGE_EXTENDED), 1);
  if (state >= EXIT_END) cr_assert_eq(bench_heard(circuit, MESSAGE_END), 1);
}

/* '.' is allowed, v: protocol-violation, n: not-allowed-here */
struct letter { const char *name; uint8_t command; uint16_t stream; uint16_t len; const char *body; const char *row; };

static const uint8_t reply[CIRCUIT_HANDSHAKE_REPLY_BYTES];

/*                                                  place  0 1 2 5   extending  extended 1, 2   begun lookup open  client-eof exit-eof exit-end forgotten looked-up refused both ways */
static const struct letter letters[] = {
    {"EXTENDED", MESSAGE_EXTENDED, 0, sizeof reply, (const char *)reply, "vvvv" "v" "vv" "vvvvvvvvvv"},
    {"CLOSED", MESSAGE_CLOSED, 0, 1, "\17",                              "vvvv" "v" "vv" "vvvvvvvvvv"},
    {"PADDING", MESSAGE_PADDING, 0, 5, "\0\0\0\0\0",                     "...." "." ".." ".........."},
    {"BEGIN", MESSAGE_BEGIN, 9, 7, "\0\120\4\135\270\330\42",            "nn.n" "n" "nn" ".........."},
    {"BEGIN again", MESSAGE_BEGIN, 1, 7, "\0\120\4\135\270\330\42",      "nn.n" "n" "nn" "vvvvvvvvvv"},
    {"RESOLVE", MESSAGE_RESOLVE, 9, 5, "\0\0\1\1x",                      "nn.n" "n" "nn" ".........."},
    {"RESOLVE again", MESSAGE_RESOLVE, 1, 5, "\0\0\1\1x",                "nn.n" "n" "nn" "vvvvvvvvvv"},
    {"CONNECTED", MESSAGE_CONNECTED, 1, 0, "",                           "vvvv" "v" "vv" "vvvvvvvvvv"},
    {"DATA", MESSAGE_DATA, 1, 3, "abc",                                  "vvvv" "v" "vv" ".v.v..vv.v"},
    {"DATA elsewhere", MESSAGE_DATA, 7, 3, "abc",                        "vvvv" "v" "vv" "vvvvvvvvvv"},
    {"EOF", MESSAGE_EOF, 1, 0, "",                                       "vvvv" "v" "vv" ".v.v..vv.v"},
    {"END", MESSAGE_END, 1, 1, "\1",                                     "vvvv" "v" "vv" "......v..."},
    {"END with a cause", MESSAGE_END, 1, 1, "\5",                        "vvvv" "v" "vv" "vvvvvvvvvv"},
    {"END with no outcome", MESSAGE_END, 1, 1, "\372",                   "vvvv" "v" "vv" "vvvvvvvvvv"},
    {"CREDIT", MESSAGE_STREAM_CREDIT, 1, 8, "\0\0\0\0\0\40\0\0",         "vvvv" "v" "vv" ".v....vvvv"},
    {"CREDIT lower", MESSAGE_STREAM_CREDIT, 1, 8, "\0\0\0\0\0\17\377\377", "vvvv" "v" "vv" "vvvvvvvvvv"},
    {"RESOLVED", MESSAGE_RESOLVED, 1, 6, "\1\4\1\2\3\4",                 "vvvv" "v" "vv" "vvvvvvvvvv"},
    {"unknown", 99, 1, 0, "",                                            "vvvv" "v" "vv" "vvvvvvvvvv"},
    {"reserved", 0x92, 1, 1, "x",                                        "vvvv" "v" "vv" "vvvvvvvvvv"},
};

static const char extend_row[] = "...n" "v" "vv" "vvvvvvvvvv", pass_on_row[] = "nnnn" "n" ".." "nnnnnnnnnn";

static void expect(const char *name, enum state state, const char *row) {
  enum outcome cause = row[state] == 'v' ? OUTCOME_PROTOCOL_VIOLATION : row[state] == 'n' ? OUTCOME_NOT_ALLOWED_HERE : OUTCOME_OK;
  cr_expect_eq(circuit->closed, cause != OUTCOME_OK, "%s in state %d", name, state);
  cr_expect_eq(circuit->cause, cause, "%s in state %d: %s", name, state, outcome_name((enum outcome)circuit->cause));
  cr_expect(bench_has_link(bench, place_of(state) == 0 ? END_CLIENT : END_FIRST_NODE), "%s in state %d: the link ended", name, state);
  bench_free(bench);
}

Test(every_message, from_the_client_in_every_state) {
  for (int state = 0; state < STATES; state++) {
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
      const struct letter *letter = &letters[i];
      enter((enum state)state);
      say(letter->command, letter->stream, letter->body, letter->len);
      expect(letter->name, (enum state)state, letter->row);
    }
  }
}

Test(every_message, extensions_and_cells_to_pass_on_in_every_state) {
  for (int state = 0; state < STATES; state++) {
    enter((enum state)state);
    extend();
    expect("EXTEND", (enum state)state, extend_row);
    enter((enum state)state);
    bench_say(bench, circuit, ONION_PASS_ON, "x", 1);
    bench_run(bench);
    expect("a cell to pass on", (enum state)state, pass_on_row);
  }
}

/* [STREAM-8] What an exit's END crosses is taken within the credit of then, and not a byte more. */
Test(every_message, data_behind_an_end_is_bounded) {
  static const uint8_t bytes[1024];
  enter(EXIT_END);
  for (size_t len = 0; len < LIMIT_EXIT_OPEN_CREDIT; len += sizeof bytes) say(MESSAGE_DATA, 1, bytes, sizeof bytes);
  cr_assert_not(circuit->closed);
  say(MESSAGE_DATA, 1, "x", 1);
  cr_assert_eq(circuit->cause, OUTCOME_PROTOCOL_VIOLATION);
  bench_free(bench);
}
