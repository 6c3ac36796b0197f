#include "crypto/circuit_handshake.h"

#include <assert.h>
#include <string.h>

static const char prologue_label[] = "tunic circuit 1";
static const char keys_label[] = "tunic circuit keys 1";

enum { LABEL_BYTES = sizeof prologue_label - 1, PROLOGUE_BYTES = LABEL_BYTES + 32 + IDENTITY_BYTES + 4 };

/* [HS-1] */
static_assert(CIRCUIT_HANDSHAKE_REQUEST_BYTES == 1248 && CIRCUIT_HANDSHAKE_REPLY_BYTES == 1152, "the sizes on the wire");
static_assert(sizeof(struct circuit_keys) == 64, "forward, then backward, and nothing between");

/* [HS-3] */
static bool binding_is_known(const struct circuit_binding *binding) {
  return binding->handshake_type == CIRCUIT_HANDSHAKE_TYPE_HYBRID &&
         (binding->suite == AEAD_CHACHA20_POLY1305 || binding->suite == AEAD_AES256_GCM);
}

/* [HS-2] */
static void prologue_encode(uint8_t ret[PROLOGUE_BYTES], const struct circuit_binding *binding) {
  uint8_t *at = ret;
  memcpy(at, prologue_label, LABEL_BYTES);
  at += LABEL_BYTES;
  memcpy(at, binding->network, 32);
  at += 32;
  memcpy(at, binding->identity, IDENTITY_BYTES);
  at += IDENTITY_BYTES;
  *at++ = binding->handshake_type;
  *at++ = binding->generation;
  *at++ = binding->place;
  *at = binding->suite;
}

/* The handshake's own cipher is always ChaCha20-Poly1305; binding->suite is the layers'. */
static void begin_role(struct noise *noise, enum noise_role role, const struct circuit_binding *binding,
                       const uint8_t *secret, const uint8_t onion_public[X25519_BYTES]) {
  uint8_t prologue[PROLOGUE_BYTES];
  prologue_encode(prologue, binding);
  noise_init(noise, NOISE_NKHFS, role, AEAD_CHACHA20_POLY1305, prologue, sizeof prologue, secret, onion_public);
}

/* [HS-5] */
static void derive_keys(const struct noise *noise, struct circuit_keys *ret_keys) {
  uint8_t bytes[sizeof *ret_keys];
  noise_traffic_keys(noise, keys_label, bytes, sizeof bytes);
  memcpy(ret_keys, bytes, sizeof bytes);
  bytes_wipe(bytes, sizeof bytes);
}

bool circuit_handshake_begin(struct noise *handshake, const struct circuit_binding *binding,
                             const uint8_t onion_key[X25519_BYTES], const uint8_t random[NOISE_RANDOM_BYTES],
                             uint8_t ret_request[CIRCUIT_HANDSHAKE_REQUEST_BYTES]) {
  size_t len;
  if (!binding_is_known(binding)) {
    noise_wipe(handshake);
    return false;
  }
  begin_role(handshake, NOISE_INITIATOR, binding, NULL, onion_key);
  return noise_write(handshake, random, NULL, 0, ret_request, CIRCUIT_HANDSHAKE_REQUEST_BYTES, &len);
}

/* [HS-4] The tag of the reply's empty payload is the proof that the hop holds the onion key and read the same prologue. */
bool circuit_handshake_finish(struct noise *handshake, const uint8_t reply[CIRCUIT_HANDSHAKE_REPLY_BYTES],
                              struct circuit_keys *ret_keys) {
  size_t len;
  memset(ret_keys, 0, sizeof *ret_keys);
  bool genuine = noise_read(handshake, reply, CIRCUIT_HANDSHAKE_REPLY_BYTES, NULL, 0, &len);
  if (genuine) derive_keys(handshake, ret_keys);
  noise_wipe(handshake);
  return genuine;
}

bool circuit_handshake_answer(const struct circuit_binding *binding, const uint8_t onion_secret[X25519_BYTES],
                              const uint8_t onion_public[X25519_BYTES],
                              const uint8_t request[CIRCUIT_HANDSHAKE_REQUEST_BYTES],
                              const uint8_t random[NOISE_RANDOM_BYTES],
                              uint8_t ret_reply[CIRCUIT_HANDSHAKE_REPLY_BYTES], struct circuit_keys *ret_keys) {
  struct noise noise;
  size_t len;
  memset(ret_keys, 0, sizeof *ret_keys);
  if (!binding_is_known(binding)) return false;
  begin_role(&noise, NOISE_RESPONDER, binding, onion_secret, onion_public);
  bool ok = noise_read(&noise, request, CIRCUIT_HANDSHAKE_REQUEST_BYTES, NULL, 0, &len) &&
            noise_write(&noise, random, NULL, 0, ret_reply, CIRCUIT_HANDSHAKE_REPLY_BYTES, &len);
  if (ok) derive_keys(&noise, ret_keys);
  noise_wipe(&noise);
  return ok;
}
