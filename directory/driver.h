/* An authority as a process: finds which one it is, reads its folder, runs its machine.
 * Spec: specs/authority.md, specs/key-files.md. Called by directory/main.c.
 * Never decides anything that the machine could.
 */
#ifndef TUNIC_DIRECTORY_DRIVER_H
#define TUNIC_DIRECTORY_DRIVER_H

#include "crypto/aead.h"
#include "protocol/address.h"
#include "protocol/outcome.h"
#include "protocol/trace.h"

struct complaint;

struct authority_settings {
  const char *network_path, *data_path;
  struct address address; /* where it listens; family ADDRESS_NONE: as the network file says; port 0: the file's */
  uint32_t memory_mb;
  enum aead_backend backend;
  enum trace_level log_level;
  bool forget_ballot; /* [AGREE-33] writes a record in place of the lost one, says what that risks, and ends */
};

/* Until it is told to stop. */
enum outcome authority_run(const struct authority_settings *, struct complaint *);

#endif
