#include "client/client_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum stage { STAGE_CONSENSUS = 1, STAGE_GUARD, STAGE_CIRCUIT, STAGE_READY };

static const char *const stage_texts[] = {
    [STAGE_CONSENSUS] = "fetching the consensus",
    [STAGE_GUARD] = "connecting to the guard",
    [STAGE_CIRCUIT] = "building the first circuit",
    [STAGE_READY] = "ready",
};

bool client_has_open_circuit(const struct client *client) {
  const struct circuit *circuit;
  uint32_t cursor = 0;
  struct id id;
  while ((circuit = id_table_next(&client->circuits, &cursor, &id)) != NULL)
    if (circuit_is_open(circuit)) return true;
  return false;
}

uint8_t client_stage(const struct client *client) {
  if (client_has_open_circuit(client)) return STAGE_READY;
  if (fetch_consensus(client->fetch) == NULL) return STAGE_CONSENSUS;
  for (const struct list_node *node = list_first(&client->links); node != NULL; node = list_after(&client->links, node))
    if (LIST_OBJECT(node, struct guard_link, of_client)->is_open) return STAGE_CIRCUIT;
  return STAGE_GUARD;
}

/* Why not ready. */
static enum outcome why(const struct client *client, instant now) {
  enum outcome state = fetch_state(client->fetch, now);
  if (fetch_consensus(client->fetch) == NULL) return state == OUTCOME_OK ? OUTCOME_NO_CONSENSUS : state;
  if (state != OUTCOME_OK) return state;
  return client->cause == OUTCOME_OK ? OUTCOME_NO_CIRCUIT_YET : client->cause;
}

static void add_figures(const struct client *client, struct status *ret) {
  const struct client_figures *figures = &client->figures;
  status_add_figure(ret, "circuits", id_table_count(&client->circuits));
  status_add_figure(ret, "streams", client->stream_count);
  status_add_figure(ret, "circuits_built", figures->circuits_built);
  status_add_figure(ret, "circuit_build_us", build_times_recent(&client->build_times) / MICROSECONDS);
  status_add_figure(ret, "circuits_failed", figures->circuits_failed);
  status_add_figure(ret, "circuits_died", figures->circuits_died);
  status_add_figure(ret, "circuit_timeouts", figures->circuit_timeouts);
  status_add_figure(ret, "layers_forged", figures->layers_forged);
  status_add_figure(ret, "violations", figures->violations);
  status_add_figure(ret, "streams_begun", figures->streams_begun);
  status_add_figure(ret, "streams_failed", figures->streams_failed);
  status_add_figure(ret, "streams_resent", figures->streams_resent);
  status_add_figure(ret, "bytes_up", figures->bytes_up);
  status_add_figure(ret, "bytes_down", figures->bytes_down);
  status_add_figure(ret, "evicted", figures->evicted);
  status_add_figure(ret, "guard_failures", figures->guard_failures);
  status_add_figure(ret, "links_opened", figures->links_opened);
  status_add_figure(ret, "cells_sent", client->trunks.cells_sent);
  status_add_figure(ret, "cells_received", client->trunks.cells_received);
  status_add_figure(ret, "link_bytes_sent", client->trunks.bytes_sent);
  status_add_figure(ret, "newest_serial", network_chain_newest(client->config.networks)->serial);
  status_add_figure(ret, "pool_cells", cell_pool_used(client->cells));
  status_add_figure(ret, "pool_cells_limit", cell_pool_limit(client->cells));
}

static void add_last_failure(const struct client *client, struct status *ret) {
  char date[DATE_TEXT_BYTES], text[80];
  if (client->last_failure.cause == OUTCOME_OK) return;
  date_format(client->last_failure.date, date);
  snprintf(text, sizeof text, "%s, %s", outcome_name(client->last_failure.cause), date);
  status_add_text(ret, "last_failure", text);
}

void client_status(const struct client *client, instant now, struct status *ret) {
  struct consensus *consensus = fetch_consensus(client->fetch);
  *ret = (struct status){.role = "client", .stages = STAGE_READY, .stage = client->stage};
  ret->ready = client_has_open_circuit(client) && fetch_state(client->fetch, now) != OUTCOME_DIRECTORY_SPLIT;
  ret->cause = ret->ready ? OUTCOME_OK : why(client, now);
  uint8_t stage = client_stage(client);
  if (stage > ret->stage) ret->stage = stage;
  ret->stage_text = stage_texts[ret->stage];
  fetch_add_status(client->fetch, now, ret);
  if (client->last_path[0] != '\0') status_add_text(ret, "path", client->last_path);
  add_last_failure(client, ret);
  if (client->clock_off != 0) {
    char text[80];
    snprintf(text, sizeof text, "%s: %lld s %s the guard's clock", outcome_name(OUTCOME_CLOCK_WRONG), (long long)llabs(client->clock_off / 1000),
             client->clock_off > 0 ? "ahead of" : "behind");
    status_add_text(ret, "warning", text);
  }
  if (consensus != NULL) status_add_expiry(ret, "consensus", consensus_header(consensus)->valid_until);
  if (client->guards.count > 0) status_add_expiry(ret, "guard", client->guards.guards[0].expires);
  status_add_expiry(ret, "network file", network_chain_newest(client->config.networks)->expires);
  add_figures(client, ret);
}
