/* A node's chain of network files, and a script of four bytes a step that makes files, signs them rightly or wrongly, and hands them
 * to the chain: forwards, backwards, changed, several in a row, from disk, to a copy. The harness knows each file that it signed, so
 * it knows which the chain may hold. */
#include "directory/network_chain.h"

#include <stdio.h>

#include "directory/network_shelf.h"
#include "documents.h"
#include "fuzz.h"

enum { KEYS = 6, FILES_MAX = 24, STEPS_MAX = 32, TEXT_BYTES = 4096 };

/* One that the harness made. */
struct made {
  struct network_file file;
  int parent;     /* -1: the first of all */
  bool is_valid;  /* a quorum of its own signed it */
  bool is_proper; /* and one of its parent's, or it is the first */
  size_t len;
  char text[TEXT_BYTES];
};

struct run {
  uint8_t seeds[KEYS][32], identities[KEYS][IDENTITY_BYTES];
  struct made files[FILES_MAX];
  int count;
  bool has_siblings; /* two proper ones of one parent, or two of one serial that the same could vouch for */
  struct network_chain *chain;
};

/* ---- files ---- */

static void add_authority(const struct run *run, struct network_file *file, uint32_t key) {
  struct network_authority *authority = &file->authorities[file->authority_count++];
  memset(authority, 0, sizeof *authority);
  snprintf(authority->name, sizeof authority->name, "a%u", (unsigned)key);
  snprintf(authority->host, sizeof authority->host, "127.0.0.1");
  authority->port = (uint16_t)(1000 + key);
  memcpy(authority->identity, run->identities[key], IDENTITY_BYTES);
  fuzz_sample(authority->link_key, (uint8_t)('k' + key));
}

static void set_authorities(const struct run *run, struct network_file *file, uint8_t members) {
  file->authority_count = 0;
  for (uint32_t i = 0; i < KEYS; i++)
    if (members >> i & 1) add_authority(run, file, i);
  if (file->authority_count == 0) add_authority(run, file, 0);
}

static bool has_quorum(const struct run *run, const struct network_file *file, uint8_t signers) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < KEYS; i++) count += (signers >> i & 1) && network_file_find_authority(file, run->identities[i]) >= 0;
  return count >= authorities_quorum(file->authority_count);
}

static void finish(struct run *run, struct made *made, uint8_t signers) {
  made->len = network_file_format(&made->file, made->text, sizeof made->text);
  for (uint32_t i = 0; i < KEYS; i++)
    if (signers >> i & 1) made->len = network_file_sign(made->text, made->len, sizeof made->text, run->seeds[i]);
  if (made->len == 0 || network_file_read_draft((const uint8_t *)made->text, made->len, &made->file, NULL, NULL) != OUTCOME_OK) abort();
  made->is_valid = has_quorum(run, &made->file, signers);
  made->is_proper = made->is_valid && (made->parent < 0 || has_quorum(run, &run->files[made->parent].file, signers));
  for (int i = 0; i < run->count; i++) {
    const struct made *other = &run->files[i];
    bool differs = memcmp(other->file.digest, made->file.digest, DIGEST_BYTES) != 0;
    run->has_siblings = run->has_siblings || (differs && other->file.serial == made->file.serial && other->is_valid && made->is_valid);
  }
  run->count++;
}

static void make_first(struct run *run) {
  struct made *made = &run->files[0];
  made->parent = -1;
  snprintf(made->file.name, sizeof made->file.name, "fuzz");
  fuzz_sample(made->file.id, 'n');
  made->file.serial = 1;
  made->file.starts = 1;
  made->file.expires.milliseconds = 1000000;
  network_timing_lab(&made->file.timing);
  set_authorities(run, &made->file, 0x0f);
  finish(run, made, 0x0f);
}

/* The next serial of one that was made, with other members; three in four are signed by all. */
static void make_next(struct run *run, uint8_t parent, uint8_t members, uint8_t signers) {
  if (run->count == FILES_MAX) return;
  struct made *made = &run->files[run->count];
  made->parent = parent % run->count;
  const struct network_file *before = &run->files[made->parent].file;
  made->file = *before;
  made->file.serial++;
  made->file.starts += 1 + (members >> 6);
  made->file.created.milliseconds = run->count; /* each has its own digest */
  memcpy(made->file.previous, before->digest, DIGEST_BYTES);
  set_authorities(run, &made->file, members & 0x3f);
  finish(run, made, signers % 4 ? 0x3f : signers >> 2);
}

static const struct made *find_made(const struct run *run, const struct network_file *file) {
  for (int i = 0; i < run->count; i++)
    if (memcmp(run->files[i].file.digest, file->digest, DIGEST_BYTES) == 0) return &run->files[i];
  return NULL;
}

/* ---- what must hold ---- */

static bool same_text(const struct document *a, const struct document *b) {
  return document_len(a) == document_len(b) && memcmp(document_bytes(a), document_bytes(b), document_len(a)) == 0;
}

/* Every file vouched for by the one before; nothing that nobody signed. */
static void check(const struct run *run) {
  const struct network_file *oldest = network_chain_oldest(run->chain), *newest = network_chain_newest(run->chain);
  if (newest->serial - oldest->serial >= NETWORK_CHAIN_FILES) abort();
  for (uint32_t serial = oldest->serial; serial <= newest->serial; serial++) {
    const struct network_file *file = network_chain_find(run->chain, serial), *before = network_chain_find(run->chain, serial - 1);
    const struct made *made = file == NULL ? NULL : find_made(run, file);
    if (made == NULL || !made->is_valid || (before != NULL && !made->is_proper)) abort();
    if (before != NULL && (memcmp(file->previous, before->digest, DIGEST_BYTES) != 0 || file->starts <= before->starts)) abort();
    if (network_chain_at(run->chain, file->starts) != file) abort();
  }
  if (network_chain_find(run->chain, newest->serial + 1) != NULL || network_chain_after(run->chain, newest->serial) != NULL) abort();
}

/* What was written is read as the same. */
static void check_disk(const struct run *run) {
  enum outcome outcome;
  struct document *text = network_chain_text(run->chain);
  struct network_chain *again = text == NULL ? NULL : network_chain_new(document_bytes(text), document_len(text), &outcome, NULL);
  struct document *twice = again == NULL ? NULL : network_chain_text(again);
  if (twice == NULL || !same_text(text, twice)) abort();
  document_release(text);
  document_release(twice);
  network_chain_free(again);
}

static void check_shelf(const struct run *run, uint32_t until) {
  struct network_shelf shelf = {0};
  uint32_t oldest = network_chain_oldest(run->chain)->serial;
  struct document *texts = network_chain_text_until(run->chain, oldest + until);
  if (texts == NULL) abort();
  network_shelf_fill(&shelf, texts, oldest);
  for (uint32_t serial = oldest; network_chain_find(run->chain, serial) != NULL; serial++) {
    const struct document *shown = network_shelf_after(&shelf, serial - 1);
    if ((shown != NULL) != (serial <= oldest + until)) abort();
    if (shown != NULL && !same_text(shown, network_chain_after(run->chain, serial - 1))) abort();
  }
  document_release(texts);
  network_shelf_wipe(&shelf);
}

/* ---- steps ---- */

/* Whatever is not taken leaves the chain as it was; a proof is one. */
static void judge(struct run *run, const struct document *before, enum outcome outcome) {
  struct document *after = network_chain_text(run->chain);
  if (after == NULL || (outcome != OUTCOME_OK && !same_text(before, after))) abort();
  if (outcome == OUTCOME_DIRECTORY_SPLIT && !run->has_siblings) abort();
  document_release(after);
}

static void take(struct run *run, uint8_t which, uint8_t epoch, int change_at, uint8_t to) {
  const struct made *made = &run->files[which % run->count];
  struct document *before = network_chain_text(run->chain);
  uint8_t *copy = malloc(made->len);
  size_t len = change_at >= 0 && to == 0 ? (size_t)change_at * made->len / 256 : made->len;
  if (before == NULL || copy == NULL) abort();
  memcpy(copy, made->text, made->len);
  if (change_at >= 0 && to != 0) copy[(size_t)change_at * made->len / 256] ^= to;
  judge(run, before, network_chain_take(run->chain, epoch, copy, len));
  free(copy);
  document_release(before);
}

/* One that a person gives, or two in a row. */
static void merge(struct run *run, uint8_t first, uint8_t second, bool both) {
  char text[2 * TEXT_BYTES];
  const struct made *a = &run->files[first % run->count], *b = &run->files[second % run->count];
  struct document *before = network_chain_text(run->chain);
  if (before == NULL) abort();
  uint32_t newest = network_chain_newest(run->chain)->serial;
  memcpy(text, a->text, a->len);
  if (both) memcpy(text + a->len, b->text, b->len);
  enum outcome outcome = network_chain_merge(run->chain, (const uint8_t *)text, a->len + (both ? b->len : 0));
  if (outcome == OUTCOME_OK && network_chain_newest(run->chain)->serial < newest) abort();
  if (outcome == OUTCOME_DIRECTORY_SPLIT && !run->has_siblings) abort();
  document_release(before);
}

/* Begins anew with this file, or with what the disk holds, cut somewhere. */
static void begin(struct run *run, const uint8_t *bytes, size_t len) {
  enum outcome outcome;
  uint32_t line;
  struct network_chain *chain = network_chain_new(bytes, len, &outcome, &line);
  if (chain == NULL) return;
  network_chain_free(run->chain);
  run->chain = chain;
}

static void begin_from_disk(struct run *run, uint8_t cut) {
  struct document *text = network_chain_text(run->chain);
  if (text == NULL) abort();
  begin(run, document_bytes(text), document_len(text) - document_len(text) * cut / 256);
  document_release(text);
}

/* Files are tried on a copy, which takes the chain's place if it grew. */
static void try(struct run *run, uint8_t which, uint8_t epoch) {
  const struct made *made = &run->files[which % run->count];
  struct document *before = network_chain_text(run->chain);
  struct network_chain *copy = network_chain_copy(run->chain);
  if (before == NULL || copy == NULL) abort();
  bool taken = network_chain_take(copy, epoch, (const uint8_t *)made->text, made->len) == OUTCOME_OK;
  struct document *after = network_chain_text(run->chain);
  if (after == NULL || !same_text(before, after)) abort();
  if (taken) network_chain_swap(run->chain, copy);
  network_chain_free(copy);
  document_release(before);
  document_release(after);
}

static void step(struct run *run, const uint8_t *words) {
  uint8_t a = words[1], b = words[2], c = words[3];
  switch (words[0] % 9) {
  case 0: make_next(run, a, b, c); break;
  case 1: make_next(run, (uint8_t)(run->count - 1), b, c); break;
  case 2: take(run, a, b, -1, 0); break;
  case 3: take(run, (uint8_t)(run->count - 1), 0, -1, 0); break;
  case 4: take(run, a, 0, b, c); break;
  case 5: merge(run, a, b, c % 2); break;
  case 6: begin(run, (const uint8_t *)run->files[a % run->count].text, run->files[a % run->count].len); break;
  case 7: begin_from_disk(run, a); break;
  case 8: try(run, a, b); break;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct run *run = calloc(1, sizeof *run);
  if (run == NULL || !crypto_start()) abort();
  for (uint32_t i = 0; i < KEYS; i++) {
    fuzz_sample(run->seeds[i], (uint8_t)('A' + i));
    ed25519_public(run->identities[i], run->seeds[i]);
  }
  make_first(run);
  begin(run, (const uint8_t *)run->files[0].text, run->files[0].len);
  if (run->chain == NULL) abort();
  for (size_t at = 0, steps = 0; at + 4 <= size && steps < STEPS_MAX; at += 4, steps++) {
    step(run, data + at);
    check(run);
  }
  check_disk(run);
  check_shelf(run, size > 0 ? data[0] % NETWORK_CHAIN_FILES : 0);
  network_chain_free(run->chain);
  free(run);
  return 0;
}
