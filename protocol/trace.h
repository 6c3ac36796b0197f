/* Log lines out of a machine: level, area, text; a sink that the driver or the simulator hands in.
 * Spec: specs/outcomes.md [OUT-6]. Called by machines.
 * Never formats what a relay must not write down: no client address, no destination below DEBUG.
 */
#ifndef TUNIC_PROTOCOL_TRACE_H
#define TUNIC_PROTOCOL_TRACE_H

#include <stdarg.h>
#include <stdint.h>

#include "protocol/instant.h"

enum trace_level { TRACE_ERROR, TRACE_WARNING, TRACE_NOTICE, TRACE_INFO, TRACE_DEBUG };

struct trace {
  enum trace_level level; /* nothing above this is formatted */
  void *context;
  void (*sink)(void *context, enum trace_level, const char *area, const char *text);
};

enum { TRACE_LINE_BYTES = 512 };

/* NULL or a NULL sink: nothing happens. Longer lines are cut; bytes that are not printable
 * ASCII become '?', so that a peer's words never begin a line or steer a terminal. */
__attribute__((format(printf, 4, 5))) void trace_write(const struct trace *, enum trace_level, const char *area, const char *format, ...);
const char *trace_level_name(enum trace_level);

#endif
