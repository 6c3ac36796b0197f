#include "io/program.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/io/loopback.h"

enum { SHARDS = 2, MACHINES = 1 + SHARDS };

struct several {
  struct echo_machine machines[MACHINES];
  struct program *program;
  struct address address;
  pthread_t thread;
  enum outcome outcome;
};

static void *run(void *context) {
  struct several *several = context;
  several->outcome = program_run(several->program);
  return NULL;
}

static void prepare(struct several *several, uint32_t ring_parcels) {
  struct machine machines[MACHINES];
  struct address address = {.family = ADDRESS_IPV4, .bytes = {127, 0, 0, 1}};
  for (int i = 0; i < MACHINES; i++) {
    echo_machine_init(&several->machines[i]);
    machines[i] = echo_machine_machine(&several->machines[i]);
  }
  struct program_config config = {.machines = machines, .machine_count = MACHINES, .ring_parcels = ring_parcels};
  several->program = program_new(&config);
  cr_assert_not_null(several->program);
  cr_assert_eq(driver_listen(program_driver(several->program, 0), &address, CONNECTION_LINK, &several->address), OUTCOME_OK);
}

static void start(struct several *several) {
  cr_assert_eq(pthread_create(&several->thread, NULL, run, several), 0);
}

static void stop(struct several *several) {
  driver_stop(program_driver(several->program, 0));
  pthread_join(several->thread, NULL);
  cr_assert_eq(several->outcome, OUTCOME_OK);
  program_free(several->program);
  for (int i = 0; i < MACHINES; i++) echo_machine_wipe(&several->machines[i]);
}

/* Waits for an echo of `text`; false: it hangs. */
static bool echoes(int fd, const char *text) {
  char answer[64];
  size_t len = strlen(text), sent = 0, got = 0;
  instant limit = instant_after(loop_now(), LOOPBACK_HANG);
  while (got < len && loop_now() < limit) {
    if (sent < len) sent += peer_send(fd, text + sent, len - sent);
    got += peer_receive(fd, answer + got, len - got, NULL, NULL);
    usleep(500);
  }
  return got == len && memcmp(answer, text, len) == 0;
}

Test(program, an_accepted_connection_is_handed_over_to_another_thread) {
  struct several several;
  int fds[20];
  prepare(&several, 0);
  several.machines[0].hand_over_to = 2;
  start(&several);
  for (int i = 0; i < 20; i++) fds[i] = peer_connect(&several.address);
  for (int i = 0; i < 20; i++) cr_assert(echoes(fds[i], "from the other side"));
  for (int i = 0; i < 20; i++) close(fds[i]);
  stop(&several);
  cr_assert_eq(several.machines[0].accepted, 20);
  cr_assert_eq(several.machines[2].accepted, 20);
  cr_assert_eq(several.machines[1].accepted, 0);
}

/* [MACH-8] A ring of four holds back a thousand messages each way; none is lost, none overtakes. */
Test(program, a_full_ring_holds_messages_back_and_loses_none) {
  struct several several;
  enum { MESSAGES = 1000 };
  prepare(&several, 4);
  several.machines[1].answers = 1;
  for (uint32_t i = 1; i <= MESSAGES; i++)
    echo_machine_put(&several.machines[0], (struct effect){.kind = EFFECT_MESSAGE, .to = 1, .message = {.value = i}});
  start(&several);
  instant limit = instant_after(loop_now(), LOOPBACK_HANG);
  while (atomic_load(&several.machines[0].messages) < MESSAGES && loop_now() < limit) usleep(1000);
  stop(&several);
  cr_assert_eq(several.machines[1].messages, MESSAGES);
  cr_assert_eq(several.machines[0].messages, MESSAGES);
  cr_assert(several.machines[0].messages_in_order && several.machines[1].messages_in_order);
}

/* Both rings full at once: each side must still take what comes, or both would wait for ever. */
Test(program, rings_that_are_full_both_ways_do_not_lock) {
  struct several several;
  enum { MESSAGES = 500 };
  prepare(&several, 2);
  several.machines[1].answers = 3;
  several.machines[2].answers = 3;
  for (uint32_t i = 1; i <= MESSAGES; i++) {
    echo_machine_put(&several.machines[0], (struct effect){.kind = EFFECT_MESSAGE, .to = 1, .message = {.value = i}});
    echo_machine_put(&several.machines[0], (struct effect){.kind = EFFECT_MESSAGE, .to = 2, .message = {.value = i}});
  }
  start(&several);
  instant limit = instant_after(loop_now(), LOOPBACK_HANG);
  while (atomic_load(&several.machines[0].messages) < 6 * MESSAGES && loop_now() < limit) usleep(1000);
  stop(&several);
  cr_assert_eq(several.machines[0].messages, 6 * MESSAGES);
}

/* What is still on its way when the program ends reaches its machine, which alone knows how to free it. */
Test(program, messages_in_flight_at_the_end_still_arrive) {
  struct several several;
  prepare(&several, 512);
  for (uint32_t i = 1; i <= 300; i++)
    echo_machine_put(&several.machines[0], (struct effect){.kind = EFFECT_MESSAGE, .to = 1, .message = {.value = i}});
  echo_machine_put(&several.machines[0], (struct effect){.kind = EFFECT_EXIT, .outcome = OUTCOME_STALE});
  cr_assert_eq(program_run(several.program), OUTCOME_STALE);
  cr_assert_eq(several.machines[1].messages, 300);
  program_free(several.program);
  for (int i = 0; i < MACHINES; i++) echo_machine_wipe(&several.machines[i]);
}

Test(program, any_machine_may_end_the_program_and_all_are_told) {
  struct several several;
  prepare(&several, 0);
  echo_machine_put(&several.machines[2], (struct effect){.kind = EFFECT_EXIT, .outcome = OUTCOME_NO_MEMORY});
  cr_assert_eq(program_run(several.program), OUTCOME_NO_MEMORY);
  cr_assert_not_null(echo_machine_event(&several.machines[0], EVENT_STOP));
  cr_assert_not_null(echo_machine_event(&several.machines[1], EVENT_STOP));
  cr_assert_null(echo_machine_event(&several.machines[2], EVENT_STOP));
  program_free(several.program);
  for (int i = 0; i < MACHINES; i++) echo_machine_wipe(&several.machines[i]);
}

/* ---- signals ---- */

static struct echo_machine echo;

static struct program *start_catching(void) {
  echo_machine_init(&echo);
  struct machine machine = echo_machine_machine(&echo);
  struct program_config config = {.machines = &machine, .machine_count = 1, .catch_signals = true};
  struct program *program = program_new(&config);
  cr_assert_not_null(program);
  return program;
}

static void end_with(struct program *program, enum outcome outcome) {
  cr_assert_eq(program_run(program), outcome);
  program_free(program);
  echo_machine_wipe(&echo);
}

static void expect_polite_stop(int number) {
  struct program *program = start_catching();
  raise(SIGUSR1); /* mean nothing to a node */
  raise(SIGUSR2);
  raise(number);
  end_with(program, OUTCOME_OK);
  cr_assert_not_null(echo_machine_event(&echo, EVENT_STOP));
}

Test(program, an_interrupt_is_a_polite_stop) { expect_polite_stop(SIGINT); }
Test(program, a_request_to_end_is_a_polite_stop) { expect_polite_stop(SIGTERM); }
Test(program, a_terminal_that_goes_is_a_polite_stop) { expect_polite_stop(SIGHUP); }

/* nohup ignores SIGHUP and then starts the program. */
Test(program, a_terminal_that_goes_is_nothing_to_what_nohup_began) {
  signal(SIGHUP, SIG_IGN);
  struct program *program = start_catching();
  raise(SIGHUP);
  echo_machine_put(&echo, (struct effect){.kind = EFFECT_EXIT, .outcome = OUTCOME_STALE});
  end_with(program, OUTCOME_STALE);
  cr_assert_null(echo_machine_event(&echo, EVENT_STOP));
}
