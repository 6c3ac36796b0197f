#include "io/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct folder {
  int fd, lock_fd;
  char path[];
};

enum outcome folder_open(const char *path, struct folder **ret, struct complaint *complaint) {
  size_t len = strlen(path) + 1;
  if (mkdir(path, 0700) != 0 && errno != EEXIST) {
    complain(complaint, "The folder %s can't be made: %s.", path, strerror(errno));
    return OUTCOME_FILE_FAILED;
  }
  struct folder *folder = malloc(sizeof *folder + len);
  if (folder == NULL) return OUTCOME_NO_MEMORY;
  memcpy(folder->path, path, len);
  folder->lock_fd = -1;
  folder->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder->fd < 0) {
    complain(complaint, "The folder %s can't be opened: %s.", path, strerror(errno));
    free(folder);
    return OUTCOME_FILE_FAILED;
  }
  *ret = folder;
  return OUTCOME_OK;
}

void folder_close(struct folder *folder) {
  if (folder == NULL) return;
  if (folder->lock_fd >= 0) close(folder->lock_fd);
  close(folder->fd);
  free(folder);
}

const char *folder_path(const struct folder *folder) {
  return folder->path;
}

int folder_descriptor(const struct folder *folder) {
  return folder->fd;
}

static void complain_locked(const struct folder *folder, int fd, struct complaint *complaint) {
  char pid[24] = "";
  ssize_t len = pread(fd, pid, sizeof pid - 1, 0);
  pid[len > 0 ? len : 0] = 0;
  pid[strspn(pid, "0123456789")] = 0;
  complain(complaint, "Process %s uses the folder %s.", pid[0] != 0 ? pid : "(unknown)", folder->path);
}

enum outcome folder_lock(struct folder *folder, struct complaint *complaint) {
  int fd = openat(folder->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    complain(complaint, "The file %s/lock can't be opened: %s.", folder->path, strerror(errno));
    return OUTCOME_FILE_FAILED;
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    complain_locked(folder, fd, complaint);
    close(fd);
    return OUTCOME_ALREADY_RUNNING;
  }
  char pid[24];
  int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
  if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)len, 0) != len) {
    complain(complaint, "The file %s/lock can't be written: %s.", folder->path, strerror(errno));
    close(fd);
    return OUTCOME_FILE_FAILED;
  }
  folder->lock_fd = fd;
  return OUTCOME_OK;
}

/* A plain name: machines name files of their folder, and nothing else. */
static bool name_is_valid(const char *name) {
  size_t len = strlen(name);
  return len > 0 && len <= FILE_NAME_MAX_BYTES && name[0] != '.' && strchr(name, '/') == NULL;
}

/* Up to `len` bytes; fewer only at the end of the file; -1 with errno. */
static ssize_t read_fully(int fd, uint8_t *bytes, size_t len) {
  size_t at = 0;
  while (at < len) {
    ssize_t got = read(fd, bytes + at, len - at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    at += (size_t)got;
  }
  return (ssize_t)at;
}

static enum outcome read_document(int fd, size_t most, struct document **ret) {
  struct stat stat;
  if (fstat(fd, &stat) != 0) return OUTCOME_FILE_FAILED;
  if (!S_ISREG(stat.st_mode)) {
    errno = S_ISDIR(stat.st_mode) ? EISDIR : 0;
    return OUTCOME_FILE_FAILED;
  }
  if ((uint64_t)stat.st_size > most) return OUTCOME_TOO_LARGE;
  size_t size = (size_t)stat.st_size;
  uint8_t *bytes = malloc(size + 1);
  if (bytes == NULL) return OUTCOME_NO_MEMORY;
  ssize_t len = read_fully(fd, bytes, size);
  *ret = len < 0 ? NULL : document_new(bytes, (size_t)len);
  free(bytes);
  if (len < 0) return OUTCOME_FILE_FAILED;
  return *ret == NULL ? OUTCOME_NO_MEMORY : OUTCOME_OK;
}

static enum outcome read_at(int folder, const char *path, const char *shown_folder, size_t most, struct document **ret,
                            struct complaint *complaint) {
  int fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe at that name must not hold us up */
  enum outcome outcome = OUTCOME_OK;
  if (fd < 0) outcome = errno == ENOENT ? OUTCOME_NOT_FOUND : OUTCOME_FILE_FAILED;
  else outcome = read_document(fd, most, ret);
  if (outcome == OUTCOME_TOO_LARGE) complain(complaint, "The file %s%s has more than %zu bytes.", shown_folder, path, most);
  else if (outcome != OUTCOME_OK) complain(complaint, "The file %s%s can't be read: %s.", shown_folder, path, errno == 0 ? "it is not a plain file" : strerror(errno));
  if (fd >= 0) close(fd);
  return outcome;
}

enum outcome file_read(const char *path, size_t most, struct document **ret, struct complaint *complaint) {
  return read_at(AT_FDCWD, path, "", most, ret, complaint);
}

enum outcome folder_read(const struct folder *folder, const char *name, size_t most, struct document **ret,
                         struct complaint *complaint) {
  char shown[COMPLAINT_BYTES];
  if (!name_is_valid(name)) return OUTCOME_BAD_SETTING;
  snprintf(shown, sizeof shown, "%s/", folder->path);
  return read_at(folder->fd, name, shown, most, ret, complaint);
}

static enum outcome read_secret(int fd, uint8_t *ret_bytes, size_t len, const char *path, struct complaint *complaint) {
  struct stat stat;
  if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode)) {
    complain(complaint, "%s is not a plain file.", path);
    return OUTCOME_FILE_FAILED;
  }
  if ((stat.st_mode & 077) != 0) {
    complain(complaint, "Others may read or write the secret %s (mode %03o): take that away with chmod 600 %s", path,
             (unsigned)stat.st_mode & 0777U, path);
    return OUTCOME_BAD_SETTING;
  }
  if (stat.st_uid != geteuid() && geteuid() != 0) {
    complain(complaint, "The secret %s belongs to another user.", path);
    return OUTCOME_BAD_SETTING;
  }
  if ((uint64_t)stat.st_size != len || read_fully(fd, ret_bytes, len) != (ssize_t)len) {
    sodium_memzero(ret_bytes, len);
    complain(complaint, "The secret %s must have exactly %zu bytes.", path, len);
    return OUTCOME_BAD_DOCUMENT;
  }
  return OUTCOME_OK;
}

enum outcome folder_read_secret(const struct folder *folder, const char *name, uint8_t *ret_bytes, size_t len,
                                struct complaint *complaint) {
  char path[COMPLAINT_BYTES / 2];
  if (!name_is_valid(name)) return OUTCOME_BAD_SETTING;
  snprintf(path, sizeof path, "%s/%s", folder->path, name);
  int fd = openat(folder->fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  if (fd < 0) {
    enum outcome outcome = errno == ENOENT ? OUTCOME_NOT_FOUND : OUTCOME_FILE_FAILED;
    if (errno == ELOOP) complain(complaint, "%s is not a plain file.", path); /* a link may lead where others write */
    else complain(complaint, "The secret %s can't be read: %s.", path, strerror(errno));
    return outcome;
  }
  enum outcome outcome = read_secret(fd, ret_bytes, len, path, complaint);
  close(fd);
  return outcome;
}

static bool write_fully(int fd, const uint8_t *bytes, size_t len) {
  while (len > 0) {
    ssize_t wrote = write(fd, bytes, len);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    bytes += wrote;
    len -= (size_t)wrote;
  }
  return true;
}

static bool write_new(int folder, const char *name, const void *bytes, size_t len, bool secret) {
  mode_t mode = secret ? 0600 : 0644;
  unlinkat(folder, name, 0); /* what a crash left behind may have another mode, or a reader */
  int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0) return false;
  bool done = fchmod(fd, mode) == 0 && write_fully(fd, bytes, len) && fsync(fd) == 0;
  int error = errno;
  bool closed = close(fd) == 0;
  if (!done) errno = error;
  return done && closed;
}

/* [MACH-7] Written under another name, synced, renamed, the folder synced: after a crash the file is the old or the new. */
enum outcome folder_write(const struct folder *folder, const char *name, const void *bytes, size_t len, bool secret,
                          struct complaint *complaint) {
  char other[FILE_NAME_MAX_BYTES + 8];
  if (!name_is_valid(name)) return OUTCOME_BAD_SETTING;
  snprintf(other, sizeof other, ".%s.new", name);
  if (write_new(folder->fd, other, bytes, len, secret) && renameat(folder->fd, other, folder->fd, name) == 0 &&
      fsync(folder->fd) == 0)
    return OUTCOME_OK;
  complain(complaint, "The file %s/%s can't be written: %s.", folder->path, name, strerror(errno));
  unlinkat(folder->fd, other, 0);
  return OUTCOME_FILE_FAILED;
}

bool folder_has(const struct folder *folder, const char *name) {
  return faccessat(folder->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

enum outcome folder_remove(const struct folder *folder, const char *name, struct complaint *complaint) {
  if (!name_is_valid(name)) return OUTCOME_BAD_SETTING;
  if (unlinkat(folder->fd, name, 0) == 0) return OUTCOME_OK;
  enum outcome outcome = errno == ENOENT ? OUTCOME_NOT_FOUND : OUTCOME_FILE_FAILED;
  complain(complaint, "The file %s/%s can't be removed: %s.", folder->path, name, strerror(errno));
  return outcome;
}
