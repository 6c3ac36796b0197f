#include "client/client_internal.h"

#include <string.h>

enum { STREAM_NUMBERS = UINT16_MAX, BACK_OFF_DOUBLINGS_MOST = 7 };
#define FRESH_SPREAD (10 * MINUTES)
#define LOOK_EVERY (10 * SECONDS)
#define BACK_OFF_FIRST (250 * MILLISECONDS)
#define YOUNG_TIME (10 * SECONDS)
#define QUIET_TIME (1 * MINUTES)

bool circuit_pool_plan(struct client *client, instant at) {
  return timer_heap_set(&client->timers, &client->pool_timer, TIMER_POOL, ID_NONE, at);
}

void circuit_pool_want(struct client *client) {
  client->pool_wanted = true;
}

/* ---- which circuits serve what ---- */

static bool is_fresh(const struct circuit *circuit) {
  return !circuit->has_isolation;
}

static bool target_is_private(const struct target *target) {
  struct address address = {.family = target->kind};
  if (target->kind == TARGET_NAME) return false; /* the exit sees what it resolves to */
  memcpy(address.bytes, target->address, sizeof address.bytes);
  return address_is_private(&address);
}

static bool exit_serves(const struct exit_summary *exit, uint16_t port, bool is_private) {
  return port == 0 ? exit->range_count > 0 : exit_summary_may_connect(exit, port, is_private);
}

/* [PATH-6] Else who names a port that his own exit alone allows would choose the exits of others' streams, too. */
static bool may_serve(const struct circuit *circuit, uint16_t port, bool is_private) {
  if (circuit->is_narrow && (circuit->port != port || circuit->is_private != is_private)) return false;
  return exit_serves(&circuit->exit, port, is_private);
}

static bool serves(const struct circuit *circuit, const struct client_stream *stream) {
  return may_serve(circuit, stream->target.port, target_is_private(&stream->target)) &&
         !path_avoids(&stream->tried, circuit->hops[LIMIT_EXIT_PLACE].identity);
}

/* [ISO-2] An old circuit, or one whose numbers are used up, takes no new streams. */
static bool takes_streams(const struct circuit *circuit, instant now) {
  return circuit_is_open(circuit) && !circuit->is_worn && circuit->stream_count < LIMIT_STREAMS_PER_CIRCUIT && circuit->last_number < STREAM_NUMBERS &&
         (is_fresh(circuit) || instant_until(circuit->used_at, now) < LIMIT_CIRCUIT_USED_TIME);
}

/* [ISO-1] One that carries this isolation already, else a fresh one, which then is this isolation's for good. */
static struct circuit *find_open(const struct client *client, const struct client_stream *stream, instant now) {
  struct circuit *best = NULL, *circuit;
  uint32_t cursor = 0;
  struct id id;
  while ((circuit = id_table_next(&client->circuits, &cursor, &id)) != NULL) {
    if (!takes_streams(circuit, now) || !serves(circuit, stream)) continue;
    if (!is_fresh(circuit)) {
      if (isolation_equal(&circuit->isolation, &stream->isolation)) return circuit;
    } else if (best == NULL || circuit->opened_at < best->opened_at) {
      best = circuit;
    }
  }
  return best;
}

static bool assign(struct client *client, struct client_stream *stream, instant now) {
  struct circuit *circuit = find_open(client, stream, now);
  if (circuit == NULL) return false;
  if (is_fresh(circuit)) {
    circuit->has_isolation = true;
    circuit->isolation = stream->isolation;
    circuit->used_at = now;
    demand_note_claim(&client->demand, now);
  }
  if (stream->target.port != 0) demand_note_port(&client->demand, now, stream->target.port);
  client_stream_begin(client, stream, circuit, now);
  return true;
}

/* ---- building ---- */

struct order { uint16_t port; bool is_private; const struct path_avoided *exits; };

static enum outcome choose_with_guard(struct client *client, instant now, const struct order *order, const struct relay_entry *guard,
                                      struct path *ret) {
  struct path_avoided middles;
  struct path_request request = {.guard = guard,
                                 .port = order->port,
                                 .is_private = order->is_private,
                                 .is_lab = network_chain_newest(client->config.networks)->is_lab,
                                 .exits = order->exits,
                                 .middles = &middles};
  const struct consensus *consensus = fetch_consensus(client->fetch);
  path_health_avoided(&client->health, now, &middles);
  enum outcome outcome = path_choose(consensus, &client->random, &request, ret);
  if (outcome != OUTCOME_NOT_ENOUGH_RELAYS || middles.count == 0) return outcome;
  request.middles = NULL; /* a suspect middle is better than none */
  return path_choose(consensus, &client->random, &request, ret);
}

/* [GUARD-7] One that failed before is only tried: nobody waits for it while another guard does. */
static bool is_being_tried(struct client *client, instant now, const struct guard *guard, const struct relay_entry *entry) {
  if (guard->failures == 0) return false;
  const struct guard_link *link = guard_link_reach(client, now, entry);
  return link == NULL || !link->is_open;
}

/* [PATH-5] The first guard in order; a later one only when no path at all goes through those before it. */
static enum outcome choose(struct client *client, instant now, const struct order *order, struct path *ret) {
  enum outcome outcome = client->guards.count > 0 ? OUTCOME_LINK_FAILED : OUTCOME_NOT_ENOUGH_RELAYS;
  bool has_path = false; /* through a guard that is being tried */
  for (int i = guard_sample_next(&client->guards, now, 0); i >= 0; i = guard_sample_next(&client->guards, now, i + 1)) {
    struct path path;
    const struct guard *guard = &client->guards.guards[i];
    const struct relay_entry *entry = consensus_find(fetch_consensus(client->fetch), guard->identity);
    if (entry == NULL) continue;
    enum outcome through = choose_with_guard(client, now, order, entry, &path);
    if (through == OUTCOME_NO_EXIT_FOR_PORT) return through;
    if (!has_path) outcome = through;
    if (through != OUTCOME_OK) continue;
    bool tried = is_being_tried(client, now, guard, entry);
    if (!tried || !has_path) *ret = path;
    has_path = true;
    if (!tried) break;
  }
  return has_path ? OUTCOME_OK : outcome;
}

/* [BUILD-5] May one be begun now: failures and bursts only make it later. */
static bool may_build(struct client *client, instant now) {
  if (client->build_at > now) return false;
  return token_bucket_ready(&client->builds, now, 1) <= now;
}

static enum outcome build(struct client *client, instant now, const struct order *order, struct circuit **ret) {
  struct path path;
  enum outcome outcome = choose(client, now, order, &path);
  if (outcome != OUTCOME_OK) return outcome;
  struct guard_link *link = guard_link_reach(client, now, path.hops[0]);
  if (link == NULL) return OUTCOME_LIMIT_REACHED;
  *ret = circuit_new(client, now, &path, link);
  if (*ret == NULL) return OUTCOME_LIMIT_REACHED;
  (*ret)->port = order->port;
  (*ret)->is_private = order->is_private;
  (*ret)->is_narrow = !path_port_is_common(&client->ports, fetch_consensus(client->fetch), order->port, order->is_private);
  token_bucket_take(&client->builds, now, 1);
  return OUTCOME_OK;
}

/* [SOCKS-9] What is said of all circuits comes after what is known of its own: others may well be built meanwhile. */
enum outcome circuit_pool_holds_back(const struct client *client, const struct client_stream *stream, instant now) {
  if (stream->cause != OUTCOME_OK) return stream->cause;
  if (stream->held != OUTCOME_OK) return stream->held;
  if (client->cause != OUTCOME_OK) return client->cause;
  return client->build_at > now ? OUTCOME_CIRCUIT_CLOSED : OUTCOME_LIMIT_REACHED; /* [BUILD-5] circuits die young, or others came first */
}

static void hold_back(struct client *client, const struct circuit *circuit, enum outcome cause) {
  for (struct list_node *node = list_first(&client->waiting_streams); node != NULL; node = list_after(&client->waiting_streams, node)) {
    struct client_stream *stream = LIST_OBJECT(node, struct client_stream, waits);
    if (isolation_equal(&circuit->isolation, &stream->isolation)) stream->held = cause;
  }
}

void circuit_pool_built(struct client *client, struct circuit *circuit, instant now) {
  if (instant_until(client->died_at, now) >= QUIET_TIME) { /* [BUILD-5] circuits that are built to die are no success */
    client->build_failures = 0;
    client->build_at = 0;
  }
  client->cause = OUTCOME_OK;
  client->figures.circuits_built++;
  path_health_built(&client->health, now, circuit->hops[0].identity);
  path_health_built(&client->health, now, circuit->hops[1].identity);
  circuit_pool_want(client);
}

/* [BUILD-6] */
static void note_death(struct client *client, const struct circuit *circuit, instant now) {
  bool guard = path_health_died(&client->health, now, circuit->hops[0].identity);
  bool middle = path_health_died(&client->health, now, circuit->hops[1].identity);
  if (guard) trace_write(client->config.trace, TRACE_WARNING, "path", "most circuits through the guard %s die after they were built", circuit->hops[0].nickname);
  if (middle) trace_write(client->config.trace, TRACE_WARNING, "path", "most circuits through %s die after they were built: it is left out for an hour", circuit->hops[1].nickname);
}

void circuit_pool_failed(struct client *client, struct circuit *circuit, instant now, enum outcome cause) {
  trace_write(client->config.trace, TRACE_INFO, "circuit", "a circuit with %u hops ended: %s", circuit->built, outcome_name(cause));
  if (circuit->built == PATH_HOPS) {
    client->figures.circuits_died++;
    const struct guard_link *link = circuit->link;
    bool is_young = instant_until(link->is_gone ? link->opened_at : circuit->opened_at, now) < YOUNG_TIME;
    if (!link->is_gone) note_death(client, circuit, now);
    else if (!is_young) return; /* our own link was lost: that says nothing about its relays */
    client->died_at = now;
    if (!is_young) return;
  } else {
    client->figures.circuits_failed++;
    client->cause = cause;
    if (circuit->is_reserved) hold_back(client, circuit, cause);
  }
  if (client->build_at > now) return; /* those that were under way together count once */
  uint32_t doublings = client->build_failures < BACK_OFF_DOUBLINGS_MOST ? client->build_failures : BACK_OFF_DOUBLINGS_MOST;
  uint64_t delay = BACK_OFF_FIRST << doublings;
  client->build_failures++;
  client->build_at = instant_after(now, random_between(&client->random, delay / 2, delay));
}

/* ---- what is there, what is needed ---- */

/* Circuits that carry nothing and take streams to this port, or (0) to any, or will; not those on a link that is to end. */
static uint32_t count_fresh(const struct client *client, uint16_t port, bool open) {
  struct circuit *circuit;
  uint32_t count = 0, cursor = 0;
  struct id id;
  while ((circuit = id_table_next(&client->circuits, &cursor, &id)) != NULL) {
    bool is_spare = is_fresh(circuit) && !circuit->closing && !circuit->is_reserved && !circuit->link->retiring;
    if (open && !circuit_is_open(circuit)) continue;
    count += is_spare && (port == 0 ? !circuit->is_narrow : may_serve(circuit, port, false));
  }
  return count;
}

static bool is_old(const struct circuit *circuit, instant now) {
  if (!is_fresh(circuit))
    return instant_until(circuit->used_at, now) >= LIMIT_CIRCUIT_USED_TIME + LIMIT_CIRCUIT_USED_SPREAD / 256 * circuit->spread;
  return instant_until(circuit->opened_at, now) >= LIMIT_CIRCUIT_FRESH_TIME - FRESH_SPREAD / 256 * circuit->spread;
}

/* [BUILD-4] Circuits that should go: used and old and idle, or fresh but on a link that is to end. */
static void close_old(struct client *client, instant now) {
  struct circuit *circuit;
  bool is_replaced = count_fresh(client, 0, true) >= SPARE_LEAST; /* [GUARD-8] */
  uint32_t cursor = 0;
  struct id id;
  while ((circuit = id_table_next(&client->circuits, &cursor, &id)) != NULL) {
    if (!circuit_is_open(circuit)) continue;
    bool moves = is_fresh(circuit) && circuit->link->retiring && is_replaced;
    if ((moves || circuit->is_worn || is_old(circuit, now)) && circuit->live_count == 0) circuit_close(client, circuit, now, OUTCOME_DONE);
  }
}

/* [BUILD-2] A circuit that is being built for this isolation, or can be: then it is. */
static bool is_coming(const struct client *client, const struct client_stream *stream) {
  struct circuit *circuit, *free = NULL;
  uint32_t cursor = 0;
  struct id id;
  while ((circuit = id_table_next(&client->circuits, &cursor, &id)) != NULL) {
    if (circuit->build == NULL || circuit->closing || !serves(circuit, stream)) continue;
    if (!circuit->is_reserved) free = circuit;
    else if (isolation_equal(&circuit->isolation, &stream->isolation)) return true;
  }
  if (free == NULL) return false;
  free->is_reserved = true;
  free->isolation = stream->isolation;
  return true;
}

/* False: no build may begin now, for anyone. */
static bool build_for(struct client *client, struct client_stream *stream, instant now) {
  struct circuit *circuit;
  struct order order = {stream->target.port, target_is_private(&stream->target), &stream->tried};
  if (!may_build(client, now)) return false;
  enum outcome outcome = build(client, now, &order, &circuit);
  if (outcome == OUTCOME_OK) {
    circuit->is_reserved = true;
    circuit->isolation = stream->isolation;
    return true;
  }
  client->cause = stream->held = outcome;
  /* With every exit that allows it tried, what the last one said is the answer. */
  bool is_final = outcome == OUTCOME_NO_EXIT_FOR_PORT || (outcome == OUTCOME_NOT_ENOUGH_RELAYS && stream->tried.count > 0);
  if (is_final) client_stream_fail(client, stream, now, stream->tried.count > 0 ? stream->cause : outcome);
  return true;
}

/* Reservations are made anew each time: a stream that went away leaves its circuit to others, unused as it is. */
static void serve_waiting(struct client *client, instant now, bool may_begin) {
  struct circuit *circuit;
  uint32_t cursor = 0;
  struct id id;
  struct list_node *next;
  while ((circuit = id_table_next(&client->circuits, &cursor, &id)) != NULL) circuit->is_reserved = false;
  for (struct list_node *node = list_first(&client->waiting_streams); node != NULL; node = next) {
    next = list_after(&client->waiting_streams, node);
    struct client_stream *stream = LIST_OBJECT(node, struct client_stream, waits);
    if (!assign(client, stream, now) && !is_coming(client, stream) && may_begin) may_begin = build_for(client, stream, now);
    if (next == NULL || list_contains_node(next)) continue;
    circuit_pool_want(client); /* the next one was evicted for this one's cells: from the beginning */
    return;
  }
}

/* [NET-14] No path is to be believed any more: not even one that was built from what came before. */
static void fail_waiting(struct client *client, instant now, enum outcome cause) {
  struct list_node *node;
  while ((node = list_first(&client->waiting_streams)) != NULL) client_stream_fail(client, LIST_OBJECT(node, struct client_stream, waits), now, cause);
}

/* [PATH-6] A port that was used and whose circuits serve others, too; 0: there is none. */
static uint16_t common_port(struct client *client) {
  for (uint32_t i = 0; i < DEMAND_PORTS; i++) {
    uint16_t port = client->demand.ports[i].port;
    if (port != 0 && path_port_is_common(&client->ports, fetch_consensus(client->fetch), port, false)) return port;
  }
  return 0;
}

/* [BUILD-1] Spares for each port of late, then for any. */
static void build_spares(struct client *client, instant now) {
  struct circuit *circuit;
  uint32_t cursor = 0;
  uint16_t port;
  while ((port = demand_next_port(&client->demand, now, &cursor)) != 0 && may_build(client, now))
    if (count_fresh(client, port, false) == 0) build(client, now, &(struct order){.port = port}, &circuit);
  uint32_t wanted = demand_spares(&client->demand, now), fresh = count_fresh(client, 0, false);
  uint16_t usual = fresh < wanted ? common_port(client) : 0;
  for (; fresh < wanted && may_build(client, now); fresh++) {
    enum outcome outcome = build(client, now, &(struct order){.port = usual}, &circuit);
    if (outcome == OUTCOME_NO_EXIT_FOR_PORT) outcome = build(client, now, &(struct order){.port = 0}, &circuit);
    if (outcome == OUTCOME_OK) continue;
    client->cause = outcome;
    return;
  }
}

static void set_timer(struct client *client, instant now) {
  instant next = instant_after(now, LOOK_EVERY);
  if (client->build_at > now) next = instant_earlier(next, client->build_at);
  next = instant_earlier(next, guard_sample_retry_at(&client->guards, now));
  instant token = token_bucket_ready(&client->builds, now, 1);
  if (token > now) next = instant_earlier(next, token);
  circuit_pool_plan(client, next);
}

/* [FETCH-3] A network that is just starting lists too few relays for a path, or no exit yet: the next consensus is wanted soon. */
static bool is_too_small(const struct client *client) {
  return client->cause == OUTCOME_NOT_ENOUGH_RELAYS || !consensus_has_paths(fetch_consensus(client->fetch));
}

void circuit_pool_run(struct client *client, instant now) {
  uint8_t stage = client_stage(client);
  if (stage > client->stage) client->stage = stage;
  if (!client->has_clock) return;
  enum outcome state = fetch_state(client->fetch, now);
  bool may_begin = fetch_consensus(client->fetch) != NULL && state == OUTCOME_OK;
  if (!may_begin) client->cause = state == OUTCOME_OK ? OUTCOME_NO_CONSENSUS : state;
  close_old(client, now);
  if (state == OUTCOME_DIRECTORY_SPLIT) fail_waiting(client, now, state);
  serve_waiting(client, now, may_begin);
  if (may_begin) build_spares(client, now);
  fetch_set_eager(client->fetch, now, may_begin && is_too_small(client));
  set_timer(client, now);
}
