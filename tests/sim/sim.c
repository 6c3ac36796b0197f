#include "tests/sim/sim_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIM_START_WALL_MS INT64_C(1767225600000) /* 2026-01-01 */

void sim_init(struct sim *sim, uint64_t seed) {
  uint8_t bytes[RANDOM_SEED_BYTES] = {0};
  memset(sim, 0, sizeof *sim);
  memcpy(bytes, &seed, sizeof seed);
  sim->seed = seed;
  sim->now = 1000 * SECONDS;
  sim->wall_ms_at_zero = SIM_START_WALL_MS - (int64_t)(sim->now / MILLISECONDS);
  random_init(&sim->random, bytes);
  list_init(&sim->hosts);
}

void sim_seed(struct sim *sim, uint8_t ret_seed[RANDOM_SEED_BYTES]) {
  random_bytes(&sim->random, ret_seed, RANDOM_SEED_BYTES);
}

/* ---- hosts ---- */

struct sim_host *sim_add_host(struct sim *sim, const char *name, uint64_t delay) {
  struct sim_host *host = calloc(1, sizeof *host);
  if (host == NULL) abort();
  host->number = ++sim->host_count;
  snprintf(host->name, sizeof host->name, "%s", name);
  host->sim = sim;
  host->delay = delay;
  host->write_time = MILLISECONDS;
  host->address = (struct address){.family = ADDRESS_IPV4, .bytes = {10, (uint8_t)(host->number >> 8), (uint8_t)host->number, 1}};
  list_init(&host->files);
  list_init(&host->endpoints);
  list_append(&sim->hosts, &host->node);
  return host;
}

uint32_t sim_add_machine(struct sim_host *host, struct machine machine) {
  host->machines[host->machine_count] = machine;
  return host->machine_count++;
}

void sim_listen(struct sim_host *host, enum connection_kind kind, uint16_t port, uint32_t machine) {
  host->listeners[host->listener_count++] = (struct sim_listener){kind, port, machine};
}

struct date sim_date(const struct sim_host *host) {
  const struct sim *sim = host->sim;
  return (struct date){sim->wall_ms_at_zero + (int64_t)(sim->now / MILLISECONDS) + host->clock_skew_ms};
}

static void give_clock(struct sim_host *host) {
  struct event event = {.kind = EVENT_CLOCK, .clock = {.at = host->sim->now, .date = sim_date(host)}};
  for (uint32_t i = 0; i < host->machine_count; i++) sim_event(host, i, &event);
}

void sim_start(struct sim_host *host) {
  host->is_up = true;
  host->exited = false;
  give_clock(host);
}

void sim_set_clock_skew(struct sim_host *host, int64_t milliseconds) {
  host->clock_skew_ms = milliseconds;
  if (host->is_up) give_clock(host);
}

void sim_event(struct sim_host *host, uint32_t machine, const struct event *event) {
  struct machine *m = &host->machines[machine];
  m->verbs->event(m->self, host->sim->now, event);
  sim_poke(host, machine);
}

void sim_poke(struct sim_host *host, uint32_t machine) {
  sim_plan_turn(host, machine, host->sim->now);
}

void sim_cut_connections(struct sim_host *host, struct sim_host *other) {
  struct list_node *node = list_first(&host->endpoints);
  while (node != NULL) {
    struct sim_endpoint *endpoint = LIST_OBJECT(node, struct sim_endpoint, of_host);
    bool is_meant = endpoint->peer != NULL && (other == NULL || endpoint->peer->host == other);
    if (is_meant) wire_close(endpoint, OUTCOME_CONNECTION_RESET, true);
    /* A close may take others along: the peer, if it is on this host, too. */
    node = is_meant ? list_first(&host->endpoints) : list_after(&host->endpoints, node);
  }
}

void sim_set_cut(struct sim_host *host, bool cut) {
  host->is_cut = cut;
  for (uint32_t i = 0; i < host->machine_count && !cut && host->is_up; i++) sim_poke(host, i);
}

void sim_kill(struct sim_host *host) {
  struct list_node *node;
  while ((node = list_first(&host->endpoints)) != NULL)
    wire_close(LIST_OBJECT(node, struct sim_endpoint, of_host), OUTCOME_CONNECTION_RESET, false);
  host->is_up = false;
  host->life++;
  if (host->on_free != NULL) host->on_free(host);
  for (uint32_t i = 0; i < host->machine_count; i++) sim_forget_turn(host->sim, &host->wakes[i]);
  host->machine_count = host->listener_count = 0;
  memset(host->machines, 0, sizeof host->machines);
}

struct sim_host *sim_find_host(const struct sim *sim, const char *name) {
  for (struct list_node *node = list_first(&sim->hosts); node != NULL; node = list_after(&sim->hosts, node)) {
    struct sim_host *host = LIST_OBJECT(node, struct sim_host, node);
    if (strcmp(host->name, name) == 0) return host;
  }
  return NULL;
}

struct sim_file *sim_find_file(const struct sim_host *host, const char *name) {
  for (struct list_node *node = list_first(&host->files); node != NULL; node = list_after(&host->files, node)) {
    struct sim_file *file = LIST_OBJECT(node, struct sim_file, node);
    if (strcmp(file->name, name) == 0) return file;
  }
  return NULL;
}

const struct document *sim_file(const struct sim_host *host, const char *name) {
  const struct sim_file *file = sim_find_file(host, name);
  return file == NULL ? NULL : file->bytes;
}

void sim_put_file(struct sim_host *host, const char *name, struct document *bytes) {
  struct sim_file *file = sim_find_file(host, name);
  if (file == NULL) {
    file = calloc(1, sizeof *file);
    if (file == NULL) abort();
    snprintf(file->name, sizeof file->name, "%s", name);
    list_append(&host->files, &file->node);
  }
  document_release(file->bytes);
  file->bytes = bytes;
}

void sim_remove_file(struct sim_host *host, const char *name) {
  struct sim_file *file = sim_find_file(host, name);
  if (file == NULL) return;
  list_leave(&file->node);
  document_release(file->bytes);
  free(file);
}

void sim_call(struct sim_host *host, instant at, void (*call)(struct sim_host *)) {
  sim_plan(host->sim, (struct sim_event){.at = at, .kind = SIM_CALL, .host = host, .call = call});
}

static void free_event(struct sim_event *event) {
  free(event->bytes);
  free(event->event);
  document_release(event->document);
  if (event->endpoint != NULL) wire_release(event->endpoint);
}

static void drop_message(struct sim *sim, const struct event *event) {
  if (event == NULL || event->kind != EVENT_MESSAGE) return;
  if (sim->drop_message != NULL) sim->drop_message(&event->message);
  else free(event->message.object);
}

void sim_wipe(struct sim *sim) {
  struct list_node *node;
  for (node = list_first(&sim->hosts); node != NULL; node = list_after(&sim->hosts, node))
    if (LIST_OBJECT(node, struct sim_host, node)->is_up) sim_kill(LIST_OBJECT(node, struct sim_host, node));
  struct sim_event event;
  while (sim_take_next(sim, INSTANT_NEVER, &event)) {
    drop_message(sim, event.event);
    free_event(&event);
  }
  while ((node = list_take_first(&sim->hosts)) != NULL) {
    struct sim_host *host = LIST_OBJECT(node, struct sim_host, node);
    struct list_node *file;
    while ((file = list_take_first(&host->files)) != NULL) {
      document_release(LIST_OBJECT(file, struct sim_file, node)->bytes);
      free(LIST_OBJECT(file, struct sim_file, node));
    }
    free(host);
  }
  free(sim->heap);
  free(sim->wakes);
  sim->heap = NULL;
  sim->wakes = NULL;
}

/* ---- running ---- */

static void happen(struct sim *sim, struct sim_event *event) {
  switch (event->kind) {
  case SIM_TURN:
    if (event->host->is_up && !event->host->exited) turn_run(event->host, event->machine);
    return;
  case SIM_CONNECT: wire_connect_arrives(sim, event->endpoint); return;
  case SIM_ARRIVE:
  case SIM_ARRIVE_EOF:
  case SIM_ARRIVE_CLOSED: wire_arrives(sim, event); return;
  case SIM_GIVE_EVENT:
    if (event->host->is_up && event->life == event->host->life) sim_event(event->host, event->machine, event->event);
    else drop_message(sim, event->event);
    return;
  case SIM_RENAME:
    if (event->life != event->host->life) return;
    sim_put_file(event->host, (const char *)event->bytes, event->document);
    event->document = NULL;
    return;
  case SIM_CALL:
    if (event->life == event->host->life) event->call(event->host);
    return;
  }
}

bool sim_run_until(struct sim *sim, instant until, bool (*condition)(struct sim *, void *), void *context) {
  struct sim_event event;
  while (!sim->broken && sim_take_next(sim, until, &event)) {
    sim->now = event.at;
    happen(sim, &event);
    bool was_turn = event.kind == SIM_TURN;
    struct sim_host *host = event.host;
    free_event(&event);
    if (was_turn && sim->invariant != NULL && host->is_up && !sim->invariant(sim, host)) sim->broken = true;
    if (condition != NULL && was_turn && condition(sim, context)) return true;
  }
  if (sim->now < until) sim->now = until;
  return condition == NULL && !sim->broken;
}

bool sim_run_for(struct sim *sim, uint64_t duration) {
  return sim_run_until(sim, instant_after(sim->now, duration), NULL, NULL);
}
