#include "relay/shard_internal.h"

#include <stdlib.h>
#include <string.h>

#include "directory/consensus_diff.h"

enum { CREATES_PER_SECOND = 100, CREATES_BURST = 1000, RETIRE_AFTER_HOURS = 12, RETIRE_SPREAD_HOURS = 12 };
enum { REFUSALS_RESERVED = 64 };
/* [LIMIT-12] */
static_assert(CONSENSUS_DIFF_PACKED_BYTES + LIMIT_CONSENSUS_PACKED_BYTES + (NETWORK_CHAIN_FILES + 1) * LIMIT_NETWORK_FILE_BYTES <= LIMIT_SERVED_PER_LINK_AT_ONCE / 2,
              "one fetch, however large, is served");

static struct neighbour *neighbour_new(struct shard *shard, instant now, struct link *link, const struct address *address) {
  struct id id;
  struct shard_connection *connection = link == NULL ? NULL : shard_draw_connection(shard, &id);
  struct neighbour *neighbour = connection == NULL ? NULL : calloc(1, sizeof *neighbour);
  if (neighbour == NULL) {
    if (connection != NULL) shard_forget_connection(shard, id);
    link_free(link);
    return NULL;
  }
  neighbour->connection = id;
  neighbour->address = *address;
  list_init(&neighbour->creates);
  list_init(&neighbour->waiting);
  token_bucket_init(&neighbour->create_tokens, CREATES_PER_SECOND, CREATES_BURST, now);
  token_bucket_init(&neighbour->served, LIMIT_SERVED_PER_LINK, LIMIT_SERVED_PER_LINK_AT_ONCE, now);
  neighbour->trunk = trunk_new(&shard->trunks, link, id, shard->next_number++, 0);
  if (shard->next_number == 0) shard->next_number = 1;
  if (neighbour->trunk == NULL || !timer_heap_set(&shard->timers, &neighbour->timer, TIMER_NEIGHBOUR, id,
                                                  instant_after(now, LIMIT_HANDSHAKE_TIME))) {
    trunk_free(neighbour->trunk);
    free(neighbour);
    shard_forget_connection(shard, id);
    return NULL;
  }
  connection->neighbour = neighbour;
  list_append(&shard->links, &neighbour->of_shard);
  shard->figures.links++;
  return neighbour;
}

/* [MACH-11] The report that it is gone has its room as long as it is there. */
struct neighbour *neighbour_accept(struct shard *shard, instant now, const struct address *address) {
  while (shard->refusals_reserved < REFUSALS_RESERVED && effect_queue_reserve(&shard->effects)) shard->refusals_reserved++;
  if (!effect_queue_reserve(&shard->effects)) return NULL;
  struct link *link = link_new_responder(shard->config.self, &shard->random);
  struct neighbour *neighbour = neighbour_new(shard, now, link, address);
  if (neighbour != NULL) neighbour->accepted = true;
  else effect_queue_release(&shard->effects);
  return neighbour;
}

/* Of the whole identity: its first bytes alone could be had by two relays that then cost each other their links. */
static uint64_t neighbour_key(const struct shard *shard, const uint8_t identity[IDENTITY_BYTES]) {
  return index_map_key(&shard->neighbours, identity, IDENTITY_BYTES);
}

/* Those that it opened to us, and those that we opened to it. */
static uint64_t count_key(const struct shard *shard, const uint8_t identity[IDENTITY_BYTES], bool accepted) {
  return (neighbour_key(shard, identity) & ~UINT64_C(1)) | accepted;
}

static uint64_t count_links(const struct shard *shard, const uint8_t identity[IDENTITY_BYTES], bool accepted) {
  uint64_t count = 0;
  index_map_get(&shard->links_of, count_key(shard, identity, accepted), &count);
  return count;
}

/* [LIMIT-10] The identity is proved, or our own choice. */
static bool count_in(struct shard *shard, struct neighbour *neighbour) {
  uint64_t count = count_links(shard, neighbour->identity, neighbour->accepted);
  uint64_t most = neighbour->accepted ? LIMIT_LINKS_FROM_NEIGHBOUR : LIMIT_LINKS_PER_NEIGHBOUR;
  neighbour->is_counted = count < most && index_map_put(&shard->links_of, count_key(shard, neighbour->identity, neighbour->accepted), count + 1);
  return neighbour->is_counted;
}

static void count_out(struct shard *shard, struct neighbour *neighbour) {
  uint64_t key = count_key(shard, neighbour->identity, neighbour->accepted), count = count_links(shard, neighbour->identity, neighbour->accepted);
  if (!neighbour->is_counted) return;
  neighbour->is_counted = false;
  if (count <= 1) index_map_remove(&shard->links_of, key);
  else index_map_put(&shard->links_of, key, count - 1);
}

/* Our newest link to this relay; NULL: there is none. */
static struct neighbour *find_newest(struct shard *shard, const uint8_t identity[IDENTITY_BYTES]) {
  uint64_t slot;
  struct id id;
  if (!index_map_get(&shard->neighbours, neighbour_key(shard, identity), &slot)) return NULL;
  struct shard_connection *connection = id_table_at(&shard->connections, (uint32_t)slot, &id);
  struct neighbour *known = connection == NULL ? NULL : connection->neighbour;
  bool is_it = known != NULL && !known->is_gone && memcmp(known->identity, identity, IDENTITY_BYTES) == 0;
  return is_it ? known : NULL;
}

struct neighbour *neighbour_reach(struct shard *shard, instant now, const struct relay_entry *entry) {
  struct neighbour *known = find_newest(shard, entry->identity);
  if (known != NULL) {
    bool is_old = known->retiring || now >= known->retire_at;
    /* [LIMIT-10] Circuits that last for days keep old links: then the newest goes on. */
    if (!is_old || count_links(shard, entry->identity, false) >= LIMIT_LINKS_PER_NEIGHBOUR) return known;
  }
  struct link_peer peer = {.suites = entry->link_suites};
  memcpy(peer.identity, entry->identity, IDENTITY_BYTES);
  memcpy(peer.link_key, entry->link_key, X25519_BYTES);
  struct link *link = link_new_initiator(shard->config.self, &peer, LINK_FROM_NODE, &shard->random);
  struct neighbour *neighbour = neighbour_new(shard, now, link, &entry->address);
  if (neighbour == NULL) return NULL;
  memcpy(neighbour->identity, entry->identity, IDENTITY_BYTES);
  /* A link takes no new circuits after a random half to whole day, so that nothing lasts for ever. */
  neighbour->retire_at =
      instant_after(now, RETIRE_AFTER_HOURS * HOURS + random_below(&shard->random, RETIRE_SPREAD_HOURS * HOURS));
  struct effect effect = {
      .kind = EFFECT_CONNECT, .id = neighbour->connection, .connection = CONNECTION_LINK, .address = entry->address};
  bool begun = count_in(shard, neighbour) && index_map_put(&shard->neighbours, neighbour_key(shard, entry->identity), neighbour->connection.slot) &&
               effect_queue_put(&shard->effects, &effect);
  if (begun) return neighbour;
  neighbour_lost(shard, neighbour, now, OUTCOME_NO_MEMORY);
  return NULL;
}

/* [LINK-6] The identity that message 3 named is looked up, and the key that was proved compared with its. */
static enum outcome admit(struct shard *shard, struct neighbour *neighbour) {
  struct link *link = trunk_link(neighbour->trunk);
  uint8_t identity[IDENTITY_BYTES], link_key[X25519_BYTES];
  link_claim(link, identity, link_key);
  const struct relay_entry *entry = shard->consensus == NULL ? NULL : consensus_find(shard->consensus, identity);
  if (entry == NULL || !bytes_equal_constant_time(entry->link_key, link_key, X25519_BYTES)) return OUTCOME_UNKNOWN_RELAY;
  memcpy(neighbour->identity, identity, IDENTITY_BYTES);
  if (!count_in(shard, neighbour)) {
    shard->figures.links_refused++;
    return OUTCOME_LIMIT_REACHED;
  }
  link_admit(link);
  trunk_make_ready(neighbour->trunk); /* more may wait to be read */
  return OUTCOME_OK;
}

static void link_opened(struct shard *shard, struct neighbour *neighbour, instant now) {
  neighbour->is_open = true;
  timer_heap_set(&shard->timers, &neighbour->timer, TIMER_NEIGHBOUR, neighbour->connection,
                 instant_after(now, LIMIT_LINK_IDLE_TIME));
  /* [LINK-13] */
  if (neighbour->accepted) trunk_tell_time(neighbour->trunk, wall_clock_date(&shard->clock, now));
  extend_link_open(shard, neighbour, now);
}

/* After anything that may have moved the handshake on. */
static enum outcome follow_state(struct shard *shard, struct neighbour *neighbour, instant now) {
  struct link *link = trunk_link(neighbour->trunk);
  if (link_needs_work(link) && !list_contains_node(&neighbour->wants_work))
    list_append(&shard->wants_work, &neighbour->wants_work);
  enum outcome outcome = OUTCOME_OK;
  if (link_state(link) == LINK_AWAITING_ADMISSION) outcome = admit(shard, neighbour);
  if (outcome == OUTCOME_OK && link_state(link) == LINK_OPEN && !neighbour->is_open) link_opened(shard, neighbour, now);
  return outcome;
}

void neighbour_connected(struct shard *shard, struct neighbour *neighbour, instant now) {
  trunk_make_ready(neighbour->trunk);
  follow_state(shard, neighbour, now); /* the first message is work, too */
}

void neighbour_work(struct shard *shard, struct neighbour *neighbour, instant now) {
  enum outcome outcome = link_work(trunk_link(neighbour->trunk), now);
  trunk_make_ready(neighbour->trunk);
  if (outcome == OUTCOME_OK) outcome = follow_state(shard, neighbour, now);
  if (outcome != OUTCOME_OK) {
    shard_close_connection(shard, neighbour->connection, EFFECT_CLOSE);
    neighbour_lost(shard, neighbour, now, outcome);
  }
}

/* [CONS-2] Every relay serves the consensus it holds, and [NET-13] the network files up to its serial. */
static void answer_transfer(struct shard *shard, struct neighbour *neighbour, instant now, const struct transfer_event *event) {
  struct transfers *transfers = trunk_transfers(neighbour->trunk);
  if (event->kind == TRANSFER_ASKED) {
    struct document *document = NULL;
    enum outcome outcome = consensus_archive_answer(&shard->archive, &event->about, &document);
    if (event->about.kind == TRANSFER_NETWORK_FILE) {
      document = network_shelf_after(&shard->networks, event->about.epoch);
      outcome = document == NULL ? OUTCOME_STALE : OUTCOME_OK;
    }
    /* [LIMIT-12] */
    if (outcome == OUTCOME_OK && !token_bucket_take(&neighbour->served, now, document_len(document))) {
      outcome = OUTCOME_TOO_BUSY;
      shard->figures.documents_too_busy++;
    }
    if (outcome == OUTCOME_OK) transfers_answer(transfers, event->request, document);
    else transfers_finish(transfers, event->request, outcome);
    trunk_make_ready(neighbour->trunk);
  } else {
    document_release(event->document);
  }
}

static void take_delivery(struct shard *shard, struct neighbour *neighbour, instant now, const struct delivery *delivery) {
  struct trunk_side *side = delivery->side;
  switch (delivery->kind) {
  case DELIVERY_CREATE: admission_create(shard, neighbour, now, delivery->circuit, &delivery->create); break;
  case DELIVERY_CREATED: extend_created(shard, side, now, delivery->reply); break;
  case DELIVERY_ONION:
    if (side->index == SIDE_CLIENT) hop_forward(shard, hop_of_side(side), now, delivery->body);
    else hop_backward(shard, hop_of_side(side), now, delivery->body);
    break;
  case DELIVERY_CLOSED: hop_side_closed(shard, side, now); break;
  case DELIVERY_TRANSFER: answer_transfer(shard, neighbour, now, &delivery->transfer); break;
  case DELIVERY_TIME: break; /* relays learn the time from the consensus */
  }
}

enum outcome neighbour_receive(struct shard *shard, struct neighbour *neighbour, instant now, uint8_t *in, size_t len,
                               size_t *ret_used) {
  enum outcome outcome = OUTCOME_OK;
  *ret_used = 0;
  for (size_t used = 1; outcome == OUTCOME_OK && used > 0 && *ret_used < len;) {
    outcome = trunk_receive(neighbour->trunk, now, in + *ret_used, len - *ret_used, &used);
    *ret_used += used;
    struct delivery delivery;
    while (outcome == OUTCOME_OK && trunk_next_delivery(neighbour->trunk, now, &delivery, &outcome))
      take_delivery(shard, neighbour, now, &delivery);
    if (outcome == OUTCOME_OK && !neighbour->is_open) outcome = follow_state(shard, neighbour, now);
  }
  if (outcome == OUTCOME_OK) return OUTCOME_OK;
  shard->figures.violations += outcome == OUTCOME_PROTOCOL_VIOLATION;
  shard_close_connection(shard, neighbour->connection, EFFECT_CLOSE);
  neighbour_lost(shard, neighbour, now, outcome);
  return outcome;
}

static struct effect closed_report(const struct address *peer) {
  return (struct effect){.kind = EFFECT_MESSAGE, .to = 0, .message = {.kind = KEEPER_LINK_CLOSED, .value = 1, .address = *peer}};
}

/* [MACH-11] A count that is never taken back would keep an address out for ever: who can't say it, for want of memory, ends. */
void neighbour_report_refused(struct shard *shard, const struct address *peer) {
  struct effect effect = closed_report(peer);
  if (effect_queue_put(&shard->effects, &effect)) return;
  if (shard->refusals_reserved == 0) {
    effect_queue_exit(&shard->effects, OUTCOME_NO_MEMORY);
    return;
  }
  shard->refusals_reserved--;
  effect_queue_put_reserved(&shard->effects, &effect);
}

static void report_closed(struct shard *shard, const struct neighbour *neighbour) {
  struct effect effect = closed_report(&neighbour->address);
  effect_queue_put_reserved(&shard->effects, &effect);
}

void neighbour_lost(struct shard *shard, struct neighbour *neighbour, instant now, enum outcome outcome) {
  if (neighbour->is_gone) return;
  neighbour->is_gone = true;
  trace_write(shard->config.trace, TRACE_DEBUG, "link", "a link ended: %s", outcome_name(outcome));
  if (shard_connection(shard, neighbour->connection) != NULL)
    shard_close_connection(shard, neighbour->connection, EFFECT_CLOSE);
  bool from_client = neighbour->accepted && bytes_are_zero_constant_time(neighbour->identity, IDENTITY_BYTES);
  struct trunk_side *side;
  while ((side = trunk_any_side(neighbour->trunk)) != NULL) {
    trunk_detach(side);
    hop_side_lost(shard, side, now, from_client);
  }
  struct list_node *node;
  while ((node = list_first(&neighbour->waiting)) != NULL)
    extend_fail(shard, LIST_OBJECT(node, struct hop, waits), now, OUTCOME_LINK_FAILED);
  if (neighbour->accepted) report_closed(shard, neighbour);
  count_out(shard, neighbour);
  list_append(&shard->gone, &neighbour->gone);
}

/* What the last look saw move may still be on its way: a close would cut it. */
static bool carries_documents(struct neighbour *neighbour, instant now) {
  uint64_t moved = transfers_moved(trunk_transfers(neighbour->trunk));
  if (moved > neighbour->documents_seen) neighbour->documents_at = now;
  neighbour->documents_seen = moved;
  return moved > 0 && instant_until(neighbour->documents_at, now) < LIMIT_LINK_IDLE_TIME;
}

/* [LIMIT-8] */
void neighbour_timer(struct shard *shard, struct neighbour *neighbour, instant now) {
  bool idle = trunk_side_count(neighbour->trunk) == 0 && list_first(&neighbour->waiting) == NULL && !carries_documents(neighbour, now);
  bool late = !neighbour->is_open || trunk_close_deadline(neighbour->trunk) <= now;
  neighbour->retiring = neighbour->retiring || (neighbour->retire_at != 0 && neighbour->retire_at <= now);
  if (late || idle) {
    neighbour_lost(shard, neighbour, now, late ? OUTCOME_TIMED_OUT : OUTCOME_DONE);
    return;
  }
  timer_heap_set(&shard->timers, &neighbour->timer, TIMER_NEIGHBOUR, neighbour->connection,
                 instant_after(now, LIMIT_LINK_IDLE_TIME / 4));
}

void neighbour_free(struct shard *shard, struct neighbour *neighbour) {
  uint64_t slot;
  uint64_t key = neighbour_key(shard, neighbour->identity);
  if (!neighbour->accepted && index_map_get(&shard->neighbours, key, &slot) && slot == neighbour->connection.slot)
    index_map_remove(&shard->neighbours, key);
  timer_heap_cancel(&shard->timers, &neighbour->timer);
  list_leave(&neighbour->of_shard);
  list_leave(&neighbour->wants_work);
  list_leave(&neighbour->has_creates);
  list_leave(&neighbour->gone);
  trunk_free(neighbour->trunk);
  shard->figures.links--;
  free(neighbour);
}
