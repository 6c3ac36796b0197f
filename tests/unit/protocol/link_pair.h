/* Two links in one test, joined by byte pipes that are cut at random places.
 * Called by the tests of links and transfers. Randomness is the test's, from its one seed.
 * Never forgives: a cell out of order or changed fails the test.
 */
#ifndef TUNIC_TESTS_UNIT_PROTOCOL_LINK_PAIR_H
#define TUNIC_TESTS_UNIT_PROTOCOL_LINK_PAIR_H

#include "protocol/link.h"
#include "tests/unit/seed.h"

enum { END_BUFFER_BYTES = 4 * LINK_RECORD_MAX_BYTES };

struct end {
  struct link *link;
  struct link_self self;
  struct guarded_key *secret;
  struct random_stream random;
  uint64_t to_send, sent, received; /* cells */
  uint64_t asked;                   /* how often the source was asked */
  uint8_t tag;                      /* in every byte of its cells */
  enum outcome outcome;             /* of the first call that was not OK */
  size_t in_len;
  uint8_t in[END_BUFFER_BYTES];     /* came, not used yet */
};

struct pair {
  struct end initiator, responder;
  struct link_peer peer; /* whom the initiator means: the responder, unless a test changes it */
  enum link_pattern pattern;
  struct random_stream *random; /* the test's: where bytes are cut */
  bool admit; /* admit whoever claims; else a test does */
};

/* Everything but the links; the random stream outlives it. A test may change it, then calls pair_start. Suites: bits that both declare. */
void pair_init(struct pair *, struct random_stream *, enum link_pattern, uint8_t suites);
void pair_start(struct pair *);
void pair_wipe(struct pair *);

/* Works on what waits, if anything; remembers the outcome. */
void end_work(struct end *);
/* Hands the end some bytes, behind those it has not used, and lets it take all it can, cells included. */
void end_receive(struct end *, const uint8_t *bytes, size_t len);
/* What the end sends into so much room. */
size_t end_transmit(struct end *, uint8_t *out, size_t room);
bool end_is(const struct end *, enum link_state);

/* Until nothing moves: transmit, cut, deliver, work, admit. */
void pair_run(struct pair *);
/* pair_start, pair_run; both must be open. */
void pair_open(struct pair *);

#endif
