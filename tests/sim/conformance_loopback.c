#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/driver.h"
#include "io/system_address.h"
#include "tests/sim/conformance.h"

enum { PEERS_MAX = 4 };
#define HANG (20 * SECONDS)

/* Two drivers that are stepped in turn on one thread, and peers that are plain sockets. */
struct loopback {
  char path[64], resolv_conf[96], hosts[96];
  struct folder *folder;
  struct exchange *exchange;
  struct driver *drivers[CONFORMANCE_MACHINES];
  struct address address, peer_address;
  int listener;
  struct conformance_peer peers[PEERS_MAX];
  int fds[PEERS_MAX], peer_count;
  bool finished[PEERS_MAX];
};

static const struct address LOCALHOST = {.family = ADDRESS_IPV4, .bytes = {127, 0, 0, 1}};

static void write_text(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  if (file == NULL) abort();
  fputs(text, file);
  fclose(file);
}

static bool make_folder(struct loopback *loopback) {
  snprintf(loopback->path, sizeof loopback->path, "/tmp/tunic-XXXXXX");
  if (mkdtemp(loopback->path) == NULL || folder_open(loopback->path, &loopback->folder, NULL) != OUTCOME_OK) return false;
  snprintf(loopback->resolv_conf, sizeof loopback->resolv_conf, "%s/resolv.conf", loopback->path);
  snprintf(loopback->hosts, sizeof loopback->hosts, "%s/hosts", loopback->path);
  write_text(loopback->resolv_conf, "");
  write_text(loopback->hosts, "127.0.0.1 peer\n");
  return true;
}

static int listen_somewhere(struct address *ret) {
  struct sockaddr_storage system;
  socklen_t len = address_to_system(&LOCALHOST, &system);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  bool done = fd >= 0 && bind(fd, (struct sockaddr *)&system, len) == 0 && listen(fd, PEERS_MAX) == 0 &&
              getsockname(fd, (struct sockaddr *)&system, &len) == 0 && address_from_system((struct sockaddr *)&system, ret);
  if (!done) abort();
  return fd;
}

static bool start(void *context, const struct machine machines[CONFORMANCE_MACHINES], enum connection_kind kind) {
  struct loopback *loopback = context;
  memset(loopback, 0, sizeof *loopback);
  loopback->exchange = exchange_new(CONFORMANCE_MACHINES, 16);
  loopback->listener = listen_somewhere(&loopback->peer_address);
  if (loopback->exchange == NULL || !make_folder(loopback)) return false;
  for (uint32_t i = 0; i < CONFORMANCE_MACHINES; i++) {
    struct driver_config config = {.machine = machines[i], .exchange = loopback->exchange, .index = i, .folder = loopback->folder,
                                   .resolv_conf = loopback->resolv_conf, .hosts = loopback->hosts};
    loopback->drivers[i] = driver_new(&config);
    if (loopback->drivers[i] == NULL) return false;
  }
  return driver_listen(loopback->drivers[0], &LOCALHOST, kind, &loopback->address) == OUTCOME_OK;
}

static void stop(void *context) {
  struct loopback *loopback = context;
  for (int i = 0; i < CONFORMANCE_MACHINES; i++) driver_free(loopback->drivers[i]);
  exchange_free(loopback->exchange);
  for (int i = 0; i < loopback->peer_count; i++) {
    close(loopback->fds[i]);
    free(loopback->peers[i].in);
  }
  close(loopback->listener);
  (void)folder_remove(loopback->folder, "state", NULL);
  (void)folder_remove(loopback->folder, "hosts", NULL);
  (void)folder_remove(loopback->folder, "resolv.conf", NULL);
  folder_close(loopback->folder);
  rmdir(loopback->path);
}

static void ask_to_stop(void *context) {
  driver_stop(((struct loopback *)context)->drivers[0]);
}

static instant now(void *context) {
  (void)context;
  return loop_now();
}

static struct address peer_address(void *context) {
  return ((struct loopback *)context)->peer_address;
}

static struct address nobody_address(void *context) {
  struct address address;
  (void)context;
  close(listen_somewhere(&address));
  return address;
}

static struct conformance_peer *add_peer(struct loopback *loopback, int fd) {
  if (loopback->peer_count == PEERS_MAX) abort();
  struct conformance_peer *peer = &loopback->peers[loopback->peer_count];
  loopback->fds[loopback->peer_count++] = fd;
  peer->in = malloc(OUTPUT_BYTES);
  if (peer->in == NULL) abort();
  return peer;
}

static struct conformance_peer *peer_connect(void *context) {
  struct loopback *loopback = context;
  struct sockaddr_storage system;
  socklen_t len = address_to_system(&loopback->address, &system);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&system, len) != 0) abort();
  return add_peer(loopback, fd);
}

static struct conformance_peer *peer_accept(void *context) {
  struct loopback *loopback = context;
  int fd = accept(loopback->listener, NULL, NULL);
  return fd < 0 ? NULL : add_peer(loopback, fd);
}

static void pump(struct loopback *loopback, int i) {
  struct conformance_peer *peer = &loopback->peers[i];
  if (peer->out_len > 0) {
    ssize_t sent = send(loopback->fds[i], peer->out, peer->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) peer->out += sent;
    if (sent > 0) peer->out_len -= (size_t)sent;
  } else if (peer->finishes && !loopback->finished[i]) {
    loopback->finished[i] = shutdown(loopback->fds[i], SHUT_WR) == 0;
  }
  if (peer->has_ended) return;
  uint8_t more; /* if all that is expected has come, what comes beyond still shows the end */
  bool is_full = peer->in_len == OUTPUT_BYTES;
  ssize_t got = recv(loopback->fds[i], is_full ? &more : peer->in + peer->in_len, is_full ? 1 : OUTPUT_BYTES - peer->in_len, MSG_DONTWAIT);
  if (got > 0 && !is_full) peer->in_len += (size_t)got;
  peer->was_cut = got < 0 && errno == ECONNRESET;
  peer->has_ended = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

static bool run_until(void *context, bool (*condition)(void *argument), void *argument) {
  struct loopback *loopback = context;
  instant limit = instant_after(loop_now(), HANG);
  while (!condition(argument)) {
    if (loop_now() > limit) return false;
    driver_turn(loopback->drivers[0], MILLISECONDS);
    driver_turn(loopback->drivers[1], 0);
    for (int i = 0; i < loopback->peer_count; i++) pump(loopback, i);
  }
  return true;
}

const struct conformance_host *conformance_loopback(void) {
  static struct loopback loopback;
  static struct conformance_host host = {
      .name = "loopback", .context = &loopback, .start = start, .stop = stop, .ask_to_stop = ask_to_stop, .now = now,
      .peer_address = peer_address, .nobody_address = nobody_address, .peer_connect = peer_connect, .peer_accept = peer_accept,
      .run_until = run_until,
  };
  return &host;
}
