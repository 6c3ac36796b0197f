#include "io/driver_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/privilege.h"
#include "protocol/limits.h"

struct queued_event { struct list_node node; struct event event; };

static_assert((int)RESOLVE_ADDRESSES_MAX == (int)EVENT_ADDRESSES_MAX, "every address of a lookup fits its event");

static void tell(struct driver *driver, const struct event *event) {
  driver_verbs(driver)->event(driver_self(driver), driver->now, event);
}

static void deliver_queued(struct driver *driver) {
  for (struct list_node *node; (node = list_take_first(&driver->events)) != NULL;) {
    struct queued_event *queued = LIST_OBJECT(node, struct queued_event, node);
    tell(driver, &queued->event);
    free(queued);
  }
}

/* [MACH-12] Nothing overtakes: an end of stream that came before its CONNECTED would be heard by nobody. */
void driver_post(struct driver *driver, const struct event *event) {
  struct queued_event *queued = malloc(sizeof *queued);
  if (queued == NULL) {
    deliver_queued(driver);
    tell(driver, event);
    return;
  }
  *queued = (struct queued_event){.event = *event};
  list_append(&driver->events, &queued->node);
}

static void resolved(void *context, struct id id, enum outcome outcome, const struct address *addresses, uint32_t count) {
  struct driver *driver = context;
  struct event event = {.kind = EVENT_RESOLVED, .id = id, .outcome = outcome, .address_count = count};
  if (count > 0) memcpy(event.addresses, addresses, count * sizeof *addresses);
  driver_post(driver, &event);
}

struct driver *driver_new(const struct driver_config *config) {
  struct driver *driver = calloc(1, sizeof *driver);
  if (driver == NULL) return NULL;
  driver->config = *config;
  driver->accept_again = INSTANT_NEVER;
  struct list *lists[] = {&driver->readable, &driver->writable, &driver->ready, &driver->ready_again,
                          &driver->connecting, &driver->closing, &driver->events};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) list_init(lists[i]);
  driver->in = malloc(DRIVER_RECEIVE_BYTES);
  driver->out = malloc(DRIVER_TRANSMIT_BYTES);
  driver->loop = loop_new();
  struct resolver_config resolver = {.resolv_conf = config->resolv_conf, .hosts = config->hosts,
                                     .wait = LIMIT_RESOLVE_TIME, .callback = resolved, .context = driver};
  if (driver->loop != NULL) driver->resolver = resolver_new(driver->loop, &resolver);
  if (driver->in == NULL || driver->out == NULL || driver->resolver == NULL) {
    driver_free(driver);
    return NULL;
  }
  driver->closing_most = 1 + privilege_descriptors() / 8 / exchange_drivers(config->exchange); /* [LIMIT-14] */
  exchange_join(config->exchange, config->index, driver->loop);
  driver->now = loop_now();
  driver->has_work = true; /* the first turn does not wait: the machine has heard of nothing yet */
  return driver;
}

void driver_free(struct driver *driver) {
  if (driver == NULL) return;
  for (uint32_t slot = 0; slot < driver->slot_count; slot++)
    while (driver->slots[slot] != NULL) connection_free(driver->slots[slot]);
  driver_close_listeners(driver);
  resolver_free(driver->resolver);
  for (struct list_node *node; (node = list_take_first(&driver->events)) != NULL;)
    free(LIST_OBJECT(node, struct queued_event, node));
  effect_queue_wipe(&driver->writes);
  document_release(driver->given);
  if (driver->loop != NULL) loop_free(driver->loop);
  free(driver->slots);
  free(driver->in);
  free(driver->out);
  free(driver);
}

struct loop *driver_loop(struct driver *driver) {
  return driver->loop;
}

void driver_stop(struct driver *driver) {
  atomic_store(&driver->stop_asked, true);
  loop_wake(driver->loop);
}

void driver_give(struct driver *driver, uint32_t kind, struct document *document) {
  document_release(driver->given);
  driver->given = document;
  driver->given_kind = kind;
}

/* A person who asks a second time does not want to wait for a polite end. */
static void take_stop(struct driver *driver) {
  bool interrupted = loop_was_interrupted(driver->loop);
  bool asked = atomic_exchange(&driver->stop_asked, false);
  if (interrupted && driver->has_stopped) exchange_end(driver->config.exchange, OUTCOME_SHUTTING_DOWN);
  if ((!interrupted && !asked) || driver->has_stopped) return;
  driver->has_stopped = true;
  tell(driver, &(struct event){.kind = EVENT_STOP});
}

static void deliver_given(struct driver *driver) {
  if (driver->given == NULL) return;
  struct event event = {.kind = EVENT_MESSAGE, .message = {.kind = driver->given_kind, .object = driver->given}};
  driver->given = NULL;
  tell(driver, &event);
}

static void deliver_events(struct driver *driver) {
  if (loop_clock_was_set(driver->loop))
    tell(driver, &(struct event){.kind = EVENT_CLOCK, .clock = loop_wall_clock(driver->now)});
  take_stop(driver);
  deliver_given(driver);
  driver_take_parcels(driver);
  deliver_queued(driver);
}

static void take_ready(struct driver *driver) {
  struct id id;
  while (driver_verbs(driver)->next_ready(driver_self(driver), &id)) {
    struct connection *connection = connection_find(driver, id);
    if (connection != NULL) connection_make_ready(connection);
  }
}

/* [MACH-9] One handshake or signature each, so that a flood of them delays cells by microseconds. */
static void do_work(struct driver *driver) {
  driver->has_work = true;
  for (int i = 0; i < DRIVER_WORKS_PER_TURN && driver->has_work; i++)
    driver->has_work = driver_verbs(driver)->work(driver_self(driver), driver->now);
}

static instant first_deadline(const struct list *list) {
  const struct list_node *node = list_first(list);
  return node == NULL ? INSTANT_NEVER : LIST_OBJECT(node, struct connection, timed)->deadline;
}

/* Nothing may wait for the loop that the loop does not know of. */
static bool is_busy(const struct driver *driver) {
  return driver->has_work || driver->has_parcels || list_first(&driver->ready) != NULL ||
         list_first(&driver->readable) != NULL || list_first(&driver->events) != NULL;
}

static uint64_t time_to_wait(const struct driver *driver) {
  if (is_busy(driver)) return 0;
  instant deadline = driver_verbs(driver)->deadline(driver_self(driver));
  deadline = instant_earlier(deadline, driver->accept_again);
  deadline = instant_earlier(deadline, first_deadline(&driver->connecting));
  deadline = instant_earlier(deadline, first_deadline(&driver->closing));
  return deadline == INSTANT_NEVER ? INSTANT_NEVER : instant_until(loop_now(), deadline);
}

/* [MACH-2] receive, event, tick, effects, transmit, work. Effects that transmit and work made are taken before the
 * wait, and who became ready by them makes the wait short. Files come after the sends: a disk may be slow. */
void driver_turn(struct driver *driver, uint64_t wait) {
  uint64_t until = time_to_wait(driver);
  loop_wait(driver->loop, wait < until ? wait : until);
  driver->now = loop_now();
  driver_accept(driver);
  driver_take_connected(driver);
  driver_receive(driver);
  driver_expire_connections(driver);
  deliver_events(driver);
  const struct machine_verbs *verbs = driver_verbs(driver);
  if (verbs->deadline(driver_self(driver)) <= driver->now) verbs->tick(driver_self(driver), driver->now);
  driver_take_effects(driver);
  take_ready(driver);
  driver_transmit(driver);
  do_work(driver);
  driver_write_files(driver);
  driver_take_effects(driver);
  take_ready(driver);
  exchange_notify(driver->config.exchange, driver->config.index);
  log_writer_flush(driver->config.log);
}

void driver_run(struct driver *driver) {
  while (!exchange_is_over(driver->config.exchange)) driver_turn(driver, INSTANT_NEVER);
  if (!driver->has_exited && !driver->has_stopped) tell(driver, &(struct event){.kind = EVENT_STOP});
  driver_take_effects(driver);
  take_ready(driver);
  driver_transmit(driver);
  driver_write_files(driver);
}

void driver_settle(struct driver *driver) {
  driver_take_parcels(driver);
  driver_drop_effects(driver);
}

void driver_status(const struct driver *driver, struct status *ret) {
  *ret = (struct status){0};
  if (driver_verbs(driver)->status != NULL) driver_verbs(driver)->status(driver_self(driver), driver->now, ret);
  status_add_figure(ret, "driver_connections", driver->connections);
  status_add_figure(ret, "driver_received_bytes", driver->received_bytes);
  status_add_figure(ret, "driver_sent_bytes", driver->sent_bytes);
  status_add_figure(ret, "driver_kept_bytes", driver->kept_bytes);
  status_add_figure(ret, "driver_unsent_bytes", driver->unsent_bytes);
  status_add_figure(ret, "driver_closed_unflushed", driver->closed_late);
  if (driver->unwritten[0] != 0) status_add_text(ret, "file", driver->unwritten);
  if (driver->congestion[0] != 0) status_add_text(ret, "congestion_control", driver->congestion);
}
