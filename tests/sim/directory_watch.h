/* Watches all nodes of a simulated network: one consensus for an epoch, each naming the one before, nobody goes back.
 * Spec: specs/agreement.md [AGREE-3], specs/fetching.md [FETCH-6]. Asked after every turn of a scenario.
 * Never changes what it looks at.
 */
#ifndef TUNIC_TESTS_SIM_DIRECTORY_WATCH_H
#define TUNIC_TESTS_SIM_DIRECTORY_WATCH_H

#include "tests/sim/network.h"

struct watched_epoch { bool seen; uint8_t digest[DIGEST_BYTES], previous[DIGEST_BYTES]; };

/* One node's newest; `consensus` only tells whether it is another object than last time. */
struct watched_node { const void *machine; const struct consensus *consensus; uint64_t epoch; };

enum { WATCHED_NODES_MAX = 1024 };

struct directory_watch {
  struct watched_epoch *epochs;
  size_t epoch_count;
  struct watched_node nodes[WATCHED_NODES_MAX]; /* by the host's number */
  uint64_t newest;
  char fault[160]; /* "": none */
};

void directory_watch_wipe(struct directory_watch *);
/* After a turn of this node; false, with `fault`, if something is wrong. */
bool directory_watch_node(struct directory_watch *, const struct node *);
/* The consensus that a node holds, not counted; NULL: none, or it holds none at all. */
const struct consensus *node_consensus(const struct node *);

#endif
