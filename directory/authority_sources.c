#include <string.h>

#include "directory/authority_internal.h"

static void allowance_init(struct allowance *allowance, instant now) {
  /* Tokens are seconds: a descriptor costs the gap between two. */
  token_bucket_init(&allowance->descriptors, 1, LIMIT_DESCRIPTORS_AT_ONCE * LIMIT_DESCRIPTOR_GAP_S, now);
  token_bucket_init(&allowance->bytes, LIMIT_SERVED_PER_ADDRESS, LIMIT_SERVED_PER_ADDRESS_AT_ONCE, now);
}

void sources_init(struct authority *authority, const uint8_t secret[16], instant now) {
  enum { SECONDS_AT_ONCE = LIMIT_SERVED_SECONDS_AT_ONCE };
  id_table_init(&authority->sources, sizeof(struct source), LIMIT_SOURCES);
  index_map_init(&authority->by_source, secret, LIMIT_SOURCES);
  site_count_init(&authority->sites, secret, AUTHORITY_VISITORS_MAX);
  index_map_init(&authority->running_places, secret, LIMIT_RELAYS);
  list_init(&authority->idle_sources);
  token_bucket_init(&authority->newcomers, LIMIT_NEWCOMERS_PER_SECOND, LIMIT_NEWCOMERS_AT_ONCE, now);
  token_bucket_init(&authority->served_relays, LIMIT_SERVED_TO_RELAYS, (uint64_t)LIMIT_SERVED_TO_RELAYS * SECONDS_AT_ONCE, now);
  token_bucket_init(&authority->served_others, LIMIT_SERVED_TO_OTHERS, (uint64_t)LIMIT_SERVED_TO_OTHERS * SECONDS_AT_ONCE, now);
}

void sources_wipe(struct authority *authority) {
  id_table_wipe(&authority->sources);
  index_map_wipe(&authority->by_source);
  site_count_wipe(&authority->sites);
  index_map_wipe(&authority->running_places);
}

static void forget(struct authority *authority, struct source *source) {
  list_leave(&source->idle);
  index_map_remove(&authority->by_source, source->key);
  id_table_remove(&authority->sources, source->id);
}

static bool is_rested(const struct source *source, instant now) {
  const struct token_bucket *descriptors = &source->allowance.descriptors, *bytes = &source->allowance.bytes;
  return token_bucket_ready(descriptors, now, descriptors->burst) <= now && token_bucket_ready(bytes, now, bytes->burst) <= now;
}

/* Who has all its allowance again needs no memory; in a crowd, nor does who has been gone longest. Two for each that comes. */
static void make_room(struct authority *authority, instant now) {
  for (int i = 0; i < 2; i++) {
    struct list_node *first = list_first(&authority->idle_sources);
    if (first == NULL) return;
    struct source *source = LIST_OBJECT(first, struct source, idle);
    if (!is_rested(source, now) && id_table_count(&authority->sources) < LIMIT_SOURCES) return;
    forget(authority, source);
  }
}

static struct source *find_or_add(struct authority *authority, uint64_t key, instant now) {
  uint64_t slot;
  struct id id;
  if (index_map_get(&authority->by_source, key, &slot)) return id_table_at(&authority->sources, (uint32_t)slot, &id);
  make_room(authority, now);
  struct source *source = id_table_add(&authority->sources, &id);
  if (source == NULL) return NULL;
  source->id = id;
  source->key = key;
  allowance_init(&source->allowance, now);
  if (index_map_put(&authority->by_source, key, id.slot)) return source;
  id_table_remove(&authority->sources, id);
  return NULL;
}

static bool is_authority_place(const struct authority *authority, const struct address *address) {
  uint64_t key = address_source_key(address);
  for (uint32_t i = 0; i < LIMIT_AUTHORITIES; i++)
    if (authority->peers[i].place == key) return true;
  return false;
}

/* [LIMIT-5] Relays that no consensus lists yet, and authorities, do not depend on their neighbours either. */
static bool counts_for_site(const struct authority *authority, const struct address *address) {
  return site_count_applies(&authority->sites, address) && !relays_is_place(authority, address) && !is_authority_place(authority, address);
}

static bool enter_source(struct authority *authority, struct authority_link *link, instant now) {
  bool is_private = address_is_private(&link->address);
  if (is_private && authority->network->is_lab) {
    allowance_init(&link->allowance, now);
    return true;
  }
  struct source *source = find_or_add(authority, address_source_key(&link->address), now);
  /* [LIMIT-5] */
  if (source == NULL || (!is_private && source->links >= LIMIT_LINKS_PER_ADDRESS)) return false;
  source->links++;
  list_leave(&source->idle);
  link->source = source->id;
  return true;
}

static void leave_site(struct authority *authority, struct authority_link *link) {
  if (link->is_of_site) site_count_leave(&authority->sites, &link->address);
  link->is_of_site = false;
}

/* The site comes first: who is refused for it takes no source's memory. */
bool source_enter(struct authority *authority, struct authority_link *link, instant now) {
  bool counts = counts_for_site(authority, &link->address);
  if (counts && !site_count_enter(&authority->sites, &link->address)) return false;
  link->is_of_site = counts;
  if (enter_source(authority, link, now)) return true;
  leave_site(authority, link);
  return false;
}

void source_leave(struct authority *authority, struct authority_link *link) {
  struct source *source = source_of(authority, link);
  leave_site(authority, link);
  if (source == NULL) return;
  link->source = ID_NONE;
  if (--source->links == 0) list_append(&authority->idle_sources, &source->idle);
}

struct source *source_of(const struct authority *authority, const struct authority_link *link) {
  return id_table_get(&authority->sources, link->source);
}

struct allowance *source_allowance(const struct authority *authority, struct authority_link *link) {
  struct source *source = source_of(authority, link);
  return source == NULL ? &link->allowance : &source->allowance;
}

/* [AUTH-13] */
bool source_may_fetch(struct authority *authority, struct authority_link *link, instant now, size_t len) {
  if (link->member >= 0) return true;
  if (link->share == SHARE_UNKNOWN) link->share = relays_is_place(authority, &link->address) ? SHARE_RELAYS : SHARE_OTHERS;
  struct token_bucket *all = link->share == SHARE_RELAYS ? &authority->served_relays : &authority->served_others;
  struct token_bucket *own = &source_allowance(authority, link)->bytes;
  bool may = token_bucket_ready(own, now, len) <= now && token_bucket_take(all, now, len);
  if (may) token_bucket_take(own, now, len);
  if (may) authority->document_bytes_served += len;
  authority->documents_too_busy += !may;
  return may;
}
