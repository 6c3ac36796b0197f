/* Where people ask a running node: a Unix socket `control` in its folder, JSON lines both ways.
 * Spec: specs/outcomes.md [OUT-5]. Called by main files; runs inside the first driver's loop.
 * {"request": "status"} is answered by one line; {"request": "wait"} by one now, one whenever progress changes and a last one
 * when the node is ready; {"request": "stop"} by {"stopping": true}; {"request": "network"}, at an authority, by
 * {"handed_in": true}: it is given the file `network-new` of its folder. Anything else by {"error": ...}.
 * Never answers anyone but the folder's owner (mode 0600), never more than 16 at a time.
 */
#ifndef TUNIC_IO_CONTROL_SOCKET_H
#define TUNIC_IO_CONTROL_SOCKET_H

#include "io/files.h"
#include "io/loop.h"
#include "protocol/status.h"

#define CONTROL_NETWORK_FILE "network-new"

enum { CONTROL_CLIENTS_MAX = 16, CONTROL_REQUEST_BYTES = 4096, CONTROL_NETWORK_MAX_BYTES = 256 * 1024 };

struct control_socket; /* opaque */

struct control_host {
  void *context;
  void (*status)(void *context, struct status *ret);
  void (*stop)(void *context);
  void (*give_network)(void *context, struct document *); /* the reference moves; NULL: it takes none */
};

/* The folder must be locked by this process: what an older one left is removed. */
enum outcome control_socket_open(struct loop *, const struct folder *, const struct control_host *, struct control_socket **ret,
                                 struct complaint *);
/* Before the loop and the folder go. NULL is allowed. */
void control_socket_close(struct control_socket *);

#endif
