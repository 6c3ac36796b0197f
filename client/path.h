/* Choosing relays: the exit first, then the middle, around a guard that is given.
 * Spec: specs/paths.md [PATH-*]. Called by circuit_pool.c; guard.c draws its guards with the same rule.
 * Bounded: a few draws by weight, then one walk over the list. Never remembers anything but in its caller's hands, never looks at the clock.
 */
#ifndef TUNIC_CLIENT_PATH_H
#define TUNIC_CLIENT_PATH_H

#include "directory/consensus.h"
#include "protocol/random.h"

enum { PATH_HOPS = LIMIT_EXIT_PLACE + 1, PATH_AVOIDED_MAX = 8, PATH_PORTS_KNOWN = 8 };

/* Relays by identity that must not be chosen. */
struct path_avoided { uint32_t count; uint8_t identities[PATH_AVOIDED_MAX][IDENTITY_BYTES]; };

struct path_request {
  const struct relay_entry *guard;
  uint16_t port;   /* that the exit must allow; 0: any, for a lookup or a spare circuit */
  bool is_private; /* the destination is a literal address that is not on the public internet */
  bool is_lab;     /* [PATH-4] neighbourhoods may repeat */
  const struct path_avoided *exits, *middles; /* NULL: none */
};

struct path { const struct relay_entry *hops[PATH_HOPS]; }; /* of the consensus, by place */

/* OK, NO_EXIT_FOR_PORT (whatever the guard), or NOT_ENOUGH_RELAYS (with this guard). */
enum outcome path_choose(const struct consensus *, struct random_stream *, const struct path_request *, struct path *ret);

/* Answers about one consensus, so that the list is walked once for a port and not for every circuit. Zeroed: none. */
struct path_ports {
  uint8_t consensus[DIGEST_BYTES];
  uint32_t asked; /* the oldest answer makes room */
  struct { uint16_t port; bool is_private, is_common; } known[PATH_PORTS_KNOWN];
};
/* [PATH-6] Exits with at least half of the weight allow this port (0: any), or private addresses. */
bool path_port_is_common(struct path_ports *, const struct consensus *, uint16_t port, bool is_private);

/* True if one path may not have both. */
bool path_conflict(const struct relay_entry *, const struct relay_entry *, bool is_lab);
bool path_avoids(const struct path_avoided *, const uint8_t identity[IDENTITY_BYTES]);

/* [PATH-2] One relay for a position by its weight, among those that `allows` says yes to. NULL: none. */
typedef bool path_filter(const void *context, const struct relay_entry *);
const struct relay_entry *path_pick(const struct consensus *, struct random_stream *, enum path_position, path_filter *allows,
                                    const void *context);

#endif
