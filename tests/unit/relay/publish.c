#include "directory/network_file.h"
#include "protocol/limits.h"
#include "protocol/memory_budget.h"
#include "protocol/status.h"
#include "relay/keeper.h"
#include "tests/unit/seed.h"

#include <criterion/criterion.h>
#include <string.h>

/* A keeper alone in the world: its clock and its files are here, and whoever it connects to is not there. */
static struct {
  struct network_file network;
  struct network_chain *networks;
  struct link_self self;
  struct descriptor descriptor;
  struct guarded_key *identity, *signing, *link;
  struct memory_budget budget;
  struct trace trace;
  struct keeper *keeper;
  struct machine machine;
  instant now;
  struct date started, last_published, last_expires;
  uint64_t last_sequence;
  uint32_t published, warnings, errors;
  int64_t longest_gap_ms, least_life_ms;
} world;

static const struct date START = {INT64_C(1800000000000)};

static struct wall_clock world_clock(void) {
  return (struct wall_clock){world.now, date_after(START, (int64_t)(world.now / MILLISECONDS))};
}

static void count_line(void *context, enum trace_level level, const char *area, const char *text) {
  (void)context;
  if (strcmp(area, "expiry") != 0 || strstr(text, "signing key") == NULL) return;
  world.warnings += level == TRACE_WARNING;
  world.errors += level == TRACE_ERROR;
}

static struct guarded_key *make_key(struct random_stream *random) {
  uint8_t bytes[32];
  random_bytes(random, bytes, sizeof bytes);
  struct guarded_key *key = guarded_key_new(bytes);
  cr_assert(key);
  return key;
}

static void make_descriptor(struct descriptor *descriptor) {
  memcpy(descriptor->network, world.network.id, sizeof descriptor->network);
  memcpy(descriptor->identity, world.self.identity, IDENTITY_BYTES);
  memcpy(descriptor->link_key, world.self.link_public, X25519_BYTES);
  ed25519_public(descriptor->signing_key, world.signing->bytes);
  snprintf(descriptor->nickname, sizeof descriptor->nickname, "r1");
  snprintf(descriptor->software, sizeof descriptor->software, "tunic-test");
  descriptor->address = (struct address){.family = ADDRESS_IPV4, .bytes = {192, 0, 2, 1}, .port = 443};
  descriptor->link_suites = 2;
  descriptor->layer_suite = 1;
}

static void make_network(struct random_stream *random) {
  struct network_file *network = &world.network;
  random_bytes(random, network->id, sizeof network->id);
  network->serial = network->authority_count = 1;
  network->expires = date_after(START, INT64_C(10 * 366) * 24 * 60 * 60 * 1000);
  network->is_lab = true; /* for its addresses */
  network_timing_production(&network->timing);
  struct network_authority *authority = &network->authorities[0];
  random_bytes(random, authority->identity, IDENTITY_BYTES);
  random_bytes(random, authority->link_key, X25519_BYTES);
  snprintf(authority->name, sizeof authority->name, "a1");
  snprintf(authority->host, sizeof authority->host, "192.0.2.9");
  authority->port = 443;
}

/* offline_days 0: the identity is at hand. */
static void world_init(const char *test, uint32_t offline_days) {
  struct random_stream random = test_random(test);
  memset(&world, 0, sizeof world);
  cr_assert(crypto_start());
  make_network(&random);
  world.identity = make_key(&random);
  world.signing = make_key(&random);
  world.link = make_key(&random);
  ed25519_public(world.self.identity, world.identity->bytes);
  x25519_public(world.self.link_public, world.link->bytes);
  world.self.link_secret = world.link;
  make_descriptor(&world.descriptor);
  world.descriptor.signing_expires = date_after(START, (int64_t)offline_days * 24 * 60 * 60 * 1000);
  if (offline_days > 0) descriptor_certify(&world.descriptor, world.identity->bytes);
  memory_budget_init(&world.budget, 64 << 20);
  world.trace = (struct trace){.level = TRACE_WARNING, .sink = count_line};
  world.networks = network_chain_of(&world.network);
  struct keeper_config config = {.self = &world.self, .networks = world.networks, .budget = &world.budget, .trace = &world.trace,
                                 .descriptor = &world.descriptor, .signing_seed = world.signing,
                                 .identity_seed = offline_days > 0 ? NULL : world.identity};
  random_bytes(&random, config.seed, sizeof config.seed);
  world.keeper = keeper_new(&config);
  cr_assert(world.keeper);
  world.machine = keeper_machine(world.keeper);
  world.least_life_ms = INT64_MAX;
}

static void world_wipe(void) {
  keeper_free(world.keeper);
  network_chain_free(world.networks);
  guarded_key_free(world.identity);
  guarded_key_free(world.signing);
  guarded_key_free(world.link);
}

/* What an authority would make of it. */
static void judge(const struct document *document) {
  struct descriptor read;
  struct date now = world_clock().date;
  cr_assert_eq(descriptor_parse(world.network.id, document_bytes(document), document_len(document), &read, NULL), OUTCOME_OK);
  cr_assert_eq(descriptor_check(&read, &world.network, now), OUTCOME_OK);
  cr_expect_gt(read.sequence, world.last_sequence);
  int64_t gap = now.milliseconds - world.last_published.milliseconds, life = read.signing_expires.milliseconds - now.milliseconds;
  if (world.published > 0 && gap > world.longest_gap_ms) world.longest_gap_ms = gap;
  if (life < world.least_life_ms) world.least_life_ms = life;
  world.last_sequence = read.sequence;
  world.last_published = now;
  world.published++;
}

static void answer(const struct effect *effect) {
  struct event event = {.id = effect->id, .outcome = OUTCOME_OK};
  if (effect->kind == EFFECT_CONNECT) {
    event.kind = EVENT_CLOSED;
    event.outcome = OUTCOME_CONNECTION_REFUSED;
  } else if (effect->kind == EFFECT_WRITE_FILE) {
    event.kind = EVENT_WRITTEN;
    if (strcmp(effect->name, KEEPER_DESCRIPTOR_FILE) == 0) judge(effect->document);
    document_release(effect->document);
  } else {
    return;
  }
  world.machine.verbs->event(world.machine.self, world.now, &event);
}

static void take_effects(void) {
  struct effect effect;
  while (world.machine.verbs->next_effect(world.machine.self, &effect)) answer(&effect);
}

/* Every hour is looked at: the fetch's attempts in between are not what is tested here. */
static void live(uint32_t days) {
  struct event clock = {.kind = EVENT_CLOCK, .clock = world_clock()};
  world.machine.verbs->event(world.machine.self, world.now, &clock);
  take_effects();
  for (uint32_t hour = 0; hour < days * 24; hour++) {
    world.now += HOURS;
    world.machine.verbs->tick(world.machine.self, world.now);
    take_effects();
  }
}

Test(publish, a_relay_with_its_identity_is_never_too_old) {
  world_init("never too old", 0);
  live(100);
  cr_expect_geq(world.published, 100);
  cr_expect_leq(world.longest_gap_ms, DESCRIPTOR_AGE_MOST_MS / 2);
  cr_expect_geq(world.least_life_ms, DESCRIPTOR_SIGNING_KEY_MOST_MS - 1000);
  cr_expect_eq(world.warnings + world.errors, 0);
  world_wipe();
}

static const char *status_text(const char *name) {
  static struct status status;
  world.machine.verbs->status(world.machine.self, world.now, &status);
  for (uint32_t i = 0; i < status.text_count; i++)
    if (strcmp(status.texts[i].name, name) == 0) return status.texts[i].value;
  return "";
}

Test(publish, a_relay_without_its_identity_warns_7_and_1_days_before_and_stops_when_its_key_ran_out) {
  world_init("offline", 20);
  live(12);
  cr_expect_eq(world.warnings, 0);
  live(2);
  cr_expect_eq(world.warnings, 1);
  live(4);
  cr_expect_eq(world.warnings, 1);
  live(1);
  cr_expect_eq(world.warnings, 2);
  cr_expect_eq(world.errors, 0);
  cr_expect_str_eq(status_text("warning"), "");
  live(2);
  uint32_t published = world.published;
  cr_expect_eq(world.errors, 1);
  live(2);
  cr_expect_eq(world.published, published);
  cr_expect_eq(world.warnings, 2);
  cr_expect_eq(world.errors, 1, "not a line every hour");
  cr_expect_eq(strncmp(status_text("warning"), "the signing key has run out", 27), 0);
  world_wipe();
}
