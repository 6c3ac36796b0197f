#include "network/ports.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/tcp.h"

enum { OWNER_BYTES = 96, LINK_BYTES = 64, COMMAND_BYTES = 32, LINE_BYTES = 512 };

/* The inode of whatever listens at a port, from one of the system's tables; 0: nobody. */
static uint64_t find_listener(const char *table, uint16_t port) {
  char line[LINE_BYTES];
  uint64_t inode = 0;
  FILE *file = fopen(table, "re");
  while (file != NULL && inode == 0 && fgets(line, sizeof line, file) != NULL) {
    unsigned local, state;
    uint64_t found;
    if (sscanf(line, " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %" SCNu64, &local, &state, &found) == 3 &&
        local == port && state == 0x0A)
      inode = found;
  }
  if (file != NULL) fclose(file);
  return inode;
}

static bool holds_socket(const char *pid, uint64_t inode) {
  char path[LINK_BYTES + 320], target[LINK_BYTES], wanted[LINK_BYTES];
  bool found = false;
  snprintf(wanted, sizeof wanted, "socket:[%" PRIu64 "]", inode);
  snprintf(path, sizeof path, "/proc/%.24s/fd", pid);
  DIR *descriptors = opendir(path);
  struct dirent *entry;
  while (descriptors != NULL && !found && (entry = readdir(descriptors)) != NULL) {
    snprintf(path, sizeof path, "/proc/%.24s/fd/%.256s", pid, entry->d_name);
    ssize_t len = readlink(path, target, sizeof target - 1);
    found = len > 0 && (target[len] = 0, strcmp(target, wanted) == 0);
  }
  if (descriptors != NULL) closedir(descriptors);
  return found;
}

/* "name (process 123)"; false where the system does not tell, as about other users' processes. */
static bool find_owner(uint16_t port, char ret_owner[OWNER_BYTES]) {
  uint64_t inode = find_listener("/proc/net/tcp", port);
  if (inode == 0) inode = find_listener("/proc/net/tcp6", port);
  DIR *processes = inode == 0 ? NULL : opendir("/proc");
  struct dirent *entry;
  bool found = false;
  while (processes != NULL && !found && (entry = readdir(processes)) != NULL) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !holds_socket(entry->d_name, inode)) continue;
    char path[LINK_BYTES], command[COMMAND_BYTES] = "a program";
    snprintf(path, sizeof path, "/proc/%.24s/comm", entry->d_name);
    FILE *file = fopen(path, "re");
    if (file != NULL && fgets(command, sizeof command, file) != NULL) command[strcspn(command, "\n")] = 0;
    if (file != NULL) fclose(file);
    snprintf(ret_owner, OWNER_BYTES, "%s (process %.24s)", command, entry->d_name);
    found = true;
  }
  if (processes != NULL) closedir(processes);
  return found;
}

static void complain_about(const struct node *node, enum outcome outcome, struct complaint *complaint) {
  char address[ADDRESS_TEXT_BYTES], owner[OWNER_BYTES] = "another program";
  const char *what = node->role == NODE_CLIENT ? "--socks" : node->role == NODE_AUTHORITY ? "--port-base in a new folder" : "--port-base";
  address_format(&node->address, address);
  if (outcome == OUTCOME_PORT_TAKEN) {
    find_owner(node->address.port, owner);
    complain(complaint, "%s can't listen on %s: %s does. Stop that, or choose other ports with %s.", node->name, address, owner, what);
  } else if (outcome == OUTCOME_SYSTEM_FAILED) {
    complain(complaint, "%s can't listen on %s: it is no address of this machine, or the port needs an administrator. Choose another with %s.", node->name, address, what);
  } else {
    complain(complaint, "%s can't listen on %s: %s", node->name, address, outcome_text(outcome));
  }
}

/* All are held until the last was tried, so that two of our own nodes on one port are found, too. */
enum outcome ports_check(const struct node_list *nodes, struct complaint *complaint) {
  int *held = calloc(nodes->count, sizeof *held);
  if (held == NULL) return OUTCOME_NO_MEMORY;
  uint32_t count = 0;
  enum outcome outcome = OUTCOME_OK;
  while (count < nodes->count && outcome == OUTCOME_OK) {
    struct address bound;
    outcome = tcp_listen(&nodes->nodes[count].address, CONNECTION_LINK, &held[count], &bound);
    if (outcome == OUTCOME_OK) count++;
    else complain_about(&nodes->nodes[count], outcome, complaint);
  }
  for (uint32_t i = 0; i < count; i++) close(held[i]);
  free(held);
  return outcome;
}
