/* Starts a whole network on this machine and waits until it carries traffic.
 * Spec: none. Called by network/main.c.
 * Whatever this run started is stopped again if it fails or is interrupted; what ran before is not touched.
 */
#ifndef TUNIC_NETWORK_UP_H
#define TUNIC_NETWORK_UP_H

#include "io/complaint.h"
#include "io/files.h"
#include "network/init.h"
#include "network/nodes.h"

enum { UP_PORT_BASE = 9300, UP_SOCKS_PORT = 9150, UP_WAIT_MS = 180 * 1000 };

struct up_wishes {
  const char *folder;
  struct init_wishes init;       /* for a network that is not made yet; its authorities are `authorities` many */
  uint32_t authorities;          /* 0: as many as the network file has, or 4 */
  uint32_t relays, exits, clients;
  uint16_t port_base;
  struct address socks;
  const char *addresses_path;    /* NULL: all on 127.0.0.1 */
  const char *exec_prefix;       /* NULL: each program as it is */
  const char *shards, *memory;   /* of each relay, handed on; NULL: the relay's own default, which is for a machine of its own */
  const char *aead, *log_level;  /* handed on; NULL: the programs' own defaults */
  bool is_named;                 /* init.name was asked for: a network that is made already must have it */
  bool no_wait;
};

/* Progress goes to standard output. */
enum outcome up_network(const struct up_wishes *, int interrupt, struct complaint *);

#endif
