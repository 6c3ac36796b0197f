/* Two trunks joined by a pipe: circuits begin, carry cells within their credit, close; and a link that is wholly
 * blocked both ways goes on when it is let go. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/limits.h"
#include "protocol/trunk.h"
#include "tests/unit/protocol/failing_allocator.h"

enum { POOL_CELLS = 8192, PIPE_BYTES = 64 * 1024, CIRCUITS = 60 };

struct end {
  struct random_stream random;
  struct memory_budget budget;
  struct cell_pool *cells;
  struct trunk_pool pool;
  struct link_self self;
  struct trunk *trunk;
  struct trunk_side sides[CIRCUITS];
  uint32_t opened, closed, received[CIRCUITS];
  bool holds; /* takes cells and passes nothing on */
  uint32_t held[CIRCUITS];
  uint8_t leftover[PIPE_BYTES * 2];
  size_t leftover_len;
  enum outcome outcome;
};

struct pair { struct end client, relay; instant now; uint8_t reply[CIRCUIT_HANDSHAKE_REPLY_BYTES], request[CIRCUIT_HANDSHAKE_REQUEST_BYTES]; };

static void end_init(struct end *end, uint8_t label) {
  uint8_t seed[RANDOM_SEED_BYTES] = {label};
  memset(end, 0, sizeof *end);
  random_init(&end->random, seed);
  memory_budget_init(&end->budget, SIZE_MAX / 2);
  end->cells = cell_pool_new(&end->budget, POOL_CELLS);
  trunk_pool_init(&end->pool, end->cells, &end->random);
  end->self.suites = 1 << AEAD_CHACHA20_POLY1305;
  for (uint8_t i = 0; i < CIRCUITS; i++) end->sides[i].owner = (struct id){i, 1};
}

static void end_wipe(struct end *end) {
  for (int i = 0; i < CIRCUITS; i++) trunk_detach(&end->sides[i]);
  trunk_free(end->trunk);
  cell_pool_free(end->cells);
}

/* One delivery at the relay's or the client's end. */
static void deliver(struct pair *pair, struct end *end, const struct delivery *delivery) {
  static uint32_t next_free;
  if (delivery->kind == DELIVERY_CREATE) {
    next_free = (delivery->create.generation) % CIRCUITS;
    struct trunk_side *side = &end->sides[next_free];
    cr_assert(trunk_attach(end->trunk, side, delivery->circuit, pair->now));
    cr_assert(trunk_answer(side, pair->now, pair->reply));
    end->opened++;
  } else if (delivery->kind == DELIVERY_CREATED) {
    cr_assert_eq(memcmp(delivery->reply, pair->reply, sizeof pair->reply), 0);
    trunk_opened(delivery->side, pair->now);
    end->opened++;
  } else if (delivery->kind == DELIVERY_ONION) {
    uint32_t i = delivery->side->owner.slot;
    cr_assert_eq(get_u32(delivery->body), end->received[i], "cells of a circuit keep their order");
    end->received[i]++;
    if (end->holds) end->held[i]++;
    else trunk_passed(delivery->side, pair->now);
  } else if (delivery->kind == DELIVERY_CLOSED) {
    end->closed++;
  }
}

/* What one end has to send, to the other; returns how many bytes moved. */
static size_t carry(struct pair *pair, struct end *from, struct end *to) {
  if (link_needs_work(trunk_link(from->trunk))) cr_assert_eq(link_work(trunk_link(from->trunk), pair->now), OUTCOME_OK);
  uint8_t *at = to->leftover;
  size_t len = trunk_transmit(from->trunk, pair->now, at + to->leftover_len, PIPE_BYTES);
  to->leftover_len += len;
  size_t used = 1;
  while (used > 0 && to->leftover_len > 0 && to->outcome == OUTCOME_OK) {
    to->outcome = trunk_receive(to->trunk, pair->now, at, to->leftover_len, &used);
    struct delivery delivery;
    while (to->outcome == OUTCOME_OK && trunk_next_delivery(to->trunk, pair->now, &delivery, &to->outcome)) deliver(pair, to, &delivery);
    memmove(at, at + used, to->leftover_len - used);
    to->leftover_len -= used;
    if (link_needs_work(trunk_link(to->trunk))) cr_assert_eq(link_work(trunk_link(to->trunk), pair->now), OUTCOME_OK);
  }
  return len;
}

static void settle(struct pair *pair) {
  for (int quiet = 0, turns = 0; quiet < 3 && turns < 20000; turns++) {
    pair->now += MILLISECONDS / 4;
    size_t moved = carry(pair, &pair->client, &pair->relay) + carry(pair, &pair->relay, &pair->client);
    quiet = moved == 0 ? quiet + 1 : 0;
  }
}

static struct pair *pair_new(void) {
  cr_assert(crypto_start());
  struct pair *pair = calloc(1, sizeof *pair);
  cr_assert_not_null(pair);
  pair->now = SECONDS;
  end_init(&pair->client, 1);
  end_init(&pair->relay, 2);
  uint8_t secret[32] = {7};
  struct guarded_key *key = guarded_key_new(secret);
  memset(pair->relay.self.identity, 9, IDENTITY_BYTES);
  x25519_public(pair->relay.self.link_public, secret);
  pair->relay.self.link_secret = key;
  struct link_peer peer = {.suites = 1 << AEAD_CHACHA20_POLY1305};
  memcpy(peer.identity, pair->relay.self.identity, IDENTITY_BYTES);
  memcpy(peer.link_key, pair->relay.self.link_public, X25519_BYTES);
  struct link *initiator = link_new_initiator(&pair->client.self, &peer, LINK_FROM_CLIENT, &pair->client.random);
  struct link *responder = link_new_responder(&pair->relay.self, &pair->relay.random);
  pair->client.trunk = trunk_new(&pair->client.pool, initiator, (struct id){1, 1}, 1, 0);
  pair->relay.trunk = trunk_new(&pair->relay.pool, responder, (struct id){2, 1}, 2, 0);
  cr_assert_not_null(pair->client.trunk);
  cr_assert_not_null(pair->relay.trunk);
  settle(pair);
  cr_assert_eq(link_state(trunk_link(pair->client.trunk)), LINK_OPEN);
  cr_assert_eq(link_state(trunk_link(pair->relay.trunk)), LINK_OPEN);
  return pair;
}

static void pair_free(struct pair *pair) {
  struct guarded_key *key = (struct guarded_key *)(uintptr_t)pair->relay.self.link_secret;
  end_wipe(&pair->client);
  end_wipe(&pair->relay);
  guarded_key_free(key);
  free(pair);
}

/* The generation byte says which of the relay's sides it is to be. */
static void begin(struct pair *pair, uint8_t i) {
  struct cell_create create = {.handshake_type = 1, .generation = i, .place = 0, .request = pair->request};
  cr_assert(trunk_begin(pair->client.trunk, &pair->client.sides[i], pair->now, &create));
}

static void push(struct pair *pair, struct end *end, uint8_t i, uint32_t number) {
  struct cell *cell = cell_pool_take(end->cells);
  cr_assert_not_null(cell);
  memset(cell->bytes, 0, CELL_BYTES);
  put_u32(cell_body(cell->bytes), number);
  trunk_push(&end->sides[i], pair->now, cell, false);
}

Test(trunk, a_circuit_begins_carries_cells_both_ways_and_closes) {
  struct pair *pair = pair_new();
  begin(pair, 0);
  settle(pair);
  cr_assert_eq(pair->client.opened, 1);
  cr_assert_eq(pair->relay.opened, 1);
  for (uint32_t n = 0; n < 500; n++) {
    push(pair, &pair->client, 0, n);
    push(pair, &pair->relay, 0, n);
  }
  settle(pair);
  cr_assert_eq(pair->relay.received[0], 500);
  cr_assert_eq(pair->client.received[0], 500);
  trunk_close(&pair->client.sides[0], pair->now);
  settle(pair);
  cr_assert_eq(pair->relay.closed, 1);
  cr_assert_eq(trunk_side_count(pair->relay.trunk), 0);
  cr_assert_eq(trunk_close_deadline(pair->client.trunk), INSTANT_NEVER, "the answer to CLOSE frees the id");
  cr_assert_eq(cell_pool_used(pair->client.cells) + cell_pool_used(pair->relay.cells), 0);
  pair_free(pair);
}

Test(trunk, a_close_leaves_behind_what_was_queued) {
  struct pair *pair = pair_new();
  begin(pair, 0);
  settle(pair);
  for (uint32_t n = 0; n < 300; n++) push(pair, &pair->client, 0, n);
  trunk_close(&pair->client.sides[0], pair->now);
  settle(pair);
  cr_assert_eq(pair->relay.received[0], 300);
  cr_assert_eq(pair->relay.closed, 1);
  cr_assert_eq(trunk_pool_next_finished(&pair->client.pool), &pair->client.sides[0]);
  pair_free(pair);
}

Test(trunk, both_ends_close_at_once) {
  struct pair *pair = pair_new();
  begin(pair, 0);
  settle(pair);
  trunk_cut(&pair->client.sides[0]);
  trunk_cut(&pair->relay.sides[0]);
  settle(pair);
  cr_assert_eq(pair->client.outcome, OUTCOME_OK);
  cr_assert_eq(pair->relay.outcome, OUTCOME_OK);
  begin(pair, 0);
  settle(pair);
  cr_assert_eq(pair->relay.opened, 2, "the link goes on");
  pair_free(pair);
}

Test(trunk, every_circuit_blocked_both_ways_and_then_released) {
  struct pair *pair = pair_new();
  const uint32_t cells = 90;
  for (uint8_t i = 0; i < CIRCUITS; i++) begin(pair, i);
  settle(pair);
  cr_assert_eq(pair->client.opened, CIRCUITS);
  pair->client.holds = pair->relay.holds = true;
  for (uint8_t i = 0; i < CIRCUITS; i++) {
    for (uint32_t n = 0; n < cells; n++) {
      push(pair, &pair->client, i, n);
      push(pair, &pair->relay, i, n);
    }
  }
  settle(pair);
  uint32_t through = 0;
  for (uint8_t i = 0; i < CIRCUITS; i++) {
    cr_assert_leq(pair->relay.held[i], LIMIT_CREDIT_FIRST_MAX, "no more than was promised");
    cr_assert_geq(pair->relay.held[i], LIMIT_CREDIT_FIRST, "at least what is promised to everyone");
    through += pair->relay.held[i];
  }
  cr_assert_lt(through, CIRCUITS * cells, "they are blocked");
  pair->client.holds = pair->relay.holds = false;
  for (uint8_t i = 0; i < CIRCUITS; i++) {
    while (pair->relay.held[i]-- > 0) trunk_passed(&pair->relay.sides[i], pair->now);
    while (pair->client.held[i]-- > 0) trunk_passed(&pair->client.sides[i], pair->now);
  }
  settle(pair);
  for (uint8_t i = 0; i < CIRCUITS; i++) {
    cr_assert_eq(pair->relay.received[i], cells, "circuit %d: %u", i, pair->relay.received[i]);
    cr_assert_eq(pair->client.received[i], cells);
  }
  pair_free(pair);
}

Test(trunk, a_cell_for_a_circuit_that_is_neither_open_nor_closing_ends_the_link) {
  struct pair *pair = pair_new();
  begin(pair, 0);
  settle(pair);
  pair->relay.sides[0].circuit ^= 1;
  push(pair, &pair->relay, 0, 0);
  settle(pair);
  cr_assert_eq(pair->client.outcome, OUTCOME_PROTOCOL_VIOLATION);
  pair->relay.sides[0].circuit ^= 1;
  pair_free(pair);
}

Test(trunk, a_side_that_can_not_drain_is_cut_in_time) {
  struct pair *pair = pair_new();
  begin(pair, 0);
  settle(pair);
  pair->relay.holds = true;
  for (uint32_t n = 0; n < 200; n++) push(pair, &pair->client, 0, n);
  trunk_close(&pair->client.sides[0], pair->now);
  settle(pair);
  cr_assert_eq(pair->relay.closed, 0);
  instant deadline = trunk_pool_deadline(&pair->client.pool);
  cr_assert_neq(deadline, INSTANT_NEVER);
  pair->now = deadline;
  trunk_pool_tick(&pair->client.pool, pair->now);
  settle(pair);
  cr_assert_eq(pair->relay.closed, 1);
  cr_assert_eq(cell_pool_used(pair->client.cells), 0);
  pair_free(pair);
}

Test(trunk, who_stands_still_longest_is_named_first) {
  struct pair *pair = pair_new();
  begin(pair, 0);
  begin(pair, 1);
  settle(pair);
  pair->relay.holds = true;
  for (uint32_t n = 0; n < 200; n++) push(pair, &pair->client, 0, n);
  settle(pair);
  for (uint32_t n = 0; n < 200; n++) push(pair, &pair->client, 1, n);
  settle(pair);
  struct backlog *longest = trunk_pool_longest_backlog(&pair->client.pool);
  cr_assert_not_null(longest);
  cr_assert_eq(longest->owner.slot, 0);
  pair_free(pair);
}

/* Taking a cell now and then of the many that wait: whoever does that must not outlast all who just stalled. */
Test(trunk, who_takes_a_cell_now_and_then_is_still_the_one_who_stood_longest) {
  struct pair *pair = pair_new();
  begin(pair, 0);
  begin(pair, 1);
  settle(pair);
  pair->relay.holds = true;
  for (uint32_t n = 0; n < 200; n++) push(pair, &pair->client, 0, n);
  settle(pair);
  pair->now += 4 * SECONDS;
  for (uint32_t n = 0; n < 200; n++) push(pair, &pair->client, 1, n);
  settle(pair);
  uint32_t received = pair->relay.received[0];
  for (int i = 0; i < 80; i++) trunk_passed(&pair->relay.sides[0], pair->now);
  settle(pair);
  cr_assert_gt(pair->relay.received[0], received, "it took some");
  struct backlog *longest = trunk_pool_longest_backlog(&pair->client.pool);
  cr_assert_not_null(longest);
  cr_assert_eq(longest->owner.slot, 0);
  pair_free(pair);
}

/* [MSG-3] Each date can write a warning for people to read. */
Test(trunk, a_date_is_told_once) {
  struct pair *pair = pair_new();
  trunk_tell_time(pair->relay.trunk, (struct date){1000});
  settle(pair);
  cr_assert_eq(pair->client.outcome, OUTCOME_OK);
  trunk_tell_time(pair->relay.trunk, (struct date){2000});
  settle(pair);
  cr_assert_eq(pair->client.outcome, OUTCOME_PROTOCOL_VIOLATION);
  pair_free(pair);
}

/* Cells that open circuits are freed by no eviction: who takes none of them holds few, and not for long. */
Test(trunk, a_neighbour_that_takes_nothing_loses_the_link) {
  struct pair *pair = pair_new();
  settle(pair);
  cr_assert_eq(trunk_close_deadline(pair->client.trunk), INSTANT_NEVER);
  struct cell_create create = {.handshake_type = 1, .request = pair->request};
  uint32_t begun = 0;
  struct trunk_side *sides = calloc(POOL_CELLS, sizeof *sides);
  cr_assert_not_null(sides);
  while (begun < POOL_CELLS && trunk_begin(pair->client.trunk, &sides[begun], pair->now, &create)) begun++;
  cr_assert_eq(begun, LIMIT_CONTROL_QUEUED_PER_LINK);
  cr_assert_eq(trunk_close_deadline(pair->client.trunk), pair->now + LIMIT_CLOSE_ANSWER_TIME);
  for (uint32_t i = 0; i < begun; i++) trunk_detach(&sides[i]);
  pair_free(pair);
  free(sides);
}

static void fill(struct pair *pair, uint8_t i, uint32_t from) {
  struct trunk_side *side = &pair->client.sides[i];
  for (uint32_t n = from; trunk_side_room(side) > 0; n++) push(pair, &pair->client, i, n);
  side->wants_room = true;
}

/* [STREAM-17] Closed once it is full, it opens when half of it has left, and says so: nobody would look again by himself. */
Test(trunk, a_full_queue_opens_when_half_of_it_has_left_and_says_so_each_time) {
  struct pair *pair = pair_new();
  struct trunk_side *side = &pair->client.sides[0];
  begin(pair, 0);
  settle(pair);
  pair->relay.holds = true;
  for (uint32_t n = 0; pair->client.sides[0].queue.count < 2; n++) { /* until the credit is used up */
    push(pair, &pair->client, 0, n);
    settle(pair);
  }
  uint32_t begun = pair->relay.received[0];
  for (int round = 0; round < 5; round++) {
    fill(pair, 0, pair->relay.received[0] + side->queue.count);
    cr_assert_eq(side->queue.count, LIMIT_STREAM_QUEUE_CELLS);
    for (int turns = 0; trunk_side_room(side) == 0; turns++) {
      cr_assert_lt(turns, 10000, "it never opens again");
      cr_expect_null(trunk_pool_next_roomy(&pair->client.pool), "no room, and nobody is told of any");
      if (pair->relay.held[0] > 0) {
        pair->relay.held[0]--;
        trunk_passed(&pair->relay.sides[0], pair->now);
      }
      settle(pair);
    }
    cr_expect_leq(side->queue.count, LIMIT_STREAM_QUEUE_CELLS / 2);
    cr_expect_eq(trunk_pool_next_roomy(&pair->client.pool), side);
    cr_expect_null(trunk_pool_next_roomy(&pair->client.pool), "told once");
  }
  cr_expect_gt(pair->relay.received[0], begun);
  pair_free(pair);
}

/* [STREAM-17] What empties a queue at once leaves nothing behind for who comes after. */
Test(trunk, a_side_that_was_cut_while_full_is_open_when_it_carries_another_circuit) {
  struct pair *pair = pair_new();
  struct trunk_side *side = &pair->client.sides[0];
  begin(pair, 0);
  settle(pair);
  fill(pair, 0, 0);
  cr_assert_eq(trunk_side_room(side), 0);
  trunk_cut(side);
  settle(pair);
  cr_expect_null(trunk_pool_next_roomy(&pair->client.pool), "it has no circuit");
  begin(pair, 0);
  settle(pair);
  cr_expect_eq(trunk_side_room(side), LIMIT_STREAM_QUEUE_CELLS);
  pair_free(pair);
}

/* Turns of the wire at one instant: nothing that waits for time to pass is sent. */
static void exchange(struct pair *pair) {
  while (carry(pair, &pair->client, &pair->relay) + carry(pair, &pair->relay, &pair->client) > 0) continue;
}

/* [CREDIT-3] What came in a small piece is reported a little later, and never forgotten. */
Test(trunk, a_report_that_is_not_urgent_waits_for_more_and_then_goes_by_itself) {
  struct pair *pair = pair_new();
  begin(pair, 0);
  settle(pair);
  uint64_t passed = pair->client.sides[0].out.passed;
  for (uint32_t n = 0; n < 6; n++) push(pair, &pair->client, 0, n);
  exchange(pair);
  cr_expect_eq(pair->relay.received[0], 6);
  cr_expect_eq(pair->client.sides[0].out.passed, passed, "not yet");
  cr_assert_eq(trunk_pool_deadline(&pair->relay.pool), pair->now + LIMIT_REPORT_TIME);
  pair->now += LIMIT_REPORT_TIME;
  trunk_pool_tick(&pair->relay.pool, pair->now);
  exchange(pair);
  cr_expect_eq(pair->client.sides[0].out.passed, passed + 6);
  cr_expect_eq(trunk_pool_deadline(&pair->relay.pool), INSTANT_NEVER);
  pair_free(pair);
}

/* [CREDIT-7] */
Test(trunk, an_urgent_report_takes_the_others_along) {
  struct pair *pair = pair_new();
  begin(pair, 0);
  begin(pair, 1);
  settle(pair);
  for (uint32_t n = 0; n < 6; n++) push(pair, &pair->client, 0, n);
  exchange(pair);
  for (uint32_t n = 0; n < 40; n++) push(pair, &pair->client, 1, n);
  exchange(pair);
  cr_expect_geq(pair->client.sides[1].out.passed, 32);
  cr_expect_eq(pair->client.sides[0].out.passed, 6);
  pair_free(pair);
}

/* [CREDIT-7] More of them than a CONTROL cell holds, and one whose circuit went meanwhile. */
Test(trunk, no_report_is_lost_whatever_goes_meanwhile) {
  struct pair *pair = pair_new();
  for (uint8_t i = 0; i < CIRCUITS; i++) begin(pair, i);
  settle(pair);
  for (uint8_t i = 0; i < CIRCUITS; i++)
    for (uint32_t n = 0; n < 5; n++) push(pair, &pair->client, i, n);
  exchange(pair);
  for (uint8_t i = 0; i < 3; i++) trunk_cut(&pair->client.sides[i]);
  exchange(pair);
  pair->now += LIMIT_REPORT_TIME;
  trunk_pool_tick(&pair->relay.pool, pair->now);
  exchange(pair);
  for (uint8_t i = 3; i < CIRCUITS; i++) cr_expect_eq(pair->client.sides[i].out.passed, 5, "circuit %u", i);

  /* A CONTROL cell for another reason takes as many along as it holds; the others follow. */
  for (uint8_t i = 3; i < CIRCUITS; i++)
    for (uint32_t n = 5; n < 10; n++) push(pair, &pair->client, i, n);
  while (carry(pair, &pair->client, &pair->relay) > 0) continue;
  trunk_tell_time(pair->relay.trunk, (struct date){0});
  exchange(pair);
  for (uint8_t i = 3; i < CIRCUITS; i++) cr_expect_eq(pair->client.sides[i].out.passed, 10, "circuit %u", i);
  pair_free(pair);
}

/* Made, begun on and freed; the link is the trunk's from the call on, whatever comes of it. */
static uint32_t begin_without_memory(void) {
  struct end end;
  struct link_peer peer = {.suites = 1 << AEAD_CHACHA20_POLY1305};
  static const uint8_t request[CIRCUIT_HANDSHAKE_REQUEST_BYTES];
  struct cell_create create = {.request = request};
  failing_allocator_pause(true);
  end_init(&end, 1);
  failing_allocator_pause(false);
  struct link *link = link_new_initiator(&end.self, &peer, LINK_FROM_CLIENT, &end.random);
  if (link != NULL) end.trunk = trunk_new(&end.pool, link, (struct id){1, 1}, 1, 0);
  uint32_t told = link == NULL || end.trunk == NULL;
  if (told == 0) told = !trunk_begin(end.trunk, &end.sides[0], 0, &create);
  cr_assert_eq(end.pool.sides, end.sides[0].state != SIDE_NONE);
  end_wipe(&end);
  return told;
}

Test(trunk, survives_every_failing_allocation) {
  failing_allocator_try_every(begin_without_memory, true);
}

/* [CREDIT-3] Nothing is left to tell, nobody wakes for it, and what is urgent later is still told at once. */
Test(trunk, a_report_that_went_with_its_circuit_leaves_nothing_behind) {
  struct pair *pair = pair_new();
  struct id connection;
  begin(pair, 0);
  begin(pair, 1);
  settle(pair);
  for (uint32_t n = 0; n < 6; n++) push(pair, &pair->client, 0, n);
  exchange(pair);
  trunk_cut(&pair->relay.sides[0]);
  cr_expect_eq(trunk_pool_deadline(&pair->relay.pool), INSTANT_NEVER);
  exchange(pair);
  pair->now += LIMIT_REPORT_TIME;
  trunk_pool_tick(&pair->relay.pool, pair->now);
  exchange(pair);

  for (uint32_t n = 0; n < 6; n++) push(pair, &pair->client, 1, n);
  carry(pair, &pair->client, &pair->relay);
  while (trunk_pool_next_ready(&pair->relay.pool, &connection)) continue;
  for (uint32_t n = 6; n < 40; n++) push(pair, &pair->client, 1, n);
  carry(pair, &pair->client, &pair->relay);
  cr_assert_eq(pair->relay.received[1], 40);
  cr_expect(trunk_pool_next_ready(&pair->relay.pool, &connection), "there is something to send now");
  pair_free(pair);
}

/* Sends only for who asked to, and time goes on only to a deadline. */
static void run_by_itself(struct pair *pair) {
  struct end *ends[] = {&pair->client, &pair->relay};
  struct id id;
  for (int turns = 0; turns < 100000; turns++) {
    bool moved = false;
    for (int e = 0; e < 2; e++) {
      if (!trunk_pool_next_ready(&ends[e]->pool, &id)) continue;
      moved = true;
      while (carry(pair, ends[e], ends[1 - e]) > 0) continue;
      cr_assert_eq(ends[1 - e]->outcome, OUTCOME_OK);
    }
    if (moved) continue;
    instant next = instant_earlier(trunk_pool_deadline(&pair->client.pool), trunk_pool_deadline(&pair->relay.pool));
    if (next == INSTANT_NEVER) return;
    if (next > pair->now) pair->now = next;
    for (int e = 0; e < 2; e++) trunk_pool_tick(&ends[e]->pool, pair->now);
  }
  cr_assert_fail("never quiet");
}

static void release(struct pair *pair, struct end *end, uint8_t i, uint64_t most) {
  for (; end->held[i] > 0 && most > 0 && end->sides[i].trunk != NULL; most--) {
    end->held[i]--;
    trunk_passed(&end->sides[i], pair->now);
  }
}

static void random_step(struct pair *pair, struct random_stream *random, uint32_t pushed[2][CIRCUITS]) {
  uint64_t e = random_below(random, 2);
  uint8_t i = (uint8_t)random_below(random, CIRCUITS);
  struct end *ends[] = {&pair->client, &pair->relay}, *end = ends[e];
  struct trunk_side *side = &end->sides[i];
  struct id id;
  end->holds = random_below(random, 2) == 0;
  switch (random_below(random, 6)) {
  case 0:
  case 1:
    for (uint64_t n = random_below(random, 50); n > 0 && side->trunk != NULL && cell_pool_used(end->cells) < POOL_CELLS; n--)
      push(pair, end, i, pushed[e][i]++);
    break;
  case 2: release(pair, end, i, random_below(random, 40)); break;
  case 3:
    if (side->queue.count == 0) side->out.window = LIMIT_WINDOW_LEAST + (uint32_t)random_below(random, 40);
    break;
  case 4:
    while (trunk_pool_next_ready(&end->pool, &id))
      while (carry(pair, end, ends[1 - e]) > 0) continue;
    break;
  case 5:
    pair->now += random_below(random, MILLISECONDS);
    if (trunk_pool_deadline(&end->pool) <= pair->now) trunk_pool_tick(&end->pool, pair->now);
    if (random_below(random, 40) == 0) trunk_cut(side);
  }
}

/* [CREDIT-3] */
Test(trunk, nobody_stands_still_whatever_the_windows_and_whoever_goes) {
  for (uint8_t seed = 1; seed <= 5; seed++) {
    struct pair *pair = pair_new();
    struct random_stream random;
    const uint8_t bytes[RANDOM_SEED_BYTES] = {seed};
    uint32_t pushed[2][CIRCUITS] = {0};
    random_init(&random, bytes);
    for (uint8_t i = 0; i < CIRCUITS; i++) begin(pair, i);
    run_by_itself(pair);
    for (int step = 0; step < 3000; step++) random_step(pair, &random, pushed);
    pair->client.holds = pair->relay.holds = false;
    for (int again = 0; again < 100; again++) {
      for (uint8_t i = 0; i < CIRCUITS; i++) {
        release(pair, &pair->client, i, UINT64_MAX);
        release(pair, &pair->relay, i, UINT64_MAX);
      }
      run_by_itself(pair);
    }
    int open = 0;
    for (uint8_t i = 0; i < CIRCUITS; i++) {
      if (pair->client.sides[i].trunk == NULL || pair->relay.sides[i].trunk == NULL) continue;
      open++;
      cr_expect_eq(pair->relay.received[i], pushed[0][i], "seed %u, circuit %u", seed, i);
      cr_expect_eq(pair->client.received[i], pushed[1][i], "seed %u, circuit %u", seed, i);
    }
    cr_expect_gt(open, 0);
    pair_free(pair);
  }
}
