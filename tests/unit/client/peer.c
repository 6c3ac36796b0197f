#include "tests/unit/client/peer.h"

#include <stdlib.h>
#include <string.h>

static struct peer_connection *find(const struct peer *peer, struct id id) {
  const uint32_t *index = id_table_get(&peer->ids, id);
  return index == NULL ? NULL : (struct peer_connection *)&peer->connections[*index];
}

static struct peer_connection *add(struct peer *peer) {
  struct id id;
  uint32_t *index = peer->count == PEER_CONNECTIONS_MAX ? NULL : id_table_add(&peer->ids, &id);
  if (index == NULL) abort();
  *index = peer->count;
  struct peer_connection *connection = &peer->connections[peer->count++];
  connection->id = id;
  return connection;
}

static void make_ready(struct peer *peer, struct peer_connection *connection) {
  if (!list_contains_node(&connection->ready)) list_append(&peer->ready, &connection->ready);
}

static void put_effect(struct peer *peer, enum effect_kind kind, struct id id) {
  struct effect effect = {.kind = kind, .id = id};
  if (!effect_queue_put(&peer->effects, &effect)) abort();
}

struct peer *peer_new(void) {
  struct peer *peer = calloc(1, sizeof *peer);
  if (peer == NULL) abort();
  id_table_init(&peer->ids, sizeof(uint32_t), PEER_CONNECTIONS_MAX);
  list_init(&peer->ready);
  return peer;
}

void peer_free(struct peer *peer) {
  for (uint32_t i = 0; i < peer->count; i++) free(peer->connections[i].in);
  id_table_wipe(&peer->ids);
  effect_queue_wipe(&peer->effects);
  free(peer);
}

uint32_t peer_connect(struct peer *peer, const struct address *to, const void *bytes, size_t len) {
  struct peer_connection *connection = add(peer);
  struct effect effect = {.kind = EFFECT_CONNECT, .id = connection->id, .connection = CONNECTION_SOCKS, .address = *to};
  if (!effect_queue_put(&peer->effects, &effect)) abort();
  connection->out = bytes;
  connection->out_len = len;
  return peer->count - 1;
}

void peer_send(struct peer *peer, uint32_t index, const void *bytes, size_t len, bool finish) {
  struct peer_connection *connection = &peer->connections[index];
  connection->out = bytes;
  connection->out_len = len;
  connection->out_sent = 0;
  connection->finish = finish;
  if (finish && len == 0) put_effect(peer, EFFECT_FINISH, connection->id);
  make_ready(peer, connection);
}

void peer_close(struct peer *peer, uint32_t index) {
  struct peer_connection *connection = &peer->connections[index];
  list_leave(&connection->ready);
  connection->closed = true;
  id_table_remove(&peer->ids, connection->id);
  put_effect(peer, EFFECT_CLOSE, connection->id);
}

static struct id verb_accept(void *self, instant now, enum connection_kind kind, const struct address *from) {
  struct peer *peer = self;
  (void)now, (void)kind, (void)from;
  struct peer_connection *connection = add(peer);
  struct id id = connection->id;
  *connection = peer->script;
  connection->id = id;
  connection->connected = true;
  if (!connection->finish_on_eof) make_ready(peer, connection);
  return id;
}

static size_t verb_room(const void *self, struct id id) {
  const struct peer_connection *connection = find(self, id);
  return connection == NULL || connection->deaf ? 0 : 64 * 1024;
}

static enum outcome verb_receive(void *self, instant now, struct id id, uint8_t *in, size_t len, size_t *ret_used) {
  struct peer_connection *connection = find(self, id);
  (void)now;
  *ret_used = len;
  if (connection == NULL) return OUTCOME_NOT_FOUND;
  connection->in = realloc(connection->in, connection->in_len + len);
  if (connection->in == NULL) abort();
  memcpy(connection->in + connection->in_len, in, len);
  connection->in_len += len;
  return OUTCOME_OK;
}

static size_t verb_transmit(void *self, instant now, struct id id, uint8_t *out, size_t room) {
  struct peer *peer = self;
  struct peer_connection *connection = find(peer, id);
  (void)now;
  if (connection == NULL || (connection->finish_on_eof && !connection->eof)) return 0;
  size_t len = connection->out_len - connection->out_sent;
  if (len > room) len = room;
  if (len > 0) memcpy(out, connection->out + connection->out_sent, len);
  connection->out_sent += len;
  bool ends = connection->finish || connection->finish_on_eof;
  if (ends && len > 0 && connection->out_sent == connection->out_len) put_effect(peer, EFFECT_FINISH, id);
  return len;
}

static void verb_event(void *self, instant now, const struct event *event) {
  struct peer *peer = self;
  struct peer_connection *connection = find(peer, event->id);
  (void)now;
  if (connection == NULL) return;
  if (event->kind == EVENT_CONNECTED) connection->connected = true;
  if (event->kind == EVENT_EOF) {
    connection->eof = true;
    if (connection->finish_on_eof && connection->out_len == 0) put_effect(peer, EFFECT_FINISH, connection->id);
  }
  if (event->kind == EVENT_CLOSED) {
    connection->closed = true;
    list_leave(&connection->ready);
    id_table_remove(&peer->ids, event->id);
    return;
  }
  make_ready(peer, connection);
}

static bool verb_next_ready(void *self, struct id *ret) {
  struct peer *peer = self;
  struct list_node *node = list_take_first(&peer->ready);
  if (node == NULL) return false;
  *ret = LIST_OBJECT(node, struct peer_connection, ready)->id;
  return true;
}

static bool verb_next_effect(void *self, struct effect *ret) {
  return effect_queue_take(&((struct peer *)self)->effects, ret);
}

static instant verb_deadline(const void *self) {
  (void)self;
  return INSTANT_NEVER;
}

static void verb_tick(void *self, instant now) {
  (void)self, (void)now;
}

static bool verb_work(void *self, instant now) {
  (void)self, (void)now;
  return false;
}

struct machine peer_machine(struct peer *peer) {
  static const struct machine_verbs verbs = {
      .accept = verb_accept,
      .room = verb_room,
      .receive = verb_receive,
      .transmit = verb_transmit,
      .event = verb_event,
      .next_ready = verb_next_ready,
      .next_effect = verb_next_effect,
      .deadline = verb_deadline,
      .tick = verb_tick,
      .work = verb_work,
  };
  return (struct machine){peer, &verbs};
}
