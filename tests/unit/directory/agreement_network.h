/* A whole network of authorities in one process, in virtual time, from one seed: the shipped machine of each, liars
 * among them, a network that delays, loses and splits, and disks that a crash leaves old or new.
 * Spec: specs/agreement.md [AGREE-*]. Called by the agreement's tests. After every event it checks what must always
 * hold; `failure` says what did not.
 */
#ifndef TUNIC_TESTS_UNIT_DIRECTORY_AGREEMENT_NETWORK_H
#define TUNIC_TESTS_UNIT_DIRECTORY_AGREEMENT_NETWORK_H

#include "directory/agreement.h"
#include "tests/liars/words.h"

struct agreement_network_options {
  uint32_t n, liars;
  uint32_t habits;               /* of the liars; one with twins runs two machines of its key that do not know of each other */
  struct agreement_timing timing;
  instant storm_ends;            /* until then the network is bad ... */
  uint64_t storm_delay;          /* ... with delays up to this, */
  uint32_t storm_loss_percent;
  bool storm_splits;             /* and with partitions that come and go */
  uint64_t calm_delay;           /* afterwards: delays up to this and no loss */
  uint32_t crash_per_mille;      /* of ballot writes, during the storm */
  uint32_t lost_records;         /* so many honest authorities lose their record in a crash */
};

struct agreement_network;

struct agreement_network *agreement_network_new(const struct agreement_network_options *, uint64_t seed);
void agreement_network_free(struct agreement_network *);
/* Runs until this instant, or until a failure. */
void agreement_network_run(struct agreement_network *, instant until);
/* Runs until every honest authority has adopted this epoch; false: not by `until`, or a failure. */
bool agreement_network_run_to_epoch(struct agreement_network *, uint64_t epoch, instant until);
/* NULL: nothing wrong so far. */
const char *agreement_network_failure(const struct agreement_network *);

instant agreement_network_now(const struct agreement_network *);
/* The lowest and the highest epoch that an honest authority has adopted. */
uint64_t agreement_network_lowest(const struct agreement_network *);
uint64_t agreement_network_highest(const struct agreement_network *);
/* How many honest authorities hold proof against this one. */
uint32_t agreement_network_accusers(const struct agreement_network *, uint8_t author);
/* Authors whose votes the decided vector of an epoch names: bit i. 0: not decided. */
uint32_t agreement_network_voters(const struct agreement_network *, uint64_t epoch);
const struct agreement *agreement_network_machine(const struct agreement_network *, uint8_t place);
uint64_t agreement_network_events(const struct agreement_network *);
/* An honest authority sees relays come or go. */
void agreement_network_want_early(struct agreement_network *, uint8_t place);

#endif
