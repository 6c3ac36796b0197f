/* A whole network in the simulator: authorities, relays, exits, clients, a web server, applications.
 * Spec: specs/simulator.md. Called by scenarios and by `make sim SEED=n`.
 * Nodes start as the programs start them: from a network file, keys and what their files hold.
 */
#ifndef TUNIC_TESTS_SIM_NETWORK_H
#define TUNIC_TESTS_SIM_NETWORK_H

#include "client/client.h"
#include "directory/authority.h"
#include "directory/network_file.h"
#include "protocol/status.h"
#include "relay/keeper.h"
#include "relay/shard.h"
#include "tests/sim/apps.h"
#include "tests/sim/sim.h"

enum { NETWORK_PORT = 9300, NETWORK_SOCKS_PORT = 9150, NETWORK_WEB_PORT = 80 };

enum node_role { NODE_AUTHORITY, NODE_RELAY, NODE_EXIT, NODE_CLIENT, NODE_WEB, NODE_APP };

/* One node: its keys for good, and the machines of this run of it. */
struct node {
  struct list_node list;
  struct network *network;
  struct sim_host *host;
  enum node_role role;
  uint32_t index;          /* among its role */
  uint8_t identity_seed[32];
  struct guarded_key *identity_key, *link_key, *signing_key;
  struct network_chain *networks; /* of this run of it */
  struct document *given;         /* the network file it is started with; NULL: the network's first */
  struct link_self self;
  struct descriptor *descriptor;
  struct exit_policy policy;
  struct memory_budget budget;
  uint32_t pool_cells;
  struct authority *authority;
  struct keeper *keeper;
  struct shard *shards[4];
  uint32_t shard_count;
  struct client *client;
  struct web *web;
  struct fetcher *fetcher;
  struct liar *liar;              /* an authority that lies (liar.h); NULL: it is honest */
};

struct network_options {
  uint32_t authorities, relays, exits, clients, shards;
  uint64_t delay;          /* of each host, one way to the core */
  uint64_t bytes_per_s;    /* of each host; 0: no limit */
  uint32_t pool_cells;     /* of each relay's shard; 0: 4096 */
  const struct network_timing *timing; /* NULL: a lab's */
  bool is_fast;            /* the fastest ciphers of this machine; otherwise ChaCha20-Poly1305 of libsodium, the same everywhere */
  bool is_public;          /* no lab: public addresses, each host in a neighbourhood of its own */
  int64_t later_ms;        /* the wall clocks at the start: so much after 2026-01-01 */
};

struct network {
  struct sim sim;
  struct network_options options;
  struct network_file file;
  struct document *file_text;
  struct list nodes;
  uint64_t asked; /* how often readiness was asked for */
  struct witness *witness; /* of what honest authorities say (liar.h); NULL: nobody listens */
};

/* One more node with keys of its own, not started. */
struct node *network_add_node(struct network *, enum node_role, const char *prefix, uint32_t index);
/* Everything is made and started; network_is_consistent is the invariant until another is set. */
void network_init(struct network *, uint64_t seed, const struct network_options *);
void network_wipe(struct network *);
/* One relay more, made and started now. */
struct node *network_add_relay(struct network *, uint32_t index);
struct node *network_node(const struct network *, const char *name); /* a1, r1, x1, c1, web, app1 */
/* kill -9, then a start from what its files hold. */
void network_kill(struct node *);
void network_start(struct node *);
/* Runs until every client is ready; false if that took longer than `within`. */
bool network_run_until_ready(struct network *, uint64_t within);
/* Begins a fetch by the application of client `index` (from 1) and pokes it; returns its number. */
uint32_t network_fetch(struct network *, uint32_t index, const char *user, uint64_t bytes, bool early);
bool network_run_until_fetched(struct network *, uint64_t within);
bool network_client_is_ready(const struct node *);
/* What each node says of itself. */
void network_print_status(const struct network *);
/* Counts agree with what is there. */
bool network_is_consistent(struct sim *, struct sim_host *);

#endif
