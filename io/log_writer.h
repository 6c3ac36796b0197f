/* Log lines to a file or to standard error: `2026-11-22T20:57:20.123Z notice area: text`.
 * Spec: specs/outcomes.md [OUT-6]. Called through struct trace, from every thread; flushed by drivers.
 * Never tears a line, never blocks a reader out: errors and warnings leave at once, the rest at the end of a turn.
 */
#ifndef TUNIC_IO_LOG_WRITER_H
#define TUNIC_IO_LOG_WRITER_H

#include "io/complaint.h"
#include "protocol/outcome.h"
#include "protocol/trace.h"

struct log_writer; /* opaque */

/* path NULL: standard error. The file is appended to, mode 0600: a client's log is its own business. */
enum outcome log_writer_open(const char *path, enum trace_level, struct log_writer **ret, struct complaint *);
void log_writer_close(struct log_writer *); /* flushes; NULL is allowed */
/* For machines and drivers; lives as long as the writer. NULL gives NULL. */
const struct trace *log_writer_trace(const struct log_writer *);
void log_writer_flush(struct log_writer *); /* NULL is allowed */

#endif
