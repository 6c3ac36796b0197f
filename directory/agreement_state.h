/* What the agreement's machine is made of; for its own files alone.
 * Spec: specs/agreement.md [AGREE-*]. Included by agreement*.c: rules decide, receive checks and stores, status helps those
 * behind, outbox holds what leaves until the ballot record is on disk.
 * All memory is here, bounded by authorities and by four views; only what is to be sent is allocated.
 */
#ifndef TUNIC_DIRECTORY_AGREEMENT_STATE_H
#define TUNIC_DIRECTORY_AGREEMENT_STATE_H

#include "directory/agreement.h"
#include "directory/agreement_ballot.h"

enum {
  AGREEMENT_VIEWS_KEPT = 4,    /* [AGREE-31] the view before ours, ours, two ahead */
  AGREEMENT_OUTBOX_MAX = 1024, /* [AGREE-31] what finds no room is lost, as on any bad link */
  AGREEMENT_FAULT_EPOCHS = 24, /* [AGREE-25] */
  AGREEMENT_LOST_EPOCHS = 2,   /* [AGREE-22] */
  AGREEMENT_LOOK_INTERVALS = 2, /* [AGREE-32] */
};

struct heard_prepare { struct agreement_choice choice; uint8_t signature[ED25519_SIGNATURE_BYTES]; };
struct heard_sign { uint8_t digest[DIGEST_BYTES]; uint8_t signature[ED25519_SIGNATURE_BYTES]; };

enum tally_state { TALLY_NOT_YET, TALLY_AGREES, TALLY_DIFFERS };

/* What was heard of one view: the first of each kind from each authority; bit i stands for authority i. */
struct heard_view {
  bool used;
  uint32_t view;
  bool has_proposal;
  bool is_spoiled; /* its leader signed a proposal that breaks a rule */
  enum tally_state tally;
  bool is_fetching; /* its leader was asked for votes that are missing; from now on anyone is */
  instant fetch_at;
  struct date valid_after;            /* if the tally agrees */
  struct agreement_message proposal;
  uint32_t prepared, signed_by;
  struct heard_prepare prepares[LIMIT_AUTHORITIES];
  struct heard_sign signs[LIMIT_AUTHORITIES];
};

/* The newest vote of an author. */
struct heard_vote { bool present; struct agreement_vote vote; instant fetch_at; };

struct heard_timeout { bool present; uint32_t view; struct agreement_timeout timeout; struct agreement_lock lock; };

/* What is known of another authority's state; instants before which it is not asked or answered again. */
struct peer { instant ask_at, answer_at; bool has_reported; uint64_t reported_decided; };

struct outbox_node { struct outbox_node *next; uint64_t version; struct agreement_effect effect; };

struct agreement {
  struct agreement_members members;
  uint8_t own;
  struct guarded_key *seed;
  struct agreement_timing timing;
  struct agreement_tally tally;
  const struct trace *trace;
  struct wall_clock clock;

  /* The record, as it will be written; versions count its changes that something may rest on. */
  struct agreement_ballot ballot;
  uint64_t version, written, writing; /* writing 0: no write under way */

  /* This epoch. */
  struct heard_view views[AGREEMENT_VIEWS_KEPT];
  struct heard_vote votes[LIMIT_AUTHORITIES];
  struct heard_timeout timeouts[LIMIT_AUTHORITIES];
  uint32_t heard; /* authorities that speak in this epoch */
  uint8_t refused_vector[DIGEST_BYTES]; /* our last proposal that the tally refused: not counted again */
  bool has_refused;
  instant vote_made_at;

  /* The newest decision that was proven here: of this epoch (then it is over, and waits for its document) or the last. */
  struct agreement_certificate certificate;
  uint64_t certificate_version;
  uint8_t certificate_from;
  bool is_announced; /* DECIDED or BEHIND left */

  instant opens_at, opened_at, view_ends, propose_at, status_at, announce_at;
  instant look_ends; /* [AGREE-32] */
  bool has_looked;
  bool wants_early;
  bool is_late; /* the moment for slow votes has passed in this view */

  struct date valid_after; /* of the newest consensus */
  bool wants_vote;         /* WANT_VOTE is to leave */
  bool awaits_vote;        /* it left, and give_vote answers it */
  bool write_is_held;      /* writing the record failed: again at the next tick */
  uint32_t accuse; /* bit i: proof against i is to be handed out */
  struct peer peers[LIMIT_AUTHORITIES];
  struct outbox_node *first, *last;
  uint32_t outbox_count;
  uint64_t refused, dropped;
};

/* agreement.c */
void agreement_begin_epoch(struct agreement *, instant now, uint64_t epoch, const uint8_t previous[DIGEST_BYTES]);
bool agreement_may_speak(const struct agreement *);
bool agreement_is_over(const struct agreement *); /* this epoch is decided, its consensus not yet adopted */
uint32_t agreement_leader(const struct agreement *, uint32_t view);
uint64_t agreement_view_length(const struct agreement *);
uint64_t agreement_status_period(const struct agreement *);
/* The record changed in a way that what leaves from now on rests on. */
void agreement_ballot_changed(struct agreement *);

/* agreement_rules.c: carries out every rule whose time has come. */
void agreement_advance(struct agreement *, instant now);
void agreement_enter_view(struct agreement *, instant now, uint32_t view, const struct agreement_entry *);
/* Makes, sends and stores a message of ours. */
void agreement_say(struct agreement *, instant now, struct agreement_message *);
/* After a restart: what the record says was said, once more. */
void agreement_say_again(struct agreement *, instant now);

/* agreement_store.c: keeps what was checked; the one door for others' messages and ours. */
enum outcome agreement_check(struct agreement *, struct agreement_message *);
void agreement_store(struct agreement *, instant now, const struct agreement_message *);
void agreement_note_fault(struct agreement *, const struct agreement_fault *);
void agreement_note_certificate(struct agreement *, const struct agreement_certificate *, uint8_t from);
bool agreement_is_accused(const struct agreement *, uint8_t author);
/* NULL: a view that is not kept. */
struct heard_view *agreement_view(struct agreement *, uint32_t view);

/* The vector that the certificate's consensus results from, by our own tally; false: not known here. */
bool agreement_find_decided(struct agreement *, struct agreement_vector *ret_vector, struct date *ret_valid_after);

/* agreement_status.c */
void agreement_send_status(struct agreement *, uint8_t to);
void agreement_answer_status(struct agreement *, instant now, const struct agreement_message *);
void agreement_ask(struct agreement *, instant now, uint8_t peer);

/* agreement_silence.c: [AGREE-22], [AGREE-32] what others report, and whether it is enough to know how long a lost record keeps us silent. */
void agreement_note_report(struct agreement *, const struct agreement_message *);
void agreement_end_silence(struct agreement *, instant now);
void agreement_begin_look(struct agreement *, instant now, bool has_consensus);

/* agreement_outbox.c */
void agreement_send(struct agreement *, uint8_t to, const struct agreement_message *);
void agreement_fetch(struct agreement *, uint8_t to, const uint8_t hash[DIGEST_BYTES]);
void agreement_outbox_wipe(struct agreement *);

#endif
