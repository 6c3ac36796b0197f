/* The consensus: the signed list of relays; one immutable object, shared by pointer between threads.
 * Spec: specs/consensus.md [CONS-*]. Made by the tally, parsed by everyone, used by paths, relays, authorities.
 * Parsing is strict, bounded and linear; signatures are checked against the network file's authorities.
 */
#ifndef TUNIC_DIRECTORY_CONSENSUS_H
#define TUNIC_DIRECTORY_CONSENSUS_H

#include "directory/exit_policy.h"
#include "directory/network_file.h"
#include "directory/pack.h"
#include "directory/relay_flags.h"
#include "protocol/document.h"

enum {
  RELAY_NICKNAME_BYTES = 20, /* with its zero */
  RELAY_FAMILIES_MAX = 8,
  RELAY_FAMILY_BYTES = 8,
  RELAY_WEIGHT_MAX = 100 * 1000 * 1000, /* KB/s */
};

struct relay_entry {
  uint8_t identity[IDENTITY_BYTES];
  uint8_t link_key[X25519_BYTES];
  uint8_t onion_key[X25519_BYTES];
  uint8_t onion_generation;
  uint8_t link_suites; /* bits 1 << aead_suite: for records */
  uint8_t layer_suite; /* enum aead_suite: for onion layers, for all clients alike */
  uint8_t flags;       /* enum relay_flag */
  char nickname[RELAY_NICKNAME_BYTES];
  struct address address;      /* IPv4 or IPv6, where it listens */
  struct address other;        /* a second one, of the other family; family ADDRESS_NONE: none */
  uint32_t weight;             /* KB/s, 1 to RELAY_WEIGHT_MAX */
  const struct exit_summary *exit_summary; /* NULL: no exit */
  uint8_t family_count;
  uint8_t families[RELAY_FAMILIES_MAX][RELAY_FAMILY_BYTES]; /* each family key's first bytes, ascending */
  uint64_t guard_end, middle_end, exit_end; /* [CONS-7] running sums of weights: it owns [previous end, this end) */
};

#define CONSENSUS_AHEAD_MOST_MS ((int64_t)30 * 60 * 1000) /* [CONS-9] */

struct consensus; /* immutable, counted */

struct consensus_header {
  uint32_t serial;
  uint64_t epoch;
  uint8_t previous[DIGEST_BYTES];
  uint32_t method;
  struct date valid_after, fresh_until, valid_until;
  uint32_t relay_count;
  uint64_t guard_total, middle_total, exit_total;
  uint8_t root[DIGEST_BYTES];
  uint8_t digest[DIGEST_BYTES]; /* of the signed header: what SIGN names, and the next epoch's `previous` */
  uint32_t view;                /* of its signatures */
};

/* Parses and verifies. NULL with *ret_outcome: BAD_DOCUMENT, WRONG_NETWORK, BAD_SIGNATURE, TOO_FEW_SIGNATURES, TOO_LARGE,
 * NO_MEMORY. ret_line may be NULL. Dates are checked by consensus_check_dates. Keeps a copy of the bytes. */
struct consensus *consensus_parse(const struct network_file *, const uint8_t *bytes, size_t len, enum outcome *ret_outcome, uint32_t *ret_line);
struct consensus *consensus_take(struct consensus *); /* one more reference */
void consensus_release(struct consensus *);           /* NULL is allowed */

const struct consensus_header *consensus_header(const struct consensus *);
/* The decision that its signatures prove: those of the header's view, as the agreement keeps it. */
struct agreement_certificate;
void consensus_certificate(const struct consensus *, struct agreement_certificate *ret);
/* [CONS-9] OK, CONSENSUS_EXPIRED, or CLOCK_WRONG (valid-after more than 30 min ahead). */
enum outcome consensus_check_dates(const struct consensus *, struct date now);
/* Entries, sorted by identity. */
uint32_t consensus_count(const struct consensus *);
const struct relay_entry *consensus_at(const struct consensus *, uint32_t index);
const struct relay_entry *consensus_find(const struct consensus *, const uint8_t identity[IDENTITY_BYTES]); /* NULL: not listed */

enum path_position { POSITION_GUARD, POSITION_MIDDLE, POSITION_EXIT };
uint64_t consensus_total(const struct consensus *, enum path_position);
/* Whether it has relays enough for a path at all, as a network that is just starting has not. */
bool consensus_has_paths(const struct consensus *);
/* The entry that owns `point` in [0, total) of that position's weights: binary search. NULL if out of range. */
const struct relay_entry *consensus_pick(const struct consensus *, enum path_position, uint64_t point);
uint64_t relay_entry_weight(const struct consensus *, const struct relay_entry *, enum path_position);

bool relay_entry_same_family(const struct relay_entry *, const struct relay_entry *);

/* The text, and the text under zstd as it is served. */
struct document *consensus_text(const struct consensus *);
/* The consensus's own reference, made on first use: take one to keep it. NULL: no memory. */
struct document *consensus_packed(const struct consensus *);

#endif
