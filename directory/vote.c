#include "directory/vote.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "directory/signed_text.h"

static const char KIND[] = "vote", CONTEXT[] = "tunic vote";

enum {
  RELAY_LEAST_BYTES = 512, /* so that a short text can't ask for a large allocation */
  SIGNATURE_LINE_BYTES = TEXT_SIGNATURE_KEYWORD_BYTES + 2 * ED25519_SIGNATURE_BYTES + 1,
};

struct vote {
  struct document *text;
  struct vote_header header;
  uint8_t digest[DIGEST_BYTES];
  struct vote_relay relays[];
};

/* Ascending, each once. */
static uint32_t read_methods(struct text_reader *reader) {
  uint32_t methods = 0;
  uint64_t least = 1;
  text_read_line(reader, "methods");
  do {
    uint64_t method = text_read_number(reader, least, VOTE_METHOD_MAX);
    if (reader->failed) return 0;
    methods |= UINT32_C(1) << method;
    least = method + 1;
  } while (text_has_word(reader));
  return methods;
}

/* [VOTE-1] */
static void read_header(struct text_reader *reader, struct vote_header *ret) {
  text_read_title(reader, KIND);
  text_read_line(reader, "network");
  text_read_hex(reader, ret->network, sizeof ret->network);
  text_read_line(reader, "authority");
  text_read_hex(reader, ret->authority, sizeof ret->authority);
  text_read_line(reader, "epoch");
  ret->epoch = text_read_number(reader, 1, UINT64_MAX);
  text_read_line(reader, "round");
  ret->round = (uint32_t)text_read_number(reader, 0, UINT32_MAX);
  text_read_line(reader, "previous");
  text_read_hex(reader, ret->previous, sizeof ret->previous);
  text_read_line(reader, "date");
  ret->date = text_read_date(reader);
  text_read_line(reader, "valid-after");
  ret->valid_after = text_read_date(reader);
  ret->methods = read_methods(reader);
  text_read_line(reader, "relays");
  ret->relay_count = (uint32_t)text_read_number(reader, 0, LIMIT_RELAYS);
  text_skip_extensions(reader);
}

/* [VOTE-3] A descriptor that was verified before is only read. */
static enum outcome read_descriptor(const uint8_t network[32], const struct vote_known *known, struct vote_relay *relay, uint32_t *ret_line) {
  struct descriptor descriptor;
  enum outcome outcome = descriptor_read(network, relay->descriptor, relay->descriptor_len, &descriptor, ret_line);
  if (outcome == OUTCOME_OK && !(known && known->has(known->context, descriptor.digest)))
    outcome = descriptor_parse(network, relay->descriptor, relay->descriptor_len, &descriptor, ret_line);
  if (outcome != OUTCOME_OK) return outcome;
  memcpy(relay->identity, descriptor.identity, sizeof relay->identity);
  memcpy(relay->digest, descriptor.digest, sizeof relay->digest);
  relay->sequence = descriptor.sequence;
  return OUTCOME_OK;
}

/* [VOTE-2] `relay FLAGS MEASURED LENGTH`, then so many bytes of descriptor. */
static enum outcome read_relay(struct text_reader *reader, const uint8_t network[32], const struct vote_known *known,
                               const struct vote_relay *before, struct vote_relay *ret) {
  text_read_line(reader, "relay");
  ret->flags = relay_flags_read(reader);
  struct text_span measured = text_read_word(reader);
  uint64_t weight = 0;
  ret->is_measured = !text_equals(measured, "-");
  if (ret->is_measured && !text_number(measured, 0, RELAY_WEIGHT_MAX, &weight)) text_fail(reader);
  ret->measured = (uint32_t)weight;
  ret->descriptor_len = (size_t)text_read_number(reader, 1, LIMIT_DESCRIPTOR_BYTES);
  uint32_t line = reader->line, line_within;
  ret->descriptor = (const uint8_t *)text_take_bytes(reader, ret->descriptor_len);
  if (reader->failed) return OUTCOME_BAD_DOCUMENT;
  enum outcome outcome = read_descriptor(network, known, ret, &line_within);
  if (outcome == OUTCOME_OK && before && memcmp(before->identity, ret->identity, IDENTITY_BYTES) >= 0) outcome = OUTCOME_BAD_DOCUMENT;
  if (outcome == OUTCOME_OK) return outcome;
  reader->line = line + line_within;
  text_fail(reader);
  return outcome;
}

/* [VOTE-4] Before anything costs time: the last line has one length, so it is found from the end. */
static enum outcome verify_signature(const struct text_reader *reader, const struct vote_header *header) {
  uint8_t signature[ED25519_SIGNATURE_BYTES];
  size_t len = (size_t)(reader->end - reader->start);
  if (len < SIGNATURE_LINE_BYTES) return OUTCOME_BAD_DOCUMENT;
  size_t signed_len = len - SIGNATURE_LINE_BYTES;
  const char *line = reader->start + signed_len;
  if (text_signed_bytes(line, SIGNATURE_LINE_BYTES) != 0) return OUTCOME_BAD_DOCUMENT;
  if (!hex_decode(signature, sizeof signature, line + TEXT_SIGNATURE_KEYWORD_BYTES, 2 * sizeof signature)) return OUTCOME_BAD_DOCUMENT;
  if (!signature_is_valid(signature, header->authority, CONTEXT, (const uint8_t *)reader->start, signed_len)) return OUTCOME_BAD_SIGNATURE;
  return OUTCOME_OK;
}

static enum outcome read_vote(struct text_reader *reader, const struct network_file *network, const struct vote_known *known,
                              struct vote **ret) {
  struct vote_header header = {0};
  read_header(reader, &header);
  size_t len = (size_t)(reader->end - reader->start), count = header.relay_count;
  if (!reader->failed && count * RELAY_LEAST_BYTES > len) text_fail(reader);
  if (reader->failed) return OUTCOME_BAD_DOCUMENT;
  if (memcmp(header.network, network->id, sizeof header.network) != 0) return OUTCOME_WRONG_NETWORK;
  if (network_file_find_authority(network, header.authority) < 0) return OUTCOME_BAD_SIGNATURE;
  enum outcome outcome = verify_signature(reader, &header);
  if (outcome != OUTCOME_OK) return outcome;
  struct vote *vote = *ret = calloc(1, sizeof *vote + count * sizeof vote->relays[0]);
  if (!vote) return OUTCOME_NO_MEMORY;
  vote->header = header;
  for (size_t i = 0; i < count; i++) {
    outcome = read_relay(reader, network->id, known, i > 0 ? &vote->relays[i - 1] : NULL, &vote->relays[i]);
    if (outcome != OUTCOME_OK) return outcome;
  }
  digest_labelled(vote->digest, CONTEXT, (const uint8_t *)reader->start, text_offset(reader));
  uint8_t signature[ED25519_SIGNATURE_BYTES];
  text_read_line(reader, "signature");
  text_read_hex(reader, signature, sizeof signature);
  return text_is_complete(reader) ? OUTCOME_OK : OUTCOME_BAD_DOCUMENT;
}

struct vote *vote_parse(const struct network_file *network, struct document *text, const struct vote_known *known,
                        enum outcome *ret_outcome, uint32_t *ret_line) {
  struct vote *vote = NULL;
  struct text_reader reader;
  enum outcome outcome = OUTCOME_TOO_LARGE;
  text_reader_init(&reader, document_bytes(text), document_len(text));
  if (document_len(text) <= LIMIT_VOTE_BYTES) outcome = read_vote(&reader, network, known, &vote);
  *ret_outcome = outcome;
  if (ret_line) *ret_line = reader.failed ? reader.line : 0;
  if (outcome != OUTCOME_OK) {
    free(vote);
    return NULL;
  }
  vote->text = document_take(text);
  return vote;
}

void vote_free(struct vote *vote) {
  if (!vote) return;
  document_release(vote->text);
  free(vote);
}

const struct vote_header *vote_header(const struct vote *vote) { return &vote->header; }

const uint8_t *vote_digest(const struct vote *vote) { return vote->digest; }

uint32_t vote_count(const struct vote *vote) { return vote->header.relay_count; }

const struct vote_relay *vote_at(const struct vote *vote, uint32_t index) {
  return index < vote->header.relay_count ? &vote->relays[index] : NULL;
}

struct document *vote_text(const struct vote *vote) { return vote->text; }

static void write_header(struct text_writer *writer, const struct vote_header *header) {
  text_write_title(writer, KIND);
  text_write_hex_line(writer, "network", header->network, sizeof header->network);
  text_write_hex_line(writer, "authority", header->authority, sizeof header->authority);
  text_write_number_line(writer, "epoch", header->epoch);
  text_write_number_line(writer, "round", header->round);
  text_write_hex_line(writer, "previous", header->previous, sizeof header->previous);
  text_write_date_line(writer, "date", header->date);
  text_write_date_line(writer, "valid-after", header->valid_after);
  text_write_line(writer, "methods");
  for (uint32_t method = 1; method <= VOTE_METHOD_MAX; method++)
    if (header->methods & UINT32_C(1) << method) text_write_number(writer, method);
  text_write_end(writer);
  text_write_number_line(writer, "relays", header->relay_count);
}

static void write_relay(struct text_writer *writer, const struct vote_relay *relay) {
  text_write_line(writer, "relay");
  relay_flags_write(writer, relay->flags);
  if (relay->is_measured) text_write_number(writer, relay->measured);
  else text_write_word(writer, "-");
  text_write_number(writer, relay->descriptor_len);
  text_write_end(writer);
  text_write_bytes(writer, (const char *)relay->descriptor, relay->descriptor_len);
}

struct document *vote_compose(const struct vote_header *header, const struct vote_relay *relays, const uint8_t identity_seed[ED25519_SEED_BYTES]) {
  struct document *document = NULL;
  struct text_writer writer;
  uint8_t signature[ED25519_SIGNATURE_BYTES];
  size_t room = VOTE_HEADER_MAX_BYTES;
  for (uint32_t i = 0; i < header->relay_count; i++) room += VOTE_RELAY_LINE_MAX_BYTES + relays[i].descriptor_len;
  char *text = room <= LIMIT_VOTE_BYTES + VOTE_HEADER_MAX_BYTES ? malloc(room) : NULL;
  if (!text) return NULL;
  text_writer_init(&writer, text, room);
  write_header(&writer, header);
  for (uint32_t i = 0; i < header->relay_count; i++) write_relay(&writer, &relays[i]);
  assert(!writer.failed);
  signature_make(signature, identity_seed, CONTEXT, (const uint8_t *)text, writer.len);
  text_write_hex_line(&writer, "signature", signature, sizeof signature);
  assert(!writer.failed);
  if (writer.len <= LIMIT_VOTE_BYTES) document = document_new(text, writer.len);
  free(text);
  return document;
}
