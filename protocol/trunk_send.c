#include "protocol/trunk_internal.h"

#include <string.h>

/* [CREDIT-7] Reports share one CONTROL cell, ahead of data. */
static void write_reports(struct trunk *trunk, struct message_writer *writer) {
  struct list_node *node;
  list_leave(&trunk->unhurried);
  trunk->reports_due = true; /* if there are more than this cell holds, the next one goes on */
  while ((node = list_first(&trunk->reports)) != NULL) {
    uint8_t *body = message_add(writer, CONTROL_CREDIT, 0, CONTROL_CREDIT_BYTES);
    if (body == NULL) return;
    struct trunk_side *side = LIST_OBJECT(node, struct trunk_side, report);
    list_leave(node);
    struct credit_report report;
    credit_receiver_make_report(&side->in, &report);
    put_u32(body, side->circuit);
    put_u64(body + 4, report.passed);
    put_u64(body + 12, report.limit);
    put_u16(body + 20, report.waiting);
  }
  trunk->reports_due = false;
}

static void write_control_cell(struct trunk *trunk, uint8_t *cell) {
  struct message_writer writer;
  cell_set_header(cell, 0, CELL_CONTROL);
  message_writer_init(&writer, cell_body(cell), CELL_BODY_BYTES, true);
  if (trunk->time_pending) {
    put_u64(message_add(&writer, CONTROL_TIME, 0, 8), (uint64_t)trunk->time.milliseconds);
    trunk->time_pending = false;
  }
  write_reports(trunk, &writer);
  transfers_write(trunk->transfers, &writer);
  message_writer_finish(&writer);
}

/* The closing side's last cell has left, or there was none. */
static void finish_draining(struct trunk_side *side) {
  struct trunk_pool *pool = side->trunk->pool;
  trunk_cut(side);
  list_append(&pool->finished, &side->drain);
}

static void send_scheduled(struct trunk *trunk, instant now, struct schedule_entry *entry, uint8_t *out) {
  struct trunk_side *side = LIST_OBJECT(entry, struct trunk_side, entry);
  struct cell *cell = cell_queue_pop(&side->queue);
  memcpy(cell_body(out), cell_body(cell->bytes), CELL_BODY_BYTES);
  cell_set_header(out, side->circuit, CELL_ONION);
  bool fed = cell->begin != 0;
  cell_pool_give(trunk->pool->cells, cell);
  credit_sender_sent(&side->out, now);
  schedule_sent(trunk->schedule, entry, now);
  if (side->queue.count == 0 || credit_sender_room(&side->out) == 0) schedule_remove(trunk->schedule, entry);
  if (side->queue.count == 0 && credit_sender_room(&side->out) > 0) credit_sender_idle(&side->out);
  backlog_moved(trunk->pool, &side->backlog, &side->queue, now);
  if (side->wants_room && side->queue.count <= LIMIT_STREAM_QUEUE_CELLS / 2) {
    side->wants_room = false;
    list_append(&trunk->pool->roomy, &side->roomy);
  }
  if (fed && side->feeder != NULL) trunk_passed(side->feeder, now);
  if (side->queue.count == 0 && side->state == SIDE_DRAINING) finish_draining(side);
}

static void note_close_sent(struct trunk *trunk, instant now) {
  if (trunk->closing_count > 0 && trunk->close_deadline == INSTANT_NEVER)
    trunk->close_deadline = instant_after(now, LIMIT_CLOSE_ANSWER_TIME);
}

bool trunk_next_cell(void *context, instant now, uint8_t cell[CELL_BYTES]) {
  struct trunk *trunk = context;
  if (list_contains_node(&trunk->starved)) trunk_feed(trunk, now);
  struct schedule_entry *entry = schedule_next(trunk->schedule);
  bool control = trunk->time_pending || (trunk->reports_due && list_first(&trunk->reports) != NULL);
  /* Documents take turns with circuits, so that neither starves. */
  if (!control && transfers_has_output(trunk->transfers)) {
    trunk->transfer_turn = !trunk->transfer_turn;
    control = trunk->transfer_turn || entry == NULL;
  }
  trunk->pool->cells_sent++;
  if (control) {
    write_control_cell(trunk, cell);
  } else if (trunk->control.count > 0) {
    struct cell *queued = cell_queue_pop(&trunk->control);
    memcpy(cell, queued->bytes, CELL_BYTES);
    cell_pool_give(trunk->pool->cells, queued);
  } else if (trunk->closes.count > 0) {
    cell_encode_close(cell, trunk->closes.ids[trunk->closes.at++]);
    if (--trunk->closes.count == 0) trunk->closes.at = 0;
    note_close_sent(trunk, now);
  } else if (entry != NULL) {
    send_scheduled(trunk, now, entry, cell);
  } else {
    trunk->pool->cells_sent--;
    return false;
  }
  return true;
}
