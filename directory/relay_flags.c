#include "directory/relay_flags.h"

#include <string.h>

static const struct { enum relay_flag flag; const char *name; } FLAGS[RELAY_FLAG_COUNT] = {
    {RELAY_RUNNING, "running"}, {RELAY_GUARD, "guard"}, {RELAY_EXIT, "exit"}, {RELAY_VALID, "valid"}};

uint8_t relay_flags_read(struct text_reader *reader) {
  struct text_span word, words = text_read_word(reader);
  uint8_t flags = 0;
  size_t next = 0;
  if (text_equals(words, "none")) return 0;
  for (bool more = true; more && !reader->failed;) {
    more = text_cut(&words, ',', &word);
    if (!more) word = words;
    while (next < RELAY_FLAG_COUNT && !text_equals(word, FLAGS[next].name)) next++;
    if (next == RELAY_FLAG_COUNT) text_fail(reader);
    else flags |= (uint8_t)FLAGS[next++].flag;
  }
  return reader->failed ? 0 : flags;
}

void relay_flags_write(struct text_writer *writer, uint8_t flags) {
  const char *separator = " ";
  for (size_t i = 0; i < RELAY_FLAG_COUNT; i++) {
    if (!(flags & (uint8_t)FLAGS[i].flag)) continue;
    text_write_bytes(writer, separator, 1);
    text_write_bytes(writer, FLAGS[i].name, strlen(FLAGS[i].name));
    separator = ",";
  }
  if (*separator == ' ') text_write_word(writer, "none");
}
