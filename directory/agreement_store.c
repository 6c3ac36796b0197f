/* What authorities say, checked and kept: specs/agreement.md [AGREE-8] to [AGREE-16], [AGREE-24], [AGREE-31]. */
#include "directory/agreement_check.h"
#include "directory/agreement_state.h"

struct heard_view *agreement_view(struct agreement *m, uint32_t view) {
  /* [AGREE-31] The view before ours, ours, and two ahead: exactly as many as there are places. */
  uint64_t lowest = m->ballot.view > 0 ? m->ballot.view - 1 : 0;
  if (view < lowest || view >= lowest + AGREEMENT_VIEWS_KEPT) return NULL;
  struct heard_view *heard = &m->views[view % AGREEMENT_VIEWS_KEPT];
  if (!heard->used || heard->view != view) {
    memset(heard, 0, sizeof *heard);
    heard->used = true;
    heard->view = view;
  }
  return heard;
}

bool agreement_is_accused(const struct agreement *m, uint8_t author) {
  /* [AGREE-25] */
  for (uint32_t i = 0; i < m->ballot.faults.count; i++) {
    const struct agreement_fault *fault = &m->ballot.faults.list[i];
    if (fault->author == author) return fault->epoch + AGREEMENT_FAULT_EPOCHS >= m->ballot.epoch;
  }
  return false;
}

static bool fault_is_current(const struct agreement *m, const struct agreement_fault *fault) {
  return fault->epoch <= m->ballot.epoch && m->ballot.epoch - fault->epoch <= AGREEMENT_FAULT_EPOCHS;
}

void agreement_note_fault(struct agreement *m, const struct agreement_fault *fault) {
  struct agreement_faults *faults = &m->ballot.faults;
  uint32_t at = 0;
  while (at < faults->count && faults->list[at].author < fault->author) at++;
  bool is_known = at < faults->count && faults->list[at].author == fault->author;
  if (is_known && faults->list[at].epoch >= fault->epoch) return;
  if (!is_known) {
    memmove(&faults->list[at + 1], &faults->list[at], (faults->count - at) * sizeof faults->list[0]);
    faults->count++;
  }
  faults->list[at] = *fault;
  m->accuse |= UINT32_C(1) << fault->author;
  trace_write(m->trace, TRACE_WARNING, "agreement", "authority %u voted two ways in epoch %llu", (unsigned)fault->author,
              (unsigned long long)fault->epoch);
  agreement_ballot_changed(m);
  struct agreement_message message = {.kind = AGREEMENT_FAULT, .epoch = fault->epoch, .faults = {.count = 1}};
  message.faults.list[0] = *fault;
  agreement_send(m, AGREEMENT_EVERYONE, &message);
}

/* [AGREE-24] Two votes of one round that differ are the proof. */
static void compare_votes(struct agreement *m, const struct agreement_vote *a, const struct agreement_vote *b) {
  int order = memcmp(a->hash, b->hash, DIGEST_BYTES);
  if (a->round != b->round || order == 0) return;
  const struct agreement_vote *votes[2] = {order < 0 ? a : b, order < 0 ? b : a};
  struct agreement_fault fault = {.author = a->author, .epoch = m->ballot.epoch, .round = a->round};
  memcpy(fault.previous, m->ballot.previous, sizeof fault.previous);
  for (int k = 0; k < 2; k++) {
    memcpy(fault.votes[k].hash, votes[k]->hash, DIGEST_BYTES);
    memcpy(fault.votes[k].signature, votes[k]->signature, ED25519_SIGNATURE_BYTES);
  }
  agreement_note_fault(m, &fault);
}

static void note_vote(struct agreement *m, const struct agreement_vote *vote) {
  struct heard_vote *heard = &m->votes[vote->author];
  if (heard->present) compare_votes(m, &heard->vote, vote);
  if (heard->present && vote->round <= heard->vote.round) return;
  /* [AGREE-31] Its document is asked for no sooner than that of the round before would be again. */
  *heard = (struct heard_vote){.present = true, .vote = *vote, .fetch_at = heard->fetch_at};
}

void agreement_note_certificate(struct agreement *m, const struct agreement_certificate *certificate, uint8_t from) {
  if (certificate->epoch <= m->certificate.epoch) return;
  m->certificate = *certificate;
  m->certificate_from = from;
  m->certificate_version = m->version;
  m->is_announced = false;
}

/* A lock that was proven here already needs no proof again: TIMEOUTs mostly repeat one. NULL: none of that name. */
static const struct agreement_lock *find_lock(const struct agreement *m, const struct agreement_lock_name *name) {
  const struct agreement_lock *known[LIMIT_AUTHORITIES + 2] = {&m->ballot.lock, &m->ballot.entry.lock};
  uint32_t count = 2;
  for (uint32_t i = 0; i < m->members.n; i++) {
    if (m->timeouts[i].present) known[count++] = &m->timeouts[i].lock;
  }
  for (uint32_t i = 0; i < count; i++) {
    const struct agreement_lock_name *candidate = &known[i]->name;
    if (candidate->present && candidate->view == name->view && agreement_choice_equal(&candidate->choice, &name->choice)) return known[i];
  }
  return NULL;
}

/* Whether it could change anything, from what costs nothing to see. OK, STALE or PROTOCOL_VIOLATION. */
static enum outcome check_place(struct agreement *m, const struct agreement_message *message) {
  struct heard_view *heard = agreement_view(m, message->view);
  uint32_t bit = UINT32_C(1) << message->author;
  bool is_new = true;
  switch (message->kind) {
  case AGREEMENT_VOTE: {
    const struct heard_vote *vote = &m->votes[message->author];
    if (memcmp(message->previous, m->ballot.previous, DIGEST_BYTES) != 0) return OUTCOME_PROTOCOL_VIOLATION;
    is_new = !vote->present || message->view > vote->vote.round;
    /* [AGREE-24] Another one of the same round is a proof; a third proves nothing more. */
    bool differs = vote->present && message->view == vote->vote.round && memcmp(vote->vote.hash, message->hash, DIGEST_BYTES) != 0;
    if (differs && !agreement_is_accused(m, message->author)) is_new = true;
    break;
  }
  case AGREEMENT_PROPOSE:
    if (message->author != agreement_leader(m, message->view)) return OUTCOME_PROTOCOL_VIOLATION;
    is_new = message->view >= m->ballot.view && !(heard && (heard->has_proposal || heard->is_spoiled));
    break;
  case AGREEMENT_PREPARE: is_new = heard && !(heard->prepared & bit); break;
  case AGREEMENT_SIGN: is_new = heard && !(heard->signed_by & bit); break;
  case AGREEMENT_TIMEOUT:
    is_new = message->view >= m->ballot.view && !(m->timeouts[message->author].present && m->timeouts[message->author].view >= message->view);
    break;
  case AGREEMENT_ENTER: is_new = message->view > m->ballot.view; break;
  case AGREEMENT_FAULT:
    is_new = fault_is_current(m, &message->faults.list[0]) && !agreement_is_accused(m, message->faults.list[0].author);
    break;
  case AGREEMENT_STATUS:
  case AGREEMENT_CERTIFICATE: break;
  }
  return is_new ? OUTCOME_OK : OUTCOME_STALE;
}

static enum outcome check_faults(const struct agreement *m, const struct agreement_message *message) {
  for (uint32_t i = 0; i < message->faults.count; i++) {
    const struct agreement_fault *fault = &message->faults.list[i];
    if (!fault_is_current(m, fault)) return OUTCOME_PROTOCOL_VIOLATION;
    enum outcome outcome = agreement_fault_check(&m->members, fault);
    if (outcome != OUTCOME_OK) return outcome;
  }
  return OUTCOME_OK;
}

static bool vector_names_accused(const struct agreement_message *message) {
  for (uint32_t i = 0; i < message->faults.count; i++) {
    for (uint32_t k = 0; k < message->vector.count; k++) {
      if (message->vector.votes[k].author == message->faults.list[i].author) return true;
    }
  }
  return false;
}

/* [AGREE-8], [AGREE-16] */
static enum outcome check_proposal(const struct agreement *m, const struct agreement_message *message) {
  const struct agreement_lock_name *lock = &message->entry.lock.name;
  enum outcome outcome;
  if (message->view > 0) {
    outcome = agreement_entry_check(&m->members, message->epoch, m->ballot.previous, message->view, &message->entry);
    if (outcome != OUTCOME_OK) return outcome;
  }
  if (lock->present) {
    /* [AGREE-17] A lock is proposed again, whatever is known against its voters by now. */
    if (!agreement_choice_equal(&lock->choice, &message->choice)) return OUTCOME_PROTOCOL_VIOLATION;
  } else {
    outcome = agreement_vector_check(&m->members, message->epoch, m->ballot.previous, &message->vector);
    if (outcome != OUTCOME_OK) return outcome;
    if (vector_names_accused(message)) return OUTCOME_PROTOCOL_VIOLATION;
  }
  return check_faults(m, message);
}

static enum outcome check_timeout(const struct agreement *m, struct agreement_message *message) {
  if (!message->lock.name.present) return OUTCOME_OK;
  if (message->lock.name.view > message->view) return OUTCOME_PROTOCOL_VIOLATION;
  const struct agreement_lock *known = find_lock(m, &message->lock.name);
  if (known) {
    message->lock = *known;
    return OUTCOME_OK;
  }
  return agreement_lock_check(&m->members, message->epoch, m->ballot.previous, message->view, &message->lock);
}

enum outcome agreement_check(struct agreement *m, struct agreement_message *message) {
  enum outcome outcome = check_place(m, message);
  if (outcome != OUTCOME_OK) return outcome;
  switch (message->kind) {
  case AGREEMENT_ENTER:
    return agreement_entry_check(&m->members, message->epoch, m->ballot.previous, message->view, &message->entry);
  case AGREEMENT_FAULT: return agreement_fault_check(&m->members, &message->faults.list[0]);
  case AGREEMENT_VOTE:
  case AGREEMENT_PROPOSE:
  case AGREEMENT_PREPARE:
  case AGREEMENT_SIGN:
  case AGREEMENT_TIMEOUT:
  case AGREEMENT_STATUS:
  case AGREEMENT_CERTIFICATE: break;
  }
  if (!agreement_message_is_signed(&m->members, message)) return OUTCOME_BAD_SIGNATURE;
  if (message->kind == AGREEMENT_TIMEOUT) return check_timeout(m, message);
  if (message->kind != AGREEMENT_PROPOSE) return OUTCOME_OK;
  outcome = check_proposal(m, message);
  struct heard_view *heard = agreement_view(m, message->view);
  if (outcome != OUTCOME_OK && heard) heard->is_spoiled = true; /* the leader signed all of it: no second try */
  return outcome;
}

static void store_proposal(struct agreement *m, instant now, const struct agreement_message *message) {
  for (uint32_t i = 0; i < message->faults.count; i++) agreement_note_fault(m, &message->faults.list[i]);
  for (uint32_t i = 0; i < message->vector.count; i++) note_vote(m, &message->vector.votes[i]);
  /* [AGREE-12] It shows why its view is open. */
  if (message->view > m->ballot.view) agreement_enter_view(m, now, message->view, &message->entry);
  struct heard_view *heard = agreement_view(m, message->view);
  heard->has_proposal = true;
  heard->proposal = *message;
}

static void store_timeout(struct agreement *m, const struct agreement_message *message) {
  struct heard_timeout *heard = &m->timeouts[message->author];
  heard->present = true;
  heard->view = message->view;
  heard->timeout = (struct agreement_timeout){.author = message->author, .lock = message->lock.name};
  memcpy(heard->timeout.signature, message->signature, ED25519_SIGNATURE_BYTES);
  heard->lock = message->lock;
}

static void store_vote(struct agreement *m, const struct agreement_message *message) {
  struct agreement_vote vote = {.author = message->author, .round = message->view};
  memcpy(vote.hash, message->hash, sizeof vote.hash);
  memcpy(vote.signature, message->signature, sizeof vote.signature);
  note_vote(m, &vote);
}

void agreement_store(struct agreement *m, instant now, const struct agreement_message *message) {
  struct heard_view *heard = agreement_view(m, message->view);
  uint32_t bit = UINT32_C(1) << message->author;
  switch (message->kind) {
  case AGREEMENT_VOTE: store_vote(m, message); break;
  case AGREEMENT_PROPOSE: store_proposal(m, now, message); break;
  case AGREEMENT_PREPARE:
    if (!heard) return;
    heard->prepared |= bit;
    heard->prepares[message->author].choice = message->choice;
    memcpy(heard->prepares[message->author].signature, message->signature, ED25519_SIGNATURE_BYTES);
    break;
  case AGREEMENT_SIGN:
    if (!heard) return;
    heard->signed_by |= bit;
    memcpy(heard->signs[message->author].digest, message->choice.digest, DIGEST_BYTES);
    memcpy(heard->signs[message->author].signature, message->signature, ED25519_SIGNATURE_BYTES);
    break;
  case AGREEMENT_TIMEOUT: store_timeout(m, message); break;
  case AGREEMENT_ENTER: agreement_enter_view(m, now, message->view, &message->entry); return;
  case AGREEMENT_FAULT: agreement_note_fault(m, &message->faults.list[0]); return;
  case AGREEMENT_STATUS:
  case AGREEMENT_CERTIFICATE: return;
  }
  m->heard |= bit; /* [AGREE-27] its author has opened this epoch */
}
