#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "votes.h"

/* Writes the fuzz targets' corpus when TUNIC_CORPUS names its folder; otherwise only makes it. */
static void save(const char *target, const char *name, const void *bytes, size_t len) {
  const char *folder = getenv("TUNIC_CORPUS");
  char path[512];
  cr_assert_gt(len, 0);
  if (!folder) return;
  snprintf(path, sizeof path, "%s/%s/%s", folder, target, name);
  FILE *file = fopen(path, "wb");
  cr_assert(file && fwrite(bytes, 1, len, file) == len && fclose(file) == 0, "%s", path);
}

static void save_document(const char *target, const char *name, struct document *document, size_t without) {
  save(target, name, document_bytes(document), document_len(document) - without);
  document_release(document);
}

static void rich_descriptor(struct descriptor *descriptor, const struct network_file *network) {
  static const char *const RULES[] = {"reject 203.0.113.0/24:*", "accept *:80-443", "accept [2001:db8::]/32:*", "accept private:*"};
  uint8_t seed[32];
  sample_descriptor(descriptor, network, 1);
  for (size_t i = 0; i < sizeof RULES / sizeof RULES[0]; i++) cr_assert(exit_policy_add_rule(&descriptor->policy, RULES[i], strlen(RULES[i])));
  descriptor->other = (struct address){.family = ADDRESS_IPV6, .bytes = {0x20, 1, 0xd, 0xb8, [15] = 1}, .port = 443};
  sample_bytes(seed, 'F', 0);
  cr_assert(descriptor_join_family(descriptor, seed));
  snprintf(descriptor->contact, sizeof descriptor->contact, "someone@example.org");
}

Test(corpus, texts) {
  enum { SIGNATURE_LINE_BYTES = 139, RELAYS = 4 };
  static char text[SAMPLE_TEXT_BYTES];
  struct network_file network;
  struct descriptor descriptor;
  save("network_file", "one", text, sample_network_text(&network, 1, 0, text));
  save("network_file", "four", text, sample_network_text(&network, 4, 0, text));
  save("network_file", "signed", text, sample_network_text(&network, 1, 1, text));

  sample_network(&network, 1);
  rich_descriptor(&descriptor, &network);
  save("descriptor", "rich", text, sample_descriptor_text(&descriptor, 1, text, sizeof text));
  sample_descriptor(&descriptor, &network, 2);
  save("descriptor", "plain", text, sample_descriptor_text(&descriptor, 2, text, sizeof text));

  struct vote_header header;
  struct seen_relay seen[RELAYS];
  seen_header(&header, &network, 0);
  seen_relays(seen, &network, RELAYS);
  seen[1].is_measured = true, seen[1].measured = 500;
  save_document("vote", "none", seen_vote_text(&header, 0, seen, 0), SIGNATURE_LINE_BYTES);
  save_document("vote", "four", seen_vote_text(&header, 0, seen, RELAYS), SIGNATURE_LINE_BYTES);

  struct relay_entry entries[RELAYS];
  struct exit_summary summaries[RELAYS];
  struct consensus_header consensus;
  sample_entries(entries, summaries, RELAYS);
  save_document("consensus", "four", sample_consensus(&network, &consensus, entries, RELAYS, 1, 3), 0);
  save_document("consensus", "none", sample_consensus(&network, &consensus, entries, 0, 1, 0), 0);

  memset(text, 'a', sizeof text);
  save_document("pack", "run", document_pack((uint8_t *)text, 60000), 0);
  save_document("pack", "small", document_pack((const uint8_t *)"tunic", 5), 0);
  save_document("pack", "empty", document_pack((const uint8_t *)"", 0), 0);
}
