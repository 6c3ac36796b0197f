#include "directory/authority_internal.h"

#include <stdlib.h>
#include <string.h>

enum { PROBES_OF_EACH = LIMIT_PROBES_AT_ONCE / 2, FAILURES_UNTIL_DOWN = 2, SOON_PART = 8 };
#define AT_THE_SAME_TIME (1 * SECONDS)
#define PROBES_BUSY_WAIT (50 * MILLISECONDS)

static uint64_t probe_interval(const struct authority *authority) {
  return (uint64_t)authority->network->timing.probe_interval * MILLISECONDS;
}

/* [MACH-11] It was set when the authority was made, and keeps its place. */
static void plan(struct authority *authority, instant at) {
  timer_heap_set(&authority->timers, &authority->probe_timer, TIMER_PROBES, ID_NONE, at);
}

static void set_timer(struct authority *authority, instant now) {
  instant at = INSTANT_NEVER;
  for (int i = 0; i < 2; i++) {
    struct list_node *first = list_first(&authority->probes[i]);
    if (first == NULL) continue;
    instant due = LIST_OBJECT(first, struct known_relay, order)->next_probe;
    /* Whoever is due keeps the place: a crowd is not sorted again and again. */
    if (authority->probes_under_way[i] >= PROBES_OF_EACH && due <= now) due = instant_after(now, PROBES_BUSY_WAIT);
    at = instant_earlier(at, due);
  }
  plan(authority, at == INSTANT_NEVER ? INSTANT_NEVER - 1 : at);
}

/* Keeps the list in order of time: plans are near its end almost always. */
void probe_plan(struct authority *authority, struct known_relay *relay, instant at) {
  relay->next_probe = at;
  list_leave(&relay->order);
  struct list *probes = &authority->probes[!relay->has_run]; /* [AUTH-14] */
  struct list_node *before = probes->head.previous;
  while (before != &probes->head && LIST_OBJECT(before, struct known_relay, order)->next_probe > at) before = before->previous;
  relay->order.previous = before;
  relay->order.next = before->next;
  before->next->previous = &relay->order;
  before->next = &relay->order;
  set_timer(authority, 0);
}

static bool begin(struct authority *authority, struct known_relay *relay, instant now) {
  struct link_peer peer = {.suites = relay->descriptor.link_suites};
  memcpy(peer.identity, relay->descriptor.identity, IDENTITY_BYTES);
  memcpy(peer.link_key, relay->descriptor.link_key, X25519_BYTES);
  struct link *inner = link_new_initiator(authority->config.self, &peer, LINK_FROM_CLIENT, &authority->random);
  struct authority_link *link = inner == NULL ? NULL : authority_link_new(authority, now, LINK_PROBE, inner);
  if (link == NULL) return false;
  link->relay = relay;
  if (!authority_link_connect(authority, link, &relay->descriptor.address)) {
    authority_link_free(authority, link);
    return false;
  }
  relay->probe = link;
  relay->tested_at = now;
  relay->is_vouched = relay->is_renewed = false;
  authority->probes_under_way[!relay->has_run]++;
  return true;
}

/* [AUTH-16] Somebody who answers, asked together with one who may be gone. */
static void ask_another(struct authority *authority, const struct known_relay *relay, instant now) {
  uint32_t cursor = 0;
  struct id id;
  struct known_relay *other = id_table_get(&authority->relays, authority->answered_by);
  while (other != NULL && (other == relay || !other->is_running || other->failures > 0 || other->probe != NULL || !id_is_none(other->vouches_for)))
    other = id_table_next(&authority->relays, &cursor, &id);
  if (other == NULL) return;
  other->vouches_for = relay->id;
  probe_plan(authority, other, now);
}

static void begin_due(struct authority *authority, int of, instant now) {
  struct list_node *node;
  while ((node = list_first(&authority->probes[of])) != NULL && authority->probes_under_way[of] < PROBES_OF_EACH) {
    struct known_relay *relay = LIST_OBJECT(node, struct known_relay, order);
    if (relay->next_probe > now) break;
    bool begun = relay->probe == NULL && begin(authority, relay, now);
    /* Until it ends, which plans the next. */
    if (begun && relay->is_running && relay->failures > 0) ask_another(authority, relay, now);
    probe_plan(authority, relay, instant_after(now, begun || relay->probe != NULL ? 4 * LIMIT_HANDSHAKE_TIME : 1 * SECONDS));
  }
}

void probe_timer(struct authority *authority, instant now) {
  plan(authority, INSTANT_NEVER - 1);
  for (int of = 0; of < 2; of++) begin_due(authority, of, now);
  set_timer(authority, now);
}

/* [AUTH-3] The link proved identity and link key; the circuit handshake proves the onion key. */
void probe_opened(struct authority *authority, struct authority_link *link, instant now) {
  if (link->relay == NULL) { /* forgotten while its link was made */
    authority_link_lost(authority, link, now, OUTCOME_DONE);
    return;
  }
  const struct descriptor *descriptor = &link->relay->descriptor;
  struct circuit_binding binding = {.handshake_type = CIRCUIT_HANDSHAKE_TYPE_HYBRID,
                                    .generation = descriptor->onion_generation,
                                    .place = 0,
                                    .suite = descriptor->layer_suite};
  uint8_t random[NOISE_RANDOM_BYTES], request[CIRCUIT_HANDSHAKE_REQUEST_BYTES];
  memcpy(binding.network, authority->network->id, sizeof binding.network);
  memcpy(binding.identity, descriptor->identity, sizeof binding.identity);
  random_bytes(&authority->random, random, sizeof random);
  link->handshake = calloc(1, sizeof *link->handshake);
  bool begun = link->handshake != NULL && circuit_handshake_begin(link->handshake, &binding, descriptor->onion_key, random, request);
  struct cell_create create = {
      .handshake_type = binding.handshake_type, .generation = binding.generation, .place = 0, .request = request};
  link->side.owner = link->connection;
  begun = begun && trunk_begin(link->trunk, &link->side, now, &create);
  bytes_wipe(random, sizeof random);
  if (!begun) authority_link_lost(authority, link, now, OUTCOME_HANDSHAKE_FAILED);
}

void probe_created(struct authority *authority, struct authority_link *link, instant now, const uint8_t *reply) {
  struct circuit_keys keys;
  bool good = link->kind == LINK_PROBE && link->handshake != NULL && circuit_handshake_finish(link->handshake, reply, &keys);
  bytes_wipe(&keys, sizeof keys);
  if (good) probe_ended(authority, link, now, OUTCOME_OK);
  authority_link_lost(authority, link, now, good ? OUTCOME_DONE : OUTCOME_HANDSHAKE_FAILED);
}

void probe_forget(struct authority *authority, struct known_relay *relay) {
  relay->probe->relay = NULL;
  relay->probe = NULL;
  authority->probes_under_way[!relay->has_run]--;
}

void probe_drop(struct authority *authority, struct known_relay *relay, instant now) {
  struct authority_link *link = relay->probe;
  probe_forget(authority, relay);
  authority_link_lost(authority, link, now, OUTCOME_DONE);
}

/* [AUTH-16] Silence may be the fault of our own link: then another that was asked at the same time is silent, too. A link that is
 * down refuses at once, before anybody can answer: there it is enough that one answered since. */
static bool is_own_fault(const struct authority *authority, const struct known_relay *relay, instant now, enum outcome outcome) {
  bool is_silence = outcome == OUTCOME_TIMED_OUT || outcome == OUTCOME_CONNECT_TIMEOUT, is_unreachable = outcome == OUTCOME_HOST_UNREACHABLE;
  if ((!is_silence && !is_unreachable) || (is_silence && relay->is_vouched)) return false;
  if (is_unreachable && authority->answered > relay->failed_since) return false;
  return now - relay->last_heard < (uint64_t)authority->network->timing.valid * MILLISECONDS;
}

static void note_answer(struct authority *authority, struct known_relay *relay, instant now) {
  struct known_relay *other = id_table_get(&authority->relays, relay->vouches_for);
  authority->answered = now;
  authority->answered_by = relay->id;
  if (other != NULL && relay->tested_at - other->tested_at < AT_THE_SAME_TIME) other->is_vouched = true;
}

void probe_ended(struct authority *authority, struct authority_link *link, instant now, enum outcome outcome) {
  struct known_relay *relay = link->relay;
  bool good = outcome == OUTCOME_OK;
  if (relay == NULL) return; /* told already */
  probe_forget(authority, relay);
  authority->probes_done++;
  authority->probes_failed += !good;
  if (!good && relay->failures == 0) relay->failed_since = relay->tested_at;
  if (good) note_answer(authority, relay, now);
  relay->vouches_for = ID_NONE;
  relay->failures = good ? 0 : (uint8_t)(relay->failures < UINT8_MAX ? relay->failures + 1 : UINT8_MAX);
  bool was_running = relay->is_running;
  if (good) relay->last_heard = now;
  relay->has_run = relay->has_run || good;
  if (good && !was_running) {
    relay->running_since = now;
    relay->ran_before = 0;
  }
  bool is_down = relay->failures >= FAILURES_UNTIL_DOWN && !is_own_fault(authority, relay, now, outcome);
  relays_set_running(authority, relay, good || (was_running && !is_down));
  if (relay->is_running != was_running) {
    authority->running_changed = true;
    trace_write(authority->config.trace, TRACE_NOTICE, "authority", "relay %s is %s", relay->descriptor.nickname,
                relay->is_running ? "running" : "not running any more");
  }
  /* [AUTH-4] Spread over the interval; one failure is looked into soon, a relay that is gone ever more seldom. */
  uint64_t interval = probe_interval(authority);
  if (!good && was_running) interval /= SOON_PART;
  else if (!good) interval = interval / SOON_PART << (relay->failures < 7 ? relay->failures : 7);
  else if (relay->is_renewed) interval = 0;
  probe_plan(authority, relay, instant_after(now, interval / 2 + random_below(&authority->random, interval + 1)));
}
