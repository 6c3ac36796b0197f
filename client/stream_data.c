#include "client/client_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
  DATA_MOST = ONION_CONTENT(LIMIT_EXIT_PLACE) - MESSAGE_HEADER_BYTES - MESSAGE_STREAM_BYTES,
  ASKING_ROOM = 4096, /* what an application may send with its request, in one read */
};
static_assert((int)ASKING_ROOM <= (int)LIMIT_EXIT_FIRST_CREDIT, "what comes with the request can be sent behind BEGIN");

static void note_backlog(struct client *client, struct client_stream *stream) {
  backlog_progress(&client->trunks, &stream->backlog, stream->early.count + stream->arrived.count > 0);
}

void client_stream_clear_data(struct client *client, struct client_stream *stream) {
  cell_queue_clear(&stream->early, client->cells);
  cell_queue_clear(&stream->arrived, client->cells);
  stream->early_next = NULL;
  stream->early_unsent = stream->early_len = 0;
  backlog_progress(&client->trunks, &stream->backlog, false);
}

/* ---- from the application ---- */

size_t client_stream_room(const struct client_stream *stream) {
  if (stream->application_eof) return 0;
  switch ((enum client_stream_state)stream->state) {
  case STREAM_ASKING: return ASKING_ROOM;
  case STREAM_WAITING:
  case STREAM_BEGUN: return LIMIT_EXIT_FIRST_CREDIT - stream->early_len;
  case STREAM_OPEN: {
    if (stream->early_unsent > 0) return 0; /* it goes first */
    uint64_t room = (uint64_t)trunk_side_room(&stream->circuit->side) * DATA_MOST;
    uint64_t credit = stream->allowed - stream->sent;
    return (size_t)(room < credit ? room : credit);
  }
  case STREAM_LEAVING:
  case STREAM_OVER: break;
  }
  return 0;
}

/* Appends to the queue, filling its last cell up to `most` first; only a new cell is taken. False: no memory, or the
 * stream was evicted for it. */
static bool keep(struct client *client, struct client_stream *stream, struct cell_queue *queue, size_t most, instant now,
                 const uint8_t *bytes, size_t len) {
  const uint8_t state = stream->state;
  while (len > 0) {
    struct cell *cell = queue->last;
    if (cell == NULL || cell->end >= most) {
      cell = client_take_cell(client, now);
      if (cell == NULL) return false;
      if (stream->state != state) {
        cell_pool_give(client->cells, cell);
        return false;
      }
      cell->queued = now;
      cell_queue_push(queue, cell);
      if (stream->early.count + stream->arrived.count == 1) note_backlog(client, stream);
    }
    size_t part = most - cell->end < len ? most - cell->end : len;
    memcpy(cell->bytes + cell->end, bytes, part);
    cell->end = (uint16_t)(cell->end + part);
    bytes += part;
    len -= part;
  }
  return true;
}

/* One DATA message; the number of bytes that it took, 0: none (the stream or its circuit is then over). */
static size_t send_data(struct client *client, struct client_stream *stream, instant now, const uint8_t *bytes, size_t len) {
  struct circuit *circuit = stream->circuit;
  struct cell *cell;
  const uint8_t state = stream->state;
  if (len > DATA_MOST) len = DATA_MOST;
  uint8_t *body = circuit_begin_message(client, circuit, now, LIMIT_EXIT_PLACE, MESSAGE_DATA, stream->number, len, &cell);
  if (body == NULL) return 0;
  if (stream->state != state) { /* evicted to make room for this very cell */
    cell_pool_give(client->cells, cell);
    return 0;
  }
  memcpy(body, bytes, len);
  circuit_send_message(client, circuit, now, LIMIT_EXIT_PLACE, cell);
  stream->sent += len;
  client->figures.bytes_up += len;
  return circuit->closing ? 0 : len;
}

/* [STREAM-15] What comes before CONNECTED is kept whole. */
static void keep_early(struct client *client, struct client_stream *stream, instant now, const uint8_t *in, size_t len) {
  if (stream->only_resolve || len == 0) return;
  struct cell *last = stream->early.last;
  if (!keep(client, stream, &stream->early, DATA_MOST, now, in, len)) {
    if (stream->state != STREAM_OVER) client_stream_evict(client, stream, now);
    return;
  }
  stream->early_len += (uint32_t)len;
  stream->early_unsent += (uint32_t)len;
  if (stream->early_next != NULL) return;
  /* Everything before was sent: what is new begins in the last cell of then, or behind it. */
  bool has_new = last != NULL && last->begin < last->end;
  stream->early_next = last == NULL ? stream->early.first : has_new ? last : last->next;
}

void client_stream_pump(struct client *client, struct client_stream *stream, instant now) {
  bool begun = stream->state == STREAM_BEGUN || stream->state == STREAM_OPEN;
  while (begun && stream->early_next != NULL && trunk_side_room(&stream->circuit->side) > 0 && stream->sent < stream->allowed) {
    struct cell *cell = stream->early_next;
    size_t sent = send_data(client, stream, now, cell->bytes + cell->begin, (size_t)(cell->end - cell->begin));
    if (sent == 0) return;
    cell->begin = (uint16_t)(cell->begin + sent);
    stream->early_unsent -= (uint32_t)sent;
    if (cell->begin == cell->end) stream->early_next = cell->next;
  }
  if (!begun) return;
  if (stream->state == STREAM_OPEN) client_stream_drop_early(client, stream);
  client_stream_send_eof(client, stream, now);
}

void client_stream_drop_early(struct client *client, struct client_stream *stream) {
  while (stream->early.first != NULL && stream->early.first != stream->early_next)
    cell_pool_give(client->cells, cell_queue_pop(&stream->early));
  note_backlog(client, stream);
}

void client_stream_rewind_early(struct client_stream *stream) {
  for (struct cell *cell = stream->early.first; cell != NULL; cell = cell->next) cell->begin = 0;
  stream->early_next = stream->early.first;
  stream->early_unsent = stream->early_len;
  stream->sent = 0;
}

static void receive_socks(struct client *client, struct client_stream *stream, instant now, const uint8_t *in, size_t len) {
  size_t used;
  enum socks_state state = socks_receive(stream->socks, in, len, &used);
  client_stream_ready(client, stream);
  if (state == SOCKS_OVER) {
    client_stream_leave(client, stream, now);
  } else if (state == SOCKS_ASKED) {
    client_stream_asked(client, stream, now);
    if (stream->state == STREAM_WAITING) keep_early(client, stream, now, in + used, len - used);
  }
}

void client_stream_receive(struct client *client, struct client_stream *stream, instant now, const uint8_t *in, size_t len) {
  if (stream->state == STREAM_ASKING) {
    receive_socks(client, stream, now, in, len);
  } else if (stream->state == STREAM_WAITING || stream->state == STREAM_BEGUN) {
    keep_early(client, stream, now, in, len);
    client_stream_pump(client, stream, now);
  } else {
    for (size_t sent = 1; stream->state == STREAM_OPEN && len > 0 && sent > 0; in += sent, len -= sent)
      sent = send_data(client, stream, now, in, len);
    if (stream->state != STREAM_OPEN) return;
    list_leave(&stream->of_circuit); /* [STREAM-17] the others come first now */
    list_append(&stream->circuit->streams, &stream->of_circuit);
  }
}

void client_stream_circuit_room(struct client *client, struct circuit *circuit, instant now) {
  struct list_node *next;
  for (struct list_node *node = list_first(&circuit->streams); node != NULL && !circuit->closing; node = next) {
    next = list_after(&circuit->streams, node);
    struct client_stream *stream = LIST_OBJECT(node, struct client_stream, of_circuit);
    client_stream_pump(client, stream, now);
    client_stream_ready(client, stream);
  }
}

/* ---- to the application ---- */

void client_stream_keep_arrived(struct client *client, struct client_stream *stream, instant now, const uint8_t *bytes, size_t len) {
  if (keep(client, stream, &stream->arrived, CELL_BYTES, now, bytes, len)) client_stream_ready(client, stream);
  else if (stream->state != STREAM_OVER) client_stream_evict(client, stream, now);
}

/* [STREAM-16] A quick application is promised more before it has used up a quarter: a window that stands still for a round
 * trip at the beginning would teach the destination's TCP that the path is slow. */
static bool may_grow(const struct client *client, const struct client_stream *stream, instant now) {
  const struct circuit *circuit = stream->circuit;
  bool is_fast = now - stream->granted_at <= circuit->round_trip;
  bool has_memory = cell_pool_used(client->cells) < cell_pool_limit(client->cells) / 4 * 3;
  bool is_allowed = stream->window < LIMIT_CLIENT_CREDIT && circuit->promised + stream->window <= LIMIT_CIRCUIT_STREAM_CREDIT;
  uint64_t part = stream->window < LIMIT_CLIENT_CREDIT / 2 ? stream->window / 16 : stream->window / 4;
  return is_fast && has_memory && is_allowed && stream->taken + stream->window >= stream->granted + part;
}

/* [STREAM-5] The promise moves on as the application takes bytes. */
static void grant(struct client *client, struct client_stream *stream, instant now) {
  if (stream->state != STREAM_OPEN || stream->eof_received || stream->end_sent) return;
  if (stream->granted_at == 0) stream->granted_at = now;
  bool grows = may_grow(client, stream, now);
  if (!grows && stream->taken + stream->window < stream->granted + stream->window / 4) return;
  stream->granted_at = now;
  if (grows) {
    stream->circuit->promised += stream->window;
    stream->window *= 2;
  }
  stream->granted = stream->taken + stream->window;
  client_stream_send_credit(client, stream, now, stream->granted);
}

/* The answer to the request, in front of everything; after it the SOCKS part is done. */
static size_t transmit_socks(struct client_stream *stream, uint8_t *out, size_t room) {
  /* A lookup's answer is told when the exit's END has come, and not before. */
  if (stream->socks == NULL || (stream->only_resolve && stream->state == STREAM_BEGUN)) return 0;
  size_t len = socks_transmit(stream->socks, out, room);
  if (stream->state != STREAM_OPEN || socks_has_output(stream->socks)) return len;
  bytes_wipe(stream->socks, sizeof *stream->socks);
  free(stream->socks);
  stream->socks = NULL;
  return len;
}

size_t client_stream_transmit(struct client *client, struct client_stream *stream, instant now, uint8_t *out, size_t room) {
  size_t socks = transmit_socks(stream, out, room), len = socks;
  struct cell *cell;
  while (len < room && (cell = stream->arrived.first) != NULL) {
    size_t part = (size_t)(cell->end - cell->begin);
    if (part > room - len) part = room - len;
    memcpy(out + len, cell->bytes + cell->begin, part);
    cell->begin = (uint16_t)(cell->begin + part);
    len += part;
    if (cell->begin == cell->end) cell_pool_give(client->cells, cell_queue_pop(&stream->arrived));
  }
  if (len > socks) {
    stream->taken += len - socks;
    if (stream->early.count == 0) backlog_moved(&client->trunks, &stream->backlog, &stream->arrived, now);
    else note_backlog(client, stream);
    grant(client, stream, now);
  }
  client_stream_check_done(client, stream, now);
  return len;
}
