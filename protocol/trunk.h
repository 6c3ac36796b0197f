/* A trunk: one link and all that it carries: the circuits' sides, their credit and queues, closes, documents.
 * Spec: specs/circuits.md [CIRC-*], specs/credit.md. Called by shard, client, authority: whoever owns links.
 * What comes in is handed out one delivery at a time; what goes out is chosen when a record is sealed.
 * Never calls back, never opens an onion layer, never decides who may do what.
 */
#ifndef TUNIC_PROTOCOL_TRUNK_H
#define TUNIC_PROTOCOL_TRUNK_H

#include "protocol/cell_pool.h"
#include "protocol/credit.h"
#include "protocol/id_table.h"
#include "protocol/link.h"
#include "protocol/list.h"
#include "protocol/schedule.h"
#include "protocol/transfer.h"

enum side_state {
  SIDE_NONE,     /* not attached: no neighbour this way */
  SIDE_CREATING, /* CREATE sent or being answered: no onion cell may pass yet */
  SIDE_OPEN,
  SIDE_DRAINING, /* closed by us: CLOSE leaves behind what is queued */
};

/* Whoever holds cells of the pool: the one that has gone longest without progress is evicted first, [LIMIT-3]. */
struct backlog { struct list_node node; struct id owner; uint8_t kind; /* the machine's own kinds */ };

/* One neighbour's end of one circuit. Lives inside the owner's hop or circuit; zeroed: SIDE_NONE. */
struct trunk_side {
  struct trunk *trunk;
  uint32_t circuit;
  uint8_t state;
  uint8_t index;             /* which of the owner's sides */
  struct id owner;           /* the hop or circuit */
  uint32_t source;           /* for the schedule: where this side's cells come from */
  struct trunk_side *feeder; /* the side whose cells are passed on here; NULL: all are our own */
  struct cell_queue queue;   /* onion cells to this neighbour */
  struct credit_sender out;
  struct credit_receiver in;
  struct schedule_entry entry;
  struct backlog backlog;
  struct list_node of_trunk, report, drain; /* drain: draining by time, then finished */
  struct list_node roomy;
  bool wants_room; /* the owner stopped reading streams for lack of room */
  instant close_by;
};

/* What the trunks of one machine share. */
struct trunk_pool {
  struct cell_pool *cells;
  struct random_stream *random;
  uint32_t sides; /* attached: those that share the cells */
  struct list ready, backlogs, draining, finished, roomy;
  struct list unhurried; /* trunks whose reports may wait, by when they may not */
  struct list starved; /* trunks that had no memory to schedule a side */
  instant feed_at;     /* when they try again, if there are any */
  uint64_t cells_sent, cells_received, bytes_sent; /* for the metrics */
};

struct trunk; /* opaque */

void trunk_pool_init(struct trunk_pool *, struct cell_pool *cells, struct random_stream *random);

/* Takes the link. `connection` names it to the driver, `number` (not 0) to schedules. put_max: see transfers_new.
 * NULL: no memory (the link is freed). */
struct trunk *trunk_new(struct trunk_pool *, struct link *, struct id connection, uint32_t number, size_t put_max);
/* Every side must have been detached. */
void trunk_free(struct trunk *);
struct link *trunk_link(const struct trunk *);
struct id trunk_connection(const struct trunk *);
struct transfers *trunk_transfers(const struct trunk *);
uint32_t trunk_number(const struct trunk *);
/* Circuits that have cells which may leave. */
uint32_t trunk_waiting_count(const struct trunk *);
/* Circuits attached, and ids that wait for the answer to our CLOSE. */
uint32_t trunk_side_count(const struct trunk *);
/* Any side of it, for closing them all when the link is lost; NULL: none. */
struct trunk_side *trunk_any_side(const struct trunk *);
/* [CIRC-9] The instant by which a neighbour must have answered a CLOSE, or taken what opens circuits. */
instant trunk_close_deadline(const struct trunk *);
/* The responder tells its date once, when open. */
void trunk_tell_time(struct trunk *, struct date);

enum delivery_kind {
  DELIVERY_CREATE,  /* circuit, create: answer, queue or refuse it */
  DELIVERY_CREATED, /* side, reply */
  DELIVERY_ONION,   /* side, body: counted against its credit already; say trunk_passed when it is dealt with */
  DELIVERY_CLOSED,  /* side: the neighbour closed it; detached and answered already */
  DELIVERY_TRANSFER,
  DELIVERY_TIME,
};
struct delivery {
  enum delivery_kind kind;
  struct trunk_side *side;
  uint32_t circuit;
  struct cell_create create;
  const uint8_t *reply;
  uint8_t *body; /* CELL_BODY_BYTES, in place in the received bytes */
  struct transfer_event transfer;
  struct date date;
};

/* Takes one unit (a handshake message or a record), as link_receive. Its cells are then taken out with
 * trunk_next_delivery before the next call. Not OK: the link is over, free it. */
enum outcome trunk_receive(struct trunk *, instant now, uint8_t *in, size_t len, size_t *ret_used);
/* False: no more for now; then *ret_outcome says OK, or why the link is over. */
bool trunk_next_delivery(struct trunk *, instant now, struct delivery *ret, enum outcome *ret_outcome);

/* Fills out with handshake bytes or records. */
size_t trunk_transmit(struct trunk *, instant now, uint8_t *out, size_t room);
/* Says that there is something to send; trunks do it themselves for all that is asked of them here. */
void trunk_make_ready(struct trunk *);
/* The next trunk that became ready; each once. */
bool trunk_pool_next_ready(struct trunk_pool *, struct id *ret_connection);

/* [CIRC-1] The link's initiator begins a circuit: draws its id, sends CREATE. False: limits or no memory. */
bool trunk_begin(struct trunk *, struct trunk_side *, instant now, const struct cell_create *);
/* The responder attaches the id of a CREATE that it accepts, then answers CREATED; or refuses with CLOSE. */
bool trunk_attach(struct trunk *, struct trunk_side *, uint32_t circuit, instant now);
bool trunk_answer(struct trunk_side *, instant now, const uint8_t *reply);
void trunk_refuse(struct trunk *, uint32_t circuit);
/* True if the id is attached, or waits for the answer to our CLOSE. */
bool trunk_knows_circuit(const struct trunk *, uint32_t circuit);
/* CREATED came and its reply was good. */
void trunk_opened(struct trunk_side *, instant now);

/* Queues an onion cell (body filled, header not); `fed`: it came from side->feeder, to be credited when it leaves. */
void trunk_push(struct trunk_side *, instant now, struct cell *, bool fed);
/* One cell that came from this side was dealt with. */
void trunk_passed(struct trunk_side *, instant now);
/* How many own cells may be queued before LIMIT_STREAM_QUEUE_CELLS. */
uint32_t trunk_side_room(const struct trunk_side *);
/* [STREAM-17] The next side that has room again (half of it at least) after its owner set wants_room. */
struct trunk_side *trunk_pool_next_roomy(struct trunk_pool *);

/* Closes our way: CLOSE follows what is queued, or, at close_by, takes its place. SIDE_NONE once it left: then the side
 * is on the finished list. */
void trunk_close(struct trunk_side *, instant now);
/* Closes at once: what is queued is dropped, CLOSE is sent, the side is SIDE_NONE on return. */
void trunk_cut(struct trunk_side *);
/* The link is lost: forgets the side without a word. */
void trunk_detach(struct trunk_side *);
/* The next side whose draining ended: its owner may be free to go. */
struct trunk_side *trunk_pool_next_finished(struct trunk_pool *);
/* When a draining side runs out of time, a report may wait no longer, or what had no memory is tried again; and what then happens. */
instant trunk_pool_deadline(const struct trunk_pool *);
void trunk_pool_tick(struct trunk_pool *, instant now);

/* Notes that this holder of cells moved one (or that it holds none any more). */
void backlog_progress(struct trunk_pool *, struct backlog *, bool holds_cells);
/* The same for a queue that gave a cell: while what is left has waited long, that is no progress. */
void backlog_moved(struct trunk_pool *, struct backlog *, const struct cell_queue *left, instant now);
/* [LIMIT-3] Who has gone longest without progress while cells wait; NULL: nobody. */
struct backlog *trunk_pool_longest_backlog(const struct trunk_pool *);

#endif
