/* A client, a few relays and a web server in the simulator, on a consensus that is made here and handed in.
 * Spec: none. Called by this folder's tests.
 * The relays are real shards without a keeper: they hold the consensus that they are told; nobody votes.
 */
#ifndef TUNIC_TESTS_UNIT_CLIENT_SMALL_NETWORK_H
#define TUNIC_TESTS_UNIT_CLIENT_SMALL_NETWORK_H

#include "client/client.h"
#include "relay/shard.h"
#include "tests/sim/apps.h"
#include "tests/sim/sim.h"
#include "tests/unit/client/peer.h"

enum { SMALL_RELAYS_MAX = 8, PROXY_PORT = 9050, RELAY_PORT = 9001, WEB_PORT = 80, PEER_PORT = 7, SOLE_PORT = 5000 };

struct small_relay {
  struct sim_host *host;
  struct shard *shard;
  struct link_self self;
  struct onion_key onion;
  struct exit_policy policy;
  uint8_t flags;
  char name[16];
};

struct small_network {
  struct sim sim;
  struct network_file file;
  uint8_t authority_seed[ED25519_SEED_BYTES];
  struct network_chain *networks;
  struct memory_budget budget, client_budget;
  struct small_relay relays[SMALL_RELAYS_MAX];
  uint32_t relay_count;
  struct consensus *consensus;
  struct link_self client_self;
  struct sim_host *client_host, *web_host, *app_host, *peer_host;
  struct client *client;
  struct web *web;
  struct fetcher *fetcher;
  struct peer *app, *peer; /* scripted: on the application's host; on "peer", port 7 */
  uint32_t app_machine;
};

struct small_options {
  uint64_t seed, delay;     /* delay: of each host, to the core; 0: 5 ms */
  const char *relays;       /* one letter each: g guard, m middle, x exit, a guard and exit, s sole exit for SOLE_PORT; NULL: "ggmmxx" */
  uint32_t pool_cells;      /* of the client; 0: 16384 */
  bool isolate_destinations;
};

void small_network_init(struct small_network *, const struct small_options *);
void small_network_wipe(struct small_network *);
/* Until the client is ready; false: it did not become so in a virtual minute. */
bool small_network_wait_ready(struct small_network *);
/* Until every fetch is done; false: not within so many virtual seconds. */
bool small_network_wait_fetches(struct small_network *, uint64_t seconds);
uint32_t small_network_fetch(struct small_network *, const char *user, const char *host, uint64_t bytes, bool early, uint64_t limit);
/* A consensus of that epoch, from now on, by this file and the authority of this seed; each differs. The caller's. */
struct consensus *small_network_consensus(struct small_network *, uint64_t epoch, const struct network_file *, const uint8_t seed[ED25519_SEED_BYTES]);
/* The relay holds it from now on. */
void small_network_tell(struct small_network *, uint32_t relay, struct consensus *);
/* A scripted application that sends these bytes to the proxy. */
uint32_t small_network_app(struct small_network *, const void *bytes, size_t len);
uint64_t small_network_figure(const struct small_network *, const char *name);
void small_network_status(const struct small_network *, struct status *ret);

#endif
