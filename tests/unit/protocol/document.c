#include "protocol/document.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "failing_allocator.h"

Test(document, keeps_its_own_copy_until_the_last_release) {
  int64_t before = failing_allocator_live();
  char bytes[] = "consensus";
  struct document *document = document_new(bytes, sizeof bytes);
  memset(bytes, 'x', sizeof bytes);
  cr_assert(document_len(document) == sizeof bytes);
  cr_assert_str_eq((const char *)document_bytes(document), "consensus");
  cr_assert(document_take(document) == document);
  document_release(document);
  cr_assert_str_eq((const char *)document_bytes(document), "consensus");
  cr_assert(failing_allocator_live() == before + 1);
  document_release(document);
  cr_assert(failing_allocator_live() == before);
  document_release(NULL);
}

Test(document, may_be_empty_but_not_endless) {
  struct document *document = document_new(NULL, 0);
  cr_assert(document && document_len(document) == 0);
  document_release(document);
  cr_assert(document_new("x", SIZE_MAX) == NULL);
}

Test(document, a_secret_is_wiped_before_its_memory_goes) {
  static const char SECRET[] = "a key that must not be left in memory";
  struct document *plain = document_new(SECRET, sizeof SECRET);
  struct document *secret = document_new_secret(SECRET, sizeof SECRET);
  cr_assert_str_eq((const char *)document_bytes(secret), SECRET);
  failing_allocator_watch(SECRET, sizeof SECRET);
  document_release(secret);
  cr_assert(failing_allocator_freed_with_pattern() == 0);
  document_release(plain);
  cr_assert(failing_allocator_freed_with_pattern() == 1, "the watch sees what is not wiped");
  failing_allocator_watch(NULL, 0);
}

enum { THREADS = 3, ROUNDS = 100000 };

static void *take_and_release(void *context) {
  struct document *document = context;
  for (int i = 0; i < ROUNDS; i++) document_release(document_take(document));
  document_release(document);
  return NULL;
}

Test(document, threads_share_it_and_one_of_them_frees_it, .timeout = 60) {
  int64_t before = failing_allocator_live();
  pthread_t threads[THREADS];
  struct document *document = document_new("shared", 6);
  for (int i = 0; i < THREADS; i++)
    cr_assert(pthread_create(&threads[i], NULL, take_and_release, document_take(document)) == 0);
  document_release(document);
  for (int i = 0; i < THREADS; i++) cr_assert(pthread_join(threads[i], NULL) == 0);
  cr_assert(failing_allocator_live() == before);
}

static uint32_t make_two(void) {
  struct document *a = document_new("a", 1), *b = document_new_secret("b", 1);
  uint32_t told = (a == NULL) + (b == NULL);
  document_release(a);
  document_release(b);
  return told;
}

Test(document, survives_every_failing_allocation) {
  failing_allocator_try_every(make_two, true);
}
