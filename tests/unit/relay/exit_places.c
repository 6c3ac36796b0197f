/* Where an exit connects: never back into the network, by whatever name its relays' places are called. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "relay/shard_internal.h"
#include "tests/unit/relay/shard_bench.h"

struct scene { struct bench *bench; struct bench_circuit *circuit; uint16_t stream; };

static struct scene scene_new(void) {
  struct scene scene = {.bench = bench_new()};
  bench_link(scene.bench, END_FIRST_NODE);
  scene.circuit = bench_open(scene.bench, END_FIRST_NODE, LIMIT_EXIT_PLACE);
  return scene;
}

/* What becomes of a BEGIN: OK if the exit connects, else the cause of END. */
static enum outcome begin(struct scene *scene, const struct target *target) {
  uint8_t body[TARGET_MAX_BYTES];
  uint32_t connects = scene->bench->connects;
  bench_message(scene->bench, scene->circuit, MESSAGE_BEGIN, ++scene->stream, body, target_encode(target, body));
  bench_run(scene->bench);
  cr_assert_not(scene->circuit->closed, "a refusal is the stream's, not the circuit's");
  if (scene->bench->connects > connects) return OUTCOME_OK;
  return (enum outcome)bench_ended(scene->circuit, scene->stream);
}

static struct target ipv4(const struct address *address, uint16_t port) {
  struct target target = {.kind = TARGET_IPV4, .port = port};
  memcpy(target.address, address->bytes, 4);
  return target;
}

static struct target within_ipv6(const struct address *address, const uint8_t prefix[12], uint16_t port) {
  struct target target = {.kind = TARGET_IPV6, .port = port};
  memcpy(target.address, prefix, 12);
  memcpy(target.address + 12, address->bytes, 4);
  return target;
}

Test(exit_places, no_relay_of_the_consensus_is_connected_to) {
  struct scene scene = scene_new();
  for (int i = 0; i < BENCH_RELAYS; i++) {
    const struct address *place = &scene.bench->addresses[i];
    struct target target = ipv4(place, place->port);
    cr_assert_eq(begin(&scene, &target), OUTCOME_REFUSED_BY_POLICY, "relay %d (0: the exit itself)", i);
    if (i == 0) continue;
    target.port = 80;
    cr_assert_eq(begin(&scene, &target), OUTCOME_OK, "another port of its host is as any other");
  }
  bench_free(scene.bench);
}

Test(exit_places, nor_by_its_ipv4_address_within_ipv6) {
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, nat64[12] = {0x00, 0x64, 0xff, 0x9b};
  struct scene scene = scene_new();
  for (int i = 0; i < BENCH_RELAYS; i++) {
    const struct address *place = &scene.bench->addresses[i];
    struct target target = within_ipv6(place, mapped, place->port);
    cr_assert_eq(begin(&scene, &target), OUTCOME_REFUSED_BY_POLICY, "relay %d, mapped", i);
    target = within_ipv6(place, nat64, place->port);
    cr_assert_eq(begin(&scene, &target), OUTCOME_REFUSED_BY_POLICY, "relay %d, through NAT64", i);
    if (i == 0) continue;
    target.port = 80;
    cr_assert_eq(begin(&scene, &target), OUTCOME_OK);
  }
  bench_free(scene.bench);
}

/* [STREAM-4] Who asks from there is taken for one who is inside. */
Test(exit_places, nor_is_anything_else_on_its_own_host) {
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  struct scene scene = scene_new();
  const struct address *own = &scene.bench->addresses[0];
  struct target targets[] = {ipv4(own, 22), ipv4(own, 80), within_ipv6(own, mapped, 80)};
  for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) cr_assert_eq(begin(&scene, &targets[i]), OUTCOME_REFUSED_BY_POLICY);
  char host[ADDRESS_TEXT_BYTES], rule[100];
  address_format_host(own, host);
  int len = snprintf(rule, sizeof rule, "accept %s/32:80", host);
  scene.bench->policy = (struct exit_policy){0};
  cr_assert(exit_policy_add_rule(&scene.bench->policy, rule, (size_t)len) && exit_policy_add_rule(&scene.bench->policy, "accept *:*", 10));
  cr_expect_eq(begin(&scene, &targets[0]), OUTCOME_REFUSED_BY_POLICY, "a rule for all is not for it");
  cr_expect_eq(begin(&scene, &targets[1]), OUTCOME_OK, "it is named");
  cr_expect_eq(begin(&scene, &targets[2]), OUTCOME_OK);
  bench_free(scene.bench);
}

static struct target ipv6(const uint8_t bytes[16], uint16_t port) {
  struct target target = {.kind = TARGET_IPV6, .port = port};
  memcpy(target.address, bytes, 16);
  return target;
}

/* Else a relay that chooses its address well would keep every exit from a destination of its choice. */
Test(exit_places, nor_by_ipv6_and_no_other_place_is_taken_for_it) {
  struct scene scene = scene_new();
  const struct address *place = &scene.bench->first;
  struct target target = ipv6(place->bytes, place->port);
  cr_assert_eq(begin(&scene, &target), OUTCOME_REFUSED_BY_POLICY);
  for (int i = 2; i < 8; i++) { /* a bit in both halves, and one that 16 bits of a port push out */
    target = ipv6(place->bytes, place->port);
    target.address[i] ^= 1;
    target.address[i + 8] ^= 1;
    cr_assert_eq(begin(&scene, &target), OUTCOME_OK, "byte %d", i);
  }
  target = ipv6(place->bytes, place->port);
  target.address[1] ^= 1;
  cr_assert_eq(begin(&scene, &target), OUTCOME_OK);
  bench_free(scene.bench);
}

Test(exit_places, nor_by_a_name_that_resolves_to_it) {
  struct target target = {.kind = TARGET_NAME, .name_len = 4, .name = "a.bc"};
  struct scene scene = scene_new();
  target.port = scene.bench->addresses[0].port;
  cr_assert_eq(begin(&scene, &target), 0, "it is looked up first");
  struct event event = {.kind = EVENT_RESOLVED, .id = scene.bench->stream, .address_count = 2};
  event.addresses[0] = scene.bench->addresses[0];
  event.addresses[1] = scene.bench->addresses[END_NEXT];
  event.addresses[0].port = event.addresses[1].port = 0;
  bench_event(scene.bench, &event);
  bench_run(scene.bench);
  cr_assert_eq(scene.bench->connects, 0);
  cr_assert_eq(bench_ended(scene.circuit, scene.stream), OUTCOME_REFUSED_BY_POLICY);

  cr_assert_eq(begin(&scene, &target), 0);
  event.id = scene.bench->stream;
  event.addresses[1] = (struct address){.family = ADDRESS_IPV4, .bytes = {93, 184, 216, 34}};
  bench_event(scene.bench, &event);
  bench_run(scene.bench);
  cr_assert_eq(scene.bench->connects, 1, "another address of the same name may be");
  cr_assert_eq(scene.bench->to.bytes[0], 93);
  bench_free(scene.bench);
}

/* Which nobody tests, and which may be another's. */
Test(exit_places, what_a_relay_says_of_a_second_address_keeps_nobody_from_it) {
  struct scene scene = scene_new();
  struct target target = ipv4(&scene.bench->second, scene.bench->second.port);
  cr_assert_eq(begin(&scene, &target), OUTCOME_OK);
  bench_free(scene.bench);
}

Test(exit_places, a_name_tells_no_private_address) {
  static const uint8_t target[] = {0, 0, TARGET_NAME, 4, 'a', '.', 'b', 'c'};
  struct scene scene = scene_new();
  bench_message(scene.bench, scene.circuit, MESSAGE_RESOLVE, 1, target, sizeof target);
  bench_run(scene.bench);
  struct event event = {.kind = EVENT_RESOLVED, .id = scene.bench->stream, .address_count = 1};
  event.addresses[0] = (struct address){.family = ADDRESS_IPV4, .bytes = {192, 168, 0, 1}};
  bench_event(scene.bench, &event);
  bench_run(scene.bench);
  cr_assert_eq(bench_heard(scene.circuit, MESSAGE_RESOLVED), 0);
  cr_assert_eq(bench_ended(scene.circuit, 1), OUTCOME_NAME_NOT_FOUND);
  bench_free(scene.bench);
}

static void resolve(struct scene *scene, uint16_t stream) {
  static const uint8_t target[] = {0, 0, TARGET_NAME, 4, 'a', '.', 'b', 'c'};
  bench_message(scene->bench, scene->circuit, MESSAGE_RESOLVE, stream, target, sizeof target);
  bench_run(scene->bench);
}

static void answer(struct scene *scene, struct id lookup) {
  bench_event(scene->bench, &(struct event){.kind = EVENT_RESOLVED, .id = lookup, .outcome = OUTCOME_NAME_NOT_FOUND});
  bench_run(scene->bench);
}

Test(exit_places, a_circuit_has_so_many_lookups_at_a_time) {
  struct scene scene = scene_new();
  struct id lookups[LIMIT_LOOKUPS_PER_CIRCUIT + 1];
  uint16_t stream = 1;
  for (; stream <= LIMIT_LOOKUPS_PER_CIRCUIT; stream++) {
    resolve(&scene, stream);
    lookups[stream] = scene.bench->stream;
  }
  cr_assert_eq(bench_heard(scene.circuit, MESSAGE_END), 0);
  resolve(&scene, stream);
  cr_assert_eq(bench_ended(scene.circuit, stream), OUTCOME_TOO_BUSY, "one more is refused, and costs the circuit nothing");
  answer(&scene, lookups[LIMIT_LOOKUPS_PER_CIRCUIT]);
  resolve(&scene, ++stream);
  cr_assert_eq(bench_ended(scene.circuit, stream), 0, "where one was answered there is room");
  bench_message(scene.bench, scene.circuit, MESSAGE_END, 1, &(uint8_t){OUTCOME_DONE}, 1);
  resolve(&scene, ++stream);
  cr_assert_eq(bench_ended(scene.circuit, stream), OUTCOME_TOO_BUSY, "one that is no longer wanted goes on, and counts");
  answer(&scene, lookups[1]);
  resolve(&scene, ++stream);
  cr_assert_eq(bench_ended(scene.circuit, stream), 0, "until it is answered");
  cr_assert_not(scene.circuit->closed);
  bench_free(scene.bench);
}

Test(exit_places, a_lookup_may_outlive_its_circuit) {
  struct scene scene = scene_new();
  resolve(&scene, 1);
  bench_message(scene.bench, scene.circuit, MESSAGE_DATA, 2, "x", 1); /* nobody began it */
  bench_run(scene.bench);
  cr_assert(scene.circuit->closed);
  cr_assert_eq(id_table_count(&scene.bench->shard->connections), 2, "its name is kept for the answer");
  answer(&scene, scene.bench->stream);
  cr_assert_eq(id_table_count(&scene.bench->shard->connections), 1, "and nothing of it is left");
  bench_free(scene.bench);
}
