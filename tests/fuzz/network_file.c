/* A network file's signed part, signed here: what is accepted is written anew as the same bytes. */
#include "directory/network_file.h"

#include "directory/signed_text.h"
#include "documents.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct network_file known, file;
  uint8_t seed[32];
  uint32_t line;
  if (size > LIMIT_NETWORK_FILE_BYTES) return -1;
  size_t room = size + 1024;
  char *text = malloc(room), *again = malloc(room);
  if (!text || !again) abort();
  fuzz_network(&known, seed);
  memcpy(text, data, size);
  size_t len = network_file_sign(text, size, room, seed);
  if (len > 0 && network_file_parse((uint8_t *)text, len, &file, &line) == OUTCOME_OK)
    fuzz_expect_same(data, text_signed_bytes((const char *)data, size), again, network_file_format(&file, again, room));
  network_file_parse(data, size, &file, &line);
  free(text);
  free(again);
  return 0;
}
