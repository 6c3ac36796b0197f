/* A client whose n-th allocation fails while it is made: none comes of it, and nothing is left. */
#include <criterion/criterion.h>

#include "client/client.h"
#include "tests/unit/protocol/failing_allocator.h"

static struct link_self self = {.suites = 1 << AEAD_CHACHA20_POLY1305};
static struct memory_budget budget;
static struct network_chain *networks;

static uint32_t make_client(void) {
  const struct client_config config = {.self = &self, .networks = networks, .budget = &budget, .pool_cells = 4096, .seed = {1}};
  struct client *client = client_new(&config);
  bool made = client != NULL;
  client_free(client);
  cr_assert_eq(memory_budget_used(&budget), 0);
  return !made;
}

Test(client, is_made_whole_or_not_at_all) {
  static struct network_file file = {.serial = 1, .authority_count = 1};
  cr_assert(crypto_start());
  network_timing_production(&file.timing);
  memory_budget_init(&budget, 64 * 1024 * 1024);
  networks = network_chain_of(&file);
  failing_allocator_try_every(make_client, true);
  network_chain_free(networks);
}
