#include "relay/shard_internal.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXTS = 512, CONNECTIONS = LIMIT_LINKS_PER_NODE + LIMIT_STREAMS_PER_SHARD + LIMIT_LOOKUPS_PER_SHARD };
#define FIGURES_INTERVAL (1 * SECONDS)

struct shard *shard_new(const struct shard_config *config) {
  struct shard *shard = calloc(1, sizeof *shard);
  if (shard == NULL) return NULL;
  shard->config = *config;
  random_init(&shard->random, config->seed);
  sodium_memzero(shard->config.seed, sizeof shard->config.seed);
  shard->contexts = aead_cache_new(CONTEXTS, config->self->backend);
  shard->cells = cell_pool_new(config->budget, config->pool_cells);
  if (shard->contexts == NULL || shard->cells == NULL) {
    shard_free(shard);
    return NULL;
  }
  trunk_pool_init(&shard->trunks, shard->cells, &shard->random);
  id_table_init(&shard->connections, sizeof(struct shard_connection), CONNECTIONS);
  id_table_init(&shard->hops, sizeof(struct hop), LIMIT_CIRCUITS_PER_SHARD);
  uint8_t secret[16];
  random_bytes(&shard->random, secret, sizeof secret);
  index_map_init(&shard->neighbours, secret, LIMIT_LINKS_PER_NODE);
  random_bytes(&shard->random, secret, sizeof secret);
  index_map_init(&shard->links_of, secret, 2 * LIMIT_LINKS_PER_NODE);
  random_bytes(&shard->random, secret, sizeof secret);
  bool has_less = config->streams != 0 && config->streams < LIMIT_STREAMS_PER_SHARD;
  index_map_init(&shard->streams, secret, has_less ? config->streams : LIMIT_STREAMS_PER_SHARD);
  index_map_init(&shard->places, secret, LIMIT_RELAYS);
  timer_heap_init(&shard->timers);
  struct list *lists[] = {&shard->quiet, &shard->links, &shard->wants_work, &shard->has_creates, &shard->ready_streams,
                          &shard->dead_hops, &shard->dead_streams, &shard->gone};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) list_init(lists[i]);
  shard->next_number = 1;
  if (hop_plan_sweep(shard, INSTANT_NEVER - 1)) return shard;
  shard_free(shard);
  return NULL;
}

static void free_connections(struct shard *shard) {
  uint32_t cursor = 0;
  struct id id;
  struct shard_connection *connection;
  while ((connection = id_table_next(&shard->connections, &cursor, &id)) != NULL) {
    if (connection->stream != NULL) exit_stream_free(shard, connection->stream);
    else if (connection->neighbour != NULL) neighbour_free(shard, connection->neighbour);
  }
}

/* Figures that nobody took are freed with the rest. */
static void wipe_effects(struct shard *shard) {
  for (struct effect effect; effect_queue_take(&shard->effects, &effect);) {
    if (effect.kind == EFFECT_MESSAGE && effect.message.kind == KEEPER_FIGURES) free(effect.message.object);
    document_release(effect.document);
  }
  effect_queue_wipe(&shard->effects);
}

void shard_free(struct shard *shard) {
  if (shard == NULL) return;
  if (shard->hops.object_size != 0) { /* the tables were made */
    uint32_t cursor = 0;
    struct id id;
    struct hop *hop;
    while ((hop = id_table_next(&shard->hops, &cursor, &id)) != NULL) hop_free(shard, hop);
    shard_sweep(shard, 0);
    free_connections(shard);
    id_table_wipe(&shard->connections);
    id_table_wipe(&shard->hops);
    index_map_wipe(&shard->neighbours);
    index_map_wipe(&shard->links_of);
    index_map_wipe(&shard->streams);
    index_map_wipe(&shard->places);
    timer_heap_wipe(&shard->timers);
    wipe_effects(shard);
  }
  consensus_archive_wipe(&shard->archive);
  network_shelf_wipe(&shard->networks);
  consensus_release(shard->consensus);
  if (shard->keys != NULL) sodium_free(shard->keys);
  cell_pool_free(shard->cells);
  aead_cache_free(shard->contexts);
  random_wipe(&shard->random);
  free(shard);
}

struct shard_connection *shard_connection(const struct shard *shard, struct id id) {
  return id_table_get(&shard->connections, id);
}

/* [MACH-11] */
struct shard_connection *shard_draw_connection(struct shard *shard, struct id *ret_id) {
  *ret_id = ID_NONE;
  if (!effect_queue_reserve(&shard->effects)) return NULL;
  struct shard_connection *connection = id_table_add(&shard->connections, ret_id);
  if (connection == NULL) effect_queue_release(&shard->effects);
  return connection;
}

void shard_forget_connection(struct shard *shard, struct id id) {
  effect_queue_release(&shard->effects);
  id_table_remove(&shard->connections, id);
}

void shard_close_connection(struct shard *shard, struct id id, enum effect_kind kind) {
  struct effect effect = {.kind = kind, .id = id};
  effect_queue_put_reserved(&shard->effects, &effect);
  id_table_remove(&shard->connections, id);
}

struct cell *shard_take_cell(struct shard *shard, instant now) {
  struct cell *cell;
  while ((cell = cell_pool_take(shard->cells)) == NULL) {
    /* [LIMIT-2] [LIMIT-3] What bounds memory is eviction: nobody ever waits for memory. */
    struct backlog *longest = trunk_pool_longest_backlog(&shard->trunks);
    if (longest == NULL) return NULL;
    shard->figures.evicted++;
    if (longest->kind == BACKLOG_STREAM) {
      struct exit_stream *stream = LIST_OBJECT(longest, struct exit_stream, backlog);
      hop_cut(shard, stream->hop, now);
    } else {
      struct hop *hop = id_table_get(&shard->hops, longest->owner);
      hop_cut(shard, hop, now);
    }
  }
  return cell;
}

static void sweep_sides(struct shard *shard, instant now) {
  struct trunk_side *side;
  while ((side = trunk_pool_next_finished(&shard->trunks)) != NULL) hop_check_dead(shard, hop_of_side(side));
  while ((side = trunk_pool_next_roomy(&shard->trunks)) != NULL) exit_hop_room(shard, hop_of_side(side));
  (void)now;
}

void shard_sweep(struct shard *shard, instant now) {
  struct list_node *node;
  sweep_sides(shard, now);
  while ((node = list_take_first(&shard->gone)) != NULL)
    neighbour_free(shard, LIST_OBJECT(node, struct neighbour, gone));
  while ((node = list_take_first(&shard->dead_streams)) != NULL)
    exit_stream_free(shard, LIST_OBJECT(node, struct exit_stream, dead));
  while ((node = list_take_first(&shard->dead_hops)) != NULL) hop_free(shard, LIST_OBJECT(node, struct hop, order));
}

static struct id verb_accept(void *self, instant now, enum connection_kind kind, const struct address *peer) {
  struct shard *shard = self;
  bool may = kind == CONNECTION_LINK && !shard->stopping && shard->figures.links < LIMIT_LINKS_PER_NODE;
  struct neighbour *neighbour = may ? neighbour_accept(shard, now, peer) : NULL;
  if (neighbour != NULL) return neighbour->connection;
  neighbour_report_refused(shard, peer);
  return ID_NONE;
}

static size_t verb_room(const void *self, struct id id) {
  const struct shard *shard = self;
  const struct shard_connection *connection = shard_connection(shard, id);
  if (connection == NULL) return 0;
  if (connection->stream != NULL) return exit_stream_room(connection->stream);
  const struct link *link = trunk_link(connection->neighbour->trunk);
  return link_needs_work(link) || link_state(link) == LINK_AWAITING_ADMISSION ? 0 : SIZE_MAX;
}

/* Told soon after something happened: a relay with nothing to do does not wake. */
static void plan_figures(struct shard *shard, instant now) {
  if (shard->figures_timer.position == 0)
    timer_heap_set(&shard->timers, &shard->figures_timer, TIMER_FIGURES, ID_NONE, instant_after(now, FIGURES_INTERVAL));
}

static enum outcome verb_receive(void *self, instant now, struct id id, uint8_t *in, size_t len, size_t *ret_used) {
  struct shard *shard = self;
  struct shard_connection *connection = shard_connection(shard, id);
  enum outcome outcome = OUTCOME_OK;
  *ret_used = len;
  if (connection == NULL) return OUTCOME_NOT_FOUND;
  plan_figures(shard, now);
  if (connection->stream != NULL) exit_stream_receive(shard, connection->stream, now, in, len);
  else outcome = neighbour_receive(shard, connection->neighbour, now, in, len, ret_used);
  shard_sweep(shard, now);
  return outcome;
}

static size_t verb_transmit(void *self, instant now, struct id id, uint8_t *out, size_t room) {
  struct shard *shard = self;
  struct shard_connection *connection = shard_connection(shard, id);
  if (connection == NULL) return 0;
  size_t len = connection->stream != NULL ? exit_stream_transmit(shard, connection->stream, now, out, room)
                                          : trunk_transmit(connection->neighbour->trunk, now, out, room);
  shard_sweep(shard, now);
  return len;
}

static void take_keys(struct shard *shard, struct onion_keys *keys) {
  if (shard->keys != NULL) sodium_free(shard->keys);
  shard->keys = keys;
}

static void take_message(struct shard *shard, const struct machine_message *message) {
  if (message->kind == SHARD_CONSENSUS) {
    consensus_release(shard->consensus);
    shard->consensus = message->object;
    consensus_archive_add(&shard->archive, shard->consensus);
    exit_learn_places(shard);
  } else if (message->kind == SHARD_ONION_KEYS) {
    take_keys(shard, message->object);
  } else if (message->kind == SHARD_NETWORK_FILES) {
    network_shelf_fill(&shard->networks, message->object, (uint32_t)message->value);
    document_release(message->object);
  }
}

static void stop(struct shard *shard) {
  shard->stopping = true;
  effect_queue_exit(&shard->effects, OUTCOME_OK);
}

static void connection_event(struct shard *shard, instant now, const struct event *event) {
  struct shard_connection *connection = shard_connection(shard, event->id);
  if (connection == NULL) return;
  struct exit_stream *stream = connection->stream;
  struct neighbour *neighbour = connection->neighbour;
  if (event->kind == EVENT_CONNECTED) {
    if (stream != NULL) exit_connected(shard, stream, now);
    else neighbour_connected(shard, neighbour, now);
  } else if (event->kind == EVENT_RESOLVED) {
    if (stream != NULL) exit_resolved(shard, stream, now, event);
    else if (neighbour == NULL) exit_lookup_over(shard, event->id);
  } else if (event->kind == EVENT_EOF && stream != NULL) {
    exit_stream_eof(shard, stream, now);
  } else if (stream != NULL) {
    exit_stream_closed(shard, stream, now, event->outcome);
  } else {
    neighbour_lost(shard, neighbour, now, event->kind == EVENT_EOF ? OUTCOME_DONE : event->outcome);
    /* The driver has forgotten a closed connection; after EOF it still holds it. */
  }
}

static void verb_event(void *self, instant now, const struct event *event) {
  struct shard *shard = self;
  switch (event->kind) {
  case EVENT_CLOCK: shard->clock = event->clock; break;
  case EVENT_MESSAGE: take_message(shard, &event->message); break;
  case EVENT_STOP: stop(shard); break;
  case EVENT_CONNECTED:
  case EVENT_RESOLVED:
  case EVENT_EOF:
  case EVENT_CLOSED: connection_event(shard, now, event); break;
  case EVENT_WRITTEN: break; /* shards write no files */
  }
  plan_figures(shard, now);
  shard_sweep(shard, now);
}

static uint32_t verb_waiting(const void *self, struct id id) {
  const struct shard_connection *connection = shard_connection(self, id);
  return connection == NULL || connection->neighbour == NULL ? 0 : trunk_waiting_count(connection->neighbour->trunk);
}

static bool verb_next_ready(void *self, struct id *ret) {
  struct shard *shard = self;
  struct list_node *node = list_take_first(&shard->ready_streams);
  if (node == NULL) return trunk_pool_next_ready(&shard->trunks, ret);
  *ret = LIST_OBJECT(node, struct exit_stream, ready_node)->connection;
  return true;
}

static bool verb_next_effect(void *self, struct effect *ret) {
  return effect_queue_take(&((struct shard *)self)->effects, ret);
}

static instant verb_deadline(const void *self) {
  const struct shard *shard = self;
  return instant_earlier(timer_heap_deadline(&shard->timers), trunk_pool_deadline(&shard->trunks));
}

static void send_figures(struct shard *shard, instant now) {
  shard->figures.circuits = id_table_count(&shard->hops);
  shard->figures.cells_received = shard->trunks.cells_received;
  shard->figures.cells_sent = shard->trunks.cells_sent;
  shard->figures.bytes_sent = shard->trunks.bytes_sent;
  shard->figures.pool_used = cell_pool_used(shard->cells);
  shard->figures.pool_limit = cell_pool_limit(shard->cells);
  if (memcmp(&shard->figures, &shard->told, sizeof shard->told) == 0) return;
  plan_figures(shard, now);
  struct shard_figures *figures = malloc(sizeof *figures);
  if (figures == NULL) return;
  *figures = shard->figures;
  struct effect effect = {.kind = EFFECT_MESSAGE, .to = 0, .message = {.kind = KEEPER_FIGURES, .object = figures}};
  if (effect_queue_put(&shard->effects, &effect)) shard->told = shard->figures;
  else free(figures); /* the next ones tell as much */
}

static void verb_tick(void *self, instant now) {
  struct shard *shard = self;
  struct timer *timer;
  if (trunk_pool_deadline(&shard->trunks) <= now) plan_figures(shard, now);
  trunk_pool_tick(&shard->trunks, now);
  while ((timer = timer_heap_expired(&shard->timers, now)) != NULL) {
    if (timer->kind == TIMER_IDLE) hop_sweep_quiet(shard, now); /* first: it keeps its timer's place */
    if (timer->kind != TIMER_FIGURES) plan_figures(shard, now);
    if (timer->kind == TIMER_IDLE) continue;
    if (timer->kind == TIMER_FIGURES) {
      send_figures(shard, now);
    } else if (timer->kind == TIMER_HOP) {
      struct hop *hop = id_table_get(&shard->hops, timer->owner);
      if (hop != NULL) hop_timer(shard, hop, now);
    } else if (timer->kind == TIMER_END) {
      struct hop *hop = id_table_get(&shard->hops, timer->owner);
      if (hop != NULL) hop_close(shard, hop, now, OUTCOME_TIMED_OUT);
    } else {
      struct shard_connection *connection = shard_connection(shard, timer->owner);
      if (connection == NULL) continue;
      if (timer->kind == TIMER_NEIGHBOUR) neighbour_timer(shard, connection->neighbour, now);
      else exit_stream_timer(shard, connection->stream, now);
    }
  }
  shard_sweep(shard, now);
}

static bool verb_work(void *self, instant now) {
  struct shard *shard = self;
  bool more = admission_work(shard, now);
  shard_sweep(shard, now);
  return more;
}

static const struct machine_verbs verbs = {
    .accept = verb_accept,
    .room = verb_room,
    .receive = verb_receive,
    .transmit = verb_transmit,
    .event = verb_event,
    .waiting = verb_waiting,
    .next_ready = verb_next_ready,
    .next_effect = verb_next_effect,
    .deadline = verb_deadline,
    .tick = verb_tick,
    .work = verb_work,
};

struct machine shard_machine(struct shard *shard) {
  return (struct machine){shard, &verbs};
}

bool shard_is_consistent(const struct shard *shard) {
  uint32_t sides = 0, cursor = 0;
  struct id id;
  const struct hop *hop;
  while ((hop = id_table_next(&shard->hops, &cursor, &id)) != NULL) {
    if (!id_equal(hop->id, id)) return false;
    for (int i = 0; i < 2; i++) {
      const struct trunk_side *side = &hop->sides[i];
      sides += side->state != SIDE_NONE;
      if ((side->state == SIDE_NONE) != (side->trunk == NULL)) return false;
      if (side->state == SIDE_NONE && side->queue.count != 0) return false;
    }
  }
  return sides == shard->trunks.sides;
}
