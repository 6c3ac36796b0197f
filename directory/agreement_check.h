/* What proves what in the agreement: signatures, vectors, locks, entries into views, certificates, proofs of fault.
 * Spec: specs/agreement.md [AGREE-7] to [AGREE-15], [AGREE-24]. Called by the agreement's machine and its tests.
 * Pure functions of bytes and keys. Each stops at the first thing that is wrong, so its cost is bounded by n signatures a list.
 */
#ifndef TUNIC_DIRECTORY_AGREEMENT_CHECK_H
#define TUNIC_DIRECTORY_AGREEMENT_CHECK_H

#include "directory/agreement_message.h"

/* [AGREE-7], [AGREE-10] Signs as message->author, into message->signature. A SIGN gets the signature that the consensus carries. */
void agreement_message_sign(const struct agreement_members *, struct agreement_message *, const uint8_t seed[ED25519_SEED_BYTES]);
bool agreement_message_is_signed(const struct agreement_members *, const struct agreement_message *);

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
