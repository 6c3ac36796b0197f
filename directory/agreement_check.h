/* What proves what in the agreement: signatures, vectors, locks, entries into views, certificates, proofs of fault.
 * Spec: specs/agreement.md [AGREE-7] to [AGREE-15], [AGREE-24]. Called by the agreement's machine; the consensus's
 * signatures are checked by agreement_sign_is_valid too.
 * Pure functions of bytes and keys. Each stops at the first thing that is wrong, so its cost is bounded by n signatures a list.
 */
#ifndef TUNIC_DIRECTORY_AGREEMENT_CHECK_H
#define TUNIC_DIRECTORY_AGREEMENT_CHECK_H

#include "directory/agreement_message.h"

/* [AGREE-7] Signs as message->author, into message->signature. */
void agreement_message_sign(const struct agreement_members *, struct agreement_message *, const uint8_t seed[ED25519_SEED_BYTES]);
bool agreement_message_is_signed(const struct agreement_members *, const struct agreement_message *);

/* [AGREE-10] The bytes of a consensus signature: what SIGN states. */
void agreement_sign_statement(const uint8_t network[32], uint32_t serial, uint64_t epoch, uint32_t view, const uint8_t digest[DIGEST_BYTES],
                              uint8_t ret[AGREEMENT_SIGN_STATEMENT_BYTES]);
void agreement_sign_make(const uint8_t network[32], uint32_t serial, uint64_t epoch, uint32_t view, const uint8_t digest[DIGEST_BYTES],
                         const uint8_t identity_seed[ED25519_SEED_BYTES], uint8_t ret_signature[ED25519_SIGNATURE_BYTES]);
/* Whether a signature line of a consensus is its authority's. */
bool agreement_sign_is_valid(const uint8_t network[32], uint32_t serial, uint64_t epoch, uint32_t view, const uint8_t digest[DIGEST_BYTES],
                             const uint8_t identity[IDENTITY_BYTES], const uint8_t signature[ED25519_SIGNATURE_BYTES]);

/* All below: OK, BAD_SIGNATURE, TOO_FEW_SIGNATURES or PROTOCOL_VIOLATION. */

/* At least n - f votes of this epoch, each signed. */
enum outcome agreement_vector_check(const struct agreement_members *, uint64_t epoch, const uint8_t previous[DIGEST_BYTES],
                                    const struct agreement_vector *);
/* A lock that is present: its vector, and q PREPAREs of its view; not later than `newest_view`. */
enum outcome agreement_lock_check(const struct agreement_members *, uint64_t epoch, const uint8_t previous[DIGEST_BYTES],
                                  uint32_t newest_view, const struct agreement_lock *);
/* q TIMEOUTs of view - 1 and the proof of the highest lock among them. */
enum outcome agreement_entry_check(const struct agreement_members *, uint64_t epoch, const uint8_t previous[DIGEST_BYTES], uint32_t view,
                                   const struct agreement_entry *);
enum outcome agreement_certificate_check(const struct agreement_members *, const struct agreement_certificate *);
enum outcome agreement_fault_check(const struct agreement_members *, const struct agreement_fault *);

#endif
