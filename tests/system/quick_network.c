/* Makes a network of the lab live faster, for tests that wait for many epochs: quick-network FOLDER.
 * The file of `tunic-network init` with shorter times, signed anew by all its authorities, whose keys are still in FOLDER.
 */
#include <stdio.h>
#include <string.h>

#include "directory/network_file.h"
#include "io/key_file.h"
#include "network/init.h"

static const struct network_timing QUICK = {
    .interval = 1500, .valid = 10 * 60 * 1000, .early_gap = 300, .view_first = 200, .view_most = 2000,
    .fetch_spread = 300, .onion_rotation = 60 * 60 * 1000, .probe_interval = 1000};

/* The new length; 0: a key is missing. */
static size_t sign(const struct network_file *file, const char *path, char *text, size_t len, struct complaint *complaint) {
  for (uint32_t i = 0; i < file->authority_count && len > 0; i++) {
    char folder_path[4096];
    struct folder *folder;
    struct key_ring ring;
    snprintf(folder_path, sizeof folder_path, "%s/%s", path, file->authorities[i].name);
    if (folder_open(folder_path, &folder, complaint) != OUTCOME_OK) return 0;
    enum outcome outcome = key_ring_open(folder, 1U << KEY_IDENTITY, NULL, &ring, NULL, complaint);
    if (outcome == OUTCOME_OK) len = network_file_sign(text, len, LIMIT_NETWORK_FILE_BYTES, ring.keys[KEY_IDENTITY]->bytes);
    else len = 0;
    key_ring_close(&ring);
    folder_close(folder);
  }
  return len;
}

int main(int argc, char **argv) {
  static char text[LIMIT_NETWORK_FILE_BYTES];
  struct complaint complaint = {.text = ""};
  struct network_file file;
  struct folder *folder;
  char path[4096];
  if (argc != 2 || !crypto_start()) return 1;
  snprintf(path, sizeof path, "%s/%s", argv[1], NETWORK_FILE);
  if (init_read_network(path, &file, &complaint) != OUTCOME_OK || folder_open(argv[1], &folder, &complaint) != OUTCOME_OK) {
    fprintf(stderr, "%s\n", complaint.text);
    return 1;
  }
  file.timing = QUICK;
  size_t len = sign(&file, argv[1], text, network_file_format(&file, text, sizeof text), &complaint);
  bool done = len > 0 && folder_write(folder, NETWORK_FILE, text, len, false, &complaint) == OUTCOME_OK;
  folder_close(folder);
  if (!done) fprintf(stderr, "%s\n", complaint.text);
  return done ? 0 : 1;
}
