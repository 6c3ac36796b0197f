#include "directory/authority_internal.h"

#include <stdlib.h>
#include <string.h>

enum { POOL_CELLS = 8192 };

static bool make_fetch(struct authority *authority, instant now) {
  struct fetch_config config = {.self = authority->config.self,
                                .networks = authority->config.networks,
                                .trunks = &authority->trunks,
                                .connections = &authority->connections,
                                .slot_kind = SLOT_FETCH,
                                .effects = &authority->effects,
                                .random = &authority->random,
                                .from_mirrors = true,
                                .is_mirror = true,
                                .trace = authority->config.trace};
  authority->fetch = fetch_new(&config);
  if (authority->fetch == NULL) return false;
  fetch_set_resting(authority->fetch, now, true);
  if (authority->consensus != NULL) fetch_set_consensus(authority->fetch, now, consensus_take(authority->consensus));
  (void)fetch_take_news(authority->fetch); /* it came from the disk: it need not go there */
  fetch_set_clock(authority->fetch, now, &authority->clock);
  return true;
}

struct authority *authority_new(const struct authority_config *config, instant now, const struct wall_clock *clock,
                                enum outcome *ret_outcome) {
  struct authority *authority = calloc(1, sizeof *authority);
  *ret_outcome = OUTCOME_NO_MEMORY;
  if (authority == NULL) {
    consensus_release(config->consensus);
    return NULL;
  }
  authority->config = *config;
  authority->clock = *clock;
  authority->again_at = INSTANT_NEVER;
  authority->consensus = config->consensus;
  if (authority->consensus != NULL) consensus_archive_add(&authority->archive, authority->consensus);
  random_init(&authority->random, config->seed);
  bytes_wipe(authority->config.seed, sizeof authority->config.seed);
  id_table_init(&authority->connections, sizeof(struct connection_slot), AUTHORITY_CONNECTIONS);
  id_table_init(&authority->relays, sizeof(struct known_relay), LIMIT_RELAYS);
  uint8_t secret[16];
  random_bytes(&authority->random, secret, sizeof secret);
  sources_init(authority, secret, now);
  site_count_learn(&authority->sites, authority->consensus, NULL); /* authorities: once they were looked for */
  index_map_init(&authority->by_identity, secret, LIMIT_RELAYS);
  index_map_init(&authority->by_digest, secret, LIMIT_RELAYS);
  timer_heap_init(&authority->timers);
  list_init(&authority->wants_work);
  list_init(&authority->own_work);
  list_init(&authority->gone);
  for (int i = 0; i < 2; i++) list_init(&authority->probes[i]);
  for (int i = 0; i < 2; i++) list_init(&authority->waiting[i]);
  for (uint32_t i = 0; i < LIMIT_AUTHORITIES; i++) list_init(&authority->peers[i].outbox);
  authority->cells = cell_pool_new(config->budget, POOL_CELLS);
  bool is_timed = timer_heap_set(&authority->timers, &authority->probe_timer, TIMER_PROBES, ID_NONE, INSTANT_NEVER - 1);
  if (authority->cells != NULL && is_timed) {
    trunk_pool_init(&authority->trunks, authority->cells, &authority->random);
    if (authority_store(authority) && make_fetch(authority, now)) *ret_outcome = authority_follow_networks(authority, now, true);
  }
  if (*ret_outcome != OUTCOME_OK) {
    authority_free(authority);
    return NULL;
  }
  authority_save_network(authority);
  authority->config.votes = NULL;
  return authority;
}

static void free_links(struct authority *authority) {
  uint32_t cursor = 0;
  struct id id;
  struct connection_slot *slot;
  while ((slot = id_table_next(&authority->connections, &cursor, &id)) != NULL)
    if (slot->kind != SLOT_FETCH) authority_link_free(authority, slot->object);
}

void authority_free(struct authority *authority) {
  if (authority == NULL) return;
  authority->stopping = true;
  struct list_node *node;
  uint32_t cursor = 0;
  struct id id;
  struct known_relay *relay;
  /* First: a relay that is being tested points to the link of the test. */
  while ((relay = id_table_next(&authority->relays, &cursor, &id)) != NULL) relays_forget(authority, relay);
  while ((node = list_take_first(&authority->gone)) != NULL)
    authority_link_free(authority, LIST_OBJECT(node, struct authority_link, gone));
  free_links(authority);
  for (uint32_t i = 0; i < LIMIT_AUTHORITIES; i++) {
    while ((node = list_take_first(&authority->peers[i].outbox)) != NULL) {
      document_release(LIST_OBJECT(node, struct outgoing, node)->document);
      free(LIST_OBJECT(node, struct outgoing, node));
    }
  }
  fetch_free(authority->fetch);
  agreement_free(authority->agreement);
  epoch_free(authority);
  authority_forget_stored(authority);
  consensus_archive_wipe(&authority->archive);
  consensus_release(authority->consensus);
  document_release(authority->split_proof);
  for (uint32_t i = 0; i < WRITE_KINDS; i++) document_release(authority->held[i].document);
  effect_queue_wipe(&authority->effects);
  id_table_wipe(&authority->connections);
  id_table_wipe(&authority->relays);
  sources_wipe(authority);
  index_map_wipe(&authority->by_identity);
  index_map_wipe(&authority->by_digest);
  timer_heap_wipe(&authority->timers);
  cell_pool_free(authority->cells);
  random_wipe(&authority->random);
  free(authority);
}

/* Its WRITTEN will never come. */
static void drop_held(struct authority *authority, struct effect *held) {
  if (held->document == NULL) return;
  document_release(held->document);
  held->document = NULL;
  if (held->id.slot == WRITE_VOTE) epoch_lose_vote(authority, held->id.generation);
  if (held->id.slot != WRITE_BALLOT) return;
  authority->ballots_under_way--;
  authority->ballots_stale -= authority->ballots_stale > 0;
}

/* [MACH-11] */
void authority_write_file(struct authority *authority, const struct effect *write) {
  struct effect *held = &authority->held[write->id.slot];
  drop_held(authority, held); /* files of a kind are written in order */
  if (!effect_queue_put(&authority->effects, write)) *held = *write;
}

static bool take_held(struct authority *authority, struct effect *ret) {
  for (uint32_t i = 0; i < WRITE_KINDS; i++) {
    if (authority->held[i].document == NULL) continue;
    *ret = authority->held[i];
    authority->held[i].document = NULL;
    return true;
  }
  return false;
}

void authority_write(struct authority *authority, enum authority_write what, const char *name, struct document *document) {
  if (document == NULL) return;
  struct effect effect = {.kind = EFFECT_WRITE_FILE, .id = {(uint32_t)what, 1}, .document = document};
  memcpy(effect.name, name, strlen(name) + 1);
  authority_write_file(authority, &effect);
}

void authority_plan_again(struct authority *authority, instant now) {
  uint64_t wait = (uint64_t)authority->network->timing.view_first * MILLISECONDS / 2;
  authority->again_at = instant_earlier(authority->again_at, instant_after(now, wait));
}

/* What the fetch brought, to one that takes no part; again where it could not be written: to the fetch it is nothing new. */
static void take_fetched(struct authority *authority, instant now) {
  bool again = now >= authority->again_at;
  if (again) authority->again_at = INSTANT_NEVER;
  if (fetch_take_network_news(authority->fetch)) authority_save_network(authority);
  authority_note_split(authority);
  struct consensus *consensus = fetch_take_news(authority->fetch) || again ? fetch_consensus(authority->fetch) : NULL;
  uint64_t held = authority->consensus == NULL ? 0 : consensus_header(authority->consensus)->epoch;
  if (consensus != NULL && consensus_header(consensus)->epoch > held) epoch_keep(authority, consensus_take(consensus));
}

/* What every verb ends with: the agreement's wishes, then whatever is gone is freed. */
static void finish(struct authority *authority, instant now) {
  take_fetched(authority, now);
  if (authority->network_unsaved && authority->again_at == INSTANT_NEVER) authority_save_network(authority);
  if (authority->split_unsaved && authority->again_at == INSTANT_NEVER) authority_save_split(authority);
  authority_follow_networks(authority, now, false);
  if (authority->running_changed && authority->agreement != NULL) { /* [AUTH-6] */
    authority->running_changed = false;
    agreement_want_early(authority->agreement, now, relays_changed(authority));
  }
  if (!authority->split && authority->agreement != NULL) epoch_run(authority, now);
  authority_follow_look(authority, now);
  struct list_node *node;
  while ((node = list_take_first(&authority->gone)) != NULL)
    authority_link_free(authority, LIST_OBJECT(node, struct authority_link, gone));
}

static struct authority_link *find(const struct authority *authority, struct id id) {
  const struct connection_slot *slot = id_table_get(&authority->connections, id);
  return slot == NULL || slot->kind == SLOT_FETCH ? NULL : slot->object;
}

static bool is_fetch(const struct authority *authority, struct id id) {
  const struct connection_slot *slot = id_table_get(&authority->connections, id);
  return slot != NULL && slot->kind == SLOT_FETCH;
}

static struct id verb_accept(void *self, instant now, enum connection_kind kind, const struct address *peer) {
  struct authority *authority = self;
  bool may = kind == CONNECTION_LINK && !authority->stopping;
  struct authority_link *link = may ? authority_link_accept(authority, now, peer) : NULL;
  authority->connections_refused += link == NULL;
  return link == NULL ? ID_NONE : link->connection;
}

static size_t verb_room(const void *self, struct id id) {
  const struct authority *authority = self;
  const struct authority_link *link = find(authority, id);
  if (is_fetch(authority, id)) return fetch_room(authority->fetch, id);
  if (link == NULL || link->trunk == NULL || link->is_gone) return 0;
  const struct link *inner = trunk_link(link->trunk);
  return link_needs_work(inner) || link_state(inner) == LINK_AWAITING_ADMISSION ? 0 : SIZE_MAX;
}

static enum outcome verb_receive(void *self, instant now, struct id id, uint8_t *in, size_t len, size_t *ret_used) {
  struct authority *authority = self;
  struct authority_link *link = find(authority, id);
  bool is_ours = is_fetch(authority, id);
  *ret_used = len;
  if (!is_ours && (link == NULL || link->trunk == NULL || link->is_gone)) return OUTCOME_NOT_FOUND;
  enum outcome outcome = is_ours ? fetch_receive(authority->fetch, now, id, in, len, ret_used)
                                 : authority_link_receive(authority, link, now, in, len, ret_used);
  finish(authority, now);
  return outcome;
}

static size_t verb_transmit(void *self, instant now, struct id id, uint8_t *out, size_t room) {
  struct authority *authority = self;
  struct authority_link *link = find(authority, id);
  if (is_fetch(authority, id)) return fetch_transmit(authority->fetch, now, id, out, room);
  return link == NULL || link->trunk == NULL || link->is_gone ? 0 : trunk_transmit(link->trunk, now, out, room);
}

static void link_event(struct authority *authority, instant now, const struct event *event) {
  struct authority_link *link = find(authority, event->id);
  if (is_fetch(authority, event->id)) fetch_event(authority->fetch, now, event);
  if (link == NULL || link->is_gone) return;
  if (event->kind == EVENT_RESOLVED) peer_resolved(authority, link, now, event);
  else if (event->kind == EVENT_CONNECTED) authority_link_follow(authority, link, now);
  else authority_link_lost(authority, link, now, event->kind == EVENT_EOF ? OUTCOME_DONE : event->outcome);
}

/* A person's network file, through the driver. */
static void take_message(struct authority *authority, instant now, const struct machine_message *message) {
  if (message->kind != AUTHORITY_NEW_NETWORK) return;
  const struct document *text = message->object;
  uint64_t epoch = authority->consensus == NULL ? 0 : consensus_header(authority->consensus)->epoch;
  struct network_file file;
  enum outcome outcome = network_file_read_draft(document_bytes(text), document_len(text), &file, NULL, NULL);
  /* [AUTH-10] The others must hear of it while the epoch before is decided. */
  if (outcome == OUTCOME_OK && file.starts <= epoch + 1) {
    trace_write(authority->config.trace, TRACE_WARNING, "authority", "the network file that was handed in starts at epoch %llu, after %llu comes too late: make one for a later epoch",
                (unsigned long long)file.starts, (unsigned long long)epoch);
    document_release(message->object);
    return;
  }
  if (outcome == OUTCOME_OK) outcome = authority_take_network(authority, now, text);
  if (outcome != OUTCOME_OK && outcome != OUTCOME_STALE)
    trace_write(authority->config.trace, TRACE_WARNING, "authority", "the network file that was handed in is not taken: %s", outcome_text(outcome));
  document_release(message->object);
}

static void verb_event(void *self, instant now, const struct event *event) {
  struct authority *authority = self;
  switch (event->kind) {
  case EVENT_CLOCK:
    authority->clock = event->clock;
    fetch_set_clock(authority->fetch, now, &event->clock);
    if (authority->agreement != NULL) agreement_set_clock(authority->agreement, now, &event->clock);
    break;
  case EVENT_WRITTEN: epoch_written(authority, now, event); break;
  case EVENT_STOP:
    authority->stopping = true;
    effect_queue_exit(&authority->effects, OUTCOME_OK);
    break;
  case EVENT_CONNECTED:
  case EVENT_EOF:
  case EVENT_CLOSED:
  case EVENT_RESOLVED: link_event(authority, now, event); break;
  case EVENT_MESSAGE: take_message(authority, now, &event->message); break;
  }
  finish(authority, now);
}

static bool verb_next_ready(void *self, struct id *ret) {
  return trunk_pool_next_ready(&((struct authority *)self)->trunks, ret);
}

static bool verb_next_effect(void *self, struct effect *ret) {
  struct authority *authority = self;
  return (authority->effects.first == NULL && take_held(authority, ret)) || effect_queue_take(&authority->effects, ret);
}

static instant verb_deadline(const void *self) {
  const struct authority *authority = self;
  instant deadline = instant_earlier(timer_heap_deadline(&authority->timers), fetch_deadline(authority->fetch));
  deadline = instant_earlier(deadline, authority->again_at);
  if (authority->agreement != NULL) deadline = instant_earlier(deadline, agreement_deadline(authority->agreement));
  return instant_earlier(deadline, trunk_pool_deadline(&authority->trunks));
}

static void verb_tick(void *self, instant now) {
  struct authority *authority = self;
  struct timer *timer;
  trunk_pool_tick(&authority->trunks, now);
  while ((timer = timer_heap_expired(&authority->timers, now)) != NULL) {
    if (timer->kind == TIMER_PROBES) {
      probe_timer(authority, now);
    } else if (timer->kind == TIMER_PEER) {
      peer_timer(authority, timer->owner.slot, now);
    } else {
      struct authority_link *link = find(authority, timer->owner);
      if (link != NULL && !link->is_gone) authority_link_timer(authority, link, now);
    }
  }
  if (fetch_deadline(authority->fetch) <= now) fetch_tick(authority->fetch, now);
  if (authority->agreement != NULL && agreement_deadline(authority->agreement) <= now) agreement_tick(authority->agreement, now);
  finish(authority, now);
}

static bool verb_work(void *self, instant now) {
  struct authority *authority = self;
  /* Handshakes and signatures in turn: no flood of the one starves the other. */
  bool is_descriptors = ++authority->work_turn % 2 == 0;
  bool worked = is_descriptors ? descriptors_work(authority, now) : authority_link_work(authority, now);
  if (!worked) worked = is_descriptors ? authority_link_work(authority, now) : descriptors_work(authority, now);
  if (!worked) worked = fetch_work(authority->fetch, now);
  finish(authority, now);
  return worked;
}

const struct consensus *authority_consensus(const struct authority *authority) {
  return authority->consensus;
}

uint32_t authority_known_count(const struct authority *authority) {
  return id_table_count(&authority->relays);
}

uint32_t authority_running_count(const struct authority *authority) {
  uint32_t cursor = 0, count = 0;
  struct id id;
  const struct known_relay *relay;
  while ((relay = id_table_next(&authority->relays, &cursor, &id)) != NULL) count += relay->is_running;
  return count;
}

/* What is not on disk may not be said: an authority that can't write takes part in nothing, though it serves what it has. */
static enum outcome why_not_ready(const struct authority *authority, instant now) {
  if (authority->split) return OUTCOME_DIRECTORY_SPLIT;
  if ((authority->unwritten & (1U << WRITE_BALLOT | 1U << WRITE_VOTE | 1U << WRITE_CONSENSUS)) != 0) return OUTCOME_FILE_FAILED;
  if (authority->consensus == NULL) return OUTCOME_NO_CONSENSUS;
  return consensus_check_dates(authority->consensus, wall_clock_date(&authority->clock, now));
}

static void verb_status(const void *self, instant now, struct status *ret) {
  const struct authority *authority = self;
  struct agreement_summary summary = {0};
  if (authority->agreement != NULL) agreement_summarise(authority->agreement, &summary);
  memset(ret, 0, sizeof *ret);
  ret->role = "authority";
  ret->cause = why_not_ready(authority, now);
  ret->ready = ret->cause == OUTCOME_OK;
  ret->stages = 2;
  ret->stage = authority->consensus == NULL ? 1 : 2;
  ret->stage_text = ret->stage == 1 ? "agreeing on the first consensus" : "serving the consensus";
  if (authority->agreement == NULL) ret->stage_text = "serving the consensus, not one of its authorities";
  else if (summary.silent) ret->stage_text = agreement_is_looking(authority->agreement) ? "looking for a later consensus, its record being lost" : "silent, its record being lost";
  const struct status_figure figures[] = {{"relays_known", authority_known_count(authority)},
                                          {"relays_running", authority_running_count(authority)},
                                          {"epoch", authority->consensus == NULL ? 0 : consensus_header(authority->consensus)->epoch},
                                          {"serial", authority->network->serial},
                                          {"newest_serial", network_chain_newest(authority->config.networks)->serial},
                                          {"view", summary.view},
                                          {"votes_heard", summary.votes},
                                          {"silent", summary.silent},
                                          {"accused", summary.accused},
                                          {"messages_refused", summary.refused},
                                          {"descriptors_taken", authority->descriptors_taken},
                                          {"descriptors_refused", authority->descriptors_refused},
                                          {"descriptors_too_busy", authority->descriptors_too_busy},
                                          {"descriptors_waiting", authority->waiting_count[0] + authority->waiting_count[1]},
                                          {"signatures_checked", authority->signatures_checked},
                                          {"documents_too_busy", authority->documents_too_busy},
                                          {"document_bytes_served", authority->document_bytes_served},
                                          {"connections_refused", authority->connections_refused},
                                          {"visitors", authority->visitors},
                                          {"probes_done", authority->probes_done},
                                          {"probes_failed", authority->probes_failed},
                                          {"epochs_decided", authority->epochs_decided}};
  for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) status_add_figure(ret, figures[i].name, figures[i].value);
  status_add_expiry(ret, "network file", network_chain_newest(authority->config.networks)->expires);
  if (authority->consensus != NULL) status_add_expiry(ret, "consensus", consensus_header(authority->consensus)->valid_until);
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

struct machine authority_machine(struct authority *authority) {
  return (struct machine){authority, &verbs};
}
