#include "protocol/trunk_internal.h"

#include <stdlib.h>
#include <string.h>

enum { PADDING_BUDGET = 1024 }; /* [CELL-8] */

void trunk_pool_init(struct trunk_pool *pool, struct cell_pool *cells, struct random_stream *random) {
  memset(pool, 0, sizeof *pool);
  pool->cells = cells;
  pool->random = random;
  list_init(&pool->ready);
  list_init(&pool->backlogs);
  list_init(&pool->draining);
  list_init(&pool->finished);
  list_init(&pool->roomy);
  list_init(&pool->unhurried);
  list_init(&pool->starved);
}

struct trunk *trunk_new(struct trunk_pool *pool, struct link *link, struct id connection, uint32_t number, size_t put_max) {
  struct trunk *trunk = calloc(1, sizeof *trunk);
  if (trunk == NULL) {
    link_free(link);
    return NULL;
  }
  trunk->pool = pool;
  trunk->link = link;
  trunk->connection = connection;
  trunk->number = number;
  trunk->close_deadline = INSTANT_NEVER;
  trunk->padding_budget = PADDING_BUDGET;
  list_init(&trunk->sides);
  list_init(&trunk->reports);
  uint8_t secret[16];
  random_bytes(pool->random, secret, sizeof secret);
  index_map_init(&trunk->circuits, secret, LIMIT_CIRCUITS_PER_LINK + LIMIT_CLOSING_PER_LINK);
  trunk->transfers = transfers_new(true, put_max);
  trunk->schedule = schedule_new();
  if (trunk->transfers == NULL || trunk->schedule == NULL) {
    trunk_free(trunk);
    return NULL;
  }
  if (link_role(link) == LINK_INITIATOR) trunk_make_ready(trunk);
  return trunk;
}

void trunk_free(struct trunk *trunk) {
  if (trunk == NULL) return;
  list_leave(&trunk->ready);
  list_leave(&trunk->starved);
  list_leave(&trunk->unhurried);
  cell_queue_clear(&trunk->control, trunk->pool->cells);
  index_map_wipe(&trunk->circuits);
  transfers_free(trunk->transfers);
  schedule_free(trunk->schedule);
  link_free(trunk->link);
  free(trunk->closes.ids);
  free(trunk);
}

struct link *trunk_link(const struct trunk *trunk) {
  return trunk->link;
}

struct id trunk_connection(const struct trunk *trunk) {
  return trunk->connection;
}

struct transfers *trunk_transfers(const struct trunk *trunk) {
  return trunk->transfers;
}

uint32_t trunk_number(const struct trunk *trunk) {
  return trunk->number;
}

uint32_t trunk_waiting_count(const struct trunk *trunk) {
  return schedule_count(trunk->schedule);
}

uint32_t trunk_side_count(const struct trunk *trunk) {
  return trunk->side_count;
}

struct trunk_side *trunk_any_side(const struct trunk *trunk) {
  struct list_node *node = list_first(&trunk->sides);
  return node == NULL ? NULL : LIST_OBJECT(node, struct trunk_side, of_trunk);
}

/* A neighbour that takes nothing never sees our CLOSE: the oldest CREATE or CREATED that it left tells. */
instant trunk_close_deadline(const struct trunk *trunk) {
  const struct cell *oldest = trunk->control.first;
  if (oldest == NULL) return trunk->close_deadline;
  return instant_earlier(trunk->close_deadline, instant_after(oldest->queued, LIMIT_CLOSE_ANSWER_TIME));
}

void trunk_tell_time(struct trunk *trunk, struct date date) {
  trunk->time = date;
  trunk->time_pending = true;
  trunk_make_ready(trunk);
}

void trunk_make_ready(struct trunk *trunk) {
  if (!list_contains_node(&trunk->ready)) list_append(&trunk->pool->ready, &trunk->ready);
}

bool trunk_pool_next_ready(struct trunk_pool *pool, struct id *ret_connection) {
  struct list_node *node = list_take_first(&pool->ready);
  if (node == NULL) return false;
  *ret_connection = LIST_OBJECT(node, struct trunk, ready)->connection;
  return true;
}

size_t trunk_transmit(struct trunk *trunk, instant now, uint8_t *out, size_t room) {
  struct cell_source source = {trunk_next_cell, trunk};
  size_t len = link_transmit(trunk->link, now, out, room, &source);
  trunk->pool->bytes_sent += len;
  return len;
}

void backlog_progress(struct trunk_pool *pool, struct backlog *backlog, bool holds_cells) {
  list_leave(&backlog->node);
  if (holds_cells) list_append(&pool->backlogs, &backlog->node);
}

/* [LIMIT-3] Else who takes a cell now and then would be spared, however much he lets wait, and who stalls for a moment would go. */
void backlog_moved(struct trunk_pool *pool, struct backlog *backlog, const struct cell_queue *left, instant now) {
  bool is_old = left->count > 0 && instant_until(left->first->queued, now) >= LIMIT_BACKLOG_YOUNG;
  if (!is_old || !list_contains_node(&backlog->node)) backlog_progress(pool, backlog, left->count > 0);
}

struct backlog *trunk_pool_longest_backlog(const struct trunk_pool *pool) {
  struct list_node *node = list_first(&pool->backlogs);
  return node == NULL ? NULL : LIST_OBJECT(node, struct backlog, node);
}
