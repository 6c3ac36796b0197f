/* What people ask of a network that is up: how each node is, and whether traffic can pass.
 * Spec: specs/outcomes.md [OUT-3], [OUT-5]. Called by network/main.c.
 * Never starts or stops anything.
 */
#ifndef TUNIC_NETWORK_STATUS_H
#define TUNIC_NETWORK_STATUS_H

#include <stdint.h>

#include "io/complaint.h"
#include "protocol/outcome.h"

/* A table on standard output: node, role, process, readiness, cause. OK if all are ready, else the first cause. */
enum outcome status_show(const char *folder, struct complaint *);
/* Until the first client can carry traffic: OK, or after wait_ms the cause why it can't. */
enum outcome status_wait(const char *folder, uint64_t wait_ms, int interrupt, struct complaint *);

#endif
