/* Networks of full size for days of virtual time: users who fetch all the while, bad weather for the authorities, and what must hold.
 * Spec: specs/simulator.md [SIM-*]. Called by scenarios_days.c.
 * Never counts an authority as a liar and as honest in one run.
 */
#ifndef TUNIC_TESTS_SIM_DAYS_H
#define TUNIC_TESTS_SIM_DAYS_H

#include "tests/sim/liar.h"
#include "tests/sim/scenario.h"
#include "tests/unit/directory/agreement_witness.h"

enum { DAYS_CLIENTS_MOST = 128 };

/* What an application does: one fetch at a time. */
struct user { bool is_waiting; uint32_t fetch; instant due, late; uint64_t fetched; };

struct days {
  struct trial *trial;
  uint32_t n, f, clients;
  struct agreement_members members;
  struct user users[DAYS_CLIENTS_MOST];
  /* The weather */
  uint32_t crash_per_mille;      /* of the writes of authorities that are honest */
  uint32_t crashes;
  uint64_t fetched;
  uint64_t slowest;              /* of all fetches */
  uint32_t views_most;           /* the highest view that an authority was seen in */
};

/* Authorities, relays and, half an hour later, clients, all ready; f of the authorities are liars, without a habit so far. */
bool days_start(struct days *, struct trial *, uint32_t authorities);
void days_stop(struct days *);
/* Lets time pass, users fetch, and asks for what must hold; the weather (may be NULL) is called once a minute. */
void days_run(struct days *, uint64_t duration, void (*weather)(struct days *));
/* From now on messages get through: the next epoch is decided and everybody has it in time. [SIM-7] */
void days_expect_decision(struct days *, const char *after);
struct node *days_authority(struct days *, uint32_t place); /* from 0 */
/* kill -9 now, a start within two minutes; its record may be lost with it. */
void days_crash(struct days *, struct node *, bool loses_record);
void days_set_habits(struct days *, uint32_t habits); /* of all liars */

#endif
