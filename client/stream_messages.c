#include "client/client_internal.h"

#include <string.h>

static struct client_stream *find(const struct client *client, struct circuit *circuit, uint16_t number) {
  uint64_t value;
  if (circuit->recent != NULL && circuit->recent->number == number) return circuit->recent;
  if (!index_map_get(&client->streams, (uint64_t)circuit->id.slot << 16 | number, &value)) return NULL;
  circuit->recent = (struct client_stream *)(uintptr_t)value;
  return circuit->recent;
}

/* Nobody reads what comes for it any more. */
static bool is_deaf(const struct client_stream *stream) {
  return stream->state == STREAM_OVER || stream->state == STREAM_LEAVING;
}

static bool take_connected(struct client *client, struct client_stream *stream, instant now) {
  if (stream->answered || stream->only_resolve) return false;
  stream->answered = true;
  if (is_deaf(stream)) return true; /* it crossed our END */
  stream->state = STREAM_OPEN;
  stream->allowed = LIMIT_EXIT_OPEN_CREDIT; /* [STREAM-5] */
  timer_heap_cancel(&client->timers, &stream->timer);
  socks_answer(stream->socks, OUTCOME_OK, NULL); /* [SOCKS-6] not before the destination has answered */
  client_stream_drop_early(client, stream);
  client_stream_ready(client, stream);
  client_stream_pump(client, stream, now);
  return true;
}

/* [SOCKS-7] An exit that connects to no private address has none to tell: the application would go there by itself. NULL: none is left. */
static const struct address *first_believed(const struct circuit *circuit, const struct address *addresses, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (circuit->exit.allows_private || !address_is_private(&addresses[i])) return &addresses[i];
  return NULL;
}

/* [STREAM-10] END follows; only then the application is told. */
static bool take_resolved(struct client *client, struct client_stream *stream, instant now, const struct message *message) {
  struct address addresses[RESOLVED_ADDRESSES_MAX];
  size_t count;
  if (stream->answered || !stream->only_resolve || !resolved_decode(message->body, message->len, addresses, &count)) return false;
  stream->answered = true;
  if (is_deaf(stream)) return true;
  const struct address *address = first_believed(stream->circuit, addresses, count);
  if (address == NULL) client_stream_note_failure(client, stream, now, OUTCOME_NAME_NOT_FOUND);
  socks_answer(stream->socks, address != NULL ? OUTCOME_OK : OUTCOME_NAME_NOT_FOUND, address);
  return true;
}

static bool take_data(struct client *client, struct client_stream *stream, instant now, const struct message *message) {
  stream->received += message->len;
  /* [STREAM-5] [STREAM-9] */
  if (stream->received > stream->granted || stream->eof_received || !stream->answered || stream->only_resolve) return false;
  if (is_deaf(stream)) return true; /* [STREAM-8] */
  client->figures.bytes_down += message->len;
  client_stream_keep_arrived(client, stream, now, message->body, message->len);
  return true;
}

static bool take_eof(struct client *client, struct client_stream *stream, instant now) {
  if (stream->eof_received || !stream->answered || stream->only_resolve) return false;
  stream->eof_received = true;
  client_stream_check_done(client, stream, now);
  return true;
}

static bool take_credit(struct client *client, struct client_stream *stream, instant now, const struct message *message) {
  uint64_t allowed = get_u64(message->body);
  if (!stream->answered || stream->only_resolve) return false;
  /* [STREAM-5] Credit that says nothing would be said for whoever counts cells on the way. */
  if (allowed < stream->allowed + LIMIT_EXIT_FIRST_CREDIT / 4 || allowed - stream->sent > LIMIT_EXIT_CREDIT) return false;
  if (allowed - stream->allowed < (allowed - stream->sent) / 4) return false;
  stream->allowed = allowed;
  client_stream_pump(client, stream, now);
  client_stream_ready(client, stream);
  return true;
}

/* [STREAM-15] Causes that lie with the exit and not with the destination: another exit may do better. */
static bool another_exit_may_do(enum outcome cause) {
  return cause == OUTCOME_REFUSED_BY_POLICY || cause == OUTCOME_NO_ROUTE || cause == OUTCOME_NAME_LOOKUP_FAILED ||
         cause == OUTCOME_TOO_BUSY || cause == OUTCOME_LIMIT_REACHED || cause == OUTCOME_MEMORY_LIMIT ||
         cause == OUTCOME_NO_MEMORY || cause == OUTCOME_SYSTEM_FAILED || cause == OUTCOME_SHUTTING_DOWN;
}

/* [OUT-8] */
static enum outcome as_told_by_exit(enum outcome cause) {
  return cause == OUTCOME_DONE || cause == OUTCOME_OK || !outcome_is_of_hop(cause) ? OUTCOME_CONNECTION_RESET : cause;
}

/* Before the stream was connected. */
static void take_refusal(struct client *client, struct client_stream *stream, const struct circuit_hop *exit, instant now,
                         enum outcome cause) {
  cause = as_told_by_exit(cause);
  if (!another_exit_may_do(cause) || stream->tried.count == PATH_AVOIDED_MAX) {
    client_stream_fail(client, stream, now, cause);
    return;
  }
  memcpy(stream->tried.identities[stream->tried.count++], exit->identity, IDENTITY_BYTES);
  client_stream_retry(client, stream, now, cause);
}

/* [STREAM-7] Answered by our own END, if that did not cross it; then the number is forgotten. */
static bool take_end(struct client *client, struct client_stream *stream, instant now, const struct message *message) {
  enum outcome cause;
  struct circuit *circuit = stream->circuit;
  if (!outcome_from_code(message->body[0], &cause)) return false;
  stream->end_received = true;
  client_stream_end(client, stream, now);
  if (circuit->closing) return true; /* for lack of memory: the stream was dealt with */
  client_stream_detach(client, stream);
  if (stream->state == STREAM_BEGUN && !stream->answered) {
    take_refusal(client, stream, &circuit->hops[LIMIT_EXIT_PLACE], now, cause);
    return true;
  }
  if (stream->state == STREAM_OPEN && cause != OUTCOME_DONE) client_stream_note_failure(client, stream, now, as_told_by_exit(cause));
  client_stream_leave(client, stream, now);
  return true;
}

bool client_stream_message(struct client *client, struct circuit *circuit, instant now, const struct message *message) {
  struct client_stream *stream = find(client, circuit, message->stream);
  if (stream == NULL || stream->end_received) return false; /* [STREAM-9] */
  switch ((enum message_command)message->command) {
  case MESSAGE_CONNECTED: return take_connected(client, stream, now);
  case MESSAGE_RESOLVED: return take_resolved(client, stream, now, message);
  case MESSAGE_DATA: return take_data(client, stream, now, message);
  case MESSAGE_EOF: return take_eof(client, stream, now);
  case MESSAGE_STREAM_CREDIT: return take_credit(client, stream, now, message);
  case MESSAGE_END: return take_end(client, stream, now, message);
  case MESSAGE_END_OF_CELL:
  case MESSAGE_EXTEND:
  case MESSAGE_EXTENDED:
  case MESSAGE_CLOSED:
  case MESSAGE_PADDING:
  case MESSAGE_BEGIN:
  case MESSAGE_RESOLVE: break;
  }
  return false;
}
