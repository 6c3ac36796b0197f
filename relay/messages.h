/* What keeper and shards tell each other. Objects are handed over: the receiver frees or releases them.
 * Spec: specs/machines.md [MACH-8]. Called by keeper.c and shard.c.
 * Never shared after sending, but for the consensus, which is immutable and counted.
 */
#ifndef TUNIC_RELAY_MESSAGES_H
#define TUNIC_RELAY_MESSAGES_H

#include <stdint.h>

#include "crypto/keys.h"

enum relay_message_kind {
  /* keeper to shard */
  SHARD_CONSENSUS = 1, /* object: struct consensus, one reference */
  SHARD_ONION_KEYS,    /* object: struct onion_keys, in guarded memory (guarded_free) */
  SHARD_NETWORK_FILES, /* object: struct document, the network files to show, one behind the other; value: the first one's serial */
  /* shard to keeper */
  KEEPER_LINK_CLOSED, /* address: of an accepted link that is gone; value: 1 */
  KEEPER_FIGURES,     /* object: struct shard_figures (free) */
  KEEPER_UNKNOWN_RELAY, /* a client named a relay that is not in our consensus: ours may be old */
};

enum { ONION_KEYS_KEPT = 4 };

struct onion_key { uint8_t generation, secret[X25519_BYTES], public_key[X25519_BYTES]; };

/* The generations that a valid consensus can still name, newest first. */
struct onion_keys {
  uint32_t count;
  struct onion_key keys[ONION_KEYS_KEPT];
};

/* Counts for people; totals since the start, or how many are now. */
struct shard_figures {
  uint64_t links, circuits, streams;
  uint64_t cells_received, cells_sent, bytes_sent;
  uint64_t creates_answered, creates_refused, extends_failed, layers_forged, violations, evicted, links_refused, circuits_idle, documents_too_busy;
  uint64_t streams_begun, streams_failed, streams_refused, pool_used, pool_limit;
};

#endif
