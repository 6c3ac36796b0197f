/* The agreement's messages: their fields, their exact bytes, and the parts that several of them share.
 * Spec: specs/agreement.md [AGREE-6] to [AGREE-16]. Called by the agreement's machine, its ballot record and its tests.
 * Decoding is strict: what it accepts encodes to the same bytes again. Never checks a signature (agreement_check does),
 * never allocates.
 */
#ifndef TUNIC_DIRECTORY_AGREEMENT_MESSAGE_H
#define TUNIC_DIRECTORY_AGREEMENT_MESSAGE_H

#include "crypto/keys.h"
#include "directory/byte_cursor.h"
#include "protocol/limits.h"
#include "protocol/outcome.h"

enum agreement_kind {
  AGREEMENT_VOTE = 1,
  AGREEMENT_PROPOSE = 2,
  AGREEMENT_PREPARE = 3,
  AGREEMENT_SIGN = 4,
  AGREEMENT_TIMEOUT = 5,
  AGREEMENT_STATUS = 6,
  AGREEMENT_CERTIFICATE = 7,
  AGREEMENT_ENTER = 8,
  AGREEMENT_FAULT = 9,
};

/* Who takes part: the authorities of one serial of the network file, in its order. */
struct agreement_members {
  uint8_t network[32];
  uint32_t serial;
  uint32_t n, f, q; /* [AGREE-1] */
  uint8_t identities[LIMIT_AUTHORITIES][IDENTITY_BYTES];
};

/* A VOTE without its epoch and predecessor, which are those of the message it stands in. */
struct agreement_vote {
  uint8_t author;
  uint32_t round;
  uint8_t hash[DIGEST_BYTES]; /* of the vote's document */
  uint8_t signature[ED25519_SIGNATURE_BYTES];
};

/* At most one vote of each authority, in the order of authors. */
struct agreement_vector { uint32_t count; struct agreement_vote votes[LIMIT_AUTHORITIES]; };

/* Signatures of one statement, in the order of authors. */
struct agreement_signature { uint8_t author; uint8_t bytes[ED25519_SIGNATURE_BYTES]; };
struct agreement_signatures { uint32_t count; struct agreement_signature list[LIMIT_AUTHORITIES]; };

/* What a PREPARE names: the resulting consensus and the vector it results from. */
struct agreement_choice { uint8_t digest[DIGEST_BYTES]; uint8_t vector[DIGEST_BYTES]; };

struct agreement_lock_name { bool present; uint32_t view; struct agreement_choice choice; };

/* [AGREE-11] A lock with its proof: the vector, and q PREPAREs of one view. */
struct agreement_lock {
  struct agreement_lock_name name;
  struct agreement_vector vector;
  struct agreement_signatures prepares;
};

/* A TIMEOUT in short: without the proof of its lock. */
struct agreement_timeout { uint8_t author; struct agreement_lock_name lock; uint8_t signature[ED25519_SIGNATURE_BYTES]; };

/* [AGREE-12] Why a view above 0 is open: q TIMEOUTs of the view before it, and the highest lock among them. */
struct agreement_entry {
  uint32_t count;
  struct agreement_timeout timeouts[LIMIT_AUTHORITIES];
  struct agreement_lock lock;
};

/* [AGREE-24] Two different votes of one author, epoch, round and predecessor; the lower hash first. */
struct agreement_fault_vote { uint8_t hash[DIGEST_BYTES], signature[ED25519_SIGNATURE_BYTES]; };
struct agreement_fault {
  uint8_t author;
  uint64_t epoch;
  uint32_t round;
  uint8_t previous[DIGEST_BYTES];
  struct agreement_fault_vote votes[2];
};
struct agreement_faults { uint32_t count; struct agreement_fault list[LIMIT_AUTHORITIES]; };

/* [AGREE-15] A decision that proves itself. */
struct agreement_certificate {
  uint64_t epoch; /* 0: none */
  uint32_t view;
  uint8_t digest[DIGEST_BYTES];
  struct agreement_signatures signs;
};

/* [AGREE-14] What the sender of a STATUS has of its view: bit i stands for authority i. */
struct agreement_holdings {
  bool proposal;
  uint32_t prepares, signs, timeouts, faults;
  uint32_t rounds[LIMIT_AUTHORITIES]; /* 1 + the highest round known of each author's votes; 0: none */
};

/* One message; which fields it has follows from its kind, the others are zero. */
struct agreement_message {
  enum agreement_kind kind;
  uint64_t epoch;
  uint32_t view;                  /* VOTE: the round. FAULT: 0 */
  uint8_t author;                 /* not in CERTIFICATE, ENTER, FAULT: they prove themselves */
  uint8_t signature[ED25519_SIGNATURE_BYTES];
  uint8_t previous[DIGEST_BYTES]; /* VOTE, STATUS: the consensus of the epoch before */
  uint8_t hash[DIGEST_BYTES];     /* VOTE */
  struct agreement_choice choice; /* PROPOSE, PREPARE; SIGN and CERTIFICATE: the digest alone */
  struct agreement_vector vector; /* PROPOSE */
  struct agreement_entry entry;   /* PROPOSE of a view above 0 (the lock's vector is the proposal's), ENTER */
  struct agreement_lock lock;     /* TIMEOUT */
  struct agreement_signatures signs;   /* CERTIFICATE */
  struct agreement_faults faults;      /* PROPOSE, FAULT (one) */
  struct agreement_holdings holdings;  /* STATUS */
};

enum {
  AGREEMENT_HEADER_BYTES = 1 + 32 + 4 + 8 + 4,
  AGREEMENT_VOTE_ENTRY_BYTES = 1 + 4 + DIGEST_BYTES + ED25519_SIGNATURE_BYTES,
  AGREEMENT_MESSAGE_MAX_BYTES = 24 * 1024,
};
static_assert((int)AGREEMENT_MESSAGE_MAX_BYTES <= (int)LIMIT_AGREEMENT_MESSAGE_BYTES, "every message fits a transfer");

/* [AGREE-1] Fills in f and q. */
void agreement_members_init(struct agreement_members *, const uint8_t network[32], uint32_t serial, uint32_t n,
                            const uint8_t identities[][IDENTITY_BYTES]);

/* The message's bytes; 0 if they do not fit. */
size_t agreement_message_encode(const struct agreement_members *, const struct agreement_message *, uint8_t *out, size_t room);
/* OK, BAD_DOCUMENT, TOO_LARGE or WRONG_NETWORK. Checks the form alone. */
enum outcome agreement_message_decode(const struct agreement_members *, const uint8_t *bytes, size_t len, struct agreement_message *ret);
/* [AGREE-7] What the author states: the beginning of the message's bytes. 0 if they do not fit. */
size_t agreement_message_statement(const struct agreement_members *, const struct agreement_message *, uint8_t *out, size_t room);
/* The name of a kind, for people. */
const char *agreement_kind_name(enum agreement_kind);

/* [AGREE-9] */
void agreement_vector_hash(const struct agreement_vector *, uint8_t ret_hash[DIGEST_BYTES]);
bool agreement_choice_equal(const struct agreement_choice *, const struct agreement_choice *);

/* Parts that the ballot record shares with messages. */
void agreement_write_vector(struct byte_writer *, const struct agreement_vector *);
void agreement_read_vector(struct byte_reader *, uint32_t n, struct agreement_vector *ret);
void agreement_write_lock(struct byte_writer *, const struct agreement_lock *);
void agreement_read_lock(struct byte_reader *, uint32_t n, struct agreement_lock *ret);
void agreement_write_entry(struct byte_writer *, const struct agreement_entry *);
void agreement_read_entry(struct byte_reader *, uint32_t n, struct agreement_entry *ret);
void agreement_write_faults(struct byte_writer *, const struct agreement_faults *);
void agreement_read_faults(struct byte_reader *, uint32_t n, struct agreement_faults *ret);

#endif
