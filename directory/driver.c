#include "directory/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory/authority.h"
#include "directory/fetch.h"
#include "io/key_file.h"
#include "io/launch.h"
#include "protocol/limits.h"

enum { MEGABYTE = 1024 * 1024, BALLOT_MOST_BYTES = 1024 * 1024, BALLOT_RECORD_BYTES = 64 * 1024 };

struct program_of_authority {
  const struct authority_settings *settings;
  struct launch launch;
  struct network_chain *networks;
  struct key_ring keys;
  struct link_self self;
  const struct network_authority *own; /* our line of the newest network file that has one */
  struct address listen;
  struct document *ballot; /* NULL: there is none */
  struct memory_budget budget;
  struct authority *authority;
};

/* What is wrong with the file itself, whatever else there is. */
static bool is_of_file(enum outcome outcome) {
  return outcome == OUTCOME_BAD_DOCUMENT || outcome == OUTCOME_BAD_SIGNATURE || outcome == OUTCOME_TOO_LARGE || outcome == OUTCOME_TOO_FEW_SIGNATURES;
}

void driver_complain_network(const char *path, enum outcome outcome, uint32_t line, struct complaint *complaint) {
  if (line > 0) complain(complaint, "%s is no network file (line %u): %s", path, line, outcome_text(outcome));
  else complain(complaint, "%s is no valid network file: %s", path, outcome_text(outcome));
  if (outcome == OUTCOME_TOO_FEW_SIGNATURES)
    advise(complaint, "Who has not signed yet: tunic-network authority show %s. If it is finished, get it once more, byte for byte, from who gave it to you.", path);
  else if (is_of_file(outcome)) advise(complaint, "Get it once more from who gave it to you: it is of use only byte for byte as its authorities signed it.");
}

struct network_chain *driver_read_networks(const struct launch *launch, const char *path, const char *data_path, enum outcome *ret_outcome,
                                           struct complaint *complaint) {
  struct document *given, *stored = NULL;
  uint32_t line = 0;
  *ret_outcome = launch_check_split(launch, FETCH_SPLIT_FILE, complaint);
  if (*ret_outcome == OUTCOME_OK) *ret_outcome = file_read(path, NETWORK_CHAIN_BYTES, &given, complaint);
  if (*ret_outcome != OUTCOME_OK) return NULL;
  if (folder_read(launch->folder, FETCH_NETWORK_FILE, NETWORK_CHAIN_BYTES, &stored, NULL) != OUTCOME_OK) stored = NULL;
  struct network_chain *networks = network_chain_start(given, stored, ret_outcome, &line);
  document_release(given);
  document_release(stored);
  if (networks != NULL) return networks;
  if (is_of_file(*ret_outcome)) driver_complain_network(path, *ret_outcome, line, complaint);
  else complain(complaint, "%s can't be used with what is in %s: %s", path, data_path, outcome_text(*ret_outcome));
  return NULL;
}

static enum outcome read_networks(struct program_of_authority *program, struct complaint *complaint) {
  enum outcome outcome;
  program->networks = driver_read_networks(&program->launch, program->settings->network_path, program->settings->data_path, &outcome, complaint);
  return outcome;
}

/* One that left still serves what it has: its line may be in an older file. */
static const struct network_authority *find_own(const struct network_chain *networks, const struct link_self *self) {
  const struct network_file *file = network_chain_newest(networks);
  for (uint32_t serial = file->serial; file != NULL; file = network_chain_find(networks, --serial)) {
    int own = network_file_find_authority(file, self->identity);
    if (own >= 0 && memcmp(file->authorities[own].link_key, self->link_public, X25519_BYTES) == 0) return &file->authorities[own];
  }
  return NULL;
}

/* Its keys were made with the network: one that is missing here can't be made anew. */
static enum outcome read_keys(struct program_of_authority *program, struct complaint *complaint) {
  struct link_self *self = &program->self;
  enum outcome outcome = key_ring_open(program->launch.folder, 1U << KEY_IDENTITY | 1U << KEY_LINK, NULL, &program->keys, NULL, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  key_ring_public(&program->keys, KEY_IDENTITY, self->identity);
  key_ring_public(&program->keys, KEY_LINK, self->link_public);
  self->link_secret = program->keys.keys[KEY_LINK];
  memcpy(self->network, network_chain_newest(program->networks)->id, sizeof self->network);
  launch_fill_suites(program->settings->backend, self);
  program->own = find_own(program->networks, self);
  if (program->own != NULL) return OUTCOME_OK;
  complain(complaint, "The keys in %s are none of the authorities' in %s.", program->settings->data_path, program->settings->network_path);
  return OUTCOME_WRONG_NETWORK;
}

/* The file's host may be a name, which says where others find us, not which of our addresses it is. */
static enum outcome find_place(struct program_of_authority *program, struct complaint *complaint) {
  const struct network_authority *authority = program->own;
  program->listen = program->settings->address;
  if (program->listen.port == 0) program->listen.port = authority->port;
  if (program->listen.family != ADDRESS_NONE) return OUTCOME_OK;
  uint16_t port = program->listen.port;
  if (!address_parse_host(authority->host, strlen(authority->host), &program->listen)) {
    complain(complaint, "The network file calls this authority %s: say with --address on which address it listens (0.0.0.0: on all).", authority->host);
    return OUTCOME_BAD_SETTING;
  }
  program->listen.port = port;
  return OUTCOME_OK;
}

/* ---- what is on disk ---- */

/* A consensus is stored only after this authority's part in it was: before that there is nothing that could be lost. */
static bool took_part(const struct program_of_authority *program) {
  struct document *document = NULL;
  enum outcome outcome = folder_read(program->launch.folder, AUTHORITY_CONSENSUS_FILE, LIMIT_CONSENSUS_BYTES, &document, NULL);
  if (outcome == OUTCOME_OK) document_release(document);
  return outcome != OUTCOME_NOT_FOUND;
}

/* [AGREE-22] What it has promised. If the record is gone although it took part, it must not promise anything else: the machine
 * is told, and stays silent until it is safe. */
static enum agreement_ballot_state read_ballot(struct program_of_authority *program) {
  enum outcome outcome = folder_read(program->launch.folder, AUTHORITY_BALLOT_FILE, BALLOT_MOST_BYTES, &program->ballot, NULL);
  if (outcome == OUTCOME_OK) return AGREEMENT_BALLOT_READ;
  program->ballot = NULL;
  if (outcome == OUTCOME_NOT_FOUND && !took_part(program)) return AGREEMENT_BALLOT_NEW;
  return AGREEMENT_BALLOT_LOST;
}

static struct consensus *read_consensus(const struct program_of_authority *program) {
  struct document *file;
  enum outcome outcome = folder_read(program->launch.folder, AUTHORITY_CONSENSUS_FILE, LIMIT_CONSENSUS_BYTES, &file, NULL);
  if (outcome != OUTCOME_OK) return NULL;
  struct consensus *consensus = network_chain_consensus(program->networks, document_bytes(file), document_len(file), &outcome, NULL);
  document_release(file);
  if (consensus == NULL) trace_write(program->launch.trace, TRACE_WARNING, "start", "the stored consensus can't be used: %s", outcome_text(outcome));
  return consensus;
}

/* [AUTH-17] */
static void read_votes(const struct program_of_authority *program, struct document *ret[AUTHORITY_VOTE_FILES]) {
  for (uint32_t i = 0; i < AUTHORITY_VOTE_FILES; i++) {
    char name[AUTHORITY_VOTE_NAME_BYTES];
    authority_vote_file(i, name);
    if (folder_read(program->launch.folder, name, LIMIT_VOTE_BYTES, &ret[i], NULL) != OUTCOME_OK) ret[i] = NULL;
  }
}

/* ---- the machine ---- */

static enum outcome make_machine(struct program_of_authority *program, struct complaint *complaint) {
  struct authority_config config = {.self = &program->self, .networks = program->networks, .identity_seed = program->keys.keys[KEY_IDENTITY],
                                    .budget = &program->budget, .trace = program->launch.trace,
                                    .ballot_state = read_ballot(program), .consensus = read_consensus(program)};
  enum outcome outcome;
  memory_budget_init(&program->budget, (size_t)program->settings->memory_mb * MEGABYTE);
  if (program->ballot != NULL) {
    config.ballot = document_bytes(program->ballot);
    config.ballot_len = document_len(program->ballot);
  }
  struct document *votes[AUTHORITY_VOTE_FILES];
  read_votes(program, votes);
  config.votes = votes;
  launch_seed(&program->launch, config.seed);
  struct wall_clock clock = launch_clock();
  program->authority = authority_new(&config, clock.at, &clock, &outcome);
  for (uint32_t i = 0; i < AUTHORITY_VOTE_FILES; i++) document_release(votes[i]);
  bytes_wipe(config.seed, sizeof config.seed);
  if (program->authority != NULL) return OUTCOME_OK;
  if (outcome == OUTCOME_WRONG_NETWORK) complain(complaint, "What is in %s belongs to another network.", program->settings->data_path);
  return outcome;
}

static enum outcome run(struct program_of_authority *program, struct complaint *complaint) {
  const struct authority_settings *settings = program->settings;
  enum outcome outcome = launch_begin("tunic-directory", settings->data_path, settings->log_level, &program->launch, complaint);
  if (outcome == OUTCOME_OK) outcome = launch_check_folder(&program->launch, LAUNCH_CLIENT_FILE, "a client", complaint);
  if (outcome == OUTCOME_OK) outcome = read_networks(program, complaint);
  if (outcome == OUTCOME_OK) outcome = read_keys(program, complaint);
  if (outcome == OUTCOME_OK) outcome = find_place(program, complaint);
  if (outcome == OUTCOME_OK) outcome = make_machine(program, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  trace_write(program->launch.trace, TRACE_NOTICE, "start", "authority %s, one of %u of the network %s", program->own->name,
              network_chain_newest(program->networks)->authority_count, network_chain_newest(program->networks)->name);
  struct machine machine = authority_machine(program->authority);
  program->launch.listen_option = "--address";
  program->launch.network_message = AUTHORITY_NEW_NETWORK;
  return launch_run(&program->launch, &machine, 1, &program->listen, CONNECTION_LINK, complaint);
}

/* ---- a person's word ---- */

static enum outcome make_record(struct program_of_authority *program, struct complaint *complaint) {
  const struct network_file *network = network_chain_newest(program->networks);
  struct agreement_members members;
  struct agreement_certificate decided = {0};
  uint8_t identities[LIMIT_AUTHORITIES][IDENTITY_BYTES], record[BALLOT_RECORD_BYTES];
  size_t len;
  struct consensus *consensus = read_consensus(program);
  if (consensus != NULL) {
    consensus_certificate(consensus, &decided);
    network = network_chain_at(program->networks, decided.epoch + 1);
  }
  consensus_release(consensus);
  (void)read_ballot(program);
  for (uint32_t i = 0; i < network->authority_count; i++) memcpy(identities[i], network->authorities[i].identity, IDENTITY_BYTES);
  agreement_members_init(&members, network->id, network->serial, network->authority_count, identities);
  int own = network_file_find_authority(network, program->self.identity);
  const uint8_t *ballot = program->ballot == NULL ? NULL : document_bytes(program->ballot);
  enum outcome outcome = own < 0 ? OUTCOME_WRONG_NETWORK
                                 : agreement_forget_ballot(&members, (uint8_t)own, ballot, ballot == NULL ? 0 : document_len(program->ballot), &decided,
                                                           network->digest, record, sizeof record, &len);
  if (outcome == OUTCOME_STALE) complain(complaint, "The record in %s is whole: nothing is lost. Start the authority as ever.", program->settings->data_path);
  else if (outcome == OUTCOME_WRONG_NETWORK) complain(complaint, "What is in %s belongs to another network.", program->settings->data_path);
  if (outcome == OUTCOME_OK) outcome = folder_write(program->launch.folder, AUTHORITY_BALLOT_FILE, (const char *)record, len, true, complaint);
  if (outcome != OUTCOME_OK) return outcome == OUTCOME_STALE ? OUTCOME_BAD_SETTING : outcome;
  printf("Authority %s may speak again. Started, it asks the others and the relays for a later consensus than that of epoch %llu for %lld s, and speaks in the epoch\n"
         "behind the newest. What is risked: if a later one was decided, and nobody who is asked has it, the network gets two of one epoch, and whoever holds\n"
         "both stops with directory-split. So first start whatever authority and relay can still be started.\n",
         program->own->name, (unsigned long long)decided.epoch, (long long)(2 * network->timing.interval / 1000));
  return OUTCOME_OK;
}

/* [AGREE-33] */
static enum outcome forget_ballot(struct program_of_authority *program, struct complaint *complaint) {
  enum outcome outcome = launch_begin("tunic-directory", program->settings->data_path, TRACE_WARNING, &program->launch, complaint);
  if (outcome == OUTCOME_OK) outcome = read_networks(program, complaint);
  if (outcome == OUTCOME_OK) outcome = read_keys(program, complaint);
  return outcome == OUTCOME_OK ? make_record(program, complaint) : outcome;
}

enum outcome authority_run(const struct authority_settings *settings, struct complaint *complaint) {
  struct program_of_authority *program = calloc(1, sizeof *program);
  if (program == NULL) return OUTCOME_NO_MEMORY;
  program->settings = settings;
  enum outcome outcome = settings->forget_ballot ? forget_ballot(program, complaint) : run(program, complaint);
  authority_free(program->authority);
  network_chain_free(program->networks);
  document_release(program->ballot);
  key_ring_close(&program->keys);
  launch_end(&program->launch);
  free(program);
  return outcome;
}
