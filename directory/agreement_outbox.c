/* What leaves the agreement's machine, and when: specs/agreement.md [AGREE-19], [AGREE-31]. */
#include "directory/agreement_check.h"
#include "directory/agreement_state.h"

#include <stdlib.h>

static void outbox_put(struct agreement *m, const struct agreement_effect *effect) {
  /* [AGREE-31] What finds no room is lost; STATUS brings it back, as after any loss. */
  struct outbox_node *node = m->outbox_count < AGREEMENT_OUTBOX_MAX ? calloc(1, sizeof *node) : NULL;
  if (!node) {
    m->dropped++;
    document_release(effect->document);
    return;
  }
  node->version = m->version;
  node->effect = *effect;
  if (m->last) m->last->next = node;
  else m->first = node;
  m->last = node;
  m->outbox_count++;
}

void agreement_outbox_wipe(struct agreement *m) {
  while (m->first) {
    struct outbox_node *node = m->first;
    m->first = node->next;
    document_release(node->effect.document);
    free(node);
  }
  m->last = NULL;
  m->outbox_count = 0;
}

static struct document *encode(const struct agreement *m, const struct agreement_message *message) {
  uint8_t bytes[AGREEMENT_MESSAGE_MAX_BYTES];
  size_t len = agreement_message_encode(&m->members, message, bytes, sizeof bytes);
  assert(len > 0);
  return document_new(bytes, len);
}

void agreement_send(struct agreement *m, uint8_t to, const struct agreement_message *message) {
  if (m->members.n == 1) return; /* [AGREE-30] nothing else is different when alone */
  struct agreement_effect effect = {.kind = AGREEMENT_SEND, .to = to, .document = encode(m, message)};
  if (effect.document) outbox_put(m, &effect);
  else m->dropped++;
}

void agreement_fetch(struct agreement *m, uint8_t to, const uint8_t hash[DIGEST_BYTES]) {
  struct agreement_effect effect = {.kind = AGREEMENT_FETCH, .to = to};
  memcpy(effect.hash, hash, sizeof effect.hash);
  outbox_put(m, &effect);
}

static bool next_write(struct agreement *m, struct agreement_effect *ret) {
  if (m->version == m->written || m->writing || m->write_is_held) return false;
  uint8_t bytes[AGREEMENT_BALLOT_MAX_BYTES];
  size_t len = agreement_ballot_encode(&m->members, m->own, &m->ballot, bytes, sizeof bytes);
  assert(len > 0);
  struct document *document = document_new(bytes, len);
  if (!document) return false;
  *ret = (struct agreement_effect){.kind = AGREEMENT_WRITE_BALLOT, .document = document, .version = m->version};
  m->writing = m->version;
  return true;
}

static bool next_accusation(struct agreement *m, struct agreement_effect *ret) {
  for (uint32_t i = 0; m->accuse && i < m->ballot.faults.count; i++) {
    const struct agreement_fault *fault = &m->ballot.faults.list[i];
    if (!(m->accuse >> fault->author & 1)) continue;
    struct agreement_message message = {.kind = AGREEMENT_FAULT, .epoch = fault->epoch, .faults = {.count = 1}};
    message.faults.list[0] = *fault;
    struct document *document = encode(m, &message);
    if (!document) return false;
    m->accuse &= ~(UINT32_C(1) << fault->author);
    *ret = (struct agreement_effect){.kind = AGREEMENT_ACCUSE, .to = fault->author, .document = document, .epoch = fault->epoch};
    return true;
  }
  m->accuse = 0;
  return false;
}

static bool next_vote_wish(struct agreement *m, struct agreement_effect *ret) {
  if (!m->wants_vote) return false;
  *ret = (struct agreement_effect){.kind = AGREEMENT_WANT_VOTE, .epoch = m->ballot.epoch, .round = m->ballot.vote_next};
  memcpy(ret->hash, m->ballot.previous, sizeof ret->hash);
  m->wants_vote = false;
  m->awaits_vote = true;
  return true;
}

static bool next_decision(struct agreement *m, struct agreement_effect *ret) {
  /* [AGREE-19] Our own SIGN may be one of the q: it counts once it is on disk. */
  if (!agreement_is_over(m) || m->is_announced || m->certificate_version > m->written) return false;
  *ret = (struct agreement_effect){.kind = AGREEMENT_BEHIND, .epoch = m->certificate.epoch, .to = m->certificate_from};
  ret->certificate = m->certificate;
  memcpy(ret->hash, m->ballot.previous, sizeof ret->hash);
  /* [AGREE-23] */
  if (agreement_find_decided(m, &ret->vector, &ret->valid_after)) ret->kind = AGREEMENT_DECIDED;
  m->is_announced = true;
  return true;
}

bool agreement_next_effect(struct agreement *m, struct agreement_effect *ret) {
  if (next_write(m, ret) || next_accusation(m, ret) || next_vote_wish(m, ret) || next_decision(m, ret)) return true;
  struct outbox_node *node = m->first;
  /* [AGREE-19] In order, so the first one that has to wait holds back all that rest on a later record. */
  if (!node || node->version > m->written) return false;
  m->first = node->next;
  if (!m->first) m->last = NULL;
  m->outbox_count--;
  *ret = node->effect;
  free(node);
  return true;
}
