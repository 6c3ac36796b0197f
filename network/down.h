/* Stops what `up` started in a folder, and nothing else; also after `up` itself was killed.
 * Spec: none. Called by network/main.c.
 * Never signals a process that only has the number of one that it started.
 */
#ifndef TUNIC_NETWORK_DOWN_H
#define TUNIC_NETWORK_DOWN_H

#include "io/complaint.h"
#include "protocol/outcome.h"

/* NOT_RUNNING: there is nothing to stop. */
enum outcome down_network(const char *folder, struct complaint *);

#endif
