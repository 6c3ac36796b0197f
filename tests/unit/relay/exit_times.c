/* What an exit waits for, and how long: half-closed streams, and clients that leave an END unanswered. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/relay/shard_bench.h"

struct scene { struct bench *bench; struct bench_circuit *circuit; };

static struct scene scene_new(void) {
  struct scene scene = {.bench = bench_new()};
  bench_link(scene.bench, END_FIRST_NODE);
  scene.circuit = bench_open(scene.bench, END_FIRST_NODE, LIMIT_EXIT_PLACE);
  bench_begin_open(scene.bench, scene.circuit, 1);
  return scene;
}

static void destination(struct scene *scene, enum event_kind kind) {
  struct event event = {.kind = kind, .id = scene->bench->stream, .outcome = kind == EVENT_CLOSED ? OUTCOME_CONNECTION_RESET : OUTCOME_OK};
  bench_event(scene->bench, &event);
  bench_run(scene->bench);
}

static void destination_says(struct scene *scene) {
  uint8_t bytes[1] = {'x'};
  size_t used;
  scene->bench->machine.verbs->receive(scene->bench->shard, scene->bench->now, scene->bench->stream, bytes, sizeof bytes, &used);
  bench_run(scene->bench);
}

static void say(struct scene *scene, uint8_t command, const void *body, size_t len) {
  bench_message(scene->bench, scene->circuit, command, 1, body, len);
  bench_run(scene->bench);
}

/* [STREAM-11] */
Test(exit_times, what_is_half_closed_and_still_is_ended) {
  for (int which = 0; which < 2; which++) {
    struct scene scene = scene_new();
    if (which == 0) say(&scene, MESSAGE_EOF, NULL, 0);
    else destination(&scene, EVENT_EOF);
    bench_wait(scene.bench, LIMIT_HALF_CLOSED_TIME - SECONDS);
    cr_assert_eq(bench_ended(scene.circuit, 1), 0);
    if (which == 0) destination_says(&scene);
    else say(&scene, MESSAGE_DATA, "x", 1);
    bench_wait(scene.bench, 2 * SECONDS);
    cr_assert_eq(bench_ended(scene.circuit, 1), 0, "while something moves it stays");
    bench_wait(scene.bench, LIMIT_HALF_CLOSED_TIME + SECONDS);
    cr_assert_eq(bench_ended(scene.circuit, 1), OUTCOME_TIMED_OUT, "%d", which);
    cr_assert_not(scene.circuit->closed);
    bench_free(scene.bench);
  }
}

Test(exit_times, an_end_that_is_not_answered_ends_the_circuit) {
  struct scene scene = scene_new();
  destination(&scene, EVENT_CLOSED);
  cr_assert_eq(bench_ended(scene.circuit, 1), OUTCOME_CONNECTION_RESET);
  bench_wait(scene.bench, LIMIT_HALF_CLOSED_TIME - SECONDS);
  cr_assert_not(scene.circuit->closed);
  bench_wait(scene.bench, 2 * SECONDS);
  cr_assert_eq(scene.circuit->cause, OUTCOME_TIMED_OUT);
  bench_free(scene.bench);
}

Test(exit_times, an_answer_to_an_end_is_in_time) {
  struct scene scene = scene_new();
  destination(&scene, EVENT_CLOSED);
  say(&scene, MESSAGE_END, &(uint8_t){OUTCOME_DONE}, 1);
  bench_wait(scene.bench, 2 * LIMIT_HALF_CLOSED_TIME);
  cr_assert_not(scene.circuit->closed);
  cr_assert_eq(scene.bench->figures.streams, 0, "its number is forgotten");
  bench_free(scene.bench);
}
