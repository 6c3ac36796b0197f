/* The inside of fetch, shared by fetch.c (what to ask, and when) and fetch_exchange.c (one link and its request).
 * Spec: specs/fetching.md. Called by no one else.
 * An exchange is freed from one place, fetch_end_exchange.
 */
#ifndef TUNIC_DIRECTORY_FETCH_INTERNAL_H
#define TUNIC_DIRECTORY_FETCH_INTERNAL_H

#include "directory/fetch.h"

/* One link to one node, for one request. */
struct exchange {
  struct fetch *fetch;
  bool is_put, asked, needs_work, resolving;
  int authority; /* its place in the network file; -1: a mirror */
  struct id connection;
  struct trunk *trunk; /* NULL while a name is looked up */
  struct link_peer peer;
  uint16_t port;
  instant deadline;
  struct list_node node;
};

/* One authority that the descriptor is handed in at. */
struct publication { bool accepted, under_way; uint32_t failures; instant next; };

struct fetch {
  struct fetch_config config;
  struct wall_clock clock;
  bool has_clock, eager, has_news, split, get_under_way;
  struct consensus *consensus;
  struct document *descriptor;
  struct list exchanges;
  uint32_t get_failures, sources_tried, old_answers, next_number; /* each in a row */
  instant next_get;
  enum outcome last_failure;
  struct publication publications[LIMIT_AUTHORITIES];
};

/* fetch_exchange.c: begins one; false: limits, no memory. */
bool fetch_begin_with_authority(struct fetch *, instant now, uint32_t authority, bool is_put);
bool fetch_begin_with_mirror(struct fetch *, instant now, const struct relay_entry *);
/* Closes it and tells fetch.c how it went, unless that was told already. */
void fetch_end_exchange(struct exchange *, instant now, enum outcome);

/* fetch.c: a consensus came packed; says what came of it. */
enum outcome fetch_take_packed(struct fetch *, instant now, const struct document *packed);
void fetch_get_ended(struct fetch *, instant now, bool from_mirror, enum outcome);
void fetch_put_ended(struct fetch *, instant now, uint32_t authority, enum outcome);

#endif
