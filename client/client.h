/* A client: a SOCKS proxy's applications on one side, circuits over one guard on the other.
 * Spec: specs/socks.md, specs/paths.md, specs/circuits.md, specs/streams.md. Driven by io/driver or the simulator
 * through its verbs: SOCKS connections are accepted with CONNECTION_SOCKS.
 * Writes three files: "state" (secret; its guards), "consensus" and "network" (texts, to start from next time).
 * Never resolves a destination's name, never connects to one: only relays and authorities.
 */
#ifndef TUNIC_CLIENT_CLIENT_H
#define TUNIC_CLIENT_CLIENT_H

#include "directory/network_chain.h"
#include "protocol/machine.h"
#include "protocol/memory_budget.h"
#include "protocol/trace.h"

struct client;

/* What a client is made with. Pointers are kept and must outlive it, but for the state's text; the seed is copied. */
struct client_config {
  const struct link_self *self; /* link_secret: NULL */
  struct network_chain *networks; /* new serials are added to it */
  struct memory_budget *budget;
  uint32_t pool_cells;
  uint8_t seed[RANDOM_SEED_BYTES];
  const struct trace *trace;
  const char *state; /* what the file "state" holds; NULL: there is none */
  size_t state_len;
  bool isolate_destinations;
};

/* NULL: no memory. */
struct client *client_new(const struct client_config *);
void client_free(struct client *);
struct machine client_machine(struct client *);
/* A consensus from disk, parsed and verified; takes one reference. */
void client_set_consensus(struct client *, instant now, struct consensus *);

/* For the simulator's invariants: true if every count agrees with what is there. */
bool client_is_consistent(const struct client *);
/* For tests: the newest consensus, not counted; NULL: none. */
const struct consensus *client_consensus(const struct client *);

#endif
