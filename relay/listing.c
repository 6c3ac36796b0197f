#include <stdio.h>

#include "relay/keeper_internal.h"

enum { EXPLANATION_BYTES = 400, TELL_EVERY_INTERVALS = 24 };

void listing_init(struct keeper *keeper) {
  keeper->unlisted_since = keeper->unlisted_told = INSTANT_NEVER;
}

/* Who was tested well is in the next consensus, which opens early for it. */
static uint64_t patience(const struct keeper *keeper) {
  const struct network_timing *timing = &network_chain_newest(keeper->config.networks)->timing;
  return 2 * (uint64_t)timing->early_gap * MILLISECONDS + LIMIT_CONNECT_TIME;
}

static bool is_overdue(const struct keeper *keeper, instant now) {
  return keeper->unlisted_since != INSTANT_NEVER && now - keeper->unlisted_since >= patience(keeper);
}

/* They are late with the next consensus: that they do not list this relay says nothing about it. */
static bool authorities_stall(const struct keeper *keeper, instant now) {
  const struct consensus *consensus = keeper_consensus(keeper);
  if (consensus == NULL) return false;
  struct date late = date_after(consensus_header(consensus)->fresh_until, (int64_t)(patience(keeper) / MILLISECONDS));
  return date_compare(wall_clock_date(&keeper->clock, now), late) > 0;
}

static void made_last(const struct keeper *keeper, char ret[DATE_TEXT_BYTES]) {
  date_format(consensus_header(keeper_consensus(keeper))->valid_after, ret);
}

/* What a person can look at: authorities have the descriptor and do not list it, so their tests fail. */
static void explain(const struct keeper *keeper, instant now, char ret[EXPLANATION_BYTES]) {
  const struct address *address = &keeper->config.descriptor->address, *listen = &keeper->config.listen;
  char published[ADDRESS_TEXT_BYTES], bound[ADDRESS_TEXT_BYTES], since[DATE_TEXT_BYTES], made[DATE_TEXT_BYTES];
  date_format(wall_clock_date(&keeper->clock, keeper->unlisted_since), since);
  if (authorities_stall(keeper, now)) {
    made_last(keeper, made);
    snprintf(ret, EXPLANATION_BYTES, "not in the consensus since %.19sZ: the authorities have its descriptor, but have made no consensus since %.19sZ. "
                                     "Nothing is to be done here; the network's people should see whether enough authorities run", since, made);
    return;
  }
  address_format(address, published);
  if (listen->family == ADDRESS_NONE) listen = address;
  address_format(listen, bound);
  snprintf(ret, EXPLANATION_BYTES, "not in the consensus since %.19sZ: the authorities have its descriptor, but can't reach it at %s, it seems%s. Check that this address is right, "
                                   "that the router forwards this port to %s, and that no firewall blocks it", since, published,
           keeper->accepted == 0 ? " (nobody has connected since it started)" : "", bound);
}

void listing_note(struct keeper *keeper, instant now) {
  bool waits = !keeper->listed && fetch_published_count(keeper->fetch) > 0;
  uint64_t again = TELL_EVERY_INTERVALS * (uint64_t)network_chain_newest(keeper->config.networks)->timing.interval * MILLISECONDS;
  if (!waits) {
    listing_init(keeper);
    return;
  }
  if (keeper->unlisted_since == INSTANT_NEVER) keeper->unlisted_since = now;
  bool was_told = keeper->unlisted_told != INSTANT_NEVER;
  if (!is_overdue(keeper, now) || (was_told && now - keeper->unlisted_told < again)) return;
  char text[EXPLANATION_BYTES];
  explain(keeper, now, text);
  keeper->unlisted_told = now;
  trace_write(keeper->config.trace, TRACE_WARNING, "keeper", "%s", text);
}

/* Texts are short: who may be wrong, then what to check. */
void listing_add_status(const struct keeper *keeper, instant now, struct status *ret) {
  char address[ADDRESS_TEXT_BYTES], text[sizeof ret->texts[0].value], since[DATE_TEXT_BYTES], made[DATE_TEXT_BYTES];
  bool is_unlisted = keeper->unlisted_since != INSTANT_NEVER;
  status_add_figure(ret, "unlisted_seconds", is_unlisted ? (now - keeper->unlisted_since) / SECONDS : 0);
  address_format(&keeper->config.descriptor->address, address);
  status_add_text(ret, "address", address);
  if (!is_overdue(keeper, now)) return;
  date_format(wall_clock_date(&keeper->clock, keeper->unlisted_since), since);
  if (authorities_stall(keeper, now)) {
    made_last(keeper, made);
    snprintf(text, sizeof text, "since %.19sZ: the authorities have made no consensus since %.19sZ", since, made);
    status_add_text(ret, "unlisted", text);
    status_add_text(ret, "check", "nothing here: the network's people should see whether enough authorities run");
    return;
  }
  snprintf(text, sizeof text, "since %.19sZ: the authorities can't reach %s, it seems%s", since, address, keeper->accepted == 0 ? "; nobody has connected yet" : "");
  status_add_text(ret, "unlisted", text);
  status_add_text(ret, "check", "that the address is right, that the router forwards the port to this machine, and that no firewall blocks it");
}
