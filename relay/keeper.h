/* The keeper: a relay's own affairs: who may connect, which shard gets it, keys, descriptor, consensus, figures.
 * Spec: specs/fetching.md, specs/limits.md [LIMIT-5], specs/descriptor.md. Machine 0 of tunic-relay.
 * Never sees a cell: links of circuits belong to shards; its own links carry documents alone.
 */
#ifndef TUNIC_RELAY_KEEPER_H
#define TUNIC_RELAY_KEEPER_H

#include "directory/descriptor.h"
#include "directory/fetch.h"
#include "relay/messages.h"

enum { KEEPER_SHARDS_MAX = 64 };

struct keeper;

/* Pointers are kept and must outlive it; seeds are copied. */
struct keeper_config {
  const struct link_self *self;
  struct network_chain *networks;      /* new serials are added to it */
  struct memory_budget *budget;
  uint32_t shard_count;
  uint8_t seed[RANDOM_SEED_BYTES];
  const struct trace *trace;
  /* What the descriptor says; sequence, dates, onion key and signature are the keeper's to fill in. */
  const struct descriptor *descriptor;
  const struct guarded_key *signing_seed;
  const struct guarded_key *identity_seed; /* certifies the signing key anew each time; NULL: it is offline, and the descriptor has its certificate */
  const struct onion_keys *onion_keys; /* from disk, newest first; NULL or count 0: none */
  uint64_t last_sequence;
  struct consensus *consensus;         /* from disk; one reference moves in; NULL: none */
  struct address listen;               /* where it listens, for people; ADDRESS_NONE: not known */
};

/* NULL: no memory. */
struct keeper *keeper_new(const struct keeper_config *);
void keeper_free(struct keeper *);
struct machine keeper_machine(struct keeper *);
/* For tests: the newest consensus, not counted; NULL: none. */
const struct consensus *keeper_consensus(const struct keeper *);

/* Files of a relay's folder that the keeper writes. */
#define KEEPER_ONION_KEYS_FILE "onion-keys"
#define KEEPER_CONSENSUS_FILE "consensus"
#define KEEPER_DESCRIPTOR_FILE "descriptor"

/* The onion keys' file, `tunic-onion-keys 1` and a line for each key. Encode returns its length, 0 if it does not fit. */
size_t onion_keys_format(const struct onion_keys *, char *out, size_t room);
bool onion_keys_parse(const uint8_t *text, size_t len, struct onion_keys *ret);

#endif
