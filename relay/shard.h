/* A shard: one thread's share of a relay: links, hops, exit streams.
 * Spec: specs/circuits.md, specs/streams.md. Driven by io/driver or the simulator through its verbs.
 * Never listens (the keeper does), never touches another shard's objects: they exchange messages.
 */
#ifndef TUNIC_RELAY_SHARD_H
#define TUNIC_RELAY_SHARD_H

#include "directory/consensus.h"
#include "directory/exit_policy.h"
#include "protocol/machine.h"
#include "protocol/trunk.h"
#include "relay/messages.h"

struct shard;

/* What a shard is made with. Pointers are kept and must outlive it; the seed is copied. */
struct shard_config {
  const struct link_self *self;
  const struct exit_policy *policy;
  struct address own[2];    /* [STREAM-4] where this relay can be reached; ADDRESS_NONE: nowhere else */
  struct memory_budget *budget;
  uint32_t pool_cells;      /* this shard's most */
  uint32_t streams;         /* [STREAM-21] the same; 0: LIMIT_STREAMS_PER_SHARD, which is the most */
  uint32_t index;           /* from 1; machine 0 of the program is the keeper */
  uint8_t layer_suite;      /* enum aead_suite, as the descriptor declares */
  uint8_t seed[RANDOM_SEED_BYTES];
  const struct trace *trace;
};

/* NULL: no memory. */
struct shard *shard_new(const struct shard_config *);
void shard_free(struct shard *);
struct machine shard_machine(struct shard *);

/* For the simulator's invariants: true if every count agrees with what is there. */
bool shard_is_consistent(const struct shard *);

#endif
