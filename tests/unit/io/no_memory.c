#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/keys.h"
#include "io/control_client.h"
#include "io/control_socket.h"
#include "io/key_file.h"
#include "io/log_writer.h"
#include "tests/unit/io/loopback.h"
#include "tests/unit/protocol/failing_allocator.h"

enum { SENT_BYTES = 300000 };

static char path[64];

static void prepare(void) {
  cr_assert(crypto_start());
  temporary_folder(path);
}

static void clean(void) {
  temporary_folder_remove(path);
}

TestSuite(no_memory, .init = prepare, .fini = clean);

static uint32_t told_of(enum outcome outcome) {
  if (outcome != OUTCOME_OK) cr_assert_eq(outcome, OUTCOME_NO_MEMORY, "%s", outcome_name(outcome));
  return outcome != OUTCOME_OK;
}

static struct random_stream random_stream; /* goes on from one failure to the next: no key is made twice */

/* Several drivers with their loops, resolvers and rings. */
static uint32_t start_a_program(void) {
  struct echo_machine first, second;
  echo_machine_init(&first);
  echo_machine_init(&second);
  struct machine machines[] = {echo_machine_machine(&first), echo_machine_machine(&second)};
  struct program *program = program_new(&(struct program_config){.machines = machines, .machine_count = 2, .catch_signals = true});
  uint32_t told = program == NULL;
  program_free(program);
  echo_machine_wipe(&first);
  echo_machine_wipe(&second);
  return told;
}

Test(no_memory, a_program_starts_whole_or_not_at_all) {
  failing_allocator_try_every(start_a_program, true);
}

static uint32_t open_the_folder(void) {
  struct folder *folder = NULL;
  struct log_writer *log = NULL;
  struct key_ring keys = {0};
  enum outcome outcome = folder_open(path, &folder, NULL);
  if (outcome == OUTCOME_OK) outcome = log_writer_open("/dev/null", TRACE_DEBUG, &log, NULL);
  if (outcome == OUTCOME_OK) outcome = key_ring_open(folder, 1 << KEY_LINK | 1 << KEY_SIGNING, &random_stream, &keys, NULL, NULL);
  key_ring_close(&keys);
  log_writer_close(log);
  folder_close(folder);
  return told_of(outcome);
}

/* Twice: the first makes the keys, the second reads them. */
Test(no_memory, a_folder_opens_with_its_keys_or_says_why_not) {
  random_init(&random_stream, (const uint8_t[RANDOM_SEED_BYTES]){7});
  failing_allocator_try_every(open_the_folder, true);
  failing_allocator_try_every(open_the_folder, true);
}

static void give_status(void *context, struct status *ret) {
  (void)context;
  *ret = (struct status){.role = "echo", .stage = 1, .stages = 1, .stage_text = "ready"};
}

static uint32_t open_the_control_socket(void) {
  struct loop *loop = loop_new();
  struct folder *folder = NULL;
  struct control_socket *control = NULL;
  enum outcome outcome = loop == NULL ? OUTCOME_NO_MEMORY : folder_open(path, &folder, NULL);
  if (outcome == OUTCOME_OK)
    outcome = control_socket_open(loop, folder, &(struct control_host){.status = give_status}, &control, NULL);
  control_socket_close(control);
  folder_close(folder);
  if (loop != NULL) loop_free(loop);
  return told_of(outcome);
}

Test(no_memory, a_control_socket_opens_or_says_why_not) {
  failing_allocator_try_every(open_the_control_socket, true);
}

struct conversation {
  int fd;
  uint64_t sent, received;
  bool has_finished, end, reset;
};

static bool is_over(struct conversation *it) {
  static uint8_t bytes[SENT_BYTES];
  pattern_fill(bytes, sizeof bytes, 0);
  it->sent += peer_send(it->fd, bytes + it->sent, sizeof bytes - it->sent);
  if (it->sent == sizeof bytes && !it->has_finished) it->has_finished = shutdown(it->fd, SHUT_WR) == 0;
  size_t got = peer_receive(it->fd, bytes, sizeof bytes, &it->end, &it->reset);
  cr_assert(pattern_matches(bytes, got, it->received), "other bytes came back, near %lu", (unsigned long)it->received);
  it->received += got;
  return it->end;
}


/* [STREAM-12] What a peer may see of a node without memory: everything, nothing at all, or a reset. A polite end would be a document
 * cut short that nobody notices. */
static uint32_t converse(enum connection_kind kind, size_t record_bytes) {
  failing_allocator_pause(true);
  struct loopback loopback;
  echo_machine_init(&loopback.machine);
  loopback.machine.record_bytes = record_bytes;
  loopback_start(&loopback, kind, NULL);
  struct conversation it = {.fd = peer_connect(&loopback.address)};
  failing_allocator_pause(false);
  LOOPBACK_UNTIL(&loopback, is_over(&it));
  cr_assert(it.received == SENT_BYTES || it.received == 0 || it.reset || kind == CONNECTION_LINK, "a polite end after %lu bytes", (unsigned long)it.received);
  close(it.fd);
  loopback_stop(&loopback);
  return it.received < SENT_BYTES;
}

static uint32_t converse_on_a_stream(void) {
  return converse(CONNECTION_STREAM, 0);
}

/* A link's records tell what is missing: it may end either way. */
static uint32_t converse_on_a_link(void) {
  return converse(CONNECTION_LINK, 1500);
}

/* More comes than the socket takes, and there is no memory to keep what was left. */
Test(no_memory, a_stream_whose_rest_can_not_be_kept_is_reset) {
  struct loopback loopback;
  echo_machine_init(&loopback.machine);
  loopback.machine.flood = true;
  loopback_start(&loopback, CONNECTION_STREAM, NULL);
  struct conversation it = {.fd = peer_connect(&loopback.address)};
  LOOPBACK_UNTIL(&loopback, loopback.machine.accepted == 1);
  LOOPBACK_UNTIL(&loopback, peer_send(it.fd, "?", 1) == 1);
  failing_allocator_fail(1, 1);
  LOOPBACK_UNTIL(&loopback, echo_machine_event(&loopback.machine, EVENT_CLOSED) != NULL);
  cr_assert_eq(echo_machine_event(&loopback.machine, EVENT_CLOSED)->outcome, OUTCOME_NO_MEMORY);
  static uint8_t bytes[SENT_BYTES];
  LOOPBACK_UNTIL(&loopback, peer_receive(it.fd, bytes, sizeof bytes, &it.end, &it.reset) == 0 && it.end);
  cr_assert(it.reset, "a polite end");
  close(it.fd);
  loopback_stop(&loopback);
}

Test(no_memory, a_connection_is_served_or_reset) {
  failing_allocator_try_every(converse_on_a_stream, false);
  failing_allocator_try_every(converse_on_a_link, false);
}

/* The connection that is cut is that one alone: the next is served. */
static uint32_t serve_the_next(void) {
  failing_allocator_pause(true);
  struct loopback loopback;
  echo_machine_init(&loopback.machine);
  loopback_start(&loopback, CONNECTION_STREAM, NULL);
  struct conversation first = {.fd = peer_connect(&loopback.address)}, next;
  failing_allocator_pause(false);
  LOOPBACK_UNTIL(&loopback, is_over(&first));
  failing_allocator_pause(true);
  next = (struct conversation){.fd = peer_connect(&loopback.address)};
  LOOPBACK_UNTIL(&loopback, is_over(&next));
  cr_assert_not(next.reset);
  cr_assert_eq(next.received, SENT_BYTES);
  failing_allocator_pause(false);
  close(first.fd);
  close(next.fd);
  loopback_stop(&loopback);
  return first.received < SENT_BYTES;
}

Test(no_memory, who_comes_after_a_shortage_is_served) {
  failing_allocator_try_every(serve_the_next, false);
}
