#include "relay/shard_internal.h"

#include <string.h>

enum { PADDING_TAKEN_MAX = 32, OWN_CELLS_QUEUED_MAX = 1024 };
#define CLIENT_LINK_LOST_SPREAD (5 * SECONDS)
#define SWEEP_INTERVAL (1 * MINUTES)

struct hop *hop_of_side(struct trunk_side *side) {
  return LIST_OBJECT(side - side->index, struct hop, sides);
}

/* In the order of last use, to the second: cells that come in one second move it once. */
static void note_use(struct shard *shard, struct hop *hop, instant now) {
  uint32_t second = (uint32_t)(now / SECONDS);
  if (hop->used_s == second && list_contains_node(&hop->order)) return;
  hop->used_s = second;
  list_leave(&hop->order);
  list_append(&shard->quiet, &hop->order);
}

static uint64_t quiet_for(const struct hop *hop, instant now) {
  return instant_until(hop->used_s * SECONDS, now);
}

static void close_quiet(struct shard *shard, struct hop *hop, instant now) {
  shard->figures.circuits_idle++;
  hop_close(shard, hop, now, OUTCOME_TIMED_OUT);
}

/* [LIMIT-11] Where a circuit ends, silence without streams is idleness; elsewhere nobody can tell it from a silent stream. */
static uint64_t quiet_limit(const struct hop *hop) {
  bool is_end = !hop->extended && hop->stream_count == 0;
  return is_end ? LIMIT_CIRCUIT_IDLE_TIME : LIMIT_CIRCUIT_SILENT_TIME;
}

bool hop_plan_sweep(struct shard *shard, instant at) {
  return timer_heap_set(&shard->timers, &shard->idle_timer, TIMER_IDLE, ID_NONE, at);
}

/* Not before one can be due; without circuits never. */
static void plan_next(struct shard *shard, instant now) {
  struct list_node *node = list_first(&shard->quiet);
  instant next = instant_after(now, SWEEP_INTERVAL);
  if (node == NULL) next = INSTANT_NEVER - 1;
  else if (quiet_for(LIST_OBJECT(node, struct hop, order), now) < LIMIT_CIRCUIT_IDLE_TIME)
    next = instant_after(next, LIMIT_CIRCUIT_IDLE_TIME - quiet_for(LIST_OBJECT(node, struct hop, order), now));
  hop_plan_sweep(shard, next);
}

/* Each that is due goes with one chance in eight a minute, so that circuits that fell silent together do not end together. */
void hop_sweep_quiet(struct shard *shard, instant now) {
  struct list_node *next;
  plan_next(shard, now);
  for (struct list_node *node = list_first(&shard->quiet); node != NULL; node = next) {
    struct hop *hop = LIST_OBJECT(node, struct hop, order);
    next = list_after(&shard->quiet, node);
    uint64_t quiet = quiet_for(hop, now), limit = quiet_limit(hop);
    if (quiet < LIMIT_CIRCUIT_IDLE_TIME) return;
    bool is_due = quiet >= limit && (quiet >= limit + LIMIT_CIRCUIT_IDLE_SPREAD || random_below(&shard->random, 8) == 0);
    if (is_due) close_quiet(shard, hop, now);
  }
}

/* [LIMIT-11] With the table three quarters full, whoever was silent longest makes room, wherever its circuit ends. */
static void make_room(struct shard *shard, instant now) {
  if (id_table_count(&shard->hops) < shard->hops.limit / 4 * 3) return;
  struct list_node *node = list_first(&shard->quiet);
  struct hop *hop = node == NULL ? NULL : LIST_OBJECT(node, struct hop, order);
  if (hop != NULL && quiet_for(hop, now) >= LIMIT_CIRCUIT_IDLE_TIME) close_quiet(shard, hop, now);
}

struct hop *hop_new(struct shard *shard, instant now) {
  struct id id;
  make_room(shard, now);
  struct hop *hop = id_table_add(&shard->hops, &id);
  if (hop == NULL) return NULL;
  hop->id = id;
  for (uint8_t i = 0; i < 2; i++) {
    hop->sides[i].owner = id;
    hop->sides[i].index = i;
    hop->sides[i].backlog.kind = BACKLOG_HOP;
    hop->sides[i].feeder = &hop->sides[1 - i];
  }
  list_init(&hop->streams);
  note_use(shard, hop, now);
  if (shard->idle_timer.at == INSTANT_NEVER - 1) plan_next(shard, now);
  return hop;
}

void hop_note_request(struct shard *shard, struct hop *hop) {
  struct backlog *backlog = &hop->sides[SIDE_EXIT].backlog; /* that side has no cells of its own yet */
  backlog->owner = hop->id;
  backlog_progress(&shard->trunks, backlog, true);
}

void hop_free(struct shard *shard, struct hop *hop) {
  exit_hop_closed(shard, hop, 0);
  admission_forget(shard, hop);
  timer_heap_cancel(&shard->timers, &hop->timer);
  list_leave(&hop->order);
  list_leave(&hop->waits);
  trunk_detach(&hop->sides[SIDE_CLIENT]);
  trunk_detach(&hop->sides[SIDE_EXIT]);
  if (hop->has_layers) {
    onion_layer_wipe(&hop->open, shard->contexts);
    onion_layer_wipe(&hop->seal, shard->contexts);
  }
  id_table_remove(&shard->hops, hop->id);
}

void hop_check_dead(struct shard *shard, struct hop *hop) {
  bool alone = hop->sides[SIDE_CLIENT].state == SIDE_NONE && hop->sides[SIDE_EXIT].state == SIDE_NONE;
  if (hop->closing && alone && hop->timer.position == 0 && !list_contains_node(&hop->order))
    list_append(&shard->dead_hops, &hop->order);
}

bool hop_say(struct shard *shard, struct hop *hop, instant now, uint8_t command, uint16_t stream, const uint8_t *body, size_t len) {
  struct trunk_side *side = &hop->sides[SIDE_CLIENT];
  struct message_writer writer;
  bool may = side->queue.count < OWN_CELLS_QUEUED_MAX && side->state == SIDE_OPEN;
  struct cell *cell = may ? shard_take_cell(shard, now) : NULL;
  bool is_sealed = false;
  if (cell != NULL && side->state == SIDE_OPEN) { /* taking a cell may have evicted this very hop */
    message_writer_init(&writer, cell_body(cell->bytes), ONION_CONTENT(hop->place), false);
    uint8_t *place = message_add(&writer, command, stream, len);
    if (len > 0) memcpy(place, body, len);
    message_writer_finish(&writer);
    is_sealed = onion_seal(&hop->seal, shard->contexts, ONION_FOR_YOU, cell_body(cell->bytes));
  }
  if (!is_sealed) {
    if (cell != NULL) cell_pool_give(shard->cells, cell);
    if (!hop->closing) hop_cut(shard, hop, now);
    return false;
  }
  if (!hop->closing) note_use(shard, hop, now);
  trunk_push(side, now, cell, false);
  if (trunk_side_room(side) == 0) side->wants_room = true;
  return !hop->closing;
}

/* [CIRC-10] The cause goes to the client alone, sealed; neighbours learn only that it is over. */
static void tell_cause(struct shard *shard, struct hop *hop, instant now, enum outcome cause) {
  if (!hop->has_layers || hop->sides[SIDE_CLIENT].state != SIDE_OPEN) return;
  hop_say(shard, hop, now, MESSAGE_CLOSED, 0, &(uint8_t){(uint8_t)cause}, 1);
}

static void begin_closing(struct shard *shard, struct hop *hop, instant now) {
  hop->closing = true;
  hop->extending = false;
  admission_forget(shard, hop);
  list_leave(&hop->waits);
  list_leave(&hop->order);
  timer_heap_cancel(&shard->timers, &hop->timer);
  exit_hop_closed(shard, hop, now);
}

void hop_close(struct shard *shard, struct hop *hop, instant now, enum outcome cause) {
  if (hop->closing) return;
  if (cause != OUTCOME_OK) tell_cause(shard, hop, now, cause);
  if (hop->closing) return; /* there was no memory for the word: it was cut */
  begin_closing(shard, hop, now);
  trunk_close(&hop->sides[SIDE_CLIENT], now); /* [CIRC-11] CLOSE behind what is queued */
  trunk_close(&hop->sides[SIDE_EXIT], now);
  hop_check_dead(shard, hop);
}

void hop_cut(struct shard *shard, struct hop *hop, instant now) {
  if (!hop->closing) begin_closing(shard, hop, now);
  trunk_cut(&hop->sides[SIDE_CLIENT]);
  trunk_cut(&hop->sides[SIDE_EXIT]);
  timer_heap_cancel(&shard->timers, &hop->timer);
  hop_check_dead(shard, hop);
}

void hop_side_closed(struct shard *shard, struct trunk_side *side, instant now) {
  struct hop *hop = hop_of_side(side);
  if (side->index == SIDE_EXIT && hop->extending) extend_fail(shard, hop, now, OUTCOME_TOO_BUSY);
  else hop_close(shard, hop, now, OUTCOME_OK);
  hop_check_dead(shard, hop);
}

void hop_side_lost(struct shard *shard, struct trunk_side *side, instant now, bool client_link) {
  struct hop *hop = hop_of_side(side);
  if (side->index == SIDE_EXIT) {
    if (hop->extending) extend_fail(shard, hop, now, OUTCOME_LINK_FAILED);
    else hop_close(shard, hop, now, OUTCOME_LINK_FAILED);
  } else if (client_link && !hop->closing && hop->sides[SIDE_EXIT].state == SIDE_OPEN) {
    /* [CIRC-12] One client's circuits do not all close at once. */
    begin_closing(shard, hop, now);
    instant at = instant_after(now, random_below(&shard->random, CLIENT_LINK_LOST_SPREAD));
    if (!timer_heap_set(&shard->timers, &hop->timer, TIMER_HOP, hop->id, at)) trunk_close(&hop->sides[SIDE_EXIT], now);
  } else {
    hop_close(shard, hop, now, OUTCOME_OK);
  }
  hop_check_dead(shard, hop);
}

void hop_timer(struct shard *shard, struct hop *hop, instant now) {
  if (!hop->closing) {
    extend_fail(shard, hop, now, OUTCOME_CIRCUIT_TIMEOUT); /* [CIRC-7] */
    return;
  }
  trunk_close(&hop->sides[SIDE_EXIT], now);
  hop_check_dead(shard, hop);
}

/* [CIRC-15] What a client may say to a hop. */
static void take_message(struct shard *shard, struct hop *hop, instant now, const struct message *message) {
  switch ((enum message_command)message->command) {
  case MESSAGE_EXTEND: extend_begin(shard, hop, now, message); return;
  case MESSAGE_PADDING:
    if (++hop->padding_taken <= PADDING_TAKEN_MAX) return; /* [CIRC-16] */
    break;
  case MESSAGE_BEGIN:
  case MESSAGE_RESOLVE:
    if (hop->place == LIMIT_EXIT_PLACE && !hop->extended && !hop->extending) {
      exit_begin(shard, hop, now, message);
      return;
    }
    hop_close(shard, hop, now, OUTCOME_NOT_ALLOWED_HERE); /* [STREAM-1] */
    return;
  case MESSAGE_DATA:
  case MESSAGE_EOF:
  case MESSAGE_END:
  case MESSAGE_STREAM_CREDIT: exit_message(shard, hop, now, message); return;
  case MESSAGE_END_OF_CELL:
  case MESSAGE_EXTENDED:
  case MESSAGE_CLOSED:
  case MESSAGE_CONNECTED:
  case MESSAGE_RESOLVED: break;
  }
  shard->figures.violations++;
  hop_close(shard, hop, now, OUTCOME_PROTOCOL_VIOLATION);
}

static void take_content(struct shard *shard, struct hop *hop, instant now, const uint8_t *content) {
  struct message_reader reader;
  struct message message;
  message_reader_init(&reader, content, ONION_CONTENT(hop->place), false);
  while (!hop->closing && message_read(&reader, &message)) take_message(shard, hop, now, &message);
  if (!hop->closing && !message_reader_is_valid(&reader)) {
    shard->figures.violations++;
    hop_close(shard, hop, now, OUTCOME_PROTOCOL_VIOLATION);
  }
}

/* A cell for what goes on to the other side. NULL: the hop is closing. */
static struct cell *take_cell(struct shard *shard, struct hop *hop, instant now) {
  struct cell *cell = shard_take_cell(shard, now);
  if (cell == NULL) hop_cut(shard, hop, now);
  if (cell == NULL || !hop->closing) return cell;
  cell_pool_give(shard->cells, cell); /* taking it evicted this very hop */
  return NULL;
}

/* The cell that goes on to the exit's side. `cell`: where it was opened, or NULL, as the pool was full. */
static void pass_forward(struct shard *shard, struct hop *hop, instant now, struct cell *cell, const uint8_t *body) {
  if (cell == NULL) {
    cell = take_cell(shard, hop, now);
    if (cell == NULL) return;
    memcpy(cell_body(cell->bytes), body, CELL_BODY_BYTES);
  }
  trunk_push(&hop->sides[SIDE_EXIT], now, cell, true);
}

/* Where the circuit goes on, so do nearly all cells: each is opened into the one that carries it, which saves a copy. With
 * the pool full nobody is evicted before the layer proved genuine. */
void hop_forward(struct shard *shard, struct hop *hop, instant now, uint8_t *body) {
  enum onion_kind kind;
  if (hop->closing) return;
  note_use(shard, hop, now);
  struct cell *cell = hop->extended ? cell_pool_take(shard->cells) : NULL;
  uint8_t *opened = cell == NULL ? body : cell_body(cell->bytes);
  /* [CIRC-13] The first honest hop that sees one changed bit closes the circuit. */
  if (!onion_open_to(&hop->open, shard->contexts, body, opened, &kind)) {
    shard->figures.layers_forged++;
    hop_close(shard, hop, now, OUTCOME_LAYER_FORGED);
  } else if (kind == ONION_FOR_YOU) {
    take_content(shard, hop, now, opened);
    trunk_passed(&hop->sides[SIDE_CLIENT], now);
  } else if (hop->extended && hop->sides[SIDE_EXIT].state == SIDE_OPEN) {
    pass_forward(shard, hop, now, cell, opened);
    return;
  } else {
    hop_close(shard, hop, now, OUTCOME_NOT_ALLOWED_HERE);
  }
  if (cell != NULL) cell_pool_give(shard->cells, cell);
}

/* Counted as passed when it leaves. */
void hop_backward(struct shard *shard, struct hop *hop, instant now, uint8_t *body) {
  if (hop->closing || hop->sides[SIDE_CLIENT].state != SIDE_OPEN) return;
  note_use(shard, hop, now);
  struct cell *cell = take_cell(shard, hop, now);
  if (cell == NULL) return;
  /* [CIRC-14] Exactly the bytes of the next place, under our own tag. */
  if (onion_seal_to(&hop->seal, shard->contexts, ONION_PASS_ON, body, cell_body(cell->bytes))) {
    trunk_push(&hop->sides[SIDE_CLIENT], now, cell, true);
    return;
  }
  cell_pool_give(shard->cells, cell);
  hop_cut(shard, hop, now);
}
