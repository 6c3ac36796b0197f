#include "directory/site_count.h"

#include <string.h>

#include "protocol/limits.h"
#include "protocol/message.h"

enum { ADDRESSES_PER_RELAY = 2, PLACES_MOST = ADDRESSES_PER_RELAY * LIMIT_RELAYS + LIMIT_AUTHORITIES };

void site_count_init(struct site_count *sites, const uint8_t secret[16], uint32_t links_most) {
  index_map_init(&sites->links, secret, links_most);
  index_map_init(&sites->places, secret, PLACES_MOST);
}

void site_count_wipe(struct site_count *sites) {
  index_map_wipe(&sites->links);
  index_map_wipe(&sites->places);
}

static bool put_place(struct index_map *places, const struct address *address) {
  return address->family != ADDRESS_IPV6 || index_map_put(places, address_source_key(address), 1);
}

void site_count_learn(struct site_count *sites, const struct consensus *consensus, const struct network_file *network) {
  struct address address;
  struct index_map places;
  bool has_memory = true;
  index_map_init(&places, sites->links.secret, PLACES_MOST);
  for (uint32_t i = 0; consensus != NULL && i < consensus_count(consensus); i++) {
    const struct relay_entry *entry = consensus_at(consensus, i);
    has_memory = has_memory && put_place(&places, &entry->address) && put_place(&places, &entry->other);
  }
  for (uint32_t i = 0; network != NULL && i < network->authority_count; i++) {
    const char *host = network->authorities[i].host;
    if (address_parse_host(host, strlen(host), &address)) has_memory = has_memory && put_place(&places, &address);
  }
  index_map_wipe(has_memory ? &sites->places : &places);
  if (has_memory) sites->places = places;
}

bool site_count_applies(const struct site_count *sites, const struct address *address) {
  uint64_t value;
  return address->family == ADDRESS_IPV6 && !address_is_private(address) && !index_map_get(&sites->places, address_source_key(address), &value);
}

static uint64_t site_key(const struct address *address) { return get_u64(address->bytes) >> 16; }

bool site_count_enter(struct site_count *sites, const struct address *address) {
  uint64_t count = 0;
  index_map_get(&sites->links, site_key(address), &count);
  return count < LIMIT_LINKS_PER_SITE && index_map_put(&sites->links, site_key(address), count + 1);
}

void site_count_leave(struct site_count *sites, const struct address *address) {
  uint64_t count = 0;
  if (!index_map_get(&sites->links, site_key(address), &count)) return;
  if (count <= 1) index_map_remove(&sites->links, site_key(address));
  else index_map_put(&sites->links, site_key(address), count - 1);
}
