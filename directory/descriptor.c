#include "directory/descriptor.h"

#include <string.h>

#include "directory/signed_text.h"
#include "directory/signing_certificate.h"
#include "protocol/message.h"

static const char KIND[] = "descriptor";
static const char CONTEXT[] = "tunic descriptor", FAMILY_CONTEXT[] = "tunic family";

/* [DESC-3] What its identity certifies. */
static struct signing_certificate certificate_of(const struct descriptor *descriptor) {
  struct signing_certificate certificate = {.expires = descriptor->signing_expires};
  memcpy(certificate.network, descriptor->network, sizeof certificate.network);
  memcpy(certificate.identity, descriptor->identity, sizeof certificate.identity);
  memcpy(certificate.signing_key, descriptor->signing_key, sizeof certificate.signing_key);
  memcpy(certificate.signature, descriptor->certificate, sizeof certificate.signature);
  return certificate;
}

static void read_addresses(struct text_reader *reader, struct descriptor *ret) {
  text_read_line(reader, "address");
  text_read_address(reader, &ret->address);
  if (!text_read_line_if(reader, "address")) return;
  text_read_address(reader, &ret->other);
  if (ret->other.family == ret->address.family) text_fail(reader);
}

static void read_keys(struct text_reader *reader, struct descriptor *ret) {
  text_read_line(reader, "link-key");
  text_read_hex(reader, ret->link_key, sizeof ret->link_key);
  text_read_line(reader, "onion-key");
  ret->onion_generation = (uint8_t)text_read_number(reader, 0, 255);
  text_read_hex(reader, ret->onion_key, sizeof ret->onion_key);
  if (memcmp(ret->link_key, ret->onion_key, X25519_BYTES) == 0) text_fail(reader);
  /* [DESC-7] */
  text_read_line(reader, "link-suites");
  ret->link_suites = (uint8_t)text_read_number(reader, 1 << AEAD_CHACHA20_POLY1305, 254);
  if (!(ret->link_suites & 1 << AEAD_CHACHA20_POLY1305) || ret->link_suites & 1) text_fail(reader);
  text_read_line(reader, "layer-suite");
  ret->layer_suite = (uint8_t)text_read_number(reader, AEAD_CHACHA20_POLY1305, AEAD_AES256_GCM);
}

/* [DESC-6] Ascending by what a consensus shows of them, so that none shows twice. */
static void read_families(struct text_reader *reader, struct descriptor *ret) {
  while (text_read_line_if(reader, "family")) {
    if (ret->family_count == RELAY_FAMILIES_MAX) {
      text_fail(reader);
      return;
    }
    struct descriptor_family *family = &ret->families[ret->family_count];
    text_read_hex(reader, family->key, sizeof family->key);
    text_read_hex(reader, family->certificate, sizeof family->certificate);
    if (ret->family_count > 0 && memcmp(family[-1].key, family->key, RELAY_FAMILY_BYTES) >= 0) text_fail(reader);
    ret->family_count++;
  }
}

static void read_contact(struct text_reader *reader, struct descriptor *ret) {
  if (!text_read_line_if(reader, "contact")) return;
  struct text_span contact = text_read_rest(reader);
  if (contact.len >= sizeof ret->contact) text_fail(reader);
  if (!reader->failed) memcpy(ret->contact, contact.text, contact.len);
}

/* [DESC-1] */
static void read_signed_part(struct text_reader *reader, struct descriptor *ret) {
  text_read_title(reader, KIND);
  text_read_line(reader, "network");
  text_read_hex(reader, ret->network, sizeof ret->network);
  text_read_line(reader, "nickname");
  text_read_name(reader, ret->nickname, sizeof ret->nickname, "-");
  text_read_line(reader, "identity");
  text_read_hex(reader, ret->identity, sizeof ret->identity);
  text_read_line(reader, "signing-key");
  text_read_hex(reader, ret->signing_key, sizeof ret->signing_key);
  ret->signing_expires = text_read_date(reader);
  text_read_hex(reader, ret->certificate, sizeof ret->certificate);
  text_read_line(reader, "sequence");
  ret->sequence = text_read_number(reader, 1, UINT64_MAX);
  text_read_line(reader, "published");
  ret->published = text_read_date(reader);
  /* [DESC-3] */
  int64_t key_life = ret->signing_expires.milliseconds - ret->published.milliseconds;
  if (key_life <= 0 || key_life > DESCRIPTOR_SIGNING_KEY_MOST_MS) text_fail(reader);
  read_addresses(reader, ret);
  read_keys(reader, ret);
  text_read_line(reader, "bandwidth");
  ret->bandwidth = (uint32_t)text_read_number(reader, 0, RELAY_WEIGHT_MAX);
  exit_policy_read(reader, &ret->policy);
  read_families(reader, ret);
  text_read_line(reader, "software");
  text_read_name(reader, ret->software, sizeof ret->software, "-._+");
  read_contact(reader, ret);
  text_skip_extensions(reader);
}

static bool x25519_key_is_good(const uint8_t key[X25519_BYTES]) {
  /* Any scalar tells: clamped, it is a multiple of eight, and a low-order point becomes zero. */
  static const uint8_t scalar[X25519_BYTES] = {1};
  uint8_t shared[X25519_BYTES];
  return x25519_shared(shared, scalar, key);
}

static bool certificate_is_good(const struct descriptor *descriptor) {
  struct signing_certificate certificate = certificate_of(descriptor);
  return signing_certificate_is_valid(&certificate);
}

static bool family_is_good(const struct descriptor *descriptor, uint32_t index) {
  const struct descriptor_family *family = &descriptor->families[index];
  return signature_is_valid(family->certificate, family->key, FAMILY_CONTEXT, descriptor->identity, IDENTITY_BYTES);
}

/* [DESC-2] to [DESC-6]: what takes time. */
bool descriptor_prove(const struct descriptor *descriptor, const uint8_t *bytes, struct descriptor_proof *proof, enum outcome *ret_outcome) {
  enum { CERTIFICATE, SIGNATURE, LINK_KEY, ONION_KEY, FAMILIES };
  uint32_t step = proof->steps++, families = descriptor->family_count;
  *ret_outcome = OUTCOME_OK;
  if (step == CERTIFICATE) {
    if (!certificate_is_good(descriptor)) *ret_outcome = OUTCOME_BAD_SIGNATURE;
  } else if (step == SIGNATURE) {
    if (!signature_is_valid(proof->signature, descriptor->signing_key, CONTEXT, bytes, proof->signed_len)) *ret_outcome = OUTCOME_BAD_SIGNATURE;
  } else if (step == LINK_KEY || step == ONION_KEY) { /* [DESC-5] */
    if (!x25519_key_is_good(step == LINK_KEY ? descriptor->link_key : descriptor->onion_key)) *ret_outcome = OUTCOME_BAD_DOCUMENT;
  } else if (!family_is_good(descriptor, step - FAMILIES)) {
    *ret_outcome = OUTCOME_BAD_SIGNATURE;
  }
  return *ret_outcome == OUTCOME_OK && proof->steps < FAMILIES + families;
}

static enum outcome parse(const uint8_t network[32], const uint8_t *bytes, size_t len, struct descriptor *ret, struct descriptor_proof *ret_proof,
                          uint32_t *ret_line) {
  struct descriptor descriptor;
  struct text_reader reader;
  *ret_proof = (struct descriptor_proof){0};
  if (ret_line) *ret_line = 0;
  if (len > LIMIT_DESCRIPTOR_BYTES) return OUTCOME_TOO_LARGE;
  memset(&descriptor, 0, sizeof descriptor);
  text_reader_init(&reader, bytes, len);
  read_signed_part(&reader, &descriptor);
  ret_proof->signed_len = text_offset(&reader);
  text_read_line(&reader, "signature");
  text_read_hex(&reader, ret_proof->signature, sizeof ret_proof->signature);
  if (!text_is_complete(&reader)) {
    if (ret_line) *ret_line = reader.line;
    return OUTCOME_BAD_DOCUMENT;
  }
  if (memcmp(descriptor.network, network, sizeof descriptor.network) != 0) return OUTCOME_WRONG_NETWORK;
  digest_labelled(descriptor.digest, CONTEXT, bytes, ret_proof->signed_len);
  *ret = descriptor;
  return OUTCOME_OK;
}

enum outcome descriptor_parse(const uint8_t network[32], const uint8_t *bytes, size_t len, struct descriptor *ret, uint32_t *ret_line) {
  struct descriptor descriptor;
  struct descriptor_proof proof;
  enum outcome outcome = parse(network, bytes, len, &descriptor, &proof, ret_line);
  if (outcome != OUTCOME_OK) return outcome;
  while (descriptor_prove(&descriptor, bytes, &proof, &outcome)) continue;
  if (outcome == OUTCOME_OK) *ret = descriptor;
  return outcome;
}

enum outcome descriptor_read(const uint8_t network[32], const uint8_t *bytes, size_t len, struct descriptor *ret, uint32_t *ret_line) {
  struct descriptor_proof proof;
  return parse(network, bytes, len, ret, &proof, ret_line);
}

enum outcome descriptor_read_unproven(const uint8_t network[32], const uint8_t *bytes, size_t len, struct descriptor *ret,
                                      struct descriptor_proof *ret_proof) {
  return parse(network, bytes, len, ret, ret_proof, NULL);
}

/* [DESC-8] */
enum outcome descriptor_check(const struct descriptor *descriptor, const struct network_file *network, struct date now) {
  int64_t age = now.milliseconds - descriptor->published.milliseconds;
  if (age < -DESCRIPTOR_AHEAD_MOST_MS) return OUTCOME_CLOCK_WRONG;
  if (age > DESCRIPTOR_AGE_MOST_MS || date_compare(now, descriptor->signing_expires) >= 0) return OUTCOME_STALE;
  bool is_private = address_is_private(&descriptor->address) ||
                    (descriptor->other.family != ADDRESS_NONE && address_is_private(&descriptor->other));
  return is_private && !network->is_lab ? OUTCOME_NOT_ALLOWED_HERE : OUTCOME_OK;
}

void descriptor_certify(struct descriptor *descriptor, const uint8_t identity_seed[ED25519_SEED_BYTES]) {
  struct signing_certificate certificate = certificate_of(descriptor);
  signing_certificate_sign(&certificate, identity_seed);
  memcpy(descriptor->certificate, certificate.signature, sizeof descriptor->certificate);
}

bool descriptor_join_family(struct descriptor *descriptor, const uint8_t family_seed[ED25519_SEED_BYTES]) {
  struct descriptor_family family;
  uint32_t at = 0;
  ed25519_public(family.key, family_seed);
  signature_make(family.certificate, family_seed, FAMILY_CONTEXT, descriptor->identity, IDENTITY_BYTES);
  if (descriptor->family_count == RELAY_FAMILIES_MAX) return false;
  while (at < descriptor->family_count && memcmp(descriptor->families[at].key, family.key, RELAY_FAMILY_BYTES) < 0) at++;
  struct descriptor_family *place = &descriptor->families[at];
  if (at < descriptor->family_count && memcmp(place->key, family.key, RELAY_FAMILY_BYTES) == 0) return false;
  memmove(place + 1, place, (descriptor->family_count - at) * sizeof *place);
  *place = family;
  descriptor->family_count++;
  return true;
}

static void write_address(struct text_writer *writer, const struct address *address) {
  text_write_line(writer, "address");
  text_write_address(writer, address);
  text_write_end(writer);
}

static void write_families(struct text_writer *writer, const struct descriptor *descriptor) {
  for (uint32_t i = 0; i < descriptor->family_count; i++) {
    text_write_line(writer, "family");
    text_write_hex(writer, descriptor->families[i].key, ED25519_PUBLIC_BYTES);
    text_write_hex(writer, descriptor->families[i].certificate, ED25519_SIGNATURE_BYTES);
    text_write_end(writer);
  }
}

size_t descriptor_format(const struct descriptor *descriptor, char *out, size_t room) {
  struct text_writer writer;
  text_writer_init(&writer, out, room);
  text_write_title(&writer, KIND);
  text_write_hex_line(&writer, "network", descriptor->network, sizeof descriptor->network);
  text_write_word_line(&writer, "nickname", descriptor->nickname);
  text_write_hex_line(&writer, "identity", descriptor->identity, sizeof descriptor->identity);
  text_write_line(&writer, "signing-key");
  text_write_hex(&writer, descriptor->signing_key, sizeof descriptor->signing_key);
  text_write_date(&writer, descriptor->signing_expires);
  text_write_hex(&writer, descriptor->certificate, sizeof descriptor->certificate);
  text_write_end(&writer);
  text_write_number_line(&writer, "sequence", descriptor->sequence);
  text_write_date_line(&writer, "published", descriptor->published);
  write_address(&writer, &descriptor->address);
  if (descriptor->other.family != ADDRESS_NONE) write_address(&writer, &descriptor->other);
  text_write_hex_line(&writer, "link-key", descriptor->link_key, sizeof descriptor->link_key);
  text_write_line(&writer, "onion-key");
  text_write_number(&writer, descriptor->onion_generation);
  text_write_hex(&writer, descriptor->onion_key, sizeof descriptor->onion_key);
  text_write_end(&writer);
  text_write_number_line(&writer, "link-suites", descriptor->link_suites);
  text_write_number_line(&writer, "layer-suite", descriptor->layer_suite);
  text_write_number_line(&writer, "bandwidth", descriptor->bandwidth);
  exit_policy_write(&writer, &descriptor->policy);
  write_families(&writer, descriptor);
  text_write_word_line(&writer, "software", descriptor->software);
  if (descriptor->contact[0] != 0) text_write_word_line(&writer, "contact", descriptor->contact);
  return text_written(&writer);
}

/* [DESC-2] */
size_t descriptor_sign(char *text, size_t len, size_t room, const uint8_t signing_seed[ED25519_SEED_BYTES]) {
  uint8_t signature[ED25519_SIGNATURE_BYTES];
  struct text_writer writer;
  if (len > room) return 0;
  signature_make(signature, signing_seed, CONTEXT, (const uint8_t *)text, len);
  text_writer_init(&writer, text, room);
  writer.len = len;
  text_write_hex_line(&writer, "signature", signature, sizeof signature);
  return text_written(&writer);
}
