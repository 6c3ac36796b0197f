/* A path whose three hops are one attacker, joined to a client without a network between: he holds every key, so he can
 * say anything at any place, rightly sealed.
 * Spec: none. Called by this folder's tests and by the fuzz target client_circuit.
 * Never uses the test library: failures are for the caller to see.
 */
#ifndef TUNIC_TESTS_UNIT_CLIENT_HOSTILE_PATH_H
#define TUNIC_TESTS_UNIT_CLIENT_HOSTILE_PATH_H

#include "client/client.h"
#include "protocol/trunk.h"
#include "tests/unit/client/sample_relays.h"

enum { HOSTILE_CIRCUITS_MAX = 32, HOSTILE_SAID_MAX = 256, HOSTILE_REQUESTS_MAX = 512, HOSTILE_BUFFER_BYTES = 64 * 1024 };

struct hostile_circuit {
  struct trunk_side side;
  struct onion_layer open[3], seal[3];
  uint8_t built;
  bool is_asked; /* the next hop's answer is awaited; what was asked: */
  uint8_t identity[IDENTITY_BYTES], request[CIRCUIT_HANDSHAKE_REQUEST_BYTES];
  bool used; /* a stream began on it */
  uint32_t hosts; /* first letters of the names that streams began to, a bit each */
  uint8_t said[HOSTILE_SAID_MAX]; /* the commands that the exit was sent, in order */
  uint32_t said_count;
  uint64_t data; /* bytes of DATA that the exit was sent */
};

struct hostile_path {
  struct sample_relays relays;
  struct network_file file;
  struct network_chain *networks;
  struct memory_budget budget;
  struct consensus *consensus;
  struct link_self client_self, guard_self;
  struct random_stream random;
  struct cell_pool *cells;
  struct aead_cache *contexts;
  struct trunk_pool trunks;
  struct trunk *trunk;    /* NULL: the client has no link to us now */
  struct client *client;
  struct machine machine; /* the client */
  instant now;
  struct id link;         /* the client's name for it */
  uint8_t secret[X25519_BYTES], guard[IDENTITY_BYTES];
  struct hostile_circuit circuits[HOSTILE_CIRCUITS_MAX];
  int circuits_most;      /* the rest is refused */
  uint8_t hops_most;      /* that answer on a circuit */
  bool silent;            /* answers no CREATE and no EXTEND */
  bool lies;              /* answers with a reply that no key made */
  bool holds;             /* answers only when the test says so */
  bool deaf;              /* the link has died without a word: nothing passes until the client makes another */
  uint32_t works;         /* how often the client still gets time for handshakes; UINT32_MAX: as often as it wants */
  uint32_t misfits;       /* requests that were not for the hop that got them */
  uint32_t requests;      /* the ephemeral keys of all that came */
  uint8_t ephemerals[HOSTILE_REQUESTS_MAX][X25519_BYTES];
  uint32_t hosts_heard;   /* streams that began to a name */
  uint32_t links;         /* made since the beginning */
  bool disk_is_full;
  uint32_t warnings;      /* lines of the client's log of this level or a graver one */
  struct trace trace;
  uint32_t states_failed, states_written; /* writes of the file that holds the guards */
  size_t received_len;    /* of what the client sent and we could not take yet */
  uint8_t received[HOSTILE_BUFFER_BYTES];
};

void hostile_path_init(struct hostile_path *);
/* With so many exits: all allow ports 80 to 443, and the last one every port. `seed`: of the client's draws. */
void hostile_path_init_exits(struct hostile_path *, uint32_t exits, uint8_t seed);
void hostile_path_wipe(struct hostile_path *);
/* Until nobody has anything to send; `for_ns`: then time passes, and again. */
void hostile_path_run(struct hostile_path *, uint64_t for_ns);
/* The hop that was asked answers, unless it is silent. */
void hostile_path_answer(struct hostile_path *, struct hostile_circuit *);
/* The link is cut from outside. */
void hostile_path_cut(struct hostile_path *);
/* An application that sends these bytes; its id. */
struct id hostile_path_app(struct hostile_path *, const void *bytes, size_t len);
/* From the beginning: once circuits stand ready an application asks so; the circuit on which its stream began, or NULL. */
struct hostile_circuit *hostile_path_stream(struct hostile_path *, const void *request, size_t len, struct id *ret_app);
/* What the client has for the application, at most `room`. */
size_t hostile_path_read(struct hostile_path *, struct id app, uint8_t *out, size_t room);
/* The circuit on which a stream began; NULL: none yet. */
struct hostile_circuit *hostile_path_used(struct hostile_path *);
/* Content of this length, as the hop at `place` says it; the rest of the content is zero. */
void hostile_path_say(struct hostile_path *, struct hostile_circuit *, uint8_t place, enum onion_kind, const uint8_t *content, size_t len);
/* One message of the exit. */
void hostile_path_message(struct hostile_path *, struct hostile_circuit *, uint8_t command, uint16_t stream, const void *body, size_t len);
uint64_t hostile_path_figure(const struct hostile_path *, const char *name);

#endif
