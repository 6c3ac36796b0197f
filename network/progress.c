#include "network/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "io/loop.h"

void progress_begin(struct progress *progress) {
  *progress = (struct progress){.begun = loop_now(), .on_terminal = isatty(STDOUT_FILENO)};
}

static void print_line(const struct progress *progress, const char *format, va_list list) {
  char text[160];
  vsnprintf(text, sizeof text, format, list);
  double seconds = (double)(loop_now() - progress->begun) / (double)SECONDS;
  printf("%s%6.1f s  %s", progress->on_terminal ? "\r\033[K" : "", seconds, text);
}

void progress_show(struct progress *progress, const char *format, ...) {
  if (!progress->on_terminal) return;
  va_list list;
  va_start(list, format);
  print_line(progress, format, list);
  va_end(list);
  fflush(stdout);
  progress->open = true;
}

void progress_done(struct progress *progress, const char *format, ...) {
  va_list list;
  va_start(list, format);
  print_line(progress, format, list);
  va_end(list);
  putchar('\n');
  fflush(stdout);
  progress->open = false;
}

void progress_stop(struct progress *progress) {
  if (progress->open) putchar('\n');
  fflush(stdout);
  progress->open = false;
}
