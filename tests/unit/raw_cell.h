/* One cell as it is, sealed into a record: past all the rules that a trunk keeps.
 * Spec: none. Called by unit tests that break those rules.
 */
#ifndef TUNIC_TESTS_UNIT_RAW_CELL_H
#define TUNIC_TESTS_UNIT_RAW_CELL_H

#include <string.h>

#include "protocol/link.h"

static inline bool raw_cell_next(void *context, instant now, uint8_t cell[CELL_BYTES]) {
  const uint8_t **raw = context;
  (void)now;
  if (*raw == NULL) return false;
  memcpy(cell, *raw, CELL_BYTES);
  *raw = NULL;
  return true;
}

/* The record's length. */
static inline size_t raw_cell_seal(struct link *link, instant now, const uint8_t cell[CELL_BYTES], uint8_t *out, size_t room) {
  const struct cell_source source = {.next = raw_cell_next, .context = &cell};
  return link_transmit(link, now, out, room, &source);
}

#endif
