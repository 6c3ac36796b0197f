#include <string.h>

#include "relay/keeper_internal.h"

#define RETRY_AFTER (5 * SECONDS)
#define PUBLISH_EVERY (16 * HOURS)
#define EXPIRED_RETRY_AFTER (1 * HOURS)

#define LOOK_AT_KEY_EVERY (1 * HOURS)

enum { WARNING_DAYS = 7 };
static_assert(PUBLISH_EVERY / MILLISECONDS * 2 < DESCRIPTOR_AGE_MOST_MS, "a descriptor is replaced well before it is too old");

/* The timer was set when the keeper was made: it has its place. */
static void try_again_at(struct keeper *keeper, instant at) {
  timer_heap_set(&keeper->timers, &keeper->publish_timer, 1, ID_NONE, at);
}

static uint8_t current_generation(const struct keeper *keeper, instant now) {
  return network_onion_generation(&network_chain_newest(keeper->config.networks)->timing, wall_clock_date(&keeper->clock, now));
}

/* [HS-6] All relays rotate at common times: when the next generation begins. */
static instant next_rotation(const struct keeper *keeper, instant now) {
  int64_t rotation = network_chain_newest(keeper->config.networks)->timing.onion_rotation;
  struct date date = wall_clock_date(&keeper->clock, now);
  int64_t left = rotation - date.milliseconds % rotation;
  return instant_after(now, (uint64_t)left * MILLISECONDS);
}

/* The newest was not kept: it must not be used. */
static void drop_newest(struct onion_keys *keys) {
  keys->count--;
  memmove(&keys->keys[0], &keys->keys[1], keys->count * sizeof keys->keys[0]);
}

/* [HS-6] A clock that jumped to another generation is right again: clients use the key that it had before. True if there is one, which then stands in front. */
static bool bring_back(struct keeper *keeper, uint8_t generation) {
  struct onion_keys *keys = keeper->keys;
  uint32_t place = 0;
  while (place < keys->count && keys->keys[place].generation != generation) place++;
  if (place == keys->count || place == 0) return place < keys->count;
  struct onion_key key = keys->keys[place];
  memmove(&keys->keys[1], &keys->keys[0], place * sizeof keys->keys[0]);
  keys->keys[0] = key;
  bytes_wipe(&key, sizeof key);
  keeper->keys_sent = false;
  return true;
}

/* A new key in front; the oldest goes. Used only after it is on disk, so that what was published survives a crash. */
static void make_key(struct keeper *keeper, instant now, uint8_t generation) {
  struct onion_keys *keys = keeper->keys;
  if (keys->count == ONION_KEYS_KEPT) keys->count--;
  memmove(&keys->keys[1], &keys->keys[0], keys->count * sizeof keys->keys[0]);
  keys->count++;
  keys->keys[0].generation = generation;
  random_bytes(&keeper->random, keys->keys[0].secret, X25519_BYTES);
  x25519_public(keys->keys[0].public_key, keys->keys[0].secret);
  char text[512];
  size_t len = onion_keys_format(keys, text, sizeof text);
  struct effect effect = {.kind = EFFECT_WRITE_FILE,
                          .id = {1, 1},
                          .name = KEEPER_ONION_KEYS_FILE,
                          .document = document_new_secret(text, len),
                          .secret = true};
  bytes_wipe(text, sizeof text);
  keeper->keys_sent = false;
  if (effect.document == NULL || !effect_queue_put(&keeper->effects, &effect)) {
    document_release(effect.document);
    drop_newest(keys);
    try_again_at(keeper, instant_after(now, RETRY_AFTER));
    return;
  }
  keeper->keys_write = effect.id;
}

static void send_keys(struct keeper *keeper) {
  for (uint32_t i = 0; i < keeper->config.shard_count; i++) keeper->owes_keys[i] = true;
  keeper->keys_sent = true;
}

/* [DESC-4] The sequence rises with time, and over anything that this relay published before. */
static uint64_t next_sequence(struct keeper *keeper, struct date date) {
  uint64_t sequence = date.milliseconds > 0 ? (uint64_t)date.milliseconds : 1;
  if (sequence <= keeper->last_sequence) sequence = keeper->last_sequence + 1;
  return keeper->last_sequence = sequence;
}

/* [DESC-3] With the identity at hand the signing key never runs out; without it a person must bring a new one in time. False: it
 * ran out. */
static bool certify(struct keeper *keeper, struct descriptor *descriptor) {
  const struct guarded_key *identity = keeper->config.identity_seed;
  if (identity != NULL) {
    descriptor->signing_expires = date_after(descriptor->published, DESCRIPTOR_SIGNING_KEY_MOST_MS);
    descriptor_certify(descriptor, identity->bytes);
  }
  keeper->signing_expires = descriptor->signing_expires;
  return date_compare(descriptor->published, descriptor->signing_expires) < 0;
}

/* [OUT-7] A month is soon over, and only a person can bring the next one. */
static void warn_of_expiry(struct keeper *keeper, instant now) {
  if (keeper->config.identity_seed != NULL) return;
  expiry_warn(&keeper->signing_warning, keeper->config.trace, "signing key", WARNING_DAYS, keeper->signing_expires, wall_clock_date(&keeper->clock, now),
              "then nothing can be published. Where the identity is kept: tunic-relay --new-signing-key --network FILE --data DIR; carry secret-signing "
              "and signing-certificate from there to this relay's folder, and start it anew");
}

static bool publish(struct keeper *keeper, instant now) {
  struct descriptor descriptor = *keeper->config.descriptor;
  char text[LIMIT_DESCRIPTOR_BYTES];
  descriptor.published = wall_clock_date(&keeper->clock, now);
  if (!certify(keeper, &descriptor)) return false;
  descriptor.sequence = next_sequence(keeper, descriptor.published);
  descriptor.onion_generation = keeper->keys->keys[0].generation;
  memcpy(descriptor.onion_key, keeper->keys->keys[0].public_key, X25519_BYTES);
  size_t len = descriptor_format(&descriptor, text, sizeof text);
  if (len > 0) len = descriptor_sign(text, len, sizeof text, keeper->config.signing_seed->bytes);
  struct document *document = len == 0 ? NULL : document_new(text, len);
  if (document == NULL) return false;
  struct effect write = {.kind = EFFECT_WRITE_FILE, .id = {2, 1}, .name = KEEPER_DESCRIPTOR_FILE, .document = document_take(document)};
  if (!effect_queue_put(&keeper->effects, &write)) {
    document_release(document);
    document_release(document);
    return false;
  }
  document_release(keeper->descriptor); /* [FETCH-7] */
  keeper->descriptor = document_take(document);
  fetch_publish(keeper->fetch, now, document);
  keeper->publish_at = instant_after(now, PUBLISH_EVERY);
  return true;
}

void publish_check(struct keeper *keeper, instant now) {
  warn_of_expiry(keeper, now);
  if (!id_is_none(keeper->keys_write) || keeper->stopping) return;
  uint8_t generation = current_generation(keeper, now);
  if (!bring_back(keeper, generation)) {
    make_key(keeper, now, generation);
    return;
  }
  /* [DESC-8] Before the last one is too old to be taken by an authority that was away. */
  keeper->publish_due = keeper->publish_due || !keeper->keys_sent || keeper->descriptor == NULL || keeper->publish_at <= now;
  if (!keeper->keys_sent) send_keys(keeper);
  if (keeper->publish_due) keeper->publish_due = !publish(keeper, now);
  bool expired = date_compare(wall_clock_date(&keeper->clock, now), keeper->signing_expires) >= 0;
  instant at = instant_earlier(next_rotation(keeper, now), keeper->publish_at);
  if (keeper->config.identity_seed == NULL) at = instant_earlier(at, instant_after(now, LOOK_AT_KEY_EVERY));
  if (keeper->publish_due) at = instant_after(now, expired ? EXPIRED_RETRY_AFTER : RETRY_AFTER);
  try_again_at(keeper, at);
}

void publish_written(struct keeper *keeper, instant now, const struct event *event) {
  if (!id_equal(event->id, keeper->keys_write)) return;
  keeper->keys_write = ID_NONE;
  bool was_unwritten = keeper->keys_unwritten;
  keeper->keys_unwritten = event->outcome != OUTCOME_OK;
  if (!keeper->keys_unwritten) {
    publish_check(keeper, now);
    return;
  }
  drop_newest(keeper->keys);
  if (!was_unwritten) trace_write(keeper->config.trace, TRACE_ERROR, "keeper", "the onion keys could not be written: %s", outcome_advice(event->outcome));
  try_again_at(keeper, instant_after(now, RETRY_AFTER));
}
