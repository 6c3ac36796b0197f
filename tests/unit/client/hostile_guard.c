/* What a client takes while it builds a circuit, and from the other end of its link: every answer counts only from who was asked, while
 * asked. What breaks the link's rules ends the link, and the guard is kept all the same. */
#include <criterion/criterion.h>
#include <string.h>

#include "protocol/limits.h"
#include "tests/unit/client/hostile_path.h"
#include "tests/unit/raw_cell.h"

TestSuite(hostile_guard, .timeout = 60);

static struct hostile_path path;

/* The first circuit that has this many hops; NULL: none. */
static struct hostile_circuit *circuit_of(uint8_t built) {
  for (int i = 0; i < HOSTILE_CIRCUITS_MAX; i++)
    if (path.circuits[i].side.state != SIDE_NONE && path.circuits[i].built == built) return &path.circuits[i];
  return NULL;
}

/* ---- messages while a circuit is being built ---- */

struct letter { const char *name; uint8_t command; uint16_t len; const char *body; };

static const uint8_t reply[CIRCUIT_HANDSHAKE_REPLY_BYTES];

static const struct letter unasked[] = {
    {"EXTEND", MESSAGE_EXTEND, 0, NULL},           {"CONNECTED", MESSAGE_CONNECTED, 0, ""},
    {"DATA", MESSAGE_DATA, 1, "x"},                {"EOF", MESSAGE_EOF, 0, ""},
    {"END", MESSAGE_END, 1, "\1"},                 {"CREDIT", MESSAGE_STREAM_CREDIT, 8, "\0\0\0\0\0\2\0\0"},
    {"BEGIN", MESSAGE_BEGIN, 5, "\0\120\1\1x"},    {"RESOLVE", MESSAGE_RESOLVE, 5, "\0\0\1\1x"},
    {"RESOLVED", MESSAGE_RESOLVED, 6, "\1\4\1\2\3\4"}, {"unknown", 99, 0, ""},
};

/* How many violations there were after the hop at `place` said so while the client waited for the answer of the next but `hops` ones. */
static uint64_t violations_after(uint8_t hops, uint8_t place, uint8_t command, const void *body, size_t len, uint64_t *ret_failed) {
  static uint8_t content[ONION_CONTENT(0)];
  size_t header = MESSAGE_HEADER_BYTES + (command >= MESSAGE_FIRST_STREAM_COMMAND ? MESSAGE_STREAM_BYTES : 0);
  memset(content, 0, sizeof content);
  hostile_path_init(&path);
  path.hops_most = hops;
  hostile_path_run(&path, 0);
  struct hostile_circuit *circuit = circuit_of(hops);
  cr_assert_not_null(circuit);
  content[0] = command;
  put_u16(content + 1, (uint16_t)len);
  if (header > MESSAGE_HEADER_BYTES) content[MESSAGE_HEADER_BYTES + 1] = 1;
  if (body != NULL) memcpy(content + header, body, len);
  hostile_path_say(&path, circuit, place, ONION_FOR_YOU, content, header + len);
  hostile_path_run(&path, 0);
  uint64_t violations = hostile_path_figure(&path, "violations");
  *ret_failed = hostile_path_figure(&path, "circuits_failed");
  cr_expect_eq(path.links, 1);
  hostile_path_wipe(&path);
  return violations;
}

Test(hostile_guard, answers_count_from_the_hop_that_was_asked_alone) {
  uint64_t failed;
  for (uint8_t hops = 1; hops <= 2; hops++) {
    for (uint8_t place = 0; place < hops; place++) {
      for (size_t i = 0; i < sizeof unasked / sizeof *unasked; i++) {
        const struct letter *letter = &unasked[i];
        size_t len = letter->command == MESSAGE_EXTEND ? LIMIT_EXTEND_BYTES : letter->len;
        cr_expect_eq(violations_after(hops, place, letter->command, letter->body, len, &failed), 1, "%s at %d of %d", letter->name, place, hops);
        cr_expect_eq(failed, 1);
      }
      bool was_asked = place + 1 == hops;
      cr_expect_eq(violations_after(hops, place, MESSAGE_EXTENDED, reply, sizeof reply, &failed), !was_asked, "EXTENDED at %d of %d", place, hops);
      cr_expect_eq(failed, 1, "and a reply that no key made is a failed handshake");
      cr_expect_eq(violations_after(hops, place, MESSAGE_CLOSED, "\22", 1, &failed), 0);
      cr_expect_eq(failed, 1);
      cr_expect_eq(violations_after(hops, place, MESSAGE_PADDING, "\0", 1, &failed), 0);
      cr_expect_eq(failed, 0);
    }
  }
}

/* ---- cells against the rules of links ---- */

static void raw(const uint8_t cell[CELL_BYTES]) {
  static uint8_t bytes[LINK_RECORD_MAX_BYTES];
  size_t len = raw_cell_seal(trunk_link(path.trunk), path.now, cell, bytes, sizeof bytes), used;
  path.machine.verbs->receive(path.client, path.now, path.link, bytes, len, &used);
  hostile_path_run(&path, 0);
}

static void raw_of_circuit(uint8_t built, uint8_t command, bool is_another) {
  uint8_t cell[CELL_BYTES] = {0};
  const struct hostile_circuit *circuit = circuit_of(built);
  cr_assert_not_null(circuit);
  cell_set_header(cell, circuit->side.circuit ^ is_another, (enum cell_command)command);
  raw(cell);
}

static void control(uint8_t command, const void *body, uint16_t len) {
  uint8_t cell[CELL_BYTES] = {0};
  cell_set_header(cell, 0, CELL_CONTROL);
  cell_body(cell)[0] = command;
  put_u16(cell_body(cell) + 1, len);
  memcpy(cell_body(cell) + MESSAGE_HEADER_BYTES, body, len);
  raw(cell);
}

static void credit(uint64_t passed, uint64_t limit, uint16_t waiting) {
  uint8_t body[CONTROL_CREDIT_BYTES];
  put_u32(body, circuit_of(3)->side.circuit);
  put_u64(body + 4, passed);
  put_u64(body + 12, limit);
  put_u16(body + 20, waiting);
  control(CONTROL_CREDIT, body, sizeof body);
}

static void onion_of_no_circuit(void) { raw_of_circuit(3, CELL_ONION, true); }
static void close_of_no_circuit(void) { raw_of_circuit(3, CELL_CLOSE, true); }
static void created_of_no_circuit(void) { raw_of_circuit(3, CELL_CREATED, true); }
static void created_again(void) { raw_of_circuit(3, CELL_CREATED, false); }
static void create_from_the_guard(void) { raw_of_circuit(3, CELL_CREATE, true); }
static void onion_before_created(void) { raw_of_circuit(0, CELL_ONION, false); }
static void more_passed_than_was_sent(void) { credit(1000, 2000, 0); }
static void more_waits_than_was_sent(void) { credit(2, 200, 255); }
static void a_promise_without_end(void) { credit(2, UINT64_MAX, 0); }
static void credit_of_no_circuit(void) { control(CONTROL_CREDIT, "\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\4\0\0", CONTROL_CREDIT_BYTES); }
static void a_head_that_nobody_asked_for(void) { control(CONTROL_HEAD, "\200\1\0\0\1\0", 6); }
static void a_chunk_that_nobody_asked_for(void) { control(CONTROL_CHUNK, "\200\1x", 3); }
static void an_end_of_what_nobody_asked_for(void) { control(CONTROL_DONE, "\200\1\0", 3); }
static void a_second_date(void) {
  static const uint8_t date[8] = {0, 0, 1, 0x90};
  control(CONTROL_TIME, date, sizeof date);
  if (path.links == 1) control(CONTROL_TIME, date, sizeof date);
}

static const struct fault { const char *name; void (*commit)(void); uint8_t hops; } faults[] = {
    {"an onion cell of no circuit", onion_of_no_circuit, 3},
    {"CLOSE of no circuit", close_of_no_circuit, 3},
    {"CREATED of no circuit", created_of_no_circuit, 3},
    {"CREATED again", created_again, 3},
    {"CREATE from the guard", create_from_the_guard, 3},
    {"an onion cell before CREATED", onion_before_created, 0},
    {"more passed on than was sent", more_passed_than_was_sent, 3},
    {"more waits than was sent", more_waits_than_was_sent, 3},
    {"a promise without end", a_promise_without_end, 3},
    {"credit of no circuit", credit_of_no_circuit, 3},
    {"HEAD unasked", a_head_that_nobody_asked_for, 3},
    {"CHUNK unasked", a_chunk_that_nobody_asked_for, 3},
    {"DONE unasked", an_end_of_what_nobody_asked_for, 3},
    {"a second date", a_second_date, 3},
};

Test(hostile_guard, who_breaks_the_rules_of_links_loses_the_link_and_stays_the_guard) {
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    hostile_path_init(&path);
    path.hops_most = faults[i].hops;
    hostile_path_run(&path, 0);
    uint64_t violations = hostile_path_figure(&path, "violations");
    faults[i].commit();
    cr_expect_eq(hostile_path_figure(&path, "violations"), violations + 1, "%s", faults[i].name);
    path.hops_most = 3;
    hostile_path_run(&path, 10 * SECONDS);
    cr_expect_eq(path.links, 2, "%s: %u links", faults[i].name, path.links);
    cr_expect_not_null(circuit_of(3), "%s: the client goes on, over a new link", faults[i].name);
    cr_expect_eq(hostile_path_figure(&path, "guard_failures"), 0, "%s: the guard was blamed", faults[i].name);
    hostile_path_wipe(&path);
  }
}

/* [BUILD-5] Whoever stands between client and guard can cut each link as soon as its circuits are built. */
Test(hostile_guard, links_that_are_cut_again_and_again_are_not_made_faster_for_it) {
  hostile_path_init(&path);
  for (int i = 0; i < 3000; i++) {
    hostile_path_run(&path, 100 * MILLISECONDS);
    if (circuit_of(3) != NULL) hostile_path_cut(&path);
  }
  cr_expect_gt(path.links, 8, "it goes on trying");
  cr_expect_lt(path.links, 60, "in five minutes: %u", path.links);
  cr_expect_eq(hostile_path_figure(&path, "guard_failures"), 0, "and the guard stays");
  hostile_path_run(&path, 5 * MINUTES);
  uint32_t links = path.links;
  hostile_path_cut(&path);
  hostile_path_run(&path, SECONDS);
  cr_expect_eq(path.links, links + 1, "after a quiet time one that is cut is made anew at once");
  cr_expect_not_null(circuit_of(3));
  hostile_path_wipe(&path);
}

/* [GUARD-6] Else whoever fills the disk once chooses when this client chooses its guards anew. */
Test(hostile_guard, a_full_disk_costs_no_guard_once_there_is_room_again) {
  hostile_path_init(&path);
  path.disk_is_full = true;
  hostile_path_run(&path, 60 * SECONDS);
  cr_expect_geq(path.states_failed, 1);
  cr_expect_leq(path.states_failed, 10, "in a minute: %u", path.states_failed);
  path.disk_is_full = false;
  hostile_path_run(&path, 60 * SECONDS);
  cr_expect_eq(path.states_written, 1);
  hostile_path_wipe(&path);
}

/* [OUT-6] */
Test(hostile_guard, a_full_disk_is_told_of_once) {
  hostile_path_init(&path);
  path.disk_is_full = true;
  hostile_path_run(&path, SECONDS);
  uint32_t failed = path.states_failed, warnings = path.warnings;
  cr_assert_geq(failed, 1);
  cr_expect_geq(warnings, 1);
  hostile_path_run(&path, 60 * SECONDS);
  cr_expect_gt(path.states_failed, failed);
  cr_expect_eq(path.warnings, warnings);
  hostile_path_wipe(&path);
}

/* [GUARD-6] Who stops a client to make room on its disk, and starts it again, keeps the guards. */
Test(hostile_guard, a_client_that_stops_does_not_wait_to_save_them) {
  hostile_path_init(&path);
  path.disk_is_full = true;
  hostile_path_run(&path, SECONDS);
  cr_assert_geq(path.states_failed, 1);
  path.disk_is_full = false;
  path.machine.verbs->event(path.client, path.now, &(struct event){.kind = EVENT_STOP});
  hostile_path_run(&path, 0);
  cr_expect_eq(path.states_written, 1);
  hostile_path_wipe(&path);
}
