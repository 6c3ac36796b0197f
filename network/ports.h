/* Whether the addresses that nodes will listen on are free, and who sits on one that is not.
 * Spec: none. Called by network/up.c before it starts anything.
 * Never keeps a port, never touches the program that holds it.
 */
#ifndef TUNIC_NETWORK_PORTS_H
#define TUNIC_NETWORK_PORTS_H

#include "network/nodes.h"

/* PORT_TAKEN or SYSTEM_FAILED with the node, the address and, where the system tells, the program that listens there. */
enum outcome ports_check(const struct node_list *, struct complaint *);

#endif
