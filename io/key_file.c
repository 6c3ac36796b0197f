#include "io/key_file.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { KEY_BYTES = 32, KEY_TEXT_MAX_BYTES = 128, KEY_NAME_BYTES = 32 };

const char *key_purpose_name(enum key_purpose purpose) {
  static const char *const NAMES[KEY_PURPOSES] = {"identity", "link", "signing"};
  return NAMES[purpose];
}

static void file_name(enum key_purpose purpose, char ret_name[KEY_NAME_BYTES]) {
  snprintf(ret_name, KEY_NAME_BYTES, "secret-%s", key_purpose_name(purpose));
}

/* [KEYFILE-1] What stands before the key, and how long the whole file is. */
static size_t format_head(enum key_purpose purpose, char ret_text[KEY_TEXT_MAX_BYTES], size_t *ret_head) {
  int head = snprintf(ret_text, KEY_TEXT_MAX_BYTES, "tunic-secret-key 1\npurpose %s\nkey ", key_purpose_name(purpose));
  assert(head > 0 && head + 2 * KEY_BYTES + 1 < KEY_TEXT_MAX_BYTES);
  *ret_head = (size_t)head;
  return (size_t)head + 2 * KEY_BYTES + 1;
}

static enum outcome parse(enum key_purpose purpose, const char *text, size_t len, struct guarded_key **ret) {
  char expected[KEY_TEXT_MAX_BYTES];
  size_t head;
  if (format_head(purpose, expected, &head) != len || memcmp(text, expected, head) != 0 || text[len - 1] != '\n')
    return OUTCOME_BAD_DOCUMENT;
  uint8_t key[KEY_BYTES];
  if (!hex_decode(key, sizeof key, text + head, 2 * KEY_BYTES)) return OUTCOME_BAD_DOCUMENT;
  *ret = guarded_key_new(key);
  bytes_wipe(key, sizeof key);
  return *ret == NULL ? OUTCOME_NO_MEMORY : OUTCOME_OK;
}

static enum outcome read_key(const struct folder *folder, enum key_purpose purpose, struct guarded_key **ret,
                             struct complaint *complaint) {
  char name[KEY_NAME_BYTES], expected[KEY_TEXT_MAX_BYTES];
  size_t head, len = format_head(purpose, expected, &head);
  file_name(purpose, name);
  char *text = sodium_malloc(len);
  if (text == NULL) return OUTCOME_NO_MEMORY;
  enum outcome outcome = folder_read_secret(folder, name, (uint8_t *)text, len, complaint);
  if (outcome == OUTCOME_OK) outcome = parse(purpose, text, len, ret);
  sodium_free(text);
  if (outcome == OUTCOME_BAD_DOCUMENT) {
    complain(complaint, "%s/%s is no key for the purpose `%s`.", folder_path(folder), name, key_purpose_name(purpose));
    advise(complaint, "Put the right file back from a copy.");
  }
  return outcome;
}

/* [KEYFILE-2] On disk before it is used: a node whose key is lost with a power cut is another node. */
static enum outcome make_key(const struct folder *folder, enum key_purpose purpose, struct random_stream *random,
                             struct guarded_key **ret, struct complaint *complaint) {
  char name[KEY_NAME_BYTES];
  uint8_t key[KEY_BYTES];
  file_name(purpose, name);
  char *text = sodium_malloc(KEY_TEXT_MAX_BYTES);
  if (text == NULL) return OUTCOME_NO_MEMORY;
  size_t head, len = format_head(purpose, text, &head);
  random_bytes(random, key, sizeof key);
  hex_encode(text + head, key, sizeof key);
  text[len - 1] = '\n';
  enum outcome outcome = folder_write(folder, name, text, len, true, complaint);
  sodium_free(text);
  if (outcome == OUTCOME_OK) {
    *ret = guarded_key_new(key);
    if (*ret == NULL) outcome = OUTCOME_NO_MEMORY;
  }
  bytes_wipe(key, sizeof key);
  return outcome;
}

/* [KEYFILE-3] A signature or a shared secret made for one purpose must mean nothing for another. */
static bool keys_are_distinct(const struct key_ring *ring) {
  for (int a = 0; a < KEY_PURPOSES; a++)
    for (int b = a + 1; b < KEY_PURPOSES; b++)
      if (ring->keys[a] != NULL && ring->keys[b] != NULL &&
          bytes_equal_constant_time(ring->keys[a]->bytes, ring->keys[b]->bytes, KEY_BYTES))
        return false;
  return true;
}

enum outcome key_ring_open(const struct folder *folder, uint32_t wanted, struct random_stream *random,
                           struct key_ring *ret, uint32_t *ret_made, struct complaint *complaint) {
  struct key_ring ring = {{NULL}};
  uint32_t made = 0;
  enum outcome outcome = OUTCOME_OK;
  for (int i = 0; i < KEY_PURPOSES && outcome == OUTCOME_OK; i++) {
    enum key_purpose purpose = (enum key_purpose)i;
    if ((wanted & 1U << i) == 0) continue;
    outcome = read_key(folder, purpose, &ring.keys[i], complaint);
    if (outcome != OUTCOME_NOT_FOUND || random == NULL) continue;
    complaint_withdraw(complaint);
    outcome = make_key(folder, purpose, random, &ring.keys[i], complaint);
    made |= 1U << i;
  }
  if (outcome == OUTCOME_OK && !keys_are_distinct(&ring)) {
    complain(complaint, "Two keys in %s are the same.", folder_path(folder));
    advise(complaint, "Put the right files back from a copy.");
    outcome = OUTCOME_BAD_DOCUMENT;
  }
  if (outcome != OUTCOME_OK) key_ring_close(&ring);
  *ret = ring;
  if (ret_made != NULL) *ret_made = outcome == OUTCOME_OK ? made : 0;
  return outcome;
}

enum outcome key_ring_replace(const struct folder *folder, enum key_purpose purpose, struct random_stream *random, struct key_ring *ring,
                              struct complaint *complaint) {
  struct guarded_key *key = NULL;
  enum outcome outcome = make_key(folder, purpose, random, &key, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  guarded_key_free(ring->keys[purpose]);
  ring->keys[purpose] = key;
  return OUTCOME_OK;
}

void key_ring_close(struct key_ring *ring) {
  for (int i = 0; i < KEY_PURPOSES; i++) {
    guarded_key_free(ring->keys[i]);
    ring->keys[i] = NULL;
  }
}

void key_ring_public(const struct key_ring *ring, enum key_purpose purpose, uint8_t ret_public[32]) {
  const struct guarded_key *key = ring->keys[purpose];
  assert(key != NULL);
  if (purpose == KEY_LINK) x25519_public(ret_public, key->bytes);
  else ed25519_public(ret_public, key->bytes);
}
