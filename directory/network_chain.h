/* The network files that a node knows, one behind the other: which one is in force at an epoch, and how a new one is taken.
 * Spec: specs/network-file.md [NET-9] to [NET-12]. Owned by each program's driver, changed by its machine of the directory
 * (authority, keeper, client); read from disk and handed to others as the files' texts in a row.
 * Never forgets the file in force, never takes a file that the one before it does not vouch for.
 */
#ifndef TUNIC_DIRECTORY_NETWORK_CHAIN_H
#define TUNIC_DIRECTORY_NETWORK_CHAIN_H

#include "directory/consensus.h"

enum {
  NETWORK_CHAIN_FILES = 16, /* [NET-11] the newest; who is further behind is given one by hand */
  NETWORK_CHAIN_BYTES = NETWORK_CHAIN_FILES * LIMIT_NETWORK_FILE_BYTES,
};

struct network_chain;

/* From one text or several in a row, each vouched for by the one before. NULL with the outcome (as network_file_parse and
 * network_file_follows, NO_MEMORY); ret_line (may be NULL): where in a first text, 0: elsewhere. */
struct network_chain *network_chain_new(const uint8_t *bytes, size_t len, enum outcome *ret_outcome, uint32_t *ret_line);
/* Of one file that was read and judged already, or that a test made up. NULL: no memory. */
struct network_chain *network_chain_of(const struct network_file *);
void network_chain_free(struct network_chain *); /* NULL is allowed */
/* To try files on; the texts are shared. NULL: no memory. */
struct network_chain *network_chain_copy(const struct network_chain *);
/* Each has what the other had. */
void network_chain_swap(struct network_chain *, struct network_chain *);

/* [NET-10] The next serial's text, or that of the serial before the oldest, which the oldest names. `epoch`: the newest
 * consensus's, 0: none. STALE: known, or it would begin in the past; WRONG_NETWORK: not of this chain; DIRECTORY_SPLIT: it proves
 * that a serial has two files; LIMIT_REACHED: too many that wait for their epochs; or as network_file_follows. */
enum outcome network_chain_take(struct network_chain *, uint64_t epoch, const uint8_t *bytes, size_t len);
/* [NET-12] A person's file beside what the folder held: it joins at the end, is known already, or, being far newer, replaces
 * all. WRONG_NETWORK: another network's, or another file of a serial that is known; DIRECTORY_SPLIT: that with a proof. */
enum outcome network_chain_merge(struct network_chain *, const uint8_t *bytes, size_t len);

/* [NET-12] What a person gave, joined to what the folder held (NULL: nothing; what can't be read counts as nothing). NULL with the
 * outcome; ret_line: where in the given one, 0: elsewhere. */
struct network_chain *network_chain_start(const struct document *given, const struct document *stored, enum outcome *ret_outcome,
                                          uint32_t *ret_line);

/* The chain's own, until the file is forgotten: not to be kept over a take. */
const struct network_file *network_chain_newest(const struct network_chain *);
const struct network_file *network_chain_oldest(const struct network_chain *);
/* In force at that epoch; the oldest if all begin later. */
const struct network_file *network_chain_at(const struct network_chain *, uint64_t epoch);
const struct network_file *network_chain_find(const struct network_chain *, uint32_t serial); /* NULL: not known */
/* The text of the serial behind this one, for whoever asks; the chain's own. NULL: not known. */
struct document *network_chain_after(const struct network_chain *, uint64_t serial);
/* All texts in a row, to write to disk; the caller's reference. NULL: no memory. */
struct document *network_chain_text(const struct network_chain *);
/* The same up to this serial, for a shelf. NULL: none of them is that old, or no memory. */
struct document *network_chain_text_until(const struct network_chain *, uint32_t serial);
/* How many bytes the first of several texts has: only a title begins a line like this. */
size_t network_chain_first_text(const uint8_t *bytes, size_t len);

/* consensus_parse with the file whose serial the header names; WRONG_NETWORK if that is not the one in force at its epoch.
 * *ret_serial (may be NULL): that serial if its file is not known, else 0. */
struct consensus *network_chain_consensus(const struct network_chain *, const uint8_t *bytes, size_t len, enum outcome *ret_outcome,
                                          uint32_t *ret_serial);

#endif
