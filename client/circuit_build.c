#include "client/client_internal.h"

#include <stdio.h>
#include <string.h>

static void want_work(struct client *client, struct circuit *circuit, enum circuit_step step) {
  circuit->build->step = step;
  if (!list_contains_node(&circuit->wants_work)) list_append(&client->circuits_work, &circuit->wants_work);
}

void circuit_link_open(struct client *client, struct circuit *circuit) {
  want_work(client, circuit, STEP_BEGIN);
}

static void describe_hop(const struct client *client, const struct circuit *circuit, uint8_t place, struct circuit_binding *ret) {
  const struct circuit_hop *hop = &circuit->hops[place];
  *ret = (struct circuit_binding){.handshake_type = CIRCUIT_HANDSHAKE_TYPE_HYBRID,
                                  .generation = hop->generation,
                                  .place = place,
                                  .suite = hop->suite};
  memcpy(ret->network, client->config.self->network, sizeof ret->network);
  memcpy(ret->identity, hop->identity, sizeof ret->identity);
}

/* [CIRC-6] The hop that is last so far is asked to go on to the next. */
static bool send_extend(struct client *client, struct circuit *circuit, instant now, const struct circuit_binding *binding,
                        const uint8_t request[CIRCUIT_HANDSHAKE_REQUEST_BYTES]) {
  struct cell *cell;
  uint8_t last = (uint8_t)(circuit->built - 1);
  uint8_t *body = circuit_begin_message(client, circuit, now, last, MESSAGE_EXTEND, 0, LIMIT_EXTEND_BYTES, &cell);
  if (body == NULL) return false;
  memcpy(body, binding->identity, IDENTITY_BYTES);
  body[IDENTITY_BYTES] = binding->handshake_type;
  body[IDENTITY_BYTES + 1] = binding->generation;
  memcpy(body + IDENTITY_BYTES + 2, request, CIRCUIT_HANDSHAKE_REQUEST_BYTES);
  circuit_send_message(client, circuit, now, last, cell);
  return !circuit->closing;
}

/* One handshake's first half, for the hop at `place`. */
static bool make_request(struct client *client, struct circuit *circuit, uint8_t place) {
  struct circuit_build *build = circuit->build;
  struct circuit_binding binding;
  uint8_t random[NOISE_RANDOM_BYTES];
  describe_hop(client, circuit, place, &binding);
  random_bytes(&client->random, random, sizeof random);
  build->has_next = circuit_handshake_begin(&build->next, &binding, circuit->hops[place].onion_key, random, build->next_request);
  bytes_wipe(random, sizeof random);
  return build->has_next;
}

static enum outcome send_request(struct client *client, struct circuit *circuit, instant now) {
  struct circuit_build *build = circuit->build;
  struct circuit_binding binding;
  uint8_t request[CIRCUIT_HANDSHAKE_REQUEST_BYTES]; /* sending may evict this very circuit */
  describe_hop(client, circuit, circuit->built, &binding);
  memcpy(request, build->next_request, sizeof request);
  build->handshake = build->next;
  noise_wipe(&build->next);
  build->has_next = false;
  build->asked_at = now;
  bool has_another = circuit->built + 1 < PATH_HOPS;
  if (has_another) want_work(client, circuit, STEP_ANSWER); /* the next hop's request meanwhile */
  else build->step = STEP_ANSWER;
  if (circuit->built > 0) return send_extend(client, circuit, now, &binding, request) ? OUTCOME_OK : OUTCOME_MEMORY_LIMIT;
  struct cell_create create = {.handshake_type = binding.handshake_type, .generation = binding.generation, .request = request};
  build->begun_at = now;
  instant late = instant_after(now, build_times_timeout(&client->build_times));
  if (!timer_heap_set(&client->timers, &circuit->timer, TIMER_CIRCUIT, circuit->id, late)) return OUTCOME_NO_MEMORY;
  return trunk_begin(circuit->link->trunk, &circuit->side, now, &create) ? OUTCOME_OK : OUTCOME_LIMIT_REACHED;
}

static enum outcome begin_hop(struct client *client, struct circuit *circuit, instant now) {
  return make_request(client, circuit, circuit->built) ? send_request(client, circuit, now) : OUTCOME_HANDSHAKE_FAILED;
}

/* [BUILD-7] */
static enum outcome prepare_hop(struct client *client, struct circuit *circuit) {
  return make_request(client, circuit, (uint8_t)(circuit->built + 1)) ? OUTCOME_OK : OUTCOME_HANDSHAKE_FAILED;
}

static void note_path(struct client *client, const struct circuit *circuit) {
  snprintf(client->last_path, sizeof client->last_path, "%s %s %s", circuit->hops[0].nickname, circuit->hops[1].nickname,
           circuit->hops[2].nickname);
}

static void opened(struct client *client, struct circuit *circuit, instant now) {
  circuit->round_trip = now - circuit->build->asked_at;
  circuit->opened_at = now;
  build_times_note(&client->build_times, now - circuit->build->begun_at);
  circuit_end_build(circuit);
  timer_heap_cancel(&client->timers, &circuit->timer);
  note_path(client, circuit);
  circuit_pool_built(client, circuit, now);
}

static enum outcome finish_hop(struct client *client, struct circuit *circuit, instant now) {
  struct circuit_hop *hop = &circuit->hops[circuit->built];
  struct circuit_keys keys;
  if (!circuit_handshake_finish(&circuit->build->handshake, circuit->build->reply, &keys)) return OUTCOME_HANDSHAKE_FAILED;
  onion_layer_init(&hop->seal, (enum aead_suite)hop->suite, circuit->built, ONION_FORWARD, keys.forward);
  onion_layer_init(&hop->open, (enum aead_suite)hop->suite, circuit->built, ONION_BACKWARD, keys.backward);
  bytes_wipe(&keys, sizeof keys);
  if (circuit->built == 0) trunk_opened(&circuit->side, now); /* [CIRC-5] */
  circuit->built++;
  if (circuit->built == PATH_HOPS) opened(client, circuit, now);
  else if (circuit->build->has_next) return send_request(client, circuit, now);
  else want_work(client, circuit, STEP_BEGIN);
  return OUTCOME_OK;
}

void circuit_work(struct client *client, struct circuit *circuit, instant now) {
  if (circuit->closing || circuit->build == NULL) return;
  enum outcome outcome = OUTCOME_OK;
  switch (circuit->build->step) {
  case STEP_LINK: break;
  case STEP_BEGIN: outcome = begin_hop(client, circuit, now); break;
  case STEP_ANSWER: outcome = prepare_hop(client, circuit); break;
  case STEP_FINISH: outcome = finish_hop(client, circuit, now); break;
  }
  if (outcome != OUTCOME_OK) circuit_close(client, circuit, now, outcome);
}

static void take_reply(struct client *client, struct circuit *circuit, const uint8_t *reply) {
  memcpy(circuit->build->reply, reply, CIRCUIT_HANDSHAKE_REPLY_BYTES);
  want_work(client, circuit, STEP_FINISH);
}

void circuit_created(struct client *client, struct circuit *circuit, instant now, const uint8_t *reply) {
  if (circuit->closing) return;
  bool asked = circuit->build != NULL && circuit->build->step == STEP_ANSWER && circuit->built == 0;
  if (asked) take_reply(client, circuit, reply);
  else circuit_cut(client, circuit, now, OUTCOME_PROTOCOL_VIOLATION);
}

bool circuit_extended(struct client *client, struct circuit *circuit, uint8_t place, const uint8_t *reply) {
  bool asked = circuit->build != NULL && circuit->build->step == STEP_ANSWER && circuit->built == place + 1;
  if (asked) take_reply(client, circuit, reply);
  return asked;
}
