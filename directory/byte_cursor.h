/* A sticky cursor over bytes: reads or writes big-endian fields, remembers a failure, is checked once at the end.
 * Spec: none. Called by the codecs of the agreement's messages and of its ballot record.
 * Never reads or writes past its end: after a failure it gives zeros and writes nothing. Never allocates.
 */
#ifndef TUNIC_DIRECTORY_BYTE_CURSOR_H
#define TUNIC_DIRECTORY_BYTE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct byte_reader { const uint8_t *bytes; size_t len, at; bool failed; };
struct byte_writer { uint8_t *bytes; size_t room, at; bool failed; };

static inline void read_bytes(struct byte_reader *r, uint8_t *ret, size_t len) {
  if (r->failed || r->len - r->at < len) {
    r->failed = true;
    memset(ret, 0, len);
    return;
  }
  memcpy(ret, r->bytes + r->at, len);
  r->at += len;
}

static inline uint64_t read_number(struct byte_reader *r, size_t len) {
  uint8_t bytes[8] = {0};
  read_bytes(r, bytes, len);
  uint64_t number = 0;
  for (size_t i = 0; i < len; i++) number = number << 8 | bytes[i];
  return number;
}

static inline uint8_t read_u8(struct byte_reader *r) { return (uint8_t)read_number(r, 1); }
static inline uint32_t read_u32(struct byte_reader *r) { return (uint32_t)read_number(r, 4); }
static inline uint64_t read_u64(struct byte_reader *r) { return read_number(r, 8); }

/* One byte that is 0 or 1 and nothing else, so that every value has one form. */
static inline bool read_flag(struct byte_reader *r) {
  uint8_t byte = read_u8(r);
  if (byte > 1) r->failed = true;
  return byte == 1;
}

/* True if everything was read and nothing failed. */
static inline bool read_is_complete(const struct byte_reader *r) { return !r->failed && r->at == r->len; }

static inline void write_bytes(struct byte_writer *w, const uint8_t *bytes, size_t len) {
  if (w->failed || w->room - w->at < len) {
    w->failed = true;
    return;
  }
  memcpy(w->bytes + w->at, bytes, len);
  w->at += len;
}

static inline void write_number(struct byte_writer *w, uint64_t number, size_t len) {
  uint8_t bytes[8];
  for (size_t i = 0; i < len; i++) bytes[len - 1 - i] = (uint8_t)(number >> (8 * i));
  write_bytes(w, bytes, len);
}

static inline void write_u8(struct byte_writer *w, uint8_t v) { write_number(w, v, 1); }
static inline void write_u32(struct byte_writer *w, uint32_t v) { write_number(w, v, 4); }
static inline void write_u64(struct byte_writer *w, uint64_t v) { write_number(w, v, 8); }

#endif
