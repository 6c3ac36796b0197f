#include "network/failure.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096, LAST_BYTES = 1024, WORDS_BYTES = 400, OUTCOME_BYTES = 64 };

/* Exit codes are told apart by outcome; what no outcome has is the system's own (killed, not found). */
static enum outcome outcome_of_exit(int code) {
  for (unsigned i = 1; i < 256; i++) {
    enum outcome outcome;
    if (outcome_from_code((uint8_t)i, &outcome) && outcome_exit_code(outcome) == code && code != 0) return outcome;
  }
  return OUTCOME_SYSTEM_FAILED;
}

/* The last line that begins one: programs end with the cause, and under it, set in, what to do. Empty: there is none, as on a full disk. */
static void read_last_words(const char *path, char ret_words[WORDS_BYTES + 1]) {
  char text[LAST_BYTES + 1];
  ret_words[0] = 0;
  FILE *file = fopen(path, "re");
  if (file == NULL) return;
  if (fseek(file, -LAST_BYTES, SEEK_END) != 0) rewind(file);
  text[fread(text, 1, LAST_BYTES, file)] = 0;
  fclose(file);
  for (char *line = text; *line != 0;) {
    size_t len = strcspn(line, "\n");
    if (len > 0 && line[0] != ' ') snprintf(ret_words, WORDS_BYTES + 1, "%.*s", (int)(len < WORDS_BYTES ? len : WORDS_BYTES), line);
    line += len + (line[len] == '\n');
  }
}

/* Its outcome's name, which stands behind our own words too, is cut off. */
static void complain_ended(const struct process *process, int code, const char *folder, const char *exec_prefix, struct complaint *complaint) {
  char path[PATH_BYTES], words[WORDS_BYTES + 1], name[OUTCOME_BYTES];
  snprintf(path, sizeof path, "%s/%s/%s", folder, process->name, PROCESS_LOG_FILE);
  read_last_words(path, words);
  int name_len = snprintf(name, sizeof name, " (%s)", outcome_name(outcome_of_exit(code)));
  size_t len = strlen(words);
  if (len > (size_t)name_len && strcmp(words + len - name_len, name) == 0) words[len - name_len] = 0;
  if (words[0] != 0) complain(complaint, "%s ended with %d. Its last words in %s: %s", process->name, code, path, words);
  else if (exec_prefix != NULL) complain(complaint, "%s ended with %d, and nothing is in %s: --exec \"%s\" did not start it.", process->name, code, path, exec_prefix);
  else complain(complaint, "%s ended with %d, and nothing is in %s: is the disk full?", process->name, code, path);
  if (exec_prefix != NULL) advise(complaint, "Try what --exec says by hand, with {name} as %s and a command behind it.", process->name);
}

enum outcome failure_find_ended(struct process_list *list, const char *folder, const char *exec_prefix, struct complaint *complaint) {
  for (uint32_t i = 0; i < list->count; i++) {
    struct process *process = &list->list[i];
    int code;
    if (process_is_running(process) || !process_take_exit(process, &code)) continue;
    complain_ended(process, code, folder, exec_prefix, complaint);
    return outcome_of_exit(code);
  }
  return OUTCOME_OK;
}
