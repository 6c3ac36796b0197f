#include "directory/tally.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "directory/tally_internal.h"

/* What the votes say of one relay. */
struct opinions {
  uint32_t guard, exit, valid;
  const struct vote_relay *shown[LIMIT_AUTHORITIES]; /* by those that call it running */
  uint32_t shown_count;
  uint32_t measured[LIMIT_AUTHORITIES], measured_count;
};

/* [TALLY-1] */
static bool input_is_valid(const struct tally_input *input) {
  uint32_t n = input->network->authority_count;
  if (input->vote_count < n - authorities_tolerated(n) || input->vote_count > n) return false;
  for (uint32_t i = 0; i < input->vote_count; i++) {
    const struct vote_header *header = vote_header(input->votes[i]);
    if (header->epoch != input->epoch || memcmp(header->previous, input->previous, DIGEST_BYTES) != 0) return false;
    if (memcmp(header->network, input->network->id, sizeof header->network) != 0) return false;
    if (network_file_find_authority(input->network, header->authority) < 0) return false;
    for (uint32_t k = 0; k < i; k++)
      if (memcmp(vote_header(input->votes[k])->authority, header->authority, IDENTITY_BYTES) == 0) return false;
  }
  return true;
}

static int compare_dates(const void *a, const void *b) { return date_compare(*(const struct date *)a, *(const struct date *)b); }

/* [TALLY-2] The highest method that every vote lists; 0: there is none that is carried out here. */
static uint32_t common_method(const struct tally_input *input) {
  uint32_t methods = TALLY_METHODS;
  for (uint32_t i = 0; i < input->vote_count; i++) methods &= vote_header(input->votes[i])->methods;
  return methods & TALLY_METHODS ? TALLY_METHOD : 0;
}

/* [TALLY-3] The low median of the proposals, later than the last by early-gap at least. */
static void set_dates(const struct tally_input *input, struct consensus_header *ret) {
  const struct network_timing *timing = &input->network->timing;
  struct date proposals[LIMIT_AUTHORITIES], least = date_after(input->previous_valid_after, timing->early_gap);
  for (uint32_t i = 0; i < input->vote_count; i++) proposals[i] = vote_header(input->votes[i])->valid_after;
  qsort(proposals, input->vote_count, sizeof proposals[0], compare_dates);
  ret->valid_after = proposals[(input->vote_count - 1) / 2];
  if (date_compare(ret->valid_after, least) < 0) ret->valid_after = least;
  ret->fresh_until = date_after(ret->valid_after, timing->interval);
  ret->valid_until = date_after(ret->valid_after, timing->valid);
}

static void add_opinion(struct opinions *opinions, const struct vote_relay *relay) {
  if (relay->flags & RELAY_RUNNING) opinions->shown[opinions->shown_count++] = relay;
  opinions->guard += (relay->flags & RELAY_GUARD) != 0;
  opinions->exit += (relay->flags & RELAY_EXIT) != 0;
  opinions->valid += (relay->flags & RELAY_VALID) != 0;
  if (relay->is_measured) opinions->measured[opinions->measured_count++] = relay->measured;
}

/* The opinions of all votes on the relay with the lowest identity not yet passed; false: no vote has another. */
static bool next_opinions(const struct tally_input *input, uint32_t *cursors, struct opinions *ret) {
  const struct vote_relay *lowest = NULL;
  memset(ret, 0, sizeof *ret);
  for (uint32_t i = 0; i < input->vote_count; i++) {
    const struct vote_relay *relay = vote_at(input->votes[i], cursors[i]);
    if (relay && (!lowest || memcmp(relay->identity, lowest->identity, IDENTITY_BYTES) < 0)) lowest = relay;
  }
  if (!lowest) return false;
  for (uint32_t i = 0; i < input->vote_count; i++) {
    const struct vote_relay *relay = vote_at(input->votes[i], cursors[i]);
    if (!relay || memcmp(relay->identity, lowest->identity, IDENTITY_BYTES) != 0) continue;
    add_opinion(ret, relay);
    cursors[i]++;
  }
  return true;
}

/* The descriptors that were shown, each text read once, into `room`; NULL in place of one that can't be read. */
static void read_shown(const struct tally_input *input, const struct opinions *opinions, struct descriptor *room,
                       const struct descriptor *ret[LIMIT_AUTHORITIES]) {
  for (uint32_t i = 0, k; i < opinions->shown_count; i++) {
    const struct vote_relay *relay = opinions->shown[i];
    for (k = 0; k < i && memcmp(opinions->shown[k]->digest, relay->digest, DIGEST_BYTES) != 0;) k++;
    bool is_new = k == i;
    bool good = !is_new || descriptor_read(input->network->id, relay->descriptor, relay->descriptor_len, &room[i], NULL) == OUTCOME_OK;
    ret[i] = !is_new ? ret[k] : good ? &room[i] : NULL;
  }
}

static bool has_same(const struct descriptor *a, const struct descriptor *b, enum belonging_kind kind) {
  switch (kind) {
  case BELONGING_LINK_KEY: return memcmp(a->link_key, b->link_key, sizeof a->link_key) == 0;
  case BELONGING_ONION_KEY: return memcmp(a->onion_key, b->onion_key, sizeof a->onion_key) == 0;
  case BELONGING_ADDRESS: return address_equal(&a->address, &b->address);
  case BELONGINGS: break;
  }
  return false;
}

static uint32_t count_same(const struct descriptor *const *shown, uint32_t count, const struct descriptor *descriptor, enum belonging_kind kind) {
  uint32_t same = 0;
  for (uint32_t i = 0; i < count; i++) same += shown[i] != NULL && has_same(shown[i], descriptor, kind);
  return same;
}

/* [TALLY-5] The highest sequence number; of two with the same, the lowest digest. */
static bool is_newer(const struct vote_relay *relay, const struct vote_relay *than) {
  if (!than || relay->sequence != than->sequence) return !than || relay->sequence > than->sequence;
  return memcmp(relay->digest, than->digest, DIGEST_BYTES) < 0;
}

/* Of the descriptors of which more than f votes show each of these belongings; NULL: there is none. */
static const struct descriptor *choose_with(const struct opinions *opinions, const struct descriptor *const *shown, uint32_t tolerated,
                                            const enum belonging_kind *kinds, size_t kind_count) {
  const struct vote_relay *newest = NULL;
  const struct descriptor *chosen = NULL;
  for (uint32_t i = 0; i < opinions->shown_count; i++) {
    if (shown[i] == NULL || !is_newer(opinions->shown[i], newest)) continue;
    size_t k = 0;
    while (k < kind_count && count_same(shown, opinions->shown_count, shown[i], kinds[k]) > tolerated) k++;
    if (k < kind_count) continue;
    newest = opinions->shown[i];
    chosen = shown[i];
  }
  return chosen;
}

/* [TALLY-5] An onion key that is only beginning to spread waits, if there is another: one that liars alone have seen yet they could show for a
 * relay of theirs as well. NULL: of no link key and place can it be said that somebody honest tested them. */
static const struct descriptor *choose(const struct opinions *opinions, const struct descriptor *const *shown, uint32_t tolerated) {
  static const enum belonging_kind KINDS[] = {BELONGING_LINK_KEY, BELONGING_ADDRESS, BELONGING_ONION_KEY};
  const struct descriptor *chosen = choose_with(opinions, shown, tolerated, KINDS, 3);
  return chosen ? chosen : choose_with(opinions, shown, tolerated, KINDS, 2);
}

static void fill_entry(struct candidate *candidate, const struct descriptor *descriptor) {
  struct relay_entry *entry = &candidate->entry;
  memcpy(entry->identity, descriptor->identity, sizeof entry->identity);
  memcpy(entry->link_key, descriptor->link_key, sizeof entry->link_key);
  memcpy(entry->onion_key, descriptor->onion_key, sizeof entry->onion_key);
  memcpy(entry->nickname, descriptor->nickname, sizeof entry->nickname);
  entry->onion_generation = descriptor->onion_generation;
  entry->link_suites = descriptor->link_suites;
  entry->layer_suite = descriptor->layer_suite;
  entry->address = descriptor->address;
  entry->other = descriptor->other;
  entry->family_count = (uint8_t)descriptor->family_count;
  for (uint32_t i = 0; i < descriptor->family_count; i++) memcpy(entry->families[i], descriptor->families[i].key, RELAY_FAMILY_BYTES);
  candidate->claim = descriptor->bandwidth;
}

/* [TALLY-4], [TALLY-5] A candidate, if more than half of the votes call it running and valid. `room`: for a descriptor of each vote. */
static bool consider(const struct tally_input *input, struct opinions *opinions, struct descriptor *room, struct candidate *ret) {
  uint32_t half = input->vote_count / 2, tolerated = authorities_tolerated(input->network->authority_count);
  const struct descriptor *shown[LIMIT_AUTHORITIES];
  if (opinions->shown_count <= half || opinions->valid <= half) return false;
  read_shown(input, opinions, room, shown);
  const struct descriptor *descriptor = choose(opinions, shown, tolerated);
  if (!descriptor) return false;
  memset(ret, 0, sizeof *ret);
  fill_entry(ret, descriptor);
  for (int kind = 0; kind < BELONGINGS; kind++) ret->shown_by[kind] = count_same(shown, opinions->shown_count, descriptor, (enum belonging_kind)kind);
  ret->entry.flags = RELAY_RUNNING | RELAY_VALID;
  if (opinions->guard > half) ret->entry.flags |= RELAY_GUARD;
  if (exit_policy_summarise(&descriptor->policy, &ret->summary) && opinions->exit > half) ret->entry.flags |= RELAY_EXIT;
  ret->is_measured = tally_measure(opinions->measured, opinions->measured_count, tolerated, &ret->entry.weight);
  return true;
}

/* NULL: no memory. Each candidate takes more than half of the votes, so there are not many more than a vote lists. */
static struct candidate *gather(const struct tally_input *input, uint32_t *ret_count) {
  uint32_t cursors[LIMIT_AUTHORITIES] = {0}, count = 0;
  size_t listed = 0;
  struct opinions opinions;
  for (uint32_t i = 0; i < input->vote_count; i++) listed += vote_count(input->votes[i]);
  size_t room = listed / (input->vote_count / 2 + 1);
  struct candidate *candidates = malloc((room > 0 ? room : 1) * sizeof *candidates);
  struct descriptor *descriptors = calloc(input->vote_count, sizeof *descriptors);
  if (!candidates || !descriptors) {
    free(candidates);
    free(descriptors);
    return NULL;
  }
  while (next_opinions(input, cursors, &opinions)) {
    struct candidate candidate;
    if (!consider(input, &opinions, descriptors, &candidate)) continue;
    assert(count < room);
    candidates[count++] = candidate;
  }
  free(descriptors);
  *ret_count = count;
  return candidates;
}

/* [TALLY-8] Their entries side by side, at most LIMIT_RELAYS, the lowest identities first. NULL: no memory. */
static struct relay_entry *keep_entries(struct candidate *candidates, uint32_t count, uint32_t *ret_count) {
  struct relay_entry *entries = malloc((count > 0 ? count : 1) * sizeof *entries);
  uint32_t kept = 0;
  if (!entries) return NULL;
  for (uint32_t i = 0; i < count && kept < LIMIT_RELAYS; i++) {
    if (candidates[i].is_dropped) continue;
    entries[kept] = candidates[i].entry;
    if (entries[kept].flags & RELAY_EXIT) entries[kept].exit_summary = &candidates[i].summary;
    kept++;
  }
  *ret_count = kept;
  return entries;
}

struct document *tally(const struct tally_input *input, struct consensus_header *ret_header, enum outcome *ret_outcome) {
  struct consensus_header header = {.serial = input->network->serial, .epoch = input->epoch};
  struct relay_entry *entries = NULL;
  struct document *text = NULL;
  uint32_t count = 0;
  *ret_outcome = OUTCOME_PROTOCOL_VIOLATION;
  if (!input_is_valid(input) || (header.method = common_method(input)) == 0) return NULL;
  memcpy(header.previous, input->previous, sizeof header.previous);
  set_dates(input, &header);
  struct candidate *candidates = gather(input, &count);
  if (candidates && tally_drop_doubles(candidates, count) && tally_weigh(candidates, count))
    entries = keep_entries(candidates, count, &header.relay_count);
  if (entries) {
    consensus_assign_weights(&header, entries);
    text = consensus_format(input->network->id, &header, entries);
  }
  free(entries);
  free(candidates);
  *ret_outcome = text ? OUTCOME_OK : OUTCOME_NO_MEMORY;
  if (text) *ret_header = header;
  return text;
}
