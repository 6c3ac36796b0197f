#include "tests/sim/directory_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void directory_watch_wipe(struct directory_watch *watch) {
  free(watch->epochs);
  memset(watch, 0, sizeof *watch);
}

const struct consensus *node_consensus(const struct node *node) {
  if (node->authority != NULL) return authority_consensus(node->authority);
  if (node->keeper != NULL) return keeper_consensus(node->keeper);
  return node->client == NULL ? NULL : client_consensus(node->client);
}

static struct watched_epoch *watched_epoch(struct directory_watch *watch, uint64_t epoch) {
  if (epoch >= watch->epoch_count) {
    size_t count = (size_t)epoch + 64;
    watch->epochs = realloc(watch->epochs, count * sizeof *watch->epochs);
    if (watch->epochs == NULL) abort();
    memset(watch->epochs + watch->epoch_count, 0, (count - watch->epoch_count) * sizeof *watch->epochs);
    watch->epoch_count = count;
  }
  return &watch->epochs[epoch];
}

static bool fault(struct directory_watch *watch, const struct node *node, const char *what, uint64_t epoch) {
  snprintf(watch->fault, sizeof watch->fault, "%s: %s (epoch %llu)", node->host->name, what, (unsigned long long)epoch);
  return false;
}

/* [AGREE-3] All nodes, of all time, have the same consensus for an epoch, and it names the one before. */
static bool note_epoch(struct directory_watch *watch, const struct node *node, const struct consensus_header *header) {
  uint64_t epoch = header->epoch;
  if (epoch == 0 || epoch > 1000000) return fault(watch, node, "an epoch that can't be", epoch);
  struct watched_epoch *mine = watched_epoch(watch, epoch);
  if (mine->seen && memcmp(mine->digest, header->digest, DIGEST_BYTES) != 0) return fault(watch, node, "a second consensus for this epoch", epoch);
  mine->seen = true;
  memcpy(mine->digest, header->digest, DIGEST_BYTES);
  memcpy(mine->previous, header->previous, DIGEST_BYTES);
  if (epoch > watch->newest) watch->newest = epoch;
  const struct watched_epoch *before = &watch->epochs[epoch - 1];
  if (before->seen && memcmp(before->digest, mine->previous, DIGEST_BYTES) != 0) return fault(watch, node, "it names another predecessor", epoch);
  return true;
}

/* An authority that was killed comes back with what it had: it spoke only of what was on disk. */
static bool is_going_back(const struct watched_node *seen, const struct node *node, const void *machine, uint64_t epoch) {
  bool same_life = seen->machine == machine || node->role == NODE_AUTHORITY;
  return same_life && epoch < seen->epoch;
}

bool directory_watch_node(struct directory_watch *watch, const struct node *node) {
  const void *machine = node->host->machines[0].self;
  const struct consensus *consensus = node_consensus(node);
  struct watched_node *seen = &watch->nodes[node->host->number];
  if (consensus == NULL) {
    if (seen->machine == machine && seen->consensus != NULL) return fault(watch, node, "the consensus is gone", seen->epoch);
    seen->machine = machine;
    seen->consensus = NULL;
    return true;
  }
  if (seen->consensus == consensus && seen->machine == machine) return true;
  const struct consensus_header *header = consensus_header(consensus);
  if (is_going_back(seen, node, machine, header->epoch)) return fault(watch, node, "went back", header->epoch);
  *seen = (struct watched_node){machine, consensus, header->epoch};
  return note_epoch(watch, node, header);
}
