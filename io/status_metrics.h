/* A node's status in the Prometheus text exposition format, 0.0.4: what `tunic status --metrics` prints.
 * Spec: specs/outcomes.md [OUT-9]. Called by client/main.c with a status that came as JSON.
 * Knows of each figure whether it counts or measures; what it does not know is shown all the same, untyped.
 */
#ifndef TUNIC_IO_STATUS_METRICS_H
#define TUNIC_IO_STATUS_METRICS_H

#include <jansson.h>
#include <stdio.h>

/* `folder` tells the nodes of a machine apart: a label of every sample. status NULL: the node does not answer. */
void status_metrics_write(const json_t *status, const char *folder, FILE *);

#endif
