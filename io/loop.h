/* One thread's event loop: who can be read or written, how long to wait, the clocks, signals, being woken.
 * Spec: specs/machines.md [MACH-2]. Called by io/ only.
 * The one place that knows libevent's loop, whose `struct event` is not ours. Its callbacks only take notes: what they lead
 * to is done after loop_wait has returned, so that nothing is ever freed under a caller's feet.
 */
#ifndef TUNIC_IO_LOOP_H
#define TUNIC_IO_LOOP_H

#include <stdbool.h>

#include "protocol/instant.h"
#include "protocol/outcome.h"

struct loop;       /* opaque */
struct watch;      /* opaque: one descriptor */
struct loop_timer; /* opaque: one callback at a time */
struct event_base; /* libevent's, for the parts of it that want one */

/* The monotonic clock, in nanoseconds. */
instant loop_now(void);
/* The wall clock, tied to `now`. */
struct wall_clock loop_wall_clock(instant now);

/* NULL: the system refused. A loop belongs to the thread that waits on it. */
struct loop *loop_new(void);
/* All watches and timers must be gone. NULL is allowed. */
void loop_free(struct loop *);
struct event_base *loop_base(struct loop *);

/* Waits until a watch, a timer or loop_wake calls, at most `wait` nanoseconds (INSTANT_NEVER: without end); 0 only looks. */
void loop_wait(struct loop *, uint64_t wait);
/* From any thread: ends the wait that is, or the next. */
void loop_wake(struct loop *);

/* Whether a terminal that goes asks for the end: not of what nohup began, which ignores SIGHUP from the start. */
bool loop_heeds_hangup(void);
/* SIGINT, SIGTERM and, if heeded, SIGHUP no longer end the process but make loop_was_interrupted true; SIGUSR1 and SIGUSR2 do
 * nothing. Before threads are started, which inherit it. False: the system refused. */
bool loop_catch_signals(struct loop *);
/* True once for each time the person asked for the end. */
bool loop_was_interrupted(struct loop *);
/* True at first, and once whenever somebody set the wall clock. */
bool loop_clock_was_set(struct loop *);

typedef void watch_callback(void *context, bool readable, bool writable);

/* Asks nothing yet. NULL: no memory. The descriptor stays the caller's, who frees the watch before closing it. */
struct watch *watch_new(struct loop *, int fd, watch_callback *, void *context);
void watch_free(struct watch *); /* NULL is allowed */
/* From now on, whenever it can be read, or written. Without a change there is no system call. */
void watch_read(struct watch *, bool);
void watch_write(struct watch *, bool);
bool watch_reads(const struct watch *);
bool watch_writes(const struct watch *);

struct loop_timer *loop_timer_new(struct loop *, void (*callback)(void *context), void *context); /* NULL: no memory */
void loop_timer_free(struct loop_timer *); /* NULL is allowed */
/* Once, after `wait` nanoseconds; an earlier setting is forgotten. INSTANT_NEVER: not at all. */
void loop_timer_set(struct loop_timer *, uint64_t wait);

#endif
