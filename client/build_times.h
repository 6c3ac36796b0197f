/* How long circuits take to build here, and after how long a build is given up.
 * Spec: specs/paths.md [BUILD-3]. Called by circuit_build.c and circuit_pool.c.
 * Learns from circuits that were built. Never keeps more than the last hundred.
 */
#ifndef TUNIC_CLIENT_BUILD_TIMES_H
#define TUNIC_CLIENT_BUILD_TIMES_H

#include "protocol/instant.h"

enum { BUILD_TIMES_KEPT = 100, BUILD_TIMES_RECENT = 16 };

struct build_times { uint32_t count, next; uint64_t times[BUILD_TIMES_KEPT]; }; /* zeroed: none yet */

void build_times_note(struct build_times *, uint64_t took);
/* The middle one of the last 16; 0: none yet. */
uint64_t build_times_recent(const struct build_times *);
uint64_t build_times_timeout(const struct build_times *);

#endif
