/* What the tests of documents share: a small network with known keys, and texts with one line changed.
 * Spec: none. Called by this folder's tests.
 * Everything is derived from small numbers, so that every run sees the same bytes.
 */
#ifndef TUNIC_TESTS_UNIT_DIRECTORY_DOCUMENTS_H
#define TUNIC_TESTS_UNIT_DIRECTORY_DOCUMENTS_H

#include "directory/consensus_format.h"
#include "directory/descriptor.h"

enum { SAMPLE_TEXT_BYTES = 64 * 1024 };

/* 32 bytes that differ for each (kind, number): seeds, keys. */
void sample_bytes(uint8_t ret[32], uint8_t kind, uint32_t number);
void sample_authority_seed(uint8_t ret[32], uint32_t number);
struct date sample_date(const char *text);

/* A lab with n authorities, a0 ... */
void sample_network(struct network_file *ret, uint32_t n);
/* Its text with the signatures of the first `signers` authorities; ret's digest is set. */
size_t sample_network_text(struct network_file *ret, uint32_t n, uint32_t signers, char text[SAMPLE_TEXT_BYTES]);

/* Relays in the order of their identities, as a consensus lists them: every third an exit, every second a guard. The
 * summaries are used by the entries. */
void sample_entries(struct relay_entry *ret, struct exit_summary *ret_summaries, uint32_t count);
/* A header for them, with their weights assigned. */
void sample_header(struct consensus_header *ret, const struct network_file *, struct relay_entry *, uint32_t count);
/* A consensus's text, signed by authorities 0 to signers - 1 in one view; the caller's to release. */
struct document *sample_consensus(const struct network_file *, struct consensus_header *, struct relay_entry *, uint32_t count,
                                  uint32_t signers, uint32_t view);
void sample_sign(struct consensus_signature *ret, const struct network_file *, const struct consensus_header *, uint32_t authority,
                 uint32_t view);

/* Relay number i's descriptor, certified; odd ones are exits. Change it, then sign. */
void sample_descriptor(struct descriptor *ret, const struct network_file *, uint32_t number);
/* Certifies it anew and writes it with its signature; sets its digest. */
size_t sample_descriptor_text(struct descriptor *, uint32_t number, char *text, size_t room);

/* What can happen to one line of a text. */
enum line_change { LINE_REMOVED, LINE_DOUBLED, LINE_SWAPPED, LINE_BLANK_ADDED, LINE_SPACE_DOUBLED, LINE_CARRIAGE_RETURN, LINE_CHANGES };
uint32_t text_line_count(const char *text, size_t len);
/* The text with one change at a line (from 0); 0 if that change makes no difference there. */
size_t text_change_line(const char *text, size_t len, uint32_t line, enum line_change, char *ret, size_t room);
/* The text with the first `from` replaced by `to`, from the place where `after` begins; asserts that both exist. */
size_t text_replace(const char *text, size_t len, const char *after, const char *from, const char *to, char *ret, size_t room);

#endif
