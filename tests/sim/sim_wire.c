#include "tests/sim/sim_internal.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/limits.h"

static struct sim_endpoint *endpoint_new(struct sim_host *host, uint32_t machine, struct id id, enum connection_kind kind) {
  struct sim_endpoint *endpoint = calloc(1, sizeof *endpoint);
  if (endpoint == NULL) abort();
  endpoint->host = host;
  endpoint->machine = machine;
  endpoint->id = id;
  endpoint->kind = kind;
  endpoint->references = 1;
  list_append(&host->endpoints, &endpoint->of_host);
  return endpoint;
}

void wire_release(struct sim_endpoint *endpoint) {
  if (--endpoint->references > 0) return;
  free(endpoint->arrived);
  free(endpoint);
}

struct sim_endpoint *wire_find(struct sim_host *host, uint32_t machine, struct id id) {
  for (struct list_node *node = list_first(&host->endpoints); node != NULL; node = list_after(&host->endpoints, node)) {
    struct sim_endpoint *endpoint = LIST_OBJECT(node, struct sim_endpoint, of_host);
    if (endpoint->machine == machine && id_equal(endpoint->id, id)) return endpoint;
  }
  return NULL;
}

static void give(struct sim_endpoint *endpoint, enum event_kind kind, enum outcome outcome) {
  struct event event = {.kind = kind, .id = endpoint->id, .outcome = outcome};
  if (endpoint->peer != NULL) event.address = endpoint->peer->host->address;
  if (endpoint->host->is_up && endpoint->machine < endpoint->host->machine_count) sim_event(endpoint->host, endpoint->machine, &event);
}

static void leave_host(struct sim_endpoint *endpoint) {
  if (endpoint->dead) return;
  endpoint->dead = true;
  list_leave(&endpoint->of_host);
  wire_release(endpoint);
}

/* When bytes that leave now reach the other host: both access links' rates, both delays, never overtaking. */
static instant arrival(struct sim_endpoint *from, struct sim_host *to, size_t len) {
  struct sim_host *host = from->host;
  struct sim *sim = host->sim;
  instant sent = host->up_free > sim->now ? host->up_free : sim->now;
  if (host->bytes_per_s > 0) sent += len * SECONDS / host->bytes_per_s;
  host->up_free = sent;
  instant there = sent + host->delay + to->delay;
  if (to->bytes_per_s > 0) {
    if (to->down_free > there) there = to->down_free;
    there += len * SECONDS / to->bytes_per_s;
    to->down_free = there;
  }
  if (there <= from->last_arrival) there = from->last_arrival + 1;
  from->last_arrival = there;
  return there;
}

void wire_connect(struct sim_host *host, uint32_t machine, const struct effect *effect) {
  struct sim_endpoint *endpoint = endpoint_new(host, machine, effect->id, effect->connection);
  struct sim_host *to = NULL;
  for (struct list_node *node = list_first(&host->sim->hosts); node != NULL; node = list_after(&host->sim->hosts, node)) {
    struct sim_host *candidate = LIST_OBJECT(node, struct sim_host, node);
    if (address_host_equal(&candidate->address, &effect->address)) to = candidate;
  }
  struct sim_endpoint *peer = NULL;
  for (uint32_t i = 0; to != NULL && to->is_up && i < to->listener_count; i++) {
    if (to->listeners[i].port != effect->address.port) continue;
    peer = endpoint_new(to, to->listeners[i].machine, ID_NONE, to->listeners[i].kind);
    break;
  }
  endpoint->peer = peer;
  endpoint->other = to;
  if (peer != NULL) {
    peer->peer = endpoint;
    peer->other = host;
  }
  uint64_t delay = host->delay + (to == NULL ? 50 * MILLISECONDS : to->delay);
  sim_plan(host->sim, (struct sim_event){.at = instant_after(host->sim->now, 2 * delay + 1), .kind = SIM_CONNECT, .host = host, .endpoint = endpoint});
}

static bool is_apart(const struct sim_endpoint *endpoint) {
  const struct sim_host *host = endpoint->host, *other = endpoint->other;
  return host->is_cut || (other != NULL && (other->is_cut || (host->apart & other->group) != 0 || (other->apart & host->group) != 0));
}

void wire_connect_arrives(struct sim *sim, struct sim_endpoint *endpoint) {
  struct sim_endpoint *peer = endpoint->peer;
  if (endpoint->dead) return;
  bool cut = is_apart(endpoint);
  if (peer == NULL || cut || !peer->host->is_up) {
    if (peer != NULL) {
      peer->peer = NULL;
      leave_host(peer);
    }
    endpoint->peer = NULL;
    if (cut) {
      /* Nobody answers: the driver's patience ends. */
      instant late = instant_after(sim->now, LIMIT_CONNECT_TIME);
      sim_plan(sim, (struct sim_event){.at = late, .kind = SIM_ARRIVE_CLOSED, .host = endpoint->host, .endpoint = endpoint, .len = OUTCOME_CONNECT_TIMEOUT});
      return;
    }
    give(endpoint, EVENT_CLOSED, OUTCOME_CONNECTION_REFUSED);
    leave_host(endpoint);
    return;
  }
  struct machine *m = &peer->host->machines[peer->machine];
  struct address from = endpoint->host->address;
  from.port = 40000;
  peer->id = m->verbs->accept(m->self, sim->now, peer->kind, &from);
  peer->connected = endpoint->connected = true;
  peer->has_output = endpoint->has_output = true;
  sim_poke(peer->host, peer->machine);
  give(endpoint, EVENT_CONNECTED, OUTCOME_OK);
  if (id_is_none(peer->id)) wire_close(peer, OUTCOME_CONNECTION_RESET, false);
}

static void plan_arrival(struct sim_endpoint *from, enum sim_event_kind kind, uint8_t *bytes, size_t len) {
  sim_plan(from->host->sim, (struct sim_event){.at = arrival(from, from->peer->host, len),
                                               .kind = kind,
                                               .host = from->peer->host,
                                               .endpoint = from->peer,
                                               .bytes = bytes,
                                               .len = len});
}

/* The run's digest: not secret, not hostile, only quick and never the same by accident. */
static void note_chunk(const struct sim_host *host, const uint8_t *bytes, size_t len) {
  struct sim *sim = host->sim;
  uint64_t digest = sim->digest ^ sim->now ^ (uint64_t)len << 48 ^ (uint64_t)host->number << 40;
  for (size_t at = 0; at + 8 <= len; at += 8) {
    uint64_t word;
    memcpy(&word, bytes + at, sizeof word);
    digest = (digest ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    digest ^= digest >> 29;
  }
  for (size_t at = len & ~(size_t)7; at < len; at++) digest = (digest ^ bytes[at]) * UINT64_C(0x9e3779b97f4a7c15);
  sim->digest = digest;
}

void wire_transmit(struct sim_endpoint *endpoint) {
  struct sim_host *host = endpoint->host;
  struct machine *m = &host->machines[endpoint->machine];
  while (endpoint->connected && endpoint->peer != NULL && endpoint->in_flight < SIM_SOCKET_BYTES) {
    uint8_t *bytes = malloc(64 * 1024);
    if (bytes == NULL) abort();
    size_t len = m->verbs->transmit(m->self, host->sim->now, endpoint->id, bytes, 64 * 1024);
    if (len == 0) {
      free(bytes);
      endpoint->has_output = false;
      if (endpoint->closing_flushed) {
        wire_close(endpoint, OUTCOME_DONE, false);
        return;
      }
      if (endpoint->finishing && !endpoint->finished) {
        endpoint->finished = true;
        plan_arrival(endpoint, SIM_ARRIVE_EOF, NULL, 0);
      }
      return;
    }
    host->sim->chunks++;
    host->sim->bytes += len;
    note_chunk(host, bytes, len);
    endpoint->in_flight += len;
    if (host->sim->tamper != NULL) host->sim->tamper(host->sim, host, endpoint->peer->host, bytes, len);
    plan_arrival(endpoint, SIM_ARRIVE, bytes, len);
  }
}

/* The wire keeps what it has until the cut is over, and tries again four times a second. */
static bool is_held(struct sim *sim, struct sim_endpoint *endpoint) {
  bool cut = is_apart(endpoint);
  if (endpoint->held_until > sim->now) return true;
  if (cut) endpoint->held_until = sim->now + SECONDS / 4;
  return cut;
}

void wire_arrives(struct sim *sim, struct sim_event *event) {
  struct sim_endpoint *endpoint = event->endpoint;
  if (endpoint->dead) return;
  if (is_held(sim, endpoint)) {
    /* Events of one instant happen in the order in which they were planned: nothing overtakes. */
    sim_plan(sim, (struct sim_event){.at = endpoint->held_until, .kind = event->kind, .host = event->host, .endpoint = endpoint, .bytes = event->bytes, .len = event->len});
    event->bytes = NULL;
    return;
  }
  if (event->kind == SIM_ARRIVE) {
    if (endpoint->arrived_len + event->len > endpoint->arrived_capacity) {
      endpoint->arrived_capacity = (endpoint->arrived_len + event->len) * 2;
      endpoint->arrived = realloc(endpoint->arrived, endpoint->arrived_capacity);
      if (endpoint->arrived == NULL) abort();
    }
    memcpy(endpoint->arrived + endpoint->arrived_len, event->bytes, event->len);
    endpoint->arrived_len += event->len;
    sim_poke(endpoint->host, endpoint->machine);
  } else if (event->kind == SIM_ARRIVE_EOF) {
    endpoint->eof_arrived = true;
    sim_poke(endpoint->host, endpoint->machine);
  } else {
    give(endpoint, EVENT_CLOSED, (enum outcome)event->len);
    leave_host(endpoint);
  }
}

/* [MACH-6] What is not used is presented again. */
void wire_receive(struct sim_endpoint *endpoint, uint8_t *buffer) {
  struct sim_host *host = endpoint->host;
  struct machine *m = &host->machines[endpoint->machine];
  while (!endpoint->dead && endpoint->arrived_len > 0 && !id_is_none(endpoint->id)) {
    size_t room = m->verbs->room(m->self, endpoint->id), used = 0;
    size_t len = endpoint->arrived_len < room ? endpoint->arrived_len : room;
    if (len > SIM_BUFFER_BYTES) len = SIM_BUFFER_BYTES;
    if (len == 0) return;
    memcpy(buffer, endpoint->arrived, len);
    enum outcome outcome = m->verbs->receive(m->self, host->sim->now, endpoint->id, buffer, len, &used);
    if (outcome != OUTCOME_OK || endpoint->dead) return;
    memmove(endpoint->arrived, endpoint->arrived + used, endpoint->arrived_len - used);
    endpoint->arrived_len -= used;
    if (endpoint->peer != NULL) {
      endpoint->peer->in_flight -= used;
      if (used > 0 && endpoint->peer->has_output) sim_plan_turn(endpoint->peer->host, endpoint->peer->machine, host->sim->now + 1);
    }
    if (used == 0) break;
  }
  /* What was left unused waits for more; after the end there is no more. */
  if (!endpoint->dead && endpoint->eof_arrived && !endpoint->eof_given) {
    endpoint->eof_given = true;
    give(endpoint, EVENT_EOF, OUTCOME_OK);
  }
}

void wire_close(struct sim_endpoint *endpoint, enum outcome outcome, bool tell_own) {
  struct sim_endpoint *peer = endpoint->peer;
  if (endpoint->dead) return;
  if (peer != NULL) {
    bool connected = endpoint->connected;
    endpoint->peer = NULL;
    peer->peer = NULL;
    if (!connected) {
      leave_host(peer);
    } else {
      endpoint->peer = peer; /* for the way the news takes */
      enum sim_event_kind kind = outcome == OUTCOME_DONE ? SIM_ARRIVE_EOF : SIM_ARRIVE_CLOSED;
      plan_arrival(endpoint, kind, NULL, kind == SIM_ARRIVE_CLOSED ? (size_t)outcome : 0);
      endpoint->peer = NULL;
    }
  }
  if (tell_own) give(endpoint, EVENT_CLOSED, outcome);
  leave_host(endpoint);
}

void wire_hand_over(struct sim_endpoint *endpoint, uint32_t to) {
  struct sim_host *host = endpoint->host;
  struct machine *m = &host->machines[to];
  struct address from = host->address;
  if (endpoint->peer != NULL) from = endpoint->peer->host->address;
  from.port = 40000;
  endpoint->machine = to;
  endpoint->id = m->verbs->accept(m->self, host->sim->now, endpoint->kind, &from);
  endpoint->has_output = true;
  if (id_is_none(endpoint->id)) wire_close(endpoint, OUTCOME_CONNECTION_RESET, false);
  sim_poke(host, to);
}
