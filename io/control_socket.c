#include "io/control_socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/status_json.h"
#include "io/tcp.h"

enum { ANSWERS_MAX_BYTES = 256 * 1024 }; /* unread by a client; more is not made */
#define LOOK_INTERVAL (100 * MILLISECONDS) /* at progress, while somebody waits for it */

struct client {
  struct control_socket *server;
  int fd; /* -1: this place is free */
  struct watch *watch;
  bool waits, ends; /* ends: once everything is sent */
  enum outcome told_cause;
  uint8_t told_stage;
  size_t in_len, out_len;
  char in[CONTROL_REQUEST_BYTES];
  char *out; /* what the client has not taken yet */
};

struct control_socket {
  struct loop *loop;
  const struct folder *folder;
  struct control_host host;
  int fd;
  bool is_short; /* of descriptors: who comes waits */
  instant started;
  struct watch *watch;
  struct loop_timer *timer;
  struct client clients[CONTROL_CLIENTS_MAX];
};

static void client_end(struct client *client) {
  watch_free(client->watch);
  close(client->fd);
  free(client->out);
  struct control_socket *server = client->server;
  *client = (struct client){.server = server, .fd = -1};
  watch_read(server->watch, true);
}

/* Takes the object's reference. */
static void say(struct client *client, json_t *object) {
  char *line = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
  size_t len = line == NULL ? 0 : strlen(line);
  char *out = len == 0 || client->out_len + len + 1 > ANSWERS_MAX_BYTES ? NULL : realloc(client->out, client->out_len + len + 1);
  if (out == NULL) {
    client->ends = true; /* no memory, or it asks and never reads */
  } else {
    memcpy(out + client->out_len, line, len);
    out[client->out_len + len] = '\n';
    client->out = out;
    client->out_len += len + 1;
  }
  free(line);
  json_decref(object);
}

static void say_error(struct client *client, const char *text) {
  say(client, json_pack("{s:s}", "error", text));
}

static void say_status(struct client *client) {
  struct status status = {0};
  client->server->host.status(client->server->host.context, &status);
  json_t *object = status_json(&status);
  if (object != NULL) {
    uint64_t uptime = instant_until(client->server->started, loop_now()) / SECONDS;
    json_object_set_new(object, "pid", json_integer((json_int_t)getpid()));
    json_object_set_new(object, "uptime_s", json_integer((json_int_t)uptime));
  }
  say(client, object);
}

static void say_progress(struct client *client, bool only_news) {
  struct status status = {0};
  client->server->host.status(client->server->host.context, &status);
  bool is_news = status.ready || status.stage != client->told_stage || status.cause != client->told_cause;
  if (only_news && !is_news) return;
  client->told_stage = status.stage;
  client->told_cause = status.cause;
  client->waits = !status.ready;
  say(client, status_json_progress(&status));
}

static void take_network(struct client *client) {
  struct control_socket *server = client->server;
  struct document *document;
  if (server->host.give_network == NULL) {
    say_error(client, "Only an authority is handed network files; others fetch them.");
  } else if (folder_read(server->folder, CONTROL_NETWORK_FILE, CONTROL_NETWORK_MAX_BYTES, &document, NULL) != OUTCOME_OK) {
    say_error(client, "There is no file " CONTROL_NETWORK_FILE " in the folder, or it is too large.");
  } else {
    server->host.give_network(server->host.context, document);
    say(client, json_pack("{s:b}", "handed_in", true));
  }
}

static void take_request(struct client *client, const char *line, size_t len) {
  json_t *object = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
  const char *request = json_string_value(json_object_get(object, "request"));
  struct control_socket *server = client->server;
  if (object == NULL) {
    say_error(client, "This is not JSON; write one object a line.");
  } else if (request == NULL) {
    say_error(client, "An object with \"request\" is expected.");
  } else if (strcmp(request, "status") == 0) {
    say_status(client);
  } else if (strcmp(request, "wait") == 0) {
    say_progress(client, false);
    loop_timer_set(server->timer, LOOK_INTERVAL);
  } else if (strcmp(request, "stop") == 0) {
    say(client, json_pack("{s:b}", "stopping", true));
    server->host.stop(server->host.context);
  } else if (strcmp(request, "network") == 0) {
    take_network(client);
  } else {
    say_error(client, "The requests are status, wait, stop and network.");
  }
  json_decref(object);
}

/* Whole lines of what has come; an unfinished one waits for its end. */
static void take_lines(struct client *client) {
  char *at = client->in, *end = client->in + client->in_len, *newline;
  while (!client->ends && (newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
    take_request(client, at, (size_t)(newline - at));
    at = newline + 1;
  }
  client->in_len = (size_t)(end - at);
  memmove(client->in, at, client->in_len);
  if (client->in_len == sizeof client->in) {
    say_error(client, "This line is too long.");
    client->ends = true;
  }
}

/* False: the client is gone. */
static bool send_answers(struct client *client) {
  if (client->out_len > 0) {
    ssize_t sent = send(client->fd, client->out, client->out_len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (sent > 0) {
      client->out_len -= (size_t)sent;
      memmove(client->out, client->out + sent, client->out_len);
    }
  }
  watch_write(client->watch, client->out_len > 0);
  watch_read(client->watch, !client->ends && client->out_len < ANSWERS_MAX_BYTES / 4);
  return !client->ends || client->out_len > 0;
}

static void client_note(void *context, bool readable, bool writable) {
  struct client *client = context;
  (void)writable;
  if (readable && !client->ends) {
    ssize_t got = recv(client->fd, client->in + client->in_len, sizeof client->in - client->in_len, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
      client_end(client);
      return;
    }
    if (got > 0) client->in_len += (size_t)got;
    take_lines(client);
  }
  if (!send_answers(client)) client_end(client);
}

static void look(void *context) {
  struct control_socket *server = context;
  if (server->is_short) watch_read(server->watch, true);
  server->is_short = false;
  bool anyone_waits = false;
  for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
    struct client *client = &server->clients[i];
    if (client->fd < 0 || !client->waits) continue;
    say_progress(client, true);
    anyone_waits = anyone_waits || client->waits;
    if (!send_answers(client)) client_end(client);
  }
  if (anyone_waits) loop_timer_set(server->timer, LOOK_INTERVAL);
}

static struct client *free_place(struct control_socket *server) {
  for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
    if (server->clients[i].fd < 0) return &server->clients[i];
  return NULL;
}

static void server_note(void *context, bool readable, bool writable) {
  struct control_socket *server = context;
  struct client *client = free_place(server);
  (void)readable, (void)writable;
  if (client == NULL) { /* who comes now waits until another leaves */
    watch_read(server->watch, false);
    return;
  }
  int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0 && tcp_is_shortage(errno)) { /* asking again at once would take all the time there is */
    server->is_short = true;
    watch_read(server->watch, false);
    loop_timer_set(server->timer, LOOK_INTERVAL);
  }
  if (fd < 0) return;
  client->watch = watch_new(server->loop, fd, client_note, client);
  if (client->watch == NULL) {
    close(fd);
    return;
  }
  client->fd = fd;
  watch_read(client->watch, true);
}

/* A socket's path must be short, a folder's need not be: the folder's descriptor stands for it. Between bind and listen
 * nobody can connect, so nobody meets it with another mode. */
static bool listen_at(struct control_socket *server) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/control", folder_descriptor(server->folder));
  if (unlinkat(folder_descriptor(server->folder), "control", 0) != 0 && errno != ENOENT) return false;
  server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return server->fd >= 0 && bind(server->fd, (struct sockaddr *)&address, sizeof address) == 0 &&
         fchmodat(folder_descriptor(server->folder), "control", 0600, 0) == 0 && listen(server->fd, CONTROL_CLIENTS_MAX) == 0;
}

enum outcome control_socket_open(struct loop *loop, const struct folder *folder, const struct control_host *host,
                                 struct control_socket **ret, struct complaint *complaint) {
  struct control_socket *server = calloc(1, sizeof *server);
  if (server == NULL) return OUTCOME_NO_MEMORY;
  *server = (struct control_socket){.loop = loop, .folder = folder, .host = *host, .fd = -1, .started = loop_now()};
  for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) server->clients[i] = (struct client){.server = server, .fd = -1};
  if (!listen_at(server)) {
    complain(complaint, "The socket %s/control can't be made: %s.", folder_path(folder), strerror(errno));
    control_socket_close(server);
    return OUTCOME_FILE_FAILED;
  }
  server->watch = watch_new(loop, server->fd, server_note, server);
  server->timer = loop_timer_new(loop, look, server);
  if (server->watch == NULL || server->timer == NULL) {
    control_socket_close(server);
    return OUTCOME_NO_MEMORY;
  }
  watch_read(server->watch, true);
  *ret = server;
  return OUTCOME_OK;
}

/* A last try to say what was not taken yet, such as that the node stops. */
void control_socket_close(struct control_socket *server) {
  if (server == NULL) return;
  for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
    if (server->clients[i].fd < 0) continue;
    (void)send_answers(&server->clients[i]);
    client_end(&server->clients[i]);
  }
  watch_free(server->watch);
  loop_timer_free(server->timer);
  if (server->fd >= 0) {
    close(server->fd);
    unlinkat(folder_descriptor(server->folder), "control", 0);
  }
  free(server);
}
