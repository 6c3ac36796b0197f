#include "relay/shard_internal.h"

#include <string.h>

enum { LINKS_LOOKED_AT = 16 };

/* [CIRC-2] From a client only place 0; between nodes only the places behind it. */
static bool place_is_allowed(const struct neighbour *neighbour, uint8_t place) {
  if (link_pattern(trunk_link(neighbour->trunk)) == LINK_FROM_CLIENT) return place == 0;
  return place > 0 && place <= LIMIT_LAST_PLACE;
}

static const struct onion_key *find_onion_key(const struct shard *shard, uint8_t generation) {
  for (uint32_t i = 0; shard->keys != NULL && i < shard->keys->count; i++)
    if (shard->keys->keys[i].generation == generation) return &shard->keys->keys[i];
  return NULL;
}

/* [LIMIT-4] A circuit costs its client nothing: without a bound a few links would fill the shard's table for ever. */
static bool client_may(struct neighbour *neighbour, instant now) {
  return trunk_side_count(neighbour->trunk) < LIMIT_CIRCUITS_PER_CLIENT_LINK && token_bucket_take(&neighbour->create_tokens, now, 1);
}

static bool is_from_client(const struct neighbour *neighbour) {
  return neighbour->accepted && link_pattern(trunk_link(neighbour->trunk)) == LINK_FROM_CLIENT;
}

/* Of the next few links in turn the client's with most circuits: looking at all of them would be work that anybody can cause. */
static struct neighbour *greediest(struct shard *shard) {
  struct neighbour *most = NULL;
  struct list_node *node;
  for (int i = 0; i < LINKS_LOOKED_AT && (node = list_take_first(&shard->links)) != NULL; i++) {
    struct neighbour *neighbour = LIST_OBJECT(node, struct neighbour, of_shard);
    list_append(&shard->links, node);
    if (neighbour->is_gone || !is_from_client(neighbour)) continue;
    if (most == NULL || trunk_side_count(neighbour->trunk) > trunk_side_count(most->trunk)) most = neighbour;
  }
  return most;
}

/* [LIMIT-4] Idle circuits cost nothing, so a few links could hold all that a shard has for ever. False: it has enough. */
static bool make_room(struct shard *shard, const struct neighbour *neighbour, instant now) {
  bool is_crowded = id_table_count(&shard->hops) >= shard->hops.limit / 16 * 15;
  if (!is_crowded || !is_from_client(neighbour)) return true;
  if (trunk_side_count(neighbour->trunk) >= LIMIT_CIRCUITS_OF_A_FEW) return false;
  struct neighbour *most = greediest(shard);
  if (most == NULL || trunk_side_count(most->trunk) <= LIMIT_CIRCUITS_OF_A_FEW) return true;
  shard->figures.evicted++;
  hop_cut(shard, hop_of_side(trunk_any_side(most->trunk)), now);
  return true;
}

/* [LIMIT-4] With the pool full a new request evicts the oldest, whose turn is next: with enough links none would ever be answered. */
static uint32_t most_waiting(const struct shard *shard, const struct neighbour *neighbour) {
  bool is_short = cell_pool_used(shard->cells) >= cell_pool_limit(shard->cells) / 4 * 3;
  return is_short && is_from_client(neighbour) ? LIMIT_CREATES_OF_A_FEW : LIMIT_CREATES_QUEUED_PER_LINK;
}

/* [LIMIT-4] */
static bool may_queue(struct shard *shard, struct neighbour *neighbour, instant now, const struct cell_create *create) {
  return !shard->stopping && place_is_allowed(neighbour, create->place) &&
         create->handshake_type == CIRCUIT_HANDSHAKE_TYPE_HYBRID && find_onion_key(shard, create->generation) != NULL &&
         neighbour->creates_queued < most_waiting(shard, neighbour) &&
         (link_pattern(trunk_link(neighbour->trunk)) == LINK_FROM_NODE || client_may(neighbour, now));
}

void admission_create(struct shard *shard, struct neighbour *neighbour, instant now, uint32_t circuit,
                      const struct cell_create *create) {
  bool may = may_queue(shard, neighbour, now, create) && make_room(shard, neighbour, now);
  struct hop *hop = may ? hop_new(shard, now) : NULL;
  struct cell *request = hop == NULL ? NULL : shard_take_cell(shard, now);
  if (request != NULL && !trunk_attach(neighbour->trunk, &hop->sides[SIDE_CLIENT], circuit, now)) {
    cell_pool_give(shard->cells, request);
    request = NULL;
  }
  if (request == NULL) {
    if (hop != NULL) hop_free(shard, hop);
    shard->figures.creates_refused++;
    trunk_refuse(neighbour->trunk, circuit);
    return;
  }
  cell_encode_create(request->bytes, circuit, create);
  request->queued = now;
  hop->request = request;
  hop->place = create->place;
  hop->create_from = neighbour;
  list_append(&neighbour->creates, &hop->waits);
  neighbour->creates_queued++;
  hop_note_request(shard, hop);
  if (!list_contains_node(&neighbour->has_creates)) list_append(&shard->has_creates, &neighbour->has_creates);
}

/* The hop no longer waits: its place in the link's queue and its copy of the request go. */
void admission_forget(struct shard *shard, struct hop *hop) {
  if (hop->request == NULL) return;
  if (hop->create_from != NULL) hop->create_from->creates_queued--;
  hop->create_from = NULL;
  cell_pool_give(shard->cells, hop->request);
  hop->request = NULL;
  if (hop->sides[SIDE_EXIT].queue.count == 0) backlog_progress(&shard->trunks, &hop->sides[SIDE_EXIT].backlog, false);
  list_leave(&hop->waits);
}

/* [HS-3] One request, one answer, nothing kept but the keys. The request gives its cell back before the answer wants one: with
 * the pool full, of waiting requests as well, what was computed would be for nothing. */
static bool answer(struct shard *shard, struct hop *hop, instant now, const struct cell_create *create) {
  struct circuit_binding binding = {.handshake_type = create->handshake_type,
                                    .generation = create->generation,
                                    .place = create->place,
                                    .suite = shard->config.layer_suite};
  memcpy(binding.network, shard->config.self->network, sizeof binding.network);
  memcpy(binding.identity, shard->config.self->identity, sizeof binding.identity);
  uint8_t random[NOISE_RANDOM_BYTES], reply[CIRCUIT_HANDSHAKE_REPLY_BYTES];
  struct circuit_keys keys;
  const struct onion_key *key = find_onion_key(shard, create->generation);
  random_bytes(&shard->random, random, sizeof random);
  bool good = key != NULL &&
              circuit_handshake_answer(&binding, key->secret, key->public_key, create->request, random, reply, &keys);
  admission_forget(shard, hop);
  good = good && trunk_answer(&hop->sides[SIDE_CLIENT], now, reply);
  if (good) {
    onion_layer_init(&hop->open, shard->config.layer_suite, create->place, ONION_FORWARD, keys.forward);
    onion_layer_init(&hop->seal, shard->config.layer_suite, create->place, ONION_BACKWARD, keys.backward);
    hop->has_layers = true;
  }
  bytes_wipe(random, sizeof random);
  bytes_wipe(&keys, sizeof keys);
  return good;
}

static void work_on_create(struct shard *shard, struct neighbour *neighbour, instant now) {
  struct list_node *node = list_first(&neighbour->creates);
  struct hop *hop = LIST_OBJECT(node, struct hop, waits);
  struct cell_create create;
  bool in_time = now - hop->request->queued <= LIMIT_CREATE_WAIT; /* [CIRC-4] */
  bool good = in_time && cell_decode_create(hop->request->bytes, &create) && answer(shard, hop, now, &create);
  admission_forget(shard, hop);
  shard->figures.creates_answered += good;
  shard->figures.creates_refused += !good;
  if (!good) hop_cut(shard, hop, now);
}

bool admission_work(struct shard *shard, instant now) {
  struct list_node *link = list_first(&shard->wants_work), *creates = list_first(&shard->has_creates);
  shard->work_turn = !shard->work_turn; /* links and circuits in turn, so that neither flood starves the other */
  if (link != NULL && (creates == NULL || shard->work_turn)) {
    list_leave(link);
    neighbour_work(shard, LIST_OBJECT(link, struct neighbour, wants_work), now);
  } else if (creates != NULL) {
    struct neighbour *neighbour = LIST_OBJECT(creates, struct neighbour, has_creates);
    list_leave(creates);
    if (list_first(&neighbour->creates) != NULL) work_on_create(shard, neighbour, now);
    if (list_first(&neighbour->creates) != NULL) list_append(&shard->has_creates, creates);
  }
  return list_first(&shard->wants_work) != NULL || list_first(&shard->has_creates) != NULL;
}
