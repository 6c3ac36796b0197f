/* Documents over a link, in CONTROL cells: asked for (GET), handed in (PUT), in chunks, with caps, many at a time.
 * Spec: specs/transfers.md [XFER-*]. Called by whoever owns a link: shard, keeper, client, authority.
 * Outgoing bytes are taken from the shared document only when the link can send; incoming ones are kept up to
 * the cap of what was asked. Never knows what a document says.
 */
#ifndef TUNIC_PROTOCOL_TRANSFER_H
#define TUNIC_PROTOCOL_TRANSFER_H

#include "protocol/cell.h"
#include "protocol/document.h"
#include "protocol/instant.h"
#include "protocol/message.h"
#include "protocol/outcome.h"

/* [XFER-2] What a request can be about. */
enum transfer_kind {
  TRANSFER_CONSENSUS = 1,    /* GET: newer than `epoch` (STALE if there is none); zstd */
  TRANSFER_DESCRIPTOR = 2,   /* PUT to an authority */
  TRANSFER_VOTE = 3,         /* GET by hash, between authorities */
  TRANSFER_AGREEMENT = 4,    /* PUT, between authorities */
  TRANSFER_NETWORK_FILE = 5, /* GET: serial newer than `epoch` */
  TRANSFER_CONSENSUS_DIFF = 6, /* GET: from the consensus of `epoch` to the newest; zstd */
};

/* [XFER-3] Who asks draws the number, 1 to 32767. Whoever means a request of the other end sets the top bit: on the
 * wire in HEAD, DONE and the chunks of an answer; here in the numbers of what the peer asked. */
enum { TRANSFER_REQUEST_MAX = 0x7fff, TRANSFER_PEERS_BIT = 0x8000 };

struct transfer_request { uint8_t kind; uint64_t epoch; uint8_t hash[32]; };

struct transfers; /* one link's */

enum transfer_event_kind {
  TRANSFER_ASKED,   /* the peer wants a document: answer or refuse `request` */
  TRANSFER_GIVEN,   /* the peer handed one in: `document` is ours to release; finish `request` with an outcome */
  TRANSFER_ARRIVED, /* what we asked for: `document` is ours to release */
  TRANSFER_ENDED,   /* what we asked for or handed in ended with `outcome` (OK: our PUT was accepted) */
};
struct transfer_event {
  enum transfer_event_kind kind;
  uint16_t request;
  struct transfer_request about;
  struct document *document;
  enum outcome outcome;
};

/* may_ask: the peer may GET from us; put_max_bytes: the largest PUT taken from this peer, 0: none. NULL: no memory. */
struct transfers *transfers_new(bool may_ask, size_t put_max_bytes);
void transfers_free(struct transfers *);
/* From now on PUTs of at most so many bytes, so many at once; for who turns out to be a stranger. */
void transfers_limit_puts(struct transfers *, size_t put_max_bytes, uint32_t at_once);

/* A CONTROL message of GET, PUT, HEAD, CHUNK or DONE. Not OK: close the link; PROTOCOL_VIOLATION: the peer broke a
 * rule, NO_MEMORY: there is none for what it sends. */
enum outcome transfers_message(struct transfers *, const struct message *);
/* What happened, oldest first. A request of ours is under way until its event was taken. */
bool transfers_next_event(struct transfers *, struct transfer_event *ret);

/* We ask; the answer is capped. 0: too many under way. */
uint16_t transfers_get(struct transfers *, const struct transfer_request *, size_t max_bytes);
/* We hand in; takes a reference of its own. 0: too many under way. */
uint16_t transfers_put(struct transfers *, uint8_t kind, struct document *);
/* Answers TRANSFER_ASKED: takes a reference of its own. Documents are never empty. A number that is not (or no
 * longer) waiting for an answer is ignored, here and in finish. */
void transfers_answer(struct transfers *, uint16_t request, struct document *);
/* Ends TRANSFER_ASKED without a document (never with OK), or TRANSFER_GIVEN with its outcome. */
void transfers_finish(struct transfers *, uint16_t request, enum outcome);

bool transfers_has_output(const struct transfers *);
/* Adds what there is to send to a CONTROL cell, as much as fits; chunks of documents in turn. */
void transfers_write(struct transfers *, struct message_writer *);
/* Requests of ours under way. */
uint32_t transfers_pending(const struct transfers *);
/* Bytes of documents that were sent or came, ever. */
uint64_t transfers_moved(const struct transfers *);

/* [XFER-11] Whether documents move. Looks are `space` apart. */
struct transfer_watch { instant began; uint64_t space, first, seen; };
/* transfers NULL: there are none yet, and begin with nothing moved. */
void transfer_watch_begin(struct transfer_watch *, instant now, uint64_t space, const struct transfers *);
bool transfer_watch_look(struct transfer_watch *, instant now, const struct transfers *);

#endif
