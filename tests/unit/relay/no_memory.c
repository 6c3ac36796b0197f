/* The machines of a relay whose n-th allocation fails while they are made: none comes of it, and nothing is left. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "relay/keeper.h"
#include "relay/shard.h"
#include "tests/unit/client/sample_relays.h"
#include "tests/unit/protocol/failing_allocator.h"

static struct link_self self = {.suites = 1 << AEAD_CHACHA20_POLY1305};
static struct memory_budget budget;
static struct network_chain *networks;
static struct sample_relays relays;
static struct guarded_key *key;
static const struct onion_keys onion_keys = {.count = 1, .keys = {{.generation = 1}}};

static void begin(void) {
  static struct network_file file = {.serial = 1, .authority_count = 1};
  cr_assert(crypto_start());
  network_timing_production(&file.timing);
  memory_budget_init(&budget, 64 * 1024 * 1024);
  networks = network_chain_of(&file);
  key = guarded_key_new((const uint8_t[32]){9});
  sample_relay_add(&relays, RELAY_GUARD, 100, 0, 0);
}

static void end(void) {
  guarded_key_free(key);
  network_chain_free(networks);
}

static uint32_t make_shard(void) {
  static const struct exit_policy policy;
  const struct shard_config config = {.self = &self, .policy = &policy, .budget = &budget, .pool_cells = 4096, .index = 1, .seed = {1}};
  struct shard *shard = shard_new(&config);
  bool made = shard != NULL;
  shard_free(shard);
  cr_assert_eq(memory_budget_used(&budget), 0);
  return !made;
}

Test(shard, is_made_whole_or_not_at_all) {
  begin();
  failing_allocator_try_every(make_shard, true);
  end();
}

/* The consensus from the disk is the keeper's from the call on, whatever comes of it. */
static uint32_t make_keeper(void) {
  static struct descriptor descriptor;
  failing_allocator_pause(true);
  struct consensus *consensus = sample_relays_consensus(&relays, 0);
  failing_allocator_pause(false);
  const struct keeper_config config = {.self = &self, .networks = networks, .budget = &budget, .shard_count = 2, .seed = {2}, .descriptor = &descriptor,
                                       .signing_seed = key, .onion_keys = &onion_keys, .consensus = consensus};
  struct keeper *keeper = keeper_new(&config);
  bool made = keeper != NULL;
  keeper_free(keeper);
  cr_assert_eq(memory_budget_used(&budget), 0);
  return !made;
}

Test(keeper, is_made_whole_or_not_at_all) {
  begin();
  failing_allocator_try_every(make_keeper, true);
  end();
}
