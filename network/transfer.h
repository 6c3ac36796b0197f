/* A real transfer through the client's proxy: to a listener of our own and back, every byte compared.
 * Spec: none (SOCKS5 is RFC 1928). Called by network/up.c, once the client says that it is ready.
 * Never leaves the machine, never waits without end, never leaves anything open.
 */
#ifndef TUNIC_NETWORK_TRANSFER_H
#define TUNIC_NETWORK_TRANSFER_H

#include "io/complaint.h"
#include "protocol/address.h"
#include "protocol/outcome.h"
#include "protocol/random.h"

/* OK, or what the proxy or the network made of it; TIMED_OUT, SHUTTING_DOWN if interrupted. */
enum outcome transfer_try(const struct address *socks, struct random_stream *, int interrupt, struct complaint *);

#endif
