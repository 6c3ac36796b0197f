/* Processes of nodes: started in sessions of their own, recorded so that they are found again, stopped and no other.
 * Spec: none. Called by network/up.c, down.c, status.c.
 * A process is known by its number, the moment it was started and the system's boot: a number that another program got
 * meanwhile is never signalled.
 */
#ifndef TUNIC_NETWORK_PROCESS_H
#define TUNIC_NETWORK_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "io/complaint.h"
#include "network/nodes.h"
#include "protocol/outcome.h"

/* The file in the network's folder with a line `NAME PID` for each process; beside it, in each node's own folder, what
 * tells that process from a later one with the same number. */
#define PROCESS_LIST_FILE "pids"
#define PROCESS_STARTED_FILE "started"
#define PROCESS_LOG_FILE "log"

struct process {
  char name[NODE_NAME_BYTES];
  pid_t pid;
  uint64_t started;  /* in the kernel's ticks since the boot */
  char boot[40];     /* which boot */
  int fd;            /* a pidfd, or -1 if it was gone when it was looked for */
};

struct process_list { uint32_t count; struct process list[NODES_MAX]; };

/* Runs argv[0] (searched in PATH if it has no slash) with output appended to FOLDER/NAME/log and no input. The child starts only after it
 * is recorded. NOT_FOUND or SYSTEM_FAILED: it can't be started, and nothing is left of it. */
enum outcome process_start(const char *folder, const char *name, char *const argv[], struct process_list *, struct complaint *);

/* The processes recorded in the folder that still are the ones that were started (fd >= 0) or are gone (-1). An empty list
 * if nothing is recorded. */
enum outcome process_list_read(const char *folder, struct process_list *ret, struct complaint *);
void process_list_close(struct process_list *); /* the pidfds, not the processes */
uint32_t process_count_running(const struct process_list *);
bool process_is_running(const struct process *);

/* Asks all to end, waits at most `polite_ms`, then kills the rest; returns how many had to be killed. True afterwards:
 * none of them runs. */
bool process_list_stop(struct process_list *, uint64_t polite_ms, uint32_t *ret_killed);
/* Forgets the record. */
void process_list_forget(const char *folder);

/* If it was our child and has ended: its exit code, or 128 + the signal. False: it runs, or is not ours. */
bool process_take_exit(struct process *, int *ret_code);

#endif
