/* What the tests of documents share: a small network with known keys, and texts with one line changed.
 * Spec: none. Called by this folder's tests.
 * Everything is derived from small numbers, so that every run sees the same bytes.
 */
#ifndef TUNIC_TESTS_UNIT_DIRECTORY_DOCUMENTS_H
#define TUNIC_TESTS_UNIT_DIRECTORY_DOCUMENTS_H

#include "directory/network_file.h"

enum { SAMPLE_TEXT_BYTES = 64 * 1024 };

/* 32 bytes that differ for each (kind, number): seeds, keys. */
void sample_bytes(uint8_t ret[32], uint8_t kind, uint32_t number);
void sample_authority_seed(uint8_t ret[32], uint32_t number);
struct date sample_date(const char *text);

/* A lab with n authorities, a0 ... */
void sample_network(struct network_file *ret, uint32_t n);
/* Its text with the signatures of the first `signers` authorities; ret's digest is set. */
size_t sample_network_text(struct network_file *ret, uint32_t n, uint32_t signers, char text[SAMPLE_TEXT_BYTES]);

/* What can happen to one line of a text. */
enum line_change { LINE_REMOVED, LINE_DOUBLED, LINE_SWAPPED, LINE_BLANK_ADDED, LINE_SPACE_DOUBLED, LINE_CARRIAGE_RETURN, LINE_CHANGES };
uint32_t text_line_count(const char *text, size_t len);
/* The text with one change at a line (from 0); 0 if that change makes no difference there. */
size_t text_change_line(const char *text, size_t len, uint32_t line, enum line_change, char *ret, size_t room);
/* The text with the first `from` replaced by `to`, from the place where `after` begins; asserts that both exist. */
size_t text_replace(const char *text, size_t len, const char *after, const char *from, const char *to, char *ret, size_t room);

#endif
