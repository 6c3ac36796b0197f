/* The neighbours of one relay, for benchmarks: the other ends of its links, with every key, so that circuits and streams
 * through it are as real as a client's.
 * Spec: none. Called by tests/bench/idle.c, over sockets, and tests/bench/exit.c, in memory.
 * Never does input or output: bytes in, bytes out. Whatever goes wrong ends the benchmark.
 */
#ifndef TUNIC_TESTS_BENCH_PEER_H
#define TUNIC_TESTS_BENCH_PEER_H

#include "directory/consensus.h"
#include "protocol/trunk.h"

enum { PEER_NEIGHBOURS = 4, PEER_BUFFER_BYTES = 256 * 1024 };

/* A circuit's side at a neighbour; `is_ours`: this neighbour made it, and has the keys of the relay's layer. */
struct peer_circuit {
  struct trunk_side side;
  struct onion_layer seal, open;
  struct noise *handshake; /* while the relay's answer is awaited */
  uint8_t place;
  bool is_ours;
};

struct peer_link {
  struct link_self self;
  struct trunk *trunk;
  size_t in_len;
  uint8_t *in; /* PEER_BUFFER_BYTES */
};

struct peers {
  struct random_stream random;
  struct memory_budget budget;
  struct trunk_pool trunks;
  struct aead_cache *contexts;
  struct guarded_key *secret; /* one link key for all neighbours */
  uint8_t network[32], key[X25519_BYTES];
  struct relay_entry neighbours[PEER_NEIGHBOURS]; /* as the consensus lists them */
  struct relay_entry relay;                       /* the one that is measured */
  uint32_t links, opened, extended, connected, closed; /* so far */
  uint64_t data_bytes;
  instant now;
};

/* Addresses of the neighbours are the caller's to set. */
void peers_init(struct peers *, const uint8_t network[32]);
void peers_wipe(struct peers *);
/* The consensus that lists the neighbours and the relay, signed by the one authority of this seed; valid for a day from now. */
struct document *peers_consensus(const struct peers *, const uint8_t authority_seed[32], struct date now);

/* A link to the relay from a neighbour, or from a client (PEER_CLIENT). */
enum { PEER_CLIENT = -1 };
void peer_link_call(struct peers *, struct peer_link *, int neighbour);
/* The relay calls this neighbour. */
void peer_link_answer(struct peers *, struct peer_link *, int neighbour);
void peer_link_wipe(struct peer_link *);
bool peer_link_is_open(const struct peer_link *);
/* Bytes from the relay; what they ask for is done. */
void peer_link_take(struct peers *, struct peer_link *, const uint8_t *bytes, size_t len);
/* Bytes to the relay; 0: nothing now. */
size_t peer_link_give(struct peers *, struct peer_link *, uint8_t *out, size_t room);

/* Begins a circuit on the link; peers->opened counts the answers. Its memory is the caller's, zeroed, until peer_circuit_wipe. */
void peer_circuit_open(struct peers *, struct peer_link *, struct peer_circuit *, uint8_t place);
/* On to a neighbour; peers->extended counts the answers. */
void peer_circuit_extend(struct peers *, struct peer_circuit *, int neighbour);
/* A stream to an IPv4 address; peers->connected counts. */
void peer_circuit_begin(struct peers *, struct peer_circuit *, uint16_t stream, const struct address *to);
/* DATA of a stream, sealed and queued. */
void peer_circuit_data(struct peers *, struct peer_circuit *, uint16_t stream, size_t len);
/* So many bytes of the stream, counted from its beginning, may come. */
void peer_circuit_credit(struct peers *, struct peer_circuit *, uint16_t stream, uint64_t allowed);
void peer_circuit_wipe(struct peers *, struct peer_circuit *);

#endif
