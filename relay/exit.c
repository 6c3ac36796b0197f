#include "relay/shard_internal.h"

#include <stdlib.h>
#include <string.h>

uint64_t exit_stream_key(const struct hop *hop, uint16_t number) {
  return (uint64_t)hop->id.slot << 16 | number;
}

struct exit_stream *exit_stream_find(const struct shard *shard, const struct hop *hop, uint16_t number) {
  uint64_t value;
  if (!index_map_get(&shard->streams, exit_stream_key(hop, number), &value)) return NULL;
  return (struct exit_stream *)(uintptr_t)value;
}

void exit_stream_ready(struct shard *shard, struct exit_stream *stream) {
  if (!id_is_none(stream->connection) && !list_contains_node(&stream->ready_node))
    list_append(&shard->ready_streams, &stream->ready_node);
}

/* What was promised beyond the usual is free for the circuit's other streams. */
static void narrow(struct exit_stream *stream) {
  if (stream->hop != NULL && stream->window > LIMIT_EXIT_OPEN_CREDIT) stream->hop->promised -= stream->window - LIMIT_EXIT_OPEN_CREDIT;
  stream->window = 0;
}

void exit_stream_disconnect(struct shard *shard, struct exit_stream *stream, enum effect_kind kind) {
  list_leave(&stream->ready_node);
  if (stream->state == STREAM_RESOLVING && !id_is_none(stream->connection)) exit_leave_lookup(shard, stream);
  if (!id_is_none(stream->connection)) shard_close_connection(shard, stream->connection, kind);
  stream->connection = ID_NONE;
  stream->state = STREAM_OVER;
  narrow(stream);
  cell_queue_clear(&stream->to_destination, shard->cells);
  backlog_progress(&shard->trunks, &stream->backlog, false);
  timer_heap_cancel(&shard->timers, &stream->timer);
  free(stream->addresses);
  stream->addresses = NULL;
}

void exit_stream_free(struct shard *shard, struct exit_stream *stream) {
  exit_stream_disconnect(shard, stream, EFFECT_CLOSE);
  if (stream->hop != NULL) {
    index_map_remove(&shard->streams, exit_stream_key(stream->hop, stream->number));
    stream->hop->stream_count--;
  }
  list_leave(&stream->of_hop);
  list_leave(&stream->dead);
  shard->figures.streams--;
  free(stream);
}

/* [STREAM-7] The number is forgotten when END went both ways. */
static void check_over(struct shard *shard, struct exit_stream *stream) {
  if (stream->end_sent && stream->end_received && !list_contains_node(&stream->dead))
    list_append(&shard->dead_streams, &stream->dead);
}

/* Sends our one END; the connection is left as it is. */
static void send_end(struct shard *shard, struct exit_stream *stream, instant now, enum outcome cause) {
  if (stream->end_sent || stream->hop == NULL) return;
  stream->end_sent = true;
  uint8_t code = (uint8_t)cause;
  if (cause != OUTCOME_DONE) shard->figures.streams_failed++;
  if (!hop_say(shard, stream->hop, now, MESSAGE_END, stream->number, &code, 1)) return;
  check_over(shard, stream);
  /* [STREAM-11] A number whose END is never answered would keep its place from others for as long as the circuit lives. */
  bool is_watched = stream->end_received ||
                    timer_heap_set(&shard->timers, &stream->timer, TIMER_END, stream->hop->id, instant_after(now, LIMIT_HALF_CLOSED_TIME));
  if (!is_watched) hop_close(shard, stream->hop, now, OUTCOME_NO_MEMORY);
}

void exit_stream_end(struct shard *shard, struct exit_stream *stream, instant now, enum outcome cause) {
  exit_stream_disconnect(shard, stream, EFFECT_CLOSE);
  send_end(shard, stream, now, cause);
}

/* Both ways are over and everything is delivered. */
static void check_done(struct shard *shard, struct exit_stream *stream, instant now) {
  if (stream->state != STREAM_OPEN || !stream->eof_received || stream->to_destination.count > 0) return;
  if (!stream->eof_sent && !stream->end_received) {
    struct effect effect = {.kind = EFFECT_FINISH, .id = stream->connection}; /* [STREAM-6] */
    if (!effect_queue_put(&shard->effects, &effect)) exit_stream_end(shard, stream, now, OUTCOME_NO_MEMORY);
    return;
  }
  exit_stream_disconnect(shard, stream, EFFECT_CLOSE_FLUSHED);
  send_end(shard, stream, now, OUTCOME_DONE);
  check_over(shard, stream);
}

/* [STREAM-11] */
static void watch_half_closed(struct shard *shard, struct exit_stream *stream, instant now) {
  if (stream->state != STREAM_OPEN) return;
  stream->half_closed = true;
  stream->moved_at_timer = stream->received + stream->taken + stream->sent;
  instant late = instant_after(now, LIMIT_HALF_CLOSED_TIME);
  if (!timer_heap_set(&shard->timers, &stream->timer, TIMER_STREAM, stream->connection, late))
    exit_stream_end(shard, stream, now, OUTCOME_NO_MEMORY);
}

void exit_stream_opened(struct shard *shard, struct exit_stream *stream, instant now) {
  if (!stream->eof_received) return;
  watch_half_closed(shard, stream, now);
  check_done(shard, stream, now);
}

void exit_stream_timer(struct shard *shard, struct exit_stream *stream, instant now) {
  if (stream->moved_at_timer == stream->received + stream->taken + stream->sent)
    exit_stream_end(shard, stream, now, OUTCOME_TIMED_OUT);
  else watch_half_closed(shard, stream, now);
}

/* ---- from the destination to the client ---- */

size_t exit_stream_room(const struct exit_stream *stream) {
  if (stream->state != STREAM_OPEN || stream->eof_sent || stream->end_sent) return 0;
  const struct hop *hop = stream->hop;
  size_t data = (size_t)ONION_CONTENT(hop->place) - MESSAGE_HEADER_BYTES - MESSAGE_STREAM_BYTES;
  uint64_t room = trunk_side_room(&hop->sides[SIDE_CLIENT]) * data; /* [STREAM-13] */
  uint64_t credit = stream->allowed - stream->sent;
  return (size_t)(room < credit ? room : credit);
}

void exit_stream_receive(struct shard *shard, struct exit_stream *stream, instant now, const uint8_t *in, size_t len) {
  struct hop *hop = stream->hop;
  size_t most = (size_t)ONION_CONTENT(hop->place) - MESSAGE_HEADER_BYTES - MESSAGE_STREAM_BYTES;
  if (stream->state != STREAM_OPEN || stream->eof_sent) return;
  while (len > 0) {
    size_t part = len < most ? len : most;
    if (!hop_say(shard, hop, now, MESSAGE_DATA, stream->number, in, part)) return;
    stream->sent += part;
    in += part;
    len -= part;
  }
  list_leave(&stream->of_hop); /* [STREAM-17] the others come first now */
  list_append(&hop->streams, &stream->of_hop);
}

void exit_stream_eof(struct shard *shard, struct exit_stream *stream, instant now) {
  if (stream->state != STREAM_OPEN || stream->eof_sent || stream->end_sent) return;
  stream->eof_sent = true;
  if (!hop_say(shard, stream->hop, now, MESSAGE_EOF, stream->number, NULL, 0)) return;
  watch_half_closed(shard, stream, now);
  check_done(shard, stream, now);
}

void exit_stream_closed(struct shard *shard, struct exit_stream *stream, instant now, enum outcome outcome) {
  shard_forget_connection(shard, stream->connection);
  list_leave(&stream->ready_node);
  stream->connection = ID_NONE;
  if (stream->state == STREAM_CONNECTING && exit_connect_next(shard, stream, now)) return;
  exit_stream_end(shard, stream, now, outcome == OUTCOME_OK ? OUTCOME_CONNECTION_RESET : outcome); /* [STREAM-14] */
}

void exit_hop_room(struct shard *shard, struct hop *hop) {
  for (struct list_node *node = list_first(&hop->streams); node != NULL; node = list_after(&hop->streams, node))
    exit_stream_ready(shard, LIST_OBJECT(node, struct exit_stream, of_hop));
}

/* ---- from the client to the destination ---- */

/* [LIMIT-6] Small pieces share a cell, so that a promise of bytes stays a promise of memory. */
static bool keep_data(struct shard *shard, struct exit_stream *stream, instant now, const uint8_t *bytes, size_t len) {
  struct cell *last = stream->to_destination.last;
  if (last != NULL) {
    size_t part = (size_t)(CELL_BYTES - last->end);
    if (part > len) part = len;
    memcpy(last->bytes + last->end, bytes, part);
    last->end = (uint16_t)(last->end + part);
    bytes += part;
    len -= part;
  }
  if (len == 0) return true;
  struct hop *hop = stream->hop;
  struct cell *cell = shard_take_cell(shard, now);
  if (cell == NULL || hop->closing) {
    if (cell != NULL) cell_pool_give(shard->cells, cell);
    else hop_cut(shard, hop, now);
    return false;
  }
  memcpy(cell->bytes, bytes, len);
  cell->begin = 0;
  cell->end = (uint16_t)len;
  cell->queued = now;
  if (stream->to_destination.count == 0) backlog_progress(&shard->trunks, &stream->backlog, true);
  cell_queue_push(&stream->to_destination, cell);
  return true;
}

/* False: a violation. */
static bool take_data(struct shard *shard, struct exit_stream *stream, instant now, const struct message *message) {
  stream->received += message->len;
  if (stream->received > stream->granted || stream->eof_received || stream->only_resolve) return false; /* [STREAM-5] [STREAM-9] */
  if (stream->state == STREAM_OVER) return true;                               /* [STREAM-8] */
  if (keep_data(shard, stream, now, message->body, message->len) && stream->state == STREAM_OPEN)
    exit_stream_ready(shard, stream);
  return true;
}

static bool take_eof(struct shard *shard, struct exit_stream *stream, instant now) {
  if (stream->eof_received || stream->only_resolve) return false;
  stream->eof_received = true;
  if (stream->state == STREAM_OPEN) watch_half_closed(shard, stream, now);
  check_done(shard, stream, now);
  return true;
}

static bool take_credit(struct shard *shard, struct exit_stream *stream, const struct message *message) {
  uint64_t allowed = get_u64(message->body);
  bool earned = allowed >= stream->allowed + LIMIT_CLIENT_FIRST_CREDIT / 4 && allowed - stream->sent <= LIMIT_CLIENT_CREDIT &&
                allowed - stream->allowed >= (allowed - stream->sent) / 4;
  if (!earned || stream->only_resolve) return false; /* [STREAM-5] */
  stream->allowed = allowed;
  exit_stream_ready(shard, stream);
  return true;
}

/* A client has one cause alone: any other would be a channel to the exit. */
static bool take_end(struct shard *shard, struct exit_stream *stream, instant now, const struct message *message) {
  if (message->body[0] != OUTCOME_DONE) return false;
  stream->end_received = true;
  if (stream->eof_received && stream->state == STREAM_OPEN && stream->to_destination.count > 0) return true; /* delivered first */
  exit_stream_disconnect(shard, stream, stream->eof_received ? EFFECT_CLOSE_FLUSHED : EFFECT_CLOSE);
  send_end(shard, stream, now, OUTCOME_DONE);
  check_over(shard, stream);
  return true;
}

/* [STREAM-21] What a client says of a stream that was refused is not looked at, only counted. */
static bool take_for_refused(struct hop *hop, const struct message *message) {
  if (hop->refused == 0 || message->stream > hop->last_stream || message->command == MESSAGE_STREAM_CREDIT) return false;
  if (message->command != MESSAGE_END) {
    uint32_t len = message->command == MESSAGE_DATA ? (uint32_t)message->len : 1;
    if (len > hop->refused_credit) return false;
    hop->refused_credit -= len;
    return true;
  }
  uint32_t most = (uint32_t)--hop->refused * EXIT_REFUSED_CREDIT;
  if (hop->refused_credit > most) hop->refused_credit = most;
  return message->body[0] == OUTCOME_DONE;
}

void exit_message(struct shard *shard, struct hop *hop, instant now, const struct message *message) {
  struct exit_stream *stream = exit_stream_find(shard, hop, message->stream);
  bool good = stream == NULL ? take_for_refused(hop, message) : !stream->end_received;
  if (good && stream != NULL) {
    if (message->command == MESSAGE_DATA) good = take_data(shard, stream, now, message);
    else if (message->command == MESSAGE_EOF) good = take_eof(shard, stream, now);
    else if (message->command == MESSAGE_STREAM_CREDIT) good = take_credit(shard, stream, message);
    else good = take_end(shard, stream, now, message);
  }
  if (good || hop->closing) return;
  shard->figures.violations++;
  hop_close(shard, hop, now, OUTCOME_PROTOCOL_VIOLATION);
}

/* [STREAM-18] While the destination keeps up, what holds the client back is the way to us. */
static bool may_grow(const struct exit_stream *stream, instant now) {
  bool keeps_up = stream->to_destination.count == 0 && now - stream->raised_at <= LIMIT_EXIT_RAISE_TIME;
  bool is_allowed = stream->window < LIMIT_EXIT_CREDIT && stream->hop->promised + stream->window <= LIMIT_CIRCUIT_STREAM_CREDIT;
  uint64_t part = stream->window < LIMIT_EXIT_CREDIT / 2 ? stream->window / 16 : stream->window / 4;
  return keeps_up && is_allowed && stream->taken + stream->window >= stream->granted + part;
}

/* [STREAM-5] The promise moves on as the destination takes bytes. */
static void grant(struct shard *shard, struct exit_stream *stream, instant now) {
  if (stream->eof_received || stream->end_sent) return;
  if (stream->raised_at == 0) stream->raised_at = now;
  bool is_short = cell_pool_used(shard->cells) > cell_pool_limit(shard->cells) / 4 * 3;
  bool grows = !is_short && may_grow(stream, now);
  uint64_t window = is_short ? LIMIT_EXIT_FIRST_CREDIT : stream->window;
  if (!grows && stream->taken + window < stream->granted + window / 4) return;
  stream->raised_at = now;
  if (grows) {
    stream->hop->promised += stream->window;
    window = stream->window *= 2;
  }
  stream->granted = stream->taken + window;
  uint8_t body[8];
  put_u64(body, stream->granted);
  hop_say(shard, stream->hop, now, MESSAGE_STREAM_CREDIT, stream->number, body, sizeof body);
}

size_t exit_stream_transmit(struct shard *shard, struct exit_stream *stream, instant now, uint8_t *out, size_t room) {
  size_t len = 0;
  struct cell *cell;
  if (stream->state != STREAM_OPEN) return 0;
  while (len < room && (cell = stream->to_destination.first) != NULL) {
    size_t part = (size_t)(cell->end - cell->begin);
    if (part > room - len) part = room - len;
    memcpy(out + len, cell->bytes + cell->begin, part);
    cell->begin = (uint16_t)(cell->begin + part);
    len += part;
    if (cell->begin == cell->end) cell_pool_give(shard->cells, cell_queue_pop(&stream->to_destination));
  }
  if (len == 0) return 0;
  stream->taken += len;
  backlog_moved(&shard->trunks, &stream->backlog, &stream->to_destination, now);
  grant(shard, stream, now);
  if (stream->hop != NULL) check_done(shard, stream, now);
  return len;
}

void exit_hop_closed(struct shard *shard, struct hop *hop, instant now) {
  struct list_node *node;
  (void)now;
  while ((node = list_take_first(&hop->streams)) != NULL) {
    struct exit_stream *stream = LIST_OBJECT(node, struct exit_stream, of_hop);
    /* [STREAM-12] */
    bool is_whole = stream->eof_received && stream->to_destination.count == 0;
    exit_stream_disconnect(shard, stream, is_whole ? EFFECT_CLOSE_FLUSHED : EFFECT_CLOSE);
    index_map_remove(&shard->streams, exit_stream_key(hop, stream->number));
    stream->hop = NULL;
    hop->stream_count--;
    if (!list_contains_node(&stream->dead)) list_append(&shard->dead_streams, &stream->dead);
  }
}
