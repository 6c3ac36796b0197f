#include "protocol/timer_heap.h"

#include <criterion/criterion.h>

#include "failing_allocator.h"
#include "tests/unit/seed.h"

enum { TIMERS = 200, STEPS = 40000 };

static instant model_deadline(const instant due[TIMERS]) {
  instant earliest = INSTANT_NEVER;
  for (int i = 0; i < TIMERS; i++) earliest = instant_earlier(earliest, due[i]);
  return earliest;
}

/* Everything due by `now` comes out, each once, in the order of time. */
static void expire_all(struct timer_heap *heap, struct timer timers[TIMERS], instant due[TIMERS],
                       instant now) {
  instant last = 0;
  for (struct timer *timer; (timer = timer_heap_expired(heap, now));) {
    int i = (int)(timer - timers);
    cr_assert(timer->position == 0, "it is cancelled already");
    cr_assert(timer->at == due[i] && timer->at <= now && timer->at >= last);
    cr_assert((int)timer->owner.slot == i && (int)timer->kind == i % 5);
    last = timer->at;
    due[i] = INSTANT_NEVER;
  }
  cr_assert(model_deadline(due) > now);
}

Test(timer_heap, does_what_a_plain_list_of_deadlines_does) {
  struct random_stream random = test_random("timer_heap");
  struct timer timers[TIMERS] = {0};
  instant due[TIMERS], now = 0;
  struct timer_heap heap;
  timer_heap_init(&heap);
  for (int i = 0; i < TIMERS; i++) due[i] = INSTANT_NEVER;
  for (int step = 0; step < STEPS; step++) {
    uint32_t i = (uint32_t)random_below(&random, TIMERS), act = (uint32_t)random_below(&random, 20);
    if (act < 14) {
      due[i] = now + random_below(&random, 400);
      cr_assert(timer_heap_set(&heap, &timers[i], i % 5, (struct id){i, 1}, due[i]));
    } else if (act < 17) {
      due[i] = INSTANT_NEVER;
      timer_heap_cancel(&heap, &timers[i]);
    } else if (act < 18) {
      due[i] = INSTANT_NEVER;
      cr_assert(timer_heap_set(&heap, &timers[i], i % 5, (struct id){i, 1}, INSTANT_NEVER));
    } else {
      now += random_below(&random, 60);
      expire_all(&heap, timers, due, now);
    }
    cr_assert(timer_heap_deadline(&heap) == model_deadline(due));
    cr_assert((timers[i].position != 0) == (due[i] != INSTANT_NEVER));
  }
  timer_heap_wipe(&heap);
  for (int i = 0; i < TIMERS; i++) cr_assert(timers[i].position == 0, "wiping unsets what was set");
}

/* The simulator replays a run from its seed, so equal instants must fire alike in every run. */
Test(timer_heap, equal_instants_fire_in_the_same_order_in_every_run) {
  uint32_t orders[2][TIMERS];
  for (int run = 0; run < 2; run++) {
    struct timer *timers = calloc(TIMERS + (size_t)run * 50, sizeof *timers); /* elsewhere in memory */
    struct timer_heap heap;
    timer_heap_init(&heap);
    for (uint32_t i = 0; i < TIMERS; i++)
      cr_assert(timer_heap_set(&heap, &timers[i], 0, (struct id){i, 1}, i % 3));
    for (uint32_t i = 0; i < TIMERS; i++) orders[run][i] = timer_heap_expired(&heap, 10)->owner.slot;
    cr_assert(timer_heap_expired(&heap, 10) == NULL);
    timer_heap_wipe(&heap);
    free(timers);
  }
  cr_assert_arr_eq(orders[0], orders[1], sizeof orders[0]);
}

Test(timer_heap, an_empty_one_never_fires) {
  struct timer_heap heap;
  struct timer timer = {0};
  timer_heap_init(&heap);
  cr_assert(timer_heap_deadline(&heap) == INSTANT_NEVER);
  cr_assert(timer_heap_expired(&heap, INSTANT_NEVER) == NULL);
  timer_heap_cancel(&heap, &timer);
  cr_assert(timer_heap_set(&heap, &timer, 0, ID_NONE, INSTANT_NEVER) && timer.position == 0);
  cr_assert(timer_heap_expired(&heap, INSTANT_NEVER) == NULL);
  timer_heap_wipe(&heap);
}

static uint32_t set_and_fire(void) {
  struct timer timers[TIMERS] = {0};
  struct timer_heap heap;
  uint32_t told = 0, fired = 0;
  timer_heap_init(&heap);
  for (uint32_t i = 0; i < TIMERS;) {
    if (timer_heap_set(&heap, &timers[i], 1, (struct id){i, 1}, 1000 - i)) {
      cr_assert(timer_heap_deadline(&heap) == 1000 - i);
      i++;
      continue;
    }
    told++;
    cr_assert(timers[i].position == 0);
    if (i > 0) { /* one that is set needs no memory to move */
      cr_assert(timer_heap_set(&heap, &timers[0], 1, (struct id){0, 1}, 2000));
      cr_assert(timer_heap_deadline(&heap) == 1000 - (i - 1) || i == 1);
    }
  }
  while (timer_heap_expired(&heap, 2000)) fired++;
  cr_assert(fired == TIMERS);
  timer_heap_wipe(&heap);
  return told;
}

Test(timer_heap, survives_every_failing_allocation) {
  failing_allocator_try_every(set_and_fire, true);
}
