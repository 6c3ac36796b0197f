/* A small web server for tests, the demo and measurements: GET /N answers N bytes, POST answers how many bytes came.
 *
 *   web_server [PORT [THREADS [ADDRESS]]]   on 127.0.0.1 and port 0 by default: the system chooses one; prints `port N`
 *
 * The content is the same at every offset of every answer, so that anybody can check any part of it. One epoll for each
 * thread; answers are sent from one block of memory. Ends with SIGTERM.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  HEAD_BYTES = 8192,
  PERIOD_BYTES = 65521, /* a prime: no shift by whole cells or records looks the same */
  BLOCK_BYTES = 4 * PERIOD_BYTES,
  RECEIVE_BYTES = 256 * 1024,
  SENDS_PER_TURN = 8,
  EVENTS = 64,
  THREADS_MAX = 16,
};

struct request {
  int fd;
  char head[HEAD_BYTES + 1]; /* what was asked; then the answer's head */
  size_t head_len, head_sent;
  uint64_t body_left;    /* of a POST, still to come */
  uint64_t body_counted;
  uint64_t answer_len, answer_sent;
  bool answers, is_head, ends;
  uint32_t watched;
};

struct server { int listener; uint8_t *content; };

/* Byte i of every answer is a function of i alone. */
static uint8_t *content_new(void) {
  uint8_t *content = malloc(BLOCK_BYTES);
  if (content == NULL) return NULL;
  uint32_t state = 2463534242;
  for (size_t i = 0; i < PERIOD_BYTES; i++) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    content[i] = (uint8_t)(state >> 11);
  }
  for (size_t i = PERIOD_BYTES; i < BLOCK_BYTES; i++) content[i] = content[i - PERIOD_BYTES];
  return content;
}

static void set_answer(struct request *request, const char *status, uint64_t len) {
  request->answer_len = len;
  request->answer_sent = 0;
  request->head_sent = 0;
  request->head_len = (size_t)snprintf(request->head, sizeof request->head,
                                       "HTTP/1.1 %s\r\nContent-Type: application/octet-stream\r\nContent-Length: %llu\r\n"
                                       "Connection: %s\r\n\r\n",
                                       status, (unsigned long long)len, request->ends ? "close" : "keep-alive");
  request->answers = true;
}

static void set_count_answer(struct request *request) {
  char text[32];
  int len = snprintf(text, sizeof text, "%llu\n", (unsigned long long)request->body_counted);
  set_answer(request, "200 OK", (uint64_t)len);
  memcpy(request->head + request->head_len, text, (size_t)len);
  request->head_len += (size_t)len;
  request->answer_sent = request->answer_len; /* it stands in the head already */
}

/* A header's value, or NULL; the head ends with a zero. */
static const char *find_header(const char *head, const char *name) {
  size_t len = strlen(name);
  for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n"))
    if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':') return line + 2 + len + 1 + strspn(line + 3 + len, " ");
  return NULL;
}

/* Reads the request line and headers; `len` is with the empty line. Bytes behind it are the body's beginning. */
static bool take_head(struct request *request, size_t len) {
  size_t behind = request->head_len - len;
  request->head[len - 2] = 0;
  bool posts = strncmp(request->head, "POST /", 6) == 0;
  request->is_head = strncmp(request->head, "HEAD /", 6) == 0;
  const char *path = strchr(request->head, '/');
  if (path == NULL || (!posts && !request->is_head && strncmp(request->head, "GET /", 5) != 0)) return false;
  const char *connection = find_header(request->head, "Connection");
  const char *length = find_header(request->head, "Content-Length");
  const char *expects = find_header(request->head, "Expect");
  request->ends = (connection != NULL && strncasecmp(connection, "close", 5) == 0) || strstr(request->head, " HTTP/1.0\r\n") != NULL;
  request->body_left = posts && length != NULL ? strtoull(length, NULL, 10) : 0;
  request->body_counted = 0;
  bool continues = expects != NULL && send(request->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL) != 25;
  if (continues) return false;
  if (!posts) {
    if (behind > 0) return false; /* no pipelining */
    char *end;
    uint64_t bytes = strtoull(path + 1, &end, 10);
    if (end == path + 1 || *end != ' ') set_answer(request, "404 Not Found", 0);
    else set_answer(request, "200 OK", bytes);
    if (request->is_head) request->answer_sent = request->answer_len;
    return true;
  }
  if (behind > request->body_left) return false;
  request->body_counted = behind;
  request->body_left -= behind;
  if (request->body_left == 0) set_count_answer(request);
  return true;
}

/* False: over. */
static bool receive(struct request *request, uint8_t *buffer) {
  while (!request->answers) {
    ssize_t got;
    if (request->body_left > 0) {
      size_t want = request->body_left < RECEIVE_BYTES ? (size_t)request->body_left : RECEIVE_BYTES;
      got = recv(request->fd, buffer, want, 0);
      if (got > 0) {
        request->body_left -= (uint64_t)got;
        request->body_counted += (uint64_t)got;
        if (request->body_left == 0) set_count_answer(request);
      }
    } else {
      got = recv(request->fd, request->head + request->head_len, HEAD_BYTES - request->head_len, 0);
      if (got > 0) {
        request->head_len += (size_t)got;
        request->head[request->head_len] = 0;
        const char *end = strstr(request->head, "\r\n\r\n");
        if (end == NULL ? request->head_len == HEAD_BYTES : !take_head(request, (size_t)(end - request->head) + 4)) return false;
      }
    }
    if (got == 0) return false;
    if (got < 0) return errno == EAGAIN || errno == EINTR;
  }
  return true;
}

/* False: over. Afterwards either all is sent or the socket is full or it was enough for one turn. */
static bool transmit(struct request *request, const uint8_t *content) {
  for (int i = 0; request->answers && i < SENDS_PER_TURN; i++) {
    ssize_t sent;
    if (request->head_sent < request->head_len) {
      int more = request->answer_sent < request->answer_len ? MSG_MORE : 0;
      sent = send(request->fd, request->head + request->head_sent, request->head_len - request->head_sent, MSG_NOSIGNAL | more);
      if (sent > 0) request->head_sent += (size_t)sent;
    } else {
      size_t at = (size_t)(request->answer_sent % PERIOD_BYTES);
      uint64_t left = request->answer_len - request->answer_sent;
      size_t len = left < BLOCK_BYTES - at ? (size_t)left : BLOCK_BYTES - at;
      sent = send(request->fd, content + at, len, MSG_NOSIGNAL);
      if (sent > 0) request->answer_sent += (uint64_t)sent;
    }
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    if (request->head_sent == request->head_len && request->answer_sent == request->answer_len) {
      request->answers = false;
      request->head_len = 0;
      if (request->ends) return shutdown(request->fd, SHUT_WR) == 0;
    }
  }
  return true;
}

static void watch(int epoll, struct request *request, int how) {
  struct epoll_event event = {.events = request->answers ? EPOLLOUT : EPOLLIN, .data.ptr = request};
  if (how == EPOLL_CTL_MOD && event.events == request->watched) return;
  request->watched = event.events;
  epoll_ctl(epoll, how, request->fd, &event);
}

static void accept_one(const struct server *server, int epoll) {
  int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
  if (fd < 0) return;
  struct request *request = calloc(1, sizeof *request);
  if (request == NULL) {
    close(fd);
    return;
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  request->fd = fd;
  watch(epoll, request, EPOLL_CTL_ADD);
}

static void *serve(void *context) {
  const struct server *server = context;
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  uint8_t *buffer = malloc(RECEIVE_BYTES);
  struct epoll_event listens = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = NULL}, events[EVENTS];
  if (epoll < 0 || buffer == NULL || epoll_ctl(epoll, EPOLL_CTL_ADD, server->listener, &listens) != 0) exit(1);
  for (;;) {
    int count = epoll_wait(epoll, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      struct request *request = events[i].data.ptr;
      if (request == NULL) {
        accept_one(server, epoll);
        continue;
      }
      if (receive(request, buffer) && transmit(request, server->content)) {
        watch(epoll, request, EPOLL_CTL_MOD);
        continue;
      }
      close(request->fd);
      free(request);
    }
  }
}

static bool start_listening(struct server *server, const char *host, uint16_t port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  socklen_t len = sizeof address;
  int on = 1;
  server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (inet_pton(AF_INET, host, &address.sin_addr) != 1 || server->listener < 0 ||
      setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(server->listener, (struct sockaddr *)&address, len) != 0 || listen(server->listener, 1024) != 0 ||
      getsockname(server->listener, (struct sockaddr *)&address, &len) != 0) {
    fprintf(stderr, "Can't listen on %s:%u: %s\n", host, port, strerror(errno));
    return false;
  }
  printf("port %u\n", ntohs(address.sin_port));
  return fflush(stdout) == 0;
}

/* A whole number up to `most`, or -1. */
static long number(const char *text, long most) {
  char *end;
  long value = strtol(text, &end, 10);
  return *text == 0 || *end != 0 || value < 0 || value > most ? -1 : value;
}

int main(int argc, char **argv) {
  struct server server = {.content = content_new()};
  long port = argc > 1 ? number(argv[1], 65535) : 0, threads = argc > 2 ? number(argv[2], THREADS_MAX) : 1;
  if (server.content == NULL || argc > 4 || port < 0 || threads < 1) {
    fprintf(stderr, "usage: web_server [PORT [THREADS [ADDRESS]]]\n");
    return 2;
  }
  if (!start_listening(&server, argc > 3 ? argv[3] : "127.0.0.1", (uint16_t)port)) return 1;
  for (long i = 1; i < threads; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, serve, &server) != 0) return 1;
  }
  serve(&server);
  return 0;
}
