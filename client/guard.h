/* The guards of a client: a small sample in a lasting order, whose first that can be reached is used.
 * Spec: specs/paths.md [GUARD-*]. Called by client.c (new consensus), guard_link.c (reached, failed), circuit_pool.c.
 * Dates are those of the consensus, never of this machine's clock. Never hears of circuits, streams or fetches: what
 * happens to them can't change the sample.
 */
#ifndef TUNIC_CLIENT_GUARD_H
#define TUNIC_CLIENT_GUARD_H

#include "directory/consensus.h"
#include "protocol/random.h"

enum {
  GUARD_LISTED = 3,      /* so many that the consensus lists as guards */
  GUARD_SAMPLE_MOST = 8, /* with those that it does not list at present */
};

struct guard {
  uint8_t identity[IDENTITY_BYTES];
  struct date added, expires;
  struct date unlisted; /* since when; 0: listed */
  /* not saved */
  uint32_t failures; /* connections that failed, in a row */
  instant retry_at;
};

struct guard_sample { uint32_t count; struct guard guards[GUARD_SAMPLE_MOST]; };

/* [GUARD-2] A newer consensus: drops, marks and adds guards. True if there is something to save. */
bool guard_sample_update(struct guard_sample *, const struct consensus *, struct random_stream *);
/* The first in order that is listed and may be tried now, from place `from` on; -1: none. */
int guard_sample_next(const struct guard_sample *, instant now, int from);
/* When one that is listed may be tried again, at the earliest; INSTANT_NEVER: none waits. */
instant guard_sample_retry_at(const struct guard_sample *, instant now);
int guard_sample_find(const struct guard_sample *, const uint8_t identity[IDENTITY_BYTES]); /* -1: not there */
/* [GUARD-4] The connection to it could not be made, or its handshake failed. */
void guard_failed(struct guard *, instant now, struct random_stream *);
void guard_reached(struct guard *);

#endif
