/* What a process gives up, and what it asks for, before it serves anyone.
 * Spec: none. Called by each program once, at its start.
 * Never fails a start: what the system refuses is only reported.
 */
#ifndef TUNIC_IO_PRIVILEGE_H
#define TUNIC_IO_PRIVILEGE_H

#include <stdbool.h>
#include <stdint.h>

/* No core dumps, which would write keys to disk, and no reading of our memory by other processes of the same user. */
bool privilege_hide_memory(void);
/* As many descriptors as the system allows without asking an administrator; returns how many there are now. */
uint64_t privilege_raise_descriptors(void);
/* How many there are; UINT64_MAX: no limit is known. */
uint64_t privilege_descriptors(void);

#endif
