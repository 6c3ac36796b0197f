/* An authority as a process: finds which one it is, reads its folder, runs its machine. And what every program begins with.
 * Spec: specs/authority.md, specs/key-files.md, specs/network-file.md. Called by directory/main.c; the drivers of relay/ and client/.
 * Never decides anything that the machine could.
 */
#ifndef TUNIC_DIRECTORY_DRIVER_H
#define TUNIC_DIRECTORY_DRIVER_H

#include "crypto/aead.h"
#include "directory/network_chain.h"
#include "io/launch.h"
#include "protocol/address.h"
#include "protocol/outcome.h"
#include "protocol/trace.h"

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

/* Why a network file that a person named can't be used; the line, or 0. */
void driver_complain_network(const char *path, enum outcome, uint32_t line, struct complaint *);
/* [NET-12] [NET-14] The network files of any node: what a person gave, joined to what the folder holds. NULL: why, and it is said.
 * `data_path`: the folder, as the person named it. */
struct network_chain *driver_read_networks(const struct launch *, const char *path, const char *data_path, enum outcome *ret_outcome,
                                           struct complaint *);

#endif
