#include "tests/sim/flooder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory/descriptor.h"
#include "protocol/effect_queue.h"
#include "protocol/limits.h"
#include "protocol/memory_budget.h"
#include "protocol/trunk.h"

enum { POOL_CELLS = 4096, LINKS_MAX = 256, REFUSALS_TAKEN = 8 };

struct flood_link { struct id connection; struct trunk *trunk; uint32_t authority; bool is_open; uint32_t refusals; struct document *next; };

struct flooder {
  struct sim *sim;
  const struct link_self *self;
  const struct network_file *file;
  struct address place;
  uint32_t count, numbers;
  uint64_t handed_in, taken;
  struct memory_budget budget;
  struct cell_pool *cells;
  struct trunk_pool trunks;
  struct id_table connections;
  struct effect_queue effects;
  struct random_stream random;
  struct flood_link links[LINKS_MAX];
};

struct slot { struct flood_link *link; };

struct flooder *flooder_new(struct sim *sim, const struct link_self *self, const struct network_file *file, uint32_t links, const struct address *place) {
  struct flooder *flooder = calloc(1, sizeof *flooder);
  uint8_t seed[RANDOM_SEED_BYTES];
  if (flooder == NULL || links * file->authority_count > LINKS_MAX) abort();
  flooder->sim = sim;
  flooder->self = self;
  flooder->file = file;
  flooder->place = *place;
  flooder->count = links * file->authority_count;
  sim_seed(sim, seed);
  random_init(&flooder->random, seed);
  memory_budget_init(&flooder->budget, SIZE_MAX / 2);
  flooder->cells = cell_pool_new(&flooder->budget, POOL_CELLS);
  trunk_pool_init(&flooder->trunks, flooder->cells, &flooder->random);
  id_table_init(&flooder->connections, sizeof(struct slot), 4 * LINKS_MAX);
  for (uint32_t i = 0; i < flooder->count; i++) flooder->links[i].authority = i % file->authority_count;
  return flooder;
}

void flooder_free(struct flooder *flooder) {
  if (flooder == NULL) return;
  for (uint32_t i = 0; i < flooder->count; i++) {
    trunk_free(flooder->links[i].trunk);
    document_release(flooder->links[i].next);
  }
  effect_queue_wipe(&flooder->effects);
  id_table_wipe(&flooder->connections);
  cell_pool_free(flooder->cells);
  free(flooder);
}

uint64_t flooder_handed_in(const struct flooder *flooder) { return flooder->handed_in; }
uint64_t flooder_taken(const struct flooder *flooder) { return flooder->taken; }

static struct flood_link *find(const struct flooder *flooder, struct id id) {
  const struct slot *slot = id_table_get(&flooder->connections, id);
  return slot == NULL ? NULL : slot->link;
}

static struct document *make_descriptor(struct flooder *flooder, instant now) {
  static _Thread_local struct descriptor d;
  uint8_t identity[ED25519_SEED_BYTES], signing[ED25519_SEED_BYTES], key[X25519_BYTES];
  char text[LIMIT_DESCRIPTOR_BYTES];
  memset(&d, 0, sizeof d);
  random_bytes(&flooder->random, identity, sizeof identity);
  random_bytes(&flooder->random, signing, sizeof signing);
  memcpy(d.network, flooder->file->id, sizeof d.network);
  snprintf(d.nickname, sizeof d.nickname, "flood");
  snprintf(d.software, sizeof d.software, "tunic-simulated");
  ed25519_public(d.identity, identity);
  ed25519_public(d.signing_key, signing);
  random_bytes(&flooder->random, key, sizeof key);
  x25519_public(d.link_key, key);
  random_bytes(&flooder->random, key, sizeof key);
  x25519_public(d.onion_key, key);
  d.address = flooder->place;
  d.address.port = (uint16_t)(1 + random_below(&flooder->random, UINT16_MAX));
  d.published = (struct date){flooder->sim->wall_ms_at_zero + (int64_t)(now / MILLISECONDS)};
  d.signing_expires = date_after(d.published, INT64_C(20) * 86400 * 1000);
  d.sequence = 1;
  d.link_suites = 1 << AEAD_CHACHA20_POLY1305;
  d.layer_suite = AEAD_CHACHA20_POLY1305;
  d.bandwidth = 1000;
  descriptor_certify(&d, identity);
  size_t len = descriptor_format(&d, text, sizeof text);
  len = descriptor_sign(text, len, sizeof text, signing);
  return document_new(text, len);
}

static void connect_anew(struct flooder *flooder, struct flood_link *link) {
  const struct network_authority *authority = &flooder->file->authorities[link->authority];
  struct link_peer peer = {.suites = 1 << AEAD_CHACHA20_POLY1305};
  if (!id_is_none(link->connection)) {
    struct effect close = {.kind = EFFECT_CLOSE, .id = link->connection};
    effect_queue_put(&flooder->effects, &close);
    id_table_remove(&flooder->connections, link->connection);
  }
  trunk_free(link->trunk);
  memcpy(peer.identity, authority->identity, IDENTITY_BYTES);
  memcpy(peer.link_key, authority->link_key, X25519_BYTES);
  struct slot *slot = id_table_add(&flooder->connections, &link->connection);
  if (slot == NULL) abort();
  slot->link = link;
  link->is_open = false;
  struct link *inner = link_new_initiator(flooder->self, &peer, LINK_FROM_CLIENT, &flooder->random);
  link->trunk = trunk_new(&flooder->trunks, inner, link->connection, ++flooder->numbers, 0);
  struct effect effect = {.kind = EFFECT_CONNECT, .id = link->connection, .connection = CONNECTION_LINK};
  if (!address_parse_host(authority->host, strlen(authority->host), &effect.address)) abort();
  effect.address.port = authority->port;
  effect_queue_put(&flooder->effects, &effect);
}

static void hand_in(struct flooder *flooder, struct flood_link *link, instant now) {
  if (link->next == NULL) link->next = make_descriptor(flooder, now);
  transfers_put(trunk_transfers(link->trunk), TRANSFER_DESCRIPTOR, link->next);
  trunk_make_ready(link->trunk);
  flooder->handed_in++;
}

/* What was taken is no fresh identity any more. */
static void answered(struct flooder *flooder, struct flood_link *link, instant now, enum outcome outcome) {
  bool is_used = outcome == OUTCOME_OK || outcome == OUTCOME_STALE;
  flooder->taken += outcome == OUTCOME_OK;
  if (is_used) document_release(link->next);
  if (is_used) link->next = NULL;
  if (outcome == OUTCOME_TOO_BUSY && ++link->refusals % REFUSALS_TAKEN == 0) connect_anew(flooder, link);
  else hand_in(flooder, link, now);
}

static void follow(struct flooder *flooder, struct flood_link *link, instant now) {
  if (link->is_open || link_state(trunk_link(link->trunk)) != LINK_OPEN) return;
  link->is_open = true;
  hand_in(flooder, link, now);
}

static struct id verb_accept(void *self, instant now, enum connection_kind kind, const struct address *peer) {
  (void)self, (void)now, (void)kind, (void)peer;
  return ID_NONE;
}

static size_t verb_room(const void *self, struct id id) {
  const struct flood_link *link = find(self, id);
  return link == NULL || link_needs_work(trunk_link(link->trunk)) ? 0 : SIZE_MAX;
}

static enum outcome verb_receive(void *self, instant now, struct id id, uint8_t *in, size_t len, size_t *ret_used) {
  struct flooder *flooder = self;
  struct flood_link *link = find(flooder, id);
  size_t used = 1;
  *ret_used = 0;
  while (link != NULL && used > 0 && *ret_used < len) {
    enum outcome outcome = trunk_receive(link->trunk, now, in + *ret_used, len - *ret_used, &used), answer = OUTCOME_OK;
    struct delivery delivery;
    bool is_answered = false;
    *ret_used += used;
    while (outcome == OUTCOME_OK && trunk_next_delivery(link->trunk, now, &delivery, &outcome))
      if (delivery.kind == DELIVERY_TRANSFER && delivery.transfer.kind == TRANSFER_ENDED) is_answered = true, answer = delivery.transfer.outcome;
    if (outcome != OUTCOME_OK) connect_anew(flooder, link);
    else if (is_answered) answered(flooder, link, now, answer);
    else follow(flooder, link, now);
    if (!id_equal(link->connection, id)) return OUTCOME_DONE;
  }
  return OUTCOME_OK;
}

static size_t verb_transmit(void *self, instant now, struct id id, uint8_t *out, size_t room) {
  const struct flood_link *link = find(self, id);
  return link == NULL ? 0 : trunk_transmit(link->trunk, now, out, room);
}

static void verb_event(void *self, instant now, const struct event *event) {
  struct flooder *flooder = self;
  struct flood_link *link = find(flooder, event->id);
  (void)now;
  if (event->kind == EVENT_CLOCK)
    for (uint32_t i = 0; i < flooder->count; i++) connect_anew(flooder, &flooder->links[i]);
  else if (link != NULL && (event->kind == EVENT_CLOSED || event->kind == EVENT_EOF)) connect_anew(flooder, link);
}

static bool verb_next_ready(void *self, struct id *ret) { return trunk_pool_next_ready(&((struct flooder *)self)->trunks, ret); }
static bool verb_next_effect(void *self, struct effect *ret) { return effect_queue_take(&((struct flooder *)self)->effects, ret); }
static instant verb_deadline(const void *self) { return trunk_pool_deadline(&((const struct flooder *)self)->trunks); }
static void verb_tick(void *self, instant now) { trunk_pool_tick(&((struct flooder *)self)->trunks, now); }

static bool verb_work(void *self, instant now) {
  struct flooder *flooder = self;
  for (uint32_t i = 0; i < flooder->count; i++) {
    struct flood_link *link = &flooder->links[i];
    if (link->trunk == NULL || !link_needs_work(trunk_link(link->trunk))) continue;
    if (link_work(trunk_link(link->trunk), now) != OUTCOME_OK) abort();
    trunk_make_ready(link->trunk);
    follow(flooder, link, now);
    return true;
  }
  return false;
}

struct machine flooder_machine(struct flooder *flooder) {
  static const struct machine_verbs verbs = {
      .accept = verb_accept, .room = verb_room, .receive = verb_receive, .transmit = verb_transmit, .event = verb_event, .next_ready = verb_next_ready,
      .next_effect = verb_next_effect, .deadline = verb_deadline, .tick = verb_tick, .work = verb_work};
  return (struct machine){flooder, &verbs};
}
