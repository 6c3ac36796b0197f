/* Two ends of transfers: an honest owner on each side, and messages of the input's own to one of them.
 * Each byte is a step. The property: what two honest ends say to each other is never a violation, documents
 * arrive unchanged, and what an end writes is always valid, whatever it was told before. */
#include <stdlib.h>
#include <string.h>

#include "protocol/limits.h"
#include "protocol/transfer.h"
#include "tests/fuzz/fuzz.h"

enum { CAP = 200000, BODY_MAX = 64, DOCUMENT_MAX = 1 + 255 * 37 };

struct run {
  struct transfers *ends[2];
  struct document *document;
  bool lied; /* to end 0 */
  const uint8_t *at, *end;
};

static uint8_t take(struct run *run) {
  return run->at < run->end ? *run->at++ : 0;
}

static void require(bool property) {
  if (!property) abort();
}

static void own(struct run *run, int which, const struct transfer_event *event) {
  struct transfers *t = run->ends[which];
  uint8_t choice = take(run);
  switch (event->kind) {
  case TRANSFER_ASKED:
    require(event->document == NULL && (event->request & TRANSFER_PEERS_BIT) != 0);
    if (choice & 1)
      transfers_answer(t, event->request, run->document);
    else if (choice & 2)
      transfers_finish(t, event->request, OUTCOME_NOT_FOUND);
    break; /* or later, or never */
  case TRANSFER_GIVEN:
    require(event->document != NULL && document_len(event->document) <= CAP);
    if (choice & 1) transfers_finish(t, event->request, OUTCOME_OK);
    break;
  case TRANSFER_ARRIVED:
    require(event->document != NULL && document_len(event->document) <= CAP);
    if (!run->lied) {
      require(document_len(event->document) == document_len(run->document));
      require(memcmp(document_bytes(event->document), document_bytes(run->document),
                     document_len(run->document)) == 0);
    }
    break;
  case TRANSFER_ENDED: require(event->document == NULL); break;
  }
  document_release(event->document);
}

static void take_events(struct run *run, int which) {
  struct transfer_event event;
  for (uint32_t i = 0; transfers_next_event(run->ends[which], &event); i++) {
    require(i < 2 * LIMIT_TRANSFERS_PER_LINK);
    own(run, which, &event);
  }
}

/* One cell from an end; the other hears it if both were only ever told the truth. */
static void carry(struct run *run, int from, size_t room) {
  uint8_t body[CELL_BODY_BYTES];
  struct message_writer writer;
  if (room > sizeof body) room = sizeof body;
  message_writer_init(&writer, body, room, true);
  transfers_write(run->ends[from], &writer);
  if (writer.at == 0) return;
  message_writer_finish(&writer);
  struct message_reader reader;
  struct message message;
  message_reader_init(&reader, body, room, true);
  while (message_read(&reader, &message))
    if (!run->lied) require(transfers_message(run->ends[1 - from], &message) == OUTCOME_OK);
  require(message_reader_is_valid(&reader));
}

/* False: the end has ended the link, so nothing more may reach it. */
static bool lie(struct run *run) {
  uint8_t body[BODY_MAX] = {0};
  struct message message = {.command = take(run) % 9, .body = body, .len = take(run) % BODY_MAX};
  for (size_t i = 0; i < message.len; i++) body[i] = take(run);
  run->lied = true;
  enum outcome outcome = transfers_message(run->ends[0], &message);
  require(outcome == OUTCOME_OK || outcome == OUTCOME_PROTOCOL_VIOLATION || outcome == OUTCOME_NO_MEMORY);
  return outcome == OUTCOME_OK;
}

static bool step(struct run *run) {
  uint8_t command = take(run);
  int which = command >> 7;
  struct transfer_request about = {.kind = TRANSFER_CONSENSUS, .epoch = take(run)};
  switch (command % 7) {
  case 0: transfers_get(run->ends[which], &about, CAP); break;
  case 1: transfers_put(run->ends[which], TRANSFER_AGREEMENT, run->document); break;
  case 2: take_events(run, which); break;
  case 3: carry(run, which, CELL_BODY_BYTES); break;
  case 4: carry(run, which, (size_t)take(run) * 6 + 1); break;
  case 5:
    transfers_finish(run->ends[which], (uint16_t)(TRANSFER_PEERS_BIT | take(run)), OUTCOME_STALE);
    break;
  case 6: return lie(run);
  }
  require(transfers_pending(run->ends[which]) <= LIMIT_TRANSFERS_PER_LINK);
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint8_t bytes[DOCUMENT_MAX];
  struct run run = {.at = data, .end = data + size};
  uint8_t choice = take(&run);
  size_t len = 1 + (size_t)take(&run) * 37;
  for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)(i * 2654435761U >> 24);
  run.ends[0] = transfers_new(choice & 1, choice & 2 ? CAP : 0);
  run.ends[1] = transfers_new(true, choice & 4 ? 1000 : CAP);
  run.document = document_new(bytes, len);
  require(run.ends[0] != NULL && run.ends[1] != NULL && run.document != NULL);
  while (run.at < run.end && step(&run)) {
  }
  document_release(run.document);
  transfers_free(run.ends[0]);
  transfers_free(run.ends[1]);
  return 0;
}
