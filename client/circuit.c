#include "client/client_internal.h"

#include <stdlib.h>
#include <string.h>

enum { PADDING_TAKEN_MAX = 32, OWN_CELLS_QUEUED_MAX = 1024 };

struct circuit *circuit_of_side(struct trunk_side *side) {
  return LIST_OBJECT(side, struct circuit, side);
}

bool circuit_is_open(const struct circuit *circuit) {
  return circuit->built == PATH_HOPS && !circuit->closing;
}

static void set_hop(struct circuit_hop *hop, const struct relay_entry *entry) {
  memcpy(hop->identity, entry->identity, IDENTITY_BYTES);
  memcpy(hop->onion_key, entry->onion_key, X25519_BYTES);
  memcpy(hop->nickname, entry->nickname, sizeof hop->nickname);
  hop->generation = entry->onion_generation;
  hop->suite = entry->layer_suite;
}

struct circuit *circuit_new(struct client *client, instant now, const struct path *path, struct guard_link *link) {
  struct id id;
  struct circuit *circuit = id_table_add(&client->circuits, &id);
  if (circuit == NULL) return NULL;
  circuit->build = calloc(1, sizeof *circuit->build);
  if (circuit->build == NULL) {
    id_table_remove(&client->circuits, id);
    return NULL;
  }
  circuit->id = id;
  circuit->side.owner = id;
  circuit->side.backlog.kind = BACKLOG_CIRCUIT;
  circuit->link = link;
  circuit->opened_at = now;
  circuit->spread = (uint8_t)random_below(&client->random, 256);
  circuit->exit = *path->hops[LIMIT_EXIT_PLACE]->exit_summary;
  for (int i = 0; i < PATH_HOPS; i++) set_hop(&circuit->hops[i], path->hops[i]);
  list_init(&circuit->streams);
  if (link->is_open) circuit_link_open(client, circuit);
  else list_append(&link->waiting, &circuit->waits);
  return circuit;
}

void circuit_end_build(struct circuit *circuit) {
  if (circuit->build == NULL) return;
  noise_wipe(&circuit->build->handshake);
  noise_wipe(&circuit->build->next);
  bytes_wipe(circuit->build, sizeof *circuit->build);
  free(circuit->build);
  circuit->build = NULL;
}

void circuit_free(struct client *client, struct circuit *circuit) {
  client_stream_circuit_closed(client, circuit, 0, OUTCOME_SHUTTING_DOWN);
  circuit_end_build(circuit);
  timer_heap_cancel(&client->timers, &circuit->timer);
  list_leave(&circuit->waits);
  list_leave(&circuit->wants_work);
  list_leave(&circuit->dead);
  trunk_detach(&circuit->side);
  for (int i = 0; i < PATH_HOPS; i++) {
    onion_layer_wipe(&circuit->hops[i].seal, client->contexts);
    onion_layer_wipe(&circuit->hops[i].open, client->contexts);
  }
  id_table_remove(&client->circuits, circuit->id);
}

void circuit_check_dead(struct client *client, struct circuit *circuit) {
  if (circuit->closing && circuit->side.state == SIDE_NONE && !list_contains_node(&circuit->dead))
    list_append(&client->dead_circuits, &circuit->dead);
}

/* ---- closing ---- */

/* Closed because we wanted it, not because something went wrong with it. */
static bool is_wanted(enum outcome cause) {
  return cause == OUTCOME_DONE || cause == OUTCOME_MEMORY_LIMIT || cause == OUTCOME_SHUTTING_DOWN;
}

static void begin_closing(struct client *client, struct circuit *circuit, instant now, enum outcome cause) {
  circuit->closing = true;
  if (circuit->cause != OUTCOME_OK) cause = circuit->cause;
  client->figures.layers_forged += cause == OUTCOME_LAYER_FORGED;
  client->figures.violations += cause == OUTCOME_PROTOCOL_VIOLATION;
  circuit_end_build(circuit);
  list_leave(&circuit->waits);
  list_leave(&circuit->wants_work);
  timer_heap_cancel(&client->timers, &circuit->timer);
  if (!is_wanted(cause)) circuit_pool_failed(client, circuit, now, cause);
  client_stream_circuit_closed(client, circuit, now, cause);
  circuit_pool_want(client);
}

void circuit_close(struct client *client, struct circuit *circuit, instant now, enum outcome cause) {
  if (circuit->closing) return;
  begin_closing(client, circuit, now, cause);
  trunk_close(&circuit->side, now);
  circuit_check_dead(client, circuit);
}

void circuit_cut(struct client *client, struct circuit *circuit, instant now, enum outcome cause) {
  if (!circuit->closing) begin_closing(client, circuit, now, cause);
  trunk_cut(&circuit->side);
  circuit_check_dead(client, circuit);
}

void circuit_lost(struct client *client, struct circuit *circuit, instant now, enum outcome cause) {
  if (!circuit->closing) begin_closing(client, circuit, now, cause);
  circuit_check_dead(client, circuit);
}

/* ---- to the hops ---- */

uint8_t *circuit_begin_message(struct client *client, struct circuit *circuit, instant now, uint8_t place, uint8_t command,
                               uint16_t stream, size_t len, struct cell **ret_cell) {
  bool too_many = circuit->side.queue.count >= OWN_CELLS_QUEUED_MAX;
  struct cell *cell = too_many || circuit->side.state != SIDE_OPEN ? NULL : client_take_cell(client, now);
  /* Taking a cell may have evicted this very circuit. */
  if (cell == NULL || circuit->side.state != SIDE_OPEN) {
    if (cell != NULL) cell_pool_give(client->cells, cell);
    if (!circuit->closing) circuit_cut(client, circuit, now, OUTCOME_MEMORY_LIMIT);
    return NULL;
  }
  struct message_writer writer;
  message_writer_init(&writer, cell_body(cell->bytes), (size_t)ONION_CONTENT(place), false);
  uint8_t *body = message_add(&writer, command, stream, len);
  /* What the message does not fill is zeroed now, its body is the caller's to write. */
  message_writer_finish(&writer);
  *ret_cell = cell;
  return body;
}

void circuit_send_message(struct client *client, struct circuit *circuit, instant now, uint8_t place, struct cell *cell) {
  uint8_t *body = cell_body(cell->bytes);
  bool sealed = onion_seal(&circuit->hops[place].seal, client->contexts, ONION_FOR_YOU, body);
  for (uint8_t p = place; sealed && p-- > 0;) sealed = onion_seal(&circuit->hops[p].seal, client->contexts, ONION_PASS_ON, body);
  if (!sealed) {
    cell_pool_give(client->cells, cell);
    circuit_cut(client, circuit, now, OUTCOME_NO_MEMORY);
    return;
  }
  trunk_push(&circuit->side, now, cell, false);
  if (trunk_side_room(&circuit->side) == 0) circuit->side.wants_room = true;
}

/* ---- from the hops ---- */

/* [CIRC-10] The hop names the cause, sealed to us; its CLOSE follows and will be the answer to ours. */
static bool take_closed(struct client *client, struct circuit *circuit, instant now, const struct message *message) {
  enum outcome cause;
  if (!outcome_from_code(message->body[0], &cause)) return false;
  bool is_told = outcome_is_of_hop(cause) && cause != OUTCOME_OK && !is_wanted(cause); /* [OUT-8] */
  circuit->cause = is_told ? cause : OUTCOME_CIRCUIT_CLOSED;
  circuit_close(client, circuit, now, circuit->cause);
  return true;
}

/* [CIRC-15] What the hop at `place` may say to a client; answers count only from who was asked, and only while asked. */
static bool take_message(struct client *client, struct circuit *circuit, instant now, uint8_t place, const struct message *message) {
  switch ((enum message_command)message->command) {
  case MESSAGE_EXTENDED: return circuit_extended(client, circuit, place, message->body);
  case MESSAGE_CLOSED: return take_closed(client, circuit, now, message);
  case MESSAGE_PADDING: return ++circuit->padding_taken <= PADDING_TAKEN_MAX; /* [CIRC-16] */
  case MESSAGE_CONNECTED:
  case MESSAGE_DATA:
  case MESSAGE_EOF:
  case MESSAGE_END:
  case MESSAGE_STREAM_CREDIT:
  case MESSAGE_RESOLVED: return place == LIMIT_EXIT_PLACE && client_stream_message(client, circuit, now, message);
  case MESSAGE_END_OF_CELL:
  case MESSAGE_EXTEND:
  case MESSAGE_BEGIN:
  case MESSAGE_RESOLVE: break;
  }
  return false;
}

static bool take_content(struct client *client, struct circuit *circuit, instant now, uint8_t place, const uint8_t *content) {
  struct message_reader reader;
  struct message message;
  message_reader_init(&reader, content, (size_t)ONION_CONTENT(place), false);
  while (message_read(&reader, &message)) {
    if (!take_message(client, circuit, now, place, &message)) return false;
    if (circuit->closing) return true;
  }
  return message_reader_is_valid(&reader);
}

void circuit_receive(struct client *client, struct circuit *circuit, instant now, uint8_t *body) {
  if (circuit->closing) return;
  enum outcome cause = OUTCOME_PROTOCOL_VIOLATION;
  /* The layers, in order of places: the first that is for us is the hop that spoke. */
  for (uint8_t place = 0; place < circuit->built; place++) {
    enum onion_kind kind;
    if (!onion_open(&circuit->hops[place].open, client->contexts, body, &kind)) {
      cause = OUTCOME_LAYER_FORGED;
      break;
    }
    if (kind != ONION_FOR_YOU) continue;
    if (take_content(client, circuit, now, place, body)) return;
    break;
  }
  circuit_cut(client, circuit, now, cause); /* forged, passed on by the last hop, or against the grammar */
}
