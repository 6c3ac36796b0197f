#include <sodium.h>
#include <string.h>

#include "relay/keeper_internal.h"

static const char first_line[] = "tunic-onion-keys 1\n";
enum { LINE_BYTES = 3 + 1 + 64 + 1 };

struct onion_keys *onion_keys_new(const struct onion_keys *from) {
  struct onion_keys *keys = sodium_malloc(sizeof *keys);
  if (keys == NULL) return NULL;
  memset(keys, 0, sizeof *keys);
  if (from != NULL) *keys = *from;
  return keys;
}

void onion_keys_free(struct onion_keys *keys) {
  if (keys != NULL) sodium_free(keys);
}

/* "GGG KEY\n" a key, the generation in three digits, newest first. */
size_t onion_keys_format(const struct onion_keys *keys, char *out, size_t room) {
  size_t len = sizeof first_line - 1;
  if (room < len + keys->count * LINE_BYTES + 1) return 0;
  memcpy(out, first_line, len);
  for (uint32_t i = 0; i < keys->count; i++) {
    uint8_t generation = keys->keys[i].generation;
    char *line = out + len;
    line[0] = (char)('0' + generation / 100);
    line[1] = (char)('0' + generation / 10 % 10);
    line[2] = (char)('0' + generation % 10);
    line[3] = ' ';
    hex_encode(line + 4, keys->keys[i].secret, X25519_BYTES);
    line[LINE_BYTES - 1] = '\n';
    len += LINE_BYTES;
  }
  return len;
}

static bool parse_line(const uint8_t *line, struct onion_key *ret) {
  int generation = 0;
  for (int i = 0; i < 3; i++) {
    if (line[i] < '0' || line[i] > '9') return false;
    generation = generation * 10 + (line[i] - '0');
  }
  if (generation > UINT8_MAX || line[3] != ' ' || line[LINE_BYTES - 1] != '\n') return false;
  ret->generation = (uint8_t)generation;
  if (!hex_decode(ret->secret, X25519_BYTES, (const char *)line + 4, 64)) return false;
  x25519_public(ret->public_key, ret->secret);
  return true;
}

bool onion_keys_parse(const uint8_t *text, size_t len, struct onion_keys *ret) {
  size_t head = sizeof first_line - 1;
  memset(ret, 0, sizeof *ret);
  if (len < head || memcmp(text, first_line, head) != 0 || (len - head) % LINE_BYTES != 0) return false;
  if ((len - head) / LINE_BYTES > ONION_KEYS_KEPT) return false;
  for (size_t at = head; at < len; at += LINE_BYTES)
    if (!parse_line(text + at, &ret->keys[ret->count++])) return false;
  return true;
}
