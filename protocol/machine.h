/* The contract between machines and drivers: what every program's state machine offers, and all it may ask for.
 * Spec: specs/machines.md [MACH-*]. Machines: shard, keeper, client, authority. Drivers: io/driver (libevent) and
 * tests/sim (virtual time). One conformance test plays the same script against both.
 * Bytes are never events or effects: they are received and transmitted in place, so nothing queues them twice.
 */
#ifndef TUNIC_PROTOCOL_MACHINE_H
#define TUNIC_PROTOCOL_MACHINE_H

#include "protocol/address.h"
#include "protocol/document.h"
#include "protocol/id_table.h"
#include "protocol/instant.h"
#include "protocol/outcome.h"

/* [MACH-1] A connection is a byte stream to one peer. Its id is the machine's; the driver maps it to a socket. */
enum connection_kind { CONNECTION_LINK, CONNECTION_STREAM, CONNECTION_SOCKS };

/* Between machines of one program, over rings. The kinds are the program's; `object` is handed over (ownership
 * moves, or a reference count was taken for it). */
struct machine_message { uint32_t kind; void *object; uint64_t value; struct address address; };

enum event_kind {
  EVENT_CLOCK,     /* the wall clock: once at the start, and whenever it was set */
  EVENT_CONNECTED, /* EFFECT_CONNECT succeeded; `address` is the peer's */
  EVENT_EOF,       /* the peer will send no more; we still may */
  EVENT_CLOSED,    /* the connection is gone (also: connecting failed), with the cause; the id is dead to the driver */
  EVENT_RESOLVED,  /* the answer to EFFECT_RESOLVE */
  EVENT_WRITTEN,   /* EFFECT_WRITE_FILE is on disk, renamed and synced; or failed */
  EVENT_MESSAGE,   /* from another machine of this program */
  EVENT_STOP,      /* the person wants it to end: finish politely, then EFFECT_EXIT */
};

enum { EVENT_ADDRESSES_MAX = 8 };

struct event {
  enum event_kind kind;
  enum outcome outcome;
  struct id id; /* of the connection, lookup or file */
  struct wall_clock clock;
  struct address address;
  uint32_t address_count; /* EVENT_RESOLVED; ports are 0 */
  struct address addresses[EVENT_ADDRESSES_MAX];
  uint32_t from; /* EVENT_MESSAGE: the sender's index */
  struct machine_message message;
};

enum effect_kind {
  EFFECT_CONNECT,    /* id, connection, address: answered by CONNECTED or CLOSED */
  EFFECT_FINISH,     /* id: when transmit has nothing more, shut down our way; theirs stays open */
  EFFECT_CLOSE,      /* id: cut at once, the peer sees a reset; no event follows, the id is dead */
  EFFECT_CLOSE_FLUSHED, /* id: transmit until it gives 0, then close; the machine may forget the id at once, or when it
                           gave its last byte. No event follows, but CLOSED where 5 s were not enough */
  EFFECT_RESOLVE,    /* id, name: answered by RESOLVED */
  EFFECT_WRITE_FILE, /* id, name (inside the node's folder), document (the machine's reference moves), secret: answered by WRITTEN */
  EFFECT_HAND_OVER,  /* id, to: the accepted connection goes to another machine, which gets it by accept */
  EFFECT_MESSAGE,    /* to, message */
  EFFECT_EXIT,       /* outcome: the program ends */
};

struct effect {
  enum effect_kind kind;
  struct id id;
  enum connection_kind connection;
  struct address address;
  struct document *document;
  bool secret; /* file mode 0600 */
  uint32_t to;
  struct machine_message message;
  enum outcome outcome;
  char name[HOST_NAME_MAX_BYTES + 1]; /* last: few have one, and queues keep no more than there is */
};

struct status; /* protocol/status.h */

/* [MACH-2] The verbs. `self` is the machine. Order within a turn is the driver's: receive, event, tick, effects,
 * transmit for who is ready, then a few work. Any verb may make connections ready and effects pending. */
struct machine_verbs {
  /* A connection that a listener accepted. ID_NONE: refused, the driver closes it. */
  struct id (*accept)(void *self, instant now, enum connection_kind, const struct address *peer);
  /* How many bytes it takes now; 0: do not read. Links: SIZE_MAX but while a handshake waits for work. After 0,
   * the connection becomes ready (next_ready) when there is room again. */
  size_t (*room)(const void *self, struct id connection);
  /* Bytes from the peer, at most `room`; may be changed in place. What was not used comes again, with more behind
   * it (only links leave some: less than a record). Not OK: the machine has closed it, effects say so. */
  enum outcome (*receive)(void *self, instant now, struct id connection, uint8_t *in, size_t len, size_t *ret_used);
  /* Fills out, returns how much; 0: nothing now. What it returned will be sent or the connection dies. */
  size_t (*transmit)(void *self, instant now, struct id connection, uint8_t *out, size_t room);
  void (*event)(void *self, instant now, const struct event *);
  /* Of a link: how many of its circuits have cells that may leave, [PACE-4]. NULL: the machine has no circuits. */
  uint32_t (*waiting)(const void *self, struct id connection);
  bool (*next_ready)(void *self, struct id *ret_connection); /* who has output or room anew; each once */
  bool (*next_effect)(void *self, struct effect *ret);
  instant (*deadline)(const void *self); /* the one truth about time */
  void (*tick)(void *self, instant now);
  bool (*work)(void *self, instant now); /* ONE handshake or signature; true if more waits */
  void (*status)(const void *self, instant now, struct status *ret); /* a snapshot for people; NULL: has none */
};

struct machine { void *self; const struct machine_verbs *verbs; };

#endif
