#include "tests/bench/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/circuit_handshake.h"
#include "directory/consensus_format.h"
#include "protocol/limits.h"

enum { POOL_CELLS = 1 << 16, CONTEXTS = 512, HOUR_MS = 60 * 60 * 1000 };

static void require(bool ok) {
  if (!ok) abort();
}

/* ---- who they are ---- */

static void list_neighbour(struct peers *peers, int i) {
  struct relay_entry *entry = &peers->neighbours[i];
  *entry = (struct relay_entry){.link_suites = 1 << AEAD_CHACHA20_POLY1305, .layer_suite = AEAD_CHACHA20_POLY1305,
                                .flags = RELAY_RUNNING | RELAY_VALID | RELAY_GUARD, .weight = 1000};
  if (aead_suite_has_hardware(AEAD_AES256_GCM)) entry->link_suites |= 1 << AEAD_AES256_GCM;
  random_bytes(&peers->random, entry->identity, IDENTITY_BYTES);
  random_bytes(&peers->random, entry->onion_key, X25519_BYTES);
  memcpy(entry->link_key, peers->key, X25519_BYTES);
  snprintf(entry->nickname, sizeof entry->nickname, "n%d", i);
  entry->address = (struct address){.family = ADDRESS_IPV4, .bytes = {127, 0, 0, 1}, .port = (uint16_t)(1 + i)};
}

void peers_init(struct peers *peers, const uint8_t network[32]) {
  static const uint8_t seed[RANDOM_SEED_BYTES] = {7};
  memset(peers, 0, sizeof *peers);
  random_init(&peers->random, seed);
  memcpy(peers->network, network, sizeof peers->network);
  memory_budget_init(&peers->budget, SIZE_MAX / 2);
  struct cell_pool *cells = cell_pool_new(&peers->budget, POOL_CELLS);
  peers->contexts = aead_cache_new(CONTEXTS, aead_best_backend());
  peers->secret = guarded_key_new((const uint8_t[X25519_BYTES]){9});
  require(cells != NULL && peers->contexts != NULL && peers->secret != NULL);
  x25519_public(peers->key, peers->secret->bytes);
  trunk_pool_init(&peers->trunks, cells, &peers->random);
  peers->now = SECONDS;
  for (int i = 0; i < PEER_NEIGHBOURS; i++) list_neighbour(peers, i);
}

void peers_wipe(struct peers *peers) {
  cell_pool_free(peers->trunks.cells);
  aead_cache_free(peers->contexts);
  guarded_key_free(peers->secret);
}

static int compare(const void *a, const void *b) { return memcmp(a, b, IDENTITY_BYTES); }

struct document *peers_consensus(const struct peers *peers, const uint8_t authority_seed[32], struct date now) {
  static const struct exit_summary summary = {.range_count = 1, .ranges = {{1, 65535}}};
  struct relay_entry entries[PEER_NEIGHBOURS + 1];
  struct consensus_header header = {.serial = 1, .epoch = 1, .method = 1, .relay_count = PEER_NEIGHBOURS + 1, .valid_after = now};
  struct consensus_signature signature;
  header.fresh_until = date_after(now, HOUR_MS);
  header.valid_until = date_after(now, 24 * (int64_t)HOUR_MS);
  memcpy(entries, peers->neighbours, sizeof peers->neighbours);
  entries[PEER_NEIGHBOURS] = peers->relay;
  entries[PEER_NEIGHBOURS].flags = RELAY_RUNNING | RELAY_VALID | RELAY_EXIT;
  entries[PEER_NEIGHBOURS].exit_summary = &summary;
  qsort(entries, PEER_NEIGHBOURS + 1, sizeof *entries, compare);
  consensus_assign_weights(&header, entries);
  struct document *text = consensus_format(peers->network, &header, entries);
  require(text != NULL);
  consensus_sign(&signature, authority_seed, peers->network, header.epoch, 0, header.digest);
  struct document *whole = consensus_compose(text, &signature, 1);
  require(whole != NULL);
  document_release(text);
  return whole;
}

/* ---- links ---- */

static void init_link(struct peers *peers, struct peer_link *link, int neighbour) {
  *link = (struct peer_link){.self.backend = aead_best_backend(), .self.suites = peers->neighbours[0].link_suites};
  memcpy(link->self.network, peers->network, sizeof link->self.network);
  link->in = malloc(PEER_BUFFER_BYTES);
  require(link->in != NULL);
  if (neighbour == PEER_CLIENT) return;
  memcpy(link->self.identity, peers->neighbours[neighbour].identity, IDENTITY_BYTES);
  memcpy(link->self.link_public, peers->key, X25519_BYTES);
  link->self.link_secret = peers->secret;
}

static void join(struct peers *peers, struct peer_link *link, struct link *made) {
  peers->links++;
  link->trunk = trunk_new(&peers->trunks, made, (struct id){peers->links, 1}, peers->links, 0);
  require(link->trunk != NULL);
}

/* Handshakes of ours, and whoever calls is let in. */
static void move_on(struct peers *peers, struct peer_link *link) {
  struct link *wire = trunk_link(link->trunk);
  if (link_needs_work(wire)) require(link_work(wire, peers->now) == OUTCOME_OK);
  if (link_state(wire) == LINK_AWAITING_ADMISSION) link_admit(wire);
}

void peer_link_call(struct peers *peers, struct peer_link *link, int neighbour) {
  struct link_peer peer = {.suites = peers->relay.link_suites};
  memcpy(peer.identity, peers->relay.identity, IDENTITY_BYTES);
  memcpy(peer.link_key, peers->relay.link_key, X25519_BYTES);
  init_link(peers, link, neighbour);
  join(peers, link, link_new_initiator(&link->self, &peer, neighbour == PEER_CLIENT ? LINK_FROM_CLIENT : LINK_FROM_NODE, &peers->random));
  move_on(peers, link);
}

void peer_link_answer(struct peers *peers, struct peer_link *link, int neighbour) {
  init_link(peers, link, neighbour);
  join(peers, link, link_new_responder(&link->self, &peers->random));
}

/* Circuits of the link must have been wiped. */
void peer_link_wipe(struct peer_link *link) {
  trunk_free(link->trunk);
  free(link->in);
  *link = (struct peer_link){.trunk = NULL};
}

bool peer_link_is_open(const struct peer_link *link) {
  return link->trunk != NULL && link_state(trunk_link(link->trunk)) == LINK_OPEN;
}

/* ---- what the relay says ---- */

static void take_created(struct peers *peers, struct peer_circuit *circuit, const uint8_t *reply) {
  enum aead_suite suite = (enum aead_suite)peers->relay.layer_suite;
  struct circuit_keys keys;
  require(circuit_handshake_finish(circuit->handshake, reply, &keys));
  free(circuit->handshake);
  circuit->handshake = NULL;
  onion_layer_init(&circuit->seal, suite, circuit->place, ONION_FORWARD, keys.forward);
  onion_layer_init(&circuit->open, suite, circuit->place, ONION_BACKWARD, keys.backward);
  trunk_opened(&circuit->side, peers->now);
  peers->opened++;
}

/* The relay extends to us: any reply will do, since only the client could check it. */
static void take_create(struct peers *peers, struct peer_link *link, const struct delivery *delivery) {
  static const uint8_t reply[CIRCUIT_HANDSHAKE_REPLY_BYTES] = {1};
  struct peer_circuit *circuit = calloc(1, sizeof *circuit);
  require(circuit != NULL && trunk_attach(link->trunk, &circuit->side, delivery->circuit, peers->now));
  circuit->place = delivery->create.place;
  require(trunk_answer(&circuit->side, peers->now, reply));
}

static void hear(struct peers *peers, const struct peer_circuit *circuit, const uint8_t *content) {
  struct message_reader reader;
  struct message message;
  message_reader_init(&reader, content, (size_t)ONION_CONTENT(circuit->place), false);
  while (message_read(&reader, &message)) {
    peers->extended += message.command == MESSAGE_EXTENDED;
    peers->connected += message.command == MESSAGE_CONNECTED;
    peers->closed += message.command == MESSAGE_CLOSED || message.command == MESSAGE_END;
    if (message.command == MESSAGE_DATA) peers->data_bytes += message.len;
  }
  require(message_reader_is_valid(&reader));
}

static void take_onion(struct peers *peers, struct peer_circuit *circuit, uint8_t *body) {
  enum onion_kind kind;
  if (circuit->is_ours) {
    require(onion_open(&circuit->open, peers->contexts, body, &kind));
    if (kind == ONION_FOR_YOU) hear(peers, circuit, body);
  }
  trunk_passed(&circuit->side, peers->now);
}

static void take_delivery(struct peers *peers, struct peer_link *link, const struct delivery *delivery) {
  struct peer_circuit *circuit = delivery->side == NULL ? NULL : LIST_OBJECT(delivery->side, struct peer_circuit, side);
  switch (delivery->kind) {
  case DELIVERY_CREATE: take_create(peers, link, delivery); break;
  case DELIVERY_CREATED: take_created(peers, circuit, delivery->reply); break;
  case DELIVERY_ONION: take_onion(peers, circuit, delivery->body); break;
  case DELIVERY_CLOSED: peers->closed++; break;
  case DELIVERY_TRANSFER: /* documents are somebody else's business */
    if (delivery->transfer.kind == TRANSFER_ASKED) transfers_finish(trunk_transfers(link->trunk), delivery->transfer.request, OUTCOME_NOT_FOUND);
    document_release(delivery->transfer.document);
    break;
  case DELIVERY_TIME: break;
  }
}

void peer_link_take(struct peers *peers, struct peer_link *link, const uint8_t *bytes, size_t len) {
  require(link->in_len + len <= PEER_BUFFER_BYTES);
  memcpy(link->in + link->in_len, bytes, len);
  link->in_len += len;
  size_t at = 0;
  for (size_t used = 1; used > 0 && at < link->in_len; at += used) {
    struct delivery delivery;
    enum outcome outcome = trunk_receive(link->trunk, peers->now, link->in + at, link->in_len - at, &used);
    while (outcome == OUTCOME_OK && trunk_next_delivery(link->trunk, peers->now, &delivery, &outcome)) take_delivery(peers, link, &delivery);
    require(outcome == OUTCOME_OK);
    move_on(peers, link);
  }
  memmove(link->in, link->in + at, link->in_len - at);
  link->in_len -= at;
}

size_t peer_link_give(struct peers *peers, struct peer_link *link, uint8_t *out, size_t room) {
  struct id id;
  while (trunk_pool_next_ready(&peers->trunks, &id)) {} /* everybody is asked anyway */
  while (trunk_pool_next_roomy(&peers->trunks) != NULL) {}
  return trunk_transmit(link->trunk, peers->now, out, room);
}

/* ---- what is asked of it ---- */

void peer_circuit_open(struct peers *peers, struct peer_link *link, struct peer_circuit *circuit, uint8_t place) {
  uint8_t request[CIRCUIT_HANDSHAKE_REQUEST_BYTES], random[NOISE_RANDOM_BYTES];
  struct circuit_binding binding = {.handshake_type = CIRCUIT_HANDSHAKE_TYPE_HYBRID, .generation = peers->relay.onion_generation,
                                    .place = place, .suite = peers->relay.layer_suite};
  struct cell_create create = {.handshake_type = binding.handshake_type, .generation = binding.generation, .place = place, .request = request};
  memcpy(binding.network, peers->network, sizeof binding.network);
  memcpy(binding.identity, peers->relay.identity, IDENTITY_BYTES);
  random_bytes(&peers->random, random, sizeof random);
  *circuit = (struct peer_circuit){.place = place, .is_ours = true, .handshake = malloc(sizeof *circuit->handshake)};
  require(circuit->handshake != NULL && circuit_handshake_begin(circuit->handshake, &binding, peers->relay.onion_key, random, request));
  require(trunk_begin(link->trunk, &circuit->side, peers->now, &create));
}

static void say(struct peers *peers, struct peer_circuit *circuit, uint8_t command, uint16_t stream, const void *bytes, size_t len) {
  struct cell *cell = cell_pool_take(peers->trunks.cells);
  require(cell != NULL);
  uint8_t *body = cell_body(cell->bytes);
  struct message_writer writer;
  memset(body, 0, CELL_BODY_BYTES);
  message_writer_init(&writer, body, (size_t)ONION_CONTENT(circuit->place), false);
  uint8_t *place = message_add(&writer, command, stream, len);
  require(place != NULL);
  if (bytes != NULL) memcpy(place, bytes, len);
  message_writer_finish(&writer);
  require(onion_seal(&circuit->seal, peers->contexts, ONION_FOR_YOU, body));
  trunk_push(&circuit->side, peers->now, cell, false);
}

void peer_circuit_extend(struct peers *peers, struct peer_circuit *circuit, int neighbour) {
  uint8_t body[LIMIT_EXTEND_BYTES] = {0};
  memcpy(body, peers->neighbours[neighbour].identity, IDENTITY_BYTES);
  body[IDENTITY_BYTES] = CIRCUIT_HANDSHAKE_TYPE_HYBRID;
  say(peers, circuit, MESSAGE_EXTEND, 0, body, sizeof body);
}

void peer_circuit_begin(struct peers *peers, struct peer_circuit *circuit, uint16_t stream, const struct address *to) {
  struct target target = {.kind = TARGET_IPV4, .port = to->port};
  uint8_t body[TARGET_MAX_BYTES];
  memcpy(target.address, to->bytes, 4);
  size_t len = target_encode(&target, body);
  say(peers, circuit, MESSAGE_BEGIN, stream, body, len);
}

void peer_circuit_data(struct peers *peers, struct peer_circuit *circuit, uint16_t stream, size_t len) {
  say(peers, circuit, MESSAGE_DATA, stream, NULL, len);
}

void peer_circuit_credit(struct peers *peers, struct peer_circuit *circuit, uint16_t stream, uint64_t allowed) {
  uint8_t body[8];
  put_u64(body, allowed);
  say(peers, circuit, MESSAGE_STREAM_CREDIT, stream, body, sizeof body);
}

void peer_circuit_wipe(struct peers *peers, struct peer_circuit *circuit) {
  trunk_detach(&circuit->side);
  onion_layer_wipe(&circuit->seal, peers->contexts);
  onion_layer_wipe(&circuit->open, peers->contexts);
  free(circuit->handshake);
}
