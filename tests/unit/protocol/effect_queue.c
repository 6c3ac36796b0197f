#include "protocol/effect_queue.h"

#include <criterion/criterion.h>
#include <string.h>

#include "failing_allocator.h"

Test(effect_queue, gives_effects_back_whole_and_in_order) {
  struct effect_queue queue = {0};
  struct effect effect;
  cr_assert(!effect_queue_take(&queue, &effect));
  for (uint32_t i = 0; i < 5; i++) {
    struct effect put = {.kind = EFFECT_RESOLVE, .id = {i, 1}, .to = i, .message = {.value = i * 7}, .name = "www.example"};
    cr_assert(effect_queue_put(&queue, &put) && queue.count == i + 1);
    memset(&put, 0xff, sizeof put);
  }
  for (uint32_t i = 0; i < 5; i++) {
    cr_assert(effect_queue_take(&queue, &effect) && queue.count == 4 - i);
    cr_assert(effect.kind == EFFECT_RESOLVE && effect.id.slot == i && effect.to == i);
    cr_assert(effect.message.value == i * 7);
    cr_assert_str_eq(effect.name, "www.example");
  }
  cr_assert(!effect_queue_take(&queue, &effect));
  cr_assert(effect_queue_put(&queue, &effect) && effect_queue_take(&queue, &effect), "usable when emptied");
}

Test(effect_queue, wiping_releases_the_documents_that_still_wait) {
  int64_t before = failing_allocator_live();
  struct effect_queue queue = {0};
  for (int i = 0; i < 3; i++) {
    struct effect effect = {.kind = EFFECT_WRITE_FILE, .document = document_new("key", 3)};
    cr_assert(effect_queue_put(&queue, &effect));
  }
  cr_assert(effect_queue_put(&queue, &(struct effect){.kind = EFFECT_CLOSE}));
  effect_queue_wipe(&queue);
  cr_assert(queue.count == 0 && queue.first == NULL && queue.last == NULL);
  cr_assert(failing_allocator_live() == before);
  effect_queue_wipe(&queue);
}

static uint32_t put_documents(void) {
  struct effect_queue queue = {0};
  uint32_t told = 0;
  while (queue.count < 5) {
    struct effect effect = {.kind = EFFECT_WRITE_FILE, .document = document_new("abc", 3)};
    bool put = effect.document && effect_queue_put(&queue, &effect);
    if (put) continue;
    told++;
    document_release(effect.document); /* a failed put leaves the reference with the caller */
  }
  effect_queue_wipe(&queue);
  return told;
}

Test(effect_queue, survives_every_failing_allocation) {
  failing_allocator_try_every(put_documents, true);
}

Test(effect_queue, what_is_reserved_goes_in_without_memory_and_in_its_place) {
  struct effect_queue queue = {0};
  struct effect effect;
  cr_assert(effect_queue_reserve(&queue) && effect_queue_reserve(&queue));
  cr_assert(effect_queue_put(&queue, &(struct effect){.kind = EFFECT_RESOLVE, .name = "www.example"}));
  int64_t before = failing_allocator_live();
  effect_queue_put_reserved(&queue, &(struct effect){.kind = EFFECT_CLOSE, .id = {7, 1}});
  cr_assert(failing_allocator_live() == before, "nothing is allocated");
  cr_assert(queue.count == 2 && queue.reserved == 1, "room is used up by what it was for");
  cr_assert(effect_queue_take(&queue, &effect) && effect.kind == EFFECT_RESOLVE);
  cr_assert(effect_queue_take(&queue, &effect) && effect.kind == EFFECT_CLOSE && effect.id.slot == 7);
  cr_assert_str_eq(effect.name, "", "the name of the one before is not left over");
  effect_queue_release(&queue);
  cr_assert(queue.reserved == 0 && !effect_queue_take(&queue, &effect));
}

Test(effect_queue, the_end_comes_last_and_once_whatever_the_memory) {
  struct effect_queue queue = {0};
  struct effect effect;
  effect_queue_exit(&queue, OUTCOME_NO_MEMORY);
  effect_queue_exit(&queue, OUTCOME_OK);
  cr_assert(effect_queue_put(&queue, &(struct effect){.kind = EFFECT_CLOSE}));
  cr_assert(effect_queue_take(&queue, &effect) && effect.kind == EFFECT_CLOSE);
  cr_assert(effect_queue_take(&queue, &effect) && effect.kind == EFFECT_EXIT && effect.outcome == OUTCOME_NO_MEMORY);
  cr_assert(!effect_queue_take(&queue, &effect));
}

/* Each connection begins with its room; whatever else failed, each that began is closed. */
static uint32_t draw_and_close(void) {
  struct effect_queue queue = {0};
  uint32_t told = 0, drawn = 0, closed = 0;
  for (uint32_t i = 0; i < 4; i++) {
    if (!effect_queue_reserve(&queue)) {
      told++;
      continue;
    }
    drawn++;
    told += !effect_queue_put(&queue, &(struct effect){.kind = EFFECT_CONNECT});
    effect_queue_put_reserved(&queue, &(struct effect){.kind = EFFECT_CLOSE});
  }
  for (struct effect effect; effect_queue_take(&queue, &effect);) closed += effect.kind == EFFECT_CLOSE;
  cr_assert(closed == drawn);
  return told;
}

Test(effect_queue, no_failing_allocation_loses_an_effect_that_was_promised) {
  failing_allocator_try_every(draw_and_close, true);
}
