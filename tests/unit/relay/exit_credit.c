/* What an exit promises the sender of an upload: more where the destination keeps up, and never more than the memory is worth. */
#include <criterion/criterion.h>
#include <string.h>

#include "relay/shard_internal.h"
#include "tests/unit/relay/shard_bench.h"

enum { KIB = 1024, MIB = 1024 * KIB, PART = 16 * KIB, STREAMS = 7, MUCH_OF_THE_POOL = 4096 / 4 * 3 + 1 };
enum { DATA_MOST = ONION_CONTENT(LIMIT_EXIT_PLACE) - MESSAGE_HEADER_BYTES - MESSAGE_STREAM_BYTES };

/* An upload as its client sees it, and the destination's end of it. */
struct upload {
  uint16_t number;
  struct id connection;
  uint64_t sent, taken, credit;
  uint64_t most; /* that the credit ever was ahead of what the destination had taken */
};

struct scene { struct bench *bench; struct bench_circuit *circuit; };

static struct scene scene_new(void) {
  struct scene scene = {.bench = bench_new()};
  bench_link(scene.bench, END_FIRST_NODE);
  scene.circuit = bench_open(scene.bench, END_FIRST_NODE, LIMIT_EXIT_PLACE);
  return scene;
}

static struct upload begin(struct scene *scene, uint16_t number) {
  bench_begin_open(scene->bench, scene->circuit, number);
  return (struct upload){.number = number, .connection = scene->bench->stream, .credit = LIMIT_EXIT_OPEN_CREDIT};
}

static void send(struct scene *scene, struct upload *upload, size_t len) {
  static const uint8_t bytes[DATA_MOST];
  for (size_t part; len > 0; len -= part) {
    part = len < DATA_MOST ? len : DATA_MOST;
    cr_assert_leq(upload->sent + part, upload->credit, "the test stays within its credit");
    bench_message(scene->bench, scene->circuit, MESSAGE_DATA, upload->number, bytes, part);
    upload->sent += part;
  }
  bench_run(scene->bench);
  cr_assert_not(scene->circuit->closed);
}

/* The destination takes this much, once; what the client hears of it. */
static void take(struct scene *scene, struct upload *upload, size_t room) {
  static uint8_t out[MIB];
  struct bench *bench = scene->bench;
  uint64_t before = scene->circuit->credit;
  size_t len = bench->machine.verbs->transmit(bench->shard, bench->now, upload->connection, out, room);
  cr_assert_eq(len, room);
  upload->taken += len;
  bench_run(bench);
  if (scene->circuit->credit == before) return;
  upload->credit = scene->circuit->credit;
  if (upload->credit - upload->taken > upload->most) upload->most = upload->credit - upload->taken;
}

/* So much goes to a destination that takes all that comes, at this pace. */
static void upload_quickly(struct scene *scene, struct upload *upload, size_t len, uint64_t pause) {
  for (; len >= PART; len -= PART) {
    send(scene, upload, PART);
    take(scene, upload, PART);
    bench_wait(scene->bench, pause);
  }
}

Test(exit_credit, a_short_request_is_answered_without_a_raise) {
  struct scene scene = scene_new();
  struct upload upload = begin(&scene, 1);
  upload_quickly(&scene, &upload, 3 * PART, 0);
  cr_expect_eq(bench_heard(scene.circuit, MESSAGE_STREAM_CREDIT), 0);
  bench_free(scene.bench);
}

Test(exit_credit, a_destination_that_keeps_up_is_trusted_with_more) {
  struct scene scene = scene_new();
  struct upload upload = begin(&scene, 1);
  upload_quickly(&scene, &upload, LIMIT_EXIT_OPEN_CREDIT / 16, MILLISECONDS);
  cr_expect_eq(upload.most, 2 * LIMIT_EXIT_OPEN_CREDIT, "each raise doubles it");
  upload_quickly(&scene, &upload, 8 * MIB, MILLISECONDS);
  cr_expect_eq(upload.most, LIMIT_EXIT_CREDIT, "up to the most that a client believes");
  cr_expect_leq(bench_heard(scene.circuit, MESSAGE_STREAM_CREDIT), 8, "and raises stay few");
  bench_free(scene.bench);
}

Test(exit_credit, a_destination_that_lets_bytes_wait_is_not) {
  struct scene scene = scene_new();
  struct upload upload = begin(&scene, 1);
  send(&scene, &upload, PART); /* what stands before it */
  for (int i = 0; i < 3 * MIB / PART; i++) {
    send(&scene, &upload, PART);
    take(&scene, &upload, PART);
  }
  cr_expect_eq(upload.most, LIMIT_EXIT_OPEN_CREDIT);
  bench_free(scene.bench);
}

Test(exit_credit, who_sends_slowly_needs_no_more) {
  struct scene scene = scene_new();
  struct upload upload = begin(&scene, 1);
  uint64_t pause = LIMIT_EXIT_RAISE_TIME / (LIMIT_EXIT_OPEN_CREDIT / 16 / PART - 1) + MILLISECONDS;
  upload_quickly(&scene, &upload, 3 * MIB, pause);
  cr_expect_eq(upload.most, LIMIT_EXIT_OPEN_CREDIT);
  bench_free(scene.bench);
}

/* Enough for the window of each to become the largest. */
enum { ENOUGH = 5 * MIB / 2 };

Test(exit_credit, streams_of_a_circuit_share_what_one_circuit_is_promised) {
  struct scene scene = scene_new();
  struct upload uploads[STREAMS];
  uint64_t beyond = 0;
  for (uint16_t i = 0; i < STREAMS; i++) {
    uploads[i] = begin(&scene, (uint16_t)(i + 1));
    upload_quickly(&scene, &uploads[i], ENOUGH, MILLISECONDS);
    beyond += uploads[i].most - LIMIT_EXIT_OPEN_CREDIT;
  }
  cr_expect_eq(beyond, LIMIT_CIRCUIT_STREAM_CREDIT);
  cr_expect_eq(uploads[STREAMS - 1].most, LIMIT_EXIT_OPEN_CREDIT, "nothing is left for the last");
  static const uint8_t done = OUTCOME_DONE;
  bench_message(scene.bench, scene.circuit, MESSAGE_END, 1, &done, 1);
  bench_run(scene.bench);
  upload_quickly(&scene, &uploads[STREAMS - 1], ENOUGH, MILLISECONDS);
  cr_expect_eq(uploads[STREAMS - 1].most, LIMIT_EXIT_CREDIT, "what the first had is free again");
  bench_free(scene.bench);
}

Test(exit_credit, while_memory_is_short_little_is_promised) {
  static struct cell *taken[MUCH_OF_THE_POOL];
  struct scene scene = scene_new();
  struct upload upload = begin(&scene, 1);
  for (uint32_t i = 0; i < MUCH_OF_THE_POOL; i++) taken[i] = cell_pool_take(scene.bench->shard->cells);
  upload_quickly(&scene, &upload, LIMIT_EXIT_OPEN_CREDIT, MILLISECONDS);
  cr_expect_eq(upload.most, LIMIT_EXIT_FIRST_CREDIT);
  for (uint32_t i = 0; i < MUCH_OF_THE_POOL; i++) cell_pool_give(scene.bench->shard->cells, taken[i]);
  upload_quickly(&scene, &upload, 2 * PART, MILLISECONDS);
  cr_expect_eq(upload.most, 2 * LIMIT_EXIT_OPEN_CREDIT);
  bench_free(scene.bench);
}

/* As much as the client may, or until the circuit is over. */
static void send_on(struct scene *scene, struct bench_circuit *circuit, struct upload *upload, size_t len) {
  static const uint8_t bytes[DATA_MOST];
  for (size_t sent = 0; sent < len && upload->sent + DATA_MOST <= upload->credit && !circuit->closed; sent += DATA_MOST) {
    bench_message(scene->bench, circuit, MESSAGE_DATA, upload->number, bytes, DATA_MOST);
    upload->sent += DATA_MOST;
  }
  bench_run(scene->bench);
}

/* It took quickly, so that much was promised, and then takes nothing for ever: others of the circuit go on as long as there is memory for all. */
Test(exit_credit, one_that_stalls_holds_no_other_of_its_circuit) {
  struct scene scene = scene_new();
  struct upload stalled = begin(&scene, 1), other = begin(&scene, 2);
  upload_quickly(&scene, &stalled, MIB / 2, MILLISECONDS);
  send_on(&scene, scene.circuit, &stalled, 2 * MIB);
  cr_assert_gt(stalled.sent - stalled.taken, MIB, "much was promised");
  upload_quickly(&scene, &other, 3 * MIB, MILLISECONDS);
  cr_expect_eq(scene.bench->shard->figures.evicted, 0);
  bench_free(scene.bench);
}

/* And with more promised than there is memory, it is the one that goes; meanwhile no other stands still. */
Test(exit_credit, one_that_stalls_is_evicted_when_its_memory_is_needed) {
  struct scene scene = scene_new(), beside = {scene.bench, bench_open(scene.bench, END_FIRST_NODE, LIMIT_EXIT_PLACE)};
  struct upload stalled = begin(&scene, 1), other = begin(&beside, 1);
  struct bench_circuit *victim = scene.circuit;
  upload_quickly(&scene, &stalled, ENOUGH, MILLISECONDS);
  cr_assert_geq(stalled.credit - stalled.taken, (uint64_t)4096 * CELL_BYTES, "the pool does not hold what was promised");
  for (int rounds = 0; !victim->closed && rounds < 1000; rounds++) {
    send(&beside, &other, PART);
    send_on(&scene, victim, &stalled, 4 * PART);
    take(&beside, &other, PART);
  }
  cr_expect(victim->closed, "who stood still was spared");
  cr_expect_eq(scene.bench->shard->figures.evicted, 1);
  cr_expect_leq(memory_budget_used(&scene.bench->budget), (size_t)4096 * 1600 + 128 * KIB);
  upload_quickly(&beside, &other, 3 * MIB, MILLISECONDS);
  cr_expect_eq(other.most, LIMIT_EXIT_CREDIT, "and with the memory back the others are trusted again");
  bench_free(scene.bench);
}
