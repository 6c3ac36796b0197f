/* A keeper driven by hand: when a key may be used, who may connect, what people are told. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/limits.h"
#include "protocol/status.h"
#include "protocol/trunk.h"
#include "relay/keeper.h"
#include "tests/unit/client/sample_relays.h"

enum { SHARDS = 3, LINKS = 8, BUFFER_BYTES = 64 * 1024, ROUNDS_MOST = 1000 };

/* The authority's end of one link of the keeper's. */
struct link_end { struct trunk *trunk; struct id connection; };

struct bench {
  struct sample_relays relays;
  struct consensus *consensus;
  struct network_file file;
  struct link_self self, authority;
  struct memory_budget budget, own_budget;
  struct random_stream random;
  struct cell_pool *cells;
  struct trunk_pool trunks;
  struct descriptor descriptor;
  struct guarded_key *signing_seed;
  struct keeper *keeper;
  struct machine machine;
  instant now;
  struct date begin;     /* the date at `now` zero */
  bool authority_is_up;
  struct link_end links[LINKS];
  uint32_t key_writes, descriptor_writes, consensus_writes, puts, exits;
  struct id key_write;   /* not answered yet */
  struct onion_keys written; /* what the newest write of keys says */
  uint32_t keys_sent[SHARDS], consensus_sent, files_sent;
  struct document *files; /* what shards were told to show last */
  uint64_t files_first;
  struct network_chain *networks;
  struct onion_keys sent;
  uint32_t handed_to;    /* the newest link */
  uint8_t stage;         /* that was told last */
};

static void init_authority(struct bench *bench) {
  static const uint8_t secret[X25519_BYTES] = {4}, seed[ED25519_SEED_BYTES] = {42};
  struct network_authority *authority = &bench->file.authorities[0];
  bench->file.authority_count = 1;
  bench->file.serial = 1;
  network_timing_lab(&bench->file.timing);
  bench->file.expires = date_after(bench->begin, INT64_C(366) * 24 * 60 * 60 * 1000);
  snprintf(authority->name, sizeof authority->name, "a1");
  snprintf(authority->host, sizeof authority->host, "20.9.9.9");
  authority->port = 9030;
  ed25519_public(authority->identity, seed);
  x25519_public(authority->link_key, secret);
  bench->authority.suites = bench->self.suites = 1 << AEAD_CHACHA20_POLY1305;
  memcpy(bench->authority.identity, authority->identity, IDENTITY_BYTES);
  memcpy(bench->authority.link_public, authority->link_key, X25519_BYTES);
  bench->authority.link_secret = guarded_key_new(secret);
}

static void init_descriptor(struct bench *bench) {
  static const uint8_t seed[ED25519_SEED_BYTES] = {6};
  struct descriptor *descriptor = &bench->descriptor;
  snprintf(descriptor->nickname, sizeof descriptor->nickname, "r1");
  snprintf(descriptor->software, sizeof descriptor->software, "tunic");
  memcpy(descriptor->identity, bench->self.identity, IDENTITY_BYTES);
  ed25519_public(descriptor->signing_key, seed);
  descriptor->signing_expires = date_after(bench->begin, DESCRIPTOR_SIGNING_KEY_MOST_MS / 2);
  descriptor->address = (struct address){.family = ADDRESS_IPV4, .bytes = {20, 0, 7, 1}, .port = 9001};
  descriptor->link_suites = 1 << AEAD_CHACHA20_POLY1305;
  descriptor->layer_suite = AEAD_CHACHA20_POLY1305;
  descriptor->bandwidth = 1000;
  bench->signing_seed = guarded_key_new(seed);
}

static struct date date_now(const struct bench *bench) { return date_after(bench->begin, (int64_t)(bench->now / MILLISECONDS)); }

static uint8_t generation(const struct bench *bench) { return network_onion_generation(&bench->file.timing, date_now(bench)); }

enum on_disk { NO_CONSENSUS, LISTS_IT, LISTS_OTHERS };

static struct bench *bench_with(const struct onion_keys *keys, enum on_disk on_disk) {
  cr_assert(crypto_start());
  struct bench *bench = calloc(1, sizeof *bench);
  cr_assert_not_null(bench);
  sample_relay_add(&bench->relays, RELAY_GUARD, 100, 0, 0);
  bench->consensus = sample_relays_consensus(&bench->relays, 0);
  memcpy(bench->self.identity, bench->relays.entries[0].identity, IDENTITY_BYTES);
  if (on_disk == LISTS_OTHERS) bench->self.identity[0] ^= 1;
  bench->begin = consensus_header(bench->consensus)->valid_after;
  random_init(&bench->random, (const uint8_t[RANDOM_SEED_BYTES]){8});
  init_authority(bench);
  init_descriptor(bench);
  memory_budget_init(&bench->budget, 64 * 1024 * 1024);
  memory_budget_init(&bench->own_budget, 64 * 1024 * 1024);
  bench->cells = cell_pool_new(&bench->own_budget, 1024);
  trunk_pool_init(&bench->trunks, bench->cells, &bench->random);
  bench->networks = network_chain_of(&bench->file);
  struct keeper_config config = {.self = &bench->self, .networks = bench->networks, .budget = &bench->budget, .shard_count = SHARDS, .seed = {2},
                                 .descriptor = &bench->descriptor, .signing_seed = bench->signing_seed, .onion_keys = keys,
                                 .consensus = on_disk == NO_CONSENSUS ? NULL : consensus_take(bench->consensus)};
  bench->keeper = keeper_new(&config);
  cr_assert_not_null(bench->keeper);
  bench->machine = keeper_machine(bench->keeper);
  return bench;
}

/* `keys`: from disk; `listed`: a consensus from disk names it. */
static struct bench *bench_new(const struct onion_keys *keys, bool listed) { return bench_with(keys, listed ? LISTS_IT : NO_CONSENSUS); }

static void bench_event(struct bench *bench, const struct event *event) { bench->machine.verbs->event(bench->keeper, bench->now, event); }

/* ---- effects ---- */

static void take_write(struct bench *bench, const struct effect *effect) {
  if (strcmp(effect->name, KEEPER_ONION_KEYS_FILE) == 0) {
    cr_assert(effect->secret, "the file of secrets is for its owner alone");
    cr_assert(onion_keys_parse(document_bytes(effect->document), document_len(effect->document), &bench->written));
    bench->key_writes++;
    bench->key_write = effect->id;
  } else {
    cr_assert_not(effect->secret);
    bench->descriptor_writes += strcmp(effect->name, KEEPER_DESCRIPTOR_FILE) == 0;
    bench->consensus_writes += strcmp(effect->name, KEEPER_CONSENSUS_FILE) == 0;
  }
  document_release(effect->document);
}

static void take_message(struct bench *bench, const struct effect *effect) {
  cr_assert(effect->to >= 1 && effect->to <= SHARDS);
  if (effect->message.kind == SHARD_ONION_KEYS) {
    bench->keys_sent[effect->to - 1]++;
    memcpy(&bench->sent, effect->message.object, sizeof bench->sent);
    sodium_free(effect->message.object);
  } else if (effect->message.kind == SHARD_NETWORK_FILES) {
    cr_assert_leq(bench->consensus_sent, bench->files_sent, "the files first: then the consensus that needs them");
    bench->files_sent++;
    document_release(bench->files);
    bench->files = effect->message.object;
    bench->files_first = effect->message.value;
  } else {
    cr_assert_eq(effect->message.kind, SHARD_CONSENSUS);
    bench->consensus_sent++;
    consensus_release(effect->message.object);
  }
}

static void take_connect(struct bench *bench, const struct effect *effect) {
  struct event event = {.kind = EVENT_CLOSED, .id = effect->id, .outcome = OUTCOME_CONNECTION_REFUSED};
  for (int i = 0; i < LINKS && bench->authority_is_up && event.kind == EVENT_CLOSED; i++) {
    if (bench->links[i].trunk != NULL) continue;
    struct link *link = link_new_responder(&bench->authority, &bench->random);
    bench->links[i].trunk = trunk_new(&bench->trunks, link, (struct id){(uint32_t)i, 1}, (uint32_t)i + 1, LIMIT_DESCRIPTOR_BYTES);
    bench->links[i].connection = effect->id;
    event.kind = EVENT_CONNECTED;
  }
  bench_event(bench, &event);
}

static void drop_link(struct bench *bench, struct id id) {
  for (int i = 0; i < LINKS; i++) {
    if (bench->links[i].trunk == NULL || !id_equal(bench->links[i].connection, id)) continue;
    trunk_free(bench->links[i].trunk);
    bench->links[i].trunk = NULL;
  }
}

static void perform(struct bench *bench, const struct effect *effect) {
  switch (effect->kind) {
  case EFFECT_CONNECT: take_connect(bench, effect); return;
  case EFFECT_CLOSE:
  case EFFECT_CLOSE_FLUSHED: drop_link(bench, effect->id); return;
  case EFFECT_WRITE_FILE: take_write(bench, effect); return;
  case EFFECT_HAND_OVER: bench->handed_to = effect->to; return;
  case EFFECT_MESSAGE: take_message(bench, effect); return;
  case EFFECT_EXIT:
    cr_assert_eq(effect->outcome, OUTCOME_OK);
    bench->exits++;
    return;
  case EFFECT_FINISH:
  case EFFECT_RESOLVE: return;
  }
}

/* ---- the authority: takes what is handed in, has no consensus ---- */

static void take_delivery(struct bench *bench, struct link_end *end, const struct delivery *delivery) {
  const struct transfer_event *event = &delivery->transfer;
  struct transfers *transfers = trunk_transfers(end->trunk);
  if (delivery->kind != DELIVERY_TRANSFER) return;
  if (event->kind == TRANSFER_ASKED) transfers_finish(transfers, event->request, OUTCOME_NO_CONSENSUS);
  if (event->kind == TRANSFER_GIVEN) {
    bench->puts++;
    transfers_finish(transfers, event->request, OUTCOME_OK);
  }
  document_release(event->document);
  trunk_make_ready(end->trunk);
}

static bool talk(struct bench *bench, struct link_end *end) {
  static uint8_t bytes[BUFFER_BYTES];
  const struct machine_verbs *verbs = bench->machine.verbs;
  if (end->trunk == NULL) return false;
  size_t len = verbs->transmit(bench->keeper, bench->now, end->connection, bytes, sizeof bytes), used = 1, moved = len;
  for (size_t at = 0; used > 0 && at < len; at += used) {
    struct delivery delivery;
    enum outcome outcome = trunk_receive(end->trunk, bench->now, bytes + at, len - at, &used);
    while (outcome == OUTCOME_OK && trunk_next_delivery(end->trunk, bench->now, &delivery, &outcome)) take_delivery(bench, end, &delivery);
    cr_assert_eq(outcome, OUTCOME_OK);
    if (link_needs_work(trunk_link(end->trunk))) cr_assert_eq(link_work(trunk_link(end->trunk), bench->now), OUTCOME_OK);
  }
  len = trunk_transmit(end->trunk, bench->now, bytes, sizeof bytes);
  if (len > 0) verbs->receive(bench->keeper, bench->now, end->connection, bytes, len, &used);
  return moved + len > 0;
}

static void watch_stage(struct bench *bench) {
  struct status status;
  bench->machine.verbs->status(bench->keeper, bench->now, &status);
  cr_assert(status.stage >= 1 && status.stage <= status.stages);
  cr_assert_geq(status.stage, bench->stage, "progress runs backwards");
  bench->stage = status.stage;
}

static void run(struct bench *bench) {
  const struct machine_verbs *verbs = bench->machine.verbs;
  struct effect effect;
  struct id id;
  bool moved = true;
  for (int round = 0; moved; round++) {
    cr_assert(round < ROUNDS_MOST, "it does not come to rest");
    moved = false;
    while (verbs->next_effect(bench->keeper, &effect)) perform(bench, &effect);
    for (int i = 0; i < LINKS; i++) moved = talk(bench, &bench->links[i]) || moved;
    while (verbs->work(bench->keeper, bench->now)) {}
    while (verbs->next_ready(bench->keeper, &id)) moved = true;
    while (trunk_pool_next_ready(&bench->trunks, &id)) moved = true;
    watch_stage(bench);
  }
}

static void wait_for(struct bench *bench, uint64_t duration) {
  instant until = bench->now + duration;
  run(bench);
  for (int i = 0; bench->now < until; i++) {
    cr_assert(i < 100000);
    instant next = bench->machine.verbs->deadline(bench->keeper);
    bench->now = next < until ? (next > bench->now ? next : bench->now + MILLISECONDS) : until;
    bench->machine.verbs->tick(bench->keeper, bench->now);
    run(bench);
  }
}

static void tell_clock(struct bench *bench) {
  struct event event = {.kind = EVENT_CLOCK, .clock = {.at = bench->now, .date = date_now(bench)}};
  bench_event(bench, &event);
  run(bench);
}

/* The write of the keys that waits is answered. */
static void tell_written(struct bench *bench, enum outcome outcome) {
  struct event event = {.kind = EVENT_WRITTEN, .id = bench->key_write, .outcome = outcome};
  cr_assert(!id_is_none(bench->key_write));
  bench->key_write = ID_NONE;
  bench_event(bench, &event);
  run(bench);
}

static void bench_free(struct bench *bench) {
  run(bench);
  for (int i = 0; i < LINKS; i++) trunk_free(bench->links[i].trunk);
  keeper_free(bench->keeper);
  document_release(bench->files);
  network_chain_free(bench->networks);
  cr_expect_eq(memory_budget_used(&bench->budget), 0);
  cell_pool_free(bench->cells);
  consensus_release(bench->consensus);
  guarded_key_free(bench->signing_seed);
  guarded_key_free((struct guarded_key *)bench->authority.link_secret);
  free(bench);
}

/* ---- network files ---- */

static size_t count_titles(const struct document *texts) {
  size_t count = 0, at = 0;
  while (texts != NULL && at < document_len(texts)) {
    at += network_chain_first_text(document_bytes(texts) + at, document_len(texts) - at);
    count++;
  }
  return count;
}

/* [NET-13] */
Test(keeper, shards_show_the_files_up_to_the_serial_of_the_newest_consensus) {
  struct bench *bench = bench_new(NULL, false);
  tell_clock(bench);
  cr_expect_eq(bench->files_sent, 0, "none without a consensus");
  bench_free(bench);
  bench = bench_new(NULL, true);
  tell_clock(bench);
  cr_expect_eq(bench->files_sent, SHARDS);
  cr_expect_eq(bench->files_first, 1);
  cr_expect_eq(count_titles(bench->files), 1);
  bench_free(bench);
}

/* ---- keys ---- */

Test(keeper, a_key_is_used_only_after_it_is_on_disk) {
  struct bench *bench = bench_new(NULL, false);
  bench->authority_is_up = true;
  run(bench);
  cr_assert_eq(bench->key_writes, 0, "without a clock there is no generation");
  tell_clock(bench);
  cr_assert_eq(bench->key_writes, 1);
  cr_assert_eq(bench->written.count, 1);
  cr_assert_eq(bench->written.keys[0].generation, generation(bench));
  wait_for(bench, 60 * SECONDS);
  cr_assert_eq(bench->key_writes, 1, "one write at a time");
  cr_assert_eq(bench->keys_sent[0] + bench->descriptor_writes + bench->puts, 0, "not on disk: not used, not published");
  tell_written(bench, OUTCOME_OK);
  wait_for(bench, SECONDS);
  for (int i = 0; i < SHARDS; i++) cr_assert_eq(bench->keys_sent[i], 1);
  cr_assert_eq(memcmp(bench->sent.keys, bench->written.keys, sizeof bench->sent.keys[0]), 0, "what was written is what is used");
  cr_assert_eq(bench->descriptor_writes, 1);
  cr_assert_eq(bench->puts, 1);
  bench_free(bench);
}

static enum outcome cause(struct bench *bench) {
  struct machine machine = keeper_machine(bench->keeper);
  struct status status;
  machine.verbs->status(machine.self, bench->now, &status);
  return status.cause;
}

Test(keeper, a_key_that_could_not_be_written_is_never_used) {
  struct bench *bench = bench_new(NULL, false);
  tell_clock(bench);
  struct onion_key lost = bench->written.keys[0];
  for (uint32_t i = 1; i <= 3; i++) {
    cr_assert_eq(bench->key_writes, i);
    tell_written(bench, OUTCOME_FILE_FAILED);
    cr_assert_eq(bench->keys_sent[0] + bench->descriptor_writes, 0);
    cr_assert_eq(cause(bench), OUTCOME_FILE_FAILED, "the person is told what it waits for");
    wait_for(bench, 10 * SECONDS);
  }
  cr_assert_eq(bench->key_writes, 4, "it is tried again");
  cr_assert_eq(bench->written.count, 1, "without those that were lost");
  tell_written(bench, OUTCOME_OK);
  cr_assert_neq(cause(bench), OUTCOME_FILE_FAILED);
  cr_assert_eq(bench->keys_sent[0], 1);
  cr_assert_neq(memcmp(bench->sent.keys[0].secret, lost.secret, X25519_BYTES), 0);
  bench_free(bench);
}

Test(keeper, a_key_from_disk_of_this_generation_is_used_at_once) {
  struct bench *probe = bench_new(NULL, false);
  struct onion_keys keys = {.count = 1, .keys = {{.generation = generation(probe), .secret = {1}}}};
  bench_free(probe);
  struct bench *bench = bench_new(&keys, false);
  tell_clock(bench);
  cr_assert_eq(bench->key_writes, 0);
  cr_assert_eq(bench->keys_sent[0], 1);
  cr_assert_eq(memcmp(bench->sent.keys[0].secret, keys.keys[0].secret, X25519_BYTES), 0);
  bench_free(bench);
}

Test(keeper, keys_rotate_when_the_generation_does_and_the_old_ones_stay_for_a_while) {
  struct bench *bench = bench_new(NULL, false);
  uint64_t rotation = (uint64_t)bench->file.timing.onion_rotation * MILLISECONDS;
  uint64_t left = rotation - (uint64_t)(bench->begin.milliseconds % bench->file.timing.onion_rotation) * MILLISECONDS;
  tell_clock(bench);
  tell_written(bench, OUTCOME_OK);
  uint8_t first = bench->sent.keys[0].generation;
  wait_for(bench, left - MILLISECONDS);
  cr_assert_eq(bench->key_writes, 1, "not before");
  for (uint32_t i = 1; i <= ONION_KEYS_KEPT + 1; i++) {
    wait_for(bench, i == 1 ? 2 * MILLISECONDS : rotation);
    cr_assert_eq(bench->key_writes, i + 1, "at the boundary");
    cr_assert_eq(bench->keys_sent[0], i, "not before it is on disk");
    tell_written(bench, OUTCOME_OK);
    cr_assert_eq(bench->keys_sent[0], i + 1);
    cr_assert_eq(bench->descriptor_writes, i + 1, "a new key is published");
    cr_assert_eq(bench->sent.count, i + 1 < ONION_KEYS_KEPT ? i + 1 : ONION_KEYS_KEPT);
    for (uint32_t k = 0; k < bench->sent.count; k++) cr_assert_eq(bench->sent.keys[k].generation, (uint8_t)(first + i - k));
  }
  bench_free(bench);
}

/* [HS-6] */
Test(keeper, a_clock_that_jumps_ahead_and_back_costs_no_key) {
  struct bench *bench = bench_new(NULL, false);
  int64_t jumps[] = {bench->file.timing.onion_rotation, -bench->file.timing.onion_rotation};
  tell_clock(bench);
  tell_written(bench, OUTCOME_OK);
  struct onion_key before = bench->sent.keys[0];
  for (int i = 0; i < 2; i++) {
    bench->begin = date_after(bench->begin, jumps[i]);
    tell_clock(bench);
    if (i == 0) tell_written(bench, OUTCOME_OK);
    cr_assert_eq(bench->sent.keys[0].generation, generation(bench));
  }
  cr_expect_eq(bench->key_writes, 2, "one for each generation");
  cr_expect_arr_eq(bench->sent.keys[0].secret, before.secret, X25519_BYTES);
  cr_expect_eq(bench->sent.count, 2);
  cr_expect_eq(bench->descriptor_writes, 3, "it is published again");
  bench_free(bench);
}

/* ---- who may connect ---- */

static struct address ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  return (struct address){.family = ADDRESS_IPV4, .bytes = {a, b, c, d}, .port = 1000};
}

static struct address ipv6(uint8_t net, uint8_t host) {
  struct address address = {.family = ADDRESS_IPV6, .bytes = {0x2a, 0, [7] = net, [15] = host}, .port = 1000};
  return address;
}

/* To which shard it goes; 0: refused. */
static uint32_t connect_from(struct bench *bench, struct address from) {
  bench->handed_to = 0;
  bool accepted = !id_is_none(bench->machine.verbs->accept(bench->keeper, bench->now, CONNECTION_LINK, &from));
  run(bench);
  cr_assert_eq(accepted, bench->handed_to != 0);
  return bench->handed_to;
}

static void close_link(struct bench *bench, struct address from, uint32_t shard) {
  struct event event = {.kind = EVENT_MESSAGE, .from = shard, .message = {.kind = KEEPER_LINK_CLOSED, .value = 1, .address = from}};
  bench_event(bench, &event);
}

Test(keeper, one_public_address_has_so_many_links_and_a_closed_one_frees_its_place) {
  struct bench *bench = bench_new(NULL, false);
  uint32_t shard = 0;
  for (int i = 0; i < LIMIT_LINKS_PER_ADDRESS; i++) {
    struct address from = ipv4(20, 1, 1, 1);
    from.port = (uint16_t)(2000 + i);
    shard = connect_from(bench, from);
    cr_assert_neq(shard, 0);
  }
  cr_assert_eq(connect_from(bench, ipv4(20, 1, 1, 1)), 0);
  cr_assert_neq(connect_from(bench, ipv4(20, 1, 1, 2)), 0, "another address");
  close_link(bench, ipv4(20, 1, 1, 1), shard);
  cr_assert_neq(connect_from(bench, ipv4(20, 1, 1, 1)), 0);
  cr_assert_eq(connect_from(bench, ipv4(20, 1, 1, 1)), 0, "one place, not more");
  bench_free(bench);
}

Test(keeper, an_ipv6_network_of_64_bits_counts_as_one) {
  struct bench *bench = bench_new(NULL, false);
  for (int i = 0; i < LIMIT_LINKS_PER_ADDRESS; i++) cr_assert_neq(connect_from(bench, ipv6(1, (uint8_t)i)), 0);
  cr_assert_eq(connect_from(bench, ipv6(1, 200)), 0);
  cr_assert_neq(connect_from(bench, ipv6(2, 200)), 0);
  bench_free(bench);
}

Test(keeper, private_addresses_are_not_counted) {
  struct bench *bench = bench_new(NULL, false);
  for (int i = 0; i < 3 * LIMIT_LINKS_PER_ADDRESS; i++) cr_assert_neq(connect_from(bench, ipv4(10, 0, 0, 1)), 0);
  bench_free(bench);
}

Test(keeper, a_link_goes_to_the_shard_that_has_fewest) {
  struct bench *bench = bench_new(NULL, false);
  for (uint32_t i = 0; i < 2 * SHARDS; i++) cr_assert_eq(connect_from(bench, ipv4(20, 1, 1, (uint8_t)i)), i % SHARDS + 1);
  close_link(bench, ipv4(20, 1, 1, 1), 2);
  cr_assert_eq(connect_from(bench, ipv4(20, 1, 1, 1)), 2);
  close_link(bench, ipv4(20, 1, 1, 9), SHARDS + 5); /* of no shard: counts for none */
  cr_assert_eq(connect_from(bench, ipv4(20, 1, 1, 10)), 1);
  bench_free(bench);
}

Test(keeper, a_stop_ends_it_and_takes_no_more_links) {
  struct bench *bench = bench_new(NULL, false);
  struct event stop = {.kind = EVENT_STOP};
  tell_clock(bench);
  bench_event(bench, &stop);
  run(bench);
  cr_assert_eq(bench->exits, 1);
  cr_assert_eq(connect_from(bench, ipv4(20, 1, 1, 1)), 0);
  tell_written(bench, OUTCOME_OK);
  cr_assert_eq(bench->descriptor_writes, 0, "what stops publishes nothing more");
  bench_free(bench);
}

/* ---- what people are told ---- */

/* watch_stage looks after every step. */
Test(keeper, progress_never_runs_backwards_while_keys_rotate) {
  struct bench *bench = bench_new(NULL, true);
  bench->authority_is_up = true;
  run(bench);
  cr_assert_eq(bench->stage, 1);
  tell_clock(bench);
  cr_assert_eq(bench->consensus_sent, SHARDS, "the consensus from disk is the shards'");
  tell_written(bench, OUTCOME_OK);
  wait_for(bench, SECONDS);
  cr_assert_eq(bench->puts, 1);
  cr_assert_eq(bench->stage, 4, "handed in and listed");
  bench->authority_is_up = false;
  wait_for(bench, (uint64_t)bench->file.timing.onion_rotation * MILLISECONDS);
  tell_written(bench, OUTCOME_OK); /* the new descriptor is nowhere yet */
  wait_for(bench, SECONDS);
  cr_assert_eq(bench->stage, 4);
  bench_free(bench);
}

static const char *told(const struct bench *bench, const char *name) {
  static struct status status;
  bench->machine.verbs->status(bench->keeper, bench->now, &status);
  for (uint32_t i = 0; i < status.text_count; i++)
    if (strcmp(status.texts[i].name, name) == 0) return status.texts[i].value;
  return "";
}

/* [DESC-9] The authorities have the descriptor, and no consensus names the relay: it says so, and where they look for it. */
Test(keeper, a_relay_that_can_t_be_reached_is_told_what_to_check) {
  struct bench *bench = bench_new(NULL, false);
  tell_clock(bench);
  tell_written(bench, OUTCOME_OK);
  wait_for(bench, 60 * SECONDS);
  cr_assert_str_eq(told(bench, "unlisted"), "", "no authority has its descriptor: that is another trouble");
  bench->authority_is_up = true;
  wait_for(bench, 60 * SECONDS);
  cr_assert_not_null(strstr(told(bench, "unlisted"), "can't reach 20.0.7.1:9001"), "%s", told(bench, "unlisted"));
  cr_assert_not_null(strstr(told(bench, "unlisted"), "nobody has connected"));
  cr_assert_not_null(strstr(told(bench, "check"), "firewall"));
  struct address peer = {.family = ADDRESS_IPV4, .bytes = {20, 1, 1, 1}, .port = 1};
  cr_assert(!id_is_none(bench->machine.verbs->accept(bench->keeper, bench->now, CONNECTION_LINK, &peer)));
  cr_assert_null(strstr(told(bench, "unlisted"), "nobody has connected"));
  bench_free(bench);
}

/* [DESC-9] Its own port is the wrong place to look while nobody at all comes into a consensus. */
Test(keeper, a_relay_is_not_suspected_while_authorities_agree_on_nothing) {
  struct bench *bench = bench_with(NULL, LISTS_OTHERS);
  bench->authority_is_up = true;
  tell_clock(bench);
  tell_written(bench, OUTCOME_OK);
  wait_for(bench, 60 * SECONDS);
  cr_assert_not_null(strstr(told(bench, "unlisted"), "can't reach"), "the consensus is fresh, and does not list it: %s", told(bench, "unlisted"));
  wait_for(bench, 62 * MINUTES);
  cr_assert_null(strstr(told(bench, "unlisted"), "can't reach"), "%s", told(bench, "unlisted"));
  cr_assert_not_null(strstr(told(bench, "unlisted"), "have made no consensus since 2024-10-04"), "%s", told(bench, "unlisted"));
  cr_assert_not_null(strstr(told(bench, "check"), "authorities"));
  bench_free(bench);
}

Test(keeper, a_relay_that_is_listed_is_told_nothing_of_the_kind) {
  struct bench *bench = bench_new(NULL, true);
  bench->authority_is_up = true;
  tell_clock(bench);
  tell_written(bench, OUTCOME_OK);
  wait_for(bench, 120 * SECONDS);
  cr_assert_str_eq(told(bench, "unlisted"), "");
  cr_assert_str_eq(told(bench, "check"), "");
  bench_free(bench);
}
