/* Who is behind is told what it lacks: specs/agreement.md [AGREE-14]. */
#include "directory/agreement_check.h"
#include "directory/agreement_state.h"

/* What we hold of our view, so that the answer can be exactly what is missing. */
static void describe_holdings(struct agreement *m, struct agreement_holdings *ret) {
  const struct heard_view *heard = agreement_view(m, m->ballot.view);
  ret->proposal = heard->has_proposal;
  ret->prepares = heard->prepared;
  ret->signs = heard->signed_by;
  for (uint32_t i = 0; i < m->members.n; i++) {
    if (m->timeouts[i].present && m->timeouts[i].view >= m->ballot.view) ret->timeouts |= UINT32_C(1) << i;
    if (agreement_is_accused(m, (uint8_t)i)) ret->faults |= UINT32_C(1) << i;
    ret->rounds[i] = m->votes[i].present ? m->votes[i].vote.round + 1 : 0;
  }
}

void agreement_send_status(struct agreement *m, uint8_t to) {
  struct agreement_message message = {.kind = AGREEMENT_STATUS, .epoch = m->ballot.epoch, .view = m->ballot.view, .author = m->own};
  memcpy(message.previous, m->ballot.previous, DIGEST_BYTES);
  describe_holdings(m, &message.holdings);
  if (m->members.n == 1) return;
  agreement_message_sign(&m->members, &message, m->seed->bytes);
  agreement_send(m, to, &message);
}

void agreement_ask(struct agreement *m, instant now, uint8_t peer) {
  struct peer *p = &m->peers[peer];
  if (now < p->ask_at) return;
  p->ask_at = instant_after(now, agreement_status_period(m) / 2);
  agreement_send_status(m, peer);
}

static void send_certificate(struct agreement *m, uint8_t to) {
  struct agreement_message message = {.kind = AGREEMENT_CERTIFICATE, .epoch = m->certificate.epoch, .view = m->certificate.view};
  memcpy(message.choice.digest, m->certificate.digest, DIGEST_BYTES);
  message.signs = m->certificate.signs;
  agreement_send(m, to, &message);
}

static void send_votes(struct agreement *m, uint8_t to, const struct agreement_holdings *theirs) {
  for (uint32_t i = 0; i < m->members.n; i++) {
    const struct heard_vote *heard = &m->votes[i];
    if (!heard->present || heard->vote.round < theirs->rounds[i]) continue;
    struct agreement_message message = {.kind = AGREEMENT_VOTE, .epoch = m->ballot.epoch, .view = heard->vote.round, .author = (uint8_t)i};
    memcpy(message.previous, m->ballot.previous, DIGEST_BYTES);
    memcpy(message.hash, heard->vote.hash, DIGEST_BYTES);
    memcpy(message.signature, heard->vote.signature, ED25519_SIGNATURE_BYTES);
    agreement_send(m, to, &message);
  }
}

static void send_faults(struct agreement *m, uint8_t to, uint32_t theirs) {
  for (uint32_t i = 0; i < m->ballot.faults.count; i++) {
    const struct agreement_fault *fault = &m->ballot.faults.list[i];
    if (theirs >> fault->author & 1 || !agreement_is_accused(m, fault->author)) continue;
    struct agreement_message message = {.kind = AGREEMENT_FAULT, .epoch = fault->epoch, .faults = {.count = 1}};
    message.faults.list[0] = *fault;
    agreement_send(m, to, &message);
  }
}

static void send_heard(struct agreement *m, uint8_t to, const struct heard_view *heard, uint32_t author, bool prepare) {
  struct agreement_message message = {.kind = prepare ? AGREEMENT_PREPARE : AGREEMENT_SIGN, .epoch = m->ballot.epoch, .view = heard->view};
  message.author = (uint8_t)author;
  if (prepare) {
    message.choice = heard->prepares[author].choice;
    memcpy(message.signature, heard->prepares[author].signature, ED25519_SIGNATURE_BYTES);
  } else {
    memcpy(message.choice.digest, heard->signs[author].digest, DIGEST_BYTES);
    memcpy(message.signature, heard->signs[author].signature, ED25519_SIGNATURE_BYTES);
  }
  agreement_send(m, to, &message);
}

static void send_timeout(struct agreement *m, uint8_t to, const struct heard_timeout *heard) {
  struct agreement_message message = {.kind = AGREEMENT_TIMEOUT, .epoch = m->ballot.epoch, .view = heard->view, .lock = heard->lock};
  message.author = heard->timeout.author;
  memcpy(message.signature, heard->timeout.signature, ED25519_SIGNATURE_BYTES);
  agreement_send(m, to, &message);
}

/* What a peer in our view lacks of it, from whomever we have it. */
static void send_view(struct agreement *m, uint8_t to, const struct agreement_holdings *theirs) {
  const struct heard_view *heard = agreement_view(m, m->ballot.view);
  if (heard->has_proposal && !theirs->proposal) agreement_send(m, to, &heard->proposal);
  for (uint32_t i = 0; i < m->members.n; i++) {
    if (heard->prepared >> i & ~(theirs->prepares >> i) & 1) send_heard(m, to, heard, i, true);
    if (heard->signed_by >> i & ~(theirs->signs >> i) & 1) send_heard(m, to, heard, i, false);
    const struct heard_timeout *timeout = &m->timeouts[i];
    if (timeout->present && timeout->view >= heard->view && !(theirs->timeouts >> i & 1)) send_timeout(m, to, timeout);
  }
}

static void send_entry(struct agreement *m, uint8_t to) {
  const struct heard_view *heard = agreement_view(m, m->ballot.view);
  if (heard->has_proposal) { /* it shows the same, and more */
    agreement_send(m, to, &heard->proposal);
    return;
  }
  struct agreement_message message = {.kind = AGREEMENT_ENTER, .epoch = m->ballot.epoch, .view = m->ballot.view, .entry = m->ballot.entry};
  agreement_send(m, to, &message);
}

void agreement_answer_status(struct agreement *m, instant now, const struct agreement_message *status) {
  uint8_t peer = status->author;
  const struct agreement_ballot *ballot = &m->ballot;
  bool peer_is_ahead = status->epoch > ballot->epoch || (status->epoch == ballot->epoch && status->view > ballot->view);
  if (peer_is_ahead) agreement_ask(m, now, peer);
  if (status->epoch > ballot->epoch || now < m->peers[peer].answer_at) return;
  m->peers[peer].answer_at = instant_after(now, agreement_status_period(m) / 4);
  if (status->epoch <= m->certificate.epoch) {
    send_certificate(m, peer);
  } else if (status->epoch == ballot->epoch) {
    send_faults(m, peer, status->holdings.faults);
    send_votes(m, peer, &status->holdings);
    if (status->view < ballot->view) send_entry(m, peer);
    if (status->view == ballot->view) send_view(m, peer, &status->holdings);
  }
}
