/* Who lost its record stays silent, and how that ends: specs/agreement.md [AGREE-22], [AGREE-32], [AGREE-33]. */
#include "directory/agreement_state.h"

#include <stdlib.h>

void agreement_note_report(struct agreement *m, const struct agreement_message *status) {
  m->peers[status->author].has_reported = true;
  m->peers[status->author].reported_decided = status->epoch - 1;
}

/* The newest epoch proven here, and how many others say that theirs is not newer. */
static uint32_t count_reports(const struct agreement *m, uint64_t *ret_newest) {
  uint32_t count = 0;
  *ret_newest = m->ballot.epoch - 1;
  if (m->certificate.epoch > *ret_newest) *ret_newest = m->certificate.epoch;
  for (uint32_t i = 0; i < m->members.n; i++) count += m->peers[i].has_reported && m->peers[i].reported_decided <= *ret_newest;
  return count;
}

void agreement_begin_look(struct agreement *m, instant now, bool has_consensus) {
  /* [AGREE-32] Alone, what a person would decide elsewhere follows by itself. */
  bool is_silent = m->ballot.silent_before > m->ballot.epoch;
  if (m->members.n == 1 && is_silent && has_consensus) m->ballot.silent_before = AGREEMENT_LOOKS;
  m->look_ends = m->ballot.silent_before == AGREEMENT_LOOKS ? instant_after(now, AGREEMENT_LOOK_INTERVALS * m->timing.interval) : INSTANT_NEVER;
}

bool agreement_is_looking(const struct agreement *m) { return m->ballot.silent_before == AGREEMENT_LOOKS; }

/* [AGREE-33] So many others that a quorum is there; what they and the relays have shown is all that can be known. */
static void end_look(struct agreement *m, instant now) {
  uint64_t newest;
  uint8_t previous[DIGEST_BYTES];
  if (!m->has_looked || agreement_is_over(m) || count_reports(m, &newest) + 1 < m->members.q) return;
  memcpy(previous, m->ballot.previous, sizeof previous);
  m->ballot.silent_before = m->ballot.epoch;
  /* What was heard in silence is heard anew; nothing was said. */
  agreement_begin_epoch(m, now, m->ballot.epoch, previous);
  agreement_ballot_changed(m);
  agreement_send_status(m, AGREEMENT_EVERYONE);
  trace_write(m->trace, TRACE_NOTICE, "agreement", "nobody showed a later consensus than that of epoch %llu: speaks again from epoch %llu on",
              (unsigned long long)newest, (unsigned long long)m->ballot.epoch);
}

void agreement_end_silence(struct agreement *m, instant now) {
  uint64_t newest;
  if (agreement_is_looking(m)) end_look(m, now);
  if (m->ballot.silent_before != UINT64_MAX) return;
  /* [AGREE-22] Enough others that one of them, honest, signed the epoch before any in which we may have spoken. What they
   * claim counts once it is proven here, so a liar can neither call us into the past nor keep us out of the present. */
  uint32_t needed = m->members.n - m->members.q + m->members.f + 1;
  if (needed > m->members.n - 1) needed = m->members.n - 1;
  if (count_reports(m, &newest) < needed || needed == 0) return;
  m->ballot.silent_before = newest + AGREEMENT_LOST_EPOCHS + 1;
  agreement_ballot_changed(m);
}

enum outcome agreement_forget_ballot(const struct agreement_members *members, uint8_t own, const uint8_t *bytes, size_t len,
                                     const struct agreement_certificate *decided, const uint8_t genesis[DIGEST_BYTES], uint8_t *out, size_t room,
                                     size_t *ret_len) {
  struct agreement_ballot *ballot = calloc(1, sizeof *ballot);
  if (ballot == NULL) return OUTCOME_NO_MEMORY;
  enum outcome outcome = bytes == NULL ? OUTCOME_NOT_FOUND : agreement_ballot_decode(members, own, bytes, len, ballot);
  bool is_whole = outcome == OUTCOME_OK && ballot->silent_before <= ballot->epoch;
  if (is_whole || outcome == OUTCOME_WRONG_NETWORK) {
    free(ballot);
    return is_whole ? OUTCOME_STALE : OUTCOME_WRONG_NETWORK;
  }
  *ballot = (struct agreement_ballot){.silent_before = AGREEMENT_LOOKS};
  agreement_ballot_begin(ballot, decided->epoch + 1, decided->epoch > 0 ? decided->digest : genesis);
  *ret_len = agreement_ballot_encode(members, own, ballot, out, room);
  free(ballot);
  return *ret_len > 0 ? OUTCOME_OK : OUTCOME_TOO_LARGE;
}
