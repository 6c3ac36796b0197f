#include "directory/signing_certificate.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/directory/documents.h"

static struct signing_certificate make(void) {
  struct signing_certificate made = {.expires = sample_date("2026-12-20T00:00:00.000Z")};
  uint8_t seed[32];
  sample_bytes(made.network, 'n', 1);
  sample_bytes(seed, 'I', 1);
  ed25519_public(made.identity, seed);
  sample_bytes(made.signing_key, 'S', 1);
  signing_certificate_sign(&made, seed);
  return made;
}

Test(signing_certificate, what_was_written_is_read) {
  char text[SIGNING_CERTIFICATE_TEXT_BYTES];
  struct signing_certificate made = make(), read;
  size_t len = signing_certificate_format(&made, text, sizeof text);
  cr_assert_gt(len, 0);
  cr_assert_eq(signing_certificate_parse((const uint8_t *)text, len, &read), OUTCOME_OK);
  cr_expect_arr_eq(read.network, made.network, sizeof read.network);
  cr_expect_arr_eq(read.identity, made.identity, sizeof read.identity);
  cr_expect_arr_eq(read.signing_key, made.signing_key, sizeof read.signing_key);
  cr_expect_eq(date_compare(read.expires, made.expires), 0);
  for (size_t room = 0; room < len; room++) cr_expect_eq(signing_certificate_format(&made, text, room), 0);
}

Test(signing_certificate, no_byte_can_be_changed_cut_or_added) {
  char text[SIGNING_CERTIFICATE_TEXT_BYTES + 1];
  struct signing_certificate made = make(), read;
  size_t len = signing_certificate_format(&made, text, SIGNING_CERTIFICATE_TEXT_BYTES);
  for (size_t at = 0; at < len; at++) {
    char kept = text[at];
    text[at] = kept == '0' ? '1' : '0';
    /* A changed identity is an identity whose signature this is not. */
    cr_expect_neq(signing_certificate_parse((const uint8_t *)text, len, &read), OUTCOME_OK, "byte %zu", at);
    text[at] = kept;
    cr_expect_neq(signing_certificate_parse((const uint8_t *)text, at, &read), OUTCOME_OK, "cut at %zu", at);
  }
  text[len] = '\n';
  cr_expect_neq(signing_certificate_parse((const uint8_t *)text, len + 1, &read), OUTCOME_OK);
}

Test(signing_certificate, a_descriptor_carries_the_same_certificate) {
  struct signing_certificate made = make();
  struct descriptor descriptor = {.signing_expires = made.expires};
  uint8_t seed[32];
  sample_bytes(seed, 'I', 1);
  memcpy(descriptor.network, made.network, sizeof descriptor.network);
  memcpy(descriptor.identity, made.identity, sizeof descriptor.identity);
  memcpy(descriptor.signing_key, made.signing_key, sizeof descriptor.signing_key);
  descriptor_certify(&descriptor, seed);
  cr_expect_arr_eq(descriptor.certificate, made.signature, sizeof made.signature);
}
