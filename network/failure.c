#include "network/failure.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096, LAST_BYTES = 400 };

/* Exit codes are told apart by outcome; what no outcome has is the system's own (killed, not found). */
static enum outcome outcome_of_exit(int code) {
  for (unsigned i = 1; i < 256; i++) {
    enum outcome outcome;
    if (outcome_from_code((uint8_t)i, &outcome) && outcome_exit_code(outcome) == code && code != 0) return outcome;
  }
  return OUTCOME_SYSTEM_FAILED;
}

/* The log's last line. */
static void read_last_line(const char *path, char ret_line[LAST_BYTES + 1]) {
  ret_line[0] = 0;
  FILE *file = fopen(path, "re");
  if (file == NULL) return;
  if (fseek(file, -LAST_BYTES, SEEK_END) != 0) rewind(file);
  size_t len = fread(ret_line, 1, LAST_BYTES, file);
  fclose(file);
  while (len > 0 && ret_line[len - 1] == '\n') len--;
  ret_line[len] = 0;
  const char *newline = strrchr(ret_line, '\n');
  if (newline != NULL) memmove(ret_line, newline + 1, strlen(newline));
}

enum outcome failure_find_ended(struct process_list *list, const char *folder, struct complaint *complaint) {
  for (uint32_t i = 0; i < list->count; i++) {
    struct process *process = &list->list[i];
    int code;
    if (process_is_running(process) || !process_take_exit(process, &code)) continue;
    char path[PATH_BYTES], line[LAST_BYTES + 1];
    snprintf(path, sizeof path, "%s/%s/%s", folder, process->name, PROCESS_LOG_FILE);
    read_last_line(path, line);
    enum outcome outcome = outcome_of_exit(code);
    complain(complaint, "%s ended with %d. Its last words in %s: %s", process->name, code, path, line);
    return outcome;
  }
  return OUTCOME_OK;
}
