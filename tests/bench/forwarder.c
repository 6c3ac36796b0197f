/* A plain TCP forwarder: what relaying costs without any secret, the floor under every chain of proxies.
 *
 *   forwarder ADDRESS PORT NEXT_ADDRESS NEXT_PORT     says `ready` when it listens; ends with SIGTERM
 *
 * Four in a row stand for a client and three relays. One loop without threads, like a relay's shard; large reads, and
 * what the next socket does not take at once stays in the connection's buffer, so that nothing is read in vain.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_BYTES = 256 * 1024, EVENTS = 64 };

/* One way of a connection: from one end's socket to the other's. */
struct flow {
  uint8_t *buffer;
  size_t begin, end;
  bool is_over;
};

struct end { int fd; uint32_t watched; struct connection *connection; };

struct connection {
  struct end ends[2];    /* who came, whom we called */
  struct flow flows[2];  /* flows[i] leaves ends[i] */
  bool is_closed;
  struct connection *next_closed;
};

/* Moves what both sockets allow; false when the connection is broken. */
static bool pump(struct flow *flow, int from, int to) {
  for (;;) {
    if (flow->begin == flow->end && !flow->is_over) {
      ssize_t got = recv(from, flow->buffer, BUFFER_BYTES, 0);
      if (got < 0) return errno == EAGAIN || errno == EINTR;
      flow->begin = 0;
      flow->end = (size_t)got;
      if (got == 0) {
        flow->is_over = true;
        shutdown(to, SHUT_WR);
      }
    }
    if (flow->begin == flow->end) return true;
    ssize_t sent = send(to, flow->buffer + flow->begin, flow->end - flow->begin, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    flow->begin += (size_t)sent;
  }
}

/* Reads an end only while its flow's buffer is empty, writes only while the other's is not. */
static void watch(int epoll, struct connection *connection, int how) {
  for (int i = 0; i < 2; i++) {
    struct end *end = &connection->ends[i];
    const struct flow *out = &connection->flows[i], *in = &connection->flows[1 - i];
    uint32_t wanted = (out->begin == out->end && !out->is_over ? EPOLLIN : 0) | (in->begin < in->end ? EPOLLOUT : 0);
    if (how == EPOLL_CTL_MOD && wanted == end->watched) continue;
    end->watched = wanted;
    struct epoll_event event = {.events = wanted, .data.ptr = end};
    epoll_ctl(epoll, how, end->fd, &event);
  }
}

static void connection_free(struct connection *connection) {
  for (int i = 0; i < 2; i++) {
    if (connection->ends[i].fd >= 0) close(connection->ends[i].fd);
    free(connection->flows[i].buffer);
  }
  free(connection);
}

static void accept_one(int listener, int epoll, const struct sockaddr_in *next) {
  int down = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
  if (down < 0) return;
  int up = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct connection *connection = calloc(1, sizeof *connection);
  if (connection == NULL) exit(1);
  for (int i = 0; i < 2; i++) {
    connection->ends[i] = (struct end){.fd = i == 0 ? down : up, .connection = connection};
    connection->flows[i].buffer = malloc(BUFFER_BYTES);
    if (connection->flows[i].buffer == NULL) exit(1);
    setsockopt(connection->ends[i].fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  if (up < 0 || (connect(up, (const struct sockaddr *)next, sizeof *next) != 0 && errno != EINPROGRESS)) {
    connection_free(connection);
    return;
  }
  watch(epoll, connection, EPOLL_CTL_ADD);
}

/* Moves bytes both ways; true when it is time to close. */
static bool serve(struct connection *connection, int epoll) {
  for (int i = 0; i < 2; i++)
    if (!pump(&connection->flows[i], connection->ends[i].fd, connection->ends[1 - i].fd)) return true;
  watch(epoll, connection, EPOLL_CTL_MOD);
  return connection->flows[0].is_over && connection->flows[1].is_over;
}

static void run(int listener, int epoll, const struct sockaddr_in *next) {
  struct epoll_event events[EVENTS];
  for (;;) {
    int count = epoll_wait(epoll, events, EVENTS, -1);
    struct connection *closed = NULL; /* freed after the turn: both its ends may be among the events */
    for (int i = 0; i < count; i++) {
      const struct end *end = events[i].data.ptr;
      if (end == NULL) {
        accept_one(listener, epoll, next);
        continue;
      }
      struct connection *connection = end->connection;
      bool is_broken = (events[i].events & (EPOLLERR | EPOLLHUP)) != 0 && (end->watched & (EPOLLIN | EPOLLOUT)) == 0;
      if (connection->is_closed || !(is_broken || serve(connection, epoll))) continue;
      connection->is_closed = true;
      connection->next_closed = closed;
      closed = connection;
    }
    while (closed != NULL) {
      struct connection *after = closed->next_closed;
      connection_free(closed);
      closed = after;
    }
  }
}

static bool read_address(const char *host, const char *port, struct sockaddr_in *ret) {
  char *end;
  long value = strtol(port, &end, 10);
  *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)value)};
  return inet_pton(AF_INET, host, &ret->sin_addr) == 1 && *end == 0 && value > 0 && value < 65536;
}

int main(int argc, char **argv) {
  struct sockaddr_in own, next;
  if (argc != 5 || !read_address(argv[1], argv[2], &own) || !read_address(argv[3], argv[4], &next)) {
    fprintf(stderr, "usage: forwarder ADDRESS PORT NEXT_ADDRESS NEXT_PORT\n");
    return 2;
  }
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), epoll = epoll_create1(EPOLL_CLOEXEC), on = 1;
  struct epoll_event accepts = {.events = EPOLLIN, .data.ptr = NULL};
  if (listener < 0 || epoll < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(listener, (struct sockaddr *)&own, sizeof own) != 0 || listen(listener, 512) != 0 ||
      epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &accepts) != 0) {
    perror(argv[1]);
    return 1;
  }
  printf("ready\n");
  fflush(stdout);
  run(listener, epoll, &next);
}
