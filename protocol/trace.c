#include "protocol/trace.h"

#include <stddef.h>
#include <stdio.h>

void trace_write(const struct trace *trace, enum trace_level level, const char *area, const char *format,
                 ...) {
  if (!trace || !trace->sink || level > trace->level) return;
  char text[TRACE_LINE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  int written = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (written < 0) return;
  /* [OUT-6] A peer's bytes in an argument can neither begin a line of their own nor steer a terminal. */
  for (char *c = text; *c; c++)
    if (*c < ' ' || *c > '~') *c = '?';
  trace->sink(trace->context, level, area, text);
}

const char *trace_level_name(enum trace_level level) {
  switch (level) {
  case TRACE_ERROR: return "error";
  case TRACE_WARNING: return "warning";
  case TRACE_NOTICE: return "notice";
  case TRACE_INFO: return "info";
  case TRACE_DEBUG: return "debug";
  }
  return "debug";
}
