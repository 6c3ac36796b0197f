#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "directory/tally_internal.h"

enum { CLAIM_FACTOR = 10 }; /* [TALLY-7] */

/* Something that only one relay may have: a key, or an address with its port. */
struct belonging {
  uint8_t bytes[X25519_BYTES];
  uint32_t owner, votes;
  bool is_second; /* a second address */
};

static int compare_belongings(const void *a, const void *b) {
  return memcmp(((const struct belonging *)a)->bytes, ((const struct belonging *)b)->bytes, X25519_BYTES);
}

struct belongings { struct belonging *list; uint32_t count; };

static void add_key(struct belongings *belongings, uint32_t owner, uint32_t votes, const uint8_t key[X25519_BYTES]) {
  struct belonging *place = &belongings->list[belongings->count++];
  *place = (struct belonging){.owner = owner, .votes = votes};
  memcpy(place->bytes, key, X25519_BYTES);
}

static void add_address(struct belongings *belongings, uint32_t owner, uint32_t votes, const struct address *address) {
  uint8_t bytes[X25519_BYTES] = {address->family, (uint8_t)(address->port >> 8), (uint8_t)address->port};
  static_assert(3 + sizeof address->bytes <= sizeof bytes, "an address fits where a key does");
  memcpy(bytes + 3, address->bytes, sizeof address->bytes);
  if (address->family != ADDRESS_NONE) add_key(belongings, owner, votes, bytes);
}

static uint32_t end_of_same(const struct belongings *belongings, uint32_t start) {
  uint32_t end = start;
  while (end < belongings->count && compare_belongings(&belongings->list[start], &belongings->list[end]) == 0) end++;
  return end;
}

static void sort(struct belongings *belongings) {
  if (belongings->count > 0) qsort(belongings->list, belongings->count, sizeof *belongings->list, compare_belongings);
}

/* [TALLY-6] Of all that have the same, only the one stays that more votes show running with it than any other: liars alone never outvote those who
 * tested it. */
static void drop_sharers(struct candidate *candidates, struct belongings *belongings) {
  struct belonging *list = belongings->list;
  sort(belongings);
  for (uint32_t start = 0, end; start < belongings->count; start = end) {
    uint32_t most = 0, with_most = 0;
    end = end_of_same(belongings, start);
    for (uint32_t i = start; i < end; i++) {
      uint32_t votes = list[i].votes;
      if (votes > most) with_most = 0;
      if (votes >= most) most = votes, with_most++;
    }
    for (uint32_t i = start; i < end; i++)
      if (list[i].votes < most || with_most > 1) candidates[list[i].owner].is_dropped = true;
  }
}

/* [TALLY-6] Nobody tests second addresses, so naming one must cost nobody else anything. */
static void leave_out_seconds(struct candidate *candidates, struct belongings *belongings) {
  sort(belongings);
  for (uint32_t start = 0, end; start < belongings->count; start = end) {
    end = end_of_same(belongings, start);
    for (uint32_t i = start; end - start > 1 && i < end; i++)
      if (belongings->list[i].is_second) candidates[belongings->list[i].owner].entry.other = (struct address){.family = ADDRESS_NONE};
  }
}

bool tally_drop_doubles(struct candidate *candidates, uint32_t count) {
  struct belongings belongings = {malloc((count > 0 ? 2 * (size_t)count : 1) * sizeof(struct belonging)), 0};
  if (!belongings.list) return false;
  /* Link and onion keys together: one relay's link key is no other's onion key either. */
  for (uint32_t i = 0; i < count; i++) {
    add_key(&belongings, i, candidates[i].shown_by[BELONGING_LINK_KEY], candidates[i].entry.link_key);
    add_key(&belongings, i, candidates[i].shown_by[BELONGING_ONION_KEY], candidates[i].entry.onion_key);
  }
  drop_sharers(candidates, &belongings);
  belongings.count = 0;
  for (uint32_t i = 0; i < count; i++) add_address(&belongings, i, candidates[i].shown_by[BELONGING_ADDRESS], &candidates[i].entry.address);
  drop_sharers(candidates, &belongings);
  uint32_t firsts = belongings.count;
  for (uint32_t i = 0; i < count; i++) add_address(&belongings, i, 0, &candidates[i].entry.other);
  for (uint32_t i = firsts; i < belongings.count; i++) belongings.list[i].is_second = true;
  leave_out_seconds(candidates, &belongings);
  free(belongings.list);
  return true;
}

static int compare_numbers(const void *a, const void *b) {
  uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
  return (left > right) - (left < right);
}

bool tally_measure(uint32_t *values, uint32_t count, uint32_t tolerated, uint32_t *ret) {
  if (count <= tolerated) return false;
  qsort(values, count, sizeof *values, compare_numbers);
  uint32_t median = (count - 1) / 2, safe = count - 1 - tolerated;
  *ret = values[median < safe ? median : safe];
  return true;
}

/* [TALLY-7] The low median of what was measured of the listed; of what they claim if nothing was measured. */
static uint32_t network_median(const struct candidate *candidates, uint32_t count, uint32_t *scratch) {
  uint32_t used = 0;
  for (uint32_t i = 0; i < count; i++)
    if (!candidates[i].is_dropped && candidates[i].is_measured) scratch[used++] = candidates[i].entry.weight;
  if (used == 0)
    for (uint32_t i = 0; i < count; i++)
      if (!candidates[i].is_dropped) scratch[used++] = candidates[i].claim;
  if (used == 0) return 0;
  qsort(scratch, used, sizeof *scratch, compare_numbers);
  return scratch[(used - 1) / 2];
}

bool tally_weigh(struct candidate *candidates, uint32_t count) {
  uint32_t *scratch = malloc((count > 0 ? count : 1) * sizeof *scratch);
  if (!scratch) return false;
  uint64_t most = (uint64_t)CLAIM_FACTOR * network_median(candidates, count, scratch);
  for (uint32_t i = 0; i < count; i++) {
    struct candidate *candidate = &candidates[i];
    if (!candidate->is_measured) candidate->entry.weight = candidate->claim < most ? candidate->claim : (uint32_t)most;
    if (candidate->entry.weight == 0) candidate->entry.weight = 1; /* it runs: no path shall be impossible for its weight */
  }
  free(scratch);
  return true;
}
