#include "io/driver.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/io/loopback.h"

/* Sends `total` bytes of the pattern and takes all that comes back, half-closing once all is sent. */
struct talk {
  int fd;
  uint64_t total, sent, received;
  bool end, reset, finished;
};

static void talk_on(struct talk *talk) {
  static const size_t CHUNK = 100000; /* not a multiple of any record */
  uint8_t *bytes = malloc(CHUNK);
  size_t len = talk->total - talk->sent < CHUNK ? (size_t)(talk->total - talk->sent) : CHUNK;
  pattern_fill(bytes, len, talk->sent);
  if (len > 0) talk->sent += peer_send(talk->fd, bytes, len);
  if (talk->sent == talk->total && !talk->finished) talk->finished = shutdown(talk->fd, SHUT_WR) == 0;
  size_t got = peer_receive(talk->fd, bytes, CHUNK, &talk->end, &talk->reset);
  cr_assert(pattern_matches(bytes, got, talk->received), "other bytes came back, near %lu", (unsigned long)talk->received);
  talk->received += got;
  free(bytes);
}

static bool talk_is_over(struct talk *talk) {
  talk_on(talk);
  return talk->end;
}

static void echo_megabytes(enum connection_kind kind, size_t record_bytes, uint64_t total) {
  struct loopback loopback;
  echo_machine_init(&loopback.machine);
  loopback.machine.record_bytes = record_bytes;
  loopback_start(&loopback, kind, NULL);
  struct talk talk = {.fd = peer_connect(&loopback.address), .total = total};
  LOOPBACK_UNTIL(&loopback, talk_is_over(&talk));
  cr_assert_not(talk.reset);
  cr_assert_eq(talk.received, talk.total);
  close(talk.fd);
  loopback_stop(&loopback);
}

/* The half close comes through: the machine sees EOF, sends what it still has, then its own EOF. */
Test(driver, a_stream_carries_megabytes_both_ways_and_half_closes) {
  echo_megabytes(CONNECTION_STREAM, 0, 8 * 1024 * 1024);
}

/* [MACH-6] */
Test(driver, what_a_link_leaves_comes_again_in_front_of_what_follows) {
  echo_megabytes(CONNECTION_LINK, 15506, 15506 * 512);
}

Test(driver, a_link_may_leave_all_but_nothing) {
  struct loopback loopback;
  echo_machine_init(&loopback.machine);
  loopback.machine.record_bytes = 10;
  loopback_start(&loopback, CONNECTION_LINK, NULL);
  int fd = peer_connect(&loopback.address);
  LOOPBACK_UNTIL(&loopback, loopback.machine.accepted == 1);
  uint8_t answer[32];
  size_t len = 0;
  for (uint64_t i = 0; i < 25; i++) { /* a byte at a time */
    uint8_t byte = pattern_at(i);
    LOOPBACK_UNTIL(&loopback, peer_send(fd, &byte, 1) == 1);
    for (int turn = 0; turn < 3; turn++) driver_turn(loopback.driver, 1 * MILLISECONDS);
  }
  LOOPBACK_UNTIL(&loopback, (len += peer_receive(fd, answer + len, sizeof answer - len, NULL, NULL)) == 20);
  cr_assert(pattern_matches(answer, 20, 0));
  close(fd);
  loopback_stop(&loopback);
}

Test(driver, room_zero_stops_reading_until_the_connection_is_ready_again) {
  struct loopback loopback;
  echo_machine_init(&loopback.machine);
  loopback.machine.is_deaf = true;
  loopback_start(&loopback, CONNECTION_STREAM, NULL);
  struct talk talk = {.fd = peer_connect(&loopback.address), .total = 1000000};
  for (int i = 0; i < 200; i++) {
    talk_on(&talk);
    driver_turn(loopback.driver, 1 * MILLISECONDS);
  }
  cr_assert_eq(talk.received, 0);
  echo_machine_listen(&loopback.machine);
  LOOPBACK_UNTIL(&loopback, talk_is_over(&talk));
  cr_assert_eq(talk.received, talk.total);
  close(talk.fd);
  loopback_stop(&loopback);
}

/* A link that waited for work: what came meanwhile is given again although nothing more comes. */
Test(driver, what_was_kept_is_given_when_there_is_room_although_nothing_follows) {
  struct loopback loopback;
  echo_machine_init(&loopback.machine);
  loopback.machine.record_bytes = 8;
  loopback_start(&loopback, CONNECTION_LINK, NULL);
  int fd = peer_connect(&loopback.address);
  uint8_t answer[8];
  size_t len = 0;
  LOOPBACK_UNTIL(&loopback, loopback.machine.accepted == 1);
  LOOPBACK_UNTIL(&loopback, peer_send(fd, "12345", 5) == 5);
  for (int i = 0; i < 20; i++) driver_turn(loopback.driver, 1 * MILLISECONDS);
  loopback.machine.is_deaf = true;
  LOOPBACK_UNTIL(&loopback, peer_send(fd, "6789", 4) == 4);
  for (int i = 0; i < 20; i++) driver_turn(loopback.driver, 1 * MILLISECONDS);
  loopback.machine.record_bytes = 5;
  echo_machine_listen(&loopback.machine);
  LOOPBACK_UNTIL(&loopback, (len += peer_receive(fd, answer + len, sizeof answer - len, NULL, NULL)) >= 5);
  cr_assert(memcmp(answer, "12345", 5) == 0);
  close(fd);
  loopback_stop(&loopback);
}

static uint64_t figure(const struct loopback *loopback, const char *name) {
  struct status status;
  driver_status(loopback->driver, &status);
  for (uint32_t i = 0; i < status.figure_count; i++)
    if (strcmp(status.figures[i].name, name) == 0) return status.figures[i].value;
  cr_assert(false, "there is no figure %s", name);
  return 0;
}

/* [MACH-5] What a slow peer does not take is kept, in order, and little of it. */
Test(driver, a_peer_that_reads_nothing_costs_little_memory_and_others_nothing) {
  struct loopback loopback;
  echo_machine_init(&loopback.machine);
  loopback.machine.flood = true;
  loopback_start(&loopback, CONNECTION_STREAM, NULL);
  int silent = peer_connect(&loopback.address);
  LOOPBACK_UNTIL(&loopback, peer_send(silent, "x", 1) == 1);
  for (int i = 0; i < 300; i++) driver_turn(loopback.driver, 1 * MILLISECONDS);
  cr_assert_leq(figure(&loopback, "driver_unsent_bytes"), 128 * 1024);
  loopback.machine.flood = false;
  struct talk talk = {.fd = peer_connect(&loopback.address), .total = 3000000};
  LOOPBACK_UNTIL(&loopback, talk_is_over(&talk));
  cr_assert_eq(talk.received, talk.total);
  close(talk.fd);
  close(silent);
  loopback_stop(&loopback);
}

Test(driver, a_connection_that_was_asked_for_opens_and_carries) {
  struct loopback loopback;
  struct address address;
  char text[16];
  int listener = peer_listen(&address), fd = -1;
  size_t len = 0;
  echo_machine_init(&loopback.machine);
  loopback_start(&loopback, CONNECTION_STREAM, NULL);
  struct id id = echo_machine_connect(&loopback.machine, CONNECTION_LINK, &address);
  echo_machine_say(&loopback.machine, id, "hello"); /* before it is open */
  LOOPBACK_UNTIL(&loopback, (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0);
  LOOPBACK_UNTIL(&loopback, (len += peer_receive(fd, text + len, sizeof text - len, NULL, NULL)) == 5);
  const struct event *connected = echo_machine_event(&loopback.machine, EVENT_CONNECTED);
  cr_assert(connected != NULL && id_equal(connected->id, id) && address_equal(&connected->address, &address));
  close(fd);
  LOOPBACK_UNTIL(&loopback, echo_machine_event(&loopback.machine, EVENT_EOF) != NULL);
  close(listener);
  loopback_stop(&loopback);
}

/* Connects to an address that gives `expected`, told once. */
static void connect_fails(const struct address *address, enum outcome expected) {
  struct loopback loopback;
  echo_machine_init(&loopback.machine);
  loopback_start(&loopback, CONNECTION_STREAM, NULL);
  struct id id = echo_machine_connect(&loopback.machine, CONNECTION_STREAM, address);
  LOOPBACK_UNTIL(&loopback, echo_machine_event(&loopback.machine, EVENT_CLOSED) != NULL);
  const struct event *closed = echo_machine_event(&loopback.machine, EVENT_CLOSED);
  cr_assert(id_equal(closed->id, id));
  cr_assert_eq(closed->outcome, expected, "%s", outcome_name(closed->outcome));
  uint32_t events = loopback.machine.event_count;
  for (int i = 0; i < 10; i++) driver_turn(loopback.driver, 1 * MILLISECONDS);
  cr_assert_eq(loopback.machine.event_count, events);
  loopback_stop(&loopback);
}

Test(driver, a_refused_connection_says_so) {
  struct address address;
  close(peer_listen(&address));
  connect_fails(&address, OUTCOME_CONNECTION_REFUSED);
}

Test(driver, an_address_that_cannot_be_reached_has_no_route) {
  connect_fails(&(struct address){.family = ADDRESS_IPV4, .bytes = {255, 255, 255, 255}, .port = 9}, OUTCOME_NO_ROUTE);
  connect_fails(&(struct address){.port = 9}, OUTCOME_NO_ROUTE);
}

/* [MACH-3] */
Test(driver, a_reset_is_told_once_and_then_the_id_is_dead) {
  struct loopback loopback;
  echo_machine_init(&loopback.machine);
  loopback_start(&loopback, CONNECTION_STREAM, NULL);
  int fd = peer_connect(&loopback.address);
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  LOOPBACK_UNTIL(&loopback, loopback.machine.accepted == 1);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
  LOOPBACK_UNTIL(&loopback, echo_machine_event(&loopback.machine, EVENT_CLOSED) != NULL);
  const struct event *closed = echo_machine_event(&loopback.machine, EVENT_CLOSED);
  cr_assert_eq(closed->outcome, OUTCOME_CONNECTION_RESET);
  echo_machine_put(&loopback.machine, (struct effect){.kind = EFFECT_CLOSE, .id = closed->id});
  echo_machine_put(&loopback.machine, (struct effect){.kind = EFFECT_FINISH, .id = closed->id});
  uint32_t events = loopback.machine.event_count;
  for (int i = 0; i < 10; i++) driver_turn(loopback.driver, 1 * MILLISECONDS);
  cr_assert_eq(loopback.machine.event_count, events);
  loopback_stop(&loopback);
}

Test(driver, close_flushed_sends_everything_first_even_if_the_peer_still_talks) {
  struct loopback loopback;
  echo_machine_init(&loopback.machine);
  loopback_start(&loopback, CONNECTION_STREAM, NULL);
  struct talk talk = {.fd = peer_connect(&loopback.address), .total = 2000000};
  while (talk.sent < 200000) { /* fewer than fit into its buffer, so that nothing stops it */
    talk_on(&talk);
    driver_turn(loopback.driver, 1 * MILLISECONDS);
  }
  struct id id = {0, 0};
  uint32_t cursor = 0;
  struct echo_connection *connection = id_table_next(&loopback.machine.connections, &cursor, &id);
  cr_assert_not_null(connection);
  uint64_t promised = connection->received;
  echo_machine_put(&loopback.machine, (struct effect){.kind = EFFECT_CLOSE_FLUSHED, .id = id});
  LOOPBACK_UNTIL(&loopback, talk_is_over(&talk));
  cr_assert_not(talk.reset, "the peer lost what was flushed");
  cr_assert_geq(talk.received, promised);
  close(talk.fd);
  loopback_stop(&loopback);
}

/* A download that nobody wants any more: its server must not make us read it to the end. */
Test(driver, a_peer_that_talks_on_and_on_after_close_flushed_is_not_read_for_long) {
  enum { TALK = 64 << 20, TURNS = 4000 };
  struct loopback loopback;
  static uint8_t bytes[1 << 16];
  echo_machine_init(&loopback.machine);
  loopback_start(&loopback, CONNECTION_STREAM, NULL);
  int fd = peer_connect(&loopback.address);
  LOOPBACK_UNTIL(&loopback, loopback.machine.accepted == 1);
  struct id id = {0, 0};
  uint32_t cursor = 0;
  cr_assert_not_null(id_table_next(&loopback.machine.connections, &cursor, &id));
  echo_machine_put(&loopback.machine, (struct effect){.kind = EFFECT_CLOSE_FLUSHED, .id = id});
  size_t sent = 0;
  for (int turn = 0; turn < TURNS && sent < TALK; turn++) {
    sent += peer_send(fd, bytes, sizeof bytes);
    driver_turn(loopback.driver, 0);
  }
  cr_expect_gt(sent, 0);
  cr_expect_lt(sent, TALK / 2, "%zu bytes were taken from who should have stopped", sent);
  close(fd);
  loopback_stop(&loopback);
}

Test(driver, close_ends_at_once_and_no_event_follows) {
  struct loopback loopback;
  bool end = false;
  uint8_t byte;
  echo_machine_init(&loopback.machine);
  loopback_start(&loopback, CONNECTION_STREAM, NULL);
  int fd = peer_connect(&loopback.address);
  struct id id = {0, 0};
  uint32_t cursor = 0;
  LOOPBACK_UNTIL(&loopback, loopback.machine.accepted == 1);
  cr_assert_not_null(id_table_next(&loopback.machine.connections, &cursor, &id));
  echo_machine_put(&loopback.machine, (struct effect){.kind = EFFECT_CLOSE, .id = id});
  LOOPBACK_UNTIL(&loopback, (peer_receive(fd, &byte, 1, &end, NULL), end));
  cr_assert_null(echo_machine_event(&loopback.machine, EVENT_CLOSED));
  cr_assert_null(echo_machine_event(&loopback.machine, EVENT_EOF));
  close(fd);
  loopback_stop(&loopback);
}

/* A server may answer and close before it has read everything. */
Test(driver, what_the_peer_said_before_it_broke_the_connection_is_still_heard) {
  struct loopback loopback;
  struct address address;
  int listener = peer_listen(&address), fd = -1;
  uint8_t bytes[4096];
  echo_machine_init(&loopback.machine);
  loopback_start(&loopback, CONNECTION_STREAM, NULL);
  struct id id = echo_machine_connect(&loopback.machine, CONNECTION_STREAM, &address);
  echo_machine_say(&loopback.machine, id, "a long request");
  LOOPBACK_UNTIL(&loopback, (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0);
  LOOPBACK_UNTIL(&loopback, peer_receive(fd, bytes, sizeof bytes, NULL, NULL) > 0);
  loopback.machine.is_deaf = true; /* reads nothing while the answer and the reset arrive */
  LOOPBACK_UNTIL(&loopback, peer_send(fd, "answer", 6) == 6);
  for (int i = 0; i < 5; i++) driver_turn(loopback.driver, 1 * MILLISECONDS);
  loopback.machine.is_deaf = false;
  loopback.machine.flood = true;
  echo_machine_listen(&loopback.machine);
  close(fd);
  LOOPBACK_UNTIL(&loopback, echo_machine_connection(&loopback.machine, id) == NULL ||
                                echo_machine_connection(&loopback.machine, id)->received == 6);
  cr_assert_not_null(echo_machine_connection(&loopback.machine, id));
  LOOPBACK_UNTIL(&loopback, echo_machine_event(&loopback.machine, EVENT_CLOSED) != NULL ||
                                echo_machine_event(&loopback.machine, EVENT_EOF) != NULL);
  close(listener);
  loopback_stop(&loopback);
}

Test(driver, a_port_that_is_taken_is_told) {
  struct loopback loopback;
  struct address bound;
  echo_machine_init(&loopback.machine);
  loopback_start(&loopback, CONNECTION_LINK, NULL);
  cr_assert_eq(driver_listen(loopback.driver, &loopback.address, CONNECTION_LINK, &bound), OUTCOME_PORT_TAKEN);
  struct address elsewhere = {.family = ADDRESS_IPV4, .bytes = {192, 0, 2, 1}, .port = 4444};
  cr_assert_eq(driver_listen(loopback.driver, &elsewhere, CONNECTION_LINK, &bound), OUTCOME_SYSTEM_FAILED);
  loopback_stop(&loopback);
}

Test(driver, without_descriptors_connections_wait_and_come_later) {
  struct loopback loopback;
  struct rlimit before, none;
  echo_machine_init(&loopback.machine);
  loopback_start(&loopback, CONNECTION_STREAM, NULL);
  int fd = peer_connect(&loopback.address);
  cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = (struct rlimit){.rlim_cur = (rlim_t)fd, .rlim_max = before.rlim_max};
  cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
  for (int i = 0; i < 20; i++) driver_turn(loopback.driver, 1 * MILLISECONDS);
  cr_assert_eq(loopback.machine.accepted, 0);
  struct address address = loopback.address;
  struct id id = echo_machine_connect(&loopback.machine, CONNECTION_STREAM, &address);
  LOOPBACK_UNTIL(&loopback, echo_machine_event(&loopback.machine, EVENT_CLOSED) != NULL);
  const struct event *closed = echo_machine_event(&loopback.machine, EVENT_CLOSED);
  cr_assert(id_equal(closed->id, id) && closed->outcome == OUTCOME_LIMIT_REACHED);
  cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
  LOOPBACK_UNTIL(&loopback, loopback.machine.accepted == 1);
  close(fd);
  loopback_stop(&loopback);
}

/* [LIMIT-14] Their peers never end their own way. Who has been closing longest goes first. */
Test(driver, connections_that_still_close_keep_few_descriptors) {
  enum { DESCRIPTORS = 256, PEERS = 80 };
  static const char text[] = "that is all";
  struct loopback loopback;
  struct rlimit before;
  int peers[PEERS];
  uint32_t cursor = 0;
  struct id id;
  cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
  struct rlimit few = {.rlim_cur = DESCRIPTORS, .rlim_max = before.rlim_max};
  cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
  echo_machine_init(&loopback.machine);
  loopback_start(&loopback, CONNECTION_STREAM, NULL);
  for (uint32_t i = 0; i < PEERS; i++) {
    peers[i] = peer_connect(&loopback.address);
    LOOPBACK_UNTIL(&loopback, loopback.machine.accepted == i + 1);
    cr_assert_not_null(id_table_next(&loopback.machine.connections, &cursor, &id));
    echo_machine_say(&loopback.machine, id, text);
    echo_machine_put(&loopback.machine, (struct effect){.kind = EFFECT_CLOSE_FLUSHED, .id = id});
  }
  for (int i = 0; i < 3; i++) driver_turn(loopback.driver, 0);
  cr_assert_leq(figure(&loopback, "driver_connections"), DESCRIPTORS / 8 + 1);
  for (uint32_t i = 0; i < PEERS; i++) {
    char heard[sizeof text] = {0};
    cr_assert_eq(peer_receive(peers[i], heard, sizeof heard, NULL, NULL), sizeof text - 1, "peer %u lost what was flushed", i);
    close(peers[i]);
  }
  loopback_stop(&loopback);
}

Test(driver, the_clock_is_told_at_the_start_and_deadlines_are_kept) {
  struct loopback loopback;
  echo_machine_init(&loopback.machine);
  loopback_start(&loopback, CONNECTION_STREAM, NULL);
  instant deadline = instant_after(loop_now(), 20 * MILLISECONDS);
  loopback.machine.deadline = deadline;
  instant limit = instant_after(loop_now(), LOOPBACK_HANG);
  while (loopback.machine.ticks == 0 && loop_now() < limit) driver_turn(loopback.driver, INSTANT_NEVER);
  cr_assert_eq(loopback.machine.ticks, 1);
  cr_assert_geq(loopback.machine.ticked_at, deadline);
  const struct event *clock = echo_machine_event(&loopback.machine, EVENT_CLOCK);
  cr_assert_not_null(clock);
  cr_assert_gt(clock->clock.date.milliseconds, INT64_C(1700000000000), "a date after this was written");
  loopback_stop(&loopback);
}

/* [MACH-9] */
Test(driver, work_comes_a_few_times_a_turn_and_the_driver_does_not_sleep_while_more_waits) {
  struct loopback loopback;
  echo_machine_init(&loopback.machine);
  loopback_start(&loopback, CONNECTION_STREAM, NULL);
  loopback.machine.work_left = 100;
  driver_turn(loopback.driver, 0);
  cr_assert_gt(loopback.machine.work_left, 50);
  int turns = 0;
  while (loopback.machine.work_left > 0 && turns++ < 200) driver_turn(loopback.driver, INSTANT_NEVER); /* would hang */
  cr_assert_eq(loopback.machine.work_left, 0);
  cr_assert_leq(loopback.machine.works_most, 4);
  loopback_stop(&loopback);
}

Test(driver, a_stop_reaches_the_machine_whose_exit_ends_the_program) {
  struct loopback loopback;
  echo_machine_init(&loopback.machine);
  loopback_start(&loopback, CONNECTION_STREAM, NULL);
  driver_stop(loopback.driver);
  cr_assert_eq(program_run(loopback.program), OUTCOME_OK);
  cr_assert_not_null(echo_machine_event(&loopback.machine, EVENT_STOP));
  loopback_stop(&loopback);
}

/* [MACH-7] */
Test(driver, a_file_is_on_disk_when_the_machine_is_told) {
  struct loopback loopback;
  struct folder *folder;
  struct document *document;
  char path[64];
  temporary_folder(path);
  cr_assert_eq(folder_open(path, &folder, NULL), OUTCOME_OK);
  echo_machine_init(&loopback.machine);
  loopback_start(&loopback, CONNECTION_STREAM, folder);
  struct effect effect = {.kind = EFFECT_WRITE_FILE, .id = {3, 4}, .name = "state", .document = document_new("new", 3)};
  echo_machine_put(&loopback.machine, effect);
  LOOPBACK_UNTIL(&loopback, echo_machine_event(&loopback.machine, EVENT_WRITTEN) != NULL);
  const struct event *written = echo_machine_event(&loopback.machine, EVENT_WRITTEN);
  cr_assert(written->outcome == OUTCOME_OK && id_equal(written->id, effect.id));
  cr_assert_eq(folder_read(folder, "state", 100, &document, NULL), OUTCOME_OK);
  cr_assert(document_len(document) == 3 && memcmp(document_bytes(document), "new", 3) == 0);
  document_release(document);
  loopback_stop(&loopback);
  folder_close(folder);
  temporary_folder_remove(path);
}

static const char *status_text(const struct driver *driver, const char *name, struct status *status) {
  driver_status(driver, status);
  for (uint32_t i = 0; i < status->text_count; i++)
    if (strcmp(status->texts[i].name, name) == 0) return status->texts[i].value;
  return NULL;
}

/* A person who asks why a node stands still, with a full disk that the log is on, too. */
Test(driver, a_file_that_can_not_be_written_is_in_the_status_until_one_can) {
  struct loopback loopback;
  struct folder *folder;
  struct status status;
  char path[64], obstacle[96];
  temporary_folder(path);
  snprintf(obstacle, sizeof obstacle, "%s/state", path);
  cr_assert_eq(mkdir(obstacle, 0700), 0); /* no file takes a folder's place */
  cr_assert_eq(folder_open(path, &folder, NULL), OUTCOME_OK);
  echo_machine_init(&loopback.machine);
  loopback_start(&loopback, CONNECTION_STREAM, folder);
  cr_assert_null(status_text(loopback.driver, "file", &status));
  echo_machine_put(&loopback.machine, (struct effect){.kind = EFFECT_WRITE_FILE, .name = "state", .document = document_new("new", 3)});
  LOOPBACK_UNTIL(&loopback, status_text(loopback.driver, "file", &status) != NULL);
  cr_assert_not_null(strstr(status_text(loopback.driver, "file", &status), "state can't be written: "));
  cr_assert_eq(rmdir(obstacle), 0);
  echo_machine_put(&loopback.machine, (struct effect){.kind = EFFECT_WRITE_FILE, .name = "state", .document = document_new("new", 3)});
  LOOPBACK_UNTIL(&loopback, status_text(loopback.driver, "file", &status) == NULL);
  loopback_stop(&loopback);
  folder_close(folder);
  temporary_folder_remove(path);
}

/* An old connection that still flushes must not be taken for the new one in its slot. */
Test(driver, a_slot_that_is_used_again_while_the_old_one_closes_is_another_connection) {
  struct loopback loopback;
  bool end = false;
  uint8_t bytes[16];
  size_t len = 0;
  echo_machine_init(&loopback.machine);
  loopback_start(&loopback, CONNECTION_STREAM, NULL);
  int old = peer_connect(&loopback.address);
  LOOPBACK_UNTIL(&loopback, loopback.machine.accepted == 1);
  struct id first = {0, 0}, second = {0, 0};
  uint32_t cursor = 0;
  cr_assert_not_null(id_table_next(&loopback.machine.connections, &cursor, &first));
  echo_machine_put(&loopback.machine, (struct effect){.kind = EFFECT_CLOSE_FLUSHED, .id = first});
  id_table_remove(&loopback.machine.connections, first);
  driver_turn(loopback.driver, 0); /* closing: the peer does not close its side yet */
  int fd = peer_connect(&loopback.address);
  LOOPBACK_UNTIL(&loopback, loopback.machine.accepted == 2);
  cursor = 0;
  cr_assert_not_null(id_table_next(&loopback.machine.connections, &cursor, &second));
  cr_assert(first.slot == second.slot && first.generation != second.generation);
  LOOPBACK_UNTIL(&loopback, peer_send(fd, "fresh", 5) == 5);
  LOOPBACK_UNTIL(&loopback, (len += peer_receive(fd, bytes + len, sizeof bytes - len, NULL, NULL)) == 5);
  LOOPBACK_UNTIL(&loopback, (peer_receive(old, bytes, 1, &end, NULL), end));
  close(old);
  LOOPBACK_UNTIL(&loopback, peer_send(fd, "again", 5) == 5);
  LOOPBACK_UNTIL(&loopback, (len += peer_receive(fd, bytes + len, sizeof bytes - len, NULL, NULL)) == 10);
  close(fd);
  loopback_stop(&loopback);
}
