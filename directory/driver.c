#include "directory/driver.h"

#include <stdlib.h>
#include <string.h>

#include "directory/authority.h"
#include "io/key_file.h"
#include "io/launch.h"
#include "protocol/limits.h"

enum { MEGABYTE = 1024 * 1024, BALLOT_MOST_BYTES = 1024 * 1024 };

struct program_of_authority {
  const struct authority_settings *settings;
  struct launch launch;
  struct network_file network;
  struct key_ring keys;
  struct link_self self;
  uint32_t own;            /* our place in the network file */
  struct address listen;
  struct document *ballot; /* NULL: there is none */
  struct memory_budget budget;
  struct authority *authority;
};

static enum outcome read_network(struct program_of_authority *program, struct complaint *complaint) {
  const char *path = program->settings->network_path;
  struct document *document;
  uint32_t line;
  enum outcome outcome = file_read(path, LIMIT_NETWORK_FILE_BYTES, &document, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  outcome = network_file_parse(document_bytes(document), document_len(document), &program->network, &line);
  document_release(document);
  if (outcome != OUTCOME_OK) complain(complaint, "%s is no network file (line %u): %s", path, line, outcome_text(outcome));
  return outcome;
}

/* Its keys were made with the network: one that is missing here can't be made anew. */
static enum outcome read_keys(struct program_of_authority *program, struct complaint *complaint) {
  struct link_self *self = &program->self;
  enum outcome outcome = key_ring_open(program->launch.folder, 1U << KEY_IDENTITY | 1U << KEY_LINK, NULL, &program->keys, NULL, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  key_ring_public(&program->keys, KEY_IDENTITY, self->identity);
  key_ring_public(&program->keys, KEY_LINK, self->link_public);
  self->link_secret = program->keys.keys[KEY_LINK];
  memcpy(self->network, program->network.id, sizeof self->network);
  launch_fill_suites(program->settings->backend, self);
  int own = network_file_find_authority(&program->network, self->identity);
  if (own >= 0 && memcmp(program->network.authorities[own].link_key, self->link_public, X25519_BYTES) == 0) {
    program->own = (uint32_t)own;
    return OUTCOME_OK;
  }
  complain(complaint, "The keys in %s are none of the authorities' in %s.", program->settings->data_path, program->settings->network_path);
  return OUTCOME_WRONG_NETWORK;
}

/* The file's host may be a name, which says where others find us, not which of our addresses it is. */
static enum outcome find_place(struct program_of_authority *program, struct complaint *complaint) {
  const struct network_authority *authority = &program->network.authorities[program->own];
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

/* [AGREE-5] What it has promised. If the record is gone although it took part, it must not promise anything else: the machine
 * is told, and stays silent until it is safe. */
static enum agreement_ballot_state read_ballot(struct program_of_authority *program) {
  enum outcome outcome = folder_read(program->launch.folder, AUTHORITY_BALLOT_FILE, BALLOT_MOST_BYTES, &program->ballot, NULL);
  if (outcome == OUTCOME_OK) return AGREEMENT_BALLOT_READ;
  program->ballot = NULL;
  if (outcome == OUTCOME_NOT_FOUND && !took_part(program)) return AGREEMENT_BALLOT_NEW;
  trace_write(program->launch.trace, TRACE_WARNING, "start", "the record of what this authority promised is lost: it stays silent for two epochs");
  return AGREEMENT_BALLOT_LOST;
}

static struct consensus *read_consensus(const struct program_of_authority *program) {
  struct document *file;
  enum outcome outcome = folder_read(program->launch.folder, AUTHORITY_CONSENSUS_FILE, LIMIT_CONSENSUS_BYTES, &file, NULL);
  if (outcome != OUTCOME_OK) return NULL;
  struct consensus *consensus = consensus_parse(&program->network, document_bytes(file), document_len(file), &outcome, NULL);
  document_release(file);
  if (consensus == NULL) trace_write(program->launch.trace, TRACE_WARNING, "start", "the stored consensus can't be used: %s", outcome_text(outcome));
  return consensus;
}

/* ---- the machine ---- */

static enum outcome make_machine(struct program_of_authority *program, struct complaint *complaint) {
  struct authority_config config = {.self = &program->self, .network = &program->network, .identity_seed = program->keys.keys[KEY_IDENTITY],
                                    .own = program->own, .budget = &program->budget, .trace = program->launch.trace,
                                    .ballot_state = read_ballot(program), .consensus = read_consensus(program)};
  enum outcome outcome;
  memory_budget_init(&program->budget, (size_t)program->settings->memory_mb * MEGABYTE);
  if (program->ballot != NULL) {
    config.ballot = document_bytes(program->ballot);
    config.ballot_len = document_len(program->ballot);
  }
  launch_seed(&program->launch, config.seed);
  struct wall_clock clock = launch_clock();
  program->authority = authority_new(&config, clock.at, &clock, &outcome);
  bytes_wipe(config.seed, sizeof config.seed);
  if (program->authority != NULL) return OUTCOME_OK;
  if (outcome == OUTCOME_WRONG_NETWORK) complain(complaint, "What is in %s belongs to another network.", program->settings->data_path);
  return outcome;
}

static enum outcome run(struct program_of_authority *program, struct complaint *complaint) {
  const struct authority_settings *settings = program->settings;
  enum outcome outcome = launch_begin("tunic-directory", settings->data_path, settings->log_level, &program->launch, complaint);
  if (outcome == OUTCOME_OK) outcome = read_network(program, complaint);
  if (outcome == OUTCOME_OK) outcome = read_keys(program, complaint);
  if (outcome == OUTCOME_OK) outcome = find_place(program, complaint);
  if (outcome == OUTCOME_OK) outcome = make_machine(program, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  trace_write(program->launch.trace, TRACE_NOTICE, "start", "authority %s, one of %u of the network %s", program->network.authorities[program->own].name,
              program->network.authority_count, program->network.name);
  struct machine machine = authority_machine(program->authority);
  return launch_run(&program->launch, &machine, 1, &program->listen, CONNECTION_LINK, complaint);
}

enum outcome authority_run(const struct authority_settings *settings, struct complaint *complaint) {
  struct program_of_authority *program = calloc(1, sizeof *program);
  if (program == NULL) return OUTCOME_NO_MEMORY;
  program->settings = settings;
  enum outcome outcome = run(program, complaint);
  authority_free(program->authority);
  document_release(program->ballot);
  key_ring_close(&program->keys);
  launch_end(&program->launch);
  free(program);
  return outcome;
}
