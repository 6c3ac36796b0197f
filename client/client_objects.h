/* The objects of a client: links to guards, circuits, streams, and the client that owns them.
 * Spec: specs/circuits.md, specs/streams.md, specs/paths.md. Included through client_internal.h alone.
 * Zeroed memory is a new object. Objects never own each other: the client does, and frees them in client.c.
 */
#ifndef TUNIC_CLIENT_CLIENT_OBJECTS_H
#define TUNIC_CLIENT_CLIENT_OBJECTS_H

#include "client/build_times.h"
#include "client/client.h"
#include "client/demand.h"
#include "client/guard.h"
#include "client/isolation.h"
#include "client/path.h"
#include "client/path_health.h"
#include "client/socks.h"
#include "directory/fetch.h"
#include "protocol/effect_queue.h"
#include "protocol/index_map.h"
#include "protocol/status.h"
#include "protocol/timer_heap.h"
#include "protocol/token_bucket.h"

enum client_slot { SLOT_LINK = 1, SLOT_STREAM, SLOT_FETCH, SLOT_FILE };
enum client_timer { TIMER_LINK = 1, TIMER_CIRCUIT, TIMER_STREAM, TIMER_POOL };
enum client_backlog { BACKLOG_CIRCUIT = 0, BACKLOG_STREAM = 1 };

/* A link to a guard. */
struct guard_link {
  struct id connection;
  struct trunk *trunk;
  uint8_t identity[IDENTITY_BYTES];
  bool is_open, is_gone, retiring;
  instant opened_at, retire_at, unused_since; /* unused_since: 0 while it is in use */
  struct timer timer;
  struct list waiting; /* circuits that begin once it is open */
  struct list_node of_client, wants_work, gone;
};

struct circuit_hop {
  uint8_t identity[IDENTITY_BYTES], onion_key[X25519_BYTES];
  uint8_t generation, suite;
  char nickname[20];
  struct onion_layer seal, open; /* once it is built */
};

enum circuit_step { STEP_LINK, STEP_BEGIN, STEP_ANSWER, STEP_FINISH };

/* What a circuit needs only while it is being built. */
struct circuit_build {
  enum circuit_step step;
  instant begun_at, asked_at;
  struct noise handshake, next; /* next: with the hop behind, begun while the answer of this one is awaited */
  bool has_next;
  uint8_t next_request[CIRCUIT_HANDSHAKE_REQUEST_BYTES], reply[CIRCUIT_HANDSHAKE_REPLY_BYTES];
};

struct circuit {
  struct id id;
  struct trunk_side side;
  struct circuit_hop hops[PATH_HOPS];
  struct exit_summary exit;      /* a copy: the consensus may be replaced */
  struct guard_link *link;       /* while its side is attached, or it waits for it */
  struct circuit_build *build;   /* NULL: it is open, or closing */
  uint8_t built;                 /* hops */
  bool closing, has_isolation, is_reserved;
  bool is_worn;                  /* [STREAM-22] its exit left a stream unanswered */
  bool is_narrow, is_private;    /* [PATH-6] narrow: for `port` alone, at addresses of this kind */
  uint16_t port;
  enum outcome cause;            /* that a hop named, sealed */
  uint8_t padding_taken, spread; /* spread: when it is closed, in 256ths of what is left to chance */
  struct isolation isolation;    /* of all its streams; while reserved: of those it is built for */
  uint16_t last_number;          /* of its streams */
  uint32_t stream_count, live_count; /* numbers in use; those of which an application still wants something */
  uint64_t promised;             /* beyond each stream's first credit, together */
  uint64_t round_trip;
  instant opened_at, used_at;    /* used_at: when its first stream began */
  struct list streams;
  struct client_stream *recent;  /* the one that a message named last */
  struct timer timer;
  struct list_node waits, wants_work, dead;
};

enum client_stream_state {
  STREAM_ASKING,  /* SOCKS is being spoken */
  STREAM_WAITING, /* for a circuit */
  STREAM_BEGUN,   /* BEGIN or RESOLVE went out */
  STREAM_OPEN,
  STREAM_LEAVING, /* the application gets what there is, then its connection closes */
  STREAM_OVER,    /* the application is gone */
};

struct client_stream {
  struct id connection;
  struct circuit *circuit; /* from BEGIN until END went both ways */
  uint16_t number;
  uint8_t state, resent;
  bool only_resolve, application_eof, eof_sent, eof_received, end_sent, end_received;
  bool answered, finished, is_live; /* answered: CONNECTED or RESOLVED came; finished: our way to it is shut */
  enum outcome cause; /* why the last attempt failed */
  enum outcome held;  /* what became of the last circuit that was to be built for it; OK: none failed */
  struct address application;
  struct target target;
  struct isolation isolation;
  struct socks *socks; /* until its last byte has left */
  struct path_avoided tried; /* exits that could not serve it */
  /* to the exit: what came before CONNECTED is kept whole, to be sent again on another circuit */
  struct cell_queue early;
  struct cell *early_next; /* the first cell with something that was not sent yet */
  uint32_t early_unsent, early_len;
  uint64_t sent, allowed;
  /* to the application */
  struct cell_queue arrived;
  uint64_t received, taken, granted, window;
  instant granted_at;
  struct backlog backlog;
  struct list_node of_circuit, waits, ready_node, dead;
  struct timer timer;
};

struct client_figures {
  uint64_t circuits_built, circuits_failed, circuits_died, circuit_timeouts, layers_forged, violations;
  uint64_t streams_begun, streams_failed, streams_resent, bytes_up, bytes_down, evicted;
  uint64_t guard_failures, links_opened;
};

struct client {
  struct client_config config;
  struct random_stream random;
  uint8_t isolation_secret[ISOLATION_SECRET_BYTES];
  struct wall_clock clock;
  struct fetch *fetch;
  struct guard_sample guards;
  struct aead_cache *contexts;
  struct cell_pool *cells;
  struct trunk_pool trunks;
  struct id_table connections, circuits; /* of struct connection_slot; of struct circuit */
  struct index_map streams;              /* by circuit slot and number: address */
  struct timer_heap timers;
  struct effect_queue effects;
  struct list links, links_work, circuits_work, ready_streams, waiting_streams;
  struct list dead_streams, dead_circuits, gone_links;
  struct build_times build_times;
  struct demand demand;
  struct path_ports ports;
  struct path_health health;
  struct token_bucket builds;
  uint32_t next_number, stream_count, build_failures;
  instant build_at;       /* no build before, after failures */
  instant died_at;        /* when a circuit last died after it was built */
  struct timer pool_timer;
  bool pool_wanted, has_clock, turn, stopping, saving;
  struct { bool state, consensus, network; struct document *split; } unsaved; /* files */
  struct id saving_id;
  instant save_at;        /* the state, not before: it could not be written */
  bool unwritten;         /* the newest file */
  uint8_t stage;          /* the furthest ever reached: it never runs backwards */
  enum outcome cause;     /* why the last build failed, or could not begin */
  int64_t clock_off;      /* milliseconds that our clock is ahead of the guard's */
  char last_path[3 * 20 + 3];
  struct { enum outcome cause; struct date date; } last_failure; /* of a stream; cause OK: none failed yet */
  struct client_figures figures;
};

#endif
