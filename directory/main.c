#include "directory/driver.h"
#include "io/command_line.h"

enum option { NETWORK, DATA, ADDRESS, PORT, MEMORY, AEAD, LOG, FORGET, OPTIONS };

static const struct argument TABLE[OPTIONS] = {
    [NETWORK] = {"network", ARGUMENT_TEXT, "FILE", "the network file", .is_required = true},
    [DATA] = {"data", ARGUMENT_TEXT, "DIR", "the authority's folder, made by tunic-network init", .is_required = true},
    [ADDRESS] = {"address", ARGUMENT_TEXT, "IP", "where it listens; otherwise where the network file says that others find it. Behind a router this machine's own; 0.0.0.0 or [::] for all of it"},
    [PORT] = {"port", ARGUMENT_NUMBER, "PORT", "the TCP port it listens on; otherwise as the network file says", .least = 1, .most = 65535},
    [MEMORY] = {"memory", ARGUMENT_NUMBER, "MB", "at most so much for what others make it hold", .otherwise = "512", .least = 16, .most = 1048576},
    [AEAD] = {"aead", ARGUMENT_TEXT, "NAME", "libsodium, libcrypto or ipsec-mb; otherwise the fastest"},
    [LOG] = {"log", ARGUMENT_CHOICE, "LEVEL", "what is logged, to standard error", .otherwise = "notice", .choices = COMMAND_LINE_LOG_LEVELS},
    [FORGET] = {"forget-ballot", ARGUMENT_FLAG, NULL, "lets it speak again where too many authorities lost their records at once; says what that risks, and ends"},
};

static const struct arguments ARGUMENTS = {"tunic-directory", "one of the authorities of an onion network's directory", TABLE, OPTIONS};

static enum outcome run(int argc, char **argv, struct complaint *complaint) {
  struct argument_value values[OPTIONS];
  enum outcome outcome = command_line_parse(&ARGUMENTS, argc, argv, values, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  struct authority_settings settings = {.network_path = values[NETWORK].text, .data_path = values[DATA].text,
                                        .memory_mb = (uint32_t)values[MEMORY].number, .log_level = (enum trace_level)values[LOG].number,
                                        .forget_ballot = values[FORGET].is_given};
  if (values[ADDRESS].is_given) outcome = command_line_address("address", values[ADDRESS].text, &settings.address, complaint);
  if (values[PORT].is_given) settings.address.port = (uint16_t)values[PORT].number;
  if (outcome == OUTCOME_OK) outcome = command_line_backend(values[AEAD].text, &settings.backend, complaint);
  return outcome == OUTCOME_OK ? authority_run(&settings, complaint) : outcome;
}

int main(int argc, char **argv) {
  struct complaint complaint = {.text = ""};
  if (command_line_shows_version(argc, argv, ARGUMENTS.program)) return 0;
  enum outcome outcome = run(argc, argv, &complaint);
  return command_line_report(ARGUMENTS.program, outcome, &complaint);
}
