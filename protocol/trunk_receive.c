#include "protocol/trunk_internal.h"

#include <string.h>

enum outcome trunk_receive(struct trunk *trunk, instant now, uint8_t *in, size_t len, size_t *ret_used) {
  struct link_record record = {0};
  bool was_open = link_state(trunk->link) == LINK_OPEN;
  enum outcome outcome = link_receive(trunk->link, now, in, len, ret_used, &record);
  trunk->record_cells = record.cells;
  trunk->record_count = outcome == OUTCOME_OK ? record.count : 0;
  trunk->record_at = 0;
  trunk->reading_control = false;
  trunk->pool->cells_received += trunk->record_count;
  if (!was_open && link_state(trunk->link) == LINK_OPEN) trunk_make_ready(trunk);
  return outcome;
}

/* [CREDIT-4] A report for an id that is closing says nothing any more; one for an unknown id ends the link. */
static enum outcome take_report(struct trunk *trunk, instant now, const uint8_t *body) {
  bool closing;
  struct trunk_side *side = trunk_find(trunk, get_u32(body), &closing);
  if (side == NULL) return closing ? OUTCOME_OK : OUTCOME_PROTOCOL_VIOLATION;
  struct credit_report report = {.passed = get_u64(body + 4), .limit = get_u64(body + 12), .waiting = get_u16(body + 20)};
  enum outcome outcome = credit_sender_report(&side->out, now, &report);
  if (outcome == OUTCOME_OK) trunk_schedule_side(side, now);
  return outcome;
}

/* One message of a CONTROL cell; true if it made a delivery. */
static bool take_control(struct trunk *trunk, instant now, const struct message *message, struct delivery *ret,
                         enum outcome *ret_outcome) {
  if (message->command == CONTROL_CREDIT) {
    *ret_outcome = take_report(trunk, now, message->body);
    return false;
  }
  if (message->command == CONTROL_TIME) {
    if (link_role(trunk->link) != LINK_INITIATOR || trunk->time_told) { /* [MSG-3] once */
      *ret_outcome = OUTCOME_PROTOCOL_VIOLATION;
      return false;
    }
    trunk->time_told = true;
    *ret = (struct delivery){.kind = DELIVERY_TIME, .date = {.milliseconds = (int64_t)get_u64(message->body)}};
    return true;
  }
  *ret_outcome = transfers_message(trunk->transfers, message);
  if (*ret_outcome == OUTCOME_OK && transfers_has_output(trunk->transfers)) trunk_make_ready(trunk);
  return false;
}

/* [CIRC-8] The neighbour's CLOSE: answers ours, or is answered now; what waited for it is dropped. */
static bool take_close(struct trunk *trunk, instant now, uint32_t circuit, struct delivery *ret, enum outcome *ret_outcome) {
  bool closing;
  struct trunk_side *side = trunk_find(trunk, circuit, &closing);
  if (closing) {
    index_map_remove(&trunk->circuits, circuit);
    trunk->closing_count--;
    trunk->close_deadline = trunk->closing_count > 0 ? instant_after(now, LIMIT_CLOSE_ANSWER_TIME) : INSTANT_NEVER;
    return false;
  }
  if (side == NULL) {
    *ret_outcome = OUTCOME_PROTOCOL_VIOLATION;
    return false;
  }
  bool drained = side->state == SIDE_DRAINING;
  struct trunk_pool *pool = trunk->pool;
  trunk_detach(side);
  trunk_send_close(trunk, circuit, false);
  if (drained) {
    list_append(&pool->finished, &side->drain);
    return false;
  }
  *ret = (struct delivery){.kind = DELIVERY_CLOSED, .side = side, .circuit = circuit};
  return true;
}

static bool take_onion(struct trunk *trunk, uint8_t *cell, struct delivery *ret, enum outcome *ret_outcome) {
  bool closing;
  struct trunk_side *side = trunk_find(trunk, cell_circuit(cell), &closing);
  if (side == NULL) {
    if (!closing) *ret_outcome = OUTCOME_PROTOCOL_VIOLATION; /* [CIRC-9] neither open nor closing */
    return false;
  }
  if (side->state == SIDE_CREATING) {
    *ret_outcome = OUTCOME_PROTOCOL_VIOLATION;
    return false;
  }
  *ret_outcome = credit_receiver_received(&side->in);
  if (*ret_outcome != OUTCOME_OK || side->state == SIDE_DRAINING) return false;
  *ret = (struct delivery){.kind = DELIVERY_ONION, .side = side, .body = cell_body(cell)};
  return true;
}

static bool take_created(struct trunk *trunk, uint8_t *cell, struct delivery *ret, enum outcome *ret_outcome) {
  bool closing;
  const uint8_t *reply;
  struct trunk_side *side = trunk_find(trunk, cell_circuit(cell), &closing);
  if (closing) return false;
  bool expected = side != NULL && side->state == SIDE_CREATING && link_role(trunk->link) == LINK_INITIATOR;
  if (!expected || !cell_decode_created(cell, &reply)) {
    *ret_outcome = OUTCOME_PROTOCOL_VIOLATION;
    return false;
  }
  *ret = (struct delivery){.kind = DELIVERY_CREATED, .side = side, .reply = reply};
  return true;
}

/* Who sends CREATE and CLOSE and reads nothing makes us queue a CLOSE for each: more than could be open is no accident. */
static bool has_too_many_closes(const struct trunk *trunk) {
  uint32_t most = link_pattern(trunk->link) == LINK_FROM_CLIENT ? LIMIT_CLOSING_PER_CLIENT : LIMIT_CLOSING_PER_LINK;
  return trunk->closes.count >= most || trunk->closing_count >= most;
}

static bool take_create(struct trunk *trunk, uint8_t *cell, struct delivery *ret, enum outcome *ret_outcome) {
  struct cell_create create;
  uint32_t circuit = cell_circuit(cell);
  bool allowed = link_role(trunk->link) == LINK_RESPONDER && !trunk_knows_circuit(trunk, circuit) && !has_too_many_closes(trunk);
  if (!allowed || !cell_decode_create(cell, &create)) {
    *ret_outcome = OUTCOME_PROTOCOL_VIOLATION; /* [CIRC-3] */
    return false;
  }
  *ret = (struct delivery){.kind = DELIVERY_CREATE, .circuit = circuit, .create = create};
  return true;
}

/* One cell; true if it made a delivery. A CONTROL cell is opened for its messages to be taken one by one. */
static bool take_cell(struct trunk *trunk, instant now, uint8_t *cell, struct delivery *ret, enum outcome *ret_outcome) {
  enum cell_command command;
  if (!cell_get_command(cell, &command)) {
    *ret_outcome = OUTCOME_PROTOCOL_VIOLATION;
    return false;
  }
  switch (command) {
  case CELL_PADDING:
    if (trunk->padding_budget-- == 0) *ret_outcome = OUTCOME_PROTOCOL_VIOLATION;
    return false;
  case CELL_CONTROL:
    message_reader_init(&trunk->control_reader, cell_body(cell), CELL_BODY_BYTES, true);
    trunk->reading_control = true;
    return false;
  case CELL_CREATE: return take_create(trunk, cell, ret, ret_outcome);
  case CELL_CREATED: return take_created(trunk, cell, ret, ret_outcome);
  case CELL_ONION: return take_onion(trunk, cell, ret, ret_outcome);
  case CELL_CLOSE:
    if (cell_close_is_valid(cell)) return take_close(trunk, now, cell_circuit(cell), ret, ret_outcome);
    break;
  }
  *ret_outcome = OUTCOME_PROTOCOL_VIOLATION;
  return false;
}

/* Messages of the CONTROL cell that is open; true if one made a delivery. */
static bool next_control(struct trunk *trunk, instant now, struct delivery *ret, enum outcome *ret_outcome) {
  struct message message;
  while (*ret_outcome == OUTCOME_OK && message_read(&trunk->control_reader, &message))
    if (take_control(trunk, now, &message, ret, ret_outcome)) return true;
  trunk->reading_control = false;
  if (*ret_outcome == OUTCOME_OK && !message_reader_is_valid(&trunk->control_reader)) *ret_outcome = OUTCOME_PROTOCOL_VIOLATION;
  return false;
}

bool trunk_next_delivery(struct trunk *trunk, instant now, struct delivery *ret, enum outcome *ret_outcome) {
  *ret_outcome = OUTCOME_OK;
  while (*ret_outcome == OUTCOME_OK) {
    struct transfer_event transfer;
    if (transfers_next_event(trunk->transfers, &transfer)) {
      *ret = (struct delivery){.kind = DELIVERY_TRANSFER, .transfer = transfer};
      return true;
    }
    if (trunk->reading_control) {
      if (next_control(trunk, now, ret, ret_outcome)) return true;
      continue;
    }
    if (trunk->record_at == trunk->record_count) return false;
    uint8_t *cell = trunk->record_cells + (size_t)trunk->record_at++ * CELL_BYTES;
    if (take_cell(trunk, now, cell, ret, ret_outcome)) return true;
  }
  return false;
}
