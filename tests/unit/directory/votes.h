/* Votes for tests: relays as an authority may see them, made into signed texts.
 * Spec: none. Called by the tests of votes and of the tally.
 * Descriptors are certified and signed for real, so that votes parse as they do in a network.
 */
#ifndef TUNIC_TESTS_UNIT_DIRECTORY_VOTES_H
#define TUNIC_TESTS_UNIT_DIRECTORY_VOTES_H

#include "directory/vote.h"
#include "documents.h"

enum { SEEN_MAX = 16, SEEN_EPOCH = 5 };

/* Relay `number` of the samples, as one authority sees it. */
struct seen_relay { uint32_t number; struct descriptor descriptor; uint8_t flags; bool is_measured; uint32_t measured; };

/* All as good as can be: running, valid, guard, exits of odd numbers; not measured. */
void seen_relays(struct seen_relay *ret, const struct network_file *, uint32_t count);
/* What the header of authority number a's vote for SEEN_EPOCH says. */
void seen_header(struct vote_header *ret, const struct network_file *, uint32_t authority);
/* The signed text, with relays in the order of their identities; the caller's to release. */
struct document *seen_vote_text(const struct vote_header *, uint32_t authority, const struct seen_relay *, uint32_t count);
/* The same, parsed. */
struct vote *seen_vote(const struct network_file *, uint32_t authority, const struct seen_relay *, uint32_t count);

#endif
