#include "io/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/system_address.h"

struct error_outcome { int error; enum outcome outcome; };

static const struct error_outcome ERRORS[] = {
    {ECONNREFUSED, OUTCOME_CONNECTION_REFUSED},
    {ECONNRESET, OUTCOME_CONNECTION_RESET},
    {ECONNABORTED, OUTCOME_CONNECTION_RESET},
    {EPIPE, OUTCOME_CONNECTION_RESET},
    {ENETUNREACH, OUTCOME_NO_ROUTE},
    {ENETDOWN, OUTCOME_NO_ROUTE},
    {EADDRNOTAVAIL, OUTCOME_NO_ROUTE},
    {EAFNOSUPPORT, OUTCOME_NO_ROUTE}, /* no IPv6 on this machine */
    {EINVAL, OUTCOME_NO_ROUTE},       /* an address that nobody can be at */
    {EACCES, OUTCOME_NO_ROUTE},       /* broadcast, or a firewall of this machine */
    {EPERM, OUTCOME_NO_ROUTE},
    {EHOSTUNREACH, OUTCOME_HOST_UNREACHABLE},
    {EHOSTDOWN, OUTCOME_HOST_UNREACHABLE},
    {EADDRINUSE, OUTCOME_PORT_TAKEN},
    {EMFILE, OUTCOME_LIMIT_REACHED},
    {ENFILE, OUTCOME_LIMIT_REACHED},
    {ENOBUFS, OUTCOME_NO_MEMORY},
    {ENOMEM, OUTCOME_NO_MEMORY},
};

enum outcome tcp_outcome(int error, bool connecting) {
  if (error == 0) return OUTCOME_OK;
  if (error == ETIMEDOUT) return connecting ? OUTCOME_CONNECT_TIMEOUT : OUTCOME_TIMED_OUT;
  for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++)
    if (ERRORS[i].error == error) return ERRORS[i].outcome;
  return OUTCOME_SYSTEM_FAILED;
}

bool tcp_is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void set_number(int fd, int level, int option, int value) {
  (void)setsockopt(fd, level, option, &value, sizeof value); /* tuning: a system without it works, only less well */
}

/* Links ask for a congestion control that random loss does not stop; without it they get the usual. */
static const char WANTED_CONTROL[] = "bbr";

static bool choose_control(int fd, const char *name) {
  return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) == 0;
}

/* Cells leave at once, and few wait in the kernel, so that the next one is chosen late. The send buffer's size stays
 * the system's to find. */
static void tune(int fd, enum connection_kind kind) {
  set_number(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_number(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, TCP_UNSENT_BYTES);
  if (kind == CONNECTION_LINK) (void)choose_control(fd, WANTED_CONTROL);
}

static int make_socket(const struct address *address, enum connection_kind kind) {
  if (address->family != ADDRESS_IPV4 && address->family != ADDRESS_IPV6) {
    errno = EAFNOSUPPORT;
    return -1;
  }
  int family = address->family == ADDRESS_IPV4 ? AF_INET : AF_INET6;
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (fd < 0) return -1;
  /* "0.0.0.0" and "[::]" are two listeners, on every system alike. */
  if (family == AF_INET6) set_number(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  tune(fd, kind);
  return fd;
}

enum outcome tcp_listen(const struct address *address, enum connection_kind kind, int *ret_fd, struct address *ret_bound) {
  struct sockaddr_storage system;
  socklen_t len = address_to_system(address, &system), bound_len = sizeof system;
  int fd = make_socket(address, kind);
  if (fd < 0) return tcp_outcome(errno, false);
  set_number(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  bool is_listening = bind(fd, (struct sockaddr *)&system, len) == 0 && listen(fd, TCP_BACKLOG) == 0 &&
                      getsockname(fd, (struct sockaddr *)&system, &bound_len) == 0 &&
                      address_from_system((struct sockaddr *)&system, ret_bound);
  if (!is_listening) {
    enum outcome outcome = errno == EACCES || errno == EADDRNOTAVAIL ? OUTCOME_SYSTEM_FAILED : tcp_outcome(errno, false);
    close(fd);
    return outcome;
  }
  *ret_fd = fd;
  return OUTCOME_OK;
}

int tcp_accept(int listener, struct address *ret_peer) {
  struct sockaddr_storage system = {0};
  socklen_t len = sizeof system;
  int fd = accept4(listener, (struct sockaddr *)&system, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0 && !address_from_system((struct sockaddr *)&system, ret_peer)) {
    close(fd);
    errno = ECONNABORTED;
    return -1;
  }
  return fd;
}

enum outcome tcp_connect(const struct address *address, enum connection_kind kind, int *ret_fd, bool *ret_connected) {
  struct sockaddr_storage system;
  socklen_t len = address_to_system(address, &system);
  int fd = make_socket(address, kind);
  if (fd < 0) return tcp_outcome(errno, true);
  *ret_connected = connect(fd, (struct sockaddr *)&system, len) == 0;
  if (!*ret_connected && errno != EINPROGRESS) {
    enum outcome outcome = tcp_outcome(errno, true);
    close(fd);
    return outcome;
  }
  *ret_fd = fd;
  return OUTCOME_OK;
}

enum outcome tcp_connect_result(int fd) {
  int error = 0;
  socklen_t len = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) error = errno;
  return tcp_outcome(error, true);
}

/* bbr's window in its pause; a new control would begin with that one, and double it for many round trips. */
enum { PAUSE_PACKETS = 4 };

/* Linux's structure, of which older C libraries' headers know only the beginning. */
bool tcp_sample(int fd, struct pace_sample *ret) {
  struct tcp_info info;
  socklen_t len = sizeof info;
  memset(&info, 0, sizeof info);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 || len < offsetof(struct tcp_info, tcpi_delivery_rate)) return false;
  /* What arrived behind something lost counts too: else nothing seems to arrive for a round trip, and then twice as much. */
  *ret = (struct pace_sample){.acknowledged = info.tcpi_bytes_acked + (uint64_t)info.tcpi_sacked * info.tcpi_snd_mss,
                              .round_trip = info.tcpi_rtt * MICROSECONDS,
                              .variation = info.tcpi_rttvar * MICROSECONDS,
                              .is_pausing = info.tcpi_snd_cwnd <= PAUSE_PACKETS || info.tcpi_ca_state == TCP_CA_Loss,
                              .waits = info.tcpi_notsent_bytes > 0,
                              .least_round_trip = info.tcpi_min_rtt == UINT32_MAX ? 0 : info.tcpi_min_rtt * MICROSECONDS};
  return true;
}

void tcp_set_pace(int fd, uint64_t bytes_per_s) {
  uint64_t most = bytes_per_s == 0 ? UINT64_MAX : bytes_per_s, unsent = bytes_per_s == 0 ? TCP_UNSENT_BYTES : bytes_per_s / 100;
  if (unsent < TCP_UNSENT_LEAST_BYTES) unsent = TCP_UNSENT_LEAST_BYTES;
  if (unsent > TCP_UNSENT_BYTES) unsent = TCP_UNSENT_BYTES;
  (void)setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &most, sizeof most);
  set_number(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)unsent);
}

void tcp_congestion(int fd, char ret_name[TCP_CONGESTION_BYTES]) {
  socklen_t len = TCP_CONGESTION_BYTES;
  memset(ret_name, 0, TCP_CONGESTION_BYTES);
  if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, ret_name, &len) != 0) memcpy(ret_name, "unknown", 8);
  ret_name[TCP_CONGESTION_BYTES - 1] = 0;
}

void tcp_renew_control(int fd) {
  static const char ANY_OTHER[] = "reno"; /* every Linux has it, and hardly anybody forbids it */
  char name[TCP_CONGESTION_BYTES];
  tcp_congestion(fd, name);
  if (strcmp(name, WANTED_CONTROL) != 0) return;
  /* A listener may have got it before its process gave up the right to choose it: tried out where nothing is lost. */
  int trial = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
  if (trial < 0) return;
  bool may_return = choose_control(trial, ANY_OTHER) && choose_control(trial, WANTED_CONTROL);
  close(trial);
  if (may_return && choose_control(fd, ANY_OTHER)) (void)choose_control(fd, WANTED_CONTROL);
}
