/* A shard alone on a bench: the test holds the other end of each of its links, and every key, so it can say anything at
 * any place, rightly sealed.
 * Spec: none. Called by this folder's tests.
 * After every verb the shard's counts must agree with what is there: else the test fails.
 */
#ifndef TUNIC_TESTS_UNIT_RELAY_SHARD_BENCH_H
#define TUNIC_TESTS_UNIT_RELAY_SHARD_BENCH_H

#include "protocol/limits.h"
#include "relay/shard.h"
#include "tests/unit/client/sample_relays.h"

enum { BENCH_ENDS = 4, BENCH_CIRCUITS = 192, BENCH_HEARD = 64, BENCH_BUFFER_BYTES = 256 * 1024 };
/* Relays of the consensus: the shard itself, and those whose links the test holds. END_CLIENT is no relay. */
enum { END_CLIENT = 0, END_FIRST_NODE, END_SECOND_NODE, END_NEXT, BENCH_RELAYS = 4 };

struct bench_heard { uint8_t command, code; uint16_t stream; };

struct bench_circuit {
  struct trunk_side side;
  struct noise handshake;
  struct onion_layer seal, open;
  uint8_t place;
  bool used, is_open, closed;
  uint8_t cause; /* that CLOSED told; 0: none */
  uint64_t credit; /* that the newest STREAM_CREDIT gave; 0: none came */
  uint32_t cells; /* onion cells that came, and the body of the last as it came */
  uint8_t body[CELL_BODY_BYTES];
  struct bench_heard heard[BENCH_HEARD];
  uint32_t heard_count;
};

struct bench_end {
  struct link_self self;
  bool is_client;      /* it calls as a client, whoever it is */
  struct trunk *trunk; /* NULL: there is no link, or it was lost */
  struct id connection; /* the shard's name for it */
  enum outcome outcome; /* of what the shard was sent last */
  struct document *arrived; /* what it asked for, newest; NULL: it was refused, with `refused` */
  enum outcome refused;
  size_t to_shard_len, from_shard_len;
  uint8_t to_shard[BENCH_BUFFER_BYTES], from_shard[BENCH_BUFFER_BYTES];
};

struct bench {
  struct sample_relays relays;
  struct network_file file;
  struct exit_policy policy;
  struct memory_budget budget, own_budget;
  struct consensus *consensus;
  struct link_self self;
  uint8_t secret[X25519_BYTES], key[X25519_BYTES]; /* one key for all purposes of all relays */
  uint8_t identities[BENCH_RELAYS][IDENTITY_BYTES]; /* [0]: the shard's */
  struct address addresses[BENCH_RELAYS];
  struct address first, second; /* of one more relay, which is no end: IPv6, and the IPv4 that it names beside it */
  struct random_stream random;
  struct cell_pool *cells;
  struct aead_cache *contexts;
  struct trunk_pool trunks;
  struct shard *shard;
  struct machine machine;
  instant now;
  bool idle;               /* the shard gets no time for handshakes */
  bool next_is_silent;     /* the next relay answers no CREATE */
  bool next_is_another;    /* at its address somebody takes the connection and says only what the test does */
  struct bench_end ends[BENCH_ENDS];
  struct bench_circuit circuits[BENCH_CIRCUITS];
  struct shard_figures figures; /* the newest that it sent */
  struct id stream;        /* of the newest EFFECT_CONNECT or EFFECT_RESOLVE of a stream */
  struct address to;       /* where it wants to connect */
  uint32_t connects, finishes, closes, links_reported;
};

struct bench *bench_new(void);
/* With room for so many streams, as its config says. */
struct bench *bench_new_for(uint32_t streams);
/* Everything closes; then the shard must hold no cell, no circuit and no stream. */
void bench_free(struct bench *);
/* Until nobody has anything to send. */
void bench_run(struct bench *);
/* Time passes, and what is due happens. */
void bench_wait(struct bench *, uint64_t duration);
/* A link from that end, as far as the shard lets it. */
void bench_call(struct bench *, int end);
/* A link from that end, open. */
void bench_link(struct bench *, int end);
/* The link is cut. */
void bench_lose(struct bench *, int end);

/* Sends CREATE; the circuit's slot is the bench's. The rest of what it names is right unless the test says otherwise. */
struct bench_circuit *bench_create(struct bench *, int end, uint8_t place);
struct bench_circuit *bench_create_as(struct bench *, int end, uint8_t place, uint8_t type, uint8_t generation);
/* The same and runs until it is open. */
struct bench_circuit *bench_open(struct bench *, int end, uint8_t place);
/* A content of this length, sealed for the hop. Not run yet. */
void bench_say(struct bench *, struct bench_circuit *, enum onion_kind, const void *content, size_t len);
void bench_message(struct bench *, struct bench_circuit *, uint8_t command, uint16_t stream, const void *body, size_t len);
void bench_extend(struct bench *, struct bench_circuit *, const uint8_t identity[IDENTITY_BYTES]);
/* BEGIN to an IPv4 address and port. */
void bench_begin(struct bench *, struct bench_circuit *, uint16_t stream, const uint8_t ipv4[4], uint16_t port);
/* BEGIN, and the destination takes the connection. */
void bench_begin_open(struct bench *, struct bench_circuit *, uint16_t stream);
/* Asks for a document and runs: `arrived` or `refused` says what came of it. */
void bench_get(struct bench *, int end, const struct transfer_request *);
/* One cell as it is, past all the rules that a link's end keeps. */
void bench_raw(struct bench *, int end, const uint8_t cell[CELL_BYTES]);
/* What the end has to send goes in, and nothing comes out. */
void bench_push_in(struct bench *, int end);
/* The newest circuit that the shard extended to that end; NULL: none. */
struct bench_circuit *bench_extended(struct bench *, int end);
void bench_event(struct bench *, const struct event *);

uint32_t bench_heard(const struct bench_circuit *, uint8_t command);
/* The code of the newest END that it heard for a stream; 0: none. */
uint8_t bench_ended(const struct bench_circuit *, uint16_t stream);
bool bench_has_link(const struct bench *, int end);

#endif
