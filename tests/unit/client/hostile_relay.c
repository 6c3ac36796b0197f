#include "tests/unit/client/hostile_relay.h"

#include "relay/shard_internal.h"

bool hostile_relay_flip(struct shard *shard, bool backward) {
  uint32_t cursor = 0;
  struct id id;
  struct hop *hop;
  while ((hop = id_table_next(&shard->hops, &cursor, &id)) != NULL) {
    struct cell *cell = hop->sides[backward ? SIDE_CLIENT : SIDE_EXIT].queue.first;
    if (!hop->has_layers || hop->place != 1 || cell == NULL) continue;
    cell->bytes[300] ^= 4;
    return true;
  }
  return false;
}
