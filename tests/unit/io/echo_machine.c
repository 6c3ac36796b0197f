#include "tests/unit/io/echo_machine.h"

#include <criterion/criterion.h>
#include <string.h>

#include "protocol/status.h"
#include "tests/unit/protocol/failing_allocator.h"

void echo_machine_init(struct echo_machine *machine) {
  *machine = (struct echo_machine){.deadline = INSTANT_NEVER, .messages_in_order = true};
  id_table_init(&machine->connections, sizeof(struct echo_connection), 4096);
  list_init(&machine->ready);
}

void echo_machine_wipe(struct echo_machine *machine) {
  id_table_wipe(&machine->connections);
  effect_queue_wipe(&machine->effects);
}

/* Its own memory is not what is tested. */
void echo_machine_put(struct echo_machine *machine, struct effect effect) {
  failing_allocator_pause(true);
  cr_assert(effect_queue_put(&machine->effects, &effect));
  failing_allocator_pause(false);
}

struct echo_connection *echo_machine_connection(const struct echo_machine *machine, struct id id) {
  return id_table_get(&machine->connections, id);
}

static struct id add(struct echo_machine *machine) {
  struct id id;
  struct echo_connection *connection = id_table_add(&machine->connections, &id);
  if (connection == NULL) return ID_NONE;
  connection->id = id;
  return id;
}

static void make_ready(struct echo_machine *machine, struct echo_connection *connection) {
  if (!list_contains_node(&connection->ready)) list_append(&machine->ready, &connection->ready);
}

struct id echo_machine_connect(struct echo_machine *machine, enum connection_kind kind, const struct address *address) {
  struct id id = add(machine);
  echo_machine_put(machine, (struct effect){.kind = EFFECT_CONNECT, .id = id, .connection = kind, .address = *address});
  return id;
}

void echo_machine_say(struct echo_machine *machine, struct id id, const char *text) {
  struct echo_connection *connection = echo_machine_connection(machine, id);
  size_t len = strlen(text);
  cr_assert(connection != NULL && connection->len + len <= ECHO_BUFFER_BYTES);
  memcpy(connection->bytes + connection->len, text, len);
  connection->len += len;
  make_ready(machine, connection);
}

const struct event *echo_machine_event(const struct echo_machine *machine, enum event_kind kind) {
  for (uint32_t i = machine->event_count; i > 0; i--)
    if (machine->events[i - 1].kind == kind) return &machine->events[i - 1];
  return NULL;
}

void echo_machine_listen(struct echo_machine *machine) {
  uint32_t cursor = 0;
  struct id id;
  struct echo_connection *connection;
  machine->is_deaf = false;
  while ((connection = id_table_next(&machine->connections, &cursor, &id)) != NULL) make_ready(machine, connection);
}

static void drop(struct echo_machine *machine, struct echo_connection *connection) {
  list_leave(&connection->ready);
  id_table_remove(&machine->connections, connection->id);
}

static struct id verb_accept(void *self, instant now, enum connection_kind kind, const struct address *peer) {
  struct echo_machine *machine = self;
  (void)now, (void)kind;
  cr_assert_neq(peer->family, ADDRESS_NONE);
  struct id id = add(machine);
  machine->accepted++;
  if (machine->hand_over_to != 0) {
    echo_machine_put(machine, (struct effect){.kind = EFFECT_HAND_OVER, .id = id, .to = machine->hand_over_to});
    drop(machine, echo_machine_connection(machine, id));
  }
  return id;
}

static size_t room_of(const struct echo_machine *machine, const struct echo_connection *connection) {
  if (connection == NULL || machine->is_deaf || connection->eof) return 0;
  size_t room = ECHO_BUFFER_BYTES - connection->len;
  if (machine->record_bytes == 0) return room;
  return room < machine->record_bytes ? 0 : SIZE_MAX; /* a link takes whatever there is, and leaves what it can't use */
}

static size_t verb_room(const void *self, struct id id) {
  const struct echo_machine *machine = self;
  struct echo_connection *connection = echo_machine_connection(machine, id);
  size_t room = room_of(machine, connection);
  if (room == 0 && connection != NULL) connection->had_no_room = true;
  return room;
}

static enum outcome verb_receive(void *self, instant now, struct id id, uint8_t *in, size_t len, size_t *ret_used) {
  struct echo_machine *machine = self;
  struct echo_connection *connection = echo_machine_connection(machine, id);
  (void)now;
  cr_assert(connection != NULL && len > 0);
  size_t used = len, space = ECHO_BUFFER_BYTES - connection->len;
  if (machine->record_bytes != 0) {
    used = (len < space ? len : space) / machine->record_bytes * machine->record_bytes;
    connection->left_at += used < len;
  }
  cr_assert(used <= space, "more than there was room for");
  connection->received += used;
  if (!machine->flood) {
    memcpy(connection->bytes + connection->len, in, used);
    connection->len += used;
  }
  memset(in, 0xee, used); /* it is ours to change */
  *ret_used = used;
  make_ready(machine, connection);
  return OUTCOME_OK;
}

static void finish(struct echo_machine *machine, struct echo_connection *connection) {
  connection->finished = true;
  echo_machine_put(machine, (struct effect){.kind = machine->close_flushed ? EFFECT_CLOSE_FLUSHED : EFFECT_FINISH, .id = connection->id});
}

static size_t verb_transmit(void *self, instant now, struct id id, uint8_t *out, size_t room) {
  struct echo_machine *machine = self;
  struct echo_connection *connection = echo_machine_connection(machine, id);
  (void)now;
  if (connection == NULL) return 0;
  if (machine->flood && !connection->finished) {
    memset(out, 'f', room);
    return room;
  }
  size_t len = connection->len < room ? connection->len : room;
  memcpy(out, connection->bytes, len);
  memmove(connection->bytes, connection->bytes + len, connection->len - len);
  connection->len -= len;
  if (connection->had_no_room && room_of(machine, connection) > 0) {
    connection->had_no_room = false;
    make_ready(machine, connection);
  }
  return len;
}

static void take_message(struct echo_machine *machine, const struct event *event) {
  uint32_t count = atomic_fetch_add(&machine->messages, 1) + 1;
  machine->messages_in_order = machine->messages_in_order && event->message.value == count;
  for (uint32_t i = 0; i < machine->answers; i++) {
    machine->last_message++;
    struct machine_message message = {.value = machine->last_message};
    echo_machine_put(machine, (struct effect){.kind = EFFECT_MESSAGE, .to = event->from, .message = message});
  }
}

static void verb_event(void *self, instant now, const struct event *event) {
  struct echo_machine *machine = self;
  struct echo_connection *connection = echo_machine_connection(machine, event->id);
  (void)now;
  if (event->kind == EVENT_MESSAGE) {
    take_message(machine, event);
    return;
  }
  if (machine->event_count < ECHO_EVENTS_MAX) machine->events[machine->event_count++] = *event;
  if (event->kind == EVENT_EOF && connection != NULL) {
    connection->eof = true;
    finish(machine, connection);
  } else if (event->kind == EVENT_CLOSED && connection != NULL) {
    drop(machine, connection);
  } else if (event->kind == EVENT_STOP) {
    echo_machine_put(machine, (struct effect){.kind = EFFECT_EXIT, .outcome = OUTCOME_OK});
  }
}

static bool verb_next_ready(void *self, struct id *ret) {
  struct echo_machine *machine = self;
  struct list_node *node = list_take_first(&machine->ready);
  if (node == NULL) return false;
  *ret = LIST_OBJECT(node, struct echo_connection, ready)->id;
  return true;
}

static bool verb_next_effect(void *self, struct effect *ret) {
  struct echo_machine *machine = self;
  machine->works_in_turn = 0;
  return effect_queue_take(&machine->effects, ret);
}

static instant verb_deadline(const void *self) {
  return ((const struct echo_machine *)self)->deadline;
}

static void verb_tick(void *self, instant now) {
  struct echo_machine *machine = self;
  cr_assert(now >= machine->deadline, "ticked too early");
  machine->ticks++;
  machine->ticked_at = now;
  machine->deadline = INSTANT_NEVER;
}

static bool verb_work(void *self, instant now) {
  struct echo_machine *machine = self;
  (void)now;
  if (machine->work_left == 0) return false;
  machine->works_in_turn++;
  if (machine->works_in_turn > machine->works_most) machine->works_most = machine->works_in_turn;
  return --machine->work_left > 0;
}

static void verb_status(const void *self, instant now, struct status *ret) {
  (void)self, (void)now;
  *ret = (struct status){.role = "echo", .ready = true, .stage = 1, .stages = 1, .stage_text = "ready"};
}

static const struct machine_verbs VERBS = {
    .accept = verb_accept, .room = verb_room, .receive = verb_receive, .transmit = verb_transmit, .event = verb_event,
    .next_ready = verb_next_ready, .next_effect = verb_next_effect, .deadline = verb_deadline, .tick = verb_tick,
    .work = verb_work, .status = verb_status,
};

struct machine echo_machine_machine(struct echo_machine *machine) {
  return (struct machine){machine, &VERBS};
}
