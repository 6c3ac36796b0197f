#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory/fetch_internal.h"

void fetch_clock_reset(struct fetch *fetch) {
  memset(fetch->times, 0, sizeof fetch->times);
  fetch->times_serial = fetch_network(fetch)->serial;
}

void fetch_note_asked(struct fetch *fetch, uint32_t authority) {
  if (fetch->times_serial != fetch_network(fetch)->serial) fetch_clock_reset(fetch);
  fetch->times[authority].asked = true;
}

void fetch_note_time(struct fetch *fetch, instant now, uint32_t serial, uint32_t authority, struct date theirs) {
  if (fetch->times_serial != fetch_network(fetch)->serial) fetch_clock_reset(fetch);
  if (fetch->times_serial != serial || !date_is_sane(theirs)) return; /* places are others' by now */
  struct heard_time *time = &fetch->times[authority];
  time->heard = true;
  time->ahead_ms = wall_clock_date(&fetch->clock, now).milliseconds - theirs.milliseconds;
}

void fetch_note_dates(struct fetch *fetch, const struct consensus_header *header) {
  if (header->epoch < fetch->seen.epoch) return;
  fetch->seen.epoch = header->epoch;
  fetch->seen.valid_after = header->valid_after;
  fetch->seen.valid_until = header->valid_until;
}

static int ascending(const void *a, const void *b) {
  const int64_t *left = a, *right = b;
  return (*left > *right) - (*left < *right);
}

/* [FETCH-9] What f + 1 authorities agree on, so that one of them at least is honest: our clock is ahead of the true time by this
 * much at least, and at most. False: too few were heard. */
static bool bound_offset(const struct fetch *fetch, int64_t *ret_least, int64_t *ret_most) {
  int64_t ahead[LIMIT_AUTHORITIES];
  const struct network_file *network = fetch_network(fetch);
  uint32_t count = 0, liars = (network->authority_count - 1) / 3;
  if (fetch->times_serial != network->serial) return false;
  for (uint32_t i = 0; i < network->authority_count; i++)
    if (fetch->times[i].heard) ahead[count++] = fetch->times[i].ahead_ms;
  if (count <= liars) return false;
  qsort(ahead, count, sizeof *ahead, ascending);
  *ret_least = ahead[count - 1 - liars];
  *ret_most = ahead[liars];
  return true;
}

enum clock_verdict fetch_judge_clock(const struct fetch *fetch, instant now, int64_t *ret_off_ms) {
  int64_t least, most, behind, over;
  struct date date = wall_clock_date(&fetch->clock, now);
  *ret_off_ms = 0;
  if (!fetch->has_clock || fetch->seen.epoch == 0) return CLOCK_PLAUSIBLE;
  behind = fetch->seen.valid_after.milliseconds - date.milliseconds;
  over = date.milliseconds - fetch->seen.valid_until.milliseconds;
  bool has_bounds = bound_offset(fetch, &least, &most);
  if (behind > CONSENSUS_AHEAD_MOST_MS) { /* a quorum signed it: no honest one does so before its time */
    *ret_off_ms = has_bounds && -most > behind ? -most : behind;
    return CLOCK_BEHIND;
  }
  if (over <= 0) return CLOCK_PLAUSIBLE;
  if (!has_bounds) return CLOCK_UNKNOWN;
  if (least >= over) {
    *ret_off_ms = least;
    return CLOCK_AHEAD;
  }
  if (most >= over) return CLOCK_UNKNOWN;
  *ret_off_ms = over - (most > 0 ? most : 0);
  return CLOCK_RIGHT;
}

int fetch_next_to_ask_for_time(const struct fetch *fetch, instant now, bool first_round) {
  int64_t off;
  uint32_t wanted[LIMIT_AUTHORITIES], count = 0;
  const struct network_file *network = fetch_network(fetch);
  if (fetch_judge_clock(fetch, now, &off) != CLOCK_UNKNOWN) return -1;
  for (uint32_t i = 0; i < network->authority_count; i++) {
    const struct heard_time *time = &fetch->times[i];
    bool is_current = fetch->times_serial == network->serial;
    bool is_known = is_current && (time->heard || (first_round && time->asked));
    if (!is_known && !fetch_is_own(fetch, &network->authorities[i])) wanted[count++] = i;
  }
  return count == 0 ? -1 : (int)wanted[random_below(fetch->config.random, count)];
}

static const char *say(enum clock_verdict verdict, int64_t off_ms, char ret[80]) {
  int64_t seconds = off_ms / 1000;
  switch (verdict) {
  case CLOCK_AHEAD: snprintf(ret, 80, "ahead by %" PRId64 " s", seconds); return "clock";
  case CLOCK_BEHIND: snprintf(ret, 80, "behind by at least %" PRId64 " s", seconds); return "clock";
  case CLOCK_RIGHT:
    if (seconds >= 2 * 60 * 60) snprintf(ret, 80, "stopped %" PRId64 " h ago", seconds / 3600);
    else snprintf(ret, 80, "stopped %" PRId64 " min ago", seconds / 60);
    return "directory";
  case CLOCK_PLAUSIBLE:
  case CLOCK_UNKNOWN: return NULL;
  }
  return NULL;
}

void fetch_follow_clock(struct fetch *fetch, instant now) {
  char text[80];
  int64_t off;
  enum clock_verdict verdict = fetch_judge_clock(fetch, now, &off);
  const char *what = verdict == fetch->verdict ? NULL : say(verdict, off, text);
  fetch->verdict = verdict;
  if (what != NULL) trace_write(fetch->config.trace, TRACE_WARNING, "directory", "%s: %s", strcmp(what, "clock") == 0 ? "this machine's clock" : "the directory", text);
}

void fetch_add_status(const struct fetch *fetch, instant now, struct status *ret) {
  char text[80];
  int64_t off;
  enum clock_verdict verdict = fetch_judge_clock(fetch, now, &off);
  const char *what = say(verdict, off, text);
  status_add_figure(ret, "fetches_from_guard", fetch->asked_guard);
  status_add_figure(ret, "fetches_from_relays", fetch->asked_relays);
  status_add_figure(ret, "fetches_from_authorities", fetch->asked_authorities);
  if (fetch->split) status_add_text(ret, "directory", fetch->split_text);
  else if (what != NULL) status_add_text(ret, what, text);
}
