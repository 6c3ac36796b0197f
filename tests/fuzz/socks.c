/* Any bytes to the SOCKS port, cut anywhere: one of three states, no more read than the request, one answer. */
#include "client/socks.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct socks whole, parts;
  size_t used, used_parts = 0, part;
  uint8_t out[2048], out_parts[2048];
  socks_init(&whole);
  socks_init(&parts);
  enum socks_state state = socks_receive(&whole, data, size, &used);
  if (used > size) abort();
  enum socks_state state_parts = SOCKS_READING;
  for (size_t at = 0; at < size && state_parts == SOCKS_READING; at += part) {
    state_parts = socks_receive(&parts, data + at, 1, &part);
    used_parts += part;
    if (part == 0 && state_parts == SOCKS_READING) abort(); /* it asks for more and takes none */
  }
  if (state != state_parts || (state == SOCKS_ASKED && used != used_parts)) abort();
  if (state == SOCKS_ASKED) {
    const struct target *target = &whole.target;
    uint8_t body[TARGET_MAX_BYTES];
    struct target again;
    if (memcmp(target, &parts.target, sizeof *target) != 0) abort();
    if ((target->port == 0) != whole.only_resolve) abort();
    if (!target_decode(body, target_encode(target, body), &again) || memcmp(target, &again, sizeof again) != 0) abort();
  }
  socks_answer(&whole, OUTCOME_OK, NULL);
  socks_answer(&parts, OUTCOME_OK, NULL);
  size_t len = socks_transmit(&whole, out, sizeof out);
  if (len != socks_transmit(&parts, out_parts, sizeof out_parts) || memcmp(out, out_parts, len) != 0) abort();
  return 0;
}
