/* What a relay answers to a circuit that breaks a rule: that circuit or that link ends with the named cause, and a
 * circuit of another link goes on. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/relay/shard_bench.h"

static const uint8_t somewhere[4] = {93, 184, 216, 34};

/* A bench with the victim's link, and a bystander's circuit on another. */
struct scene { struct bench *bench; struct bench_circuit *victim, *bystander; uint16_t bystander_stream; };

static void bystander_goes_on(struct scene *scene) {
  uint32_t connected = bench_heard(scene->bystander, MESSAGE_CONNECTED);
  bench_begin_open(scene->bench, scene->bystander, ++scene->bystander_stream);
  cr_assert_eq(bench_heard(scene->bystander, MESSAGE_CONNECTED), connected + 1, "the bystander's circuit goes on");
  cr_assert_not(scene->bystander->closed);
}

static struct scene scene_new(uint8_t place) {
  struct scene scene = {.bench = bench_new()};
  int end = place == 0 ? END_CLIENT : END_FIRST_NODE;
  bench_link(scene.bench, end);
  bench_link(scene.bench, END_SECOND_NODE);
  scene.bystander = bench_open(scene.bench, END_SECOND_NODE, LIMIT_EXIT_PLACE);
  scene.victim = bench_open(scene.bench, end, place);
  bystander_goes_on(&scene);
  return scene;
}

/* ---- faults of circuits ---- */

static void say(struct scene *scene, uint8_t command, uint16_t stream, const void *body, size_t len) {
  bench_message(scene->bench, scene->victim, command, stream, body, len);
}

static void say_credit(struct scene *scene, uint16_t stream, uint64_t allowed) {
  uint8_t body[8];
  put_u64(body, allowed);
  say(scene, MESSAGE_STREAM_CREDIT, stream, body, sizeof body);
}

static void say_data(struct scene *scene, uint16_t stream, size_t len) {
  static const uint8_t bytes[1347] = {'d'};
  while (len > 0) {
    size_t part = len < sizeof bytes ? len : sizeof bytes;
    say(scene, MESSAGE_DATA, stream, bytes, part);
    bench_run(scene->bench);
    len -= part;
  }
}

static void extend_twice_while_the_first_waits(struct scene *scene) {
  scene->bench->next_is_silent = true;
  bench_extend(scene->bench, scene->victim, scene->bench->identities[END_NEXT]);
  bench_run(scene->bench);
  bench_extend(scene->bench, scene->victim, scene->bench->identities[END_NEXT]);
}

static void extend_twice(struct scene *scene) {
  bench_extend(scene->bench, scene->victim, scene->bench->identities[END_NEXT]);
  bench_run(scene->bench);
  cr_assert_eq(bench_heard(scene->victim, MESSAGE_EXTENDED), 1);
  bench_extend(scene->bench, scene->victim, scene->bench->identities[END_NEXT]);
}

static void extend_behind_a_stream(struct scene *scene) {
  bench_begin_open(scene->bench, scene->victim, 1);
  bench_extend(scene->bench, scene->victim, scene->bench->identities[END_NEXT]);
}

static void extend_on(struct scene *scene) {
  bench_extend(scene->bench, scene->victim, scene->bench->identities[END_NEXT]);
}

static void extend_to_itself(struct scene *scene) {
  bench_extend(scene->bench, scene->victim, scene->bench->identities[0]);
}

static void extend_back(struct scene *scene) {
  bench_extend(scene->bench, scene->victim, scene->bench->identities[END_FIRST_NODE]);
}

static void extend_to_nobody(struct scene *scene) {
  static const uint8_t nobody[IDENTITY_BYTES] = {77};
  bench_extend(scene->bench, scene->victim, nobody);
}

static void extend_to_who_does_not_listen(struct scene *scene) {
  bench_extend(scene->bench, scene->victim, scene->bench->identities[END_SECOND_NODE]);
}

static void extend_by_an_unknown_handshake(struct scene *scene) {
  uint8_t body[LIMIT_EXTEND_BYTES] = {0};
  memcpy(body, scene->bench->identities[END_NEXT], IDENTITY_BYTES);
  body[IDENTITY_BYTES] = 9;
  say(scene, MESSAGE_EXTEND, 0, body, sizeof body);
}

static void extend_to_the_silent(struct scene *scene) {
  scene->bench->next_is_silent = true;
  extend_on(scene);
  bench_wait(scene->bench, LIMIT_EXTEND_TIME + SECONDS);
}

static void begin_stream(struct scene *scene) { bench_begin(scene->bench, scene->victim, 1, somewhere, 80); }

static void begin_behind_an_extend(struct scene *scene) {
  extend_on(scene);
  bench_run(scene->bench);
  begin_stream(scene);
}

static void begin_the_same_number(struct scene *scene) {
  bench_begin_open(scene->bench, scene->victim, 3);
  bench_begin(scene->bench, scene->victim, 3, somewhere, 80);
}

static void begin_a_lower_number(struct scene *scene) {
  bench_begin_open(scene->bench, scene->victim, 3);
  bench_begin(scene->bench, scene->victim, 2, somewhere, 80);
}

static void begin_number_zero(struct scene *scene) { bench_begin(scene->bench, scene->victim, 0, somewhere, 80); }

static void begin_too_many(struct scene *scene) {
  for (uint16_t i = 1; i <= LIMIT_STREAMS_PER_CIRCUIT + 1; i++) {
    cr_assert_not(scene->victim->closed, "stream %u", i);
    bench_begin(scene->bench, scene->victim, i, somewhere, 80);
    bench_run(scene->bench);
  }
}

static void data_beyond_credit(struct scene *scene) {
  bench_begin_open(scene->bench, scene->victim, 1);
  say_data(scene, 1, LIMIT_EXIT_OPEN_CREDIT);
  cr_assert_not(scene->victim->closed, "so much was promised");
  say_data(scene, 1, 1);
}

static void data_of_no_stream(struct scene *scene) { say(scene, MESSAGE_DATA, 1, "x", 1); }

static void data_behind_eof(struct scene *scene) {
  bench_begin_open(scene->bench, scene->victim, 1);
  say(scene, MESSAGE_EOF, 1, NULL, 0);
  say(scene, MESSAGE_DATA, 1, "x", 1);
}

static void eof_twice(struct scene *scene) {
  bench_begin_open(scene->bench, scene->victim, 1);
  say(scene, MESSAGE_EOF, 1, NULL, 0);
  bench_run(scene->bench);
  cr_assert_not(scene->victim->closed);
  say(scene, MESSAGE_EOF, 1, NULL, 0);
}

static void end_twice(struct scene *scene) {
  static const uint8_t done = OUTCOME_DONE;
  bench_begin_open(scene->bench, scene->victim, 1);
  say(scene, MESSAGE_END, 1, &done, 1);
  bench_run(scene->bench);
  cr_assert_not(scene->victim->closed);
  cr_assert_eq(bench_ended(scene->victim, 1), OUTCOME_DONE, "END is answered");
  say(scene, MESSAGE_END, 1, &done, 1);
}

static void credit_goes_back(struct scene *scene) {
  bench_begin_open(scene->bench, scene->victim, 1);
  say_credit(scene, 1, 2 * LIMIT_CLIENT_FIRST_CREDIT);
  bench_run(scene->bench);
  cr_assert_not(scene->victim->closed);
  say_credit(scene, 1, 2 * LIMIT_CLIENT_FIRST_CREDIT - 1);
}

static void credit_that_says_nothing_new(struct scene *scene) {
  bench_begin_open(scene->bench, scene->victim, 1);
  say_credit(scene, 1, LIMIT_CLIENT_FIRST_CREDIT);
}

static void credit_by_a_byte(struct scene *scene) {
  bench_begin_open(scene->bench, scene->victim, 1);
  say_credit(scene, 1, LIMIT_CLIENT_FIRST_CREDIT + 1);
}

static void credit_in_small_steps(struct scene *scene) {
  bench_begin_open(scene->bench, scene->victim, 1);
  say_credit(scene, 1, LIMIT_CLIENT_FIRST_CREDIT + LIMIT_CLIENT_FIRST_CREDIT / 3 + 2);
  bench_run(scene->bench);
  cr_assert_not(scene->victim->closed, "the least step where nothing was sent");
  say_credit(scene, 1, LIMIT_CLIENT_FIRST_CREDIT + LIMIT_CLIENT_FIRST_CREDIT * 2 / 3);
}

static void credit_without_end(struct scene *scene) {
  bench_begin_open(scene->bench, scene->victim, 1);
  say_credit(scene, 1, LIMIT_CLIENT_CREDIT);
  bench_run(scene->bench);
  cr_assert_not(scene->victim->closed, "as much as a client ever promises");
  say_credit(scene, 1, LIMIT_CLIENT_CREDIT + LIMIT_CLIENT_FIRST_CREDIT);
}

static void credit_for_a_lookup(struct scene *scene) {
  static const uint8_t target[] = {0, 0, TARGET_NAME, 4, 'a', '.', 'b', 'c'};
  say(scene, MESSAGE_RESOLVE, 1, target, sizeof target);
  bench_run(scene->bench);
  cr_assert_not(scene->victim->closed);
  say_credit(scene, 1, LIMIT_CLIENT_FIRST_CREDIT);
}

static void unknown_command(struct scene *scene) {
  static const uint8_t content[] = {9, 0, 0};
  bench_say(scene->bench, scene->victim, ONION_FOR_YOU, content, sizeof content);
}

static void empty_content(struct scene *scene) { bench_say(scene->bench, scene->victim, ONION_FOR_YOU, "", 1); }

static void rest_that_is_not_zero(struct scene *scene) {
  static const uint8_t content[] = {MESSAGE_PADDING, 0, 0, 0, 1};
  bench_say(scene->bench, scene->victim, ONION_FOR_YOU, content, sizeof content);
}

static void extended_from_the_client(struct scene *scene) {
  static const uint8_t reply[CIRCUIT_HANDSHAKE_REPLY_BYTES];
  say(scene, MESSAGE_EXTENDED, 0, reply, sizeof reply);
}

static void closed_from_the_client(struct scene *scene) { say(scene, MESSAGE_CLOSED, 0, "\1", 1); }

static void connected_from_the_client(struct scene *scene) { say(scene, MESSAGE_CONNECTED, 1, NULL, 0); }

static void padding_beyond_its_budget(struct scene *scene) {
  for (int i = 0; i < 32; i++) say(scene, MESSAGE_PADDING, 0, NULL, 0);
  bench_run(scene->bench);
  cr_assert_not(scene->victim->closed, "so much may be sent");
  say(scene, MESSAGE_PADDING, 0, NULL, 0);
}

static void pass_on_to_nobody(struct scene *scene) { bench_say(scene->bench, scene->victim, ONION_PASS_ON, "x", 1); }

static void forged_layer(struct scene *scene) {
  scene->victim->seal.key[0] ^= 1;
  bench_say(scene->bench, scene->victim, ONION_FOR_YOU, "x", 1);
}

static void layer_sent_twice(struct scene *scene) {
  say(scene, MESSAGE_PADDING, 0, NULL, 0);
  bench_run(scene->bench);
  cr_assert_not(scene->victim->closed);
  scene->victim->seal.count--;
  say(scene, MESSAGE_PADDING, 0, NULL, 0);
}

static const struct fault {
  const char *name;
  uint8_t place;
  void (*commit)(struct scene *);
  enum outcome cause;
} faults[] = {
    {"EXTEND twice while the first waits", 1, extend_twice_while_the_first_waits, OUTCOME_PROTOCOL_VIOLATION},
    {"EXTEND twice", 0, extend_twice, OUTCOME_PROTOCOL_VIOLATION},
    {"EXTEND behind a stream", 2, extend_behind_a_stream, OUTCOME_PROTOCOL_VIOLATION},
    {"EXTEND at the last place", LIMIT_LAST_PLACE, extend_on, OUTCOME_NOT_ALLOWED_HERE},
    {"EXTEND to itself", 0, extend_to_itself, OUTCOME_NOT_ALLOWED_HERE},
    {"EXTEND back", 1, extend_back, OUTCOME_NOT_ALLOWED_HERE},
    {"EXTEND to nobody", 1, extend_to_nobody, OUTCOME_UNKNOWN_RELAY},
    {"EXTEND to who does not listen", 1, extend_to_who_does_not_listen, OUTCOME_LINK_FAILED},
    {"EXTEND by an unknown handshake", 1, extend_by_an_unknown_handshake, OUTCOME_HANDSHAKE_FAILED},
    {"EXTEND to the silent", 0, extend_to_the_silent, OUTCOME_CIRCUIT_TIMEOUT},
    {"BEGIN at place 0", 0, begin_stream, OUTCOME_NOT_ALLOWED_HERE},
    {"BEGIN at place 1", 1, begin_stream, OUTCOME_NOT_ALLOWED_HERE},
    {"BEGIN at place 3", 3, begin_stream, OUTCOME_NOT_ALLOWED_HERE},
    {"BEGIN behind an EXTEND", 2, begin_behind_an_extend, OUTCOME_NOT_ALLOWED_HERE},
    {"BEGIN of the same number", 2, begin_the_same_number, OUTCOME_PROTOCOL_VIOLATION},
    {"BEGIN of a lower number", 2, begin_a_lower_number, OUTCOME_PROTOCOL_VIOLATION},
    {"BEGIN of number 0", 2, begin_number_zero, OUTCOME_PROTOCOL_VIOLATION},
    {"BEGIN too often", 2, begin_too_many, OUTCOME_LIMIT_REACHED},
    {"DATA beyond its credit", 2, data_beyond_credit, OUTCOME_PROTOCOL_VIOLATION},
    {"DATA of no stream", 2, data_of_no_stream, OUTCOME_PROTOCOL_VIOLATION},
    {"DATA at place 0", 0, data_of_no_stream, OUTCOME_PROTOCOL_VIOLATION},
    {"DATA behind EOF", 2, data_behind_eof, OUTCOME_PROTOCOL_VIOLATION},
    {"EOF twice", 2, eof_twice, OUTCOME_PROTOCOL_VIOLATION},
    {"END twice", 2, end_twice, OUTCOME_PROTOCOL_VIOLATION},
    {"credit that goes back", 2, credit_goes_back, OUTCOME_PROTOCOL_VIOLATION},
    {"credit that says nothing new", 2, credit_that_says_nothing_new, OUTCOME_PROTOCOL_VIOLATION},
    {"credit by a byte", 2, credit_by_a_byte, OUTCOME_PROTOCOL_VIOLATION},
    {"credit in small steps", 2, credit_in_small_steps, OUTCOME_PROTOCOL_VIOLATION},
    {"credit without end", 2, credit_without_end, OUTCOME_PROTOCOL_VIOLATION},
    {"credit for a lookup", 2, credit_for_a_lookup, OUTCOME_PROTOCOL_VIOLATION},
    {"an unknown command", 2, unknown_command, OUTCOME_PROTOCOL_VIOLATION},
    {"no message", 2, empty_content, OUTCOME_PROTOCOL_VIOLATION},
    {"a rest that is not zero", 0, rest_that_is_not_zero, OUTCOME_PROTOCOL_VIOLATION},
    {"EXTENDED from the client", 0, extended_from_the_client, OUTCOME_PROTOCOL_VIOLATION},
    {"CLOSED from the client", 1, closed_from_the_client, OUTCOME_PROTOCOL_VIOLATION},
    {"CONNECTED from the client", 2, connected_from_the_client, OUTCOME_PROTOCOL_VIOLATION},
    {"padding beyond its budget", 0, padding_beyond_its_budget, OUTCOME_PROTOCOL_VIOLATION},
    {"a cell to pass on where nobody follows", 1, pass_on_to_nobody, OUTCOME_NOT_ALLOWED_HERE},
    {"a forged layer", 1, forged_layer, OUTCOME_LAYER_FORGED},
    {"a layer's number used twice", 1, layer_sent_twice, OUTCOME_LAYER_FORGED},
};

Test(shard, a_fault_of_a_circuit_ends_that_circuit_with_its_cause) {
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    const struct fault *fault = &faults[i];
    struct scene scene = scene_new(fault->place);
    fault->commit(&scene);
    bench_run(scene.bench);
    cr_assert(scene.victim->closed, "%s: the circuit goes on", fault->name);
    cr_assert_eq(scene.victim->cause, fault->cause, "%s: %d", fault->name, scene.victim->cause);
    cr_assert(bench_has_link(scene.bench, fault->place == 0 ? END_CLIENT : END_FIRST_NODE), "%s: the link ended", fault->name);
    bystander_goes_on(&scene);
    bench_wait(scene.bench, 2 * SECONDS);
    cr_assert_eq(scene.bench->figures.circuits, 1, "%s: %d circuits", fault->name, (int)scene.bench->figures.circuits);
    bench_free(scene.bench);
  }
}

/* ---- faults of links ---- */

static void raw(struct scene *scene, uint32_t circuit, uint8_t command) {
  uint8_t cell[CELL_BYTES] = {0};
  put_u32(cell, circuit);
  cell[4] = command;
  bench_raw(scene->bench, END_FIRST_NODE, cell);
}

static void unknown_cell(struct scene *scene) { raw(scene, scene->victim->side.circuit, 6); }
static void circuit_padding(struct scene *scene) { raw(scene, scene->victim->side.circuit, CELL_PADDING); }
static void onion_of_no_circuit(struct scene *scene) { raw(scene, scene->victim->side.circuit ^ 1, CELL_ONION); }
static void close_of_no_circuit(struct scene *scene) { raw(scene, scene->victim->side.circuit ^ 1, CELL_CLOSE); }
static void created_from_the_initiator(struct scene *scene) { raw(scene, scene->victim->side.circuit, CELL_CREATED); }

static void create_again(struct scene *scene, uint32_t circuit) {
  static const uint8_t request[CIRCUIT_HANDSHAKE_REQUEST_BYTES] = {1};
  struct cell_create create = {.handshake_type = CIRCUIT_HANDSHAKE_TYPE_HYBRID, .generation = 1, .place = 1, .request = request};
  uint8_t cell[CELL_BYTES];
  cell_encode_create(cell, circuit, &create);
  bench_raw(scene->bench, END_FIRST_NODE, cell);
}

static void create_of_an_open_circuit(struct scene *scene) { create_again(scene, scene->victim->side.circuit); }

static void create_twice_before_the_answer(struct scene *scene) {
  scene->bench->idle = true;
  create_again(scene, 12345);
  cr_assert(bench_has_link(scene->bench, END_FIRST_NODE));
  create_again(scene, 12345);
  scene->bench->idle = false;
}

static void onion_before_created(struct scene *scene) {
  scene->bench->idle = true;
  create_again(scene, 12345);
  raw(scene, 12345, CELL_ONION);
  scene->bench->idle = false;
}

static void close_that_says_something(struct scene *scene) {
  uint8_t cell[CELL_BYTES] = {0};
  cell_encode_close(cell, scene->victim->side.circuit);
  cell[CELL_BYTES - 1] = 1;
  bench_raw(scene->bench, END_FIRST_NODE, cell);
}

static void credit_of_no_circuit(struct scene *scene) {
  uint8_t cell[CELL_BYTES] = {0}, *body = cell_body(cell);
  cell_set_header(cell, 0, CELL_CONTROL);
  body[0] = CONTROL_CREDIT;
  put_u16(body + 1, CONTROL_CREDIT_BYTES);
  put_u32(body + 3, scene->victim->side.circuit ^ 1);
  bench_raw(scene->bench, END_FIRST_NODE, cell);
}

static void time_from_the_initiator(struct scene *scene) {
  uint8_t cell[CELL_BYTES] = {0}, *body = cell_body(cell);
  cell_set_header(cell, 0, CELL_CONTROL);
  body[0] = CONTROL_TIME;
  put_u16(body + 1, 8);
  bench_raw(scene->bench, END_FIRST_NODE, cell);
}

static void link_padding_without_end(struct scene *scene) {
  for (int i = 0; i < 100000 && bench_has_link(scene->bench, END_FIRST_NODE); i++) raw(scene, 0, CELL_PADDING);
}

/* Nothing comes back meanwhile, so no more was promised than was before. */
static void cells_beyond_their_credit(struct scene *scene) {
  bench_begin_open(scene->bench, scene->victim, 1);
  scene->victim->side.out.limit = scene->victim->side.out.sent + LIMIT_CREDIT_FIRST_MAX + 64;
  scene->victim->side.out.window = 2 * LIMIT_WINDOW_MOST;
  for (int i = 0; i < LIMIT_CREDIT_FIRST_MAX + 64; i++) say(scene, MESSAGE_DATA, 1, "x", 1);
  bench_push_in(scene->bench, END_FIRST_NODE);
}

static const struct link_fault { const char *name; void (*commit)(struct scene *); } link_faults[] = {
    {"an unknown cell", unknown_cell},
    {"padding that names a circuit", circuit_padding},
    {"an onion cell of no circuit", onion_of_no_circuit},
    {"CLOSE of no circuit", close_of_no_circuit},
    {"CREATED from the initiator", created_from_the_initiator},
    {"CREATE of an open circuit", create_of_an_open_circuit},
    {"CREATE twice before the answer", create_twice_before_the_answer},
    {"an onion cell before CREATED", onion_before_created},
    {"CLOSE that says something", close_that_says_something},
    {"credit of no circuit", credit_of_no_circuit},
    {"the time from the initiator", time_from_the_initiator},
    {"link padding without end", link_padding_without_end},
    {"cells beyond their credit", cells_beyond_their_credit},
};

Test(shard, a_fault_of_a_link_ends_that_link_alone) {
  for (size_t i = 0; i < sizeof link_faults / sizeof *link_faults; i++) {
    struct scene scene = scene_new(1 + (link_faults[i].commit == cells_beyond_their_credit));
    link_faults[i].commit(&scene);
    bench_run(scene.bench);
    cr_assert_not(bench_has_link(scene.bench, END_FIRST_NODE), "%s: the link goes on", link_faults[i].name);
    cr_assert_eq(scene.bench->ends[END_FIRST_NODE].outcome, OUTCOME_PROTOCOL_VIOLATION, "%s", link_faults[i].name);
    cr_assert_eq(scene.bench->links_reported, 1, "%s: the keeper hears that one link is gone", link_faults[i].name);
    bystander_goes_on(&scene);
    bench_wait(scene.bench, 2 * SECONDS);
    cr_assert_eq(scene.bench->figures.violations, 1, "%s", link_faults[i].name);
    cr_assert_eq(scene.bench->figures.circuits, 1, "%s", link_faults[i].name);
    bench_free(scene.bench);
  }
}

/* ---- who may create ---- */

static bool is_refused(struct bench *bench, int end, uint8_t place, uint8_t type, uint8_t generation) {
  struct bench_circuit *circuit = bench_create_as(bench, end, place, type, generation);
  bench_run(bench);
  cr_assert(bench_has_link(bench, end), "a refusal costs no link");
  return circuit->closed && !circuit->is_open;
}

Test(shard, a_create_is_refused_where_its_place_type_or_generation_is_not_allowed) {
  struct bench *bench = bench_new();
  bench_link(bench, END_CLIENT);
  bench_link(bench, END_FIRST_NODE);
  for (uint8_t place = 0; place <= LIMIT_LAST_PLACE; place++) {
    cr_assert_eq(is_refused(bench, END_CLIENT, place, 1, 1), place != 0, "a client at place %d", place);
    cr_assert_eq(is_refused(bench, END_FIRST_NODE, place, 1, 1), place == 0, "a relay at place %d", place);
  }
  cr_assert(is_refused(bench, END_FIRST_NODE, 1, 2, 1), "an unknown handshake");
  cr_assert(is_refused(bench, END_FIRST_NODE, 1, 1, 2), "an unknown generation");
  bench_wait(bench, 2 * SECONDS);
  cr_assert_eq(bench->figures.creates_answered, 1 + LIMIT_LAST_PLACE);
  cr_assert_eq(bench->figures.creates_refused, LIMIT_LAST_PLACE + 1 + 2);
  bench_free(bench);
}

Test(shard, a_request_that_no_client_made_is_refused) {
  struct bench *bench = bench_new();
  bench_link(bench, END_CLIENT);
  bench->key[0] ^= 1; /* made for another key */
  cr_assert(is_refused(bench, END_CLIENT, 0, 1, 1));
  bench->key[0] ^= 1;
  cr_assert_not(is_refused(bench, END_CLIENT, 0, 1, 1));
  bench_free(bench);
}

Test(shard, no_more_creates_of_one_link_wait_than_its_limit) {
  struct bench *bench = bench_new();
  struct bench_circuit *circuits[LIMIT_CREATES_QUEUED_PER_LINK + 6];
  const int all = sizeof circuits / sizeof *circuits;
  bench_link(bench, END_CLIENT);
  bench_link(bench, END_FIRST_NODE);
  bench->idle = true;
  for (int i = 0; i < all; i++) circuits[i] = bench_create(bench, END_CLIENT, 0);
  bench_run(bench);
  for (int i = 0; i < all; i++) cr_assert_eq(circuits[i]->closed, i >= LIMIT_CREATES_QUEUED_PER_LINK, "circuit %d", i);
  struct bench_circuit *other = bench_create(bench, END_FIRST_NODE, 1);
  bench_run(bench);
  cr_assert_not(other->closed, "another link has a queue of its own");
  bench->machine.verbs->work(bench->shard, bench->now);
  bench->machine.verbs->work(bench->shard, bench->now);
  bench_run(bench);
  cr_assert(other->is_open, "and its turn is the second, not the last");
  bench->idle = false;
  bench_run(bench);
  for (int i = 0; i < LIMIT_CREATES_QUEUED_PER_LINK; i++) cr_assert(circuits[i]->is_open);
  bench_free(bench);
}

Test(shard, a_create_that_waited_too_long_is_refused) {
  struct bench *bench = bench_new();
  bench_link(bench, END_CLIENT);
  bench->idle = true;
  struct bench_circuit *late = bench_create(bench, END_CLIENT, 0);
  bench_wait(bench, LIMIT_CREATE_WAIT + 1);
  bench->idle = false;
  bench_run(bench);
  cr_assert(late->closed && !late->is_open);
  bench_free(bench);
}

/* The neighbour reads what it is answered: who does not is another test. */
static void take_output(struct bench *bench) {
  static uint8_t out[64 * 1024];
  struct id id;
  while (bench->machine.verbs->next_ready(bench->shard, &id)) {
    while (bench->machine.verbs->transmit(bench->shard, bench->now, id, out, sizeof out) > 0) {}
  }
}

/* The same request again and again, each worked on at once: the queue is not what refuses them. How many are answered. */
static uint64_t flood(int end) {
  struct bench *bench = bench_new();
  uint8_t request[CIRCUIT_HANDSHAKE_REQUEST_BYTES], random[NOISE_RANDOM_BYTES] = {3}, cell[CELL_BYTES];
  struct circuit_binding binding = {
      .handshake_type = CIRCUIT_HANDSHAKE_TYPE_HYBRID, .generation = 1, .place = end != END_CLIENT, .suite = AEAD_CHACHA20_POLY1305};
  struct cell_create create = {.handshake_type = CIRCUIT_HANDSHAKE_TYPE_HYBRID, .generation = 1, .place = binding.place, .request = request};
  struct noise handshake;
  memcpy(binding.identity, bench->identities[0], IDENTITY_BYTES);
  cr_assert(circuit_handshake_begin(&handshake, &binding, bench->key, random, request));
  bench_link(bench, end);
  for (uint32_t i = 1; i <= 1100; i++) {
    cell_encode_create(cell, i, &create);
    bench_raw(bench, end, cell);
    while (bench->machine.verbs->work(bench->shard, bench->now)) {}
    take_output(bench);
  }
  cr_assert(bench_has_link(bench, end), "a flood is refused, no fault");
  bench_lose(bench, end);
  bench_wait(bench, 2 * SECONDS);
  uint64_t answered = bench->figures.creates_answered;
  cr_expect_eq(answered + bench->figures.creates_refused, 1100);
  noise_wipe(&handshake);
  bench_free(bench);
  return answered;
}

Test(shard, a_client_that_creates_without_end_runs_out_of_tokens_and_a_relay_does_not) {
  cr_assert_eq(flood(END_CLIENT), 1000);
  cr_assert_eq(flood(END_FIRST_NODE), 1100);
}

/* All relays of the bench have identities that begin alike. */
Test(shard, a_relay_whose_identity_resembles_another_s_costs_it_no_link) {
  struct bench *bench = bench_new();
  bench_link(bench, END_FIRST_NODE);
  const int to[] = {END_NEXT, END_SECOND_NODE, END_NEXT};
  for (int i = 0; i < 3; i++) {
    struct bench_circuit *circuit = bench_open(bench, END_FIRST_NODE, 1);
    bench_extend(bench, circuit, bench->identities[to[i]]);
    bench_run(bench);
    cr_assert_eq(bench_heard(circuit, MESSAGE_EXTENDED), to[i] == END_NEXT, "circuit %d", i); /* the second node does not listen */
  }
  bench_free(bench);
}

/* ---- links under one identity ---- */

/* [LIMIT-10] */
Test(shard, a_relay_that_opens_links_without_end_is_cut_and_others_go_on) {
  struct bench *bench = bench_new();
  struct bench_end *end = &bench->ends[END_FIRST_NODE];
  bench_link(bench, END_SECOND_NODE);
  for (uint32_t i = 0; i < LIMIT_LINKS_FROM_NEIGHBOUR; i++) {
    trunk_free(end->trunk); /* our end forgets it: the shard does not hear of that */
    bench_link(bench, END_FIRST_NODE);
  }
  struct bench_circuit *last = bench_open(bench, END_FIRST_NODE, 1);
  cr_assert_not(last->closed, "as many as it may have, and all are of use");
  struct trunk *kept = end->trunk;
  struct id name = end->connection;
  uint32_t closes = bench->closes;
  end->trunk = NULL;
  bench_call(bench, END_FIRST_NODE);
  cr_assert_not(bench_has_link(bench, END_FIRST_NODE));
  cr_assert_eq(bench->closes, closes + 1, "one more is cut");
  end->trunk = kept;
  end->connection = name;
  bench_wait(bench, 2 * SECONDS);
  cr_assert_eq(bench->figures.links_refused, 1, "and counted");
  bench_open(bench, END_SECOND_NODE, 1);
  bench_wait(bench, 2 * LIMIT_LINK_IDLE_TIME);
  bench_lose(bench, END_FIRST_NODE);
  bench_link(bench, END_FIRST_NODE); /* those that carried nothing have made room */
  bench_free(bench);
}
