/* How a node says it is, over its control socket.
 * Spec: specs/outcomes.md [OUT-5]. Called by network/up.c and status.c.
 * Never waits for long: a node that does not answer at once has its own line.
 */
#ifndef TUNIC_NETWORK_NODE_STATE_H
#define TUNIC_NETWORK_NODE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/outcome.h"

enum { NODE_TEXT_BYTES = 160 };

struct node_state {
  bool answers, ready;
  enum outcome cause; /* why it is not ready; NOT_RUNNING if it does not answer */
  uint32_t stage, stages;
  char stage_text[NODE_TEXT_BYTES];
  char path[NODE_TEXT_BYTES]; /* a client's circuit; else "" */
  char soon[NODE_TEXT_BYTES]; /* what a person must renew soon, and when it runs out; else "" */
};

void node_state_ask(const char *folder, const char *name, struct node_state *ret);

#endif
