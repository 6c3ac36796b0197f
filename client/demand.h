/* What circuits will be asked for next: ports used lately, and how often a fresh circuit was needed.
 * Spec: specs/paths.md [BUILD-1]. Called by circuit_pool.c.
 * Never remembers a destination: a port and when it was last used, for an hour.
 */
#ifndef TUNIC_CLIENT_DEMAND_H
#define TUNIC_CLIENT_DEMAND_H

#include "protocol/instant.h"

enum { DEMAND_PORTS = 6, SPARE_LEAST = 3, SPARE_MOST = 12 };

struct demand {
  struct { uint16_t port; instant used_at; } ports[DEMAND_PORTS]; /* port 0: free */
  uint32_t claims, claims_before; /* fresh circuits taken in this minute, and in the one before */
  instant minute_at;
};

/* As if the web had just been used. */
void demand_init(struct demand *, instant now);
void demand_note_port(struct demand *, instant now, uint16_t port);
void demand_note_claim(struct demand *, instant now);
/* How many fresh circuits should stand ready. */
uint32_t demand_spares(const struct demand *, instant now);
/* The next port used lately, from *cursor (0 at first) on; 0: no more. */
uint16_t demand_next_port(const struct demand *, instant now, uint32_t *cursor);

#endif
