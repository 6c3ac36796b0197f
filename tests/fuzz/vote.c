/* A vote's signed part, signed here, its descriptors taken as verified: what is accepted is counted, and the consensus that
 * comes of it is one that everybody accepts. */
#include "directory/vote.h"

#include "directory/tally.h"
#include "documents.h"
#include "fuzz.h"

#define YEAR_9892 INT64_C(250000000000000)

static bool knows_all(const void *context, const uint8_t digest_of_descriptor[DIGEST_BYTES]) {
  (void)context, (void)digest_of_descriptor;
  return true;
}

static struct document *signed_input(const uint8_t *data, size_t size, const uint8_t seed[32]) {
  static const char keyword[] = "signature ";
  uint8_t signature[ED25519_SIGNATURE_BYTES];
  char *text = malloc(size + sizeof keyword + 2 * sizeof signature + 2);
  if (!text) abort();
  memcpy(text, data, size);
  signature_make(signature, seed, "tunic vote", data, size);
  memcpy(text + size, keyword, sizeof keyword - 1);
  size_t len = size + sizeof keyword - 1;
  hex_encode(text + len, signature, sizeof signature);
  len += 2 * sizeof signature;
  text[len++] = '\n';
  struct document *document = document_new(text, len);
  free(text);
  if (!document) abort();
  return document;
}

static void count_alone(const struct network_file *network, const struct vote *vote, const uint8_t seed[32]) {
  struct tally_input input = {.network = network, .epoch = vote_header(vote)->epoch, .votes = {vote}, .vote_count = 1};
  struct consensus_header header;
  struct consensus_signature signature;
  enum outcome outcome;
  memcpy(input.previous, vote_header(vote)->previous, DIGEST_BYTES);
  struct document *text = tally(&input, &header, &outcome);
  if (!text && outcome == OUTCOME_PROTOCOL_VIOLATION) return; /* no method in common */
  if (!text) abort();
  consensus_sign(&signature, seed, network->id, header.epoch, 0, header.digest);
  struct document *document = consensus_compose(text, &signature, 1);
  struct consensus *consensus = consensus_parse(network, document_bytes(document), document_len(document), &outcome, NULL);
  /* A single authority may propose the last of all dates, which has none after it. */
  if (!consensus && date_compare(header.valid_after, (struct date){YEAR_9892}) < 0) abort();
  consensus_release(consensus);
  document_release(document);
  document_release(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct network_file network;
  struct vote_known known = {knows_all, NULL};
  enum outcome outcome;
  uint8_t seed[32];
  fuzz_network(&network, seed);
  network_timing_lab(&network.timing);
  struct document *document = signed_input(data, size, seed);
  struct vote *vote = vote_parse(&network, document, &known, &outcome, NULL);
  if (vote) count_alone(&network, vote, seed);
  vote_free(vote);
  document_release(document);
  return 0;
}
