#include "network/failure.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STOP_MS = 2000 };

struct place { char path[64]; struct process_list *list; };

static void path_in(const struct place *place, const char *name, char ret[128]) {
  snprintf(ret, 128, "%s/%s", place->path, name);
}

static struct place place_new(void) {
  struct place place = {.path = "/tmp/tunic-process-XXXXXX", .list = calloc(1, sizeof *place.list)};
  char path[128];
  cr_assert(place.list != NULL && mkdtemp(place.path) != NULL);
  path_in(&place, "n1", path);
  cr_assert(mkdir(path, 0700) == 0);
  return place;
}

static void place_free(struct place *place) {
  static const char *const FILES[] = {"n1/log", "n1/started", "pids"};
  char path[128];
  uint32_t killed;
  process_list_stop(place->list, 0, &killed);
  process_list_close(place->list);
  for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
    path_in(place, FILES[i], path);
    unlink(path);
  }
  path_in(place, "n1", path);
  rmdir(path);
  rmdir(place->path);
  free(place->list);
}

static void read_text(const struct place *place, const char *name, char ret[256]) {
  char path[128];
  path_in(place, name, path);
  FILE *file = fopen(path, "r");
  cr_assert_not_null(file);
  size_t len = fread(ret, 1, 255, file);
  ret[len] = 0;
  fclose(file);
}

static void write_text(const struct place *place, const char *name, const char *text) {
  char path[128];
  path_in(place, name, path);
  FILE *file = fopen(path, "w");
  cr_assert_not_null(file);
  fputs(text, file);
  fclose(file);
}

static void start(struct place *place, const char *script) {
  char shell[] = "/bin/sh", option[] = "-c", copy[256];
  snprintf(copy, sizeof copy, "%s", script);
  char *argv[] = {shell, option, copy, NULL};
  cr_assert(process_start(place->path, "n1", argv, place->list, NULL) == OUTCOME_OK);
}

/* Until the log has something in it: what the process says, it says once it is ready for the test. */
static void wait_for_log(const struct place *place) {
  char log[256] = "";
  for (int i = 0; i < 500 && log[0] == 0; i++) {
    usleep(10000);
    read_text(place, "n1/log", log);
  }
  cr_assert(log[0] != 0);
}

Test(process, what_was_started_is_found_again_and_stopped) {
  struct place place = place_new();
  struct process_list *found = calloc(1, sizeof *found);
  uint32_t killed;
  cr_assert_not_null(found);
  start(&place, "exec sleep 60");
  cr_assert(process_list_read(place.path, found, NULL) == OUTCOME_OK);
  cr_assert(found->count == 1 && process_count_running(found) == 1);
  cr_assert(found->list[0].pid == place.list->list[0].pid);
  cr_assert(getsid(found->list[0].pid) == found->list[0].pid); /* Ctrl-C at our terminal is not for it */
  cr_assert(process_list_stop(found, STOP_MS, &killed) && killed == 0);
  cr_assert(process_count_running(place.list) == 0);
  process_list_close(found);
  free(found);
  place_free(&place);
}

Test(process, who_ignores_the_request_is_killed) {
  struct place place = place_new();
  uint32_t killed;
  start(&place, "trap '' TERM; echo ready; while :; do sleep 1; done");
  wait_for_log(&place);
  cr_assert(process_list_stop(place.list, 100, &killed) && killed == 1);
  place_free(&place);
}

Test(process, a_number_that_another_process_has_by_now_is_never_signalled) {
  struct place place = place_new();
  struct process_list *found = calloc(1, sizeof *found);
  char text[256], changed[256], boot[64];
  long pid;
  uint64_t started;
  uint32_t killed;
  cr_assert_not_null(found);
  start(&place, "exec sleep 60");
  read_text(&place, "n1/started", text);
  cr_assert(sscanf(text, "%ld %" SCNu64 " %63s", &pid, &started, boot) == 3);
  static const char *const WRONG[] = {"another start", "another boot", "another process", "no record"};
  for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
    snprintf(changed, sizeof changed, "%ld %" PRIu64 " %s\n", i == 2 ? pid + 1 : pid, i == 0 ? started - 1 : started,
             i == 1 ? "00000000-0000-0000-0000-000000000000" : boot);
    write_text(&place, "n1/started", i == 3 ? "" : changed);
    cr_assert(process_list_read(place.path, found, NULL) == OUTCOME_OK);
    cr_assert(found->count == 1 && process_count_running(found) == 0, "%s", WRONG[i]);
    cr_assert(process_list_stop(found, STOP_MS, &killed));
    cr_assert(process_count_running(place.list) == 1, "%s", WRONG[i]);
    process_list_close(found);
  }
  free(found);
  place_free(&place);
}

Test(process, a_program_that_does_not_exist_leaves_nothing_behind) {
  struct place place = place_new();
  struct complaint complaint;
  char missing[] = "/nonexistent/program";
  char *argv[] = {missing, NULL};
  cr_assert(process_start(place.path, "n1", argv, place.list, &complaint) == OUTCOME_NOT_FOUND);
  cr_assert_not_null(strstr(complaint.text, missing));
  cr_assert(place.list->count == 0);
  cr_assert(waitpid(-1, NULL, WNOHANG) < 0);
  place_free(&place);
}

Test(process, how_it_ended_is_told_once) {
  struct place place = place_new();
  int code;
  start(&place, "exit 52");
  bool ended = false;
  for (int i = 0; i < 500 && !ended; i++) {
    usleep(10000);
    ended = process_take_exit(&place.list->list[0], &code);
  }
  cr_assert(ended && code == 52);
  cr_assert(!process_is_running(&place.list->list[0]));
  cr_assert(!process_take_exit(&place.list->list[0], &code));
  place_free(&place);
}

/* How `up` explains a node that ended: by the line that names the cause, not by the advice under it. */
Test(process, the_last_words_name_the_cause) {
  struct { const char *script, *prefix, *words; } cases[] = {
      {"echo first; echo 'tunic: the cause (bad-setting)'; echo '       the advice'; exit 66", NULL, ": tunic: the cause"},
      {"exit 66", NULL, "is the disk full?"},
      {"exit 66", "nice -n 5", "--exec \"nice -n 5\" did not start it."},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct place place = place_new();
    struct complaint complaint = {.text = ""};
    enum outcome outcome = OUTCOME_OK;
    start(&place, cases[i].script);
    for (int tries = 0; tries < 500 && outcome == OUTCOME_OK; tries++) {
      usleep(10000);
      outcome = failure_find_ended(place.list, place.path, cases[i].prefix, &complaint);
    }
    cr_assert(outcome == OUTCOME_BAD_SETTING);
    const char *found = strstr(complaint.text, cases[i].words);
    cr_assert(found != NULL && found[strlen(cases[i].words)] == 0, "%s", complaint.text);
    place_free(&place);
  }
}

Test(process, garbage_in_the_record_stops_nobody) {
  struct place place = place_new();
  struct process_list *found = calloc(1, sizeof *found);
  char text[256];
  uint32_t killed;
  cr_assert_not_null(found);
  snprintf(text, sizeof text, "n1 %ld\nn1 -1\nn1 0\nn1 1\n../n1 %ld\nnonsense\n\nn1 99999999999999999999\n", (long)getpid(), (long)getppid());
  write_text(&place, "pids", text);
  cr_assert(process_list_read(place.path, found, NULL) == OUTCOME_OK);
  cr_assert(process_count_running(found) == 0);
  cr_assert(process_list_stop(found, STOP_MS, &killed) && killed == 0);
  process_list_close(found);
  free(found);
  place_free(&place);
}
