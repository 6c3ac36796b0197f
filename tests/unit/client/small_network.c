#include "tests/unit/client/small_network.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory/consensus_format.h"
#include "protocol/status.h"

enum { POOL_CELLS = 16384, BUDGET_BYTES = 512 * 1024 * 1024 };

/* ---- a keeper's place: it takes what shards send it ---- */

static void sink_event(void *self, instant now, const struct event *event) {
  (void)self, (void)now;
  if (event->kind == EVENT_MESSAGE && event->message.kind == KEEPER_FIGURES) free(event->message.object);
}
static struct id sink_accept(void *self, instant now, enum connection_kind kind, const struct address *peer) {
  (void)self, (void)now, (void)kind, (void)peer;
  return ID_NONE;
}
static bool sink_next_ready(void *self, struct id *ret) { return (void)self, (void)ret, false; }
static bool sink_next_effect(void *self, struct effect *ret) { return (void)self, (void)ret, false; }
static instant sink_deadline(const void *self) { return (void)self, INSTANT_NEVER; }
static void sink_tick(void *self, instant now) { (void)self, (void)now; }
static bool sink_work(void *self, instant now) { return (void)self, (void)now, false; }

static struct machine sink_machine(void) {
  static const struct machine_verbs verbs = {.accept = sink_accept,
                                             .event = sink_event,
                                             .next_ready = sink_next_ready,
                                             .next_effect = sink_next_effect,
                                             .deadline = sink_deadline,
                                             .tick = sink_tick,
                                             .work = sink_work};
  return (struct machine){NULL, &verbs};
}

/* ---- the network ---- */

static void print_trace(void *context, enum trace_level level, const char *area, const char *text) {
  const struct small_network *network = context;
  fprintf(stderr, "%12.6f %s %s: %s\n", (double)network->sim.now / 1e9, trace_level_name(level), area, text);
}

static void make_file(struct small_network *network, uint8_t seed[ED25519_SEED_BYTES]) {
  struct network_file *file = &network->file;
  random_bytes(&network->sim.random, seed, ED25519_SEED_BYTES);
  random_bytes(&network->sim.random, file->id, sizeof file->id);
  snprintf(file->name, sizeof file->name, "small");
  file->serial = 1;
  file->is_lab = true;
  network_timing_production(&file->timing);
  file->expires = (struct date){INT64_MAX / 2};
  file->authority_count = 1;
  struct network_authority *authority = &file->authorities[0];
  snprintf(authority->name, sizeof authority->name, "a1");
  snprintf(authority->host, sizeof authority->host, "10.255.255.255"); /* nobody is there */
  authority->port = 1;
  ed25519_public(authority->identity, seed);
  network->networks = network_chain_of(file);
}

static uint8_t flags_of(char kind) {
  uint8_t flags = RELAY_RUNNING | RELAY_VALID;
  if (kind == 'g' || kind == 'a') flags |= RELAY_GUARD;
  if (kind == 'x' || kind == 'a' || kind == 's') flags |= RELAY_EXIT;
  return flags;
}

static void relay_init(struct small_network *network, uint32_t i, const struct small_options *options, const char *kinds) {
  struct small_relay *relay = &network->relays[i];
  uint8_t secret[X25519_BYTES];
  snprintf(relay->name, sizeof relay->name, "r%u", i);
  relay->flags = flags_of(kinds[i]);
  memcpy(relay->self.network, network->file.id, sizeof relay->self.network);
  random_bytes(&network->sim.random, relay->self.identity, IDENTITY_BYTES);
  random_bytes(&network->sim.random, secret, sizeof secret);
  relay->self.link_secret = guarded_key_new(secret);
  x25519_public(relay->self.link_public, secret);
  relay->self.suites = 1 << AEAD_CHACHA20_POLY1305;
  random_bytes(&network->sim.random, relay->onion.secret, X25519_BYTES);
  x25519_public(relay->onion.public_key, relay->onion.secret);
  relay->onion.generation = 1;
  const char *const rules[] = {kinds[i] == 's' ? "accept *:5000" : "accept *:7-443", "accept private:*"};
  for (int k = 0; k < 2 && (relay->flags & RELAY_EXIT); k++) cr_assert(exit_policy_add_rule(&relay->policy, rules[k], strlen(rules[k])));
  relay->host = sim_add_host(&network->sim, relay->name, options->delay);
  relay->host->address.port = RELAY_PORT;
  struct shard_config config = {.self = &relay->self,
                                .policy = &relay->policy,
                                .budget = &network->budget,
                                .pool_cells = POOL_CELLS,
                                .index = 1,
                                .layer_suite = AEAD_CHACHA20_POLY1305};
  sim_seed(&network->sim, config.seed);
  relay->shard = shard_new(&config);
  cr_assert(relay->shard);
  sim_add_machine(relay->host, sink_machine());
  sim_add_machine(relay->host, shard_machine(relay->shard));
  sim_listen(relay->host, CONNECTION_LINK, RELAY_PORT, 1);
  sim_start(relay->host);
}

static int compare_entries(const void *a, const void *b) { return memcmp(a, b, IDENTITY_BYTES); }

static void fill_entry(const struct small_relay *relay, struct relay_entry *entry, struct exit_summary *summary) {
  *entry = (struct relay_entry){.onion_generation = relay->onion.generation,
                                .link_suites = relay->self.suites,
                                .layer_suite = AEAD_CHACHA20_POLY1305,
                                .flags = relay->flags,
                                .address = relay->host->address,
                                .weight = 1000};
  memcpy(entry->identity, relay->self.identity, IDENTITY_BYTES);
  memcpy(entry->link_key, relay->self.link_public, X25519_BYTES);
  memcpy(entry->onion_key, relay->onion.public_key, X25519_BYTES);
  snprintf(entry->nickname, sizeof entry->nickname, "%s", relay->name);
  if ((relay->flags & RELAY_EXIT) && exit_policy_summarise(&relay->policy, summary)) entry->exit_summary = summary;
}

struct consensus *small_network_consensus(struct small_network *network, uint64_t epoch, const struct network_file *file,
                                          const uint8_t seed[ED25519_SEED_BYTES]) {
  struct relay_entry entries[SMALL_RELAYS_MAX];
  struct exit_summary summaries[SMALL_RELAYS_MAX] = {0};
  struct date now = sim_date(network->relays[0].host);
  struct consensus_header header = {.serial = file->serial, .epoch = epoch, .method = 1, .relay_count = network->relay_count};
  random_bytes(&network->sim.random, header.previous, sizeof header.previous);
  header.valid_after = date_after(now, -60 * 1000);
  header.fresh_until = date_after(header.valid_after, network->file.timing.interval);
  header.valid_until = date_after(header.valid_after, network->file.timing.valid);
  for (uint32_t i = 0; i < network->relay_count; i++) fill_entry(&network->relays[i], &entries[i], &summaries[i]);
  qsort(entries, network->relay_count, sizeof *entries, compare_entries);
  consensus_assign_weights(&header, entries);
  struct document *text = consensus_format(network->file.id, &header, entries);
  cr_assert(text);
  struct consensus_signature signature;
  consensus_sign(&signature, seed, network->file.id, header.epoch, 0, header.digest);
  struct document *whole = consensus_compose(text, &signature, 1);
  enum outcome outcome;
  uint32_t line;
  struct consensus *consensus = consensus_parse(file, document_bytes(whole), document_len(whole), &outcome, &line);
  cr_assert(consensus, "%s in line %u", outcome_name(outcome), line);
  document_release(text);
  document_release(whole);
  return consensus;
}

void small_network_tell(struct small_network *network, uint32_t relay, struct consensus *consensus) {
  struct event event = {.kind = EVENT_MESSAGE, .message = {.kind = SHARD_CONSENSUS, .object = consensus_take(consensus)}};
  sim_event(network->relays[relay].host, 1, &event);
}

static void start_relay(struct small_network *network, struct small_relay *relay) {
  struct onion_keys *keys = sodium_malloc(sizeof *keys);
  *keys = (struct onion_keys){.count = 1, .keys = {relay->onion}};
  struct event event = {.kind = EVENT_MESSAGE, .message = {.kind = SHARD_ONION_KEYS, .object = keys}};
  sim_event(relay->host, 1, &event);
  small_network_tell(network, (uint32_t)(relay - network->relays), network->consensus);
}

static void client_init(struct small_network *network, const struct small_options *options) {
  memcpy(network->client_self.network, network->file.id, sizeof network->client_self.network);
  network->client_self.suites = 1 << AEAD_CHACHA20_POLY1305;
  struct client_config config = {.self = &network->client_self,
                                 .networks = network->networks,
                                 .budget = &network->client_budget,
                                 .pool_cells = options->pool_cells > 0 ? options->pool_cells : POOL_CELLS,
                                 .isolate_destinations = options->isolate_destinations,
                                 .trace = &network->sim.trace};
  sim_seed(&network->sim, config.seed);
  network->client = client_new(&config);
  cr_assert(network->client);
  network->client_host = sim_add_host(&network->sim, "client", options->delay);
  sim_add_machine(network->client_host, client_machine(network->client));
  sim_listen(network->client_host, CONNECTION_SOCKS, PROXY_PORT, 0);
  sim_start(network->client_host);
  client_set_consensus(network->client, network->sim.now, consensus_take(network->consensus));
  sim_poke(network->client_host, 0);
}

static void apps_init(struct small_network *network, uint64_t delay) {
  struct address proxy = network->client_host->address;
  proxy.port = PROXY_PORT;
  network->web = web_new();
  network->fetcher = fetcher_new(proxy);
  network->app = peer_new();
  network->peer = peer_new();
  network->web_host = sim_add_host(&network->sim, "web", delay);
  sim_add_machine(network->web_host, web_machine(network->web));
  sim_listen(network->web_host, CONNECTION_STREAM, WEB_PORT, 0);
  network->peer_host = sim_add_host(&network->sim, "peer", delay);
  sim_add_machine(network->peer_host, peer_machine(network->peer));
  sim_listen(network->peer_host, CONNECTION_STREAM, PEER_PORT, 0);
  network->app_host = sim_add_host(&network->sim, "app", 0);
  sim_add_machine(network->app_host, fetcher_machine(network->fetcher));
  network->app_machine = sim_add_machine(network->app_host, peer_machine(network->app));
  struct sim_host *hosts[] = {network->web_host, network->peer_host, network->app_host};
  for (int i = 0; i < 3; i++) sim_start(hosts[i]);
}

static bool is_consistent(struct sim *sim, struct sim_host *host) {
  const struct small_network *network = sim->scenario;
  if (host == network->client_host) return client_is_consistent(network->client);
  for (uint32_t i = 0; i < network->relay_count; i++)
    if (host == network->relays[i].host && !shard_is_consistent(network->relays[i].shard)) return false;
  return true;
}

void small_network_init(struct small_network *network, const struct small_options *given) {
  struct small_options options = *given;
  memset(network, 0, sizeof *network);
  cr_assert(crypto_start());
  if (options.relays == NULL) options.relays = "ggmmxx";
  if (options.delay == 0) options.delay = 5 * MILLISECONDS;
  sim_init(&network->sim, options.seed);
  network->sim.scenario = network;
  network->sim.invariant = is_consistent;
  network->sim.trace = (struct trace){.level = getenv("TUNIC_TRACE") ? TRACE_DEBUG : TRACE_ERROR, .context = network, .sink = print_trace};
  memory_budget_init(&network->budget, BUDGET_BYTES);
  memory_budget_init(&network->client_budget, BUDGET_BYTES);
  make_file(network, network->authority_seed);
  network->relay_count = (uint32_t)strlen(options.relays);
  for (uint32_t i = 0; i < network->relay_count; i++) relay_init(network, i, &options, options.relays);
  network->consensus = small_network_consensus(network, 5, &network->file, network->authority_seed);
  for (uint32_t i = 0; i < network->relay_count; i++) start_relay(network, &network->relays[i]);
  client_init(network, &options);
  apps_init(network, options.delay);
}

void small_network_wipe(struct small_network *network) {
  cr_expect(!network->sim.broken, "an invariant broke; seed %llu", (unsigned long long)network->sim.seed);
  sim_wipe(&network->sim);
  client_free(network->client);
  network_chain_free(network->networks);
  cr_expect_eq(memory_budget_used(&network->client_budget), 0, "the client leaks cells");
  for (uint32_t i = 0; i < network->relay_count; i++) {
    shard_free(network->relays[i].shard);
    guarded_key_free((struct guarded_key *)network->relays[i].self.link_secret);
  }
  consensus_release(network->consensus);
  web_free(network->web);
  fetcher_free(network->fetcher);
  peer_free(network->app);
  peer_free(network->peer);
}

void small_network_status(const struct small_network *network, struct status *ret) {
  struct machine machine = client_machine(network->client);
  machine.verbs->status(machine.self, network->sim.now, ret);
}

uint64_t small_network_figure(const struct small_network *network, const char *name) {
  struct status status;
  small_network_status(network, &status);
  for (uint32_t i = 0; i < status.figure_count; i++)
    if (strcmp(status.figures[i].name, name) == 0) return status.figures[i].value;
  cr_assert_fail("no figure %s", name);
  return 0;
}

static bool is_ready(struct sim *sim, void *context) {
  struct status status;
  (void)sim;
  small_network_status(context, &status);
  return status.ready;
}

bool small_network_wait_ready(struct small_network *network) {
  return sim_run_until(&network->sim, network->sim.now + 60 * SECONDS, is_ready, network);
}

static bool all_done(struct sim *sim, void *context) {
  (void)sim;
  return fetcher_all_done(((struct small_network *)context)->fetcher);
}

bool small_network_wait_fetches(struct small_network *network, uint64_t seconds) {
  return sim_run_until(&network->sim, network->sim.now + seconds * SECONDS, all_done, network);
}

uint32_t small_network_fetch(struct small_network *network, const char *user, const char *host, uint64_t bytes, bool early, uint64_t limit) {
  uint32_t index = fetcher_begin(network->fetcher, network->sim.now, user, host, WEB_PORT, bytes, early, limit);
  sim_poke(network->app_host, 0);
  return index;
}

uint32_t small_network_app(struct small_network *network, const void *bytes, size_t len) {
  struct address proxy = network->client_host->address;
  proxy.port = PROXY_PORT;
  uint32_t index = peer_connect(network->app, &proxy, bytes, len);
  sim_poke(network->app_host, network->app_machine);
  return index;
}
