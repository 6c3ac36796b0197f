/* The inside of a trunk, shared by its files: trunk.c (life), trunk_receive.c, trunk_send.c, trunk_side.c.
 * Spec: specs/circuits.md. Called by no one else.
 * Never included outside protocol/trunk*.c.
 */
#ifndef TUNIC_PROTOCOL_TRUNK_INTERNAL_H
#define TUNIC_PROTOCOL_TRUNK_INTERNAL_H

#include "protocol/index_map.h"
#include "protocol/limits.h"
#include "protocol/trunk.h"

/* The value of a circuit id in the map: a side's address, or this while it waits for the answer to our CLOSE. */
enum { TRUNK_CLOSING = 1 };

/* Circuit ids whose CLOSE is to be sent. */
struct close_queue { uint32_t *ids; uint32_t count, capacity, at; };

struct trunk {
  struct trunk_pool *pool;
  struct link *link;
  struct transfers *transfers;
  struct schedule *schedule;
  struct id connection;
  uint32_t number, side_count, closing_count;
  instant close_deadline;
  struct index_map circuits;
  struct trunk_side *latest; /* the side that was found last: cells of one circuit come in runs */
  struct list sides, reports;
  bool reports_due;   /* [CREDIT-3] now: at least one of them; then all go */
  instant reports_by; /* else by then, while `unhurried` is in the pool's list */
  struct list_node ready, starved, unhurried;
  struct cell_queue control; /* CREATE, CREATED */
  struct close_queue closes;
  bool time_pending, time_told, transfer_turn; /* told: by the peer */
  struct date time;
  uint32_t padding_budget;
  /* the record being handed out */
  uint8_t *record_cells;
  uint32_t record_count, record_at;
  struct message_reader control_reader;
  bool reading_control;
};

/* The side of an attached circuit; NULL and *ret_closing otherwise. */
struct trunk_side *trunk_find(struct trunk *, uint32_t circuit, bool *ret_closing);
/* Queues CLOSE for an id and marks it closing; without memory the link can't go on: false. */
bool trunk_send_close(struct trunk *, uint32_t circuit, bool expect_answer);
/* Takes the side out of the trunk, drops its cells. */
void trunk_forget(struct trunk_side *);
void trunk_list_report(struct trunk_side *, instant now);
/* Puts the side into the schedule if it has a cell and may send it, else takes it out. */
void trunk_schedule_side(struct trunk_side *, instant now);
/* What could not be scheduled before. */
void trunk_feed(struct trunk *, instant now);
/* The link's cell source. */
bool trunk_next_cell(void *context, instant now, uint8_t cell[CELL_BYTES]);

#endif
