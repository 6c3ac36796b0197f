/* Why a node's process ended: its exit code as an outcome, and the last words of its log.
 * Spec: specs/outcomes.md [OUT-3]. Called by network/up.c.
 * Never restarts anything.
 */
#ifndef TUNIC_NETWORK_FAILURE_H
#define TUNIC_NETWORK_FAILURE_H

#include "network/process.h"

/* OK: all of them run. Else the outcome with which the first that ended did, and who it was. exec_prefix: what they were started
 * behind, which may be what failed; NULL: nothing. */
enum outcome failure_find_ended(struct process_list *, const char *folder, const char *exec_prefix, struct complaint *);

#endif
