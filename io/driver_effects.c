#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/driver_internal.h"

static bool send_message(struct driver *driver, const struct effect *effect) {
  struct parcel parcel = {.kind = PARCEL_MESSAGE, .from = driver->config.index, .message = effect->message, .fd = -1};
  return exchange_put(driver->config.exchange, effect->to, &parcel);
}

static bool hand_over(struct driver *driver, const struct effect *effect) {
  struct connection *connection = connection_find(driver, effect->id);
  if (connection == NULL) return true;
  struct parcel parcel = {.kind = PARCEL_SOCKET, .from = driver->config.index, .fd = connection->fd,
                          .connection = connection->kind, .peer = connection->peer};
  connection->is_paused = true; /* what comes while the ring is full is the next machine's */
  connection_read(connection, false);
  watch_write(connection->watch, false);
  /* The other thread may use the descriptor at once, so this one must have let go of it. */
  if (!exchange_put(driver->config.exchange, effect->to, &parcel)) return false;
  (void)connection_release(connection);
  return true;
}

/* Said once until a file can be written again: it is tried for ever, and a full disk is the log's, too. */
static void note_written(struct driver *driver, const struct effect *effect, enum outcome outcome, const struct complaint *complaint) {
  bool was_told = driver->unwritten[0] != 0;
  driver->unwritten[0] = 0;
  if (outcome == OUTCOME_OK) return;
  const char *why = strrchr(complaint->text, ':'); /* the folder is known to who asks, and its path may be long */
  snprintf(driver->unwritten, sizeof driver->unwritten, "%.80s can't be written%.64s", effect->name, why == NULL ? "" : why);
  if (!was_told) trace_write(log_writer_trace(driver->config.log), TRACE_ERROR, "files", "%s", complaint->text);
}

static void write_file(struct driver *driver, struct effect *effect) {
  struct event event = {.kind = EVENT_WRITTEN, .id = effect->id, .outcome = OUTCOME_FILE_FAILED};
  struct complaint complaint = {.text = ""};
  if (driver->config.folder != NULL)
    event.outcome = folder_write(driver->config.folder, effect->name, document_bytes(effect->document),
                                 document_len(effect->document), effect->secret, &complaint);
  note_written(driver, effect, event.outcome, &complaint);
  document_release(effect->document);
  driver_post(driver, &event);
}

void driver_write_files(struct driver *driver) {
  for (struct effect effect; effect_queue_take(&driver->writes, &effect);) write_file(driver, &effect);
}

static void end(struct driver *driver, const struct effect *effect) {
  driver->has_exited = true;
  exchange_end(driver->config.exchange, effect->outcome);
}

/* False: it must wait for room in a ring. */
static bool carry_out(struct driver *driver, struct effect *effect) {
  struct connection *connection;
  switch (effect->kind) {
  case EFFECT_CONNECT: connection_connect(driver, effect); return true;
  case EFFECT_FINISH:
    if ((connection = connection_find(driver, effect->id)) != NULL) connection_finish(connection);
    return true;
  case EFFECT_CLOSE:
    if ((connection = connection_find(driver, effect->id)) != NULL) connection_cut(connection);
    return true;
  case EFFECT_CLOSE_FLUSHED:
    if ((connection = connection_find(driver, effect->id)) != NULL) connection_flush_and_close(connection);
    return true;
  case EFFECT_RESOLVE: resolver_ask(driver->resolver, effect->id, effect->name); return true;
  case EFFECT_WRITE_FILE:
    if (effect_queue_put(&driver->writes, effect)) return true;
    driver_write_files(driver); /* in their order */
    write_file(driver, effect);
    return true;
  case EFFECT_HAND_OVER: return hand_over(driver, effect);
  case EFFECT_MESSAGE: return send_message(driver, effect);
  case EFFECT_EXIT: end(driver, effect); return true;
  }
  assert(!"an effect is one of its kinds");
  return true;
}

/* [MACH-4] In their order, [MACH-8] so what stands behind one that waits for room waits too. */
void driver_take_effects(struct driver *driver) {
  if (driver->has_held && !carry_out(driver, &driver->held)) return;
  driver->has_held = false;
  while (driver_verbs(driver)->next_effect(driver_self(driver), &driver->held)) {
    driver->has_held = !carry_out(driver, &driver->held);
    if (driver->has_held) return;
  }
}

static void take_parcel(struct driver *driver, const struct parcel *parcel) {
  switch (parcel->kind) {
  case PARCEL_MESSAGE: {
    struct event event = {.kind = EVENT_MESSAGE, .from = parcel->from, .message = parcel->message};
    driver_verbs(driver)->event(driver_self(driver), driver->now, &event);
    break;
  }
  case PARCEL_SOCKET:
    if (exchange_is_over(driver->config.exchange)) close(parcel->fd);
    else driver_adopt(driver, parcel->fd, parcel->connection, &parcel->peer);
    break;
  }
}

void driver_take_parcels(struct driver *driver) {
  struct parcel parcel;
  int taken = 0;
  while (taken < DRIVER_PARCELS_PER_TURN && exchange_take(driver->config.exchange, driver->config.index, &parcel)) {
    take_parcel(driver, &parcel);
    taken++;
  }
  driver->has_parcels = taken == DRIVER_PARCELS_PER_TURN;
}

void driver_drop_effects(struct driver *driver) {
  driver_take_parcels(driver);
  while (driver->has_held || driver_verbs(driver)->next_effect(driver_self(driver), &driver->held)) {
    struct effect *effect = &driver->held;
    driver->has_held = effect->kind == EFFECT_MESSAGE && !send_message(driver, effect);
    if (driver->has_held) return;
    if (effect->kind == EFFECT_WRITE_FILE) document_release(effect->document);
  }
}
