/* The authorities' agreement: one authority's machine. specs/agreement.md [AGREE-*]. */
#include "directory/agreement.h"

#include <stdlib.h>

#include "directory/agreement_check.h"
#include "directory/agreement_state.h"

bool agreement_may_speak(const struct agreement *m) { return m->ballot.epoch >= m->ballot.silent_before; }

bool agreement_is_over(const struct agreement *m) { return m->certificate.epoch >= m->ballot.epoch; }

/* [AGREE-5] */
uint32_t agreement_leader(const struct agreement *m, uint32_t view) {
  return (uint32_t)((m->ballot.epoch % m->members.n + view % m->members.n) % m->members.n);
}

uint64_t agreement_view_length(const struct agreement *m) {
  /* [AGREE-4] Doubling, capped: uncapped, a flood of 12 h would end in a view of 8.5 h. */
  uint64_t length = m->timing.view_first;
  for (uint32_t i = 0; i < m->ballot.view && length < m->timing.view_most; i++) length *= 2;
  return length < m->timing.view_most ? length : m->timing.view_most;
}

/* [AGREE-14] It grows with the view, so what is lost in a flood is not asked for ever faster. */
uint64_t agreement_status_period(const struct agreement *m) { return agreement_view_length(m) / 8 + 1; }

void agreement_ballot_changed(struct agreement *m) { m->version++; }

/* [AGREE-26] */
static void plan_opening(struct agreement *m, instant now) {
  instant at = wall_clock_instant(&m->clock, now, date_after(m->valid_after, (int64_t)(m->timing.interval / MILLISECONDS)));
  /* A wall clock that was set back does not hold the epoch up for longer than one interval. */
  at = instant_earlier(at, instant_after(now, m->timing.interval));
  instant early = instant_after(m->opened_at, m->timing.early_gap);
  if (m->wants_early) at = instant_earlier(at, early > now ? early : now);
  m->opens_at = m->ballot.epoch == 1 ? now : at;
}

void agreement_begin_epoch(struct agreement *m, instant now, uint64_t epoch, const uint8_t previous[DIGEST_BYTES]) {
  agreement_ballot_begin(&m->ballot, epoch, previous);
  struct agreement_faults *faults = &m->ballot.faults;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < faults->count; i++) {
    if (faults->list[i].epoch + AGREEMENT_FAULT_EPOCHS >= epoch) faults->list[kept++] = faults->list[i];
  }
  faults->count = kept;
  memset(m->views, 0, sizeof m->views);
  memset(m->votes, 0, sizeof m->votes);
  memset(m->timeouts, 0, sizeof m->timeouts);
  m->heard = 0;
  m->has_refused = m->is_announced = m->wants_early = m->wants_vote = m->awaits_vote = false;
  m->view_ends = m->propose_at = m->announce_at = INSTANT_NEVER;
  m->status_at = instant_after(now, m->timing.view_first);
  plan_opening(m, now);
}

/* [AGREE-2] */
static void begin_fresh(struct agreement *m, const struct agreement_config *config, instant now) {
  if (config->decided.epoch > 0) agreement_begin_epoch(m, now, config->decided.epoch + 1, config->decided.digest);
  else agreement_begin_epoch(m, now, 1, config->genesis);
}

/* [AGREE-21], [AGREE-22] */
static enum outcome begin(struct agreement *m, const struct agreement_config *config, instant now) {
  enum outcome outcome = OUTCOME_OK;
  bool is_lost = config->ballot_state == AGREEMENT_BALLOT_LOST;
  if (config->ballot_state == AGREEMENT_BALLOT_READ) {
    outcome = agreement_ballot_decode(&m->members, m->own, config->ballot, config->ballot_len, &m->ballot);
    if (outcome == OUTCOME_WRONG_NETWORK) return outcome;
    bool is_past = m->ballot.epoch <= config->decided.epoch;
    /* A record of other members says who may not speak in which epoch, but its places mean nothing here. */
    bool is_foreign = outcome == OUTCOME_OK && m->ballot.serial != m->members.serial;
    if (is_foreign) m->ballot.faults.count = 0;
    is_lost = outcome != OUTCOME_OK || (is_foreign && !is_past);
    if (!is_lost && !is_past) {
      m->certificate = config->decided;
      /* Its consensus was on disk when this record was made, and no longer is. */
      if (config->decided.epoch + 1 < m->ballot.epoch) m->certificate = (struct agreement_certificate){0};
      m->status_at = now;
      plan_opening(m, now);
      return OUTCOME_OK;
    }
  }
  if (is_lost) m->ballot = (struct agreement_ballot){.silent_before = UINT64_MAX};
  begin_fresh(m, config, now);
  m->certificate = config->decided;
  m->status_at = now;
  return OUTCOME_OK;
}

struct agreement *agreement_new(const struct agreement_config *config, instant now, enum outcome *ret_outcome) {
  assert(config->own < config->members.n && config->timing.view_first > 0);
  struct agreement *m = calloc(1, sizeof *m);
  *ret_outcome = OUTCOME_NO_MEMORY;
  if (!m) return NULL;
  m->members = config->members;
  m->own = config->own;
  m->timing = config->timing;
  m->tally = config->tally;
  m->trace = config->trace;
  m->clock = config->clock;
  m->valid_after = config->decided_valid_after;
  m->opened_at = m->vote_made_at = now;
  m->view_ends = m->propose_at = m->announce_at = m->look_ends = INSTANT_NEVER;
  m->seed = guarded_key_new(config->seed);
  if (m->seed) *ret_outcome = begin(m, config, now);
  if (*ret_outcome != OUTCOME_OK) {
    agreement_free(m);
    return NULL;
  }
  agreement_begin_look(m, now, config->decided.epoch > 0);
  agreement_say_again(m, now);
  agreement_end_silence(m, now);
  agreement_advance(m, now);
  return m;
}

void agreement_free(struct agreement *m) {
  if (!m) return;
  agreement_outbox_wipe(m);
  guarded_key_free(m->seed);
  free(m);
}

/* Messages */

static enum outcome receive_certificate(struct agreement *m, uint8_t from, const struct agreement_message *message) {
  struct agreement_certificate certificate = {.epoch = message->epoch, .view = message->view, .signs = message->signs};
  memcpy(certificate.digest, message->choice.digest, DIGEST_BYTES);
  /* [AGREE-28] What is proven of the newest decided epoch must be what is known of it. */
  const uint8_t *known = NULL;
  if (certificate.epoch == m->certificate.epoch) known = m->certificate.digest;
  else if (certificate.epoch + 1 == m->ballot.epoch) known = m->ballot.previous;
  else if (certificate.epoch <= m->ballot.epoch - 1 || certificate.epoch < m->certificate.epoch) return OUTCOME_STALE;
  bool differs = known && memcmp(known, certificate.digest, DIGEST_BYTES) != 0;
  if (known && !differs && m->certificate.epoch >= certificate.epoch) return OUTCOME_STALE;
  enum outcome outcome = agreement_certificate_check(&m->members, &certificate);
  if (outcome != OUTCOME_OK) return outcome;
  if (differs) return OUTCOME_DIRECTORY_SPLIT;
  agreement_note_certificate(m, &certificate, from);
  return OUTCOME_OK;
}

static enum outcome receive_status(struct agreement *m, instant now, uint8_t from, const struct agreement_message *message) {
  if (message->author != from) return OUTCOME_PROTOCOL_VIOLATION; /* [AGREE-14] nobody speaks of another's state */
  if (!agreement_message_is_signed(&m->members, message)) return OUTCOME_BAD_SIGNATURE;
  agreement_note_report(m, message);
  agreement_answer_status(m, now, message);
  return OUTCOME_OK;
}

static enum outcome receive(struct agreement *m, instant now, uint8_t from, struct agreement_message *message) {
  if (message->kind == AGREEMENT_STATUS) return receive_status(m, now, from, message);
  if (message->kind == AGREEMENT_CERTIFICATE) return receive_certificate(m, from, message);
  if (message->kind != AGREEMENT_FAULT) {
    /* [AGREE-31] A later epoch proves nothing by itself: its sender is asked how it got there. */
    if (message->epoch > m->ballot.epoch) agreement_ask(m, now, from);
    if (message->epoch != m->ballot.epoch || agreement_is_over(m)) return OUTCOME_STALE;
    if (message->kind == AGREEMENT_TIMEOUT && message->view > m->ballot.view) agreement_ask(m, now, from);
  }
  enum outcome outcome = agreement_check(m, message);
  if (outcome == OUTCOME_OK) agreement_store(m, now, message);
  return outcome;
}

enum outcome agreement_receive(struct agreement *m, instant now, uint8_t from, const uint8_t *bytes, size_t len) {
  assert(from < m->members.n);
  struct agreement_message message;
  enum outcome outcome = agreement_message_decode(&m->members, bytes, len, &message);
  if (outcome == OUTCOME_OK) outcome = receive(m, now, from, &message);
  if (outcome != OUTCOME_OK) {
    m->refused++;
    return outcome;
  }
  agreement_end_silence(m, now);
  agreement_advance(m, now);
  return OUTCOME_OK;
}

void agreement_link_opened(struct agreement *m, instant now, uint8_t peer) {
  assert(peer < m->members.n);
  m->peers[peer].ask_at = m->peers[peer].answer_at = now;
  agreement_ask(m, now, peer);
}

/* Votes, the record, decisions */

enum outcome agreement_give_vote(struct agreement *m, instant now, uint64_t epoch, uint32_t round, const uint8_t hash[DIGEST_BYTES]) {
  struct agreement_ballot *ballot = &m->ballot;
  if (!m->awaits_vote || epoch != ballot->epoch || round != ballot->vote_next || agreement_is_over(m)) return OUTCOME_STALE;
  m->awaits_vote = false;
  /* [AGREE-3] One per round, which the record remembers. */
  ballot->vote_next = round + 1;
  memcpy(ballot->vote_hash, hash, DIGEST_BYTES);
  agreement_ballot_changed(m);
  struct agreement_message message = {.kind = AGREEMENT_VOTE, .epoch = epoch, .view = round, .author = m->own};
  memcpy(message.previous, ballot->previous, DIGEST_BYTES);
  memcpy(message.hash, hash, DIGEST_BYTES);
  agreement_say(m, now, &message);
  m->vote_made_at = now;
  agreement_advance(m, now);
  return OUTCOME_OK;
}

void agreement_vote_arrived(struct agreement *m, instant now) { agreement_advance(m, now); }

void agreement_ballot_written(struct agreement *m, instant now, uint64_t version) {
  (void)now;
  if (version == 0 || version != m->writing) return;
  m->written = version;
  m->writing = 0;
}

void agreement_ballot_failed(struct agreement *m, instant now, uint64_t version) {
  if (version == 0 || version != m->writing) return;
  m->writing = 0;
  m->write_is_held = true;
  m->status_at = instant_earlier(m->status_at, instant_after(now, agreement_status_period(m)));
}

enum outcome agreement_adopt_decided(struct agreement *m, instant now, const struct agreement_certificate *certificate, struct date valid_after) {
  if (certificate->epoch + 1 == m->ballot.epoch) {
    if (memcmp(certificate->digest, m->ballot.previous, DIGEST_BYTES) != 0) return OUTCOME_DIRECTORY_SPLIT;
    if (m->certificate.epoch < certificate->epoch) m->certificate = *certificate;
    m->valid_after = valid_after;
    return OUTCOME_STALE;
  }
  if (certificate->epoch < m->ballot.epoch) return OUTCOME_STALE;
  bool is_known = certificate->epoch == m->certificate.epoch;
  if (is_known && memcmp(certificate->digest, m->certificate.digest, DIGEST_BYTES) != 0) return OUTCOME_DIRECTORY_SPLIT;
  if (certificate->epoch > m->certificate.epoch) m->certificate = *certificate;
  m->valid_after = valid_after;
  agreement_begin_epoch(m, now, certificate->epoch + 1, certificate->digest);
  trace_write(m->trace, TRACE_NOTICE, "agreement", "epoch %llu decided in view %u", (unsigned long long)certificate->epoch,
              (unsigned)certificate->view);
  agreement_send_status(m, AGREEMENT_EVERYONE);
  agreement_end_silence(m, now);
  agreement_advance(m, now);
  return OUTCOME_OK;
}

void agreement_note_decided(struct agreement *m, const struct agreement_certificate *certificate) {
  if (certificate->epoch >= m->ballot.epoch) agreement_note_certificate(m, certificate, AGREEMENT_EVERYONE);
}

/* Time */

void agreement_want_early(struct agreement *m, instant now, bool wanted) {
  m->wants_early = wanted;
  if (!m->ballot.open) plan_opening(m, now);
  agreement_advance(m, now);
}

void agreement_set_clock(struct agreement *m, instant now, const struct wall_clock *clock) {
  m->clock = *clock;
  if (!m->ballot.open) plan_opening(m, now);
  agreement_advance(m, now);
}

instant agreement_deadline(const struct agreement *m) {
  instant at = m->members.n > 1 || m->write_is_held ? m->status_at : INSTANT_NEVER;
  at = instant_earlier(at, m->look_ends);
  if (agreement_is_over(m)) return instant_earlier(at, m->announce_at);
  if (!m->ballot.open) return instant_earlier(at, m->opens_at);
  bool may_propose = agreement_leader(m, m->ballot.view) == m->own && m->ballot.proposed_next <= m->ballot.view;
  if (may_propose) at = instant_earlier(at, m->propose_at);
  return instant_earlier(at, m->view_ends);
}

void agreement_tick(struct agreement *m, instant now) {
  if (now >= m->propose_at) {
    m->propose_at = INSTANT_NEVER;
    m->is_late = true;
  }
  if (now >= m->announce_at) {
    m->announce_at = INSTANT_NEVER;
    m->is_announced = false;
  }
  if (now >= m->look_ends) {
    m->look_ends = INSTANT_NEVER;
    m->has_looked = true;
    agreement_end_silence(m, now);
  }
  if (now >= m->status_at) {
    m->status_at = instant_after(now, m->ballot.open ? agreement_status_period(m) : m->timing.view_first);
    m->write_is_held = false;
    agreement_send_status(m, AGREEMENT_EVERYONE);
  }
  agreement_advance(m, now);
}

void agreement_summarise(const struct agreement *m, struct agreement_summary *ret) {
  *ret = (struct agreement_summary){.epoch = m->ballot.epoch, .decided_epoch = m->ballot.epoch - 1, .silent_before = m->ballot.silent_before};
  ret->view = m->ballot.view;
  ret->open = m->ballot.open;
  ret->silent = !agreement_may_speak(m);
  const struct heard_view *heard = &m->views[m->ballot.view % AGREEMENT_VIEWS_KEPT];
  bool is_heard = heard->used && heard->view == m->ballot.view;
  for (uint32_t i = 0; i < m->members.n; i++) {
    ret->votes += m->votes[i].present;
    ret->timeouts += m->timeouts[i].present && m->timeouts[i].view >= m->ballot.view;
    ret->prepares += is_heard && (heard->prepared >> i & 1);
    ret->signs += is_heard && (heard->signed_by >> i & 1);
    if (agreement_is_accused(m, (uint8_t)i)) ret->accused |= UINT32_C(1) << i;
  }
  ret->refused = m->refused;
  ret->dropped = m->dropped;
  ret->opens_at = m->ballot.open ? INSTANT_NEVER : m->opens_at;
}
