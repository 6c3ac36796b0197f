#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "client/driver.h"
#include "io/command_line.h"
#include "io/control_client.h"
#include "io/launch.h"
#include "io/status_metrics.h"

enum { ANSWER_WAIT_MS = 5000 };
#define STARTING_TIME (5 * SECONDS) /* `tunic run &` and `tunic wait` stand in one line of a script */

static const char FOLDER[] = "tunic-client";

/* ---- tunic run ---- */

enum run_option { RUN_NETWORK, RUN_DATA, RUN_SOCKS, RUN_ISOLATE, RUN_MEMORY, RUN_AEAD, RUN_LOG, RUN_OPTIONS };

static const struct argument RUN_TABLE[RUN_OPTIONS] = {
    [RUN_NETWORK] = {"network", ARGUMENT_TEXT, "FILE", "the network file", .is_required = true},
    [RUN_DATA] = {"data", ARGUMENT_TEXT, "DIR", "the client's folder: guards, consensus, control socket; made if it is missing", .otherwise = FOLDER},
    [RUN_SOCKS] = {"socks", ARGUMENT_TEXT, "IP:PORT", "where the SOCKS5 proxy listens", .otherwise = "127.0.0.1:9150"},
    [RUN_ISOLATE] = {"isolate-destinations", ARGUMENT_FLAG, NULL, "different destinations never share a circuit"},
    [RUN_MEMORY] = {"memory", ARGUMENT_NUMBER, "MB", "at most so much for what others make it hold", .otherwise = "256", .least = 16, .most = 1048576},
    [RUN_AEAD] = {"aead", ARGUMENT_TEXT, "NAME", "libsodium, libcrypto or ipsec-mb; otherwise the fastest"},
    [RUN_LOG] = {"log", ARGUMENT_CHOICE, "LEVEL", "what is logged, to standard error", .otherwise = "notice", .choices = COMMAND_LINE_LOG_LEVELS},
};

static enum outcome run(int argc, char **argv, struct complaint *complaint) {
  static const struct arguments ARGUMENTS = {"tunic run", "the client: a SOCKS5 proxy into the network", RUN_TABLE, RUN_OPTIONS};
  struct argument_value values[RUN_OPTIONS];
  enum outcome outcome = command_line_parse(&ARGUMENTS, argc, argv, values, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  struct client_settings settings = {.network_path = values[RUN_NETWORK].text, .data_path = values[RUN_DATA].text,
                                     .isolate_destinations = values[RUN_ISOLATE].is_given, .memory_mb = (uint32_t)values[RUN_MEMORY].number,
                                     .log_level = (enum trace_level)values[RUN_LOG].number};
  outcome = command_line_place("socks", values[RUN_SOCKS].text, &settings.socks, complaint);
  if (outcome == OUTCOME_OK) outcome = command_line_backend(values[RUN_AEAD].text, &settings.backend, complaint);
  return outcome == OUTCOME_OK ? client_run(&settings, complaint) : outcome;
}

/* ---- tunic status ---- */

static const char *text_of(const json_t *object, const char *name) {
  const char *text = json_string_value(json_object_get(object, name));
  return text == NULL ? "" : text;
}

static void print_expiries(const json_t *expiries) {
  const char *name;
  json_t *value;
  int64_t now = launch_date().milliseconds;
  json_object_foreach((json_t *)expiries, name, value) {
    const char *text = json_string_value(value);
    struct date date;
    if (text == NULL || !date_parse(text, strlen(text), &date)) continue;
    double hours = (double)(date.milliseconds - now) / 3600000.0;
    printf("  %-26s %s (%s%.*f %s)\n", name, text, hours < 0 ? "EXPIRED, " : "in ", hours < 48 ? 1 : 0, hours < 48 ? hours : hours / 24, hours < 48 ? "h" : "days");
  }
}

static void print_status(const json_t *status) {
  const json_t *cause = json_object_get(status, "cause"), *texts = json_object_get(status, "texts");
  bool ready = json_is_true(json_object_get(status, "ready"));
  printf("%s: %s\n", text_of(status, "role"), ready ? "ready" : "not ready");
  if (!ready)
    printf("  stage %lld of %lld: %s\n  %s: %s\n  %s\n", (long long)json_integer_value(json_object_get(status, "stage")),
           (long long)json_integer_value(json_object_get(status, "stages")), text_of(status, "stage_text"), text_of(cause, "name"),
           text_of(cause, "text"), text_of(cause, "advice"));
  for (size_t i = 0; i < json_array_size(texts); i++)
    printf("  %-26s %s\n", text_of(json_array_get(texts, i), "name"), text_of(json_array_get(texts, i), "value"));
  print_expiries(json_object_get(status, "expiries"));
  const char *name;
  json_t *value;
  json_object_foreach(json_object_get(status, "figures"), name, value) {
    if (json_integer_value(value) != 0) printf("  %-26s %lld\n", name, (long long)json_integer_value(value));
  }
}

/* A node that answers is no failure, but scripts want to know whether it is ready. */
static enum outcome cause_of(const json_t *status, struct complaint *complaint) {
  enum outcome cause;
  if (json_is_true(json_object_get(status, "ready"))) return OUTCOME_OK;
  complain(complaint, "It is not ready: %s.", text_of(status, "stage_text"));
  return outcome_from_name(text_of(json_object_get(status, "cause"), "name"), &cause) ? cause : OUTCOME_PROTOCOL_VIOLATION;
}

enum status_option { STATUS_DATA, STATUS_JSON, STATUS_METRICS, STATUS_OPTIONS };

static enum outcome status(int argc, char **argv, struct complaint *complaint) {
  static const struct argument TABLE[STATUS_OPTIONS] = {
      [STATUS_DATA] = {"data", ARGUMENT_TEXT, "DIR", "the folder of the client, or of any other node", .otherwise = FOLDER},
      [STATUS_JSON] = {"json", ARGUMENT_FLAG, NULL, "one line for programs"},
      [STATUS_METRICS] = {"metrics", ARGUMENT_FLAG, NULL, "for Prometheus: `tunic status --metrics --data DIR >X.new; mv X.new X.prom` for its textfile collector"},
  };
  static const struct arguments ARGUMENTS = {"tunic status", "how a running node is; ends with the cause's exit code", TABLE, STATUS_OPTIONS};
  struct argument_value values[STATUS_OPTIONS];
  struct control_client *client;
  json_t *answer;
  enum outcome outcome = command_line_parse(&ARGUMENTS, argc, argv, values, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  const char *folder = values[STATUS_DATA].text;
  bool wants_metrics = values[STATUS_METRICS].is_given;
  outcome = control_client_open(folder, &client, complaint);
  /* [OUT-9] For scrapers: that a node is not ready, or gone, is in what they read. */
  if (outcome != OUTCOME_OK && wants_metrics) status_metrics_write(NULL, folder, stdout);
  if (outcome != OUTCOME_OK) return outcome;
  outcome = control_client_ask(client, "status", instant_after(loop_now(), ANSWER_WAIT_MS * MILLISECONDS), &answer, complaint);
  if (outcome == OUTCOME_OK) {
    if (wants_metrics) status_metrics_write(answer, folder, stdout);
    else if (!values[STATUS_JSON].is_given) print_status(answer);
    else if (json_dumpf(answer, stdout, JSON_COMPACT) == 0) putchar('\n');
    outcome = wants_metrics ? OUTCOME_OK : cause_of(answer, complaint);
    json_decref(answer);
  } else if (wants_metrics) {
    status_metrics_write(NULL, folder, stdout);
  }
  control_client_close(client);
  return outcome;
}

/* ---- tunic wait ---- */

static void show_progress(void *context, const json_t *line) {
  (void)context;
  printf("%lld of %lld: %s\n", (long long)json_integer_value(json_object_get(line, "stage")),
         (long long)json_integer_value(json_object_get(line, "stages")), text_of(line, "stage_text"));
  fflush(stdout);
}

enum wait_option { WAIT_DATA, WAIT_TIMEOUT, WAIT_OPTIONS };

static enum outcome wait(int argc, char **argv, struct complaint *complaint) {
  static const struct argument TABLE[WAIT_OPTIONS] = {
      [WAIT_DATA] = {"data", ARGUMENT_TEXT, "DIR", "the folder of the client, or of any other node", .otherwise = FOLDER},
      [WAIT_TIMEOUT] = {"timeout", ARGUMENT_NUMBER, "S", "seconds to wait at most", .otherwise = "60", .least = 0, .most = 86400},
  };
  static const struct arguments ARGUMENTS = {"tunic wait", "until a node that runs, or is just starting, is ready; ends with the cause's exit code", TABLE, WAIT_OPTIONS};
  struct argument_value values[WAIT_OPTIONS];
  struct control_client *client;
  enum outcome outcome = command_line_parse(&ARGUMENTS, argc, argv, values, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  instant now = loop_now(), deadline = instant_after(now, values[WAIT_TIMEOUT].number * SECONDS);
  outcome = control_client_await(values[WAIT_DATA].text, instant_earlier(deadline, instant_after(now, STARTING_TIME)), &client, complaint);
  if (outcome != OUTCOME_OK) return outcome;
  outcome = control_client_wait(client, deadline, show_progress, NULL, complaint);
  control_client_close(client);
  return outcome;
}

/* ---- tunic explain ---- */

static void list_causes(void) {
  for (unsigned code = 0; code < 256; code++) {
    enum outcome outcome;
    if (outcome_from_code((uint8_t)code, &outcome)) printf("%-24s %s\n", outcome_name(outcome), outcome_text(outcome));
  }
}

static enum outcome explain(int argc, char **argv, struct complaint *complaint) {
  static const struct argument TABLE[] = {{.name = "CAUSE", .kind = ARGUMENT_ALONE, .help = "a cause's name, such as name-not-found; without: all of them"}};
  static const struct arguments ARGUMENTS = {"tunic explain", "what a cause means and what to do about it", TABLE, 1};
  struct argument_value cause;
  enum outcome outcome = command_line_parse(&ARGUMENTS, argc, argv, &cause, complaint), named;
  if (outcome != OUTCOME_OK) return outcome;
  if (!cause.is_given) {
    list_causes();
    return OUTCOME_OK;
  }
  if (!outcome_from_name(cause.text, &named)) {
    complain(complaint, "There is no cause `%s`. `tunic explain` lists all.", cause.text);
    return OUTCOME_NOT_FOUND;
  }
  printf("%s\n  what happened   %s\n  what to do      %s\n  exit code       %d\n  SOCKS reply     %d\n", outcome_name(named), outcome_text(named),
         outcome_advice(named), outcome_exit_code(named), outcome_socks_reply(named));
  return OUTCOME_OK;
}

/* ---- the commands ---- */

int main(int argc, char **argv) {
  static const struct command_line_command COMMANDS[] = {
      {"run", run, "the client: a SOCKS5 proxy into the network"},
      {"status", status, "how a running node is"},
      {"wait", wait, "until a running node is ready"},
      {"explain", explain, "what a cause means and what to do about it"},
  };
  return command_line_run("tunic", COMMANDS, sizeof COMMANDS / sizeof COMMANDS[0], argc, argv);
}
