#include "client/demand.h"

#define REMEMBERED (1 * HOURS)

void demand_init(struct demand *demand, instant now) {
  *demand = (struct demand){.minute_at = now};
  demand_note_port(demand, now, 443);
  demand_note_port(demand, now, 80);
}

/* The one that was used longest ago makes room. */
void demand_note_port(struct demand *demand, instant now, uint16_t port) {
  uint32_t place = 0;
  for (uint32_t i = 0; i < DEMAND_PORTS; i++) {
    if (demand->ports[i].port == port) {
      demand->ports[i].used_at = now;
      return;
    }
    if (demand->ports[place].port == 0) continue;
    if (demand->ports[i].port == 0 || demand->ports[i].used_at < demand->ports[place].used_at) place = i;
  }
  demand->ports[place].port = port;
  demand->ports[place].used_at = now;
}

void demand_note_claim(struct demand *demand, instant now) {
  uint64_t passed = instant_until(demand->minute_at, now);
  if (passed >= MINUTES) {
    demand->claims_before = passed < 2 * MINUTES ? demand->claims : 0;
    demand->claims = 0;
    demand->minute_at = now;
  }
  demand->claims++;
}

uint32_t demand_spares(const struct demand *demand, instant now) {
  uint64_t passed = instant_until(demand->minute_at, now);
  uint32_t recent = passed < 2 * MINUTES ? demand->claims : 0;
  if (passed < MINUTES && demand->claims_before > recent) recent = demand->claims_before;
  uint32_t wanted = recent + 1; /* as many as a minute took, and one */
  return wanted < SPARE_LEAST ? SPARE_LEAST : wanted > SPARE_MOST ? SPARE_MOST : wanted;
}

uint16_t demand_next_port(const struct demand *demand, instant now, uint32_t *cursor) {
  while (*cursor < DEMAND_PORTS) {
    uint32_t i = (*cursor)++;
    if (demand->ports[i].port != 0 && instant_until(demand->ports[i].used_at, now) < REMEMBERED) return demand->ports[i].port;
  }
  return 0;
}
