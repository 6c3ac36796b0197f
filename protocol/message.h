/* Messages: what an onion layer's content and a link's CONTROL cell are made of, several to a cell.
 * Spec: specs/messages.md [MSG-*]. Called by hops, circuits, links' owners.
 * A message is: command 1, length 2, (stream 2, for stream commands), body. Command 0 ends; the rest is zero.
 * Reading uses a sticky cursor: a failure is remembered and checked once. Never allocates; bodies point into the cell.
 */
#ifndef TUNIC_PROTOCOL_MESSAGE_H
#define TUNIC_PROTOCOL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/address.h"

/* [MSG-2] Onion messages; those from 16 on name a stream. */
enum message_command {
  MESSAGE_END_OF_CELL = 0,
  MESSAGE_EXTEND = 1,   /* to a hop: identity 32, type 1, generation 1, request */
  MESSAGE_EXTENDED = 2, /* from it: reply */
  MESSAGE_CLOSED = 3,   /* from a hop: cause 1; CLOSE follows */
  MESSAGE_PADDING = 4,  /* any body, all zero; within its budget */
  MESSAGE_BEGIN = 16,   /* to the exit: port 2, then a target */
  MESSAGE_CONNECTED = 17,
  MESSAGE_DATA = 18,
  MESSAGE_EOF = 19,     /* no more data this way */
  MESSAGE_END = 20,     /* both ways are over: cause 1 */
  MESSAGE_STREAM_CREDIT = 21, /* limit 8: the absolute count of bytes that may be sent */
  MESSAGE_RESOLVE = 22,  /* port 0, then a target that is a name */
  MESSAGE_RESOLVED = 23, /* count 1, then addresses: family 1, bytes 4 or 16 */
};

/* [MSG-3] Messages of CONTROL cells, between the two ends of one link; none names a stream. */
enum control_command {
  CONTROL_END_OF_CELL = 0,
  CONTROL_CREDIT = 1, /* circuit 4, passed 8, limit 8, waiting 2 */
  CONTROL_GET = 2,    /* request 2, kind 1, epoch 8, hash 32 */
  CONTROL_PUT = 3,    /* request 2, kind 1, length 4; chunks follow the other end's HEAD */
  CONTROL_HEAD = 4,   /* request 2, length 4: what GET asked for follows in chunks, or what PUT offered may */
  CONTROL_CHUNK = 5,  /* request 2, bytes */
  CONTROL_DONE = 6,   /* request 2, outcome 1 */
  CONTROL_TIME = 7,   /* milliseconds 8: the responder's date, once, first */
};

enum {
  MESSAGE_HEADER_BYTES = 3,
  MESSAGE_STREAM_BYTES = 2,
  MESSAGE_FIRST_STREAM_COMMAND = 16,
  CONTROL_CREDIT_BYTES = 22,
};

struct message { uint8_t command; uint16_t stream; const uint8_t *body; uint16_t len; };

struct message_reader { const uint8_t *bytes; size_t len, at; bool control, failed; };

/* `control`: a CONTROL cell's body, whose messages name no stream. */
void message_reader_init(struct message_reader *, const uint8_t *content, size_t len, bool control);
/* [MSG-1] The next message; false at the end or on a fault: then ask message_reader_is_valid.
 * Known commands, lengths, the zero rest and the grammar of BEGIN, RESOLVE, RESOLVED and PADDING are all checked
 * here: the decoders below do not fail on a body that was read. A content without any message is a fault. */
bool message_read(struct message_reader *, struct message *ret);
bool message_reader_is_valid(const struct message_reader *);

struct message_writer { uint8_t *bytes; size_t len, at; bool control; };

/* Writes into a content of `len` bytes. */
void message_writer_init(struct message_writer *, uint8_t *content, size_t len, bool control);
/* The longest body that a message of this command can have here; 0 also if not even its header fits. */
size_t message_room(const struct message_writer *, uint8_t command);
/* The place to write a body of `len` bytes, which suits the command; NULL if it does not fit. */
uint8_t *message_add(struct message_writer *, uint8_t command, uint16_t stream, size_t len);
/* Zeroes the rest. */
void message_writer_finish(struct message_writer *);

/* [MSG-5] A target: port 2, kind 1 (1 name, 4 IPv4, 6 IPv6), then 4 or 16 bytes, or length 1 and a name. */
enum { TARGET_NAME = 1, TARGET_IPV4 = 4, TARGET_IPV6 = 6 };
enum { TARGET_MIN_BYTES = 2 + 1 + 1 + 1, TARGET_MAX_BYTES = 2 + 1 + 1 + HOST_NAME_MAX_BYTES };
struct target { uint8_t kind; uint8_t address[16]; uint8_t name_len; char name[HOST_NAME_MAX_BYTES + 1]; uint16_t port; };

/* The body of BEGIN or RESOLVE. Encode returns its length. Decode is strict; unused fields are zero, the name ends
 * with a zero. Any port: BEGIN's is never 0 and RESOLVE's always, which message_read has checked. */
size_t target_encode(const struct target *, uint8_t ret_bytes[TARGET_MAX_BYTES]);
bool target_decode(const uint8_t *bytes, size_t len, struct target *ret);

/* [MSG-6] RESOLVED's body: 1 to 8 addresses, without ports. Encode returns its length. */
enum {
  RESOLVED_ADDRESSES_MAX = 8,
  RESOLVED_MIN_BYTES = 1 + 1 + 4,
  RESOLVED_MAX_BYTES = 1 + RESOLVED_ADDRESSES_MAX * (1 + 16),
};
size_t resolved_encode(const struct address *, size_t count, uint8_t ret_bytes[RESOLVED_MAX_BYTES]);
bool resolved_decode(const uint8_t *bytes, size_t len, struct address ret[RESOLVED_ADDRESSES_MAX], size_t *ret_count);

/* Big-endian integers, unchecked: the caller knows the length. */
static inline void put_u16(uint8_t *p, uint16_t v) {
  p[0] = (uint8_t)(v >> 8);
  p[1] = (uint8_t)v;
}
static inline uint16_t get_u16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline void put_u32(uint8_t *p, uint32_t v) {
  put_u16(p, (uint16_t)(v >> 16));
  put_u16(p + 2, (uint16_t)v);
}
static inline uint32_t get_u32(const uint8_t *p) { return (uint32_t)get_u16(p) << 16 | get_u16(p + 2); }
static inline void put_u64(uint8_t *p, uint64_t v) {
  put_u32(p, (uint32_t)(v >> 32));
  put_u32(p + 4, (uint32_t)v);
}
static inline uint64_t get_u64(const uint8_t *p) { return (uint64_t)get_u32(p) << 32 | get_u32(p + 4); }

#endif
