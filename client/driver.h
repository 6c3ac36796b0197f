/* A client as a process: reads its folder and the network file, makes the machine, runs it behind a SOCKS port.
 * Spec: specs/socks.md, specs/paths.md. Called by client/main.c.
 * Never decides anything that the machine could.
 */
#ifndef TUNIC_CLIENT_DRIVER_H
#define TUNIC_CLIENT_DRIVER_H

#include "crypto/aead.h"
#include "protocol/address.h"
#include "protocol/outcome.h"
#include "protocol/trace.h"

struct complaint;

struct client_settings {
  const char *network_path, *data_path;
  struct address socks;
  bool isolate_destinations;
  uint32_t memory_mb;
  enum aead_backend backend;
  enum trace_level log_level;
};

/* Until it is told to stop. */
enum outcome client_run(const struct client_settings *, struct complaint *);

#endif
