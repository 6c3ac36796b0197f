/* A node's status as JSON, for the control socket: what `tunic status` and scripts read.
 * Spec: specs/outcomes.md [OUT-5]. Called by io/control_socket.
 * Never adds what is not in struct status.
 */
#ifndef TUNIC_IO_STATUS_JSON_H
#define TUNIC_IO_STATUS_JSON_H

#include <jansson.h>

#include "protocol/status.h"

/* Readiness, cause and progress: role, ready, cause {name, text, advice}, stage, stages, stage_text. NULL: no memory. */
json_t *status_json_progress(const struct status *);
/* The same and figures {name: number}, texts [{name, value}], expiries {name: date}. */
json_t *status_json(const struct status *);

#endif
