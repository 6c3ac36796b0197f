#include "io/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/thread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

struct watch {
  struct event read, write;
  bool reads, writes;
  watch_callback *callback;
  void *context;
};

struct loop_timer {
  struct event event;
  void (*callback)(void *context);
  void *context;
};

struct loop {
  struct event_base *base;
  struct event wait; /* ends a wait */
  int wake_fd, signal_fd, clock_fd;
  struct watch *wake, *signals, *clock;
  _Atomic bool wake_pending; /* one write to the descriptor wakes for all that came meanwhile */
  bool was_interrupted, clock_was_set;
};

static uint64_t nanoseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * SECONDS + (uint64_t)now.tv_nsec;
}

instant loop_now(void) {
  return nanoseconds(CLOCK_MONOTONIC);
}

struct wall_clock loop_wall_clock(instant now) {
  return (struct wall_clock){.at = now, .date = {(int64_t)(nanoseconds(CLOCK_REALTIME) / MILLISECONDS)}};
}

static void woken(void *context, bool readable, bool writable) {
  struct loop *loop = context;
  uint64_t count;
  (void)readable, (void)writable;
  if (read(loop->wake_fd, &count, sizeof count) < 0) return;
  atomic_exchange(&loop->wake_pending, false); /* reads what the last waker wrote, so that we see all it did before */
}

static void interrupted(void *context, bool readable, bool writable) {
  struct loop *loop = context;
  struct signalfd_siginfo signal;
  (void)readable, (void)writable;
  while (read(loop->signal_fd, &signal, sizeof signal) == (ssize_t)sizeof signal) loop->was_interrupted = true;
}

/* A timer in the far future that the kernel cancels when the clock is set: told at once, and nothing is polled. */
static void arm_clock(struct loop *loop) {
  struct itimerspec never = {.it_value.tv_sec = INT32_MAX};
  timerfd_settime(loop->clock_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

static void clock_set(void *context, bool readable, bool writable) {
  struct loop *loop = context;
  uint64_t count;
  (void)readable, (void)writable;
  if (read(loop->clock_fd, &count, sizeof count) < 0 && errno == ECANCELED) loop->clock_was_set = true;
  arm_clock(loop);
}

static void waited(evutil_socket_t fd, short what, void *context) {
  (void)fd, (void)what, (void)context;
}

static bool make_base(struct loop *loop) {
  struct event_config *config = event_config_new();
  if (config == NULL) return false;
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK); /* one thread waits; others only write to wake_fd */
  loop->base = event_base_new_with_config(config);
  event_config_free(config);
  return loop->base != NULL && event_assign(&loop->wait, loop->base, -1, 0, waited, loop) == 0;
}

static bool watch_system(struct loop *loop) {
  loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  loop->clock_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  if (loop->wake_fd < 0 || loop->clock_fd < 0) return false;
  loop->wake = watch_new(loop, loop->wake_fd, woken, loop);
  loop->clock = watch_new(loop, loop->clock_fd, clock_set, loop);
  if (loop->wake == NULL || loop->clock == NULL) return false;
  arm_clock(loop);
  watch_read(loop->wake, true);
  watch_read(loop->clock, true);
  return true;
}

/* What libevent would print reaches people as outcomes. */
static void say_nothing(int severity, const char *text) {
  (void)severity, (void)text;
}

struct loop *loop_new(void) {
  struct loop *loop = calloc(1, sizeof *loop);
  if (loop == NULL) return NULL;
  loop->wake_fd = loop->signal_fd = loop->clock_fd = -1;
  loop->clock_was_set = true;
  event_set_log_callback(say_nothing);
  /* Name lookups draw query numbers from a generator that all threads of the process share. */
  if (evthread_use_pthreads() != 0 || !make_base(loop) || !watch_system(loop)) {
    loop_free(loop);
    return NULL;
  }
  return loop;
}

static void close_watched(struct watch *watch, int fd) {
  watch_free(watch);
  if (fd >= 0) close(fd);
}

void loop_free(struct loop *loop) {
  if (loop == NULL) return;
  close_watched(loop->wake, loop->wake_fd);
  close_watched(loop->signals, loop->signal_fd);
  close_watched(loop->clock, loop->clock_fd);
  if (loop->base != NULL) {
    event_del(&loop->wait);
    event_base_free(loop->base);
  }
  free(loop);
}

struct event_base *loop_base(struct loop *loop) {
  return loop->base;
}

static struct timeval timeval_of(uint64_t wait) {
  const uint64_t most = 24 * HOURS;
  uint64_t microseconds = (wait < most ? wait : most) / MICROSECONDS + 1;
  return (struct timeval){.tv_sec = (time_t)(microseconds / 1000000), .tv_usec = (suseconds_t)(microseconds % 1000000)};
}

void loop_wait(struct loop *loop, uint64_t wait) {
  if (wait == 0) {
    event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    return;
  }
  struct timeval timeval = timeval_of(wait);
  if (wait == INSTANT_NEVER) event_del(&loop->wait);
  else event_add(&loop->wait, &timeval);
  event_base_loop(loop->base, EVLOOP_ONCE);
}

void loop_wake(struct loop *loop) {
  uint64_t one = 1;
  if (atomic_exchange(&loop->wake_pending, true)) return;
  while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {}
}

/* SIGPIPE: a reader of the log that went away must not end the node. The others mean nothing to it. */
static void ignore_signals(void) {
  static const int IGNORED[] = {SIGPIPE, SIGUSR1, SIGUSR2};
  for (size_t i = 0; i < sizeof IGNORED / sizeof IGNORED[0]; i++) signal(IGNORED[i], SIG_IGN);
}

bool loop_heeds_hangup(void) {
  struct sigaction hangup;
  return sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN;
}

bool loop_catch_signals(struct loop *loop) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  if (loop_heeds_hangup()) sigaddset(&set, SIGHUP);
  if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return false;
  ignore_signals();
  loop->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (loop->signal_fd < 0) return false;
  loop->signals = watch_new(loop, loop->signal_fd, interrupted, loop);
  if (loop->signals == NULL) return false;
  watch_read(loop->signals, true);
  return true;
}

bool loop_was_interrupted(struct loop *loop) {
  bool was = loop->was_interrupted;
  loop->was_interrupted = false;
  return was;
}

bool loop_clock_was_set(struct loop *loop) {
  bool was = loop->clock_was_set;
  loop->clock_was_set = false;
  return was;
}

static void can_read(evutil_socket_t fd, short what, void *context) {
  struct watch *watch = context;
  (void)fd, (void)what;
  watch->callback(watch->context, true, false);
}

static void can_write(evutil_socket_t fd, short what, void *context) {
  struct watch *watch = context;
  (void)fd, (void)what;
  watch->callback(watch->context, false, true);
}

struct watch *watch_new(struct loop *loop, int fd, watch_callback *callback, void *context) {
  struct watch *watch = calloc(1, sizeof *watch);
  if (watch == NULL) return NULL;
  watch->callback = callback;
  watch->context = context;
  event_assign(&watch->read, loop->base, fd, EV_READ | EV_PERSIST, can_read, watch);
  event_assign(&watch->write, loop->base, fd, EV_WRITE | EV_PERSIST, can_write, watch);
  return watch;
}

void watch_free(struct watch *watch) {
  if (watch == NULL) return;
  watch_read(watch, false);
  watch_write(watch, false);
  free(watch);
}

static void set(struct event *event, bool *is_on, bool on) {
  if (*is_on == on) return;
  *is_on = on;
  if (on) event_add(event, NULL);
  else event_del(event);
}

void watch_read(struct watch *watch, bool on) {
  set(&watch->read, &watch->reads, on);
}

void watch_write(struct watch *watch, bool on) {
  set(&watch->write, &watch->writes, on);
}

bool watch_reads(const struct watch *watch) {
  return watch->reads;
}

bool watch_writes(const struct watch *watch) {
  return watch->writes;
}

static void expired(evutil_socket_t fd, short what, void *context) {
  struct loop_timer *timer = context;
  (void)fd, (void)what;
  timer->callback(timer->context);
}

struct loop_timer *loop_timer_new(struct loop *loop, void (*callback)(void *context), void *context) {
  struct loop_timer *timer = calloc(1, sizeof *timer);
  if (timer == NULL) return NULL;
  timer->callback = callback;
  timer->context = context;
  event_assign(&timer->event, loop->base, -1, 0, expired, timer);
  return timer;
}

void loop_timer_free(struct loop_timer *timer) {
  if (timer == NULL) return;
  event_del(&timer->event);
  free(timer);
}

void loop_timer_set(struct loop_timer *timer, uint64_t wait) {
  struct timeval timeval = timeval_of(wait);
  if (wait == INSTANT_NEVER) event_del(&timer->event);
  else event_add(&timer->event, &timeval);
}
