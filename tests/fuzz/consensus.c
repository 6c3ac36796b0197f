/* A consensus's text: whole, as it comes; and line by line, without root and signatures, where what is accepted is written
 * anew as the same bytes. */
#include "directory/consensus_internal.h"
#include "documents.h"
#include "fuzz.h"

static void read_parts(const uint8_t *data, size_t size) {
  struct text_reader reader;
  struct text_writer writer;
  struct consensus_header header = {0};
  struct consensus_signature signatures[CONSENSUS_SIGNATURES_MAX];
  struct relay_entry entries[2] = {0};
  struct exit_summary summaries[2];
  uint8_t id[32];
  size_t room = 2 * size + 1024;
  char *again = malloc(room);
  if (!again) abort();
  text_reader_init(&reader, data, size);
  text_writer_init(&writer, again, room);
  consensus_read_header(&reader, &header, id);
  if (!reader.failed) consensus_write_header(&writer, &header, id);
  for (uint32_t i = 0; i < header.relay_count && !reader.failed; i++) {
    const struct relay_entry *before = i > 0 ? &entries[(i + 1) % 2] : NULL;
    struct relay_entry *entry = &entries[i % 2];
    memset(entry, 0, sizeof *entry);
    consensus_read_entry(&reader, before, entry, &summaries[i % 2]);
    if (!reader.failed) consensus_write_entry(&writer, before, entry);
  }
  /* A word too many on the last line is noticed by who reads on. */
  if (!reader.failed && !text_has_word(&reader)) fuzz_expect_same(data, text_offset(&reader), again, text_written(&writer));
  consensus_read_signatures(&reader, signatures);
  text_is_complete(&reader);
  free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct network_file network;
  enum outcome outcome;
  uint8_t seed[32];
  uint32_t line;
  fuzz_network(&network, seed);
  struct consensus *consensus = consensus_parse(&network, data, size, &outcome, &line);
  if ((consensus != NULL) != (outcome == OUTCOME_OK)) abort();
  consensus_release(consensus);
  read_parts(data, size);
  return 0;
}
