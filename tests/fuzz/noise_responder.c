/* Any bytes as the messages that a responder reads, and as the reply that a client reads.
 *
 * Byte 0 chooses: bit 0 the pattern, bit 1 the way of reading (whole rest, or cut in two), bit 2 a genuine first message
 * that the rest is laid over, bit 3 the client's side. Nobody without the keys makes a message that is believed, so one
 * that is taken must be the genuine one.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/circuit_handshake.h"

static const uint8_t responder_secret[32] = {1}, initiator_secret[32] = {2}, randoms[2][NOISE_RANDOM_BYTES] = {{3}, {4}};

static void require(bool holds) {
  if (!holds) abort();
}

/* The rest of the input, laid over the genuine message by exclusive or: all zeros leave it as it is. */
static void overlay(uint8_t *message, size_t len, const uint8_t *data, size_t size) {
  for (size_t i = 0; i < size && i < len; i++) message[i] ^= data[i];
}

static size_t genuine_first(enum noise_pattern pattern, const uint8_t *responder_public, uint8_t *message) {
  struct noise initiator;
  size_t len;
  noise_init(&initiator, pattern, NOISE_INITIATOR, AEAD_CHACHA20_POLY1305, responder_secret, 32,
             pattern == NOISE_XKHFS ? initiator_secret : NULL, responder_public);
  require(noise_write(&initiator, randoms[0], NULL, 0, message, NOISE_MESSAGE_MAX_BYTES, &len));
  return len;
}

static void read_as_responder(enum noise_pattern pattern, const uint8_t *responder_public, const uint8_t *message, size_t len,
                              const uint8_t *genuine, size_t genuine_len, const uint8_t *third, size_t third_len) {
  struct noise responder;
  uint8_t payload[NOISE_MESSAGE_MAX_BYTES], reply[NOISE_MESSAGE_MAX_BYTES];
  size_t payload_len, reply_len;
  noise_init(&responder, pattern, NOISE_RESPONDER, AEAD_CHACHA20_POLY1305, responder_secret, 32, responder_secret,
             responder_public);
  bool taken = noise_read(&responder, message, len, payload, sizeof payload, &payload_len);
  require(taken == (len == genuine_len && memcmp(message, genuine, len) == 0));
  bool answered = noise_write(&responder, randoms[1], NULL, 0, reply, sizeof reply, &reply_len);
  require(answered == taken);
  if (answered && pattern == NOISE_XKHFS) require(!noise_read(&responder, third, third_len, payload, 64, &payload_len));
}

/* The reply of a hop, changed by the input: believed only unchanged. */
static void read_as_client(const uint8_t *responder_public, const uint8_t *data, size_t size) {
  struct circuit_binding binding = {.handshake_type = CIRCUIT_HANDSHAKE_TYPE_HYBRID, .suite = AEAD_AES256_GCM};
  struct circuit_keys ours, theirs;
  struct noise handshake;
  uint8_t request[CIRCUIT_HANDSHAKE_REQUEST_BYTES], reply[CIRCUIT_HANDSHAKE_REPLY_BYTES], changed[CIRCUIT_HANDSHAKE_REPLY_BYTES];
  require(circuit_handshake_begin(&handshake, &binding, responder_public, randoms[0], request));
  require(circuit_handshake_answer(&binding, responder_secret, responder_public, request, randoms[1], reply, &theirs));
  memcpy(changed, reply, sizeof changed);
  overlay(changed, sizeof changed, data, size);
  bool believed = circuit_handshake_finish(&handshake, changed, &ours);
  require(believed == (memcmp(changed, reply, sizeof reply) == 0));
  require(!believed || memcmp(&ours, &theirs, sizeof ours) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint8_t responder_public[32], genuine[NOISE_MESSAGE_MAX_BYTES], message[NOISE_MESSAGE_MAX_BYTES];
  if (!crypto_start() || size == 0) return 0;
  uint8_t choice = data[0];
  data++;
  size--;
  x25519_public(responder_public, responder_secret);
  if (choice & 8) {
    read_as_client(responder_public, data, size);
    return 0;
  }
  enum noise_pattern pattern = choice & 1 ? NOISE_XKHFS : NOISE_NKHFS;
  size_t genuine_len = genuine_first(pattern, responder_public, genuine);
  size_t first_len = choice & 2 ? size / 2 : size;
  if (choice & 4) {
    memcpy(message, genuine, genuine_len);
    overlay(message, genuine_len, data, first_len);
    read_as_responder(pattern, responder_public, message, genuine_len, genuine, genuine_len, data + first_len, size - first_len);
  } else {
    read_as_responder(pattern, responder_public, data, first_len, genuine, genuine_len, data + first_len, size - first_len);
  }
  return 0;
}
