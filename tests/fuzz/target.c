/* Any bytes as BEGIN's or RESOLVED's body: what is accepted is encoded again to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "protocol/message.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct target target;
  struct address addresses[RESOLVED_ADDRESSES_MAX];
  size_t count;
  if (target_decode(data, size, &target)) {
    uint8_t again[TARGET_MAX_BYTES];
    if (target_encode(&target, again) != size || memcmp(data, again, size) != 0) abort();
    if (target.kind == TARGET_NAME && strlen(target.name) != target.name_len) abort();
  }
  if (resolved_decode(data, size, addresses, &count)) {
    uint8_t again[RESOLVED_MAX_BYTES];
    if (resolved_encode(addresses, count, again) != size || memcmp(data, again, size) != 0) abort();
  }
  return 0;
}
