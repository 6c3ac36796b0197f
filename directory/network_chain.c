#include "directory/network_chain.h"

#include <stdlib.h>
#include <string.h>

#include "directory/consensus_internal.h"

static const char TITLE[] = "tunic-network ";

struct known_file { struct network_file file; struct document *text; };

struct network_chain {
  uint32_t count; /* at least 1 */
  struct known_file *files[NETWORK_CHAIN_FILES]; /* ascending by serial, without a gap */
};

static void forget(struct known_file *known) {
  if (known == NULL) return;
  document_release(known->text);
  free(known);
}

static struct known_file *remember(const struct network_file *file, const uint8_t *bytes, size_t len) {
  struct known_file *known = calloc(1, sizeof *known);
  if (known == NULL) return NULL;
  known->file = *file;
  known->text = document_new(bytes, len);
  if (known->text != NULL) return known;
  free(known);
  return NULL;
}

static void drop_oldest(struct network_chain *chain) {
  forget(chain->files[0]);
  memmove(&chain->files[0], &chain->files[1], --chain->count * sizeof chain->files[0]);
}

size_t network_chain_first_text(const uint8_t *bytes, size_t len) {
  for (size_t at = 1; at + sizeof TITLE - 1 <= len; at++)
    if (bytes[at - 1] == '\n' && memcmp(bytes + at, TITLE, sizeof TITLE - 1) == 0) return at;
  return len;
}

static enum outcome append(struct network_chain *chain, const uint8_t *bytes, size_t len) {
  struct network_file file;
  enum outcome outcome = network_file_follows(network_chain_newest(chain), bytes, len, &file);
  if (outcome != OUTCOME_OK) return outcome;
  struct known_file *known = remember(&file, bytes, len);
  if (known == NULL) return OUTCOME_NO_MEMORY;
  if (chain->count == NETWORK_CHAIN_FILES) drop_oldest(chain);
  chain->files[chain->count++] = known;
  return OUTCOME_OK;
}

/* A chain of its first text alone. */
static struct network_chain *begin(const uint8_t *bytes, size_t len, enum outcome *ret_outcome, uint32_t *ret_line) {
  struct network_file file;
  *ret_outcome = network_file_parse(bytes, len, &file, ret_line);
  if (*ret_outcome != OUTCOME_OK) return NULL;
  struct network_chain *chain = calloc(1, sizeof *chain);
  if (chain != NULL) chain->files[0] = remember(&file, bytes, len);
  if (chain != NULL && chain->files[0] != NULL) {
    chain->count = 1;
    return chain;
  }
  free(chain);
  *ret_outcome = OUTCOME_NO_MEMORY;
  return NULL;
}

struct network_chain *network_chain_new(const uint8_t *bytes, size_t len, enum outcome *ret_outcome, uint32_t *ret_line) {
  size_t used = network_chain_first_text(bytes, len);
  struct network_chain *chain = begin(bytes, used, ret_outcome, ret_line);
  while (chain != NULL && used < len) {
    size_t next = network_chain_first_text(bytes + used, len - used);
    *ret_outcome = append(chain, bytes + used, next);
    used += next;
    if (*ret_outcome == OUTCOME_OK) continue;
    network_chain_free(chain);
    return NULL;
  }
  return chain;
}

struct network_chain *network_chain_of(const struct network_file *file) {
  struct network_chain *chain = calloc(1, sizeof *chain);
  char *text = malloc(LIMIT_NETWORK_FILE_BYTES);
  size_t len = text == NULL ? 0 : network_file_format(file, text, LIMIT_NETWORK_FILE_BYTES);
  if (chain != NULL && len > 0) chain->files[0] = remember(file, (const uint8_t *)text, len);
  free(text);
  if (chain != NULL && chain->files[0] != NULL) {
    chain->count = 1;
    return chain;
  }
  free(chain);
  return NULL;
}

void network_chain_free(struct network_chain *chain) {
  if (chain == NULL) return;
  for (uint32_t i = 0; i < chain->count; i++) forget(chain->files[i]);
  free(chain);
}

struct network_chain *network_chain_copy(const struct network_chain *chain) {
  struct network_chain *copy = calloc(1, sizeof *copy);
  while (copy != NULL && copy->count < chain->count) {
    struct known_file *known = malloc(sizeof *known);
    if (known == NULL) {
      network_chain_free(copy);
      return NULL;
    }
    *known = *chain->files[copy->count];
    document_take(known->text);
    copy->files[copy->count++] = known;
  }
  return copy;
}

void network_chain_swap(struct network_chain *chain, struct network_chain *other) {
  struct network_chain old = *chain;
  *chain = *other;
  *other = old;
}

/* [NET-10] The oldest names its digest, and was vouched for by its authorities. */
static enum outcome prepend(struct network_chain *chain, const uint8_t *bytes, size_t len) {
  struct network_file file, oldest;
  const struct document *text = chain->files[0]->text;
  enum outcome outcome = network_file_parse(bytes, len, &file, NULL);
  if (outcome == OUTCOME_OK) outcome = network_file_follows(&file, document_bytes(text), document_len(text), &oldest);
  if (outcome != OUTCOME_OK) return outcome;
  if (chain->count == NETWORK_CHAIN_FILES) return OUTCOME_LIMIT_REACHED;
  struct known_file *known = remember(&file, bytes, len);
  if (known == NULL) return OUTCOME_NO_MEMORY;
  memmove(&chain->files[1], &chain->files[0], chain->count++ * sizeof chain->files[0]);
  chain->files[0] = known;
  return OUTCOME_OK;
}

/* [NET-14] Another file of a serial that is known: a proof if the same authorities vouch for it as for ours. That is the file before,
 * where we have it; else a quorum of those in our own. */
static enum outcome compare(const struct network_chain *chain, const struct network_file *known, const uint8_t *bytes, size_t len) {
  struct network_file other;
  struct network_signers signers;
  enum outcome outcome = network_file_read_draft(bytes, len, &other, NULL, NULL);
  if (outcome != OUTCOME_OK) return outcome;
  if (memcmp(known->digest, other.digest, DIGEST_BYTES) == 0) return OUTCOME_STALE;
  const struct network_file *before = network_chain_find(chain, known->serial - 1);
  if (before != NULL) return network_file_follows(before, bytes, len, &other) == OUTCOME_OK ? OUTCOME_DIRECTORY_SPLIT : OUTCOME_WRONG_NETWORK;
  if (network_file_parse(bytes, len, &other, NULL) != OUTCOME_OK) return OUTCOME_WRONG_NETWORK;
  network_file_read_draft(bytes, len, &other, &signers, NULL);
  bool same = network_file_count_signers(known, &signers) >= authorities_quorum(known->authority_count);
  return same ? OUTCOME_DIRECTORY_SPLIT : OUTCOME_WRONG_NETWORK;
}

enum outcome network_chain_take(struct network_chain *chain, uint64_t epoch, const uint8_t *bytes, size_t len) {
  const struct network_file *oldest = network_chain_oldest(chain), *newest = network_chain_newest(chain);
  struct network_file file;
  if (network_chain_first_text(bytes, len) < len) return OUTCOME_BAD_DOCUMENT;
  enum outcome outcome = network_file_read_draft(bytes, len, &file, NULL, NULL);
  if (outcome != OUTCOME_OK) return outcome;
  if (memcmp(file.id, oldest->id, sizeof file.id) != 0) return OUTCOME_WRONG_NETWORK;
  if (file.serial < oldest->serial && file.serial + 1 == oldest->serial) return prepend(chain, bytes, len);
  const struct network_file *known = network_chain_find(chain, file.serial);
  if (known != NULL) return compare(chain, known, bytes, len);
  /* [NET-10] What it would change has been decided without it. */
  if (file.serial <= newest->serial || file.starts <= epoch) return OUTCOME_STALE;
  bool first_is_past = chain->count > 1 && chain->files[1]->file.starts <= epoch;
  if (chain->count == NETWORK_CHAIN_FILES && !first_is_past) return OUTCOME_LIMIT_REACHED;
  return append(chain, bytes, len);
}

enum outcome network_chain_merge(struct network_chain *chain, const uint8_t *bytes, size_t len) {
  enum outcome outcome;
  struct network_chain *given = network_chain_new(bytes, len, &outcome, NULL);
  if (given == NULL) return outcome;
  const struct network_file *first = network_chain_oldest(given), *last = network_chain_newest(given);
  if (memcmp(first->id, network_chain_newest(chain)->id, sizeof first->id) != 0) outcome = OUTCOME_WRONG_NETWORK;
  for (uint32_t i = 0; i < given->count && outcome == OUTCOME_OK; i++) {
    const struct network_file *file = &given->files[i]->file, *known = network_chain_find(chain, file->serial);
    const struct document *text = given->files[i]->text;
    enum outcome compared = known == NULL ? OUTCOME_STALE : compare(chain, known, document_bytes(text), document_len(text));
    if (compared != OUTCOME_STALE) outcome = compared;
    else if (file->serial == network_chain_newest(chain)->serial + 1)
      outcome = append(chain, document_bytes(text), document_len(text));
  }
  if (outcome == OUTCOME_OK && last->serial > network_chain_newest(chain)->serial) network_chain_swap(chain, given);
  network_chain_free(given);
  return outcome;
}

struct network_chain *network_chain_start(const struct document *given, const struct document *stored, enum outcome *ret_outcome,
                                          uint32_t *ret_line) {
  enum outcome ignored;
  struct network_chain *chain = network_chain_new(document_bytes(given), document_len(given), ret_outcome, ret_line);
  struct network_chain *old = stored == NULL || chain == NULL ? NULL : network_chain_new(document_bytes(stored), document_len(stored), &ignored, NULL);
  if (old == NULL) return chain;
  network_chain_free(chain);
  *ret_outcome = network_chain_merge(old, document_bytes(given), document_len(given));
  if (*ret_outcome == OUTCOME_OK) return old;
  network_chain_free(old);
  return NULL;
}

const struct network_file *network_chain_newest(const struct network_chain *chain) { return &chain->files[chain->count - 1]->file; }

const struct network_file *network_chain_oldest(const struct network_chain *chain) { return &chain->files[0]->file; }

const struct network_file *network_chain_at(const struct network_chain *chain, uint64_t epoch) {
  uint32_t i = chain->count - 1;
  while (i > 0 && chain->files[i]->file.starts > epoch) i--;
  return &chain->files[i]->file;
}

static const struct known_file *find(const struct network_chain *chain, uint64_t serial) {
  for (uint32_t i = 0; i < chain->count; i++)
    if (chain->files[i]->file.serial == serial) return chain->files[i];
  return NULL;
}

const struct network_file *network_chain_find(const struct network_chain *chain, uint32_t serial) {
  const struct known_file *known = find(chain, serial);
  return known == NULL ? NULL : &known->file;
}

struct document *network_chain_after(const struct network_chain *chain, uint64_t serial) {
  const struct known_file *known = serial < UINT32_MAX ? find(chain, serial + 1) : NULL;
  return known == NULL ? NULL : known->text;
}

struct document *network_chain_text(const struct network_chain *chain) {
  return network_chain_text_until(chain, network_chain_newest(chain)->serial);
}

struct document *network_chain_text_until(const struct network_chain *chain, uint32_t serial) {
  size_t len = 0, at = 0;
  uint32_t count = 0;
  for (; count < chain->count && chain->files[count]->file.serial <= serial; count++) len += document_len(chain->files[count]->text);
  uint8_t *bytes = count == 0 ? NULL : malloc(len);
  if (bytes == NULL) return NULL;
  for (uint32_t i = 0; i < count; i++) {
    const struct document *text = chain->files[i]->text;
    memcpy(bytes + at, document_bytes(text), document_len(text));
    at += document_len(text);
  }
  struct document *document = document_new(bytes, len);
  free(bytes);
  return document;
}

/* [CONS-2], [NET-9] */
struct consensus *network_chain_consensus(const struct network_chain *chain, const uint8_t *bytes, size_t len, enum outcome *ret_outcome,
                                          uint32_t *ret_serial) {
  struct consensus_header header = {0};
  struct text_reader reader;
  uint8_t id[32];
  if (ret_serial) *ret_serial = 0;
  text_reader_init(&reader, bytes, len);
  consensus_read_header(&reader, &header, id);
  const struct network_file *file = network_chain_find(chain, header.serial);
  if (reader.failed) {
    *ret_outcome = OUTCOME_BAD_DOCUMENT;
    return NULL;
  }
  if (file == NULL && ret_serial && memcmp(id, network_chain_newest(chain)->id, sizeof id) == 0) *ret_serial = header.serial;
  if (file == NULL || header.epoch < file->starts || network_chain_at(chain, header.epoch) != file) {
    *ret_outcome = OUTCOME_WRONG_NETWORK;
    return NULL;
  }
  return consensus_parse(file, bytes, len, ret_outcome, NULL);
}
