/* A token bucket: a rate and a burst, for things an attacker can ask for too often.
 * Spec: specs/limits.md [LIMIT-*]. Called by admission and by the links' budgets.
 * Never goes negative, never overflows.
 */
#ifndef TUNIC_PROTOCOL_TOKEN_BUCKET_H
#define TUNIC_PROTOCOL_TOKEN_BUCKET_H

#include "protocol/instant.h"

struct token_bucket { uint64_t per_second, burst, nano_tokens; instant at; };

/* Starts full. A burst above 10^10 counts as 10^10. */
void token_bucket_init(struct token_bucket *, uint64_t per_second, uint64_t burst, instant now);
/* Takes n and says true, or takes nothing and says false. */
bool token_bucket_take(struct token_bucket *, instant now, uint64_t n);
/* When n could be taken at the earliest; INSTANT_NEVER if n is more than the burst. */
instant token_bucket_ready(const struct token_bucket *, instant now, uint64_t n);

#endif
