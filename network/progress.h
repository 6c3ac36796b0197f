/* One short line a stage: what is being waited for, how far it is, how long it took.
 * Spec: none. Called by network/up.c.
 * On a terminal the line is rewritten while it changes; into a file each stage is written once, when it is over.
 */
#ifndef TUNIC_NETWORK_PROGRESS_H
#define TUNIC_NETWORK_PROGRESS_H

#include <stdbool.h>

#include "protocol/instant.h"

struct progress { instant begun; bool on_terminal, open; };

void progress_begin(struct progress *);
/* The current stage as it is now. */
__attribute__((format(printf, 2, 3))) void progress_show(struct progress *, const char *format, ...);
/* The stage is over. */
__attribute__((format(printf, 2, 3))) void progress_done(struct progress *, const char *format, ...);
/* Leaves what is shown where it is, for something else to be said. */
void progress_stop(struct progress *);

#endif
