#include "directory/pack.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "tests/unit/seed.h"

enum { SAMPLE_BYTES = 20000, ROOM = 64 * 1024 };

static uint8_t sample[SAMPLE_BYTES], packed[ROOM];

static void fill(void) {
  for (size_t i = 0; i < sizeof sample; i++) sample[i] = (uint8_t)(i / 7 % 251);
}

static bool unpacks(const uint8_t *bytes, size_t len, size_t max) {
  struct document *document = document_unpack(bytes, len, max);
  document_release(document);
  return document != NULL;
}

Test(pack, what_was_packed_comes_out) {
  fill();
  static const size_t SIZES[] = {0, 1, 100, SAMPLE_BYTES};
  for (size_t i = 0; i < sizeof SIZES / sizeof SIZES[0]; i++) {
    struct document *small = document_pack(sample, SIZES[i]);
    struct document *again = document_unpack(document_bytes(small), document_len(small), SIZES[i]);
    cr_assert(again && document_len(again) == SIZES[i] && memcmp(document_bytes(again), sample, SIZES[i]) == 0);
    if (SIZES[i] > 0) cr_assert(!unpacks(document_bytes(small), document_len(small), SIZES[i] - 1), "over the cap");
    document_release(small);
    document_release(again);
  }
}

/* [PACK-1] */
Test(pack, one_whole_frame_and_nothing_else) {
  fill();
  size_t len = ZSTD_compress(packed, sizeof packed, sample, sizeof sample, 3);
  for (size_t cut = 0; cut < len; cut++) cr_assert(!unpacks(packed, cut, SAMPLE_BYTES), "cut at %zu", cut);
  cr_assert(unpacks(packed, len, SAMPLE_BYTES));
  packed[len] = 0;
  cr_assert(!unpacks(packed, len + 1, SAMPLE_BYTES), "a byte behind it");
  size_t second = ZSTD_compress(packed + len, sizeof packed - len, sample, 10, 3);
  cr_assert(!unpacks(packed, len + second, ROOM), "a second frame behind it");
  static const uint8_t SKIPPABLE[] = {0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4};
  cr_assert(!unpacks(SKIPPABLE, sizeof SKIPPABLE, SAMPLE_BYTES));
  memmove(packed + sizeof SKIPPABLE, packed, len);
  memcpy(packed, SKIPPABLE, sizeof SKIPPABLE);
  cr_assert(!unpacks(packed, len + sizeof SKIPPABLE, SAMPLE_BYTES));
}

Test(pack, a_frame_without_its_size_is_refused) {
  fill();
  ZSTD_CCtx *context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  size_t len = ZSTD_compress2(context, packed, sizeof packed, sample, sizeof sample);
  cr_assert(!ZSTD_isError(len));
  cr_assert(!unpacks(packed, len, SAMPLE_BYTES));
  ZSTD_freeCCtx(context);
}

/* A few kilobytes that would become a gigabyte, and a size that is a lie. */
Test(pack, bombs) {
  size_t large = (size_t)64 << 20;
  uint8_t *zeroes = calloc(1, large);
  size_t len = ZSTD_compress(packed, sizeof packed, zeroes, large, 3);
  cr_assert(!ZSTD_isError(len));
  cr_assert(!unpacks(packed, len, large - 1));
  free(zeroes);
  fill();
  len = ZSTD_compress(packed, sizeof packed, sample, 200, 3);
  cr_assert_eq(packed[4] >> 5, 1, "one byte of size, in a single segment");
  for (int size = 0; size < 256; size++) {
    packed[5] = (uint8_t)size;
    cr_assert_eq(unpacks(packed, len, ROOM), size == 200, "size %d", size);
  }
}

Test(pack, noise) {
  struct random_stream random = test_random("pack noise");
  for (int i = 0; i < 20000; i++) {
    size_t len = (size_t)random_below(&random, 64);
    random_bytes(&random, packed, len);
    if (len > 4) memcpy(packed, "\x28\xb5\x2f\xfd", 4);
    struct document *document = document_unpack(packed, len, 1024);
    if (document) cr_assert_leq(document_len(document), 1024);
    document_release(document);
  }
}
