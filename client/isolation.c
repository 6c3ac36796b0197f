#include "client/isolation.h"

#include <string.h>

enum {
  ADDRESS_PART = 1 + 16,
  CREDENTIALS_PART = 3 + 2 * SOCKS_CREDENTIAL_MAX_BYTES,
  INPUT_BYTES = ISOLATION_SECRET_BYTES + ADDRESS_PART + CREDENTIALS_PART + 1 + TARGET_MAX_BYTES,
};

/* [ISO-1] Every part has its length in front, or always the same: no two different inputs give equal bytes. */
void isolation_make(struct isolation *ret, const uint8_t secret[ISOLATION_SECRET_BYTES], const struct address *application,
                    const struct socks *socks, bool by_destination) {
  const struct socks_credentials *credentials = &socks->credentials;
  uint8_t input[INPUT_BYTES], *at = input;
  memcpy(at, secret, ISOLATION_SECRET_BYTES);
  at += ISOLATION_SECRET_BYTES;
  *at++ = application->family;
  memcpy(at, application->bytes, 16);
  at += 16;
  *at++ = credentials->given;
  *at++ = credentials->user_len;
  memcpy(at, credentials->user, credentials->user_len);
  at += credentials->user_len;
  *at++ = credentials->password_len;
  memcpy(at, credentials->password, credentials->password_len);
  at += credentials->password_len;
  *at++ = by_destination;
  if (by_destination) at += target_encode(&socks->target, at);
  digest_labelled(ret->digest, "tunic isolation 1", input, (size_t)(at - input));
  bytes_wipe(input, sizeof input);
}

bool isolation_equal(const struct isolation *a, const struct isolation *b) {
  return bytes_equal_constant_time(a->digest, b->digest, DIGEST_BYTES);
}
