#include "tests/unit/relay/middle.h"

#include <criterion/criterion.h>
#include <string.h>

struct middle middle_add(struct bench *bench) {
  struct middle middle = {.bench = bench, .before = bench_open(bench, END_FIRST_NODE, 1)};
  bench_extend(bench, middle.before, bench->identities[END_NEXT]);
  bench_run(bench);
  middle.behind = bench_extended(bench, END_NEXT);
  cr_assert_not_null(middle.behind);
  cr_assert_eq(bench_heard(middle.before, MESSAGE_EXTENDED), 1);
  return middle;
}

struct middle middle_new(void) {
  struct bench *bench = bench_new();
  bench_link(bench, END_FIRST_NODE);
  return middle_add(bench);
}

void middle_seal(struct middle *middle, uint8_t filling, uint8_t cell[CELL_BYTES]) {
  cell_set_header(cell, middle->before->side.circuit, CELL_ONION);
  memset(cell_body(cell), filling, CELL_BODY_BYTES);
  cr_assert(onion_seal(&middle->before->seal, middle->bench->contexts, ONION_PASS_ON, cell_body(cell)));
}

void middle_push(struct middle *middle, const uint8_t cell[CELL_BYTES]) {
  credit_sender_sent(&middle->before->side.out, middle->bench->now); /* the relay's reports count it */
  bench_raw(middle->bench, END_FIRST_NODE, cell);
}

void middle_send(struct middle *middle, const uint8_t cell[CELL_BYTES]) {
  middle_push(middle, cell);
  bench_run(middle->bench);
}
