#include "directory/consensus_format.h"

/* What the relays of one kind weigh together. */
struct weight_sums { uint64_t all, guards, exits, guards_of_any_kind; };

enum { WHOLE = 1000, GUARD_FLOOR = 100 }; /* per mille */

static bool is_exit(const struct relay_entry *entry) { return (entry->flags & RELAY_EXIT) != 0; }
static bool is_guard(const struct relay_entry *entry) { return (entry->flags & RELAY_GUARD) != 0 && !is_exit(entry); }

static struct weight_sums add_up(const struct relay_entry *entries, uint32_t count) {
  struct weight_sums sums = {0};
  for (uint32_t i = 0; i < count; i++) {
    uint64_t weight = entries[i].weight;
    sums.all += weight;
    if (is_exit(&entries[i])) sums.exits += weight;
    if (is_guard(&entries[i])) sums.guards += weight;
    if (entries[i].flags & RELAY_GUARD) sums.guards_of_any_kind += weight;
  }
  return sums;
}

/* The part of a kind that its own position does not need: what it has beyond a third of the network, per mille. */
static uint64_t spare(uint64_t kind, uint64_t all) { return 3 * kind > all ? WHOLE * (3 * kind - all) / (3 * kind) : 0; }

/* Rounded up, and never nothing: no path shall be impossible that the relays allow. */
static uint64_t part(uint64_t weight, uint64_t per_mille) {
  uint64_t share = (weight * per_mille + WHOLE - 1) / WHOLE;
  return share > 0 ? share : 1;
}

static uint64_t guard_share(const struct relay_entry *entry, const struct weight_sums *sums) {
  if (sums->guards > 0) return is_guard(entry) ? entry->weight : 0;
  if (sums->guards_of_any_kind > 0) return entry->flags & RELAY_GUARD ? entry->weight : 0;
  return entry->weight;
}

static uint64_t middle_share(const struct relay_entry *entry, const struct weight_sums *sums) {
  if (is_exit(entry)) return part(entry->weight, spare(sums->exits, sums->all));
  if (!is_guard(entry)) return entry->weight;
  uint64_t free_part = spare(sums->guards, sums->all);
  return part(entry->weight, free_part > GUARD_FLOOR ? free_part : GUARD_FLOOR);
}

/* [CONS-7], [CONS-8] */
void consensus_assign_weights(struct consensus_header *header, struct relay_entry *entries) {
  struct weight_sums sums = add_up(entries, header->relay_count);
  header->guard_total = header->middle_total = header->exit_total = 0;
  for (uint32_t i = 0; i < header->relay_count; i++) {
    struct relay_entry *entry = &entries[i];
    entry->guard_end = header->guard_total += guard_share(entry, &sums);
    entry->middle_end = header->middle_total += middle_share(entry, &sums);
    entry->exit_end = header->exit_total += is_exit(entry) ? entry->weight : 0;
  }
}
