/* An exit that has no room for one more stream: that stream ends, and nothing else. [STREAM-21] */
#include <criterion/criterion.h>
#include <string.h>

#include "relay/shard_internal.h"
#include "tests/unit/protocol/failing_allocator.h"
#include "tests/unit/relay/shard_bench.h"

static const uint8_t somewhere[4] = {93, 184, 216, 34}, done[1] = {OUTCOME_DONE};

/* An exit with room for so many, and a circuit that ends there. */
struct scene { struct bench *bench; struct bench_circuit *circuit; };

static struct bench_circuit *another(struct bench *bench) {
  return bench_open(bench, END_FIRST_NODE, LIMIT_EXIT_PLACE);
}

static struct scene scene_new(uint32_t streams) {
  struct scene scene = {.bench = bench_new()};
  scene.bench->shard->streams.limit = streams;
  bench_link(scene.bench, END_FIRST_NODE);
  scene.circuit = another(scene.bench);
  return scene;
}

static void say(struct scene *scene, uint8_t command, uint16_t stream, const void *body, size_t len) {
  bench_message(scene->bench, scene->circuit, command, stream, body, len);
  bench_run(scene->bench);
}

static void begin(struct scene *scene, uint16_t stream) {
  bench_begin(scene->bench, scene->circuit, stream, somewhere, 80);
  bench_run(scene->bench);
}

/* Of so many streams that a circuit begins, the ones that the exit connects. */
static uint32_t take(struct bench *bench, struct bench_circuit *circuit, uint16_t first, uint32_t count) {
  uint32_t connects = bench->connects;
  for (uint32_t i = 0; i < count; i++) bench_begin(bench, circuit, (uint16_t)(first + i), somewhere, 80);
  bench_run(bench);
  cr_assert_not(circuit->closed, "%u of %u were taken, then: %s", bench->connects - connects, count, outcome_name((enum outcome)circuit->cause));
  return bench->connects - connects;
}

Test(exit_full, one_more_stream_ends_and_nothing_else) {
  struct scene scene = scene_new(2);
  struct bench_circuit *holder = another(scene.bench);
  bench_begin_open(scene.bench, holder, 1);
  bench_begin_open(scene.bench, scene.circuit, 1);
  begin(&scene, 2);
  cr_assert_not(scene.circuit->closed);
  cr_assert_eq(bench_ended(scene.circuit, 2), OUTCOME_TOO_BUSY);
  say(&scene, MESSAGE_END, 2, done, 1);
  say(&scene, MESSAGE_DATA, 1, "x", 1);
  cr_assert_not(scene.circuit->closed, "the circuit's other stream goes on");
  bench_message(scene.bench, holder, MESSAGE_END, 1, done, 1);
  bench_run(scene.bench);
  cr_assert_eq(take(scene.bench, scene.circuit, 3, 1), 1, "where a stream ended there is room");
  bench_wait(scene.bench, 2 * SECONDS);
  cr_assert_eq(scene.bench->figures.streams, 2);
  cr_assert_eq(scene.bench->figures.streams_refused, 1);
  bench_free(scene.bench);
}

Test(exit_full, a_lookup_ends_just_so) {
  static const uint8_t target[] = {0, 0, TARGET_NAME, 4, 'a', '.', 'b', 'c'};
  struct scene scene = scene_new(0);
  say(&scene, MESSAGE_RESOLVE, 1, target, sizeof target);
  cr_assert_eq(bench_ended(scene.circuit, 1), OUTCOME_TOO_BUSY);
  say(&scene, MESSAGE_END, 1, done, 1);
  cr_assert_not(scene.circuit->closed);
  bench_free(scene.bench);
}

/* The client did not know yet: all of its first credit, and EOF. */
Test(exit_full, what_followed_begin_is_taken_and_not_a_byte_more) {
  static const uint8_t bytes[1024];
  struct scene scene = scene_new(0);
  for (uint16_t stream = 1; stream <= 3; stream++) begin(&scene, stream);
  for (uint16_t stream = 3; stream >= 1; stream--) {
    for (size_t len = 0; len < LIMIT_EXIT_FIRST_CREDIT; len += sizeof bytes) say(&scene, MESSAGE_DATA, stream, bytes, sizeof bytes);
    say(&scene, MESSAGE_EOF, stream, NULL, 0);
  }
  say(&scene, MESSAGE_END, 2, done, 1);
  cr_assert_not(scene.circuit->closed);
  say(&scene, MESSAGE_DATA, 1, "x", 1);
  cr_assert_eq(scene.circuit->cause, OUTCOME_PROTOCOL_VIOLATION);
  bench_free(scene.bench);
}

/* What was not sent for one that is over is no credit for the next. */
Test(exit_full, credit_goes_with_its_stream) {
  static const uint8_t bytes[1024];
  struct scene scene = scene_new(0);
  for (uint16_t stream = 1; stream <= 100; stream++) {
    begin(&scene, stream);
    if (stream > 1) say(&scene, MESSAGE_END, (uint16_t)(stream - 1), done, 1);
  }
  cr_assert_not(scene.circuit->closed);
  for (size_t len = 0; len < 2 * LIMIT_EXIT_FIRST_CREDIT && !scene.circuit->closed; len += sizeof bytes) say(&scene, MESSAGE_DATA, 100, bytes, sizeof bytes);
  cr_assert_eq(scene.circuit->cause, OUTCOME_PROTOCOL_VIOLATION);
  bench_free(scene.bench);
}

/* A client that leaves them unanswered holds nothing but places of its own circuit. */
Test(exit_full, those_without_an_answer_count_for_their_circuit) {
  struct scene scene = scene_new(LIMIT_STREAMS_PER_CIRCUIT);
  cr_assert_eq(take(scene.bench, scene.circuit, 1, 10), 10);
  scene.bench->shard->streams.limit = 0;
  cr_assert_eq(take(scene.bench, scene.circuit, 11, LIMIT_STREAMS_PER_CIRCUIT - 10), 0);
  bench_wait(scene.bench, 2 * LIMIT_HALF_CLOSED_TIME);
  cr_assert_not(scene.circuit->closed);
  say(&scene, MESSAGE_END, 11, done, 1);
  begin(&scene, 1000);
  cr_assert_not(scene.circuit->closed, "one was answered");
  begin(&scene, 1001);
  cr_assert_eq(scene.circuit->cause, OUTCOME_LIMIT_REACHED);
  bench_free(scene.bench);
}

/* Whoever has many finds half of the room taken; the rest is for those who have few. */
Test(exit_full, a_circuit_with_few_streams_gets_its_share) {
  struct scene scene = scene_new(8 * LIMIT_STREAMS_OF_A_FEW);
  struct bench_circuit *few[4];
  for (int i = 0; i < 4; i++) few[i] = another(scene.bench);
  cr_assert_eq(take(scene.bench, scene.circuit, 1, 200), 4 * LIMIT_STREAMS_OF_A_FEW);
  for (int i = 0; i < 4; i++) cr_assert_eq(take(scene.bench, few[i], 1, 40), LIMIT_STREAMS_OF_A_FEW, "circuit %d", i);
  cr_assert_eq(take(scene.bench, another(scene.bench), 1, 1), 0, "and then there is none");
  for (uint16_t stream = 1; stream <= 8; stream++) bench_message(scene.bench, few[0], MESSAGE_END, stream, done, 1);
  bench_run(scene.bench);
  cr_assert_eq(take(scene.bench, scene.circuit, 201, 1), 0, "what one with few gives back");
  cr_assert_eq(take(scene.bench, few[0], 41, 10), 8, "is for those with few");
  bench_free(scene.bench);
}

Test(exit_full, it_has_room_for_as_many_as_it_was_made_for) {
  struct bench *bench = bench_new_for(4 * LIMIT_STREAMS_OF_A_FEW);
  bench_link(bench, END_FIRST_NODE);
  cr_assert_eq(take(bench, another(bench), 1, 100), 2 * LIMIT_STREAMS_OF_A_FEW);
  cr_assert_eq(take(bench, another(bench), 1, 100), LIMIT_STREAMS_OF_A_FEW);
  bench_free(bench);
  bench = bench_new_for(UINT32_MAX);
  cr_assert_eq(bench->shard->streams.limit, LIMIT_STREAMS_PER_SHARD, "no more than this for any wish");
  bench_free(bench);
}

/* The stream's own allocation, and those of the tables that it stands in. */
Test(exit_full, without_memory_too_the_stream_ends_alone) {
  struct scene scene = scene_new(LIMIT_STREAMS_PER_SHARD);
  bench_begin_open(scene.bench, scene.circuit, 1);
  uint16_t stream = 2;
  for (uint32_t first = 1; first <= 2; first++, stream++) {
    bench_begin(scene.bench, scene.circuit, stream, somewhere, 80);
    failing_allocator_fail(first, UINT32_MAX);
    bench_push_in(scene.bench, END_FIRST_NODE);
    failing_allocator_fail(0, 0);
    bench_run(scene.bench);
    cr_assert_not(scene.circuit->closed, "allocation %u: %s", first, outcome_name((enum outcome)scene.circuit->cause));
    cr_assert_eq(bench_ended(scene.circuit, stream), OUTCOME_NO_MEMORY, "allocation %u", first);
    say(&scene, MESSAGE_END, stream, done, 1);
  }
  cr_assert_eq(take(scene.bench, scene.circuit, stream, 1), 1);
  bench_free(scene.bench);
}
