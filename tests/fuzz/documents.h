/* A network of one known authority, so that fuzz targets of documents come past the signatures: they sign their input.
 * Spec: none. Called by the targets network_file, vote and consensus; the corpus is of the same network.
 * The keys are the samples of the unit tests (tests/unit/directory/documents.c).
 */
#ifndef TUNIC_TESTS_FUZZ_DOCUMENTS_H
#define TUNIC_TESTS_FUZZ_DOCUMENTS_H

#include <stdlib.h>
#include <string.h>

#include "directory/network_file.h"

static inline void fuzz_sample(uint8_t ret[32], uint8_t kind) {
  uint8_t name[5] = {kind};
  digest_labelled(ret, "sample", name, sizeof name);
}

static inline void fuzz_network(struct network_file *ret, uint8_t ret_seed[32]) {
  memset(ret, 0, sizeof *ret);
  fuzz_sample(ret->id, 'n');
  fuzz_sample(ret_seed, 'a');
  ret->serial = 1;
  ret->authority_count = 1;
  ed25519_public(ret->authorities[0].identity, ret_seed);
}

/* What formatting says must be what was read, unless the text has lines that are passed over. */
static inline void fuzz_expect_same(const uint8_t *text, size_t len, const char *again, size_t again_len) {
  for (size_t i = 0; i + 3 <= len; i++)
    if (memcmp(text + i, "\nx-", 3) == 0) return;
  if (again_len != len || memcmp(text, again, len) != 0) abort();
}

#endif
