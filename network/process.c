#include "network/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/files.h"
#include "io/loop.h"

enum { PATH_BYTES = 4096, STAT_BYTES = 1024, BOOT_BYTES = 36, RECORD_BYTES = 128, KILL_WAIT_MS = 5000 };

/* ---- who a process is ---- */

/* At most room - 1 bytes of a small file of the system, with a zero; -1: it can't be read. */
static ssize_t read_small(const char *path, char *ret, size_t room) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t len = read(fd, ret, room - 1);
  close(fd);
  ret[len > 0 ? len : 0] = 0;
  return len;
}

static bool read_boot(char ret_boot[40]) {
  return read_small("/proc/sys/kernel/random/boot_id", ret_boot, BOOT_BYTES + 1) == BOOT_BYTES;
}

/* When a process was started, from the 22nd word of its stat; the second one is a name in brackets that may hold anything.
 * False: there is none, or only what its parent has not asked for yet. */
static bool read_started(pid_t pid, uint64_t *ret) {
  char path[64], stat[STAT_BYTES], state;
  snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
  if (read_small(path, stat, sizeof stat) <= 0) return false;
  const char *end_of_name = strrchr(stat, ')');
  return end_of_name != NULL &&
         sscanf(end_of_name + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64, &state, ret) == 2 &&
         state != 'Z' && state != 'X';
}

/* The descriptor first: from then on the number stays the same process's, and what is compared is who it is. */
static int open_if_same(pid_t pid, uint64_t started, const char *boot) {
  char this_boot[40];
  uint64_t now_started;
  int fd = pidfd_open(pid, 0);
  if (fd < 0) return -1;
  if (read_boot(this_boot) && strcmp(boot, this_boot) == 0 && read_started(pid, &now_started) && now_started == started) return fd;
  close(fd);
  return -1;
}

/* ---- records ---- */

static bool in_folder(const char *folder, const char *name, const char *file, char ret_path[PATH_BYTES]) {
  int len = name == NULL ? snprintf(ret_path, PATH_BYTES, "%s/%s", folder, file) : snprintf(ret_path, PATH_BYTES, "%s/%s/%s", folder, name, file);
  return len > 0 && len < PATH_BYTES;
}

/* One write, so that a crash leaves a whole line or none. */
static bool write_line(const char *path, int flags, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
  if (fd < 0) return false;
  bool done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
  return close(fd) == 0 && done;
}

/* What tells the process from others first: a line in the list without it would be useless. */
static bool record(const char *folder, const struct process *process) {
  char path[PATH_BYTES], text[RECORD_BYTES];
  snprintf(text, sizeof text, "%ld %" PRIu64 " %s\n", (long)process->pid, process->started, process->boot);
  if (!in_folder(folder, process->name, PROCESS_STARTED_FILE, path) || !write_line(path, O_TRUNC, text)) return false;
  snprintf(text, sizeof text, "%s %ld\n", process->name, (long)process->pid);
  return in_folder(folder, NULL, PROCESS_LIST_FILE, path) && write_line(path, O_APPEND, text);
}

void process_list_forget(const char *folder) {
  char path[PATH_BYTES];
  if (in_folder(folder, NULL, PROCESS_LIST_FILE, path)) unlink(path);
}

static void find_process(const char *folder, struct process *process) {
  char path[PATH_BYTES], text[RECORD_BYTES];
  long pid;
  process->fd = -1;
  if (!in_folder(folder, process->name, PROCESS_STARTED_FILE, path) || read_small(path, text, sizeof text) <= 0) return;
  if (sscanf(text, "%ld %" SCNu64 " %39s", &pid, &process->started, process->boot) != 3 || pid != process->pid) return;
  process->fd = open_if_same(process->pid, process->started, process->boot);
}

enum outcome process_list_read(const char *folder, struct process_list *ret, struct complaint *complaint) {
  char path[PATH_BYTES], line[RECORD_BYTES];
  long pid;
  ret->count = 0;
  if (!in_folder(folder, NULL, PROCESS_LIST_FILE, path)) return OUTCOME_BAD_SETTING;
  FILE *file = fopen(path, "re");
  if (file == NULL && errno == ENOENT) return OUTCOME_OK;
  if (file == NULL) {
    complain(complaint, "The file %s can't be read: %s.", path, strerror(errno));
    return OUTCOME_FILE_FAILED;
  }
  while (ret->count < NODES_MAX && fgets(line, sizeof line, file) != NULL) {
    struct process *process = &ret->list[ret->count];
    *process = (struct process){.fd = -1};
    if (sscanf(line, "%19s %ld", process->name, &pid) != 2 || pid <= 1 || strchr(process->name, '/') != NULL) continue;
    process->pid = (pid_t)pid;
    find_process(folder, process);
    ret->count++;
  }
  fclose(file);
  return OUTCOME_OK;
}

void process_list_close(struct process_list *list) {
  for (uint32_t i = 0; i < list->count; i++)
    if (list->list[i].fd >= 0) close(list->list[i].fd);
  list->count = 0;
}

bool process_is_running(const struct process *process) {
  struct pollfd poll_fd = {.fd = process->fd, .events = POLLIN};
  return process->fd >= 0 && poll(&poll_fd, 1, 0) == 0;
}

uint32_t process_count_running(const struct process_list *list) {
  uint32_t running = 0;
  for (uint32_t i = 0; i < list->count; i++) running += process_is_running(&list->list[i]);
  return running;
}

/* ---- starting ---- */

/* In the child, which may only call what is safe after fork. Waits for the word that it is recorded; without it (the
 * parent has died) nobody would ever find this process. */
static _Noreturn void become(char *const argv[], int log, int channel) {
  char word;
  sigset_t none;
  sigemptyset(&none);
  int nothing = open("/dev/null", O_RDONLY);
  if (read(channel, &word, 1) == 1 && nothing >= 0 && setsid() >= 0 && dup2(nothing, 0) >= 0 && dup2(log, 1) >= 0 &&
      dup2(log, 2) >= 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0)
    execvp(argv[0], argv);
  int error = errno;
  ssize_t told = write(channel, &error, sizeof error);
  _exit(told == (ssize_t)sizeof error ? 127 : 126);
}

/* Says "go", and hears that the program runs (the channel closes with exec) or why it does not. */
static int let_go(int channel) {
  int error = 0;
  if (write(channel, "", 1) != 1) return errno;
  ssize_t got;
  do got = read(channel, &error, sizeof error);
  while (got < 0 && errno == EINTR);
  return got == 0 ? 0 : error;
}

static int open_log(const char *folder, const char *name) {
  char path[PATH_BYTES];
  if (!in_folder(folder, name, PROCESS_LOG_FILE, path)) return -1;
  return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* The child waits on the other end of `channel`. Whatever fails here ends it, since the channel is closed. */
static enum outcome release_child(const char *folder, struct process *process, int channel, const char *program, struct complaint *complaint) {
  process->fd = pidfd_open(process->pid, 0);
  if (process->fd < 0 || !read_boot(process->boot) || !read_started(process->pid, &process->started)) {
    complain(complaint, "The process of %s can't be observed: %s.", process->name, strerror(errno));
    return OUTCOME_SYSTEM_FAILED;
  }
  if (!record(folder, process)) {
    complain(complaint, "The process of %s can't be recorded in %s: %s.", process->name, folder, strerror(errno));
    return OUTCOME_FILE_FAILED;
  }
  int error = let_go(channel);
  if (error == 0) return OUTCOME_OK;
  complain(complaint, "%s can't be started: %s.", program, strerror(error));
  return error == ENOENT ? OUTCOME_NOT_FOUND : OUTCOME_SYSTEM_FAILED;
}

enum outcome process_start(const char *folder, const char *name, char *const argv[], struct process_list *list,
                           struct complaint *complaint) {
  int channel[2];
  if (list->count == NODES_MAX) return OUTCOME_LIMIT_REACHED;
  int log = open_log(folder, name);
  if (log < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) != 0) {
    complain(complaint, "The log of %s in %s can't be opened: %s.", name, folder, strerror(errno));
    if (log >= 0) close(log);
    return OUTCOME_FILE_FAILED;
  }
  struct process *process = &list->list[list->count];
  *process = (struct process){.fd = -1};
  snprintf(process->name, sizeof process->name, "%s", name);
  process->pid = fork();
  if (process->pid == 0) {
    close(channel[0]);
    become(argv, log, channel[1]);
  }
  close(log);
  close(channel[1]);
  enum outcome outcome = OUTCOME_SYSTEM_FAILED;
  if (process->pid > 0) outcome = release_child(folder, process, channel[0], argv[0], complaint);
  else complain(complaint, "No process for %s: %s.", name, strerror(errno));
  close(channel[0]);
  if (outcome == OUTCOME_OK) list->count++;
  else if (process->pid > 0) {
    waitpid(process->pid, NULL, 0);
    if (process->fd >= 0) close(process->fd);
  }
  return outcome;
}

bool process_take_exit(struct process *process, int *ret_code) {
  int status;
  if (waitpid(process->pid, &status, WNOHANG) != process->pid) return false;
  *ret_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return true;
}

/* ---- stopping ---- */

static void signal_all(const struct process_list *list, int number) {
  for (uint32_t i = 0; i < list->count; i++)
    if (process_is_running(&list->list[i])) pidfd_send_signal(list->list[i].fd, number, NULL, 0);
}

/* Until none runs, or the time is over. */
static bool wait_for_all(const struct process_list *list, uint64_t wait_ms) {
  instant until = instant_after(loop_now(), wait_ms * MILLISECONDS);
  for (uint32_t i = 0; i < list->count; i++) {
    struct pollfd poll_fd = {.fd = list->list[i].fd, .events = POLLIN};
    int ended = poll_fd.fd < 0;
    while (ended == 0 && loop_now() < until) ended = poll(&poll_fd, 1, (int)(instant_until(loop_now(), until) / MILLISECONDS) + 1) > 0;
    if (ended == 0) return false;
  }
  return true;
}

bool process_list_stop(struct process_list *list, uint64_t polite_ms, uint32_t *ret_killed) {
  *ret_killed = 0;
  signal_all(list, SIGTERM);
  bool ended = wait_for_all(list, polite_ms);
  if (!ended) {
    *ret_killed = process_count_running(list);
    signal_all(list, SIGKILL);
    ended = wait_for_all(list, KILL_WAIT_MS);
  }
  for (uint32_t i = 0; i < list->count; i++) waitpid(list->list[i].pid, NULL, WNOHANG);
  return ended;
}
