/* [BUILD-7] of specs/paths.md: while a hop's answer is awaited the request for the hop behind it is made. When that was, nobody can tell but
 * by the time it takes; its keys serve one handshake, and go with it. */
#include <criterion/criterion.h>
#include <string.h>

#include "client/client_internal.h"
#include "tests/unit/client/hostile_path.h"
#include "tests/unit/protocol/failing_allocator.h"
#include "tests/unit/seed.h"

TestSuite(hop_ahead, .timeout = 60);

enum { POOL_MOST = 4096, ONE_HANDSHAKE = 2 /* calls for work, of which documents have every other one */ };

static struct hostile_path path;

/* A circuit whose hop `built` was asked and has not answered; NULL: none. */
static struct hostile_circuit *asked(uint8_t built) {
  for (int i = 0; i < HOSTILE_CIRCUITS_MAX; i++)
    if (path.circuits[i].side.state != SIDE_NONE && path.circuits[i].is_asked && path.circuits[i].built == built) return &path.circuits[i];
  return NULL;
}

/* The client's own idea of it. */
static struct circuit *at_client(const struct hostile_circuit *hostile) {
  uint32_t cursor = 0;
  struct id id;
  struct circuit *circuit;
  while ((circuit = id_table_next(&path.client->circuits, &cursor, &id)) != NULL)
    if (circuit->side.state != SIDE_NONE && circuit->side.circuit == hostile->side.circuit) return circuit;
  return NULL;
}

static struct hostile_circuit *begin(void) {
  hostile_path_init(&path);
  path.holds = true;
  hostile_path_run(&path, 0);
  struct hostile_circuit *circuit = asked(0);
  cr_assert_not_null(circuit);
  return circuit;
}

static void answer(struct hostile_circuit *circuit) {
  hostile_path_answer(&path, circuit);
  hostile_path_run(&path, 0);
}

/* So much time for handshakes, and no more before the next call. */
static void run_handshakes(uint32_t calls) {
  path.works = calls;
  hostile_path_run(&path, 0);
}

static void expect_it_carries(struct hostile_circuit *circuit) {
  static const uint8_t request[] = {5, 1, 0, 5, 1, 0, 3, 1, 'x', 0, 80}, data[] = "there and back";
  uint8_t out[64];
  path.holds = false;
  run_handshakes(UINT32_MAX);
  struct id app = hostile_path_app(&path, request, sizeof request);
  hostile_path_run(&path, MILLISECONDS);
  cr_assert_eq(hostile_path_used(&path), circuit);
  hostile_path_message(&path, circuit, MESSAGE_CONNECTED, 1, NULL, 0);
  hostile_path_message(&path, circuit, MESSAGE_DATA, 1, data, sizeof data);
  hostile_path_run(&path, MILLISECONDS);
  size_t len = hostile_path_read(&path, app, out, sizeof out);
  cr_assert_geq(len, sizeof data);
  cr_assert_arr_eq(out + len - sizeof data, data, sizeof data);
}

Test(hop_ahead, the_next_request_leaves_with_the_handshake_that_ends) {
  struct hostile_circuit *circuit = begin();
  for (uint8_t built = 1; built <= 2; built++) {
    path.works = ONE_HANDSHAKE;
    answer(circuit);
    cr_assert(circuit->is_asked && circuit->built == built, "hop %u was to be asked at once", built);
    run_handshakes(UINT32_MAX);
  }
  path.works = ONE_HANDSHAKE;
  answer(circuit);
  cr_assert_eq(hostile_path_figure(&path, "circuits_built"), 1);
  expect_it_carries(circuit);
  hostile_path_wipe(&path);
}

/* For the second and third hop: ready when the answer comes, or not. */
Test(hop_ahead, an_answer_that_is_faster_finds_the_same_circuit) {
  for (uint32_t ready = 0; ready < 4; ready++) {
    hostile_path_init(&path);
    path.holds = true;
    path.works = 0;
    struct hostile_circuit *circuit = NULL;
    for (uint8_t built = 0; built < 2; built++) {
      for (int calls = 0; (circuit = asked(built)) == NULL; calls++) {
        cr_assert_lt(calls, 100);
        run_handshakes(1);
      }
      cr_assert_not(at_client(circuit)->build->has_next);
      if (ready >> built & 1) run_handshakes(UINT32_MAX);
      cr_assert_eq(at_client(circuit)->build->has_next, ready >> built & 1);
      path.works = 0;
      answer(circuit);
    }
    run_handshakes(UINT32_MAX);
    cr_assert(circuit->is_asked && circuit->built == 2);
    answer(circuit);
    cr_assert_eq(circuit->built, 3);
    cr_assert_eq(path.misfits, 0);
    expect_it_carries(circuit);
    cr_assert_eq(hostile_path_figure(&path, "circuits_failed"), 0);
    hostile_path_wipe(&path);
  }
}

/* What is being built goes on as it was begun, also where a relay's key has changed meanwhile. */
Test(hop_ahead, a_new_consensus_changes_nothing_of_what_is_being_built) {
  struct hostile_circuit *circuit = begin();
  for (uint32_t i = 0; i < path.relays.count; i++) {
    path.relays.entries[i].onion_generation = 2;
    path.relays.entries[i].onion_key[0] ^= 1;
  }
  struct consensus *consensus = sample_relays_consensus(&path.relays, 0);
  client_set_consensus(path.client, path.now, consensus);
  for (uint8_t built = 1; built <= 3; built++) {
    answer(circuit);
    cr_assert_eq(circuit->built, built);
  }
  cr_assert_eq(hostile_path_figure(&path, "circuits_built"), 1);
  cr_assert_eq(path.misfits, 0);
  hostile_path_wipe(&path);
}

/* ---- where it comes to nothing ---- */

enum ending { CLOSED_BY_HOP, CLOSED_BY_GUARD, LINK_CUT, WRONG_REPLY, TOO_LATE, NO_CELLS, CLIENT_GONE, ENDINGS };

static void without_cells(struct hostile_circuit *circuit) {
  static struct cell *taken[POOL_MOST];
  uint32_t count = 0;
  for (struct cell *cell; (cell = cell_pool_take(path.client->cells)) != NULL;) taken[count++] = cell;
  answer(circuit);
  while (count > 0) cell_pool_give(path.client->cells, taken[--count]);
}

/* False: there is no client any more. */
static bool end_by(enum ending ending, struct hostile_circuit *circuit) {
  static const uint8_t closed[] = {MESSAGE_CLOSED, 0, 1, OUTCOME_TOO_BUSY};
  switch (ending) {
  case CLOSED_BY_HOP:
    if (circuit->built > 0) hostile_path_say(&path, circuit, (uint8_t)(circuit->built - 1), ONION_FOR_YOU, closed, sizeof closed);
    else trunk_cut(&circuit->side);
    break;
  case CLOSED_BY_GUARD: trunk_cut(&circuit->side); break;
  case LINK_CUT: hostile_path_cut(&path); break;
  case WRONG_REPLY:
    path.lies = true;
    hostile_path_answer(&path, circuit);
    path.lies = false;
    break;
  case TOO_LATE: hostile_path_run(&path, 11 * SECONDS); break;
  case NO_CELLS: without_cells(circuit); break;
  case CLIENT_GONE:
  case ENDINGS: hostile_path_wipe(&path); return false;
  }
  hostile_path_run(&path, 0);
  return true;
}

/* The `which`-th of what a build knows: the keys of the handshake under way, then those of the one made ahead. */
static const uint8_t *secret_of(const struct circuit_build *build, int which) {
  const struct noise *noise = which < 2 ? &build->handshake : &build->next;
  return which % 2 == 0 ? noise->ephemeral_secret : noise->kem_secret;
}

static void expect_wiped(enum ending ending, uint8_t built, int which) {
  static const uint8_t nothing[X25519_BYTES];
  struct hostile_circuit *circuit = begin();
  if (built > 0) answer(circuit);
  cr_assert_eq(circuit->built, built);
  struct id id = at_client(circuit)->id;
  const struct circuit_build *build = at_client(circuit)->build;
  const uint8_t *secret = secret_of(build, which);
  cr_assert(build->has_next);
  cr_assert_neq(memcmp(secret, nothing, sizeof nothing), 0);
  failing_allocator_watch(secret, X25519_BYTES);
  if (end_by(ending, circuit)) {
    cr_expect_null(id_table_get(&path.client->circuits, id), "ending %d at hop %u: the circuit goes on", ending, built);
    hostile_path_wipe(&path);
  }
  cr_expect_eq(failing_allocator_freed_with_pattern(), 0, "ending %d at hop %u, key %d", ending, built, which);
  failing_allocator_watch(NULL, 0);
  cr_expect_eq(memory_budget_used(&path.budget), 0);
}

Test(hop_ahead, keys_are_wiped_when_a_build_comes_to_nothing) {
  for (enum ending ending = 0; ending < ENDINGS; ending++)
    for (uint8_t built = 0; built < 2; built++)
      for (int which = 0; which < 4; which++) expect_wiped(ending, built, which);
}

/* And when it comes to something: those of a handshake that is under way are in its own place alone. */
Test(hop_ahead, keys_move_with_the_request) {
  struct hostile_circuit *circuit = begin();
  uint8_t secret[X25519_BYTES];
  const struct circuit_build *build = at_client(circuit)->build;
  memcpy(secret, build->next.ephemeral_secret, sizeof secret);
  path.works = ONE_HANDSHAKE;
  answer(circuit);
  cr_assert_arr_eq(build->handshake.ephemeral_secret, secret, sizeof secret);
  cr_assert_not(build->has_next);
  for (size_t i = 0; i < sizeof secret; i++) cr_assert_eq(build->next.ephemeral_secret[i], 0);
  failing_allocator_watch(secret, sizeof secret);
  run_handshakes(UINT32_MAX);
  answer(circuit);
  answer(circuit);
  cr_assert_eq(hostile_path_figure(&path, "circuits_built"), 1);
  cr_assert_eq(failing_allocator_freed_with_pattern(), 0);
  failing_allocator_watch(NULL, 0);
  hostile_path_wipe(&path);
}

/* The one that was to carry it ends alone; nobody hears of what it had ready, and the next ones come through. */
Test(hop_ahead, without_memory_for_its_cell_the_request_stays_unsaid) {
  struct hostile_circuit *circuit = begin();
  uint32_t requests = path.requests;
  without_cells(circuit);
  cr_assert_null(at_client(circuit));
  cr_assert_eq(path.requests, requests);
  path.holds = false;
  for (int i = 0; i < HOSTILE_CIRCUITS_MAX; i++) hostile_path_answer(&path, &path.circuits[i]);
  hostile_path_run(&path, 5 * SECONDS);
  cr_assert_geq(hostile_path_figure(&path, "circuits_built"), 3);
  cr_assert_eq(path.misfits, 0);
  hostile_path_wipe(&path);
}

static void expect_keys_of_their_own(void) {
  for (uint32_t i = 0; i < path.requests; i++)
    for (uint32_t k = 0; k < i; k++) cr_assert_neq(memcmp(path.ephemerals[i], path.ephemerals[k], X25519_BYTES), 0, "requests %u and %u share a key", k, i);
}

/* An application that shares no circuit, so that another one is built. */
static void want_another(uint8_t user) {
  const uint8_t request[] = {5, 1, 2, 1, 1, user, 1, 'p', 5, 1, 0, 3, 1, 'x', 0, 80};
  hostile_path_app(&path, request, sizeof request);
}

/* Circuits fail at any moment, with a request ready or not: no key is ever said twice, nor to another hop than it is for. */
Test(hop_ahead, no_key_serves_two_handshakes) {
  struct random_stream random = test_random("hop_ahead");
  hostile_path_init(&path);
  for (int step = 0; step < 1500 && path.requests < HOSTILE_REQUESTS_MAX; step++) {
    struct hostile_circuit *circuit = asked((uint8_t)random_below(&random, 3));
    path.holds = random_below(&random, 4) != 0;
    path.works = random_below(&random, 3) == 0 ? UINT32_MAX : random_u32(&random) % 4;
    uint64_t draw = random_below(&random, 40);
    want_another((uint8_t)step);
    if (circuit != NULL && draw <= WRONG_REPLY) end_by((enum ending)draw, circuit);
    else if (circuit != NULL) hostile_path_answer(&path, circuit);
    hostile_path_run(&path, random_below(&random, 2) * random_below(&random, SECONDS));
  }
  cr_expect_gt(path.requests, 100, "only %u: it proves nothing", path.requests);
  expect_keys_of_their_own();
  cr_expect_eq(path.misfits, 0);
  cr_expect_eq(hostile_path_figure(&path, "violations"), 0);
  path.holds = false;
  path.works = UINT32_MAX;
  hostile_path_run(&path, 20 * MINUTES);
  uint32_t heard = path.hosts_heard;
  want_another('z');
  hostile_path_run(&path, MILLISECONDS);
  cr_expect_eq(path.hosts_heard, heard + 1, "afterwards circuits stand ready again");
  hostile_path_wipe(&path);
}
