#include "directory/pack.h"

#include <stdbool.h>
#include <stdlib.h>
#include <zstd.h>

enum {
  LEVEL = 6,
  WINDOW_LOG_MAX = 25, /* 32 MiB: no document is larger */
};

/* [PACK-1] A frame that names its size within the cap, and that ends where the bytes end. */
static bool frame_size(const uint8_t *bytes, size_t len, size_t max, size_t *ret) {
  if (len < 4 || !(bytes[0] == 0x28 && bytes[1] == 0xb5 && bytes[2] == 0x2f && bytes[3] == 0xfd)) return false;
  unsigned long long size = ZSTD_getFrameContentSize(bytes, len);
  if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR || size > max) return false;
  *ret = (size_t)size;
  size_t whole = ZSTD_findFrameCompressedSize(bytes, len);
  return !ZSTD_isError(whole) && whole == len;
}

struct document *document_unpack(const uint8_t *bytes, size_t len, size_t max) {
  struct document *document = NULL;
  size_t size;
  if (!frame_size(bytes, len, max, &size)) return NULL;
  uint8_t *text = malloc(size > 0 ? size : 1);
  ZSTD_DCtx *context = ZSTD_createDCtx();
  if (!text || !context || ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) goto done;
  size_t written = ZSTD_decompressDCtx(context, text, size, bytes, len);
  if (!ZSTD_isError(written) && written == size) document = document_new(text, size);
done:
  ZSTD_freeDCtx(context);
  free(text);
  return document;
}

struct document *document_pack(const uint8_t *bytes, size_t len) {
  struct document *document = NULL;
  size_t room = ZSTD_compressBound(len);
  uint8_t *packed = malloc(room);
  if (!packed) return NULL;
  size_t written = ZSTD_compress(packed, room, bytes, len, LEVEL);
  if (!ZSTD_isError(written)) document = document_new(packed, written);
  free(packed);
  return document;
}
