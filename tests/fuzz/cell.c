/* Any bytes as a cell: what is accepted is encoded again to the same bytes. Shorter inputs are filled up with zeros. */
#include <stdlib.h>
#include <string.h>

#include "protocol/cell.h"
#include "tests/fuzz/fuzz.h"

static bool decode_and_encode(const uint8_t cell[CELL_BYTES], enum cell_command command, uint8_t ret_again[CELL_BYTES]) {
  uint32_t circuit = cell_circuit(cell);
  const uint8_t *reply;
  struct cell_create create;
  switch (command) {
  case CELL_CREATE:
    if (!cell_decode_create(cell, &create)) return false;
    cell_encode_create(ret_again, circuit, &create);
    return true;
  case CELL_CREATED:
    if (!cell_decode_created(cell, &reply)) return false;
    cell_encode_created(ret_again, circuit, reply);
    return true;
  case CELL_CLOSE:
    if (!cell_close_is_valid(cell)) return false;
    cell_encode_close(ret_again, circuit);
    return true;
  case CELL_PADDING:
  case CELL_CONTROL:
  case CELL_ONION:
    memcpy(ret_again, cell, CELL_BYTES);
    cell_set_header(ret_again, circuit, command);
    return true;
  }
  abort(); /* a command that does not exist was accepted */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint8_t cell[CELL_BYTES] = {0}, again[CELL_BYTES];
  enum cell_command command;
  if (size > 0) memcpy(cell, data, size < CELL_BYTES ? size : CELL_BYTES);
  memset(again, 0xee, sizeof again);
  if (!cell_get_command(cell, &command) || !decode_and_encode(cell, command, again)) return 0;
  if (memcmp(cell, again, CELL_BYTES) != 0) abort();
  return 0;
}
