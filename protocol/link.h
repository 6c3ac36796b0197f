/* One link: the handshake (XKhfs between nodes, NKhfs from a client), then records of many cells, opened in place.
 * Spec: specs/links.md [LINK-*]. Called by shard, keeper, client, authority.
 * Bytes and time in, bytes out. Never looks a peer up (its owner does), never queues a cell (a source gives them
 * at the moment of sealing), never waits to fill a record.
 */
#ifndef TUNIC_PROTOCOL_LINK_H
#define TUNIC_PROTOCOL_LINK_H

#include "crypto/aead.h"
#include "crypto/keys.h"
#include "protocol/cell.h"
#include "protocol/instant.h"
#include "protocol/outcome.h"
#include "protocol/random.h"

enum {
  LINK_VERSION = 1,
  LINK_PREAMBLE_BYTES = 3, /* pattern, version, suites offered: bits 1 << suite */
  LINK_RECORD_CELLS_MAX = 11,
  LINK_RECORD_OVERHEAD = 2 + AEAD_TAG_BYTES,
  LINK_RECORD_MAX_BYTES = LINK_RECORD_OVERHEAD + LINK_RECORD_CELLS_MAX * CELL_BYTES,
  LINK_RECORDS_PER_KEY = 4096,
};

enum link_pattern { LINK_FROM_NODE = 1 /* XKhfs */, LINK_FROM_CLIENT = 2 /* NKhfs */ };
enum link_role { LINK_INITIATOR, LINK_RESPONDER };
enum link_state {
  LINK_HANDSHAKING,
  LINK_AWAITING_ADMISSION, /* responder of XK: message 3 named an identity; the owner must look it up */
  LINK_OPEN,
  LINK_FAILED,
};

/* Who we are; shared by all links of a node, outlives them. */
struct link_self {
  uint8_t network[32];
  uint8_t identity[IDENTITY_BYTES];
  uint8_t link_public[X25519_BYTES];
  const struct guarded_key *link_secret; /* NULL: a client */
  uint8_t suites;                        /* bits 1 << aead_suite that we compute fast */
  enum aead_backend backend;
};

/* Whom an initiator means, from the consensus or the network file. */
struct link_peer {
  uint8_t identity[IDENTITY_BYTES];
  uint8_t link_key[X25519_BYTES];
  uint8_t suites; /* that the peer declares */
};

struct link; /* opaque */

/* NULL: no memory. `random` is used during calls only, the caller keeps it alive. */
struct link *link_new_initiator(const struct link_self *, const struct link_peer *, enum link_pattern, struct random_stream *random);
struct link *link_new_responder(const struct link_self *, struct random_stream *random);
void link_free(struct link *); /* wipes; NULL is allowed */

enum link_state link_state(const struct link *);
enum link_pattern link_pattern(const struct link *); /* once known */
enum link_role link_role(const struct link *);
enum aead_suite link_suite(const struct link *);     /* of the records, once open */
/* True while a handshake message waits for link_work: nothing more is taken until then. */
bool link_needs_work(const struct link *);
/* One handshake step; an initiator's first makes its first message. Not OK: HANDSHAKE_FAILED or NO_MEMORY, the link
 * is over. */
enum outcome link_work(struct link *, instant now);

/* LINK_AWAITING_ADMISSION: the identity that was claimed and the key that was proved. [LINK-6] The owner looks the
 * identity up and compares the key, then admits or frees. */
void link_claim(const struct link *, uint8_t ret_identity[IDENTITY_BYTES], uint8_t ret_link_key[X25519_BYTES]);
void link_admit(struct link *);
/* The peer's identity, once open; zeros for a client. */
const uint8_t *link_peer_identity(const struct link *);

struct link_record { uint8_t *cells; uint32_t count; }; /* count cells of CELL_BYTES, inside `in` */

/* Takes one handshake message or one whole record, opened in place; *ret_used = 0: more bytes are needed, or work
 * or admission is pending. ret_record->count is 0 if no cells came. Not OK: the link is over. */
enum outcome link_receive(struct link *, instant now, uint8_t *in, size_t len, size_t *ret_used, struct link_record *ret_record);

/* Gives the next cell to send, written whole into `cell`; false: none now. Asked at the moment of sealing. */
struct cell_source { bool (*next)(void *context, instant now, uint8_t cell[CELL_BYTES]); void *context; };

/* Handshake bytes first; once open, seals as many whole records as fit into out. Returns bytes written. source may be
 * NULL: no cells. The link may be over afterwards (no memory for the next key): link_state says so. */
size_t link_transmit(struct link *, instant now, uint8_t *out, size_t room, const struct cell_source *);

#endif
