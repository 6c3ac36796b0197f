#include "directory/consensus_diff.h"
#include "directory/fetch_internal.h"

#include <stdlib.h>
#include <string.h>

static struct exchange *find(const struct fetch *fetch, struct id connection) {
  for (struct list_node *node = list_first(&fetch->exchanges); node != NULL; node = list_after(&fetch->exchanges, node)) {
    struct exchange *exchange = LIST_OBJECT(node, struct exchange, node);
    if (!exchange->is_borrowed && id_equal(exchange->connection, connection)) return exchange;
  }
  return NULL;
}

/* [MACH-11] With room for its close. */
static bool draw_connection(struct exchange *exchange) {
  struct effect_queue *effects = exchange->fetch->config.effects;
  if (!effect_queue_reserve(effects)) return false;
  struct connection_slot *slot = id_table_add(exchange->fetch->config.connections, &exchange->connection);
  if (slot == NULL) {
    effect_queue_release(effects);
    exchange->connection = ID_NONE;
    return false;
  }
  slot->kind = exchange->fetch->config.slot_kind;
  slot->object = exchange->fetch;
  return true;
}

static bool connect_to(struct exchange *exchange, const struct address *address) {
  struct fetch *fetch = exchange->fetch;
  struct link *link = link_new_initiator(fetch->config.self, &exchange->peer, LINK_FROM_CLIENT, fetch->config.random);
  if (link == NULL) return false;
  exchange->trunk = trunk_new(fetch->config.trunks, link, exchange->connection, UINT32_MAX, 0);
  if (exchange->trunk == NULL) return false;
  struct effect effect = {
      .kind = EFFECT_CONNECT, .id = exchange->connection, .connection = CONNECTION_LINK, .address = *address};
  return effect_queue_put(fetch->config.effects, &effect);
}

/* [FETCH-14] */
static uint64_t most_patience(const struct fetch *fetch) {
  uint64_t interval = (uint64_t)fetch_network(fetch)->timing.interval * MILLISECONDS;
  return interval > LIMIT_TRANSFER_LOOK_TIME ? interval : LIMIT_TRANSFER_LOOK_TIME;
}

static uint64_t patience(const struct fetch *fetch) {
  uint64_t most = most_patience(fetch);
  return fetch->patience < most ? fetch->patience : most;
}

/* trunk: of a link that is open already, and stays its owner's; NULL: the exchange makes its own. */
static struct exchange *exchange_new(struct fetch *fetch, instant now, bool is_put, int authority, struct trunk *trunk) {
  struct exchange *exchange = calloc(1, sizeof *exchange);
  if (exchange == NULL) return NULL;
  exchange->fetch = fetch;
  exchange->is_put = is_put;
  exchange->authority = authority;
  transfer_watch_begin(&exchange->watch, now, LIMIT_TRANSFER_LOOK_TIME, trunk == NULL ? NULL : trunk_transfers(trunk));
  exchange->look_at = instant_after(now, LIMIT_TRANSFER_LOOK_TIME);
  exchange->give_up_at = instant_after(now, patience(fetch));
  exchange->is_borrowed = trunk != NULL;
  exchange->trunk = trunk;
  list_append(&fetch->exchanges, &exchange->node);
  return exchange;
}

void fetch_free_exchange(struct exchange *exchange) {
  if (!exchange->is_borrowed) trunk_free(exchange->trunk);
  document_release(exchange->kept);
  network_chain_free(exchange->trial);
  list_leave(&exchange->node);
  free(exchange);
}

/* Forgets it without a word to fetch.c. */
static void drop(struct exchange *exchange, enum effect_kind how) {
  struct fetch *fetch = exchange->fetch;
  if (!id_is_none(exchange->connection)) {
    struct effect effect = {.kind = how, .id = exchange->connection};
    effect_queue_put_reserved(fetch->config.effects, &effect);
    id_table_remove(fetch->config.connections, exchange->connection);
  }
  fetch_free_exchange(exchange);
}

bool fetch_begin_with_mirror(struct fetch *fetch, instant now, const struct relay_entry *entry) {
  struct exchange *exchange = exchange_new(fetch, now, false, -1, NULL);
  if (exchange == NULL) return false;
  exchange->peer.suites = entry->link_suites;
  memcpy(exchange->peer.identity, entry->identity, IDENTITY_BYTES);
  memcpy(exchange->peer.link_key, entry->link_key, X25519_BYTES);
  fetch->asked_relays++;
  if (draw_connection(exchange) && connect_to(exchange, &entry->address)) return true;
  drop(exchange, EFFECT_CLOSE);
  return false;
}

bool fetch_begin_with_authority(struct fetch *fetch, instant now, const struct network_file *network, uint32_t index, bool is_put) {
  const struct network_authority *authority = &network->authorities[index];
  struct exchange *exchange = exchange_new(fetch, now, is_put, (int)index, NULL);
  if (exchange == NULL) return false;
  exchange->peer.suites = 1 << AEAD_CHACHA20_POLY1305; /* [LINK-2] the network file declares no more for authorities */
  fetch->asked_authorities += !is_put;
  exchange->port = authority->port;
  exchange->serial = network->serial;
  memcpy(exchange->peer.identity, authority->identity, IDENTITY_BYTES);
  memcpy(exchange->peer.link_key, authority->link_key, X25519_BYTES);
  struct address address;
  bool begun = draw_connection(exchange);
  if (begun && address_parse_host(authority->host, strlen(authority->host), &address)) {
    address.port = authority->port;
    begun = connect_to(exchange, &address);
  } else if (begun) {
    struct effect effect = {.kind = EFFECT_RESOLVE, .id = exchange->connection};
    exchange->resolving = true;
    memcpy(effect.name, authority->host, strlen(authority->host) + 1);
    begun = effect_queue_put(fetch->config.effects, &effect);
  }
  if (!begun) drop(exchange, EFFECT_CLOSE);
  return begun;
}

/* [FETCH-14] What an attempt at a consensus took says what the next one may need. */
static void learn_patience(const struct exchange *exchange, instant now, bool ran_out) {
  struct fetch *fetch = exchange->fetch;
  uint64_t taken = instant_until(exchange->watch.began, now), enough = 2 * taken > FETCH_PATIENCE_FIRST ? 2 * taken : FETCH_PATIENCE_FIRST;
  if (exchange->is_put) return;
  if (ran_out && fetch->patience < most_patience(fetch)) fetch->patience *= 2;
  else if (!ran_out && enough < fetch->patience) fetch->patience = enough;
}

instant fetch_exchange_deadline(const struct exchange *exchange) { return instant_earlier(exchange->look_at, exchange->give_up_at); }

void fetch_exchange_tick(struct exchange *exchange, instant now) {
  if (fetch_exchange_deadline(exchange) > now) return;
  bool moves = transfer_watch_look(&exchange->watch, now, exchange->trunk == NULL ? NULL : trunk_transfers(exchange->trunk));
  bool ran_out = exchange->give_up_at <= now;
  exchange->look_at = instant_after(now, LIMIT_TRANSFER_LOOK_TIME);
  if (moves && ran_out) learn_patience(exchange, now, true);
  if (!moves || ran_out) fetch_end_exchange(exchange, now, OUTCOME_TIMED_OUT);
}

void fetch_end_exchange(struct exchange *exchange, instant now, enum outcome outcome) {
  struct fetch *fetch = exchange->fetch;
  bool is_put = exchange->is_put;
  if (outcome == OUTCOME_OK) learn_patience(exchange, now, false);
  int authority = exchange->authority;
  uint32_t serial = exchange->serial;
  drop(exchange, EFFECT_CLOSE);
  if (is_put) fetch_put_ended(fetch, now, serial, (uint32_t)authority, outcome);
  else fetch_get_ended(fetch, now, authority < 0, outcome);
}

/* Where the files of this exchange go. */
static const struct network_chain *chain_of(const struct exchange *exchange) {
  return exchange->trial != NULL ? exchange->trial : exchange->fetch->config.networks;
}

static void ask_file_behind(struct exchange *exchange, uint64_t serial) {
  struct transfer_request request = {.kind = TRANSFER_NETWORK_FILE, .epoch = serial};
  exchange->asked = exchange->asks_file = true;
  exchange->files_asked++;
  exchange->request = transfers_get(trunk_transfers(exchange->trunk), &request, LIMIT_NETWORK_FILE_BYTES);
  trunk_make_ready(exchange->trunk);
}

static void ask_file(struct exchange *exchange) {
  ask_file_behind(exchange, fetch_file_after(exchange->fetch, chain_of(exchange)));
}

/* [FETCH-12] Whoever has something that does not go with our file of this serial may have another file of it. */
static bool compare(struct exchange *exchange, uint32_t serial) {
  if (exchange->compared || serial < 2) return false;
  exchange->compares = exchange->compared = true;
  ask_file_behind(exchange, serial - 1);
  return true;
}

static void ask(struct exchange *exchange) {
  struct fetch *fetch = exchange->fetch;
  struct transfers *transfers = trunk_transfers(exchange->trunk);
  struct transfer_request request = {.kind = exchange->wants_diff ? TRANSFER_CONSENSUS_DIFF : TRANSFER_CONSENSUS,
                                     .epoch = fetch->consensus == NULL ? 0 : consensus_header(fetch->consensus)->epoch};
  exchange->asked = true;
  exchange->asks_file = false;
  if (exchange->is_put && fetch->descriptor == NULL) return; /* there is nothing to hand in any more */
  exchange->request = exchange->is_put ? transfers_put(transfers, TRANSFER_DESCRIPTOR, fetch->descriptor)
                                       : transfers_get(transfers, &request, exchange->wants_diff ? CONSENSUS_DIFF_PACKED_BYTES : LIMIT_CONSENSUS_PACKED_BYTES);
  trunk_make_ready(exchange->trunk);
}

static void link_opened(struct exchange *exchange) {
  exchange->wants_diff = !exchange->is_put && exchange->fetch->consensus != NULL && !exchange->fetch->wants_whole;
  if (exchange->authority >= 0) ask_file(exchange); /* [FETCH-10] before what the link is for, which may need them */
  else ask(exchange);
}

static void follow_state(struct exchange *exchange) {
  const struct link *link = trunk_link(exchange->trunk);
  exchange->needs_work = link_needs_work(link);
  if (link_state(link) == LINK_OPEN && !exchange->asked) link_opened(exchange);
}

bool fetch_begin_with_guard(struct fetch *fetch, instant now, struct trunk *trunk) {
  struct exchange *exchange = exchange_new(fetch, now, false, -1, trunk);
  if (exchange == NULL) return false;
  fetch->asked_guard++;
  link_opened(exchange);
  return true;
}

/* [FETCH-11] An authority shows no file too early; a mirror might: what it shows is tried on the consensus that it came for. */
static enum outcome judge_file(struct exchange *exchange, instant now, const struct transfer_event *event) {
  struct fetch *fetch = exchange->fetch;
  if (event->kind != TRANSFER_ARRIVED) return event->outcome;
  enum outcome outcome = exchange->trial != NULL ? fetch_try_network(fetch, exchange->trial, event->document)
                                                 : fetch_take_network(fetch, now, document_bytes(event->document), document_len(event->document));
  if (outcome != OUTCOME_OK && outcome != OUTCOME_STALE)
    trace_write(fetch->config.trace, TRACE_INFO, "directory", "a network file is not taken: %s", outcome_name(outcome));
  return outcome;
}

/* The next file, while there are some; then what the exchange is for, or what waited for them. True if that ended it. */
static bool take_file(struct exchange *exchange, instant now, const struct transfer_event *event, enum outcome *ret_outcome) {
  bool compared = exchange->compares;
  enum outcome outcome = judge_file(exchange, now, event);
  bool taken = outcome == OUTCOME_OK && !compared;
  exchange->compares = false;
  exchange->took_file = exchange->took_file || taken;
  if (outcome == OUTCOME_DIRECTORY_SPLIT || (compared && exchange->failed != OUTCOME_OK)) {
    *ret_outcome = outcome == OUTCOME_DIRECTORY_SPLIT ? outcome : exchange->failed;
    return true;
  }
  if (outcome == OUTCOME_WRONG_NETWORK && compare(exchange, network_chain_newest(chain_of(exchange))->serial)) return false;
  if (taken && exchange->files_asked < NETWORK_CHAIN_FILES) {
    ask_file(exchange);
    return false;
  }
  if (exchange->kept == NULL) {
    ask(exchange);
    return false;
  }
  *ret_outcome = exchange->failed;
  if (exchange->took_file) *ret_outcome = fetch_take_consensus(exchange->fetch, now, exchange->kept, exchange->wants_diff, exchange->trial);
  return true;
}

/* [FETCH-10] A consensus whose serial is not known waits for its file. */
static bool waits_for_file(struct exchange *exchange, struct document *consensus, enum outcome outcome) {
  struct fetch *fetch = exchange->fetch;
  if (outcome != OUTCOME_WRONG_NETWORK || fetch->wanted_serial == 0) return false;
  if (exchange->authority < 0) exchange->trial = network_chain_copy(fetch->config.networks);
  if (exchange->authority < 0 && exchange->trial == NULL) return false;
  exchange->kept = document_take(consensus);
  exchange->failed = outcome;
  exchange->took_file = false;
  ask_file(exchange);
  return true;
}

static bool take_consensus(struct exchange *exchange, instant now, struct document *document, enum outcome *ret_outcome) {
  struct fetch *fetch = exchange->fetch;
  enum outcome outcome = fetch_take_consensus(fetch, now, document, exchange->wants_diff, NULL);
  bool waits = waits_for_file(exchange, document, outcome);
  if (outcome == OUTCOME_BAD_SIGNATURE || outcome == OUTCOME_TOO_FEW_SIGNATURES) {
    exchange->failed = outcome;
    waits = compare(exchange, fetch_network(fetch)->serial);
  }
  document_release(document);
  if (!waits) *ret_outcome = outcome;
  return !waits;
}

/* True if it ended the exchange; ret_outcome: how. */
static bool take_delivery(struct exchange *exchange, instant now, const struct delivery *delivery, enum outcome *ret_outcome) {
  if (delivery->kind == DELIVERY_TIME) {
    if (exchange->authority >= 0) fetch_note_time(exchange->fetch, now, exchange->serial, (uint32_t)exchange->authority, delivery->date);
    return false;
  }
  if (delivery->kind != DELIVERY_TRANSFER) {
    *ret_outcome = OUTCOME_PROTOCOL_VIOLATION;
    return true;
  }
  const struct transfer_event *event = &delivery->transfer;
  if (event->kind == TRANSFER_ASKED) {
    transfers_finish(trunk_transfers(exchange->trunk), event->request, OUTCOME_NOT_FOUND);
    trunk_make_ready(exchange->trunk);
    return false;
  }
  if (exchange->asks_file && event->kind != TRANSFER_GIVEN) {
    bool ended = take_file(exchange, now, event, ret_outcome);
    if (event->kind == TRANSFER_ARRIVED) document_release(event->document);
    return ended;
  }
  if (event->kind == TRANSFER_ENDED && exchange->wants_diff && event->outcome == OUTCOME_NOT_FOUND) { /* [DIFF-7] */
    exchange->wants_diff = false;
    ask(exchange);
    return false;
  }
  if (event->kind == TRANSFER_ARRIVED) return take_consensus(exchange, now, event->document, ret_outcome);
  if (event->kind == TRANSFER_GIVEN) document_release(event->document);
  *ret_outcome = event->outcome;
  return true;
}

enum outcome fetch_receive(struct fetch *fetch, instant now, struct id connection, uint8_t *in, size_t len, size_t *ret_used) {
  struct exchange *exchange = find(fetch, connection);
  *ret_used = 0;
  if (exchange == NULL || exchange->trunk == NULL) return OUTCOME_NOT_FOUND;
  enum outcome outcome = OUTCOME_OK;
  bool ended = false;
  for (size_t used = 1; !ended && used > 0 && *ret_used < len;) {
    outcome = trunk_receive(exchange->trunk, now, in + *ret_used, len - *ret_used, &used);
    *ret_used += used;
    struct delivery delivery;
    while (outcome == OUTCOME_OK && !ended && trunk_next_delivery(exchange->trunk, now, &delivery, &outcome))
      ended = take_delivery(exchange, now, &delivery, &outcome);
    ended = ended || outcome != OUTCOME_OK;
    if (!ended) follow_state(exchange);
  }
  if (!ended) return OUTCOME_OK;
  *ret_used = len;
  fetch_end_exchange(exchange, now, outcome);
  return OUTCOME_DONE;
}

static struct exchange *find_borrowed(const struct fetch *fetch, const struct trunk *trunk) {
  for (struct list_node *node = list_first(&fetch->exchanges); node != NULL; node = list_after(&fetch->exchanges, node)) {
    struct exchange *exchange = LIST_OBJECT(node, struct exchange, node);
    if (exchange->is_borrowed && exchange->trunk == trunk) return exchange;
  }
  return NULL;
}

bool fetch_uses_guard(const struct fetch *fetch, const struct trunk *trunk) { return find_borrowed(fetch, trunk) != NULL; }

/* [FETCH-13] What comes for a request that was given up is of no use to the next one. */
void fetch_guard_event(struct fetch *fetch, instant now, const struct trunk *trunk, const struct transfer_event *event) {
  struct exchange *exchange = find_borrowed(fetch, trunk);
  struct delivery delivery = {.kind = DELIVERY_TRANSFER, .transfer = *event};
  enum outcome outcome = OUTCOME_OK;
  if (exchange == NULL || event->kind == TRANSFER_GIVEN || event->request != exchange->request) document_release(event->document);
  else if (take_delivery(exchange, now, &delivery, &outcome)) fetch_end_exchange(exchange, now, outcome);
}

void fetch_guard_lost(struct fetch *fetch, instant now, const struct trunk *trunk) {
  struct exchange *exchange = find_borrowed(fetch, trunk);
  if (exchange != NULL) fetch_end_exchange(exchange, now, OUTCOME_LINK_FAILED);
}

size_t fetch_transmit(struct fetch *fetch, instant now, struct id connection, uint8_t *out, size_t room) {
  struct exchange *exchange = find(fetch, connection);
  return exchange == NULL || exchange->trunk == NULL ? 0 : trunk_transmit(exchange->trunk, now, out, room);
}

size_t fetch_room(const struct fetch *fetch, struct id connection) {
  const struct exchange *exchange = find(fetch, connection);
  return exchange == NULL || exchange->trunk == NULL || exchange->needs_work ? 0 : SIZE_MAX;
}

/* The lookup's id is used up: the connection gets its own. */
static void resolved(struct exchange *exchange, instant now, const struct event *event) {
  id_table_remove(exchange->fetch->config.connections, exchange->connection);
  effect_queue_release(exchange->fetch->config.effects);
  exchange->connection = ID_NONE;
  exchange->resolving = false;
  enum outcome outcome = event->outcome;
  if (outcome == OUTCOME_OK && event->address_count > 0) {
    struct address address = event->addresses[random_below(exchange->fetch->config.random, event->address_count)];
    address.port = exchange->port;
    if (draw_connection(exchange) && connect_to(exchange, &address)) return;
    outcome = OUTCOME_LIMIT_REACHED;
  }
  fetch_end_exchange(exchange, now, outcome == OUTCOME_OK ? OUTCOME_NAME_NOT_FOUND : outcome);
}

void fetch_event(struct fetch *fetch, instant now, const struct event *event) {
  struct exchange *exchange = find(fetch, event->id);
  if (exchange == NULL) return;
  if (event->kind == EVENT_RESOLVED) resolved(exchange, now, event);
  else if (event->kind == EVENT_CONNECTED) follow_state(exchange); /* the first message is work */
  else fetch_end_exchange(exchange, now, event->kind == EVENT_EOF ? OUTCOME_CONNECTION_RESET : event->outcome);
}

bool fetch_work(struct fetch *fetch, instant now) {
  bool done = false;
  struct list_node *next;
  for (struct list_node *node = list_first(&fetch->exchanges); node != NULL; node = next) {
    struct exchange *exchange = LIST_OBJECT(node, struct exchange, node);
    next = list_after(&fetch->exchanges, node);
    if (!exchange->needs_work) continue;
    if (done) return true;
    done = true;
    enum outcome outcome = link_work(trunk_link(exchange->trunk), now);
    trunk_make_ready(exchange->trunk);
    if (outcome == OUTCOME_OK) follow_state(exchange);
    else fetch_end_exchange(exchange, now, outcome);
  }
  return false;
}
