/* The inside of a shard, shared by its sub-machines: neighbour.c, admission.c, hop.c, extend.c, exit.c, exit_connect.c.
 * Spec: specs/circuits.md, specs/streams.md. Called by no one else.
 * Objects are freed from one place, shard_sweep, at the end of a verb: never under a caller's feet.
 */
#ifndef TUNIC_RELAY_SHARD_INTERNAL_H
#define TUNIC_RELAY_SHARD_INTERNAL_H

#include "directory/consensus_archive.h"
#include "directory/network_shelf.h"
#include "protocol/effect_queue.h"
#include "protocol/id_table.h"
#include "protocol/index_map.h"
#include "protocol/limits.h"
#include "protocol/status.h"
#include "protocol/timer_heap.h"
#include "protocol/token_bucket.h"
#include "protocol/trace.h"
#include "relay/shard.h"

enum shard_timer { TIMER_NEIGHBOUR = 1, TIMER_HOP, TIMER_STREAM, TIMER_END, TIMER_FIGURES, TIMER_IDLE };
enum shard_backlog { BACKLOG_HOP = 0, BACKLOG_STREAM = 1 };

/* What the driver has a name for: a neighbour's link, an exit stream, or a lookup of this hop whose stream has gone. */
struct shard_connection { struct neighbour *neighbour; struct exit_stream *stream; struct id lookup_of; };

/* A link and who is at its other end. */
struct neighbour {
  struct id connection;
  struct trunk *trunk;
  struct address address;
  bool accepted, is_open, is_gone, retiring, is_counted;
  uint8_t identity[IDENTITY_BYTES]; /* zeros: a client */
  instant retire_at, documents_at; uint64_t documents_seen; /* when a look found that bytes of documents had moved; how many had by the last */
  struct timer timer;
  struct list creates;              /* hops whose CREATE waits for work */
  uint32_t creates_queued;
  struct list waiting;              /* hops that extend over this link once it is open */
  struct token_bucket create_tokens, served; /* served: bytes of documents */
  struct list_node of_shard, wants_work, has_creates, gone;
};

enum { SIDE_CLIENT = 0, SIDE_EXIT = 1 }; /* towards the client; away from it */

struct hop {
  struct id id;
  struct trunk_side sides[2];
  struct onion_layer open, seal;
  uint8_t place;
  bool has_layers, extending, extended, closing;
  uint8_t padding_taken;
  uint16_t last_stream, stream_count, lookups, refused; /* names that are being looked up; [STREAM-21] refused streams that the client has not ended */
  uint32_t used_s, promised, refused_credit; /* the second in which a cell of it came last; to its streams, beyond LIMIT_EXIT_OPEN_CREDIT each; to the refused */
  struct cell *request;       /* a CREATE that waits: for work, or for a link */
  struct neighbour *create_from; /* whose queue it waits in for work; else NULL */
  struct list_node waits, order; /* order: by last use; once closing, among the dead */
  struct list streams;
  struct timer timer;
};

enum stream_state { STREAM_RESOLVING, STREAM_CONNECTING, STREAM_OPEN, STREAM_OVER };

struct exit_stream {
  struct id connection;       /* also names its lookups */
  struct hop *hop;
  uint16_t number, port;
  uint8_t state;
  bool only_resolve, eof_received, eof_sent, end_sent, end_received, half_closed;
  uint8_t address_count, address_next;
  struct address *addresses;  /* that may still be tried; NULL once connected */
  struct cell_queue to_destination;
  uint64_t received, taken, granted; /* from the client: DATA bytes, given to the destination, allowed */
  uint64_t sent, allowed;            /* to the client */
  uint32_t window; instant raised_at; /* how far `granted` goes beyond `taken`; when it was raised last */
  uint64_t moved_at_timer;
  struct backlog backlog;
  struct list_node of_hop, ready_node, dead;
  struct timer timer;
};

struct shard {
  struct shard_config config;
  struct random_stream random;
  struct wall_clock clock;
  struct consensus *consensus;
  struct consensus_archive archive; /* the same, and those before it */
  struct network_shelf networks;    /* the files that may be shown */
  struct onion_keys *keys;
  struct aead_cache *contexts;
  struct cell_pool *cells;
  struct trunk_pool trunks;
  struct id_table connections, hops;
  struct index_map places;              /* where the relays of the consensus listen: exits do not connect there */
  struct index_map neighbours, streams; /* by identity: slot; by hop slot and number: address */
  struct index_map links_of;            /* how many, by identity and who opened them */
  struct timer_heap timers;
  struct timer figures_timer, idle_timer;
  struct effect_queue effects;
  struct list quiet; /* hops, the one that was used longest ago first */
  struct list links, wants_work, has_creates, ready_streams, dead_hops, dead_streams, gone;
  uint32_t next_number;
  uint32_t refusals_reserved; /* room for reports of links that were not taken */
  bool work_turn, stopping;
  instant may_complain; /* KEEPER_UNKNOWN_RELAY: at most once a second */
  struct shard_figures figures, told; /* told: to the keeper, last */
};

/* shard.c */
struct shard_connection *shard_connection(const struct shard *, struct id);
/* [MACH-11] A name for the driver, with room for its close. NULL: limits, or no memory. */
struct shard_connection *shard_draw_connection(struct shard *, struct id *ret_id);
/* The driver never heard of it, or has forgotten it. */
void shard_forget_connection(struct shard *, struct id);
void shard_sweep(struct shard *, instant now);
/* A cell of the pool; when it is full, whoever has stood still longest is evicted. NULL: none even so. */
struct cell *shard_take_cell(struct shard *, instant now);
void shard_close_connection(struct shard *, struct id, enum effect_kind);

/* neighbour.c */
struct neighbour *neighbour_accept(struct shard *, instant now, const struct address *);
/* An open or opening link of our own to this relay; NULL: no memory, or limits. */
struct neighbour *neighbour_reach(struct shard *, instant now, const struct relay_entry *);
enum outcome neighbour_receive(struct shard *, struct neighbour *, instant now, uint8_t *in, size_t len, size_t *ret_used);
void neighbour_connected(struct shard *, struct neighbour *, instant now);
void neighbour_lost(struct shard *, struct neighbour *, instant now, enum outcome);
void neighbour_timer(struct shard *, struct neighbour *, instant now);
void neighbour_work(struct shard *, struct neighbour *, instant now);
void neighbour_free(struct shard *, struct neighbour *);
/* [LIMIT-5] Tells the keeper, which counted it, that a link from this address was not taken. */
void neighbour_report_refused(struct shard *, const struct address *peer);

/* admission.c */
void admission_create(struct shard *, struct neighbour *, instant now, uint32_t circuit, const struct cell_create *);
/* One handshake, of a link or a circuit; true if more waits. */
bool admission_work(struct shard *, instant now);
void admission_forget(struct shard *, struct hop *);

/* hop.c */
struct hop *hop_new(struct shard *, instant now);
void hop_free(struct shard *, struct hop *);
/* [LIMIT-3] The hop holds a CREATE that waits: it can be evicted for that cell. */
void hop_note_request(struct shard *, struct hop *);
struct hop *hop_of_side(struct trunk_side *);
void hop_forward(struct shard *, struct hop *, instant now, uint8_t *body);
void hop_backward(struct shard *, struct hop *, instant now, uint8_t *body);
/* A message of our own to the client. False: the hop is closing; taking a cell may have evicted it. */
bool hop_say(struct shard *, struct hop *, instant now, uint8_t command, uint16_t stream, const uint8_t *body, size_t len);
/* Tells the client the cause, then closes both sides; OUTCOME_OK: closes without a word. */
void hop_close(struct shard *, struct hop *, instant now, enum outcome cause);
/* Drops what is queued and closes. */
void hop_cut(struct shard *, struct hop *, instant now);
void hop_side_closed(struct shard *, struct trunk_side *, instant now);
void hop_side_lost(struct shard *, struct trunk_side *, instant now, bool client_link);
void hop_check_dead(struct shard *, struct hop *);
/* [LIMIT-11] Closes those that carried nothing for too long; once a minute while there are any that may be due. */
void hop_sweep_quiet(struct shard *, instant now);
/* [MACH-11] Only the first time can fail: the timer keeps its place. */
bool hop_plan_sweep(struct shard *, instant at);
void hop_timer(struct shard *, struct hop *, instant now);

/* extend.c */
void extend_begin(struct shard *, struct hop *, instant now, const struct message *);
void extend_link_open(struct shard *, struct neighbour *, instant now);
void extend_created(struct shard *, struct trunk_side *, instant now, const uint8_t *reply);
void extend_fail(struct shard *, struct hop *, instant now, enum outcome);

/* exit.c */
enum { EXIT_REFUSED_CREDIT = LIMIT_EXIT_FIRST_CREDIT + 1 }; /* DATA behind BEGIN, and EOF */
void exit_message(struct shard *, struct hop *, instant now, const struct message *);
size_t exit_stream_room(const struct exit_stream *);
void exit_stream_receive(struct shard *, struct exit_stream *, instant now, const uint8_t *in, size_t len);
size_t exit_stream_transmit(struct shard *, struct exit_stream *, instant now, uint8_t *out, size_t room);
void exit_stream_opened(struct shard *, struct exit_stream *, instant now); /* EOF may have come before */
void exit_stream_eof(struct shard *, struct exit_stream *, instant now);
void exit_stream_closed(struct shard *, struct exit_stream *, instant now, enum outcome); /* or could not be connected */
void exit_stream_end(struct shard *, struct exit_stream *, instant now, enum outcome cause);
void exit_stream_timer(struct shard *, struct exit_stream *, instant now);
/* The hop is closing: its streams go without a word. */
void exit_hop_closed(struct shard *, struct hop *, instant now);
void exit_hop_room(struct shard *, struct hop *); /* its queue has room again */
void exit_stream_free(struct shard *, struct exit_stream *);
void exit_stream_ready(struct shard *, struct exit_stream *);
/* Its destination is no longer wanted: EFFECT_CLOSE or EFFECT_CLOSE_FLUSHED. */
void exit_stream_disconnect(struct shard *, struct exit_stream *, enum effect_kind);
/* Begun streams by their number; NULL: none. */
struct exit_stream *exit_stream_find(const struct shard *, const struct hop *, uint16_t number);
uint64_t exit_stream_key(const struct hop *, uint16_t number);

/* exit_connect.c */
void exit_begin(struct shard *, struct hop *, instant now, const struct message *);
void exit_resolved(struct shard *, struct exit_stream *, instant now, const struct event *);
/* The stream goes before its lookup is answered; and then the answer. */
void exit_leave_lookup(struct shard *, struct exit_stream *);
void exit_lookup_over(struct shard *, struct id lookup);
void exit_connected(struct shard *, struct exit_stream *, instant now);
/* Tries the next address; false: there is none. */
bool exit_connect_next(struct shard *, struct exit_stream *, instant now);
/* [STREAM-4] A newer consensus: where its relays listen. */
void exit_learn_places(struct shard *);

#endif
