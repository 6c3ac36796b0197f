/* Ctrl-C, SIGTERM and a terminal that goes as something that can be waited for, so that whoever is interrupted tidies up first.
 * Spec: none. Called by network/main.c, up.c, wait.c, transfer.c.
 * Never a handler: the signals are blocked and read from a descriptor.
 */
#ifndef TUNIC_NETWORK_INTERRUPT_H
#define TUNIC_NETWORK_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

/* From now on; -1: the system refused. Closing it leaves the signals blocked. */
int interrupt_open(void);
/* True from the first such signal on. */
bool interrupt_came(int interrupt);
/* Waits until `fd` (or -1: none) can be read, written if `writes`, or has failed; false after `wait_ms` or an interrupt. */
bool interrupt_wait(int interrupt, int fd, bool writes, int wait_ms);

#endif
