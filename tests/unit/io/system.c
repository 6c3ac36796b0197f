#include <criterion/criterion.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/entropy.h"
#include "io/log_writer.h"
#include "io/privilege.h"
#include "io/tcp.h"
#include "tests/unit/io/loopback.h"

Test(entropy, two_seeds_differ) {
  uint8_t a[RANDOM_SEED_BYTES] = {0}, b[RANDOM_SEED_BYTES] = {0};
  cr_assert(entropy_seed(a) == OUTCOME_OK && entropy_seed(b) == OUTCOME_OK);
  cr_assert(memcmp(a, b, sizeof a) != 0);
  cr_assert(memcmp(a + 24, (uint8_t[8]){0}, 8) != 0, "all of it is filled");
}

Test(privilege, memory_is_hidden_and_descriptors_are_raised) {
  struct rlimit limit;
  cr_assert(privilege_hide_memory());
  cr_assert_eq(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
  cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
  struct rlimit low = {.rlim_cur = 64, .rlim_max = limit.rlim_max};
  cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
  cr_assert_eq(privilege_raise_descriptors(), limit.rlim_max);
}

Test(tcp, errors_have_their_outcomes) {
  cr_assert_eq(tcp_outcome(0, true), OUTCOME_OK);
  cr_assert_eq(tcp_outcome(ECONNREFUSED, true), OUTCOME_CONNECTION_REFUSED);
  cr_assert_eq(tcp_outcome(ENETUNREACH, true), OUTCOME_NO_ROUTE);
  cr_assert_eq(tcp_outcome(EHOSTUNREACH, true), OUTCOME_HOST_UNREACHABLE);
  cr_assert_eq(tcp_outcome(ETIMEDOUT, true), OUTCOME_CONNECT_TIMEOUT);
  cr_assert_eq(tcp_outcome(ETIMEDOUT, false), OUTCOME_TIMED_OUT);
  cr_assert_eq(tcp_outcome(EPIPE, false), OUTCOME_CONNECTION_RESET);
  cr_assert_eq(tcp_outcome(ENOTTY, false), OUTCOME_SYSTEM_FAILED);
}

static size_t read_log(const char *path, char *text, size_t size) {
  FILE *file = fopen(path, "r");
  cr_assert_not_null(file);
  size_t len = fread(text, 1, size - 1, file);
  text[len] = 0;
  fclose(file);
  return len;
}

Test(log, a_line_has_date_level_area_and_text_and_levels_above_are_left_out) {
  char folder[64], path[96], text[1024];
  struct log_writer *log;
  struct date date;
  temporary_folder(folder);
  snprintf(path, sizeof path, "%s/log", folder);
  cr_assert_eq(log_writer_open(path, TRACE_NOTICE, &log, NULL), OUTCOME_OK);
  trace_write(log_writer_trace(log), TRACE_NOTICE, "link", "opened %d", 7);
  trace_write(log_writer_trace(log), TRACE_INFO, "link", "not told");
  cr_assert_eq(read_log(path, text, sizeof text), 0, "notices wait for the end of the turn");
  log_writer_flush(log);
  cr_assert_gt(read_log(path, text, sizeof text), 24);
  cr_assert(date_parse(text, 24, &date), "%s", text);
  cr_assert_str_eq(text + 24, " notice link: opened 7\n");
  trace_write(log_writer_trace(log), TRACE_WARNING, "link", "at once");
  read_log(path, text, sizeof text);
  cr_assert_not_null(strstr(text, "warning link: at once\n"));
  struct stat mode;
  cr_assert(stat(path, &mode) == 0 && (mode.st_mode & 0777) == 0600);
  log_writer_close(log);
  temporary_folder_remove(folder);
}

static void *write_many(void *log) {
  for (int i = 0; i < 2000; i++) trace_write(log_writer_trace(log), TRACE_NOTICE, "thread", "a line of the usual length, number %d", i);
  return NULL;
}

Test(log, lines_of_two_threads_are_never_torn) {
  char folder[64], path[96], line[256];
  struct log_writer *log;
  pthread_t threads[2];
  int lines = 0;
  temporary_folder(folder);
  snprintf(path, sizeof path, "%s/log", folder);
  cr_assert_eq(log_writer_open(path, TRACE_NOTICE, &log, NULL), OUTCOME_OK);
  for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, write_many, log);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  log_writer_close(log);
  FILE *file = fopen(path, "r");
  while (fgets(line, sizeof line, file) != NULL) {
    cr_assert(strncmp(line + 24, " notice thread: a line of the usual length, number ", 51) == 0, "%s", line);
    lines++;
  }
  fclose(file);
  cr_assert_eq(lines, 4000);
  temporary_folder_remove(folder);
}

Test(log, a_path_that_cannot_be_written_is_named) {
  struct log_writer *log;
  struct complaint complaint;
  cr_assert_eq(log_writer_open("/nowhere/log", TRACE_NOTICE, &log, &complaint), OUTCOME_FILE_FAILED);
  cr_assert_not_null(strstr(complaint.text, "/nowhere/log"));
}

static int accept_soon(int listener) {
  for (;;) {
    struct address peer;
    int fd = tcp_accept(listener, &peer);
    if (fd >= 0) return fd;
    cr_assert(errno == EAGAIN);
  }
}

struct linked { int listener, fd, peer; };

static void link_up(struct linked *ret) {
  struct address any = {.family = ADDRESS_IPV4, .bytes = {127, 0, 0, 1}}, address;
  bool is_connected;
  cr_assert_eq(tcp_listen(&any, CONNECTION_LINK, &ret->listener, &address), OUTCOME_OK);
  cr_assert_eq(tcp_connect(&address, CONNECTION_LINK, &ret->fd, &is_connected), OUTCOME_OK);
  ret->peer = accept_soon(ret->listener);
}

static void link_down(struct linked *linked) {
  close(linked->fd);
  close(linked->peer);
  close(linked->listener);
}

static const char bytes[65536];

/* [PACE-1] */
Test(tcp, a_sample_says_what_arrived_and_whether_more_waits) {
  struct linked linked;
  link_up(&linked);
  cr_assert_eq(send(linked.fd, bytes, 100, MSG_NOSIGNAL), 100);
  struct pace_sample sample;
  do cr_assert(tcp_sample(linked.fd, &sample));
  while (sample.acknowledged < 100);
  cr_expect_not(sample.waits);
  cr_expect_not(sample.is_pausing);
  cr_expect_gt(sample.round_trip, 0);
  cr_expect_gt(sample.least_round_trip, 0);
  uint64_t sent = 100;
  for (ssize_t len; (len = send(linked.fd, bytes, sizeof bytes, MSG_NOSIGNAL)) > 0;) sent += (uint64_t)len; /* nobody reads */
  cr_assert(tcp_sample(linked.fd, &sample));
  cr_expect(sample.waits);
  cr_expect_leq(sample.acknowledged, sent);
  link_down(&linked);
}

/* Bytes a second that bbr found the path to carry; `otherwise` where the control is another one. */
static uint64_t bbr_rate(int fd, uint64_t otherwise) {
  char name[TCP_CONGESTION_BYTES];
  union tcp_cc_info info = {0};
  socklen_t len = sizeof info;
  tcp_congestion(fd, name);
  if (strcmp(name, "bbr") != 0) return otherwise;
  cr_assert_eq(getsockopt(fd, IPPROTO_TCP, TCP_CC_INFO, &info, &len), 0);
  return (uint64_t)info.bbr.bbr_bw_hi << 32 | info.bbr.bbr_bw_lo;
}

/* Until all of it is acknowledged: what comes later finds nothing on the way. */
static void carry(const struct linked *linked, uint64_t *total) {
  static char received[sizeof bytes];
  struct pace_sample sample = {0};
  instant limit = instant_after(loop_now(), LOOPBACK_HANG);
  ssize_t len = send(linked->fd, bytes, sizeof bytes, MSG_NOSIGNAL);
  cr_assert_gt(len, 0);
  *total += (uint64_t)len;
  for (uint64_t arrived = 0; arrived < (uint64_t)len || sample.acknowledged < *total;) {
    cr_assert(loop_now() < limit, "hangs");
    ssize_t more = recv(linked->peer, received, sizeof received, MSG_DONTWAIT);
    if (more > 0) arrived += (uint64_t)more;
    cr_assert(tcp_sample(linked->fd, &sample));
  }
}

/* [PACE-8] On a system without bbr nothing changes, which is all that can be seen there. */
Test(tcp, a_renewed_control_is_the_same_begins_anew_and_loses_nothing) {
  struct linked linked;
  uint64_t total = 0;
  char before[TCP_CONGESTION_BYTES], after[TCP_CONGESTION_BYTES];
  link_up(&linked);
  tcp_congestion(linked.fd, before);
  do carry(&linked, &total);
  while (bbr_rate(linked.fd, 1) == 0 && total < 1000 * sizeof bytes);
  cr_assert_gt(bbr_rate(linked.fd, 1), 0);
  tcp_renew_control(linked.fd);
  tcp_congestion(linked.fd, after);
  cr_expect_str_eq(after, before);
  cr_expect_eq(bbr_rate(linked.fd, 0), 0, "what it had found out is forgotten");
  carry(&linked, &total);
  link_down(&linked);
}
