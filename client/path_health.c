#include "client/path_health.h"

#include <string.h>

enum { DIED_LEAST = 8, COUNTED_MOST = 128 };
#define AVOIDED_FOR (1 * HOURS)

static struct relay_health *find(struct path_health *health, instant now, const uint8_t identity[IDENTITY_BYTES]) {
  struct relay_health *oldest = &health->relays[0];
  for (uint32_t i = 0; i < health->count; i++) {
    struct relay_health *relay = &health->relays[i];
    if (memcmp(relay->identity, identity, IDENTITY_BYTES) == 0) {
      relay->noted_at = now;
      return relay;
    }
    if (relay->noted_at < oldest->noted_at) oldest = relay;
  }
  if (health->count < PATH_HEALTH_RELAYS) oldest = &health->relays[health->count++];
  *oldest = (struct relay_health){.noted_at = now};
  memcpy(oldest->identity, identity, IDENTITY_BYTES);
  return oldest;
}

void path_health_built(struct path_health *health, instant now, const uint8_t identity[IDENTITY_BYTES]) {
  struct relay_health *relay = find(health, now, identity);
  relay->built++;
  if (relay->built < COUNTED_MOST) return;
  relay->built /= 2; /* what was long ago counts less */
  relay->died /= 2;
}

/* [BUILD-6] */
bool path_health_died(struct path_health *health, instant now, const uint8_t identity[IDENTITY_BYTES]) {
  struct relay_health *relay = find(health, now, identity);
  relay->died++;
  bool is_bad = relay->died >= DIED_LEAST && relay->died * 2 > relay->built;
  bool is_news = is_bad && relay->avoid_until <= now;
  if (is_news) relay->avoid_until = instant_after(now, AVOIDED_FOR);
  return is_news;
}

void path_health_avoided(const struct path_health *health, instant now, struct path_avoided *ret) {
  ret->count = 0;
  for (uint32_t i = 0; i < health->count && ret->count < PATH_AVOIDED_MAX; i++)
    if (health->relays[i].avoid_until > now) memcpy(ret->identities[ret->count++], health->relays[i].identity, IDENTITY_BYTES);
}
