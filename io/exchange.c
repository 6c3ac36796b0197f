#include "io/exchange.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "protocol/ring.h"

enum { NOT_OVER = -1 };

struct lane {
  struct ring ring;
  _Atomic bool sender_waits; /* it found the ring full */
  bool has_news;             /* the sender's own: put, and not notified yet */
};

struct exchange {
  uint32_t drivers;
  _Atomic int ended; /* an outcome, or NOT_OVER */
  struct loop *loops[EXCHANGE_DRIVERS_MAX];
  uint32_t turn[EXCHANGE_DRIVERS_MAX]; /* each driver's own: whose lane it empties first */
  struct lane *lanes;                  /* [from * drivers + to] */
};

static struct lane *lane(struct exchange *exchange, uint32_t from, uint32_t to) {
  return &exchange->lanes[from * exchange->drivers + to];
}

struct exchange *exchange_new(uint32_t drivers, uint32_t ring_parcels) {
  assert(drivers > 0 && drivers <= EXCHANGE_DRIVERS_MAX);
  size_t count = (size_t)drivers * drivers, size = count * sizeof(struct lane);
  struct exchange *exchange = calloc(1, sizeof *exchange);
  if (exchange == NULL) return NULL;
  exchange->drivers = drivers;
  atomic_init(&exchange->ended, NOT_OVER);
  exchange->lanes = aligned_alloc(_Alignof(struct lane), size);
  bool done = exchange->lanes != NULL;
  for (size_t i = 0; exchange->lanes != NULL && i < count; i++) {
    exchange->lanes[i] = (struct lane){0};
    done = ring_init(&exchange->lanes[i].ring, sizeof(struct parcel), ring_parcels) && done;
  }
  if (!done) {
    exchange_free(exchange);
    return NULL;
  }
  return exchange;
}

void exchange_free(struct exchange *exchange) {
  if (exchange == NULL) return;
  size_t count = exchange->lanes == NULL ? 0 : (size_t)exchange->drivers * exchange->drivers;
  for (size_t i = 0; i < count; i++) ring_wipe(&exchange->lanes[i].ring);
  free(exchange->lanes);
  free(exchange);
}

void exchange_join(struct exchange *exchange, uint32_t driver, struct loop *loop) {
  exchange->loops[driver] = loop;
}

uint32_t exchange_drivers(const struct exchange *exchange) {
  return exchange->drivers;
}

bool exchange_put(struct exchange *exchange, uint32_t to, const struct parcel *parcel) {
  assert(to < exchange->drivers);
  struct lane *way = lane(exchange, parcel->from, to);
  way->has_news = true; /* also if it is full: the receiver may not have been woken for what fills it */
  if (ring_put(&way->ring, parcel)) return true;
  /* Say that we wait, then look again. Both sides exchange the same flag: either the receiver comes later and sees that
   * we wait, or it came before and we see the room it made. */
  atomic_exchange(&way->sender_waits, true);
  return ring_put(&way->ring, parcel);
}

bool exchange_take(struct exchange *exchange, uint32_t driver, struct parcel *ret) {
  for (uint32_t i = 0; i < exchange->drivers; i++) {
    uint32_t from = (exchange->turn[driver] + i) % exchange->drivers;
    struct lane *way = lane(exchange, from, driver);
    if (!ring_take(&way->ring, ret)) continue;
    if (atomic_exchange(&way->sender_waits, false)) loop_wake(exchange->loops[from]);
    exchange->turn[driver] = from + 1;
    return true;
  }
  return false;
}

void exchange_notify(struct exchange *exchange, uint32_t driver) {
  for (uint32_t to = 0; to < exchange->drivers; to++) {
    struct lane *way = lane(exchange, driver, to);
    if (!way->has_news) continue;
    way->has_news = false;
    loop_wake(exchange->loops[to]);
  }
}

void exchange_end(struct exchange *exchange, enum outcome outcome) {
  int expected = NOT_OVER;
  if (!atomic_compare_exchange_strong(&exchange->ended, &expected, (int)outcome)) return;
  for (uint32_t i = 0; i < exchange->drivers; i++)
    if (exchange->loops[i] != NULL) loop_wake(exchange->loops[i]);
}

bool exchange_is_over(const struct exchange *exchange) {
  return atomic_load(&exchange->ended) != NOT_OVER;
}

enum outcome exchange_outcome(const struct exchange *exchange) {
  int ended = atomic_load(&exchange->ended);
  return ended == NOT_OVER ? OUTCOME_OK : (enum outcome)ended;
}
