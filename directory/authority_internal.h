/* The inside of an authority: authority.c (verbs), authority_links.c, authority_peers.c, authority_probe.c,
 * authority_relays.c (who is known), authority_epoch.c (votes and decisions).
 * Spec: specs/authority.md. Called by no one else.
 * Links are freed from one place, authority_sweep, at the end of a verb.
 */
#ifndef TUNIC_DIRECTORY_AUTHORITY_INTERNAL_H
#define TUNIC_DIRECTORY_AUTHORITY_INTERNAL_H

#include "crypto/circuit_handshake.h"
#include "directory/authority.h"
#include "directory/consensus_archive.h"
#include "directory/descriptor.h"
#include "directory/fetch.h"
#include "directory/tally.h"
#include "directory/vote.h"
#include "protocol/effect_queue.h"
#include "protocol/index_map.h"
#include "protocol/limits.h"
#include "protocol/status.h"
#include "protocol/timer_heap.h"
#include "protocol/trunk.h"

enum {
  AUTHORITY_PROBES_AT_ONCE = 64,
  AUTHORITY_VISITORS_MAX = 8192,
  /* Our own links always find room, however many visit. */
  AUTHORITY_CONNECTIONS = AUTHORITY_VISITORS_MAX + AUTHORITY_PROBES_AT_ONCE + 4 * LIMIT_AUTHORITIES,
};
enum authority_link_kind { LINK_VISITOR = 1, LINK_PEER, LINK_PROBE };
enum { SLOT_FETCH = LINK_PROBE + 1 }; /* the fetch's own connections, in the same table */
enum authority_timer { TIMER_LINK = 1, TIMER_PEER, TIMER_PROBES };

struct known_relay;

struct authority_link {
  struct id connection;
  enum authority_link_kind kind;
  struct trunk *trunk;          /* NULL while a peer's name is looked up */
  bool is_open, is_gone;
  bool is_counted;              /* among those of its address */
  struct address address;       /* LINK_VISITOR */
  int member;                   /* an authority's place: whom a visitor proved to be, whom a peer link is to; -1: nobody */
  struct known_relay *relay;    /* LINK_PROBE */
  struct noise *handshake;
  struct trunk_side side;
  uint16_t put_request, vote_request, consensus_request, network_request; /* LINK_PEER: ours under way; 0: none */
  struct timer timer;
  struct list_node wants_work, gone;
};

/* Another authority, and our link to it. */
struct peer {
  struct authority_link *link;  /* NULL: none now */
  struct timer timer;           /* when to try again */
  uint32_t failures;
  struct list outbox;           /* of struct outgoing: agreement messages that wait */
  uint32_t outbox_count;
  bool wants_consensus, wants_network;
  uint64_t held_serial;         /* of the newest network file that it is known to hold */
  uint32_t wanted_count;        /* votes to ask it for */
  uint8_t wanted[LIMIT_AUTHORITIES][DIGEST_BYTES];
};
struct outgoing { struct list_node node; struct document *document; };

/* A relay whose descriptor was taken. */
struct known_relay {
  struct id id;
  struct descriptor descriptor;
  struct document *text;
  bool is_running, has_run;     /* now; ever */
  uint8_t failures;
  instant next_probe, running_since, last_heard;
  struct authority_link *probe; /* under way */
  struct list_node order;       /* by next_probe */
};

/* A vote that we hold, ours or another's. */
struct held_vote {
  uint64_t epoch;
  uint32_t round;
  uint8_t author;
  uint8_t hash[DIGEST_BYTES];
  struct vote *vote;
};
enum { HELD_VOTES_MAX = 4 * LIMIT_AUTHORITIES };

enum authority_write { WRITE_BALLOT = 1, WRITE_VOTE, WRITE_CONSENSUS, WRITE_EVIDENCE, WRITE_NETWORK };

struct authority {
  struct authority_config config;
  struct random_stream random;
  struct wall_clock clock;
  struct id_table connections, relays;
  struct index_map per_address; /* visitors' links */
  uint32_t visitors;
  struct index_map by_identity, by_digest; /* of relays and their descriptors, by the first bytes */
  struct effect_queue effects;
  struct timer_heap timers;
  struct cell_pool *cells;
  struct trunk_pool trunks;
  struct list wants_work, gone, probes; /* probes: relays by next_probe */
  struct timer probe_timer;
  uint32_t next_number, probes_under_way;
  struct peer peers[LIMIT_AUTHORITIES];
  struct network_file in_force;       /* at the next epoch, or the first that is known to come */
  const struct network_file *network; /* that; NULL: none yet */
  uint32_t own;                       /* our place in it, while there is an agreement */
  struct agreement *agreement;        /* NULL: we are not one of its authorities, or not yet */
  struct fetch *fetch;                /* for that time */
  uint32_t shared_serial;             /* a quorum is known to hold the file of this serial */
  uint32_t ballots_under_way, ballots_stale; /* being written; those of the agreement before this one */
  struct consensus *consensus;
  struct consensus_archive archive; /* the same, and those before it */
  struct held_vote votes[HELD_VOTES_MAX];
  uint32_t vote_count;
  uint64_t ballot_version;       /* being written */
  struct { uint64_t epoch; uint32_t round; uint8_t hash[DIGEST_BYTES]; bool waits; } own_vote;
  struct { struct consensus *consensus; struct agreement_certificate certificate; bool waits; } decided;
  bool stopping, split, running_changed;
  uint64_t descriptors_taken, descriptors_refused, probes_done, probes_failed, epochs_decided;
};

/* authority.c */
void authority_effect(struct authority *, const struct effect *);
void authority_write(struct authority *, enum authority_write, const char *name, struct document *);

/* authority_links.c */
/* [LIMIT-5] NULL: no memory, or the address has enough. */
struct authority_link *authority_link_accept(struct authority *, instant now, const struct address *peer);
struct authority_link *authority_link_new(struct authority *, instant now, enum authority_link_kind, struct link *);
/* A slot in the table of connections for it. */
bool authority_link_draw(struct authority *, struct authority_link *);
bool authority_link_connect(struct authority *, struct authority_link *, const struct address *);
void authority_link_lost(struct authority *, struct authority_link *, instant now, enum outcome);
enum outcome authority_link_receive(struct authority *, struct authority_link *, instant now, uint8_t *in, size_t len, size_t *ret_used);
void authority_link_follow(struct authority *, struct authority_link *, instant now);
void authority_link_free(struct authority *, struct authority_link *);
void authority_link_timer(struct authority *, struct authority_link *, instant now);
bool authority_link_work(struct authority *, instant now);

/* authority_peers.c */
void peers_start(struct authority *, instant now);
void peer_timer(struct authority *, uint32_t index, instant now);
void peer_resolved(struct authority *, struct authority_link *, instant now, const struct event *);
void peer_opened(struct authority *, struct authority_link *, instant now);
void peer_lost(struct authority *, struct authority_link *, instant now);
void peer_transfer(struct authority *, struct authority_link *, instant now, const struct transfer_event *);
/* To one, or to everyone else (AGREEMENT_EVERYONE). */
void peers_send(struct authority *, instant now, uint8_t to, struct document *);
void peers_fetch_vote(struct authority *, instant now, uint8_t to, const uint8_t hash[DIGEST_BYTES]);
/* Whether they have a newer network file. */
void peers_ask_network(struct authority *);
/* Forgets all links and what waits: other authorities have these places from now on. */
void peers_leave(struct authority *, instant now);
void peers_fetch_consensus(struct authority *, instant now, uint8_t to);

/* authority_probe.c */
void probe_plan(struct authority *, struct known_relay *, instant at);
void probe_timer(struct authority *, instant now);
void probe_opened(struct authority *, struct authority_link *, instant now);
void probe_created(struct authority *, struct authority_link *, instant now, const uint8_t *reply);
void probe_ended(struct authority *, struct authority_link *, instant now, bool good);

/* authority_relays.c */
enum outcome relays_take_descriptor(struct authority *, instant now, struct document *);
void relays_forget(struct authority *, struct known_relay *);
/* For vote_known: a descriptor that was verified when it came; `context` is the authority. */
bool relays_know_descriptor(const void *context, const uint8_t digest[DIGEST_BYTES]);
/* Running relays differ from those of the newest consensus. */
bool relays_changed(const struct authority *);
/* Our vote for an epoch, as a text; NULL: no memory. */
struct document *relays_make_vote(struct authority *, instant now, uint64_t epoch, uint32_t round, const uint8_t previous[DIGEST_BYTES]);

/* authority_network.c: [AUTH-9] moves to the network file that is in force by now. Not OK: there is no agreement. */
enum outcome authority_follow_networks(struct authority *, instant now, bool is_start);
/* From another authority or a person: as network_chain_take; kept on disk. */
enum outcome authority_take_network(struct authority *, instant now, const struct document *);
void authority_save_network(struct authority *);
/* The answer to whoever asks for what follows this serial; `member`: an authority's place, -1: anybody. NULL: nothing for them. */
struct document *authority_network_after(struct authority *, int member, uint64_t serial);

/* authority_epoch.c */
struct agreement_tally epoch_tally(struct authority *);
/* Takes all of the agreement's effects. */
void epoch_run(struct authority *, instant now);
void epoch_written(struct authority *, instant now, const struct event *);
/* A vote's document came: BAD_DOCUMENT and the like, or OK. */
enum outcome epoch_take_vote(struct authority *, instant now, struct document *);
const struct held_vote *epoch_find_vote(const struct authority *, const uint8_t hash[DIGEST_BYTES]);
/* A later consensus came from another. */
enum outcome epoch_take_consensus(struct authority *, instant now, struct document *packed);
/* The votes of this epoch are of no use any more. */
void epoch_forget(struct authority *);
/* A newer consensus: to disk, then adopted. One reference moves in. */
void epoch_keep(struct authority *, struct consensus *);
void epoch_free(struct authority *);

#endif
