/* What the nodes of one process share of a consensus (shared_consensus.c).
 * Spec: specs/simulator.md [SIM-2]. Called by days.c at the end of a run.
 * Never hands out what was not accepted from the same bytes before.
 */
#ifndef TUNIC_TESTS_SIM_SHARED_CONSENSUS_H
#define TUNIC_TESTS_SIM_SHARED_CONSENSUS_H

void shared_consensus_forget(void);

#endif
