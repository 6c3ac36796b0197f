#include "client/client_internal.h"

#include <stdlib.h>
#include <string.h>

enum { RETIRE_LEAST_MINUTES = 10, RETIRE_MOST_MINUTES = 30, CLOCK_OFF_MOST = 30 * 1000 };
#define RETIRED_CHECK (5 * SECONDS)

static struct guard_link *link_new(struct client *client, instant now, const struct relay_entry *entry) {
  struct guard_link *link = calloc(1, sizeof *link);
  if (link == NULL) return NULL;
  struct link_peer peer = {.suites = entry->link_suites};
  memcpy(peer.identity, entry->identity, IDENTITY_BYTES);
  memcpy(peer.link_key, entry->link_key, X25519_BYTES);
  memcpy(link->identity, entry->identity, IDENTITY_BYTES);
  list_init(&link->waiting);
  link->connection = client_add_connection(client, SLOT_LINK, link);
  struct link *inner = id_is_none(link->connection) ? NULL : link_new_initiator(client->config.self, &peer, LINK_FROM_CLIENT, &client->random);
  if (inner != NULL) link->trunk = trunk_new(&client->trunks, inner, link->connection, client->next_number++, 0);
  if (client->next_number == 0) client->next_number = 1;
  instant late = instant_after(now, LIMIT_HANDSHAKE_TIME);
  if (link->trunk == NULL || !timer_heap_set(&client->timers, &link->timer, TIMER_LINK, link->connection, late)) {
    trunk_free(link->trunk);
    if (!id_is_none(link->connection)) client_forget_connection(client, link->connection);
    free(link);
    return NULL;
  }
  list_append(&client->links, &link->of_client);
  if (link_needs_work(inner)) list_append(&client->links_work, &link->wants_work);
  return link;
}

struct guard_link *guard_link_reach(struct client *client, instant now, const struct relay_entry *entry) {
  for (struct list_node *node = list_first(&client->links); node != NULL; node = list_after(&client->links, node)) {
    struct guard_link *known = LIST_OBJECT(node, struct guard_link, of_client);
    if (known->is_gone || known->retiring || now >= known->retire_at) continue;
    if (memcmp(known->identity, entry->identity, IDENTITY_BYTES) != 0) continue;
    known->unused_since = 0;
    return known;
  }
  struct guard_link *link = link_new(client, now, entry);
  if (link == NULL) return NULL;
  /* [GUARD-8] So that a guard's shards do not sort its clients into lasting classes. */
  uint64_t life = random_between(&client->random, RETIRE_LEAST_MINUTES * MINUTES, RETIRE_MOST_MINUTES * MINUTES);
  link->retire_at = instant_after(now, life);
  struct effect effect = {
      .kind = EFFECT_CONNECT, .id = link->connection, .connection = CONNECTION_LINK, .address = entry->address};
  if (effect_queue_put(&client->effects, &effect)) return link;
  client_close_connection(client, link->connection, EFFECT_CLOSE);
  guard_link_free(client, link);
  return NULL;
}

static struct guard_link *find_open(const struct client *client, const uint8_t identity[IDENTITY_BYTES], instant now) {
  for (struct list_node *node = list_first(&client->links); node != NULL; node = list_after(&client->links, node)) {
    struct guard_link *link = LIST_OBJECT(node, struct guard_link, of_client);
    bool is_good = link->is_open && !link->is_gone && !link->retiring && now < link->retire_at;
    if (is_good && memcmp(link->identity, identity, IDENTITY_BYTES) == 0) return link;
  }
  return NULL;
}

void guard_link_offer(struct client *client, instant now) {
  struct guard_link *link = NULL;
  const struct relay_entry *first = NULL; /* the first in order that may be tried */
  for (int i = guard_sample_next(&client->guards, now, 0); i >= 0 && link == NULL; i = guard_sample_next(&client->guards, now, i + 1)) {
    const struct relay_entry *entry = consensus_find(fetch_consensus(client->fetch), client->guards.guards[i].identity);
    if (entry != NULL) link = find_open(client, entry->identity, now);
    if (first == NULL) first = entry;
  }
  if (link == NULL && first != NULL) link = guard_link_reach(client, now, first);
  if (link == NULL) fetch_use_guard(client->fetch, now, NULL, NULL);
  else if (link->is_open) fetch_use_guard(client->fetch, now, link->trunk, link->identity);
  if (link != NULL) link->unused_since = 0;
}

/* [OUT-6] A rare change is for everybody, its repetitions are for whoever looks for a problem. */
static void tell_of_guard(const struct client *client, const struct guard *guard, enum outcome outcome) {
  const struct trace *trace = client->config.trace;
  bool is_news = guard == NULL || guard->failures == 0;
  if (outcome == OUTCOME_OK && !is_news) trace_write(trace, TRACE_NOTICE, "guard", "the guard is reached again");
  if (outcome == OUTCOME_OK) return;
  trace_write(trace, is_news ? TRACE_NOTICE : TRACE_INFO, "guard", "a guard can't be reached: %s%s", outcome_name(outcome), is_news ? "; it is tried again" : "");
}

static void reached(const struct client *client, struct guard *guard) {
  tell_of_guard(client, guard, OUTCOME_OK);
  guard_reached(guard);
}

static void link_opened(struct client *client, struct guard_link *link, instant now) {
  struct list_node *node;
  int place = guard_sample_find(&client->guards, link->identity);
  link->is_open = true;
  link->opened_at = now;
  client->figures.links_opened++;
  if (place >= 0) reached(client, &client->guards.guards[place]);
  timer_heap_set(&client->timers, &link->timer, TIMER_LINK, link->connection, instant_after(now, LIMIT_LINK_IDLE_TIME / 4));
  while ((node = list_take_first(&link->waiting)) != NULL) circuit_link_open(client, LIST_OBJECT(node, struct circuit, waits));
  circuit_pool_want(client);
}

/* After anything that may have moved the handshake on. */
static void follow_state(struct client *client, struct guard_link *link, instant now) {
  struct link *inner = trunk_link(link->trunk);
  if (link_needs_work(inner) && !list_contains_node(&link->wants_work)) list_append(&client->links_work, &link->wants_work);
  if (link_state(inner) == LINK_OPEN && !link->is_open) link_opened(client, link, now);
}

void guard_link_work(struct client *client, struct guard_link *link, instant now) {
  enum outcome outcome = link_work(trunk_link(link->trunk), now);
  if (outcome != OUTCOME_OK) {
    guard_link_lost(client, link, now, outcome);
    return;
  }
  trunk_make_ready(link->trunk);
  follow_state(client, link, now);
}

/* [GUARD-9] A hint only: the guard may be the one that is wrong, or lie. */
static void note_time(struct client *client, instant now, struct date theirs) {
  int64_t ours = wall_clock_date(&client->clock, now).milliseconds;
  if (!client->has_clock || !date_is_sane(theirs)) return;
  client->clock_off = ours - theirs.milliseconds;
  if (client->clock_off >= -CLOCK_OFF_MOST && client->clock_off <= CLOCK_OFF_MOST) {
    client->clock_off = 0;
    return;
  }
  trace_write(client->config.trace, TRACE_WARNING, "clock", "this machine's clock is %lld s %s the guard's",
              (long long)llabs(client->clock_off / 1000), client->clock_off > 0 ? "ahead of" : "behind");
}

/* A client serves no documents; what it asked for on this link is the fetch's. */
static void take_transfer(struct client *client, struct guard_link *link, instant now, const struct transfer_event *event) {
  if (event->kind != TRANSFER_ASKED) {
    fetch_guard_event(client->fetch, now, link->trunk, event);
    return;
  }
  transfers_finish(trunk_transfers(link->trunk), event->request, OUTCOME_NOT_FOUND);
  trunk_make_ready(link->trunk);
}

static void take_delivery(struct client *client, struct guard_link *link, instant now, const struct delivery *delivery) {
  struct trunk_side *side = delivery->side;
  switch (delivery->kind) {
  case DELIVERY_CREATE: trunk_refuse(link->trunk, delivery->circuit); break;
  case DELIVERY_CREATED: circuit_created(client, circuit_of_side(side), now, delivery->reply); break;
  case DELIVERY_ONION:
    circuit_receive(client, circuit_of_side(side), now, delivery->body);
    trunk_passed(side, now);
    break;
  case DELIVERY_CLOSED: circuit_lost(client, circuit_of_side(side), now, OUTCOME_CIRCUIT_CLOSED); break;
  case DELIVERY_TRANSFER: take_transfer(client, link, now, &delivery->transfer); break;
  case DELIVERY_TIME: note_time(client, now, delivery->date); break;
  }
}

enum outcome guard_link_receive(struct client *client, struct guard_link *link, instant now, uint8_t *in, size_t len,
                                size_t *ret_used) {
  enum outcome outcome = OUTCOME_OK;
  *ret_used = 0;
  for (size_t used = 1; outcome == OUTCOME_OK && used > 0 && *ret_used < len;) {
    outcome = trunk_receive(link->trunk, now, in + *ret_used, len - *ret_used, &used);
    *ret_used += used;
    struct delivery delivery;
    while (outcome == OUTCOME_OK && trunk_next_delivery(link->trunk, now, &delivery, &outcome))
      take_delivery(client, link, now, &delivery);
    if (outcome == OUTCOME_OK && !link->is_open) follow_state(client, link, now);
  }
  if (outcome == OUTCOME_OK) return OUTCOME_OK;
  client->figures.violations += outcome == OUTCOME_PROTOCOL_VIOLATION;
  guard_link_lost(client, link, now, outcome);
  return outcome;
}

/* [GUARD-4] Only the connection itself is the guard's fault: not what happens on a link that was open. */
static void blame(struct client *client, const struct guard_link *link, instant now, enum outcome outcome) {
  int place = guard_sample_find(&client->guards, link->identity);
  client->cause = OUTCOME_LINK_FAILED;
  client->figures.guard_failures++;
  tell_of_guard(client, place < 0 ? NULL : &client->guards.guards[place], outcome);
  if (place >= 0) guard_failed(&client->guards.guards[place], now, &client->random);
}

void guard_link_lost(struct client *client, struct guard_link *link, instant now, enum outcome outcome) {
  struct circuit *circuit;
  uint32_t cursor = 0;
  struct id id;
  if (link->is_gone) return;
  link->is_gone = true;
  fetch_guard_lost(client->fetch, now, link->trunk); /* blames nobody: a fetch that fails goes to another relay */
  if (id_table_get(&client->connections, link->connection) != NULL) client_close_connection(client, link->connection, EFFECT_CLOSE);
  trace_write(client->config.trace, TRACE_DEBUG, "link", "a link ended: %s", outcome_name(outcome));
  if (!link->is_open) blame(client, link, now, outcome);
  /* Those that wait for it, those on it, and those in between: about to begin, which stand in neither's list. */
  while ((circuit = id_table_next(&client->circuits, &cursor, &id)) != NULL) {
    if (circuit->link != link) continue;
    trunk_detach(&circuit->side);
    circuit_lost(client, circuit, now, OUTCOME_LINK_FAILED);
  }
  list_append(&client->gone_links, &link->gone);
  circuit_pool_want(client);
}

void guard_link_timer(struct client *client, struct guard_link *link, instant now) {
  /* [LIMIT-8] */
  bool in_use = trunk_side_count(link->trunk) > 0 || list_first(&link->waiting) != NULL || fetch_uses_guard(client->fetch, link->trunk);
  if (in_use) link->unused_since = 0;
  else if (link->unused_since == 0) link->unused_since = now;
  bool unused = !in_use && (link->retiring || instant_until(link->unused_since, now) >= LIMIT_LINK_IDLE_TIME);
  bool late = !link->is_open || trunk_close_deadline(link->trunk) <= now;
  if (!link->retiring && link->retire_at <= now) {
    link->retiring = true;
    circuit_pool_want(client); /* fresh circuits move to a new link */
  }
  if (late || unused) {
    guard_link_lost(client, link, now, late ? OUTCOME_TIMED_OUT : OUTCOME_DONE);
    return;
  }
  instant next = instant_after(now, link->retiring ? RETIRED_CHECK : LIMIT_LINK_IDLE_TIME / 4);
  if (!link->retiring) next = instant_earlier(next, link->retire_at);
  timer_heap_set(&client->timers, &link->timer, TIMER_LINK, link->connection, next);
}

void guard_link_free(struct client *client, struct guard_link *link) {
  timer_heap_cancel(&client->timers, &link->timer);
  list_leave(&link->of_client);
  list_leave(&link->wants_work);
  list_leave(&link->gone);
  trunk_free(link->trunk);
  free(link);
}
