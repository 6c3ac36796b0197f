#include <stdlib.h>
#include <string.h>

#include "directory/authority_internal.h"

enum { GUARD_INTERVALS = 8, REMEMBERED_PART = 8 };
#define FORGET_AFTER (48 * HOURS)

static struct known_relay *find_relay(const struct authority *authority, const uint8_t identity[IDENTITY_BYTES]) {
  uint64_t slot;
  struct id id;
  if (!index_map_get(&authority->by_identity, get_u64(identity), &slot)) return NULL;
  return id_table_at(&authority->relays, (uint32_t)slot, &id);
}

void relays_forget(struct authority *authority, struct known_relay *relay) {
  if (relay->probe != NULL) probe_forget(authority, relay);
  relays_set_running(authority, relay, false);
  index_map_remove(&authority->by_identity, get_u64(relay->descriptor.identity));
  index_map_remove(&authority->by_digest, get_u64(relay->descriptor.digest));
  list_leave(&relay->order);
  document_release(relay->text);
  id_table_remove(&authority->relays, relay->id);
}

/* In either role: [TALLY-6] takes out both relays that have it. */
static bool has_key(const struct descriptor *descriptor, const uint8_t key[X25519_BYTES]) {
  return memcmp(descriptor->link_key, key, X25519_BYTES) == 0 || memcmp(descriptor->onion_key, key, X25519_BYTES) == 0;
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
    if (has_key(descriptor, d->link_key) || has_key(descriptor, d->onion_key)) return true;
  }
  return false;
}

/* Those that never ran before those that did, then by failures, then by when they were heard of. */
static bool is_worse(const struct known_relay *a, const struct known_relay *b) {
  if (b == NULL) return true;
  if (a->has_run != b->has_run) return !a->has_run;
  if (a->failures != b->failures) return a->failures > b->failures;
  return a->last_heard < b->last_heard;
}

/* [AUTH-14] Descriptors cost nothing: neither the table nor one place fills up with relays that never answer. */
static void make_room(struct authority *authority, const struct address *place) {
  uint32_t cursor = 0, count = 0;
  struct id id;
  struct known_relay *relay, *worst = NULL, *worst_there = NULL;
  bool is_counted = !address_is_private(place);
  while ((relay = id_table_next(&authority->relays, &cursor, &id)) != NULL) {
    if (relay->is_running) continue;
    if (is_worse(relay, worst)) worst = relay;
    if (!is_counted || relay->has_run || address_source_key(&relay->descriptor.address) != address_source_key(place)) continue;
    count++;
    if (is_worse(relay, worst_there)) worst_there = relay;
  }
  if (count >= LIMIT_NEWCOMERS_PER_ADDRESS) relays_forget(authority, worst_there);
  else if (worst != NULL && id_table_count(&authority->relays) >= LIMIT_RELAYS) relays_forget(authority, worst);
}

static struct known_relay *add_relay(struct authority *authority, instant now, const struct descriptor *descriptor) {
  struct id id;
  make_room(authority, &descriptor->address);
  struct known_relay *relay = id_table_add(&authority->relays, &id);
  if (relay == NULL) return NULL;
  relay->id = id;
  token_bucket_init(&relay->tokens, 1, LIMIT_DESCRIPTORS_AT_ONCE * LIMIT_DESCRIPTOR_GAP_S, now);
  if (index_map_put(&authority->by_identity, get_u64(descriptor->identity), id.slot)) return relay;
  id_table_remove(&authority->relays, id);
  return NULL;
}

enum outcome relays_screen(const struct authority *authority, instant now, const struct descriptor *descriptor) {
  enum outcome outcome = descriptor_check(descriptor, authority->network, wall_clock_date(&authority->clock, now));
  if (outcome != OUTCOME_OK) return outcome;
  const struct known_relay *known = find_relay(authority, descriptor->identity);
  if (known != NULL && memcmp(known->descriptor.identity, descriptor->identity, IDENTITY_BYTES) != 0) return OUTCOME_REFUSED_BY_POLICY;
  return known != NULL && descriptor->sequence <= known->descriptor.sequence ? OUTCOME_STALE : OUTCOME_OK;
}

/* [AUTH-12] Anyone can write a relay's name, but only few can write from its address. */
bool relays_is_known(const struct authority *authority, const struct descriptor *descriptor, const struct address *from) {
  const struct known_relay *relay = find_relay(authority, descriptor->identity);
  uint64_t key = address_source_key(from);
  if (relay != NULL && relay->has_run) {
    const struct address *other = &relay->descriptor.other;
    return key == relay->source || key == address_source_key(&relay->descriptor.address) ||
           (other->family != ADDRESS_NONE && key == address_source_key(other));
  }
  const struct relay_entry *entry = authority->consensus == NULL ? NULL : consensus_find(authority->consensus, descriptor->identity);
  return entry != NULL && key == address_source_key(&entry->address);
}

struct token_bucket *relays_tokens(const struct authority *authority, const struct descriptor *descriptor) {
  struct known_relay *relay = find_relay(authority, descriptor->identity);
  return relay == NULL ? NULL : &relay->tokens;
}

/* As long as it runs it stays at its address: follow_descriptor. */
void relays_set_running(struct authority *authority, struct known_relay *relay, bool is_running) {
  uint64_t key = address_source_key(&relay->descriptor.address), count = 0;
  relay->is_running = is_running;
  if (relay->has_place == is_running) return; /* without memory it has none, until its next test */
  index_map_get(&authority->running_places, key, &count);
  relay->has_place = is_running && index_map_put(&authority->running_places, key, count + 1);
  if (is_running) return;
  if (count > 1) index_map_put(&authority->running_places, key, count - 1);
  else index_map_remove(&authority->running_places, key);
}

bool relays_is_place(const struct authority *authority, const struct address *address) {
  uint64_t count;
  return index_map_get(&authority->running_places, address_source_key(address), &count);
}

/* [AUTH-3] What was tested was another place, or other keys. New onion keys come to all relays at one time: they run on, and a test under way
 * goes on, else each new descriptor would put off the verdict. */
static void follow_descriptor(struct authority *authority, struct known_relay *relay, instant now, const struct descriptor *descriptor) {
  const struct descriptor *old = &relay->descriptor;
  bool is_there = address_equal(&old->address, &descriptor->address) && memcmp(old->link_key, descriptor->link_key, X25519_BYTES) == 0;
  if (is_there && relay->is_running) {
    relay->is_renewed = true;
    return;
  }
  if (relay->probe != NULL) probe_drop(authority, relay, now);
  authority->running_changed = authority->running_changed || relay->is_running;
  relays_set_running(authority, relay, false);
}

enum outcome relays_take_descriptor(struct authority *authority, instant now, struct document *text, const struct descriptor *descriptor,
                                    const struct address *from) {
  enum outcome outcome = relays_screen(authority, now, descriptor); /* once more: another may have come while it waited */
  if (outcome == OUTCOME_OK && is_taken(authority, descriptor)) outcome = OUTCOME_REFUSED_BY_POLICY;
  if (outcome != OUTCOME_OK) return outcome;
  struct known_relay *relay = find_relay(authority, descriptor->identity);
  if (relay != NULL) follow_descriptor(authority, relay, now, descriptor);
  else relay = add_relay(authority, now, descriptor);
  if (relay == NULL) return OUTCOME_LIMIT_REACHED;
  document_release(relay->text);
  index_map_remove(&authority->by_digest, get_u64(relay->descriptor.digest));
  index_map_put(&authority->by_digest, get_u64(descriptor->digest), relay->id.slot);
  relay->text = document_take(text);
  relay->descriptor = *descriptor;
  relay->source = address_source_key(from);
  relay->last_heard = now;
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

static uint64_t stable_time(const struct authority *authority) {
  return GUARD_INTERVALS * (uint64_t)authority->network->timing.interval * MILLISECONDS;
}

/* One that handed its descriptor in meanwhile is tested like any other. */
static void remember_one(struct authority *authority, instant now, const struct vote_relay *seen) {
  struct descriptor descriptor;
  if (find_relay(authority, seen->identity) != NULL) return;
  struct document *text = document_new(seen->descriptor, seen->descriptor_len);
  bool taken = text != NULL && descriptor_read(authority->network->id, seen->descriptor, seen->descriptor_len, &descriptor, NULL) == OUTCOME_OK &&
               relays_take_descriptor(authority, now, text, &descriptor, &descriptor.address) == OUTCOME_OK;
  document_release(text);
  struct known_relay *relay = taken ? find_relay(authority, seen->identity) : NULL;
  if (relay == NULL) return;
  relay->has_run = true;
  relays_set_running(authority, relay, (seen->flags & RELAY_RUNNING) != 0);
  relay->running_since = now;
  relay->ran_before = seen->flags & RELAY_GUARD ? stable_time(authority) : 0;
  uint64_t soon = (uint64_t)authority->network->timing.probe_interval * MILLISECONDS / REMEMBERED_PART;
  probe_plan(authority, relay, instant_after(now, random_below(&authority->random, soon + 1)));
}

/* NULL: none of these is ours. */
static struct vote *find_last(const struct authority *authority) {
  const struct vote_known all = {epoch_was_verified, NULL};
  struct vote *last = NULL;
  for (uint32_t i = 0; i < AUTHORITY_VOTE_FILES; i++) {
    enum outcome outcome;
    struct document *text = authority->stored[i];
    struct vote *vote = text == NULL ? NULL : vote_parse(authority->network, text, &all, &outcome, NULL);
    if (vote == NULL) continue;
    const struct vote_header *header = vote_header(vote);
    bool is_ours = memcmp(header->authority, authority->config.self->identity, IDENTITY_BYTES) == 0;
    bool is_later = last == NULL || date_compare(header->date, vote_header(last)->date) > 0;
    vote_free(is_ours && is_later ? last : vote);
    if (is_ours && is_later) last = vote;
  }
  return last;
}

void relays_remember(struct authority *authority, instant now) {
  struct vote *vote = find_last(authority);
  if (vote == NULL) return;
  struct date date = wall_clock_date(&authority->clock, now);
  bool is_recent = date_compare(date, date_after(vote_header(vote)->date, authority->network->timing.valid)) < 0;
  for (uint32_t i = 0; is_recent && i < vote_count(vote); i++) remember_one(authority, now, vote_at(vote, i));
  vote_free(vote);
}

/* [AUTH-5] */
static uint8_t flags_of(const struct authority *authority, const struct known_relay *relay, instant now) {
  struct exit_summary summary;
  uint8_t flags = RELAY_VALID;
  if (!relay->is_running) return flags;
  flags |= RELAY_RUNNING;
  if (exit_policy_summarise(&relay->descriptor.policy, &summary)) flags |= RELAY_EXIT;
  if (authority->network->is_lab || now - relay->running_since + relay->ran_before >= stable_time(authority)) flags |= RELAY_GUARD;
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
