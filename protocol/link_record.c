/* Records of one direction: a masked length, whole cells, a tag; keys that move on by count.
 * The header key hides the length from a watcher who would resynchronise on it; no secrecy of lengths is
 * claimed.
 */
#include <string.h>

#include "crypto/kdf.h"
#include "protocol/link_internal.h"
#include "protocol/message.h"

static const char RATCHET_LABEL[] = "tunic link ratchet 1";

enum { HEAD_BYTES = 2 };

bool link_records_init(struct link_records *r, enum aead_suite suite, enum aead_backend backend,
                       enum link_direction direction, const uint8_t keys[LINK_DIRECTION_KEY_BYTES]) {
  r->number = 0;
  r->direction = direction;
  memcpy(r->key, keys, sizeof r->key);
  memcpy(r->header_key, keys + sizeof r->key, sizeof r->header_key);
  return aead_init(&r->aead, suite, backend, r->key);
}

void link_records_wipe(struct link_records *r) {
  aead_wipe(&r->aead);
  bytes_wipe(r, sizeof *r);
}

/* [LINK-9] Both ends count, so no message says when: a seized node gives away at most the records of its
 * present key. */
static bool advance(struct link_records *r) {
  r->number++;
  if (r->number % LINK_RECORDS_PER_KEY != 0) return true;
  kdf_ratchet(r->key, RATCHET_LABEL, (uint8_t)r->direction);
  kdf_ratchet(r->header_key, RATCHET_LABEL, (uint8_t)r->direction);
  return aead_rekey(&r->aead, r->aead.suite, r->key);
}

static uint16_t mask_head(const struct link_records *r, uint16_t head) {
  uint8_t mask[HEAD_BYTES];
  aead_header_mask(mask, sizeof mask, r->header_key, r->number);
  return (uint16_t)(head ^ get_u16(mask));
}

size_t link_records_seal(struct link_records *r, uint8_t *record, uint32_t count, bool *ret_ok) {
  size_t len = (size_t)count * CELL_BYTES;
  /* [LINK-7] The masked bytes are the associated data: a changed length fails with the record. */
  put_u16(record, mask_head(r, (uint16_t)len));
  aead_seal(&r->aead, r->number, record, HEAD_BYTES, record + HEAD_BYTES, len);
  *ret_ok = advance(r);
  return len + LINK_RECORD_OVERHEAD;
}

uint32_t link_records_count(const struct link_records *r, const uint8_t head[HEAD_BYTES]) {
  uint32_t len = mask_head(r, get_u16(head));
  /* [LINK-8] Whole cells, one to eleven: so nobody makes us wait for, or keep, more than one record. */
  if (len % CELL_BYTES != 0 || len > LINK_RECORD_CELLS_MAX * CELL_BYTES) return 0;
  return len / CELL_BYTES;
}

bool link_records_open(struct link_records *r, uint8_t *record, uint32_t count) {
  size_t len = (size_t)count * CELL_BYTES + AEAD_TAG_BYTES;
  if (!aead_open(&r->aead, r->number, record, HEAD_BYTES, record + HEAD_BYTES, len)) return false;
  return advance(r);
}
