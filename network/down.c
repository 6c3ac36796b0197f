#include "network/down.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/files.h"
#include "network/process.h"

enum { STOP_POLITELY_MS = 5000 };

static enum outcome stop(const char *path, struct process_list *list, struct complaint *complaint) {
  uint32_t killed, running = process_count_running(list);
  if (running == 0) {
    process_list_forget(path);
    complain(complaint, "Nothing that `tunic-network up` started in %s runs.", path);
    return OUTCOME_NOT_RUNNING;
  }
  if (!process_list_stop(list, STOP_POLITELY_MS, &killed)) {
    complain(complaint, "%u processes of %s can't be ended.", process_count_running(list), path);
    return OUTCOME_SYSTEM_FAILED;
  }
  process_list_forget(path);
  if (killed > 0) printf("Stopped %u processes; %u had to be killed.\n", running, killed);
  else printf("Stopped %u processes.\n", running);
  return OUTCOME_OK;
}

enum outcome down_network(const char *path, struct complaint *complaint) {
  struct folder *folder = NULL;
  struct process_list *list = calloc(1, sizeof *list);
  if (list == NULL) return OUTCOME_NO_MEMORY;
  enum outcome outcome = OUTCOME_OK;
  if (access(path, F_OK) != 0) { /* opening would make it */
    complain(complaint, "There is no folder %s.", path);
    outcome = OUTCOME_NOT_FOUND;
  }
  if (outcome == OUTCOME_OK) outcome = folder_open(path, &folder, complaint);
  if (outcome == OUTCOME_OK) outcome = folder_lock(folder, complaint);
  if (outcome == OUTCOME_OK) outcome = process_list_read(path, list, complaint);
  if (outcome == OUTCOME_OK) outcome = stop(path, list, complaint);
  process_list_close(list);
  folder_close(folder);
  free(list);
  return outcome;
}
