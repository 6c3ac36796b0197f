#include "protocol/message.h"

#include <assert.h>
#include <string.h>

#include "protocol/limits.h"

typedef bool body_check(const uint8_t *body, size_t len);

/* What a message of one command may look like; a zeroed shape is a command that does not exist. */
struct shape {
  bool known;
  uint16_t least, greatest; /* of the body; WHAT_FITS: no bound but the cell */
  body_check *check;        /* NULL: any bytes */
};

enum { WHAT_FITS = CELL_BODY_BYTES };

static bool padding_is_valid(const uint8_t *body, size_t len) { return cell_rest_is_zero(body, len); }

static bool begin_is_valid(const uint8_t *body, size_t len) {
  struct target target;
  return target_decode(body, len, &target) && target.port != 0;
}

static bool resolve_is_valid(const uint8_t *body, size_t len) {
  struct target target;
  return target_decode(body, len, &target) && target.port == 0 && target.kind == TARGET_NAME;
}

static bool resolved_is_valid(const uint8_t *body, size_t len) {
  struct address addresses[RESOLVED_ADDRESSES_MAX];
  size_t count;
  return resolved_decode(body, len, addresses, &count);
}

/* [MSG-2] */
static const struct shape onion_shapes[] = {
    [MESSAGE_EXTEND] = {true, LIMIT_EXTEND_BYTES, LIMIT_EXTEND_BYTES, NULL},
    [MESSAGE_EXTENDED] = {true, CIRCUIT_HANDSHAKE_REPLY_BYTES, CIRCUIT_HANDSHAKE_REPLY_BYTES, NULL},
    [MESSAGE_CLOSED] = {true, 1, 1, NULL},
    [MESSAGE_PADDING] = {true, 0, WHAT_FITS, padding_is_valid},
    [MESSAGE_BEGIN] = {true, TARGET_MIN_BYTES, TARGET_MAX_BYTES, begin_is_valid},
    [MESSAGE_CONNECTED] = {true, 0, 0, NULL},
    [MESSAGE_DATA] = {true, 1, WHAT_FITS, NULL},
    [MESSAGE_EOF] = {true, 0, 0, NULL},
    [MESSAGE_END] = {true, 1, 1, NULL},
    [MESSAGE_STREAM_CREDIT] = {true, 8, 8, NULL},
    [MESSAGE_RESOLVE] = {true, TARGET_MIN_BYTES, TARGET_MAX_BYTES, resolve_is_valid},
    [MESSAGE_RESOLVED] = {true, RESOLVED_MIN_BYTES, RESOLVED_MAX_BYTES, resolved_is_valid},
};

/* [MSG-3] */
static const struct shape control_shapes[] = {
    [CONTROL_CREDIT] = {true, CONTROL_CREDIT_BYTES, CONTROL_CREDIT_BYTES, NULL},
    [CONTROL_GET] = {true, 2 + 1 + 8 + 32, 2 + 1 + 8 + 32, NULL},
    [CONTROL_PUT] = {true, 2 + 1 + 4, 2 + 1 + 4, NULL},
    [CONTROL_HEAD] = {true, 2 + 4, 2 + 4, NULL},
    [CONTROL_CHUNK] = {true, 2 + 1, WHAT_FITS, NULL},
    [CONTROL_DONE] = {true, 2 + 1, 2 + 1, NULL},
    [CONTROL_TIME] = {true, 8, 8, NULL},
};

/* NULL: a command that does not exist; those with the top bit set are reserved and do not. */
static const struct shape *find_shape(uint8_t command, bool control) {
  const struct shape *shapes = control ? control_shapes : onion_shapes;
  size_t count = control ? sizeof control_shapes / sizeof *shapes : sizeof onion_shapes / sizeof *shapes;
  return command < count && shapes[command].known ? &shapes[command] : NULL;
}

static bool names_stream(uint8_t command, bool control) {
  return !control && command >= MESSAGE_FIRST_STREAM_COMMAND;
}

static size_t header_bytes(uint8_t command, bool control) {
  return MESSAGE_HEADER_BYTES + (names_stream(command, control) ? MESSAGE_STREAM_BYTES : 0);
}

void message_reader_init(struct message_reader *reader, const uint8_t *content, size_t len, bool control) {
  *reader = (struct message_reader){.bytes = content, .len = len, .control = control};
}

bool message_reader_is_valid(const struct message_reader *reader) { return !reader->failed; }

static bool reader_fail(struct message_reader *reader) {
  reader->failed = true;
  reader->at = reader->len;
  return false;
}

/* No command is left: only zeros may be, and something must have come before them. */
static bool reader_end(struct message_reader *reader) {
  /* [MSG-4] A content that says nothing would be padding outside its budget. */
  if (reader->at == 0) return reader_fail(reader);
  if (!cell_rest_is_zero(reader->bytes + reader->at, reader->len - reader->at)) return reader_fail(reader);
  reader->at = reader->len;
  return false;
}

bool message_read(struct message_reader *reader, struct message *ret) {
  if (reader->failed) return false;
  const uint8_t *p = reader->bytes + reader->at;
  size_t left = reader->len - reader->at;
  /* [MSG-1] */
  if (left == 0 || p[0] == MESSAGE_END_OF_CELL) return reader_end(reader);

  uint8_t command = p[0];
  const struct shape *shape = find_shape(command, reader->control);
  size_t header = header_bytes(command, reader->control);
  if (shape == NULL || left < header) return reader_fail(reader);

  size_t len = get_u16(p + 1);
  if (len < shape->least || len > shape->greatest || len > left - header) return reader_fail(reader);
  uint16_t stream = names_stream(command, reader->control) ? get_u16(p + MESSAGE_HEADER_BYTES) : 0;
  if (names_stream(command, reader->control) && stream == 0) return reader_fail(reader);
  if (shape->check != NULL && !shape->check(p + header, len)) return reader_fail(reader);

  *ret = (struct message){.command = command, .stream = stream, .body = p + header, .len = (uint16_t)len};
  reader->at += header + len;
  return true;
}

void message_writer_init(struct message_writer *writer, uint8_t *content, size_t len, bool control) {
  *writer = (struct message_writer){.bytes = content, .len = len, .control = control};
}

size_t message_room(const struct message_writer *writer, uint8_t command) {
  const struct shape *shape = find_shape(command, writer->control);
  assert(shape != NULL);
  size_t header = header_bytes(command, writer->control), left = writer->len - writer->at;
  if (left <= header) return 0;
  return left - header < shape->greatest ? left - header : shape->greatest;
}

uint8_t *message_add(struct message_writer *writer, uint8_t command, uint16_t stream, size_t len) {
  const struct shape *shape = find_shape(command, writer->control);
  assert(shape != NULL && len >= shape->least && len <= shape->greatest);
  assert(names_stream(command, writer->control) == (stream != 0));
  size_t header = header_bytes(command, writer->control);
  if (header + len > writer->len - writer->at) return NULL;

  uint8_t *p = writer->bytes + writer->at;
  p[0] = command;
  put_u16(p + 1, (uint16_t)len);
  if (names_stream(command, writer->control)) put_u16(p + MESSAGE_HEADER_BYTES, stream);
  writer->at += header + len;
  return p + header;
}

void message_writer_finish(struct message_writer *writer) {
  memset(writer->bytes + writer->at, 0, writer->len - writer->at);
  writer->at = writer->len;
}

/* Bytes of an address of this kind; 0: not the kind of an address. */
static size_t address_bytes(uint8_t kind) { return kind == TARGET_IPV4 ? 4 : kind == TARGET_IPV6 ? 16 : 0; }

size_t target_encode(const struct target *target, uint8_t ret_bytes[TARGET_MAX_BYTES]) {
  put_u16(ret_bytes, target->port);
  ret_bytes[2] = target->kind;
  if (target->kind == TARGET_NAME) {
    assert(host_name_is_valid(target->name, target->name_len));
    ret_bytes[3] = target->name_len;
    memcpy(ret_bytes + 4, target->name, target->name_len);
    return 4 + (size_t)target->name_len;
  }
  size_t len = address_bytes(target->kind);
  assert(len != 0);
  memcpy(ret_bytes + 3, target->address, len);
  return 3 + len;
}

bool target_decode(const uint8_t *bytes, size_t len, struct target *ret) {
  if (len < TARGET_MIN_BYTES) return false;
  *ret = (struct target){.port = get_u16(bytes), .kind = bytes[2]};
  /* [MSG-5] */
  if (ret->kind == TARGET_NAME) {
    ret->name_len = bytes[3];
    if (len != 4 + (size_t)ret->name_len || !host_name_is_valid((const char *)bytes + 4, ret->name_len)) return false;
    memcpy(ret->name, bytes + 4, ret->name_len);
    return true;
  }
  size_t size = address_bytes(ret->kind);
  if (size == 0 || len != 3 + size) return false;
  memcpy(ret->address, bytes + 3, size);
  return true;
}

size_t resolved_encode(const struct address *addresses, size_t count, uint8_t ret_bytes[RESOLVED_MAX_BYTES]) {
  assert(count >= 1 && count <= RESOLVED_ADDRESSES_MAX);
  size_t at = 0;
  ret_bytes[at++] = (uint8_t)count;
  for (size_t i = 0; i < count; i++) {
    size_t size = address_bytes(addresses[i].family);
    assert(size != 0);
    ret_bytes[at++] = addresses[i].family;
    memcpy(ret_bytes + at, addresses[i].bytes, size);
    at += size;
  }
  return at;
}

bool resolved_decode(const uint8_t *bytes, size_t len, struct address ret[RESOLVED_ADDRESSES_MAX], size_t *ret_count) {
  /* [MSG-6] */
  if (len < 1 || bytes[0] < 1 || bytes[0] > RESOLVED_ADDRESSES_MAX) return false;
  size_t count = bytes[0], at = 1;
  for (size_t i = 0; i < count; i++) {
    size_t size = at < len ? address_bytes(bytes[at]) : 0;
    if (size == 0 || len - at - 1 < size) return false;
    ret[i] = (struct address){.family = bytes[at]};
    memcpy(ret[i].bytes, bytes + at + 1, size);
    at += 1 + size;
  }
  *ret_count = count;
  return at == len;
}
