/* The agreement's rules, each tried until none applies: specs/agreement.md [AGREE-8] to [AGREE-18], [AGREE-23], [AGREE-27]. */
#include "directory/agreement_check.h"
#include "directory/agreement_state.h"

static uint32_t count_bits(uint32_t bits) { return (uint32_t)__builtin_popcount(bits); }

static struct agreement_message new_message(const struct agreement *m, enum agreement_kind kind, uint32_t view) {
  return (struct agreement_message){.kind = kind, .epoch = m->ballot.epoch, .view = view, .author = m->own};
}

void agreement_say(struct agreement *m, instant now, struct agreement_message *message) {
  agreement_message_sign(&m->members, message, m->seed->bytes);
  agreement_send(m, AGREEMENT_EVERYONE, message);
  agreement_store(m, now, message);
}

static bool holds(const struct agreement *m, const struct agreement_vote *vote) {
  return m->tally.holds(m->tally.context, m->ballot.epoch, m->ballot.previous, vote);
}

static bool holds_all(const struct agreement *m, const struct agreement_vector *vector) {
  for (uint32_t i = 0; i < vector->count; i++) {
    if (!holds(m, &vector->votes[i])) return false;
  }
  return true;
}

static enum outcome count_votes(const struct agreement *m, const struct agreement_vector *vector, struct agreement_result *ret) {
  return m->tally.count(m->tally.context, m->ballot.epoch, m->ballot.previous, vector, ret);
}

/* [AGREE-9] Own tally gives the digest; asked once per proposal, when every vote it names is here. */
static bool tally_agrees(const struct agreement *m, struct heard_view *heard) {
  if (heard->tally == TALLY_NOT_YET && holds_all(m, &heard->proposal.vector)) {
    struct agreement_result result;
    bool agrees = count_votes(m, &heard->proposal.vector, &result) == OUTCOME_OK &&
                  memcmp(result.digest, heard->proposal.choice.digest, DIGEST_BYTES) == 0;
    heard->tally = agrees ? TALLY_AGREES : TALLY_DIFFERS;
    if (agrees) heard->valid_after = result.valid_after;
  }
  return heard->tally == TALLY_AGREES;
}

bool agreement_find_decided(struct agreement *m, struct agreement_vector *ret_vector, struct date *ret_valid_after) {
  if (m->certificate.epoch != m->ballot.epoch) return false;
  for (uint32_t i = 0; i < AGREEMENT_VIEWS_KEPT; i++) {
    struct heard_view *heard = &m->views[i];
    if (!heard->used || !heard->has_proposal || memcmp(heard->proposal.choice.digest, m->certificate.digest, DIGEST_BYTES) != 0) continue;
    if (!tally_agrees(m, heard)) continue;
    *ret_vector = heard->proposal.vector;
    *ret_valid_after = heard->valid_after;
    return true;
  }
  /* After a restart the record's lock is all that is left of the proposal. */
  const struct agreement_lock *lock = &m->ballot.lock;
  struct agreement_result result;
  if (!lock->name.present || memcmp(lock->name.choice.digest, m->certificate.digest, DIGEST_BYTES) != 0) return false;
  if (!holds_all(m, &lock->vector) || count_votes(m, &lock->vector, &result) != OUTCOME_OK) return false;
  if (memcmp(result.digest, m->certificate.digest, DIGEST_BYTES) != 0) return false;
  *ret_vector = lock->vector;
  *ret_valid_after = result.valid_after;
  return true;
}

/* Views */

static void start_view(struct agreement *m, instant now) {
  m->view_ends = instant_after(now, agreement_view_length(m));
  m->propose_at = INSTANT_NEVER;
  m->is_late = false;
}

/* [AGREE-3] Another round's vote when the last one is old, or its document is gone. */
static void want_vote_again(struct agreement *m, instant now) {
  const struct heard_vote *own = &m->votes[m->own];
  bool is_old = now - m->vote_made_at >= m->timing.interval;
  bool is_missing = m->ballot.vote_next == 0 || !own->present || !holds(m, &own->vote);
  if (agreement_may_speak(m) && (is_old || is_missing)) m->wants_vote = true;
}

void agreement_enter_view(struct agreement *m, instant now, uint32_t view, const struct agreement_entry *entry) {
  assert(view > m->ballot.view);
  struct agreement_entry copy = *entry; /* it may be the record's own */
  m->ballot.view = view;
  m->ballot.entry = copy;
  m->ballot.open = true;
  m->has_refused = false;
  start_view(m, now);
  if (!copy.lock.name.present) want_vote_again(m, now);
}

static void open_epoch(struct agreement *m, instant now) {
  m->ballot.open = true;
  m->opened_at = now;
  m->status_at = instant_after(now, agreement_status_period(m));
  start_view(m, now);
  if (agreement_may_speak(m)) m->wants_vote = m->ballot.vote_next == 0;
}

static bool rule_open(struct agreement *m, instant now) {
  /* [AGREE-27] f + 1 that have opened it: at least one of them is honest and had a reason. */
  bool others = count_bits(m->heard) >= m->members.f + 1;
  if (m->ballot.open || (now < m->opens_at && !others)) return false;
  open_epoch(m, now);
  return true;
}

static void say_timeout(struct agreement *m, instant now, uint32_t view) {
  m->ballot.timeout_next = view + 1;
  agreement_ballot_changed(m);
  struct agreement_message message = new_message(m, AGREEMENT_TIMEOUT, view);
  message.lock = m->ballot.lock;
  agreement_say(m, now, &message);
}

static bool rule_time_out(struct agreement *m, instant now) {
  if (now < m->view_ends) return false;
  m->view_ends = INSTANT_NEVER;
  if (agreement_may_speak(m) && m->ballot.timeout_next <= m->ballot.view) say_timeout(m, now, m->ballot.view);
  return true;
}

/* [AGREE-13] f + 1 TIMEOUTs of later views, or of this one: one of them is honest, so we join the lowest of these views. */
static bool rule_join(struct agreement *m, instant now) {
  uint32_t views[LIMIT_AUTHORITIES], count = 0;
  for (uint32_t i = 0; i < m->members.n; i++) {
    if (!m->timeouts[i].present || m->timeouts[i].view < m->ballot.view) continue;
    uint32_t at = count++;
    for (; at > 0 && views[at - 1] < m->timeouts[i].view; at--) views[at] = views[at - 1];
    views[at] = m->timeouts[i].view;
  }
  if (count <= m->members.f || !agreement_may_speak(m)) return false;
  uint32_t view = views[m->members.f];
  if (m->ballot.timeout_next > view) return false;
  say_timeout(m, now, view);
  return true;
}

static void make_entry(const struct agreement *m, uint32_t view, struct agreement_entry *ret) {
  *ret = (struct agreement_entry){0};
  for (uint32_t i = 0; i < m->members.n; i++) {
    const struct heard_timeout *heard = &m->timeouts[i];
    if (!heard->present || heard->view != view) continue;
    ret->timeouts[ret->count++] = heard->timeout;
    const struct agreement_lock_name *highest = &ret->lock.name;
    if (heard->lock.name.present && (!highest->present || heard->lock.name.view > highest->view)) ret->lock = heard->lock;
  }
}

/* [AGREE-12] q TIMEOUTs of one view open the next. */
static bool rule_enter(struct agreement *m, instant now) {
  for (uint32_t i = 0; i < m->members.n; i++) {
    uint32_t view = m->timeouts[i].view, count = 0;
    if (!m->timeouts[i].present || view < m->ballot.view) continue;
    for (uint32_t k = 0; k < m->members.n; k++) count += m->timeouts[k].present && m->timeouts[k].view == view;
    if (count < m->members.q) continue;
    struct agreement_entry entry;
    make_entry(m, view, &entry);
    agreement_enter_view(m, now, view + 1, &entry);
    return true;
  }
  return false;
}

/* Proposals */

/* [AGREE-16] The newest held vote of everyone, or of everyone who is not accused. Returns how many such authors there are. */
static uint32_t gather_votes(const struct agreement *m, bool with_accused, struct agreement_vector *ret) {
  uint32_t authors = 0;
  ret->count = 0;
  for (uint32_t i = 0; i < m->members.n; i++) {
    const struct heard_vote *heard = &m->votes[i];
    if (!with_accused && agreement_is_accused(m, (uint8_t)i)) continue;
    authors++;
    if (heard->present && holds(m, &heard->vote)) ret->votes[ret->count++] = heard->vote;
  }
  return authors;
}

static bool choose_freely(struct agreement *m, instant now, struct agreement_message *message, struct agreement_result *ret) {
  uint32_t least = m->members.n - m->members.f, authors = gather_votes(m, false, &message->vector);
  /* [AGREE-25] Better the vote of somebody who lied once than none at all. */
  if (message->vector.count < least) authors = gather_votes(m, true, &message->vector);
  if (message->vector.count < least) return false;
  if (message->vector.count < authors && !m->is_late) {
    /* [AGREE-16] n - f are enough, but who is merely slow gets a moment from there. */
    if (m->propose_at == INSTANT_NEVER) m->propose_at = instant_after(now, m->timing.view_first / 4);
    return false;
  }
  agreement_vector_hash(&message->vector, message->choice.vector);
  if (m->has_refused && memcmp(m->refused_vector, message->choice.vector, DIGEST_BYTES) == 0) return false;
  if (count_votes(m, &message->vector, ret) == OUTCOME_OK) {
    memcpy(message->choice.digest, ret->digest, DIGEST_BYTES);
    return true;
  }
  m->has_refused = true;
  memcpy(m->refused_vector, message->choice.vector, DIGEST_BYTES);
  return false;
}

static bool names_author(const struct agreement_vector *vector, uint8_t author) {
  for (uint32_t i = 0; i < vector->count; i++)
    if (vector->votes[i].author == author) return true;
  return false;
}

static bool rule_propose(struct agreement *m, instant now) {
  const struct agreement_ballot *ballot = &m->ballot;
  uint32_t view = ballot->view;
  if (agreement_leader(m, view) != m->own || !agreement_may_speak(m)) return false;
  if (ballot->proposed_next > view || ballot->prepared_next > view || ballot->timeout_next > view) return false;
  struct agreement_message message = new_message(m, AGREEMENT_PROPOSE, view);
  struct agreement_result result = {0};
  bool is_free = view == 0 || !ballot->entry.lock.name.present;
  if (view > 0) message.entry = ballot->entry;
  if (!is_free) {
    /* [AGREE-17] The vector of the highest lock, again. */
    message.vector = ballot->entry.lock.vector;
    message.choice = ballot->entry.lock.name.choice;
  } else if (!choose_freely(m, now, &message, &result)) {
    return false;
  }
  for (uint32_t i = 0; i < ballot->faults.count; i++) {
    uint8_t author = ballot->faults.list[i].author;
    if (agreement_is_accused(m, author) && !(is_free && names_author(&message.vector, author))) message.faults.list[message.faults.count++] = ballot->faults.list[i];
  }
  m->ballot.proposed_next = view + 1;
  agreement_ballot_changed(m);
  agreement_say(m, now, &message);
  if (is_free) {
    struct heard_view *heard = agreement_view(m, view);
    heard->tally = TALLY_AGREES;
    heard->valid_after = result.valid_after;
  }
  return true;
}

/* [AGREE-9], [AGREE-18] Once per view, and not after TIMEOUT. */
static bool rule_prepare(struct agreement *m, instant now) {
  uint32_t view = m->ballot.view;
  struct heard_view *heard = agreement_view(m, view);
  if (!heard->has_proposal || m->ballot.prepared_next > view || m->ballot.timeout_next > view) return false;
  if (!agreement_may_speak(m) || !tally_agrees(m, heard)) return false;
  m->ballot.prepared_next = view + 1;
  m->ballot.prepared = heard->proposal.choice;
  agreement_ballot_changed(m);
  struct agreement_message message = new_message(m, AGREEMENT_PREPARE, view);
  message.choice = heard->proposal.choice;
  agreement_say(m, now, &message);
  return true;
}

static void make_lock(const struct agreement *m, const struct heard_view *heard, struct agreement_lock *ret) {
  *ret = (struct agreement_lock){.name = {.present = true, .view = heard->view, .choice = heard->proposal.choice}};
  ret->vector = heard->proposal.vector;
  for (uint32_t i = 0; i < m->members.n && ret->prepares.count < m->members.q; i++) {
    if (!(heard->prepared >> i & 1) || !agreement_choice_equal(&heard->prepares[i].choice, &ret->name.choice)) continue;
    struct agreement_signature *signature = &ret->prepares.list[ret->prepares.count++];
    signature->author = (uint8_t)i;
    memcpy(signature->bytes, heard->prepares[i].signature, ED25519_SIGNATURE_BYTES);
  }
}

static bool names_vote(const struct agreement_vector *vector, const uint8_t hash[DIGEST_BYTES]) {
  for (uint32_t i = 0; i < vector->count; i++)
    if (memcmp(vector->votes[i].hash, hash, DIGEST_BYTES) == 0) return true;
  return false;
}

bool agreement_needs_vote(const struct agreement *m, const uint8_t hash[DIGEST_BYTES]) {
  const struct heard_view *heard = &m->views[m->ballot.view % AGREEMENT_VIEWS_KEPT];
  bool is_proposed = heard->used && heard->view == m->ballot.view && heard->has_proposal && names_vote(&heard->proposal.vector, hash);
  return is_proposed || names_vote(&m->ballot.lock.vector, hash) || names_vote(&m->ballot.entry.lock.vector, hash);
}

/* [AGREE-10], [AGREE-18] q PREPAREs become the lock, and SIGN says so: one change of the record for both. Who is bound to a proposal can
 * show its votes. */
static bool rule_sign(struct agreement *m, instant now) {
  uint32_t view = m->ballot.view;
  struct heard_view *heard = agreement_view(m, view);
  bool has_signed = m->ballot.lock.name.present && m->ballot.lock.name.view >= view;
  if (!heard->has_proposal || has_signed || m->ballot.timeout_next > view || !agreement_may_speak(m)) return false;
  struct agreement_lock lock;
  make_lock(m, heard, &lock);
  if (lock.prepares.count < m->members.q || !tally_agrees(m, heard)) return false;
  m->ballot.lock = lock;
  agreement_ballot_changed(m);
  struct agreement_message message = new_message(m, AGREEMENT_SIGN, view);
  memcpy(message.choice.digest, lock.name.choice.digest, DIGEST_BYTES);
  agreement_say(m, now, &message);
  return true;
}

/* [AGREE-15] q SIGNs of one view. */
static bool certify_view(struct agreement *m, const struct heard_view *heard, struct agreement_certificate *ret) {
  for (uint32_t i = 0; i < m->members.n; i++) {
    if (!(heard->signed_by >> i & 1)) continue;
    *ret = (struct agreement_certificate){.epoch = m->ballot.epoch, .view = heard->view};
    memcpy(ret->digest, heard->signs[i].digest, DIGEST_BYTES);
    for (uint32_t k = 0; k < m->members.n; k++) {
      if (!(heard->signed_by >> k & 1) || memcmp(heard->signs[k].digest, ret->digest, DIGEST_BYTES) != 0) continue;
      struct agreement_signature *signature = &ret->signs.list[ret->signs.count++];
      signature->author = (uint8_t)k;
      memcpy(signature->bytes, heard->signs[k].signature, ED25519_SIGNATURE_BYTES);
    }
    if (ret->signs.count >= m->members.q) return true;
  }
  return false;
}

static bool rule_certify(struct agreement *m) {
  for (uint32_t i = 0; i < AGREEMENT_VIEWS_KEPT; i++) {
    struct agreement_certificate certificate;
    if (!m->views[i].used || !certify_view(m, &m->views[i], &certificate)) continue;
    agreement_note_certificate(m, &certificate, AGREEMENT_EVERYONE);
    struct agreement_message message = {.kind = AGREEMENT_CERTIFICATE, .epoch = certificate.epoch, .view = certificate.view};
    memcpy(message.choice.digest, certificate.digest, DIGEST_BYTES);
    message.signs = certificate.signs;
    agreement_send(m, AGREEMENT_EVERYONE, &message);
    return true;
  }
  return false;
}

/* Missing documents, asked for again and again at the pace of STATUS, so that a liar's hashes cost little. */
static void fetch_missing(struct agreement *m, instant now) {
  instant again = instant_after(now, agreement_status_period(m));
  for (uint32_t i = 0; i < m->members.n; i++) {
    struct heard_vote *heard = &m->votes[i];
    if (i == m->own || !heard->present || now < heard->fetch_at || holds(m, &heard->vote)) continue;
    heard->fetch_at = again;
    agreement_fetch(m, (uint8_t)i, heard->vote.hash);
  }
  struct heard_view *heard = agreement_view(m, m->ballot.view);
  if (!heard->has_proposal || heard->tally != TALLY_NOT_YET || now < heard->fetch_at) return;
  heard->fetch_at = again;
  for (uint32_t i = 0; i < heard->proposal.vector.count; i++) {
    const struct agreement_vote *vote = &heard->proposal.vector.votes[i];
    /* First from the leader, who should have it; then from anyone, since f + 1 honest ones hold what a lock names. */
    if (!holds(m, vote)) agreement_fetch(m, heard->is_fetching ? AGREEMENT_EVERYONE : heard->proposal.author, vote->hash);
  }
  heard->is_fetching = true;
}

static bool apply_rule(struct agreement *m, instant now) {
  return rule_open(m, now) || rule_certify(m) || rule_enter(m, now) || rule_join(m, now) ||
         (m->ballot.open && (rule_time_out(m, now) || rule_propose(m, now) || rule_prepare(m, now) || rule_sign(m, now)));
}

void agreement_advance(struct agreement *m, instant now) {
  /* Each rule uses up what it needs (a view, a first message, a certificate), so this ends. */
  while (!agreement_is_over(m) && apply_rule(m, now)) continue;
  if (!agreement_is_over(m)) fetch_missing(m, now);
  else if (m->announce_at == INSTANT_NEVER) m->announce_at = instant_after(now, m->timing.view_first / 2);
}

void agreement_say_again(struct agreement *m, instant now) {
  /* [AGREE-21] */
  const struct agreement_ballot *ballot = &m->ballot;
  if (!ballot->open || !agreement_may_speak(m)) return;
  start_view(m, now);
  m->wants_vote = ballot->vote_next == 0;
  if (ballot->vote_next > 0) {
    struct agreement_message vote = new_message(m, AGREEMENT_VOTE, ballot->vote_next - 1);
    memcpy(vote.previous, ballot->previous, DIGEST_BYTES);
    memcpy(vote.hash, ballot->vote_hash, DIGEST_BYTES);
    agreement_say(m, now, &vote);
    m->vote_made_at = now;
    want_vote_again(m, now);
  }
  if (ballot->prepared_next == ballot->view + 1) {
    struct agreement_message prepare = new_message(m, AGREEMENT_PREPARE, ballot->view);
    prepare.choice = ballot->prepared;
    agreement_say(m, now, &prepare);
  }
  if (ballot->lock.name.present && ballot->lock.name.view == ballot->view) {
    struct agreement_message sign = new_message(m, AGREEMENT_SIGN, ballot->view);
    memcpy(sign.choice.digest, ballot->lock.name.choice.digest, DIGEST_BYTES);
    agreement_say(m, now, &sign);
  }
  if (ballot->timeout_next > ballot->view) {
    struct agreement_message timeout = new_message(m, AGREEMENT_TIMEOUT, ballot->timeout_next - 1);
    timeout.lock = ballot->lock;
    agreement_say(m, now, &timeout);
  }
}
