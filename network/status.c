#include "network/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/loop.h"
#include "network/interrupt.h"
#include "network/node_state.h"
#include "network/process.h"

enum { LOOK_EVERY_MS = 50 };

static const char FIRST_CLIENT[] = "c1";

/* A name that `up` gave begins with its role's letter; an authority may be called otherwise. */
static enum node_role role_of(const char *name) {
  for (int i = NODE_RELAY; i < NODE_ROLES; i++)
    if (name[0] == node_role_letter((enum node_role)i) && name[1 + strspn(name + 1, "0123456789")] == 0) return (enum node_role)i;
  return NODE_AUTHORITY;
}

static enum outcome show_process(const char *folder, const struct process *process) {
  struct node_state state = {.cause = OUTCOME_NOT_RUNNING};
  if (process_is_running(process)) node_state_ask(folder, process->name, &state);
  printf("%-12s %-10s %8ld  %-8s ", process->name, node_role_name(role_of(process->name)), (long)process->pid, state.ready ? "ready" : "-");
  if (state.ready) printf("%s\n", state.path);
  else if (state.answers) printf("%s (%u of %u: %s)\n", outcome_name(state.cause), state.stage, state.stages, state.stage_text);
  else printf("%s\n", outcome_name(state.cause));
  if (state.soon[0] != 0) printf("%-12s %s\n", "", state.soon);
  return state.ready ? OUTCOME_OK : state.cause;
}

static enum outcome read_processes(const char *folder, struct process_list **ret, struct complaint *complaint) {
  *ret = calloc(1, sizeof **ret);
  if (*ret == NULL) return OUTCOME_NO_MEMORY;
  enum outcome outcome = process_list_read(folder, *ret, complaint);
  if (outcome != OUTCOME_OK || (*ret)->count > 0) return outcome;
  complain(complaint, "`tunic-network up` has started nothing in %s.", folder);
  return OUTCOME_NOT_RUNNING;
}

static void free_processes(struct process_list *list) {
  if (list != NULL) process_list_close(list);
  free(list);
}

enum outcome status_show(const char *folder, struct complaint *complaint) {
  struct process_list *list;
  enum outcome outcome = read_processes(folder, &list, complaint);
  if (outcome == OUTCOME_OK) printf("%-12s %-10s %8s  %-8s %s\n", "NODE", "ROLE", "PROCESS", "STATE", "CAUSE");
  uint32_t count = outcome == OUTCOME_OK ? list->count : 0;
  for (uint32_t i = 0; i < count; i++) {
    enum outcome one = show_process(folder, &list->list[i]);
    if (outcome != OUTCOME_OK || one == OUTCOME_OK) continue;
    outcome = one;
    complain(complaint, "%s is not ready.", list->list[i].name);
  }
  free_processes(list);
  return outcome;
}

static const struct process *find(const struct process_list *list, const char *name) {
  for (uint32_t i = 0; i < list->count; i++)
    if (strcmp(list->list[i].name, name) == 0) return &list->list[i];
  return NULL;
}

/* Until it is ready, ends, or the time is over. */
static enum outcome wait_for(const char *folder, const struct process *client, instant until, int interrupt, struct complaint *complaint) {
  for (;;) {
    struct node_state state = {.cause = OUTCOME_NOT_RUNNING};
    bool runs = process_is_running(client);
    if (runs) node_state_ask(folder, client->name, &state);
    if (state.ready) return OUTCOME_OK;
    if (!runs || loop_now() >= until) {
      complain(complaint, "%s is not ready%s%s.", client->name, state.answers ? ": " : "", state.answers ? state.stage_text : "");
      return state.cause;
    }
    interrupt_wait(interrupt, -1, false, LOOK_EVERY_MS);
    if (!interrupt_came(interrupt)) continue;
    complain(complaint, "The waiting was interrupted; %s was not ready.", client->name);
    return OUTCOME_SHUTTING_DOWN;
  }
}

enum outcome status_wait(const char *folder, uint64_t wait_ms, int interrupt, struct complaint *complaint) {
  struct process_list *list;
  enum outcome outcome = read_processes(folder, &list, complaint);
  if (outcome == OUTCOME_OK) {
    const struct process *client = find(list, FIRST_CLIENT);
    outcome = OUTCOME_NOT_RUNNING;
    if (client == NULL) complain(complaint, "%s has no client %s.", folder, FIRST_CLIENT);
    else outcome = wait_for(folder, client, instant_after(loop_now(), wait_ms * MILLISECONDS), interrupt, complaint);
  }
  free_processes(list);
  return outcome;
}
