/* Where people ask a running node: a Unix socket `control` in its folder, JSON lines both ways.
 * Spec: specs/outcomes.md [OUT-5]. Called by main files; runs inside the first driver's loop.
 * {"request": "status"} is answered by one line; {"request": "wait"} by one now, one whenever progress changes and a last one
 * when the node is ready; {"request": "stop"} by {"stopping": true}. Anything else by {"error": ...}.
 * Never answers anyone but the folder's owner (mode 0600), never more than 16 at a time.
 */
#ifndef TUNIC_IO_CONTROL_SOCKET_H
#define TUNIC_IO_CONTROL_SOCKET_H

#include "io/files.h"
#include "io/loop.h"
#include "protocol/status.h"

enum { CONTROL_CLIENTS_MAX = 16, CONTROL_REQUEST_BYTES = 4096 };

struct control_socket; /* opaque */

struct control_host {
  void *context;
  void (*status)(void *context, struct status *ret);
  void (*stop)(void *context);
};

/* The folder must be locked by this process: what an older one left is removed. */
enum outcome control_socket_open(struct loop *, const struct folder *, const struct control_host *, struct control_socket **ret,
                                 struct complaint *);
/* Before the loop and the folder go. NULL is allowed. */
void control_socket_close(struct control_socket *);

#endif
