/* A directory authority: takes descriptors, shakes hands with relays, votes, agrees with the others, serves the consensus.
 * Spec: specs/authority.md [AUTH-*], specs/agreement.md. The machine of tunic-directory.
 * Never lists a relay that it has not shaken hands with; never speaks before what it said is on disk.
 */
#ifndef TUNIC_DIRECTORY_AUTHORITY_H
#define TUNIC_DIRECTORY_AUTHORITY_H

#include "directory/agreement.h"
#include "directory/network_chain.h"
#include "protocol/machine.h"
#include "protocol/memory_budget.h"

struct authority;

/* Pointers are kept and must outlive it; the seed is copied. */
struct authority_config {
  const struct link_self *self;              /* with link_secret */
  struct network_chain *networks;            /* new serials are added to it */
  const struct guarded_key *identity_seed;
  struct memory_budget *budget;
  uint8_t seed[RANDOM_SEED_BYTES];
  const struct trace *trace;
  enum agreement_ballot_state ballot_state;  /* what the folder held */
  const uint8_t *ballot;                     /* read by authority_new alone, as are votes */
  size_t ballot_len;
  struct consensus *consensus;               /* from disk; one reference moves in; NULL: none */
  struct document *const *votes;             /* what its AUTHORITY_VOTE_FILES held, NULL where there is none */
};

/* NULL with the outcome: NO_MEMORY, WRONG_NETWORK. */
struct authority *authority_new(const struct authority_config *, instant now, const struct wall_clock *, enum outcome *ret_outcome);
void authority_free(struct authority *);
struct machine authority_machine(struct authority *);

/* Files of its folder. */
#define AUTHORITY_BALLOT_FILE "ballot"
#define AUTHORITY_CONSENSUS_FILE "consensus"
#define AUTHORITY_EVIDENCE_FILE "evidence"

/* [AUTH-17] And votes: so many files, four for each place. */
enum { AUTHORITY_VOTES_OF_ONE = 4, AUTHORITY_VOTE_FILES = AUTHORITY_VOTES_OF_ONE * LIMIT_AUTHORITIES, AUTHORITY_VOTE_NAME_BYTES = 32 };
void authority_vote_file(uint32_t index, char ret_name[AUTHORITY_VOTE_NAME_BYTES]);

/* EVENT_MESSAGE from its driver: object is a struct document, the next network file; the reference moves. */
enum { AUTHORITY_NEW_NETWORK = 1 };

/* For tests: the newest consensus (not counted), and how many relays it knows and finds running. */
const struct consensus *authority_consensus(const struct authority *);
uint32_t authority_known_count(const struct authority *);
uint32_t authority_running_count(const struct authority *);

#endif
