/* The agreement's messages and its record as bytes: what goes round, what is refused, and that nothing forged changes anything. */
#include "directory/agreement_message.h"

#include <criterion/criterion.h>

#include "directory/agreement_ballot.h"
#include "directory/agreement_check.h"
#include "tests/unit/directory/agreement_bench.h"
#include "tests/unit/seed.h"

enum { KINDS = 9 };

static struct agreement_fault fault_of(const struct bench *bench, uint8_t author) {
  struct agreement_vote a = bench_vote(bench, author, 1, 0, 1, bench->config.genesis), b = bench_vote(bench, author, 1, 0, 2, bench->config.genesis);
  bool swapped = memcmp(a.hash, b.hash, DIGEST_BYTES) > 0;
  struct agreement_fault fault = {.author = author, .epoch = 1};
  memcpy(fault.previous, bench->config.genesis, DIGEST_BYTES);
  for (int k = 0; k < 2; k++) {
    const struct agreement_vote *vote = (k == 0) != swapped ? &a : &b;
    memcpy(fault.votes[k].hash, vote->hash, DIGEST_BYTES);
    memcpy(fault.votes[k].signature, vote->signature, ED25519_SIGNATURE_BYTES);
  }
  return fault;
}

/* One valid message of a kind, as full as it can be, to authority 0 in epoch 1. */
static struct agreement_message sample(const struct bench *bench, enum agreement_kind kind) {
  uint32_t n = bench->members.n, all = n == 31 ? 0x7fffffff : (UINT32_C(1) << n) - 1;
  struct agreement_message message = bench_message(kind, 2, 1); /* the leader of view 1 */
  struct agreement_lock lock;
  bench_lock(bench, 0, all, &lock);
  switch (kind) {
  case AGREEMENT_VOTE: {
    struct agreement_vote vote = bench_vote(bench, 2, 1, 1, 0, bench->config.genesis);
    memcpy(message.hash, vote.hash, DIGEST_BYTES);
    memcpy(message.previous, bench->config.genesis, DIGEST_BYTES);
    break;
  }
  case AGREEMENT_PROPOSE:
    bench_entry(bench, 1, &lock, &message.entry);
    message.vector = lock.vector;
    message.choice = lock.name.choice;
    for (uint8_t i = 0; i < n; i++) message.faults.list[message.faults.count++] = fault_of(bench, i);
    break;
  case AGREEMENT_PREPARE: message.choice = lock.name.choice; break;
  case AGREEMENT_SIGN: memcpy(message.choice.digest, lock.name.choice.digest, DIGEST_BYTES); break;
  case AGREEMENT_TIMEOUT: message.lock = lock; break;
  case AGREEMENT_STATUS:
    message.holdings.proposal = true;
    message.holdings.rounds[n - 1] = 7;
    message.holdings.signs = 3;
    break;
  case AGREEMENT_CERTIFICATE: {
    struct agreement_certificate certificate = bench_certificate(bench, 1, 1, 1);
    memcpy(message.choice.digest, certificate.digest, DIGEST_BYTES);
    message.signs = certificate.signs;
    break;
  }
  case AGREEMENT_ENTER: bench_entry(bench, 1, &lock, &message.entry); break;
  case AGREEMENT_FAULT:
    message.view = 0;
    message.faults.count = 1;
    message.faults.list[0] = fault_of(bench, 3);
    break;
  }
  if (kind < AGREEMENT_CERTIFICATE) bench_sign(bench, &message);
  else message.author = 0;
  return message;
}

static size_t encode(const struct bench *bench, const struct agreement_message *message, uint8_t bytes[AGREEMENT_MESSAGE_MAX_BYTES]) {
  size_t len = agreement_message_encode(&bench->members, message, bytes, AGREEMENT_MESSAGE_MAX_BYTES);
  cr_assert_gt(len, 0, "%s fits", agreement_kind_name(message->kind));
  return len;
}

Test(agreement_message, every_kind_goes_round_also_in_the_largest_network) {
  static const uint32_t sizes[] = {4, 7, 31};
  for (size_t k = 0; k < 3; k++) {
    struct bench bench;
    bench_init(&bench, sizes[k], 0);
    for (int kind = AGREEMENT_VOTE; kind <= KINDS; kind++) {
      uint8_t bytes[AGREEMENT_MESSAGE_MAX_BYTES], again[AGREEMENT_MESSAGE_MAX_BYTES];
      struct agreement_message message = sample(&bench, (enum agreement_kind)kind), decoded;
      size_t len = encode(&bench, &message, bytes);
      cr_assert_eq(agreement_message_decode(&bench.members, bytes, len, &decoded), OUTCOME_OK, "%s", agreement_kind_name(message.kind));
      cr_assert_eq(encode(&bench, &decoded, again), len);
      cr_assert_arr_eq(bytes, again, len);
    }
  }
}

/* [AGREE-6] The bytes of the specification's table. */
Test(agreement_message, sizes_are_those_of_the_specification) {
  struct bench bench;
  uint8_t bytes[AGREEMENT_MESSAGE_MAX_BYTES];
  bench_init(&bench, 4, 0);
  static const size_t sizes[KINDS] = {
    49 + 64 + 65,
    49 + 32 + (1 + 4 * 101) + (1 + 3 * 134) + (1 + 3 * 65) + (1 + 4 * 237) + 65,
    49 + 64 + 65,
    49 + 32 + 65,
    49 + 69 + 65 + (1 + 4 * 101) + (1 + 3 * 65),
    49 + 32 + 17 + 4 * 4 + 65,
    49 + 32 + (1 + 3 * 65),
    49 + (1 + 3 * 134) + (1 + 4 * 101) + (1 + 3 * 65),
    49 + 1 + 237,
  };
  for (int kind = AGREEMENT_VOTE; kind <= KINDS; kind++) {
    struct agreement_message message = sample(&bench, (enum agreement_kind)kind);
    cr_assert_eq(encode(&bench, &message, bytes), sizes[kind - 1], "%s", agreement_kind_name(message.kind));
    cr_assert_eq(bytes[0], kind);
    cr_assert_arr_eq(bytes + 1, bench.members.network, 32);
    static const uint8_t serial_and_epoch[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1};
    cr_assert_arr_eq(bytes + 33, serial_and_epoch, sizeof serial_and_epoch);
  }
}

Test(agreement_message, samples_are_accepted_and_cut_or_longer_ones_are_not) {
  for (int kind = AGREEMENT_VOTE; kind <= KINDS; kind++) {
    struct bench bench;
    uint8_t bytes[AGREEMENT_MESSAGE_MAX_BYTES + 1] = {0};
    bench_init(&bench, 4, 0);
    bench_start(&bench);
    struct agreement_message message = sample(&bench, (enum agreement_kind)kind);
    size_t len = encode(&bench, &message, bytes);
    for (size_t cut = 0; cut < len; cut++) cr_assert_neq(agreement_receive(bench.machine, bench.now, 2, bytes, cut), OUTCOME_OK);
    cr_assert_eq(agreement_receive(bench.machine, bench.now, 2, bytes, len + 1), OUTCOME_BAD_DOCUMENT);
    cr_assert_eq(agreement_receive(bench.machine, bench.now, 2, bytes, AGREEMENT_MESSAGE_MAX_BYTES + 1), OUTCOME_TOO_LARGE);
    cr_assert_eq(bench_receive(&bench, 2, &message), OUTCOME_OK, "%s", agreement_kind_name(message.kind));
    bench_wipe(&bench);
  }
}

/* Every byte of a small message, every few of a large one, changed by one bit at random: refused, and nothing else changes. */
Test(agreement_message, one_changed_bit_and_it_changes_nothing) {
  struct random_stream random = test_random("bits");
  for (int kind = AGREEMENT_VOTE; kind <= KINDS; kind++) {
    struct bench bench;
    uint8_t bytes[AGREEMENT_MESSAGE_MAX_BYTES];
    bench_init(&bench, 4, 0);
    bench_start(&bench);
    struct agreement_message message = sample(&bench, (enum agreement_kind)kind);
    size_t len = encode(&bench, &message, bytes), stride = 1 + len / 200;
    for (size_t at = (size_t)random_below(&random, stride); at < len; at += stride) {
      struct agreement_summary before = bench_summary(&bench), after;
      uint8_t bit = (uint8_t)(1u << random_below(&random, 8));
      bytes[at] ^= bit;
      cr_assert_neq(agreement_receive(bench.machine, bench.now, 2, bytes, len), OUTCOME_OK, "%s, byte %zu, bit %d",
                    agreement_kind_name(message.kind), at, bit);
      bytes[at] ^= bit;
      after = bench_summary(&bench);
      cr_assert_eq(after.refused, before.refused + 1);
      after.refused = before.refused;
      cr_assert_arr_eq(&after, &before, sizeof after);
    }
    bench_wipe(&bench);
  }
}

Test(agreement_message, other_networks_and_serials_are_named) {
  struct bench bench;
  uint8_t bytes[AGREEMENT_MESSAGE_MAX_BYTES];
  struct agreement_message decoded, message;
  bench_init(&bench, 4, 0);
  message = sample(&bench, AGREEMENT_SIGN);
  size_t len = encode(&bench, &message, bytes);
  bytes[1] ^= 1;
  cr_assert_eq(agreement_message_decode(&bench.members, bytes, len, &decoded), OUTCOME_WRONG_NETWORK);
  bytes[1] ^= 1;
  bytes[36] ^= 3;
  cr_assert_eq(agreement_message_decode(&bench.members, bytes, len, &decoded), OUTCOME_WRONG_NETWORK);
}

/* One value, one form. */
Test(agreement_message, lists_out_of_order_or_doubled_are_refused) {
  struct bench bench;
  uint8_t bytes[AGREEMENT_MESSAGE_MAX_BYTES];
  struct agreement_message decoded, message;
  bench_init(&bench, 4, 0);
  message = sample(&bench, AGREEMENT_CERTIFICATE);
  message.signs.list[1].author = message.signs.list[0].author;
  size_t len = encode(&bench, &message, bytes);
  cr_assert_eq(agreement_message_decode(&bench.members, bytes, len, &decoded), OUTCOME_BAD_DOCUMENT, "one author twice");
  message.signs.list[1].author = 4;
  encode(&bench, &message, bytes);
  cr_assert_eq(agreement_message_decode(&bench.members, bytes, len, &decoded), OUTCOME_BAD_DOCUMENT, "an author that is none");
  message = sample(&bench, AGREEMENT_TIMEOUT);
  message.lock.name.present = false;
  len = encode(&bench, &message, bytes);
  cr_assert_eq(agreement_message_decode(&bench.members, bytes, len, &decoded), OUTCOME_BAD_DOCUMENT, "no lock, and yet a view of it");
  message = sample(&bench, AGREEMENT_PREPARE);
  message.view = UINT32_MAX;
  len = encode(&bench, &message, bytes);
  cr_assert_eq(agreement_message_decode(&bench.members, bytes, len, &decoded), OUTCOME_BAD_DOCUMENT, "no view comes after it");
}

Test(agreement_message, a_proof_of_fault_proves_two_votes_of_one_round) {
  struct bench bench;
  bench_init(&bench, 4, 0);
  struct agreement_fault fault = fault_of(&bench, 3), same = fault;
  cr_assert_eq(agreement_fault_check(&bench.members, &fault), OUTCOME_OK);
  same.votes[1] = same.votes[0];
  cr_assert_eq(agreement_fault_check(&bench.members, &same), OUTCOME_PROTOCOL_VIOLATION, "twice the same vote");
  struct agreement_vote later = bench_vote(&bench, 3, 1, 1, 7, bench.config.genesis);
  struct agreement_fault rounds = fault;
  int place = memcmp(later.hash, fault.votes[0].hash, DIGEST_BYTES) > 0;
  memcpy(rounds.votes[place].hash, later.hash, DIGEST_BYTES);
  memcpy(rounds.votes[place].signature, later.signature, ED25519_SIGNATURE_BYTES);
  cr_assert_neq(agreement_fault_check(&bench.members, &rounds), OUTCOME_OK, "votes of two rounds");
  fault.author = 2;
  cr_assert_eq(agreement_fault_check(&bench.members, &fault), OUTCOME_BAD_SIGNATURE, "not its votes");
}

Test(agreement_ballot, the_record_goes_round_and_any_damage_is_seen) {
  struct bench bench;
  uint8_t bytes[AGREEMENT_BALLOT_MAX_BYTES], again[AGREEMENT_BALLOT_MAX_BYTES];
  bench_init(&bench, 31, 3);
  struct agreement_ballot ballot = {.epoch = 7, .silent_before = 9, .open = true, .view = 5, .vote_next = 2, .proposed_next = 3}, decoded;
  ballot.prepared_next = 4;
  ballot.timeout_next = 5;
  bench_lock(&bench, 4, 0x7fffffff, &ballot.lock);
  bench_entry(&bench, 5, &ballot.lock, &ballot.entry);
  for (uint8_t i = 0; i < 31; i++) ballot.faults.list[ballot.faults.count++] = fault_of(&bench, i);
  size_t len = agreement_ballot_encode(&bench.members, 3, &ballot, bytes, sizeof bytes);
  cr_assert_gt(len, 0, "the largest record fits");
  cr_assert_eq(agreement_ballot_decode(&bench.members, 3, bytes, len, &decoded), OUTCOME_OK);
  cr_assert_eq(agreement_ballot_encode(&bench.members, 3, &decoded, again, sizeof again), len);
  cr_assert_arr_eq(bytes, again, len);
  cr_assert_eq(decoded.timeout_next, 5);
  cr_assert_eq(decoded.silent_before, 9);
  for (size_t at = 0; at < len; at += 97) {
    bytes[at] ^= 4;
    cr_assert_eq(agreement_ballot_decode(&bench.members, 3, bytes, len, &decoded), OUTCOME_BAD_DOCUMENT, "byte %zu", at);
    bytes[at] ^= 4;
    cr_assert_eq(agreement_ballot_decode(&bench.members, 3, bytes, at, &decoded), OUTCOME_BAD_DOCUMENT, "cut at %zu", at);
  }
  cr_assert_eq(agreement_ballot_decode(&bench.members, 4, bytes, len, &decoded), OUTCOME_WRONG_NETWORK, "another authority's");
}

/* [AGREE-1] Two quorums share an honest authority, and the honest ones are a quorum: all sizes. */
Test(agreement_message, quorums_of_every_size) {
  for (uint32_t n = 1; n <= LIMIT_AUTHORITIES; n++) {
    struct bench bench;
    bench_init(&bench, n, 0);
    uint32_t f = bench.members.f, q = bench.members.q;
    cr_assert(3 * f + 1 <= n && n <= 3 * f + 3);
    cr_assert_gt(2 * q, n + f, "n = %u", n);
    cr_assert_leq(q, n - f, "n = %u", n);
    cr_assert_leq(2 * (q - 1), n + f, "n = %u: no larger than it must be", n);
  }
}
