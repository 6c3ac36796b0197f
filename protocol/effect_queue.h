/* The effects a machine has pending, in order; bounded by what can be pending at once.
 * Spec: specs/machines.md [MACH-4], [MACH-11]. Called by every machine; the driver empties it each turn.
 * Never drops: what begins something may be refused, what ends something has its room before there is anything to end.
 */
#ifndef TUNIC_PROTOCOL_EFFECT_QUEUE_H
#define TUNIC_PROTOCOL_EFFECT_QUEUE_H

#include "protocol/machine.h"

/* Zeroed: empty. */
struct effect_queue {
  struct effect_node *first, *last, *spare;
  uint32_t count, reserved; /* reserved: so many spare nodes are spoken for */
  bool exits, exit_taken;
  enum outcome exit_outcome;
};

/* Copies the effect; its document's reference moves in. False: no memory, and the reference stays the caller's, who must not
 * have begun what needs it. */
bool effect_queue_put(struct effect_queue *, const struct effect *);
/* Room for one effect without a name that must not fail: one for each connection that is drawn. False: no memory. */
bool effect_queue_reserve(struct effect_queue *);
/* What the room was for ended without an effect. */
void effect_queue_release(struct effect_queue *);
/* Puts it into room that was reserved, which is used up. */
void effect_queue_put_reserved(struct effect_queue *, const struct effect *);
/* EFFECT_EXIT, behind all others. Needs no memory; only the first counts. */
void effect_queue_exit(struct effect_queue *, enum outcome);
bool effect_queue_take(struct effect_queue *, struct effect *ret);
/* Releases documents, and all room. What a message carries is its kind's to free: take those first. */
void effect_queue_wipe(struct effect_queue *);

#endif
