/* Every limit that has a name, in one place, with static asserts on how they relate.
 * Spec: specs/limits.md [LIMIT-*]. Called by everyone.
 * What is over a limit is refused with a named outcome and counted. Sizes are bytes, times nanoseconds, unless named.
 * Lint holds [LIMIT-13], those that two nodes must agree on, to the values here.
 */
#ifndef TUNIC_PROTOCOL_LIMITS_H
#define TUNIC_PROTOCOL_LIMITS_H

#include <assert.h>

#include "crypto/circuit_handshake.h"
#include "crypto/onion.h"
#include "protocol/cell.h"
#include "protocol/instant.h"
#include "protocol/link.h"
#include "protocol/message.h"

/* Paths */
enum {
  LIMIT_HOPS = ONION_MAX_HOPS,
  LIMIT_LAST_PLACE = LIMIT_HOPS - 1,
  LIMIT_EXIT_PLACE = 2, /* [STREAM-1] exits answer only here, so that all exit circuits look alike */
};

/* Links */
enum {
  LIMIT_LINKS_PER_NEIGHBOUR = 4,     /* a shard's own to one relay: one for new circuits, the others for those they have */
  LIMIT_LINKS_FROM_NEIGHBOUR = 256,  /* a shard accepts from one relay: as many as its shards may have */
  LIMIT_LINKS_PER_NODE = 20000,
  LIMIT_LINKS_PER_ADDRESS = 64,      /* accepted from one IPv4 address or IPv6 /64, on the public internet */
  LIMIT_LINKS_PER_SITE = 16 * LIMIT_LINKS_PER_ADDRESS, /* from one IPv6 /48, whose 65,536 /64s anybody can have */
  LIMIT_CIRCUITS_PER_LINK = 65536,
  LIMIT_CIRCUITS_PER_SHARD = 262144,
  LIMIT_CIRCUITS_PER_CLIENT_LINK = 2048, /* as many as a client has: LIMIT_CLIENT_CIRCUITS */
  LIMIT_CIRCUITS_OF_A_FEW = 64, /* on a client's link: what it keeps, and may still get, when a shard's circuits run out */
  LIMIT_CREATES_QUEUED_PER_LINK = 64,
  LIMIT_CREATES_OF_A_FEW = 8,   /* that may wait on a client's link while three quarters of the cells are taken */
  LIMIT_CONTROL_QUEUED_PER_LINK = 1024, /* CREATE and CREATED that a link has not taken: no eviction frees these cells */
  LIMIT_CREATED_QUEUED_PER_CLIENT = 64, /* the same on a client's link: anybody can have many of those */
  LIMIT_CLOSING_PER_LINK = 65536,    /* circuit ids that wait for the answer to our CLOSE */
  LIMIT_CLOSING_PER_CLIENT = 4096,   /* the same on a client's link */
};
#define LIMIT_HANDSHAKE_TIME (10 * SECONDS)    /* a link's handshake, from the first byte */
#define LIMIT_CREATE_WAIT (2 * SECONDS)        /* a CREATE that waited longer for work is refused */
#define LIMIT_EXTEND_TIME (10 * SECONDS)       /* from EXTEND to EXTENDED at a relay */
#define LIMIT_CONNECT_TIME (15 * SECONDS)      /* TCP, to a neighbour or a destination */
#define LIMIT_RESOLVE_TIME (15 * SECONDS)
#define LIMIT_CLOSE_DRAIN_TIME (10 * SECONDS)  /* what was queued before a CLOSE may still leave for so long */
#define LIMIT_BACKLOG_YOUNG (2 * SECONDS)      /* a queue whose next cell has waited so long makes no progress by giving one */
#define LIMIT_CLOSE_ANSWER_TIME (60 * SECONDS) /* a neighbour that does not answer CLOSE loses the link */
#define LIMIT_LINK_IDLE_TIME (3 * MINUTES)     /* a link without circuits closes */
#define LIMIT_VISIT_TIME (1 * HOURS)           /* a stranger's link to an authority, whatever it carries */
#define LIMIT_TRANSFER_LOOK_TIME (30 * SECONDS) /* who asks for a document looks so often whether it moves */
/* [LIMIT-11] A circuit that carries nothing, at a relay */
#define LIMIT_CIRCUIT_IDLE_TIME (1 * HOURS)    /* where it ends and has no streams, and anywhere when the table is nearly full */
#define LIMIT_CIRCUIT_SILENT_TIME (24 * HOURS) /* anywhere: a stream may be silent for so long */
#define LIMIT_CIRCUIT_IDLE_SPREAD (30 * MINUTES)
/* Its client closes it first: [BUILD-4] */
#define LIMIT_CIRCUIT_FRESH_TIME (1 * HOURS)
#define LIMIT_CIRCUIT_USED_TIME (10 * MINUTES)
#define LIMIT_CIRCUIT_USED_SPREAD (5 * MINUTES)

/* Streams */
enum {
  LIMIT_STREAMS_PER_CIRCUIT = 512,
  LIMIT_STREAMS_PER_SHARD = 65536,
  LIMIT_STREAMS_OF_A_FEW = 16, /* that a circuit may have where half of an exit's room is taken */
  LIMIT_LOOKUPS_PER_CIRCUIT = 128, /* names that an exit looks up at a time */
  LIMIT_LOOKUPS_PER_SHARD = 4096,
  LIMIT_CLIENT_STREAMS = 8192,
  LIMIT_CLIENT_CIRCUITS = 2048,
  LIMIT_EXIT_FIRST_CREDIT = 64 * 1024, /* bytes a client may send behind BEGIN, unasked */
  LIMIT_EXIT_OPEN_CREDIT = 1024 * 1024, /* the same once CONNECTED has come */
  LIMIT_EXIT_CREDIT = 8 * 1024 * 1024,
  LIMIT_CLIENT_FIRST_CREDIT = 1024 * 1024, /* bytes an exit may send behind CONNECTED, unasked */
  LIMIT_CLIENT_CREDIT = 8 * 1024 * 1024,
  LIMIT_CIRCUIT_STREAM_CREDIT = 32 * 1024 * 1024, /* promised to all streams of one circuit, by client and exit each */
};
#define LIMIT_EXIT_RAISE_TIME (250 * MILLISECONDS) /* for a part of an exit's window to be taken, if it is to grow */
#define LIMIT_HALF_CLOSED_TIME (60 * SECONDS) /* a stream with one way over and nothing moving on the other */

/* Credit between neighbours, in cells */
enum {
  LIMIT_CREDIT_FIRST = 4,      /* promised by whoever has a circuit, before any report */
  LIMIT_CREDIT_FIRST_MAX = 128, /* the first report's limit, at most */
  LIMIT_CREDIT_MAX = 16384,    /* a limit is never further than this ahead of what was passed */
  LIMIT_WINDOW_FIRST = 128,
  LIMIT_WINDOW_LEAST = 4,
  LIMIT_WINDOW_MOST = 2048,
  LIMIT_STREAM_QUEUE_CELLS = 64, /* an exit or client stops reading streams while a circuit has this many queued */
};
#define LIMIT_REPORT_TIME (2 * MILLISECONDS) /* what a report need not say at once it says within that */

/* Processes, where a person says nothing: [LIMIT-1], [LIMIT-9] */
enum {
  LIMIT_SHARDS_UNASKED = 8,          /* or as many as cores; more only once cells can cross shards */
  LIMIT_SHARDS_MOST = 63,
  LIMIT_MEMORY_LEAST_MB = 16,
  LIMIT_RELAY_MEMORY_MOST_MB = 2048, /* or a quarter of the machine's */
  LIMIT_MEMORY_MOST_MB = 1048576,
};

/* Documents, [LIMIT-7] */
enum {
  LIMIT_DESCRIPTOR_BYTES = 16 * 1024,
  LIMIT_VOTE_BYTES = 32 * 1024 * 1024,
  LIMIT_CONSENSUS_BYTES = 32 * 1024 * 1024,
  LIMIT_CONSENSUS_PACKED_BYTES = 16 * 1024 * 1024,
  LIMIT_NETWORK_FILE_BYTES = 256 * 1024,
  LIMIT_AGREEMENT_MESSAGE_BYTES = 64 * 1024,
  LIMIT_AUTHORITIES = 31,
  LIMIT_RELAYS = 20000,
  LIMIT_TRANSFERS_PER_LINK = 4,
  LIMIT_TRANSFER_LEAST_RATE = 2048, /* bytes a second, [XFER-11] */
  LIMIT_LINE_BYTES = 1024,
};

/* What strangers may ask of an authority, [AUTH-11] to [AUTH-14] */
enum {
  LIMIT_SOURCES = 16384,                     /* addresses remembered for what they asked */
  LIMIT_DESCRIPTORS_WAITING = 512,           /* of newcomers, and as many of relays that are known */
  LIMIT_DESCRIPTORS_WAITING_PER_ADDRESS = 4, /* one a link */
  LIMIT_DESCRIPTORS_AT_ONCE = 8,             /* of an address, or of a known relay; then one in so many seconds: */
  LIMIT_DESCRIPTOR_GAP_S = 10,
  LIMIT_NEWCOMERS_PER_SECOND = 50,           /* all newcomers together */
  LIMIT_NEWCOMERS_AT_ONCE = 500,
  LIMIT_NEWCOMERS_PER_ADDRESS = 8,           /* that say they are at one address and never answered there */
  LIMIT_PROBES_AT_ONCE = 64,                 /* half of them for those that never answered */
  LIMIT_SERVED_PER_ADDRESS = 1024 * 1024,    /* bytes of documents a second, and at once: */
  LIMIT_SERVED_PER_ADDRESS_AT_ONCE = 64 * 1024 * 1024,
  LIMIT_SERVED_TO_RELAYS = 64 * 1024 * 1024,
  LIMIT_SERVED_TO_OTHERS = 16 * 1024 * 1024,
  LIMIT_SERVED_SECONDS_AT_ONCE = 16,         /* so many seconds' worth of the last two */
};

/* What a relay hands out over one link, [LIMIT-12]: bytes of documents a second, and at once */
enum { LIMIT_SERVED_PER_LINK = LIMIT_SERVED_PER_ADDRESS, LIMIT_SERVED_PER_LINK_AT_ONCE = LIMIT_SERVED_PER_ADDRESS_AT_ONCE };

/* How they relate */
static_assert((int)ONION_BODY_BYTES == (int)CELL_BODY_BYTES, "layers cover a cell's body");
static_assert(CELL_HEADER_BYTES + CELL_BODY_BYTES == CELL_BYTES, "nothing else is in a cell");
static_assert(CIRCUIT_HANDSHAKE_REQUEST_BYTES == 1248 && CIRCUIT_HANDSHAKE_REPLY_BYTES == 1152, "the hybrid handshake");
static_assert(3 + CIRCUIT_HANDSHAKE_REQUEST_BYTES <= CELL_BODY_BYTES, "CREATE fits one cell");
/* EXTEND to the last hop of the longest path is content at the place before it; EXTENDED comes back the same way. */
enum { LIMIT_EXTEND_BYTES = IDENTITY_BYTES + 1 + 1 + CIRCUIT_HANDSHAKE_REQUEST_BYTES };
static_assert(MESSAGE_HEADER_BYTES + LIMIT_EXTEND_BYTES <= ONION_CONTENT(LIMIT_LAST_PLACE - 1), "EXTEND fits one cell everywhere");
static_assert(MESSAGE_HEADER_BYTES + CIRCUIT_HANDSHAKE_REPLY_BYTES <= ONION_CONTENT(LIMIT_LAST_PLACE - 1), "EXTENDED fits one cell everywhere");
static_assert(ONION_CONTENT(LIMIT_EXIT_PLACE) - MESSAGE_HEADER_BYTES - MESSAGE_STREAM_BYTES == 1347, "data in a cell at an exit");
static_assert(MESSAGE_HEADER_BYTES + MESSAGE_STREAM_BYTES + 2 + TARGET_MAX_BYTES <= ONION_CONTENT(LIMIT_LAST_PLACE), "BEGIN fits one cell everywhere");
static_assert(2 + CELL_BYTES + AEAD_TAG_BYTES <= 1440 - 12, "a record of one cell fits one IPv6 TCP segment");
static_assert(LINK_RECORD_MAX_BYTES <= 16 * 1024, "a record is at most 16 KiB");
static_assert(LIMIT_DESCRIPTORS_WAITING / LIMIT_NEWCOMERS_PER_SECOND * SECONDS < LIMIT_LINK_IDLE_TIME / 4, "who waits is served before its link closes");
static_assert((int)LIMIT_CONSENSUS_PACKED_BYTES <= (int)LIMIT_SERVED_PER_ADDRESS_AT_ONCE, "every document can be fetched");
static_assert((int)LIMIT_SERVED_PER_ADDRESS_AT_ONCE <= (int)LIMIT_SERVED_TO_OTHERS * LIMIT_SERVED_SECONDS_AT_ONCE, "one address does not use up what is for all");
static_assert(LIMIT_CIRCUIT_FRESH_TIME <= LIMIT_CIRCUIT_IDLE_TIME, "a client closes what it does not use, before a relay does");
static_assert(LIMIT_LINKS_FROM_NEIGHBOUR >= 64 * LIMIT_LINKS_PER_NEIGHBOUR, "each shard of a neighbour has its own links");
static_assert(LIMIT_LINKS_PER_SITE <= LIMIT_LINKS_PER_NODE / 8, "one IPv6 /48 leaves others links enough");
static_assert(LIMIT_CREDIT_FIRST <= LIMIT_WINDOW_LEAST, "the first cells never wait for a report");
static_assert(LIMIT_CLOSING_PER_CLIENT >= 2 * LIMIT_CIRCUITS_PER_CLIENT_LINK, "who closes all its circuits may open as many anew");
static_assert(LIMIT_STREAMS_PER_SHARD / 2 / LIMIT_STREAMS_OF_A_FEW >= 2048, "to fill an exit takes thousands of circuits");
static_assert(LIMIT_LOOKUPS_PER_CIRCUIT * 16 <= LIMIT_LOOKUPS_PER_SHARD, "no few circuits keep the others from names");
static_assert(LIMIT_WINDOW_MOST <= LIMIT_CREDIT_MAX, "limits never hold a full window back");

#endif
