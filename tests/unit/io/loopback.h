/* What the driver's tests share: a program of one machine on loopback, stepped by the test, and peers as plain sockets.
 * Spec: specs/machines.md. Called by tests/unit/io.
 * Never waits without end: a test that hangs fails after LOOPBACK_HANG seconds.
 */
#ifndef TUNIC_TESTS_UNIT_IO_LOOPBACK_H
#define TUNIC_TESTS_UNIT_IO_LOOPBACK_H

#include "io/program.h"
#include "tests/unit/io/echo_machine.h"

#define LOOPBACK_HANG (20 * SECONDS)

struct loopback {
  struct echo_machine machine;
  struct program *program;
  struct driver *driver;
  struct address address; /* the machine listens here */
};

/* The machine's settings may be made before or after. */
void loopback_start(struct loopback *, enum connection_kind, const struct folder *);
void loopback_stop(struct loopback *);

/* Turns until the condition holds. */
#define LOOPBACK_UNTIL(loopback, condition) \
  do { \
    instant loopback_limit = instant_after(loop_now(), LOOPBACK_HANG); \
    while (!(condition)) { \
      cr_assert(loop_now() < loopback_limit, "hangs: %s", #condition); \
      driver_turn((loopback)->driver, 5 * MILLISECONDS); \
    } \
  } while (0)

/* Non-blocking sockets. */
int peer_connect(const struct address *);
int peer_listen(struct address *ret);
/* What could be sent or received now; *ret_end: the other way is over (EOF), or broken (also *ret_reset). */
size_t peer_send(int fd, const void *bytes, size_t len);
size_t peer_receive(int fd, void *bytes, size_t len, bool *ret_end, bool *ret_reset);

/* Bytes that differ from place to place, so that what is lost, doubled or moved shows. */
uint8_t pattern_at(uint64_t offset);
void pattern_fill(uint8_t *bytes, size_t len, uint64_t offset);
bool pattern_matches(const uint8_t *bytes, size_t len, uint64_t offset);

/* A folder of its own under TMPDIR, gone after folder_remove_all. */
void temporary_folder(char ret_path[64]);
void temporary_folder_remove(const char *path);

#endif
