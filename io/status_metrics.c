#include "io/status_metrics.h"

#include <string.h>

#include "protocol/instant.h"

enum { ESCAPED_BYTES = 1024, LABELS_BYTES = 2 * ESCAPED_BYTES };

enum kind { COUNTER, GAUGE };
struct known { const char *name; enum kind kind; const char *help; };

/* [OUT-9] Every figure of every node. */
static const struct known KNOWN[] = {
    {"accused", GAUGE, "Authorities that voted two ways: bit i is the one in place i of the network file."},
    {"authorities_that_took_the_descriptor", GAUGE, "Authorities that hold this relay's newest descriptor."},
    {"bytes_down", COUNTER, "Bytes of streams from exits."},
    {"bytes_sent", COUNTER, "Bytes of records sent on links."},
    {"bytes_up", COUNTER, "Bytes of streams to exits."},
    {"cells_received", COUNTER, "Cells received."},
    {"cells_sent", COUNTER, "Cells sent."},
    {"circuit_timeouts", COUNTER, "Circuits given up since building took too long."},
    {"circuits", GAUGE, "Circuits that exist."},
    {"circuits_built", COUNTER, "Circuits built."},
    {"circuits_closed_idle", COUNTER, "Circuits closed since they carried nothing for long."},
    {"circuits_died", COUNTER, "Circuits that ended after they were built, by another's doing."},
    {"circuits_failed", COUNTER, "Circuits that could not be built."},
    {"connections_accepted", COUNTER, "Connections accepted."},
    {"connections_refused", COUNTER, "Connections refused: too many of one address, or in all."},
    {"creates_answered", COUNTER, "Circuit handshakes answered."},
    {"creates_refused", COUNTER, "Circuit handshakes refused, by limits or since they were wrong."},
    {"descriptors_refused", COUNTER, "Descriptors refused since they were wrong."},
    {"descriptors_taken", COUNTER, "Descriptors taken."},
    {"descriptors_too_busy", COUNTER, "Descriptors refused since their budget was used up."},
    {"descriptors_waiting", GAUGE, "Descriptors whose signatures wait to be verified."},
    {"document_bytes_served", COUNTER, "Bytes of documents sent to strangers."},
    {"documents_too_busy", COUNTER, "Fetches refused since their budget was used up."},
    {"driver_closed_unflushed", COUNTER, "Connections cut since the peer did not take their last bytes."},
    {"driver_connections", GAUGE, "Connections of the first thread."},
    {"driver_kept_bytes", GAUGE, "Bytes received that wait for the rest of their record."},
    {"driver_received_bytes", COUNTER, "Bytes received by the first thread."},
    {"driver_sent_bytes", COUNTER, "Bytes sent by the first thread."},
    {"driver_unsent_bytes", GAUGE, "Bytes made that their sockets have not taken."},
    {"epoch", GAUGE, "The epoch of the newest consensus."},
    {"epochs_decided", COUNTER, "Consensuses adopted."},
    {"evicted", COUNTER, "Circuits and streams closed since memory was full and they had waited longest."},
    {"extends_failed", COUNTER, "Extensions to another relay that failed."},
    {"fetches_from_authorities", COUNTER, "Consensuses asked for at authorities."},
    {"fetches_from_guard", COUNTER, "Consensuses asked for over the link to the guard."},
    {"fetches_from_relays", COUNTER, "Consensuses asked for at other relays."},
    {"guard_failures", COUNTER, "Connections to guards that failed."},
    {"layers_forged", COUNTER, "Cells that were changed on their way."},
    {"link_bytes_sent", COUNTER, "Bytes of records sent on links."},
    {"links", GAUGE, "Links that are open."},
    {"links_opened", COUNTER, "Links opened to guards."},
    {"links_refused", COUNTER, "Links refused: too many under one identity."},
    {"memory_leased_bytes", GAUGE, "Memory leased for cells."},
    {"messages_refused", COUNTER, "Messages of other authorities that changed nothing."},
    {"newest_serial", GAUGE, "The serial of the newest network file."},
    {"pool_cells", GAUGE, "Cells in use."},
    {"pool_cells_limit", GAUGE, "Cells that may be in use."},
    {"pool_cells_used", GAUGE, "Cells in use."},
    {"probes_done", COUNTER, "Tests of relays."},
    {"probes_failed", COUNTER, "Tests of relays that failed."},
    {"relays", GAUGE, "Relays in the newest consensus."},
    {"relays_known", GAUGE, "Relays whose descriptor is held."},
    {"relays_running", GAUGE, "Relays found running."},
    {"serial", GAUGE, "The serial of the network file in force."},
    {"shards", GAUGE, "Threads that carry cells."},
    {"signatures_checked", COUNTER, "Signatures and keys of descriptors verified."},
    {"silent", GAUGE, "1 if the authority does not speak, since its record was lost."},
    {"streams", GAUGE, "Streams that are open."},
    {"streams_begun", COUNTER, "Streams begun."},
    {"streams_failed", COUNTER, "Streams that failed."},
    {"streams_refused", COUNTER, "Streams refused for lack of room."},
    {"streams_resent", COUNTER, "Streams begun again on another circuit."},
    {"unlisted_seconds", GAUGE, "For how long authorities have this relay's descriptor without its being in a consensus."},
    {"view", GAUGE, "The view of the agreement under way."},
    {"violations", COUNTER, "Peers that broke a rule of the protocol."},
    {"visitors", GAUGE, "Links that others opened to this authority."},
    {"votes_heard", GAUGE, "Votes heard in the epoch under way."},
};

static const struct known *find_known(const char *name) {
  for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
    if (strcmp(KNOWN[i].name, name) == 0) return &KNOWN[i];
  return NULL;
}

/* A label's value; what has no room is cut, never in the middle of an escape. */
static const char *escape(const char *text, char ret[ESCAPED_BYTES]) {
  size_t len = 0;
  for (; *text != 0 && len + 3 < ESCAPED_BYTES; text++) {
    bool is_special = *text == '\\' || *text == '"' || *text == '\n';
    if (is_special) ret[len++] = '\\';
    ret[len++] = *text == '\n' ? 'n' : *text;
  }
  ret[len] = 0;
  return ret;
}

struct writer { FILE *out; char labels[LABELS_BYTES + ESCAPED_BYTES]; };

static void begin(const struct writer *writer, const char *name, const char *suffix, const char *type, const char *help) {
  fprintf(writer->out, "# HELP tunic_%s%s %s\n# TYPE tunic_%s%s %s\n", name, suffix, help, name, suffix, type);
}

static void write_one(const struct writer *writer, const char *name, const char *type, const char *help, json_int_t value) {
  begin(writer, name, "", type, help);
  fprintf(writer->out, "tunic_%s{%s} %lld\n", name, writer->labels, (long long)value);
}

/* The one figure that is not in a base unit. */
static bool write_build_time(const struct writer *writer, const char *name, json_int_t value) {
  if (strcmp(name, "circuit_build_us") != 0) return false;
  begin(writer, "circuit_build_seconds", "", "gauge", "How long building a circuit took lately.");
  fprintf(writer->out, "tunic_circuit_build_seconds{%s} %lld.%06lld\n", writer->labels, (long long)(value / 1000000), (long long)(value % 1000000));
  return true;
}

static void write_figure(const struct writer *writer, const char *name, json_int_t value) {
  const struct known *known = find_known(name);
  if (write_build_time(writer, name, value)) return;
  const char *suffix = known != NULL && known->kind == COUNTER ? "_total" : "";
  begin(writer, name, suffix, known == NULL ? "untyped" : known->kind == COUNTER ? "counter" : "gauge", known == NULL ? "Not described." : known->help);
  fprintf(writer->out, "tunic_%s%s{%s} %lld\n", name, suffix, writer->labels, (long long)value);
}

/* Dates are seconds since 1970, rounded down. */
static void write_expiries(const struct writer *writer, const json_t *expiries) {
  const char *what;
  char escaped[ESCAPED_BYTES];
  json_t *value;
  if (json_object_size(expiries) == 0) return;
  begin(writer, "expiry_timestamp_seconds", "", "gauge", "When it runs out, in seconds since 1970.");
  json_object_foreach((json_t *)expiries, what, value) {
    const char *text = json_string_value(value);
    struct date date;
    if (text == NULL || !date_parse(text, strlen(text), &date)) continue;
    fprintf(writer->out, "tunic_expiry_timestamp_seconds{%s,what=\"%s\"} %lld\n", writer->labels, escape(what, escaped), (long long)(date.milliseconds / 1000));
  }
}

static const char *text_of(const json_t *object, const char *name) {
  const char *text = json_string_value(json_object_get(object, name));
  return text == NULL ? "" : text;
}

static void write_cause(const struct writer *writer, const json_t *status) {
  char escaped[ESCAPED_BYTES];
  begin(writer, "cause_info", "", "gauge", "Why the node is not ready; ok when it is.");
  fprintf(writer->out, "tunic_cause_info{%s,cause=\"%s\"} 1\n", writer->labels, escape(text_of(json_object_get(status, "cause"), "name"), escaped));
}

void status_metrics_write(const json_t *status, const char *folder, FILE *out) {
  struct writer writer = {.out = out};
  char name[ESCAPED_BYTES], role[ESCAPED_BYTES];
  const char *figure;
  json_t *value;
  snprintf(writer.labels, sizeof writer.labels, "data=\"%s\"", escape(folder, name));
  write_one(&writer, "up", "gauge", "1 if the node answers.", status != NULL);
  if (status == NULL) return;
  snprintf(writer.labels, sizeof writer.labels, "data=\"%s\",role=\"%s\"", escape(folder, name), escape(text_of(status, "role"), role));
  write_one(&writer, "ready", "gauge", "1 if the node does its work now.", json_is_true(json_object_get(status, "ready")));
  write_cause(&writer, status);
  write_one(&writer, "stage", "gauge", "How far it has come in getting ready.", json_integer_value(json_object_get(status, "stage")));
  write_one(&writer, "stages", "gauge", "How many stages there are.", json_integer_value(json_object_get(status, "stages")));
  write_one(&writer, "uptime_seconds", "gauge", "How long it has been running.", json_integer_value(json_object_get(status, "uptime_s")));
  json_object_foreach(json_object_get(status, "figures"), figure, value) write_figure(&writer, figure, json_integer_value(value));
  write_expiries(&writer, json_object_get(status, "expiries"));
}
