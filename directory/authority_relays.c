#include <stdlib.h>
#include <string.h>

#include "directory/authority_internal.h"

enum { GUARD_INTERVALS = 8 };
#define FORGET_AFTER (48 * HOURS)

static struct known_relay *find_relay(const struct authority *authority, const uint8_t identity[IDENTITY_BYTES]) {
  uint64_t slot;
  struct id id;
  if (!index_map_get(&authority->by_identity, get_u64(identity), &slot)) return NULL;
  return id_table_at(&authority->relays, (uint32_t)slot, &id);
}

void relays_forget(struct authority *authority, struct known_relay *relay) {
  if (relay->probe != NULL) relay->probe->relay = NULL;
  if (relay->probe != NULL) authority->probes_under_way--;
  index_map_remove(&authority->by_identity, get_u64(relay->descriptor.identity));
  index_map_remove(&authority->by_digest, get_u64(relay->descriptor.digest));
  list_leave(&relay->order);
  document_release(relay->text);
  id_table_remove(&authority->relays, relay->id);
}

/* [AUTH-1] One relay, one place: what another running relay has is not given twice. */
static bool is_taken(const struct authority *authority, const struct descriptor *descriptor) {
  uint32_t cursor = 0;
  struct id id;
  const struct known_relay *other;
  while ((other = id_table_next(&authority->relays, &cursor, &id)) != NULL) {
    const struct descriptor *d = &other->descriptor;
    if (!other->is_running || memcmp(d->identity, descriptor->identity, IDENTITY_BYTES) == 0) continue;
    if (address_equal(&d->address, &descriptor->address)) return true;
    if (memcmp(d->link_key, descriptor->link_key, X25519_BYTES) == 0) return true;
    if (memcmp(d->onion_key, descriptor->onion_key, X25519_BYTES) == 0) return true;
  }
  return false;
}

/* Descriptors cost nothing: when there are too many, the one goes that failed most often and was heard longest ago of
 * those that do not run. */
static void make_room(struct authority *authority) {
  uint32_t cursor = 0;
  struct id id;
  struct known_relay *relay, *worst = NULL;
  if (id_table_count(&authority->relays) < LIMIT_RELAYS) return;
  while ((relay = id_table_next(&authority->relays, &cursor, &id)) != NULL) {
    if (relay->is_running) continue;
    bool is_worse = worst == NULL || relay->failures > worst->failures ||
                    (relay->failures == worst->failures && relay->last_heard < worst->last_heard);
    if (is_worse) worst = relay;
  }
  if (worst != NULL) relays_forget(authority, worst);
}

static struct known_relay *add_relay(struct authority *authority, const struct descriptor *descriptor) {
  struct id id;
  make_room(authority);
  struct known_relay *relay = id_table_add(&authority->relays, &id);
  if (relay == NULL) return NULL;
  relay->id = id;
  if (index_map_put(&authority->by_identity, get_u64(descriptor->identity), id.slot)) return relay;
  id_table_remove(&authority->relays, id);
  return NULL;
}

static enum outcome judge(struct authority *authority, instant now, struct document *text, struct descriptor *ret) {
  const struct network_file *network = authority->network;
  enum outcome outcome = descriptor_parse(network->id, document_bytes(text), document_len(text), ret, NULL);
  if (outcome == OUTCOME_OK) outcome = descriptor_check(ret, network, wall_clock_date(&authority->clock, now));
  if (outcome != OUTCOME_OK) return outcome;
  const struct known_relay *known = find_relay(authority, ret->identity);
  if (known != NULL && memcmp(known->descriptor.identity, ret->identity, IDENTITY_BYTES) != 0) return OUTCOME_REFUSED_BY_POLICY;
  if (known != NULL && ret->sequence <= known->descriptor.sequence) return OUTCOME_STALE;
  return is_taken(authority, ret) ? OUTCOME_REFUSED_BY_POLICY : OUTCOME_OK;
}

enum outcome relays_take_descriptor(struct authority *authority, instant now, struct document *text) {
  struct descriptor descriptor;
  enum outcome outcome = judge(authority, now, text, &descriptor);
  if (outcome != OUTCOME_OK) {
    authority->descriptors_refused += outcome != OUTCOME_STALE;
    return outcome;
  }
  struct known_relay *relay = find_relay(authority, descriptor.identity);
  if (relay == NULL) relay = add_relay(authority, &descriptor);
  if (relay == NULL) return OUTCOME_LIMIT_REACHED;
  document_release(relay->text);
  index_map_remove(&authority->by_digest, get_u64(relay->descriptor.digest));
  index_map_put(&authority->by_digest, get_u64(descriptor.digest), relay->id.slot);
  relay->text = document_take(text);
  relay->descriptor = descriptor;
  relay->last_heard = now;
  authority->descriptors_taken++;
  if (relay->probe == NULL) probe_plan(authority, relay, now);
  return OUTCOME_OK;
}

bool relays_know_descriptor(const void *context, const uint8_t digest_of_text[DIGEST_BYTES]) {
  const struct authority *authority = context;
  uint64_t slot;
  struct id id;
  if (!index_map_get(&authority->by_digest, get_u64(digest_of_text), &slot)) return false;
  const struct known_relay *relay = id_table_at(&authority->relays, (uint32_t)slot, &id);
  return relay != NULL && memcmp(relay->descriptor.digest, digest_of_text, DIGEST_BYTES) == 0;
}

bool relays_changed(const struct authority *authority) {
  uint32_t cursor = 0, running = 0;
  struct id id;
  const struct known_relay *relay;
  while ((relay = id_table_next(&authority->relays, &cursor, &id)) != NULL) {
    if (!relay->is_running) continue;
    running++;
    if (authority->consensus == NULL || consensus_find(authority->consensus, relay->descriptor.identity) == NULL) return true;
  }
  return authority->consensus != NULL && consensus_count(authority->consensus) != running;
}

/* [AUTH-5] */
static uint8_t flags_of(const struct authority *authority, const struct known_relay *relay, instant now) {
  struct exit_summary summary;
  uint64_t stable = GUARD_INTERVALS * (uint64_t)authority->network->timing.interval * MILLISECONDS;
  uint8_t flags = RELAY_VALID;
  if (!relay->is_running) return flags;
  flags |= RELAY_RUNNING;
  if (exit_policy_summarise(&relay->descriptor.policy, &summary)) flags |= RELAY_EXIT;
  if (authority->network->is_lab || now - relay->running_since >= stable) flags |= RELAY_GUARD;
  return flags;
}

static int by_identity(const void *a, const void *b) {
  const struct known_relay *const *left = a, *const *right = b;
  return memcmp((*left)->descriptor.identity, (*right)->descriptor.identity, IDENTITY_BYTES);
}

static void forget_old(struct authority *authority, instant now) {
  uint32_t cursor = 0;
  struct id id;
  struct known_relay *relay;
  while ((relay = id_table_next(&authority->relays, &cursor, &id)) != NULL)
    if (!relay->is_running && now - relay->last_heard > FORGET_AFTER) relays_forget(authority, relay);
}

/* [AUTH-5] Those that run, or else those that ran, as long as the vote can hold them. */
static uint32_t list_some(const struct authority *authority, bool running, size_t *room, struct known_relay **ret_list) {
  uint32_t cursor = 0, count = 0;
  struct id id;
  struct known_relay *relay;
  while ((relay = id_table_next(&authority->relays, &cursor, &id)) != NULL) {
    size_t need = VOTE_RELAY_LINE_MAX_BYTES + document_len(relay->text);
    if (relay->is_running != running || !relay->has_run || need > *room) continue;
    *room -= need;
    ret_list[count++] = relay;
  }
  return count;
}

/* Those to vote on, sorted; forgets who stayed away too long. */
static uint32_t list_relays(struct authority *authority, instant now, struct known_relay **ret_list) {
  size_t room = LIMIT_VOTE_BYTES - VOTE_HEADER_MAX_BYTES;
  forget_old(authority, now);
  uint32_t count = list_some(authority, true, &room, ret_list);
  count += list_some(authority, false, &room, ret_list + count);
  qsort(ret_list, count, sizeof *ret_list, by_identity);
  return count;
}

struct document *relays_make_vote(struct authority *authority, instant now, uint64_t epoch, uint32_t round,
                                  const uint8_t previous[DIGEST_BYTES]) {
  uint32_t room = id_table_count(&authority->relays) + 1;
  struct known_relay **list = calloc(room, sizeof(struct known_relay *));
  struct vote_relay *relays = calloc(room, sizeof *relays);
  struct document *document = NULL;
  if (list != NULL && relays != NULL) {
    struct vote_header header = {.epoch = epoch, .round = round, .methods = TALLY_METHODS};
    memcpy(header.network, authority->network->id, sizeof header.network);
    memcpy(header.authority, authority->config.self->identity, IDENTITY_BYTES);
    memcpy(header.previous, previous, DIGEST_BYTES);
    header.date = header.valid_after = wall_clock_date(&authority->clock, now);
    header.relay_count = list_relays(authority, now, list);
    for (uint32_t i = 0; i < header.relay_count; i++)
      relays[i] = (struct vote_relay){.flags = flags_of(authority, list[i], now),
                                      .descriptor = document_bytes(list[i]->text),
                                      .descriptor_len = document_len(list[i]->text)};
    document = vote_compose(&header, relays, authority->config.identity_seed->bytes);
  }
  free(list);
  free(relays);
  return document;
}
