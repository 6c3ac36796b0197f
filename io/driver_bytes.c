#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "io/driver_internal.h"

static size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}

/* Replaces what is kept in *kept by a copy of exactly these bytes. */
static bool keep(uint8_t **kept, size_t *kept_len, uint64_t *sum, const uint8_t *bytes, size_t len) {
  uint8_t *copy = NULL;
  if (len > 0) {
    copy = malloc(len);
    if (copy == NULL) return false;
    memcpy(copy, bytes, len);
  }
  free(*kept);
  *sum += len;
  *sum -= *kept_len;
  *kept = copy;
  *kept_len = len;
  return true;
}

static void pause_reading(struct connection *connection) {
  connection->is_paused = true;
  connection_read(connection, false);
}

/* [MACH-6] Gives the machine `len` bytes that stand in driver->in, at most `room`, and keeps what it leaves. False: the
 * connection is gone. */
static bool present(struct connection *connection, size_t len, size_t room) {
  struct driver *driver = connection->driver;
  size_t used = 0;
  connection->presents_again = false;
  enum outcome outcome =
      driver_verbs(driver)->receive(driver_self(driver), driver->now, connection->id, driver->in, least(len, room), &used);
  if (outcome != OUTCOME_OK) { /* it has closed the connection, by an effect that comes now */
    pause_reading(connection);
    used = len;
  }
  bool is_kept = keep(&connection->kept, &connection->kept_len, &driver->kept_bytes, driver->in + used, len - used);
  if (is_kept && connection->kept_len < DRIVER_RECEIVE_BYTES) {
    /* Whole messages may stand behind one that waits for work, and nothing need follow them: ready will mean them. */
    if (connection->kept_len > 0 && driver_verbs(driver)->room(driver_self(driver), connection->id) == 0) pause_reading(connection);
    return true;
  }
  connection_fail(connection, is_kept ? OUTCOME_PROTOCOL_VIOLATION : OUTCOME_NO_MEMORY);
  return false;
}

/* The peer's way is over, well or badly. */
static void receive_end(struct connection *connection, enum outcome outcome) {
  struct driver *driver = connection->driver;
  if (connection->broken != OUTCOME_OK) outcome = connection->broken;
  if (outcome != OUTCOME_OK) {
    connection_fail(connection, outcome);
    return;
  }
  connection->has_eof = true;
  connection_read(connection, false);
  if (connection->state == STATE_OPEN) driver_post(driver, &(struct event){.kind = EVENT_EOF, .id = connection->id});
  else if (connection->has_finished) connection_free(connection);
}

static bool would_block(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* One recv: there may be others, and the loop says again if there is more. */
static void receive_open(struct connection *connection) {
  struct driver *driver = connection->driver;
  size_t room = driver_verbs(driver)->room(driver_self(driver), connection->id);
  if (room == 0) {
    pause_reading(connection);
    return;
  }
  size_t kept = connection->kept_len, most = least(room, DRIVER_RECEIVE_BYTES);
  size_t wanted = most > kept ? least(most - kept, connection->receive_limit) : 0;
  ssize_t got = wanted == 0 ? 0 : recv(connection->fd, driver->in + kept, wanted, 0);
  int error = errno;
  bool is_end = wanted > 0 && (got == 0 || (got < 0 && !would_block(error)));
  bool is_quiet = got < 0 && would_block(error);
  if (got > 0 || wanted == 0 || connection->presents_again) {
    size_t new_bytes = got > 0 ? (size_t)got : 0;
    driver->received_bytes += new_bytes;
    if (new_bytes == connection->receive_limit) connection->receive_limit = least(2 * new_bytes, DRIVER_RECEIVE_BYTES);
    if (kept > 0) memcpy(driver->in, connection->kept, kept);
    if (!present(connection, kept + new_bytes, room)) return;
  }
  if (is_end) receive_end(connection, got == 0 ? OUTCOME_OK : tcp_outcome(error, false));
  else if (is_quiet && connection->broken != OUTCOME_OK) receive_end(connection, connection->broken);
}

/* [MACH-3] Nobody is interested any more, and whoever sends without end is left to wait: their system stops them. */
static void receive_closing(struct connection *connection) {
  struct driver *driver = connection->driver;
  ssize_t got = recv(connection->fd, driver->in, DRIVER_RECEIVE_BYTES, 0);
  if (got < 0 && would_block(errno)) return;
  if (got <= 0) {
    receive_end(connection, got == 0 ? OUTCOME_OK : tcp_outcome(errno, false));
    return;
  }
  connection->forgotten += (size_t)got;
  if (connection->forgotten >= DRIVER_FORGET_BYTES) connection_read(connection, false);
}

void driver_receive(struct driver *driver) {
  for (struct list_node *node; (node = list_take_first(&driver->readable)) != NULL;) {
    struct connection *connection = LIST_OBJECT(node, struct connection, readable);
    if (connection->state == STATE_CLOSING) receive_closing(connection);
    else if (!connection->is_paused && !connection->has_eof) receive_open(connection);
  }
}

static void send_failed(struct connection *connection, enum outcome outcome) {
  keep(&connection->unsent, &connection->unsent_len, &connection->driver->unsent_bytes, NULL, 0);
  watch_write(connection->watch, false);
  /* A server that answers and closes before it has read everything: its answer is still there to be read. */
  if (connection->state == STATE_OPEN && watch_reads(connection->watch)) connection->broken = outcome;
  else connection_fail(connection, outcome);
}

/* The machine has no more for now. */
static void sent_all(struct connection *connection) {
  watch_write(connection->watch, false);
  if (!connection->wants_finish || connection->has_finished) return;
  connection->has_finished = true;
  (void)shutdown(connection->fd, SHUT_WR); /* if it fails, the connection is gone, which the loop will tell */
  if (connection->state == STATE_CLOSING && connection->has_eof) connection_free(connection);
}

/* Bytes to send: what the socket did not take before, else what the machine gives. */
static size_t next_bytes(struct connection *connection, const uint8_t **ret) {
  struct driver *driver = connection->driver;
  if (connection->unsent_len > 0) {
    *ret = connection->unsent + connection->unsent_at;
    return connection->unsent_len - connection->unsent_at;
  }
  *ret = driver->out;
  if (connection->has_finished) return 0;
  return driver_verbs(driver)->transmit(driver_self(driver), driver->now, connection->id, driver->out, connection->transmit_limit);
}

/* The socket took `sent` of `len`: who is slow gets less at a time, so that little is kept for them. */
static void block(struct connection *connection, const uint8_t *bytes, size_t sent, size_t len) {
  struct driver *driver = connection->driver;
  connection->is_blocked = true;
  connection->transmit_limit = DRIVER_FIRST_TRANSMIT_BYTES;
  watch_write(connection->watch, true);
  if (connection->unsent_len > 0) {
    connection->unsent_at += sent;
  } else if (!keep(&connection->unsent, &connection->unsent_len, &driver->unsent_bytes, bytes + sent, len - sent)) {
    connection_fail(connection, OUTCOME_NO_MEMORY);
  } else {
    connection->unsent_at = 0;
  }
}

/* [PACE-1] Before anything more is given to the socket. */
static void keep_pace(struct connection *connection) {
  struct pace_sample sample;
  instant now = connection->driver->now;
  if (connection->pace == NULL || connection->state == STATE_CONNECTING || !pace_is_due(connection->pace, now)) return;
  if (!tcp_sample(connection->fd, &sample)) return;
  const struct machine_verbs *verbs = driver_verbs(connection->driver);
  sample.circuits = verbs->waiting == NULL ? 0 : verbs->waiting(driver_self(connection->driver), connection->id);
  if (pace_measure(connection->pace, now, &sample)) tcp_set_pace(connection->fd, connection->pace->limit);
  if (connection->pace->is_renewal_due) tcp_renew_control(connection->fd);
}

/* [MACH-5] Until the machine gives 0 or the socket takes no more; after some sends others come first. */
static void transmit(struct connection *connection) {
  struct driver *driver = connection->driver;
  keep_pace(connection);
  for (int i = 0; i < DRIVER_SENDS_PER_TURN; i++) {
    const uint8_t *bytes;
    size_t len = next_bytes(connection, &bytes);
    if (len == 0) {
      sent_all(connection);
      return;
    }
    ssize_t sent = send(connection->fd, bytes, len, MSG_NOSIGNAL);
    if (sent < 0 && !would_block(errno)) {
      send_failed(connection, tcp_outcome(errno, false));
      return;
    }
    if (sent > 0) driver->sent_bytes += (uint64_t)sent;
    if (sent < (ssize_t)len) {
      block(connection, bytes, sent > 0 ? (size_t)sent : 0, len);
      return;
    }
    if (connection->unsent_len > 0) keep(&connection->unsent, &connection->unsent_len, &driver->unsent_bytes, NULL, 0);
    else if (len > connection->transmit_limit / 2) connection->transmit_limit = least(2 * connection->transmit_limit, DRIVER_TRANSMIT_BYTES);
  }
  list_append(&driver->ready_again, &connection->ready);
}

void driver_transmit(struct driver *driver) {
  for (struct list_node *node; (node = list_take_first(&driver->ready)) != NULL;)
    transmit(LIST_OBJECT(node, struct connection, ready));
  for (struct list_node *node; (node = list_take_first(&driver->ready_again)) != NULL;) list_append(&driver->ready, node);
}
