/* What a relay could do to the circuits that pass it, done to a real shard from outside.
 * Spec: none. Called by this folder's tests.
 * Looks inside the shard, so it is kept apart from what looks inside the client.
 */
#ifndef TUNIC_TESTS_UNIT_CLIENT_HOSTILE_RELAY_H
#define TUNIC_TESTS_UNIT_CLIENT_HOSTILE_RELAY_H

#include "relay/shard.h"

/* Changes one bit of the first cell that waits to be passed on at a middle's place; false: none waits. */
bool hostile_relay_flip(struct shard *, bool backward);
/* As if others' streams had taken all the room that it has. */
void hostile_relay_fill(struct shard *);

#endif
