/* The network file: one signed text that is the network: name, id, serial, authorities, timing.
 * Spec: specs/network-file.md [NET-*]. Read by every program; made by `tunic-network init`.
 * Parsing is strict and bounded; never touches a file.
 */
#ifndef TUNIC_DIRECTORY_NETWORK_FILE_H
#define TUNIC_DIRECTORY_NETWORK_FILE_H

#include "crypto/keys.h"
#include "protocol/address.h"
#include "protocol/instant.h"
#include "protocol/limits.h"
#include "protocol/outcome.h"

struct network_authority {
  char name[20];                        /* a1 */
  uint8_t identity[IDENTITY_BYTES];     /* Ed25519: signs votes, agreement messages, the network file */
  uint8_t link_key[X25519_BYTES];
  char host[HOST_NAME_MAX_BYTES + 1];   /* an address or a DNS name */
  uint16_t port;
};

/* [NET-4] Timing, in milliseconds. */
struct network_timing {
  int64_t interval;        /* from one valid-after to the next: a consensus is fresh for so long */
  int64_t valid;           /* a consensus is usable for so long */
  int64_t early_gap;       /* epochs opened early, since relays came or went, are at least so far apart */
  int64_t view_first, view_most; /* T0 and Tmax of the agreement's timer */
  int64_t fetch_spread;    /* fetches fall at random within so long after fresh-until */
  int64_t onion_rotation;  /* onion keys: generation = (date / onion_rotation) mod 256 */
  int64_t probe_interval;  /* an authority shakes hands with every relay so often */
};

struct network_file {
  char name[64];
  uint8_t id[32];          /* 32 random bytes, for good */
  uint32_t serial;         /* from 1 */
  uint64_t starts;         /* in force from this epoch on; serial 1: from 1 */
  uint8_t previous[DIGEST_BYTES]; /* the digest of the serial before; serial 1: zeros */
  bool is_lab;             /* paths may stay in one neighbourhood */
  struct date created, expires;
  struct network_timing timing;
  uint32_t authority_count;
  struct network_authority authorities[LIMIT_AUTHORITIES];
  uint8_t digest[DIGEST_BYTES]; /* of the signed text: epoch 1 names it as its predecessor */
};

/* BAD_DOCUMENT, BAD_SIGNATURE, TOO_FEW_SIGNATURES, TOO_LARGE; ret_line (may be NULL): where, from 1; 0: not a line's fault. */
enum outcome network_file_parse(const uint8_t *bytes, size_t len, struct network_file *ret, uint32_t *ret_line);
/* The text without signatures, into `out`; returns its length, 0 if it does not fit. */
size_t network_file_format(const struct network_file *, char *out, size_t room);
/* Adds one authority's signature line to a text; returns the new length, 0 if it does not fit. */
size_t network_file_sign(char *text, size_t len, size_t room, const uint8_t identity_seed[32]);

/* [NET-7] The file of the next serial: parsed, naming `old`, and signed by a quorum of `old` too. Also WRONG_NETWORK, STALE. */
enum outcome network_file_follows(const struct network_file *old, const uint8_t *bytes, size_t len, struct network_file *ret);

enum { NETWORK_SIGNERS_MAX = 2 * LIMIT_AUTHORITIES }; /* a new serial's file is signed by members of the old one too */
struct network_signers { uint32_t count; struct { uint8_t identity[IDENTITY_BYTES]; bool is_valid; } list[NETWORK_SIGNERS_MAX]; };
/* For the people who sign it: the grammar alone is judged (BAD_DOCUMENT, TOO_LARGE), and who signed is told (NULL: not asked). */
enum outcome network_file_read_draft(const uint8_t *bytes, size_t len, struct network_file *ret, struct network_signers *ret_signers,
                                     uint32_t *ret_line);
/* How many of the file's authorities are among them, with valid signatures. */
uint32_t network_file_count_signers(const struct network_file *, const struct network_signers *);

/* [AGREE-1] f and q of n. */
uint32_t authorities_tolerated(uint32_t n);
uint32_t authorities_quorum(uint32_t n);
/* The authority's place in the file's order; -1: none. */
int network_file_find_authority(const struct network_file *, const uint8_t identity[IDENTITY_BYTES]);
/* [NET-5] Settings for a lab or for production. */
void network_timing_lab(struct network_timing *);
void network_timing_production(struct network_timing *);
/* The onion-key generation of a date. */
uint8_t network_onion_generation(const struct network_timing *, struct date);

#endif
