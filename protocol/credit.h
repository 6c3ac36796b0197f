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

/* On the wire: CONTROL_CREDIT. */
struct credit_report { uint64_t passed, limit; uint16_t waiting; /* coarse: [CREDIT-6] */ };

uint16_t credit_waiting_encode(uint64_t cells);
uint64_t credit_waiting_decode(uint16_t code);

/* The side that sends cells. */
struct credit_sender {
  uint64_t sent, passed, limit;
  uint32_t window;
  uint32_t least_waiting; /* over the current round trip */
  bool was_full;          /* the window, not the limit or a lack of cells, held us back */
  uint64_t probe_cell;    /* the round trip ends when this cell was passed */
  instant probe_at;
  uint32_t round_trip_us; /* smallest seen lately */
  uint32_t passed_per_ms; /* drain, over the last round trip */
  uint64_t passed_at_probe;
};

void credit_sender_init(struct credit_sender *);
/* Cells that may be sent now. */
uint32_t credit_sender_room(const struct credit_sender *);
void credit_sender_sent(struct credit_sender *, instant now);
/* The application had nothing more to send although there was room: the window must not grow. */
void credit_sender_idle(struct credit_sender *);
/* [CREDIT-4] PROTOCOL_VIOLATION: passed beyond sent, or a number that went back. */
enum outcome credit_sender_report(struct credit_sender *, instant now, const struct credit_report *);

/* The side that receives them. */
struct credit_receiver {
  uint64_t received, passed, limit;
  uint64_t reported_passed, reported_limit;
  uint64_t passed_at_round; /* for growth */
  instant round_at;
};

void credit_receiver_init(struct credit_receiver *);
/* [CREDIT-5] PROTOCOL_VIOLATION: a cell beyond the limit. */
enum outcome credit_receiver_received(struct credit_receiver *);
/* One more cell handed to the next link's socket, or delivered. */
void credit_receiver_passed(struct credit_receiver *);
uint64_t credit_receiver_waiting(const struct credit_receiver *);
/* What the pool can promise: raises the limit by the rules; never lowers it.
 * pool_used and pool_limit in cells, circuits: those that share the pool. */
void credit_receiver_grow(struct credit_receiver *, instant now, uint32_t pool_used, uint32_t pool_limit, uint32_t circuits);
/* True if a report is due: enough passed, or the queue emptied, or the limit grew. */
bool credit_receiver_is_due(const struct credit_receiver *);
/* The report to send now; remembers that it was made. */
void credit_receiver_make_report(struct credit_receiver *, struct credit_report *ret);

#endif
