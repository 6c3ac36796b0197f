/* A descriptor, without looking at its signatures: what is accepted is written anew as the same bytes. */
#include "directory/descriptor.h"

#include "documents.h"
#include "fuzz.h"

enum { SIGNATURE_LINE_BYTES = 10 + 2 * ED25519_SIGNATURE_BYTES + 1 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct descriptor descriptor;
  uint8_t network[32];
  uint32_t line;
  static char again[2 * LIMIT_DESCRIPTOR_BYTES];
  fuzz_sample(network, 'n');
  enum outcome outcome = descriptor_read(network, data, size, &descriptor, &line);
  if (outcome == OUTCOME_OK) {
    struct exit_summary summary;
    exit_policy_summarise(&descriptor.policy, &summary);
    fuzz_expect_same(data, size - SIGNATURE_LINE_BYTES, again, descriptor_format(&descriptor, again, sizeof again));
  }
  if (descriptor_parse(network, data, size, &descriptor, &line) == OUTCOME_OK && outcome != OUTCOME_OK) abort();
  return 0;
}
