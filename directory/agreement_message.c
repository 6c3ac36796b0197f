/* The agreement's messages, to bytes and back: specs/agreement.md [AGREE-6] to [AGREE-16]. */
#include "directory/agreement_message.h"

#include "directory/network_file.h"

void agreement_members_init(struct agreement_members *members, const uint8_t network[32], uint32_t serial, uint32_t n,
                            const uint8_t identities[][IDENTITY_BYTES]) {
  assert(n >= 1 && n <= LIMIT_AUTHORITIES);
  memset(members, 0, sizeof *members);
  memcpy(members->network, network, sizeof members->network);
  members->serial = serial;
  members->n = n;
  members->f = authorities_tolerated(n);
  members->q = authorities_quorum(n);
  memcpy(members->identities, identities, n * sizeof members->identities[0]);
}

bool agreement_choice_equal(const struct agreement_choice *a, const struct agreement_choice *b) {
  return memcmp(a->digest, b->digest, sizeof a->digest) == 0 && memcmp(a->vector, b->vector, sizeof a->vector) == 0;
}

void agreement_vector_hash(const struct agreement_vector *vector, uint8_t ret_hash[DIGEST_BYTES]) {
  /* [AGREE-9] The signatures are left out: one statement may have several valid ones. */
  uint8_t bytes[1 + LIMIT_AUTHORITIES * (1 + 4 + DIGEST_BYTES)];
  struct byte_writer w = {bytes, sizeof bytes, 0, false};
  write_u8(&w, (uint8_t)vector->count);
  for (uint32_t i = 0; i < vector->count; i++) {
    write_u8(&w, vector->votes[i].author);
    write_u32(&w, vector->votes[i].round);
    write_bytes(&w, vector->votes[i].hash, DIGEST_BYTES);
  }
  digest_labelled(ret_hash, "agreement vector", bytes, w.at);
}

/* Parts. Lists are counted by one byte and ascend by author, so that no author stands twice and one list has one form. */

static uint32_t read_count(struct byte_reader *r, uint32_t most) {
  uint32_t count = read_u8(r);
  if (count > most) r->failed = true;
  return r->failed ? 0 : count;
}

static uint8_t read_author(struct byte_reader *r, uint32_t n, const uint8_t *before) {
  uint8_t author = read_u8(r);
  if (author >= n || (before && author <= *before)) r->failed = true;
  return r->failed ? 0 : author;
}

void agreement_write_vector(struct byte_writer *w, const struct agreement_vector *vector) {
  write_u8(w, (uint8_t)vector->count);
  for (uint32_t i = 0; i < vector->count; i++) {
    const struct agreement_vote *vote = &vector->votes[i];
    write_u8(w, vote->author);
    write_u32(w, vote->round);
    write_bytes(w, vote->hash, sizeof vote->hash);
    write_bytes(w, vote->signature, sizeof vote->signature);
  }
}

void agreement_read_vector(struct byte_reader *r, uint32_t n, struct agreement_vector *ret) {
  ret->count = read_count(r, n);
  for (uint32_t i = 0; i < ret->count; i++) {
    struct agreement_vote *vote = &ret->votes[i];
    vote->author = read_author(r, n, i ? &ret->votes[i - 1].author : NULL);
    vote->round = read_u32(r);
    if (vote->round == UINT32_MAX) r->failed = true; /* the next one must have a number too */
    read_bytes(r, vote->hash, sizeof vote->hash);
    read_bytes(r, vote->signature, sizeof vote->signature);
  }
}

static void write_signatures(struct byte_writer *w, const struct agreement_signatures *signatures) {
  write_u8(w, (uint8_t)signatures->count);
  for (uint32_t i = 0; i < signatures->count; i++) {
    write_u8(w, signatures->list[i].author);
    write_bytes(w, signatures->list[i].bytes, ED25519_SIGNATURE_BYTES);
  }
}

static void read_signatures(struct byte_reader *r, uint32_t n, struct agreement_signatures *ret) {
  ret->count = read_count(r, n);
  for (uint32_t i = 0; i < ret->count; i++) {
    ret->list[i].author = read_author(r, n, i ? &ret->list[i - 1].author : NULL);
    read_bytes(r, ret->list[i].bytes, ED25519_SIGNATURE_BYTES);
  }
}

static void write_choice(struct byte_writer *w, const struct agreement_choice *choice) {
  write_bytes(w, choice->digest, DIGEST_BYTES);
  write_bytes(w, choice->vector, DIGEST_BYTES);
}

static void read_choice(struct byte_reader *r, struct agreement_choice *ret) {
  read_bytes(r, ret->digest, DIGEST_BYTES);
  read_bytes(r, ret->vector, DIGEST_BYTES);
}

static void write_lock_name(struct byte_writer *w, const struct agreement_lock_name *name) {
  write_u8(w, name->present);
  write_u32(w, name->view);
  write_choice(w, &name->choice);
}

static void read_lock_name(struct byte_reader *r, struct agreement_lock_name *ret) {
  static const struct agreement_choice none;
  ret->present = read_flag(r);
  ret->view = read_u32(r);
  read_choice(r, &ret->choice);
  if (!ret->present && (ret->view != 0 || !agreement_choice_equal(&ret->choice, &none))) r->failed = true;
}

static void write_lock_proof(struct byte_writer *w, const struct agreement_lock *lock) {
  if (!lock->name.present) return;
  agreement_write_vector(w, &lock->vector);
  write_signatures(w, &lock->prepares);
}

static void read_lock_proof(struct byte_reader *r, uint32_t n, struct agreement_lock *ret) {
  if (r->failed || !ret->name.present) return;
  agreement_read_vector(r, n, &ret->vector);
  read_signatures(r, n, &ret->prepares);
}

void agreement_write_lock(struct byte_writer *w, const struct agreement_lock *lock) {
  write_lock_name(w, &lock->name);
  write_lock_proof(w, lock);
}

void agreement_read_lock(struct byte_reader *r, uint32_t n, struct agreement_lock *ret) {
  read_lock_name(r, &ret->name);
  read_lock_proof(r, n, ret);
}

static void write_timeouts(struct byte_writer *w, const struct agreement_entry *entry) {
  write_u8(w, (uint8_t)entry->count);
  for (uint32_t i = 0; i < entry->count; i++) {
    write_u8(w, entry->timeouts[i].author);
    write_lock_name(w, &entry->timeouts[i].lock);
    write_bytes(w, entry->timeouts[i].signature, ED25519_SIGNATURE_BYTES);
  }
}

/* [AGREE-12] The lock's name is not written again: it is the highest among the TIMEOUTs. */
static void read_timeouts(struct byte_reader *r, uint32_t n, struct agreement_entry *ret) {
  ret->count = read_count(r, n);
  for (uint32_t i = 0; i < ret->count; i++) {
    struct agreement_timeout *timeout = &ret->timeouts[i];
    timeout->author = read_author(r, n, i ? &ret->timeouts[i - 1].author : NULL);
    read_lock_name(r, &timeout->lock);
    read_bytes(r, timeout->signature, ED25519_SIGNATURE_BYTES);
    const struct agreement_lock_name *highest = &ret->lock.name;
    if (timeout->lock.present && (!highest->present || timeout->lock.view > highest->view)) ret->lock.name = timeout->lock;
  }
}

void agreement_write_entry(struct byte_writer *w, const struct agreement_entry *entry) {
  write_timeouts(w, entry);
  write_lock_proof(w, &entry->lock);
}

void agreement_read_entry(struct byte_reader *r, uint32_t n, struct agreement_entry *ret) {
  read_timeouts(r, n, ret);
  read_lock_proof(r, n, &ret->lock);
}

void agreement_write_faults(struct byte_writer *w, const struct agreement_faults *faults) {
  write_u8(w, (uint8_t)faults->count);
  for (uint32_t i = 0; i < faults->count; i++) {
    const struct agreement_fault *fault = &faults->list[i];
    write_u8(w, fault->author);
    write_u64(w, fault->epoch);
    write_u32(w, fault->round);
    write_bytes(w, fault->previous, DIGEST_BYTES);
    for (int k = 0; k < 2; k++) {
      write_bytes(w, fault->votes[k].hash, DIGEST_BYTES);
      write_bytes(w, fault->votes[k].signature, ED25519_SIGNATURE_BYTES);
    }
  }
}

void agreement_read_faults(struct byte_reader *r, uint32_t n, struct agreement_faults *ret) {
  ret->count = read_count(r, n);
  for (uint32_t i = 0; i < ret->count; i++) {
    struct agreement_fault *fault = &ret->list[i];
    fault->author = read_author(r, n, i ? &ret->list[i - 1].author : NULL);
    fault->epoch = read_u64(r);
    fault->round = read_u32(r);
    read_bytes(r, fault->previous, DIGEST_BYTES);
    for (int k = 0; k < 2; k++) {
      read_bytes(r, fault->votes[k].hash, DIGEST_BYTES);
      read_bytes(r, fault->votes[k].signature, ED25519_SIGNATURE_BYTES);
    }
  }
}

static void write_holdings(struct byte_writer *w, uint32_t n, const struct agreement_holdings *holdings) {
  write_u8(w, holdings->proposal);
  write_u32(w, holdings->prepares);
  write_u32(w, holdings->signs);
  write_u32(w, holdings->timeouts);
  write_u32(w, holdings->faults);
  for (uint32_t i = 0; i < n; i++) write_u32(w, holdings->rounds[i]);
}

static void read_holdings(struct byte_reader *r, uint32_t n, struct agreement_holdings *ret) {
  ret->proposal = read_flag(r);
  ret->prepares = read_u32(r);
  ret->signs = read_u32(r);
  ret->timeouts = read_u32(r);
  ret->faults = read_u32(r);
  for (uint32_t i = 0; i < n; i++) ret->rounds[i] = read_u32(r);
}

/* Messages. */

static void write_proposal(struct byte_writer *w, const struct agreement_message *message) {
  write_bytes(w, message->choice.digest, DIGEST_BYTES);
  agreement_write_vector(w, &message->vector);
  if (message->view > 0) {
    write_timeouts(w, &message->entry);
    if (message->entry.lock.name.present) write_signatures(w, &message->entry.lock.prepares);
  }
  agreement_write_faults(w, &message->faults);
}

static void read_proposal(struct byte_reader *r, uint32_t n, struct agreement_message *ret) {
  read_bytes(r, ret->choice.digest, DIGEST_BYTES);
  agreement_read_vector(r, n, &ret->vector);
  if (r->failed) return;
  agreement_vector_hash(&ret->vector, ret->choice.vector);
  if (ret->view > 0) {
    read_timeouts(r, n, &ret->entry);
    if (ret->entry.lock.name.present) {
      ret->entry.lock.vector = ret->vector;
      read_signatures(r, n, &ret->entry.lock.prepares);
    }
  }
  agreement_read_faults(r, n, &ret->faults);
}

static void write_statement(struct byte_writer *w, const struct agreement_members *members, const struct agreement_message *message) {
  /* [AGREE-6] */
  write_u8(w, (uint8_t)message->kind);
  write_bytes(w, members->network, sizeof members->network);
  write_u32(w, members->serial);
  write_u64(w, message->epoch);
  write_u32(w, message->view);
  switch (message->kind) {
  case AGREEMENT_VOTE:
    write_bytes(w, message->previous, DIGEST_BYTES);
    write_bytes(w, message->hash, DIGEST_BYTES);
    break;
  case AGREEMENT_PROPOSE: write_proposal(w, message); break;
  case AGREEMENT_PREPARE: write_choice(w, &message->choice); break;
  case AGREEMENT_SIGN: write_bytes(w, message->choice.digest, DIGEST_BYTES); break;
  case AGREEMENT_TIMEOUT: write_lock_name(w, &message->lock.name); break;
  case AGREEMENT_STATUS:
    write_bytes(w, message->previous, DIGEST_BYTES);
    write_holdings(w, members->n, &message->holdings);
    break;
  case AGREEMENT_CERTIFICATE:
    write_bytes(w, message->choice.digest, DIGEST_BYTES);
    write_signatures(w, &message->signs);
    break;
  case AGREEMENT_ENTER: agreement_write_entry(w, &message->entry); break;
  case AGREEMENT_FAULT: agreement_write_faults(w, &message->faults); break;
  }
}

static bool has_author(enum agreement_kind kind) {
  return kind != AGREEMENT_CERTIFICATE && kind != AGREEMENT_ENTER && kind != AGREEMENT_FAULT;
}

size_t agreement_message_statement(const struct agreement_members *members, const struct agreement_message *message, uint8_t *out, size_t room) {
  struct byte_writer w = {out, room, 0, false};
  write_statement(&w, members, message);
  return w.failed ? 0 : w.at;
}

size_t agreement_message_encode(const struct agreement_members *members, const struct agreement_message *message, uint8_t *out, size_t room) {
  struct byte_writer w = {out, room, 0, false};
  write_statement(&w, members, message);
  if (has_author(message->kind)) {
    write_u8(&w, message->author);
    write_bytes(&w, message->signature, sizeof message->signature);
  }
  if (message->kind == AGREEMENT_TIMEOUT) write_lock_proof(&w, &message->lock);
  return w.failed ? 0 : w.at;
}

static bool kind_from_byte(uint8_t byte, enum agreement_kind *ret) {
  if (byte < AGREEMENT_VOTE || byte > AGREEMENT_FAULT) return false;
  *ret = (enum agreement_kind)byte;
  return true;
}

static void read_statement_body(struct byte_reader *r, uint32_t n, struct agreement_message *ret) {
  switch (ret->kind) {
  case AGREEMENT_VOTE:
    read_bytes(r, ret->previous, DIGEST_BYTES);
    read_bytes(r, ret->hash, DIGEST_BYTES);
    break;
  case AGREEMENT_PROPOSE: read_proposal(r, n, ret); break;
  case AGREEMENT_PREPARE: read_choice(r, &ret->choice); break;
  case AGREEMENT_SIGN: read_bytes(r, ret->choice.digest, DIGEST_BYTES); break;
  case AGREEMENT_TIMEOUT: read_lock_name(r, &ret->lock.name); break;
  case AGREEMENT_STATUS:
    read_bytes(r, ret->previous, DIGEST_BYTES);
    read_holdings(r, n, &ret->holdings);
    break;
  case AGREEMENT_CERTIFICATE:
    read_bytes(r, ret->choice.digest, DIGEST_BYTES);
    read_signatures(r, n, &ret->signs);
    break;
  case AGREEMENT_ENTER:
    agreement_read_entry(r, n, &ret->entry);
    if (ret->view == 0) r->failed = true;
    break;
  case AGREEMENT_FAULT:
    agreement_read_faults(r, n, &ret->faults);
    if (ret->faults.count != 1 || ret->faults.list[0].epoch != ret->epoch || ret->view != 0) r->failed = true;
    break;
  }
}

enum outcome agreement_message_decode(const struct agreement_members *members, const uint8_t *bytes, size_t len, struct agreement_message *ret) {
  memset(ret, 0, sizeof *ret);
  if (len > AGREEMENT_MESSAGE_MAX_BYTES) return OUTCOME_TOO_LARGE;
  struct byte_reader r = {bytes, len, 0, false};
  uint8_t network[32];
  if (!kind_from_byte(read_u8(&r), &ret->kind)) return OUTCOME_BAD_DOCUMENT;
  read_bytes(&r, network, sizeof network);
  uint32_t serial = read_u32(&r);
  ret->epoch = read_u64(&r);
  ret->view = read_u32(&r);
  if (r.failed || ret->epoch == 0 || ret->epoch == UINT64_MAX || ret->view == UINT32_MAX) return OUTCOME_BAD_DOCUMENT;
  if (memcmp(network, members->network, sizeof network) != 0 || serial != members->serial) return OUTCOME_WRONG_NETWORK;
  read_statement_body(&r, members->n, ret);
  if (has_author(ret->kind)) {
    ret->author = read_author(&r, members->n, NULL);
    read_bytes(&r, ret->signature, sizeof ret->signature);
  }
  if (ret->kind == AGREEMENT_TIMEOUT) read_lock_proof(&r, members->n, &ret->lock);
  return read_is_complete(&r) ? OUTCOME_OK : OUTCOME_BAD_DOCUMENT;
}

const char *agreement_kind_name(enum agreement_kind kind) {
  switch (kind) {
  case AGREEMENT_VOTE: return "VOTE";
  case AGREEMENT_PROPOSE: return "PROPOSE";
  case AGREEMENT_PREPARE: return "PREPARE";
  case AGREEMENT_SIGN: return "SIGN";
  case AGREEMENT_TIMEOUT: return "TIMEOUT";
  case AGREEMENT_STATUS: return "STATUS";
  case AGREEMENT_CERTIFICATE: return "CERTIFICATE";
  case AGREEMENT_ENTER: return "ENTER";
  case AGREEMENT_FAULT: return "FAULT";
  }
  return "unknown";
}
