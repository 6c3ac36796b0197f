#include "protocol/outcome.h"

#include <stddef.h>
#include <string.h>

struct outcome_entry {
  const char *name, *text, *advice; /* NULL where no outcome has this code */
  int exit_code;
  uint8_t socks_reply;
};

/* [OUT-1] All there are. */
static const struct outcome_entry ENTRIES[] = {
#define X(symbol, code, name, exit_code, socks, text, next) [code] = {name, text, next, exit_code, socks},
    OUTCOMES(X)
#undef X
};
enum { ENTRY_COUNT = sizeof ENTRIES / sizeof ENTRIES[0] };

static const struct outcome_entry *find(enum outcome outcome) {
  size_t code = (size_t)outcome;
  if (code < ENTRY_COUNT && ENTRIES[code].name) return &ENTRIES[code];
  return &ENTRIES[OUTCOME_SYSTEM_FAILED]; /* not one of ours: still something to show */
}

const char *outcome_name(enum outcome outcome) {
  return find(outcome)->name;
}

const char *outcome_text(enum outcome outcome) {
  return find(outcome)->text;
}

const char *outcome_advice(enum outcome outcome) {
  return find(outcome)->advice;
}

/* [OUT-3] */
int outcome_exit_code(enum outcome outcome) {
  return find(outcome)->exit_code;
}

/* [OUT-4] */
uint8_t outcome_socks_reply(enum outcome outcome) {
  return find(outcome)->socks_reply;
}

/* [OUT-2] A code that nobody has defined is the sender's mistake, never a guess of ours. */
bool outcome_from_code(uint8_t code, enum outcome *ret) {
  if (code >= ENTRY_COUNT || !ENTRIES[code].name) return false;
  *ret = (enum outcome)code;
  return true;
}

bool outcome_is_of_hop(enum outcome outcome) {
  if (outcome == OUTCOME_NO_MEMORY || outcome == OUTCOME_SYSTEM_FAILED) return true;
  return outcome <= OUTCOME_CONGESTED && outcome != OUTCOME_NO_EXIT_FOR_PORT;
}

bool outcome_from_name(const char *name, enum outcome *ret) {
  for (size_t i = 0; i < ENTRY_COUNT; i++) {
    if (!ENTRIES[i].name || strcmp(ENTRIES[i].name, name) != 0) continue;
    *ret = (enum outcome)i;
    return true;
  }
  return false;
}
