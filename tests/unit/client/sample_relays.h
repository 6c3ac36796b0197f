/* Relays and consensuses made up for tests of paths and guards.
 * Spec: none. Called by this folder's tests.
 * A consensus is written, signed by the one authority of a sample network, and parsed: what programs read.
 */
#ifndef TUNIC_TESTS_UNIT_CLIENT_SAMPLE_RELAYS_H
#define TUNIC_TESTS_UNIT_CLIENT_SAMPLE_RELAYS_H

#include "directory/consensus_format.h"
#include "protocol/random.h"

enum { SAMPLE_RELAYS_MAX = 2000 };

struct sample_relays {
  struct relay_entry entries[SAMPLE_RELAYS_MAX];
  struct exit_summary summaries[SAMPLE_RELAYS_MAX];
  uint32_t count;
};

/* Adds a relay with an identity of its own, in a /16 of its own, of this weight; exits allow `low` to `high`. */
struct relay_entry *sample_relay_add(struct sample_relays *, uint8_t flags, uint32_t weight, uint16_t low, uint16_t high);
/* Many: a third guards, a fifth exits for web ports, some in families and in shared neighbourhoods. */
void sample_relays_many(struct sample_relays *, uint32_t count, struct random_stream *);
/* The caller's to release. Entries end up sorted. */
struct consensus *sample_relays_consensus(struct sample_relays *, int64_t valid_after_days);

#endif
