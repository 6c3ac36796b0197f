/* Makes a network: the authorities' keys, and the one network file that they all sign.
 * Spec: specs/network-file.md, specs/key-files.md. Called by network/main.c and network/up.c.
 * Never overwrites a file. What an interrupted run left behind is used by the next.
 */
#ifndef TUNIC_NETWORK_INIT_H
#define TUNIC_NETWORK_INIT_H

#include "directory/network_file.h"
#include "io/files.h"
#include "network/nodes.h"
#include "protocol/random.h"

#define NETWORK_FILE "network"
#define NETWORK_LIFE_MS (INT64_C(366) * 24 * 60 * 60 * 1000) /* until it expires */

/* A person's wishes for the network file; names, hosts and ports of the authorities are filled in, keys are not. */
struct init_wishes {
  const char *name;
  bool is_production;
  uint32_t authority_count;
  struct network_authority authorities[LIMIT_AUTHORITIES];
};

/* Authorities a1, a2, ... at these addresses, one port after the other. */
void init_wish_authorities(struct init_wishes *, uint32_t count, const struct address *first);

/* NAME=HOST:PORT; an IPv6 address stands in brackets. Keys stay empty. */
bool init_read_authority(const char *text, size_t len, struct network_authority *ret);

/* Moves them to the addresses of a list, each keeping its port. */
enum outcome init_place_authorities(struct init_wishes *, const struct node_addresses *, struct complaint *);

/* BAD_SETTING: no network file can be made of this. Nothing is made. */
enum outcome init_check(const struct init_wishes *, struct complaint *);
/* Makes FOLDER/NAME/ with keys for each authority, and FOLDER/network. BAD_SETTING: there is a network already, or as
 * init_check. The file as everyone will read it is returned. */
enum outcome init_network(const struct folder *, const struct init_wishes *, struct date now, struct random_stream *,
                          struct network_file *ret, struct complaint *);
/* Reads FOLDER/network, or NOT_FOUND. */
enum outcome init_read_network(const char *path, struct network_file *ret, struct complaint *);

#endif
