#include "io/complaint.h"

#include <stdarg.h>
#include <stdio.h>

void complaint_withdraw(struct complaint *complaint) {
  if (complaint != NULL) complaint->text[0] = complaint->advice[0] = 0;
}

void complain(struct complaint *complaint, const char *format, ...) {
  if (complaint == NULL) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(complaint->text, sizeof complaint->text, format, arguments);
  va_end(arguments);
  complaint->advice[0] = 0;
}

void advise(struct complaint *complaint, const char *format, ...) {
  if (complaint == NULL) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(complaint->advice, sizeof complaint->advice, format, arguments);
  va_end(arguments);
}
