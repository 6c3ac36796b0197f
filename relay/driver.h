/* A relay as a process: reads its folder and the network file, makes keeper and shards, runs them.
 * Spec: specs/descriptor.md, specs/key-files.md. Called by relay/main.c.
 * Never decides anything that a machine could.
 */
#ifndef TUNIC_RELAY_DRIVER_H
#define TUNIC_RELAY_DRIVER_H

#include "crypto/aead.h"
#include "directory/descriptor.h"
#include "protocol/trace.h"

struct complaint;

struct relay_settings {
  const char *network_path, *data_path;
  struct address address;      /* where it is found */
  struct address listen;       /* where it listens */
  const char *nickname, *contact;
  struct exit_policy policy;   /* zeroed: no exit */
  uint32_t shards, memory_mb, bandwidth; /* bandwidth: KB/s */
  enum aead_backend backend;
  enum trace_level log_level;
};

/* Where the identity is: makes a signing key and its certificate in the settings' folder, for a relay that has no identity, and says
 * what to carry there. */
enum outcome relay_make_signing_key(const char *network_path, const char *data_path, uint32_t days, struct complaint *);
/* Until it is told to stop. */
enum outcome relay_run(const struct relay_settings *, struct complaint *);
/* Writes the descriptor that was published last to standard output. NOT_FOUND: none yet. */
enum outcome relay_show_descriptor(const char *data_path, struct complaint *);

#endif
