/* The nodes of a network on one machine: their names, roles and addresses, from the numbers a person gives.
 * Spec: none. Called by network/up.c, init.c and status.c.
 * Never starts anything, never touches a socket.
 */
#ifndef TUNIC_NETWORK_NODES_H
#define TUNIC_NETWORK_NODES_H

#include "directory/network_file.h"
#include "io/complaint.h"

enum { NODE_NAME_BYTES = 20, NODES_MAX = 1024 };

enum node_role { NODE_AUTHORITY, NODE_RELAY, NODE_EXIT, NODE_CLIENT };
enum { NODE_ROLES = 4 };

struct node {
  char name[NODE_NAME_BYTES]; /* a1, r1, x1, c1 */
  enum node_role role;
  struct address address;     /* where it listens; for a client its SOCKS proxy */
};

struct node_list { uint32_t count; struct node nodes[NODES_MAX]; };

/* `NAME IP` a line: which address a node listens on. */
struct node_addresses { uint32_t count; struct { char name[NODE_NAME_BYTES]; struct address address; } list[NODES_MAX]; };

/* "authority", "relay", "exit", "client"; and the letter that their names begin with. */
const char *node_role_name(enum node_role);
char node_role_letter(enum node_role);

/* Reads a file of addresses. The list is the caller's, who frees it. */
enum outcome node_addresses_read(const char *path, struct node_addresses *ret, struct complaint *);
/* The node's address, with port 0; 127.0.0.1 if there is no list (NULL). False: a list, but not with this name. */
bool node_addresses_find(const struct node_addresses *, const char *name, struct address *ret);

struct node_numbers {
  uint32_t relays, exits, clients;
  uint16_t port_base;      /* of the first; each further node listens one higher */
  struct address socks;    /* of the first client; each further one is one port higher */
  const struct node_addresses *addresses; /* NULL: all on 127.0.0.1 */
};

/* The network file's authorities first, then relays, exits, clients. BAD_SETTING: a number or port out of range, a name
 * without an address, an authority whose host is a name. */
enum outcome node_list_make(const struct network_file *, const struct node_numbers *, struct node_list *ret, struct complaint *);

#endif
