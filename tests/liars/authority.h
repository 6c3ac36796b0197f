/* A whole authority that says everything two ways (LIAR_TWINS): what it says to some, and what it says to the others.
 * Spec: specs/agreement.md [AGREE-*], specs/authority.md. Called where peers_send is wrapped: by the simulator's liars and by
 * the authority of the system tests that lies.
 * Whatever it says is validly signed, and its documents are held for whoever asks.
 */
#ifndef TUNIC_TESTS_LIARS_AUTHORITY_H
#define TUNIC_TESTS_LIARS_AUTHORITY_H

#include "directory/authority_internal.h"
#include "tests/liars/words.h"

/* Its other face: the second vote, and the second proposal with what it was in place of. */
struct liar_face {
  struct { uint64_t epoch; uint32_t round; uint8_t hash[DIGEST_BYTES]; } vote;
  struct { uint64_t epoch; uint32_t view; struct agreement_choice choice; } proposal;
};

/* The same again, said otherwise; the caller's reference. NULL: it can't be, or is not the liar's own. */
struct document *liar_otherwise(struct authority *, struct liar_face *, instant now, const struct document *said);

#endif
