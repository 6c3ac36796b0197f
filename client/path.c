#include "client/path.h"

#include <string.h>

enum { DRAWS = 32 };

/* [PATH-1] */
static bool has_flags(const struct relay_entry *entry, unsigned flags) {
  flags |= RELAY_RUNNING | RELAY_VALID;
  return (entry->flags & flags) == flags;
}

static bool same_neighbourhood(const struct relay_entry *a, const struct relay_entry *b) {
  const struct address *of_a[] = {&a->address, &a->other}, *of_b[] = {&b->address, &b->other};
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++)
      if (of_a[i]->family != ADDRESS_NONE && of_a[i]->family == of_b[j]->family && address_same_neighbourhood(of_a[i], of_b[j]))
        return true;
  return false;
}

/* [PATH-4] */
bool path_conflict(const struct relay_entry *a, const struct relay_entry *b, bool is_lab) {
  return a == b || memcmp(a->identity, b->identity, IDENTITY_BYTES) == 0 || relay_entry_same_family(a, b) ||
         (!is_lab && same_neighbourhood(a, b));
}

bool path_avoids(const struct path_avoided *avoided, const uint8_t identity[IDENTITY_BYTES]) {
  for (uint32_t i = 0; avoided != NULL && i < avoided->count; i++)
    if (memcmp(avoided->identities[i], identity, IDENTITY_BYTES) == 0) return true;
  return false;
}

/* When draws found none: the allowed are few, or hold little of the weight. One walk counts them, one finds. */
static const struct relay_entry *pick_among_few(const struct consensus *consensus, struct random_stream *random,
                                                enum path_position position, path_filter *allows, const void *context) {
  uint64_t weight = 0, count = 0;
  for (uint32_t i = 0; i < consensus_count(consensus); i++) {
    const struct relay_entry *entry = consensus_at(consensus, i);
    if (!allows(context, entry)) continue;
    weight += relay_entry_weight(consensus, entry, position);
    count++;
  }
  if (count == 0) return NULL;
  bool by_weight = weight > 0; /* none of them has any: all alike */
  uint64_t point = random_below(random, by_weight ? weight : count);
  for (uint32_t i = 0; i < consensus_count(consensus); i++) {
    const struct relay_entry *entry = consensus_at(consensus, i);
    if (!allows(context, entry)) continue;
    uint64_t part = by_weight ? relay_entry_weight(consensus, entry, position) : 1;
    if (point < part) return entry;
    point -= part;
  }
  return NULL;
}

const struct relay_entry *path_pick(const struct consensus *consensus, struct random_stream *random, enum path_position position,
                                    path_filter *allows, const void *context) {
  uint64_t total = consensus_total(consensus, position);
  for (int draw = 0; draw < DRAWS && total > 0; draw++) {
    const struct relay_entry *entry = consensus_pick(consensus, position, random_below(random, total));
    if (entry != NULL && allows(context, entry)) return entry;
  }
  return pick_among_few(consensus, random, position, allows, context);
}

/* [PATH-3] What the exit must allow, but for whom it may stand with. */
static bool exit_serves(const struct path_request *request, const struct relay_entry *entry) {
  if (!has_flags(entry, RELAY_EXIT) || entry->exit_summary == NULL || path_avoids(request->exits, entry->identity)) return false;
  if (request->port == 0) return entry->exit_summary->range_count > 0;
  return exit_summary_may_connect(entry->exit_summary, request->port, request->is_private);
}

static bool exit_allowed(const void *context, const struct relay_entry *entry) {
  const struct path_request *request = context;
  return exit_serves(request, entry) && !path_conflict(entry, request->guard, request->is_lab);
}

struct middle_choice { const struct path_request *request; const struct relay_entry *exit; };

static bool middle_allowed(const void *context, const struct relay_entry *entry) {
  const struct middle_choice *choice = context;
  return has_flags(entry, 0) && !path_avoids(choice->request->middles, entry->identity) &&
         !path_conflict(entry, choice->exit, choice->request->is_lab) &&
         !path_conflict(entry, choice->request->guard, choice->request->is_lab);
}

static enum outcome why_no_exit(const struct consensus *consensus, const struct path_request *request) {
  for (uint32_t i = 0; i < consensus_count(consensus); i++)
    if (exit_serves(request, consensus_at(consensus, i))) return OUTCOME_NOT_ENOUGH_RELAYS;
  return OUTCOME_NO_EXIT_FOR_PORT;
}

static bool half_allow(const struct consensus *consensus, uint16_t port, bool is_private) {
  const struct path_request request = {.port = port, .is_private = is_private};
  uint64_t all = 0, allowed = 0;
  for (uint32_t i = 0; i < consensus_count(consensus); i++) {
    const struct relay_entry *entry = consensus_at(consensus, i);
    if (!has_flags(entry, RELAY_EXIT) || entry->exit_summary == NULL) continue;
    uint64_t weight = relay_entry_weight(consensus, entry, POSITION_EXIT);
    all += weight;
    if (exit_serves(&request, entry)) allowed += weight;
  }
  return allowed >= all - allowed;
}

bool path_port_is_common(struct path_ports *ports, const struct consensus *consensus, uint16_t port, bool is_private) {
  const uint8_t *digest = consensus_header(consensus)->digest;
  if (port == 0) return true;
  if (memcmp(ports->consensus, digest, DIGEST_BYTES) != 0) {
    *ports = (struct path_ports){0};
    memcpy(ports->consensus, digest, DIGEST_BYTES);
  }
  for (uint32_t i = 0; i < PATH_PORTS_KNOWN; i++)
    if (ports->known[i].port == port && ports->known[i].is_private == is_private) return ports->known[i].is_common;
  bool is_common = half_allow(consensus, port, is_private);
  uint32_t place = ports->asked++ % PATH_PORTS_KNOWN;
  ports->known[place].port = port;
  ports->known[place].is_private = is_private;
  ports->known[place].is_common = is_common;
  return is_common;
}

enum outcome path_choose(const struct consensus *consensus, struct random_stream *random, const struct path_request *request,
                         struct path *ret) {
  const struct relay_entry *exit = path_pick(consensus, random, POSITION_EXIT, exit_allowed, request);
  if (exit == NULL) return why_no_exit(consensus, request);
  struct middle_choice choice = {request, exit};
  const struct relay_entry *middle = path_pick(consensus, random, POSITION_MIDDLE, middle_allowed, &choice);
  if (middle == NULL) return OUTCOME_NOT_ENOUGH_RELAYS;
  *ret = (struct path){{request->guard, middle, exit}};
  return OUTCOME_OK;
}
