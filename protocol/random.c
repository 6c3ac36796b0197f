#include "protocol/random.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

_Static_assert(crypto_stream_chacha20_ietf_KEYBYTES == RANDOM_SEED_BYTES, "a seed is the first key");

void random_init(struct random_stream *stream, const uint8_t seed[RANDOM_SEED_BYTES]) {
  memset(stream, 0, sizeof *stream);
  memcpy(stream->key, seed, sizeof stream->key);
  stream->used = sizeof stream->buffer; /* the first draw fills it */
}

void random_wipe(struct random_stream *stream) {
  sodium_memzero(stream, sizeof *stream);
}

/* [RAND-1] The keystream's first 32 bytes replace the key that made it; the rest is given out. */
static void refill(struct random_stream *stream) {
  static const uint8_t NONCE[crypto_stream_chacha20_ietf_NONCEBYTES] = {0}; /* a key serves once */
  uint8_t keystream[sizeof stream->key + sizeof stream->buffer];
  crypto_stream_chacha20_ietf(keystream, sizeof keystream, NONCE, stream->key);
  memcpy(stream->key, keystream, sizeof stream->key);
  memcpy(stream->buffer, keystream + sizeof stream->key, sizeof stream->buffer);
  stream->used = 0;
  sodium_memzero(keystream, sizeof keystream);
}

void random_bytes(struct random_stream *stream, void *ret_bytes, size_t len) {
  uint8_t *out = ret_bytes;
  while (len > 0) {
    if (stream->used == sizeof stream->buffer) refill(stream);
    size_t part = sizeof stream->buffer - stream->used;
    if (part > len) part = len;
    memcpy(out, stream->buffer + stream->used, part);
    sodium_memzero(stream->buffer + stream->used, part); /* [RAND-1] what was drawn is not kept */
    stream->used += (uint32_t)part;
    out += part;
    len -= part;
  }
}

uint32_t random_u32(struct random_stream *stream) {
  uint8_t b[4];
  random_bytes(stream, b, sizeof b);
  return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

uint64_t random_u64(struct random_stream *stream) {
  uint64_t low = random_u32(stream);
  return low | (uint64_t)random_u32(stream) << 32;
}

uint64_t random_below(struct random_stream *stream, uint64_t bound) {
  assert(bound > 0);
  /* [RAND-3] 2^64 mod bound values too many would favour low results: the lowest so many are thrown away. */
  uint64_t reject_below = (0 - bound) % bound;
  uint64_t drawn;
  do drawn = random_u64(stream);
  while (drawn < reject_below);
  return drawn % bound;
}

uint64_t random_between(struct random_stream *stream, uint64_t low, uint64_t high) {
  assert(low <= high);
  if (high - low == UINT64_MAX) return random_u64(stream);
  return low + random_below(stream, high - low + 1);
}

/* [RAND-2] Drawn from the parent, so that no two children are alike, not even of one label. */
void random_child(struct random_stream *stream, const char *label, struct random_stream *ret) {
  uint8_t drawn[RANDOM_SEED_BYTES], seed[RANDOM_SEED_BYTES];
  random_bytes(stream, drawn, sizeof drawn);
  crypto_generichash(seed, sizeof seed, (const uint8_t *)label, strlen(label), drawn, sizeof drawn);
  random_init(ret, seed);
  sodium_memzero(drawn, sizeof drawn);
  sodium_memzero(seed, sizeof seed);
}
