/* Warns in the log before something with a date runs out: 30, 7 and 1 days before, and when it has, once each.
 * Spec: specs/outcomes.md [OUT-7]. Called by fetch, for the network file.
 * Never asks a clock.
 */
#ifndef TUNIC_DIRECTORY_EXPIRY_H
#define TUNIC_DIRECTORY_EXPIRY_H

#include "protocol/instant.h"
#include "protocol/trace.h"

struct expiry_warning { bool is_set; struct date expires; uint32_t told; }; /* zeroed at first */

/* To be called now and then; `what` and `advice` make the line. A new date begins anew. */
void expiry_warn(struct expiry_warning *, const struct trace *, const char *what, struct date expires, struct date now, const char *advice);

#endif
