/* A machine for the driver's tests: sends back what it gets, whole records at a time if asked, with little room.
 * Spec: specs/machines.md. Called by tests/unit/io.
 * Never does more than its settings say; a test may put effects of its own into the queue.
 */
#ifndef TUNIC_TESTS_UNIT_IO_ECHO_MACHINE_H
#define TUNIC_TESTS_UNIT_IO_ECHO_MACHINE_H

#include <stdatomic.h>

#include "protocol/effect_queue.h"
#include "protocol/list.h"
#include "protocol/machine.h"

enum { ECHO_BUFFER_BYTES = 256 * 1024, ECHO_EVENTS_MAX = 64 };

struct echo_connection {
  struct list_node ready;
  struct id id;
  bool had_no_room, eof, finished;
  uint64_t received, left_at; /* left_at: calls that left bytes */
  size_t len;
  uint8_t bytes[ECHO_BUFFER_BYTES];
};

struct echo_machine {
  /* settings */
  size_t record_bytes;   /* uses only whole records of so many bytes; 0: everything */
  bool is_deaf;          /* no room for anything */
  bool flood;            /* sends without end, whatever comes */
  bool close_flushed;    /* after EOF: CLOSE_FLUSHED instead of FINISH */
  uint32_t hand_over_to; /* 0: keeps what it accepts */
  uint32_t answers;      /* messages: sends so many back to whoever sent one */
  uint32_t work_left;
  /* state */
  struct id_table connections;
  struct list ready;
  struct effect_queue effects;
  instant deadline;
  /* what happened */
  struct event events[ECHO_EVENTS_MAX]; /* but for messages */
  uint32_t event_count, accepted, ticks, works_in_turn, works_most;
  _Atomic uint32_t messages;
  uint64_t last_message;
  bool messages_in_order;
  instant ticked_at;
};

void echo_machine_init(struct echo_machine *);
void echo_machine_wipe(struct echo_machine *);
struct machine echo_machine_machine(struct echo_machine *);

void echo_machine_put(struct echo_machine *, struct effect);
/* Connects to an address; returns the id. */
struct id echo_machine_connect(struct echo_machine *, enum connection_kind, const struct address *);
/* Queues bytes on a connection. */
void echo_machine_say(struct echo_machine *, struct id, const char *text);
struct echo_connection *echo_machine_connection(const struct echo_machine *, struct id);
/* The newest event of a kind, or NULL. */
const struct event *echo_machine_event(const struct echo_machine *, enum event_kind);
/* There is room again. */
void echo_machine_listen(struct echo_machine *);

#endif
