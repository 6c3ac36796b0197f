/* A Merkle tree's root over leaves that come one after the other, so that one leaf can be proved without the others.
 * Spec: specs/consensus.md [CONS-3]. Called by the consensus's writer and reader.
 * Leaves and nodes are hashed under labels of their own. Keeps one digest per level, never the leaves.
 */
#ifndef TUNIC_DIRECTORY_MERKLE_H
#define TUNIC_DIRECTORY_MERKLE_H

#include "crypto/keys.h"

enum { MERKLE_LEVELS = 32 };

struct merkle { uint32_t count, height; uint8_t stack[MERKLE_LEVELS][DIGEST_BYTES]; };

void merkle_init(struct merkle *);
/* At most 2^31 leaves. */
void merkle_add(struct merkle *, const uint8_t *leaf, size_t len);
void merkle_root(const struct merkle *, uint8_t ret_root[DIGEST_BYTES]);

#endif
