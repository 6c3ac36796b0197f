/* Documents over a link: a table of four requests of ours and four of the peer's, each a small state machine.
 * What may come is decided by (step, message) alone; everything else closes the link.
 */
#include "protocol/transfer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/limits.h"

enum transfer_step {
  STEP_FREE,
  STEP_ASK,       /* ours: GET or PUT is to be written */
  STEP_ASKED,     /* ours: HEAD, or a refusal by DONE, must come */
  STEP_EVENT,     /* theirs: our owner must take the event */
  STEP_OWNER,     /* theirs: our owner must answer or finish */
  STEP_HEAD,      /* theirs: HEAD is to be written */
  STEP_SENDING,   /* chunks are to be written */
  STEP_RECEIVING, /* chunks must come */
  STEP_CLOSING,   /* ours: every byte has moved, DONE must come */
  STEP_DONE,      /* theirs: DONE is to be written */
  STEP_ENDED,     /* ours: nothing is left but its event */
};

enum {
  GET_BYTES = 2 + 1 + 8 + 32,
  PUT_BYTES = 2 + 1 + 4,
  HEAD_BYTES = 2 + 4,
  CHUNK_HEADER_BYTES = 2,
  DONE_BYTES = 2 + 1,
  FIRST_ALLOCATION_BYTES = 64 * 1024,
  SLOTS = 2 * LIMIT_TRANSFERS_PER_LINK, /* ours, then theirs */
};

struct transfer {
  enum transfer_step step;
  bool is_put;
  uint16_t request; /* as our owner knows it: the peer's have TRANSFER_PEERS_BIT */
  enum transfer_event_kind event;
  enum outcome outcome;
  struct transfer_request about;
  struct document *document; /* to be sent, or received whole */
  uint8_t *arriving;
  size_t cap, length, moved, allocated;
};

struct transfers {
  bool may_ask;
  size_t put_max_bytes;
  uint32_t puts_at_once;
  uint16_t last_request;
  uint64_t moved;
  uint8_t turn; /* the slot whose document sends next */
  uint8_t event_first, event_count;
  uint8_t events[SLOTS]; /* slots, a ring: a slot has at most one event at a time */
  struct transfer slots[SLOTS];
};

struct transfers *transfers_new(bool may_ask, size_t put_max_bytes) {
  struct transfers *t = calloc(1, sizeof *t);
  if (t == NULL) return NULL;
  t->may_ask = may_ask;
  transfers_limit_puts(t, put_max_bytes, LIMIT_TRANSFERS_PER_LINK);
  return t;
}

void transfers_limit_puts(struct transfers *t, size_t put_max_bytes, uint32_t at_once) {
  t->put_max_bytes = put_max_bytes;
  t->puts_at_once = at_once;
}

static void slot_free(struct transfer *slot) {
  document_release(slot->document);
  free(slot->arriving);
  *slot = (struct transfer){.step = STEP_FREE};
}

void transfers_free(struct transfers *t) {
  if (t == NULL) return;
  for (size_t i = 0; i < SLOTS; i++) slot_free(&t->slots[i]);
  free(t);
}

/* ---- The table ---- */

static bool is_peers(uint16_t request) {
  return (request & TRANSFER_PEERS_BIT) != 0;
}

static struct transfer *find(struct transfers *t, uint16_t request) {
  for (size_t i = 0; i < SLOTS; i++)
    if (t->slots[i].step != STEP_FREE && t->slots[i].request == request) return &t->slots[i];
  return NULL;
}

/* [XFER-1] So many of each side's at a time, no more. */
static struct transfer *add(struct transfers *t, uint16_t request) {
  size_t first = is_peers(request) ? LIMIT_TRANSFERS_PER_LINK : 0;
  for (size_t i = first; i < first + LIMIT_TRANSFERS_PER_LINK; i++) {
    if (t->slots[i].step != STEP_FREE) continue;
    t->slots[i].request = request;
    return &t->slots[i];
  }
  return NULL;
}

static void push_event(struct transfers *t, const struct transfer *slot, enum transfer_event_kind kind) {
  assert(t->event_count < SLOTS);
  size_t index = (size_t)(slot - t->slots);
  t->slots[index].event = kind;
  t->events[(t->event_first + t->event_count++) % SLOTS] = (uint8_t)index;
}

static void end_ours(struct transfers *t, struct transfer *slot, enum transfer_event_kind kind,
                     enum outcome outcome) {
  slot->step = STEP_ENDED;
  slot->outcome = outcome;
  push_event(t, slot, kind);
}

bool transfers_next_event(struct transfers *t, struct transfer_event *ret) {
  if (t->event_count == 0) return false;
  struct transfer *slot = &t->slots[t->events[t->event_first]];
  t->event_first = (uint8_t)((t->event_first + 1) % SLOTS);
  t->event_count--;
  *ret = (struct transfer_event){
      .kind = slot->event, .request = slot->request, .about = slot->about, .outcome = slot->outcome};
  if (slot->event == TRANSFER_GIVEN || slot->event == TRANSFER_ARRIVED) {
    ret->document = slot->document;
    slot->document = NULL;
  }
  if (slot->step == STEP_EVENT)
    slot->step = STEP_OWNER;
  else
    slot_free(slot);
  return true;
}

uint32_t transfers_pending(const struct transfers *t) {
  uint32_t pending = 0;
  for (size_t i = 0; i < LIMIT_TRANSFERS_PER_LINK; i++) pending += t->slots[i].step != STEP_FREE;
  return pending;
}

/* ---- What the owner wants ---- */

static struct transfer *add_ours(struct transfers *t) {
  /* A number is drawn again only after 32,767 others, and four are under way at most: the loop ends by its
   * fifth turn. */
  uint16_t request = t->last_request;
  do request = (uint16_t)(request % TRANSFER_REQUEST_MAX + 1);
  while (find(t, request) != NULL);
  struct transfer *slot = add(t, request);
  if (slot == NULL) return NULL;
  t->last_request = request;
  slot->step = STEP_ASK;
  return slot;
}

uint16_t transfers_get(struct transfers *t, const struct transfer_request *about, size_t max_bytes) {
  struct transfer *slot = add_ours(t);
  if (slot == NULL) return 0;
  slot->about = *about;
  slot->cap = max_bytes;
  return slot->request;
}

static void set_document(struct transfer *slot, struct document *document) {
  slot->document = document_take(document);
  slot->length = document_len(document);
  assert(slot->length > 0 && slot->length <= UINT32_MAX);
}

uint16_t transfers_put(struct transfers *t, uint8_t kind, struct document *document) {
  struct transfer *slot = add_ours(t);
  if (slot == NULL) return 0;
  slot->is_put = true;
  slot->about.kind = kind;
  set_document(slot, document);
  return slot->request;
}

void transfers_answer(struct transfers *t, uint16_t request, struct document *document) {
  struct transfer *slot = find(t, request);
  if (slot == NULL || slot->step != STEP_OWNER || slot->is_put) return;
  set_document(slot, document);
  slot->step = STEP_HEAD;
}

void transfers_finish(struct transfers *t, uint16_t request, enum outcome outcome) {
  struct transfer *slot = find(t, request);
  if (slot == NULL || slot->step != STEP_OWNER) return;
  assert(slot->is_put || outcome != OUTCOME_OK);
  slot->outcome = outcome;
  slot->step = STEP_DONE;
}

/* ---- What the peer says ---- */

/* [XFER-2] */
static bool kind_is_got(uint8_t kind) {
  return kind == TRANSFER_CONSENSUS || kind == TRANSFER_VOTE || kind == TRANSFER_NETWORK_FILE ||
         kind == TRANSFER_CONSENSUS_DIFF;
}
static bool kind_is_put(uint8_t kind) {
  return kind == TRANSFER_DESCRIPTOR || kind == TRANSFER_AGREEMENT;
}
/* A vote is asked for by its hash, all else by its epoch. */
static bool unused_field_is_zero(const uint8_t *body) {
  return body[2] == TRANSFER_VOTE ? get_u64(body + 3) == 0 : cell_rest_is_zero(body + 11, 32);
}

/* [XFER-3] A new request of the peer's: its own number, not under way, and no more than so many at a time. */
static struct transfer *add_peers(struct transfers *t, const uint8_t *body) {
  uint16_t request = get_u16(body);
  if (request == 0 || is_peers(request)) return NULL;
  request = (uint16_t)(request | TRANSFER_PEERS_BIT);
  if (find(t, request) != NULL) return NULL;
  return add(t, request);
}

static void refuse(struct transfer *slot, enum outcome outcome) {
  slot->outcome = outcome;
  slot->step = STEP_DONE;
}

static enum outcome receive_get(struct transfers *t, const uint8_t *body, size_t len) {
  if (len != GET_BYTES || !kind_is_got(body[2]) || !unused_field_is_zero(body)) return OUTCOME_PROTOCOL_VIOLATION;
  struct transfer *slot = add_peers(t, body);
  if (slot == NULL) return OUTCOME_PROTOCOL_VIOLATION;
  slot->about.kind = body[2];
  slot->about.epoch = get_u64(body + 3);
  memcpy(slot->about.hash, body + 11, sizeof slot->about.hash);
  /* [XFER-8] Who may not ask is told so: its person learns the cause. */
  if (!t->may_ask) {
    refuse(slot, OUTCOME_NOT_ALLOWED_HERE);
    return OUTCOME_OK;
  }
  slot->step = STEP_EVENT;
  push_event(t, slot, TRANSFER_ASKED);
  return OUTCOME_OK;
}

/* Of the peer's, this one included. */
static uint32_t puts_under_way(const struct transfers *t) {
  uint32_t count = 0;
  for (size_t i = LIMIT_TRANSFERS_PER_LINK; i < SLOTS; i++) count += t->slots[i].step != STEP_FREE && t->slots[i].is_put;
  return count;
}

static enum outcome receive_put(struct transfers *t, const uint8_t *body, size_t len) {
  if (len != PUT_BYTES || !kind_is_put(body[2]) || get_u32(body + 3) == 0) return OUTCOME_PROTOCOL_VIOLATION;
  struct transfer *slot = add_peers(t, body);
  if (slot == NULL) return OUTCOME_PROTOCOL_VIOLATION;
  slot->is_put = true;
  slot->step = STEP_HEAD;
  slot->about.kind = body[2];
  slot->length = get_u32(body + 3);
  /* [XFER-8] Refused before a byte of it was sent: the other end waits for our HEAD. */
  if (t->put_max_bytes == 0)
    refuse(slot, OUTCOME_NOT_ALLOWED_HERE);
  else if (slot->length > t->put_max_bytes)
    refuse(slot, OUTCOME_TOO_LARGE);
  else if (puts_under_way(t) > t->puts_at_once)
    refuse(slot, OUTCOME_TOO_BUSY);
  return OUTCOME_OK;
}

/* The request of ours that a HEAD or DONE answers. */
static struct transfer *find_answered(struct transfers *t, const uint8_t *body) {
  uint16_t request = get_u16(body);
  if (!is_peers(request)) return NULL; /* [XFER-3] an answer names the receiver's request */
  return find(t, (uint16_t)(request ^ TRANSFER_PEERS_BIT));
}

static enum outcome receive_head(struct transfers *t, const uint8_t *body, size_t len) {
  if (len != HEAD_BYTES) return OUTCOME_PROTOCOL_VIOLATION;
  struct transfer *slot = find_answered(t, body);
  if (slot == NULL || slot->step != STEP_ASKED) return OUTCOME_PROTOCOL_VIOLATION;
  size_t length = get_u32(body + 2);
  if (slot->is_put) {
    /* [XFER-5] The go-ahead repeats the length it agrees to. */
    if (length != slot->length) return OUTCOME_PROTOCOL_VIOLATION;
    slot->step = STEP_SENDING;
    return OUTCOME_OK;
  }
  /* [XFER-6] The cap is what we asked with, known before a byte of the answer is kept. */
  if (length == 0 || length > slot->cap) return OUTCOME_PROTOCOL_VIOLATION;
  slot->length = length;
  slot->step = STEP_RECEIVING;
  return OUTCOME_OK;
}

/* [XFER-7] Memory follows the bytes that came, not the length that was announced. */
static bool make_room(struct transfer *slot, size_t need) {
  if (need <= slot->allocated) return true;
  size_t size = slot->allocated == 0 ? FIRST_ALLOCATION_BYTES : 2 * slot->allocated;
  if (size > slot->length) size = slot->length;
  uint8_t *bytes = realloc(slot->arriving, size);
  if (bytes == NULL) return false;
  slot->arriving = bytes;
  slot->allocated = size;
  return true;
}

static enum outcome receive_last_chunk(struct transfers *t, struct transfer *slot) {
  slot->document = document_new(slot->arriving, slot->length);
  free(slot->arriving);
  slot->arriving = NULL;
  slot->allocated = 0;
  if (slot->document == NULL) return OUTCOME_NO_MEMORY;
  if (is_peers(slot->request)) {
    slot->step = STEP_EVENT;
    push_event(t, slot, TRANSFER_GIVEN);
  } else {
    slot->step = STEP_CLOSING;
  }
  return OUTCOME_OK;
}

static enum outcome receive_chunk(struct transfers *t, const uint8_t *body, size_t len) {
  if (len <= CHUNK_HEADER_BYTES) return OUTCOME_PROTOCOL_VIOLATION;
  /* [XFER-3] The sender's own number: its PUT. Ours, marked: the answer to our GET. Either way the other
   * view. */
  struct transfer *slot = find(t, (uint16_t)(get_u16(body) ^ TRANSFER_PEERS_BIT));
  size_t count = len - CHUNK_HEADER_BYTES;
  if (slot == NULL || slot->step != STEP_RECEIVING) return OUTCOME_PROTOCOL_VIOLATION;
  if (count > slot->length - slot->moved) return OUTCOME_PROTOCOL_VIOLATION;
  if (!make_room(slot, slot->moved + count)) return OUTCOME_NO_MEMORY;
  memcpy(slot->arriving + slot->moved, body + CHUNK_HEADER_BYTES, count);
  slot->moved += count;
  t->moved += count;
  return slot->moved == slot->length ? receive_last_chunk(t, slot) : OUTCOME_OK;
}

static enum outcome receive_done(struct transfers *t, const uint8_t *body, size_t len) {
  enum outcome outcome;
  if (len != DONE_BYTES || !outcome_from_code(body[2], &outcome)) return OUTCOME_PROTOCOL_VIOLATION;
  struct transfer *slot = find_answered(t, body);
  if (slot == NULL) return OUTCOME_PROTOCOL_VIOLATION;
  /* [XFER-4] [XFER-5] Before HEAD it can only refuse; after every byte, a GET has only one end. */
  if (slot->step == STEP_ASKED && outcome != OUTCOME_OK)
    end_ours(t, slot, TRANSFER_ENDED, outcome);
  else if (slot->step == STEP_CLOSING && slot->is_put)
    end_ours(t, slot, TRANSFER_ENDED, outcome);
  else if (slot->step == STEP_CLOSING && outcome == OUTCOME_OK)
    end_ours(t, slot, TRANSFER_ARRIVED, outcome);
  else
    return OUTCOME_PROTOCOL_VIOLATION;
  return OUTCOME_OK;
}

typedef enum outcome receiver(struct transfers *, const uint8_t *body, size_t len);

/* [XFER-10] What is not in this table, and whatever a receiver does not expect in the request's step, ends
 * the link. */
static receiver *const receivers[] = {
    [CONTROL_GET] = receive_get,     [CONTROL_PUT] = receive_put,   [CONTROL_HEAD] = receive_head,
    [CONTROL_CHUNK] = receive_chunk, [CONTROL_DONE] = receive_done,
};

enum outcome transfers_message(struct transfers *t, const struct message *message) {
  receiver *receive =
      message->command < sizeof receivers / sizeof *receivers ? receivers[message->command] : NULL;
  return receive == NULL ? OUTCOME_PROTOCOL_VIOLATION : receive(t, message->body, message->len);
}

/* ---- What is to be sent ---- */

static bool slot_has_output(const struct transfer *slot) {
  return slot->step == STEP_ASK || slot->step == STEP_HEAD || slot->step == STEP_SENDING ||
         slot->step == STEP_DONE;
}

bool transfers_has_output(const struct transfers *t) {
  for (size_t i = 0; i < SLOTS; i++)
    if (slot_has_output(&t->slots[i])) return true;
  return false;
}

static bool write_ask(struct transfer *slot, struct message_writer *writer) {
  uint8_t *body = slot->is_put ? message_add(writer, CONTROL_PUT, 0, PUT_BYTES)
                               : message_add(writer, CONTROL_GET, 0, GET_BYTES);
  if (body == NULL) return false;
  put_u16(body, slot->request);
  body[2] = slot->about.kind;
  if (slot->is_put) {
    put_u32(body + 3, (uint32_t)slot->length);
  } else {
    put_u64(body + 3, slot->about.epoch);
    memcpy(body + 11, slot->about.hash, sizeof slot->about.hash);
  }
  slot->step = STEP_ASKED;
  return true;
}

static bool write_head(struct transfer *slot, struct message_writer *writer) {
  uint8_t *body = message_add(writer, CONTROL_HEAD, 0, HEAD_BYTES);
  if (body == NULL) return false;
  put_u16(body, slot->request);
  put_u32(body + 2, (uint32_t)slot->length);
  slot->step = slot->is_put ? STEP_RECEIVING : STEP_SENDING;
  return true;
}

static bool write_done(struct transfer *slot, struct message_writer *writer) {
  uint8_t *body = message_add(writer, CONTROL_DONE, 0, DONE_BYTES);
  if (body == NULL) return false;
  put_u16(body, slot->request);
  body[2] = (uint8_t)slot->outcome;
  slot_free(slot);
  return true;
}

static bool write_chunk(struct transfers *t, struct transfer *slot, struct message_writer *writer) {
  size_t room = message_room(writer, CONTROL_CHUNK);
  if (room <= CHUNK_HEADER_BYTES) return false;
  size_t count = slot->length - slot->moved;
  if (count > room - CHUNK_HEADER_BYTES) count = room - CHUNK_HEADER_BYTES;
  uint8_t *body = message_add(writer, CONTROL_CHUNK, 0, CHUNK_HEADER_BYTES + count);
  if (body == NULL) return false;
  put_u16(body, slot->request);
  memcpy(body + CHUNK_HEADER_BYTES, document_bytes(slot->document) + slot->moved, count);
  slot->moved += count;
  t->moved += count;
  if (slot->moved == slot->length) slot->step = slot->is_put ? STEP_CLOSING : STEP_DONE;
  return true;
}

/* [XFER-9] Short messages first: they are what the other end waits for. */
static bool write_short(struct transfers *t, struct message_writer *writer) {
  bool wrote = false;
  for (size_t i = 0; i < SLOTS; i++) {
    struct transfer *slot = &t->slots[i];
    if (slot->step == STEP_ASK)
      wrote |= write_ask(slot, writer);
    else if (slot->step == STEP_HEAD)
      wrote |= write_head(slot, writer);
    else if (slot->step == STEP_DONE)
      wrote |= write_done(slot, writer);
  }
  return wrote;
}

/* [XFER-9] The documents take turns, a chunk each. */
static bool write_next_chunk(struct transfers *t, struct message_writer *writer) {
  for (size_t i = 0; i < SLOTS; i++) {
    size_t index = (t->turn + i) % SLOTS;
    if (t->slots[index].step != STEP_SENDING) continue;
    if (!write_chunk(t, &t->slots[index], writer)) return false; /* no room: its turn is still to come */
    t->turn = (uint8_t)((index + 1) % SLOTS);
    return true;
  }
  return false;
}

void transfers_write(struct transfers *t, struct message_writer *writer) {
  bool wrote;
  do {
    wrote = write_short(t, writer);
    wrote |= write_next_chunk(t, writer);
  } while (wrote);
}

/* ---- Whether it moves ---- */

uint64_t transfers_moved(const struct transfers *t) { return t->moved; }

void transfer_watch_begin(struct transfer_watch *watch, instant now, uint64_t space, const struct transfers *t) {
  uint64_t moved = t == NULL ? 0 : t->moved;
  *watch = (struct transfer_watch){.began = now, .space = space, .first = moved, .seen = moved};
}

/* [XFER-11] */
bool transfer_watch_look(struct transfer_watch *watch, instant now, const struct transfers *t) {
  uint64_t moved = t == NULL ? 0 : t->moved, taken = instant_until(watch->began, now);
  uint64_t least = taken <= watch->space ? 0 : (taken - watch->space) / MILLISECONDS * LIMIT_TRANSFER_LEAST_RATE / 1000;
  bool moves = moved > watch->seen && moved - watch->first >= least;
  watch->seen = moved;
  return moves;
}
