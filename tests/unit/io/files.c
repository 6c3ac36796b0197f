#include "io/files.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/io/loopback.h"

struct place { char path[64]; struct folder *folder; struct complaint complaint; };

static void enter(struct place *place) {
  *place = (struct place){0};
  temporary_folder(place->path);
  cr_assert_eq(folder_open(place->path, &place->folder, &place->complaint), OUTCOME_OK);
}

static void leave(struct place *place) {
  folder_close(place->folder);
  temporary_folder_remove(place->path);
}

static unsigned mode_of(const struct place *place, const char *name) {
  char path[128];
  struct stat stat_of;
  snprintf(path, sizeof path, "%s/%s", place->path, name);
  cr_assert_eq(stat(path, &stat_of), 0, "%s", path);
  return (unsigned)stat_of.st_mode & 0777U;
}

static void change_mode(const struct place *place, const char *name, mode_t mode) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", place->path, name);
  cr_assert_eq(chmod(path, mode), 0);
}

Test(files, what_was_written_is_read_and_replaced_whole) {
  struct place place;
  struct document *document;
  enter(&place);
  cr_assert_eq(folder_write(place.folder, "state", "a longer first version", 22, false, NULL), OUTCOME_OK);
  cr_assert_eq(folder_write(place.folder, "state", "second", 6, false, NULL), OUTCOME_OK);
  cr_assert_eq(folder_read(place.folder, "state", 6, &document, NULL), OUTCOME_OK);
  cr_assert(document_len(document) == 6 && memcmp(document_bytes(document), "second", 6) == 0);
  document_release(document);
  cr_assert_eq(mode_of(&place, "state"), 0644);
  cr_assert_eq(folder_remove(place.folder, "state", NULL), OUTCOME_OK);
  cr_assert_eq(folder_read(place.folder, "state", 6, &document, NULL), OUTCOME_NOT_FOUND);
  leave(&place);
}

Test(files, a_file_over_its_cap_is_refused_by_name) {
  struct place place;
  struct document *document;
  enter(&place);
  cr_assert_eq(folder_write(place.folder, "big", "1234567", 7, false, NULL), OUTCOME_OK);
  cr_assert_eq(folder_read(place.folder, "big", 6, &document, &place.complaint), OUTCOME_TOO_LARGE);
  cr_assert_not_null(strstr(place.complaint.text, "/big"));
  leave(&place);
}

Test(files, names_stay_inside_the_folder) {
  static const char *const BAD[] = {"", ".", "..", "../out", "/etc/passwd", "sub/file", ".hidden"};
  struct place place;
  struct document *document;
  uint8_t secret[4];
  enter(&place);
  for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
    cr_assert_eq(folder_write(place.folder, BAD[i], "x", 1, false, NULL), OUTCOME_BAD_SETTING, "%s", BAD[i]);
    cr_assert_eq(folder_read(place.folder, BAD[i], 9, &document, NULL), OUTCOME_BAD_SETTING, "%s", BAD[i]);
    cr_assert_eq(folder_read_secret(place.folder, BAD[i], secret, 4, NULL), OUTCOME_BAD_SETTING, "%s", BAD[i]);
  }
  leave(&place);
}

Test(files, a_secret_that_others_may_read_is_refused) {
  static const mode_t OPEN[] = {0640, 0604, 0620, 0602, 0644, 0666};
  struct place place;
  uint8_t secret[4] = {0};
  enter(&place);
  cr_assert_eq(folder_write(place.folder, "key", "abcd", 4, true, NULL), OUTCOME_OK);
  cr_assert_eq(mode_of(&place, "key"), 0600);
  cr_assert_eq(folder_read_secret(place.folder, "key", secret, 4, NULL), OUTCOME_OK);
  cr_assert(memcmp(secret, "abcd", 4) == 0);
  for (size_t i = 0; i < sizeof OPEN / sizeof *OPEN; i++) {
    change_mode(&place, "key", OPEN[i]);
    cr_assert_eq(folder_read_secret(place.folder, "key", secret, 4, &place.complaint), OUTCOME_BAD_SETTING);
    cr_assert_not_null(strstr(place.complaint.text, "chmod 600"));
  }
  change_mode(&place, "key", 0600);
  cr_assert_eq(folder_read_secret(place.folder, "key", secret, 3, &place.complaint), OUTCOME_BAD_DOCUMENT);
  cr_assert_eq(folder_read_secret(place.folder, "none", secret, 4, &place.complaint), OUTCOME_NOT_FOUND);
  leave(&place);
}

/* People link secrets to other places: "too many levels of symbolic links" would tell them nothing. */
Test(files, what_is_no_plain_file_is_named_so) {
  struct place place;
  struct document *document;
  uint8_t secret[3];
  enter(&place);
  cr_assert_eq(symlinkat("/dev/null", folder_descriptor(place.folder), "link"), 0);
  cr_assert_eq(mkfifoat(folder_descriptor(place.folder), "pipe", 0600), 0);
  static const char *const NAMES[] = {"link", "pipe"};
  for (size_t i = 0; i < 2; i++) {
    cr_expect_eq(folder_read_secret(place.folder, NAMES[i], secret, sizeof secret, &place.complaint), OUTCOME_FILE_FAILED);
    cr_expect(strstr(place.complaint.text, "not a plain file") != NULL, "%s", place.complaint.text);
    cr_expect_eq(folder_read(place.folder, NAMES[i], 100, &document, &place.complaint), OUTCOME_FILE_FAILED);
    cr_expect(strstr(place.complaint.text, "not a plain file") != NULL, "%s", place.complaint.text);
  }
  leave(&place);
}

Test(files, a_secret_is_never_open_to_others_though_a_crash_left_its_new_name_open) {
  struct place place;
  enter(&place);
  int fd = openat(AT_FDCWD, place.path, O_RDONLY | O_DIRECTORY);
  int left = openat(fd, ".key.new", O_RDWR | O_CREAT, 0666);
  char seen[8];
  cr_assert(left >= 0);
  cr_assert_eq(folder_write(place.folder, "key", "abcd", 4, true, NULL), OUTCOME_OK);
  cr_assert_eq(mode_of(&place, "key"), 0600);
  cr_assert_eq(pread(left, seen, sizeof seen, 0), 0, "who had the old file open sees the secret");
  close(left);
  close(fd);
  leave(&place);
}

/* [MACH-7] A writer that is killed at any moment leaves the old or the new, never half. */
Test(files, killed_while_writing_the_file_is_old_or_new) {
  enum { LEN = 200000, KILLS = 25 };
  static uint8_t versions[2][LEN];
  struct place place;
  enter(&place);
  for (int v = 0; v < 2; v++) memset(versions[v], 'a' + v, LEN);
  cr_assert_eq(folder_write(place.folder, "state", versions[0], LEN, false, NULL), OUTCOME_OK);
  for (int i = 0; i < KILLS; i++) {
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0)
      for (unsigned n = 0;; n++) folder_write(place.folder, "state", versions[n % 2], LEN, false, NULL);
    usleep((useconds_t)(500 + 700 * i));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    struct document *document;
    cr_assert_eq(folder_read(place.folder, "state", LEN, &document, NULL), OUTCOME_OK);
    const uint8_t *bytes = document_bytes(document);
    cr_assert_eq(document_len(document), LEN);
    cr_assert(memcmp(bytes, versions[0], LEN) == 0 || memcmp(bytes, versions[1], LEN) == 0);
    document_release(document);
  }
  leave(&place);
}

Test(files, one_process_holds_a_folder_and_its_end_gives_it_back) {
  struct place place;
  int ready[2];
  char byte, pid[32];
  enter(&place);
  cr_assert_eq(pipe(ready), 0);
  pid_t child = fork();
  if (child == 0) {
    struct folder *folder;
    bool locked = folder_open(place.path, &folder, NULL) == OUTCOME_OK && folder_lock(folder, NULL) == OUTCOME_OK;
    if (write(ready[1], locked ? "y" : "n", 1) == 1) pause();
    _exit(0);
  }
  cr_assert(read(ready[0], &byte, 1) == 1 && byte == 'y');
  cr_assert_eq(folder_lock(place.folder, &place.complaint), OUTCOME_ALREADY_RUNNING);
  snprintf(pid, sizeof pid, "%ld", (long)child);
  cr_assert_not_null(strstr(place.complaint.text, pid), "%s", place.complaint.text);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  cr_assert_eq(folder_lock(place.folder, &place.complaint), OUTCOME_OK);
  leave(&place);
}

Test(files, a_new_folder_is_private) {
  struct place place;
  struct folder *inner;
  char path[96];
  enter(&place);
  snprintf(path, sizeof path, "%s/node", place.path);
  cr_assert_eq(folder_open(path, &inner, NULL), OUTCOME_OK);
  cr_assert_eq(mode_of(&place, "node"), 0700);
  folder_close(inner);
  snprintf(path, sizeof path, "%s/none/node", place.path);
  cr_assert_eq(folder_open(path, &inner, &place.complaint), OUTCOME_FILE_FAILED);
  cr_assert_not_null(strstr(place.complaint.text, path));
  snprintf(path, sizeof path, "%s/node", place.path);
  rmdir(path);
  leave(&place);
}
