/* What a client keeps from one run to the next, as text: its guards, and nothing else.
 * Spec: specs/paths.md [GUARD-6]. Called by client.c; the driver reads and writes the file.
 * Parsing is strict: what is not exactly as it would be written is refused whole. Never holds a destination.
 */
#ifndef TUNIC_CLIENT_SAVED_STATE_H
#define TUNIC_CLIENT_SAVED_STATE_H

#include "client/guard.h"

enum { SAVED_STATE_MAX_BYTES = 4096 };

struct saved_state {
  uint8_t network[32];
  struct guard_sample sample; /* what is not saved is zero */
};

/* OK, BAD_DOCUMENT (ret_line, may be NULL: where, from 1), or WRONG_NETWORK if it is not `network`'s. */
enum outcome saved_state_parse(const char *text, size_t len, const uint8_t network[32], struct saved_state *ret, uint32_t *ret_line);
/* Returns the length. */
size_t saved_state_format(const struct saved_state *, char ret_text[SAVED_STATE_MAX_BYTES]);

#endif
