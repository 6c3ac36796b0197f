#include "tests/liars/words.h"

#include <stdlib.h>

#include "directory/agreement_check.h"

enum { RUBBISH_MOST_BYTES = 400, FAR_VIEW = 1000000 };

void liar_members(const struct network_file *network, struct agreement_members *ret) {
  uint8_t identities[LIMIT_AUTHORITIES][IDENTITY_BYTES];
  for (uint32_t i = 0; i < network->authority_count; i++) memcpy(identities[i], network->authorities[i].identity, IDENTITY_BYTES);
  agreement_members_init(ret, network->id, network->serial, network->authority_count, (const uint8_t(*)[IDENTITY_BYTES])identities);
}

static struct document *copy_of(const uint8_t *bytes, size_t len) {
  struct document *document = document_new(bytes, len);
  if (document == NULL) abort();
  return document;
}

struct document *liar_say(const struct agreement_members *members, struct agreement_message *message, uint8_t author,
                          const uint8_t seed[ED25519_SEED_BYTES]) {
  uint8_t bytes[AGREEMENT_MESSAGE_MAX_BYTES];
  message->author = author;
  agreement_message_sign(members, message, seed);
  return copy_of(bytes, agreement_message_encode(members, message, bytes, sizeof bytes));
}

bool liar_agree(const struct agreement_members *members, uint8_t author, const uint8_t seed[ED25519_SEED_BYTES], const uint8_t *heard, size_t len,
                struct document *ret_said[2]) {
  struct agreement_message message;
  if (agreement_message_decode(members, heard, len, &message) != OUTCOME_OK) return false;
  if (message.kind != AGREEMENT_PROPOSE && message.kind != AGREEMENT_PREPARE) return false;
  struct agreement_message said = {.kind = AGREEMENT_PREPARE, .epoch = message.epoch, .view = message.view, .choice = message.choice};
  ret_said[0] = liar_say(members, &said, author, seed);
  said.kind = AGREEMENT_SIGN;
  ret_said[1] = liar_say(members, &said, author, seed);
  return true;
}

struct document *liar_hurry(const struct agreement_members *members, uint8_t author, const uint8_t seed[ED25519_SEED_BYTES], uint64_t epoch, uint32_t view,
                            struct random_stream *random) {
  uint32_t ahead = random_below(random, 2) ? (uint32_t)random_below(random, 3) : (uint32_t)random_below(random, FAR_VIEW);
  struct agreement_message timeout = {.kind = AGREEMENT_TIMEOUT, .epoch = epoch, .view = view + ahead};
  return liar_say(members, &timeout, author, seed);
}

struct document *liar_rubbish(const struct document *source, struct random_stream *random) {
  uint8_t bytes[AGREEMENT_MESSAGE_MAX_BYTES];
  size_t len = (size_t)random_below(random, RUBBISH_MOST_BYTES);
  random_bytes(random, bytes, len);
  if (source != NULL && random_below(random, 2)) {
    len = document_len(source);
    memcpy(bytes, document_bytes(source), len);
    if (random_below(random, 4) == 0) len = (size_t)random_below(random, len + 1);
    else bytes[random_below(random, len)] ^= (uint8_t)(1u << random_below(random, 8));
  }
  return copy_of(bytes, len);
}
