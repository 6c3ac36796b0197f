/* The inside of the simulator, shared by sim.c (hosts, running), sim_queue.c (what is next), sim_turn.c (a driver's turn) and
 * sim_wire.c (connections).
 * Spec: specs/machines.md. Called by no one else.
 * Never used by scenarios.
 */
#ifndef TUNIC_TESTS_SIM_SIM_INTERNAL_H
#define TUNIC_TESTS_SIM_SIM_INTERNAL_H

#include "tests/sim/sim.h"

enum { SIM_SOCKET_BYTES = 256 * 1024, SIM_BUFFER_BYTES = 256 * 1024, SIM_WORK_PER_TURN = 4 };

enum sim_event_kind { SIM_TURN, SIM_CONNECT, SIM_ARRIVE, SIM_ARRIVE_EOF, SIM_ARRIVE_CLOSED, SIM_GIVE_EVENT, SIM_RENAME, SIM_CALL };

/* One end of a connection. */
struct sim_endpoint {
  struct list_node of_host;
  struct sim_host *host;
  uint32_t machine;
  struct id id;
  enum connection_kind kind;
  struct sim_endpoint *peer;      /* NULL: gone */
  struct sim_host *other;         /* the peer's host, also when the peer is gone; NULL: there never was one */
  bool connected, dead, has_output, finishing, finished, closing_flushed;
  bool eof_arrived, eof_given;
  uint64_t in_flight;             /* bytes sent that the peer has not read */
  uint8_t *arrived;
  size_t arrived_len, arrived_capacity;
  instant last_arrival;           /* at the peer: bytes never overtake */
  instant held_until;             /* by a cut: what arrives earlier waits its turn */
  uint32_t references;            /* events that name it */
};

struct sim_event {
  instant at;
  uint64_t order;
  enum sim_event_kind kind;
  struct sim_host *host;
  uint32_t machine, life;
  struct sim_endpoint *endpoint;
  struct document *document;     /* SIM_RENAME: the file `bytes` names */
  uint8_t *bytes;
  size_t len;
  struct event *event;
  void (*call)(struct sim_host *);
};

/* sim_queue.c. What the event points to is the event's from now on. */
void sim_plan(struct sim *, struct sim_event);
void sim_plan_turn(struct sim_host *, uint32_t machine, instant at);
void sim_forget_turn(struct sim *, struct sim_wake *);
/* The first that is not after `until`; false: none. */
bool sim_take_next(struct sim *, instant until, struct sim_event *ret);

/* sim_wire.c */
void wire_connect(struct sim_host *, uint32_t machine, const struct effect *);
void wire_connect_arrives(struct sim *, struct sim_endpoint *);
void wire_arrives(struct sim *, struct sim_event *);
struct sim_endpoint *wire_find(struct sim_host *, uint32_t machine, struct id);
void wire_transmit(struct sim_endpoint *);
void wire_receive(struct sim_endpoint *, uint8_t *buffer);
void wire_close(struct sim_endpoint *, enum outcome, bool tell_own);
void wire_hand_over(struct sim_endpoint *, uint32_t to);
void wire_release(struct sim_endpoint *);

/* sim_turn.c */
void turn_run(struct sim_host *, uint32_t machine);

#endif
