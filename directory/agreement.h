/* The authorities' agreement on which votes count: one authority's machine, epoch after epoch.
 * Spec: specs/agreement.md [AGREE-*]. Called by the directory authority, which owns links, documents and files.
 * Time and bytes come in; messages, wishes and decisions come out as effects, taken one at a time, and the deadline is a
 * query. It knows votes and consensuses by their hashes alone. Never reads a clock, draws no randomness, does no I/O.
 */
#ifndef TUNIC_DIRECTORY_AGREEMENT_H
#define TUNIC_DIRECTORY_AGREEMENT_H

#include "directory/agreement_message.h"
#include "protocol/document.h"
#include "protocol/instant.h"
#include "protocol/trace.h"

struct agreement; /* opaque */

/* What a vector of votes results in. */
struct agreement_result { uint8_t digest[DIGEST_BYTES]; struct date valid_after; };

/* The documents, seen from here: both are pure functions of the documents that the owner holds. */
struct agreement_tally {
  void *context;
  /* Whether this vote's document is on disk, well formed, and by this author for this epoch, round and predecessor. */
  bool (*holds)(void *context, uint64_t epoch, const uint8_t previous[DIGEST_BYTES], const struct agreement_vote *);
  /* The consensus that these votes, all held, result in. Not OK: they result in none. */
  enum outcome (*count)(void *context, uint64_t epoch, const uint8_t previous[DIGEST_BYTES], const struct agreement_vector *,
                        struct agreement_result *ret);
};

/* [AGREE-4], [AGREE-26] Nanoseconds; view_first and interval are above 0. */
struct agreement_timing { uint64_t view_first, view_most, interval, early_gap; };

/* NEW: this authority never took part. LOST: it did, but its record is gone; a record that is damaged counts as lost. */
enum agreement_ballot_state { AGREEMENT_BALLOT_NEW, AGREEMENT_BALLOT_READ, AGREEMENT_BALLOT_LOST };

struct agreement_config {
  struct agreement_members members;
  uint8_t own;                    /* this authority's place */
  const uint8_t *seed;            /* of its identity; copied into guarded memory */
  struct agreement_timing timing;
  struct agreement_tally tally;
  enum agreement_ballot_state ballot_state;
  const uint8_t *ballot;          /* READ: the record's bytes */
  size_t ballot_len;
  struct agreement_certificate decided; /* the newest consensus that the owner has on disk; epoch 0: none */
  struct date decided_valid_after;
  uint8_t genesis[DIGEST_BYTES];  /* the network file's digest: what epoch 1 names as its predecessor */
  struct wall_clock clock;
  const struct trace *trace;      /* may be NULL */
};

/* NULL with *ret_outcome: NO_MEMORY, WRONG_NETWORK (the record is another network's or authority's). */
struct agreement *agreement_new(const struct agreement_config *, instant now, enum outcome *ret_outcome);
void agreement_free(struct agreement *); /* NULL is allowed */

/* A message from authority `from`, over a link that proved it is `from`. OK, or why it changed nothing: STALE (old, doubled,
 * or too far ahead), WRONG_NETWORK, BAD_DOCUMENT, BAD_SIGNATURE, TOO_FEW_SIGNATURES, TOO_LARGE, PROTOCOL_VIOLATION;
 * DIRECTORY_SPLIT: it proves a second consensus for the newest decided epoch. Keep it, and stop. */
enum outcome agreement_receive(struct agreement *, instant now, uint8_t from, const uint8_t *bytes, size_t len);
/* A link to authority `peer` is up anew: it is told where we are. */
void agreement_link_opened(struct agreement *, instant now, uint8_t peer);
/* Answers WANT_VOTE. The document is on disk, and `holds` says so. STALE: no longer wanted. */
enum outcome agreement_give_vote(struct agreement *, instant now, uint64_t epoch, uint32_t round, const uint8_t hash[DIGEST_BYTES]);
/* A vote's document is on disk: `holds` may answer otherwise now. */
void agreement_vote_arrived(struct agreement *, instant now);
/* Whether the lock, ours or the one that opened the view, or the view's proposal names this vote: its document must stay. */
bool agreement_needs_vote(const struct agreement *, const uint8_t hash[DIGEST_BYTES]);
/* The record of this version is on disk, renamed and synced. A write that failed is given up by asking anew: */
void agreement_ballot_written(struct agreement *, instant now, uint64_t version);
void agreement_ballot_failed(struct agreement *, instant now, uint64_t version);
/* The consensus of DECIDED or BEHIND, or a newer one, is on disk and valid: on to the next epoch. STALE: not newer;
 * DIRECTORY_SPLIT: not the one that was decided here. */
enum outcome agreement_adopt_decided(struct agreement *, instant now, const struct agreement_certificate *, struct date valid_after);
/* A valid consensus is on its way to the disk: whatever becomes of that, nothing is said in its epoch or before any more. */
void agreement_note_decided(struct agreement *, const struct agreement_certificate *);
/* [AGREE-26] Whether the running relays differ from the newest consensus: if so the next epoch opens early. Asked for anew
 * after each adoption. */
void agreement_want_early(struct agreement *, instant now, bool wanted);
/* The wall clock was set. */
void agreement_set_clock(struct agreement *, instant now, const struct wall_clock *);

/* [AGREE-32] It lost its record, and asks everybody for later consensuses before it speaks again: the owner asks relays, too. */
bool agreement_is_looking(const struct agreement *);
/* [AGREE-33] A person's word: the record with which this authority looks around and speaks again. `bytes`: its record as it is, NULL:
 * none. STALE: that one is whole, nothing is lost; WRONG_NETWORK: it is another's. */
enum outcome agreement_forget_ballot(const struct agreement_members *, uint8_t own, const uint8_t *bytes, size_t len,
                                     const struct agreement_certificate *decided, const uint8_t genesis[DIGEST_BYTES], uint8_t *out, size_t room,
                                     size_t *ret_len);

instant agreement_deadline(const struct agreement *);
void agreement_tick(struct agreement *, instant now);

enum { AGREEMENT_EVERYONE = 255 };

enum agreement_effect_kind {
  AGREEMENT_WRITE_BALLOT, /* document, version: answered by ballot_written */
  AGREEMENT_SEND,         /* to (an authority or EVERYONE else), document */
  AGREEMENT_FETCH,        /* to (who should have it), hash: a vote's document, from anyone; asked again while it is missing */
  AGREEMENT_WANT_VOTE,    /* epoch, round, hash (of the predecessor): answered by give_vote */
  AGREEMENT_DECIDED,      /* certificate, vector, hash (of the predecessor), valid_after: make that consensus, write it, adopt it */
  AGREEMENT_BEHIND,       /* certificate: fetch that consensus from `to` or anyone, write it, adopt it */
  AGREEMENT_ACCUSE,       /* author `to`, document: a FAULT message, to keep as evidence */
};

struct agreement_effect {
  enum agreement_effect_kind kind;
  uint8_t to;
  struct document *document; /* the caller's to release */
  uint64_t version;
  uint64_t epoch;
  uint32_t round;
  uint8_t hash[DIGEST_BYTES];
  struct agreement_certificate certificate;
  struct agreement_vector vector;
  struct date valid_after;
};

/* The next effect; false: none now. Nothing leaves that rests on a ballot record not yet on disk. DECIDED and BEHIND come
 * again from time to time until something is adopted. */
bool agreement_next_effect(struct agreement *, struct agreement_effect *ret);

/* For people. */
struct agreement_summary {
  uint64_t epoch, decided_epoch, silent_before; /* silent_before UINT64_MAX: lost, and not yet known for how long; one less: looks */
  uint32_t view;
  bool open, silent;
  uint32_t votes, prepares, signs, timeouts; /* how many authorities were heard, in this view */
  uint32_t accused;                          /* bit i: authority i */
  uint64_t refused, dropped;                 /* messages that changed nothing; messages that found no room to leave */
  instant opens_at;                          /* when the epoch opens, if it is not open */
};
void agreement_summarise(const struct agreement *, struct agreement_summary *ret);

#endif
