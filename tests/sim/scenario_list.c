/* What the program `scenarios` runs. */
#include "tests/sim/scenario.h"

const struct scenario *const scenario_groups[] = {scenarios_traffic, scenarios_directory, scenarios_client, scenarios_attack, scenarios_flood, scenarios_lost, scenarios_many, scenarios_serials, NULL};
const uint32_t scenario_most_s = 120;
