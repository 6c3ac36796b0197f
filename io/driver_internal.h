/* What the files of the driver share: its connections and lists.
 * Spec: specs/machines.md. Called by io/driver*.c only.
 * Never seen by a machine. Callbacks of the loop only put connections on lists; the turn empties the lists.
 */
#ifndef TUNIC_IO_DRIVER_INTERNAL_H
#define TUNIC_IO_DRIVER_INTERNAL_H

#include <stdatomic.h>

#include "io/driver.h"
#include "io/resolve.h"
#include "io/tcp.h"
#include "protocol/effect_queue.h"
#include "protocol/list.h"

enum {
  DRIVER_RECEIVE_BYTES = 256 * 1024,      /* at most received at once */
  DRIVER_FIRST_RECEIVE_BYTES = 8 * 1024,  /* a link's first: who has proved nothing makes us keep no more */
  DRIVER_TRANSMIT_BYTES = 128 * 1024,     /* at most sent at once */
  DRIVER_FIRST_TRANSMIT_BYTES = 32 * 1024, /* at first, and to who is slow: what a socket did not take is kept in memory */
  DRIVER_FORGET_BYTES = 4 * 1024 * 1024, /* read and forgotten of a peer that talks on while its connection closes */
  DRIVER_SENDS_PER_TURN = 8,              /* of one connection: others come first then */
  DRIVER_ACCEPTS_PER_TURN = 64,           /* of one listener */
  DRIVER_PARCELS_PER_TURN = 1024,
  DRIVER_WORKS_PER_TURN = 4,
  DRIVER_LISTENERS_MAX = 16,
};
#define DRIVER_FLUSH_TIME (5 * SECONDS)            /* EFFECT_CLOSE_FLUSHED */
#define DRIVER_SHORTAGE_PAUSE (250 * MILLISECONDS) /* no accepting while there are no descriptors */

enum connection_state {
  STATE_CONNECTING,
  STATE_OPEN,
  STATE_CLOSING, /* dead to the machine but for transmit: flushes, shuts down, waits for the peer to see it */
};

struct connection {
  struct driver *driver;
  struct connection *next_in_slot;
  struct id id;
  int fd;
  enum connection_kind kind;
  enum connection_state state;
  struct address peer;
  struct watch *watch;
  struct list_node readable, writable, ready, timed;
  instant deadline;        /* while connecting or closing */
  bool is_blocked;         /* the socket takes no more; the loop says when */
  bool is_paused;          /* not read: the machine had no room, or is done with it */
  bool presents_again;     /* there is room anew for what was kept */
  bool has_eof;            /* the peer's way is over */
  bool wants_finish, has_finished; /* ours */
  enum outcome broken;     /* sending failed; what the peer said before is still read */
  size_t receive_limit, transmit_limit;
  size_t forgotten;        /* while closing */
  struct pace *pace;       /* of a link; NULL: none */
  uint8_t *kept;           /* [MACH-6] what receive left */
  size_t kept_len;
  uint8_t *unsent;         /* what transmit gave and the socket did not take */
  size_t unsent_at, unsent_len;
};

struct listener {
  struct driver *driver;
  int fd;
  enum connection_kind kind;
  struct watch *watch;
  bool has_news;
};

struct driver {
  struct driver_config config;
  struct loop *loop;
  struct resolver *resolver;
  instant now;
  struct connection **slots; /* by id.slot; those that still close are behind the newest */
  uint32_t slot_count, connections, closing_count;
  uint64_t closing_most;
  struct list readable, writable, ready, ready_again, connecting, closing;
  struct list events; /* queued for the machine */
  struct effect_queue writes;
  struct effect held; /* [MACH-8] waits for room in a ring */
  bool has_held, has_work, has_parcels, has_exited, has_stopped;
  _Atomic bool stop_asked;
  struct document *given; /* by a person; NULL: nothing */
  uint32_t given_kind;
  struct listener listeners[DRIVER_LISTENERS_MAX];
  uint32_t listener_count;
  instant accept_again; /* NEVER: not paused */
  bool shortage_told;
  char congestion[TCP_CONGESTION_BYTES]; /* what the newest link got */
  char unwritten[160]; /* for the status: which file could not be written, and why; empty: the last one was */
  uint64_t received_bytes, sent_bytes, kept_bytes, unsent_bytes, closed_late;
  uint8_t *in, *out;
};

static inline const struct machine_verbs *driver_verbs(const struct driver *driver) { return driver->config.machine.verbs; }
static inline void *driver_self(const struct driver *driver) { return driver->config.machine.self; }

/* driver.c: queues for the next time events are given; without memory the machine gets it now, behind those that are queued. Never
 * called inside a verb. */
void driver_post(struct driver *, const struct event *);

/* driver_connection.c */
/* Takes the descriptor over. NULL: no memory, closed. */
struct connection *connection_new(struct driver *, struct id, int fd, enum connection_kind, const struct address *peer);
struct connection *connection_find(const struct driver *, struct id);
/* Closes and frees; the machine is not told. */
void connection_free(struct connection *);
/* So that the peer sees a reset. */
void connection_cut(struct connection *);
/* The same, and EVENT_CLOSED unless the machine has closed it. */
void connection_fail(struct connection *, enum outcome);
/* Gives the descriptor away and frees the rest. */
int connection_release(struct connection *);
void connection_connect(struct driver *, const struct effect *);
void connection_finish(struct connection *);
void connection_flush_and_close(struct connection *);
/* Has output or room anew. */
void connection_make_ready(struct connection *);
void connection_read(struct connection *, bool);
void driver_take_connected(struct driver *);
void driver_expire_connections(struct driver *);

/* driver_bytes.c */
void driver_receive(struct driver *);
void driver_transmit(struct driver *);

/* driver_listen.c */
void driver_accept(struct driver *);
void driver_adopt(struct driver *, int fd, enum connection_kind, const struct address *peer);
void driver_close_listeners(struct driver *);

/* driver_effects.c */
void driver_take_effects(struct driver *);
void driver_take_parcels(struct driver *);
void driver_write_files(struct driver *);
/* The program is over: messages still go their way, to be freed; nothing else is carried out. */
void driver_drop_effects(struct driver *);

#endif
