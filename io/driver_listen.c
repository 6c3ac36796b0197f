#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "io/driver_internal.h"

static void note(void *context, bool readable, bool writable) {
  struct listener *listener = context;
  (void)writable;
  listener->has_news = readable;
}

enum outcome driver_listen(struct driver *driver, const struct address *address, enum connection_kind kind,
                           struct address *ret_bound) {
  struct address bound;
  int fd;
  if (driver->listener_count == DRIVER_LISTENERS_MAX) return OUTCOME_LIMIT_REACHED;
  struct listener *listener = &driver->listeners[driver->listener_count];
  enum outcome outcome = tcp_listen(address, kind, &fd, &bound);
  if (outcome != OUTCOME_OK) return outcome;
  *listener = (struct listener){.driver = driver, .fd = fd, .kind = kind};
  listener->watch = watch_new(driver->loop, fd, note, listener);
  if (listener->watch == NULL) {
    close(fd);
    return OUTCOME_NO_MEMORY;
  }
  driver->listener_count++;
  watch_read(listener->watch, true);
  if (ret_bound != NULL) *ret_bound = bound;
  return OUTCOME_OK;
}

void driver_close_listeners(struct driver *driver) {
  for (uint32_t i = 0; i < driver->listener_count; i++) {
    watch_free(driver->listeners[i].watch);
    close(driver->listeners[i].fd);
  }
  driver->listener_count = 0;
}

static void listen_again(struct driver *driver, bool on) {
  for (uint32_t i = 0; i < driver->listener_count; i++) watch_read(driver->listeners[i].watch, on);
}

/* Who comes meanwhile waits in the kernel's backlog. Asking again at once would take the processor from those inside. */
static void pause_for_shortage(struct driver *driver, int error) {
  listen_again(driver, false);
  driver->accept_again = instant_after(driver->now, DRIVER_SHORTAGE_PAUSE);
  if (driver->shortage_told) return;
  driver->shortage_told = true;
  trace_write(log_writer_trace(driver->config.log), TRACE_WARNING, "driver", "new connections wait: %s", strerror(error));
}

void driver_adopt(struct driver *driver, int fd, enum connection_kind kind, const struct address *peer) {
  struct id id = driver_verbs(driver)->accept(driver_self(driver), driver->now, kind, peer);
  if (id_is_none(id)) {
    close(fd);
    return;
  }
  struct connection *connection = connection_new(driver, id, fd, kind, peer);
  if (connection != NULL) connection_read(connection, true);
  else driver_post(driver, &(struct event){.kind = EVENT_CLOSED, .id = id, .outcome = OUTCOME_NO_MEMORY});
}

static void accept_from(struct driver *driver, struct listener *listener) {
  for (int i = 0; i < DRIVER_ACCEPTS_PER_TURN; i++) {
    struct address peer;
    int fd = tcp_accept(listener->fd, &peer);
    if (fd >= 0) {
      driver->shortage_told = false;
      driver_adopt(driver, fd, listener->kind, &peer);
    } else if (tcp_is_shortage(errno)) {
      pause_for_shortage(driver, errno);
      return;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } /* else that one connection broke before we had it */
  }
}

void driver_accept(struct driver *driver) {
  if (driver->accept_again <= driver->now) {
    driver->accept_again = INSTANT_NEVER;
    listen_again(driver, true);
  }
  for (uint32_t i = 0; i < driver->listener_count; i++) {
    struct listener *listener = &driver->listeners[i];
    if (!listener->has_news) continue;
    listener->has_news = false;
    accept_from(driver, listener);
  }
}
