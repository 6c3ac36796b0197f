/* What an identity certifies: a signing key until a date. Part of a descriptor, and a file of its own for relays without identity.
 * Spec: specs/descriptor.md [DESC-3], specs/key-files.md [KEYFILE-4]. Called by descriptor.c and relay/driver.c.
 * So the identity can stay on a machine without a network. Never holds a secret; knows no clock.
 */
#ifndef TUNIC_DIRECTORY_SIGNING_CERTIFICATE_H
#define TUNIC_DIRECTORY_SIGNING_CERTIFICATE_H

#include "crypto/keys.h"
#include "protocol/instant.h"
#include "protocol/outcome.h"

enum { SIGNING_CERTIFICATE_TEXT_BYTES = 512 };

struct signing_certificate {
  uint8_t network[32];
  uint8_t identity[IDENTITY_BYTES];
  uint8_t signing_key[ED25519_PUBLIC_BYTES];
  struct date expires;
  uint8_t signature[ED25519_SIGNATURE_BYTES];
};

/* Signs the other fields; `identity` must be the seed's. */
void signing_certificate_sign(struct signing_certificate *, const uint8_t identity_seed[ED25519_SEED_BYTES]);
bool signing_certificate_is_valid(const struct signing_certificate *);

/* The file's text; its length, 0 if it does not fit. */
size_t signing_certificate_format(const struct signing_certificate *, char *out, size_t room);
/* Reads and verifies. BAD_DOCUMENT, BAD_SIGNATURE. */
enum outcome signing_certificate_parse(const uint8_t *bytes, size_t len, struct signing_certificate *ret);

#endif
