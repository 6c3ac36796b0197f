#include "relay/shard_internal.h"

#include <stdlib.h>
#include <string.h>

enum { ADDRESSES_TRIED_MAX = 3 };

/* [STREAM-21] Half of the room is for circuits with few streams. */
static bool has_room(const struct shard *shard, const struct hop *hop) {
  uint32_t room = shard->streams.limit;
  return shard->streams.count < (hop->stream_count < LIMIT_STREAMS_OF_A_FEW ? room : room / 2);
}

/* NULL: no memory. */
static struct exit_stream *stream_new(struct shard *shard, struct hop *hop, const struct message *message) {
  struct exit_stream *stream = calloc(1, sizeof *stream);
  if (stream == NULL) return NULL;
  if (!index_map_put(&shard->streams, exit_stream_key(hop, message->stream), (uintptr_t)stream)) {
    free(stream);
    return NULL;
  }
  stream->hop = hop;
  stream->number = message->stream;
  stream->only_resolve = message->command == MESSAGE_RESOLVE;
  stream->granted = LIMIT_EXIT_FIRST_CREDIT;
  stream->allowed = LIMIT_CLIENT_FIRST_CREDIT;
  stream->backlog.kind = BACKLOG_STREAM;
  list_append(&hop->streams, &stream->of_hop);
  hop->stream_count++;
  shard->figures.streams++;
  shard->figures.streams_begun++;
  return stream;
}

/* A name for the driver; each attempt has its own. */
static bool draw_connection(struct shard *shard, struct exit_stream *stream) {
  struct shard_connection *connection = shard_draw_connection(shard, &stream->connection);
  if (connection == NULL) return false;
  connection->stream = stream;
  return true;
}

/* Of every byte: else a relay could listen where all exits take a destination of its choice for it, and refuse that one. */
static uint64_t place_key(const struct shard *shard, const struct address *address) {
  uint8_t place[1 + sizeof address->bytes + 2] = {address->family};
  memcpy(place + 1, address->bytes, sizeof address->bytes);
  put_u16(place + 1 + sizeof address->bytes, address->port);
  return index_map_key(&shard->places, place, sizeof place);
}

void exit_learn_places(struct shard *shard) {
  uint8_t secret[16];
  index_map_wipe(&shard->places);
  random_bytes(&shard->random, secret, sizeof secret);
  index_map_init(&shard->places, secret, LIMIT_RELAYS);
  for (uint32_t i = 0; i < consensus_count(shard->consensus); i++) {
    const struct relay_entry *entry = consensus_at(shard->consensus, i);
    index_map_put(&shard->places, place_key(shard, &entry->address), 1);
  }
}

static bool is_own_host(const struct shard *shard, const struct address *address) {
  for (int i = 0; i < 2; i++) {
    const struct address *own = &shard->config.own[i];
    if (own->family == address->family && memcmp(own->bytes, address->bytes, sizeof own->bytes) == 0) return true;
  }
  return false;
}

/* By the policy, and never back into the network nor into the own host; private places are the policy's business alone. */
static bool may_connect(const struct shard *shard, const struct address *address) {
  uint64_t value;
  struct address reached = exit_policy_reaches(address);
  if (!exit_policy_may_connect(shard->config.policy, address)) return false;
  if (address_is_private(&reached)) return true;
  if (is_own_host(shard, &reached) && !exit_policy_names(shard->config.policy, address)) return false;
  return !index_map_get(&shard->places, place_key(shard, &reached), &value);
}

/* [STREAM-4] Allowed addresses, in the order in which they came; ret_cause: why none. */
static void keep_allowed(struct shard *shard, struct exit_stream *stream, const struct address *addresses, uint32_t count,
                         enum outcome *ret_cause) {
  *ret_cause = OUTCOME_REFUSED_BY_POLICY;
  stream->addresses = calloc(ADDRESSES_TRIED_MAX, sizeof *stream->addresses);
  if (stream->addresses == NULL) {
    *ret_cause = OUTCOME_NO_MEMORY;
    return;
  }
  for (uint32_t i = 0; i < count && stream->address_count < ADDRESSES_TRIED_MAX; i++) {
    struct address address = addresses[i];
    address.port = stream->port;
    if (may_connect(shard, &address)) stream->addresses[stream->address_count++] = address;
  }
}

/* An effect that was not taken: nobody heard of its name. */
static bool begin(struct shard *shard, struct exit_stream *stream, const struct effect *effect) {
  if (effect_queue_put(&shard->effects, effect)) return true;
  shard_forget_connection(shard, stream->connection);
  stream->connection = ID_NONE;
  return false;
}

bool exit_connect_next(struct shard *shard, struct exit_stream *stream, instant now) {
  (void)now;
  if (stream->address_next >= stream->address_count || !draw_connection(shard, stream)) return false;
  stream->state = STREAM_CONNECTING;
  struct effect effect = {.kind = EFFECT_CONNECT,
                          .id = stream->connection,
                          .connection = CONNECTION_STREAM,
                          .address = stream->addresses[stream->address_next++]};
  return begin(shard, stream, &effect);
}

static void connect_or_end(struct shard *shard, struct exit_stream *stream, instant now, enum outcome cause) {
  if (exit_connect_next(shard, stream, now)) return;
  exit_stream_end(shard, stream, now, stream->address_count > 0 ? OUTCOME_NO_MEMORY : cause);
}

static void resolve(struct shard *shard, struct exit_stream *stream, instant now, const struct target *target) {
  struct effect effect = {.kind = EFFECT_RESOLVE};
  bool is_busy = stream->hop->lookups >= LIMIT_LOOKUPS_PER_CIRCUIT;
  if (is_busy || !draw_connection(shard, stream)) {
    exit_stream_end(shard, stream, now, is_busy ? OUTCOME_TOO_BUSY : OUTCOME_LIMIT_REACHED);
    return;
  }
  stream->state = STREAM_RESOLVING;
  effect.id = stream->connection;
  memcpy(effect.name, target->name, (size_t)target->name_len + 1);
  if (begin(shard, stream, &effect)) stream->hop->lookups++;
  else exit_stream_end(shard, stream, now, OUTCOME_NO_MEMORY);
}

/* [STREAM-20] It goes on, and counts: else one circuit that ends its streams at once could have all lookups of the shard. */
void exit_leave_lookup(struct shard *shard, struct exit_stream *stream) {
  struct shard_connection *connection = shard_connection(shard, stream->connection);
  *connection = (struct shard_connection){.lookup_of = stream->hop->id};
  stream->connection = ID_NONE;
}

void exit_lookup_over(struct shard *shard, struct id lookup) {
  struct hop *hop = id_table_get(&shard->hops, shard_connection(shard, lookup)->lookup_of);
  if (hop != NULL) hop->lookups--;
  shard_forget_connection(shard, lookup);
}

/* [STREAM-21] Nothing is kept of it but that its END will be answered, and what the client may have said before it knew. */
static void refuse(struct shard *shard, struct hop *hop, instant now, const struct message *message, enum outcome cause) {
  hop->refused++;
  if (message->command == MESSAGE_BEGIN) hop->refused_credit += EXIT_REFUSED_CREDIT;
  shard->figures.streams_refused++;
  hop_say(shard, hop, now, MESSAGE_END, message->stream, &(uint8_t){(uint8_t)cause}, 1);
}

void exit_begin(struct shard *shard, struct hop *hop, instant now, const struct message *message) {
  struct target target;
  bool only_resolve = message->command == MESSAGE_RESOLVE;
  /* [STREAM-2] */
  if (message->stream <= hop->last_stream || !target_decode(message->body, message->len, &target)) {
    shard->figures.violations++;
    hop_close(shard, hop, now, OUTCOME_PROTOCOL_VIOLATION);
    return;
  }
  hop->last_stream = message->stream;
  if (hop->stream_count + hop->refused >= LIMIT_STREAMS_PER_CIRCUIT) {
    hop_close(shard, hop, now, OUTCOME_LIMIT_REACHED);
    return;
  }
  bool may = has_room(shard, hop);
  struct exit_stream *stream = may ? stream_new(shard, hop, message) : NULL;
  if (stream == NULL) {
    refuse(shard, hop, now, message, may ? OUTCOME_NO_MEMORY : OUTCOME_TOO_BUSY);
    return;
  }
  stream->port = target.port;
  if (target.kind == TARGET_NAME) {
    resolve(shard, stream, now, &target);
    return;
  }
  struct address address = {.family = target.kind == TARGET_IPV4 ? ADDRESS_IPV4 : ADDRESS_IPV6, .port = target.port};
  memcpy(address.bytes, target.address, target.kind == TARGET_IPV4 ? 4 : 16);
  enum outcome cause = OUTCOME_PROTOCOL_VIOLATION;
  if (!only_resolve) keep_allowed(shard, stream, &address, 1, &cause);
  connect_or_end(shard, stream, now, cause);
}

/* [STREAM-10] What may not be connected to is not told either: no map of a private network through names. */
static void tell_addresses(struct shard *shard, struct exit_stream *stream, instant now, const struct event *event) {
  struct address told[EVENT_ADDRESSES_MAX];
  uint8_t body[RESOLVED_MAX_BYTES];
  size_t count = 0;
  bool all = exit_policy_allows_private(shard->config.policy);
  for (uint32_t i = 0; i < event->address_count && i < EVENT_ADDRESSES_MAX; i++)
    if (all || !address_is_private(&event->addresses[i])) told[count++] = event->addresses[i];
  if (count > 0 && !hop_say(shard, stream->hop, now, MESSAGE_RESOLVED, stream->number, body, resolved_encode(told, count, body))) return;
  exit_stream_end(shard, stream, now, count > 0 ? OUTCOME_DONE : OUTCOME_NAME_NOT_FOUND);
}

void exit_resolved(struct shard *shard, struct exit_stream *stream, instant now, const struct event *event) {
  if (stream->state != STREAM_RESOLVING) return;
  /* The lookup's name is used up: a connection gets its own. */
  shard_forget_connection(shard, stream->connection);
  stream->connection = ID_NONE;
  stream->hop->lookups--;
  if (event->outcome != OUTCOME_OK) {
    exit_stream_end(shard, stream, now, event->outcome);
  } else if (stream->only_resolve) {
    tell_addresses(shard, stream, now, event);
  } else {
    enum outcome cause;
    keep_allowed(shard, stream, event->addresses, event->address_count, &cause);
    connect_or_end(shard, stream, now, cause);
  }
}

void exit_connected(struct shard *shard, struct exit_stream *stream, instant now) {
  if (stream->state != STREAM_CONNECTING) return;
  free(stream->addresses);
  stream->addresses = NULL;
  stream->state = STREAM_OPEN;
  stream->granted = stream->window = LIMIT_EXIT_OPEN_CREDIT; /* [STREAM-5] */
  if (!hop_say(shard, stream->hop, now, MESSAGE_CONNECTED, stream->number, NULL, 0)) return;
  exit_stream_ready(shard, stream); /* to be read, and what came behind BEGIN to be written */
  exit_stream_opened(shard, stream, now);
}
