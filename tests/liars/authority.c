#include "tests/liars/authority.h"

#include <string.h>

#include "directory/agreement_check.h"

/* A second opinion for the same epoch and round, dated a minute ahead: whoever counts it alone gets another consensus. */
static bool vote_anew(struct authority *authority, struct liar_face *face, instant now, struct agreement_message *message) {
  struct document *text = relays_make_vote(authority, now + MINUTES, message->epoch, message->view, message->previous);
  bool made = text != NULL && epoch_take_vote(authority, text) == OUTCOME_OK;
  document_release(text);
  if (!made) return false;
  memcpy(message->hash, authority->votes[authority->vote_count - 1].hash, DIGEST_BYTES);
  face->vote.epoch = message->epoch;
  face->vote.round = message->view;
  memcpy(face->vote.hash, message->hash, DIGEST_BYTES);
  return true;
}

static const uint8_t *predecessor(const struct authority *authority) {
  return authority->consensus == NULL ? authority->network->digest : consensus_header(authority->consensus)->digest;
}

/* Its own vote is the other one, or one vote is missing. False: neither can be. */
static bool change_vector(struct authority *authority, const struct agreement_members *members, const struct liar_face *face, uint64_t epoch,
                          struct agreement_vector *vector) {
  for (uint32_t i = 0; i < vector->count; i++) {
    struct agreement_vote *vote = &vector->votes[i];
    if (vote->author != authority->own || face->vote.epoch != epoch || face->vote.round != vote->round) continue;
    struct agreement_message other = {.kind = AGREEMENT_VOTE, .epoch = epoch, .view = vote->round, .author = vote->author};
    memcpy(other.previous, predecessor(authority), DIGEST_BYTES);
    memcpy(other.hash, face->vote.hash, DIGEST_BYTES);
    agreement_message_sign(members, &other, authority->config.identity_seed->bytes);
    memcpy(vote->hash, other.hash, DIGEST_BYTES);
    memcpy(vote->signature, other.signature, sizeof vote->signature);
    return true;
  }
  if (vector->count <= members->n - members->f) return false;
  vector->count--;
  return true;
}

/* Another proposal of the same view, as good as the first; a lock leaves no choice. */
static bool propose_anew(struct authority *authority, const struct agreement_members *members, struct liar_face *face,
                         struct agreement_message *message) {
  struct agreement_tally tally = epoch_tally(authority);
  struct agreement_result result;
  if (message->view > 0 && message->entry.lock.name.present) return false;
  if (!change_vector(authority, members, face, message->epoch, &message->vector)) return false;
  if (tally.count(tally.context, message->epoch, predecessor(authority), &message->vector, &result) != OUTCOME_OK) return false;
  memcpy(message->choice.digest, result.digest, DIGEST_BYTES);
  agreement_vector_hash(&message->vector, message->choice.vector);
  face->proposal.epoch = message->epoch;
  face->proposal.view = message->view;
  face->proposal.choice = message->choice;
  return true;
}

/* For the other proposal where there is one, else for none that there is. */
static bool agree_anew(const struct liar_face *face, struct agreement_message *message) {
  bool has_other = face->proposal.epoch == message->epoch && face->proposal.view == message->view;
  if (has_other) message->choice = face->proposal.choice;
  else message->choice.digest[0] ^= 1;
  return true;
}

static bool say_otherwise(struct authority *authority, const struct agreement_members *members, struct liar_face *face, instant now,
                          struct agreement_message *message) {
  switch (message->kind) {
  case AGREEMENT_VOTE: return vote_anew(authority, face, now, message);
  case AGREEMENT_PROPOSE: return propose_anew(authority, members, face, message);
  case AGREEMENT_PREPARE:
  case AGREEMENT_SIGN: return agree_anew(face, message);
  case AGREEMENT_TIMEOUT:
  case AGREEMENT_STATUS:
  case AGREEMENT_CERTIFICATE:
  case AGREEMENT_ENTER:
  case AGREEMENT_FAULT: return false;
  }
  return false;
}

struct document *liar_otherwise(struct authority *authority, struct liar_face *face, instant now, const struct document *said) {
  struct agreement_members members;
  struct agreement_message message;
  liar_members(authority->network, &members);
  if (agreement_message_decode(&members, document_bytes(said), document_len(said), &message) != OUTCOME_OK) return NULL;
  if (message.author != authority->own || !say_otherwise(authority, &members, face, now, &message)) return NULL;
  return liar_say(&members, &message, (uint8_t)authority->own, authority->config.identity_seed->bytes);
}
