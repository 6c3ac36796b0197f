#include "protocol/cell.h"

#include <assert.h>
#include <string.h>

#include "protocol/limits.h"
#include "protocol/message.h"

/* CREATE's fields before the request. */
enum { CREATE_TYPE = 0, CREATE_GENERATION = 1, CREATE_PLACE = 2, CREATE_REQUEST = 3 };

static bool command_is_known(uint8_t command) { return command <= CELL_CLOSE; }

/* [CELL-3] A circuit's cell names the circuit; the link's own cells name none. */
static bool command_names_circuit(uint8_t command) {
  return command != CELL_PADDING && command != CELL_CONTROL;
}

void cell_set_header(uint8_t cell[CELL_BYTES], uint32_t circuit, enum cell_command command) {
  assert(command_is_known((uint8_t)command));
  assert(command_names_circuit((uint8_t)command) == (circuit != 0));
  put_u32(cell, circuit);
  cell[4] = (uint8_t)command;
}

bool cell_get_command(const uint8_t cell[CELL_BYTES], enum cell_command *ret) {
  uint8_t command = cell[4];
  /* [CELL-3] */
  if (!command_is_known(command) || command_names_circuit(command) != (cell_circuit(cell) != 0)) return false;
  *ret = (enum cell_command)command;
  return true;
}

bool cell_rest_is_zero(const uint8_t *bytes, size_t len) {
  /* If the first byte is zero and each equals the one after it, all are. */
  return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

void cell_encode_create(uint8_t cell[CELL_BYTES], uint32_t circuit, const struct cell_create *create) {
  assert(create->place <= LIMIT_LAST_PLACE);
  cell_set_header(cell, circuit, CELL_CREATE);
  uint8_t *body = cell_body(cell);
  body[CREATE_TYPE] = create->handshake_type;
  body[CREATE_GENERATION] = create->generation;
  body[CREATE_PLACE] = create->place;
  memcpy(body + CREATE_REQUEST, create->request, CIRCUIT_HANDSHAKE_REQUEST_BYTES);
  const size_t used = CREATE_REQUEST + CIRCUIT_HANDSHAKE_REQUEST_BYTES;
  memset(body + used, 0, CELL_BODY_BYTES - used);
}

bool cell_decode_create(const uint8_t cell[CELL_BYTES], struct cell_create *ret) {
  const uint8_t *body = cell + CELL_HEADER_BYTES;
  const size_t used = CREATE_REQUEST + CIRCUIT_HANDSHAKE_REQUEST_BYTES;
  /* [CELL-5] Nobody has a place after the last. */
  if (body[CREATE_PLACE] > LIMIT_LAST_PLACE) return false;
  /* [CELL-4] */
  if (!cell_rest_is_zero(body + used, CELL_BODY_BYTES - used)) return false;
  *ret = (struct cell_create){
      .handshake_type = body[CREATE_TYPE],
      .generation = body[CREATE_GENERATION],
      .place = body[CREATE_PLACE],
      .request = body + CREATE_REQUEST,
  };
  return true;
}

void cell_encode_created(uint8_t cell[CELL_BYTES], uint32_t circuit, const uint8_t *reply) {
  cell_set_header(cell, circuit, CELL_CREATED);
  uint8_t *body = cell_body(cell);
  const size_t used = CIRCUIT_HANDSHAKE_REPLY_BYTES;
  memcpy(body, reply, used);
  memset(body + used, 0, CELL_BODY_BYTES - used);
}

bool cell_decode_created(const uint8_t cell[CELL_BYTES], const uint8_t **ret_reply) {
  const uint8_t *body = cell + CELL_HEADER_BYTES;
  const size_t used = CIRCUIT_HANDSHAKE_REPLY_BYTES;
  /* [CELL-4] */
  if (!cell_rest_is_zero(body + used, CELL_BODY_BYTES - used)) return false;
  *ret_reply = body;
  return true;
}

void cell_encode_close(uint8_t cell[CELL_BYTES], uint32_t circuit) {
  cell_set_header(cell, circuit, CELL_CLOSE);
  memset(cell_body(cell), 0, CELL_BODY_BYTES);
}

bool cell_close_is_valid(const uint8_t cell[CELL_BYTES]) {
  /* [CELL-7] A cause in a body would be a channel between relays. */
  return cell_rest_is_zero(cell + CELL_HEADER_BYTES, CELL_BODY_BYTES);
}
