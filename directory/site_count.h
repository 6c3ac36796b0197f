/* How many links come from each IPv6 /48, a site; and the places in it that do not count, of relays and authorities.
 * Spec: specs/limits.md [LIMIT-5]. Called by relay/keeper.c and authority_sources.c.
 * Never refuses what no site has: IPv4, and addresses that are not on the public internet.
 */
#ifndef TUNIC_DIRECTORY_SITE_COUNT_H
#define TUNIC_DIRECTORY_SITE_COUNT_H

#include "directory/consensus.h"
#include "protocol/index_map.h"

struct site_count {
  struct index_map links;  /* by the site's first bytes */
  struct index_map places; /* address_source_key of who is listed */
};

/* secret: fresh random bytes of the node; `links_most`: that there are in all. */
void site_count_init(struct site_count *, const uint8_t secret[16], uint32_t links_most);
void site_count_wipe(struct site_count *);
/* Forgets the places that it knew; without memory for new ones it keeps them. Authorities are known whose host is an address. Either may be NULL. */
void site_count_learn(struct site_count *, const struct consensus *, const struct network_file *);
/* Whether a link from there counts for its site. Constant time. */
bool site_count_applies(const struct site_count *, const struct address *);
/* For an address that it applies to. False: its site has enough links, or no memory; else the caller owes one leave. */
bool site_count_enter(struct site_count *, const struct address *);
void site_count_leave(struct site_count *, const struct address *);

#endif
