#include "protocol/ring.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>

enum { MESSAGES = 300000, CAPACITY = 64 };

struct message {
  uint64_t number, check[5];
};

Test(ring, holds_its_capacity_in_order) {
  struct ring ring;
  uint32_t item;
  cr_assert(ring_init(&ring, sizeof item, 8));
  cr_assert(!ring_take(&ring, &item));
  for (uint32_t round = 0; round < 100; round++) {
    for (uint32_t i = 0; i < 8; i++) cr_assert(ring_put(&ring, &(uint32_t){round * 8 + i}));
    cr_assert(!ring_put(&ring, &(uint32_t){0}), "the ninth does not fit");
    for (uint32_t i = 0; i < 8; i++) cr_assert(ring_take(&ring, &item) && item == round * 8 + i);
    cr_assert(!ring_take(&ring, &item));
    cr_assert(ring_put(&ring, &round) && ring_take(&ring, &item) && item == round);
  }
  ring_wipe(&ring);
}

Test(ring, works_where_its_counters_wrap) {
  struct ring ring;
  uint32_t item;
  cr_assert(ring_init(&ring, sizeof item, 4));
  atomic_store(&ring.head, UINT32_MAX - 1);
  atomic_store(&ring.tail, UINT32_MAX - 1);
  for (uint32_t i = 0; i < 4; i++) cr_assert(ring_put(&ring, &i));
  cr_assert(!ring_put(&ring, &item));
  for (uint32_t i = 0; i < 4; i++) cr_assert(ring_take(&ring, &item) && item == i);
  cr_assert(!ring_take(&ring, &item));
  ring_wipe(&ring);
}

static void *produce(void *context) {
  struct ring *ring = context;
  for (uint64_t i = 0; i < MESSAGES; i++) {
    struct message message = {.number = i, .check = {~i, i * 3, i ^ 0x5a5a, i << 7, i + 1}};
    while (!ring_put(ring, &message)) sched_yield();
  }
  return NULL;
}

Test(ring, carries_messages_whole_from_one_thread_to_another, .timeout = 60) {
  struct ring ring;
  pthread_t producer;
  cr_assert(ring_init(&ring, sizeof(struct message), CAPACITY));
  cr_assert(pthread_create(&producer, NULL, produce, &ring) == 0);
  for (uint64_t i = 0; i < MESSAGES; i++) {
    struct message message;
    while (!ring_take(&ring, &message)) sched_yield();
    bool whole = message.number == i && message.check[0] == ~i && message.check[1] == i * 3 &&
                 message.check[2] == (i ^ 0x5a5a) && message.check[3] == i << 7 && message.check[4] == i + 1;
    if (!whole) cr_assert_fail("message %lu came torn or out of order", (unsigned long)i);
  }
  cr_assert(pthread_join(producer, NULL) == 0);
  cr_assert(!ring_take(&ring, &(struct message){0}));
  ring_wipe(&ring);
}
