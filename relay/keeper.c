#include "relay/keeper_internal.h"

#include <stdlib.h>
#include <string.h>

enum { CONNECTIONS = 1024, LINK_NUMBERS = 65536 };

/* [LIMIT-5] */
static void learn_places(struct keeper *keeper) {
  site_count_learn(&keeper->sites, fetch_consensus(keeper->fetch), network_chain_newest(keeper->config.networks));
}

struct keeper *keeper_new(const struct keeper_config *config) {
  struct keeper *keeper = calloc(1, sizeof *keeper);
  if (keeper == NULL) {
    consensus_release(config->consensus);
    return NULL;
  }
  keeper->config = *config;
  random_init(&keeper->random, config->seed);
  bytes_wipe(keeper->config.seed, sizeof keeper->config.seed);
  id_table_init(&keeper->connections, sizeof(struct connection_slot), CONNECTIONS);
  timer_heap_init(&keeper->timers);
  uint8_t secret[16];
  random_bytes(&keeper->random, secret, sizeof secret);
  index_map_init(&keeper->per_address, secret, LINK_NUMBERS);
  site_count_init(&keeper->sites, secret, LINK_NUMBERS);
  keeper->cells = cell_pool_new(config->budget, 1024);
  keeper->keys = onion_keys_new(config->onion_keys);
  keeper->last_sequence = config->last_sequence;
  listing_init(keeper);
  keeper->signing_expires = config->descriptor->signing_expires;
  if (keeper->cells == NULL || keeper->keys == NULL || !timer_heap_set(&keeper->timers, &keeper->publish_timer, 1, ID_NONE, INSTANT_NEVER - 1)) {
    consensus_release(config->consensus);
    keeper_free(keeper);
    return NULL;
  }
  trunk_pool_init(&keeper->trunks, keeper->cells, &keeper->random);
  struct fetch_config fetch = {.self = config->self,
                               .networks = config->networks,
                               .trunks = &keeper->trunks,
                               .connections = &keeper->connections,
                               .slot_kind = SLOT_FETCH,
                               .effects = &keeper->effects,
                               .random = &keeper->random,
                               .trace = config->trace,
                               .eager = true,
                               .from_mirrors = true,
                               .is_mirror = true};
  keeper->fetch = fetch_new(&fetch);
  if (keeper->fetch == NULL) {
    consensus_release(config->consensus);
    keeper_free(keeper);
    return NULL;
  }
  if (config->consensus != NULL) /* [FETCH-1] */
    fetch_set_consensus(keeper->fetch, 0, config->consensus);
  learn_places(keeper);
  return keeper;
}

void keeper_free(struct keeper *keeper) {
  if (keeper == NULL) return;
  fetch_free(keeper->fetch);
  document_release(keeper->descriptor);
  document_release(keeper->shown);
  document_release(keeper->split);
  onion_keys_free(keeper->keys);
  effect_queue_wipe(&keeper->effects);
  id_table_wipe(&keeper->connections);
  timer_heap_wipe(&keeper->timers);
  index_map_wipe(&keeper->per_address);
  site_count_wipe(&keeper->sites);
  cell_pool_free(keeper->cells);
  random_wipe(&keeper->random);
  free(keeper);
}

/* ---- who may connect ---- */

/* Links from one IPv4 address or IPv6 /64, and how many of them count for its /48. A shard says where a link that ended came from, not which it
 * was: so it need not be known which of them those are. */
struct place_count { uint32_t links, of_site; };

static struct place_count get_count(const struct keeper *keeper, const struct address *peer) {
  uint64_t value = 0;
  index_map_get(&keeper->per_address, address_source_key(peer), &value);
  return (struct place_count){(uint32_t)value, (uint32_t)(value >> 32)};
}

static bool put_count(struct keeper *keeper, const struct address *peer, struct place_count count) {
  return index_map_put(&keeper->per_address, address_source_key(peer), (uint64_t)count.of_site << 32 | count.links);
}

/* [LIMIT-5] */
static bool may_connect(struct keeper *keeper, const struct address *peer) {
  if (address_is_private(peer)) return true;
  struct place_count count = get_count(keeper, peer);
  if (count.links++ >= LIMIT_LINKS_PER_ADDRESS) return false;
  bool is_of_site = site_count_applies(&keeper->sites, peer);
  if (is_of_site && !site_count_enter(&keeper->sites, peer)) return false;
  count.of_site += is_of_site;
  if (put_count(keeper, peer, count)) return true;
  if (is_of_site) site_count_leave(&keeper->sites, peer);
  return false;
}

/* [LIMIT-5] Where some count for the /48 and some do not, since a consensus came between, one goes that counts as a new one would not. */
static void count_out(struct keeper *keeper, const struct address *peer) {
  struct place_count count = get_count(keeper, peer);
  if (address_is_private(peer) || count.links == 0) return;
  bool is_of_site = count.of_site == count.links || (count.of_site > 0 && !site_count_applies(&keeper->sites, peer));
  if (is_of_site) site_count_leave(&keeper->sites, peer);
  count.of_site -= is_of_site;
  if (--count.links == 0) index_map_remove(&keeper->per_address, address_source_key(peer));
  else put_count(keeper, peer, count);
}

static void link_closed(struct keeper *keeper, const struct machine_message *message, uint32_t shard) {
  if (shard >= 1 && shard <= keeper->config.shard_count && keeper->links[shard - 1] > 0) keeper->links[shard - 1]--;
  count_out(keeper, &message->address);
}

static uint32_t least_loaded(const struct keeper *keeper) {
  uint32_t best = 0;
  for (uint32_t i = 1; i < keeper->config.shard_count; i++)
    if (keeper->links[i] < keeper->links[best]) best = i;
  return best;
}

static struct id verb_accept(void *self, instant now, enum connection_kind kind, const struct address *peer) {
  struct keeper *keeper = self;
  struct id id;
  (void)now;
  if (kind != CONNECTION_LINK || keeper->stopping) return ID_NONE;
  struct connection_slot *slot = id_table_add(&keeper->connections, &id);
  if (slot == NULL) return ID_NONE;
  id_table_remove(&keeper->connections, id); /* the shard's from here on */
  uint32_t shard = least_loaded(keeper);
  struct effect effect = {.kind = EFFECT_HAND_OVER, .id = id, .to = shard + 1};
  bool is_counted = may_connect(keeper, peer), is_taken = is_counted && effect_queue_put(&keeper->effects, &effect);
  if (is_counted && !is_taken) count_out(keeper, peer);
  keeper->links[shard] += is_taken;
  keeper->accepted += is_taken;
  keeper->refused += !is_taken;
  return is_taken ? id : ID_NONE;
}

/* ---- the fetch's connections ---- */

static bool is_fetch(const struct keeper *keeper, struct id id) {
  const struct connection_slot *slot = id_table_get(&keeper->connections, id);
  return slot != NULL && slot->kind == SLOT_FETCH;
}

static size_t verb_room(const void *self, struct id id) {
  const struct keeper *keeper = self;
  return is_fetch(keeper, id) ? fetch_room(keeper->fetch, id) : 0;
}

/* [NET-13] Shards show the files up to the serial of the newest consensus. They have them before that consensus. */
static void show_networks(struct keeper *keeper) {
  const struct consensus *consensus = fetch_consensus(keeper->fetch);
  uint32_t first = network_chain_oldest(keeper->config.networks)->serial, last = consensus == NULL ? 0 : consensus_header(consensus)->serial;
  if (last == 0 || (keeper->shown_first == first && keeper->shown_last == last)) return;
  struct document *texts = network_chain_text_until(keeper->config.networks, last);
  if (texts == NULL) return;
  document_release(keeper->shown);
  keeper->shown = texts;
  for (uint32_t i = 0; i < keeper->config.shard_count; i++) keeper->owes_files[i] = true;
  keeper->shown_first = first;
  keeper->shown_last = last;
}

/* [NET-14] */
static void take_split(struct keeper *keeper) {
  struct document *proof = fetch_take_split(keeper->fetch);
  if (proof == NULL) return;
  document_release(keeper->split);
  keeper->split = proof;
}

/* What a new consensus means: shards hear of it, it is saved, and perhaps we are in it. */
static void spread_news(struct keeper *keeper, instant now) {
  struct consensus *consensus = fetch_consensus(keeper->fetch);
  if (fetch_take_network_news(keeper->fetch)) keeper->network_unsaved = true;
  take_split(keeper);
  show_networks(keeper);
  if (!fetch_take_news(keeper->fetch)) return;
  learn_places(keeper);
  for (uint32_t i = 0; i < keeper->config.shard_count; i++) keeper->owes_consensus[i] = true;
  keeper->consensus_unsaved = true;
  const struct relay_entry *own = consensus_find(consensus, keeper->config.self->identity);
  bool listed = own != NULL;
  if (listed != keeper->listed)
    trace_write(keeper->config.trace, TRACE_NOTICE, "keeper", listed ? "listed in the consensus of epoch %llu" : "no longer listed (epoch %llu)",
                (unsigned long long)consensus_header(consensus)->epoch);
  keeper->listed = listed;
  /* [FETCH-3] Clients of a network that is just starting build paths from the next consensus as soon as there is one. */
  fetch_set_eager(keeper->fetch, now, !listed || !consensus_has_paths(consensus));
}

/* How far it is now: a new key is handed in anew, and what was listed may fall out of the consensus. */
static uint8_t current_stage(const struct keeper *keeper) {
  bool published = fetch_published_count(keeper->fetch) > 0;
  return (uint8_t)(1 + (keeper->descriptor != NULL) + published + (published && keeper->listed));
}

static void note_stage(struct keeper *keeper, instant now) {
  uint8_t stage = current_stage(keeper);
  if (stage > keeper->stage) keeper->stage = stage;
  listing_note(keeper, now);
}

static enum outcome verb_receive(void *self, instant now, struct id id, uint8_t *in, size_t len, size_t *ret_used) {
  struct keeper *keeper = self;
  *ret_used = len;
  if (!is_fetch(keeper, id)) return OUTCOME_NOT_FOUND;
  enum outcome outcome = fetch_receive(keeper->fetch, now, id, in, len, ret_used);
  spread_news(keeper, now);
  note_stage(keeper, now);
  return outcome;
}

static size_t verb_transmit(void *self, instant now, struct id id, uint8_t *out, size_t room) {
  struct keeper *keeper = self;
  return is_fetch(keeper, id) ? fetch_transmit(keeper->fetch, now, id, out, room) : 0;
}

/* ---- events ---- */

static void take_message(struct keeper *keeper, instant now, const struct event *event) {
  if (event->message.kind == KEEPER_UNKNOWN_RELAY) fetch_hurry(keeper->fetch, now);
  if (event->message.kind == KEEPER_LINK_CLOSED) {
    link_closed(keeper, &event->message, event->from);
  } else if (event->message.kind == KEEPER_FIGURES) {
    if (event->from >= 1 && event->from <= keeper->config.shard_count)
      memcpy(&keeper->figures[event->from - 1], event->message.object, sizeof keeper->figures[0]);
    free(event->message.object);
  }
}

static void take_clock(struct keeper *keeper, instant now, const struct wall_clock *clock) {
  keeper->clock = *clock;
  fetch_set_clock(keeper->fetch, now, clock);
  publish_check(keeper, now);
  spread_news(keeper, now);
  note_stage(keeper, now);
}

static void verb_event(void *self, instant now, const struct event *event) {
  struct keeper *keeper = self;
  switch (event->kind) {
  case EVENT_CLOCK: take_clock(keeper, now, &event->clock); return;
  case EVENT_MESSAGE: take_message(keeper, now, event); return;
  case EVENT_WRITTEN:
    publish_written(keeper, now, event);
    note_stage(keeper, now);
    return;
  case EVENT_STOP:
    keeper->stopping = true;
    effect_queue_exit(&keeper->effects, OUTCOME_OK);
    return;
  case EVENT_CONNECTED:
  case EVENT_EOF:
  case EVENT_CLOSED:
  case EVENT_RESOLVED: break;
  }
  if (is_fetch(keeper, event->id)) fetch_event(keeper->fetch, now, event);
  spread_news(keeper, now);
}

static bool verb_next_ready(void *self, struct id *ret) {
  return trunk_pool_next_ready(&((struct keeper *)self)->trunks, ret);
}

/* ---- effects ---- */

static bool owe_message(bool *owed, uint32_t shard, uint32_t kind, void *object, struct effect *ret) {
  *owed = object == NULL;
  *ret = (struct effect){.kind = EFFECT_MESSAGE, .to = shard + 1, .message = {.kind = kind, .object = object}};
  return object != NULL;
}

static bool owe_file(bool *owed, const char *name, struct document *document, struct effect *ret) {
  *owed = document == NULL;
  *ret = (struct effect){.kind = EFFECT_WRITE_FILE, .document = document};
  memcpy(ret->name, name, strlen(name) + 1);
  return document != NULL;
}

/* [MACH-11] What must reach somebody is made when it is taken: while there is no memory for it, it stays owed. */
static bool next_owed(struct keeper *keeper, struct effect *ret) {
  struct consensus *consensus = fetch_consensus(keeper->fetch);
  for (uint32_t i = 0; i < keeper->config.shard_count; i++) {
    if (keeper->owes_files[i]) {
      owe_message(&keeper->owes_files[i], i, SHARD_NETWORK_FILES, document_take(keeper->shown), ret);
      ret->message.value = keeper->shown_first;
      return true;
    }
    if (keeper->owes_consensus[i]) return owe_message(&keeper->owes_consensus[i], i, SHARD_CONSENSUS, consensus_take(consensus), ret);
    if (keeper->owes_keys[i] && owe_message(&keeper->owes_keys[i], i, SHARD_ONION_KEYS, onion_keys_new(keeper->keys), ret)) return true;
  }
  if (keeper->split != NULL) {
    bool owed;
    owe_file(&owed, FETCH_SPLIT_FILE, keeper->split, ret);
    keeper->split = NULL; /* the reference moves in */
    return true;
  }
  if (keeper->consensus_unsaved)
    return owe_file(&keeper->consensus_unsaved, KEEPER_CONSENSUS_FILE, document_take(consensus_text(consensus)), ret);
  return keeper->network_unsaved && owe_file(&keeper->network_unsaved, FETCH_NETWORK_FILE, network_chain_text(keeper->config.networks), ret);
}

static bool verb_next_effect(void *self, struct effect *ret) {
  struct keeper *keeper = self;
  return next_owed(keeper, ret) || effect_queue_take(&keeper->effects, ret);
}

static instant verb_deadline(const void *self) {
  const struct keeper *keeper = self;
  return instant_earlier(fetch_deadline(keeper->fetch), timer_heap_deadline(&keeper->timers));
}

static void verb_tick(void *self, instant now) {
  struct keeper *keeper = self;
  fetch_tick(keeper->fetch, now);
  while (timer_heap_expired(&keeper->timers, now) != NULL) publish_check(keeper, now);
  spread_news(keeper, now);
  note_stage(keeper, now);
}

static bool verb_work(void *self, instant now) {
  return fetch_work(((struct keeper *)self)->fetch, now);
}

/* ---- for people ---- */

static void add_figures(const struct keeper *keeper, struct status *ret) {
  struct shard_figures sum = {0};
  for (uint32_t i = 0; i < keeper->config.shard_count; i++) {
    const uint64_t *from = (const uint64_t *)&keeper->figures[i];
    uint64_t *to = (uint64_t *)&sum;
    for (size_t k = 0; k < sizeof sum / sizeof *to; k++) to[k] += from[k];
  }
  const struct status_figure figures[] = {
      {"links", sum.links},
      {"circuits", sum.circuits},
      {"streams", sum.streams},
      {"cells_received", sum.cells_received},
      {"cells_sent", sum.cells_sent},
      {"bytes_sent", sum.bytes_sent},
      {"creates_answered", sum.creates_answered},
      {"creates_refused", sum.creates_refused},
      {"extends_failed", sum.extends_failed},
      {"layers_forged", sum.layers_forged},
      {"violations", sum.violations},
      {"evicted", sum.evicted},
      {"links_refused", sum.links_refused},
      {"circuits_closed_idle", sum.circuits_idle},
      {"documents_too_busy", sum.documents_too_busy},
      {"streams_begun", sum.streams_begun},
      {"streams_failed", sum.streams_failed},
      {"streams_refused", sum.streams_refused},
      {"pool_cells_used", sum.pool_used},
      {"pool_cells_limit", sum.pool_limit},
      {"memory_leased_bytes", memory_budget_used(keeper->config.budget)},
      {"connections_accepted", keeper->accepted},
      {"connections_refused", keeper->refused},
      {"authorities_that_took_the_descriptor", fetch_published_count(keeper->fetch)},
      {"shards", keeper->config.shard_count},
      {"newest_serial", network_chain_newest(keeper->config.networks)->serial},
  };
  for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) status_add_figure(ret, figures[i].name, figures[i].value);
}

static void verb_status(const void *self, instant now, struct status *ret) {
  const struct keeper *keeper = self;
  const struct consensus *consensus = fetch_consensus(keeper->fetch);
  memset(ret, 0, sizeof *ret);
  enum outcome state = fetch_state(keeper->fetch, now);
  ret->role = "relay";
  ret->stages = 4;
  ret->stage = keeper->stage == 0 ? 1 : keeper->stage;
  static const char *const texts[] = {"making keys", "handing in the descriptor", "being tested by the authorities", "carrying traffic"};
  ret->stage_text = texts[ret->stage - 1];
  ret->ready = keeper->listed && state == OUTCOME_OK;
  ret->cause = ret->ready ? OUTCOME_OK : keeper->keys_unwritten ? OUTCOME_FILE_FAILED : state != OUTCOME_OK ? state : OUTCOME_NOT_LISTED_YET;
  add_figures(keeper, ret);
  fetch_add_status(keeper->fetch, now, ret);
  listing_add_status(keeper, now, ret);
  status_add_text(ret, "nickname", keeper->config.descriptor->nickname);
  bool has_run_out = keeper->publish_at != 0 && date_compare(wall_clock_date(&keeper->clock, now), keeper->signing_expires) >= 0;
  if (has_run_out) status_add_text(ret, "warning", "the signing key has run out: nothing can be published. tunic-relay --new-signing-key makes the next one");
  status_add_expiry(ret, "network file", network_chain_newest(keeper->config.networks)->expires);
  status_add_expiry(ret, "signing key", keeper->signing_expires);
  if (consensus == NULL) return;
  status_add_figure(ret, "epoch", consensus_header(consensus)->epoch);
  status_add_figure(ret, "relays", consensus_count(consensus));
  status_add_expiry(ret, "consensus", consensus_header(consensus)->valid_until);
}

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
    .status = verb_status,
};

struct machine keeper_machine(struct keeper *keeper) {
  return (struct machine){keeper, &verbs};
}

const struct consensus *keeper_consensus(const struct keeper *keeper) {
  return fetch_consensus(keeper->fetch);
}
