#include "client/driver.h"

#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "client/saved_state.h"
#include "directory/driver.h"
#include "directory/fetch.h"
#include "io/launch.h"
#include "protocol/limits.h"

enum { MEGABYTE = 1024 * 1024 };

static const char STATE_FILE[] = LAUNCH_CLIENT_FILE;
static const char CONSENSUS_FILE[] = "consensus";

struct program_of_client {
  const struct client_settings *settings;
  struct launch launch;
  struct network_chain *networks;
  struct link_self self;
  struct document *state; /* NULL: there is none */
  struct memory_budget budget;
  struct client *client;
};

static enum outcome read_networks(struct program_of_client *program, struct complaint *complaint) {
  enum outcome outcome;
  program->networks = driver_read_networks(&program->launch, program->settings->network_path, program->settings->data_path, &outcome, complaint);
  return outcome;
}

/* Guards are kept for months: a damaged file must not silently lead to new ones. */
static enum outcome read_state(struct program_of_client *program, struct complaint *complaint) {
  struct saved_state state;
  uint32_t line;
  enum outcome outcome = folder_read(program->launch.folder, STATE_FILE, SAVED_STATE_MAX_BYTES, &program->state, complaint);
  if (outcome == OUTCOME_NOT_FOUND) {
    complaint_withdraw(complaint);
    program->state = NULL;
    return OUTCOME_OK;
  }
  if (outcome != OUTCOME_OK) return outcome;
  outcome = saved_state_parse((const char *)document_bytes(program->state), document_len(program->state), network_chain_newest(program->networks)->id, &state, &line);
  if (outcome == OUTCOME_OK) return OUTCOME_OK;
  if (outcome == OUTCOME_WRONG_NETWORK) {
    complain(complaint, "%s belongs to a client of another network.", program->settings->data_path);
    advise(complaint, "Give another folder with --data, or that network's file with --network.");
  } else {
    complain(complaint, "%s/%s is damaged (line %u).", program->settings->data_path, STATE_FILE, line);
    advise(complaint, "Put it back from a copy; if there is none, remove it: a new guard is chosen then.");
  }
  return outcome;
}

/* What can't be used is fetched anew. */
static void read_consensus(struct program_of_client *program, instant now) {
  struct document *file;
  enum outcome outcome = folder_read(program->launch.folder, CONSENSUS_FILE, LIMIT_CONSENSUS_BYTES, &file, NULL);
  if (outcome != OUTCOME_OK) return;
  struct consensus *consensus = network_chain_consensus(program->networks, document_bytes(file), document_len(file), &outcome, NULL);
  document_release(file);
  if (consensus != NULL) client_set_consensus(program->client, now, consensus);
  else trace_write(program->launch.trace, TRACE_NOTICE, "start", "the stored consensus can't be used (%s): a new one is fetched", outcome_name(outcome));
}

static enum outcome make_machine(struct program_of_client *program) {
  struct client_config config = {.self = &program->self, .networks = program->networks, .budget = &program->budget,
                                 .trace = program->launch.trace, .isolate_destinations = program->settings->isolate_destinations};
  memory_budget_init(&program->budget, (size_t)program->settings->memory_mb * MEGABYTE);
  config.pool_cells = (uint32_t)(program->budget.ceiling / CELL_BYTES);
  if (program->state != NULL) {
    config.state = (const char *)document_bytes(program->state);
    config.state_len = document_len(program->state);
  }
  memcpy(program->self.network, network_chain_newest(program->networks)->id, sizeof program->self.network);
  launch_fill_suites(program->settings->backend, &program->self);
  launch_seed(&program->launch, config.seed);
  program->client = client_new(&config);
  bytes_wipe(config.seed, sizeof config.seed);
  if (program->client == NULL) return OUTCOME_NO_MEMORY;
  read_consensus(program, launch_clock().at);
  return OUTCOME_OK;
}

/* A proxy that others can reach is theirs to use, too. */
static void warn_if_open(const struct program_of_client *program) {
  const struct address *socks = &program->settings->socks;
  static const uint8_t LOOPBACK6[16] = {[15] = 1};
  bool is_loopback = socks->family == ADDRESS_IPV4 ? socks->bytes[0] == 127 : memcmp(socks->bytes, LOOPBACK6, sizeof LOOPBACK6) == 0;
  if (!is_loopback) trace_write(program->launch.trace, TRACE_WARNING, "start", "the SOCKS proxy is open to whoever reaches its address; 127.0.0.1 keeps it yours");
}

static enum outcome run(struct program_of_client *program, struct complaint *complaint) {
  const struct client_settings *settings = program->settings;
  enum outcome outcome = launch_begin("tunic", settings->data_path, settings->log_level, &program->launch, complaint);
  if (outcome == OUTCOME_OK) outcome = launch_check_folder(&program->launch, LAUNCH_SERVER_FILE, "a relay or an authority", complaint);
  if (outcome == OUTCOME_OK) outcome = read_networks(program, complaint);
  if (outcome == OUTCOME_OK) outcome = read_state(program, complaint);
  if (outcome == OUTCOME_OK) outcome = make_machine(program);
  if (outcome != OUTCOME_OK) return outcome;
  warn_if_open(program);
  struct machine machine = client_machine(program->client);
  return launch_run(&program->launch, &machine, 1, &settings->socks, CONNECTION_SOCKS, complaint);
}

enum outcome client_run(const struct client_settings *settings, struct complaint *complaint) {
  struct program_of_client *program = calloc(1, sizeof *program);
  if (program == NULL) return OUTCOME_NO_MEMORY;
  program->settings = settings;
  enum outcome outcome = run(program, complaint);
  client_free(program->client);
  network_chain_free(program->networks);
  document_release(program->state);
  launch_end(&program->launch);
  free(program);
  return outcome;
}
