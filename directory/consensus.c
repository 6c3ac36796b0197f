#include "directory/consensus.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "directory/agreement_message.h"
#include "directory/consensus_internal.h"
#include "directory/merkle.h"

enum {
  ENTRY_LEAST_BYTES = 256, /* so that a short text can't ask for a large allocation */
};

/* One allocation: the object, the ends, the entries, the summaries. */
static struct consensus *consensus_new(uint32_t count) {
  size_t ends = POSITIONS * sizeof(uint64_t), each = ends + sizeof(struct relay_entry) + sizeof(struct exit_summary);
  struct consensus *consensus = calloc(1, sizeof *consensus + count * each);
  if (!consensus) return NULL;
  atomic_init(&consensus->references, 1);
  atomic_init(&consensus->packed, NULL);
  uint64_t *place = (uint64_t *)(void *)(consensus + 1);
  for (size_t i = 0; i < POSITIONS; i++) consensus->ends[i] = place + i * count;
  consensus->entries = (struct relay_entry *)(void *)(place + POSITIONS * (size_t)count);
  consensus->summaries = (struct exit_summary *)(void *)(consensus->entries + count);
  return consensus;
}

/* [CONS-3], [CONS-7] The entries, and that they are what the header says. */
static void read_entries(struct text_reader *reader, struct consensus *consensus) {
  const struct consensus_header *header = &consensus->header;
  const struct relay_entry *before = NULL;
  struct merkle tree;
  uint8_t root[DIGEST_BYTES];
  merkle_init(&tree);
  for (uint32_t i = 0; i < header->relay_count && !reader->failed; i++) {
    struct relay_entry *entry = &consensus->entries[i];
    size_t start = text_offset(reader);
    consensus_read_entry(reader, before, entry, &consensus->summaries[i]);
    if (reader->failed) return;
    merkle_add(&tree, (const uint8_t *)reader->start + start, text_offset(reader) - start);
    consensus->ends[POSITION_GUARD][i] = entry->guard_end;
    consensus->ends[POSITION_MIDDLE][i] = entry->middle_end;
    consensus->ends[POSITION_EXIT][i] = entry->exit_end;
    before = entry;
  }
  merkle_root(&tree, root);
  bool sums = header->guard_total == (before ? before->guard_end : 0) &&
              header->middle_total == (before ? before->middle_end : 0) && header->exit_total == (before ? before->exit_end : 0);
  if (!sums || memcmp(root, header->root, sizeof root) != 0) text_fail(reader);
}

/* [CONS-4] Only signatures of one view count together; the lowest view that has enough is named. */
static enum outcome check_signatures(const struct network_file *network, struct consensus_header *header,
                                     const struct consensus_signature *signatures, uint32_t count) {
  uint32_t quorum = authorities_quorum(network->authority_count);
  bool enough = false;
  for (uint32_t i = 0; i < count; i++) {
    if (network_file_find_authority(network, signatures[i].authority) < 0) return OUTCOME_BAD_SIGNATURE;
    if (!consensus_signature_is_valid(&signatures[i], network->id, header->epoch, header->digest)) return OUTCOME_BAD_SIGNATURE;
  }
  for (uint32_t i = 0; i < count; i++) {
    uint32_t alike = 0;
    for (uint32_t k = 0; k < count; k++) alike += signatures[k].view == signatures[i].view;
    if (alike < quorum || (enough && signatures[i].view >= header->view)) continue;
    header->view = signatures[i].view;
    enough = true;
  }
  return enough ? OUTCOME_OK : OUTCOME_TOO_FEW_SIGNATURES;
}

/* Those that prove the decision, in the order of the network file. */
static void keep_signatures(struct consensus *consensus, const struct network_file *network,
                            const struct consensus_signature *signatures, uint32_t count) {
  for (uint32_t author = 0; author < network->authority_count; author++) {
    for (uint32_t i = 0; i < count; i++) {
      bool is_author = memcmp(signatures[i].authority, network->authorities[author].identity, IDENTITY_BYTES) == 0;
      if (!is_author || signatures[i].view != consensus->header.view) continue;
      consensus->signers[consensus->signature_count] = (uint8_t)author;
      consensus->signatures[consensus->signature_count++] = signatures[i];
      break;
    }
  }
}

void consensus_certificate(const struct consensus *consensus, struct agreement_certificate *ret) {
  memset(ret, 0, sizeof *ret);
  ret->epoch = consensus->header.epoch;
  ret->view = consensus->header.view;
  memcpy(ret->digest, consensus->header.digest, DIGEST_BYTES);
  ret->signs.count = consensus->signature_count;
  for (uint32_t i = 0; i < consensus->signature_count; i++) {
    ret->signs.list[i].author = consensus->signers[i];
    memcpy(ret->signs.list[i].bytes, consensus->signatures[i].bytes, ED25519_SIGNATURE_BYTES);
  }
}

/* Everything but the signatures' validity. The reader has failed, or *ret is complete. */
static enum outcome read_text(struct text_reader *reader, const struct network_file *network, struct consensus **ret,
                              struct consensus_signature *ret_signatures, uint32_t *ret_count) {
  struct consensus_header header = {0};
  uint8_t id[32];
  consensus_read_header(reader, &header, id);
  if (!reader->failed && (size_t)header.relay_count * ENTRY_LEAST_BYTES > (size_t)(reader->end - reader->start)) text_fail(reader);
  if (reader->failed) return OUTCOME_BAD_DOCUMENT;
  /* [CONS-2] */
  if (memcmp(id, network->id, sizeof id) != 0 || header.serial != network->serial) return OUTCOME_WRONG_NETWORK;
  digest_labelled(header.digest, CONSENSUS_SIGN_CONTEXT, (const uint8_t *)reader->start, text_offset(reader));
  *ret = consensus_new(header.relay_count);
  if (!*ret) return OUTCOME_NO_MEMORY;
  (*ret)->header = header;
  read_entries(reader, *ret);
  *ret_count = consensus_read_signatures(reader, ret_signatures);
  return text_is_complete(reader) ? OUTCOME_OK : OUTCOME_BAD_DOCUMENT;
}

struct consensus *consensus_parse(const struct network_file *network, const uint8_t *bytes, size_t len,
                                  enum outcome *ret_outcome, uint32_t *ret_line) {
  struct consensus_signature signatures[CONSENSUS_SIGNATURES_MAX];
  struct consensus *consensus = NULL;
  struct text_reader reader;
  uint32_t count = 0;
  enum outcome outcome = OUTCOME_TOO_LARGE;
  text_reader_init(&reader, bytes, len);
  if (len <= LIMIT_CONSENSUS_BYTES) outcome = read_text(&reader, network, &consensus, signatures, &count);
  if (outcome == OUTCOME_OK) outcome = check_signatures(network, &consensus->header, signatures, count);
  if (outcome == OUTCOME_OK) {
    keep_signatures(consensus, network, signatures, count);
    consensus->text = document_new(bytes, len);
    if (!consensus->text) outcome = OUTCOME_NO_MEMORY;
  }
  if (outcome != OUTCOME_OK) {
    free(consensus);
    consensus = NULL;
  }
  *ret_outcome = outcome;
  if (ret_line) *ret_line = outcome == OUTCOME_BAD_DOCUMENT ? reader.line : 0;
  return consensus;
}

struct consensus *consensus_take(struct consensus *consensus) {
  atomic_fetch_add_explicit(&consensus->references, 1, memory_order_relaxed);
  return consensus;
}

void consensus_release(struct consensus *consensus) {
  if (!consensus || atomic_fetch_sub_explicit(&consensus->references, 1, memory_order_acq_rel) > 1) return;
  document_release(atomic_load_explicit(&consensus->packed, memory_order_relaxed));
  document_release(consensus->text);
  free(consensus);
}

const struct consensus_header *consensus_header(const struct consensus *consensus) { return &consensus->header; }

/* [CONS-9] */
enum outcome consensus_check_dates(const struct consensus *consensus, struct date now) {
  if (date_compare(consensus->header.valid_after, date_after(now, CONSENSUS_AHEAD_MOST_MS)) > 0) return OUTCOME_CLOCK_WRONG;
  return date_compare(now, consensus->header.valid_until) > 0 ? OUTCOME_CONSENSUS_EXPIRED : OUTCOME_OK;
}

uint32_t consensus_count(const struct consensus *consensus) { return consensus->header.relay_count; }

const struct relay_entry *consensus_at(const struct consensus *consensus, uint32_t index) {
  return index < consensus->header.relay_count ? &consensus->entries[index] : NULL;
}

const struct relay_entry *consensus_find(const struct consensus *consensus, const uint8_t identity[IDENTITY_BYTES]) {
  uint32_t low = 0, high = consensus->header.relay_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    int order = memcmp(identity, consensus->entries[middle].identity, IDENTITY_BYTES);
    if (order == 0) return &consensus->entries[middle];
    if (order < 0) high = middle;
    else low = middle + 1;
  }
  return NULL;
}

uint64_t consensus_total(const struct consensus *consensus, enum path_position position) {
  uint32_t count = consensus->header.relay_count;
  return count > 0 ? consensus->ends[position][count - 1] : 0;
}

bool consensus_has_paths(const struct consensus *consensus) {
  return consensus->header.relay_count >= 3 && consensus_total(consensus, POSITION_GUARD) > 0 &&
         consensus_total(consensus, POSITION_MIDDLE) > 0 && consensus_total(consensus, POSITION_EXIT) > 0;
}

/* [CONS-7] The first entry whose range ends behind the point: empty ranges are never met. */
const struct relay_entry *consensus_pick(const struct consensus *consensus, enum path_position position, uint64_t point) {
  const uint64_t *ends = consensus->ends[position];
  uint32_t low = 0, high = consensus->header.relay_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (ends[middle] > point) high = middle;
    else low = middle + 1;
  }
  return consensus_at(consensus, low);
}

uint64_t relay_entry_weight(const struct consensus *consensus, const struct relay_entry *entry, enum path_position position) {
  ptrdiff_t index = entry - consensus->entries;
  assert(index >= 0 && index < (ptrdiff_t)consensus->header.relay_count);
  return consensus->ends[position][index] - (index > 0 ? consensus->ends[position][index - 1] : 0);
}

bool relay_entry_same_family(const struct relay_entry *a, const struct relay_entry *b) {
  for (uint32_t i = 0; i < a->family_count; i++)
    for (uint32_t k = 0; k < b->family_count; k++)
      if (memcmp(a->families[i], b->families[k], RELAY_FAMILY_BYTES) == 0) return true;
  return false;
}

struct document *consensus_text(const struct consensus *consensus) { return consensus->text; }

/* Threads that come at once may both pack; one result stays. */
struct document *consensus_packed(const struct consensus *constant) {
  struct consensus *consensus = (struct consensus *)(uintptr_t)constant; /* what it says does not change */
  struct document *packed = atomic_load_explicit(&consensus->packed, memory_order_acquire), *none = NULL;
  if (packed) return packed;
  packed = document_pack(document_bytes(consensus->text), document_len(consensus->text));
  if (!packed) return NULL;
  if (atomic_compare_exchange_strong_explicit(&consensus->packed, &none, packed, memory_order_acq_rel, memory_order_acquire))
    return packed;
  document_release(packed);
  return none;
}
