#include "tests/sim/flooder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory/descriptor.h"
#include "protocol/effect_queue.h"
#include "protocol/limits.h"
#include "protocol/memory_budget.h"
#include "protocol/trunk.h"

enum { POOL_CELLS = 16384, LINKS_MAX = 256, REFUSALS_TAKEN = 8, CIRCUITS = LIMIT_CREATES_QUEUED_PER_LINK + 6 };

struct flood_link {
  struct id connection;
  struct trunk *trunk;
  uint32_t peer; /* index of the flooder's */
  bool is_open, is_silent;
  uint32_t refusals;
  struct document *next; /* to be handed in */
  struct trunk_side circuits[CIRCUITS];
};

struct flood_peer { struct link_peer names; struct address address; };

struct flooder {
  struct sim *sim;
  const struct link_self *self;
  const struct network_file *file; /* NULL: circuits are begun */
  struct address place;
  struct flood_peer peers[LIMIT_AUTHORITIES];
  uint8_t request[CIRCUIT_HANDSHAKE_REQUEST_BYTES]; /* one is as good as many: it is the relay that computes */
  struct cell_create create;
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

static struct flooder *make(struct sim *sim, const struct link_self *self, uint32_t count) {
  struct flooder *flooder = calloc(1, sizeof *flooder);
  uint8_t seed[RANDOM_SEED_BYTES];
  if (flooder == NULL || count > LINKS_MAX) abort();
  flooder->sim = sim;
  flooder->self = self;
  flooder->count = count;
  sim_seed(sim, seed);
  random_init(&flooder->random, seed);
  memory_budget_init(&flooder->budget, SIZE_MAX / 2);
  flooder->cells = cell_pool_new(&flooder->budget, POOL_CELLS);
  trunk_pool_init(&flooder->trunks, flooder->cells, &flooder->random);
  id_table_init(&flooder->connections, sizeof(struct slot), 4 * LINKS_MAX);
  return flooder;
}

static struct flood_peer make_peer(const uint8_t *identity, const uint8_t *link_key) {
  struct flood_peer peer = {.names.suites = 1 << AEAD_CHACHA20_POLY1305};
  memcpy(peer.names.identity, identity, IDENTITY_BYTES);
  memcpy(peer.names.link_key, link_key, X25519_BYTES);
  return peer;
}

struct flooder *flooder_new(struct sim *sim, const struct link_self *self, const struct network_file *file, uint32_t links, const struct address *place) {
  struct flooder *flooder = make(sim, self, links * file->authority_count);
  flooder->file = file;
  flooder->place = *place;
  for (uint32_t i = 0; i < file->authority_count; i++) {
    const struct network_authority *authority = &file->authorities[i];
    struct flood_peer *peer = &flooder->peers[i];
    *peer = make_peer(authority->identity, authority->link_key);
    if (!address_parse_host(authority->host, strlen(authority->host), &peer->address)) abort();
    peer->address.port = authority->port;
  }
  for (uint32_t i = 0; i < flooder->count; i++) flooder->links[i].peer = i % file->authority_count;
  return flooder;
}

static void make_request(struct flooder *flooder, const struct relay_entry *relay) {
  struct circuit_binding binding = {.handshake_type = CIRCUIT_HANDSHAKE_TYPE_HYBRID, .generation = relay->onion_generation, .suite = relay->layer_suite};
  uint8_t random[NOISE_RANDOM_BYTES];
  struct noise handshake;
  memcpy(binding.network, flooder->self->network, sizeof binding.network);
  memcpy(binding.identity, relay->identity, IDENTITY_BYTES);
  random_bytes(&flooder->random, random, sizeof random);
  if (!circuit_handshake_begin(&handshake, &binding, relay->onion_key, random, flooder->request)) abort();
  noise_wipe(&handshake);
  flooder->create = (struct cell_create){.handshake_type = binding.handshake_type, .generation = binding.generation, .request = flooder->request};
}

struct flooder *flooder_of_circuits(struct sim *sim, const struct link_self *self, const struct relay_entry *relay, uint32_t links, uint32_t silent) {
  struct flooder *flooder = make(sim, self, links + silent);
  flooder->peers[0] = make_peer(relay->identity, relay->link_key);
  flooder->peers[0].address = relay->address;
  for (uint32_t i = links; i < flooder->count; i++) flooder->links[i].is_silent = true;
  make_request(flooder, relay);
  return flooder;
}

static void drop_trunk(struct flood_link *link) {
  for (int i = 0; i < CIRCUITS; i++) trunk_detach(&link->circuits[i]);
  trunk_free(link->trunk);
  link->trunk = NULL;
}

void flooder_free(struct flooder *flooder) {
  if (flooder == NULL) return;
  for (uint32_t i = 0; i < flooder->count; i++) {
    drop_trunk(&flooder->links[i]);
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
  const struct flood_peer *peer = &flooder->peers[link->peer];
  if (!id_is_none(link->connection)) {
    struct effect close = {.kind = EFFECT_CLOSE, .id = link->connection};
    effect_queue_put(&flooder->effects, &close);
    id_table_remove(&flooder->connections, link->connection);
  }
  drop_trunk(link);
  struct slot *slot = id_table_add(&flooder->connections, &link->connection);
  if (slot == NULL) abort();
  slot->link = link;
  link->is_open = false;
  struct link *inner = link_new_initiator(flooder->self, &peer->names, LINK_FROM_CLIENT, &flooder->random);
  link->trunk = trunk_new(&flooder->trunks, inner, link->connection, ++flooder->numbers, 0);
  struct effect effect = {.kind = EFFECT_CONNECT, .id = link->connection, .connection = CONNECTION_LINK, .address = peer->address};
  effect_queue_put(&flooder->effects, &effect);
}

static void begin_circuit(struct flooder *flooder, struct flood_link *link, struct trunk_side *side, instant now) {
  if (!trunk_begin(link->trunk, side, now, &flooder->create)) return;
  flooder->handed_in++;
}

static void circuit_ended(struct flooder *flooder, struct flood_link *link, const struct delivery *delivery, instant now) {
  bool is_taken = delivery->kind == DELIVERY_CREATED;
  flooder->taken += is_taken;
  if (is_taken) trunk_opened(delivery->side, now);
  if (is_taken) trunk_cut(delivery->side);
  begin_circuit(flooder, link, delivery->side, now);
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
  if (flooder->file != NULL) hand_in(flooder, link, now);
  for (int i = 0; flooder->file == NULL && i < CIRCUITS; i++) begin_circuit(flooder, link, &link->circuits[i], now);
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
    while (outcome == OUTCOME_OK && trunk_next_delivery(link->trunk, now, &delivery, &outcome)) {
      if (delivery.kind == DELIVERY_TRANSFER && delivery.transfer.kind == TRANSFER_ENDED) is_answered = true, answer = delivery.transfer.outcome;
      if (delivery.kind == DELIVERY_CREATED || delivery.kind == DELIVERY_CLOSED) circuit_ended(flooder, link, &delivery, now);
    }
    if (outcome != OUTCOME_OK) connect_anew(flooder, link);
    else if (is_answered) answered(flooder, link, now, answer);
    else follow(flooder, link, now);
    if (!id_equal(link->connection, id)) return OUTCOME_DONE;
  }
  return OUTCOME_OK;
}

static size_t verb_transmit(void *self, instant now, struct id id, uint8_t *out, size_t room) {
  const struct flood_link *link = find(self, id);
  return link == NULL || link->is_silent ? 0 : trunk_transmit(link->trunk, now, out, room);
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
