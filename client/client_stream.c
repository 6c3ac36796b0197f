#include "client/client_internal.h"

#include <stdlib.h>
#include <string.h>

enum { RESENT_MOST = 2 };
#define SOCKS_TIME (30 * SECONDS)
#define WAITING_TIME (60 * SECONDS)
/* An exit looks the name up, then tries up to three addresses. */
#define ANSWER_TIME (LIMIT_RESOLVE_TIME + 3 * LIMIT_CONNECT_TIME + 10 * SECONDS)

static uint64_t stream_key(const struct circuit *circuit, uint16_t number) {
  return (uint64_t)circuit->id.slot << 16 | number;
}

void client_stream_ready(struct client *client, struct client_stream *stream) {
  if (!id_is_none(stream->connection) && !list_contains_node(&stream->ready_node))
    list_append(&client->ready_streams, &stream->ready_node);
}

/* It is set from the beginning until the stream is connected, so that only the first time can fail. */
static bool set_timer(struct client *client, struct client_stream *stream, instant at) {
  return timer_heap_set(&client->timers, &stream->timer, TIMER_STREAM, stream->connection, at);
}

struct client_stream *client_stream_accept(struct client *client, instant now, const struct address *application) {
  struct client_stream *stream = client->stream_count >= LIMIT_CLIENT_STREAMS ? NULL : calloc(1, sizeof *stream);
  if (stream == NULL) return NULL;
  stream->socks = malloc(sizeof *stream->socks);
  stream->connection = stream->socks == NULL ? ID_NONE : client_add_connection(client, SLOT_STREAM, stream);
  bool is_drawn = !id_is_none(stream->connection);
  if (!is_drawn || !set_timer(client, stream, instant_after(now, SOCKS_TIME))) { /* [SOCKS-9] */
    if (is_drawn) client_forget_connection(client, stream->connection);
    free(stream->socks);
    free(stream);
    return NULL;
  }
  socks_init(stream->socks);
  stream->application = *application;
  stream->backlog.kind = BACKLOG_STREAM;
  client->stream_count++;
  return stream;
}

/* ---- leaving the circuit, leaving the application ---- */

static void set_live(struct client_stream *stream, bool live) {
  if (stream->is_live == live) return;
  stream->is_live = live;
  if (live) stream->circuit->live_count++;
  else stream->circuit->live_count--;
}

/* The number is forgotten. */
void client_stream_detach(struct client *client, struct client_stream *stream) {
  struct circuit *circuit = stream->circuit;
  if (circuit == NULL) return;
  set_live(stream, false);
  index_map_remove(&client->streams, stream_key(circuit, stream->number));
  list_leave(&stream->of_circuit);
  circuit->stream_count--;
  circuit->promised -= stream->window - LIMIT_CLIENT_FIRST_CREDIT;
  if (circuit->recent == stream) circuit->recent = NULL;
  if (circuit->stream_count == 0) circuit_pool_want(client);
  stream->circuit = NULL;
}

static void check_dead(struct client *client, struct client_stream *stream) {
  if (stream->state == STREAM_OVER && stream->circuit == NULL && !list_contains_node(&stream->dead))
    list_append(&client->dead_streams, &stream->dead);
}

/* The application is gone, or is sent away; the number may live on until END went both ways. */
static void disconnect(struct client *client, struct client_stream *stream, enum effect_kind kind) {
  list_leave(&stream->ready_node);
  list_leave(&stream->waits);
  if (!id_is_none(stream->connection)) client_close_connection(client, stream->connection, kind);
  stream->connection = ID_NONE;
  stream->state = STREAM_OVER;
  if (stream->circuit != NULL) set_live(stream, false);
  client_stream_clear_data(client, stream);
  timer_heap_cancel(&client->timers, &stream->timer);
  if (stream->socks != NULL) bytes_wipe(stream->socks, sizeof *stream->socks);
  free(stream->socks);
  stream->socks = NULL;
  check_dead(client, stream);
}

void client_stream_free(struct client *client, struct client_stream *stream) {
  disconnect(client, stream, EFFECT_CLOSE);
  client_stream_detach(client, stream);
  list_leave(&stream->dead);
  client->stream_count--;
  bytes_wipe(&stream->target, sizeof stream->target);
  free(stream);
}

/* The application gets what there is for it; then its connection closes. */
void client_stream_leave(struct client *client, struct client_stream *stream, instant now) {
  if (stream->state == STREAM_OVER) {
    check_dead(client, stream);
    return;
  }
  stream->state = STREAM_LEAVING;
  list_leave(&stream->waits);
  if (stream->circuit != NULL) set_live(stream, false);
  timer_heap_cancel(&client->timers, &stream->timer);
  client_stream_ready(client, stream);
  client_stream_check_done(client, stream, now);
}

static void trace_target(const struct client *client, const struct target *target) {
  char host[ADDRESS_TEXT_BYTES];
  struct address address = {.family = target->kind};
  memcpy(address.bytes, target->address, sizeof address.bytes);
  if (target->kind != TARGET_NAME) address_format_host(&address, host);
  trace_write(client->config.trace, TRACE_DEBUG, "stream", "it was to %s, port %u", target->kind == TARGET_NAME ? target->name : host, target->port);
}

/* [OUT-4] [OUT-6] Where it went is for whoever looks at single streams. */
void client_stream_note_failure(struct client *client, const struct client_stream *stream, instant now, enum outcome cause) {
  client->last_failure.cause = cause;
  client->last_failure.date = wall_clock_date(&client->clock, now);
  trace_write(client->config.trace, TRACE_INFO, "stream", "a stream failed: %s", outcome_name(cause));
  trace_target(client, &stream->target);
}

void client_stream_fail(struct client *client, struct client_stream *stream, instant now, enum outcome cause) {
  client->figures.streams_failed++;
  client_stream_note_failure(client, stream, now, cause);
  if (stream->socks != NULL) socks_answer(stream->socks, cause, NULL);
  client_stream_leave(client, stream, now);
}

/* ---- messages of a few bytes ---- */

static bool send_small(struct client *client, struct client_stream *stream, instant now, uint8_t command, const uint8_t *body, size_t len) {
  struct cell *cell;
  struct circuit *circuit = stream->circuit;
  uint8_t *place = circuit_begin_message(client, circuit, now, LIMIT_EXIT_PLACE, command, stream->number, len, &cell);
  if (place == NULL) return false;
  if (len > 0) memcpy(place, body, len);
  circuit_send_message(client, circuit, now, LIMIT_EXIT_PLACE, cell);
  return !circuit->closing;
}

/* [STREAM-7] A client's reasons are its own: the cause is always the same. */
void client_stream_end(struct client *client, struct client_stream *stream, instant now) {
  const uint8_t code = OUTCOME_DONE;
  if (stream->circuit == NULL || stream->end_sent) return;
  stream->end_sent = true;
  send_small(client, stream, now, MESSAGE_END, &code, 1);
}

void client_stream_send_credit(struct client *client, struct client_stream *stream, instant now, uint64_t limit) {
  uint8_t body[8];
  put_u64(body, limit);
  send_small(client, stream, now, MESSAGE_STREAM_CREDIT, body, sizeof body);
}

/* [STREAM-6] Behind everything that the application sent. */
void client_stream_send_eof(struct client *client, struct client_stream *stream, instant now) {
  bool begun = stream->state == STREAM_BEGUN || stream->state == STREAM_OPEN;
  if (!begun || !stream->application_eof || stream->eof_sent || stream->end_sent || stream->early_unsent > 0) return;
  stream->eof_sent = true;
  if (send_small(client, stream, now, MESSAGE_EOF, NULL, 0)) client_stream_check_done(client, stream, now);
}

/* ---- waiting, beginning, trying again ---- */

static void wait_for_circuit(struct client *client, struct client_stream *stream, instant now) {
  stream->state = STREAM_WAITING;
  stream->held = OUTCOME_OK;
  list_append(&client->waiting_streams, &stream->waits);
  set_timer(client, stream, instant_after(now, WAITING_TIME));
  circuit_pool_want(client);
}

void client_stream_asked(struct client *client, struct client_stream *stream, instant now) {
  struct socks *socks = stream->socks;
  stream->target = socks->target;
  stream->only_resolve = socks->only_resolve;
  isolation_make(&stream->isolation, client->isolation_secret, &stream->application, socks, client->config.isolate_destinations);
  bytes_wipe(&socks->credentials, sizeof socks->credentials);
  struct address address = {.family = stream->target.kind};
  memcpy(address.bytes, stream->target.address, sizeof address.bytes);
  if (stream->only_resolve && stream->target.kind != TARGET_NAME) { /* [SOCKS-7] an address is its own answer */
    socks_answer(socks, OUTCOME_OK, &address);
    client_stream_leave(client, stream, now);
    return;
  }
  wait_for_circuit(client, stream, now);
}

/* [STREAM-15] Another attempt on another circuit, with all that was sent so far, if any is left. */
void client_stream_retry(struct client *client, struct client_stream *stream, instant now, enum outcome cause) {
  stream->cause = cause;
  if (stream->resent == RESENT_MOST || client->stopping) {
    client_stream_fail(client, stream, now, cause);
    return;
  }
  stream->resent++;
  client->figures.streams_resent++;
  client_stream_rewind_early(stream);
  stream->eof_sent = stream->end_sent = stream->end_received = stream->eof_received = stream->answered = false;
  stream->received = 0;
  wait_for_circuit(client, stream, now);
}

static bool join(struct client *client, struct client_stream *stream, struct circuit *circuit) {
  uint16_t number = (uint16_t)(circuit->last_number + 1);
  if (!index_map_put(&client->streams, stream_key(circuit, number), (uintptr_t)stream)) return false;
  stream->number = circuit->last_number = number;
  stream->circuit = circuit;
  stream->allowed = LIMIT_EXIT_FIRST_CREDIT;
  stream->granted = stream->window = LIMIT_CLIENT_FIRST_CREDIT;
  list_append(&circuit->streams, &stream->of_circuit);
  circuit->stream_count++;
  set_live(stream, true);
  return true;
}

void client_stream_begin(struct client *client, struct client_stream *stream, struct circuit *circuit, instant now) {
  uint8_t body[TARGET_MAX_BYTES];
  list_leave(&stream->waits);
  if (!join(client, stream, circuit)) {
    client_stream_fail(client, stream, now, OUTCOME_NO_MEMORY);
    return;
  }
  stream->state = STREAM_BEGUN;
  client->figures.streams_begun++;
  set_timer(client, stream, instant_after(now, ANSWER_TIME));
  size_t len = target_encode(&stream->target, body);
  if (!send_small(client, stream, now, stream->only_resolve ? MESSAGE_RESOLVE : MESSAGE_BEGIN, body, len)) return;
  client_stream_pump(client, stream, now); /* [STREAM-3] */
  if (stream->state == STREAM_BEGUN) client_stream_send_eof(client, stream, now);
  client_stream_ready(client, stream);
}

void client_stream_circuit_closed(struct client *client, struct circuit *circuit, instant now, enum outcome cause) {
  struct list_node *node;
  while ((node = list_first(&circuit->streams)) != NULL) {
    struct client_stream *stream = LIST_OBJECT(node, struct client_stream, of_circuit);
    client_stream_detach(client, stream);
    if (stream->state == STREAM_BEGUN && !stream->answered) {
      client_stream_retry(client, stream, now, cause);
      continue;
    }
    if (stream->state == STREAM_OPEN && !client->stopping) client_stream_note_failure(client, stream, now, cause);
    client_stream_leave(client, stream, now); /* [STREAM-12] */
  }
}

/* ---- what the application and the clock do ---- */

void client_stream_eof(struct client *client, struct client_stream *stream, instant now) {
  stream->application_eof = true;
  if (stream->state == STREAM_ASKING) disconnect(client, stream, EFFECT_CLOSE);
  else if (!stream->only_resolve) client_stream_send_eof(client, stream, now);
}

void client_stream_closed(struct client *client, struct client_stream *stream, instant now) {
  client_forget_connection(client, stream->connection); /* the driver has forgotten it */
  stream->connection = ID_NONE;
  list_leave(&stream->ready_node);
  client_stream_clear_data(client, stream);
  client_stream_end(client, stream, now); /* [STREAM-14] */
  disconnect(client, stream, EFFECT_CLOSE);
}

void client_stream_timer(struct client *client, struct client_stream *stream, instant now) {
  switch ((enum client_stream_state)stream->state) {
  case STREAM_ASKING: disconnect(client, stream, EFFECT_CLOSE); break; /* [SOCKS-9] */
  case STREAM_WAITING: client_stream_fail(client, stream, now, circuit_pool_holds_back(client, stream, now)); break;
  case STREAM_BEGUN: /* [STREAM-22] */
    if (stream->circuit != NULL) stream->circuit->is_worn = true;
    circuit_pool_want(client);
    client_stream_end(client, stream, now);
    if (stream->state == STREAM_BEGUN) client_stream_fail(client, stream, now, OUTCOME_TIMED_OUT);
    break;
  case STREAM_OPEN:
  case STREAM_LEAVING:
  case STREAM_OVER: break;
  }
}

void client_stream_evict(struct client *client, struct client_stream *stream, instant now) {
  client_stream_note_failure(client, stream, now, OUTCOME_MEMORY_LIMIT);
  client_stream_clear_data(client, stream); /* first: END takes a cell */
  client_stream_end(client, stream, now);
  disconnect(client, stream, EFFECT_CLOSE);
}

/* [STREAM-12] A polite end says that this is all there is. It is said after a refusal, and where the exit said it. */
static bool may_end_politely(const struct client_stream *stream) {
  return !stream->answered || stream->only_resolve || stream->eof_received;
}

/* Everything that came is delivered, and perhaps both ways are over. */
void client_stream_check_done(struct client *client, struct client_stream *stream, instant now) {
  bool delivered = stream->arrived.count == 0 && (stream->socks == NULL || !socks_has_output(stream->socks));
  if (!delivered) return;
  if (stream->state == STREAM_LEAVING) {
    disconnect(client, stream, may_end_politely(stream) ? EFFECT_CLOSE_FLUSHED : EFFECT_CLOSE);
  } else if (stream->state == STREAM_OPEN && stream->eof_received && !stream->eof_sent) {
    struct effect effect = {.kind = EFFECT_FINISH, .id = stream->connection};
    if (!stream->finished && !effect_queue_put(&client->effects, &effect)) {
      client_stream_end(client, stream, now);
      disconnect(client, stream, EFFECT_CLOSE);
    }
    stream->finished = true;
  } else if (stream->state == STREAM_OPEN && stream->eof_received) {
    client_stream_end(client, stream, now);
    disconnect(client, stream, EFFECT_CLOSE_FLUSHED);
  }
}
