/* An authority and its folder, for tests: starts, power cuts, disks that fail; nobody else is there.
 * Spec: none. Called by authority.c, authority_relays.c and authority_sources.c of this folder.
 * It is authority 0 of the sample network's second serial; what was written is kept for the next start.
 */
#ifndef TUNIC_TESTS_UNIT_DIRECTORY_AUTHORITY_PLACE_H
#define TUNIC_TESTS_UNIT_DIRECTORY_AUTHORITY_PLACE_H

#include "directory/agreement_ballot.h"
#include "directory/authority_internal.h"
#include "documents.h"

enum { MEMBERS = 4, FEW = 3 };
#define PLACE_START (1000 * SECONDS)

/* Authority 0 of the sample network, and its folder. */
struct place {
  instant now;
  uint32_t first;    /* serial 1 has the authorities from this one on: 0, or 1 where we join with serial 2 */
  uint32_t members;  /* of each serial */
  bool loses_consensuses; /* writing one fails, whatever else works */
  struct network_file networks[2];
  struct network_chain *chain;
  struct link_self self;
  struct guarded_key *identity, *link;
  struct memory_budget budget;
  struct document *votes[AUTHORITY_VOTE_FILES], *record;
  struct document *networks_text, *split_proof; /* files; NULL: not on disk */
  struct authority *authority;
};

/* Serial 2 starts behind the sample consensus. */
void place_make(struct place *, uint32_t first, uint32_t members);
/* From what is on disk. One reference to the consensus that was there moves in; NULL: none was. */
enum outcome place_try_start(struct place *, enum agreement_ballot_state, struct consensus *); /* authority NULL: why */
void place_start(struct place *, enum agreement_ballot_state, struct consensus *);
/* Both, in epoch 1. */
void place_begin(struct place *, enum agreement_ballot_state);
void place_end(struct place *);
/* Starts anew, without record and consensus. */
void place_power_cut(struct place *);
/* Carries out what is to be written; votes and the record are kept for the next start. `good`: the disk works. */
void place_run_disk(struct place *, bool good);
/* A record of serial 2. */
void place_read_record(const struct place *, const struct document *, struct agreement_ballot *ret);
/* Lets time pass. */
void place_run(struct place *, uint64_t duration);
/* Relays that handed their descriptors in, and run. */
void place_find_running(struct place *, uint32_t count);
/* Of serial 1; of one epoch there are as many as variants. One of its relays is at this address (NULL: at the sample's). */
struct consensus *place_consensus(const struct place *, uint64_t epoch, int64_t variant, const struct address *relay);

#endif
