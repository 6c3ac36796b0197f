#include "client/guard.h"

#include <string.h>

#include "client/path.h"

enum { RETRY_DOUBLINGS_MOST = 5 };
#define RETRY_FIRST (2 * SECONDS)

static const int64_t DAY = INT64_C(24) * 60 * 60 * 1000;
enum { LIFE_LEAST_DAYS = 60, LIFE_MOST_DAYS = 120, UNLISTED_MOST_DAYS = 20 };

/* [GUARD-1] By its weight for the position, so that the consensus decides who stands in where there are no guards. */
static bool is_guard(const struct consensus *consensus, const struct relay_entry *entry) {
  if (entry == NULL) return false;
  return (entry->flags & RELAY_GUARD) != 0 || relay_entry_weight(consensus, entry, POSITION_GUARD) > 0;
}

static bool is_listed(const struct guard *guard) {
  return guard->unlisted.milliseconds == 0;
}

int guard_sample_find(const struct guard_sample *sample, const uint8_t identity[IDENTITY_BYTES]) {
  for (uint32_t i = 0; i < sample->count; i++)
    if (memcmp(sample->guards[i].identity, identity, IDENTITY_BYTES) == 0) return (int)i;
  return -1;
}

/* True if it changed. */
static bool mark(struct guard *guard, const struct consensus *consensus, struct date date) {
  bool listed = is_guard(consensus, consensus_find(consensus, guard->identity));
  if (listed == is_listed(guard)) return false;
  guard->unlisted = listed ? (struct date){0} : date;
  return true;
}

/* [GUARD-3] */
static bool is_over(const struct guard *guard, struct date date) {
  if (date_compare(date, guard->expires) >= 0) return true;
  return !is_listed(guard) && date_compare(date, date_after(guard->unlisted, UNLISTED_MOST_DAYS * DAY)) >= 0;
}

struct joining { const struct consensus *consensus; const struct guard_sample *sample; };

static bool may_join(const void *context, const struct relay_entry *entry) {
  const struct joining *joining = context;
  return relay_entry_weight(joining->consensus, entry, POSITION_GUARD) > 0 && guard_sample_find(joining->sample, entry->identity) < 0;
}

static bool add_one(struct guard_sample *sample, const struct consensus *consensus, struct random_stream *random, struct date date) {
  const struct relay_entry *entry = path_pick(consensus, random, POSITION_GUARD, may_join, &(struct joining){consensus, sample});
  if (entry == NULL) return false;
  struct guard *guard = &sample->guards[sample->count++];
  int64_t life = LIFE_LEAST_DAYS * DAY + (int64_t)random_below(random, (uint64_t)((LIFE_MOST_DAYS - LIFE_LEAST_DAYS) * DAY));
  *guard = (struct guard){.added = date, .expires = date_after(date, life)};
  memcpy(guard->identity, entry->identity, IDENTITY_BYTES);
  return true;
}

bool guard_sample_update(struct guard_sample *sample, const struct consensus *consensus, struct random_stream *random) {
  struct date date = consensus_header(consensus)->valid_after; /* [GUARD-5] signed: a clock that jumps moves no guard */
  bool changed = false;
  uint32_t kept = 0, listed = 0;
  for (uint32_t i = 0; i < sample->count; i++) {
    struct guard guard = sample->guards[i];
    changed = mark(&guard, consensus, date) || changed;
    if (is_over(&guard, date)) continue;
    listed += is_listed(&guard);
    sample->guards[kept++] = guard;
  }
  changed = changed || kept < sample->count;
  sample->count = kept;
  for (; listed < GUARD_LISTED && sample->count < GUARD_SAMPLE_MOST && add_one(sample, consensus, random, date); listed++) changed = true;
  return changed;
}

/* [GUARD-7] */
int guard_sample_next(const struct guard_sample *sample, instant now, int from) {
  for (uint32_t i = (uint32_t)from; i < sample->count; i++)
    if (is_listed(&sample->guards[i]) && sample->guards[i].retry_at <= now) return (int)i;
  return -1;
}

instant guard_sample_retry_at(const struct guard_sample *sample, instant now) {
  instant at = INSTANT_NEVER;
  for (uint32_t i = 0; i < sample->count; i++)
    if (is_listed(&sample->guards[i]) && sample->guards[i].retry_at > now) at = instant_earlier(at, sample->guards[i].retry_at);
  return at;
}

void guard_failed(struct guard *guard, instant now, struct random_stream *random) {
  uint32_t doublings = guard->failures < RETRY_DOUBLINGS_MOST ? guard->failures : RETRY_DOUBLINGS_MOST;
  uint64_t delay = RETRY_FIRST << doublings;
  guard->failures++;
  guard->retry_at = instant_after(now, random_between(random, delay / 2, delay)); /* never in step with others */
}

void guard_reached(struct guard *guard) {
  guard->failures = 0;
  guard->retry_at = 0;
}
