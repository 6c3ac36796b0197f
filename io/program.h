/* A program of one machine or several: the first on the calling thread with the listeners, each other on its own thread.
 * Spec: specs/machines.md [MACH-8]. Called by main files, once.
 * With one machine there are no threads at all. Never restarts a machine: whatever ends one ends the program.
 */
#ifndef TUNIC_IO_PROGRAM_H
#define TUNIC_IO_PROGRAM_H

#include "io/driver.h"

struct program; /* opaque */

struct program_config {
  const struct machine *machines; /* at most EXCHANGE_DRIVERS_MAX; they outlive the program */
  uint32_t machine_count;
  const struct folder *folder;
  struct log_writer *log; /* NULL: silent */
  const char *resolv_conf, *hosts; /* NULL: the system's */
  uint32_t ring_parcels;           /* 0: EXCHANGE_RING_PARCELS */
  bool catch_signals;              /* SIGINT, SIGTERM and SIGHUP become EVENT_STOP for the first machine (loop_catch_signals) */
};

/* NULL: no memory or descriptors. */
struct program *program_new(const struct program_config *);
void program_free(struct program *); /* NULL is allowed */
/* The driver of a machine; 0 has the listeners and the control socket. */
struct driver *program_driver(struct program *, uint32_t index);
/* Until a machine gives EFFECT_EXIT, whose outcome is returned; SYSTEM_FAILED if a thread can't be started. Once. */
enum outcome program_run(struct program *);

#endif
