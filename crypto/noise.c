#include "crypto/noise.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

/* ---- patterns ---- */

enum token { TOKEN_END = 0, TOKEN_E, TOKEN_S, TOKEN_EE, TOKEN_ES, TOKEN_SE, TOKEN_E1, TOKEN_EKEM1 };

enum { MESSAGES_MAX = 3, TOKENS_MAX = 4 };

struct pattern {
  const char *name; /* of the protocol, without the cipher and the hash */
  uint8_t messages;
  uint8_t tokens[MESSAGES_MAX][TOKENS_MAX]; /* enum token; ended by TOKEN_END */
};

/* [NOISE-2] The responder's static key is known beforehand in all of them. */
static const struct pattern patterns[] = {
  [NOISE_NK] = {"Noise_NK_25519_", 2, {{TOKEN_E, TOKEN_ES}, {TOKEN_E, TOKEN_EE}}},
  [NOISE_XK] = {"Noise_XK_25519_", 3, {{TOKEN_E, TOKEN_ES}, {TOKEN_E, TOKEN_EE}, {TOKEN_S, TOKEN_SE}}},
  [NOISE_NKHFS] = {"Noise_NKhfs_25519+MLKEM768_",
                   2,
                   {{TOKEN_E, TOKEN_ES, TOKEN_E1}, {TOKEN_E, TOKEN_EE, TOKEN_EKEM1}}},
  [NOISE_XKHFS] = {"Noise_XKhfs_25519+MLKEM768_",
                   3,
                   {{TOKEN_E, TOKEN_ES, TOKEN_E1}, {TOKEN_E, TOKEN_EE, TOKEN_EKEM1}, {TOKEN_S, TOKEN_SE}}},
};

static const char *cipher_name(enum aead_suite cipher) {
  switch (cipher) {
  case AEAD_CHACHA20_POLY1305: return "ChaChaPoly_BLAKE2b";
  case AEAD_AES256_GCM: return "AESGCM_BLAKE2b";
  }
  return "";
}

/* ---- the symmetric state: Noise sections 5.1 and 5.2 ---- */

/* [NOISE-3] */
static void mix_hash(struct noise *noise, const uint8_t *bytes, size_t len) {
  crypto_generichash_blake2b_state state;
  crypto_generichash_blake2b_init(&state, NULL, 0, NOISE_HASH_BYTES);
  crypto_generichash_blake2b_update(&state, noise->hash, NOISE_HASH_BYTES);
  crypto_generichash_blake2b_update(&state, bytes, len);
  crypto_generichash_blake2b_final(&state, noise->hash, NOISE_HASH_BYTES);
}

/* [NOISE-3] A hash is 64 bytes and a key its first 32. */
static void mix_key(struct noise *noise, const uint8_t input[32]) {
  uint8_t key[KDF_HASH_BYTES];
  kdf_noise(noise->chaining_key, key, NULL, noise->chaining_key, input, 32);
  memcpy(noise->key, key, AEAD_KEY_BYTES);
  noise->nonce = 0;
  noise->has_key = true;
  bytes_wipe(key, sizeof key);
}

/* Seals out[0..len) in place and mixes what went on the wire; gives the length there. */
static bool seal_and_hash(struct noise *noise, uint8_t *out, size_t len, size_t *ret_len) {
  *ret_len = len;
  if (noise->has_key) {
    struct aead aead = {0};
    if (!aead_init(&aead, noise->cipher, AEAD_LIBSODIUM, noise->key)) return false;
    aead_seal(&aead, noise->nonce++, noise->hash, NOISE_HASH_BYTES, out, len);
    aead_wipe(&aead);
    *ret_len += AEAD_TAG_BYTES;
  }
  mix_hash(noise, out, *ret_len);
  return true;
}

/* The reverse, in place: bytes[0..len) came from the wire, tag and all. */
static bool open_and_hash(struct noise *noise, uint8_t *bytes, size_t len) {
  uint8_t hash_before[NOISE_HASH_BYTES];
  memcpy(hash_before, noise->hash, sizeof hash_before);
  mix_hash(noise, bytes, len);
  if (!noise->has_key) return true;
  struct aead aead = {0};
  if (!aead_init(&aead, noise->cipher, AEAD_LIBSODIUM, noise->key)) return false;
  bool genuine = aead_open(&aead, noise->nonce++, hash_before, sizeof hash_before, bytes, len);
  aead_wipe(&aead);
  return genuine;
}

/* [NOISE-5] An all-zero result means a point of small order, which no honest peer sends. */
static bool mix_shared(struct noise *noise, const uint8_t secret[32], const uint8_t public_key[32]) {
  uint8_t shared[X25519_BYTES];
  bool ok = x25519_shared(shared, secret, public_key);
  if (ok) mix_key(noise, shared);
  bytes_wipe(shared, sizeof shared);
  return ok;
}

/* The tokens that only mix: `es` and `se` name the initiator's key first. */
static bool mix_token(struct noise *noise, enum token token) {
  bool own_is_ephemeral = token == TOKEN_EE || (token == TOKEN_ES) == (noise->role == NOISE_INITIATOR);
  bool remote_is_ephemeral = token == TOKEN_EE || !own_is_ephemeral;
  return mix_shared(noise, own_is_ephemeral ? noise->ephemeral_secret : noise->static_secret,
                    remote_is_ephemeral ? noise->remote_ephemeral : noise->remote_static);
}

/* ---- a message, one token after another ---- */

struct writer {
  uint8_t *out;
  size_t room, len;
  const uint8_t *random; /* NOISE_RANDOM_BYTES, or NULL */
};

struct reader {
  const uint8_t *message;
  size_t len, at;
};

static bool is_our_turn_to_write(const struct noise *noise) {
  return !noise->failed && noise->next_message < patterns[noise->pattern].messages &&
         (noise->next_message % 2 == 0) == (noise->role == NOISE_INITIATOR);
}

static bool is_our_turn_to_read(const struct noise *noise) {
  return !noise->failed && noise->next_message < patterns[noise->pattern].messages &&
         (noise->next_message % 2 == 0) == (noise->role == NOISE_RESPONDER);
}

/* Makes room for a field of `len` bytes and its tag; NULL if there is none. */
static uint8_t *writer_field(struct writer *w, size_t len) {
  return w->room - w->len >= len + AEAD_TAG_BYTES ? w->out + w->len : NULL;
}

static bool writer_seal(struct noise *noise, struct writer *w, size_t len) {
  size_t sealed_len;
  if (!seal_and_hash(noise, w->out + w->len, len, &sealed_len)) return false;
  w->len += sealed_len;
  return true;
}

/* [NOISE-4] e: the first 32 bytes of what was drawn for this message; in the clear. */
static bool write_ephemeral(struct noise *noise, struct writer *w) {
  uint8_t *field = writer_field(w, X25519_BYTES);
  if (!field || !w->random) return false;
  memcpy(noise->ephemeral_secret, w->random, X25519_BYTES);
  x25519_public(field, noise->ephemeral_secret);
  mix_hash(noise, field, X25519_BYTES);
  w->len += X25519_BYTES;
  return true;
}

static bool write_static(struct noise *noise, struct writer *w) {
  uint8_t *field = writer_field(w, X25519_BYTES);
  if (!field) return false;
  x25519_public(field, noise->static_secret);
  return writer_seal(noise, w, X25519_BYTES);
}

/* [NOISE-6] e1: a key pair from the 64 bytes after the ephemeral's. */
static bool write_kem_key(struct noise *noise, struct writer *w) {
  uint8_t *field = writer_field(w, MLKEM768_PUBLIC_KEY_BYTES);
  if (!field || !w->random) return false;
  mlkem768_keypair(field, noise->kem_secret, w->random + X25519_BYTES);
  return writer_seal(noise, w, MLKEM768_PUBLIC_KEY_BYTES);
}

/* [NOISE-6] ekem1: the ciphertext under the key so far, and only then the new secret. */
static bool write_kem_ciphertext(struct noise *noise, struct writer *w) {
  uint8_t shared[MLKEM768_SHARED_BYTES];
  uint8_t *field = writer_field(w, MLKEM768_CIPHERTEXT_BYTES);
  if (!field || !w->random) return false;
  bool ok = mlkem768_encapsulate(field, shared, noise->kem_public, w->random + X25519_BYTES) &&
            writer_seal(noise, w, MLKEM768_CIPHERTEXT_BYTES);
  if (ok) mix_key(noise, shared);
  bytes_wipe(shared, sizeof shared);
  return ok;
}

static bool write_token(struct noise *noise, enum token token, struct writer *w) {
  switch (token) {
  case TOKEN_END: return true;
  case TOKEN_E: return write_ephemeral(noise, w);
  case TOKEN_S: return write_static(noise, w);
  case TOKEN_EE:
  case TOKEN_ES:
  case TOKEN_SE: return mix_token(noise, token);
  case TOKEN_E1: return write_kem_key(noise, w);
  case TOKEN_EKEM1: return write_kem_ciphertext(noise, w);
  }
  return false;
}

static bool write_payload(struct noise *noise, struct writer *w, const uint8_t *payload, size_t len) {
  if (len > NOISE_MESSAGE_MAX_BYTES) return false;
  uint8_t *field = writer_field(w, len);
  if (!field) return false;
  if (len > 0) memcpy(field, payload, len);
  return writer_seal(noise, w, len);
}

/* Takes the next field, whose content is `len` bytes, out of the message and opens it; the tag is dropped. */
static bool read_field(struct noise *noise, struct reader *r, uint8_t *ret_field, size_t len) {
  uint8_t sealed[NOISE_MESSAGE_MAX_BYTES];
  size_t sealed_len = len + (noise->has_key ? AEAD_TAG_BYTES : 0);
  if (r->len - r->at < sealed_len) return false;
  memcpy(sealed, r->message + r->at, sealed_len);
  r->at += sealed_len;
  bool genuine = open_and_hash(noise, sealed, sealed_len);
  if (genuine && len > 0) memcpy(ret_field, sealed, len);
  bytes_wipe(sealed, sealed_len);
  return genuine;
}

static bool read_ephemeral(struct noise *noise, struct reader *r) {
  if (r->len - r->at < X25519_BYTES) return false;
  memcpy(noise->remote_ephemeral, r->message + r->at, X25519_BYTES);
  mix_hash(noise, noise->remote_ephemeral, X25519_BYTES);
  r->at += X25519_BYTES;
  return true;
}

static bool read_kem_ciphertext(struct noise *noise, struct reader *r) {
  uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES], shared[MLKEM768_SHARED_BYTES];
  if (!read_field(noise, r, ciphertext, sizeof ciphertext)) return false;
  mlkem768_decapsulate(shared, ciphertext, noise->kem_secret);
  mix_key(noise, shared);
  bytes_wipe(shared, sizeof shared);
  return true;
}

static bool read_token(struct noise *noise, enum token token, struct reader *r) {
  switch (token) {
  case TOKEN_END: return true;
  case TOKEN_E: return read_ephemeral(noise, r);
  case TOKEN_S: return read_field(noise, r, noise->remote_static, X25519_BYTES);
  case TOKEN_EE:
  case TOKEN_ES:
  case TOKEN_SE: return mix_token(noise, token);
  case TOKEN_E1: /* [NOISE-6] */
    return read_field(noise, r, noise->kem_public, MLKEM768_PUBLIC_KEY_BYTES) &&
           mlkem768_public_key_is_canonical(noise->kem_public);
  case TOKEN_EKEM1: return read_kem_ciphertext(noise, r);
  }
  return false;
}

static bool read_payload(struct noise *noise, struct reader *r, uint8_t *ret_payload, size_t room, size_t *ret_len) {
  size_t rest = r->len - r->at, tag_len = noise->has_key ? AEAD_TAG_BYTES : 0;
  if (rest < tag_len || rest - tag_len > room) return false;
  if (!read_field(noise, r, ret_payload, rest - tag_len)) return false;
  *ret_len = rest - tag_len;
  return true;
}

/* ---- the handshake ---- */

void noise_init(struct noise *noise, enum noise_pattern pattern, enum noise_role role, enum aead_suite cipher,
                const uint8_t *prologue, size_t prologue_len, const uint8_t *static_secret,
                const uint8_t responder_public[X25519_BYTES]) {
  memset(noise, 0, sizeof *noise);
  noise->pattern = pattern;
  noise->role = role;
  noise->cipher = cipher;
  if (static_secret) memcpy(noise->static_secret, static_secret, X25519_BYTES);
  if (role == NOISE_INITIATOR) memcpy(noise->remote_static, responder_public, X25519_BYTES);

  /* [NOISE-1] A name of at most 64 bytes is the first hash, padded with zeros. */
  size_t name_len = strlen(patterns[pattern].name), cipher_len = strlen(cipher_name(cipher));
  assert(name_len + cipher_len <= NOISE_HASH_BYTES);
  memcpy(noise->hash, patterns[pattern].name, name_len);
  memcpy(noise->hash + name_len, cipher_name(cipher), cipher_len);
  memcpy(noise->chaining_key, noise->hash, NOISE_HASH_BYTES);
  mix_hash(noise, prologue, prologue_len);
  mix_hash(noise, responder_public, X25519_BYTES);
}

/* A message went through: the state counts again. After the last one only what keys come from is kept. */
static void message_passed(struct noise *noise) {
  noise->next_message++;
  noise->failed = false;
  if (!noise_is_done(noise)) return;
  /* [NOISE-4] */
  bytes_wipe(noise->static_secret, sizeof noise->static_secret);
  bytes_wipe(noise->ephemeral_secret, sizeof noise->ephemeral_secret);
  bytes_wipe(noise->kem_secret, sizeof noise->kem_secret);
  bytes_wipe(noise->key, sizeof noise->key);
}

bool noise_write(struct noise *noise, const uint8_t random[NOISE_RANDOM_BYTES], const uint8_t *payload, size_t payload_len,
                 uint8_t *out, size_t room, size_t *ret_len) {
  struct writer w = {.out = out, .room = room < NOISE_MESSAGE_MAX_BYTES ? room : NOISE_MESSAGE_MAX_BYTES, .random = random};
  *ret_len = 0;
  bool ok = is_our_turn_to_write(noise);
  noise->failed = true; /* until the whole message has passed */
  const uint8_t *tokens = patterns[noise->pattern].tokens[noise->next_message % MESSAGES_MAX];
  for (size_t i = 0; ok && i < TOKENS_MAX; i++) ok = write_token(noise, (enum token)tokens[i], &w);
  ok = ok && write_payload(noise, &w, payload, payload_len);
  if (!ok) {
    bytes_wipe(out, w.room);
    noise_wipe(noise);
    return false;
  }
  message_passed(noise);
  *ret_len = w.len;
  return true;
}

/* [NOISE-7] Whatever is wrong, the answer is the same, and nothing of the state or the payload remains. */
bool noise_read(struct noise *noise, const uint8_t *message, size_t len, uint8_t *ret_payload, size_t payload_room,
                size_t *ret_payload_len) {
  struct reader r = {.message = message, .len = len};
  *ret_payload_len = 0;
  bool ok = is_our_turn_to_read(noise) && len <= NOISE_MESSAGE_MAX_BYTES;
  noise->failed = true;
  const uint8_t *tokens = patterns[noise->pattern].tokens[noise->next_message % MESSAGES_MAX];
  for (size_t i = 0; ok && i < TOKENS_MAX; i++) ok = read_token(noise, (enum token)tokens[i], &r);
  ok = ok && read_payload(noise, &r, ret_payload, payload_room, ret_payload_len);
  if (!ok) {
    noise_wipe(noise);
    return false;
  }
  message_passed(noise);
  return true;
}

bool noise_is_done(const struct noise *noise) {
  return !noise->failed && noise->next_message == patterns[noise->pattern].messages;
}

/* [NOISE-8] */
void noise_traffic_keys(const struct noise *noise, const char *label, uint8_t *ret_keys, size_t len) {
  assert(noise_is_done(noise));
  kdf_traffic(ret_keys, len, noise->chaining_key, noise->hash, label);
}

void noise_split(const struct noise *noise, uint8_t ret_first[32], uint8_t ret_second[32]) {
  uint8_t first[KDF_HASH_BYTES], second[KDF_HASH_BYTES];
  assert(noise_is_done(noise));
  kdf_noise(first, second, NULL, noise->chaining_key, NULL, 0);
  memcpy(ret_first, first, 32);
  memcpy(ret_second, second, 32);
  bytes_wipe(first, sizeof first);
  bytes_wipe(second, sizeof second);
}

void noise_wipe(struct noise *noise) {
  bytes_wipe(noise, sizeof *noise);
  noise->failed = true;
}
