#include "tests/sim/network.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POOL_CELLS = 4096, CLIENT_POOL_CELLS = 16384 };

static struct guarded_key *random_key(struct sim *sim) {
  uint8_t bytes[32];
  random_bytes(&sim->random, bytes, sizeof bytes);
  struct guarded_key *key = guarded_key_new(bytes);
  if (key == NULL) abort();
  return key;
}

static void make_keys(struct node *node) {
  struct sim *sim = &node->network->sim;
  node->identity_key = random_key(sim);
  node->link_key = random_key(sim);
  node->signing_key = random_key(sim);
  ed25519_public(node->self.identity, node->identity_key->bytes);
  x25519_public(node->self.link_public, node->link_key->bytes);
  node->self.link_secret = node->link_key;
  node->self.suites = 1 << AEAD_CHACHA20_POLY1305;
  node->self.backend = AEAD_LIBSODIUM;
  if (!node->network->options.is_fast) return;
  node->self.backend = aead_best_backend();
  if (aead_suite_has_hardware(AEAD_AES256_GCM)) node->self.suites |= 1 << AEAD_AES256_GCM;
}

static struct address public_address(uint32_t number) {
  return (struct address){.family = ADDRESS_IPV4, .bytes = {(uint8_t)(20 + (number >> 8)), (uint8_t)number, 1, 1}};
}

struct node *network_add_node(struct network *network, enum node_role role, const char *prefix, uint32_t index) {
  struct node *node = calloc(1, sizeof *node);
  char name[SIM_NAME_BYTES];
  if (node == NULL) abort();
  if (index == 0) snprintf(name, sizeof name, "%s", prefix);
  else snprintf(name, sizeof name, "%s%u", prefix, index);
  node->network = network;
  node->role = role;
  node->index = index;
  node->shard_count = network->options.shards == 0 ? 1 : network->options.shards;
  node->pool_cells = network->options.pool_cells == 0 ? POOL_CELLS : network->options.pool_cells;
  memory_budget_init(&node->budget, SIZE_MAX / 2);
  node->host = sim_add_host(&network->sim, name, network->options.delay);
  node->host->bytes_per_s = network->options.bytes_per_s;
  if (network->options.is_public) node->host->address = public_address(node->host->number);
  node->host->owner = node;
  list_append(&network->nodes, &node->list);
  make_keys(node);
  return node;
}

static void fill_file(struct network *network) {
  struct network_file *file = &network->file;
  snprintf(file->name, sizeof file->name, "simulated");
  random_bytes(&network->sim.random, file->id, sizeof file->id);
  file->serial = 1;
  file->is_lab = !network->options.is_public;
  file->created = (struct date){network->sim.wall_ms_at_zero};
  file->expires = (struct date){network->sim.wall_ms_at_zero + INT64_C(10) * 365 * 86400 * 1000};
  network_timing_lab(&file->timing);
  if (network->options.timing != NULL) file->timing = *network->options.timing;
  file->authority_count = network->options.authorities;
  for (uint32_t i = 0; i < file->authority_count; i++) {
    char name[SIM_NAME_BYTES], host[ADDRESS_TEXT_BYTES];
    snprintf(name, sizeof name, "a%u", i + 1);
    struct node *node = network_node(network, name);
    struct network_authority *authority = &file->authorities[i];
    snprintf(authority->name, sizeof authority->name, "a%u", i + 1);
    memcpy(authority->identity, node->self.identity, IDENTITY_BYTES);
    memcpy(authority->link_key, node->self.link_public, X25519_BYTES);
    address_format_host(&node->host->address, host);
    snprintf(authority->host, sizeof authority->host, "%s", host);
    authority->port = NETWORK_PORT;
  }
  static char text[LIMIT_NETWORK_FILE_BYTES];
  size_t len = network_file_format(file, text, sizeof text);
  for (uint32_t i = 0; i < file->authority_count; i++) {
    struct node *node = network_node(network, file->authorities[i].name);
    len = network_file_sign(text, len, sizeof text, node->identity_key->bytes);
  }
  if (network_file_parse((const uint8_t *)text, len, file, NULL) != OUTCOME_OK) abort();
  network->file_text = document_new(text, len);
  for (struct list_node *n = list_first(&network->nodes); n != NULL; n = list_after(&network->nodes, n))
    memcpy(LIST_OBJECT(n, struct node, list)->self.network, file->id, sizeof file->id);
}

static struct consensus *stored_consensus(const struct node *node, const char *name) {
  const struct document *file = sim_file(node->host, name);
  enum outcome outcome;
  if (file == NULL) return NULL;
  return network_chain_consensus(node->networks, document_bytes(file), document_len(file), &outcome, NULL);
}

static void start_authority(struct node *node) {
  struct sim *sim = &node->network->sim;
  const struct document *ballot = sim_file(node->host, AUTHORITY_BALLOT_FILE);
  bool took_part = sim_file(node->host, AUTHORITY_CONSENSUS_FILE) != NULL;
  struct authority_config config = {.self = &node->self,
                                    .networks = node->networks,
                                    .identity_seed = node->identity_key,
                                    .budget = &node->budget,
                                    .trace = &sim->trace,
                                    .ballot_state = ballot != NULL ? AGREEMENT_BALLOT_READ : took_part ? AGREEMENT_BALLOT_LOST : AGREEMENT_BALLOT_NEW,
                                    .ballot = ballot == NULL ? NULL : document_bytes(ballot),
                                    .ballot_len = ballot == NULL ? 0 : document_len(ballot),
                                    .consensus = stored_consensus(node, AUTHORITY_CONSENSUS_FILE)};
  struct wall_clock clock = {.at = sim->now, .date = sim_date(node->host)};
  struct document *votes[AUTHORITY_VOTE_FILES] = {NULL};
  enum outcome outcome;
  for (uint32_t i = 0; i < AUTHORITY_VOTE_FILES; i++) {
    char name[AUTHORITY_VOTE_NAME_BYTES];
    authority_vote_file(i, name);
    const struct sim_file *vote = sim_find_file(node->host, name);
    if (vote != NULL) votes[i] = vote->bytes;
  }
  config.votes = votes;
  sim_seed(sim, config.seed);
  node->authority = authority_new(&config, sim->now, &clock, &outcome);
  if (node->authority == NULL) abort();
  sim_add_machine(node->host, authority_machine(node->authority));
  sim_listen(node->host, CONNECTION_LINK, NETWORK_PORT, 0);
}

static void describe(struct node *node) {
  struct network *network = node->network;
  struct descriptor *d = calloc(1, sizeof *d);
  if (d == NULL) abort();
  snprintf(d->nickname, sizeof d->nickname, "%s", node->host->name);
  memcpy(d->network, network->file.id, sizeof d->network);
  memcpy(d->identity, node->self.identity, IDENTITY_BYTES);
  memcpy(d->link_key, node->self.link_public, X25519_BYTES);
  d->address = node->host->address;
  d->address.port = NETWORK_PORT;
  d->link_suites = node->self.suites;
  d->layer_suite = node->self.suites & 1 << AEAD_AES256_GCM ? AEAD_AES256_GCM : AEAD_CHACHA20_POLY1305;
  d->bandwidth = 10000;
  snprintf(d->software, sizeof d->software, "tunic-simulated");
  ed25519_public(d->signing_key, node->signing_key->bytes);
  d->signing_expires = date_after(sim_date(node->host), INT64_C(29) * 86400 * 1000);
  descriptor_certify(d, node->identity_key->bytes);
  if (node->role == NODE_EXIT) {
    exit_policy_add_rule(&node->policy, "accept private:*", strlen("accept private:*"));
    exit_policy_add_rule(&node->policy, "accept *:*", strlen("accept *:*"));
  }
  d->policy = node->policy;
  node->descriptor = d;
}

static uint64_t last_sequence(const struct node *node) {
  static _Thread_local struct descriptor last;
  const struct document *file = sim_file(node->host, KEEPER_DESCRIPTOR_FILE);
  if (file == NULL) return 0;
  if (descriptor_parse(node->network->file.id, document_bytes(file), document_len(file), &last, NULL) != OUTCOME_OK) abort();
  return last.sequence;
}

static void start_relay(struct node *node) {
  struct sim *sim = &node->network->sim;
  struct onion_keys keys = {0};
  const struct document *file = sim_file(node->host, KEEPER_ONION_KEYS_FILE);
  if (file != NULL && !onion_keys_parse(document_bytes(file), document_len(file), &keys)) abort();
  struct keeper_config keeper = {.self = &node->self,
                                 .networks = node->networks,
                                 .budget = &node->budget,
                                 .shard_count = node->shard_count,
                                 .trace = &sim->trace,
                                 .descriptor = node->descriptor,
                                 .signing_seed = node->signing_key,
                                 .onion_keys = &keys,
                                 .last_sequence = last_sequence(node),
                                 .consensus = stored_consensus(node, KEEPER_CONSENSUS_FILE)};
  sim_seed(sim, keeper.seed);
  node->keeper = keeper_new(&keeper);
  if (node->keeper == NULL) abort();
  sim_add_machine(node->host, keeper_machine(node->keeper));
  for (uint32_t i = 0; i < node->shard_count; i++) {
    struct shard_config shard = {.self = &node->self,
                                 .policy = &node->policy,
                                 .own = {node->descriptor->address, node->descriptor->other},
                                 .budget = &node->budget,
                                 .pool_cells = node->pool_cells,
                                 .index = i + 1,
                                 .layer_suite = node->descriptor->layer_suite,
                                 .trace = &sim->trace};
    sim_seed(sim, shard.seed);
    node->shards[i] = shard_new(&shard);
    if (node->shards[i] == NULL) abort();
    sim_add_machine(node->host, shard_machine(node->shards[i]));
  }
  sim_listen(node->host, CONNECTION_LINK, NETWORK_PORT, 0);
}

static void start_client(struct node *node) {
  struct sim *sim = &node->network->sim;
  const struct document *state = sim_file(node->host, "state");
  struct client_config config = {.self = &node->self,
                                 .networks = node->networks,
                                 .budget = &node->budget,
                                 .pool_cells = CLIENT_POOL_CELLS,
                                 .trace = &sim->trace,
                                 .state = state == NULL ? NULL : (const char *)document_bytes(state),
                                 .state_len = state == NULL ? 0 : document_len(state)};
  sim_seed(sim, config.seed);
  node->self.link_secret = NULL;
  node->client = client_new(&config);
  if (node->client == NULL) abort();
  struct consensus *consensus = stored_consensus(node, "consensus");
  if (consensus != NULL) client_set_consensus(node->client, sim->now, consensus);
  sim_add_machine(node->host, client_machine(node->client));
  sim_listen(node->host, CONNECTION_SOCKS, NETWORK_SOCKS_PORT, 0);
}

static void free_machines(struct sim_host *host) {
  struct node *node = host->owner;
  authority_free(node->authority);
  keeper_free(node->keeper);
  for (uint32_t i = 0; i < node->shard_count; i++) shard_free(node->shards[i]);
  client_free(node->client);
  network_chain_free(node->networks);
  node->networks = NULL;
  if (node->web != NULL) web_free(node->web);
  if (node->fetcher != NULL) fetcher_free(node->fetcher);
  node->authority = NULL;
  node->keeper = NULL;
  memset(node->shards, 0, sizeof node->shards);
  node->client = NULL;
  node->web = NULL;
  node->fetcher = NULL;
}

static void start_app(struct node *node) {
  char name[SIM_NAME_BYTES];
  snprintf(name, sizeof name, "c%u", node->index);
  struct address proxy = network_node(node->network, name)->host->address;
  proxy.port = NETWORK_SOCKS_PORT;
  node->fetcher = fetcher_new(proxy);
  sim_add_machine(node->host, fetcher_machine(node->fetcher));
}

/* As the programs do: the file they are started with, and what they stored. */
static struct network_chain *read_networks(const struct node *node) {
  enum outcome outcome;
  const struct document *given = node->given == NULL ? node->network->file_text : node->given;
  struct network_chain *chain = network_chain_start(given, sim_file(node->host, "network"), &outcome, NULL);
  if (chain == NULL) abort();
  return chain;
}

void network_start(struct node *node) {
  if (node->role != NODE_WEB && node->role != NODE_APP) node->networks = read_networks(node);
  node->host->on_free = free_machines;
  switch (node->role) {
  case NODE_AUTHORITY: start_authority(node); break;
  case NODE_RELAY:
  case NODE_EXIT: start_relay(node); break;
  case NODE_CLIENT: start_client(node); break;
  case NODE_WEB:
    node->web = web_new();
    sim_add_machine(node->host, web_machine(node->web));
    sim_listen(node->host, CONNECTION_STREAM, NETWORK_WEB_PORT, 0);
    break;
  case NODE_APP: start_app(node); break;
  }
  sim_start(node->host);
}

void network_kill(struct node *node) {
  sim_kill(node->host);
}

/* What shards and keepers tell each other is not malloc's alone. */
static void drop_message(const struct machine_message *message) {
  switch ((enum relay_message_kind)message->kind) {
  case SHARD_CONSENSUS: consensus_release(message->object); return;
  case SHARD_ONION_KEYS: sodium_free(message->object); return;
  case SHARD_NETWORK_FILES: document_release(message->object); return;
  case KEEPER_LINK_CLOSED:
  case KEEPER_FIGURES: free(message->object); return;
  case KEEPER_UNKNOWN_RELAY: return;
  }
}

/* Counts that agree with what is there, after every turn. */
bool network_is_consistent(struct sim *sim, struct sim_host *host) {
  const struct node *node = host->owner;
  (void)sim;
  for (uint32_t i = 0; node->keeper != NULL && i < node->shard_count; i++)
    if (!shard_is_consistent(node->shards[i])) return false;
  return node->client == NULL || client_is_consistent(node->client);
}

void network_init(struct network *network, uint64_t seed, const struct network_options *options) {
  memset(network, 0, sizeof *network);
  if (!crypto_start()) abort();
  sim_init(&network->sim, seed);
  network->sim.wall_ms_at_zero += options->later_ms;
  network->options = *options;
  list_init(&network->nodes);
  network->sim.scenario = network;
  network->sim.invariant = network_is_consistent;
  network->sim.drop_message = drop_message;
  for (uint32_t i = 1; i <= options->authorities; i++) network_add_node(network, NODE_AUTHORITY, "a", i);
  fill_file(network);
  for (uint32_t i = 1; i <= options->relays; i++) network_add_node(network, NODE_RELAY, "r", i);
  for (uint32_t i = 1; i <= options->exits; i++) network_add_node(network, NODE_EXIT, "x", i);
  for (uint32_t i = 1; i <= options->clients; i++) network_add_node(network, NODE_CLIENT, "c", i);
  network_add_node(network, NODE_WEB, "web", 0);
  for (uint32_t i = 1; i <= options->clients; i++) network_add_node(network, NODE_APP, "app", i);
  for (struct list_node *n = list_first(&network->nodes); n != NULL; n = list_after(&network->nodes, n)) {
    struct node *node = LIST_OBJECT(n, struct node, list);
    memcpy(node->self.network, network->file.id, sizeof node->self.network);
    if (node->role == NODE_RELAY || node->role == NODE_EXIT) describe(node);
    if (node->role == NODE_APP) {
      /* An application runs beside its client. */
      node->host->delay = 0;
      node->host->bytes_per_s = 0;
    }
    network_start(node);
  }
}

struct node *network_add_relay(struct network *network, uint32_t index) {
  struct node *node = network_add_node(network, NODE_RELAY, "r", index);
  memcpy(node->self.network, network->file.id, sizeof node->self.network);
  describe(node);
  network_start(node);
  return node;
}

void network_wipe(struct network *network) {
  sim_wipe(&network->sim);
  document_release(network->file_text);
  struct list_node *n;
  while ((n = list_take_first(&network->nodes)) != NULL) {
    struct node *node = LIST_OBJECT(n, struct node, list);
    guarded_key_free(node->identity_key);
    guarded_key_free(node->link_key);
    guarded_key_free(node->signing_key);
    free(node->descriptor);
    document_release(node->given);
    free(node);
  }
}

struct node *network_node(const struct network *network, const char *name) {
  struct sim_host *host = sim_find_host(&network->sim, name);
  if (host == NULL) abort(); /* a name that a scenario made up */
  return host->owner;
}

bool network_client_is_ready(const struct node *node) {
  static _Thread_local struct status status;
  struct machine machine = client_machine(node->client);
  machine.verbs->status(machine.self, node->network->sim.now, &status);
  return status.ready;
}

static bool all_ready(struct sim *sim, void *context) {
  struct network *network = context;
  (void)sim;
  if (++network->asked % 8 != 0) return false;
  for (struct list_node *n = list_first(&network->nodes); n != NULL; n = list_after(&network->nodes, n)) {
    struct node *node = LIST_OBJECT(n, struct node, list);
    if (node->role == NODE_CLIENT && node->client != NULL && !network_client_is_ready(node)) return false;
  }
  return true;
}

bool network_run_until_ready(struct network *network, uint64_t within) {
  return sim_run_until(&network->sim, instant_after(network->sim.now, within), all_ready, network);
}

uint32_t network_fetch(struct network *network, uint32_t index, const char *user, uint64_t bytes, bool early) {
  char name[SIM_NAME_BYTES];
  snprintf(name, sizeof name, "app%u", index);
  struct node *node = network_node(network, name);
  uint32_t number = fetcher_begin(node->fetcher, network->sim.now, user, "web", NETWORK_WEB_PORT, bytes, early, 0);
  sim_poke(node->host, 0);
  return number;
}

static bool all_fetched(struct sim *sim, void *context) {
  struct network *network = context;
  (void)sim;
  for (struct list_node *n = list_first(&network->nodes); n != NULL; n = list_after(&network->nodes, n)) {
    struct node *node = LIST_OBJECT(n, struct node, list);
    if (node->role == NODE_APP && node->fetcher != NULL && !fetcher_all_done(node->fetcher)) return false;
  }
  return true;
}

bool network_run_until_fetched(struct network *network, uint64_t within) {
  return sim_run_until(&network->sim, instant_after(network->sim.now, within), all_fetched, network);
}

void network_print_status(const struct network *network) {
  static _Thread_local struct status status;
  for (struct list_node *n = list_first(&network->nodes); n != NULL; n = list_after(&network->nodes, n)) {
    struct node *node = LIST_OBJECT(n, struct node, list);
    struct machine *machine = &node->host->machines[0];
    if (machine->verbs == NULL || machine->verbs->status == NULL) continue;
    machine->verbs->status(machine->self, network->sim.now, &status);
    printf("%-5s %s, %s (%s):", node->host->name, status.ready ? "ready" : "not ready", status.stage_text, outcome_name(status.cause));
    for (uint32_t i = 0; i < status.figure_count; i++)
      if (status.figures[i].value > 0) printf(" %s=%llu", status.figures[i].name, (unsigned long long)status.figures[i].value);
    for (uint32_t i = 0; i < status.text_count; i++) printf(" %s=%s", status.texts[i].name, status.texts[i].value);
    printf("\n");
  }
}
