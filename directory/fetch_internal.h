/* The inside of fetch, shared by fetch.c (what to ask, and when), fetch_exchange.c (one link and its request),
 * fetch_documents.c (what came) and fetch_clock.c (whose clock is wrong). Spec: specs/fetching.md. Called by no one else.
 * An exchange is freed from one place, fetch_end_exchange.
 */
#ifndef TUNIC_DIRECTORY_FETCH_INTERNAL_H
#define TUNIC_DIRECTORY_FETCH_INTERNAL_H

#include "directory/expiry.h"
#include "directory/fetch.h"

#define FETCH_PATIENCE_FIRST (2 * MINUTES) /* [FETCH-14] */

/* One link to one node, for one request. */
struct exchange {
  struct fetch *fetch;
  bool is_borrowed;    /* the trunk is the client's link to its guard: there is no connection of ours */
  uint16_t request;    /* under way */
  bool is_put, asked, wants_diff, needs_work, resolving;
  bool asks_file;      /* what is under way is a network file */
  bool took_file;      /* one was taken since the consensus waits */
  bool compares, compared; /* [FETCH-12] what is under way is a file of a serial that we know; once */
  uint32_t files_asked;
  struct document *kept;       /* a consensus, or diff, that is judged once more with its network file; NULL: none */
  enum outcome failed;         /* what became of it at first */
  struct network_chain *trial; /* a mirror's files, until that consensus proves them; NULL: none */
  int authority;       /* its place in the network file; -1: a mirror */
  uint32_t serial;     /* of that file */
  struct id connection;
  struct trunk *trunk; /* NULL while a name is looked up */
  struct link_peer peer;
  uint16_t port;
  struct transfer_watch watch; /* whether it moves */
  instant look_at, give_up_at; /* [FETCH-14] */
  struct list_node node;
};

/* What an authority said of the time on its own link: how far our clock is ahead of it; nothing, before it was heard. */
struct heard_time { bool asked, heard; int64_t ahead_ms; };

/* [FETCH-9] */
enum clock_verdict {
  CLOCK_PLAUSIBLE, /* nothing speaks against it */
  CLOCK_UNKNOWN,   /* the newest consensus is past: our clock or the directory, and too few authorities were heard */
  CLOCK_RIGHT,     /* the directory has stopped */
  CLOCK_AHEAD,
  CLOCK_BEHIND,
};

/* One authority that the descriptor is handed in at. */
struct publication { bool accepted, under_way, was_told; uint32_t failures; instant next; }; /* was_told: that it fails */

struct fetch {
  struct fetch_config config;
  struct wall_clock clock;
  bool has_clock, eager, has_news, has_network_news, split, get_under_way, resting;
  struct document *split_proof; /* two texts that contradict each other, until they were taken */
  char split_text[80];          /* which */
  bool wants_guard;
  instant guard_until;  /* if there is none by then, others are asked */
  uint8_t guard[IDENTITY_BYTES]; /* that was asked last */
  uint64_t asked_guard, asked_relays, asked_authorities;
  bool wants_whole;       /* a diff failed */
  uint32_t wanted_serial; /* a consensus named this network file, which is not known; 0: none */
  struct consensus *consensus;
  struct document *descriptor;
  struct list exchanges;
  uint64_t patience; /* [FETCH-14] with an exchange that moves; bounded by the interval when it is used */
  uint32_t get_failures, sources_tried, old_answers, next_number; /* each in a row */
  instant next_get;
  struct expiry_warning network_expiry;
  enum outcome last_failure;
  struct publication publications[LIMIT_AUTHORITIES];
  struct heard_time times[LIMIT_AUTHORITIES]; /* since the clock was set */
  uint32_t times_serial;                      /* the network file whose authorities they are */
  struct { uint64_t epoch; struct date valid_after, valid_until; } seen; /* the newest consensus that a quorum signed, usable or not */
  enum clock_verdict verdict;                                            /* the last that was logged */
};

/* fetch_clock.c */
void fetch_clock_reset(struct fetch *);
void fetch_note_time(struct fetch *, instant now, uint32_t serial, uint32_t authority, struct date theirs);
void fetch_note_asked(struct fetch *, uint32_t authority);
void fetch_note_dates(struct fetch *, const struct consensus_header *);
/* ret_off_ms: how far the clock is off, or how long the directory has been silent. */
enum clock_verdict fetch_judge_clock(const struct fetch *, instant now, int64_t *ret_off_ms);
/* The authority to ask in place of a mirror, since its time is wanted; -1: none. first_round: none that was asked already. */
int fetch_next_to_ask_for_time(const struct fetch *, instant now, bool first_round);
/* Says it in the log, once. */
void fetch_follow_clock(struct fetch *, instant now);

/* fetch_exchange.c: begins one; false: limits, no memory. */
bool fetch_begin_with_authority(struct fetch *, instant now, const struct network_file *, uint32_t authority, bool is_put);
bool fetch_begin_with_mirror(struct fetch *, instant now, const struct relay_entry *);
void fetch_free_exchange(struct exchange *);
/* Over a link that is open already, and stays the client's. */
bool fetch_begin_with_guard(struct fetch *, instant now, struct trunk *);
/* Looks whether it goes on, when it is due. */
instant fetch_exchange_deadline(const struct exchange *);
void fetch_exchange_tick(struct exchange *, instant now);
/* Closes it and tells fetch.c how it went, unless that was told already. */
void fetch_end_exchange(struct exchange *, instant now, enum outcome);

/* fetch_documents.c */
/* A consensus came packed, or a diff from ours to it; says what came of it. trial (NULL: none): our chain with files added; it is
 * judged by that, and if it is valid they are ours. */
enum outcome fetch_take_consensus(struct fetch *, instant now, const struct document *packed, bool is_diff, struct network_chain *trial);
/* As fetch_take_network, into a trial. */
enum outcome fetch_try_network(struct fetch *, struct network_chain *trial, const struct document *text);
/* Which serial to ask for the file behind: the newest, or the one before the oldest if an older one is what is missing. */
uint64_t fetch_file_after(const struct fetch *, const struct network_chain *);

/* fetch.c */
void fetch_get_ended(struct fetch *, instant now, bool from_mirror, enum outcome);
/* The file that says how fast the next epoch lives, and whom to ask for it. */
const struct network_file *fetch_network(const struct fetch *);
/* An authority that fetches asks the others. */
bool fetch_is_own(const struct fetch *, const struct network_authority *);
void fetch_put_ended(struct fetch *, instant now, uint32_t serial, uint32_t authority, enum outcome);

#endif
