#include "tests/unit/client/hostile_relay.h"

#include "relay/shard_internal.h"

bool hostile_relay_flip(struct shard *shard, bool backward) {
  uint32_t cursor = 0;
  struct id id;
  struct hop *hop;
  while ((hop = id_table_next(&shard->hops, &cursor, &id)) != NULL) {
    struct trunk_side *side = &hop->sides[backward ? SIDE_CLIENT : SIDE_EXIT];
    if (!hop->has_layers || hop->place != 1) continue;
    side->out.window = LIMIT_WINDOW_LEAST; /* it holds cells back until one is at hand */
    if (side->queue.first == NULL) continue;
    side->queue.first->bytes[300] ^= 4;
    return true;
  }
  return false;
}

void hostile_relay_fill(struct shard *shard) {
  shard->streams.limit = 0;
}
