#include "tests/unit/io/loopback.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/system_address.h"

static const struct address ANY_PORT = {.family = ADDRESS_IPV4, .bytes = {127, 0, 0, 1}};

void loopback_start(struct loopback *loopback, enum connection_kind kind, const struct folder *folder) {
  struct machine machine = echo_machine_machine(&loopback->machine);
  struct program_config config = {.machines = &machine, .machine_count = 1, .folder = folder};
  loopback->program = program_new(&config);
  cr_assert_not_null(loopback->program);
  loopback->driver = program_driver(loopback->program, 0);
  cr_assert_eq(driver_listen(loopback->driver, &ANY_PORT, kind, &loopback->address), OUTCOME_OK);
}

void loopback_stop(struct loopback *loopback) {
  program_free(loopback->program);
  echo_machine_wipe(&loopback->machine);
}

int peer_connect(const struct address *address) {
  struct sockaddr_storage system;
  socklen_t len = address_to_system(address, &system);
  int fd = socket(system.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
  cr_assert(fd >= 0);
  cr_assert(connect(fd, (struct sockaddr *)&system, len) == 0 || errno == EINPROGRESS, "connect: %s", strerror(errno));
  return fd;
}

int peer_listen(struct address *ret) {
  struct sockaddr_storage system;
  socklen_t len = address_to_system(&ANY_PORT, &system);
  int fd = socket(system.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
  cr_assert(bind(fd, (struct sockaddr *)&system, len) == 0 && listen(fd, 16) == 0);
  cr_assert(getsockname(fd, (struct sockaddr *)&system, &len) == 0 && address_from_system((struct sockaddr *)&system, ret));
  return fd;
}

size_t peer_send(int fd, const void *bytes, size_t len) {
  ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
  return sent > 0 ? (size_t)sent : 0;
}

size_t peer_receive(int fd, void *bytes, size_t len, bool *ret_end, bool *ret_reset) {
  ssize_t got = recv(fd, bytes, len, 0);
  if (got == 0 && ret_end != NULL) *ret_end = true;
  if (got < 0 && errno != EAGAIN && errno != EINTR) {
    if (ret_end != NULL) *ret_end = true;
    if (ret_reset != NULL) *ret_reset = true;
  }
  return got > 0 ? (size_t)got : 0;
}

uint8_t pattern_at(uint64_t offset) {
  uint64_t mixed = (offset + 1) * UINT64_C(0x9e3779b97f4a7c15);
  return (uint8_t)(mixed >> 56);
}

void pattern_fill(uint8_t *bytes, size_t len, uint64_t offset) {
  for (size_t i = 0; i < len; i++) bytes[i] = pattern_at(offset + i);
}

bool pattern_matches(const uint8_t *bytes, size_t len, uint64_t offset) {
  for (size_t i = 0; i < len; i++)
    if (bytes[i] != pattern_at(offset + i)) return false;
  return true;
}

void temporary_folder(char ret_path[64]) {
  const char *parent = getenv("TMPDIR");
  snprintf(ret_path, 64, "%s/tunic-XXXXXX", parent != NULL && strlen(parent) < 40 ? parent : "/tmp");
  cr_assert_not_null(mkdtemp(ret_path));
}

void temporary_folder_remove(const char *path) {
  DIR *folder = opendir(path);
  for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) unlinkat(dirfd(folder), entry->d_name, 0);
  if (folder != NULL) closedir(folder);
  rmdir(path);
}
