#include <criterion/criterion.h>
#include <string.h>

#include "protocol/cell.h"
#include "protocol/limits.h"

static const enum cell_command circuit_commands[] = {CELL_CREATE, CELL_CREATED, CELL_ONION, CELL_CLOSE};

static void fill(uint8_t *bytes, size_t len, uint8_t first) {
  for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)(first + i * 7);
}

/* [CELL-1] */
Test(cell, a_header_is_the_circuit_and_the_command_in_five_bytes) {
  uint8_t cell[CELL_BYTES];
  memset(cell, 0xaa, sizeof cell);
  cell_set_header(cell, 0x01020304, CELL_ONION);
  cr_assert_arr_eq(cell, ((uint8_t[]){1, 2, 3, 4, 4, 0xaa}), 6);
  cr_assert_eq(cell_circuit(cell), 0x01020304);
}

/* [CELL-3] */
Test(cell, circuits_have_ids_and_links_own_cells_have_none) {
  uint8_t cell[CELL_BYTES] = {0};
  enum cell_command command;
  for (size_t i = 0; i < sizeof circuit_commands / sizeof *circuit_commands; i++) {
    cell_set_header(cell, UINT32_MAX, circuit_commands[i]);
    cr_assert(cell_get_command(cell, &command));
    cr_assert_eq(command, circuit_commands[i]);
    memset(cell, 0, 4);
    cr_assert_not(cell_get_command(cell, &command), "command %d without a circuit", circuit_commands[i]);
  }
  for (uint8_t own = CELL_PADDING; own <= CELL_CONTROL; own++) {
    cell_set_header(cell, 0, (enum cell_command)own);
    cr_assert(cell_get_command(cell, &command));
    cr_assert_eq(command, own);
    for (size_t byte = 0; byte < 4; byte++) {
      cell[byte] = 1;
      cr_assert_not(cell_get_command(cell, &command), "command %d of a circuit", own);
      cell[byte] = 0;
    }
  }
}

/* [CELL-2] */
Test(cell, commands_that_do_not_exist_are_refused) {
  uint8_t cell[CELL_BYTES] = {0};
  enum cell_command command;
  for (unsigned unknown = CELL_CLOSE + 1; unknown < 256; unknown++) {
    cell[4] = (uint8_t)unknown;
    cell[0] = 0;
    cr_assert_not(cell_get_command(cell, &command));
    cell[0] = 1;
    cr_assert_not(cell_get_command(cell, &command));
  }
}

Test(cell, one_byte_that_is_not_zero_is_found_wherever_it_is) {
  uint8_t bytes[70] = {0};
  cr_assert(cell_rest_is_zero(bytes, 0));
  for (size_t len = 1; len <= sizeof bytes; len++) {
    cr_assert(cell_rest_is_zero(bytes, len));
    for (size_t at = 0; at < len; at++) {
      bytes[at] = 0x80;
      cr_assert_not(cell_rest_is_zero(bytes, len), "%zu of %zu", at, len);
      bytes[at] = 0;
    }
    if (len < sizeof bytes) {
      bytes[len] = 1;
      cr_assert(cell_rest_is_zero(bytes, len), "what lies behind does not count");
      bytes[len] = 0;
    }
  }
}

/* [CELL-5] */
Test(cell, create_carries_a_request_to_each_place) {
  uint8_t cell[CELL_BYTES], request[CIRCUIT_HANDSHAKE_REQUEST_BYTES];
  fill(request, sizeof request, 3);
  for (uint8_t place = 0; place <= LIMIT_LAST_PLACE; place++) {
    struct cell_create create = {.handshake_type = 1, .generation = 200, .place = place, .request = request}, back;
    memset(cell, 0xff, sizeof cell);
    cell_encode_create(cell, 77, &create);
    cr_assert_arr_eq(cell, ((uint8_t[]){0, 0, 0, 77, 2, 1, 200, place}), 8);
    cr_assert(cell_decode_create(cell, &back));
    cr_assert_eq(back.handshake_type, 1);
    cr_assert_eq(back.generation, 200);
    cr_assert_eq(back.place, place);
    cr_assert_arr_eq(back.request, request, sizeof request);
  }
  cell[7] = LIMIT_LAST_PLACE + 1;
  struct cell_create back;
  cr_assert_not(cell_decode_create(cell, &back));
}

/* [CELL-6] */
Test(cell, created_carries_the_reply) {
  uint8_t cell[CELL_BYTES], reply[CIRCUIT_HANDSHAKE_REPLY_BYTES];
  const uint8_t *back;
  fill(reply, sizeof reply, 9);
  memset(cell, 0xff, sizeof cell);
  cell_encode_created(cell, 1, reply);
  cr_assert(cell_decode_created(cell, &back));
  cr_assert_arr_eq(back, reply, sizeof reply);
}

/* [CELL-4] [CELL-7] One bit in the unused bytes would be a channel between relays. */
Test(cell, no_bit_fits_into_the_unused_bytes) {
  uint8_t cell[CELL_BYTES], handshake[CIRCUIT_HANDSHAKE_REQUEST_BYTES] = {0};
  struct cell_create create = {.handshake_type = 1, .request = handshake}, ret;
  const uint8_t *reply;

  cell_encode_create(cell, 1, &create);
  for (size_t at = CELL_HEADER_BYTES + 3 + CIRCUIT_HANDSHAKE_REQUEST_BYTES; at < CELL_BYTES; at++) {
    cell[at] = 1;
    cr_assert_not(cell_decode_create(cell, &ret));
    cell[at] = 0;
  }
  cell_encode_created(cell, 1, handshake);
  for (size_t at = CELL_HEADER_BYTES + CIRCUIT_HANDSHAKE_REPLY_BYTES; at < CELL_BYTES; at++) {
    cell[at] = 1;
    cr_assert_not(cell_decode_created(cell, &reply));
    cell[at] = 0;
  }
  memset(cell, 0xff, sizeof cell);
  cell_encode_close(cell, 1);
  cr_assert(cell_close_is_valid(cell));
  for (size_t at = CELL_HEADER_BYTES; at < CELL_BYTES; at++) {
    cell[at] = 1;
    cr_assert_not(cell_close_is_valid(cell));
    cell[at] = 0;
  }
}
