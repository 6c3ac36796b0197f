/* Who may be a relay's neighbour, and for how long: the identity that was claimed with the key that was proved, and nobody who dawdles. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/relay/shard_bench.h"

static const uint8_t anothers_secret[X25519_BYTES] = {[3] = 77};

/* That end holds this key from now on, whatever the consensus says. */
static void take_another_key(struct bench *bench, int end) {
  struct link_self *self = &bench->ends[end].self;
  guarded_key_free((struct guarded_key *)self->link_secret);
  self->link_secret = guarded_key_new(anothers_secret);
  x25519_public(self->link_public, anothers_secret);
}

static bool is_let_in(struct bench *bench, int end) {
  bench_call(bench, end);
  if (!bench_has_link(bench, end)) return false;
  struct bench_circuit *circuit = bench_create(bench, end, 1); /* the caller may think it is in when it is not */
  bench_run(bench);
  return circuit->is_open;
}

/* [LINK-6] */
Test(neighbours, a_relay_is_let_in_by_its_identity_with_its_own_key_alone) {
  struct bench *bench = bench_new();
  cr_assert(is_let_in(bench, END_FIRST_NODE));
  take_another_key(bench, END_SECOND_NODE);
  cr_assert_not(is_let_in(bench, END_SECOND_NODE), "a right identity with a key of its own making");
  bench->ends[END_NEXT].self.identity[20] ^= 1;
  cr_assert_not(is_let_in(bench, END_NEXT), "a right key with an identity that nobody has");
  memcpy(bench->ends[END_NEXT].self.identity, bench->identities[END_NEXT], IDENTITY_BYTES);
  cr_assert(is_let_in(bench, END_NEXT), "the same node under its own name");
  cr_assert_eq(bench->links_reported, 2);
  bench_free(bench);
}

/* Somebody else listens at the next relay's address: whatever he says, nothing is asked of him, and the circuit ends. */
Test(neighbours, nobody_is_extended_to_by_his_address) {
  struct bench *bench = bench_new();
  uint8_t bytes[NOISE_HFS_MESSAGE_2_BYTES];
  size_t used;
  bench_link(bench, END_FIRST_NODE);
  struct bench_circuit *circuit = bench_open(bench, END_FIRST_NODE, 1);
  bench->next_is_another = true;
  bench_extend(bench, circuit, bench->identities[END_NEXT]);
  bench_run(bench);
  cr_assert_not(circuit->closed);
  random_bytes(&bench->random, bytes, sizeof bytes);
  bench->machine.verbs->receive(bench->shard, bench->now, bench->ends[END_NEXT].connection, bytes, sizeof bytes, &used);
  bench_run(bench);
  cr_assert(circuit->closed);
  cr_assert_eq(circuit->cause, OUTCOME_LINK_FAILED);
  cr_assert_eq(bench_heard(circuit, MESSAGE_EXTENDED), 0);
  bench->next_is_another = false;
  circuit = bench_open(bench, END_FIRST_NODE, 1);
  bench_extend(bench, circuit, bench->identities[END_NEXT]);
  bench_run(bench);
  cr_assert_eq(bench_heard(circuit, MESSAGE_EXTENDED), 1, "when it is there again it is used");
  bench_free(bench);
}

/* [LIMIT-8] Byte by byte, or not at all. */
Test(neighbours, half_a_handshake_is_not_waited_for) {
  static const uint8_t preamble[LINK_PREAMBLE_BYTES] = {LINK_FROM_CLIENT, LINK_VERSION, 1 << AEAD_CHACHA20_POLY1305};
  struct bench *bench = bench_new();
  struct address from = {.family = ADDRESS_IPV4, .bytes = {99, 1, 2, 3}, .port = 4000};
  struct id slow = bench->machine.verbs->accept(bench->shard, bench->now, CONNECTION_LINK, &from);
  struct id silent = bench->machine.verbs->accept(bench->shard, bench->now, CONNECTION_LINK, &from);
  size_t used;
  uint8_t copy[sizeof preamble];
  cr_assert(!id_is_none(slow) && !id_is_none(silent));
  memcpy(copy, preamble, sizeof copy);
  cr_assert_eq(bench->machine.verbs->receive(bench->shard, bench->now, slow, copy, sizeof copy, &used), OUTCOME_OK);
  bench_wait(bench, LIMIT_HANDSHAKE_TIME - SECONDS);
  cr_assert_eq(bench->figures.links, 2);
  cr_assert_eq(bench->links_reported, 0);
  bench_wait(bench, 3 * SECONDS);
  cr_assert_eq(bench->figures.links, 0);
  cr_assert_eq(bench->closes, 2);
  cr_assert_eq(bench->links_reported, 2, "the keeper frees their address's places");
  bench_free(bench);
}

Test(neighbours, a_link_without_circuits_is_not_kept) {
  struct bench *bench = bench_new();
  bench_link(bench, END_CLIENT);
  bench_link(bench, END_FIRST_NODE);
  bench_open(bench, END_FIRST_NODE, 1);
  bench_wait(bench, LIMIT_LINK_IDLE_TIME - SECONDS);
  cr_assert(bench_has_link(bench, END_CLIENT));
  bench_wait(bench, 2 * SECONDS);
  cr_assert_not(bench_has_link(bench, END_CLIENT));
  cr_assert(bench_has_link(bench, END_FIRST_NODE));
  bench_free(bench);
}

/* [LIMIT-8] Who takes a document on a slow line is not cut off in its midst. */
Test(neighbours, a_link_without_circuits_is_kept_while_documents_go_over_it) {
  struct bench *bench = bench_new();
  bench_link(bench, END_CLIENT);
  for (int i = 0; i < 6; i++) {
    bench_get(bench, END_CLIENT, &(struct transfer_request){.kind = TRANSFER_CONSENSUS});
    bench_wait(bench, LIMIT_LINK_IDLE_TIME / 2);
    cr_assert(bench_has_link(bench, END_CLIENT), "%d", i);
  }
  bench_wait(bench, LIMIT_LINK_IDLE_TIME / 2);
  cr_expect(bench_has_link(bench, END_CLIENT), "what was sent last may still be on its way");
  bench_wait(bench, LIMIT_LINK_IDLE_TIME);
  cr_expect_not(bench_has_link(bench, END_CLIENT));
  bench_free(bench);
}
