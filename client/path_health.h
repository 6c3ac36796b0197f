/* Circuits that died after they were built, counted for each relay that stood first or second on them.
 * Spec: specs/paths.md [BUILD-6]. Called by circuit.c and circuit_pool.c.
 * A relay that breaks circuits whose other end it does not own shows here: as a middle it is left out for a while, as a
 * guard it is only named to the person, since leaving it would be what the breaking is for. Bounded; forgets the oldest.
 */
#ifndef TUNIC_CLIENT_PATH_HEALTH_H
#define TUNIC_CLIENT_PATH_HEALTH_H

#include "client/path.h"

enum { PATH_HEALTH_RELAYS = 64 };

struct relay_health { uint8_t identity[IDENTITY_BYTES]; uint32_t built, died; instant noted_at, avoid_until; };
struct path_health { uint32_t count; struct relay_health relays[PATH_HEALTH_RELAYS]; };

void path_health_built(struct path_health *, instant now, const uint8_t identity[IDENTITY_BYTES]);
/* True once, when it became worth a warning. */
bool path_health_died(struct path_health *, instant now, const uint8_t identity[IDENTITY_BYTES]);
/* Middles to be left out now. */
void path_health_avoided(const struct path_health *, instant now, struct path_avoided *ret);

#endif
