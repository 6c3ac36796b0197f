/* An allocator for tests: makes the n-th allocation fail, counts what lives, and looks at what is freed.
 * Spec: none. Called by tests of this folder, client, directory, io and relay, and by tests/sim/no_memory.c; linked over malloc, libsodium's
 * guarded memory and the others with --wrap.
 * Sees only what is linked into the test program, not the system's libraries. One thread at a time.
 */
#ifndef TUNIC_TESTS_UNIT_PROTOCOL_FAILING_ALLOCATOR_H
#define TUNIC_TESTS_UNIT_PROTOCOL_FAILING_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a test does with allocations that may fail: it checks that everything still holds, frees all that it made,
 * and returns how often it was told "no memory". */
typedef uint32_t failing_scenario(void);

/* Runs the scenario with its 1st, 2nd, ... allocation failing, until one runs through. After each nothing may be left
 * allocated. If `always_told`, the scenario must have been told of every failure. */
void failing_allocator_try_every(failing_scenario *scenario, bool always_told);

/* The `first` allocation from now on fails (1: the next), and those behind it, `count` in all; 0: none does. */
void failing_allocator_fail(uint32_t first, uint32_t count);
/* Not all of them have failed yet. */
bool failing_allocator_is_waiting(void);
/* Paused: allocations neither fail nor count. */
void failing_allocator_pause(bool);
/* How many were asked for since the beginning, but while it was paused. */
uint64_t failing_allocator_asked(void);

/* How many blocks are allocated now. */
int64_t failing_allocator_live(void);

/* From now on counts the blocks that hold the pattern when they are freed. len 0: ends. */
void failing_allocator_watch(const void *pattern, size_t len);
uint32_t failing_allocator_freed_with_pattern(void);

#endif
