#include "directory/network_shelf.h"

void network_shelf_fill(struct network_shelf *shelf, const struct document *texts, uint32_t first) {
  struct network_shelf fresh = {.first = first};
  const uint8_t *bytes = document_bytes(texts);
  size_t left = document_len(texts);
  while (left > 0 && fresh.count < NETWORK_CHAIN_FILES) {
    size_t len = network_chain_first_text(bytes, left);
    struct document *text = document_new(bytes, len);
    if (text == NULL) {
      network_shelf_wipe(&fresh);
      return;
    }
    fresh.texts[fresh.count++] = text;
    bytes += len;
    left -= len;
  }
  network_shelf_wipe(shelf);
  *shelf = fresh;
}

struct document *network_shelf_after(const struct network_shelf *shelf, uint64_t serial) {
  if (serial >= UINT32_MAX || serial + 1 < shelf->first || serial + 1 - shelf->first >= shelf->count) return NULL;
  return shelf->texts[serial + 1 - shelf->first];
}

void network_shelf_wipe(struct network_shelf *shelf) {
  for (uint32_t i = 0; i < shelf->count; i++) document_release(shelf->texts[i]);
  *shelf = (struct network_shelf){0};
}
