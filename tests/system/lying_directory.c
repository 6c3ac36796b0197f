/* An authority that lies, of the shipped code: whatever it has to say, it says two ways, one to each half of the others.
 * Linked in place of tunic-directory with peers_send wrapped (-Wl,--wrap=peers_send): two votes of one epoch and round, both
 * with their documents; two PREPAREs and two SIGNs of one view; proposals that half of the others never hear of.
 * Everything is properly signed with its own key, so only the agreement's rules stand against it.
 */
#include "tests/liars/authority.h"

void __real_peers_send(struct authority *, instant now, uint8_t to, struct document *);
void __wrap_peers_send(struct authority *, instant now, uint8_t to, struct document *);

void __wrap_peers_send(struct authority *authority, instant now, uint8_t to, struct document *document) {
  static struct liar_face face;
  bool is_proposal = document_bytes(document)[0] == AGREEMENT_PROPOSE;
  struct document *other = is_proposal ? NULL : liar_otherwise(authority, &face, now, document);
  for (uint8_t i = 0; i < authority->network->authority_count; i++) {
    if (to != AGREEMENT_EVERYONE && to != i) continue;
    bool is_odd = i % 2 == 1;
    if (is_odd && is_proposal) continue;
    __real_peers_send(authority, now, i, is_odd && other != NULL ? other : document);
  }
  document_release(other);
}
