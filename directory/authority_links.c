#include "directory/authority_internal.h"

#include <stdlib.h>
#include <string.h>

enum { PUT_MAX_BYTES = LIMIT_AGREEMENT_MESSAGE_BYTES };

bool authority_link_draw(struct authority *authority, struct authority_link *link) {
  link->connection = ID_NONE;
  if (!effect_queue_reserve(&authority->effects)) return false; /* [MACH-11] */
  struct connection_slot *slot = id_table_add(&authority->connections, &link->connection);
  if (slot == NULL) {
    effect_queue_release(&authority->effects);
    link->connection = ID_NONE;
    return false;
  }
  slot->kind = link->kind;
  slot->object = link;
  return true;
}

struct authority_link *authority_link_new(struct authority *authority, instant now, enum authority_link_kind kind, struct link *inner) {
  struct authority_link *link = calloc(1, sizeof *link);
  if (link == NULL) {
    link_free(inner);
    return NULL;
  }
  link->kind = kind;
  link->member = -1;
  if (!authority_link_draw(authority, link)) {
    link_free(inner);
    free(link);
    return NULL;
  }
  authority->visitors += kind == LINK_VISITOR;
  if (++authority->next_number == 0) authority->next_number = 1;
  if (inner != NULL) link->trunk = trunk_new(&authority->trunks, inner, link->connection, authority->next_number, PUT_MAX_BYTES);
  bool timed = timer_heap_set(&authority->timers, &link->timer, TIMER_LINK, link->connection, instant_after(now, LIMIT_HANDSHAKE_TIME));
  if ((inner != NULL && link->trunk == NULL) || !timed) {
    authority_link_free(authority, link);
    return NULL;
  }
  return link;
}

struct authority_link *authority_link_accept(struct authority *authority, instant now, const struct address *peer) {
  if (authority->visitors >= AUTHORITY_VISITORS_MAX) return NULL;
  struct link *inner = link_new_responder(authority->config.self, &authority->random);
  struct authority_link *link = inner == NULL ? NULL : authority_link_new(authority, now, LINK_VISITOR, inner);
  if (link == NULL) return NULL;
  link->address = *peer;
  if (source_enter(authority, link, now)) return link;
  authority_link_free(authority, link);
  return NULL;
}

void authority_link_free(struct authority *authority, struct authority_link *link) {
  descriptors_forget(authority, link);
  source_leave(authority, link);
  authority->visitors -= link->kind == LINK_VISITOR;
  trunk_detach(&link->side);
  timer_heap_cancel(&authority->timers, &link->timer);
  list_leave(&link->wants_work);
  list_leave(&link->gone);
  if (!id_is_none(link->connection)) {
    id_table_remove(&authority->connections, link->connection);
    if (!link->is_closed) effect_queue_release(&authority->effects);
  }
  trunk_free(link->trunk);
  if (link->handshake != NULL) {
    noise_wipe(link->handshake);
    free(link->handshake);
  }
  free(link);
}

bool authority_link_connect(struct authority *authority, struct authority_link *link, const struct address *address) {
  struct effect effect = {.kind = EFFECT_CONNECT, .id = link->connection, .connection = CONNECTION_LINK, .address = *address};
  return effect_queue_put(&authority->effects, &effect);
}

void authority_link_lost(struct authority *authority, struct authority_link *link, instant now, enum outcome outcome) {
  if (link->is_gone) return;
  link->is_gone = true;
  if (!id_is_none(link->connection)) {
    struct effect effect = {.kind = EFFECT_CLOSE, .id = link->connection};
    effect_queue_put_reserved(&authority->effects, &effect);
    link->is_closed = true;
  }
  list_append(&authority->gone, &link->gone);
  if (link->kind == LINK_PEER) peer_lost(authority, link, now);
  else if (link->kind == LINK_PROBE) probe_ended(authority, link, now, outcome == OUTCOME_OK ? OUTCOME_DONE : outcome);
  trace_write(authority->config.trace, TRACE_DEBUG, "link", "a link ended: %s", outcome_name(outcome));
}

/* [LINK-6] Only authorities of the network file may come under an identity: links between authorities are their own. */
static enum outcome admit(struct authority *authority, struct authority_link *link) {
  uint8_t identity[IDENTITY_BYTES], link_key[X25519_BYTES];
  link_claim(trunk_link(link->trunk), identity, link_key);
  int member = network_file_find_authority(authority->network, identity);
  if (authority->agreement == NULL || member < 0 || (uint32_t)member == authority->own) return OUTCOME_UNKNOWN_RELAY;
  const struct network_authority *other = &authority->network->authorities[member];
  if (!bytes_equal_constant_time(other->link_key, link_key, X25519_BYTES)) return OUTCOME_UNKNOWN_RELAY;
  link->member = member;
  link_admit(trunk_link(link->trunk));
  trunk_make_ready(link->trunk);
  return OUTCOME_OK;
}

static void opened(struct authority *authority, struct authority_link *link, instant now) {
  link->is_open = true;
  /* A relay that leaves the probe's CREATE unanswered keeps others from being tested. */
  uint64_t wait = link->kind == LINK_PROBE ? LIMIT_HANDSHAKE_TIME : LIMIT_LINK_IDLE_TIME;
  transfer_watch_begin(&link->watch, now, wait, trunk_transfers(link->trunk));
  timer_heap_set(&authority->timers, &link->timer, TIMER_LINK, link->connection, instant_after(now, wait));
  /* [AUTH-11] Strangers hand in descriptors, one at a time. */
  if (link->member < 0) transfers_limit_puts(trunk_transfers(link->trunk), LIMIT_DESCRIPTOR_BYTES, 1);
  if (link->kind == LINK_VISITOR) trunk_tell_time(link->trunk, wall_clock_date(&authority->clock, now));
  else if (link->kind == LINK_PEER) peer_opened(authority, link, now);
  else probe_opened(authority, link, now);
}

void authority_link_follow(struct authority *authority, struct authority_link *link, instant now) {
  struct link *inner = trunk_link(link->trunk);
  struct list *wants_work = link->kind == LINK_VISITOR ? &authority->wants_work : &authority->own_work;
  if (link_needs_work(inner) && !list_contains_node(&link->wants_work)) list_append(wants_work, &link->wants_work);
  enum outcome outcome = OUTCOME_OK;
  if (link_state(inner) == LINK_AWAITING_ADMISSION) outcome = admit(authority, link);
  if (outcome != OUTCOME_OK) authority_link_lost(authority, link, now, outcome);
  else if (link_state(inner) == LINK_OPEN && !link->is_open) opened(authority, link, now);
}

bool authority_link_work(struct authority *authority, instant now) {
  struct list_node *node = list_take_first(&authority->own_work);
  if (node == NULL) node = list_take_first(&authority->wants_work);
  if (node == NULL) return false;
  struct authority_link *link = LIST_OBJECT(node, struct authority_link, wants_work);
  if (link->is_gone) return true;
  enum outcome outcome = link_work(trunk_link(link->trunk), now);
  trunk_make_ready(link->trunk);
  if (outcome == OUTCOME_OK) authority_link_follow(authority, link, now);
  else authority_link_lost(authority, link, now, outcome);
  return true;
}

/* [AUTH-2] Anyone may ask for the consensus; only members for votes. */
static void answer(struct authority *authority, struct authority_link *link, instant now, const struct transfer_event *event) {
  const struct held_vote *vote = NULL;
  struct document *document = NULL;
  enum outcome outcome = consensus_archive_answer(&authority->archive, &event->about, &document);
  if (event->about.kind == TRANSFER_VOTE && link->member >= 0) vote = epoch_find_vote(authority, event->about.hash);
  if (vote != NULL) document = vote_text(vote->vote);
  if (event->about.kind == TRANSFER_NETWORK_FILE) { /* [NET-11] */
    document = authority_network_after(authority, link->member, event->about.epoch);
    outcome = OUTCOME_STALE;
  }
  if (document != NULL && !source_may_fetch(authority, link, now, document_len(document))) {
    document = NULL;
    outcome = OUTCOME_TOO_BUSY;
  }
  if (document != NULL) transfers_answer(trunk_transfers(link->trunk), event->request, document);
  else transfers_finish(trunk_transfers(link->trunk), event->request, outcome);
}

/* What an authority says is judged by the agreement; the transfer itself went well. */
static void take_message(struct authority *authority, int member, instant now, const uint8_t *bytes, size_t len) {
  if (authority->agreement == NULL) return;
  enum outcome outcome = agreement_receive(authority->agreement, now, (uint8_t)member, bytes, len);
  if (outcome != OUTCOME_OK && outcome != OUTCOME_STALE)
    trace_write(authority->config.trace, TRACE_DEBUG, "authority", "authority %s said something useless: %s",
                authority->network->authorities[member].name, outcome_name(outcome));
  if (outcome != OUTCOME_DIRECTORY_SPLIT) return;
  authority_keep_both(authority, authority->consensus == NULL ? NULL : consensus_text(authority->consensus), bytes, len);
}

/* [AUTH-8] A bundle of messages, each behind its length. */
static enum outcome take_bundle(struct authority *authority, int member, instant now, const struct document *document) {
  const uint8_t *bytes = document_bytes(document);
  size_t left = document_len(document);
  while (left >= 4 && get_u32(bytes) <= left - 4) {
    size_t len = get_u32(bytes);
    take_message(authority, member, now, bytes + 4, len);
    bytes += 4 + len;
    left -= 4 + len;
  }
  return left == 0 ? OUTCOME_OK : OUTCOME_BAD_DOCUMENT;
}

static void take_given(struct authority *authority, struct authority_link *link, instant now, const struct transfer_event *event) {
  enum outcome outcome = OUTCOME_NOT_FOUND;
  if (event->about.kind == TRANSFER_AGREEMENT && link->member >= 0)
    outcome = take_bundle(authority, link->member, now, event->document);
  else if (event->about.kind == TRANSFER_DESCRIPTOR && document_len(event->document) > LIMIT_DESCRIPTOR_BYTES)
    outcome = OUTCOME_TOO_LARGE;
  else if (event->about.kind == TRANSFER_DESCRIPTOR)
    outcome = descriptors_receive(authority, link, now, event->request, event->document);
  bool waits = event->about.kind == TRANSFER_DESCRIPTOR && outcome == OUTCOME_OK;
  if (!waits) transfers_finish(trunk_transfers(link->trunk), event->request, outcome);
}

static void take_transfer(struct authority *authority, struct authority_link *link, instant now, const struct transfer_event *event) {
  if (event->kind == TRANSFER_ASKED) answer(authority, link, now, event);
  else if (event->kind == TRANSFER_GIVEN) take_given(authority, link, now, event);
  else if (link->kind == LINK_PEER) peer_transfer(authority, link, now, event);
  if (event->kind == TRANSFER_GIVEN || event->kind == TRANSFER_ARRIVED) document_release(event->document);
  trunk_make_ready(link->trunk);
}

static void take_delivery(struct authority *authority, struct authority_link *link, instant now, const struct delivery *delivery) {
  switch (delivery->kind) {
  case DELIVERY_CREATE: trunk_refuse(link->trunk, delivery->circuit); return; /* an authority is no relay */
  case DELIVERY_CREATED: probe_created(authority, link, now, delivery->reply); return;
  case DELIVERY_CLOSED: authority_link_lost(authority, link, now, OUTCOME_CIRCUIT_CLOSED); return;
  case DELIVERY_TRANSFER: take_transfer(authority, link, now, &delivery->transfer); return;
  case DELIVERY_ONION:
  case DELIVERY_TIME: return;
  }
}

enum outcome authority_link_receive(struct authority *authority, struct authority_link *link, instant now, uint8_t *in, size_t len,
                                    size_t *ret_used) {
  enum outcome outcome = OUTCOME_OK;
  *ret_used = 0;
  for (size_t used = 1; outcome == OUTCOME_OK && !link->is_gone && used > 0 && *ret_used < len;) {
    outcome = trunk_receive(link->trunk, now, in + *ret_used, len - *ret_used, &used);
    *ret_used += used;
    struct delivery delivery;
    while (outcome == OUTCOME_OK && !link->is_gone && trunk_next_delivery(link->trunk, now, &delivery, &outcome))
      take_delivery(authority, link, now, &delivery);
    if (outcome == OUTCOME_OK && !link->is_gone && !link->is_open) authority_link_follow(authority, link, now);
  }
  if (outcome != OUTCOME_OK) authority_link_lost(authority, link, now, outcome);
  return link->is_gone ? (outcome == OUTCOME_OK ? OUTCOME_DONE : outcome) : OUTCOME_OK;
}

/* [LIMIT-8] A stranger's, while documents move on it. */
static bool may_linger(struct authority_link *link, instant now) {
  return transfer_watch_look(&link->watch, now, trunk_transfers(link->trunk)) && instant_until(link->watch.began, now) < LIMIT_VISIT_TIME;
}

void authority_link_timer(struct authority *authority, struct authority_link *link, instant now) {
  /* Links between authorities stay; visitors that linger make room; a probe has had its time. */
  bool may_stay = link->is_open && link->kind != LINK_PROBE;
  if (may_stay && (link->member >= 0 || may_linger(link, now)))
    timer_heap_set(&authority->timers, &link->timer, TIMER_LINK, link->connection, instant_after(now, LIMIT_LINK_IDLE_TIME));
  else authority_link_lost(authority, link, now, link->is_open && link->kind != LINK_PROBE ? OUTCOME_DONE : OUTCOME_TIMED_OUT);
}
