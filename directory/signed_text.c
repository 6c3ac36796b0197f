#include "directory/signed_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "protocol/limits.h"

static bool is_name_character(char c, const char *others) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != 0 && strchr(others, c) != NULL);
}

void text_reader_init(struct text_reader *reader, const uint8_t *bytes, size_t len) {
  const char *text = (const char *)bytes;
  *reader = (struct text_reader){.start = text, .next = text, .end = text + len, .at = text, .line_end = text};
}

bool text_fail(struct text_reader *reader) {
  reader->failed = true;
  return false;
}

/* [TEXT-1] A line is short, ends in a newline, and all before that is printable ASCII. */
static bool line_is_well_formed(struct text_reader *reader) {
  size_t left = (size_t)(reader->end - reader->next), most = left < LIMIT_LINE_BYTES ? left : LIMIT_LINE_BYTES;
  const char *end = most > 0 ? memchr(reader->next, '\n', most) : NULL;
  if (end == NULL || end == reader->next) return false;
  uint32_t odd = 0;
  for (const char *at = reader->next; at < end; at++) odd |= ((uint32_t)(uint8_t)*at - 0x20) > 0x7e - 0x20;
  reader->line_end = end;
  return odd == 0;
}

static bool next_line_has(const struct text_reader *reader, const char *keyword, size_t keyword_len) {
  size_t left = (size_t)(reader->end - reader->next);
  if (left <= keyword_len || memcmp(reader->next, keyword, keyword_len) != 0) return false;
  return reader->next[keyword_len] == ' ' || reader->next[keyword_len] == '\n';
}

/* Takes the next line and stands behind its keyword. */
static bool take_line(struct text_reader *reader, size_t keyword_len) {
  if (reader->at != reader->line_end) return text_fail(reader); /* a word too many on the line before */
  reader->line++;
  if (!line_is_well_formed(reader)) return text_fail(reader);
  reader->at = reader->next + keyword_len;
  reader->next = reader->line_end + 1;
  return true;
}

bool text_read_line(struct text_reader *reader, const char *keyword) {
  if (reader->failed) return false;
  size_t len = strlen(keyword);
  if (reader->at == reader->line_end && !next_line_has(reader, keyword, len)) {
    reader->line++;
    return text_fail(reader);
  }
  return take_line(reader, len);
}

bool text_read_line_if(struct text_reader *reader, const char *keyword) {
  size_t len = strlen(keyword);
  return !reader->failed && next_line_has(reader, keyword, len) && take_line(reader, len);
}

/* [TEXT-2] */
void text_read_title(struct text_reader *reader, const char *kind) {
  static const char prefix[] = "tunic-";
  size_t prefix_len = sizeof prefix - 1, kind_len = strlen(kind);
  if (reader->failed || !take_line(reader, 0)) return;
  size_t len = (size_t)(reader->line_end - reader->at);
  bool known = len > prefix_len + kind_len && memcmp(reader->at, prefix, prefix_len) == 0 &&
               memcmp(reader->at + prefix_len, kind, kind_len) == 0;
  if (!known) {
    text_fail(reader);
    return;
  }
  reader->at += prefix_len + kind_len;
  text_read_number(reader, TEXT_VERSION, TEXT_VERSION);
}

void text_skip_extensions(struct text_reader *reader) {
  for (uint32_t count = 0; !reader->failed; count++) {
    if (reader->end - reader->next < 2 || memcmp(reader->next, "x-", 2) != 0) return;
    if (count == TEXT_EXTENSIONS_MAX) {
      reader->line++;
      text_fail(reader);
      return;
    }
    if (!take_line(reader, 2)) return;
    const char *name = reader->at;
    while (reader->at < reader->line_end && is_name_character(*reader->at, "-")) reader->at++;
    if (reader->at == name) text_fail(reader);
    if (reader->at < reader->line_end) text_read_rest(reader);
  }
}

bool text_has_word(const struct text_reader *reader) { return !reader->failed && reader->at < reader->line_end; }

bool text_is_complete(struct text_reader *reader) {
  if (reader->failed) return false;
  if (reader->at != reader->line_end) return text_fail(reader);
  if (reader->next == reader->end) return true;
  reader->line++;
  return text_fail(reader);
}

size_t text_offset(const struct text_reader *reader) { return (size_t)(reader->next - reader->start); }

const char *text_take_bytes(struct text_reader *reader, size_t len) {
  if (reader->failed) return NULL;
  if (reader->at != reader->line_end || (size_t)(reader->end - reader->next) < len) {
    text_fail(reader);
    return NULL;
  }
  const char *bytes = reader->next;
  for (size_t i = 0; i < len; i++) reader->line += bytes[i] == '\n';
  reader->next += len;
  return bytes;
}

/* [TEXT-3] Words stand behind exactly one space. */
struct text_span text_read_word(struct text_reader *reader) {
  struct text_span none = {"", 0};
  if (reader->failed) return none;
  if (reader->line_end - reader->at < 2 || *reader->at != ' ' || reader->at[1] == ' ') {
    text_fail(reader);
    return none;
  }
  const char *word = reader->at + 1, *end = memchr(word, ' ', (size_t)(reader->line_end - word));
  reader->at = end != NULL ? end : reader->line_end;
  return (struct text_span){word, (size_t)(reader->at - word)};
}

struct text_span text_read_rest(struct text_reader *reader) {
  struct text_span first = text_read_word(reader);
  while (text_has_word(reader)) text_read_word(reader);
  if (!reader->failed) first.len = (size_t)(reader->line_end - first.text);
  return first;
}

/* [TEXT-5] */
void text_read_hex(struct text_reader *reader, uint8_t *ret_bytes, size_t len) {
  struct text_span word = text_read_word(reader);
  if (!reader->failed && hex_decode(ret_bytes, len, word.text, word.len)) return;
  memset(ret_bytes, 0, len);
  text_fail(reader);
}

bool text_number(struct text_span word, uint64_t low, uint64_t high, uint64_t *ret) {
  uint64_t value = 0;
  if (word.len == 0 || word.len > 20 || (word.text[0] == '0' && word.len > 1)) return false;
  for (size_t i = 0; i < word.len; i++) {
    uint64_t figure = (uint64_t)(uint8_t)word.text[i] - '0';
    if (figure > 9 || value > (UINT64_MAX - figure) / 10) return false;
    value = value * 10 + figure;
  }
  *ret = value;
  return value >= low && value <= high;
}

uint64_t text_read_number(struct text_reader *reader, uint64_t low, uint64_t high) {
  uint64_t value;
  if (text_number(text_read_word(reader), low, high, &value)) return value;
  text_fail(reader);
  return low;
}

struct date text_read_date(struct text_reader *reader) {
  struct text_span word = text_read_word(reader);
  struct date date;
  if (!reader->failed && date_parse(word.text, word.len, &date)) return date;
  text_fail(reader);
  return (struct date){0};
}

void text_read_name(struct text_reader *reader, char *ret_name, size_t room, const char *others) {
  struct text_span word = text_read_word(reader);
  ret_name[0] = 0;
  if (word.len >= room || !text_is_name(word, others)) {
    text_fail(reader);
    return;
  }
  memcpy(ret_name, word.text, word.len);
  ret_name[word.len] = 0;
}

/* [TEXT-5] An address has one text form. */
void text_read_address(struct text_reader *reader, struct address *ret) {
  struct text_span word = text_read_word(reader);
  char canonical[ADDRESS_TEXT_BYTES];
  struct address address;
  *ret = (struct address){.family = ADDRESS_NONE};
  if (reader->failed || !address_parse(word.text, word.len, &address) || address.port == 0) {
    text_fail(reader);
    return;
  }
  address_format(&address, canonical);
  if (!text_equals(word, canonical)) text_fail(reader);
  else *ret = address;
}

bool text_cut(struct text_span *span, char separator, struct text_span *ret_head) {
  const char *at = span->len > 0 ? memchr(span->text, separator, span->len) : NULL;
  if (at == NULL) return false;
  *ret_head = (struct text_span){span->text, (size_t)(at - span->text)};
  *span = (struct text_span){at + 1, span->len - ret_head->len - 1};
  return true;
}

bool text_equals(struct text_span span, const char *text) {
  return span.len == strlen(text) && memcmp(span.text, text, span.len) == 0;
}

bool text_is_name(struct text_span span, const char *others) {
  for (size_t i = 0; i < span.len; i++)
    if (!is_name_character(span.text[i], others)) return false;
  return span.len > 0;
}

void text_writer_init(struct text_writer *writer, char *out, size_t room) {
  *writer = (struct text_writer){.out = out, .room = room};
}

void text_write_bytes(struct text_writer *writer, const char *bytes, size_t len) {
  if (writer->failed || writer->room - writer->len < len) {
    writer->failed = true;
    return;
  }
  memcpy(writer->out + writer->len, bytes, len);
  writer->len += len;
}

void text_write_title(struct text_writer *writer, const char *kind) {
  text_write_line(writer, "tunic-");
  text_write_bytes(writer, kind, strlen(kind));
  text_write_number(writer, TEXT_VERSION);
  text_write_end(writer);
}

void text_write_line(struct text_writer *writer, const char *keyword) { text_write_bytes(writer, keyword, strlen(keyword)); }

void text_write_word(struct text_writer *writer, const char *word) {
  text_write_bytes(writer, " ", 1);
  text_write_bytes(writer, word, strlen(word));
}

void text_write_hex(struct text_writer *writer, const uint8_t *bytes, size_t len) {
  char figures[2 * 32 + 1];
  text_write_bytes(writer, " ", 1);
  for (size_t at = 0, part; at < len; at += part) {
    part = len - at < 32 ? len - at : 32;
    hex_encode(figures, bytes + at, part);
    text_write_bytes(writer, figures, 2 * part);
  }
}

void text_write_number(struct text_writer *writer, uint64_t number) {
  char figures[24];
  snprintf(figures, sizeof figures, "%" PRIu64, number);
  text_write_word(writer, figures);
}

void text_write_date(struct text_writer *writer, struct date date) {
  char text[DATE_TEXT_BYTES];
  date_format(date, text);
  text_write_word(writer, text);
}

void text_write_address(struct text_writer *writer, const struct address *address) {
  char text[ADDRESS_TEXT_BYTES];
  address_format(address, text);
  text_write_word(writer, text);
}

void text_write_end(struct text_writer *writer) { text_write_bytes(writer, "\n", 1); }

void text_write_word_line(struct text_writer *writer, const char *keyword, const char *word) {
  text_write_line(writer, keyword);
  text_write_word(writer, word);
  text_write_end(writer);
}

void text_write_hex_line(struct text_writer *writer, const char *keyword, const uint8_t *bytes, size_t len) {
  text_write_line(writer, keyword);
  text_write_hex(writer, bytes, len);
  text_write_end(writer);
}

void text_write_number_line(struct text_writer *writer, const char *keyword, uint64_t number) {
  text_write_line(writer, keyword);
  text_write_number(writer, number);
  text_write_end(writer);
}

void text_write_date_line(struct text_writer *writer, const char *keyword, struct date date) {
  text_write_line(writer, keyword);
  text_write_date(writer, date);
  text_write_end(writer);
}

size_t text_written(const struct text_writer *writer) { return writer->failed ? 0 : writer->len; }

size_t text_signed_bytes(const char *text, size_t len) {
  static const char keyword[] = "signature ";
  for (size_t at = 0; at < len;) {
    if (len - at >= TEXT_SIGNATURE_KEYWORD_BYTES && memcmp(text + at, keyword, TEXT_SIGNATURE_KEYWORD_BYTES) == 0) return at;
    const char *end = memchr(text + at, '\n', len - at);
    if (end == NULL) return len;
    at = (size_t)(end - text) + 1;
  }
  return len;
}
