#include "relay/driver.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory/driver.h"
#include "directory/signing_certificate.h"
#include "io/command_line.h"
#include "io/key_file.h"
#include "io/launch.h"
#include "io/machine_size.h"
#include "io/privilege.h"
#include "protocol/limits.h"
#include "protocol/memory_budget.h"
#include "relay/keeper.h"
#include "relay/shard.h"

enum { ONION_KEYS_TEXT_BYTES = 512, MEGABYTE = 1024 * 1024 };
#define CERTIFICATE_FILE "signing-certificate"
#define SOFTWARE "tunic-" COMMAND_LINE_VERSION

/* What the machines point to, and they themselves. */
struct relay {
  const struct relay_settings *settings;
  struct launch launch;
  struct network_chain *networks;
  struct key_ring keys;
  bool is_offline;                        /* the identity is elsewhere: */
  struct signing_certificate certificate; /* what it gave us */
  struct link_self self;
  struct descriptor descriptor;
  struct onion_keys *onion_keys; /* in guarded memory */
  uint64_t last_sequence;
  struct memory_budget budget;
  struct keeper *keeper;
  uint32_t machine_count;
  struct shard *shards[KEEPER_SHARDS_MAX];
  struct machine machines[1 + KEEPER_SHARDS_MAX];
};

/* ---- what is on disk ---- */

static enum outcome read_network(const char *path, struct network_file *ret, struct complaint *complaint) {
  struct document *document;
  uint32_t line;
  enum outcome outcome = file_read(path, LIMIT_NETWORK_FILE_BYTES, &document, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  outcome = network_file_parse(document_bytes(document), document_len(document), ret, &line);
  document_release(document);
  if (outcome != OUTCOME_OK) driver_complain_network(path, outcome, line, complaint);
  return outcome;
}

static enum outcome read_networks(struct relay *relay, struct complaint *complaint) {
  enum outcome outcome;
  relay->networks = driver_read_networks(&relay->launch, relay->settings->network_path, relay->settings->data_path, &outcome, complaint);
  return outcome;
}

/* [DESC-8] What authorities refuse anyway is said at once. */
static enum outcome check_place(const struct relay *relay, struct complaint *complaint) {
  const struct address *address = &relay->settings->address;
  char host[ADDRESS_TEXT_BYTES];
  if (!address_is_private(address) || network_chain_newest(relay->networks)->is_lab) return OUTCOME_OK;
  address_format_host(address, host);
  complain(complaint, "--address %s is a private address, which authorities refuse outside labs: give with --address the one at which others reach this relay, "
                      "and %s with --listen.", host, host);
  return OUTCOME_BAD_SETTING;
}

/* [KEYFILE-4] NOT_FOUND: there is none. */
static enum outcome read_certificate(const struct folder *folder, struct signing_certificate *ret, struct complaint *complaint) {
  struct document *document;
  enum outcome outcome = folder_read(folder, CERTIFICATE_FILE, SIGNING_CERTIFICATE_TEXT_BYTES, &document, NULL);
  if (outcome != OUTCOME_OK) return outcome;
  outcome = signing_certificate_parse(document_bytes(document), document_len(document), ret);
  document_release(document);
  if (outcome == OUTCOME_OK) return OUTCOME_OK;
  complain(complaint, "%s/%s is no signing key's certificate.", folder_path(folder), CERTIFICATE_FILE);
  advise(complaint, "Carry it over once more from where the identity is, with secret-signing.");
  return outcome;
}

/* Whether the certificate is for this relay's key, network and time. */
static enum outcome check_certificate(const struct relay *relay, struct date now, struct complaint *complaint) {
  const struct signing_certificate *certificate = &relay->certificate;
  uint8_t key[ED25519_PUBLIC_BYTES];
  char date[DATE_TEXT_BYTES];
  if (memcmp(certificate->network, network_chain_newest(relay->networks)->id, sizeof certificate->network) != 0) {
    complain(complaint, "%s is of another network.", CERTIFICATE_FILE);
    return OUTCOME_WRONG_NETWORK;
  }
  key_ring_public(&relay->keys, KEY_SIGNING, key);
  date_format(certificate->expires, date);
  bool is_ours = memcmp(key, certificate->signing_key, sizeof key) == 0, is_over = date_compare(now, certificate->expires) >= 0;
  if (!is_ours) complain(complaint, "%s certifies another key than secret-signing: both come from one --new-signing-key.", CERTIFICATE_FILE);
  else if (is_over) complain(complaint, "The signing key ran out on %s: make a new one with --new-signing-key where the identity is.", date);
  return is_ours && !is_over ? OUTCOME_OK : OUTCOME_BAD_SETTING;
}

/* A relay with a certificate and no identity signs with what it was given: nothing of it may be made here. */
static enum outcome open_keys(struct relay *relay, uint32_t *ret_made, struct complaint *complaint) {
  const struct folder *folder = relay->launch.folder;
  struct key_ring trial;
  enum outcome identity = key_ring_open(folder, 1U << KEY_IDENTITY, NULL, &trial, NULL, NULL);
  key_ring_close(&trial);
  if (identity == OUTCOME_NOT_FOUND) {
    enum outcome certified = read_certificate(folder, &relay->certificate, complaint);
    relay->is_offline = certified == OUTCOME_OK;
    if (certified != OUTCOME_OK && certified != OUTCOME_NOT_FOUND) return certified;
  }
  uint32_t wanted = 1U << KEY_LINK | 1U << KEY_SIGNING;
  if (!relay->is_offline) return key_ring_open(folder, wanted | 1U << KEY_IDENTITY, &relay->launch.random, &relay->keys, ret_made, complaint);
  enum outcome outcome = key_ring_open(folder, 1U << KEY_SIGNING, NULL, &trial, NULL, complaint);
  key_ring_close(&trial);
  if (outcome == OUTCOME_OK) outcome = key_ring_open(folder, wanted, &relay->launch.random, &relay->keys, ret_made, complaint);
  return outcome == OUTCOME_OK ? check_certificate(relay, launch_date(), complaint) : outcome;
}

/* [KEYFILE-3] An authority's folder is easily given by mistake. */
static enum outcome check_identity(const struct relay *relay, struct complaint *complaint) {
  const struct network_file *network = network_chain_newest(relay->networks);
  for (uint32_t i = 0; i < network->authority_count; i++) {
    if (memcmp(network->authorities[i].identity, relay->self.identity, IDENTITY_BYTES) != 0) continue;
    complain(complaint, "%s is the folder of the authority %s: a relay has a folder and keys of its own. Give another with --data.", relay->settings->data_path,
             network->authorities[i].name);
    return OUTCOME_BAD_SETTING;
  }
  return OUTCOME_OK;
}

static enum outcome read_keys(struct relay *relay, struct complaint *complaint) {
  uint32_t made;
  char identity[2 * IDENTITY_BYTES + 1];
  enum outcome outcome = open_keys(relay, &made, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  if (relay->is_offline) memcpy(relay->self.identity, relay->certificate.identity, IDENTITY_BYTES);
  else key_ring_public(&relay->keys, KEY_IDENTITY, relay->self.identity);
  outcome = check_identity(relay, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  key_ring_public(&relay->keys, KEY_LINK, relay->self.link_public);
  relay->self.link_secret = relay->keys.keys[KEY_LINK];
  memcpy(relay->self.network, network_chain_newest(relay->networks)->id, sizeof relay->self.network);
  launch_fill_suites(relay->settings->backend, &relay->self);
  hex_encode(identity, relay->self.identity, IDENTITY_BYTES);
  trace_write(relay->launch.trace, TRACE_NOTICE, "start", "%s identity %s of the network %s%s", made == 0 ? "the" : "made keys for the", identity,
              network_chain_newest(relay->networks)->name, relay->is_offline ? ", kept offline" : "");
  return OUTCOME_OK;
}

/* The file's length says how many keys it holds. */
static enum outcome read_onion_keys(struct relay *relay, struct complaint *complaint) {
  char *text = sodium_malloc(ONION_KEYS_TEXT_BYTES);
  relay->onion_keys = sodium_malloc(sizeof *relay->onion_keys);
  if (text == NULL || relay->onion_keys == NULL) {
    sodium_free(text);
    return OUTCOME_NO_MEMORY;
  }
  enum outcome outcome = OUTCOME_BAD_DOCUMENT;
  for (uint32_t count = 0; count <= ONION_KEYS_KEPT && outcome == OUTCOME_BAD_DOCUMENT; count++) {
    memset(relay->onion_keys, 0, sizeof *relay->onion_keys);
    relay->onion_keys->count = count;
    size_t len = onion_keys_format(relay->onion_keys, text, ONION_KEYS_TEXT_BYTES);
    outcome = folder_read_secret(relay->launch.folder, KEEPER_ONION_KEYS_FILE, (uint8_t *)text, len, complaint);
    if (outcome == OUTCOME_OK && !onion_keys_parse((const uint8_t *)text, len, relay->onion_keys)) outcome = OUTCOME_BAD_DOCUMENT;
  }
  sodium_free(text);
  if (outcome == OUTCOME_BAD_DOCUMENT) {
    complain(complaint, "%s/%s is damaged.", folder_path(relay->launch.folder), KEEPER_ONION_KEYS_FILE);
    advise(complaint, "Remove it: new onion keys are made.");
  }
  if (outcome != OUTCOME_NOT_FOUND) return outcome;
  complaint_withdraw(complaint);
  relay->onion_keys->count = 0;
  return OUTCOME_OK;
}

/* [DESC-4] The next descriptor's sequence must be above that of the last. Without it the date serves. */
static void read_last_sequence(struct relay *relay) {
  struct document *document;
  struct descriptor *last = malloc(sizeof *last);
  if (folder_read(relay->launch.folder, KEEPER_DESCRIPTOR_FILE, LIMIT_DESCRIPTOR_BYTES, &document, NULL) == OUTCOME_OK) {
    if (last != NULL && descriptor_parse(network_chain_newest(relay->networks)->id, document_bytes(document), document_len(document), last, NULL) == OUTCOME_OK &&
        memcmp(last->identity, relay->self.identity, IDENTITY_BYTES) == 0)
      relay->last_sequence = last->sequence;
    document_release(document);
  }
  free(last);
}

/* NULL: there is none that can be used; it is fetched. */
static struct consensus *read_consensus(const struct relay *relay) {
  struct document *file;
  enum outcome outcome = folder_read(relay->launch.folder, KEEPER_CONSENSUS_FILE, LIMIT_CONSENSUS_BYTES, &file, NULL);
  if (outcome != OUTCOME_OK) return NULL;
  struct consensus *consensus = network_chain_consensus(relay->networks, document_bytes(file), document_len(file), &outcome, NULL);
  document_release(file);
  if (consensus == NULL) trace_write(relay->launch.trace, TRACE_NOTICE, "start", "the stored consensus can't be used (%s): a new one is fetched", outcome_name(outcome));
  return consensus;
}

/* ---- what it says of itself ---- */

static void describe(struct relay *relay) {
  const struct relay_settings *settings = relay->settings;
  struct descriptor *descriptor = &relay->descriptor;
  memcpy(descriptor->network, network_chain_newest(relay->networks)->id, sizeof descriptor->network);
  snprintf(descriptor->nickname, sizeof descriptor->nickname, "%s", settings->nickname);
  snprintf(descriptor->contact, sizeof descriptor->contact, "%s", settings->contact == NULL ? "" : settings->contact);
  snprintf(descriptor->software, sizeof descriptor->software, "%s", SOFTWARE);
  memcpy(descriptor->identity, relay->self.identity, IDENTITY_BYTES);
  memcpy(descriptor->link_key, relay->self.link_public, X25519_BYTES);
  key_ring_public(&relay->keys, KEY_SIGNING, descriptor->signing_key);
  descriptor->signing_expires = relay->certificate.expires;
  memcpy(descriptor->certificate, relay->certificate.signature, sizeof descriptor->certificate);
  descriptor->address = settings->address;
  descriptor->link_suites = relay->self.suites;
  descriptor->layer_suite = aead_suite_has_hardware(AEAD_AES256_GCM) ? AEAD_AES256_GCM : AEAD_CHACHA20_POLY1305;
  descriptor->bandwidth = settings->bandwidth;
  descriptor->policy = settings->policy;
}

/* ---- the machines ---- */

static enum outcome make_keeper(struct relay *relay) {
  struct keeper_config config = {.self = &relay->self, .networks = relay->networks, .budget = &relay->budget,
                                 .shard_count = relay->settings->shards, .trace = relay->launch.trace, .descriptor = &relay->descriptor,
                                 .signing_seed = relay->keys.keys[KEY_SIGNING], .identity_seed = relay->keys.keys[KEY_IDENTITY],
                                 .onion_keys = relay->onion_keys,
                                 .last_sequence = relay->last_sequence, .consensus = read_consensus(relay), .listen = relay->settings->listen};
  launch_seed(&relay->launch, config.seed);
  relay->keeper = keeper_new(&config);
  bytes_wipe(config.seed, sizeof config.seed);
  if (relay->keeper == NULL) return OUTCOME_NO_MEMORY;
  relay->machines[relay->machine_count++] = keeper_machine(relay->keeper);
  return OUTCOME_OK;
}

static enum outcome make_shard(struct relay *relay, uint32_t index) {
  struct shard_config config = {.self = &relay->self, .policy = &relay->descriptor.policy,
                                .own = {relay->descriptor.address, relay->descriptor.other}, .budget = &relay->budget,
                                .pool_cells = (uint32_t)(relay->budget.ceiling / CELL_BYTES), .index = index,
                                .streams = machine_size_relay_streams(privilege_descriptors(), relay->settings->shards),
                                .layer_suite = relay->descriptor.layer_suite, .trace = relay->launch.trace};
  launch_seed(&relay->launch, config.seed);
  relay->shards[index - 1] = shard_new(&config);
  bytes_wipe(config.seed, sizeof config.seed);
  if (relay->shards[index - 1] == NULL) return OUTCOME_NO_MEMORY;
  relay->machines[relay->machine_count++] = shard_machine(relay->shards[index - 1]);
  return OUTCOME_OK;
}

static enum outcome make_machines(struct relay *relay) {
  memory_budget_init(&relay->budget, (size_t)relay->settings->memory_mb * MEGABYTE);
  enum outcome outcome = make_keeper(relay);
  for (uint32_t i = 1; i <= relay->settings->shards && outcome == OUTCOME_OK; i++) outcome = make_shard(relay, i);
  return outcome;
}

static enum outcome run(struct relay *relay, struct complaint *complaint) {
  const struct relay_settings *settings = relay->settings;
  enum outcome outcome = launch_begin("tunic-relay", settings->data_path, settings->log_level, &relay->launch, complaint);
  if (outcome == OUTCOME_OK) outcome = launch_check_folder(&relay->launch, LAUNCH_CLIENT_FILE, "a client", complaint);
  if (outcome == OUTCOME_OK) outcome = read_networks(relay, complaint);
  if (outcome == OUTCOME_OK) outcome = check_place(relay, complaint);
  if (outcome == OUTCOME_OK) outcome = read_keys(relay, complaint);
  if (outcome == OUTCOME_OK) outcome = read_onion_keys(relay, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  read_last_sequence(relay);
  describe(relay);
  relay->launch.listen_option = "--listen";
  outcome = make_machines(relay);
  if (outcome != OUTCOME_OK) return outcome;
  trace_write(relay->launch.trace, TRACE_NOTICE, "start", "%s: %u shards, at most %u MB for cells, %s, %s", settings->nickname, settings->shards,
              settings->memory_mb, settings->policy.rule_count > 0 ? "an exit" : "no exit", aead_backend_name(settings->backend));
  return launch_run(&relay->launch, relay->machines, relay->machine_count, &settings->listen, CONNECTION_LINK, complaint);
}

enum outcome relay_run(const struct relay_settings *settings, struct complaint *complaint) {
  struct relay *relay = calloc(1, sizeof *relay);
  if (relay == NULL) return OUTCOME_NO_MEMORY;
  relay->settings = settings;
  enum outcome outcome = run(relay, complaint);
  for (uint32_t i = 0; i < settings->shards; i++) shard_free(relay->shards[i]);
  keeper_free(relay->keeper);
  network_chain_free(relay->networks);
  sodium_free(relay->onion_keys);
  key_ring_close(&relay->keys);
  launch_end(&relay->launch);
  free(relay);
  return outcome;
}

enum outcome relay_show_descriptor(const char *data_path, struct complaint *complaint) {
  char path[4096];
  struct document *document;
  snprintf(path, sizeof path, "%s/%s", data_path, KEEPER_DESCRIPTOR_FILE);
  enum outcome outcome = file_read(path, LIMIT_DESCRIPTOR_BYTES, &document, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  fwrite(document_bytes(document), 1, document_len(document), stdout);
  document_release(document);
  return OUTCOME_OK;
}

/* ---- where the identity is ---- */

/* [KEYFILE-5] One hour less, since two machines' clocks differ. */
static struct signing_certificate certify(const struct network_file *network, const struct key_ring *keys, uint32_t days) {
  struct signing_certificate certificate = {.expires = date_after(launch_date(), (days * INT64_C(24) - 1) * 60 * 60 * 1000)};
  memcpy(certificate.network, network->id, sizeof certificate.network);
  key_ring_public(keys, KEY_IDENTITY, certificate.identity);
  key_ring_public(keys, KEY_SIGNING, certificate.signing_key);
  signing_certificate_sign(&certificate, keys->keys[KEY_IDENTITY]->bytes);
  return certificate;
}

static enum outcome make_signing_key(struct launch *launch, const struct network_file *network, uint32_t days, struct complaint *complaint) {
  struct key_ring keys;
  char text[SIGNING_CERTIFICATE_TEXT_BYTES], date[DATE_TEXT_BYTES];
  enum outcome outcome = key_ring_open(launch->folder, 1U << KEY_IDENTITY, &launch->random, &keys, NULL, complaint);
  if (outcome == OUTCOME_OK) outcome = key_ring_replace(launch->folder, KEY_SIGNING, &launch->random, &keys, complaint);
  if (outcome == OUTCOME_OK) {
    struct signing_certificate certificate = certify(network, &keys, days);
    size_t len = signing_certificate_format(&certificate, text, sizeof text);
    outcome = folder_write(launch->folder, CERTIFICATE_FILE, text, len, false, complaint);
    date_format(certificate.expires, date);
  }
  key_ring_close(&keys);
  if (outcome != OUTCOME_OK) return outcome;
  printf("Made a signing key that is good until %s. Carry these two to the relay's folder, and start it anew:\n  %s/secret-signing\n  %s/%s\n"
         "secret-identity stays here.\n", date, folder_path(launch->folder), folder_path(launch->folder), CERTIFICATE_FILE);
  return OUTCOME_OK;
}

enum outcome relay_make_signing_key(const char *network_path, const char *data_path, uint32_t days, struct complaint *complaint) {
  struct launch launch = {0};
  struct network_file *network = malloc(sizeof *network);
  if (network == NULL) return OUTCOME_NO_MEMORY;
  enum outcome outcome = launch_begin("tunic-relay", data_path, TRACE_WARNING, &launch, complaint);
  if (outcome == OUTCOME_OK) outcome = read_network(network_path, network, complaint);
  if (outcome == OUTCOME_OK) outcome = make_signing_key(&launch, network, days, complaint);
  launch_end(&launch);
  free(network);
  return outcome;
}
