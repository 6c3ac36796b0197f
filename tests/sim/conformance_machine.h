/* A machine that does what a script tells it and writes down what its driver calls, so that drivers can be compared.
 * Spec: specs/machines.md. Called by tests/sim/conformance.c.
 * Checks on its own what must hold in every call: dead ids stay silent, room is kept, bytes come in order.
 */
#ifndef TUNIC_TESTS_SIM_CONFORMANCE_MACHINE_H
#define TUNIC_TESTS_SIM_CONFORMANCE_MACHINE_H

#include "protocol/effect_queue.h"
#include "protocol/list.h"
#include "protocol/machine.h"

enum { RECORD_BYTES = 4096, OUTPUT_BYTES = 2 * 1024 * 1024 };

struct scripted_connection {
  struct list_node ready;
  struct id id;
  uint32_t number;   /* in the record: the how manieth */
  size_t room, unit; /* uses only multiples of unit */
  bool stalls;       /* takes one unit, then has no room: as a link whose handshake waits for work */
  const uint8_t *out;
  size_t out_len;
};

struct scripted {
  struct id_table connections;
  struct list ready;
  struct effect_queue effects;
  instant deadline;
  enum connection_kind accepts; /* the kind of the last one */
  struct id newest;
  uint32_t count;        /* connections so far */
  uint32_t hand_over_to; /* 0: keeps what it accepts */
  uint32_t work_left;
  size_t room, unit; /* of the next connection */
  /* what happened */
  char record[RECORD_BYTES];
  size_t record_len;
  uint32_t receiving;   /* whose bytes stand at the record's end */
  instant last_now;
  const char *fault;    /* a rule that was broken, or NULL */
};

void scripted_init(struct scripted *);
void scripted_wipe(struct scripted *);
struct machine scripted_machine(struct scripted *);

/* Forgets the record. */
void scripted_forget(struct scripted *);
void scripted_put(struct scripted *, struct effect);
struct scripted_connection *scripted_connection(const struct scripted *, struct id);
/* A new connection of the machine's own. */
struct id scripted_connect(struct scripted *, enum connection_kind, const struct address *);
/* More to send; the bytes must stay. Ready is said once. */
void scripted_send(struct scripted *, struct id, const void *bytes, size_t len);
void scripted_set_room(struct scripted *, struct id, size_t room);
/* The machine forgets the connection, as it does with an effect that ends it. */
void scripted_drop(struct scripted *, struct id);

#endif
