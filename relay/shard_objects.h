/* The objects of a shard: links to neighbours, hops of circuits, streams of an exit, and the shard that owns them.
 * Spec: specs/circuits.md, specs/streams.md. Included through shard_internal.h alone.
 * Zeroed memory is a new object. Objects never own each other: the shard does, and frees them in shard.c.
 */
#ifndef TUNIC_RELAY_SHARD_OBJECTS_H
#define TUNIC_RELAY_SHARD_OBJECTS_H

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
  instant retire_at;
  instant documents_at;             /* when a look found that bytes of documents had moved */
  uint64_t documents_seen;          /* how many had by the last look */
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
  uint16_t last_stream, stream_count;
  uint16_t lookups;           /* names that are being looked up */
  uint16_t refused;           /* [STREAM-21] streams that the client has not ended yet */
  uint32_t refused_credit;    /* what may still come for them */
  uint32_t used_s;            /* the second in which a cell of it came last */
  uint32_t promised;          /* to its streams, beyond LIMIT_EXIT_OPEN_CREDIT each */
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
  uint32_t window;            /* how far `granted` goes beyond `taken` */
  instant raised_at;          /* when it was raised last */
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

#endif
