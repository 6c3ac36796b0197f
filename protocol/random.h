/* A node's one stream of randomness: ChaCha20 with fast key erasure, from a seed that is handed in.
 * Spec: specs/words.md [RAND-1]. Called by machines; seeded by io/entropy, or by the simulator from its seed.
 * Erases its key as it goes, so a seized node does not give away past draws. Never reads the system's entropy.
 */
#ifndef TUNIC_PROTOCOL_RANDOM_H
#define TUNIC_PROTOCOL_RANDOM_H

#include <stddef.h>
#include <stdint.h>

enum { RANDOM_SEED_BYTES = 32 };

struct random_stream { uint8_t key[32]; uint8_t buffer[480]; uint32_t used; };

void random_init(struct random_stream *, const uint8_t seed[RANDOM_SEED_BYTES]);
void random_wipe(struct random_stream *);
void random_bytes(struct random_stream *, void *ret_bytes, size_t len);
uint32_t random_u32(struct random_stream *);
uint64_t random_u64(struct random_stream *);
/* Uniform in [0, bound), bound > 0, without bias. */
uint64_t random_below(struct random_stream *, uint64_t bound);
/* Uniform in [low, high]. */
uint64_t random_between(struct random_stream *, uint64_t low, uint64_t high);
/* An independent stream for a part of the node, by label. */
void random_child(struct random_stream *, const char *label, struct random_stream *ret);

#endif
