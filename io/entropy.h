/* Seeds for a node's stream of randomness, from the operating system.
 * Spec: specs/words.md [RAND-1]. Called by each program once, at its start.
 * Never gives weak bytes: it waits until the system has collected enough.
 */
#ifndef TUNIC_IO_ENTROPY_H
#define TUNIC_IO_ENTROPY_H

#include "protocol/outcome.h"
#include "protocol/random.h"

/* SYSTEM_FAILED: the system has no randomness; nothing can be started. The caller wipes the seed. */
enum outcome entropy_seed(uint8_t ret_seed[RANDOM_SEED_BYTES]);

#endif
