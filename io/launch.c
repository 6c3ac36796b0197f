#include "io/launch.h"

#include "crypto/aead.h"
#include "io/control_socket.h"
#include "io/entropy.h"
#include "io/privilege.h"
#include "io/program.h"

enum { LEAST_DESCRIPTORS = 1024 };

enum outcome launch_begin(const char *program, const char *folder, enum trace_level level, struct launch *ret,
                          struct complaint *complaint) {
  uint8_t seed[RANDOM_SEED_BYTES];
  *ret = (struct launch){.program = program};
  if (!crypto_start()) return OUTCOME_SYSTEM_FAILED;
  enum outcome outcome = log_writer_open(NULL, level, &ret->log, complaint);
  ret->trace = log_writer_trace(ret->log);
  if (outcome == OUTCOME_OK) outcome = folder_open(folder, &ret->folder, complaint);
  if (outcome == OUTCOME_OK) outcome = folder_lock(ret->folder, complaint);
  if (outcome == OUTCOME_OK) outcome = entropy_seed(seed);
  if (outcome != OUTCOME_OK) return outcome;
  random_init(&ret->random, seed);
  bytes_wipe(seed, sizeof seed);
  if (!privilege_hide_memory()) trace_write(ret->trace, TRACE_WARNING, "start", "the system may write this process's memory, with keys, into core dumps");
  uint64_t descriptors = privilege_raise_descriptors();
  if (descriptors < LEAST_DESCRIPTORS)
    trace_write(ret->trace, TRACE_WARNING, "start", "only %llu connections and files may be open at once: raise the limit with ulimit -n",
                (unsigned long long)descriptors);
  return OUTCOME_OK;
}

void launch_end(struct launch *launch) {
  random_wipe(&launch->random);
  folder_close(launch->folder);
  log_writer_close(launch->log);
  *launch = (struct launch){.program = NULL};
}

enum outcome launch_check_split(const struct launch *launch, const char *file, struct complaint *complaint) {
  struct document *proof;
  enum outcome outcome = folder_read(launch->folder, file, 1, &proof, complaint);
  if (outcome == OUTCOME_NOT_FOUND) {
    complaint_withdraw(complaint);
    return OUTCOME_OK;
  }
  if (outcome == OUTCOME_OK) document_release(proof);
  else if (outcome != OUTCOME_TOO_LARGE) return outcome; /* a shortage of descriptors is no attack */
  complain(complaint, "%s/%s holds two documents that contradict each other. Show it to the network's people. When they have said which network file "
                      "is right, remove it and the files network and consensus beside it, and start with that network file.", folder_path(launch->folder), file);
  return OUTCOME_DIRECTORY_SPLIT;
}

enum outcome launch_check_folder(const struct launch *launch, const char *file, const char *whose, struct complaint *complaint) {
  if (!folder_has(launch->folder, file)) return OUTCOME_OK;
  complain(complaint, "%s is the folder of %s: it holds the file %s.", folder_path(launch->folder), whose, file);
  advise(complaint, "Every node has a folder of its own: give another with --data.");
  return OUTCOME_BAD_SETTING;
}

struct wall_clock launch_clock(void) {
  return loop_wall_clock(loop_now());
}

struct date launch_date(void) {
  struct wall_clock clock = launch_clock();
  return clock.date;
}

void launch_seed(struct launch *launch, uint8_t ret_seed[RANDOM_SEED_BYTES]) {
  random_bytes(&launch->random, ret_seed, RANDOM_SEED_BYTES);
}

void launch_fill_suites(enum aead_backend backend, struct link_self *self) {
  self->backend = backend;
  self->suites = 1U << AEAD_CHACHA20_POLY1305;
  if (aead_suite_has_hardware(AEAD_AES256_GCM)) self->suites |= 1U << AEAD_AES256_GCM;
}

/* ---- running ---- */

/* What the control socket knows of the program. */
struct launched { struct driver *driver; uint32_t network_message; };

static void give_status(void *launched, struct status *ret) {
  driver_status(((struct launched *)launched)->driver, ret);
}

static void ask_to_stop(void *launched) {
  driver_stop(((struct launched *)launched)->driver);
}

static void give_network(void *context, struct document *document) {
  struct launched *launched = context;
  driver_give(launched->driver, launched->network_message, document);
}

static void complain_listen(const struct launch *launch, const char *text, struct complaint *complaint) {
  if (launch->listen_option == NULL) complain(complaint, "%s is no address of this machine, or its port needs an administrator.", text);
  else complain(complaint, "%s is no address of this machine, or its port needs an administrator. Say with %s where to listen (0.0.0.0: on all of this machine's).", text, launch->listen_option);
}

static enum outcome start_listening(struct launch *launch, struct driver *driver, const struct address *listen,
                                    enum connection_kind kind, struct complaint *complaint) {
  struct address bound;
  char text[ADDRESS_TEXT_BYTES];
  address_format(listen, text);
  enum outcome outcome = driver_listen(driver, listen, kind, &bound);
  if (outcome == OUTCOME_PORT_TAKEN) complain(complaint, "Another program listens on %s.", text);
  else if (outcome == OUTCOME_SYSTEM_FAILED) complain_listen(launch, text, complaint);
  else if (outcome != OUTCOME_OK) complain(complaint, "%s can't listen on %s: %s", launch->program, text, outcome_text(outcome));
  if (outcome != OUTCOME_OK) return outcome;
  address_format(&bound, text);
  trace_write(launch->trace, TRACE_NOTICE, "start", "%s listens on %s", launch->program, text);
  return OUTCOME_OK;
}

enum outcome launch_run(struct launch *launch, const struct machine *machines, uint32_t count, const struct address *listen,
                        enum connection_kind kind, struct complaint *complaint) {
  struct program_config config = {.machines = machines, .machine_count = count, .folder = launch->folder, .log = launch->log,
                                  .catch_signals = true};
  struct control_socket *control = NULL;
  struct program *program = program_new(&config);
  if (program == NULL) return OUTCOME_NO_MEMORY;
  struct driver *driver = program_driver(program, 0);
  struct launched launched = {driver, launch->network_message};
  struct control_host host = {.context = &launched, .status = give_status, .stop = ask_to_stop};
  if (launch->network_message != 0) host.give_network = give_network;
  enum outcome outcome = start_listening(launch, driver, listen, kind, complaint);
  if (outcome == OUTCOME_OK) outcome = control_socket_open(driver_loop(driver), launch->folder, &host, &control, complaint);
  if (outcome == OUTCOME_OK) {
    outcome = program_run(program);
    bool was_asked = outcome == OUTCOME_OK || outcome == OUTCOME_SHUTTING_DOWN;
    trace_write(launch->trace, was_asked ? TRACE_NOTICE : TRACE_ERROR, "start", "%s stops%s%s", launch->program, was_asked ? "" : ": ",
                was_asked ? "" : outcome_text(outcome));
  }
  control_socket_close(control);
  program_free(program);
  return outcome;
}
