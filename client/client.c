#include "client/client_internal.h"

#include <stdlib.h>
#include <string.h>

#include "client/saved_state.h"

enum { CONTEXTS = 384, LINKS_MOST = 64, CONNECTIONS = LIMIT_CLIENT_STREAMS + LINKS_MOST, SWEEPS_MOST = 8 };
enum { BUILDS_PER_SECOND = 8, BUILDS_BURST = 128 };
#define SAVE_AGAIN (10 * SECONDS)

/* [GUARD-6] A state that can't be read costs the old guards, so it is said. */
static void read_state(struct client *client) {
  struct saved_state state;
  uint32_t line;
  const struct client_config *config = &client->config;
  if (config->state == NULL) return;
  enum outcome outcome = saved_state_parse(config->state, config->state_len, network_chain_newest(config->networks)->id, &state, &line);
  if (outcome == OUTCOME_OK) client->guards = state.sample;
  else trace_write(config->trace, TRACE_WARNING, "guard", "the saved state is not used: %s, line %u; new guards will be chosen", outcome_name(outcome), line);
}

static bool make_fetch(struct client *client) {
  const struct fetch_config config = {
      .self = client->config.self,
      .networks = client->config.networks,
      .trunks = &client->trunks,
      .connections = &client->connections,
      .slot_kind = SLOT_FETCH,
      .effects = &client->effects,
      .random = &client->random,
      .trace = client->config.trace,
      .from_mirrors = true,
      .has_guard = true,
  };
  client->fetch = fetch_new(&config);
  return client->fetch != NULL;
}

static void init_tables(struct client *client) {
  uint8_t secret[16];
  trunk_pool_init(&client->trunks, client->cells, &client->random);
  id_table_init(&client->connections, sizeof(struct connection_slot), CONNECTIONS);
  id_table_init(&client->circuits, sizeof(struct circuit), LIMIT_CLIENT_CIRCUITS);
  random_bytes(&client->random, secret, sizeof secret);
  index_map_init(&client->streams, secret, LIMIT_CLIENT_STREAMS * 2);
  timer_heap_init(&client->timers);
  struct list *lists[] = {&client->links,        &client->links_work,    &client->circuits_work, &client->ready_streams,
                          &client->waiting_streams, &client->dead_streams, &client->dead_circuits, &client->gone_links};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) list_init(lists[i]);
}

struct client *client_new(const struct client_config *config) {
  struct client *client = calloc(1, sizeof *client);
  if (client == NULL) return NULL;
  client->config = *config;
  random_init(&client->random, config->seed);
  bytes_wipe(client->config.seed, sizeof client->config.seed);
  random_bytes(&client->random, client->isolation_secret, sizeof client->isolation_secret);
  client->next_number = 1;
  client->cause = OUTCOME_NO_CIRCUIT_YET;
  client->contexts = aead_cache_new(CONTEXTS, config->self->backend);
  client->cells = cell_pool_new(config->budget, config->pool_cells);
  init_tables(client);
  if (client->contexts == NULL || client->cells == NULL || !circuit_pool_plan(client, INSTANT_NEVER - 1) || !make_fetch(client)) {
    client_free(client);
    return NULL;
  }
  read_state(client);
  client->config.state = NULL;
  return client;
}

static void free_connections(struct client *client) {
  uint32_t cursor = 0;
  struct id id;
  struct connection_slot *slot;
  while ((slot = id_table_next(&client->connections, &cursor, &id)) != NULL) {
    if (slot->kind == SLOT_STREAM) client_stream_free(client, slot->object);
    else if (slot->kind == SLOT_LINK) guard_link_free(client, slot->object);
  }
}

static void free_dead(struct client *client) {
  struct list_node *node;
  while ((node = list_take_first(&client->gone_links)) != NULL)
    guard_link_free(client, LIST_OBJECT(node, struct guard_link, gone));
  while ((node = list_take_first(&client->dead_streams)) != NULL)
    client_stream_free(client, LIST_OBJECT(node, struct client_stream, dead));
  while ((node = list_take_first(&client->dead_circuits)) != NULL) circuit_free(client, LIST_OBJECT(node, struct circuit, dead));
}

void client_free(struct client *client) {
  if (client == NULL) return;
  uint32_t cursor = 0;
  struct id id;
  struct circuit *circuit;
  client->stopping = true;
  while ((circuit = id_table_next(&client->circuits, &cursor, &id)) != NULL) circuit_free(client, circuit);
  free_dead(client);
  free_connections(client);
  fetch_free(client->fetch);
  id_table_wipe(&client->connections);
  id_table_wipe(&client->circuits);
  index_map_wipe(&client->streams);
  timer_heap_wipe(&client->timers);
  effect_queue_wipe(&client->effects);
  document_release(client->unsaved.split);
  cell_pool_free(client->cells);
  aead_cache_free(client->contexts);
  bytes_wipe(client->isolation_secret, sizeof client->isolation_secret);
  random_wipe(&client->random);
  free(client);
}

static struct id add_slot(struct client *client, enum client_slot kind, void *object) {
  struct id id;
  struct connection_slot *slot = id_table_add(&client->connections, &id);
  if (slot == NULL) return ID_NONE;
  *slot = (struct connection_slot){.kind = kind, .object = object};
  return id;
}

/* [MACH-11] */
struct id client_add_connection(struct client *client, enum client_slot kind, void *object) {
  if (!effect_queue_reserve(&client->effects)) return ID_NONE;
  struct id id = add_slot(client, kind, object);
  if (id_is_none(id)) effect_queue_release(&client->effects);
  return id;
}

void client_forget_connection(struct client *client, struct id id) {
  effect_queue_release(&client->effects);
  id_table_remove(&client->connections, id);
}

void client_close_connection(struct client *client, struct id id, enum effect_kind kind) {
  struct effect effect = {.kind = kind, .id = id};
  effect_queue_put_reserved(&client->effects, &effect);
  id_table_remove(&client->connections, id);
}

static void *connection_object(const struct client *client, struct id id, enum client_slot kind) {
  const struct connection_slot *slot = id_table_get(&client->connections, id);
  return slot != NULL && slot->kind == kind ? slot->object : NULL;
}

static enum client_slot connection_kind(const struct client *client, struct id id) {
  const struct connection_slot *slot = id_table_get(&client->connections, id);
  return slot == NULL ? (enum client_slot)0 : (enum client_slot)slot->kind;
}

struct cell *client_take_cell(struct client *client, instant now) {
  struct cell *cell;
  while ((cell = cell_pool_take(client->cells)) == NULL) {
    /* [LIMIT-3] What bounds memory is eviction: nobody ever waits for memory. */
    struct backlog *longest = trunk_pool_longest_backlog(&client->trunks);
    if (longest == NULL) return NULL;
    client->figures.evicted++;
    if (longest->kind == BACKLOG_STREAM) client_stream_evict(client, LIST_OBJECT(longest, struct client_stream, backlog), now);
    else circuit_cut(client, id_table_get(&client->circuits, longest->owner), now, OUTCOME_MEMORY_LIMIT);
  }
  return cell;
}

/* ---- files ---- */

/* Takes the document. False: no memory, it must be tried again. */
static bool write_file(struct client *client, const char *name, struct document *document, bool secret, struct id *ret_id) {
  *ret_id = document == NULL ? ID_NONE : add_slot(client, SLOT_FILE, NULL);
  struct effect effect = {.kind = EFFECT_WRITE_FILE, .id = *ret_id, .document = document, .secret = secret};
  memcpy(effect.name, name, strlen(name) + 1);
  if (!id_is_none(*ret_id) && effect_queue_put(&client->effects, &effect)) return true;
  id_table_remove(&client->connections, *ret_id);
  document_release(document);
  return false;
}

void client_save(struct client *client) {
  client->unsaved.state = true;
}

static bool save_state(struct client *client) {
  struct saved_state state = {.sample = client->guards};
  char text[SAVED_STATE_MAX_BYTES];
  memcpy(state.network, network_chain_newest(client->config.networks)->id, sizeof state.network);
  size_t len = saved_state_format(&state, text);
  client->saving = write_file(client, "state", document_new_secret(text, len), true, &client->saving_id);
  bytes_wipe(text, sizeof text);
  return client->saving;
}

/* [MACH-11] What could not be queued stays unsaved, and is tried again after the next verb. One write of the state at a time. */
static void save_files(struct client *client, instant now) {
  struct id id;
  const struct consensus *consensus = fetch_consensus(client->fetch);
  if (client->unsaved.state && !client->saving && client->save_at <= now) client->unsaved.state = !save_state(client);
  if (client->unsaved.consensus)
    client->unsaved.consensus = !write_file(client, "consensus", document_take(consensus_text(consensus)), false, &id);
  if (client->unsaved.network)
    client->unsaved.network = !write_file(client, FETCH_NETWORK_FILE, network_chain_text(client->config.networks), false, &id);
  if (client->unsaved.split != NULL && write_file(client, FETCH_SPLIT_FILE, document_take(client->unsaved.split), false, &id)) {
    document_release(client->unsaved.split);
    client->unsaved.split = NULL;
  }
}

/* [OUT-6] Once until a file can be written again: it is tried for ever. */
static void tell_of_file(struct client *client, enum outcome outcome) {
  bool was_told = client->unwritten;
  client->unwritten = outcome != OUTCOME_OK;
  if (client->unwritten) trace_write(client->config.trace, was_told ? TRACE_INFO : TRACE_WARNING, "client", "a file could not be written: %s", outcome_name(outcome));
}

static void written(struct client *client, instant now, const struct event *event) {
  if (connection_kind(client, event->id) != SLOT_FILE) return;
  id_table_remove(&client->connections, event->id);
  tell_of_file(client, event->outcome);
  if (!client->saving || !id_equal(event->id, client->saving_id)) return;
  client->saving = false;
  if (event->outcome == OUTCOME_OK) return;
  client_save(client); /* [GUARD-6] what is on no disk at the next start is chosen anew */
  client->save_at = instant_after(now, SAVE_AGAIN);
}

/* ---- a newer consensus ---- */

/* [NET-14] Streams that wait are told at once: nothing will come for them. */
static void take_split(struct client *client) {
  struct document *proof = fetch_take_split(client->fetch);
  if (proof == NULL) return;
  document_release(client->unsaved.split);
  client->unsaved.split = proof;
  circuit_pool_want(client);
}

static void consensus_changed(struct client *client) {
  struct consensus *consensus = fetch_consensus(client->fetch);
  if (consensus == NULL) return;
  if (guard_sample_update(&client->guards, consensus, &client->random)) client_save(client);
  client->unsaved.consensus = true;
  circuit_pool_want(client);
}

/* ---- the end of a verb ---- */

static void settle(struct client *client, instant now) {
  if (fetch_wants_guard(client->fetch) && !client->stopping) guard_link_offer(client, now);
  if (fetch_take_network_news(client->fetch)) client->unsaved.network = true;
  take_split(client);
  if (fetch_take_news(client->fetch)) consensus_changed(client);
  for (int round = 0; round < SWEEPS_MOST; round++) {
    struct trunk_side *side;
    while ((side = trunk_pool_next_finished(&client->trunks)) != NULL) circuit_check_dead(client, circuit_of_side(side));
    while ((side = trunk_pool_next_roomy(&client->trunks)) != NULL) client_stream_circuit_room(client, circuit_of_side(side), now);
    free_dead(client);
    if (!client->pool_wanted || client->stopping) return;
    client->pool_wanted = false;
    circuit_pool_run(client, now);
  }
}

static void sweep(struct client *client, instant now) {
  settle(client, now);
  save_files(client, now);
}

void client_set_consensus(struct client *client, instant now, struct consensus *consensus) {
  fetch_set_consensus(client->fetch, now, consensus);
  (void)fetch_take_news(client->fetch); /* it came from the disk: it need not go there */
  if (fetch_consensus(client->fetch) == NULL) return;
  if (guard_sample_update(&client->guards, fetch_consensus(client->fetch), &client->random)) client_save(client);
  circuit_pool_want(client);
  sweep(client, now);
}

/* ---- verbs ---- */

static struct id verb_accept(void *self, instant now, enum connection_kind kind, const struct address *peer) {
  struct client *client = self;
  if (kind != CONNECTION_SOCKS || client->stopping) return ID_NONE;
  struct client_stream *stream = client_stream_accept(client, now, peer);
  return stream == NULL ? ID_NONE : stream->connection;
}

static size_t verb_room(const void *self, struct id id) {
  const struct client *client = self;
  const struct connection_slot *slot = id_table_get(&client->connections, id);
  if (slot == NULL) return 0;
  switch ((enum client_slot)slot->kind) {
  case SLOT_LINK: {
    const struct guard_link *link = slot->object;
    return link_needs_work(trunk_link(link->trunk)) ? 0 : SIZE_MAX;
  }
  case SLOT_STREAM: return client_stream_room(slot->object);
  case SLOT_FETCH: return fetch_room(client->fetch, id);
  case SLOT_FILE: return 0;
  }
  return 0;
}

static enum outcome verb_receive(void *self, instant now, struct id id, uint8_t *in, size_t len, size_t *ret_used) {
  struct client *client = self;
  const struct connection_slot *slot = id_table_get(&client->connections, id);
  enum outcome outcome = OUTCOME_OK;
  *ret_used = len;
  if (slot == NULL) return OUTCOME_OK;
  switch ((enum client_slot)slot->kind) {
  case SLOT_LINK: outcome = guard_link_receive(client, slot->object, now, in, len, ret_used); break;
  case SLOT_STREAM: client_stream_receive(client, slot->object, now, in, len); break;
  case SLOT_FETCH: outcome = fetch_receive(client->fetch, now, id, in, len, ret_used); break;
  case SLOT_FILE: break;
  }
  sweep(client, now);
  return outcome;
}

static size_t verb_transmit(void *self, instant now, struct id id, uint8_t *out, size_t room) {
  struct client *client = self;
  const struct connection_slot *slot = id_table_get(&client->connections, id);
  size_t len = 0;
  if (slot == NULL) return 0;
  switch ((enum client_slot)slot->kind) {
  case SLOT_LINK: len = trunk_transmit(((struct guard_link *)slot->object)->trunk, now, out, room); break;
  case SLOT_STREAM: len = client_stream_transmit(client, slot->object, now, out, room); break;
  case SLOT_FETCH: len = fetch_transmit(client->fetch, now, id, out, room); break;
  case SLOT_FILE: break;
  }
  sweep(client, now);
  return len;
}

static void stop(struct client *client) {
  client->stopping = true;
  client->save_at = 0; /* [GUARD-6] now or never */
  effect_queue_exit(&client->effects, OUTCOME_OK);
}

static void set_clock(struct client *client, instant now, const struct event *event) {
  if (!client->has_clock) {
    client->has_clock = true;
    demand_init(&client->demand, now);
    token_bucket_init(&client->builds, BUILDS_PER_SECOND, BUILDS_BURST, now);
  }
  client->clock = event->clock;
  fetch_set_clock(client->fetch, now, &event->clock);
  circuit_pool_want(client);
}

static void stream_event(struct client *client, struct client_stream *stream, instant now, const struct event *event) {
  if (event->kind == EVENT_EOF) client_stream_eof(client, stream, now);
  else if (event->kind == EVENT_CLOSED) client_stream_closed(client, stream, now);
}

static void link_event(struct client *client, struct guard_link *link, instant now, const struct event *event) {
  if (event->kind == EVENT_CONNECTED) {
    trunk_make_ready(link->trunk);
    return;
  }
  if (event->kind == EVENT_CLOSED) client_forget_connection(client, link->connection); /* the driver has forgotten it */
  guard_link_lost(client, link, now, event->kind == EVENT_CLOSED ? event->outcome : OUTCOME_LINK_FAILED);
}

static void connection_event(struct client *client, instant now, const struct event *event) {
  const struct connection_slot *slot = id_table_get(&client->connections, event->id);
  if (slot == NULL) return;
  switch ((enum client_slot)slot->kind) {
  case SLOT_LINK: link_event(client, slot->object, now, event); break;
  case SLOT_STREAM: stream_event(client, slot->object, now, event); break;
  case SLOT_FETCH: fetch_event(client->fetch, now, event); break;
  case SLOT_FILE: break;
  }
}

static void verb_event(void *self, instant now, const struct event *event) {
  struct client *client = self;
  switch (event->kind) {
  case EVENT_CLOCK: set_clock(client, now, event); break;
  case EVENT_STOP: stop(client); break;
  case EVENT_WRITTEN: written(client, now, event); break;
  case EVENT_CONNECTED:
  case EVENT_RESOLVED:
  case EVENT_EOF:
  case EVENT_CLOSED: connection_event(client, now, event); break;
  case EVENT_MESSAGE: break; /* nobody sends a client any */
  }
  sweep(client, now);
}

static uint32_t verb_waiting(const void *self, struct id id) {
  const struct guard_link *link = connection_object(self, id, SLOT_LINK);
  return link == NULL ? 0 : trunk_waiting_count(link->trunk);
}

static bool verb_next_ready(void *self, struct id *ret) {
  struct client *client = self;
  struct list_node *node = list_take_first(&client->ready_streams);
  if (node == NULL) return trunk_pool_next_ready(&client->trunks, ret);
  *ret = LIST_OBJECT(node, struct client_stream, ready_node)->connection;
  return true;
}

static bool verb_next_effect(void *self, struct effect *ret) {
  return effect_queue_take(&((struct client *)self)->effects, ret);
}

static instant verb_deadline(const void *self) {
  const struct client *client = self;
  instant own = instant_earlier(timer_heap_deadline(&client->timers), trunk_pool_deadline(&client->trunks));
  return instant_earlier(own, fetch_deadline(client->fetch));
}

static void expired(struct client *client, instant now, const struct timer *timer) {
  struct guard_link *link;
  struct client_stream *stream;
  struct circuit *circuit;
  switch ((enum client_timer)timer->kind) {
  case TIMER_LINK:
    if ((link = connection_object(client, timer->owner, SLOT_LINK)) != NULL) guard_link_timer(client, link, now);
    break;
  case TIMER_STREAM:
    if ((stream = connection_object(client, timer->owner, SLOT_STREAM)) != NULL) client_stream_timer(client, stream, now);
    break;
  case TIMER_CIRCUIT: /* [BUILD-3] */
    client->figures.circuit_timeouts++;
    if ((circuit = id_table_get(&client->circuits, timer->owner)) != NULL) circuit_close(client, circuit, now, OUTCOME_CIRCUIT_TIMEOUT);
    break;
  case TIMER_POOL:
    circuit_pool_plan(client, INSTANT_NEVER - 1);
    circuit_pool_want(client);
    break;
  }
}

static void verb_tick(void *self, instant now) {
  struct client *client = self;
  struct timer *timer;
  trunk_pool_tick(&client->trunks, now);
  if (fetch_deadline(client->fetch) <= now) fetch_tick(client->fetch, now);
  while ((timer = timer_heap_expired(&client->timers, now)) != NULL) expired(client, now, timer);
  sweep(client, now);
}

/* One handshake: of a circuit, a link, or a fetch's link, in turns. */
static bool verb_work(void *self, instant now) {
  struct client *client = self;
  struct list_node *link = list_first(&client->links_work), *circuit = list_first(&client->circuits_work);
  bool more = true;
  client->turn = !client->turn;
  if (link != NULL) {
    list_leave(link);
    guard_link_work(client, LIST_OBJECT(link, struct guard_link, wants_work), now);
  } else if (circuit != NULL && client->turn) {
    list_leave(circuit);
    circuit_work(client, LIST_OBJECT(circuit, struct circuit, wants_work), now);
  } else {
    more = fetch_work(client->fetch, now) || circuit != NULL;
  }
  sweep(client, now);
  return more;
}

static void verb_status(const void *self, instant now, struct status *ret) {
  client_status(self, now, ret);
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
    .status = verb_status,
};

struct machine client_machine(struct client *client) {
  return (struct machine){client, &verbs};
}

const struct consensus *client_consensus(const struct client *client) {
  return fetch_consensus(client->fetch);
}

bool client_is_consistent(const struct client *client) {
  uint32_t sides = 0, cursor = 0, count;
  struct id id;
  const struct circuit *circuit;
  while ((circuit = id_table_next(&client->circuits, &cursor, &id)) != NULL) {
    const struct trunk_side *side = &circuit->side;
    sides += side->state != SIDE_NONE;
    if ((side->state == SIDE_NONE) != (side->trunk == NULL) || (side->state == SIDE_NONE && side->queue.count != 0)) return false;
    count = 0;
    for (const struct list_node *node = list_first(&circuit->streams); node != NULL; node = list_after(&circuit->streams, node)) count++;
    if (count != circuit->stream_count || circuit->live_count > count) return false;
  }
  /* Links for fetching carry no circuits. */
  return sides == client->trunks.sides;
}
