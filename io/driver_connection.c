#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/driver_internal.h"
#include "protocol/limits.h"

static void note(void *context, bool readable, bool writable) {
  struct connection *connection = context;
  struct driver *driver = connection->driver;
  if (readable && !list_contains_node(&connection->readable)) list_append(&driver->readable, &connection->readable);
  if (writable && !list_contains_node(&connection->writable)) list_append(&driver->writable, &connection->writable);
}

struct connection *connection_find(const struct driver *driver, struct id id) {
  struct connection *connection = id.slot < driver->slot_count ? driver->slots[id.slot] : NULL;
  while (connection != NULL && (connection->id.generation != id.generation)) connection = connection->next_in_slot;
  return connection;
}

/* Machines number slots densely, so the array is never much larger than what lives. */
static bool make_slot(struct driver *driver, uint32_t slot) {
  if (slot < driver->slot_count) return true;
  uint32_t count = driver->slot_count == 0 ? 64 : driver->slot_count;
  while (count <= slot && count < UINT32_MAX / 2) count *= 2;
  if (count <= slot) return false;
  struct connection **slots = realloc(driver->slots, count * sizeof(struct connection *));
  if (slots == NULL) return false;
  for (uint32_t i = driver->slot_count; i < count; i++) slots[i] = NULL;
  driver->slots = slots;
  driver->slot_count = count;
  return true;
}

static void leave_slot(struct connection *connection) {
  struct connection **place = &connection->driver->slots[connection->id.slot];
  while (*place != connection) place = &(*place)->next_in_slot;
  *place = connection->next_in_slot;
}

struct connection *connection_new(struct driver *driver, struct id id, int fd, enum connection_kind kind,
                                  const struct address *peer) {
  assert(connection_find(driver, id) == NULL);
  struct connection *connection = calloc(1, sizeof *connection);
  struct watch *watch = connection == NULL ? NULL : watch_new(driver->loop, fd, note, connection);
  if (watch == NULL || !make_slot(driver, id.slot)) {
    watch_free(watch);
    free(connection);
    close(fd);
    return NULL;
  }
  *connection = (struct connection){
      .driver = driver, .id = id, .fd = fd, .kind = kind, .state = STATE_OPEN, .peer = *peer, .watch = watch,
      /* Only links leave bytes to be kept. */
      .receive_limit = kind == CONNECTION_LINK ? DRIVER_FIRST_RECEIVE_BYTES : DRIVER_RECEIVE_BYTES,
      .transmit_limit = DRIVER_FIRST_TRANSMIT_BYTES,
      .next_in_slot = driver->slots[id.slot]};
  driver->slots[id.slot] = connection;
  driver->connections++;
  if (kind == CONNECTION_LINK) connection->pace = calloc(1, sizeof *connection->pace); /* without memory: no pace */
  if (connection->pace != NULL) pace_init(connection->pace);
  if (kind == CONNECTION_LINK && driver->congestion[0] == 0) {
    tcp_congestion(fd, driver->congestion);
    trace_write(log_writer_trace(driver->config.log), TRACE_NOTICE, "driver", "links use the congestion control %s", driver->congestion);
  }
  return connection;
}

int connection_release(struct connection *connection) {
  struct driver *driver = connection->driver;
  int fd = connection->fd;
  struct list_node *nodes[] = {&connection->readable, &connection->writable, &connection->ready, &connection->timed};
  for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) list_leave(nodes[i]);
  leave_slot(connection);
  watch_free(connection->watch);
  driver->connections--;
  driver->closing_count -= connection->state == STATE_CLOSING;
  driver->kept_bytes -= connection->kept_len;
  driver->unsent_bytes -= connection->unsent_len;
  free(connection->kept);
  free(connection->unsent);
  free(connection->pace);
  free(connection);
  return fd;
}

void connection_free(struct connection *connection) {
  close(connection_release(connection));
}

void connection_cut(struct connection *connection) {
  const struct linger reset = {.l_onoff = 1, .l_linger = 0};
  (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset); /* where it fails the end is polite: no harm to us */
  connection_free(connection);
}

void connection_fail(struct connection *connection, enum outcome outcome) {
  struct driver *driver = connection->driver;
  struct event event = {.kind = EVENT_CLOSED, .id = connection->id, .outcome = outcome};
  bool is_known = connection->state != STATE_CLOSING;
  /* [STREAM-12] A polite end would say that this was all. */
  if (connection->kind == CONNECTION_STREAM) connection_cut(connection);
  else connection_free(connection);
  if (is_known) driver_post(driver, &event);
}

void connection_read(struct connection *connection, bool on) {
  watch_read(connection->watch, on);
  if (!on) list_leave(&connection->readable);
}

static void start_timer(struct connection *connection, struct list *list, uint64_t wait) {
  list_leave(&connection->timed);
  connection->deadline = instant_after(connection->driver->now, wait);
  list_append(list, &connection->timed); /* all of a list wait equally long, so the first is the earliest */
}

static void opened(struct connection *connection) {
  struct event event = {.kind = EVENT_CONNECTED, .id = connection->id, .address = connection->peer};
  list_leave(&connection->timed);
  connection->state = STATE_OPEN;
  connection_read(connection, true);
  watch_write(connection->watch, false);
  driver_post(connection->driver, &event);
  connection_make_ready(connection); /* it may have been made ready before */
}

void connection_connect(struct driver *driver, const struct effect *effect) {
  int fd;
  bool is_connected;
  enum outcome outcome = tcp_connect(&effect->address, effect->connection, &fd, &is_connected);
  struct connection *connection = NULL;
  if (outcome == OUTCOME_OK) {
    connection = connection_new(driver, effect->id, fd, effect->connection, &effect->address);
    if (connection == NULL) outcome = OUTCOME_NO_MEMORY;
  }
  if (connection == NULL) {
    driver_post(driver, &(struct event){.kind = EVENT_CLOSED, .id = effect->id, .outcome = outcome});
  } else if (is_connected) {
    opened(connection);
  } else {
    connection->state = STATE_CONNECTING;
    start_timer(connection, &driver->connecting, LIMIT_CONNECT_TIME);
    watch_write(connection->watch, true);
  }
}

void driver_take_connected(struct driver *driver) {
  for (struct list_node *node; (node = list_take_first(&driver->writable)) != NULL;) {
    struct connection *connection = LIST_OBJECT(node, struct connection, writable);
    if (connection->state != STATE_CONNECTING) {
      connection->is_blocked = false;
      connection_make_ready(connection);
      continue;
    }
    enum outcome outcome = tcp_connect_result(connection->fd);
    if (outcome == OUTCOME_OK) opened(connection);
    else connection_fail(connection, outcome);
  }
}

void connection_make_ready(struct connection *connection) {
  struct driver *driver = connection->driver;
  if (connection->is_paused && connection->state == STATE_OPEN && !connection->has_eof &&
      driver_verbs(driver)->room(driver_self(driver), connection->id) > 0) {
    connection->is_paused = false;
    connection_read(connection, true);
    /* What was kept may be all that the peer will ever send. [MACH-10] Read in the order of room, not in the system's. */
    connection->presents_again = connection->kept_len > 0;
    if (!list_contains_node(&connection->readable)) list_append(&driver->readable, &connection->readable);
  }
  bool may_send = connection->state != STATE_CONNECTING && !connection->is_blocked && connection->broken == OUTCOME_OK;
  if (may_send && !list_contains_node(&connection->ready)) list_append(&driver->ready, &connection->ready);
}

void connection_finish(struct connection *connection) {
  connection->wants_finish = true;
  connection_make_ready(connection);
}

/* The peer did not see to its end in time. */
static void end_closing(struct connection *connection) {
  connection->driver->closed_late += !connection->has_finished;
  if (connection->has_finished) connection_free(connection); /* the system has it all */
  else connection_cut(connection);
}

/* What the peer still sends is read and forgotten: unread bytes would make the system reset the connection, and the peer
 * might lose what we have just flushed. */
void connection_flush_and_close(struct connection *connection) {
  if (connection->state == STATE_CONNECTING || connection->broken != OUTCOME_OK) {
    connection_free(connection);
    return;
  }
  connection->state = STATE_CLOSING;
  struct driver *driver = connection->driver;
  start_timer(connection, &driver->closing, DRIVER_FLUSH_TIME);
  connection_read(connection, !connection->has_eof);
  connection_finish(connection);
  /* [LIMIT-14] Nobody counts them, and anybody can have many: without a bound they would leave no descriptors. */
  if (++driver->closing_count > driver->closing_most) end_closing(LIST_OBJECT(list_first(&driver->closing), struct connection, timed));
}

static struct connection *first_expired(const struct list *list, instant now) {
  struct list_node *node = list_first(list);
  struct connection *connection = node == NULL ? NULL : LIST_OBJECT(node, struct connection, timed);
  return connection == NULL || connection->deadline > now ? NULL : connection;
}

void driver_expire_connections(struct driver *driver) {
  struct connection *connection;
  while ((connection = first_expired(&driver->connecting, driver->now)) != NULL)
    connection_fail(connection, OUTCOME_CONNECT_TIMEOUT);
  while ((connection = first_expired(&driver->closing, driver->now)) != NULL) end_closing(connection);
}
