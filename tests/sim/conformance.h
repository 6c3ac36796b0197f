/* One script for every driver: what a machine may rely on, played against io/driver on loopback and against the simulator.
 * Spec: specs/machines.md [MACH-2] to [MACH-9]. Called by tests/sim/conformance_run.c.
 * Compares records of calls, which the rules make the same everywhere; never times, nor how bytes were cut.
 */
#ifndef TUNIC_TESTS_SIM_CONFORMANCE_H
#define TUNIC_TESTS_SIM_CONFORMANCE_H

#include "tests/sim/conformance_machine.h"

enum { CONFORMANCE_MACHINES = 2 };

/* The other end of a connection. The script writes `out` and `finishes`, the host the rest. */
struct conformance_peer {
  const uint8_t *out; /* to send, in order */
  size_t out_len;
  bool finishes; /* once all is sent: sends no more, still reads */
  uint8_t *in;   /* OUTPUT_BYTES of room */
  size_t in_len;
  bool has_ended; /* the machine's way is over */
  bool was_cut;   /* by a reset */
};

/* A driver with two machines of one program, of which the first has the listener, and with peers outside. */
struct conformance_host {
  const char *name;
  void *context;
  bool (*start)(void *context, const struct machine machines[CONFORMANCE_MACHINES], enum connection_kind);
  void (*stop)(void *context); /* and frees what it made */
  void (*ask_to_stop)(void *context); /* the person wants it to end */
  instant (*now)(void *context);
  /* Where a peer listens, and where nobody does. */
  struct address (*peer_address)(void *context);
  struct address (*nobody_address)(void *context);
  /* A peer that connects to the machine; one that the machine has connected to, NULL: none yet. Both live until stop. */
  struct conformance_peer *(*peer_connect)(void *context);
  struct conformance_peer *(*peer_accept)(void *context);
  /* Runs turns until the condition holds; false: it won't. */
  bool (*run_until)(void *context, bool (*condition)(void *argument), void *argument);
  /* A name that resolves is "peer"; one that does not is "nobody". */
};

/* Plays every scene; writes one line for each that fails to stderr. Returns how many passed. */
int conformance_run(const struct conformance_host *, int *ret_failed);

const struct conformance_host *conformance_loopback(void);
const struct conformance_host *conformance_sim(void);

#endif
