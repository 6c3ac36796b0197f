/* A scripted machine: sends what it is told, keeps what it hears, on connections that it makes or accepts.
 * Spec: none. Called by small_network.c and the tests.
 * What it accepts plays a script set beforehand: bytes, then perhaps the end of its way.
 */
#ifndef TUNIC_TESTS_UNIT_CLIENT_PEER_H
#define TUNIC_TESTS_UNIT_CLIENT_PEER_H

#include "protocol/effect_queue.h"
#include "protocol/list.h"
#include "protocol/machine.h"

enum { PEER_CONNECTIONS_MAX = 64 };

struct peer_connection {
  struct id id;
  struct list_node ready;
  const uint8_t *out;       /* the test's, until it is sent */
  size_t out_len, out_sent;
  bool finish;              /* shuts its way after `out` */
  bool finish_on_eof;       /* sends `out` and shuts its way only when the other has shut its own */
  bool deaf;                /* reads nothing */
  uint8_t *in;
  size_t in_len;
  bool connected, eof, closed;
};

struct peer {
  struct peer_connection connections[PEER_CONNECTIONS_MAX];
  uint32_t count;
  struct id_table ids; /* of uint32_t: the connection's index */
  struct effect_queue effects;
  struct list ready;
  struct peer_connection script; /* for what is accepted */
};

struct peer *peer_new(void);
void peer_free(struct peer *);
struct machine peer_machine(struct peer *);
/* Returns its index. */
uint32_t peer_connect(struct peer *, const struct address *to, const void *bytes, size_t len);
/* More to send on a connection; after it, perhaps the end of its way. */
void peer_send(struct peer *, uint32_t index, const void *bytes, size_t len, bool finish);
void peer_close(struct peer *, uint32_t index);

#endif
