#include "protocol/document.h"

#include <assert.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct document {
  _Atomic size_t references;
  size_t len;
  bool secret;
  uint8_t bytes[];
};

static struct document *make(const void *bytes, size_t len, bool secret) {
  if (len > SIZE_MAX - sizeof(struct document)) return NULL;
  struct document *document = malloc(sizeof *document + len);
  if (!document) return NULL;
  atomic_init(&document->references, 1);
  document->len = len;
  document->secret = secret;
  if (len > 0) memcpy(document->bytes, bytes, len);
  return document;
}

struct document *document_new(const void *bytes, size_t len) {
  return make(bytes, len, false);
}

struct document *document_new_secret(const void *bytes, size_t len) {
  return make(bytes, len, true);
}

struct document *document_take(struct document *document) {
  size_t before = atomic_fetch_add_explicit(&document->references, 1, memory_order_relaxed);
  assert(before > 0);
  (void)before;
  return document;
}

void document_release(struct document *document) {
  if (!document) return;
  /* Whoever frees must come after every other thread's last look at the bytes. */
  size_t before = atomic_fetch_sub_explicit(&document->references, 1, memory_order_acq_rel);
  assert(before > 0);
  if (before > 1) return;
  if (document->secret) sodium_memzero(document->bytes, document->len);
  free(document);
}

const uint8_t *document_bytes(const struct document *document) {
  return document->bytes;
}

size_t document_len(const struct document *document) {
  return document->len;
}
