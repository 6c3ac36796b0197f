/* The system's socket addresses as ours, and ours as the system's.
 * Spec: none. Called by io/tcp, io/resolve and tests.
 * Never looks a name up.
 */
#ifndef TUNIC_IO_SYSTEM_ADDRESS_H
#define TUNIC_IO_SYSTEM_ADDRESS_H

#include <sys/socket.h>

#include "protocol/address.h"

/* False: a family that we don't speak. */
bool address_from_system(const struct sockaddr *, struct address *ret);
/* Returns how long it is. */
socklen_t address_to_system(const struct address *, struct sockaddr_storage *ret);

#endif
