#include "tests/sim/sim_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void give_later(struct sim_host *host, uint32_t machine, uint64_t delay, const struct event *event) {
  struct event *copy = malloc(sizeof *copy);
  if (copy == NULL) abort();
  *copy = *event;
  sim_plan(host->sim, (struct sim_event){.at = instant_after(host->sim->now, delay),
                                         .kind = SIM_GIVE_EVENT,
                                         .host = host,
                                         .machine = machine,
                                         .event = copy});
}

/* Names are the hosts' own: "web" is the host web; anything else is not found. */
static void resolve(struct sim_host *host, uint32_t machine, const struct effect *effect) {
  struct event event = {.kind = EVENT_RESOLVED, .id = effect->id, .outcome = OUTCOME_NAME_NOT_FOUND};
  const struct sim_host *found = sim_find_host(host->sim, effect->name);
  if (found != NULL) {
    event.outcome = OUTCOME_OK;
    event.address_count = 1;
    event.addresses[0] = found->address;
  }
  give_later(host, machine, 5 * MILLISECONDS, &event);
}

static void write_file(struct sim_host *host, uint32_t machine, const struct effect *effect) {
  struct event event = {.kind = EVENT_WRITTEN, .id = effect->id, .outcome = OUTCOME_OK};
  size_t len = strlen(effect->name) + 1;
  uint8_t *name = malloc(len);
  if (name == NULL) abort();
  memcpy(name, effect->name, len);
  uint64_t after = host->write_time / 2;
  if (host->sim->writing != NULL) host->sim->writing(host, effect->name);
  sim_plan(host->sim, (struct sim_event){.at = instant_after(host->sim->now, after),
                                         .kind = SIM_RENAME,
                                         .host = host,
                                         .document = effect->document,
                                         .bytes = name});
  give_later(host, machine, host->write_time, &event);
}

static void pass_message(struct sim_host *host, uint32_t machine, const struct effect *effect) {
  struct event event = {.kind = EVENT_MESSAGE, .from = machine, .message = effect->message};
  give_later(host, effect->to, 1 * MICROSECONDS, &event);
}

static void perform(struct sim_host *host, uint32_t machine, const struct effect *effect) {
  struct sim_endpoint *endpoint = wire_find(host, machine, effect->id);
  switch (effect->kind) {
  case EFFECT_CONNECT: wire_connect(host, machine, effect); return;
  case EFFECT_FINISH:
    if (endpoint != NULL) endpoint->finishing = endpoint->has_output = true;
    return;
  case EFFECT_CLOSE:
    if (endpoint != NULL) wire_close(endpoint, OUTCOME_CONNECTION_RESET, false);
    return;
  case EFFECT_CLOSE_FLUSHED:
    if (endpoint != NULL) endpoint->closing_flushed = endpoint->has_output = true;
    if (endpoint != NULL && endpoint->peer == NULL) wire_close(endpoint, OUTCOME_DONE, false);
    return;
  case EFFECT_RESOLVE: resolve(host, machine, effect); return;
  case EFFECT_WRITE_FILE: write_file(host, machine, effect); return;
  case EFFECT_HAND_OVER:
    if (endpoint != NULL) wire_hand_over(endpoint, effect->to);
    return;
  case EFFECT_MESSAGE: pass_message(host, machine, effect); return;
  case EFFECT_EXIT:
    host->exited = machine == 0;
    host->exit_outcome = effect->outcome;
    return;
  }
}

static void take_effects(struct sim_host *host, uint32_t machine) {
  struct machine *m = &host->machines[machine];
  struct effect effect;
  while (m->verbs->next_effect(m->self, &effect)) perform(host, machine, &effect);
}

/* What a turn looks at: the machine's endpoints as they are now, each held, since any of them may be closed on the way. */
struct snapshot { struct sim_endpoint **endpoints; size_t count; };

static struct snapshot snapshot_take(struct sim_host *host, uint32_t machine, bool (*wanted)(const struct sim_endpoint *)) {
  struct snapshot snapshot = {0};
  for (struct list_node *node = list_first(&host->endpoints); node != NULL; node = list_after(&host->endpoints, node)) {
    struct sim_endpoint *endpoint = LIST_OBJECT(node, struct sim_endpoint, of_host);
    if (endpoint->machine != machine || !wanted(endpoint)) continue;
    snapshot.endpoints = realloc(snapshot.endpoints, (snapshot.count + 1) * sizeof(struct sim_endpoint *));
    if (snapshot.endpoints == NULL) abort();
    snapshot.endpoints[snapshot.count++] = endpoint;
    endpoint->references++;
  }
  return snapshot;
}

static void snapshot_release(struct snapshot *snapshot) {
  for (size_t i = 0; i < snapshot->count; i++) wire_release(snapshot->endpoints[i]);
  free(snapshot->endpoints);
}

static bool has_output(const struct sim_endpoint *endpoint) { return endpoint->has_output; }

static bool has_input(const struct sim_endpoint *endpoint) {
  return endpoint->arrived_len > 0 || (endpoint->eof_arrived && !endpoint->eof_given);
}

/* [MACH-5] */
static void transmit_ready(struct sim_host *host, uint32_t machine) {
  struct machine *m = &host->machines[machine];
  struct id id;
  while (m->verbs->next_ready(m->self, &id)) {
    struct sim_endpoint *endpoint = wire_find(host, machine, id);
    if (endpoint == NULL) continue;
    endpoint->has_output = true;
    if (!has_input(endpoint)) continue;
    /* There may be room again for what it left. [MACH-10] */
    sim_plan_turn(host, machine, instant_after(host->sim->now, 10 * MICROSECONDS));
    list_leave(&endpoint->of_host);
    list_append(&host->endpoints, &endpoint->of_host);
  }
  struct snapshot snapshot = snapshot_take(host, machine, has_output);
  for (size_t i = 0; i < snapshot.count; i++)
    if (!snapshot.endpoints[i]->dead) wire_transmit(snapshot.endpoints[i]);
  snapshot_release(&snapshot);
}

static void receive_all(struct sim_host *host, uint32_t machine) {
  static _Thread_local uint8_t buffer[SIM_BUFFER_BYTES + 32 * 1024];
  struct snapshot snapshot = snapshot_take(host, machine, has_input);
  for (size_t i = 0; i < snapshot.count; i++) {
    if (snapshot.endpoints[i]->dead || snapshot.endpoints[i]->machine != machine) continue;
    wire_receive(snapshot.endpoints[i], buffer);
    take_effects(host, machine);
  }
  snapshot_release(&snapshot);
}

/* True: more waits. */
static bool do_work(struct sim_host *host, uint32_t machine) {
  struct machine *m = &host->machines[machine];
  instant now = host->sim->now;
  bool more = true;
  if (host->works_again[machine] > now) return true;
  for (int i = 0; more && i < (host->work_time > 0 ? 1 : SIM_WORK_PER_TURN); i++) more = m->verbs->work(m->self, now);
  host->works_again[machine] = instant_after(now, host->work_time);
  return more;
}

void turn_run(struct sim_host *host, uint32_t machine) {
  struct machine *m = &host->machines[machine];
  struct sim *sim = host->sim;
  sim->turns++;
  receive_all(host, machine);
  take_effects(host, machine);
  if (m->verbs->deadline(m->self) <= sim->now) m->verbs->tick(m->self, sim->now);
  take_effects(host, machine);
  transmit_ready(host, machine);
  take_effects(host, machine);
  bool more = do_work(host, machine);
  take_effects(host, machine);
  transmit_ready(host, machine);
  take_effects(host, machine);
  instant deadline = m->verbs->deadline(m->self);
  /* A turn takes time: a machine that always has more to do must not stop the world. */
  instant soon = instant_after(sim->now, 10 * MICROSECONDS);
  if (deadline <= sim->now) deadline = soon;
  else if (more) deadline = instant_earlier(deadline, host->works_again[machine] > soon ? host->works_again[machine] : soon);
  if (deadline != INSTANT_NEVER && host->is_up) sim_plan_turn(host, machine, deadline);
}
