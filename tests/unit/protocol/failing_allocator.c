#include "failing_allocator.h"

#include <criterion/criterion.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERN_MAX_BYTES = 64, FAILURES_MOST = 10000 };

/* The linker puts these under the names of the allocator's functions. */
void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
void *__real_aligned_alloc(size_t, size_t);
void __real_free(void *);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
void *__wrap_aligned_alloc(size_t, size_t);
void __wrap_free(void *);

/* Atomic, since tests with threads of their own pass through here too. */
static _Atomic int64_t live;
static _Atomic uint32_t until_failure; /* 1: the next one fails; 0: none does */
static uint8_t pattern[PATTERN_MAX_BYTES];
static size_t pattern_len;
static uint32_t freed_with_pattern;

static bool must_fail(void) {
  uint32_t left = atomic_load(&until_failure);
  if (left == 0) return false;
  atomic_store(&until_failure, left - 1);
  return left == 1;
}

static void *counted(void *block) {
  if (block) atomic_fetch_add(&live, 1);
  return block;
}

void *__wrap_malloc(size_t len) {
  return must_fail() ? NULL : counted(__real_malloc(len));
}

void *__wrap_calloc(size_t count, size_t len) {
  return must_fail() ? NULL : counted(__real_calloc(count, len));
}

void *__wrap_aligned_alloc(size_t align, size_t len) {
  return must_fail() ? NULL : counted(__real_aligned_alloc(align, len));
}

void *__wrap_realloc(void *block, size_t len) {
  if (must_fail()) return NULL;
  return block ? __real_realloc(block, len) : counted(__real_realloc(NULL, len));
}

static bool holds_pattern(const uint8_t *block, size_t len) {
  for (size_t i = 0; i + pattern_len <= len; i++)
    if (memcmp(block + i, pattern, pattern_len) == 0) return true;
  return false;
}

void __wrap_free(void *block) {
  if (!block) return;
  if (pattern_len > 0 && holds_pattern(block, malloc_usable_size(block))) freed_with_pattern++;
  atomic_fetch_sub(&live, 1);
  __real_free(block);
}

int64_t failing_allocator_live(void) {
  return atomic_load(&live);
}

void failing_allocator_watch(const void *bytes, size_t len) {
  cr_assert(len <= sizeof pattern);
  if (len > 0) memcpy(pattern, bytes, len);
  pattern_len = len;
  freed_with_pattern = 0;
}

uint32_t failing_allocator_freed_with_pattern(void) {
  return freed_with_pattern;
}

void failing_allocator_try_every(failing_scenario *scenario, bool always_told) {
  for (uint32_t n = 1;; n++) {
    cr_assert(n < FAILURES_MOST, "the scenario never runs through");
    int64_t before = failing_allocator_live();
    atomic_store(&until_failure, n);
    uint32_t told = scenario();
    bool failed = atomic_load(&until_failure) == 0;
    atomic_store(&until_failure, 0);
    cr_assert(failing_allocator_live() == before, "allocation %u failed: %d blocks are left", n,
              (int)(failing_allocator_live() - before));
    if (!failed) {
      cr_assert(told == 0, "told of a failure that never was");
      cr_assert(n > 1, "the scenario allocates nothing");
      return;
    }
    if (always_told) cr_assert(told == 1, "allocation %u failed, told %u times", n, told);
  }
}
