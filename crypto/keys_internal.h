/* The parts of keys.c that the public test vectors need to see.
 * Spec: specs/crypto.md [SIGN-*]. Called by keys.c and by tests.
 * Plain Ed25519 has no context: nothing else in the program may call it.
 */
#ifndef TUNIC_CRYPTO_KEYS_INTERNAL_H
#define TUNIC_CRYPTO_KEYS_INTERNAL_H

#include "crypto/keys.h"

bool ed25519_is_valid(const uint8_t signature[ED25519_SIGNATURE_BYTES], const uint8_t public_key[ED25519_PUBLIC_BYTES],
                      const uint8_t *bytes, size_t len);

#endif
