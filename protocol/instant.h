/* Time: instants of a monotonic clock in nanoseconds, and dates in seconds since 1970 UTC; never mixed.
 * Spec: specs/words.md [TIME-*]. Called by every machine; both are always handed in.
 * Never reads a clock: io/loop does.
 */
#ifndef TUNIC_PROTOCOL_INSTANT_H
#define TUNIC_PROTOCOL_INSTANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t instant; /* nanoseconds; only differences mean anything */

#define INSTANT_NEVER UINT64_MAX
#define MICROSECONDS UINT64_C(1000)
#define MILLISECONDS UINT64_C(1000000)
#define SECONDS UINT64_C(1000000000)
#define MINUTES (60 * SECONDS)
#define HOURS (60 * MINUTES)

/* a + d without overflow: INSTANT_NEVER stays NEVER. */
instant instant_after(instant a, uint64_t d);
/* How long until `then`; 0 if it has passed. */
uint64_t instant_until(instant now, instant then);
instant instant_earlier(instant a, instant b);

/* A date is what documents carry: a type of its own, so that no one adds it to an instant. Milliseconds, since
 * a lab's network lives faster than one-second dates allow. */
struct date { int64_t milliseconds; };

/* The wall clock as the driver last saw it, tied to an instant: the date at any other instant follows. */
struct wall_clock { instant at; struct date date; };

struct date wall_clock_date(const struct wall_clock *, instant now);
/* The instant at which the wall clock will show `then`; `now` if it has passed. */
instant wall_clock_instant(const struct wall_clock *, instant now, struct date then);
/* Stops at the ends of what a date can hold. */
struct date date_after(struct date, int64_t milliseconds);
int date_compare(struct date a, struct date b);
/* Not so far off that a difference of two would not fit: dates that a stranger tells may be. */
bool date_is_sane(struct date);

enum { DATE_TEXT_BYTES = 25 }; /* "2026-11-22T20:57:20.123Z" and its zero */

/* Strict: exactly the text form; years 1970 to 9999. False leaves ret unspecified. */
bool date_parse(const char *text, size_t len, struct date *ret);
/* A date outside those years is shown as the nearest in them. */
void date_format(struct date, char ret_text[DATE_TEXT_BYTES]);

#endif
