/* The one strict grammar of all signed documents: reading with a sticky cursor, writing with a sticky writer.
 * Spec: specs/signed-text.md [TEXT-*]. Called by network_file, descriptor, vote, consensus.
 * A failure is remembered and checked once; what is read after it is the least value of its range, so loops end and
 * indexes hold. The reader's spans point into the bytes it was given. Never allocates.
 */
#ifndef TUNIC_DIRECTORY_SIGNED_TEXT_H
#define TUNIC_DIRECTORY_SIGNED_TEXT_H

#include "crypto/keys.h"
#include "protocol/address.h"
#include "protocol/instant.h"

enum {
  TEXT_VERSION = 1,
  TEXT_EXTENSIONS_MAX = 16, /* [TEXT-6] `x-` lines at one place */
  TEXT_SIGNATURE_KEYWORD_BYTES = 10, /* "signature " */
};

struct text_span { const char *text; size_t len; };

struct text_reader {
  const char *start, *next, *end; /* next: the first byte of the next line */
  const char *at, *line_end;      /* what is not read yet of the current line */
  uint32_t line;                  /* the current line's number, from 1; the failure's, once it failed */
  bool failed;
};

void text_reader_init(struct text_reader *, const uint8_t *bytes, size_t len);
/* Remembers a failure at the current line; for checks that the caller makes. Always false. */
bool text_fail(struct text_reader *);
/* The first line: `tunic-KIND 1`. */
void text_read_title(struct text_reader *, const char *kind);
/* Goes on to the next line, whose keyword must be this one. False: failed. */
bool text_read_line(struct text_reader *, const char *keyword);
/* The same if the next line has this keyword; else false, without a failure. */
bool text_read_line_if(struct text_reader *, const char *keyword);
/* [TEXT-6] Passes over `x-` lines. */
void text_skip_extensions(struct text_reader *);
/* Whether the current line has another word. */
bool text_has_word(const struct text_reader *);
/* True if the whole text was read without a failure. */
bool text_is_complete(struct text_reader *);
/* How many bytes the lines before the next one have. */
size_t text_offset(const struct text_reader *);
/* Passes over `len` bytes of whole lines that stand where the next line would; NULL: failed. */
const char *text_take_bytes(struct text_reader *, size_t len);

/* Words of the current line, one after the other. */
struct text_span text_read_word(struct text_reader *);
/* All that is left of the line: words with single spaces, at least one. */
struct text_span text_read_rest(struct text_reader *);
void text_read_hex(struct text_reader *, uint8_t *ret_bytes, size_t len);
uint64_t text_read_number(struct text_reader *, uint64_t low, uint64_t high);
struct date text_read_date(struct text_reader *);
/* A word of 1 to room - 1 of these characters [A-Za-z0-9] and `others`, with its zero. */
void text_read_name(struct text_reader *, char *ret_name, size_t room, const char *others);
void text_read_address(struct text_reader *, struct address *ret);

/* [TEXT-4] Decimal without a leading zero or sign, within the range. */
bool text_number(struct text_span, uint64_t low, uint64_t high, uint64_t *ret);
/* Cuts the span at the first `separator`: the part before it, and what follows it in place. False: there is none. */
bool text_cut(struct text_span *, char separator, struct text_span *ret_head);
bool text_equals(struct text_span, const char *text);
/* Only [A-Za-z0-9] and `others`, at least one. */
bool text_is_name(struct text_span, const char *others);

struct text_writer { char *out; size_t room, len; bool failed; };

void text_writer_init(struct text_writer *, char *out, size_t room);
void text_write_title(struct text_writer *, const char *kind);
void text_write_line(struct text_writer *, const char *keyword);
void text_write_word(struct text_writer *, const char *word);
void text_write_hex(struct text_writer *, const uint8_t *bytes, size_t len);
void text_write_number(struct text_writer *, uint64_t);
void text_write_date(struct text_writer *, struct date);
void text_write_address(struct text_writer *, const struct address *);
void text_write_end(struct text_writer *); /* of the line */
/* Whole lines of one value. */
void text_write_word_line(struct text_writer *, const char *keyword, const char *word);
void text_write_hex_line(struct text_writer *, const char *keyword, const uint8_t *bytes, size_t len);
void text_write_number_line(struct text_writer *, const char *keyword, uint64_t);
void text_write_date_line(struct text_writer *, const char *keyword, struct date);
/* Characters as they are, within a word. */
void text_write_bytes(struct text_writer *, const char *bytes, size_t len);
/* Its length; 0 if it did not fit. */
size_t text_written(const struct text_writer *);

/* [TEXT-7] How many bytes stand before the first line that begins with `signature `; all of them if none does. Only for
 * documents that hold no others. */
size_t text_signed_bytes(const char *text, size_t len);

#endif
