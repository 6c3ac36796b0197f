/* Authorities that lie in simulated networks, and a witness who hears what the honest ones say.
 * Spec: specs/simulator.md. Called by scenarios that run for days; their program wraps peers_send and agreement_receive
 * (-Wl,--wrap), so that a liar is the shipped authority until it opens its mouth.
 * Never lets a liar sign with another's key.
 */
#ifndef TUNIC_TESTS_SIM_LIAR_H
#define TUNIC_TESTS_SIM_LIAR_H

#include "tests/liars/words.h"
#include "tests/sim/network.h"

struct liar;

/* Makes an authority a liar for the rest of the run; without habits it does as the honest do, but is not counted as one. */
void liar_begin(struct node *);
void liar_end(struct node *); /* an honest node is allowed */
void liar_set_habits(struct node *, uint32_t habits); /* enum liar_habit, any together */
/* After its machine was started anew. */
void liar_restarted(struct node *);
/* How many lies it told. */
uint64_t liar_lies(const struct node *);

/* What agreement_receive is wrapped in: `context` is the authority. */
void liar_hears(void *context, instant now, const uint8_t *bytes, size_t len);
void liar_judged(void *context, uint8_t from, enum outcome);

#endif
