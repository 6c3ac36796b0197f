#include "tests/sim/conformance_machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void scripted_init(struct scripted *machine) {
  memset(machine, 0, sizeof *machine);
  machine->deadline = INSTANT_NEVER;
  machine->room = SIZE_MAX;
  machine->unit = 1;
  id_table_init(&machine->connections, sizeof(struct scripted_connection), 64);
  list_init(&machine->ready);
}

void scripted_wipe(struct scripted *machine) {
  id_table_wipe(&machine->connections);
  effect_queue_wipe(&machine->effects);
}

void scripted_forget(struct scripted *machine) {
  machine->record_len = 0;
  machine->record[0] = 0;
  machine->receiving = 0;
}

__attribute__((format(printf, 2, 3))) static void note(struct scripted *machine, const char *format, ...) {
  size_t left = sizeof machine->record - machine->record_len;
  va_list arguments;
  va_start(arguments, format);
  int len = vsnprintf(machine->record + machine->record_len, left, format, arguments);
  va_end(arguments);
  machine->record_len += len < 0 ? 0 : (size_t)len < left ? (size_t)len : left - 1;
  machine->receiving = 0;
}

static void expect(struct scripted *machine, bool holds, const char *rule) {
  if (!holds && machine->fault == NULL) machine->fault = rule;
}

static void see_now(struct scripted *machine, instant now) {
  expect(machine, now >= machine->last_now, "time never runs backwards");
  machine->last_now = now;
}

void scripted_put(struct scripted *machine, struct effect effect) {
  if (!effect_queue_put(&machine->effects, &effect)) abort();
}

struct scripted_connection *scripted_connection(const struct scripted *machine, struct id id) {
  return id_table_get(&machine->connections, id);
}

static struct id add(struct scripted *machine) {
  struct id id;
  struct scripted_connection *connection = id_table_add(&machine->connections, &id);
  if (connection == NULL) abort();
  connection->id = machine->newest = id;
  connection->number = ++machine->count;
  connection->room = machine->room;
  connection->unit = machine->unit;
  return id;
}

static void make_ready(struct scripted *machine, struct scripted_connection *connection) {
  if (!list_contains_node(&connection->ready)) list_append(&machine->ready, &connection->ready);
}

struct id scripted_connect(struct scripted *machine, enum connection_kind kind, const struct address *address) {
  struct id id = add(machine);
  scripted_put(machine, (struct effect){.kind = EFFECT_CONNECT, .id = id, .connection = kind, .address = *address});
  return id;
}

void scripted_send(struct scripted *machine, struct id id, const void *bytes, size_t len) {
  struct scripted_connection *connection = scripted_connection(machine, id);
  if (connection == NULL || connection->out_len > 0) abort();
  connection->out = bytes;
  connection->out_len = len;
  make_ready(machine, connection);
}

void scripted_set_room(struct scripted *machine, struct id id, size_t room) {
  struct scripted_connection *connection = scripted_connection(machine, id);
  if (connection == NULL) abort();
  if (connection->room == 0 && room > 0) make_ready(machine, connection);
  connection->room = room;
}

void scripted_drop(struct scripted *machine, struct id id) {
  struct scripted_connection *connection = scripted_connection(machine, id);
  if (connection == NULL) return;
  list_leave(&connection->ready);
  id_table_remove(&machine->connections, id);
}

static struct id verb_accept(void *self, instant now, enum connection_kind kind, const struct address *peer) {
  struct scripted *machine = self;
  see_now(machine, now);
  expect(machine, peer->family != ADDRESS_NONE && peer->port != 0, "accept tells the peer's address");
  struct id id = add(machine);
  machine->accepts = kind;
  note(machine, "accept %u\n", machine->count);
  if (machine->hand_over_to != 0) {
    scripted_put(machine, (struct effect){.kind = EFFECT_HAND_OVER, .id = id, .to = machine->hand_over_to});
    scripted_drop(machine, id);
  }
  return id;
}

static size_t verb_room(const void *self, struct id id) {
  const struct scripted_connection *connection = scripted_connection(self, id);
  return connection == NULL ? 0 : connection->room;
}

/* [MACH-6] What is used is written down, as one piece however it was cut. */
static enum outcome verb_receive(void *self, instant now, struct id id, uint8_t *in, size_t len, size_t *ret_used) {
  struct scripted *machine = self;
  struct scripted_connection *connection = scripted_connection(machine, id);
  see_now(machine, now);
  *ret_used = len;
  if (connection == NULL) return OUTCOME_NOT_FOUND;
  expect(machine, len > 0 && len <= connection->room, "receive gives at most room, and something");
  *ret_used = len / connection->unit * connection->unit;
  if (connection->stalls && *ret_used > 0) {
    *ret_used = connection->unit;
    connection->room = 0;
  }
  if (*ret_used > 0 && machine->receiving != connection->number) {
    note(machine, "receive %u \n", connection->number);
    machine->receiving = connection->number;
  }
  uint32_t receiving = machine->receiving;
  if (*ret_used > 0) {
    machine->record_len--; /* the line goes on */
    note(machine, "%.*s\n", (int)*ret_used, (const char *)in);
  }
  machine->receiving = receiving;
  memset(in, '#', *ret_used); /* the bytes are the machine's to change, and those it left must not change with them */
  return OUTCOME_OK;
}

static size_t verb_transmit(void *self, instant now, struct id id, uint8_t *out, size_t room) {
  struct scripted *machine = self;
  struct scripted_connection *connection = scripted_connection(machine, id);
  see_now(machine, now);
  if (connection == NULL) return 0;
  size_t len = connection->out_len < room ? connection->out_len : room;
  if (len > 0) memcpy(out, connection->out, len);
  connection->out += len;
  connection->out_len -= len;
  return len;
}

static void connection_event(struct scripted *machine, const struct event *event) {
  struct scripted_connection *connection = scripted_connection(machine, event->id);
  if (connection == NULL) { /* [MACH-3] allowed, and to be ignored */
    return;
  }
  if (event->kind == EVENT_CONNECTED) {
    expect(machine, event->address.family != ADDRESS_NONE, "CONNECTED tells the peer's address");
    note(machine, "connected %u\n", connection->number);
  } else if (event->kind == EVENT_EOF) {
    note(machine, "eof %u\n", connection->number);
  } else {
    note(machine, "closed %u %s\n", connection->number, outcome_name(event->outcome));
    scripted_drop(machine, event->id);
  }
}

static void verb_event(void *self, instant now, const struct event *event) {
  struct scripted *machine = self;
  see_now(machine, now);
  switch (event->kind) {
  case EVENT_CLOCK:
    expect(machine, event->clock.date.milliseconds > 0 && event->clock.at <= now, "the clock is a date at an instant");
    note(machine, "clock\n");
    return;
  case EVENT_CONNECTED:
  case EVENT_EOF:
  case EVENT_CLOSED: connection_event(machine, event); return;
  case EVENT_RESOLVED:
    expect(machine, (event->outcome == OUTCOME_OK) == (event->address_count > 0), "a lookup that worked has addresses");
    expect(machine, event->address_count == 0 || event->addresses[0].port == 0, "addresses of a lookup have no port");
    note(machine, "resolved %u %s\n", event->id.slot, event->outcome == OUTCOME_OK ? "ok" : "failed");
    return;
  case EVENT_WRITTEN: note(machine, "written %u %s\n", event->id.slot, outcome_name(event->outcome)); return;
  case EVENT_MESSAGE: note(machine, "message %u %u\n", event->from, (unsigned)event->message.value); return;
  case EVENT_STOP: note(machine, "stop\n"); return;
  }
}

static bool verb_next_ready(void *self, struct id *ret) {
  struct scripted *machine = self;
  struct list_node *node = list_take_first(&machine->ready);
  if (node == NULL) return false;
  *ret = LIST_OBJECT(node, struct scripted_connection, ready)->id;
  return true;
}

static bool verb_next_effect(void *self, struct effect *ret) {
  return effect_queue_take(&((struct scripted *)self)->effects, ret);
}

static instant verb_deadline(const void *self) {
  return ((const struct scripted *)self)->deadline;
}

static void verb_tick(void *self, instant now) {
  struct scripted *machine = self;
  see_now(machine, now);
  expect(machine, now >= machine->deadline, "no tick before the deadline");
  machine->deadline = INSTANT_NEVER;
  note(machine, "tick\n");
}

static bool verb_work(void *self, instant now) {
  struct scripted *machine = self;
  see_now(machine, now);
  if (machine->work_left == 0) return false;
  if (--machine->work_left == 0) note(machine, "worked\n");
  return machine->work_left > 0;
}

static const struct machine_verbs VERBS = {
    .accept = verb_accept, .room = verb_room, .receive = verb_receive, .transmit = verb_transmit, .event = verb_event,
    .next_ready = verb_next_ready, .next_effect = verb_next_effect, .deadline = verb_deadline, .tick = verb_tick, .work = verb_work,
};

struct machine scripted_machine(struct scripted *machine) {
  return (struct machine){machine, &VERBS};
}
