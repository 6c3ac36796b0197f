#include <stdio.h>
#include <string.h>

#include "io/command_line.h"
#include "io/machine_size.h"
#include "protocol/limits.h"
#include "relay/driver.h"
#include "relay/keeper.h"

enum option { NETWORK, DATA, ADDRESS, PORT, LISTEN, POLICY, NICKNAME, CONTACT, BANDWIDTH, SHARDS, MEMORY, AEAD, LOG, DESCRIPTOR, NEW_KEY, DAYS, OPTIONS };

static const struct argument TABLE[OPTIONS] = {
    [NETWORK] = {"network", ARGUMENT_TEXT, "FILE", "the network file"},
    [DATA] = {"data", ARGUMENT_TEXT, "DIR", "the relay's folder: keys, consensus, control socket; made if it is missing", .is_required = true},
    [ADDRESS] = {"address", ARGUMENT_TEXT, "IP", "where others find it"},
    [PORT] = {"port", ARGUMENT_NUMBER, "PORT", "the TCP port", .least = 1, .most = 65535},
    [LISTEN] = {"listen", ARGUMENT_TEXT, "IP[:PORT]", "where it listens; otherwise at --address and --port. Behind a router this machine's own; 0.0.0.0 or [::] for all of it"},
    [POLICY] = {"exit-policy", ARGUMENT_TEXT, "RULES", "makes it an exit: `accept *:80, accept *:443`; the first rule that matches decides"},
    [NICKNAME] = {"nickname", ARGUMENT_TEXT, "NAME", "what people call it", .otherwise = "unnamed"},
    [CONTACT] = {"contact", ARGUMENT_TEXT, "TEXT", "how to reach who runs it; public"},
    [BANDWIDTH] = {"bandwidth", ARGUMENT_NUMBER, "KBPS", "what it can carry, in KB/s", .otherwise = "12500", .least = 1, .most = 100000000},
    [SHARDS] = {"shards", ARGUMENT_NUMBER, "N", "threads that carry cells; otherwise one for each core, 8 at most", .least = 1, .most = LIMIT_SHARDS_MOST},
    [MEMORY] = {"memory", ARGUMENT_NUMBER, "MB", "at most so much for what others make it hold; otherwise a quarter of the machine's, 2048 at most", .least = LIMIT_MEMORY_LEAST_MB, .most = LIMIT_MEMORY_MOST_MB},
    [AEAD] = {"aead", ARGUMENT_TEXT, "NAME", "libsodium, libcrypto or ipsec-mb; otherwise the fastest"},
    [LOG] = {"log", ARGUMENT_CHOICE, "LEVEL", "what is logged, to standard error", .otherwise = "notice", .choices = COMMAND_LINE_LOG_LEVELS},
    [DESCRIPTOR] = {"descriptor", ARGUMENT_FLAG, NULL, "shows what it published last, and ends"},
    [NEW_KEY] = {"new-signing-key", ARGUMENT_FLAG, NULL, "makes a signing key and its certificate with the identity in --data, for a relay elsewhere, and ends"},
    [DAYS] = {"days", ARGUMENT_NUMBER, "N", "how long that key is good for", .otherwise = "30", .least = 1, .most = 30},
};

static const struct arguments ARGUMENTS = {"tunic-relay", "a relay of an onion network: guard, middle, or exit with --exit-policy", TABLE, OPTIONS};

/* Rules between commas. */
static enum outcome read_policy(const char *text, struct exit_policy *ret, struct complaint *complaint) {
  for (const char *at = text; at != NULL;) {
    at += strspn(at, " ");
    size_t len = strcspn(at, ",");
    const char *next = at[len] == ',' ? at + len + 1 : NULL;
    while (len > 0 && at[len - 1] == ' ') len--;
    if (len == 0) {
      complain(complaint, "--exit-policy has %s. `accept *:80, accept *:443` makes an exit for the web; without the option the relay is no exit.",
               ret->rule_count == 0 ? "no rule" : "an empty rule");
      return OUTCOME_BAD_SETTING;
    }
    if (!exit_policy_add_rule(ret, at, len)) {
      complain(complaint, "--exit-policy: `%.*s` is no rule, or one too many. Rules are such as `accept *:443`, `reject 192.0.2.0/24:*`, "
                          "`accept private:*`.", (int)(len < 80 ? len : 80), at);
      return OUTCOME_BAD_SETTING;
    }
    at = next;
  }
  return OUTCOME_OK;
}

/* What the descriptor's grammar takes, said here in a person's words. */
static enum outcome check_texts(const struct relay_settings *settings, struct complaint *complaint) {
  struct text_span nickname = {settings->nickname, strlen(settings->nickname)};
  const char *contact = settings->contact;
  if (nickname.len >= RELAY_NICKNAME_BYTES || !text_is_name(nickname, "-")) {
    complain(complaint, "--nickname has 1 to %d letters, digits and '-'.", RELAY_NICKNAME_BYTES - 1);
    return OUTCOME_BAD_SETTING;
  }
  bool is_fine = contact == NULL || (strlen(contact) < DESCRIPTOR_CONTACT_BYTES && contact[0] != 0 && contact[0] != ' ' &&
                                     contact[strlen(contact) - 1] != ' ' && strstr(contact, "  ") == NULL);
  for (const char *at = contact; is_fine && at != NULL && *at != 0; at++) is_fine = *at >= ' ' && *at <= '~';
  if (is_fine) return OUTCOME_OK;
  complain(complaint, "--contact has up to %d printable ASCII characters, and single blanks between its words.", DESCRIPTOR_CONTACT_BYTES - 1);
  return OUTCOME_BAD_SETTING;
}

static bool is_any(const struct address *address) {
  static const uint8_t zero[sizeof address->bytes];
  return memcmp(address->bytes, zero, sizeof zero) == 0;
}

/* [DESC-9] Where it is found is one thing, where it listens another. */
static enum outcome read_listen(const char *text, struct relay_settings *ret, struct complaint *complaint) {
  enum outcome outcome = OUTCOME_OK;
  ret->listen = ret->address;
  if (text != NULL) outcome = command_line_address("listen", text, &ret->listen, complaint);
  if (ret->listen.port == 0) ret->listen.port = ret->address.port;
  if (outcome != OUTCOME_OK || !is_any(&ret->address)) return outcome;
  char host[ADDRESS_TEXT_BYTES];
  address_format_host(&ret->address, host);
  complain(complaint, "--address %s: that is no address that others can reach; give --address %s and --listen %s.", host,
           ret->address.family == ADDRESS_IPV4 ? "A.B.C.D" : "the one that others know", host);
  return OUTCOME_BAD_SETTING;
}

static enum outcome read_place(const struct argument_value *values, struct address *ret, struct complaint *complaint) {
  for (int i = 0; i < OPTIONS; i++)
    if ((i == NETWORK || i == ADDRESS || i == PORT) && !values[i].is_given) {
      complain(complaint, "--%s is missing: %s.", TABLE[i].name, TABLE[i].help);
      return OUTCOME_BAD_SETTING;
    }
  enum outcome outcome = command_line_address("address", values[ADDRESS].text, ret, complaint);
  ret->port = (uint16_t)values[PORT].number;
  return outcome;
}

static enum outcome read_settings(const struct argument_value *values, struct relay_settings *ret, struct complaint *complaint) {
  *ret = (struct relay_settings){.network_path = values[NETWORK].text, .data_path = values[DATA].text, .nickname = values[NICKNAME].text,
                                 .contact = values[CONTACT].text, .bandwidth = (uint32_t)values[BANDWIDTH].number,
                                 .log_level = (enum trace_level)values[LOG].number};
  ret->shards = values[SHARDS].is_given ? (uint32_t)values[SHARDS].number : machine_size_shards();
  ret->memory_mb = values[MEMORY].is_given ? (uint32_t)values[MEMORY].number : machine_size_relay_memory_mb(machine_size_memory_mb(), 1);
  enum outcome outcome = read_place(values, &ret->address, complaint);
  if (outcome == OUTCOME_OK) outcome = read_listen(values[LISTEN].text, ret, complaint);
  if (outcome == OUTCOME_OK && values[POLICY].is_given) outcome = read_policy(values[POLICY].text, &ret->policy, complaint);
  if (outcome == OUTCOME_OK) outcome = command_line_backend(values[AEAD].text, &ret->backend, complaint);
  return outcome == OUTCOME_OK ? check_texts(ret, complaint) : outcome;
}

static enum outcome run(int argc, char **argv, struct complaint *complaint) {
  struct argument_value values[OPTIONS];
  struct relay_settings settings;
  enum outcome outcome = command_line_parse(&ARGUMENTS, argc, argv, values, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  if (values[DAYS].is_given && !values[NEW_KEY].is_given) {
    complain(complaint, "--days means nothing without --new-signing-key: a relay that has its identity makes certificates by itself.");
    return OUTCOME_BAD_SETTING;
  }
  if (values[DESCRIPTOR].is_given) return relay_show_descriptor(values[DATA].text, complaint);
  if (values[NEW_KEY].is_given && values[NETWORK].is_given)
    return relay_make_signing_key(values[NETWORK].text, values[DATA].text, (uint32_t)values[DAYS].number, complaint);
  outcome = read_settings(values, &settings, complaint);
  return outcome == OUTCOME_OK ? relay_run(&settings, complaint) : outcome;
}

int main(int argc, char **argv) {
  struct complaint complaint = {.text = ""};
  if (command_line_shows_version(argc, argv, ARGUMENTS.program)) return 0;
  enum outcome outcome = run(argc, argv, &complaint);
  return command_line_report(ARGUMENTS.program, outcome, &complaint);
}
