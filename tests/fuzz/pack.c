/* A packed document: what comes out is within the cap, and packed again it comes out the same. */
#include "directory/pack.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

enum { MOST = 64 * 1024 };

static void expect_same(const struct document *a, const struct document *b) {
  if (!a || !b || document_len(a) != document_len(b) || memcmp(document_bytes(a), document_bytes(b), document_len(a)) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct document *unpacked = document_unpack(data, size, MOST);
  if (!unpacked) return 0;
  if (document_len(unpacked) > MOST) abort();
  struct document *packed = document_pack(document_bytes(unpacked), document_len(unpacked));
  if (!packed) abort();
  struct document *again = document_unpack(document_bytes(packed), document_len(packed), MOST);
  expect_same(unpacked, again);
  document_release(unpacked);
  document_release(packed);
  document_release(again);
  return 0;
}
