/* Any bytes as a message of the agreement, in a network of as many authorities as the first byte says: what is accepted encodes
 * to the same bytes, and begins with what its author states. The same bytes as a ballot record, its sum put right. */
#include "directory/agreement_message.h"

#include <stdlib.h>
#include <string.h>

#include "directory/agreement_ballot.h"
#include "tests/fuzz/fuzz.h"

static void message_goes_round(const struct agreement_members *members, const uint8_t *bytes, size_t len) {
  static const uint8_t none[32];
  struct agreement_message message;
  uint8_t again[AGREEMENT_MESSAGE_MAX_BYTES], statement[AGREEMENT_MESSAGE_MAX_BYTES];
  if (agreement_message_decode(members, bytes, len, &message) != OUTCOME_OK) return;
  if (agreement_message_encode(members, &message, again, sizeof again) != len || memcmp(bytes, again, len) != 0) abort();
  size_t stated = agreement_message_statement(members, &message, statement, sizeof statement);
  if (stated == 0 || stated > len || memcmp(bytes, statement, stated) != 0) abort();
  if (memcmp(members->network, none, sizeof none) != 0 || message.author >= members->n) abort();
}

static void record_goes_round(const struct agreement_members *members, const uint8_t *bytes, size_t len) {
  struct agreement_ballot ballot;
  uint8_t record[AGREEMENT_BALLOT_MAX_BYTES], again[AGREEMENT_BALLOT_MAX_BYTES];
  if (len > sizeof record - DIGEST_BYTES) return;
  memcpy(record, bytes, len);
  digest_labelled(record + len, "agreement ballot", record, len);
  if (agreement_ballot_decode(members, 0, record, len + DIGEST_BYTES, &ballot) != OUTCOME_OK) return;
  if (ballot.serial != members->serial) return;
  if (agreement_ballot_encode(members, 0, &ballot, again, sizeof again) != len + DIGEST_BYTES) abort();
  if (memcmp(record, again, len + DIGEST_BYTES) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct agreement_members members;
  uint8_t identities[LIMIT_AUTHORITIES][IDENTITY_BYTES] = {{0}}, network[32] = {0};
  if (size == 0) return 0;
  agreement_members_init(&members, network, 1, 1 + data[0] % LIMIT_AUTHORITIES, (const uint8_t(*)[IDENTITY_BYTES])identities);
  message_goes_round(&members, data + 1, size - 1);
  record_goes_round(&members, data + 1, size - 1);
  return 0;
}
