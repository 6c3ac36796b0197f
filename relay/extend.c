#include "relay/shard_internal.h"

#include <string.h>

void extend_fail(struct shard *shard, struct hop *hop, instant now, enum outcome cause) {
  shard->figures.extends_failed++;
  hop_close(shard, hop, now, cause);
}

/* The request gives its cell back first: with the pool full CREATE would find none. */
static void send_create(struct shard *shard, struct neighbour *neighbour, struct hop *hop, instant now) {
  struct cell_create create;
  uint8_t request[CIRCUIT_HANDSHAKE_REQUEST_BYTES];
  bool is_whole = cell_decode_create(hop->request->bytes, &create);
  if (is_whole) memcpy(request, create.request, sizeof request);
  create.request = request;
  admission_forget(shard, hop);
  if (!is_whole || !trunk_begin(neighbour->trunk, &hop->sides[SIDE_EXIT], now, &create)) {
    extend_fail(shard, hop, now, OUTCOME_LIMIT_REACHED);
    return;
  }
  /* Fair among where cells come from: the previous neighbour forwards, this one backwards. */
  struct trunk *previous = hop->sides[SIDE_CLIENT].trunk;
  hop->sides[SIDE_EXIT].source = previous == NULL ? 0 : trunk_number(previous);
  hop->sides[SIDE_CLIENT].source = trunk_number(neighbour->trunk);
}

/* [CIRC-6] Whom an EXTEND may name. */
static enum outcome find_next(struct shard *shard, const struct hop *hop, const uint8_t *identity,
                              const struct relay_entry **ret_entry) {
  if (hop->place >= LIMIT_LAST_PLACE) return OUTCOME_NOT_ALLOWED_HERE;
  if (memcmp(identity, shard->config.self->identity, IDENTITY_BYTES) == 0) return OUTCOME_NOT_ALLOWED_HERE;
  const struct trunk *previous = hop->sides[SIDE_CLIENT].trunk;
  if (previous != NULL && memcmp(link_peer_identity(trunk_link(previous)), identity, IDENTITY_BYTES) == 0)
    return OUTCOME_NOT_ALLOWED_HERE;
  *ret_entry = shard->consensus == NULL ? NULL : consensus_find(shard->consensus, identity);
  return *ret_entry == NULL ? OUTCOME_UNKNOWN_RELAY : OUTCOME_OK;
}

/* [FETCH-8] The client may have a newer consensus than we: the keeper looks, but nobody can make it look often. */
static void complain(struct shard *shard, instant now) {
  if (now < shard->may_complain) return;
  shard->may_complain = instant_after(now, 1 * SECONDS);
  struct effect effect = {.kind = EFFECT_MESSAGE, .to = 0, .message = {.kind = KEEPER_UNKNOWN_RELAY}};
  (void)effect_queue_put(&shard->effects, &effect); /* a hint: the next one does as well */
}

void extend_begin(struct shard *shard, struct hop *hop, instant now, const struct message *message) {
  const uint8_t *identity = message->body;
  struct cell_create create = {.handshake_type = identity[IDENTITY_BYTES],
                               .generation = identity[IDENTITY_BYTES + 1],
                               .place = (uint8_t)(hop->place + 1),
                               .request = identity + IDENTITY_BYTES + 2};
  const struct relay_entry *entry = NULL;
  if (hop->extended || hop->extending || hop->last_stream != 0) {
    hop_close(shard, hop, now, OUTCOME_PROTOCOL_VIOLATION);
    return;
  }
  enum outcome outcome = find_next(shard, hop, identity, &entry);
  if (outcome == OUTCOME_UNKNOWN_RELAY) complain(shard, now);
  if (outcome == OUTCOME_OK && create.handshake_type != CIRCUIT_HANDSHAKE_TYPE_HYBRID) outcome = OUTCOME_HANDSHAKE_FAILED;
  struct cell *request = outcome == OUTCOME_OK ? shard_take_cell(shard, now) : NULL;
  if (hop->closing) { /* evicted meanwhile */
    if (request != NULL) cell_pool_give(shard->cells, request);
    return;
  }
  if (outcome == OUTCOME_OK && request == NULL) outcome = OUTCOME_MEMORY_LIMIT;
  if (outcome != OUTCOME_OK) {
    extend_fail(shard, hop, now, outcome);
    return;
  }
  cell_encode_create(request->bytes, 1, &create); /* the id is drawn when it leaves */
  hop->request = request;
  hop->extending = true;
  if (!timer_heap_set(&shard->timers, &hop->timer, TIMER_HOP, hop->id, instant_after(now, LIMIT_EXTEND_TIME))) {
    extend_fail(shard, hop, now, OUTCOME_NO_MEMORY);
    return;
  }
  struct neighbour *neighbour = neighbour_reach(shard, now, entry);
  if (neighbour == NULL) {
    extend_fail(shard, hop, now, OUTCOME_LIMIT_REACHED);
  } else if (neighbour->is_open) {
    send_create(shard, neighbour, hop, now);
  } else {
    list_append(&neighbour->waiting, &hop->waits);
    hop_note_request(shard, hop);
  }
}

void extend_link_open(struct shard *shard, struct neighbour *neighbour, instant now) {
  struct list_node *node;
  while ((node = list_take_first(&neighbour->waiting)) != NULL)
    send_create(shard, neighbour, LIST_OBJECT(node, struct hop, waits), now);
}

void extend_created(struct shard *shard, struct trunk_side *side, instant now, const uint8_t *reply) {
  struct hop *hop = hop_of_side(side);
  if (hop->closing) return;
  hop->extending = false;
  hop->extended = true;
  timer_heap_cancel(&shard->timers, &hop->timer);
  if (hop_say(shard, hop, now, MESSAGE_EXTENDED, 0, reply, CIRCUIT_HANDSHAKE_REPLY_BYTES)) trunk_opened(side, now);
}
