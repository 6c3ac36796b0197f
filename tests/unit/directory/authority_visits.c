/* [LIMIT-8] How long a stranger's link to an authority stays. */
#include <criterion/criterion.h>

#include "authority_place.h"
#include "tests/unit/seed.h"

enum { LISTED = 3000 };

static struct place place;
static struct random_stream rng;
static struct memory_budget budget;
static struct trunk_pool pool;
static struct link_self self;
static struct trunk *visitor;
static struct id visit;

/* A consensus that takes minutes to hand out. */
static void hold_large_consensus(void) {
  static struct relay_entry entries[LISTED];
  static struct exit_summary summaries[LISTED];
  struct consensus_header header;
  enum outcome outcome;
  sample_entries(entries, summaries, LISTED);
  struct document *text = sample_consensus(&place.networks[0], &header, entries, LISTED, FEW, 0);
  struct consensus *consensus = consensus_parse(&place.networks[0], document_bytes(text), document_len(text), &outcome, NULL);
  cr_assert(consensus, "%s", outcome_name(outcome));
  consensus_archive_add(&place.authority->archive, consensus);
  consensus_release(consensus);
  document_release(text);
}

static void begin(const char *test) {
  struct link_peer peer = {.suites = 2};
  struct address address = {.family = ADDRESS_IPV4, .bytes = {8, 8, 8, 8}, .port = 4000};
  uint8_t seed[32];
  rng = test_random(test);
  place_make(&place, 0, MEMBERS);
  sample_authority_seed(seed, 0);
  x25519_public(place.self.link_public, seed);
  place.self.suites = 2;
  place_start(&place, AGREEMENT_BALLOT_NEW, NULL);
  hold_large_consensus();
  memory_budget_init(&budget, 64 << 20);
  trunk_pool_init(&pool, cell_pool_new(&budget, 1024), &rng);
  self = (struct link_self){.suites = 2};
  memcpy(self.network, place.self.network, sizeof self.network);
  memcpy(peer.identity, place.self.identity, IDENTITY_BYTES);
  memcpy(peer.link_key, place.self.link_public, X25519_BYTES);
  struct machine machine = authority_machine(place.authority);
  visit = machine.verbs->accept(machine.self, place.now, CONNECTION_LINK, &address);
  cr_assert_not(id_is_none(visit));
  visitor = trunk_new(&pool, link_new_initiator(&self, &peer, LINK_FROM_CLIENT, &rng), (struct id){1, 1}, 1, 0);
  cr_assert(visitor);
}

static void end(void) {
  trunk_free(visitor);
  cell_pool_free(pool.cells);
  place_end(&place);
}

static bool is_there(void) { return id_table_get(&place.authority->connections, visit) != NULL; }

static void work(void) {
  struct link *link = trunk_link(visitor);
  while (link_needs_work(link)) cr_assert_eq(link_work(link, place.now), OUTCOME_OK);
}

static void say(void) {
  static uint8_t bytes[1 << 14];
  struct machine machine = authority_machine(place.authority);
  work();
  size_t len = trunk_transmit(visitor, place.now, bytes, sizeof bytes);
  for (size_t at = 0, used = 1; at < len && used > 0; at += used)
    cr_assert_eq(machine.verbs->receive(machine.self, place.now, visit, bytes + at, len - at, &used), OUTCOME_OK);
  while (machine.verbs->work(machine.self, place.now)) continue;
}

/* Takes as much; returns how much there was. */
static size_t hear(size_t most) {
  static uint8_t bytes[1 << 14];
  struct machine machine = authority_machine(place.authority);
  enum outcome outcome = OUTCOME_OK;
  struct delivery delivery;
  size_t len = machine.verbs->transmit(machine.self, place.now, visit, bytes, most < sizeof bytes ? most : sizeof bytes);
  for (size_t at = 0, used = 1; at < len && used > 0; at += used) {
    work();
    cr_assert_eq(trunk_receive(visitor, place.now, bytes + at, len - at, &used), OUTCOME_OK);
    while (trunk_next_delivery(visitor, place.now, &delivery, &outcome))
      if (delivery.kind == DELIVERY_TRANSFER) document_release(delivery.transfer.document);
  }
  return len;
}

/* How many seconds a link stays that takes so many bytes in each, and asks again while it has asked less often than that. */
static uint32_t seconds_of_visit(uint32_t bytes_per_s, uint32_t documents) {
  size_t allowed = 0;
  begin("a visit");
  for (int i = 0; i < 4; i++) {
    say();
    hear(SIZE_MAX);
  }
  cr_assert_eq(link_state(trunk_link(visitor)), LINK_OPEN);
  for (uint32_t second = 0;; second++) {
    if (transfers_pending(trunk_transfers(visitor)) == 0 && documents > 0) {
      documents--;
      cr_assert_neq(transfers_get(trunk_transfers(visitor), &(struct transfer_request){.kind = TRANSFER_CONSENSUS}, LIMIT_CONSENSUS_PACKED_BYTES), 0);
    }
    say();
    allowed += bytes_per_s;
    allowed -= hear(allowed);
    place_run(&place, SECONDS);
    if (is_there()) continue;
    uint32_t left = transfers_pending(trunk_transfers(visitor));
    cr_expect_eq(left, documents > 0 || bytes_per_s < LIMIT_TRANSFER_LEAST_RATE, "what was asked for came");
    end();
    return second;
  }
}

static const uint32_t IDLE = LIMIT_LINK_IDLE_TIME / SECONDS;

Test(authority_visits, who_asks_nothing_makes_room) { cr_expect_leq(seconds_of_visit(3000, 0), IDLE); }

Test(authority_visits, a_document_over_a_slow_line_comes_whole) {
  uint32_t seconds = seconds_of_visit(3000, 2);
  cr_expect_geq(seconds, IDLE + 1);
  cr_expect_leq(seconds, 3 * IDLE);
}

Test(authority_visits, who_takes_it_too_slowly_makes_room) { cr_expect_leq(seconds_of_visit(500, 1), 2 * IDLE); }

Test(authority_visits, who_asks_again_and_again_makes_room_at_last) {
  cr_expect_leq(seconds_of_visit(3000, UINT32_MAX), LIMIT_VISIT_TIME / SECONDS + 1);
}
