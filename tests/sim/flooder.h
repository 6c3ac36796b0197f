/* A machine that hands descriptors in at authorities as fast as they answer: validly signed, each under a fresh identity, at
 * one place. Told to wait a few times, it makes the link anew.
 * Spec: specs/authority.md [AUTH-11], [AUTH-12]. Called by scenarios.
 */
#ifndef TUNIC_TESTS_SIM_FLOODER_H
#define TUNIC_TESTS_SIM_FLOODER_H

#include "directory/network_file.h"
#include "protocol/link.h"
#include "tests/sim/sim.h"

struct flooder;
/* `links` to each of the file's authorities; `place`: where its relays are said to be. The pointers must outlive it. */
struct flooder *flooder_new(struct sim *, const struct link_self *, const struct network_file *, uint32_t links, const struct address *place);
void flooder_free(struct flooder *);
struct machine flooder_machine(struct flooder *);
/* How many descriptors were handed in, and how many of them taken. */
uint64_t flooder_handed_in(const struct flooder *);
uint64_t flooder_taken(const struct flooder *);

#endif
