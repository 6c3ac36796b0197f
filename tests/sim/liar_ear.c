/* Where liars hear, and where honest authorities judge what they are told: the agreement knows its authority. */
#include "directory/agreement_state.h"
#include "tests/sim/liar.h"

enum outcome __real_agreement_receive(struct agreement *, instant now, uint8_t from, const uint8_t *bytes, size_t len);
enum outcome __wrap_agreement_receive(struct agreement *, instant now, uint8_t from, const uint8_t *bytes, size_t len);

enum outcome __wrap_agreement_receive(struct agreement *agreement, instant now, uint8_t from, const uint8_t *bytes, size_t len) {
  void *authority = agreement->tally.context;
  liar_hears(authority, now, bytes, len);
  enum outcome outcome = __real_agreement_receive(agreement, now, from, bytes, len);
  liar_judged(authority, from, outcome);
  return outcome;
}
