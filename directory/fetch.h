/* A node's own directory client: keeps the newest consensus, hands descriptors in. A sub-machine of keeper and client.
 * Spec: specs/fetching.md [FETCH-*]. Called by relay/keeper.c, client/client.c, and an authority that has fallen behind.
 * Opens one link at a time per purpose, as a client (NKhfs), to mirrors where it knows some and to authorities where it must.
 * Never verifies dates against anything but the wall clock it is given; never asks in step with others.
 */
#ifndef TUNIC_DIRECTORY_FETCH_H
#define TUNIC_DIRECTORY_FETCH_H

#include "directory/network_chain.h"
#include "protocol/effect_queue.h"
#include "protocol/machine.h"
#include "protocol/status.h"
#include "protocol/trace.h"
#include "protocol/trunk.h"

/* What a machine's table of connections holds when sub-machines add their own: the machine dispatches by kind. */
struct connection_slot { uint32_t kind; void *object; };

struct fetch;

/* Pointers are kept and must outlive it. */
struct fetch_config {
  const struct link_self *self;       /* link_secret is not used: links are made as a client */
  struct network_chain *networks;     /* new serials are added to it */
  struct trunk_pool *trunks;          /* the machine's: what becomes ready is found there */
  struct id_table *connections;       /* of struct connection_slot; ours get `slot_kind` and the fetch as object */
  uint32_t slot_kind;
  struct effect_queue *effects;
  struct random_stream *random;
  const struct trace *trace;
  bool eager;       /* a relay that is not listed yet, or a client without a consensus: asks every few moments */
  bool from_mirrors; /* asks relays of the consensus first */
  bool is_mirror;    /* others ask it: it asks before they do */
  bool has_guard;    /* a client: its guard is asked before other relays, see fetch_wants_guard */
};

/* NULL: no memory. */
struct fetch *fetch_new(const struct fetch_config *);
void fetch_free(struct fetch *);

/* EVENT_CLOCK, handed on: nothing is asked before the first. */
void fetch_set_clock(struct fetch *, instant now, const struct wall_clock *);
/* A consensus from disk, parsed and verified; takes one reference. */
void fetch_set_consensus(struct fetch *, instant now, struct consensus *);
/* Asks soon and often (a relay until it is listed), or at leisure: at a random instant between fresh-until and half of
 * what remains, but at most fetch_spread after it. */
void fetch_set_eager(struct fetch *, instant now, bool eager);
/* [FETCH-8] Something names a relay that is not listed: asks an authority soon, once. */
void fetch_hurry(struct fetch *, instant now);
/* Asks for nothing: for an authority that learns everything from the agreement. */
void fetch_set_resting(struct fetch *, instant now, bool resting);
/* Hands the descriptor in at every authority, now and again until each accepted it, and once an interval; takes one
 * reference; replaces the one before. NULL: stops. */
void fetch_publish(struct fetch *, instant now, struct document *descriptor);

/* [FETCH-13] Whether the next one is to come over the link to the guard: then the client hands in the link's trunk, which stays its own,
 * and whose it is; or NULL where no guard can be reached. While it is opening: nothing, for a while. */
bool fetch_wants_guard(const struct fetch *);
void fetch_use_guard(struct fetch *, instant now, struct trunk *, const uint8_t identity[IDENTITY_BYTES]);
/* Whether an answer is waited for there: its link is in use. */
bool fetch_uses_guard(const struct fetch *, const struct trunk *);
/* What came on such a link of what was asked there; takes the event's document. */
void fetch_guard_event(struct fetch *, instant now, const struct trunk *, const struct transfer_event *);
/* The link is gone, or about to be. */
void fetch_guard_lost(struct fetch *, instant now, const struct trunk *);

/* The newest one, not counted for the caller; NULL: none yet. */
struct consensus *fetch_consensus(const struct fetch *);
/* True once after a newer consensus came: the machine saves and spreads it. */
bool fetch_take_news(struct fetch *);
/* True once after a network file was added to the chain: the machine saves it. */
bool fetch_take_network_news(struct fetch *);
/* What proves that the directory was split, once after it came: two texts, one behind the other, to be kept in FETCH_SPLIT_FILE. The
 * reference becomes the caller's; NULL: nothing. */
#define FETCH_SPLIT_FILE "directory-split"
#define FETCH_NETWORK_FILE "network" /* the chain's text, as every machine saves it */
struct document *fetch_take_split(struct fetch *);
/* A network file from elsewhere: as network_chain_take. */
enum outcome fetch_take_network(struct fetch *, instant now, const uint8_t *bytes, size_t len);
/* Why there is no usable consensus, or OK: DIRECTORY_UNREACHABLE, CLOCK_WRONG, CONSENSUS_EXPIRED ... */
enum outcome fetch_state(const struct fetch *, instant now);
/* Adds how often whom was asked, and `clock` ("ahead by 7200 s") or `directory` ("stopped 5 h ago", "split: ..."), where that is why. */
void fetch_add_status(const struct fetch *, instant now, struct status *);
/* How many authorities accepted the newest descriptor. */
uint32_t fetch_published_count(const struct fetch *);

/* The verbs of its connections, called by the machine's own. */
size_t fetch_room(const struct fetch *, struct id connection);
enum outcome fetch_receive(struct fetch *, instant now, struct id connection, uint8_t *in, size_t len, size_t *ret_used);
size_t fetch_transmit(struct fetch *, instant now, struct id connection, uint8_t *out, size_t room);
/* CONNECTED, EOF, CLOSED, RESOLVED of its connections. */
void fetch_event(struct fetch *, instant now, const struct event *);
instant fetch_deadline(const struct fetch *);
void fetch_tick(struct fetch *, instant now);
bool fetch_work(struct fetch *, instant now); /* one handshake step; true if more waits */

#endif
