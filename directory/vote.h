/* A vote: what one authority sees of the relays, with their descriptors whole, signed.
 * Spec: specs/vote.md [VOTE-*]. Made and read by authorities; counted by the tally, which needs nothing else.
 * Parsing is linear; it verifies the vote's signature and every descriptor that the caller has not verified before.
 * A vote is immutable, and keeps a reference to its text.
 */
#ifndef TUNIC_DIRECTORY_VOTE_H
#define TUNIC_DIRECTORY_VOTE_H

#include "directory/descriptor.h"
#include "directory/network_file.h"
#include "protocol/document.h"

enum {
  VOTE_METHOD_MAX = 31,
  VOTE_HEADER_MAX_BYTES = 1024,    /* what a vote needs beside its relays */
  VOTE_RELAY_LINE_MAX_BYTES = 128, /* and beside a relay's descriptor */
};

/* [VOTE-5] Whose vote it is, and for what. */
struct vote_header {
  uint8_t network[32];
  uint8_t authority[IDENTITY_BYTES];
  uint64_t epoch;
  uint32_t round;
  uint8_t previous[DIGEST_BYTES]; /* of the consensus before; epoch 1: of the network file */
  struct date date, valid_after;  /* when it was made; the proposal */
  uint32_t methods;               /* bits 1 << method: how the author can tally */
  uint32_t relay_count;
};

struct vote_relay {
  uint8_t identity[IDENTITY_BYTES];
  uint8_t flags; /* enum relay_flag: as this authority sees them */
  bool is_measured;
  uint32_t measured; /* KB/s */
  uint64_t sequence; /* of its descriptor */
  uint8_t digest[DIGEST_BYTES]; /* of its descriptor */
  const uint8_t *descriptor; /* its whole text */
  size_t descriptor_len;
};

struct vote; /* immutable */

/* Descriptors that need not be verified again, by the digest of their signed text. */
struct vote_known { bool (*has)(const void *context, const uint8_t digest[DIGEST_BYTES]); const void *context; };

/* Parses and verifies; takes a reference of its own to the text. `known` may be NULL. NULL with *ret_outcome: BAD_DOCUMENT,
 * WRONG_NETWORK, BAD_SIGNATURE (also: not by an authority of the file), TOO_LARGE, NO_MEMORY. */
struct vote *vote_parse(const struct network_file *, struct document *text, const struct vote_known *, enum outcome *ret_outcome,
                        uint32_t *ret_line);
void vote_free(struct vote *); /* NULL is allowed */

const struct vote_header *vote_header(const struct vote *);
const uint8_t *vote_digest(const struct vote *); /* of the signed text: its name in the agreement */
uint32_t vote_count(const struct vote *);
const struct vote_relay *vote_at(const struct vote *, uint32_t index); /* ascending by identity; NULL: no such index */
struct document *vote_text(const struct vote *); /* the vote's own reference */

/* The signed text. header->relay_count relays, ascending by identity; of each: flags, measurement, descriptor. NULL: no
 * memory, or too large. */
struct document *vote_compose(const struct vote_header *, const struct vote_relay *, const uint8_t identity_seed[ED25519_SEED_BYTES]);

#endif
