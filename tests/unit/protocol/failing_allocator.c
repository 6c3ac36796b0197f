#include "failing_allocator.h"

#include <assert.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERN_MAX_BYTES = 64 };

/* The linker puts these under the names of the allocator's functions. */
void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
void *__real_aligned_alloc(size_t, size_t);
void __real_free(void *);
void *__real_sodium_malloc(size_t);
void __real_sodium_free(void *);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
void *__wrap_aligned_alloc(size_t, size_t);
void __wrap_free(void *);
void *__wrap_sodium_malloc(size_t);
void __wrap_sodium_free(void *);

/* Atomic, since tests with threads of their own pass through here too. */
static _Atomic int64_t live;
static _Atomic uint32_t until_failure; /* 1: the next one fails; 0: none does */
static _Atomic uint32_t failures_left; /* that follow the first one */
static _Atomic bool is_paused;
static _Atomic uint64_t asked;
static uint8_t pattern[PATTERN_MAX_BYTES];
static size_t pattern_len;
static uint32_t freed_with_pattern;

static bool must_fail(void) {
  uint32_t left = atomic_load(&until_failure);
  if (atomic_load(&is_paused)) return false;
  atomic_fetch_add(&asked, 1);
  if (left > 1) atomic_store(&until_failure, left - 1);
  if (left != 1) return false;
  if (atomic_load(&failures_left) > 0) atomic_fetch_sub(&failures_left, 1);
  else atomic_store(&until_failure, 0);
  return true;
}

void failing_allocator_fail(uint32_t first, uint32_t count) {
  atomic_store(&failures_left, count > 0 ? count - 1 : 0);
  atomic_store(&until_failure, count > 0 ? first : 0);
}

bool failing_allocator_is_waiting(void) {
  return atomic_load(&until_failure) != 0;
}

void failing_allocator_pause(bool pause) {
  atomic_store(&is_paused, pause);
}

uint64_t failing_allocator_asked(void) {
  return atomic_load(&asked);
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

/* Also what its owner has poisoned meanwhile, as a table does with the room of objects that are gone. */
__attribute__((no_sanitize_address)) static bool holds_pattern(const uint8_t *block, size_t len) {
  for (size_t i = 0; i + pattern_len <= len; i++) {
    size_t same = 0;
    while (same < pattern_len && block[i + same] == pattern[same]) same++;
    if (same == pattern_len) return true;
  }
  return false;
}

void __wrap_free(void *block) {
  if (!block) return;
  if (pattern_len > 0 && holds_pattern(block, malloc_usable_size(block))) freed_with_pattern++;
  atomic_fetch_sub(&live, 1);
  __real_free(block);
}

/* Guarded memory: the library wipes it by itself. */
void *__wrap_sodium_malloc(size_t len) {
  return must_fail() ? NULL : counted(__real_sodium_malloc(len));
}

void __wrap_sodium_free(void *block) {
  if (block) atomic_fetch_sub(&live, 1);
  __real_sodium_free(block);
}

int64_t failing_allocator_live(void) {
  return atomic_load(&live);
}

void failing_allocator_watch(const void *bytes, size_t len) {
  assert(len <= sizeof pattern);
  if (len > 0) memcpy(pattern, bytes, len);
  pattern_len = len;
  freed_with_pattern = 0;
}

uint32_t failing_allocator_freed_with_pattern(void) {
  return freed_with_pattern;
}
