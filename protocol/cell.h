/* The cell: 1,408 bytes, the only unit that links carry; its header and its commands.
 * Spec: specs/cells.md [CELL-*]. Called by links, hops, circuits.
 * Encodes and decodes in place. Never allocates.
 */
#ifndef TUNIC_PROTOCOL_CELL_H
#define TUNIC_PROTOCOL_CELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CELL_BYTES = 1408, CELL_HEADER_BYTES = 5, CELL_BODY_BYTES = CELL_BYTES - CELL_HEADER_BYTES };

/* [CELL-2] */
enum cell_command {
  CELL_PADDING = 0, /* circuit id 0; ignored within its budget */
  CELL_CONTROL = 1, /* circuit id 0; messages between the two ends of the link */
  CELL_CREATE = 2,
  CELL_CREATED = 3,
  CELL_ONION = 4,
  CELL_CLOSE = 5,
};

static inline uint32_t cell_circuit(const uint8_t cell[CELL_BYTES]) {
  return (uint32_t)cell[0] << 24 | (uint32_t)cell[1] << 16 | (uint32_t)cell[2] << 8 | cell[3];
}
static inline uint8_t *cell_body(uint8_t cell[CELL_BYTES]) { return cell + CELL_HEADER_BYTES; }

void cell_set_header(uint8_t cell[CELL_BYTES], uint32_t circuit, enum cell_command command);
/* [CELL-3] False: an unknown command, or a circuit id that does not suit the command. */
bool cell_get_command(const uint8_t cell[CELL_BYTES], enum cell_command *ret);
/* True if bytes[0..len) are all zero: what a rule demands of unused bytes. */
bool cell_rest_is_zero(const uint8_t *bytes, size_t len);

/* [CELL-5] CREATE: type 1, generation 1, place 1, the request; the rest zero. */
struct cell_create { uint8_t handshake_type, generation, place; const uint8_t *request; };
void cell_encode_create(uint8_t cell[CELL_BYTES], uint32_t circuit, const struct cell_create *);
bool cell_decode_create(const uint8_t cell[CELL_BYTES], struct cell_create *ret); /* request points into the cell */
/* [CELL-6] CREATED: the reply; the rest zero. */
void cell_encode_created(uint8_t cell[CELL_BYTES], uint32_t circuit, const uint8_t *reply);
bool cell_decode_created(const uint8_t cell[CELL_BYTES], const uint8_t **ret_reply);
/* [CELL-7] CLOSE: a body of zeros. */
void cell_encode_close(uint8_t cell[CELL_BYTES], uint32_t circuit);
bool cell_close_is_valid(const uint8_t cell[CELL_BYTES]);

#endif
