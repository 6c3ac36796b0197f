/* What scenarios are written with: a network under one seed, expectations, what every run must keep to.
 * Spec: specs/simulator.md. Called by scenarios*.c; the program runs each scenario under several seeds.
 * A trial is a process of its own, so that a crash is a failure with a seed as well. Never stops at a failed
 * expectation: the scenario decides whether it can go on.
 */
#ifndef TUNIC_TESTS_SIM_SCENARIO_H
#define TUNIC_TESTS_SIM_SCENARIO_H

#include "tests/sim/directory_watch.h"
#include "tests/sim/network.h"

struct trial {
  struct network network; /* first: a network leads to its trial */
  struct directory_watch watch;
  uint64_t seed;
  struct random_stream random; /* the scenario's own draws */
  uint32_t failures;
  void *own; /* the scenario's */
  bool is_open;
};

/* seeds 0: runs only when it is named, under one. */
struct scenario { const char *name; uint32_t seeds; void (*run)(struct trial *); };

extern const struct scenario scenarios_traffic[], scenarios_directory[], scenarios_client[], scenarios_serials[], scenarios_attack[], scenarios_flood[], scenarios_lost[], scenarios_many[];
/* Those of the program that this is linked to (scenario_list.c, scenarios_days.c); NULL ends them. */
extern const struct scenario *const scenario_groups[];
extern const uint32_t scenario_most_s; /* how long a trial may take */

/* A lab's, but its authorities talk less, which is most of what a quiet network costs to simulate. */
extern const struct network_timing calm_timing;
/* Begins the network of the trial's seed. After every turn: counts agree, one consensus for an epoch, nobody goes back. */
void trial_start(struct trial *, const struct network_options *);
/* Nobody got a wrong byte and nothing of the above broke; then the network is gone. */
void trial_stop(struct trial *);
/* Says what failed; returns `holds`. */
__attribute__((format(printf, 3, 4))) bool expect(struct trial *, bool holds, const char *format, ...);
uint64_t trial_draw(struct trial *, uint64_t below);

struct node *trial_node(struct trial *, const char *prefix, uint32_t index);
/* What a node says of itself. The figure: 0 if it has none of this name; the text: "" . */
void node_status(const struct node *, struct status *ret);
enum outcome node_cause(const struct node *);
uint64_t node_figure(const struct node *, const char *name);
const char *node_text(const struct node *, const char *name);
/* The n-th relay of a client's newest path, from 0: guard, middle, exit; NULL: there is no path yet. */
struct node *client_path_node(struct trial *, const struct node *client, uint32_t place);

/* Fetches by the application of client `index` and waits for them; true if every byte of all its fetches since came right. */
bool trial_fetches(struct trial *, uint32_t index, const char *user, uint64_t bytes, uint64_t within);
const struct fetch_result *trial_result(struct trial *, uint32_t index, uint32_t fetch);
/* Fetches now and then for so long; each must come whole. Nobody's readiness is asked for. */
void trial_expect_service(struct trial *, uint32_t index, uint64_t duration, uint64_t pause);
/* Runs until the client says it is ready, or is not. */
bool trial_run_until_client(struct trial *, const struct node *client, bool ready, uint64_t within);
/* The newest epoch that an authority or any other node holds. */
uint64_t node_epoch(const struct node *);
/* Whether every authority that is up lists this relay as running, or none does. */
bool trial_run_until_listed(struct trial *, const struct node *relay, bool listed, uint64_t within);
/* Runs until every authority that is up has decided this epoch or a later one. */
bool trial_run_until_epoch(struct trial *, uint64_t epoch, uint64_t within);

#endif
