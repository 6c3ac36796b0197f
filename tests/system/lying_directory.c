/* An authority that lies, of the shipped code: whatever it has to say, it says two ways, one to each half of the others.
 * Linked in place of tunic-directory with peers_send wrapped (-Wl,--wrap=peers_send): two votes of one epoch and round, both
 * with their documents; two PREPAREs and two SIGNs of one view; proposals that half of the others never hear of.
 * Everything is properly signed with its own key, so only the agreement's rules stand against it.
 */
#include <stdlib.h>
#include <string.h>

#include "directory/agreement_check.h"
#include "directory/authority_internal.h"

void __real_peers_send(struct authority *, instant now, uint8_t to, struct document *);
void __wrap_peers_send(struct authority *, instant now, uint8_t to, struct document *);

static void members_of(const struct network_file *network, struct agreement_members *ret) {
  uint8_t identities[LIMIT_AUTHORITIES][IDENTITY_BYTES];
  for (uint32_t i = 0; i < network->authority_count; i++) memcpy(identities[i], network->authorities[i].identity, IDENTITY_BYTES);
  agreement_members_init(ret, network->id, network->serial, network->authority_count, identities);
}

/* A second opinion for the same epoch and round, dated a minute ahead: whoever counts it alone gets another consensus. */
static bool vote_anew(struct authority *authority, instant now, const struct agreement_message *message, uint8_t ret_hash[DIGEST_BYTES]) {
  struct document *text = relays_make_vote(authority, now + MINUTES, message->epoch, message->view, message->previous);
  bool made = text != NULL && epoch_take_vote(authority, now, text) == OUTCOME_OK;
  document_release(text);
  if (made) memcpy(ret_hash, authority->votes[authority->vote_count - 1].hash, DIGEST_BYTES);
  return made;
}

/* True if the message can say something else. */
static bool twist(struct authority *authority, instant now, struct agreement_message *message) {
  switch (message->kind) {
  case AGREEMENT_VOTE: return vote_anew(authority, now, message, message->hash);
  case AGREEMENT_PREPARE:
  case AGREEMENT_SIGN: message->choice.digest[0] ^= 1; return true;
  case AGREEMENT_PROPOSE:
  case AGREEMENT_TIMEOUT:
  case AGREEMENT_STATUS:
  case AGREEMENT_CERTIFICATE:
  case AGREEMENT_ENTER:
  case AGREEMENT_FAULT: return false;
  }
  return false;
}

static struct document *lie(struct authority *authority, instant now, const struct document *said) {
  struct agreement_members members;
  struct agreement_message message;
  static uint8_t bytes[AGREEMENT_MESSAGE_MAX_BYTES];
  members_of(authority->network, &members);
  if (agreement_message_decode(&members, document_bytes(said), document_len(said), &message) != OUTCOME_OK) return NULL;
  if (message.author != authority->own || !twist(authority, now, &message)) return NULL;
  agreement_message_sign(&members, &message, authority->config.identity_seed->bytes);
  size_t len = agreement_message_encode(&members, &message, bytes, sizeof bytes);
  return len == 0 ? NULL : document_new(bytes, len);
}

void __wrap_peers_send(struct authority *authority, instant now, uint8_t to, struct document *document) {
  struct document *other = lie(authority, now, document);
  bool is_proposal = document_bytes(document)[0] == AGREEMENT_PROPOSE;
  for (uint8_t i = 0; i < authority->network->authority_count; i++) {
    if (to != AGREEMENT_EVERYONE && to != i) continue;
    bool is_odd = i % 2 == 1;
    if (is_odd && is_proposal) continue;
    __real_peers_send(authority, now, i, is_odd && other != NULL ? other : document);
  }
  document_release(other);
}
