/* A machine that asks without end. Either it hands descriptors in at authorities as fast as they answer: validly signed, each under a
 * fresh identity, at one place; told to wait a few times, it makes the link anew. Or it has a relay answer handshakes, as a client.
 * Spec: specs/authority.md [AUTH-11], [AUTH-12]; specs/limits.md [LIMIT-4]. Called by scenarios.
 */
#ifndef TUNIC_TESTS_SIM_FLOODER_H
#define TUNIC_TESTS_SIM_FLOODER_H

#include "directory/consensus.h"
#include "directory/network_file.h"
#include "protocol/link.h"
#include "tests/sim/sim.h"

struct flooder;
/* `links` to each of the file's authorities; `place`: where its relays are said to be. The pointers must outlive it. */
struct flooder *flooder_new(struct sim *, const struct link_self *, const struct network_file *, uint32_t links, const struct address *place);
/* As many circuits at once over each of `links` as may wait and some more, each closed once it is answered and begun anew; `silent`
 * more connections never say a word. The entry is copied. */
struct flooder *flooder_of_circuits(struct sim *, const struct link_self *, const struct relay_entry *, uint32_t links, uint32_t silent);
void flooder_free(struct flooder *);
struct machine flooder_machine(struct flooder *);
/* How many descriptors were handed in, or circuits begun, and how many of them taken. */
uint64_t flooder_handed_in(const struct flooder *);
uint64_t flooder_taken(const struct flooder *);

#endif
