#include "directory/authority_internal.h"

#include <stdlib.h>
#include <string.h>

enum { OUTBOX_MAX = 256, BACK_OFF_MAX = 6, BACK_OFF_PART = 16, UNHEARD_FAILURES = 8 };

/* [AUTH-8] Short beside the longest view: a decision must not wait for a link after messages get through again. */
static uint64_t back_off(struct authority *authority, uint32_t failures) {
  uint64_t gap = (uint64_t)authority->network->timing.view_first * MILLISECONDS / 2;
  uint64_t most = (uint64_t)authority->network->timing.view_most * MILLISECONDS / BACK_OFF_PART;
  gap <<= failures < BACK_OFF_MAX ? failures : BACK_OFF_MAX;
  if (gap > most) gap = most;
  return gap / 2 + random_below(&authority->random, gap + 1);
}

static uint32_t index_of(const struct authority *authority, const struct peer *peer) {
  return (uint32_t)(peer - authority->peers);
}

static void try_again(struct authority *authority, struct peer *peer, instant now) {
  instant at = instant_after(now, back_off(authority, peer->failures++));
  timer_heap_set(&authority->timers, &peer->timer, TIMER_PEER, (struct id){index_of(authority, peer), 1}, at);
}

void peers_start(struct authority *authority, instant now) {
  for (uint32_t i = 0; i < authority->network->authority_count; i++) {
    list_init(&authority->peers[i].outbox);
    if (i != authority->own) timer_heap_set(&authority->timers, &authority->peers[i].timer, TIMER_PEER, (struct id){i, 1}, now);
  }
}

static struct link *new_link(struct authority *authority, uint32_t index) {
  const struct network_authority *other = &authority->network->authorities[index];
  struct link_peer peer = {.suites = 1 << AEAD_CHACHA20_POLY1305};
  memcpy(peer.identity, other->identity, IDENTITY_BYTES);
  memcpy(peer.link_key, other->link_key, X25519_BYTES);
  return link_new_initiator(authority->config.self, &peer, LINK_FROM_NODE, &authority->random);
}

static bool connect_to(struct authority *authority, struct authority_link *link, const struct address *address) {
  authority->peers[link->member].place = address_source_key(address);
  return authority_link_connect(authority, link, address);
}

/* A name is looked up under the link's id; the connection itself gets a new one. */
void peer_timer(struct authority *authority, uint32_t index, instant now) {
  struct peer *peer = &authority->peers[index];
  const struct network_authority *other = &authority->network->authorities[index];
  struct address address;
  timer_heap_set(&authority->timers, &peer->timer, TIMER_PEER, (struct id){index, 1}, INSTANT_NEVER - 1); /* [MACH-11] it keeps its place */
  if (peer->link != NULL || authority->stopping) return;
  bool is_address = address_parse_host(other->host, strlen(other->host), &address);
  struct link *inner = is_address ? new_link(authority, index) : NULL;
  if (!is_address || inner != NULL) peer->link = authority_link_new(authority, now, LINK_PEER, inner);
  if (peer->link == NULL) {
    try_again(authority, peer, now);
    return;
  }
  peer->link->member = (int)index;
  address.port = other->port;
  bool begun;
  if (is_address) {
    begun = connect_to(authority, peer->link, &address);
  } else {
    struct effect effect = {.kind = EFFECT_RESOLVE, .id = peer->link->connection};
    memcpy(effect.name, other->host, strlen(other->host) + 1);
    begun = effect_queue_put(&authority->effects, &effect);
  }
  if (!begun) authority_link_lost(authority, peer->link, now, OUTCOME_NO_MEMORY);
}

void peer_resolved(struct authority *authority, struct authority_link *link, instant now, const struct event *event) {
  id_table_remove(&authority->connections, link->connection);
  effect_queue_release(&authority->effects);
  link->connection = ID_NONE;
  struct link *inner = event->outcome == OUTCOME_OK && event->address_count > 0 ? new_link(authority, (uint32_t)link->member) : NULL;
  bool good = inner != NULL && authority_link_draw(authority, link);
  if (good) {
    struct address address = event->addresses[random_below(&authority->random, event->address_count)];
    address.port = authority->network->authorities[link->member].port;
    link->trunk = trunk_new(&authority->trunks, inner, link->connection, ++authority->next_number, LIMIT_AGREEMENT_MESSAGE_BYTES);
    link->timer.owner = link->connection;
    good = link->trunk != NULL && connect_to(authority, link, &address);
  } else {
    link_free(inner);
  }
  if (!good) authority_link_lost(authority, link, now, OUTCOME_NAME_LOOKUP_FAILED);
}

static void drop_first(struct peer *peer) {
  struct outgoing *outgoing = LIST_OBJECT(list_take_first(&peer->outbox), struct outgoing, node);
  document_release(outgoing->document);
  free(outgoing);
  peer->outbox_count--;
}

/* [AUTH-8] All that waits, as much as fits, in one document: each message behind its length. */
static struct document *bundle(const struct peer *peer, uint32_t *ret_count) {
  uint8_t *bytes = malloc(LIMIT_AGREEMENT_MESSAGE_BYTES);
  size_t len = 0;
  *ret_count = 0;
  if (bytes == NULL) return NULL;
  for (struct list_node *node = list_first(&peer->outbox); node != NULL; node = list_after(&peer->outbox, node)) {
    const struct document *message = LIST_OBJECT(node, struct outgoing, node)->document;
    if (len + 4 + document_len(message) > LIMIT_AGREEMENT_MESSAGE_BYTES) break;
    put_u32(bytes + len, (uint32_t)document_len(message));
    memcpy(bytes + len + 4, document_bytes(message), document_len(message));
    len += 4 + document_len(message);
    ++*ret_count;
  }
  struct document *document = len == 0 ? NULL : document_new(bytes, len);
  free(bytes);
  return document;
}

/* Questions first: they are few, and messages never end. */
static void ask_waiting(const struct authority *authority, struct peer *peer) {
  struct transfers *transfers = trunk_transfers(peer->link->trunk);
  if (peer->wanted_count > 0 && peer->link->vote_request == 0) {
    struct transfer_request request = {.kind = TRANSFER_VOTE};
    memcpy(request.hash, peer->wanted[0], DIGEST_BYTES);
    peer->link->vote_request = transfers_get(transfers, &request, LIMIT_VOTE_BYTES);
    if (peer->link->vote_request != 0) memmove(peer->wanted[0], peer->wanted[1], --peer->wanted_count * sizeof peer->wanted[0]);
  }
  if (peer->wants_consensus && peer->link->consensus_request == 0) {
    struct transfer_request request = {.kind = TRANSFER_CONSENSUS,
                                       .epoch = authority->consensus == NULL ? 0 : consensus_header(authority->consensus)->epoch};
    peer->link->consensus_request = transfers_get(transfers, &request, LIMIT_CONSENSUS_PACKED_BYTES);
    peer->wants_consensus = peer->link->consensus_request == 0;
  }
  if (peer->wants_network && peer->link->network_request == 0) {
    struct transfer_request request = {.kind = TRANSFER_NETWORK_FILE, .epoch = network_chain_newest(authority->config.networks)->serial};
    peer->link->network_request = transfers_get(transfers, &request, LIMIT_NETWORK_FILE_BYTES);
    peer->wants_network = peer->link->network_request == 0;
  }
}

static void send_waiting(const struct authority *authority, struct peer *peer) {
  if (peer->link == NULL || !peer->link->is_open) return;
  ask_waiting(authority, peer);
  uint32_t count;
  struct document *document = peer->link->put_request != 0 ? NULL : bundle(peer, &count);
  if (document != NULL) {
    peer->link->put_request = transfers_put(trunk_transfers(peer->link->trunk), TRANSFER_AGREEMENT, document);
    for (; peer->link->put_request != 0 && count > 0; count--) drop_first(peer);
    document_release(document);
  }
  trunk_make_ready(peer->link->trunk);
}

/* With ourselves. */
static uint32_t count_linked(const struct authority *authority) {
  uint32_t count = 1;
  for (uint32_t i = 0; i < authority->network->authority_count; i++) {
    const struct authority_link *link = authority->peers[i].link;
    count += i != authority->own && link != NULL && link->is_open;
  }
  return count;
}

/* [AUTH-8] Said once when nothing can be decided any more, and once when it can again. At the start all come one after the other, so that those
 * who are missing are waited for: `waited` says that one was tried for long enough. */
static void follow_quorum(struct authority *authority, bool waited) {
  uint32_t all = authority->network->authority_count, linked = count_linked(authority), needed = authorities_quorum(all);
  bool is_there = linked >= needed;
  if (is_there && authority->quorum == QUORUM_LOST)
    trace_write(authority->config.trace, TRACE_NOTICE, "authority", "%u of %u authorities are linked again, itself counted: decisions go on", linked, all);
  if (is_there) authority->quorum = QUORUM_THERE;
  if (is_there || authority->quorum == QUORUM_LOST || (authority->quorum == QUORUM_UNTOLD && !waited)) return;
  authority->quorum = QUORUM_LOST;
  trace_write(authority->config.trace, TRACE_WARNING, "authority", "%u of %u authorities are linked, itself counted, and %u are needed: nothing is decided until more are. Check "
              "that the others run and that their ports can be reached", linked, all, needed);
}

void peer_opened(struct authority *authority, struct authority_link *link, instant now) {
  struct peer *peer = &authority->peers[link->member];
  peer->failures = 0;
  follow_quorum(authority, false);
  trace_write(authority->config.trace, TRACE_INFO, "authority", "linked to authority %s",
              authority->network->authorities[link->member].name);
  /* [AUTH-9] It may know of a serial and of epochs that passed without us. */
  peer->wants_network = peer->wants_consensus = true;
  agreement_link_opened(authority->agreement, now, (uint8_t)link->member);
  send_waiting(authority, peer);
}

void peer_lost(struct authority *authority, struct authority_link *link, instant now) {
  struct peer *peer = &authority->peers[link->member];
  if (peer->link != link) return;
  peer->link = NULL;
  /* What waits is old by the time the link is back: STATUS says anew what the other lacks. */
  while (peer->outbox_count > 0) drop_first(peer);
  peer->wanted_count = 0;
  if (authority->stopping) return;
  try_again(authority, peer, now);
  follow_quorum(authority, peer->failures >= UNHEARD_FAILURES);
}

static void send_to(struct authority *authority, uint32_t to, struct document *document) {
  struct peer *peer = &authority->peers[to];
  struct outgoing *outgoing = peer->link == NULL ? NULL : calloc(1, sizeof *outgoing);
  if (outgoing == NULL) return;
  while (peer->outbox_count >= OUTBOX_MAX) drop_first(peer);
  outgoing->document = document_take(document);
  list_append(&peer->outbox, &outgoing->node);
  peer->outbox_count++;
  send_waiting(authority, peer);
}

void peers_send(struct authority *authority, instant now, uint8_t to, struct document *document) {
  (void)now;
  for (uint32_t i = 0; i < authority->network->authority_count; i++)
    if (i != authority->own && (to == AGREEMENT_EVERYONE || to == i)) send_to(authority, i, document);
}

void peers_fetch_vote(struct authority *authority, instant now, uint8_t to, const uint8_t hash[DIGEST_BYTES]) {
  (void)now;
  if (epoch_find_vote(authority, hash) != NULL) return; /* it is on its way to the disk */
  for (uint32_t i = 0; i < authority->network->authority_count; i++) {
    struct peer *peer = &authority->peers[i];
    if (i == authority->own || (to != AGREEMENT_EVERYONE && to != i) || peer->wanted_count >= LIMIT_AUTHORITIES) continue;
    bool known = false;
    for (uint32_t k = 0; k < peer->wanted_count; k++) known = known || memcmp(peer->wanted[k], hash, DIGEST_BYTES) == 0;
    if (!known) memcpy(peer->wanted[peer->wanted_count++], hash, DIGEST_BYTES);
    send_waiting(authority, peer);
  }
}

void peers_fetch_consensus(struct authority *authority, instant now, uint8_t to) {
  (void)now;
  for (uint32_t i = 0; i < authority->network->authority_count; i++) {
    if (i == authority->own || (to != AGREEMENT_EVERYONE && to != i)) continue;
    authority->peers[i].wants_consensus = true;
    send_waiting(authority, &authority->peers[i]);
  }
}

void peers_ask_network(struct authority *authority) {
  for (uint32_t i = 0; i < authority->network->authority_count; i++) {
    if (i == authority->own) continue;
    authority->peers[i].wants_network = true;
    send_waiting(authority, &authority->peers[i]);
  }
}

void peers_leave(struct authority *authority, instant now) {
  authority->quorum = QUORUM_LOST; /* on purpose: it is not said */
  uint32_t cursor = 0;
  struct id id;
  struct connection_slot *slot;
  while ((slot = id_table_next(&authority->connections, &cursor, &id)) != NULL) {
    struct authority_link *link = slot->kind == SLOT_FETCH ? NULL : slot->object;
    if (link != NULL && link->member >= 0) authority_link_lost(authority, link, now, OUTCOME_DONE);
  }
  for (uint32_t i = 0; i < LIMIT_AUTHORITIES; i++) {
    struct peer *peer = &authority->peers[i];
    timer_heap_cancel(&authority->timers, &peer->timer);
    while (peer->outbox_count > 0) drop_first(peer);
    peer->failures = 0;
    peer->held_serial = peer->place = 0;
  }
  authority->quorum = QUORUM_UNTOLD;
}

void peer_transfer(struct authority *authority, struct authority_link *link, instant now, const struct transfer_event *event) {
  enum outcome outcome = event->outcome;
  if (event->request == link->put_request) link->put_request = 0;
  if (event->request == link->vote_request && event->request != 0) {
    link->vote_request = 0;
    if (event->kind == TRANSFER_ARRIVED) outcome = epoch_take_vote(authority, event->document);
  } else if (event->request == link->consensus_request && event->request != 0) {
    link->consensus_request = 0;
    if (event->kind == TRANSFER_ARRIVED) outcome = epoch_take_consensus(authority, now, event->document);
  } else if (event->request == link->network_request && event->request != 0) {
    link->network_request = 0;
    if (event->kind == TRANSFER_ARRIVED) outcome = authority_take_network(authority, now, event->document);
    /* There may be another, and consensuses that could not be read without it. */
    if (event->kind == TRANSFER_ARRIVED && outcome == OUTCOME_OK)
      authority->peers[link->member].wants_network = authority->peers[link->member].wants_consensus = true;
  }
  if (outcome != OUTCOME_OK && outcome != OUTCOME_STALE)
    trace_write(authority->config.trace, TRACE_DEBUG, "authority", "authority %s: %s",
                authority->network->authorities[link->member].name, outcome_name(outcome));
  send_waiting(authority, &authority->peers[link->member]);
}
