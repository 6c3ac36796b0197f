#include "network/interrupt.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "io/loop.h"

int interrupt_open(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  if (loop_heeds_hangup()) sigaddset(&set, SIGHUP);
  sigaddset(&set, SIGPIPE); /* a reader of our output that went away is no reason to leave nodes behind */
  if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return -1;
  sigdelset(&set, SIGPIPE);
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Not read: it stays true. */
bool interrupt_came(int interrupt) {
  struct pollfd poll_fd = {.fd = interrupt, .events = POLLIN};
  return poll(&poll_fd, 1, 0) > 0;
}

bool interrupt_wait(int interrupt, int fd, bool writes, int wait_ms) {
  struct pollfd fds[2] = {{.fd = interrupt, .events = POLLIN}, {.fd = fd, .events = writes ? POLLOUT : POLLIN}};
  return poll(fds, 2, wait_ms) > 0 && fds[0].revents == 0;
}
