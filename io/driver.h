/* Runs one machine of protocol/machine.h: its sockets, files, lookups, messages and time, on the thread that calls.
 * Spec: specs/machines.md [MACH-2] to [MACH-9]. Called by io/program; tests/sim has the other driver.
 * Never looks into what connections carry, never decides anything a machine could, never calls a machine from two threads.
 */
#ifndef TUNIC_IO_DRIVER_H
#define TUNIC_IO_DRIVER_H

#include "io/exchange.h"
#include "io/files.h"
#include "io/log_writer.h"
#include "io/loop.h"
#include "protocol/machine.h"
#include "protocol/status.h"

struct driver; /* opaque */

struct driver_config {
  struct machine machine;        /* outlives the driver */
  struct exchange *exchange;     /* outlives the driver */
  uint32_t index;                /* among the exchange's drivers */
  const struct folder *folder;   /* for EFFECT_WRITE_FILE; NULL: every write fails */
  struct log_writer *log;        /* NULL: silent */
  const char *resolv_conf, *hosts; /* NULL: the system's */
};

/* NULL: no memory or descriptors. */
struct driver *driver_new(const struct driver_config *);
void driver_free(struct driver *); /* closes everything; NULL is allowed */
struct loop *driver_loop(struct driver *);

/* Connections to this address reach the machine by accept. A port 0 is chosen by the system; ret_bound may be NULL.
 * PORT_TAKEN if another process listens there, SYSTEM_FAILED if the address is not ours to listen on. */
enum outcome driver_listen(struct driver *, const struct address *, enum connection_kind, struct address *ret_bound);

/* Turns until any machine of the exchange gives EFFECT_EXIT, then says farewell: the machine gets EVENT_STOP if it was not
 * the one, and what is ready is sent. */
void driver_run(struct driver *);
/* [MACH-2] One turn, after waiting for at most `wait` nanoseconds. */
void driver_turn(struct driver *, uint64_t wait);
/* From any thread: the machine gets EVENT_STOP. */
void driver_stop(struct driver *);
/* On the driver's thread: the machine gets EVENT_MESSAGE of this kind, with the document, whose reference moves; one that was
 * not taken yet is replaced. */
void driver_give(struct driver *, uint32_t kind, struct document *);
/* When no driver of the exchange runs any more: gives the machine the messages that were on their way, so that what they own
 * is freed by whoever knows it. */
void driver_settle(struct driver *);

/* The machine's snapshot and the driver's own figures; on the driver's thread. */
void driver_status(const struct driver *, struct status *ret);

#endif
