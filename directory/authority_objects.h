/* The objects of an authority: links, the sources that they come from, peers, relays, votes, and the authority itself.
 * Spec: specs/authority.md. Included by authority_internal.h.
 */
#ifndef TUNIC_DIRECTORY_AUTHORITY_OBJECTS_H
#define TUNIC_DIRECTORY_AUTHORITY_OBJECTS_H

#include "crypto/circuit_handshake.h"
#include "directory/authority.h"
#include "directory/consensus_archive.h"
#include "directory/descriptor.h"
#include "directory/fetch.h"
#include "directory/site_count.h"
#include "directory/tally.h"
#include "directory/vote.h"
#include "protocol/effect_queue.h"
#include "protocol/index_map.h"
#include "protocol/limits.h"
#include "protocol/status.h"
#include "protocol/timer_heap.h"
#include "protocol/token_bucket.h"
#include "protocol/trunk.h"

enum {
  AUTHORITY_VISITORS_MAX = 8192,
  /* Our own links always find room, however many visit. */
  AUTHORITY_CONNECTIONS = AUTHORITY_VISITORS_MAX + LIMIT_PROBES_AT_ONCE + 4 * LIMIT_AUTHORITIES,
};
static_assert((int)LIMIT_LINKS_PER_SITE <= AUTHORITY_VISITORS_MAX / 8, "one IPv6 /48 leaves others places enough");
enum authority_link_kind { LINK_VISITOR = 1, LINK_PEER, LINK_PROBE };
enum { SLOT_FETCH = LINK_PROBE + 1 }; /* the fetch's own connections, in the same table */
enum authority_timer { TIMER_LINK = 1, TIMER_PEER, TIMER_PROBES };

/* Who asks for what others want, too, has a share of their own: relays that are known, and everybody else. */
enum authority_share { SHARE_UNKNOWN, SHARE_RELAYS, SHARE_OTHERS };

struct known_relay;
struct waiting_descriptor;

/* What an address may still ask for; in a lab, where all may be on one machine, a link. */
struct allowance { struct token_bucket descriptors, bytes; };

/* An address that links came from: kept for a while after the last, so that coming again earns nothing. */
struct source {
  struct id id;
  uint64_t key; /* address_source_key */
  uint32_t links, waiting;
  struct allowance allowance;
  struct list_node idle; /* without links, those longest so first */
};

struct authority_link {
  struct id connection;
  enum authority_link_kind kind;
  struct trunk *trunk;          /* NULL while a peer's name is looked up */
  bool is_open, is_gone, is_closed; /* is_closed: the driver is told */
  struct address address;       /* LINK_VISITOR */
  struct id source;             /* LINK_VISITOR; ID_NONE: it has an allowance of its own */
  bool is_of_site;              /* it counts for its IPv6 /48 */
  struct allowance allowance;
  enum authority_share share;   /* found out when it first matters */
  struct waiting_descriptor *waiting; /* handed in, not judged yet; NULL: none */
  int member;                   /* an authority's place: whom a visitor proved to be, whom a peer link is to; -1: nobody */
  struct known_relay *relay;    /* LINK_PROBE */
  struct noise *handshake;
  struct trunk_side side;
  uint16_t put_request, vote_request, consensus_request, network_request; /* LINK_PEER: ours under way; 0: none */
  struct timer timer;
  struct transfer_watch watch;  /* a stranger's, since it opened */
  struct list_node wants_work, gone;
};

/* Another authority, and our link to it. */
struct peer {
  struct authority_link *link;  /* NULL: none now */
  struct timer timer;           /* when to try again */
  uint32_t failures;
  struct list outbox;           /* of struct outgoing: agreement messages that wait */
  uint32_t outbox_count;
  bool wants_consensus, wants_network;
  uint64_t place;               /* address_source_key of where it was looked for last; 0: nowhere yet */
  uint64_t held_serial;         /* of the newest network file that it is known to hold */
  uint32_t wanted_count;        /* votes to ask it for */
  uint8_t wanted[LIMIT_AUTHORITIES][DIGEST_BYTES];
};
/* Whether enough of them are linked to decide anything; what was said of it last. */
enum authority_quorum { QUORUM_UNTOLD, QUORUM_THERE, QUORUM_LOST };
struct outgoing { struct list_node node; struct document *document; };

/* A relay whose descriptor was taken. */
struct known_relay {
  struct id id;
  struct descriptor descriptor;
  struct document *text;
  bool is_running, has_run;     /* now; ever */
  bool has_place;               /* while it runs: its place counts among those of running relays */
  bool is_renewed;              /* in this test: another descriptor came */
  bool is_vouched;              /* in this test: another, asked at the same time, answered */
  struct id vouches_for;        /* in this test: for whom it is that other */
  uint8_t failures;
  uint64_t source;              /* key of the address that it was handed in from */
  struct token_bucket tokens;   /* for its next descriptors */
  instant next_probe, running_since, last_heard;
  instant tested_at, failed_since; /* when this test began; when the first one that failed in a row did */
  uint64_t ran_before;          /* without a break, until running_since, as our vote of before a restart has it */
  struct authority_link *probe; /* under way */
  struct list_node order;       /* by next_probe */
};

/* A vote that we hold, ours or another's. */
struct held_vote {
  uint64_t epoch;
  uint32_t round;
  uint8_t author;
  uint8_t file;     /* which of the vote files */
  bool is_on_disk;  /* until then it counts for nothing */
  uint32_t write;   /* the number of that write */
  uint8_t hash[DIGEST_BYTES];
  struct vote *vote;
};

enum authority_write { WRITE_BALLOT = 1, WRITE_VOTE, WRITE_CONSENSUS, WRITE_EVIDENCE, WRITE_SPLIT, WRITE_NETWORK, WRITE_KINDS };

struct authority {
  struct authority_config config;
  struct random_stream random;
  struct wall_clock clock;
  struct id_table connections, relays;
  struct id_table sources;
  struct index_map by_source;   /* their keys */
  struct site_count sites;
  struct index_map running_places; /* of running relays: how many, by address_source_key */
  struct list idle_sources;
  struct token_bucket newcomers, served_relays, served_others;
  struct list waiting[2];       /* of struct waiting_descriptor: of known relays, of newcomers */
  uint32_t waiting_count[2];
  uint32_t visitors;
  struct index_map by_identity, by_digest; /* of relays and their descriptors, by the first bytes */
  struct effect_queue effects;
  struct effect held[WRITE_KINDS]; /* files for which the queue had no memory: the newest of each kind */
  struct timer_heap timers;
  struct cell_pool *cells;
  struct trunk_pool trunks;
  struct list wants_work, own_work, gone; /* own_work: links that we made ourselves */
  uint32_t work_turn;
  struct list probes[2];          /* relays by next_probe: those that ran before, those that never did */
  struct timer probe_timer;
  uint32_t next_number, probes_under_way[2];
  instant answered;                   /* a test, last ... */
  struct id answered_by;              /* ... and by whom */
  struct peer peers[LIMIT_AUTHORITIES];
  struct network_file in_force;       /* at the next epoch, or the first that is known to come */
  const struct network_file *network; /* that; NULL: none yet */
  uint32_t own;                       /* our place in it, while there is an agreement */
  struct agreement *agreement;        /* NULL: we are not one of its authorities, or not yet */
  enum agreement_ballot_state next_ballot;            /* what the next agreement begins with ... */
  struct document *record, *stored[AUTHORITY_VOTE_FILES]; /* ... and finds, until the first one is made: our record, the votes' files */
  struct fetch *fetch;                /* for that time */
  uint32_t shared_serial;             /* a quorum is known to hold the file of this serial */
  uint32_t ballots_under_way, ballots_stale; /* being written; those of the agreement before this one */
  struct consensus *consensus;
  struct consensus_archive archive; /* the same, and those before it */
  struct held_vote votes[AUTHORITY_VOTE_FILES];
  uint32_t vote_count, vote_writes;
  uint64_t ballot_version;       /* being written */
  struct { uint64_t epoch; uint32_t round; uint8_t hash[DIGEST_BYTES]; uint32_t write; bool waits; } own_vote;
  struct { struct consensus *consensus; struct agreement_certificate certificate; uint32_t write; bool waits; } decided; /* being written */
  struct document *split_proof;  /* NULL: none */
  bool stopping, split, split_unsaved, running_changed, network_unsaved, looks; /* looks: agreement_is_looking */
  enum authority_quorum quorum;
  uint32_t unwritten; /* a bit for each authority_write whose last file could not be written */
  instant again_at; /* when what failed for the disk or for want of memory is done again */
  uint64_t descriptors_taken, descriptors_refused, descriptors_too_busy, signatures_checked, documents_too_busy, document_bytes_served, connections_refused, probes_done, probes_failed, epochs_decided;
};

#endif
