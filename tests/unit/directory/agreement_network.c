/* Authorities, liars, disks and a bad network, in virtual time. */
#include "tests/unit/directory/agreement_network.h"

#include <stdio.h>
#include <stdlib.h>

#include "directory/agreement_check.h"
#include "protocol/random.h"
#include "tests/unit/directory/agreement_witness.h"

enum { NODES_MAX = LIMIT_AUTHORITIES, MACHINES = 2, SEEN_MAX = 256, DATE_START = 1000000 };

enum event_name { EVENT_DELIVER, EVENT_ON_DISK, EVENT_CRASH, EVENT_VOTE_MADE, EVENT_VOTE_HERE, EVENT_ADOPT, EVENT_RESTART, EVENT_TICK, EVENT_MISCHIEF };

struct sim_event {
  instant at;
  uint64_t order;
  enum event_name name;
  uint8_t node, from;
  uint8_t twin;
  uint32_t life;              /* of the node, when it was caused: a crash voids what it had under way */
  struct document *document;  /* DELIVER */
  uint64_t number;            /* ON_DISK: version. VOTE_MADE: epoch. TICK: unused */
  uint32_t round;
  uint8_t hash[DIGEST_BYTES]; /* VOTE_HERE */
  struct agreement_certificate certificate; /* ADOPT */
  struct date valid_after;
};

struct sim_node {
  bool is_liar, is_down;
  uint32_t life;
  struct agreement *machines[MACHINES]; /* the second only for a liar with twins */
  uint32_t audience;                    /* of the first twin: bit i; the rest listens to the second */
  instant tick_at[MACHINES];
  uint8_t seed[32];
  int64_t clock_offset;
  /* The disk. */
  uint8_t record[AGREEMENT_MESSAGE_MAX_BYTES * 2], writing[AGREEMENT_MESSAGE_MAX_BYTES * 2];
  size_t record_len, writing_len;
  bool has_record, is_record_lost;
  struct agreement_certificate decided;
  struct date decided_valid_after;
  struct witness_votes held;
  uint32_t accused;
};

struct agreement_network {
  struct agreement_network_options options;
  struct agreement_members members;
  struct random_stream random;
  struct sim_node nodes[NODES_MAX];
  struct witness *witness;
  instant now;
  uint64_t order, events;
  struct sim_event *heap;
  uint32_t heap_count, heap_room;
  uint32_t split; /* bit i: on the one side of the partition */
  instant split_ends;
  uint32_t lost_left;
  struct document *seen[SEEN_MAX]; /* what liars can replay */
  uint8_t genesis[DIGEST_BYTES];
};

/* Events in order of time, then of cause. */

static bool is_before(const struct sim_event *a, const struct sim_event *b) { return a->at != b->at ? a->at < b->at : a->order < b->order; }

static void schedule(struct agreement_network *net, struct sim_event event) {
  if (net->heap_count == net->heap_room) {
    net->heap_room = net->heap_room ? net->heap_room * 2 : 256;
    net->heap = realloc(net->heap, net->heap_room * sizeof *net->heap);
    if (!net->heap) abort();
  }
  event.order = net->order++;
  uint32_t at = net->heap_count++;
  for (; at > 0 && is_before(&event, &net->heap[(at - 1) / 2]); at = (at - 1) / 2) net->heap[at] = net->heap[(at - 1) / 2];
  net->heap[at] = event;
}

static struct sim_event take_first(struct agreement_network *net) {
  struct sim_event first = net->heap[0], last = net->heap[--net->heap_count];
  uint32_t at = 0;
  for (;;) {
    uint32_t child = 2 * at + 1;
    if (child >= net->heap_count) break;
    if (child + 1 < net->heap_count && is_before(&net->heap[child + 1], &net->heap[child])) child++;
    if (!is_before(&net->heap[child], &last)) break;
    net->heap[at] = net->heap[child];
    at = child;
  }
  net->heap[at] = last;
  return first;
}

static uint64_t below(struct agreement_network *net, uint64_t bound) { return random_below(&net->random, bound); }
static bool chance(struct agreement_network *net, uint32_t per_mille) { return below(net, 1000) < per_mille; }
static bool is_storm(const struct agreement_network *net) { return net->now < net->options.storm_ends; }

static instant arrival(struct agreement_network *net) {
  uint64_t most = is_storm(net) ? net->options.storm_delay : net->options.calm_delay;
  return instant_after(net->now, 1 + below(net, most));
}

static bool are_apart(struct agreement_network *net, uint8_t a, uint8_t b) {
  if (!is_storm(net) || !net->options.storm_splits) return false;
  if (net->now >= net->split_ends) {
    net->split = (uint32_t)below(net, 4) == 0 ? 0 : random_u32(&net->random);
    net->split_ends = instant_after(net->now, 1 + below(net, 4 * net->options.timing.view_most));
  }
  return (net->split >> a & 1) != (net->split >> b & 1);
}

static void remember_for_replay(struct agreement_network *net, struct document *document) {
  if (!(net->options.habits & LIAR_REPLAYS)) return;
  struct document **place = &net->seen[below(net, SEEN_MAX)];
  struct document *before = *place;
  *place = document_take(document); /* first: it may be the one that is there */
  document_release(before);
}

static void transmit(struct agreement_network *net, uint8_t from, uint8_t to, struct document *document) {
  remember_for_replay(net, document);
  if (is_storm(net) && (are_apart(net, from, to) || below(net, 100) < net->options.storm_loss_percent)) return;
  instant at = arrival(net);
  if (net->nodes[from].is_liar && net->options.habits & LIAR_LATE) at = instant_after(at, below(net, 6 * net->options.timing.view_most));
  schedule(net, (struct sim_event){.at = at, .name = EVENT_DELIVER, .node = to, .from = from, .document = document_take(document)});
}

/* The owner of each machine */

static bool holds_vote(void *context, uint64_t epoch, const uint8_t previous[DIGEST_BYTES], const struct agreement_vote *vote) {
  return witness_votes_hold(context, epoch, previous, vote);
}

static void start_machine(struct agreement_network *net, uint8_t place, uint32_t twin) {
  struct sim_node *node = &net->nodes[place];
  struct agreement_config config = {.members = net->members, .own = place, .seed = node->seed, .timing = net->options.timing};
  config.tally = (struct agreement_tally){.context = &node->held, .holds = holds_vote, .count = witness_count};
  config.ballot_state = node->is_record_lost ? AGREEMENT_BALLOT_LOST : node->has_record ? AGREEMENT_BALLOT_READ : AGREEMENT_BALLOT_NEW;
  config.ballot = node->record;
  config.ballot_len = node->record_len;
  config.decided = node->decided;
  config.decided_valid_after = node->decided_valid_after;
  config.clock = (struct wall_clock){.at = net->now, .date = {DATE_START + (int64_t)(net->now / MILLISECONDS) + node->clock_offset}};
  memcpy(config.genesis, net->genesis, DIGEST_BYTES);
  enum outcome outcome;
  node->machines[twin] = agreement_new(&config, net->now, &outcome);
  if (!node->machines[twin]) witness_fail(net->witness, "a machine does not start");
  node->tick_at[twin] = 0;
}

static void crash(struct agreement_network *net, uint8_t place) {
  struct sim_node *node = &net->nodes[place];
  agreement_free(node->machines[0]);
  node->machines[0] = NULL;
  node->is_down = true;
  node->life++;
  /* The record on disk is the old one or the new one, never half of each. */
  if (below(net, 2)) {
    memcpy(node->record, node->writing, node->writing_len);
    node->record_len = node->writing_len;
    node->has_record = true;
    node->is_record_lost = false;
  }
  if (net->lost_left > 0 && node->decided.epoch > 0 && below(net, 2)) {
    net->lost_left--;
    node->is_record_lost = true;
    if (below(net, 2)) node->decided = (struct agreement_certificate){0}; /* and all else on that disk */
    witness_forget_epoch(net->witness, place);
  }
  instant back = instant_after(net->now, below(net, 2 * net->options.timing.view_most));
  schedule(net, (struct sim_event){.at = instant_earlier(back, net->options.storm_ends), .name = EVENT_RESTART, .node = place});
}

static bool is_audience(const struct sim_node *node, uint32_t twin, uint32_t to) { return (node->audience >> to & 1) == (twin == 0); }

static void send(struct agreement_network *net, uint8_t place, uint32_t twin, const struct agreement_effect *effect) {
  struct sim_node *node = &net->nodes[place];
  if (!node->is_liar) witness_said(net->witness, place, effect->document);
  if (node->is_liar && net->options.habits & LIAR_SILENT) return;
  for (uint32_t to = 0; to < net->members.n; to++) {
    bool is_meant = effect->to == AGREEMENT_EVERYONE ? to != place : to == effect->to;
    if (is_meant && (!node->machines[1] || is_audience(node, twin, to))) transmit(net, place, (uint8_t)to, effect->document);
  }
}

/* A document comes from whom was asked, if it can be reached and has it; else from anyone who can. */
static void fetch_vote(struct agreement_network *net, uint8_t place, const struct agreement_effect *effect) {
  for (uint32_t i = 0; i < net->members.n; i++) {
    uint32_t from = effect->to < net->members.n ? (effect->to + i) % net->members.n : i;
    struct sim_node *other = &net->nodes[from];
    if (from == place || other->is_down || are_apart(net, place, (uint8_t)from)) continue;
    if (other->is_liar && net->options.habits & (LIAR_SILENT | LIAR_LATE)) continue;
    if (!witness_votes_have(&other->held, effect->hash)) continue;
    struct sim_event event = {.at = arrival(net), .name = EVENT_VOTE_HERE, .node = place, .life = net->nodes[place].life};
    memcpy(event.hash, effect->hash, DIGEST_BYTES);
    schedule(net, event);
    return;
  }
}

static void fetch_consensus(struct agreement_network *net, uint8_t place) {
  const struct sim_node *best = NULL;
  for (uint32_t i = 0; i < net->members.n; i++) {
    const struct sim_node *other = &net->nodes[i];
    if (i == place || other->is_down || other->is_liar || are_apart(net, place, (uint8_t)i)) continue;
    if (!best || other->decided.epoch > best->decided.epoch) best = other;
  }
  if (!best || best->decided.epoch <= net->nodes[place].decided.epoch) return;
  schedule(net, (struct sim_event){.at = arrival(net), .name = EVENT_ADOPT, .node = place, .life = net->nodes[place].life,
                                   .certificate = best->decided, .valid_after = best->decided_valid_after});
}

static void write_record(struct agreement_network *net, uint8_t place, uint32_t twin, const struct agreement_effect *effect) {
  struct sim_node *node = &net->nodes[place];
  if (document_len(effect->document) > sizeof node->writing) abort();
  node->writing_len = document_len(effect->document);
  memcpy(node->writing, document_bytes(effect->document), node->writing_len);
  if (!node->is_liar && is_storm(net) && chance(net, net->options.crash_per_mille)) {
    /* At any moment until the record would have been on disk: what must not leave before would have left by then. */
    schedule(net, (struct sim_event){.at = instant_after(net->now, below(net, MILLISECONDS)), .name = EVENT_CRASH, .node = place, .life = node->life});
    return;
  }
  schedule(net, (struct sim_event){.at = instant_after(net->now, 1 + below(net, 2 * MILLISECONDS)), .name = EVENT_ON_DISK, .node = place,
                                   .twin = (uint8_t)twin, .life = node->life, .number = effect->version});
}

static void decide(struct agreement_network *net, uint8_t place, uint32_t twin, const struct agreement_effect *effect) {
  struct sim_node *node = &net->nodes[place];
  if (!node->is_liar) witness_decided(net->witness, &effect->certificate, effect->kind == AGREEMENT_DECIDED ? &effect->vector : NULL);
  if (effect->kind == AGREEMENT_BEHIND) {
    fetch_consensus(net, place);
    return;
  }
  schedule(net, (struct sim_event){.at = instant_after(net->now, 1 + below(net, 2 * MILLISECONDS)), .name = EVENT_ADOPT, .node = place,
                                   .twin = (uint8_t)twin, .life = node->life, .certificate = effect->certificate,
                                   .valid_after = effect->valid_after});
}

static void apply(struct agreement_network *net, uint8_t place, uint32_t twin, const struct agreement_effect *effect) {
  switch (effect->kind) {
  case AGREEMENT_WRITE_BALLOT: write_record(net, place, twin, effect); break;
  case AGREEMENT_SEND: send(net, place, twin, effect); break;
  case AGREEMENT_FETCH: fetch_vote(net, place, effect); break;
  case AGREEMENT_WANT_VOTE:
    schedule(net, (struct sim_event){.at = instant_after(net->now, 1 + below(net, 10 * MILLISECONDS)), .name = EVENT_VOTE_MADE, .node = place,
                                     .twin = (uint8_t)twin, .life = net->nodes[place].life, .number = effect->epoch, .round = effect->round});
    break;
  case AGREEMENT_DECIDED:
  case AGREEMENT_BEHIND: decide(net, place, twin, effect); break;
  case AGREEMENT_ACCUSE:
    if (!net->nodes[effect->to].is_liar) witness_fail(net->witness, "an honest authority is accused");
    net->nodes[place].accused |= UINT32_C(1) << effect->to;
    break;
  }
}

static void settle(struct agreement_network *net, uint8_t place, uint32_t twin) {
  struct sim_node *node = &net->nodes[place];
  struct agreement_effect effect;
  uint32_t life = node->life;
  while (node->life == life && node->machines[twin] && agreement_next_effect(node->machines[twin], &effect)) {
    apply(net, place, twin, &effect);
    document_release(effect.document);
  }
  if (!node->machines[twin]) return;
  instant at = agreement_deadline(node->machines[twin]);
  if (at == INSTANT_NEVER || (node->tick_at[twin] > net->now && node->tick_at[twin] <= at)) return;
  node->tick_at[twin] = at > net->now ? at : net->now + 1;
  schedule(net, (struct sim_event){.at = node->tick_at[twin], .name = EVENT_TICK, .node = place, .twin = (uint8_t)twin, .life = node->life});
}

/* Liars */

static void send_to_some(struct agreement_network *net, uint8_t liar, struct document *document, uint32_t to) {
  for (uint32_t i = 0; i < net->members.n; i++) {
    if (to >> i & 1 && i != liar) transmit(net, liar, (uint8_t)i, document);
  }
  document_release(document);
}

/* Prepares and signs whatever it hears of. */
static void agree_with(struct agreement_network *net, uint8_t liar, const struct sim_event *event) {
  struct document *said[2];
  const uint8_t *seed = net->nodes[liar].seed;
  if (!liar_agree(&net->members, liar, seed, document_bytes(event->document), document_len(event->document), said)) return;
  uint32_t to = below(net, 3) ? UINT32_MAX : random_u32(&net->random);
  for (uint32_t i = 0; i < 2; i++) send_to_some(net, liar, said[i], to);
}

static void mischief(struct agreement_network *net, uint8_t liar) {
  uint32_t habits = net->options.habits;
  struct agreement_summary summary;
  agreement_summarise(net->nodes[liar].machines[0], &summary);
  if (habits & LIAR_RUBBISH) {
    struct document *rubbish = liar_rubbish(net->seen[below(net, SEEN_MAX)], &net->random);
    transmit(net, liar, (uint8_t)below(net, net->members.n), rubbish);
    document_release(rubbish);
  }
  if (habits & LIAR_REPLAYS) {
    struct document *old = net->seen[below(net, SEEN_MAX)];
    if (old) {
      document_take(old);
      transmit(net, liar, (uint8_t)below(net, net->members.n), old);
      document_release(old);
    }
  }
  if (habits & LIAR_HASTY) {
    struct document *timeout = liar_hurry(&net->members, liar, net->nodes[liar].seed, summary.epoch, summary.view, &net->random);
    send_to_some(net, liar, timeout, random_u32(&net->random));
  }
  instant at = instant_after(net->now, 1 + below(net, net->options.timing.view_first));
  schedule(net, (struct sim_event){.at = at, .name = EVENT_MISCHIEF, .node = liar});
}

/* What happens */

static void make_vote(struct agreement_network *net, const struct sim_event *event) {
  struct sim_node *node = &net->nodes[event->node];
  struct date date = {DATE_START + (int64_t)(net->now / MILLISECONDS) + node->clock_offset};
  uint8_t hash[DIGEST_BYTES];
  if (!witness_make_vote(net->witness, &node->held, event->node, event->twin, event->number, event->round, date, hash)) return;
  agreement_give_vote(node->machines[event->twin], net->now, event->number, event->round, hash);
}

static void adopt(struct agreement_network *net, const struct sim_event *event) {
  struct sim_node *node = &net->nodes[event->node];
  if (event->certificate.epoch > node->decided.epoch) {
    node->decided = event->certificate;
    node->decided_valid_after = event->valid_after;
  }
  if (!node->is_liar) witness_adopted(net->witness, event->node, &event->certificate);
  for (uint32_t twin = 0; twin < MACHINES; twin++) {
    if (node->machines[twin]) agreement_adopt_decided(node->machines[twin], net->now, &event->certificate, event->valid_after);
  }
}

static void deliver(struct agreement_network *net, const struct sim_event *event) {
  struct sim_node *node = &net->nodes[event->node];
  const uint8_t *bytes = document_bytes(event->document);
  size_t len = document_len(event->document);
  if (node->is_liar && net->options.habits & LIAR_AGREEABLE) agree_with(net, event->node, event);
  for (uint32_t twin = 0; twin < MACHINES; twin++) {
    if (!node->machines[twin]) continue;
    /* Between two honest authorities nothing is ever broken; only old or doubled. */
    enum outcome outcome = agreement_receive(node->machines[twin], net->now, event->from, bytes, len);
    if (outcome == OUTCOME_DIRECTORY_SPLIT) witness_fail(net->witness, "two valid consensuses of one epoch");
    bool is_between_honest = !node->is_liar && !net->nodes[event->from].is_liar;
    if (is_between_honest && outcome != OUTCOME_OK && outcome != OUTCOME_STALE) witness_fail(net->witness, "an honest message is refused");
  }
}

static void restart(struct agreement_network *net, uint8_t place) {
  net->nodes[place].is_down = false;
  start_machine(net, place, 0);
  for (uint32_t i = 0; i < net->members.n && net->nodes[place].machines[0]; i++) {
    if (i != place) agreement_link_opened(net->nodes[place].machines[0], net->now, (uint8_t)i);
  }
}

static void happen(struct agreement_network *net, const struct sim_event *event) {
  struct sim_node *node = &net->nodes[event->node];
  bool is_void = event->life != node->life && event->name != EVENT_DELIVER && event->name != EVENT_RESTART && event->name != EVENT_MISCHIEF;
  if (is_void || (node->is_down && event->name != EVENT_RESTART)) return;
  struct agreement *m = node->machines[event->twin];
  switch (event->name) {
  case EVENT_DELIVER: deliver(net, event); break;
  case EVENT_ON_DISK:
    memcpy(node->record, node->writing, node->writing_len);
    node->record_len = node->writing_len;
    node->has_record = true;
    node->is_record_lost = false;
    agreement_ballot_written(m, net->now, event->number);
    break;
  case EVENT_CRASH: crash(net, event->node); break;
  case EVENT_VOTE_MADE: make_vote(net, event); break;
  case EVENT_VOTE_HERE:
    witness_votes_add(&node->held, net->witness, event->hash);
    for (uint32_t twin = 0; twin < MACHINES; twin++) {
      if (node->machines[twin]) agreement_vote_arrived(node->machines[twin], net->now);
    }
    break;
  case EVENT_ADOPT: adopt(net, event); break;
  case EVENT_RESTART: restart(net, event->node); break;
  case EVENT_TICK:
    if (node->tick_at[event->twin] != event->at) return;
    agreement_tick(m, net->now);
    break;
  case EVENT_MISCHIEF: mischief(net, event->node); break;
  }
  for (uint32_t twin = 0; twin < MACHINES; twin++) settle(net, event->node, twin);
}

static bool step(struct agreement_network *net, instant until) {
  if (agreement_network_failure(net) || net->heap_count == 0 || net->heap[0].at > until) return false;
  struct sim_event event = take_first(net);
  net->now = event.at;
  net->events++;
  happen(net, &event);
  document_release(event.document);
  return true;
}

void agreement_network_run(struct agreement_network *net, instant until) {
  while (step(net, until)) continue;
  if (net->now < until) net->now = until;
}

bool agreement_network_run_to_epoch(struct agreement_network *net, uint64_t epoch, instant until) {
  while (agreement_network_lowest(net) < epoch) {
    if (!step(net, until)) return false;
  }
  return !agreement_network_failure(net);
}

struct agreement_network *agreement_network_new(const struct agreement_network_options *options, uint64_t seed) {
  struct agreement_network *net = calloc(1, sizeof *net);
  if (!net || !crypto_start()) abort();
  net->options = *options;
  net->lost_left = options->lost_records;
  uint8_t bytes[RANDOM_SEED_BYTES] = {0}, network[32], identities[NODES_MAX][IDENTITY_BYTES];
  memcpy(bytes, &seed, sizeof seed);
  random_init(&net->random, bytes);
  random_bytes(&net->random, network, sizeof network);
  random_bytes(&net->random, net->genesis, sizeof net->genesis);
  for (uint32_t i = 0; i < options->n; i++) {
    struct sim_node *node = &net->nodes[i];
    random_bytes(&net->random, node->seed, sizeof node->seed);
    ed25519_public(identities[i], node->seed);
    node->clock_offset = (int64_t)below(net, 400) - 200;
    node->audience = random_u32(&net->random);
  }
  agreement_members_init(&net->members, network, 1, options->n, (const uint8_t(*)[IDENTITY_BYTES])identities);
  uint32_t first = (uint32_t)below(net, options->n);
  for (uint32_t i = 0; i < options->liars; i++) net->nodes[(first + i) % options->n].is_liar = true;
  net->witness = witness_new(&net->members, options->liars, net->genesis);
  for (uint32_t i = 0; i < options->n; i++) {
    bool has_twin = net->nodes[i].is_liar && options->habits & LIAR_TWINS;
    start_machine(net, (uint8_t)i, 0);
    if (has_twin) start_machine(net, (uint8_t)i, 1);
    if (net->nodes[i].is_liar) schedule(net, (struct sim_event){.at = 1, .name = EVENT_MISCHIEF, .node = (uint8_t)i});
    for (uint32_t twin = 0; twin < MACHINES; twin++) settle(net, (uint8_t)i, twin);
  }
  return net;
}

void agreement_network_free(struct agreement_network *net) {
  for (uint32_t i = 0; i < net->members.n; i++) {
    for (uint32_t twin = 0; twin < MACHINES; twin++) agreement_free(net->nodes[i].machines[twin]);
    witness_votes_free(&net->nodes[i].held);
  }
  for (uint32_t i = 0; i < net->heap_count; i++) document_release(net->heap[i].document);
  for (uint32_t i = 0; i < SEEN_MAX; i++) document_release(net->seen[i]);
  witness_free(net->witness);
  free(net->heap);
  free(net);
}

const char *agreement_network_failure(const struct agreement_network *net) { return witness_failure(net->witness); }
instant agreement_network_now(const struct agreement_network *net) { return net->now; }
uint64_t agreement_network_events(const struct agreement_network *net) { return net->events; }
const struct agreement *agreement_network_machine(const struct agreement_network *net, uint8_t place) { return net->nodes[place].machines[0]; }
uint32_t agreement_network_voters(const struct agreement_network *net, uint64_t epoch) { return witness_voters(net->witness, epoch); }

uint64_t agreement_network_lowest(const struct agreement_network *net) {
  uint64_t lowest = UINT64_MAX;
  for (uint32_t i = 0; i < net->members.n; i++) {
    if (!net->nodes[i].is_liar && net->nodes[i].decided.epoch < lowest) lowest = net->nodes[i].decided.epoch;
  }
  return lowest;
}

uint64_t agreement_network_highest(const struct agreement_network *net) {
  uint64_t highest = 0;
  for (uint32_t i = 0; i < net->members.n; i++) {
    if (!net->nodes[i].is_liar && net->nodes[i].decided.epoch > highest) highest = net->nodes[i].decided.epoch;
  }
  return highest;
}

uint32_t agreement_network_accusers(const struct agreement_network *net, uint8_t author) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < net->members.n; i++) count += !net->nodes[i].is_liar && (net->nodes[i].accused >> author & 1);
  return count;
}

void agreement_network_want_early(struct agreement_network *net, uint8_t place) {
  if (!net->nodes[place].machines[0]) return;
  agreement_want_early(net->nodes[place].machines[0], net->now, true);
  settle(net, place, 0);
}
