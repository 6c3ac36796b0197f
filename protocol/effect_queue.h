/* The effects a machine has pending, in order; bounded by what can be pending at once.
 * Spec: specs/machines.md [MACH-4]. Called by every machine; the driver empties it each turn.
 * Never drops: a machine that cannot queue an effect must not start what needs it, so it reserves first.
 */
#ifndef TUNIC_PROTOCOL_EFFECT_QUEUE_H
#define TUNIC_PROTOCOL_EFFECT_QUEUE_H

#include "protocol/machine.h"

struct effect_queue { struct effect_node *first, *last; uint32_t count; };

/* Copies the effect; its document's reference moves in. False: no memory, and the reference stays the caller's. */
bool effect_queue_put(struct effect_queue *, const struct effect *);
bool effect_queue_take(struct effect_queue *, struct effect *ret);
/* Releases documents. What a message carries is its kind's to free: take those first. */
void effect_queue_wipe(struct effect_queue *);

#endif
