#include "directory/fetch_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MIRRORS_TRIED = 2, BACK_OFF_DOUBLINGS = 6, EAGER_PARTS = 50, MIRROR_PARTS = 3 };
#define GUARD_WAIT (10 * SECONDS)

struct fetch *fetch_new(const struct fetch_config *config) {
  struct fetch *fetch = calloc(1, sizeof *fetch);
  if (fetch == NULL) return NULL;
  fetch->config = *config;
  fetch->eager = config->eager;
  fetch->next_get = INSTANT_NEVER;
  fetch->patience = FETCH_PATIENCE_FIRST;
  fetch->last_failure = OUTCOME_NO_CONSENSUS;
  list_init(&fetch->exchanges);
  return fetch;
}

void fetch_free(struct fetch *fetch) {
  if (fetch == NULL) return;
  struct list_node *node;
  while ((node = list_take_first(&fetch->exchanges)) != NULL) fetch_free_exchange(LIST_OBJECT(node, struct exchange, node));
  consensus_release(fetch->consensus);
  document_release(fetch->descriptor);
  document_release(fetch->split_proof);
  free(fetch);
}

const struct network_file *fetch_network(const struct fetch *fetch) {
  uint64_t epoch = fetch->consensus == NULL ? 0 : consensus_header(fetch->consensus)->epoch;
  return network_chain_at(fetch->config.networks, epoch + 1);
}

bool fetch_is_own(const struct fetch *fetch, const struct network_authority *authority) {
  return memcmp(authority->identity, fetch->config.self->identity, IDENTITY_BYTES) == 0;
}

/* [FETCH-7] Descriptors go to those who will vote, before they do. */
static const struct network_file *newest(const struct fetch *fetch) { return network_chain_newest(fetch->config.networks); }

/* [FETCH-3] A short while, for who can't wait: a fiftieth of the interval, between 0.2 s and 10 s. */
static uint64_t eager_gap(const struct fetch *fetch) {
  uint64_t gap = (uint64_t)fetch_network(fetch)->timing.interval * MILLISECONDS / EAGER_PARTS;
  if (gap < 200 * MILLISECONDS) return 200 * MILLISECONDS;
  return gap > 10 * SECONDS ? 10 * SECONDS : gap;
}

/* [FETCH-4] Doubles with each failure, up to a bound, and never twice the same: nobody asks in step. */
static uint64_t back_off(const struct fetch *fetch, uint32_t failures) {
  uint64_t gap = eager_gap(fetch) << (failures < BACK_OFF_DOUBLINGS ? failures : BACK_OFF_DOUBLINGS);
  return gap / 2 + random_below(fetch->config.random, gap);
}

/* Half of what remains from fresh-until on, at most fetch_spread. */
static int64_t spread_of(const struct fetch *fetch, const struct consensus_header *header) {
  int64_t spread = (header->valid_until.milliseconds - header->fresh_until.milliseconds) / 2, most = fetch_network(fetch)->timing.fetch_spread;
  return spread > most ? most : spread;
}

/* [FETCH-2] At a random instant after fresh-until; mirrors before those who ask them. */
static instant leisurely(const struct fetch *fetch, instant now) {
  const struct consensus_header *header = consensus_header(fetch->consensus);
  int64_t spread = spread_of(fetch, header), first = spread / MIRROR_PARTS;
  int64_t from = fetch->config.is_mirror ? 0 : first, span = fetch->config.is_mirror ? first : spread - first;
  struct date at = date_after(header->fresh_until, from + (int64_t)random_below(fetch->config.random, (uint64_t)span + 1));
  instant then = wall_clock_instant(&fetch->clock, now, at);
  return then > now ? then : instant_after(now, back_off(fetch, fetch->old_answers));
}

static void plan_get(struct fetch *fetch, instant now) {
  if (!fetch->has_clock || fetch->split || fetch->get_under_way || fetch->resting) fetch->next_get = INSTANT_NEVER;
  else if (fetch_next_to_ask_for_time(fetch, now, true) >= 0) fetch->next_get = instant_after(now, eager_gap(fetch));
  else if (fetch->get_failures > 0) fetch->next_get = instant_after(now, back_off(fetch, fetch->get_failures - 1));
  else if (fetch->consensus != NULL && !fetch->eager) fetch->next_get = leisurely(fetch, now);
  else fetch->next_get = instant_after(now, eager_gap(fetch));
}

/* Once for every consensus is often enough. */
static void warn_of_expiry(struct fetch *fetch, instant now) {
  if (!fetch->has_clock) return;
  expiry_warn(&fetch->network_expiry, fetch->config.trace, "network file", 30, newest(fetch)->expires, wall_clock_date(&fetch->clock, now),
              "its authorities can make and sign the next serial: tunic-network authority renew");
}

void fetch_set_clock(struct fetch *fetch, instant now, const struct wall_clock *clock) {
  bool first = !fetch->has_clock;
  fetch->clock = *clock;
  fetch->has_clock = true;
  fetch_clock_reset(fetch);
  fetch->get_failures = 0; /* whatever failed may have failed for the clock */
  warn_of_expiry(fetch, now);
  if (first && !fetch->resting && !fetch->split && (fetch->consensus == NULL || fetch->eager)) fetch->next_get = now;
  else plan_get(fetch, now);
}

void fetch_set_consensus(struct fetch *fetch, instant now, struct consensus *consensus) {
  consensus_release(fetch->consensus);
  fetch->consensus = consensus;
  if (consensus != NULL) fetch_note_dates(fetch, consensus_header(consensus));
  fetch->has_news = true;
  warn_of_expiry(fetch, now);
  plan_get(fetch, now);
}

void fetch_set_eager(struct fetch *fetch, instant now, bool eager) {
  if (fetch->eager == eager) return;
  fetch->eager = eager;
  plan_get(fetch, now);
}

void fetch_hurry(struct fetch *fetch, instant now) {
  instant soon = instant_after(now, eager_gap(fetch));
  if (!fetch->has_clock || fetch->split || fetch->get_under_way || fetch->next_get <= soon) return;
  fetch->next_get = soon;
  fetch->sources_tried = MIRRORS_TRIED;
}

void fetch_set_resting(struct fetch *fetch, instant now, bool resting) {
  if (fetch->resting == resting) return;
  fetch->resting = resting;
  plan_get(fetch, now);
}

void fetch_publish(struct fetch *fetch, instant now, struct document *descriptor) {
  document_release(fetch->descriptor);
  fetch->descriptor = descriptor;
  for (uint32_t i = 0; i < newest(fetch)->authority_count; i++)
    fetch->publications[i] = (struct publication){.under_way = fetch->publications[i].under_way, .was_told = fetch->publications[i].was_told, .next = now};
}

struct consensus *fetch_consensus(const struct fetch *fetch) {
  return fetch->consensus;
}

bool fetch_take_news(struct fetch *fetch) {
  bool news = fetch->has_news;
  fetch->has_news = false;
  return news;
}

bool fetch_take_network_news(struct fetch *fetch) {
  bool news = fetch->has_network_news;
  fetch->has_network_news = false;
  return news;
}

struct document *fetch_take_split(struct fetch *fetch) {
  struct document *proof = fetch->split_proof;
  fetch->split_proof = NULL;
  return proof;
}

enum outcome fetch_state(const struct fetch *fetch, instant now) {
  if (fetch->split) return OUTCOME_DIRECTORY_SPLIT;
  int64_t off;
  enum outcome outcome = fetch->consensus == NULL ? fetch->last_failure
                                                  : consensus_check_dates(fetch->consensus, wall_clock_date(&fetch->clock, now));
  bool is_clock = outcome == OUTCOME_CONSENSUS_EXPIRED && fetch_judge_clock(fetch, now, &off) == CLOCK_AHEAD;
  return is_clock ? OUTCOME_CLOCK_WRONG : outcome;
}

uint32_t fetch_published_count(const struct fetch *fetch) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < newest(fetch)->authority_count; i++) count += fetch->publications[i].accepted;
  return count;
}

/* Which failures mean that there was no answer at all. */
static enum outcome as_state(enum outcome outcome) {
  bool known = outcome == OUTCOME_CLOCK_WRONG || outcome == OUTCOME_CONSENSUS_EXPIRED || outcome == OUTCOME_NO_CONSENSUS ||
               outcome == OUTCOME_TOO_FEW_SIGNATURES || outcome == OUTCOME_WRONG_NETWORK || outcome == OUTCOME_HANDSHAKE_FAILED;
  return known ? outcome : OUTCOME_DIRECTORY_UNREACHABLE;
}

/* [FETCH-5] Whether what we hold may be the newest there is: a source that hands out old ones, each newer than ours, is not asked alone. */
static bool is_current(const struct fetch *fetch, instant now) {
  const struct consensus_header *header = consensus_header(fetch->consensus);
  return date_compare(wall_clock_date(&fetch->clock, now), date_after(header->fresh_until, spread_of(fetch, header))) < 0;
}

void fetch_get_ended(struct fetch *fetch, instant now, bool from_mirror, enum outcome outcome) {
  fetch->get_under_way = false;
  bool is_news = outcome == OUTCOME_OK, answered = is_news || outcome == OUTCOME_STALE || outcome == OUTCOME_NO_CONSENSUS;
  fetch->get_failures = answered ? 0 : fetch->get_failures + 1;
  /* [FETCH-5] Mirrors that have nothing newer may all wait for each other, so an authority is asked; it may be flooded, so then mirrors. */
  fetch->sources_tried = !from_mirror || (is_news && is_current(fetch, now)) ? 0 : fetch->sources_tried + 1;
  fetch->old_answers = is_news ? 0 : fetch->old_answers + (outcome == OUTCOME_STALE);
  if (outcome != OUTCOME_OK && outcome != OUTCOME_STALE) {
    fetch->last_failure = as_state(outcome);
    trace_write(fetch->config.trace, TRACE_INFO, "directory", "asking for the consensus ended: %s", outcome_name(outcome));
  }
  fetch_follow_clock(fetch, now);
  plan_get(fetch, now);
}

/* [OUT-6] A rare change is for everybody, its repetitions are for whoever looks for a problem. */
static void tell_of_put(struct fetch *fetch, struct publication *publication, const char *authority, enum outcome outcome) {
  const struct trace *trace = fetch->config.trace;
  bool failed = outcome != OUTCOME_OK;
  if (failed)
    trace_write(trace, publication->was_told ? TRACE_INFO : TRACE_NOTICE, "directory", "authority %s did not take the descriptor: %s (%s)%s", authority, outcome_name(outcome),
                outcome_advice(outcome), publication->was_told ? "" : "; it is tried again until it does");
  else if (publication->was_told) trace_write(trace, TRACE_NOTICE, "directory", "authority %s took the descriptor at last", authority);
  publication->was_told = failed;
}

void fetch_put_ended(struct fetch *fetch, instant now, uint32_t serial, uint32_t authority, enum outcome outcome) {
  struct publication *publication = &fetch->publications[authority];
  if (serial != newest(fetch)->serial) return; /* places are others' by now */
  publication->under_way = false;
  if (outcome == OUTCOME_STALE) outcome = OUTCOME_OK; /* it has it */
  tell_of_put(fetch, publication, newest(fetch)->authorities[authority].name, outcome);
  if (outcome == OUTCOME_OK) {
    publication->accepted = true;
    publication->failures = 0;
    uint64_t interval = (uint64_t)fetch_network(fetch)->timing.interval * MILLISECONDS;
    publication->next = instant_after(now, interval / 2 + random_below(fetch->config.random, interval / 2 + 1));
    return;
  }
  publication->accepted = false;
  publication->next = instant_after(now, back_off(fetch, publication->failures++));
}

static bool is_same(const struct relay_entry *entry, const uint8_t identity[IDENTITY_BYTES]) {
  return memcmp(entry->identity, identity, IDENTITY_BYTES) == 0;
}

/* Not ourselves, who know already what we have, nor the guard, which was asked. */
static const struct relay_entry *draw_mirror(const struct fetch *fetch) {
  uint32_t count = consensus_count(fetch->consensus), index = (uint32_t)random_below(fetch->config.random, count);
  const struct relay_entry *entry = consensus_at(fetch->consensus, index);
  for (int i = 0; i < 2 && (is_same(entry, fetch->config.self->identity) || is_same(entry, fetch->guard)); i++)
    entry = consensus_at(fetch->consensus, index = (index + 1) % count);
  return entry;
}

/* [FETCH-5] A mirror first, where one is known: a client's guard, then others; authorities when mirrors failed. */
static void begin_get(struct fetch *fetch, instant now, bool may_use_guard) {
  bool begun = false;
  uint32_t count = fetch->consensus == NULL ? 0 : consensus_count(fetch->consensus);
  bool ask_mirror = fetch->config.from_mirrors && !fetch->eager && count > 0 && fetch->sources_tried < MIRRORS_TRIED;
  int authority = fetch_next_to_ask_for_time(fetch, now, true);
  if (authority < 0) authority = fetch_next_to_ask_for_time(fetch, now, false);
  if (authority < 0 && ask_mirror && may_use_guard && fetch->config.has_guard && fetch->sources_tried == 0) {
    fetch->wants_guard = begun = true;
    fetch->guard_until = instant_after(now, GUARD_WAIT);
  } else if (authority < 0 && ask_mirror) {
    begun = fetch_begin_with_mirror(fetch, now, draw_mirror(fetch));
  } else {
    const struct network_file *network = fetch_network(fetch);
    if (authority < 0) authority = (int)random_below(fetch->config.random, network->authority_count);
    if (fetch_is_own(fetch, &network->authorities[authority])) authority = (authority + 1) % (int)network->authority_count;
    fetch_note_asked(fetch, (uint32_t)authority);
    begun = !fetch_is_own(fetch, &network->authorities[authority]) && fetch_begin_with_authority(fetch, now, network, (uint32_t)authority, false);
  }
  fetch->get_under_way = begun;
  fetch->next_get = INSTANT_NEVER;
  if (!begun) fetch_get_ended(fetch, now, false, OUTCOME_LIMIT_REACHED);
}

bool fetch_wants_guard(const struct fetch *fetch) { return fetch->wants_guard; }

/* [FETCH-13] A guard that still owes an answer is asked nothing more. */
void fetch_use_guard(struct fetch *fetch, instant now, struct trunk *trunk, const uint8_t identity[IDENTITY_BYTES]) {
  if (!fetch->wants_guard) return;
  fetch->wants_guard = false;
  if (trunk != NULL) memcpy(fetch->guard, identity, IDENTITY_BYTES);
  bool may = trunk != NULL && transfers_pending(trunk_transfers(trunk)) == 0;
  if (!may || !fetch_begin_with_guard(fetch, now, trunk)) begin_get(fetch, now, false);
}

static void begin_puts(struct fetch *fetch, instant now) {
  for (uint32_t i = 0; fetch->descriptor != NULL && !fetch->split && i < newest(fetch)->authority_count; i++) {
    struct publication *publication = &fetch->publications[i];
    if (publication->under_way || publication->next > now) continue;
    publication->under_way = fetch_begin_with_authority(fetch, now, newest(fetch), i, true);
    if (!publication->under_way) publication->next = instant_after(now, back_off(fetch, publication->failures++));
  }
}

instant fetch_deadline(const struct fetch *fetch) {
  instant deadline = fetch->wants_guard ? instant_earlier(fetch->next_get, fetch->guard_until) : fetch->next_get;
  for (uint32_t i = 0; fetch->descriptor != NULL && fetch->has_clock && !fetch->split && i < newest(fetch)->authority_count; i++)
    if (!fetch->publications[i].under_way) deadline = instant_earlier(deadline, fetch->publications[i].next);
  for (struct list_node *node = list_first(&fetch->exchanges); node != NULL; node = list_after(&fetch->exchanges, node))
    deadline = instant_earlier(deadline, fetch_exchange_deadline(LIST_OBJECT(node, struct exchange, node)));
  return deadline;
}

void fetch_tick(struct fetch *fetch, instant now) {
  struct list_node *next;
  for (struct list_node *node = list_first(&fetch->exchanges); node != NULL; node = next) {
    next = list_after(&fetch->exchanges, node);
    fetch_exchange_tick(LIST_OBJECT(node, struct exchange, node), now);
  }
  if (fetch->wants_guard && fetch->guard_until <= now) fetch_use_guard(fetch, now, NULL, NULL);
  if (fetch->next_get <= now) begin_get(fetch, now, true);
  if (fetch->has_clock) begin_puts(fetch, now);
}
