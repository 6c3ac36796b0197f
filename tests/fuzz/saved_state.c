/* Any text as a client's saved state: what is taken is written again byte for byte. */
#include "client/saved_state.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct saved_state state;
  char text[SAVED_STATE_MAX_BYTES];
  static const uint8_t network[32];
  if (saved_state_parse((const char *)data, size, network, &state, NULL) != OUTCOME_OK) return 0;
  if (state.sample.count > GUARD_SAMPLE_MOST) abort();
  if (saved_state_format(&state, text) != size || memcmp(text, data, size) != 0) abort();
  return 0;
}
