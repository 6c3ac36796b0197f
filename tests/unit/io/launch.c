#include "io/launch.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/io/loopback.h"

/* A proof is there, is not, or can't be looked at: only the first is an alarm. */
Test(launch, only_a_proof_that_is_there_is_a_split) {
  struct launch launch = {0};
  struct complaint complaint = {.text = ""};
  char path[64];
  temporary_folder(path);
  cr_assert_eq(folder_open(path, &launch.folder, NULL), OUTCOME_OK);
  cr_expect_eq(launch_check_split(&launch, "split", &complaint), OUTCOME_OK);
  cr_expect_str_empty(complaint.text);
  cr_assert_eq(symlinkat("split", folder_descriptor(launch.folder), "split"), 0); /* opening it fails, for another cause */
  cr_expect_eq(launch_check_split(&launch, "split", &complaint), OUTCOME_FILE_FAILED);
  cr_expect(strstr(complaint.text, "split can't be read: ") != NULL, "%s", complaint.text);
  cr_assert_eq(folder_write(launch.folder, "split", "two documents", 13, false, NULL), OUTCOME_OK);
  cr_expect_eq(launch_check_split(&launch, "split", &complaint), OUTCOME_DIRECTORY_SPLIT);
  cr_expect(strstr(complaint.text, "contradict") != NULL, "%s", complaint.text);
  folder_close(launch.folder);
  temporary_folder_remove(path);
}
