#include "tests/unit/client/hostile_path.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/limits.h"
#include "protocol/status.h"

enum { ROUNDS_MOST = 10000 };

static const uint8_t proxy_application[4] = {127, 0, 0, 1};

static void print(void *context, enum trace_level level, const char *area, const char *text) {
  struct hostile_path *path = context;
  path->warnings += level <= TRACE_WARNING;
  if (path->trace.level == TRACE_DEBUG) fprintf(stderr, "%s %s: %s\n", trace_level_name(level), area, text);
}

static void init_relays(struct hostile_path *path, uint32_t exits) {
  uint8_t key[X25519_BYTES];
  x25519_public(key, path->secret);
  sample_relay_add(&path->relays, RELAY_GUARD, 100, 0, 0);
  sample_relay_add(&path->relays, 0, 100, 0, 0);
  for (uint32_t i = 1; i < exits; i++) sample_relay_add(&path->relays, RELAY_EXIT, 100, 80, 443);
  sample_relay_add(&path->relays, RELAY_EXIT, 100, 1, 65535);
  memcpy(path->guard, path->relays.entries[0].identity, IDENTITY_BYTES);
  for (uint32_t i = 0; i < path->relays.count; i++) {
    memcpy(path->relays.entries[i].link_key, key, sizeof key);
    memcpy(path->relays.entries[i].onion_key, key, sizeof key);
    path->relays.entries[i].onion_generation = 1;
  }
  path->consensus = sample_relays_consensus(&path->relays, 0);
  memcpy(path->guard_self.identity, path->guard, IDENTITY_BYTES);
  memcpy(path->guard_self.link_public, key, sizeof key);
  path->guard_self.link_secret = guarded_key_new(path->secret);
  path->guard_self.suites = path->client_self.suites = 1 << AEAD_CHACHA20_POLY1305;
}

void hostile_path_init(struct hostile_path *path) { hostile_path_init_exits(path, 1, 1); }

void hostile_path_init_exits(struct hostile_path *path, uint32_t exits, uint8_t seed) {
  bool started = crypto_start();
  assert(started);
  (void)started;
  memset(path, 0, sizeof *path);
  path->now = 1000 * SECONDS;
  path->circuits_most = HOSTILE_CIRCUITS_MAX;
  path->hops_most = 3;
  path->works = UINT32_MAX;
  memset(path->secret, 9, sizeof path->secret);
  path->file = (struct network_file){.serial = 1, .authority_count = 1};
  network_timing_production(&path->file.timing);
  path->networks = network_chain_of(&path->file);
  random_init(&path->random, (const uint8_t[RANDOM_SEED_BYTES]){3});
  memory_budget_init(&path->budget, 256 * 1024 * 1024);
  init_relays(path, exits);
  path->cells = cell_pool_new(&path->budget, 8192);
  path->contexts = aead_cache_new(64, AEAD_LIBSODIUM);
  trunk_pool_init(&path->trunks, path->cells, &path->random);
  path->trace = (struct trace){.level = getenv("TUNIC_TRACE") ? TRACE_DEBUG : TRACE_WARNING, .context = path, .sink = print};
  const struct client_config config = {
      .trace = &path->trace, .self = &path->client_self, .networks = path->networks, .budget = &path->budget, .pool_cells = 4096, .seed = {seed}};
  path->client = client_new(&config);
  path->machine = client_machine(path->client);
  struct event clock = {.kind = EVENT_CLOCK, .clock = {.at = path->now, .date = consensus_header(path->consensus)->valid_after}};
  path->machine.verbs->event(path->client, path->now, &clock);
  client_set_consensus(path->client, path->now, consensus_take(path->consensus));
}

static void forget_circuit(struct hostile_path *path, struct hostile_circuit *circuit) {
  trunk_detach(&circuit->side);
  for (int i = 0; i < 3; i++) {
    onion_layer_wipe(&circuit->open[i], path->contexts);
    onion_layer_wipe(&circuit->seal[i], path->contexts);
  }
  *circuit = (struct hostile_circuit){0};
}

static void drop_link(struct hostile_path *path) {
  for (int i = 0; i < HOSTILE_CIRCUITS_MAX; i++) forget_circuit(path, &path->circuits[i]);
  trunk_free(path->trunk);
  path->trunk = NULL;
  path->received_len = 0;
  path->deaf = false;
}

void hostile_path_cut(struct hostile_path *path) {
  struct event event = {.kind = EVENT_CLOSED, .id = path->link, .outcome = OUTCOME_CONNECTION_RESET};
  if (path->trunk == NULL) return;
  drop_link(path);
  path->machine.verbs->event(path->client, path->now, &event);
}

void hostile_path_wipe(struct hostile_path *path) {
  drop_link(path);
  client_free(path->client);
  network_chain_free(path->networks);
  consensus_release(path->consensus);
  cell_pool_free(path->cells);
  aead_cache_free(path->contexts);
  guarded_key_free((struct guarded_key *)path->guard_self.link_secret);
}

/* ---- saying ---- */

void hostile_path_say(struct hostile_path *path, struct hostile_circuit *circuit, uint8_t place, enum onion_kind kind,
                      const uint8_t *content, size_t len) {
  if (circuit->side.state != SIDE_OPEN || place >= circuit->built) return;
  struct cell *cell = cell_pool_take(path->cells);
  if (cell == NULL) return;
  uint8_t *body = cell_body(cell->bytes);
  memset(body, 0, CELL_BODY_BYTES);
  if (len > (size_t)ONION_CONTENT(place)) len = (size_t)ONION_CONTENT(place);
  memcpy(body, content, len);
  onion_seal(&circuit->seal[place], path->contexts, kind, body);
  for (int p = place - 1; p >= 0; p--) onion_seal(&circuit->seal[p], path->contexts, ONION_PASS_ON, body);
  trunk_push(&circuit->side, path->now, cell, false);
}

void hostile_path_message(struct hostile_path *path, struct hostile_circuit *circuit, uint8_t command, uint16_t stream, const void *body,
                          size_t len) {
  uint8_t content[ONION_CONTENT(0)] = {0};
  size_t header = MESSAGE_HEADER_BYTES + (command >= MESSAGE_FIRST_STREAM_COMMAND ? MESSAGE_STREAM_BYTES : 0);
  content[0] = command;
  put_u16(content + 1, (uint16_t)len);
  if (header > MESSAGE_HEADER_BYTES) put_u16(content + MESSAGE_HEADER_BYTES, stream);
  if (len > 0) memcpy(content + header, body, len);
  hostile_path_say(path, circuit, LIMIT_EXIT_PLACE, ONION_FOR_YOU, content, header + len);
}

/* ---- building ---- */

static bool answer(struct hostile_path *path, struct hostile_circuit *circuit, uint8_t reply[CIRCUIT_HANDSHAKE_REPLY_BYTES]) {
  uint8_t key[X25519_BYTES], random[NOISE_RANDOM_BYTES];
  struct circuit_keys keys;
  struct circuit_binding binding = {.handshake_type = CIRCUIT_HANDSHAKE_TYPE_HYBRID, .generation = 1, .place = circuit->built, .suite = AEAD_CHACHA20_POLY1305};
  memcpy(binding.identity, circuit->identity, IDENTITY_BYTES);
  x25519_public(key, path->secret);
  random_bytes(&path->random, random, sizeof random);
  if (path->silent || circuit->built == path->hops_most) return false;
  circuit->is_asked = false;
  if (!circuit_handshake_answer(&binding, path->secret, key, circuit->request, random, reply, &keys)) {
    path->misfits++;
    return false;
  }
  if (path->lies) reply[5] ^= 1;
  onion_layer_init(&circuit->open[circuit->built], AEAD_CHACHA20_POLY1305, circuit->built, ONION_FORWARD, keys.forward);
  onion_layer_init(&circuit->seal[circuit->built], AEAD_CHACHA20_POLY1305, circuit->built, ONION_BACKWARD, keys.backward);
  circuit->built++;
  return true;
}

void hostile_path_answer(struct hostile_path *path, struct hostile_circuit *circuit) {
  uint8_t content[MESSAGE_HEADER_BYTES + CIRCUIT_HANDSHAKE_REPLY_BYTES] = {MESSAGE_EXTENDED};
  uint8_t place = circuit->built;
  put_u16(content + 1, CIRCUIT_HANDSHAKE_REPLY_BYTES);
  if (!circuit->is_asked || !answer(path, circuit, content + MESSAGE_HEADER_BYTES)) return;
  if (place == 0) trunk_answer(&circuit->side, path->now, content + MESSAGE_HEADER_BYTES);
  else hostile_path_say(path, circuit, (uint8_t)(place - 1), ONION_FOR_YOU, content, sizeof content);
}

static void ask(struct hostile_path *path, struct hostile_circuit *circuit, const uint8_t *identity, const uint8_t *request) {
  memcpy(circuit->identity, identity, sizeof circuit->identity);
  memcpy(circuit->request, request, sizeof circuit->request);
  circuit->is_asked = true;
  if (path->requests < HOSTILE_REQUESTS_MAX) memcpy(path->ephemerals[path->requests++], request, X25519_BYTES);
  if (!path->holds) hostile_path_answer(path, circuit);
}

static void take_create(struct hostile_path *path, const struct delivery *delivery) {
  struct hostile_circuit *circuit = NULL;
  for (int i = 0; i < path->circuits_most; i++)
    if (path->circuits[i].side.state == SIDE_NONE) circuit = &path->circuits[i];
  if (circuit == NULL) {
    trunk_refuse(path->trunk, delivery->circuit);
    return;
  }
  forget_circuit(path, circuit);
  if (trunk_attach(path->trunk, &circuit->side, delivery->circuit, path->now)) ask(path, circuit, path->guard, delivery->create.request);
}

static void note_host(struct hostile_path *path, struct hostile_circuit *circuit, const struct message *message) {
  struct target target;
  bool begins = message->command == MESSAGE_BEGIN && target_decode(message->body, message->len, &target) && target.kind == TARGET_NAME;
  if (!begins) return;
  circuit->hosts |= UINT32_C(1) << (target.name[0] & 31);
  path->hosts_heard++;
}

static void take_content(struct hostile_path *path, struct hostile_circuit *circuit, uint8_t place, const uint8_t *content) {
  struct message_reader reader;
  struct message message;
  message_reader_init(&reader, content, (size_t)ONION_CONTENT(place), false);
  while (message_read(&reader, &message)) {
    note_host(path, circuit, &message);
    if (message.command == MESSAGE_EXTEND) ask(path, circuit, message.body, message.body + IDENTITY_BYTES + 2);
    if (message.command >= MESSAGE_FIRST_STREAM_COMMAND) circuit->used = true;
    if (message.command == MESSAGE_DATA) circuit->data += message.len;
    if (circuit->said_count < HOSTILE_SAID_MAX) circuit->said[circuit->said_count++] = message.command;
  }
  assert(message_reader_is_valid(&reader)); /* a client that says what its own grammar forbids is broken */
}

static void take_onion(struct hostile_path *path, struct hostile_circuit *circuit, uint8_t *body) {
  for (uint8_t place = 0; place < circuit->built; place++) {
    enum onion_kind kind;
    bool opened = onion_open(&circuit->open[place], path->contexts, body, &kind);
    assert(opened);
    (void)opened;
    if (kind != ONION_FOR_YOU) continue;
    take_content(path, circuit, place, body);
    break;
  }
  trunk_passed(&circuit->side, path->now);
}

static void take_delivery(struct hostile_path *path, const struct delivery *delivery) {
  struct hostile_circuit *circuit = delivery->side == NULL ? NULL : LIST_OBJECT(delivery->side, struct hostile_circuit, side);
  if (delivery->kind == DELIVERY_CREATE) take_create(path, delivery);
  else if (delivery->kind == DELIVERY_ONION) take_onion(path, circuit, delivery->body);
  else if (delivery->kind == DELIVERY_CLOSED) circuit->built = 0, circuit->is_asked = false;
  else if (delivery->kind == DELIVERY_TRANSFER) document_release(delivery->transfer.document);
}

/* ---- bytes ---- */

static bool from_client(struct hostile_path *path) {
  const struct machine_verbs *verbs = path->machine.verbs;
  if (path->trunk == NULL) return false;
  uint8_t *bytes = path->received;
  size_t len = verbs->transmit(path->client, path->now, path->link, bytes + path->received_len, sizeof path->received - path->received_len);
  if (path->deaf) return len > 0;
  size_t at = 0, all = path->received_len + len, used = 1;
  while (path->trunk != NULL && used > 0 && at < all) {
    struct delivery delivery;
    enum outcome outcome = trunk_receive(path->trunk, path->now, bytes + at, all - at, &used);
    at += used;
    while (outcome == OUTCOME_OK && trunk_next_delivery(path->trunk, path->now, &delivery, &outcome)) take_delivery(path, &delivery);
    assert(outcome == OUTCOME_OK); /* the client keeps the rules of links, whatever it is sent */
    if (link_needs_work(trunk_link(path->trunk))) link_work(trunk_link(path->trunk), path->now);
  }
  memmove(bytes, bytes + at, all - at);
  path->received_len = all - at;
  return len > 0;
}

static bool to_client(struct hostile_path *path) {
  static _Thread_local uint8_t bytes[HOSTILE_BUFFER_BYTES];
  const struct machine_verbs *verbs = path->machine.verbs;
  if (path->trunk == NULL || path->deaf) return false;
  size_t len = trunk_transmit(path->trunk, path->now, bytes, sizeof bytes), used;
  if (len > 0) verbs->receive(path->client, path->now, path->link, bytes, len, &used);
  return len > 0;
}

static void perform(struct hostile_path *path, const struct effect *effect) {
  const struct machine_verbs *verbs = path->machine.verbs;
  document_release(effect->document);
  if (effect->kind == EFFECT_CLOSE && id_equal(effect->id, path->link)) drop_link(path);
  if (effect->kind == EFFECT_WRITE_FILE) {
    bool is_state = strcmp(effect->name, "state") == 0;
    struct event written = {.kind = EVENT_WRITTEN, .id = effect->id, .outcome = path->disk_is_full ? OUTCOME_FILE_FAILED : OUTCOME_OK};
    path->states_failed += is_state && path->disk_is_full;
    path->states_written += is_state && !path->disk_is_full;
    verbs->event(path->client, path->now, &written);
  }
  if (effect->kind != EFFECT_CONNECT) return;
  struct event event = {.kind = EVENT_CLOSED, .id = effect->id, .outcome = OUTCOME_CONNECTION_REFUSED};
  if (effect->address.port == 9001 && path->trunk == NULL) {
    struct link *link = link_new_responder(&path->guard_self, &path->random);
    path->trunk = trunk_new(&path->trunks, link, (struct id){1, 1}, ++path->links, 0);
    path->link = effect->id;
    event.kind = EVENT_CONNECTED;
  }
  verbs->event(path->client, path->now, &event);
}

static void work(struct hostile_path *path) {
  for (bool more = path->works > 0; more;) {
    more = path->machine.verbs->work(path->client, path->now);
    if (path->works != UINT32_MAX) more = --path->works > 0 && more;
  }
}

static void settle(struct hostile_path *path) {
  const struct machine_verbs *verbs = path->machine.verbs;
  struct effect effect;
  struct id id;
  bool moved = true;
  for (int round = 0; moved && round < ROUNDS_MOST; round++) {
    while (verbs->next_effect(path->client, &effect)) perform(path, &effect);
    moved = from_client(path);
    moved = to_client(path) || moved;
    work(path);
    while (verbs->next_ready(path->client, &id)) moved = true;
    while (trunk_pool_next_ready(&path->trunks, &id)) moved = true;
    while (trunk_pool_next_finished(&path->trunks) != NULL) {
    }
    assert(client_is_consistent(path->client));
  }
}

void hostile_path_run(struct hostile_path *path, uint64_t for_ns) {
  instant until = instant_after(path->now, for_ns);
  settle(path);
  for (instant next; (next = path->machine.verbs->deadline(path->client)) <= until;) {
    if (next > path->now) path->now = next;
    path->machine.verbs->tick(path->client, path->now);
    settle(path);
  }
  path->now = until;
}

/* ---- applications ---- */

struct id hostile_path_app(struct hostile_path *path, const void *bytes, size_t len) {
  const struct machine_verbs *verbs = path->machine.verbs;
  struct address application = {.family = ADDRESS_IPV4};
  uint8_t copy[4096];
  size_t used;
  memcpy(application.bytes, proxy_application, sizeof proxy_application);
  struct id id = verbs->accept(path->client, path->now, CONNECTION_SOCKS, &application);
  if (id_is_none(id)) return id;
  memcpy(copy, bytes, len);
  verbs->receive(path->client, path->now, id, copy, len, &used);
  return id;
}

size_t hostile_path_read(struct hostile_path *path, struct id app, uint8_t *out, size_t room) {
  return path->machine.verbs->transmit(path->client, path->now, app, out, room);
}

struct hostile_circuit *hostile_path_used(struct hostile_path *path) {
  for (int i = 0; i < HOSTILE_CIRCUITS_MAX; i++)
    if (path->circuits[i].used && path->circuits[i].built == 3) return &path->circuits[i];
  return NULL;
}

struct hostile_circuit *hostile_path_stream(struct hostile_path *path, const void *request, size_t len, struct id *ret_app) {
  hostile_path_init(path);
  hostile_path_run(path, SECONDS);
  *ret_app = hostile_path_app(path, request, len);
  hostile_path_run(path, MILLISECONDS);
  return hostile_path_used(path);
}

uint64_t hostile_path_figure(const struct hostile_path *path, const char *name) {
  struct status status;
  path->machine.verbs->status(path->client, path->now, &status);
  for (uint32_t i = 0; i < status.figure_count; i++)
    if (strcmp(status.figures[i].name, name) == 0) return status.figures[i].value;
  return 0;
}
