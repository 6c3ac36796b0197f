#include "tests/sim/sim_internal.h"

#include <stdlib.h>

/* [SIM-1] What is to happen, by time, then by order of planning. Events stand in a binary heap. Turns have one of their own, where each
 * machine has one place at most: it is moved forwards, never left behind, or a network that is quiet for hours would fill it. */

static bool is_before(instant a, uint64_t a_order, instant b, uint64_t b_order) {
  return a != b ? a < b : a_order < b_order;
}

/* ---- events ---- */

static bool event_is_before(const struct sim_event *a, const struct sim_event *b) {
  return is_before(a->at, a->order, b->at, b->order);
}

void sim_plan(struct sim *sim, struct sim_event event) {
  if (sim->heap_count == sim->heap_capacity) {
    sim->heap_capacity = sim->heap_capacity == 0 ? 256 : sim->heap_capacity * 2;
    sim->heap = realloc(sim->heap, sim->heap_capacity * sizeof *sim->heap);
    if (sim->heap == NULL) abort();
  }
  event.order = sim->order++;
  event.life = event.host->life;
  if (event.endpoint != NULL) event.endpoint->references++;
  size_t at = sim->heap_count++;
  for (; at > 0 && event_is_before(&event, &sim->heap[(at - 1) / 2]); at = (at - 1) / 2) sim->heap[at] = sim->heap[(at - 1) / 2];
  sim->heap[at] = event;
}

static struct sim_event take_first(struct sim *sim) {
  struct sim_event first = sim->heap[0], last = sim->heap[--sim->heap_count];
  size_t at = 0;
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= sim->heap_count) break;
    if (child + 1 < sim->heap_count && event_is_before(&sim->heap[child + 1], &sim->heap[child])) child++;
    if (!event_is_before(&sim->heap[child], &last)) break;
    sim->heap[at] = sim->heap[child];
    at = child;
  }
  if (sim->heap_count > 0) sim->heap[at] = last;
  return first;
}

/* ---- turns ---- */

static bool wake_is_before(const struct sim_wake *a, const struct sim_wake *b) {
  return is_before(a->at, a->order, b->at, b->order);
}

static void put_wake(struct sim *sim, size_t at, struct sim_wake *wake) {
  sim->wakes[at] = wake;
  wake->position = at + 1;
}

static void move_up(struct sim *sim, size_t at, struct sim_wake *wake) {
  for (; at > 0 && wake_is_before(wake, sim->wakes[(at - 1) / 2]); at = (at - 1) / 2) put_wake(sim, at, sim->wakes[(at - 1) / 2]);
  put_wake(sim, at, wake);
}

static void move_down(struct sim *sim, size_t at, struct sim_wake *wake) {
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= sim->wake_count) break;
    if (child + 1 < sim->wake_count && wake_is_before(sim->wakes[child + 1], sim->wakes[child])) child++;
    if (!wake_is_before(sim->wakes[child], wake)) break;
    put_wake(sim, at, sim->wakes[child]);
    at = child;
  }
  put_wake(sim, at, wake);
}

void sim_plan_turn(struct sim_host *host, uint32_t machine, instant at) {
  struct sim *sim = host->sim;
  struct sim_wake *wake = &host->wakes[machine];
  if (machine >= host->machine_count || (wake->position != 0 && at >= wake->at)) return;
  wake->host = host;
  wake->machine = machine;
  wake->at = at;
  wake->order = sim->order++;
  if (wake->position == 0 && sim->wake_count == sim->wake_capacity) {
    sim->wake_capacity = sim->wake_capacity == 0 ? 256 : sim->wake_capacity * 2;
    sim->wakes = realloc(sim->wakes, sim->wake_capacity * sizeof(struct sim_wake *));
    if (sim->wakes == NULL) abort();
  }
  move_up(sim, wake->position != 0 ? wake->position - 1 : sim->wake_count++, wake);
}

void sim_forget_turn(struct sim *sim, struct sim_wake *wake) {
  if (wake->position == 0) return;
  size_t at = wake->position - 1;
  struct sim_wake *last = sim->wakes[--sim->wake_count];
  wake->position = 0;
  if (last == wake) return;
  move_up(sim, at, last);
  move_down(sim, last->position - 1, last);
}

/* ---- both ---- */

bool sim_take_next(struct sim *sim, instant until, struct sim_event *ret) {
  struct sim_wake *wake = sim->wake_count == 0 ? NULL : sim->wakes[0];
  const struct sim_event *event = sim->heap_count == 0 ? NULL : &sim->heap[0];
  bool is_turn = wake != NULL && (event == NULL || is_before(wake->at, wake->order, event->at, event->order));
  if (!is_turn && event == NULL) return false;
  if ((is_turn ? wake->at : event->at) > until) return false;
  if (is_turn) {
    *ret = (struct sim_event){.at = wake->at, .kind = SIM_TURN, .host = wake->host, .machine = wake->machine};
    sim_forget_turn(sim, wake);
  } else {
    *ret = take_first(sim);
  }
  return true;
}
