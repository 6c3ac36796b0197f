/* A relay's descriptor: all that it says of itself, in one signed text.
 * Spec: specs/descriptor.md [DESC-*]. Made by relays; read by authorities, votes and the tally.
 * Parsing verifies everything that needs neither a clock nor what came before. Never allocates, draws no keys.
 */
#ifndef TUNIC_DIRECTORY_DESCRIPTOR_H
#define TUNIC_DIRECTORY_DESCRIPTOR_H

#include "directory/consensus.h"
#include "directory/exit_policy.h"
#include "directory/network_file.h"

enum { DESCRIPTOR_SOFTWARE_BYTES = 41, DESCRIPTOR_CONTACT_BYTES = 101 }; /* with their zeroes */
#define DESCRIPTOR_SIGNING_KEY_MOST_MS ((int64_t)30 * 24 * 60 * 60 * 1000) /* [DESC-3] */
#define DESCRIPTOR_AGE_MOST_MS ((int64_t)2 * 24 * 60 * 60 * 1000)          /* [DESC-8] */
#define DESCRIPTOR_AHEAD_MOST_MS ((int64_t)30 * 60 * 1000)

struct descriptor_family { uint8_t key[ED25519_PUBLIC_BYTES], certificate[ED25519_SIGNATURE_BYTES]; };

struct descriptor {
  uint8_t network[32];
  char nickname[RELAY_NICKNAME_BYTES];
  uint8_t identity[IDENTITY_BYTES];
  uint8_t signing_key[ED25519_PUBLIC_BYTES];
  struct date signing_expires;
  uint8_t certificate[ED25519_SIGNATURE_BYTES]; /* of the signing key, by the identity */
  uint64_t sequence;     /* [DESC-4] rises with each descriptor of this identity */
  struct date published;
  struct address address; /* where it listens */
  struct address other;   /* a second one, of the other family; ADDRESS_NONE: none */
  uint8_t link_key[X25519_BYTES];
  uint8_t onion_generation;
  uint8_t onion_key[X25519_BYTES];
  uint8_t link_suites; /* bits 1 << aead_suite */
  uint8_t layer_suite; /* enum aead_suite */
  uint32_t bandwidth;  /* KB/s, its own claim */
  struct exit_policy policy;
  uint32_t family_count;
  struct descriptor_family families[RELAY_FAMILIES_MAX]; /* ascending by the key's first RELAY_FAMILY_BYTES */
  char software[DESCRIPTOR_SOFTWARE_BYTES];
  char contact[DESCRIPTOR_CONTACT_BYTES]; /* "": none */
  uint8_t digest[DIGEST_BYTES]; /* of the signed text */
};

/* Reads and verifies. BAD_DOCUMENT, WRONG_NETWORK, BAD_SIGNATURE, TOO_LARGE. ret_line (may be NULL): where, from 1. */
enum outcome descriptor_parse(const uint8_t network[32], const uint8_t *bytes, size_t len, struct descriptor *ret, uint32_t *ret_line);
/* The same without its signatures, certificates and keys: for bytes of which they were verified before. */
enum outcome descriptor_read(const uint8_t network[32], const uint8_t *bytes, size_t len, struct descriptor *ret, uint32_t *ret_line);
/* For whoever must not spend long at once ([MACH-9]): what is still to be proven of a descriptor that was read, a step at a time. */
struct descriptor_proof { size_t signed_len; uint8_t signature[ED25519_SIGNATURE_BYTES]; uint32_t steps; };
enum outcome descriptor_read_unproven(const uint8_t network[32], const uint8_t *bytes, size_t len, struct descriptor *ret,
                                      struct descriptor_proof *ret_proof);
/* One signature or key more, of the same bytes. True: more are left. *ret_outcome: OK, BAD_SIGNATURE, BAD_DOCUMENT. */
bool descriptor_prove(const struct descriptor *, const uint8_t *bytes, struct descriptor_proof *, enum outcome *ret_outcome);
/* [DESC-8] OK; CLOCK_WRONG: from the future; STALE: too old, or its signing key is; NOT_ALLOWED_HERE: a private address
 * outside a lab. */
enum outcome descriptor_check(const struct descriptor *, const struct network_file *, struct date now);

/* [DESC-3] The certificate for the signing key that the descriptor names, until the date that it names. */
void descriptor_certify(struct descriptor *, const uint8_t identity_seed[ED25519_SEED_BYTES]);
/* [DESC-6] Adds this relay to a family. False: one too many, or it is in it already. */
bool descriptor_join_family(struct descriptor *, const uint8_t family_seed[ED25519_SEED_BYTES]);
/* The text without the signature; its length, 0 if it does not fit. */
size_t descriptor_format(const struct descriptor *, char *out, size_t room);
/* Adds the signature line; the new length, 0 if it does not fit. */
size_t descriptor_sign(char *text, size_t len, size_t room, const uint8_t signing_seed[ED25519_SEED_BYTES]);

#endif
