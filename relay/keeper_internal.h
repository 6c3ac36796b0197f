/* The inside of the keeper, shared by keeper.c (verbs, who may connect, figures) and publish.c (keys, descriptor).
 * Spec: specs/fetching.md, specs/descriptor.md. Called by no one else.
 * A key is used only after it is on disk: what was published must survive a crash.
 */
#ifndef TUNIC_RELAY_KEEPER_INTERNAL_H
#define TUNIC_RELAY_KEEPER_INTERNAL_H

#include "directory/expiry.h"
#include "directory/site_count.h"
#include "protocol/effect_queue.h"
#include "protocol/index_map.h"
#include "protocol/limits.h"
#include "protocol/status.h"
#include "protocol/timer_heap.h"
#include "relay/keeper.h"

enum keeper_slot { SLOT_FETCH = 1 };

struct keeper {
  struct keeper_config config;
  struct random_stream random;
  struct wall_clock clock;
  struct id_table connections;
  struct effect_queue effects;
  struct timer_heap timers;
  struct timer publish_timer;
  struct cell_pool *cells;
  struct trunk_pool trunks;
  struct fetch *fetch;
  struct index_map per_address; /* struct place_count of address_source_key */
  struct site_count sites;
  struct onion_keys *keys;
  struct document *descriptor; /* the newest, as it was handed in; NULL: none yet */
  struct id keys_write;        /* the onion keys' file is being written: not yet used */
  instant publish_at;          /* at the latest */
  struct date signing_expires; /* of the newest certificate */
  struct expiry_warning signing_warning;
  uint64_t last_sequence;
  uint32_t shown_first, shown_last; /* serials of the network files that shards show; 0: none */
  bool listed, stopping, keys_sent, publish_due;
  bool network_unsaved, consensus_unsaved, keys_unwritten; /* the last: they could not be */
  bool owes_files[KEEPER_SHARDS_MAX], owes_consensus[KEEPER_SHARDS_MAX], owes_keys[KEEPER_SHARDS_MAX]; /* shards that have not got the newest yet */
  struct document *shown; /* network files for the shards; NULL: none yet */
  struct document *split; /* a proof that is not saved yet */
  uint8_t stage; /* the highest so far: progress never runs backwards */
  uint64_t accepted, refused;
  instant unlisted_since, unlisted_told; /* [DESC-9] INSTANT_NEVER: it is listed, or nobody took its descriptor; not told yet */
  uint32_t links[KEEPER_SHARDS_MAX];
  struct shard_figures figures[KEEPER_SHARDS_MAX];
};

/* onion_keys.c: in guarded memory. NULL: no memory. */
struct onion_keys *onion_keys_new(const struct onion_keys *from);
void onion_keys_free(struct onion_keys *);

/* listing.c: [DESC-9] whether it is in the consensus, and what to look at when it is not. */
void listing_init(struct keeper *);
void listing_note(struct keeper *, instant now);
void listing_add_status(const struct keeper *, instant now, struct status *ret);

/* publish.c: makes the onion key of this time if it is missing, hands the descriptor in when it is due. */
void publish_check(struct keeper *, instant now);
/* A file is on disk. */
void publish_written(struct keeper *, instant now, const struct event *);

#endif
