/* Making a consensus: its text from entries, what SIGN covers, and the signed document.
 * Spec: specs/consensus.md [CONS-*]. Called by the tally, the authorities' agreement, and the directory's tests.
 * Writing is a pure function of the header and the entries: two authorities write the same bytes.
 */
#ifndef TUNIC_DIRECTORY_CONSENSUS_FORMAT_H
#define TUNIC_DIRECTORY_CONSENSUS_FORMAT_H

#include "directory/consensus.h"

enum {
  CONSENSUS_SIGN_BYTES = 32 + 8 + 4 + DIGEST_BYTES,
  CONSENSUS_SIGNATURES_MAX = 2 * LIMIT_AUTHORITIES,
};

/* [CONS-4] The context of SIGN's signatures, and what they cover: network id, epoch, view, digest. */
#define CONSENSUS_SIGN_CONTEXT "tunic consensus"
void consensus_sign_bytes(uint8_t ret_bytes[CONSENSUS_SIGN_BYTES], const uint8_t network[32], uint64_t epoch, uint32_t view,
                          const uint8_t digest[DIGEST_BYTES]);

struct consensus_signature {
  uint8_t authority[IDENTITY_BYTES];
  uint32_t view;
  uint8_t bytes[ED25519_SIGNATURE_BYTES];
};

void consensus_sign(struct consensus_signature *ret, const uint8_t identity_seed[ED25519_SEED_BYTES], const uint8_t network[32],
                    uint64_t epoch, uint32_t view, const uint8_t digest[DIGEST_BYTES]);
bool consensus_signature_is_valid(const struct consensus_signature *, const uint8_t network[32], uint64_t epoch,
                                  const uint8_t digest[DIGEST_BYTES]);

/* [CONS-7] Gives every entry its ranges, in the order of the entries, and the header its totals. */
void consensus_assign_weights(struct consensus_header *, struct relay_entry *entries);

/* The text without signatures. header->relay_count entries, ascending by identity, with their ranges; sets the header's
 * root and digest. NULL: no memory, or larger than a consensus may be. */
struct document *consensus_format(const uint8_t network[32], struct consensus_header *, const struct relay_entry *entries);
/* The text with these signatures, of distinct authorities or views, in any order. NULL: no memory, or too large. */
struct document *consensus_compose(const struct document *text, const struct consensus_signature *, uint32_t count);

#endif
