/* What proves what in the agreement: specs/agreement.md [AGREE-7] to [AGREE-15], [AGREE-24]. */
#include "directory/agreement_check.h"

#include "directory/consensus_format.h"

/* [AGREE-7] One context for each kind of statement. */
static const char *context_of(enum agreement_kind kind) {
  switch (kind) {
  case AGREEMENT_VOTE: return "agreement vote 1";
  case AGREEMENT_PROPOSE: return "agreement propose 1";
  case AGREEMENT_PREPARE: return "agreement prepare 1";
  case AGREEMENT_SIGN: return CONSENSUS_SIGN_CONTEXT;
  case AGREEMENT_TIMEOUT: return "agreement timeout 1";
  case AGREEMENT_STATUS: return "agreement status 1";
  case AGREEMENT_CERTIFICATE:
  case AGREEMENT_ENTER:
  case AGREEMENT_FAULT: break;
  }
  assert(!"this kind proves itself and is not signed");
  return "";
}

/* [AGREE-10] SIGN is the consensus's signature: it covers what the consensus's reader can put together again. */
static size_t signed_bytes(const struct agreement_members *members, const struct agreement_message *message, uint8_t *out, size_t room) {
  if (message->kind != AGREEMENT_SIGN) return agreement_message_statement(members, message, out, room);
  assert(room >= CONSENSUS_SIGN_BYTES);
  consensus_sign_bytes(out, members->network, message->epoch, message->view, message->choice.digest);
  return CONSENSUS_SIGN_BYTES;
}

void agreement_message_sign(const struct agreement_members *members, struct agreement_message *message, const uint8_t seed[ED25519_SEED_BYTES]) {
  uint8_t bytes[AGREEMENT_MESSAGE_MAX_BYTES];
  size_t len = signed_bytes(members, message, bytes, sizeof bytes);
  assert(len > 0);
  signature_make(message->signature, seed, context_of(message->kind), bytes, len);
}

bool agreement_message_is_signed(const struct agreement_members *members, const struct agreement_message *message) {
  uint8_t bytes[AGREEMENT_MESSAGE_MAX_BYTES];
  size_t len = signed_bytes(members, message, bytes, sizeof bytes);
  return len > 0 && signature_is_valid(message->signature, members->identities[message->author], context_of(message->kind), bytes, len);
}

/* The short statements that lists of signatures repeat. */
struct statement { enum agreement_kind kind; uint8_t bytes[AGREEMENT_HEADER_BYTES + 1 + 4 + 2 * DIGEST_BYTES]; size_t len; };

static struct byte_writer statement_begin(struct statement *s, enum agreement_kind kind, const struct agreement_members *members,
                                          uint64_t epoch, uint32_t view) {
  s->kind = kind;
  struct byte_writer w = {s->bytes, sizeof s->bytes, 0, false};
  write_u8(&w, (uint8_t)kind);
  write_bytes(&w, members->network, sizeof members->network);
  write_u32(&w, members->serial);
  write_u64(&w, epoch);
  write_u32(&w, view);
  return w;
}

static void statement_vote(struct statement *s, const struct agreement_members *members, uint64_t epoch, uint32_t round,
                           const uint8_t previous[DIGEST_BYTES], const uint8_t hash[DIGEST_BYTES]) {
  struct byte_writer w = statement_begin(s, AGREEMENT_VOTE, members, epoch, round);
  write_bytes(&w, previous, DIGEST_BYTES);
  write_bytes(&w, hash, DIGEST_BYTES);
  s->len = w.at;
}

static bool statement_is_signed(const struct statement *s, const struct agreement_members *members, uint8_t author,
                                const uint8_t signature[ED25519_SIGNATURE_BYTES]) {
  return signature_is_valid(signature, members->identities[author], context_of(s->kind), s->bytes, s->len);
}

static enum outcome signatures_check(const struct statement *s, const struct agreement_members *members,
                                     const struct agreement_signatures *signatures) {
  if (signatures->count < members->q) return OUTCOME_TOO_FEW_SIGNATURES;
  for (uint32_t i = 0; i < signatures->count; i++) {
    if (!statement_is_signed(s, members, signatures->list[i].author, signatures->list[i].bytes)) return OUTCOME_BAD_SIGNATURE;
  }
  return OUTCOME_OK;
}

enum outcome agreement_vector_check(const struct agreement_members *members, uint64_t epoch, const uint8_t previous[DIGEST_BYTES],
                                    const struct agreement_vector *vector) {
  /* [AGREE-8] n - f honest authorities can always bring this many. */
  if (vector->count < members->n - members->f) return OUTCOME_PROTOCOL_VIOLATION;
  for (uint32_t i = 0; i < vector->count; i++) {
    const struct agreement_vote *vote = &vector->votes[i];
    struct statement s;
    statement_vote(&s, members, epoch, vote->round, previous, vote->hash);
    if (!statement_is_signed(&s, members, vote->author, vote->signature)) return OUTCOME_BAD_SIGNATURE;
  }
  return OUTCOME_OK;
}

enum outcome agreement_lock_check(const struct agreement_members *members, uint64_t epoch, const uint8_t previous[DIGEST_BYTES],
                                  uint32_t newest_view, const struct agreement_lock *lock) {
  /* [AGREE-11] */
  if (lock->name.view > newest_view) return OUTCOME_PROTOCOL_VIOLATION;
  uint8_t hash[DIGEST_BYTES];
  agreement_vector_hash(&lock->vector, hash);
  if (memcmp(hash, lock->name.choice.vector, sizeof hash) != 0) return OUTCOME_PROTOCOL_VIOLATION;
  struct statement s;
  struct byte_writer w = statement_begin(&s, AGREEMENT_PREPARE, members, epoch, lock->name.view);
  write_bytes(&w, lock->name.choice.digest, DIGEST_BYTES);
  write_bytes(&w, lock->name.choice.vector, DIGEST_BYTES);
  s.len = w.at;
  enum outcome outcome = signatures_check(&s, members, &lock->prepares);
  return outcome == OUTCOME_OK ? agreement_vector_check(members, epoch, previous, &lock->vector) : outcome;
}

static bool timeout_is_signed(const struct agreement_members *members, uint64_t epoch, uint32_t view, const struct agreement_timeout *timeout) {
  struct agreement_message message = {.kind = AGREEMENT_TIMEOUT, .epoch = epoch, .view = view, .author = timeout->author};
  message.lock.name = timeout->lock;
  memcpy(message.signature, timeout->signature, sizeof message.signature);
  return agreement_message_is_signed(members, &message);
}

enum outcome agreement_entry_check(const struct agreement_members *members, uint64_t epoch, const uint8_t previous[DIGEST_BYTES], uint32_t view,
                                   const struct agreement_entry *entry) {
  /* [AGREE-12] */
  if (view == 0) return OUTCOME_PROTOCOL_VIOLATION;
  if (entry->count < members->q) return OUTCOME_TOO_FEW_SIGNATURES;
  for (uint32_t i = 0; i < entry->count; i++) {
    if (!timeout_is_signed(members, epoch, view - 1, &entry->timeouts[i])) return OUTCOME_BAD_SIGNATURE;
  }
  return entry->lock.name.present ? agreement_lock_check(members, epoch, previous, view - 1, &entry->lock) : OUTCOME_OK;
}

enum outcome agreement_certificate_check(const struct agreement_members *members, const struct agreement_certificate *certificate) {
  /* [AGREE-15] Of one view: signatures of several views together prove nothing. */
  struct statement s = {.kind = AGREEMENT_SIGN, .len = CONSENSUS_SIGN_BYTES};
  static_assert(sizeof s.bytes >= CONSENSUS_SIGN_BYTES, "it fits");
  consensus_sign_bytes(s.bytes, members->network, certificate->epoch, certificate->view, certificate->digest);
  return signatures_check(&s, members, &certificate->signs);
}

enum outcome agreement_fault_check(const struct agreement_members *members, const struct agreement_fault *fault) {
  /* [AGREE-24] */
  const struct agreement_fault_vote *a = &fault->votes[0], *b = &fault->votes[1];
  if (memcmp(a->hash, b->hash, DIGEST_BYTES) >= 0) return OUTCOME_PROTOCOL_VIOLATION; /* the same, or not in their one order */
  for (int k = 0; k < 2; k++) {
    struct statement s;
    statement_vote(&s, members, fault->epoch, fault->round, fault->previous, fault->votes[k].hash);
    if (!statement_is_signed(&s, members, fault->author, fault->votes[k].signature)) return OUTCOME_BAD_SIGNATURE;
  }
  return OUTCOME_OK;
}
