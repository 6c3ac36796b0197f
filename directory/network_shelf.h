/* The network files that a mirror shows, apart from the chain that took them: a relay's keeper has the chain, its shards answer.
 * Spec: specs/network-file.md [NET-13]. Filled by a shard from the keeper's message; also by tests.
 * Verifies nothing: what it is given comes from a chain.
 */
#ifndef TUNIC_DIRECTORY_NETWORK_SHELF_H
#define TUNIC_DIRECTORY_NETWORK_SHELF_H

#include "directory/network_chain.h"

struct network_shelf { uint32_t first, count; struct document *texts[NETWORK_CHAIN_FILES]; }; /* first: a serial; zeroed: empty */

/* Puts these in place of what it held: texts in a row, as network_chain_text_until gives them, the first of that serial. Without
 * memory it keeps what it held. */
void network_shelf_fill(struct network_shelf *, const struct document *texts, uint32_t first);
/* The text of the serial behind this one, the shelf's own; NULL: it has none. */
struct document *network_shelf_after(const struct network_shelf *, uint64_t serial);
void network_shelf_wipe(struct network_shelf *);

#endif
