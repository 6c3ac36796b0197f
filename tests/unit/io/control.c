#include "io/control_client.h"
#include "io/control_socket.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/io/loopback.h"

/* A node of nothing but a status, its loop on a thread of its own. */
struct node {
  char path[64];
  struct folder *folder;
  struct loop *loop;
  struct control_socket *control;
  pthread_t thread;
  pthread_mutex_t lock;
  struct status status;
  _Atomic bool over;
  _Atomic int stops;
  _Atomic int turns; /* of the loop */
};

static void give_status(void *context, struct status *ret) {
  struct node *node = context;
  pthread_mutex_lock(&node->lock);
  *ret = node->status;
  pthread_mutex_unlock(&node->lock);
}

static void take_stop(void *context) {
  struct node *node = context;
  node->stops++;
}

static void *run(void *context) {
  struct node *node = context;
  for (; !node->over; node->turns++) loop_wait(node->loop, INSTANT_NEVER);
  return NULL;
}

static void node_start(struct node *node) {
  *node = (struct node){.lock = PTHREAD_MUTEX_INITIALIZER, .loop = loop_new()};
  struct control_host host = {.context = node, .status = give_status, .stop = take_stop};
  node->status = (struct status){.role = "client", .cause = OUTCOME_NO_CONSENSUS, .stage = 1, .stages = 4, .stage_text = "fetching the consensus"};
  status_add_figure(&node->status, "circuits_open", 7);
  status_add_text(&node->status, "path", "r1 r2 x1");
  status_add_text(&node->status, "path", "r3 \"r2\" x1");
  status_add_expiry(&node->status, "consensus", (struct date){1000});
  temporary_folder(node->path);
  cr_assert_eq(folder_open(node->path, &node->folder, NULL), OUTCOME_OK);
  cr_assert_eq(control_socket_open(node->loop, node->folder, &host, &node->control, NULL), OUTCOME_OK);
  cr_assert_eq(pthread_create(&node->thread, NULL, run, node), 0);
}

static void node_end(struct node *node) {
  node->over = true;
  loop_wake(node->loop);
  pthread_join(node->thread, NULL);
  control_socket_close(node->control);
  loop_free(node->loop);
  folder_close(node->folder);
  temporary_folder_remove(node->path);
}

static void progress_to(struct node *node, uint8_t stage, enum outcome cause) {
  pthread_mutex_lock(&node->lock);
  node->status.stage = stage;
  node->status.cause = cause;
  node->status.ready = cause == OUTCOME_OK;
  pthread_mutex_unlock(&node->lock);
}

static instant soon(void) {
  return instant_after(loop_now(), LOOPBACK_HANG);
}

static struct control_client *ask_node(const struct node *node) {
  struct control_client *client;
  cr_assert_eq(control_client_open(node->path, &client, NULL), OUTCOME_OK);
  return client;
}

static int raw_connect(const struct node *node) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s/control", node->path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  struct timeval limit = {.tv_sec = 20};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

/* One line without its end; false: the connection ended first. */
static bool raw_line(int fd, char *line, size_t size) {
  for (size_t len = 0; len + 1 < size; len++) {
    if (recv(fd, line + len, 1, 0) != 1) return false;
    if (line[len] == '\n') {
      line[len] = 0;
      return true;
    }
  }
  return false;
}

Test(control, status_tells_everything_and_the_socket_is_the_owners) {
  struct node node;
  json_t *answer;
  char path[96];
  struct stat mode;
  node_start(&node);
  struct control_client *client = ask_node(&node);
  cr_assert_eq(control_client_ask(client, "status", soon(), &answer, NULL), OUTCOME_OK);
  json_t *cause = json_object_get(answer, "cause");
  cr_assert_str_eq(json_string_value(json_object_get(cause, "name")), "no-consensus");
  cr_assert_str_eq(json_string_value(json_object_get(cause, "advice")), outcome_advice(OUTCOME_NO_CONSENSUS));
  cr_assert_str_eq(json_string_value(json_object_get(answer, "role")), "client");
  cr_assert(json_is_false(json_object_get(answer, "ready")));
  cr_assert_eq(json_integer_value(json_object_get(answer, "stage")), 1);
  cr_assert_eq(json_integer_value(json_object_get(answer, "pid")), getpid());
  cr_assert(json_is_integer(json_object_get(answer, "uptime_s")));
  cr_assert_eq(json_integer_value(json_object_get(json_object_get(answer, "figures"), "circuits_open")), 7);
  cr_assert_str_eq(json_string_value(json_object_get(json_object_get(answer, "expiries"), "consensus")), "1970-01-01T00:00:01.000Z");
  json_t *second = json_array_get(json_object_get(answer, "texts"), 1);
  cr_assert_str_eq(json_string_value(json_object_get(second, "value")), "r3 \"r2\" x1");
  json_decref(answer);
  control_client_close(client);
  snprintf(path, sizeof path, "%s/control", node.path);
  cr_assert(stat(path, &mode) == 0 && (mode.st_mode & 0777) == 0600);
  node_end(&node);
}

static void see_progress(void *context, const json_t *line) {
  struct node *node = context;
  json_int_t stage = json_integer_value(json_object_get(line, "stage"));
  if (stage == 1) progress_to(node, 2, OUTCOME_NOT_ENOUGH_RELAYS);
  else if (stage == 2) progress_to(node, 4, OUTCOME_OK);
}

Test(control, wait_follows_the_progress_until_the_node_is_ready) {
  struct node node;
  node_start(&node);
  struct control_client *client = ask_node(&node);
  cr_assert_eq(control_client_wait(client, soon(), see_progress, &node, NULL), OUTCOME_OK);
  control_client_close(client);
  node_end(&node);
}

Test(control, a_wait_that_ends_in_vain_gives_the_cause) {
  struct node node;
  struct complaint complaint;
  node_start(&node);
  struct control_client *client = ask_node(&node);
  instant deadline = instant_after(loop_now(), 50 * MILLISECONDS);
  cr_assert_eq(control_client_wait(client, deadline, NULL, NULL, &complaint), OUTCOME_NO_CONSENSUS);
  cr_assert_not_null(strstr(complaint.text, "fetching the consensus"));
  control_client_close(client);
  node_end(&node);
}

Test(control, stop_is_acknowledged) {
  struct node node;
  json_t *answer;
  node_start(&node);
  struct control_client *client = ask_node(&node);
  cr_assert_eq(control_client_ask(client, "stop", soon(), &answer, NULL), OUTCOME_OK);
  cr_assert(json_is_true(json_object_get(answer, "stopping")));
  cr_assert_eq(node.stops, 1);
  json_decref(answer);
  control_client_close(client);
  node_end(&node);
}

/* As the old one in a folder that only others may write: binding would speak of an address in use. */
Test(control, what_can_not_be_cleared_away_is_the_cause_that_is_named) {
  struct folder *folder;
  struct control_socket *control;
  struct complaint complaint = {.text = ""};
  struct control_host host = {0};
  char path[64], obstacle[96];
  struct loop *loop = loop_new();
  temporary_folder(path);
  snprintf(obstacle, sizeof obstacle, "%s/control", path);
  cr_assert_eq(mkdir(obstacle, 0700), 0);
  cr_assert_eq(folder_open(path, &folder, NULL), OUTCOME_OK);
  cr_expect_eq(control_socket_open(loop, folder, &host, &control, &complaint), OUTCOME_FILE_FAILED);
  cr_expect(strstr(complaint.text, "Is a directory") != NULL, "%s", complaint.text);
  cr_assert_eq(rmdir(obstacle), 0);
  folder_close(folder);
  loop_free(loop);
  temporary_folder_remove(path);
}

Test(control, without_a_node_nobody_is_running) {
  struct control_client *client;
  struct complaint complaint;
  char path[64];
  temporary_folder(path);
  cr_assert_eq(control_client_open(path, &client, &complaint), OUTCOME_NOT_RUNNING);
  cr_assert_not_null(strstr(complaint.text, path));
  temporary_folder_remove(path);
  cr_assert_eq(control_client_open(path, &client, NULL), OUTCOME_NOT_RUNNING);
}

Test(control, garbage_is_answered_with_an_error_and_the_next_line_counts_again) {
  static const char *const GARBAGE[] = {"", "{", "[]", "7", "{\"request\":7}", "{\"request\":\"explode\"}", "\x01\xff\xfe", "{\"a\":1,\"a\":2}"};
  struct node node;
  char line[CONTROL_REQUEST_BYTES * 8];
  node_start(&node);
  int fd = raw_connect(&node);
  for (size_t i = 0; i < sizeof GARBAGE / sizeof *GARBAGE; i++) {
    snprintf(line, sizeof line, "%s\n", GARBAGE[i]);
    cr_assert(send(fd, line, strlen(line), 0) > 0);
    cr_assert(raw_line(fd, line, sizeof line));
    cr_assert_not_null(strstr(line, "\"error\""), "%s", line);
  }
  cr_assert(send(fd, "{\"request\":\"status\"}\n", 21, 0) == 21);
  cr_assert(raw_line(fd, line, sizeof line));
  cr_assert_not_null(strstr(line, "\"no-consensus\""));
  close(fd);
  node_end(&node);
}

Test(control, a_line_without_end_is_told_and_cut_off) {
  struct node node;
  char line[CONTROL_REQUEST_BYTES * 2];
  node_start(&node);
  int fd = raw_connect(&node);
  memset(line, 'x', sizeof line);
  cr_assert(send(fd, line, CONTROL_REQUEST_BYTES, 0) == CONTROL_REQUEST_BYTES);
  cr_assert(raw_line(fd, line, sizeof line));
  cr_assert_not_null(strstr(line, "too long"));
  cr_assert_not(raw_line(fd, line, sizeof line));
  close(fd);
  node_end(&node);
}

Test(control, who_asks_and_never_reads_does_not_hold_up_others) {
  struct node node;
  static const char ASK[] = "{\"request\":\"status\"}\n";
  struct control_client *client;
  json_t *answer;
  node_start(&node);
  int fd = raw_connect(&node);
  for (int i = 0; i < 20000; i++)
    if (send(fd, ASK, sizeof ASK - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) break;
  client = ask_node(&node);
  cr_assert_eq(control_client_ask(client, "status", soon(), &answer, NULL), OUTCOME_OK);
  json_decref(answer);
  control_client_close(client);
  close(fd);
  node_end(&node);
}

Test(control, more_clients_than_places_wait_for_one) {
  struct node node;
  char line[CONTROL_REQUEST_BYTES * 4];
  int fds[CONTROL_CLIENTS_MAX + 4];
  enum { CLIENTS = sizeof fds / sizeof *fds };
  node_start(&node);
  for (int i = 0; i < CLIENTS; i++) {
    fds[i] = raw_connect(&node);
    cr_assert(send(fds[i], "{\"request\":\"status\"}\n", 21, 0) == 21);
  }
  for (int i = 0; i < CLIENTS; i++) {
    cr_assert(raw_line(fds[i], line, sizeof line), "client %d", i);
    close(fds[i]);
  }
  node_end(&node);
}

/* Who asks while the process has no descriptor left is answered once it has, and costs those inside nothing meanwhile. */
Test(control, without_descriptors_who_asks_waits_and_the_loop_rests) {
  static const char request[] = "{\"request\":\"status\"}\n";
  struct node node;
  struct rlimit before;
  char line[4096];
  node_start(&node);
  cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
  int next = dup(STDERR_FILENO);
  cr_assert_geq(next, 0);
  close(next);
  struct rlimit one = {.rlim_cur = (rlim_t)next + 1, .rlim_max = before.rlim_max};
  cr_assert_eq(setrlimit(RLIMIT_NOFILE, &one), 0);
  int fd = raw_connect(&node), turns = node.turns;
  usleep(500 * 1000);
  turns = node.turns - turns;
  cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
  cr_expect_lt(turns, 100, "%d turns", turns);
  cr_assert_eq(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
  cr_expect(raw_line(fd, line, sizeof line));
  cr_expect_not_null(strstr(line, "fetching the consensus"));
  close(fd);
  node_end(&node);
}

struct waiter { const char *path; enum outcome outcome; };

static void *await_node(void *context) {
  struct waiter *waiter = context;
  struct control_client *client;
  waiter->outcome = control_client_await(waiter->path, instant_after(loop_now(), 30 * SECONDS), &client, NULL);
  if (waiter->outcome == OUTCOME_OK) control_client_close(client);
  return NULL;
}

/* A person may put the network file into the folder of a client that was never started before: it looks like a network's until there are guards. */
Test(control, a_node_that_is_starting_is_waited_for_beside_its_network_file) {
  struct node node = {.loop = loop_new()};
  struct control_host host = {.context = &node};
  pthread_t thread;
  temporary_folder(node.path);
  struct waiter waiter = {.path = node.path};
  cr_assert_eq(folder_open(node.path, &node.folder, NULL), OUTCOME_OK);
  cr_assert_eq(folder_write(node.folder, "network", "a", 1, false, NULL), OUTCOME_OK);
  cr_assert_eq(pthread_create(&thread, NULL, await_node, &waiter), 0);
  usleep(200 * 1000);
  cr_assert_eq(control_socket_open(node.loop, node.folder, &host, &node.control, NULL), OUTCOME_OK);
  pthread_join(thread, NULL);
  cr_expect_eq(waiter.outcome, OUTCOME_OK, "%s", outcome_name(waiter.outcome));
  control_socket_close(node.control);
  folder_close(node.folder);
  loop_free(node.loop);
}
