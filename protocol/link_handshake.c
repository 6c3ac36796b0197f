/* A link's handshake: preamble, two or three Noise messages. Taking bytes is cheap; everything asymmetric is
 * `work`. The preamble is plain, and every byte of it is bound by the prologue: changed on the way, message 1
 * or 2 fails.
 */
#include <assert.h>
#include <string.h>

#include "protocol/link_internal.h"

enum {
  SUITE_ALWAYS = 1 << AEAD_CHACHA20_POLY1305,
  SUITES_KNOWN = SUITE_ALWAYS | 1 << AEAD_AES256_GCM,
};

static const char PROLOGUE_LABEL[] = "tunic link 1";

enum {
  PROLOGUE_LABEL_BYTES = sizeof PROLOGUE_LABEL - 1,
  PROLOGUE_BYTES = PROLOGUE_LABEL_BYTES + 2 + 32 + IDENTITY_BYTES + 1
};

static void start_noise(struct link_handshake *h, const struct link_self *self) {
  const bool initiates = h->role == LINK_INITIATOR;
  const bool from_node = h->pattern == LINK_FROM_NODE;
  /* [LINK-3] */
  uint8_t prologue[PROLOGUE_BYTES], *p = prologue;
  memcpy(p, PROLOGUE_LABEL, PROLOGUE_LABEL_BYTES);
  p += PROLOGUE_LABEL_BYTES;
  *p++ = (uint8_t)h->pattern;
  *p++ = LINK_VERSION;
  memcpy(p, self->network, sizeof self->network);
  p += sizeof self->network;
  memcpy(p, initiates ? h->peer.identity : self->identity, IDENTITY_BYTES);
  p += IDENTITY_BYTES;
  *p = h->suites;
  const uint8_t *secret = initiates && !from_node ? NULL : self->link_secret->bytes;
  noise_init(&h->noise, from_node ? NOISE_XKHFS : NOISE_NKHFS, initiates ? NOISE_INITIATOR : NOISE_RESPONDER,
             AEAD_CHACHA20_POLY1305, prologue, sizeof prologue, secret,
             initiates ? h->peer.link_key : self->link_public);
}

void link_handshake_init(struct link_handshake *h, const struct link_self *self, const struct link_peer *peer,
                         enum link_pattern pattern) {
  memset(h, 0, sizeof *h);
  if (peer == NULL) {
    assert(self->link_secret != NULL);
    h->role = LINK_RESPONDER;
    h->awaited = AWAIT_PREAMBLE;
    return;
  }
  assert(pattern == LINK_FROM_CLIENT || self->link_secret != NULL);
  h->role = LINK_INITIATOR;
  h->pattern = pattern;
  h->peer = *peer;
  /* [LINK-2] What both declare; the peer's half is from its consensus entry, so nobody on the way can lower
   * it. */
  h->suites = (uint8_t)((self->suites & peer->suites & SUITES_KNOWN) | SUITE_ALWAYS);
  h->needs_work = true;
}

/* [LINK-2] Refused before anything is computed: another version, suites that we lack, do not know or must
 * share. */
static bool read_preamble(struct link_handshake *h, const struct link_self *self,
                          const uint8_t in[LINK_PREAMBLE_BYTES]) {
  const uint8_t pattern = in[0], version = in[1], suites = in[2];
  if (pattern != LINK_FROM_NODE && pattern != LINK_FROM_CLIENT) return false;
  if (version != LINK_VERSION) return false;
  if ((suites & SUITE_ALWAYS) == 0 || (suites & ~SUITES_KNOWN) != 0) return false;
  if ((suites & ~(self->suites | SUITE_ALWAYS)) != 0) return false;
  h->pattern = (enum link_pattern)pattern;
  h->suites = suites;
  h->awaited = AWAIT_MESSAGE_1;
  return true;
}

static size_t awaited_bytes(enum link_awaited awaited) {
  switch (awaited) {
  case AWAIT_NOTHING: return 0;
  case AWAIT_PREAMBLE: return LINK_PREAMBLE_BYTES;
  case AWAIT_MESSAGE_1: return NOISE_HFS_MESSAGE_1_BYTES;
  case AWAIT_MESSAGE_2: return NOISE_HFS_MESSAGE_2_BYTES;
  case AWAIT_MESSAGE_3: return LINK_MESSAGE_3_BYTES;
  }
  return 0;
}

bool link_handshake_receive(struct link_handshake *h, const struct link_self *self, const uint8_t *in,
                            size_t len, size_t *ret_used) {
  *ret_used = 0;
  size_t need = awaited_bytes(h->awaited);
  /* [LINK-12] */
  if (h->needs_work || need == 0 || len < need) return true;
  *ret_used = need;
  if (h->awaited == AWAIT_PREAMBLE) return read_preamble(h, self, in);
  static_assert((int)LINK_MESSAGE_3_BYTES < (int)NOISE_HFS_MESSAGE_2_BYTES &&
                    (int)NOISE_HFS_MESSAGE_2_BYTES < (int)NOISE_HFS_MESSAGE_1_BYTES,
                "message 1 is the longest");
  memcpy(h->in, in, need);
  h->in_len = (uint16_t)need;
  h->needs_work = true;
  return true;
}

/* Appends a Noise message behind what is still to be sent; an earlier message has left, or its answer could
 * not be here. */
static bool write_message(struct link_handshake *h, const uint8_t *random, const uint8_t *payload,
                          size_t payload_len) {
  size_t written = 0;
  if (!noise_write(&h->noise, random, payload, payload_len, h->out + h->out_len, sizeof h->out - h->out_len,
                   &written))
    return false;
  h->out_len = (uint16_t)(h->out_len + written);
  return true;
}

static bool write_with_random(struct link_handshake *h, struct random_stream *random) {
  uint8_t bytes[NOISE_RANDOM_BYTES];
  random_bytes(random, bytes, sizeof bytes);
  bool ok = write_message(h, bytes, NULL, 0);
  bytes_wipe(bytes, sizeof bytes);
  return ok;
}

/* [LINK-1] [LINK-4] */
static bool work_initiator(struct link_handshake *h, const struct link_self *self,
                           struct random_stream *random) {
  if (h->in_len == 0) {
    start_noise(h, self);
    h->out[0] = (uint8_t)h->pattern;
    h->out[1] = LINK_VERSION;
    h->out[2] = h->suites;
    h->out_len = LINK_PREAMBLE_BYTES;
    h->awaited = AWAIT_MESSAGE_2;
    return write_with_random(h, random);
  }
  size_t payload_len;
  if (!noise_read(&h->noise, h->in, h->in_len, NULL, 0, &payload_len)) return false;
  h->awaited = AWAIT_NOTHING;
  h->out_len = h->out_sent = 0;
  return h->pattern == LINK_FROM_CLIENT || write_message(h, NULL, self->identity, IDENTITY_BYTES);
}

static bool work_responder(struct link_handshake *h, const struct link_self *self,
                           struct random_stream *random) {
  size_t payload_len;
  if (h->awaited == AWAIT_MESSAGE_1) {
    start_noise(h, self);
    if (!noise_read(&h->noise, h->in, h->in_len, NULL, 0, &payload_len)) return false;
    h->awaited = h->pattern == LINK_FROM_NODE ? AWAIT_MESSAGE_3 : AWAIT_NOTHING;
    return write_with_random(h, random);
  }
  /* [LINK-6] XK proves a key; the identity beside it is only a claim until the owner has looked it up. */
  if (!noise_read(&h->noise, h->in, h->in_len, h->peer.identity, IDENTITY_BYTES, &payload_len)) return false;
  if (payload_len != IDENTITY_BYTES) return false;
  memcpy(h->peer.link_key, h->noise.remote_static, X25519_BYTES);
  h->awaited = AWAIT_NOTHING;
  return true;
}

bool link_handshake_work(struct link_handshake *h, const struct link_self *self,
                         struct random_stream *random) {
  h->needs_work = false;
  return h->role == LINK_INITIATOR ? work_initiator(h, self, random) : work_responder(h, self, random);
}

bool link_handshake_has_output(const struct link_handshake *h) {
  return h->out_sent < h->out_len;
}

size_t link_handshake_transmit(struct link_handshake *h, uint8_t *out, size_t room) {
  size_t count = (size_t)(h->out_len - h->out_sent);
  if (count > room) count = room;
  memcpy(out, h->out + h->out_sent, count);
  h->out_sent = (uint16_t)(h->out_sent + count);
  return count;
}

/* [LINK-2] The highest that was offered: more than ChaCha20-Poly1305 only where both have the hardware. */
enum aead_suite link_handshake_suite(const struct link_handshake *h) {
  return (h->suites & 1 << AEAD_AES256_GCM) != 0 ? AEAD_AES256_GCM : AEAD_CHACHA20_POLY1305;
}
