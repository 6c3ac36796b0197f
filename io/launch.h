/* What every program does around its machines: folder, lock, log, randomness before; listener, control socket, run; tidy up after.
 * Spec: specs/outcomes.md [OUT-3], [OUT-6]. Called by the drivers of relay/, client/ and directory/, and by all main files.
 * Never looks into a machine. Never leaves a folder locked.
 */
#ifndef TUNIC_IO_LAUNCH_H
#define TUNIC_IO_LAUNCH_H

#include "io/complaint.h"
#include "io/files.h"
#include "io/log_writer.h"
#include "io/loop.h"
#include "protocol/link.h"
#include "protocol/machine.h"
#include "protocol/random.h"

struct launch {
  const char *program; /* "tunic-relay" */
  struct folder *folder;
  struct log_writer *log;
  const struct trace *trace;
  struct random_stream random;
  const char *listen_option; /* says where it listens; NULL: none does */
  uint32_t network_message; /* kind of EVENT_MESSAGE by which the first machine is handed network files; 0: it takes none */
};

/* Opens and locks the node's folder, the log on standard error and the node's one stream of randomness; gives up what the
 * process does not need. Not OK: launch_end all the same. */
enum outcome launch_begin(const char *program, const char *folder, enum trace_level, struct launch *ret, struct complaint *);
void launch_end(struct launch *); /* zeroed memory is allowed */

/* [NET-14] DIRECTORY_SPLIT if the folder holds this file, which a machine wrote there: a person decides before it starts again. */
enum outcome launch_check_split(const struct launch *, const char *file, struct complaint *);
/* What tells whose folder it is: only a client has the one, every relay and authority the other. */
#define LAUNCH_CLIENT_FILE "state"
#define LAUNCH_SERVER_FILE "secret-link"
/* BAD_SETTING if the folder holds this file, which only others have. */
enum outcome launch_check_folder(const struct launch *, const char *file, const char *whose, struct complaint *);
/* The wall clock as it is now, and its date. */
struct wall_clock launch_clock(void);
struct date launch_date(void);
/* A seed of its own for a machine. */
void launch_seed(struct launch *, uint8_t ret_seed[RANDOM_SEED_BYTES]);
/* The suites that this machine computes fast, and with which library. */
void launch_fill_suites(enum aead_backend, struct link_self *);

/* Listens for the first machine, opens the control socket and runs them all until one gives EFFECT_EXIT. PORT_TAKEN and others:
 * nothing ran. The machines are the caller's to free, afterwards. */
enum outcome launch_run(struct launch *, const struct machine *machines, uint32_t count, const struct address *listen,
                        enum connection_kind, struct complaint *);

#endif
