/* The simulator: the shipped machines in one process, virtual time, one seed.
 * Spec: specs/simulator.md, specs/machines.md. Called by scenarios in tests/sim and by unit tests that need several nodes.
 * Does for machines what io/driver does, from an event queue instead of a kernel. Everything is a machine, the web server
 * and the applications too. The same seed gives the same run, to the last byte.
 */
#ifndef TUNIC_TESTS_SIM_SIM_H
#define TUNIC_TESTS_SIM_SIM_H

#include "protocol/list.h"
#include "protocol/machine.h"
#include "protocol/random.h"
#include "protocol/trace.h"

enum { SIM_MACHINES_PER_HOST = 6, SIM_LISTENERS_PER_HOST = 2, SIM_NAME_BYTES = 16 };

struct sim;
struct sim_host;

/* One file that a host's machines wrote. */
struct sim_file { struct list_node node; char name[64]; struct document *bytes; };

struct sim_listener { enum connection_kind kind; uint16_t port; uint32_t machine; };

/* The next turn of a machine; `position` in the queue of turns, 0: none is planned. */
struct sim_wake { struct sim_host *host; uint32_t machine; instant at; uint64_t order; size_t position; };

struct sim_host {
  struct list_node node;
  struct sim *sim;
  uint32_t number; /* from 1, in the order in which hosts were added */
  char name[SIM_NAME_BYTES];
  struct address address;
  uint64_t delay;        /* one way, from this host to the core */
  uint64_t bytes_per_s;  /* up and down each; 0: no limit */
  int64_t clock_skew_ms;
  uint64_t work_time;    /* what one handshake takes a machine; 0: nothing */
  uint64_t write_time;   /* from EFFECT_WRITE_FILE to EVENT_WRITTEN; the rename falls in its middle */
  bool is_up, is_cut;    /* cut: nothing passes, connections stand still */
  uint64_t group, apart; /* one bit of its own, or none; whose bits are in `apart` is cut off from here, and it from them */
  uint32_t life;         /* rises with each kill: what was on its way to a former life is lost */
  bool exited;
  enum outcome exit_outcome;
  struct machine machines[SIM_MACHINES_PER_HOST];
  struct sim_wake wakes[SIM_MACHINES_PER_HOST];
  uint32_t machine_count;
  struct sim_listener listeners[SIM_LISTENERS_PER_HOST];
  uint32_t listener_count;
  struct list files;
  struct list endpoints;
  instant up_free, down_free;
  instant works_again[SIM_MACHINES_PER_HOST];
  void *owner;                              /* the scenario's */
  void (*on_free)(struct sim_host *);       /* frees the machines */
};

struct sim {
  uint64_t seed;
  struct random_stream random;
  instant now;
  int64_t wall_ms_at_zero;
  struct sim_event *heap;
  size_t heap_count, heap_capacity;
  struct sim_wake **wakes; /* a heap, too */
  size_t wake_count, wake_capacity;
  uint64_t order, turns, chunks, bytes;
  uint64_t digest; /* of every chunk that left anyone: when, whose, its bytes; tells one run from another */
  struct list hosts;
  uint32_t host_count;
  struct trace trace;
  /* Asked after every turn; false fails the run. NULL: nothing. */
  bool (*invariant)(struct sim *, struct sim_host *);
  /* May change bytes on their way (attacks); called for each chunk. NULL: nobody does. */
  void (*tamper)(struct sim *, struct sim_host *from, struct sim_host *to, uint8_t *bytes, size_t len);
  /* Told of each file that a machine begins to write. NULL: nobody is. */
  void (*writing)(struct sim_host *, const char *name);
  /* Frees what a message carries that nobody will get. NULL: it is malloc's. */
  void (*drop_message)(const struct machine_message *);
  void *scenario;
  bool broken;
};

/* The seed goes into everything that is random. */
void sim_init(struct sim *, uint64_t seed);
void sim_wipe(struct sim *);

/* A host with an address 10.x.y.z of its own. Its machines are added in order; machine 0 gets accepted connections of a
 * listener unless the listener names another. */
struct sim_host *sim_add_host(struct sim *, const char *name, uint64_t delay);
uint32_t sim_add_machine(struct sim_host *, struct machine);
void sim_listen(struct sim_host *, enum connection_kind, uint16_t port, uint32_t machine);
/* Tells the machines the clock and plans their first turns. */
void sim_start(struct sim_host *);
/* kill -9: connections are cut, machines freed through on_free; a file that is being written stays old or becomes new. */
void sim_kill(struct sim_host *);
/* The bytes of a file; NULL: none. */
const struct document *sim_file(const struct sim_host *, const char *name);
struct sim_file *sim_find_file(const struct sim_host *, const char *name); /* NULL: none */
void sim_put_file(struct sim_host *, const char *name, struct document *);
void sim_remove_file(struct sim_host *, const char *name);
struct sim_host *sim_find_host(const struct sim *, const char *name);

/* Runs until the instant, or until the condition holds (asked after each turn); true if it held. */
bool sim_run_until(struct sim *, instant until, bool (*condition)(struct sim *, void *), void *context);
bool sim_run_for(struct sim *, uint64_t duration);
/* Something changed from outside: the host's machine gets a turn now. */
void sim_poke(struct sim_host *, uint32_t machine);
/* Delivers an event by hand (EVENT_STOP, EVENT_MESSAGE ...), then gives it a turn. */
void sim_event(struct sim_host *, uint32_t machine, const struct event *);
/* Calls at that instant, if the host has not been killed by then. */
void sim_call(struct sim_host *, instant at, void (*)(struct sim_host *));
/* Cuts every connection between two hosts (NULL: any). */
void sim_cut_connections(struct sim_host *, struct sim_host *);
void sim_set_cut(struct sim_host *, bool cut);
void sim_set_clock_skew(struct sim_host *, int64_t milliseconds);
struct date sim_date(const struct sim_host *);
/* A random seed for a machine, from the run's. */
void sim_seed(struct sim *, uint8_t ret_seed[RANDOM_SEED_BYTES]);

#endif
