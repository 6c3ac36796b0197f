#include "io/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/loop.h"

enum { BUFFER_BYTES = 16 * 1024, LINE_MAX_BYTES = TRACE_LINE_BYTES + 128 };

struct log_writer {
  int fd;
  struct trace trace;
  pthread_mutex_t lock;
  _Atomic size_t len; /* changed under the lock */
  char buffer[BUFFER_BYTES];
};

/* A log that can't be written must not stop a node: what does not leave is lost. */
static void write_out(struct log_writer *writer) {
  size_t at = 0, len = writer->len;
  while (at < len) {
    ssize_t wrote = write(writer->fd, writer->buffer + at, len - at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) break;
    at += (size_t)wrote;
  }
  writer->len = 0;
}

static void sink(void *context, enum trace_level level, const char *area, const char *text) {
  struct log_writer *writer = context;
  char date[DATE_TEXT_BYTES], line[LINE_MAX_BYTES];
  date_format(loop_wall_clock(0).date, date);
  int formatted = snprintf(line, sizeof line, "%s %s %.32s: %.*s\n", date, trace_level_name(level), area, TRACE_LINE_BYTES, text);
  if (formatted < 0) return;
  size_t len = (size_t)formatted < sizeof line ? (size_t)formatted : sizeof line - 1;
  pthread_mutex_lock(&writer->lock);
  if (writer->len + len > BUFFER_BYTES) write_out(writer);
  memcpy(writer->buffer + writer->len, line, len);
  writer->len += len;
  if (level <= TRACE_WARNING) write_out(writer);
  pthread_mutex_unlock(&writer->lock);
}

enum outcome log_writer_open(const char *path, enum trace_level level, struct log_writer **ret, struct complaint *complaint) {
  struct log_writer *writer = calloc(1, sizeof *writer);
  if (writer == NULL) return OUTCOME_NO_MEMORY;
  writer->fd = path == NULL ? STDERR_FILENO : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
  if (writer->fd < 0) {
    complain(complaint, "The log %s can't be written: %s.", path, strerror(errno));
    free(writer);
    return OUTCOME_FILE_FAILED;
  }
  pthread_mutex_init(&writer->lock, NULL);
  writer->trace = (struct trace){.level = level, .context = writer, .sink = sink};
  *ret = writer;
  return OUTCOME_OK;
}

void log_writer_close(struct log_writer *writer) {
  if (writer == NULL) return;
  log_writer_flush(writer);
  if (writer->fd != STDERR_FILENO) close(writer->fd);
  pthread_mutex_destroy(&writer->lock);
  free(writer);
}

const struct trace *log_writer_trace(const struct log_writer *writer) {
  return writer == NULL ? NULL : &writer->trace;
}

void log_writer_flush(struct log_writer *writer) {
  if (writer == NULL || writer->len == 0) return;
  pthread_mutex_lock(&writer->lock);
  write_out(writer);
  pthread_mutex_unlock(&writer->lock);
}
