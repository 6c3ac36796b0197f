#include "directory/signing_certificate.h"

#include <string.h>

#include "directory/signed_text.h"
#include "protocol/message.h"

static const char KIND[] = "signing-certificate", CONTEXT[] = "tunic signing key";

enum { CERTIFIED_BYTES = 32 + ED25519_PUBLIC_BYTES + 8 };

/* [DESC-3] Network, signing key, its last date. */
static void certified_bytes(const struct signing_certificate *certificate, uint8_t ret[CERTIFIED_BYTES]) {
  memcpy(ret, certificate->network, 32);
  memcpy(ret + 32, certificate->signing_key, ED25519_PUBLIC_BYTES);
  put_u64(ret + 64, (uint64_t)certificate->expires.milliseconds);
}

void signing_certificate_sign(struct signing_certificate *certificate, const uint8_t identity_seed[ED25519_SEED_BYTES]) {
  uint8_t certified[CERTIFIED_BYTES];
  certified_bytes(certificate, certified);
  signature_make(certificate->signature, identity_seed, CONTEXT, certified, sizeof certified);
}

bool signing_certificate_is_valid(const struct signing_certificate *certificate) {
  uint8_t certified[CERTIFIED_BYTES];
  certified_bytes(certificate, certified);
  return signature_is_valid(certificate->signature, certificate->identity, CONTEXT, certified, sizeof certified);
}

/* [KEYFILE-4] */
size_t signing_certificate_format(const struct signing_certificate *certificate, char *out, size_t room) {
  struct text_writer writer;
  text_writer_init(&writer, out, room);
  text_write_title(&writer, KIND);
  text_write_hex_line(&writer, "network", certificate->network, sizeof certificate->network);
  text_write_hex_line(&writer, "identity", certificate->identity, sizeof certificate->identity);
  text_write_line(&writer, "signing-key");
  text_write_hex(&writer, certificate->signing_key, sizeof certificate->signing_key);
  text_write_date(&writer, certificate->expires);
  text_write_hex(&writer, certificate->signature, sizeof certificate->signature);
  text_write_end(&writer);
  return text_written(&writer);
}

enum outcome signing_certificate_parse(const uint8_t *bytes, size_t len, struct signing_certificate *ret) {
  struct text_reader reader;
  if (len > SIGNING_CERTIFICATE_TEXT_BYTES) return OUTCOME_BAD_DOCUMENT;
  text_reader_init(&reader, bytes, len);
  text_read_title(&reader, KIND);
  text_read_line(&reader, "network");
  text_read_hex(&reader, ret->network, sizeof ret->network);
  text_read_line(&reader, "identity");
  text_read_hex(&reader, ret->identity, sizeof ret->identity);
  text_read_line(&reader, "signing-key");
  text_read_hex(&reader, ret->signing_key, sizeof ret->signing_key);
  ret->expires = text_read_date(&reader);
  text_read_hex(&reader, ret->signature, sizeof ret->signature);
  if (!text_is_complete(&reader)) return OUTCOME_BAD_DOCUMENT;
  return signing_certificate_is_valid(ret) ? OUTCOME_OK : OUTCOME_BAD_SIGNATURE;
}
