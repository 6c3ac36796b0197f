/* The ballot record, to bytes and back: specs/agreement.md [AGREE-20]. */
#include "directory/agreement_ballot.h"

static const char ballot_magic[] = "tunic ballot 1\n";
static const char ballot_label[] = "agreement ballot";

void agreement_ballot_begin(struct agreement_ballot *ballot, uint64_t epoch, const uint8_t previous[DIGEST_BYTES]) {
  struct agreement_faults faults = ballot->faults;
  uint64_t silent_before = ballot->silent_before;
  uint8_t hash[DIGEST_BYTES];
  memcpy(hash, previous, sizeof hash); /* it may point into the record */
  memset(ballot, 0, sizeof *ballot);
  ballot->epoch = epoch;
  ballot->silent_before = silent_before;
  ballot->faults = faults;
  memcpy(ballot->previous, hash, sizeof hash);
}

size_t agreement_ballot_encode(const struct agreement_members *members, uint8_t own, const struct agreement_ballot *ballot, uint8_t *out,
                               size_t room) {
  /* [AGREE-20] */
  struct byte_writer w = {out, room, 0, false};
  write_bytes(&w, (const uint8_t *)ballot_magic, sizeof ballot_magic);
  write_bytes(&w, members->network, sizeof members->network);
  write_u32(&w, members->serial);
  write_bytes(&w, members->identities[own], IDENTITY_BYTES);
  write_u64(&w, ballot->epoch);
  write_u64(&w, ballot->silent_before);
  write_bytes(&w, ballot->previous, DIGEST_BYTES);
  write_u8(&w, ballot->open);
  write_u32(&w, ballot->view);
  write_u32(&w, ballot->vote_next);
  write_bytes(&w, ballot->vote_hash, DIGEST_BYTES);
  write_u32(&w, ballot->proposed_next);
  write_u32(&w, ballot->prepared_next);
  write_bytes(&w, ballot->prepared.digest, DIGEST_BYTES);
  write_bytes(&w, ballot->prepared.vector, DIGEST_BYTES);
  write_u32(&w, ballot->timeout_next);
  agreement_write_lock(&w, &ballot->lock);
  agreement_write_entry(&w, &ballot->entry);
  agreement_write_faults(&w, &ballot->faults);
  if (w.failed) return 0;
  uint8_t sum[DIGEST_BYTES];
  digest_labelled(sum, ballot_label, out, w.at);
  write_bytes(&w, sum, sizeof sum);
  return w.failed ? 0 : w.at;
}

static void read_fields(struct byte_reader *r, struct agreement_ballot *ret) {
  ret->epoch = read_u64(r);
  ret->silent_before = read_u64(r);
  read_bytes(r, ret->previous, DIGEST_BYTES);
  ret->open = read_flag(r);
  ret->view = read_u32(r);
  ret->vote_next = read_u32(r);
  read_bytes(r, ret->vote_hash, DIGEST_BYTES);
  ret->proposed_next = read_u32(r);
  ret->prepared_next = read_u32(r);
  read_bytes(r, ret->prepared.digest, DIGEST_BYTES);
  read_bytes(r, ret->prepared.vector, DIGEST_BYTES);
  ret->timeout_next = read_u32(r);
  agreement_read_lock(r, LIMIT_AUTHORITIES, &ret->lock);
  agreement_read_entry(r, LIMIT_AUTHORITIES, &ret->entry);
  agreement_read_faults(r, LIMIT_AUTHORITIES, &ret->faults);
}

enum outcome agreement_ballot_decode(const struct agreement_members *members, uint8_t own, const uint8_t *bytes, size_t len,
                                     struct agreement_ballot *ret) {
  memset(ret, 0, sizeof *ret);
  if (len < DIGEST_BYTES || len > AGREEMENT_BALLOT_MAX_BYTES) return OUTCOME_BAD_DOCUMENT;
  uint8_t sum[DIGEST_BYTES], magic[sizeof ballot_magic], network[32], identity[IDENTITY_BYTES];
  digest_labelled(sum, ballot_label, bytes, len - DIGEST_BYTES);
  if (memcmp(sum, bytes + len - DIGEST_BYTES, sizeof sum) != 0) return OUTCOME_BAD_DOCUMENT;
  struct byte_reader r = {bytes, len - DIGEST_BYTES, 0, false};
  read_bytes(&r, magic, sizeof magic);
  if (memcmp(magic, ballot_magic, sizeof magic) != 0) return OUTCOME_BAD_DOCUMENT;
  read_bytes(&r, network, sizeof network);
  ret->serial = read_u32(&r);
  read_bytes(&r, identity, sizeof identity);
  if (memcmp(network, members->network, sizeof network) != 0 || memcmp(identity, members->identities[own], sizeof identity) != 0) {
    return OUTCOME_WRONG_NETWORK;
  }
  read_fields(&r, ret);
  if (ret->epoch == 0) r.failed = true;
  return read_is_complete(&r) ? OUTCOME_OK : OUTCOME_BAD_DOCUMENT;
}
