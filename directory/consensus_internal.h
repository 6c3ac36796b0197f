/* The consensus from within: its object, and reading its text.
 * Spec: specs/consensus.md [CONS-*]. Called by directory/consensus*.c alone.
 * Reading fills the object of one allocation; nothing is allocated per entry.
 */
#ifndef TUNIC_DIRECTORY_CONSENSUS_INTERNAL_H
#define TUNIC_DIRECTORY_CONSENSUS_INTERNAL_H

#include <stdatomic.h>

#include "directory/consensus_format.h"
#include "directory/signed_text.h"

enum { POSITIONS = POSITION_EXIT + 1 };

struct consensus {
  _Atomic uint32_t references;
  _Atomic(struct document *) packed; /* made on first use */
  struct document *text;
  struct consensus_header header;
  uint32_t signature_count;
  struct consensus_signature signatures[LIMIT_AUTHORITIES]; /* of the header's view */
  uint8_t signers[LIMIT_AUTHORITIES];                      /* their places in the network file */
  uint64_t *ends[POSITIONS];       /* the entries' ends side by side, for the search */
  struct relay_entry *entries;
  struct exit_summary *summaries;
};

/* [CONS-1] The lines before the entries. */
void consensus_read_header(struct text_reader *, struct consensus_header *ret, uint8_t ret_network[32]);
/* [CONS-5] One entry; its ranges must begin where `before` (NULL: none) ends. */
void consensus_read_entry(struct text_reader *, const struct relay_entry *before, struct relay_entry *ret,
                          struct exit_summary *summary);
/* The signatures' lines: how many. */
uint32_t consensus_read_signatures(struct text_reader *, struct consensus_signature ret[CONSENSUS_SIGNATURES_MAX]);

void consensus_write_header(struct text_writer *, const struct consensus_header *, const uint8_t network[32]);
void consensus_write_entry(struct text_writer *, const struct relay_entry *before, const struct relay_entry *);

#endif
