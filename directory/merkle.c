#include "directory/merkle.h"

#include <string.h>

static const char LEAF[] = "tunic leaf", NODE[] = "tunic node";

/* ret may be left or right. */
static void hash_node(uint8_t ret[DIGEST_BYTES], const uint8_t left[DIGEST_BYTES], const uint8_t right[DIGEST_BYTES]) {
  uint8_t both[2 * DIGEST_BYTES];
  memcpy(both, left, DIGEST_BYTES);
  memcpy(both + DIGEST_BYTES, right, DIGEST_BYTES);
  digest_labelled(ret, NODE, both, sizeof both);
}

void merkle_init(struct merkle *tree) { tree->count = tree->height = 0; }

/* The stack holds the roots of whole subtrees, the largest first: one for each bit of the count. */
void merkle_add(struct merkle *tree, const uint8_t *leaf, size_t len) {
  uint8_t hash[DIGEST_BYTES];
  digest_labelled(hash, LEAF, leaf, len);
  for (uint32_t full = tree->count++; full & 1; full >>= 1) hash_node(hash, tree->stack[--tree->height], hash);
  memcpy(tree->stack[tree->height++], hash, DIGEST_BYTES);
}

/* [CONS-3] What has no partner yet joins what stands to its left. */
void merkle_root(const struct merkle *tree, uint8_t ret_root[DIGEST_BYTES]) {
  if (tree->height == 0) {
    digest_labelled(ret_root, NODE, NULL, 0);
    return;
  }
  uint32_t at = tree->height - 1;
  memcpy(ret_root, tree->stack[at], DIGEST_BYTES);
  while (at > 0) hash_node(ret_root, tree->stack[--at], ret_root);
}
