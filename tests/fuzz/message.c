/* Any bytes as a content of messages: what is valid is written again, message by message, to the same bytes.
 * The first byte of the input says whether it is a CONTROL cell's content. */
#include <stdlib.h>
#include <string.h>

#include "protocol/cell.h"
#include "protocol/message.h"
#include "tests/fuzz/fuzz.h"

/* What was read can be decoded: readers rely on it. */
static void decode_body(const struct message *message, bool control) {
  struct target target;
  struct address addresses[RESOLVED_ADDRESSES_MAX];
  size_t count;
  if (control) return;
  if (message->command == MESSAGE_BEGIN && !(target_decode(message->body, message->len, &target) && target.port != 0)) abort();
  if (message->command == MESSAGE_RESOLVE && !target_decode(message->body, message->len, &target)) abort();
  if (message->command == MESSAGE_RESOLVED && !resolved_decode(message->body, message->len, addresses, &count)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0 || size - 1 > CELL_BODY_BYTES) return 0;
  const uint8_t *content = data + 1;
  size_t len = size - 1;
  bool control = data[0] & 1;
  uint8_t again[CELL_BODY_BYTES];
  struct message_reader reader;
  struct message_writer writer;
  struct message message;
  message_reader_init(&reader, content, len, control);
  message_writer_init(&writer, again, len, control);
  while (message_read(&reader, &message)) {
    decode_body(&message, control);
    uint8_t *body = message_add(&writer, message.command, message.stream, message.len);
    if (body == NULL) abort();
    if (message.len > 0) memcpy(body, message.body, message.len);
  }
  message_writer_finish(&writer);
  if (message_reader_is_valid(&reader) && memcmp(content, again, len) != 0) abort();
  return 0;
}
