/* Warns in the log before something with a date runs out: 30, 7 and 1 days before, and when it has, once each.
 * Spec: specs/outcomes.md [OUT-7]. Called by fetch, for the network file, and by a relay's keeper, for its signing key.
 * Never asks a clock.
 */
#ifndef TUNIC_DIRECTORY_EXPIRY_H
#define TUNIC_DIRECTORY_EXPIRY_H

#include "protocol/instant.h"
#include "protocol/trace.h"

struct expiry_warning { bool is_set; struct date expires; uint32_t told; }; /* zeroed at first */

/* To be called now and then; `what` and `advice` make the line. A new date begins anew. first_days: the first warning comes so many
 * days before, at most 30. */
void expiry_warn(struct expiry_warning *, const struct trace *, const char *what, uint32_t first_days, struct date expires, struct date now,
                 const char *advice);

#endif
