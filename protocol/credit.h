/* Credit between neighbours for one circuit and direction: what may be sent, by the neighbour's reported queue.
 * Spec: specs/credit.md [CREDIT-*]. Called by hops and circuits, one sender and one receiver per side.
 * Values are absolute, the newest replaces older ones. Never queues, never waits: it says how many.
 */
#ifndef TUNIC_PROTOCOL_CREDIT_H
#define TUNIC_PROTOCOL_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/instant.h"
#include "protocol/outcome.h"

/* [CREDIT-1] On the wire: CONTROL_CREDIT, behind the circuit's id. */
struct credit_report { uint64_t passed, limit; uint16_t waiting; /* coarse: [CREDIT-6] */ };

/* Encoding rounds down; a code that no number has decodes to UINT64_MAX, which no report can mean. */
uint16_t credit_waiting_encode(uint64_t cells);
uint64_t credit_waiting_decode(uint16_t code);

/* The side that sends cells. */
struct credit_sender {
  uint64_t sent, passed, limit;
  uint32_t window;
  uint32_t growth;        /* eighths of the window that the next growing round trip adds, at most 8 */
  uint32_t drain_per_s;   /* cells that the neighbour passes on, by the last round trips */
  uint32_t least_waiting; /* over the current round trip */
  bool was_full;          /* the window, not the limit or a lack of cells, held us back in this round trip */
  bool was_idle;          /* cells were lacking in this round trip */
  uint64_t probe_cell;    /* the round trip ends when this cell was passed; 0: none is being measured */
  uint64_t passed_at_probe;
  instant probe_at;
};

void credit_sender_init(struct credit_sender *);
/* Cells that may be sent now. */
uint32_t credit_sender_room(const struct credit_sender *);
void credit_sender_sent(struct credit_sender *, instant now);
/* There was nothing more to send although there was room: a round trip that the window never held back won't grow it. */
void credit_sender_idle(struct credit_sender *);
/* [CREDIT-4] PROTOCOL_VIOLATION: passed beyond sent, more waiting than was sent, or a number that went back. */
enum outcome credit_sender_report(struct credit_sender *, instant now, const struct credit_report *);

/* The side that receives them. What it promises memory for, the span, is limit - passed. */
struct credit_receiver {
  uint64_t received, passed, limit;
  uint64_t reported_passed, reported_limit;
  bool reported_waiting;      /* the last report said that some wait */
  bool has_grown;             /* the first limit was given */
  uint64_t round_limit;       /* the round ends when this cell has come; 0: none is being measured */
  uint64_t passed_at_round;   /* for growth */
  instant round_at;
  uint64_t least_round;       /* nanoseconds: the shortest round lately; 0: none yet */
};

void credit_receiver_init(struct credit_receiver *);
/* [CREDIT-5] PROTOCOL_VIOLATION: a cell beyond the limit that was reported. */
enum outcome credit_receiver_received(struct credit_receiver *);
/* One more cell handed to the next link's socket, or delivered: the limit moves on by one too. */
void credit_receiver_passed(struct credit_receiver *);
uint64_t credit_receiver_waiting(const struct credit_receiver *);
/* What the pool can promise: raises the limit by the rules; never lowers it. Asked once when the circuit begins,
 * and whenever cells were passed, before credit_receiver_due.
 * pool_used and pool_limit in cells, circuits: those that share the pool. */
void credit_receiver_grow(struct credit_receiver *, instant now, uint32_t pool_used, uint32_t pool_limit, uint32_t circuits);
enum credit_due {
  CREDIT_DUE_NO,
  CREDIT_DUE_SOON, /* within LIMIT_REPORT_TIME: the queue emptied, more may come that one report can tell of too */
  CREDIT_DUE_NOW,  /* enough passed, or the limit grew, or the neighbour believes that some wait and none does */
};
/* [CREDIT-3] */
enum credit_due credit_receiver_due(const struct credit_receiver *);
/* The report to send now; remembers that it was made. Best made after the turn's sends: then only what the next link
 * did not take counts as waiting. */
void credit_receiver_make_report(struct credit_receiver *, struct credit_report *ret);

#endif
