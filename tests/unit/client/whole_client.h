/* What tests of a whole client against real relays begin and expect alike.
 * Spec: none. Called by this folder's tests.
 */
#ifndef TUNIC_TESTS_UNIT_CLIENT_WHOLE_CLIENT_H
#define TUNIC_TESTS_UNIT_CLIENT_WHOLE_CLIENT_H

#include "tests/unit/client/small_network.h"

/* A network from the test's seed, whose client is ready. */
void whole_client_begin(struct small_network *, const char *test, struct small_options);
const struct fetch_result *whole_client_result(const struct small_network *, uint32_t fetch);
/* The fetch is done, and every byte came right. */
void whole_client_expect_fetched(const struct small_network *, uint32_t fetch);
void whole_client_run_for(struct small_network *, uint64_t duration);

#endif
