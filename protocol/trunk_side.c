#include "protocol/trunk_internal.h"

#include <stdlib.h>
#include <string.h>

enum { ID_DRAWS = 32 };
#define FEED_AGAIN (100 * MILLISECONDS)

struct trunk_side *trunk_find(struct trunk *trunk, uint32_t circuit, bool *ret_closing) {
  uint64_t value = 0;
  *ret_closing = false;
  if (trunk->latest != NULL && trunk->latest->circuit == circuit) return trunk->latest;
  if (!index_map_get(&trunk->circuits, circuit, &value)) return NULL;
  if (value == TRUNK_CLOSING) {
    *ret_closing = true;
    return NULL;
  }
  return trunk->latest = (struct trunk_side *)(uintptr_t)value;
}

bool trunk_knows_circuit(const struct trunk *trunk, uint32_t circuit) {
  uint64_t value;
  return index_map_get(&trunk->circuits, circuit, &value);
}

static bool close_queue_put(struct close_queue *queue, uint32_t circuit) {
  if (queue->at + queue->count == queue->capacity) {
    if (queue->at > 0) {
      memmove(queue->ids, queue->ids + queue->at, queue->count * sizeof *queue->ids);
      queue->at = 0;
    } else {
      uint32_t capacity = queue->capacity == 0 ? 16 : queue->capacity * 2;
      uint32_t *ids = realloc(queue->ids, capacity * sizeof *ids);
      if (ids == NULL) return false;
      queue->ids = ids;
      queue->capacity = capacity;
    }
  }
  queue->ids[queue->at + queue->count++] = circuit;
  return true;
}

/* [CIRC-8] CLOSE is answered by CLOSE; an id is free only after both. An id whose CLOSE could not be remembered
 * ends the link at its deadline, which then is now. */
bool trunk_send_close(struct trunk *trunk, uint32_t circuit, bool expect_answer) {
  bool kept = close_queue_put(&trunk->closes, circuit);
  if (expect_answer && kept && index_map_put(&trunk->circuits, circuit, TRUNK_CLOSING)) {
    trunk->closing_count++;
  } else {
    if (expect_answer) kept = false;
    index_map_remove(&trunk->circuits, circuit);
  }
  if (!kept) trunk->close_deadline = 0;
  trunk_make_ready(trunk);
  return kept;
}

static bool attach(struct trunk *trunk, struct trunk_side *side, uint32_t circuit) {
  if (trunk_knows_circuit(trunk, circuit)) return false;
  if (trunk->side_count >= LIMIT_CIRCUITS_PER_LINK || trunk->closing_count >= LIMIT_CLOSING_PER_LINK) return false;
  if (!index_map_put(&trunk->circuits, circuit, (uintptr_t)side)) return false;
  side->trunk = trunk;
  side->circuit = circuit;
  side->state = SIDE_CREATING;
  side->wants_room = false; /* whatever it carried before */
  side->backlog.owner = side->owner;
  credit_sender_init(&side->out);
  credit_receiver_init(&side->in);
  list_append(&trunk->sides, &side->of_trunk);
  trunk->side_count++;
  trunk->pool->sides++;
  return true;
}

/* [CIRC-1] Ids are random and derived from nothing. */
bool trunk_begin(struct trunk *trunk, struct trunk_side *side, instant now, const struct cell_create *create) {
  uint32_t circuit = 0;
  for (int draw = 0; draw < ID_DRAWS && (circuit == 0 || trunk_knows_circuit(trunk, circuit)); draw++)
    circuit = random_u32(trunk->pool->random);
  if (circuit == 0 || trunk_knows_circuit(trunk, circuit)) return false;
  if (trunk->control.count >= LIMIT_CONTROL_QUEUED_PER_LINK) return false;
  struct cell *cell = cell_pool_take(trunk->pool->cells);
  if (cell == NULL) return false;
  if (!attach(trunk, side, circuit)) {
    cell_pool_give(trunk->pool->cells, cell);
    return false;
  }
  cell_encode_create(cell->bytes, circuit, create);
  cell->queued = now;
  cell_queue_push(&trunk->control, cell);
  trunk_make_ready(trunk);
  return true;
}

bool trunk_attach(struct trunk *trunk, struct trunk_side *side, uint32_t circuit, instant now) {
  (void)now;
  return attach(trunk, side, circuit);
}

bool trunk_answer(struct trunk_side *side, instant now, const uint8_t *reply) {
  struct trunk *trunk = side->trunk;
  bool is_client = link_pattern(trunk->link) == LINK_FROM_CLIENT;
  uint32_t most = is_client ? LIMIT_CREATED_QUEUED_PER_CLIENT : LIMIT_CONTROL_QUEUED_PER_LINK;
  struct cell *cell = trunk->control.count >= most ? NULL : cell_pool_take(trunk->pool->cells);
  if (cell == NULL) return false;
  cell_encode_created(cell->bytes, side->circuit, reply);
  cell->queued = now;
  cell_queue_push(&trunk->control, cell);
  trunk_opened(side, now);
  return true;
}

void trunk_refuse(struct trunk *trunk, uint32_t circuit) {
  trunk_send_close(trunk, circuit, true);
}

void trunk_opened(struct trunk_side *side, instant now) {
  side->state = SIDE_OPEN;
  trunk_list_report(side, now);
  trunk_make_ready(side->trunk);
}

static void hurry(struct trunk *trunk) {
  list_leave(&trunk->unhurried);
  trunk->reports_due = true;
  trunk_make_ready(trunk);
}

/* [CREDIT-3] [CREDIT-7] Who must be told now takes along what others need not be told yet. */
void trunk_list_report(struct trunk_side *side, instant now) {
  struct trunk *trunk = side->trunk;
  struct trunk_pool *pool = trunk->pool;
  credit_receiver_grow(&side->in, now, cell_pool_used(pool->cells), cell_pool_limit(pool->cells), pool->sides);
  enum credit_due due = trunk->reports_due && list_contains_node(&side->report) ? CREDIT_DUE_NO : credit_receiver_due(&side->in);
  if (due == CREDIT_DUE_NO) return;
  if (!list_contains_node(&side->report)) list_append(&trunk->reports, &side->report);
  if (due == CREDIT_DUE_NOW) {
    hurry(trunk);
  } else if (!list_contains_node(&trunk->unhurried)) {
    trunk->reports_by = instant_after(now, LIMIT_REPORT_TIME);
    list_append(&pool->unhurried, &trunk->unhurried);
  }
}

void trunk_passed(struct trunk_side *side, instant now) {
  if (side->state == SIDE_NONE) return;
  credit_receiver_passed(&side->in);
  trunk_list_report(side, now);
}

/* Cells wait that nobody would ever send: the trunk looks again when it sends next, and after a while by itself. */
static void starve(struct trunk *trunk, instant now) {
  if (list_contains_node(&trunk->starved)) return;
  if (list_first(&trunk->pool->starved) == NULL) trunk->pool->feed_at = instant_after(now, FEED_AGAIN);
  list_append(&trunk->pool->starved, &trunk->starved);
}

void trunk_schedule_side(struct trunk_side *side, instant now) {
  struct trunk *trunk = side->trunk;
  bool sends = side->queue.count > 0 && side->state != SIDE_CREATING && credit_sender_room(&side->out) > 0;
  if (!sends) {
    schedule_remove(trunk->schedule, &side->entry);
    return;
  }
  bool is_scheduled = schedule_contains(&side->entry) || schedule_add(trunk->schedule, &side->entry, side->source);
  if (is_scheduled) trunk_make_ready(trunk);
  else starve(trunk, now);
}

void trunk_feed(struct trunk *trunk, instant now) {
  list_leave(&trunk->starved);
  for (struct list_node *node = list_first(&trunk->sides); node != NULL; node = list_after(&trunk->sides, node))
    trunk_schedule_side(LIST_OBJECT(node, struct trunk_side, of_trunk), now);
}

void trunk_push(struct trunk_side *side, instant now, struct cell *cell, bool fed) {
  struct trunk_pool *pool = side->trunk->pool;
  cell->queued = now;
  cell->begin = fed;
  bool was_empty = side->queue.count == 0;
  cell_queue_push(&side->queue, cell);
  if (!was_empty) return;
  backlog_progress(pool, &side->backlog, true);
  trunk_schedule_side(side, now);
}

uint32_t trunk_side_room(const struct trunk_side *side) {
  if (side->state != SIDE_OPEN || side->wants_room || side->queue.count >= LIMIT_STREAM_QUEUE_CELLS) return 0;
  return LIMIT_STREAM_QUEUE_CELLS - side->queue.count;
}

/* Who had the last report to make takes along that there was one: else nobody is told of the next urgent one. */
static void forget_report(struct trunk_side *side) {
  struct trunk *trunk = side->trunk;
  list_leave(&side->report);
  if (list_first(&trunk->reports) != NULL) return;
  list_leave(&trunk->unhurried);
  trunk->reports_due = false;
}

void trunk_forget(struct trunk_side *side) {
  struct trunk *trunk = side->trunk;
  if (trunk == NULL) return;
  if (trunk->latest == side) trunk->latest = NULL;
  cell_queue_clear(&side->queue, trunk->pool->cells);
  backlog_progress(trunk->pool, &side->backlog, false);
  schedule_remove(trunk->schedule, &side->entry);
  list_leave(&side->of_trunk);
  forget_report(side);
  list_leave(&side->drain);
  list_leave(&side->roomy);
  trunk->side_count--;
  trunk->pool->sides--;
  side->state = SIDE_NONE;
  side->trunk = NULL;
}

void trunk_detach(struct trunk_side *side) {
  if (side->trunk == NULL) {
    list_leave(&side->drain); /* it may wait on the finished list */
    return;
  }
  index_map_remove(&side->trunk->circuits, side->circuit);
  trunk_forget(side);
}

void trunk_cut(struct trunk_side *side) {
  struct trunk *trunk = side->trunk;
  if (trunk == NULL) {
    list_leave(&side->drain);
    return;
  }
  uint32_t circuit = side->circuit;
  trunk_forget(side);
  trunk_send_close(trunk, circuit, true);
}

void trunk_close(struct trunk_side *side, instant now) {
  if (side->state == SIDE_NONE || side->state == SIDE_DRAINING) return;
  struct trunk_pool *pool = side->trunk->pool;
  if (side->queue.count == 0) {
    trunk_cut(side);
    list_append(&pool->finished, &side->drain);
    return;
  }
  side->state = SIDE_DRAINING;
  side->close_by = instant_after(now, LIMIT_CLOSE_DRAIN_TIME);
  list_append(&pool->draining, &side->drain);
}

struct trunk_side *trunk_pool_next_roomy(struct trunk_pool *pool) {
  struct list_node *node = list_take_first(&pool->roomy);
  return node == NULL ? NULL : LIST_OBJECT(node, struct trunk_side, roomy);
}

struct trunk_side *trunk_pool_next_finished(struct trunk_pool *pool) {
  struct list_node *node = list_take_first(&pool->finished);
  return node == NULL ? NULL : LIST_OBJECT(node, struct trunk_side, drain);
}

static instant drain_deadline(const struct trunk_pool *pool) {
  struct list_node *node = list_first(&pool->draining);
  return node == NULL ? INSTANT_NEVER : LIST_OBJECT(node, struct trunk_side, drain)->close_by;
}

static instant report_deadline(const struct trunk_pool *pool) {
  struct list_node *node = list_first(&pool->unhurried);
  return node == NULL ? INSTANT_NEVER : LIST_OBJECT(node, struct trunk, unhurried)->reports_by;
}

instant trunk_pool_deadline(const struct trunk_pool *pool) {
  instant feed = list_first(&pool->starved) == NULL ? INSTANT_NEVER : pool->feed_at;
  return instant_earlier(instant_earlier(drain_deadline(pool), feed), report_deadline(pool));
}

void trunk_pool_tick(struct trunk_pool *pool, instant now) {
  struct list_node *starved = list_first(&pool->starved);
  if (starved != NULL && pool->feed_at <= now) {
    for (; starved != NULL; starved = list_after(&pool->starved, starved)) trunk_make_ready(LIST_OBJECT(starved, struct trunk, starved));
    pool->feed_at = instant_after(now, FEED_AGAIN);
  }
  while (report_deadline(pool) <= now) hurry(LIST_OBJECT(list_first(&pool->unhurried), struct trunk, unhurried));
  while (drain_deadline(pool) <= now) {
    struct trunk_side *side = LIST_OBJECT(list_first(&pool->draining), struct trunk_side, drain);
    trunk_cut(side);
    list_append(&pool->finished, &side->drain);
  }
}
