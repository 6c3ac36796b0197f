/* Between the drivers of one program: a bounded ring from each to each, being woken, and the program's end.
 * Spec: specs/machines.md [MACH-8]. Called by drivers, each on its own thread, and by io/program.
 * Never blocks and never drops: a parcel that finds its ring full stays with the sender, who is woken when there is room.
 */
#ifndef TUNIC_IO_EXCHANGE_H
#define TUNIC_IO_EXCHANGE_H

#include "io/loop.h"
#include "protocol/machine.h"

enum { EXCHANGE_DRIVERS_MAX = 64, EXCHANGE_RING_PARCELS = 512 };

enum parcel_kind { PARCEL_MESSAGE, PARCEL_SOCKET };

struct parcel {
  enum parcel_kind kind;
  uint32_t from;
  struct machine_message message;
  int fd; /* an accepted socket that nothing was read from, with its kind and peer */
  enum connection_kind connection;
  struct address peer;
};

struct exchange; /* opaque */

/* ring_parcels: a power of two. NULL: no memory. */
struct exchange *exchange_new(uint32_t drivers, uint32_t ring_parcels);
/* What is still in a ring is lost: take it out before. NULL is allowed. */
void exchange_free(struct exchange *);

/* Before any thread runs: who is to be woken when something came for a driver. */
void exchange_join(struct exchange *, uint32_t driver, struct loop *);
uint32_t exchange_drivers(const struct exchange *);

/* [MACH-8] False: the ring is full; parcel->from is woken as soon as it is not. */
bool exchange_put(struct exchange *, uint32_t to, const struct parcel *);
/* The next parcel for a driver, from any; each sender's come in its order. */
bool exchange_take(struct exchange *, uint32_t driver, struct parcel *ret);
/* At the end of a turn: wakes whom `driver` has put something for since the last time. */
void exchange_notify(struct exchange *, uint32_t driver);

/* The program ends, with the first outcome anyone gave; everybody is woken. */
void exchange_end(struct exchange *, enum outcome);
bool exchange_is_over(const struct exchange *);
enum outcome exchange_outcome(const struct exchange *);

#endif
