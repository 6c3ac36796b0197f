#include "tests/unit/relay/shard_bench.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/raw_cell.h"

enum { ROUNDS_MOST = 20000, POOL_CELLS = 4096, GENERATION = 1 };

static void check(const struct bench *bench) {
  cr_assert(shard_is_consistent(bench->shard), "the shard's counts disagree with what is there");
}

/* ---- making ---- */

static void init_self(struct bench *bench, struct link_self *self, const uint8_t *identity) {
  self->suites = 1 << AEAD_CHACHA20_POLY1305;
  if (identity == NULL) return;
  memcpy(self->identity, identity, IDENTITY_BYTES);
  memcpy(self->link_public, bench->key, X25519_BYTES);
  self->link_secret = guarded_key_new(bench->secret);
}

static void init_relays(struct bench *bench) {
  for (int i = 0; i < BENCH_RELAYS; i++) {
    struct relay_entry *entry = sample_relay_add(&bench->relays, i == 0 ? RELAY_EXIT : RELAY_GUARD, 100, 1, 65535);
    memcpy(entry->link_key, bench->key, X25519_BYTES);
    memset(entry->identity, 'i', 8); /* who makes many identities finds some that begin alike */
    memcpy(bench->identities[i], entry->identity, IDENTITY_BYTES);
    bench->addresses[i] = entry->address;
  }
  struct relay_entry *far = sample_relay_add(&bench->relays, RELAY_GUARD, 100, 1, 65535);
  bench->second = far->other = far->address;
  bench->first = far->address = (struct address){.family = ADDRESS_IPV6, .bytes = {0x26, 0x20, 1, 2, 3, 4, 5, 6, 7, 8}, .port = 9001};
  bench->consensus = sample_relays_consensus(&bench->relays, 0);
}

static void tell_shard(struct bench *bench) {
  struct event event = {.kind = EVENT_CLOCK, .clock = {.at = bench->now, .date = consensus_header(bench->consensus)->valid_after}};
  bench_event(bench, &event);
  struct onion_keys *keys = sodium_malloc(sizeof *keys);
  *keys = (struct onion_keys){.count = 1, .keys = {{.generation = GENERATION}}};
  memcpy(keys->keys[0].secret, bench->secret, X25519_BYTES);
  memcpy(keys->keys[0].public_key, bench->key, X25519_BYTES);
  event = (struct event){.kind = EVENT_MESSAGE, .message = {.kind = SHARD_ONION_KEYS, .object = keys}};
  bench_event(bench, &event);
  event.message = (struct machine_message){.kind = SHARD_CONSENSUS, .object = consensus_take(bench->consensus)};
  bench_event(bench, &event);
}

struct bench *bench_new_for(uint32_t streams) {
  static const char rule[] = "accept *:*";
  cr_assert(crypto_start());
  struct bench *bench = calloc(1, sizeof *bench);
  cr_assert_not_null(bench);
  bench->now = 1000 * SECONDS;
  memset(bench->secret, 9, sizeof bench->secret);
  x25519_public(bench->key, bench->secret);
  random_init(&bench->random, (const uint8_t[RANDOM_SEED_BYTES]){5});
  memory_budget_init(&bench->budget, 64 * 1024 * 1024);
  memory_budget_init(&bench->own_budget, 64 * 1024 * 1024);
  init_relays(bench);
  init_self(bench, &bench->self, bench->identities[0]);
  init_self(bench, &bench->ends[END_CLIENT].self, NULL);
  for (int i = 1; i < BENCH_ENDS; i++) init_self(bench, &bench->ends[i].self, bench->identities[i]);
  bench->cells = cell_pool_new(&bench->own_budget, POOL_CELLS);
  bench->contexts = aead_cache_new(64, AEAD_LIBSODIUM);
  trunk_pool_init(&bench->trunks, bench->cells, &bench->random);
  cr_assert(exit_policy_add_rule(&bench->policy, rule, sizeof rule - 1));
  const struct shard_config config = {.self = &bench->self, .policy = &bench->policy, .own = {bench->addresses[0]}, .budget = &bench->budget,
                                      .pool_cells = POOL_CELLS, .streams = streams, .index = 1, .layer_suite = AEAD_CHACHA20_POLY1305, .seed = {1}};
  bench->shard = shard_new(&config);
  cr_assert_not_null(bench->shard);
  bench->machine = shard_machine(bench->shard);
  tell_shard(bench);
  return bench;
}

struct bench *bench_new(void) {
  return bench_new_for(0);
}

static void drop_link(struct bench *bench, struct bench_end *end) {
  if (end->trunk == NULL) return;
  for (int i = 0; i < BENCH_CIRCUITS; i++) {
    if (bench->circuits[i].side.trunk != end->trunk) continue;
    trunk_detach(&bench->circuits[i].side);
    bench->circuits[i].closed = true;
  }
  trunk_free(end->trunk);
  end->trunk = NULL;
  end->to_shard_len = end->from_shard_len = 0;
}

void bench_lose(struct bench *bench, int which) {
  struct bench_end *end = &bench->ends[which];
  struct event closed = {.kind = EVENT_CLOSED, .id = end->connection, .outcome = OUTCOME_CONNECTION_RESET};
  if (end->trunk == NULL) return;
  drop_link(bench, end);
  bench_event(bench, &closed);
}

void bench_free(struct bench *bench) {
  bench->idle = false;
  for (int i = 0; i < BENCH_ENDS; i++) bench_lose(bench, i);
  bench_wait(bench, 20 * SECONDS);
  bench_wait(bench, 2 * SECONDS);
  cr_expect_eq(bench->figures.pool_used, 0, "%d cells are left", (int)bench->figures.pool_used);
  cr_expect_eq(bench->figures.circuits, 0, "%d circuits are left", (int)bench->figures.circuits);
  cr_expect_eq(bench->figures.streams, 0, "%d streams are left", (int)bench->figures.streams);
  cr_expect_eq(bench->figures.links, 0, "%d links are left", (int)bench->figures.links);
  shard_free(bench->shard);
  cr_expect_eq(memory_budget_used(&bench->budget), 0);
  for (int i = 0; i < BENCH_CIRCUITS; i++) {
    noise_wipe(&bench->circuits[i].handshake);
    onion_layer_wipe(&bench->circuits[i].seal, bench->contexts);
    onion_layer_wipe(&bench->circuits[i].open, bench->contexts);
  }
  consensus_release(bench->consensus);
  cell_pool_free(bench->cells);
  aead_cache_free(bench->contexts);
  for (int i = 0; i < BENCH_ENDS; i++) document_release(bench->ends[i].arrived);
  for (int i = 1; i < BENCH_ENDS; i++) guarded_key_free((struct guarded_key *)bench->ends[i].self.link_secret);
  guarded_key_free((struct guarded_key *)bench->self.link_secret);
  free(bench);
}

/* ---- hearing ---- */

static struct bench_circuit *new_circuit(struct bench *bench) {
  for (int i = 0; i < BENCH_CIRCUITS; i++) {
    if (bench->circuits[i].used) continue;
    bench->circuits[i].used = true;
    return &bench->circuits[i];
  }
  cr_assert(false, "too many circuits for the bench");
  return NULL;
}

static void hear(struct bench_circuit *circuit, const uint8_t *content) {
  struct message_reader reader;
  struct message message;
  message_reader_init(&reader, content, (size_t)ONION_CONTENT(circuit->place), false);
  while (message_read(&reader, &message)) {
    if (message.command == MESSAGE_CLOSED) circuit->cause = message.body[0];
    if (message.command == MESSAGE_STREAM_CREDIT) circuit->credit = get_u64(message.body);
    if (circuit->heard_count == BENCH_HEARD) continue;
    circuit->heard[circuit->heard_count++] =
        (struct bench_heard){.command = message.command, .stream = message.stream, .code = message.len == 0 ? 0 : message.body[0]};
  }
  cr_assert(message_reader_is_valid(&reader), "the relay says what the grammar forbids");
}

static void take_created(struct bench *bench, struct bench_circuit *circuit, const uint8_t *reply) {
  struct circuit_keys keys;
  cr_assert(circuit_handshake_finish(&circuit->handshake, reply, &keys));
  onion_layer_init(&circuit->seal, AEAD_CHACHA20_POLY1305, circuit->place, ONION_FORWARD, keys.forward);
  onion_layer_init(&circuit->open, AEAD_CHACHA20_POLY1305, circuit->place, ONION_BACKWARD, keys.backward);
  circuit->is_open = true;
  trunk_opened(&circuit->side, bench->now);
}

/* The shard extends to us: any reply will do, since only the client could check it. */
static void take_create(struct bench *bench, struct bench_end *end, const struct delivery *delivery) {
  static const uint8_t reply[CIRCUIT_HANDSHAKE_REPLY_BYTES] = {1};
  struct bench_circuit *circuit = new_circuit(bench);
  circuit->place = delivery->create.place;
  cr_assert(trunk_attach(end->trunk, &circuit->side, delivery->circuit, bench->now));
  if (!bench->next_is_silent) cr_assert(trunk_answer(&circuit->side, bench->now, reply));
}

static void take_delivery(struct bench *bench, struct bench_end *end, const struct delivery *delivery) {
  struct bench_circuit *circuit = delivery->side == NULL ? NULL : LIST_OBJECT(delivery->side, struct bench_circuit, side);
  enum onion_kind kind;
  switch (delivery->kind) {
  case DELIVERY_CREATE: take_create(bench, end, delivery); break;
  case DELIVERY_CREATED: take_created(bench, circuit, delivery->reply); break;
  case DELIVERY_ONION:
    circuit->cells++;
    memcpy(circuit->body, delivery->body, CELL_BODY_BYTES);
    if (circuit->is_open) {
      cr_assert(onion_open(&circuit->open, bench->contexts, delivery->body, &kind));
      if (kind == ONION_FOR_YOU) hear(circuit, delivery->body);
    }
    trunk_passed(delivery->side, bench->now);
    break;
  case DELIVERY_CLOSED: circuit->closed = true; break;
  case DELIVERY_TRANSFER:
    document_release(end->arrived);
    end->arrived = delivery->transfer.document;
    end->refused = delivery->transfer.outcome;
    break;
  case DELIVERY_TIME: break;
  }
}

/* ---- bytes ---- */

static void into_shard(struct bench *bench, struct bench_end *end) {
  const struct machine_verbs *verbs = bench->machine.verbs;
  size_t at = 0, used = 1;
  while (end->trunk != NULL && used > 0 && at < end->to_shard_len && verbs->room(bench->shard, end->connection) > 0) {
    end->outcome = verbs->receive(bench->shard, bench->now, end->connection, end->to_shard + at, end->to_shard_len - at, &used);
    check(bench);
    at += used;
    if (end->outcome != OUTCOME_OK) drop_link(bench, end);
  }
  if (end->trunk == NULL) return;
  memmove(end->to_shard, end->to_shard + at, end->to_shard_len - at);
  end->to_shard_len -= at;
}

/* Handshakes of ours, and whoever calls is let in. */
static void move_on(struct bench *bench, struct bench_end *end) {
  struct link *link = trunk_link(end->trunk);
  if (link_needs_work(link)) cr_assert_eq(link_work(link, bench->now), OUTCOME_OK);
  if (link_state(link) == LINK_AWAITING_ADMISSION) link_admit(link);
}

static bool carry_in(struct bench *bench, struct bench_end *end) {
  if (end->trunk == NULL) return false;
  move_on(bench, end);
  size_t len = trunk_transmit(end->trunk, bench->now, end->to_shard + end->to_shard_len, BENCH_BUFFER_BYTES - end->to_shard_len);
  end->to_shard_len += len;
  into_shard(bench, end);
  return len > 0;
}

static bool carry_out(struct bench *bench, struct bench_end *end) {
  if (end->trunk == NULL) return false;
  uint8_t *bytes = end->from_shard;
  size_t len = bench->machine.verbs->transmit(bench->shard, bench->now, end->connection, bytes + end->from_shard_len,
                                              BENCH_BUFFER_BYTES - end->from_shard_len);
  check(bench);
  size_t at = 0, used = 1, all = end->from_shard_len + len;
  while (used > 0 && at < all) {
    struct delivery delivery;
    enum outcome outcome = trunk_receive(end->trunk, bench->now, bytes + at, all - at, &used);
    at += used;
    while (outcome == OUTCOME_OK && trunk_next_delivery(end->trunk, bench->now, &delivery, &outcome)) take_delivery(bench, end, &delivery);
    cr_assert_eq(outcome, OUTCOME_OK, "the relay broke a rule of links: %s", outcome_name(outcome));
    move_on(bench, end);
  }
  memmove(bytes, bytes + at, all - at);
  end->from_shard_len = all - at;
  return len > 0;
}

void bench_get(struct bench *bench, int which, const struct transfer_request *request) {
  struct bench_end *end = &bench->ends[which];
  document_release(end->arrived);
  end->arrived = NULL;
  cr_assert_neq(transfers_get(trunk_transfers(end->trunk), request, LIMIT_CONSENSUS_PACKED_BYTES), 0);
  trunk_make_ready(end->trunk);
  bench_run(bench);
}

void bench_event(struct bench *bench, const struct event *event) {
  bench->machine.verbs->event(bench->shard, bench->now, event);
  check(bench);
}

static void take_message(struct bench *bench, const struct machine_message *message) {
  if (message->kind == KEEPER_LINK_CLOSED) bench->links_reported++;
  if (message->kind != KEEPER_FIGURES) return;
  memcpy(&bench->figures, message->object, sizeof bench->figures);
  free(message->object);
}

/* The next relay takes connections; nobody else does. */
static void answer_link(struct bench *bench, const struct effect *effect) {
  struct bench_end *end = &bench->ends[END_NEXT];
  struct event event = {.kind = EVENT_CLOSED, .id = effect->id, .outcome = OUTCOME_CONNECTION_REFUSED};
  if (bench->next_is_another) {
    end->connection = effect->id;
    event.kind = EVENT_CONNECTED;
  } else if (end->trunk == NULL && address_equal(&effect->address, &bench->addresses[END_NEXT])) {
    struct link *link = link_new_responder(&end->self, &bench->random);
    end->trunk = trunk_new(&bench->trunks, link, (struct id){END_NEXT, 1}, END_NEXT + 1, 0);
    end->connection = effect->id;
    event.kind = EVENT_CONNECTED;
  }
  bench_event(bench, &event);
}

static void perform(struct bench *bench, const struct effect *effect) {
  switch (effect->kind) {
  case EFFECT_CONNECT:
    if (effect->connection == CONNECTION_LINK) {
      answer_link(bench, effect);
      return;
    }
    bench->connects++;
    bench->to = effect->address;
    bench->stream = effect->id;
    return;
  case EFFECT_RESOLVE: bench->stream = effect->id; return;
  case EFFECT_FINISH: bench->finishes++; return;
  case EFFECT_CLOSE:
  case EFFECT_CLOSE_FLUSHED:
    bench->closes++;
    for (int i = 0; i < BENCH_ENDS; i++)
      if (bench->ends[i].trunk != NULL && id_equal(effect->id, bench->ends[i].connection)) drop_link(bench, &bench->ends[i]);
    return;
  case EFFECT_MESSAGE: take_message(bench, &effect->message); return;
  case EFFECT_WRITE_FILE:
  case EFFECT_HAND_OVER:
  case EFFECT_EXIT: return;
  }
}

void bench_run(struct bench *bench) {
  const struct machine_verbs *verbs = bench->machine.verbs;
  struct effect effect;
  struct id id;
  int quiet = 0;
  for (int round = 0; quiet < 2; round++) {
    cr_assert(round < ROUNDS_MOST, "it does not come to rest");
    bool moved = false;
    while (verbs->next_effect(bench->shard, &effect)) {
      perform(bench, &effect);
      moved = true;
    }
    for (int i = 0; i < BENCH_ENDS; i++) {
      moved = carry_in(bench, &bench->ends[i]) || moved;
      moved = carry_out(bench, &bench->ends[i]) || moved;
    }
    while (!bench->idle && verbs->work(bench->shard, bench->now)) check(bench);
    while (verbs->next_ready(bench->shard, &id)) moved = true;
    while (trunk_pool_next_ready(&bench->trunks, &id)) moved = true;
    while (trunk_pool_next_finished(&bench->trunks) != NULL) moved = true;
    quiet = moved ? 0 : quiet + 1;
  }
  check(bench);
}

void bench_wait(struct bench *bench, uint64_t duration) {
  instant until = bench->now + duration;
  bench_run(bench);
  for (int i = 0; bench->now < until; i++) {
    cr_assert(i < ROUNDS_MOST, "its deadline does not move");
    instant next = bench->machine.verbs->deadline(bench->shard);
    bench->now = next < until ? (next > bench->now ? next : bench->now + MILLISECONDS) : until;
    bench->machine.verbs->tick(bench->shard, bench->now);
    check(bench);
    bench_run(bench);
  }
}

void bench_push_in(struct bench *bench, int end) {
  while (carry_in(bench, &bench->ends[end])) {}
}

void bench_raw(struct bench *bench, int which, const uint8_t cell[CELL_BYTES]) {
  struct bench_end *end = &bench->ends[which];
  if (end->trunk == NULL) return;
  end->to_shard_len += raw_cell_seal(trunk_link(end->trunk), bench->now, cell, end->to_shard + end->to_shard_len,
                                     BENCH_BUFFER_BYTES - end->to_shard_len);
  into_shard(bench, end);
}

struct bench_circuit *bench_extended(struct bench *bench, int end) {
  for (int i = BENCH_CIRCUITS; i-- > 0;) {
    struct bench_circuit *circuit = &bench->circuits[i];
    if (circuit->used && !circuit->is_open && circuit->side.trunk != NULL && circuit->side.trunk == bench->ends[end].trunk) return circuit;
  }
  return NULL;
}

/* ---- saying ---- */

void bench_call(struct bench *bench, int which) {
  struct bench_end *end = &bench->ends[which];
  struct link_peer peer = {.suites = 1 << AEAD_CHACHA20_POLY1305};
  struct address from = which == END_CLIENT ? (struct address){.family = ADDRESS_IPV4, .bytes = {99, 1, 2, 3}, .port = 4000} : bench->addresses[which];
  memcpy(peer.identity, bench->identities[0], IDENTITY_BYTES);
  memcpy(peer.link_key, bench->key, X25519_BYTES);
  struct link *link = link_new_initiator(&end->self, &peer, which == END_CLIENT || end->is_client ? LINK_FROM_CLIENT : LINK_FROM_NODE, &bench->random);
  end->trunk = trunk_new(&bench->trunks, link, (struct id){(uint32_t)which, 1}, (uint32_t)which + 1, 0);
  cr_assert_not_null(end->trunk);
  end->connection = bench->machine.verbs->accept(bench->shard, bench->now, CONNECTION_LINK, &from);
  cr_assert(!id_is_none(end->connection));
  bench_run(bench);
}

void bench_link(struct bench *bench, int which) {
  bench_call(bench, which);
  cr_assert(bench_has_link(bench, which));
}

bool bench_has_link(const struct bench *bench, int end) {
  return bench->ends[end].trunk != NULL && link_state(trunk_link(bench->ends[end].trunk)) == LINK_OPEN;
}

struct bench_circuit *bench_create_as(struct bench *bench, int end, uint8_t place, uint8_t type, uint8_t generation) {
  struct bench_circuit *circuit = new_circuit(bench);
  uint8_t request[CIRCUIT_HANDSHAKE_REQUEST_BYTES], random[NOISE_RANDOM_BYTES];
  struct circuit_binding binding = {
      .handshake_type = CIRCUIT_HANDSHAKE_TYPE_HYBRID, .generation = generation, .place = place, .suite = AEAD_CHACHA20_POLY1305};
  struct cell_create create = {.handshake_type = type, .generation = generation, .place = place, .request = request};
  memcpy(binding.identity, bench->identities[0], IDENTITY_BYTES);
  random_bytes(&bench->random, random, sizeof random);
  circuit->place = place;
  cr_assert(circuit_handshake_begin(&circuit->handshake, &binding, bench->key, random, request));
  cr_assert(trunk_begin(bench->ends[end].trunk, &circuit->side, bench->now, &create));
  return circuit;
}

struct bench_circuit *bench_create(struct bench *bench, int end, uint8_t place) {
  return bench_create_as(bench, end, place, CIRCUIT_HANDSHAKE_TYPE_HYBRID, GENERATION);
}

struct bench_circuit *bench_open(struct bench *bench, int end, uint8_t place) {
  struct bench_circuit *circuit = bench_create(bench, end, place);
  bench_run(bench);
  cr_assert(circuit->is_open && !circuit->closed);
  return circuit;
}

void bench_say(struct bench *bench, struct bench_circuit *circuit, enum onion_kind kind, const void *content, size_t len) {
  if (circuit->side.state != SIDE_OPEN) return;
  struct cell *cell = cell_pool_take(bench->cells);
  cr_assert_not_null(cell);
  uint8_t *body = cell_body(cell->bytes);
  memset(body, 0, CELL_BODY_BYTES);
  memcpy(body, content, len);
  cr_assert(onion_seal(&circuit->seal, bench->contexts, kind, body));
  trunk_push(&circuit->side, bench->now, cell, false);
}

void bench_message(struct bench *bench, struct bench_circuit *circuit, uint8_t command, uint16_t stream, const void *body, size_t len) {
  uint8_t content[ONION_CONTENT(0)] = {0};
  size_t header = MESSAGE_HEADER_BYTES + (command >= MESSAGE_FIRST_STREAM_COMMAND ? MESSAGE_STREAM_BYTES : 0);
  cr_assert_leq(header + len, (size_t)ONION_CONTENT(circuit->place));
  content[0] = command;
  put_u16(content + 1, (uint16_t)len);
  if (header > MESSAGE_HEADER_BYTES) put_u16(content + MESSAGE_HEADER_BYTES, stream);
  if (len > 0) memcpy(content + header, body, len);
  bench_say(bench, circuit, ONION_FOR_YOU, content, header + len);
}

void bench_extend(struct bench *bench, struct bench_circuit *circuit, const uint8_t identity[IDENTITY_BYTES]) {
  uint8_t body[LIMIT_EXTEND_BYTES] = {0};
  memcpy(body, identity, IDENTITY_BYTES);
  body[IDENTITY_BYTES] = CIRCUIT_HANDSHAKE_TYPE_HYBRID;
  body[IDENTITY_BYTES + 1] = GENERATION;
  bench_message(bench, circuit, MESSAGE_EXTEND, 0, body, sizeof body);
}

void bench_begin(struct bench *bench, struct bench_circuit *circuit, uint16_t stream, const uint8_t ipv4[4], uint16_t port) {
  struct target target = {.kind = TARGET_IPV4, .port = port};
  uint8_t body[TARGET_MAX_BYTES];
  memcpy(target.address, ipv4, 4);
  bench_message(bench, circuit, MESSAGE_BEGIN, stream, body, target_encode(&target, body));
}

void bench_begin_open(struct bench *bench, struct bench_circuit *circuit, uint16_t stream) {
  uint32_t connects = bench->connects;
  bench_begin(bench, circuit, stream, (const uint8_t[]){93, 184, 216, 34}, 80);
  bench_run(bench);
  cr_assert_eq(bench->connects, connects + 1, "the exit connects");
  struct event event = {.kind = EVENT_CONNECTED, .id = bench->stream, .address = bench->to};
  bench_event(bench, &event);
  bench_run(bench);
}

uint32_t bench_heard(const struct bench_circuit *circuit, uint8_t command) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < circuit->heard_count; i++) count += circuit->heard[i].command == command;
  return count;
}

uint8_t bench_ended(const struct bench_circuit *circuit, uint16_t stream) {
  uint8_t code = 0;
  for (uint32_t i = 0; i < circuit->heard_count; i++)
    if (circuit->heard[i].command == MESSAGE_END && circuit->heard[i].stream == stream) code = circuit->heard[i].code;
  return code;
}
