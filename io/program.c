#include "io/program.h"

#include <pthread.h>
#include <stdlib.h>

struct program {
  struct exchange *exchange;
  uint32_t count;
  struct driver *drivers[EXCHANGE_DRIVERS_MAX];
};

struct program *program_new(const struct program_config *config) {
  struct program *program = calloc(1, sizeof *program);
  if (program == NULL) return NULL;
  program->count = config->machine_count;
  program->exchange =
      exchange_new(config->machine_count, config->ring_parcels == 0 ? EXCHANGE_RING_PARCELS : config->ring_parcels);
  bool done = program->exchange != NULL;
  for (uint32_t i = 0; done && i < program->count; i++) {
    struct driver_config driver = {.machine = config->machines[i], .exchange = program->exchange, .index = i,
                                   .folder = config->folder, .log = config->log,
                                   .resolv_conf = config->resolv_conf, .hosts = config->hosts};
    program->drivers[i] = driver_new(&driver);
    done = program->drivers[i] != NULL;
  }
  if (done && config->catch_signals) done = loop_catch_signals(driver_loop(program->drivers[0]));
  if (done) return program;
  program_free(program);
  return NULL;
}

void program_free(struct program *program) {
  if (program == NULL) return;
  for (uint32_t i = 0; i < program->count; i++) driver_free(program->drivers[i]);
  exchange_free(program->exchange);
  free(program);
}

struct driver *program_driver(struct program *program, uint32_t index) {
  return program->drivers[index];
}

static void *run(void *driver) {
  driver_run(driver);
  return NULL;
}

enum outcome program_run(struct program *program) {
  pthread_t threads[EXCHANGE_DRIVERS_MAX];
  uint32_t started = 1;
  while (started < program->count && pthread_create(&threads[started], NULL, run, program->drivers[started]) == 0) started++;
  if (started < program->count) exchange_end(program->exchange, OUTCOME_SYSTEM_FAILED);
  driver_run(program->drivers[0]);
  for (uint32_t i = 1; i < started; i++) pthread_join(threads[i], NULL);
  /* Twice: what a machine says to a last message is a message, too. */
  for (int round = 0; round < 2; round++)
    for (uint32_t i = 0; i < program->count; i++) driver_settle(program->drivers[i]);
  return exchange_outcome(program->exchange);
}
