#include "tests/sim/conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scene {
  const struct conformance_host *host;
  struct scripted machines[CONFORMANCE_MACHINES];
  struct scripted *machine; /* the first */
  const char *name, *failure;
  char detail[2 * RECORD_BYTES];
};

struct script { const char *name; void (*play)(struct scene *); };

/* ---- what scenes are made of ---- */

struct waiting { const struct scripted *machine; const char *record; const struct conformance_peer *peer; size_t len; bool end; };

static bool came(void *argument) {
  const struct waiting *waiting = argument;
  if (waiting->record != NULL && strcmp(waiting->machine->record, waiting->record) != 0) return false;
  return waiting->peer == NULL || (waiting->peer->in_len >= waiting->len && (!waiting->end || waiting->peer->has_ended));
}

static void fail(struct scene *scene, const char *what, const char *expected) {
  if (scene->failure != NULL) return;
  scene->failure = what;
  snprintf(scene->detail, sizeof scene->detail, "expected:\n%s\nrecord:\n%s", expected, scene->machine->record);
}

/* Exactly this was called since the last time, sooner or later. */
static void expect_record(struct scene *scene, struct scripted *machine, const char *record) {
  struct waiting waiting = {.machine = machine, .record = record};
  if (scene->failure == NULL && !scene->host->run_until(scene->host->context, came, &waiting)) {
    fail(scene, "other calls came", record);
    snprintf(scene->detail, sizeof scene->detail, "expected:\n%s\nrecord:\n%s", record, machine->record);
  }
  scripted_forget(machine);
}

static bool has_passed(void *argument) {
  const struct scene *const *scene = argument;
  return (*scene)->machine->deadline == INSTANT_NEVER;
}

/* Nothing more comes for a while; a tick of the machine's own tells that the while is over. */
static void expect_silence(struct scene *scene) {
  if (scene->failure != NULL) return;
  scene->machine->deadline = instant_after(scene->host->now(scene->host->context), 60 * MILLISECONDS);
  scene->host->run_until(scene->host->context, has_passed, &scene);
  if (strcmp(scene->machine->record, "tick\n") != 0) fail(scene, "something came that must not", "tick");
  scripted_forget(scene->machine);
}

static void expect_peer(struct scene *scene, const struct conformance_peer *peer, const void *bytes, size_t len, bool end) {
  struct waiting waiting = {.peer = peer, .len = len, .end = end};
  if (scene->failure != NULL) return;
  if (!scene->host->run_until(scene->host->context, came, &waiting)) fail(scene, "the peer did not get it all", "");
  else if (peer->in_len != len || memcmp(peer->in, bytes, len) != 0) fail(scene, "the peer got other bytes", bytes);
}

static void send_text(struct conformance_peer *peer, const char *text) {
  peer->out = (const uint8_t *)text;
  peer->out_len = strlen(text);
}

static bool accepted(void *argument) {
  struct conformance_peer **peer = ((void **)argument)[0];
  const struct conformance_host *host = ((void **)argument)[1];
  return (*peer = host->peer_accept(host->context)) != NULL;
}

static struct conformance_peer *expect_accept(struct scene *scene) {
  struct conformance_peer *peer = NULL;
  void *arguments[] = {&peer, (void *)(uintptr_t)scene->host};
  if (!scene->host->run_until(scene->host->context, accepted, arguments)) fail(scene, "the machine did not connect", "");
  return peer;
}

/* A peer that has connected and was accepted. */
static struct conformance_peer *connected(struct scene *scene) {
  struct conformance_peer *peer = scene->host->peer_connect(scene->host->context);
  char record[32];
  snprintf(record, sizeof record, "accept %u\n", scene->machine->count + 1);
  expect_record(scene, scene->machine, record);
  return peer;
}

/* ---- the scenes ---- */

static void play_talk(struct scene *scene) {
  struct conformance_peer *peer = connected(scene);
  send_text(peer, "hello");
  expect_record(scene, scene->machine, "receive 1 hello\n");
  scripted_send(scene->machine, scene->machine->newest, "world", 5);
  expect_peer(scene, peer, "world", 5, false);
}

/* [MACH-2] Nothing is read while there is no room; [MACH-6] then in order, never more than room. */
static void play_room(struct scene *scene) {
  struct conformance_peer *peer = connected(scene);
  scripted_set_room(scene->machine, scene->machine->newest, 0);
  send_text(peer, "abcdefgh");
  expect_silence(scene);
  scripted_set_room(scene->machine, scene->machine->newest, 3);
  expect_record(scene, scene->machine, "receive 1 abcdefgh\n");
}

/* [MACH-6] */
static void play_left_bytes(struct scene *scene) {
  scene->machine->unit = 4;
  struct conformance_peer *peer = connected(scene);
  send_text(peer, "123456");
  expect_record(scene, scene->machine, "receive 1 1234\n");
  send_text(peer, "7");
  expect_silence(scene);
  send_text(peer, "89");
  expect_record(scene, scene->machine, "receive 1 5678\n");
  peer->finishes = true; /* nine bytes came, one is left: the end is told all the same */
  expect_record(scene, scene->machine, "eof 1\n");
}

/* What stands behind a message that waits for work comes when there is room again, though nothing follows it. */
static void play_left_bytes_wait_for_room(struct scene *scene) {
  scene->machine->unit = 4;
  struct conformance_peer *peer = connected(scene);
  struct scripted_connection *connection = scripted_connection(scene->machine, scene->machine->newest);
  connection->stalls = true;
  send_text(peer, "1234567890");
  expect_record(scene, scene->machine, "receive 1 1234\n");
  expect_silence(scene);
  connection->stalls = false;
  connection->unit = 1;
  scripted_set_room(scene->machine, scene->machine->newest, SIZE_MAX);
  expect_record(scene, scene->machine, "receive 1 567890\n");
}

static void play_half_close_by_peer(struct scene *scene) {
  struct conformance_peer *peer = connected(scene);
  send_text(peer, "all");
  peer->finishes = true;
  expect_record(scene, scene->machine, "receive 1 all\neof 1\n");
  expect_silence(scene);
  scripted_send(scene->machine, scene->machine->newest, "answer", 6);
  expect_peer(scene, peer, "answer", 6, false);
  scripted_put(scene->machine, (struct effect){.kind = EFFECT_FINISH, .id = scene->machine->newest});
  expect_peer(scene, peer, "answer", 6, true);
  expect_silence(scene); /* over both ways, and still the machine's to close */
  scripted_put(scene->machine, (struct effect){.kind = EFFECT_CLOSE, .id = scene->machine->newest});
  scripted_drop(scene->machine, scene->machine->newest);
  expect_silence(scene);
}

static void play_half_close_by_machine(struct scene *scene) {
  struct conformance_peer *peer = connected(scene);
  scripted_send(scene->machine, scene->machine->newest, "last words", 10);
  scripted_put(scene->machine, (struct effect){.kind = EFFECT_FINISH, .id = scene->machine->newest});
  expect_peer(scene, peer, "last words", 10, true);
  send_text(peer, "heard");
  expect_record(scene, scene->machine, "receive 1 heard\n");
  peer->finishes = true;
  expect_record(scene, scene->machine, "eof 1\n");
}

/* [MACH-3] */
static void play_close(struct scene *scene) {
  struct conformance_peer *peer = connected(scene);
  struct id id = scene->machine->newest;
  scripted_put(scene->machine, (struct effect){.kind = EFFECT_CLOSE, .id = id});
  expect_peer(scene, peer, "", 0, true);
  if (!peer->was_cut) fail(scene, "the peer takes the cut for a polite end", "");
  expect_silence(scene); /* the id is dead to the driver, not yet to the machine: no event comes for it */
  scripted_put(scene->machine, (struct effect){.kind = EFFECT_FINISH, .id = id});
  scripted_put(scene->machine, (struct effect){.kind = EFFECT_CLOSE, .id = id});
  scripted_put(scene->machine, (struct effect){.kind = EFFECT_CLOSE_FLUSHED, .id = id});
  scripted_put(scene->machine, (struct effect){.kind = EFFECT_HAND_OVER, .id = id, .to = 1});
  expect_silence(scene);
}

static uint8_t *large_output(void) {
  uint8_t *bytes = malloc(OUTPUT_BYTES);
  if (bytes == NULL) abort();
  for (size_t i = 0; i < OUTPUT_BYTES; i++) bytes[i] = (uint8_t)(i * UINT64_C(0x9e3779b97f4a7c15) >> 40);
  return bytes;
}

/* [MACH-5] Said to be ready once, and transmitted to the end. */
static void play_large(struct scene *scene) {
  struct conformance_peer *peer = connected(scene);
  uint8_t *bytes = large_output();
  scripted_send(scene->machine, scene->machine->newest, bytes, OUTPUT_BYTES);
  expect_peer(scene, peer, bytes, OUTPUT_BYTES, false);
  free(bytes);
}

static void play_close_flushed(struct scene *scene) {
  struct conformance_peer *peer = connected(scene);
  uint8_t *bytes = large_output();
  scripted_send(scene->machine, scene->machine->newest, bytes, OUTPUT_BYTES);
  scripted_put(scene->machine, (struct effect){.kind = EFFECT_CLOSE_FLUSHED, .id = scene->machine->newest});
  expect_peer(scene, peer, bytes, OUTPUT_BYTES, true);
  if (peer->was_cut) fail(scene, "the peer was cut off", "");
  scripted_drop(scene->machine, scene->machine->newest);
  expect_silence(scene);
  free(bytes);
}

static void play_connect(struct scene *scene) {
  struct address address = scene->host->peer_address(scene->host->context);
  struct id id = scripted_connect(scene->machine, CONNECTION_LINK, &address);
  scripted_send(scene->machine, id, "early", 5); /* ready before it is connected */
  struct conformance_peer *peer = expect_accept(scene);
  if (peer == NULL) return;
  expect_record(scene, scene->machine, "connected 1\n");
  expect_peer(scene, peer, "early", 5, false);
  send_text(peer, "back");
  expect_record(scene, scene->machine, "receive 1 back\n");
}

static void play_connect_to_nobody(struct scene *scene) {
  struct address nobody = scene->host->nobody_address(scene->host->context);
  (void)scripted_connect(scene->machine, CONNECTION_STREAM, &nobody);
  expect_record(scene, scene->machine, "closed 1 connection-refused\n");
  expect_silence(scene);
}

/* A connect that the machine gives up before it has an answer. */
static void play_connect_and_close(struct scene *scene) {
  struct address nobody = scene->host->nobody_address(scene->host->context);
  struct id id = scripted_connect(scene->machine, CONNECTION_STREAM, &nobody);
  scripted_put(scene->machine, (struct effect){.kind = EFFECT_CLOSE, .id = id});
  scripted_drop(scene->machine, id);
  expect_silence(scene);
}

/* [MACH-4] Each is answered exactly once. */
static void play_answers(struct scene *scene) {
  struct effect effect = {.kind = EFFECT_WRITE_FILE, .id = {7, 1}, .name = "state", .document = document_new("bytes", 5)};
  scripted_put(scene->machine, effect);
  expect_record(scene, scene->machine, "written 7 ok\n");
  scripted_put(scene->machine, (struct effect){.kind = EFFECT_RESOLVE, .id = {8, 1}, .name = "peer"});
  expect_record(scene, scene->machine, "resolved 8 ok\n");
  scripted_put(scene->machine, (struct effect){.kind = EFFECT_RESOLVE, .id = {9, 1}, .name = "nobody"});
  expect_record(scene, scene->machine, "resolved 9 failed\n");
  expect_silence(scene);
}

/* [MACH-8] */
static void play_messages(struct scene *scene) {
  for (uint64_t i = 1; i <= 3; i++)
    scripted_put(scene->machine, (struct effect){.kind = EFFECT_MESSAGE, .to = 1, .message = {.value = i}});
  expect_record(scene, &scene->machines[1], "message 0 1\nmessage 0 2\nmessage 0 3\n");
  scripted_put(&scene->machines[1], (struct effect){.kind = EFFECT_MESSAGE, .to = 0, .message = {.value = 4}});
  expect_record(scene, scene->machine, "message 1 4\n");
}

static void play_hand_over(struct scene *scene) {
  scene->machine->hand_over_to = 1;
  struct conformance_peer *peer = connected(scene);
  send_text(peer, "to whom?");
  expect_record(scene, &scene->machines[1], "accept 1\nreceive 1 to whom?\n");
  scripted_send(&scene->machines[1], scene->machines[1].newest, "me", 2);
  expect_peer(scene, peer, "me", 2, false);
  expect_silence(scene);
}

/* [MACH-9] All of it, without anything else that would wake the driver. */
static void play_work(struct scene *scene) {
  scene->machine->work_left = 100;
  expect_record(scene, scene->machine, "worked\n");
}

static void play_deadline(struct scene *scene) {
  scene->machine->deadline = instant_after(scene->host->now(scene->host->context), 30 * MILLISECONDS);
  expect_record(scene, scene->machine, "tick\n");
  expect_silence(scene);
}

static void play_stop(struct scene *scene) {
  scene->host->ask_to_stop(scene->host->context);
  expect_record(scene, scene->machine, "stop\n");
  expect_silence(scene);
}

static const struct script SCRIPTS[] = {
    {"talk", play_talk}, {"room", play_room}, {"left bytes", play_left_bytes},
    {"left bytes wait for room", play_left_bytes_wait_for_room}, {"half close by the peer", play_half_close_by_peer},
    {"half close by the machine", play_half_close_by_machine}, {"close", play_close}, {"large", play_large},
    {"close flushed", play_close_flushed}, {"connect", play_connect}, {"connect to nobody", play_connect_to_nobody},
    {"connect and close", play_connect_and_close}, {"answers", play_answers}, {"messages", play_messages},
    {"hand over", play_hand_over}, {"work", play_work}, {"deadline", play_deadline}, {"stop", play_stop},
};

static bool play(const struct conformance_host *host, const struct script *script) {
  struct scene *scene = calloc(1, sizeof *scene);
  struct machine machines[CONFORMANCE_MACHINES];
  if (scene == NULL) abort();
  scene->host = host;
  scene->machine = &scene->machines[0];
  for (int i = 0; i < CONFORMANCE_MACHINES; i++) {
    scripted_init(&scene->machines[i]);
    machines[i] = scripted_machine(&scene->machines[i]);
  }
  if (host->start(host->context, machines, CONNECTION_LINK)) {
    for (int i = 0; i < CONFORMANCE_MACHINES; i++) expect_record(scene, &scene->machines[i], "clock\n"); /* once, first */
    script->play(scene);
    host->stop(host->context);
  } else {
    fail(scene, "the host did not start", "");
  }
  for (int i = 0; i < CONFORMANCE_MACHINES; i++) {
    if (scene->machines[i].fault != NULL) fail(scene, scene->machines[i].fault, "");
    scripted_wipe(&scene->machines[i]);
  }
  bool passed = scene->failure == NULL;
  if (!passed) fprintf(stderr, "%s: %s: %s; %s\n", host->name, script->name, scene->failure, scene->detail);
  free(scene);
  return passed;
}

int conformance_run(const struct conformance_host *host, int *ret_failed) {
  int passed = 0, count = sizeof SCRIPTS / sizeof *SCRIPTS;
  for (int i = 0; i < count; i++) passed += play(host, &SCRIPTS[i]);
  *ret_failed = count - passed;
  return passed;
}
