#include "io/control_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/launch.h"
#include "io/loop.h"

enum { ANSWER_MAX_BYTES = 256 * 1024, CONNECT_WAIT_S = 5, LOOK_EVERY_MS = 50 };

struct control_client { int fd; size_t len; char in[ANSWER_MAX_BYTES]; };

static bool holds(int folder, const char *name) {
  return faccessat(folder, name, F_OK, 0) == 0;
}

/* What `tunic-network` makes, and no node: that would have its guards or its keys by the time it has a network file. */
static bool is_of_network(int folder) {
  return holds(folder, "pids") || (holds(folder, "network") && !holds(folder, LAUNCH_CLIENT_FILE) && !holds(folder, LAUNCH_SERVER_FILE));
}

/* Why nobody answers, from `error`. */
static enum outcome complain_silent(const char *folder, bool is_network, int error, struct complaint *complaint) {
  if (error == EAGAIN) {
    complain(complaint, "The node in %s is being asked by too many at once, or hangs.", folder);
    return OUTCOME_TOO_BUSY;
  }
  if (is_network) {
    complain(complaint, "%s is the folder of a whole network, not of a node.", folder);
    advise(complaint, "All of its nodes: tunic-network status %s; one of them: --data %s/NAME", folder, folder);
    return OUTCOME_BAD_SETTING;
  }
  complain(complaint, "No node answers in %s: %s.", folder, strerror(error));
  return error == EACCES || error == EPERM ? OUTCOME_FILE_FAILED : OUTCOME_NOT_RUNNING;
}

enum outcome control_client_open(const char *folder, struct control_client **ret, struct complaint *complaint) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct control_client *client = malloc(sizeof *client);
  if (client == NULL) return OUTCOME_NO_MEMORY;
  *ret = client;
  client->len = 0;
  client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const struct timeval wait = {.tv_sec = CONNECT_WAIT_S}; /* where others fill the node's line, or it has stopped taking anybody */
  if (client->fd >= 0) (void)setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  int place = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/control", place);
  bool is_open = client->fd >= 0 && place >= 0 && connect(client->fd, (struct sockaddr *)&address, sizeof address) == 0;
  int error = errno;
  bool is_network = !is_open && place >= 0 && is_of_network(place);
  if (place >= 0) close(place);
  if (is_open) return OUTCOME_OK;
  control_client_close(client);
  return complain_silent(folder, is_network, error, complaint);
}

/* What looks like a network's folder may be that of a client before its first guards. */
static bool may_be_starting(enum outcome outcome) { return outcome == OUTCOME_NOT_RUNNING || outcome == OUTCOME_BAD_SETTING; }

enum outcome control_client_await(const char *folder, instant until, struct control_client **ret, struct complaint *complaint) {
  enum outcome outcome;
  while (may_be_starting(outcome = control_client_open(folder, ret, complaint)) && loop_now() < until) poll(NULL, 0, LOOK_EVERY_MS);
  if (outcome == OUTCOME_OK) complaint_withdraw(complaint);
  return outcome;
}

void control_client_close(struct control_client *client) {
  if (client == NULL) return;
  if (client->fd >= 0) close(client->fd);
  free(client);
}

static bool wait_for(int fd, short what, instant deadline) {
  for (;;) {
    uint64_t left = instant_until(loop_now(), deadline);
    int milliseconds = left > HOURS ? (int)(HOURS / MILLISECONDS) : (int)((left + MILLISECONDS - 1) / MILLISECONDS);
    struct pollfd poll_fd = {.fd = fd, .events = what};
    int count = poll(&poll_fd, 1, milliseconds);
    if (count > 0) return true;
    if (count < 0 && errno != EINTR) return false;
    if (left == 0) return false;
  }
}

static enum outcome decode(const char *line, size_t len, json_t **ret, struct complaint *complaint) {
  *ret = json_loadb(line, len, 0, NULL);
  const char *error = json_string_value(json_object_get(*ret, "error"));
  if (json_is_object(*ret) && error == NULL) return OUTCOME_OK;
  complain(complaint, "The node answered: %s", error == NULL ? "(nothing that can be understood)" : error);
  json_decref(*ret);
  *ret = NULL;
  return OUTCOME_PROTOCOL_VIOLATION;
}

enum outcome control_client_next(struct control_client *client, instant deadline, json_t **ret, struct complaint *complaint) {
  char *newline;
  while ((newline = memchr(client->in, '\n', client->len)) == NULL) {
    if (client->len == sizeof client->in) return decode("", 0, ret, complaint);
    if (!wait_for(client->fd, POLLIN, deadline)) {
      complain(complaint, "The node did not answer in time.");
      return OUTCOME_TIMED_OUT;
    }
    ssize_t got = recv(client->fd, client->in + client->len, sizeof client->in - client->len, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      complain(complaint, "The node ended.");
      return OUTCOME_NOT_RUNNING;
    }
    client->len += (size_t)got;
  }
  size_t len = (size_t)(newline - client->in);
  enum outcome outcome = decode(client->in, len, ret, complaint);
  client->len -= len + 1;
  memmove(client->in, newline + 1, client->len);
  return outcome;
}

enum outcome control_client_ask(struct control_client *client, const char *request, instant deadline, json_t **ret,
                                struct complaint *complaint) {
  char line[64];
  int len = snprintf(line, sizeof line, "{\"request\":\"%s\"}\n", request);
  if (len < 0 || (size_t)len >= sizeof line) return OUTCOME_BAD_SETTING;
  if (send(client->fd, line, (size_t)len, MSG_NOSIGNAL) != len) { /* a few bytes always fit */
    complain(complaint, "The node ended.");
    return OUTCOME_NOT_RUNNING;
  }
  return control_client_next(client, deadline, ret, complaint);
}

static bool is_ready(const json_t *line, enum outcome *ret_cause, char *ret_stage, size_t stage_size) {
  const char *cause = json_string_value(json_object_get(json_object_get(line, "cause"), "name"));
  const char *stage = json_string_value(json_object_get(line, "stage_text"));
  if (cause == NULL || !outcome_from_name(cause, ret_cause) || *ret_cause == OUTCOME_OK) *ret_cause = OUTCOME_TIMED_OUT;
  snprintf(ret_stage, stage_size, "%s", stage == NULL || stage[0] == 0 ? "starting" : stage);
  return json_is_true(json_object_get(line, "ready"));
}

enum outcome control_client_wait(struct control_client *client, instant deadline, void (*progress)(void *context, const json_t *),
                                 void *context, struct complaint *complaint) {
  enum outcome cause = OUTCOME_TIMED_OUT;
  char stage[128] = "starting";
  json_t *line;
  enum outcome outcome = control_client_ask(client, "wait", deadline, &line, complaint);
  while (outcome == OUTCOME_OK) {
    bool ready = is_ready(line, &cause, stage, sizeof stage);
    if (progress != NULL) progress(context, line);
    json_decref(line);
    if (ready) return OUTCOME_OK;
    outcome = control_client_next(client, deadline, &line, complaint);
  }
  if (outcome != OUTCOME_TIMED_OUT) return outcome;
  complain(complaint, "The node is not ready; it was %s.", stage);
  return cause;
}
